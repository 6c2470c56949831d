"""Rows and levels that are joined: the same numbers as by rows, whatever is alike."""

from __future__ import annotations

import numpy as np
import pytest
from glmm_tables import FAMILIES, RECIPROCAL
from tolerances import ORACLE

from merextras.engine.generalised.criterion.laplace import Laplace
from merextras.engine.generalised.criterion.quadrature import Quadrature
from merextras.engine.generalised.families.counts import Poisson
from merextras.engine.generalised.rows import cells
from merextras.engine.generalised.rows.cells import joined
from merextras.engine.generalised.rows.table import Table
from merextras.engine.products.term_rows import TermRows

# Levels are copies of a few, in any order.
KINDS_OF_LEVELS, COPIES, SIZE = 40, 16, 5
LEVELS = KINDS_OF_LEVELS * COPIES + 1  # one without rows
N = KINDS_OF_LEVELS * COPIES * SIZE


def _terms(kind, rng):
    """Terms whose covariates have few values, and which of some rows each row is a copy of."""
    like = np.tile(np.arange(KINDS_OF_LEVELS * SIZE), COPIES)
    g = np.arange(N) // SIZE
    order = rng.permutation(N)
    like, g = like[order], rng.permutation(LEVELS)[g[order]]
    one = np.ones((N, 1))
    dose, h = (rng.integers(0, m, KINDS_OF_LEVELS * SIZE)[like] for m in (2, 4))
    dose = dose[:, None].astype(float)
    both = np.hstack([one, dose])
    return (
        {
            "one": [TermRows(g, one, LEVELS)],
            "slope": [TermRows(g, both, LEVELS)],
            "independent": [TermRows(g, one, LEVELS), TermRows(g, dose, LEVELS)],
            "few": [TermRows(g % 12, both, 12)],
            "crossed": [TermRows(g % 5, both, 5), TermRows(h, one, 4)],
            "nested": [TermRows(g % 6, one, 6), TermRows((g % 6) // 3, one, 2)],
        }[kind],
        dose,
        like,
    )


class Pair:
    """A criterion by rows and the same of cells, with a vector of parameters."""

    def __init__(self, name, kind, *, seed=5, values=4, make=Laplace, **options):
        rng = np.random.default_rng(seed)
        self.terms, dose, like = _terms(kind, rng)
        other = rng.integers(0, 2, like.max() + 1)[like]
        self.x = np.column_stack([np.ones(N), dose, other])
        # Few different responses, of which many rows have each.
        which = rng.integers(0, values, like.max() + 1)[like]
        self.family = FAMILIES[name](rng, values).taken(which)
        self.offset = np.where(rng.random(like.max() + 1) < 0.5, 0.0, 0.2)[like]
        self.found = joined(self.x, self.terms, self.offset, self.family, levels=make is Laplace)
        assert self.found is not None
        self.rows = make(Table(self.x, self.terms, self.offset), self.family, **options)
        joint, family = self.found
        table = Table(self.x, self.terms, self.offset, cells=joint)
        self.cells = make(table, family, **options)
        spread, base = (0.1, 2.5) if name in RECIPROCAL else (0.4, 0.3)
        theta = spread * rng.normal(size=self.rows.covariances.n)
        beta = np.array([base, 0.1, -0.1]) + 0.1 * spread * rng.normal(size=3)
        phi = 1.0 + 0.3 * rng.normal(size=self.family.n_phi)
        self.parts = theta, beta, phi

    def point(self, criterion):
        theta, beta, phi = self.parts
        inner = np.linalg.solve(criterion.table.transform, beta)
        return criterion.at(np.concatenate([criterion.own_theta(theta), inner, phi]))


@pytest.mark.parametrize("kind", ["one", "slope", "independent", "crossed", "nested"])
@pytest.mark.parametrize("name", FAMILIES)
def test_criterion_is_that_of_the_rows(name, kind):
    pair = Pair(name, kind)
    rows, joint = pair.point(pair.rows), pair.point(pair.cells)
    assert pair.cells.table.n <= 0.7 * N
    np.testing.assert_allclose(joint.deviance(), rows.deviance(), rtol=ORACLE)
    size = np.abs(rows.gradient()).max()
    np.testing.assert_allclose(joint.gradient(), rows.gradient(), atol=1e-9 * size)
    np.testing.assert_allclose(joint.fixed_information(), rows.fixed_information(), atol=1e-9 * N)
    for found, expected in zip(joint.covariance_slopes(), rows.covariance_slopes(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(pair.cells.units, pair.rows.units, rtol=ORACLE)


@pytest.mark.parametrize("kind", ["one", "slope", "independent"])
def test_levels_have_their_own_effects_again(kind):
    pair = Pair("logit", kind, values=3)
    rows, joint = pair.point(pair.rows), pair.point(pair.cells)
    table = pair.cells.table
    assert table.copies is not None
    assert len(table.copies) <= 0.7 * LEVELS
    assert table.copies.sum() == LEVELS
    assert table.counts.sum() == N
    for found, expected in zip(joint.modes.b, rows.modes.b, strict=True):
        np.testing.assert_allclose(table.modes_by_level(found), expected, atol=1e-10)
    for t in range(len(pair.terms)):
        np.testing.assert_allclose(
            table.by_level(joint.selected.own[t]), rows.selected.own[t], atol=1e-10
        )
    np.testing.assert_allclose(table.by_row(joint.modes.eta), rows.modes.eta, atol=1e-10)


@pytest.mark.parametrize("name", ["logit", "poisson", "gamma log"])
def test_quadrature_of_cells(name):
    pair = Pair(name, "few", make=Quadrature, n_points=3)
    rows, joint = pair.point(pair.rows), pair.point(pair.cells)
    assert pair.cells.table.copies is None
    np.testing.assert_allclose(joint.deviance(), rows.deviance(), rtol=ORACLE)
    size = np.abs(rows.gradient()).max()
    np.testing.assert_allclose(joint.gradient(), rows.gradient(), atol=1e-8 * size)


def test_nothing_alike():
    rng = np.random.default_rng(2)
    (term,), dose, _ = _terms("one", rng)
    family = FAMILIES["logit"](rng, N)
    assert joined(rng.normal(size=(N, 2)), [term], None, family, levels=True) is None
    # One row in each level and cell: every number of trials is another.
    rows = TermRows(np.arange(N), np.ones((N, 1)), N)
    x = np.hstack([np.ones((N, 1)), dose])
    family.trials[:] = family.y + np.arange(N)
    assert joined(x, [rows], None, family, levels=True) is None
    # Few rows are left alone.
    few = TermRows(term.codes[:500], np.ones((500, 1)), LEVELS)
    assert joined(x[:500], [few], None, family.taken(np.arange(500)), levels=True) is None


def test_rows_whose_numbers_collide_are_not_joined(monkeypatch):
    """Equal numbers of 64 bits are not believed."""
    rng = np.random.default_rng(3)
    terms, dose, like = _terms("one", rng)
    x, family = np.hstack([np.ones((N, 1)), dose]), FAMILIES["logit"](rng, 2)
    family = family.taken(like % 2)
    assert joined(x, terms, None, family, levels=True) is not None
    monkeypatch.setattr(cells, "_hashed", lambda columns: np.zeros(len(columns[0]), np.uint64))
    assert joined(x, terms, None, family, levels=True) is None


def test_constants_of_levels_that_are_alike_but_for_them():
    """Counts 0 and 2 have the mean of 1 and 1, and another density."""
    codes = np.repeat(np.arange(1000), 2)
    y = np.tile([0.0, 2.0, 1.0, 1.0], 500)
    x, terms = np.ones((2000, 1)), [TermRows(codes, np.ones((2000, 1)), 1000)]
    found = joined(x, terms, None, Poisson(y), levels=True)
    assert found is not None
    assert len(found[0].copies) == 1
    v = np.array([0.5, 0.0])
    by_rows = Laplace(Table(x, terms), Poisson(y)).at(v).deviance()
    by_cells = Laplace(Table(x, terms, cells=found[0]), found[1]).at(v).deviance()
    np.testing.assert_allclose(by_cells, by_rows, rtol=ORACLE)

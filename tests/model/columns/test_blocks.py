"""Columns of categories by their cells."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from properties.compare import close
from tolerances import INVARIANCE, SAME_ROWS

from merextras.engine.products import cells as counted
from merextras.exceptions import RankDeficientWarning
from merextras.fit_lmer import lmer
from merextras.model.columns.blocks import Block, cells_of, columns_of
from merextras.model.columns.plain_factors import TextAsCategories, treatment_part

N = 20_000


def _frame(seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=N),
            "a": pd.Categorical.from_codes(rng.integers(0, 16, N), [f"a{i}" for i in range(16)]),
            "b": rng.choice([f"b{i}" for i in range(9)], N),
            "year": rng.integers(2001, 2005, N),
            "g": rng.integers(0, 200, N),
            "h": rng.integers(0, 20, N),
        }
    )
    effects = rng.normal(size=200)[frame["g"]] + rng.normal(size=20)[frame["h"]]
    effects += frame["x"] * rng.normal(size=200)[frame["g"]] + frame["a"].cat.codes * 0.1
    return frame.assign(y=frame["x"] + effects + rng.normal(size=N))


FRAME = _frame()


def _part(rhs, frame=FRAME):
    columns = TextAsCategories({str(name): column for name, column in frame.items()})
    return treatment_part(rhs, columns), columns


@pytest.mark.parametrize("rhs", ["a", "x + a", "a + b + x", "x + C(year) + b", "a + b + C(year)"])
def test_the_first_columns_are_rows_of_the_table(rhs):
    part, columns = _part(rhs)
    x, cells = part.by_cell(columns, N)
    assert cells.serve(x)
    assert cells.m == sum("[" in name or name == "Intercept" for name in part.names)
    assert np.array_equal(cells.table[cells.codes], x[:, : cells.m])


def test_products_of_factors_have_cells_too():
    rng = np.random.default_rng(3)
    contrasts = np.eye(16)[:, 1:], rng.normal(size=(9, 8))
    codes = [rng.integers(0, n, N)[:, None].astype(np.int8) for n in (16, 9)]
    values = [codes[0], rng.normal(size=(N, 1)), codes[1]]
    blocks = [
        Block((), ()),
        Block((2,), contrasts[1:]),
        Block((0, 2), contrasts),
        Block((0, 1), (contrasts[0], None)),
    ]
    x = columns_of(blocks, values, N)
    wide = [own[codes[i][:, 0]] for i, own in enumerate(contrasts)]
    both = (wide[1][:, :, None] * wide[0][:, None, :]).reshape(N, -1)
    moved = wide[0] * values[1]
    close(x, np.hstack([np.ones((N, 1)), wide[1], both, moved]), INVARIANCE)
    cells = cells_of(blocks, values, x)
    assert cells.m == 1 + 8 + 8 * 15
    assert np.array_equal(cells.table[cells.codes], x[:, : cells.m])


def test_without_categories_or_with_too_many_there_are_no_cells():
    part, columns = _part("x + a")
    values = [np.zeros((10, 1), dtype=np.int8)]
    assert cells_of([Block((), ())], [], np.ones((N, 1))) is None
    assert cells_of([Block((0,), (np.eye(16)[:, 1:],))], values, np.ones((10, 15))) is None
    missing = FRAME.assign(x=FRAME["x"].where(FRAME.index > 0))
    assert part.by_cell(missing, N)[1] is None
    assert np.isnan(part.by_cell(missing, N)[0][0]).all()
    assert part.by_cell(columns, N)[1] is not None


@pytest.mark.parametrize("rhs", ["x + a", "b + x", "C(year) + a"])
@pytest.mark.parametrize("bar", ["(1 | g)", "(1 + x | g)", "(1 | g) + (1 | h)"])
def test_a_fit_is_the_same_without_cells(rhs, bar, monkeypatch):
    weights = np.random.default_rng(1).uniform(0.5, 2.0, N)
    own = [lmer(f"y ~ {rhs} + {bar}", FRAME, weights=w) for w in (None, weights)]
    monkeypatch.setattr(counted, "_MANY", 10**9)
    for m, w in zip(own, (None, weights), strict=True):
        other = lmer(f"y ~ {rhs} + {bar}", FRAME, weights=w)
        close(m.deviance(), other.deviance(), INVARIANCE)
        close(m.fixef(), other.fixef(), SAME_ROWS)
        close(m.theta, other.theta, SAME_ROWS)


def test_columns_that_others_determine_leave_no_cells():
    with pytest.warns(RankDeficientWarning):
        m = lmer("y ~ a + c + x + (1 | g)", FRAME.assign(c=FRAME["a"]))
    assert m.design.cells is None
    other = lmer("y ~ a + x + (1 | g)", FRAME)
    close(m.deviance(), other.deviance(), INVARIANCE)


def test_cells_are_not_pickled():
    design = lmer("y ~ a + x + (1 | g)", FRAME).design
    assert design.cells.serve(design.x)
    again = pickle.loads(pickle.dumps(design))
    assert again.cells is None
    close(again.cross_products().xy, design.cross_products().xy, INVARIANCE)

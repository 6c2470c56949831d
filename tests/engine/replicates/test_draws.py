"""The root of the Gram matrix against a dense one, and responses made of sums."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from chunk_models import MODELS, table

import merextras as mx
from merextras.engine.products.restrict import restricted
from merextras.engine.replicates.draws import Sums, effects_and_noise, gram_factor
from merextras.engine.replicates.responses import Responses

CASES = {
    **MODELS,
    "three factors": ("y ~ x * c + (1 + x | g) + (1 | h/k) + (1 | f)", {}),
    # The variance of h can't be told from the fixed effects: only the products matter here.
    "categories": ("y ~ c + h + (0 + c | g) + (1 | h)", {"control": mx.LmerControl(check=False)}),
    "no fixed part": ("y ~ 0 + (1 | g) + (1 | h)", {}),
}


@pytest.fixture(scope="module")
def fits():
    data = table()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mx.exceptions.MerextrasWarning)
        return {name: mx.lmer(formula, data, **kwargs) for name, (formula, kwargs) in CASES.items()}


def _dense(model):
    """[Z XT] in the basis, and the weights of the rows."""
    design, cp = model.design, model.solution.factor.system.cp
    w = np.ones(design.n)
    for extra in (design.weights, design.frequencies):
        w = w if extra is None else w * extra
    terms = cp.basis.rows([term.rows for term in design.terms])
    z = np.hstack([term.sparse().toarray() for term in terms])
    return z, design.x @ cp.basis.transform, w


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
@pytest.mark.parametrize("name", CASES)
def test_root_and_rank(fits, name):
    z, x, w = _dense(fits[name])
    whole = np.hstack([z, x])
    gram = whole.T @ (whole * w[:, None])
    size = np.sqrt(np.diag(gram))
    size[size == 0.0] = 1.0
    factor = gram_factor(fits[name].solution.cp)
    by_term, xs, squares = factor.times(np.eye(factor.size))
    root = np.vstack([*(part.reshape(-1, factor.size) for part in by_term), xs]) / size[:, None]
    np.testing.assert_allclose(root @ root.T, gram / np.outer(size, size), atol=1e-12)
    values = np.linalg.eigvalsh(gram / np.outer(size, size))
    assert factor.rank == int(np.sum(values > 1e-11 * values[-1]))
    assert int(np.sum(squares)) == factor.rank


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
@pytest.mark.parametrize("name", ["slope", "nested", "crossed", "weights", "three factors"])
def test_sums_are_those_of_rows(fits, name):
    """Z b + e with e in the span of the design, made by rows, and by products alone."""
    model = fits[name]
    z, x, w = _dense(model)
    design, system = model.design, model.solution.factor.system
    factor, rng = gram_factor(system.cp), np.random.default_rng(3)
    b = [rng.normal(size=(*shape, 2)) for shape in system.cp.shapes]
    noise, chi2 = rng.normal(size=(factor.size, 2)), np.zeros(2)
    sums = effects_and_noise(factor, b, noise, chi2)
    by_term, xs, squares = factor.times(noise)
    whole = np.hstack([z, x])
    target = np.vstack([*(part.reshape(-1, 2) for part in by_term), xs])
    e = whole @ np.linalg.lstsq(whole.T @ (whole * w[:, None]), target, rcond=1e-12)[0]
    np.testing.assert_allclose(np.sum(e * e * w[:, None], axis=0), squares, rtol=1e-8)
    u = z @ np.vstack([part.reshape(-1, 2) for part in b]) + e
    np.testing.assert_allclose(
        np.vstack([part.reshape(-1, 2) for part in sums.z]), z.T @ (u * w[:, None]), atol=1e-7
    )
    np.testing.assert_allclose(sums.squares, np.sum(u * u * w[:, None], axis=0), rtol=1e-10)
    beta = rng.normal(size=design.x.shape[1])
    rows = [term.rows for term in design.terms]
    expected = Responses.from_rows(system.cp, design.x, design.x @ beta[:, None] + u, rows, w)
    found = sums.responses(system, beta)
    np.testing.assert_allclose(found.yy, expected.yy, rtol=1e-10)
    np.testing.assert_allclose(found.offset, expected.offset, rtol=1e-7, atol=1e-8)
    for mine, theirs in zip(found.to_y, expected.to_y, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-7)


def test_restricted_terms(fits):
    """Combinations of effects, terms left out, covariances left out: against the rows' own."""
    model = fits["three factors"]
    cp = model.solution.factor.system.cp
    at = next(t for t, (_, k) in enumerate(cp.shapes) if k == 2)
    kept = [(at, np.array([[1.0], [0.5]])), (at, np.array([[0.0], [1.0]])), (0, np.eye(1))]
    if at == 0:
        kept[2] = (1, np.eye(1))
    found = restricted(cp, kept)
    parts = []
    for own, (t, c) in zip(found.basis.effects, kept, strict=True):
        values = model.design.terms[t].rows.sparse().toarray()
        levels = cp.shapes[t][0]
        parts.append(
            (values.reshape(len(values), levels, -1) @ c @ own.transform).reshape(len(values), -1)
        )
    for t, part in enumerate(parts):
        gram = np.einsum("nja,njb->jab", *[part.reshape(len(part), found.shapes[t][0], -1)] * 2)
        np.testing.assert_allclose(found.own[t], gram, rtol=1e-10, atol=1e-9)
        for s in range(t):
            np.testing.assert_allclose(
                found.cross[s, t].toarray(), parts[s].T @ part, rtol=1e-10, atol=1e-9
            )
    x, y = model.design.x, model.design.y
    xy = cp.basis.apply(x, y)
    np.testing.assert_allclose(
        found.to_xy[0].reshape(-1, xy.shape[1]), parts[0].T @ xy, rtol=1e-8, atol=1e-7
    )


def test_no_draw_leaves_nothing(fits):
    """A response in the span of X leaves no residual."""
    system = fits["crossed"].solution.factor.system
    p = system.cp.p
    zero = tuple(np.zeros((*shape, 1)) for shape in system.cp.shapes)
    found = Sums(zero, np.zeros((p, 1)), np.zeros(1)).responses(system, np.arange(float(p)))
    assert found.yy[0] == 0.0
    np.testing.assert_array_equal(found.offset[:, 0], np.arange(float(p)))

"""Pieces of generalised models against lme4's getME, and what they are made of."""

from __future__ import annotations

import json
from pathlib import Path

import glmm_models as models
import numpy as np
import pytest
from scipy import stats
from scipy.sparse import block_array
from tolerances import GLMM_AGAINST_LME4, LAPLACE_GRADIENT

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError

EXPECTED = json.loads(
    (
        Path(__file__).resolve().parents[1] / "reference" / "glmer_pieces" / "expected.json"
    ).read_text(encoding="utf-8")
)
CASES = {
    "herds": models.cbpp,
    "counts": lambda: mx.glmer(
        "incidence ~ C(period) + (1 | herd)",
        mx.load_dataset("cbpp"),
        "poisson",
        offset=np.log(mx.load_dataset("cbpp")["size"]),
    ),
    "districts": lambda: mx.glmer(
        "use ~ urban + age + (1 + urban | district)", mx.load_dataset("contraception")
    ),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    return CASES[request.param](), EXPECTED[request.param]


def _close(found, expected, rtol=GLMM_AGAINST_LME4):
    expected = np.asarray(expected, dtype=float)
    size = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(
        np.asarray(found, dtype=float), expected, rtol=rtol, atol=rtol * size
    )


@pytest.mark.parametrize(
    "name", ["theta", "beta", "b", "u", "y", "mu", "offset", "weights"]
)  # fmt: skip
def test_arrays_are_lme4s(case, name):
    m, expected = case
    _close(m.get_me(name), expected[name])


def test_places_are_lme4s(case):
    m, expected = case
    for name in ("Gp", "Tp", "Lind"):
        # R counts elements of theta from one.
        np.testing.assert_array_equal(
            m.get_me(name), np.array(expected[name]) - (1 if name == "Lind" else 0)
        )
    for name in ("n", "N", "p", "q", "k", "m", "n_rtrms", "n_rfacs", "REML"):
        assert m.get_me(name) == expected["dims"][name], name
    for name, values in expected["each"].items():
        assert list(m.get_me(name)) == values, name
    assert m.get_me("is_REML") is expected["is_REML"] is False
    assert list(m.get_me("fixef").to_numpy()) == list(m.get_me("beta"))
    bounds = [float(v) for v in expected["lower"]]
    n = len(m.theta)
    np.testing.assert_array_equal(m.get_me("lower"), bounds[:n])
    assert all(np.isneginf(bounds[n:]))  # lme4's are of the fixed effects, too
    ((factor, effects),) = m.get_me("cnms")
    assert [factor] == expected["cnms"]["names"]
    assert len(effects) == len(expected["cnms"]["effects"])
    assert m.get_me("flist").iloc[:20, 0].astype(str).tolist() == expected["flist"]


def test_matrices_are_lme4s(case):
    m, expected = case
    _close(m.get_me("Lambda").data, expected["lambda"])
    _close(m.get_me("Lambdat").data, np.asarray(m.get_me("Lambda").T.tocsr().data))
    for name, key in (("Zt", "zt"), ("A", "a"), ("RZX", "rzx")):
        found = m.get_me(name)
        values = found.data if hasattr(found, "tocsr") else found.reshape(-1)
        # Rows of RZX are in the order of elimination: their squares are not.
        last = 0 if name != "RZX" else 1
        _close([values.sum(), np.sum(values**2)][last:], expected[key][last:])
    _close(np.triu(m.get_me("RX")), expected["RX"])
    _close(m.get_me("X")[:5], expected["X"])
    for name in ("tlist", "st"):
        ours = m.get_me({"tlist": "Tlist", "st": "ST"}[name])
        for one, other in zip(ours, expected[name], strict=True):
            _close(one, other)


def test_components_of_the_deviance_are_lme4s(case):
    m, expected = case
    found = m.get_me("devcomp")
    for name, value in expected["cmp"].items():
        _close([found["cmp"][name]], [value])
    assert found["dims"] == expected["devcomp_dims"]
    assert np.isnan(found["cmp"]["REML"])


def test_the_pieces_belong_together():
    m = models.generated("yes")
    low, perm = m.get_me(["L", "perm"]).values()
    lam, z, x = (m.get_me(name) for name in ("Lambda", "Z", "X"))
    w = m.observed_weights
    h = (lam.T @ z.T @ (z * w[:, None]) @ lam).toarray() + np.eye(lam.shape[0])
    np.testing.assert_allclose((low @ low.T).toarray(), h[np.ix_(perm, perm)], atol=1e-10)
    np.testing.assert_array_equal(m.get_l().toarray(), low.toarray())
    cross = (lam.T @ z.T @ (w[:, None] * x))[perm]
    np.testing.assert_allclose(low @ m.get_me("RZX"), cross, atol=1e-9)
    whole = x.T @ (w[:, None] * x) - m.get_me("RZX").T @ m.get_me("RZX")
    np.testing.assert_allclose(m.get_me("RX").T @ m.get_me("RX"), whole, rtol=1e-9)
    np.testing.assert_allclose(lam @ m.get_me("u"), m.get_me("b"), atol=1e-10)
    resp = m.get_me("resp")
    np.testing.assert_allclose(resp["eta"], x @ m.get_me("beta") + z @ m.get_me("b"))
    assert block_array([[m.get_me("Zt")], [m.get_me("A")]]).shape == (2 * z.shape[1], len(x))
    blocks = m.block_description()
    assert set(blocks["row"]) == {"g", "h", "X, y"}
    every = m.get_me("ALL")
    assert "sigma" not in every
    assert every["pp"].keys() == {"X", "Zt", "Lambdat", "theta", "RZX", "RX"}


@pytest.mark.parametrize("response", ["yes", "spread", "size"])
def test_the_criterion_as_a_function(response):
    m = models.generated(response, "(1 + x | g)")
    f = m.as_function()
    own = [] if m.dispersion is None else [m.dispersion]
    at = np.concatenate([m.theta, m.fixef(), own])
    assert f(at) == pytest.approx(m.deviance(), abs=1e-9)
    assert m.get_me("devfun")(at) == f(at)
    # It is stationary there: by differences of a hundredth of its own size.
    for i in range(len(at)):
        step = np.zeros(len(at))
        step[i] = 1e-4 * max(1.0, abs(at[i]))
        slope = (f(at + step) - f(at - step)) / (2.0 * step[i])
        assert abs(slope) < 1e3 * LAPLACE_GRADIENT * max(1.0, m.nobs())
    with pytest.raises(InvalidArgumentError, match=f"expected {len(at)} finite numbers"):
        f(at[:-1])
    if own:
        with pytest.raises(InvalidArgumentError, match="dispersion is positive"):
            f(np.concatenate([at[:-1], [-1.0]]))


def test_the_criterion_without_random_effects_is_a_sum_of_densities():
    m, data = models.cbpp(), mx.load_dataset("cbpp")
    p = m.predict(re_form="NA")
    density = stats.binom.logpmf(data["incidence"], data["size"], p).sum()
    found = m.as_function()(np.concatenate([[0.0], m.fixef()]))
    assert found == pytest.approx(-2.0 * density, rel=1e-12)


def test_a_negative_binomials_size():
    m = models.generated("spread", "(1 | g)")
    assert m.get_me("glmer.nb.theta") == m.get_me("dispersion") == m.dispersion
    with pytest.raises(UnsupportedModelError, match=r"glmer\.nb\.theta"):
        models.cbpp().get_me("glmer.nb.theta")
    with pytest.raises(UnsupportedModelError, match="sigma"):
        models.cbpp().get_me("sigma")
    with pytest.raises(InvalidArgumentError, match="Lambda"):
        models.cbpp().get_me("Lamda")
    assert models.cbpp().refit_ml() is models.cbpp()

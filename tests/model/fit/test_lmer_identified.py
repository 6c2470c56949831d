"""Variances that can't be told apart, and responses that leave nothing to explain."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.engine.derivatives.identified import confounded
from merextras.exceptions import ConvergenceWarning, InvalidArgumentError, MerextrasWarning


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    n = 120
    out = pd.DataFrame({"g": rng.integers(0, 12, n), "h": rng.integers(0, 8, n)})
    out["x"], out["f"] = rng.normal(size=n), np.array(list("ab"))[rng.integers(0, 2, n)]
    out["copy"], out["x2"] = out["g"].astype(str) + "c", 2.0 * out["x"]
    out["gs"], out["between"] = out["g"].astype(str), (out["g"] % 2).astype(float)
    out["y"] = rng.normal(size=n) + rng.normal(size=12)[out["g"]]
    out["third"] = np.array(list("abc"))[out["g"] % 3]
    return out


TIED = [
    "y ~ x + (1 | g) + (1 | copy)",
    "y ~ x + (1 | g) + (0 + f | g)",
    "y ~ x + (0 + x | g) + (0 + x2 | g)",
    "y ~ x + (f | g) + (1 | g:f)",
    "y ~ x + (between | g)",
    "y ~ gs + x + (1 | g)",
    "y ~ gs + x + (x | g)",
    "y ~ f + C(h) + x + (0 + f | g) + (1 | h)",
    # No level has two of the effects, so that nothing shows their correlation.
    "y ~ x + (0 + third | g)",
    "y ~ x + cs(0 + third | g)",
    "y ~ x + ar1(0 + third | g)",
]
FREE = [
    "y ~ x + (x | g)",
    "y ~ x + (x || g) + (1 | h)",
    "y ~ x + (f | g) + (f | h)",
    "y ~ x + (1 | g) + (1 | g:f)",
    "y ~ x + (between || g)",
]


@pytest.mark.parametrize("formula", TIED)
def test_variances_that_cannot_be_told_apart_are_refused(frame, formula):
    with pytest.raises(InvalidArgumentError, match=r"can't be told .*leave"):
        mx.lmer(formula, frame)
    with pytest.raises(InvalidArgumentError, match="can't be told"):
        mx.MerMod.from_cross_products(mx.cross_products(formula, frame, chunk_size=50))


@pytest.mark.parametrize("formula", TIED)
def test_unchecked_they_are_warned_of_and_not_called_converged(frame, formula):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = mx.lmer(formula, frame, control=mx.LmerControl(check=False))
    told = [w for w in caught if "can't be told" in str(w.message)]
    assert [w.category for w in told] == [ConvergenceWarning]
    check = mx.check_convergence(model)
    assert not check.converged
    assert check.confounded
    assert "can't be told" in str(check)


@pytest.mark.parametrize("formula", FREE)
def test_variances_that_can_are_not(frame, formula):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        model = mx.lmer(formula, frame)
    assert confounded(model.solution.cp) == []
    assert not mx.check_convergence(model).confounded


def test_the_rank_does_not_depend_on_zero_or_unit(frame):
    far = frame.assign(x=1e4 + 1e3 * frame["x"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        assert confounded(mx.lmer("y ~ x + (x | g)", far).solution.cp) == []


def constant(seed):
    rng = np.random.default_rng(seed)
    g = np.arange(200) % 20
    y = rng.integers(0, 5, 20)[g].astype(float)
    return pd.DataFrame({"g": g, "x": rng.normal(size=200), "y": y})


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("bar", ["(x | g)", "(1 | g)"])
def test_a_response_constant_within_groups_is_refused(seed, reml, bar):
    with pytest.raises(InvalidArgumentError, match="nothing left to explain within groups"):
        mx.lmer(f"y ~ x + {bar}", constant(seed), reml=reml)


def test_so_it_is_by_refit_and_from_chunks():
    data = constant(0)
    formula = "y ~ x + (1 | g)"
    model = mx.lmer(formula, data.assign(y=data["y"] + np.random.default_rng(1).normal(size=200)))
    with pytest.raises(InvalidArgumentError, match="nothing left to explain within groups"):
        model.refit(data["y"])
    with pytest.raises(InvalidArgumentError, match="nothing left to explain within groups"):
        mx.MerMod.from_cross_products(mx.cross_products(formula, data, chunk_size=60))


def test_a_constant_response_is_refused_by_refit():
    model = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    with pytest.raises(InvalidArgumentError, match="all values are 7; there is no variation"):
        model.refit(np.full(180, 7.0))
    with pytest.raises(InvalidArgumentError, match="fixed effects explain it exactly"):
        model.refit(3.0 + 2.0 * mx.load_dataset("sleepstudy")["Days"].to_numpy())


@pytest.mark.parametrize("most", [1])
def test_control_is_obeyed_by_what_is_fitted_from_the_model(most):
    control = mx.LmerControl(max_iterations=most)
    some = mx.load_dataset("sleepstudy").iloc[7:]  # of all the start is the optimum
    with pytest.warns(ConvergenceWarning):
        model = mx.lmer("Reaction ~ Days + (Days | Subject)", some, control=control)
    assert model.control == control
    found = mx.all_fit(model, rng=1).to_frame()
    newton = found[found["optimizer"].str.startswith("newton")] if "optimizer" in found else found
    assert not newton["converged"].iloc[:2].any()
    with pytest.raises(mx.exceptions.MerextrasError, match="not converged"):
        mx.bootstrap(model, n_sims=3, rng=1)
    with pytest.raises(mx.exceptions.ProfileError, match="not found"):
        model.profile()

"""Where a covariate's zero is and what its unit is change nothing of a model."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from fuzz_share import part
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.compare import close
from tolerances import SHIFTED_CRITERION, SHIFTED_DF, SHIFTED_ESTIMATES

import merextras as mx

# Power of the last fixed effect in x, and by which a covariate's values may be far from zero: the
# square of a number of which more than three digits are an offset has lost more than six itself.
FORMULAS = {
    "single": ("y ~ x + (x | g)", 1, 6),
    "nested": ("y ~ x + (x | g) + (1 | g:part)", 1, 6),
    "crossed": ("y ~ x + (x | g) + (1 | h)", 1, 6),
    "crossed slopes": ("y ~ x + (x | g) + (x | h)", 1, 6),
    "quadratic": ("y ~ x + I(x**2) + (x + I(x**2) | g)", 2, 3),
    "quadratic, crossed": ("y ~ x + I(x**2) + (x + I(x**2) | g) + (1 | h)", 2, 3),
}


def table(seed):
    """Unbalanced, with gaps; x in 1024ths, so that moving it by a whole number is exact."""
    rng = np.random.default_rng(seed)
    n = 160
    g, h, part = rng.integers(0, 12, n), rng.integers(0, 7, n), rng.integers(0, 3, n)
    x = np.round(1024 * rng.normal(size=n)) / 1024
    slopes = rng.normal(size=(12, 3)) * [1.0, 0.6, 0.3]
    y = 2.0 + 0.5 * x + slopes[g, 0] + slopes[g, 1] * x + slopes[g, 2] * x * x
    y += 0.7 * rng.normal(size=7)[h] + rng.normal(size=n)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "part": part})


@dataclass
class Seen:
    """What must not change, in the units of x as it was."""

    criterion: float
    estimates: np.ndarray
    fitted: np.ndarray
    df: np.ndarray

    @classmethod
    def of(cls, model, scale, power):
        unit, last = scale**power, len(model.fixef()) - 1
        contrast = np.eye(last + 1)[last]
        tests = [
            quiet(mx.contest, model, contrast, ddf=d)  # an ML fit is refitted for the second
            for d in ("satterthwaite", "kenward-roger")
        ]
        slope = next(t for t, k in enumerate(model.design.ks) if k > 1)
        sd = np.sqrt(model.var_corr()[model.design.terms[slope].factor].iloc[-1, -1])
        values = [model.fixef().iloc[-1], *(float(t["std_error"].iloc[0]) for t in tests), sd]
        # A REML criterion has the logarithm of |X'X|, which has units.
        jacobian = np.log(scale) * power * (power + 1) if model.is_reml() else 0.0
        return cls(
            model.solution.deviance() - jacobian,
            np.array([*(np.array(values) * unit), model.sigma()]),
            model.fitted().to_numpy(),
            np.array([float(t["df"].iloc[0]) for t in tests]),
        )

    def assert_same(self, other):
        close(self.criterion, other.criterion, SHIFTED_CRITERION)
        for i, (mine, theirs) in enumerate(zip(self.estimates, other.estimates, strict=True)):
            # A fixed effect may be zero: its size is that of its standard error.
            size = abs(theirs) + (other.estimates[1] if i == 0 else 1e-6)
            close(mine, theirs, SHIFTED_ESTIMATES, scale=size)
        close(self.fitted, other.fitted, SHIFTED_ESTIMATES)
        close(self.df, other.df, SHIFTED_DF)


def moved(data, exponent, unit):
    """The table with x far from zero, in another unit."""
    far = 0.0 if exponent is None else 10.0**exponent
    return data.assign(x=(data["x"] + far) * 10.0**unit)


def quiet(function, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


@settings(max_examples=max(15, part(40)))
@given(
    st.sampled_from(list(FORMULAS)),
    st.integers(0, 10_000),
    st.one_of(st.none(), st.integers(0, 6)),
    st.integers(-6, 6),
    st.booleans(),
)
def test_lmer(name, seed, exponent, unit, reml):
    formula, power, most = FORMULAS[name]
    exponent = None if exponent is None else min(exponent, most)
    data = table(seed)
    # Both stop where they can: the usual tolerance is an error of 3e-7 standard errors.
    control = mx.LmerControl(tolerance=1e-17)
    near = quiet(mx.lmer, formula, data, reml=reml, control=control)
    far = quiet(mx.lmer, formula, moved(data, exponent, unit), reml=reml, control=control)
    assert far.opt_summary.converged == near.opt_summary.converged
    assert far.is_singular() == near.is_singular()
    Seen.of(far, 10.0**unit, power).assert_same(Seen.of(near, 1.0, power))


@pytest.mark.parametrize("unit", [-6, 0, 6])
@pytest.mark.parametrize("exponent", [None, 3, 6])
@pytest.mark.parametrize("reml", [True, False])
def test_mermod_of_statsmodels(exponent, unit, reml):
    """However far statsmodels gets, the polished model is the same."""
    data = table(8)
    far = moved(data, exponent, unit)
    fit = quiet(smf.mixedlm("y ~ x", far, groups="g", re_formula="~x").fit, reml=reml)
    near = quiet(mx.lmer, "y ~ x + (x | g)", data, reml=reml)
    Seen.of(quiet(mx.MerMod, fit), 10.0**unit, 1).assert_same(Seen.of(near, 1.0, 1))


@pytest.mark.parametrize("exponent", [2, 4, 6])
def test_chunks_and_sites(exponent):
    """Tables that are far apart, each in coordinates of its own, add up to the last digit."""
    formula = "y ~ x + (x | g) + (1 | h)"
    data = table(5)
    data["x"] += np.where(data["h"] < 3, 40.0, 0.0)
    near, far = quiet(mx.lmer, formula, data), moved(data, exponent, 0)
    expected = Seen.of(near, 1.0, 1).criterion
    ordered = far.sort_values("x", kind="stable")
    chunks = [ordered.iloc[:5], ordered.iloc[5:90], ordered.iloc[90:]]
    sites = [far[far["h"] < 3], far[far["h"] >= 3]]
    pooled = sum(mx.cross_products(formula, site) for site in sites)
    for model in (
        quiet(mx.lmer, formula, chunks),
        quiet(mx.MerMod.from_cross_products, pooled),
    ):
        close(model.solution.deviance(), expected, SHIFTED_CRITERION)
        close(model.sigma(), near.sigma(), SHIFTED_ESTIMATES)
        close(model.fixef().iloc[1], near.fixef().iloc[1], SHIFTED_ESTIMATES)


def verbs(model, data, scale, shift):
    """Numbers of many verbs, in the units of Days."""
    new = data.iloc[[3, 17, 40]]
    unseen = new.assign(Subject="unseen")
    at = {"x": [shift + 2.0 * scale, shift + 9.0 * scale]}
    slope = model.ranef()["Subject"]["x"]
    return {
        "hat values": model.hatvalues(),
        "standard errors": model.predict(se_fit=True)["std_error"],
        "unseen": model.predict(unseen, se_fit=True, allow_new_levels=True),
        "intervals": model.predict(new, interval="prediction", ddf="satterthwaite"),
        "modes": slope * scale,
        "conditional variances": model.solution.conditional(0)[:, 1, 1] * scale**2,
        "Cook's distance": model.influence("Subject").cooks_distance(),
        "one step": model.influence("Subject", method="one-step").cooks_distance(),
        "means": mx.emmeans(model, "x", at=at).to_frame()[["estimate", "std_error", "df"]],
        "profile of the SD": np.array(model.profile("sd_x|Subject").confint()) * scale,
        "profile of the slope": np.array(model.profile("x").confint()) * scale,
        "profile of sigma": np.array(model.profile("sigma").confint()),
        "ICC": mx.icc(model).adjusted,
        "criterion": model.as_function()(model.theta) - model.reml_crit() + 1.0,
    }


@pytest.mark.parametrize(("shift", "scale"), [(1000.0, 1.0), (2.9e6, 1.0), (1.6e9, 86400.0)])
def test_verbs(shift, scale):
    sleep = mx.load_dataset("sleepstudy")
    found = []
    for a, b in ((0.0, 1.0), (shift, scale)):
        data = sleep.assign(x=sleep["Days"] * b + a)
        found.append(verbs(mx.lmer("Reaction ~ x + (x | Subject)", data), data, b, a))
    for name, expected in found[0].items():
        assert np.all(np.isfinite(np.asarray(expected, dtype=float))), name
        close(np.asarray(found[1][name], dtype=float), np.asarray(expected), SHIFTED_ESTIMATES)

"""Leverages, studentised residuals and Cook's distances against lme4's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from influence_models import HAT, MODELS, REFERENCE, data_of, model_of, observed, quiet
from lme4_fits import statsmodels_fit
from properties.compare import close
from tolerances import HAT as HAT_TOLERANCE
from tolerances import INVARIANCE, SAME_MODEL, STUDENTISED

import merextras as mx
from merextras.engine.posterior import joint
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at

BOTH = [(name, criterion) for name in HAT for criterion in ("REML", "ML")]
VERBS = ("hatvalues", "rstudent", "cooks_distance")


@pytest.mark.parametrize(("name", "criterion"), BOTH)
def test_against_lme4(name, criterion):
    m, theirs = model_of(name, reml=criterion == "REML"), MODELS[name][criterion]
    hat = observed(name, m.hatvalues().to_numpy())
    np.testing.assert_allclose(hat, theirs["hatvalues"], rtol=0, atol=HAT_TOLERANCE)
    close(m.hat_trace(), np.sum(theirs["hatvalues"]), HAT_TOLERANCE)
    close(observed(name, m.rstudent().to_numpy()), theirs["rstudent"], STUDENTISED)
    close(observed(name, m.cooks_distance().to_numpy()), theirs["cooks_distance"], STUDENTISED)


@pytest.mark.parametrize("verb", VERBS)
def test_rows_of_weight_zero(verb):
    """lme4 has zeros there, too."""
    frame = data_of("weights")
    found = getattr(model_of("weights"), verb)()
    assert np.all(found[frame["w"] == 0] == 0.0)
    assert np.all(np.array(REFERENCE["zero_weights"][verb]) == 0.0)


@pytest.mark.parametrize("verb", VERBS)
def test_frequencies_are_repeated_rows(sleep, verb):
    times = np.resize([1, 3, 2, 0], len(sleep))
    formula = "Reaction ~ Days + (Days | Subject)"
    short = mx.lmer(formula, sleep.assign(k=times), freq_weights="k")
    long = mx.lmer(formula, sleep.loc[sleep.index.repeat(times)].reset_index(drop=True))
    found, each = getattr(short, verb)(), getattr(long, verb)()
    close(found[times > 0].repeat(times[times > 0]), each, SAME_MODEL)
    assert np.all(found[times == 0] == 0.0) or verb == "rstudent"
    close(short.hat_trace(), long.hat_trace(), SAME_MODEL)


def test_the_users_index(sleep):
    shuffled = sleep.sample(frac=1.0, random_state=1)
    formula = "Reaction ~ Days + (Days | Subject)"
    ordered, other = mx.lmer(formula, sleep), mx.lmer(formula, shuffled)
    for verb in VERBS:
        found = getattr(other, verb)()
        assert found.index.equals(shuffled.index)
        assert found.name == verb
        close(found.loc[sleep.index], getattr(ordered, verb)(), SAME_MODEL)


def test_of_a_statsmodels_fit(slopes):
    fit = statsmodels_fit("Reaction ~ Days", mx.load_dataset("sleepstudy"), groups="Subject",
                          re_formula="~Days")  # fmt: skip
    kept = mx.MerMod(fit, polish=False)
    close(np.sum(kept.hatvalues()), kept.hat_trace(), INVARIANCE)
    close(slopes.hatvalues(), model_of("slopes").hatvalues(), SAME_MODEL, scale=1.0)


def test_a_leverage_is_the_slope_of_the_fit_in_the_response(crossed):
    """h_i = d yhat_i / d y_i at the given theta."""
    y, at = crossed.get_me("y"), 17
    moved = y.copy()
    moved[at] += 1.0
    design, theta = crossed.design, crossed.theta
    fits = [FittedModel(fit_at(replace(design, y=v), theta, reml=True)).mu for v in (y, moved)]
    close(fits[1][at] - fits[0][at], crossed.hatvalues().iloc[at], HAT_TOLERANCE)


def test_a_row_that_fits_itself_has_no_residual():
    """A fixed effect of its own leaves nothing: NaN, not a number made of rounding."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"g": np.repeat(np.arange(8), 4), "only": 0.0})
    frame["y"] = rng.normal(size=8)[frame["g"]] + rng.normal(size=32)
    frame.loc[3, "only"] = 1.0
    m = quiet("y ~ only + (1 | g)", frame)
    close(m.hatvalues()[3], 1.0, 1e-12)
    assert m.rstudent().index[m.rstudent().isna()].tolist() == [3]
    assert m.cooks_distance().index[m.cooks_distance().isna()].tolist() == [3]


def test_without_fixed_effects():
    frame = mx.load_dataset("dyestuff")
    m = mx.lmer("Yield ~ 0 + (1 | Batch)", frame.assign(Yield=frame["Yield"] - 1527.5))
    close(np.sum(m.hatvalues()), m.hat_trace(), INVARIANCE)
    assert m.cooks_distance().isna().all()
    assert m.rstudent().notna().all()


def test_two_nested_factors_that_a_third_crosses():
    """The way that goes through the rows."""
    rng = np.random.default_rng(8)
    frame = pd.DataFrame({"a": rng.integers(0, 30, 400), "c": rng.integers(0, 7, 400)})
    frame["b"] = frame["a"] // 5
    frame["y"] = rng.normal(size=30)[frame["a"]] + rng.normal(size=7)[frame["c"]]
    frame["y"] += rng.normal(size=6)[frame["b"]] + rng.normal(size=400)
    m = mx.lmer("y ~ 1 + (1 | a) + (1 | c) + (1 | b)", frame)
    assert m.solution.factor.system.plan.tail
    z = [term.rows.sparse() for term in m.design.terms]
    close(m.hatvalues(), joint.variances(m.solution, z, m.design.x), INVARIANCE, scale=1.0)
    close(m.hat_trace(), np.sum(m.hatvalues()), INVARIANCE)


def test_what_residuals_are_made_of(slopes):
    hat, pearson = slopes.hatvalues(), slopes.residuals("pearson", scaled=True)
    close(slopes.rstudent(), pearson / np.sqrt(1.0 - hat), INVARIANCE)
    close(slopes.cooks_distance(), slopes.rstudent() ** 2 * hat / (1 - hat) / 2, INVARIANCE)

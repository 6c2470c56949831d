"""Power: exact in balanced designs, each p-value that of a refit, bad arguments refused."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tolerances import MONTE_CARLO, REPLICATE_P_VALUE

import merextras as mx
from merextras.exceptions import InvalidArgumentError, SingularFitWarning, UnsupportedModelError


def trial(groups=12, rows=10, *, effect=1.0, between=True, arms=2, sd=1.0):
    """A balanced design with `arms` treatments, of whole groups or within each."""
    group = np.repeat(np.arange(groups), rows)
    arm = (group if between else np.tile(np.arange(rows), groups)) % arms
    plan = pd.DataFrame({"g": group, "x": arm.astype(float), "arm": arm.astype(str)})
    formula = "y ~ x + (1 | g)" if arms == 2 else "y ~ arm + (1 | g)"
    fixef = [0.0, effect] if arms == 2 else [0.0, *np.atleast_1d(effect)]
    return mx.make_model(formula, plan, fixef=fixef, var_corr={"g": sd}, sigma=1.0)


def off_by(found, exact):
    """Distance of a simulated power from the exact one, in its Monte Carlo standard errors."""
    return abs(found.power - exact) / np.sqrt(exact * (1.0 - exact) / found.n_used)


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger"])
@pytest.mark.parametrize("effect", [0.0, 1.2])
def test_a_treatment_of_groups_has_the_power_of_the_noncentral_f(method, effect):
    found = mx.power(trial(effect=effect), "x", n_sims=2000, method=method, rng=1)
    # The difference of two means of 6 groups each; the mean square between groups has 10 df.
    noncentral = effect**2 / ((1.0 + 1.0 / 10.0) * 4.0 / 12.0)
    exact = stats.ncf.sf(stats.f.isf(0.05, 1, 10), 1, 10, noncentral) if effect else 0.05
    assert found.n_failed == 0
    assert off_by(found, exact) < MONTE_CARLO


def test_a_treatment_within_groups_has_the_power_of_the_noncentral_f():
    found = mx.power(trial(effect=0.5, between=False), "x", n_sims=2000, rng=2)
    noncentral = 0.5**2 / (4.0 / 120.0)
    exact = stats.ncf.sf(stats.f.isf(0.05, 1, 107), 1, 107, noncentral)
    assert off_by(found, exact) < MONTE_CARLO


def test_a_term_of_several_columns_has_the_power_of_the_noncentral_f():
    model = trial(effect=[0.8, 1.6], arms=3)
    found = mx.power(model, "arm", n_sims=2000, rng=3)
    means = np.array([0.0, 0.8, 1.6])
    noncentral = 4.0 * np.sum((means - means.mean()) ** 2) / (1.0 + 1.0 / 10.0)
    exact = stats.ncf.sf(stats.f.isf(0.05, 2, 9), 2, 9, noncentral)
    assert off_by(found, exact) < MONTE_CARLO


def test_a_variance_has_the_power_of_the_f_test_at_its_cut():
    """The likelihood ratio is a function of the mean squares' ratio, which is a scaled F."""
    model = trial(groups=8, rows=5, sd=0.5)
    found = mx.power(model, "(1 | g)", n_sims=4000, rng=4)
    cut = stats.chi2.isf(0.05, 1)

    def ratio(f):
        """Restricted likelihood ratio of one-way ANOVA with 6 and 32 df, for F > 1."""
        a, b = 6.0, 32.0
        return (a + b) * np.log((a * f + b) / (a + b)) - a * np.log(f)

    grid = np.linspace(1.0, 50.0, 200_001)
    at = grid[np.searchsorted(ratio(grid), cut)]
    exact = stats.f.sf(at / (1.0 + 5.0 * 0.25), 6, 32)
    assert off_by(found, exact) < MONTE_CARLO


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger", "asymptotic", "lrt"])
def test_each_p_value_is_that_of_the_refit_to_the_same_response(method):
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    weak = mx.make_model(m, fixef={"Days": 3.0})
    found = mx.power(weak, "Days", n_sims=4, method=method, rng=5)
    drawn = weak.simulate(n_sims=4, rng=5)
    for i, (_, y) in enumerate(drawn.items()):
        refit = weak.refit(y)
        if method == "lrt":
            ml = refit.refit_ml()
            p_value = ml.anova(ml.update(". ~ . - Days"))["p_value"].iloc[1]
        else:
            p_value = mx.contest(refit, {"Days": 1}, ddf=method)["p_value"].iloc[0]
        assert abs(found.p_values[i] - p_value) < REPLICATE_P_VALUE


def test_each_p_value_of_a_term_is_that_of_ranova():
    m = mx.lmer("strength ~ 1 + (1 | batch / cask)", mx.load_dataset("pastes"))
    found = mx.power(m, "(1|batch)", n_sims=4, rng=6)
    assert found.test == "(1 | batch)"
    assert found.effect == ()
    for i, (_, y) in enumerate(m.simulate(n_sims=4, rng=6).items()):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SingularFitWarning)
            p_value = mx.ranova(m.refit(y)).loc["(1 | batch)", "p_value"]
        assert abs(found.p_values[i] - p_value) < REPLICATE_P_VALUE


def test_a_hypothesis_with_a_right_hand_side_is_the_shifted_one():
    model = trial(effect=1.0)
    for method in ("satterthwaite", "lrt"):
        null = mx.power(model, "x", rhs=1.0, n_sims=50, method=method, rng=7)
        other = mx.power(trial(effect=0.0), "x", n_sims=50, method=method, rng=7)
        np.testing.assert_allclose(null.p_values, other.p_values, atol=REPLICATE_P_VALUE)


def test_contrasts_by_mapping_and_the_result():
    model = trial(effect=1.0)
    by_name = mx.power(model, "x", n_sims=300, rng=8)
    mapped = mx.power(model, {"x": 2.0}, n_sims=300, rng=8, n_jobs=2)
    np.testing.assert_allclose(by_name.p_values, mapped.p_values, atol=1e-12)
    assert abs(mapped.effect[0] - 2.0) < 1e-9
    frame = by_name.to_frame()
    assert list(frame.columns[:3]) == ["power", "conf_low", "conf_high"]
    low, high = by_name.confint(0.99)
    assert low < frame["conf_low"].iloc[0] < by_name.power < frame["conf_high"].iloc[0] < high
    assert by_name.at(0.01).power <= by_name.power
    assert "Power of a test of x (satterthwaite, alpha 0.05)" in str(by_name)
    assert pickle.loads(pickle.dumps(by_name)).power == by_name.power
    assert not pickle.loads(pickle.dumps(by_name)).p_values.flags.writeable


def test_a_model_without_rows_has_tests_but_no_likelihood_ratios():
    data = mx.load_dataset("sleepstudy")
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", data, chunk_size=50)
    found = mx.power(m, "Days", n_sims=20, rng=9)
    assert found.power == 1.0
    with pytest.raises(UnsupportedModelError, match="method='lrt'.*satterthwaite"):
        mx.power(m, "Days", n_sims=20, method="lrt")


def test_bad_arguments_say_what_is_allowed():
    model = trial()
    with pytest.raises(InvalidArgumentError, match=r"test='z'.*'x'.*'\(1 \| g\)'"):
        mx.power(model, "z")
    with pytest.raises(InvalidArgumentError, match="method='anova'.*'lrt'"):
        mx.power(model, "x", method="anova")
    with pytest.raises(InvalidArgumentError, match="method='satterthwaite'.*'lrt'"):
        mx.power(model, "(1 | g)", method="satterthwaite")
    with pytest.raises(InvalidArgumentError, match="rhs: a variance"):
        mx.power(model, "(1 | g)", rhs=1.0)
    with pytest.raises(InvalidArgumentError, match="alpha=5.*write alpha=0.05"):
        mx.power(model, "x", alpha=5)
    with pytest.raises(InvalidArgumentError, match="n_sims=0"):
        mx.power(model, "x", n_sims=0)
    with pytest.raises(InvalidArgumentError, match="kenward-roger.*reml=True"):
        mx.power(mx.make_model(model, reml=False), "x", method="kenward-roger")


def test_a_curve_is_the_power_of_each_study():
    model = trial(effect=0.9)
    curve = mx.power_curve(model, "x", along="g", values=[24, 8], n_sims=200, rng=10)
    assert curve.values == (24, 8)
    assert curve[24].n_levels == {"g": 24}
    assert curve[8].n_rows == 80
    for groups in (8, 24):
        noncentral = 0.9**2 / (1.1 * 4.0 / groups)
        exact = stats.ncf.sf(stats.f.isf(0.05, 1, groups - 2), 1, groups - 2, noncentral)
        assert off_by(curve[groups], exact) < MONTE_CARLO
    assert curve.smallest(0.5) == 24
    assert curve.smallest(0.999) is None
    within = mx.power_curve(model, "x", within="g", values=[2, 4], n_sims=20, rng=1)
    assert [p.n_rows for p in within.powers] == [24, 48]
    assert "by rows within g" in str(within)


def test_bad_arguments_of_a_curve():
    model = trial()
    for values in ([], [3, 3], "12", 5, [0], [2.5]):
        with pytest.raises(InvalidArgumentError, match="values"):
            mx.power_curve(model, "x", along="g", values=values)
    with pytest.raises(InvalidArgumentError, match="give one of along= .* and within="):
        mx.power_curve(model, "x", values=[5])
    with pytest.raises(InvalidArgumentError, match="'h' is not a column"):
        mx.power_curve(model, "x", along="h", values=[5])


def test_a_study_without_a_p_value_counts_neither_way(monkeypatch):
    """Of three studies one has no degrees of freedom, and one no fit."""
    from merextras.exceptions import ApproximationWarning
    from merextras.inference.planning import rejections

    whole, calls = rejections.method_of, []

    def flat(model, name):
        calls.append(name)
        if len(calls) == 2:
            warnings.warn("flat", ApproximationWarning, stacklevel=1)
        return whole(model, name)

    monkeypatch.setattr(rejections, "method_of", flat)
    found = mx.power(trial(effect=3.0), "x", n_sims=3, rng=1)
    assert np.isnan(found.p_values).tolist() == [False, True, False]
    assert (found.n_used, found.n_failed, found.power) == (2, 1, 1.0)
    assert found.failures == {rejections.NO_DF: 1}
    assert "failed, 1 times: the criterion is flat" in str(found)


def test_hypotheses_as_text_are_those_of_contest():
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    text = mx.power(m, "Days = 5", n_sims=20, rng=1)
    assert text.effect == (pytest.approx(m.fixef()["Days"]),)
    np.testing.assert_array_equal(
        text.p_values, mx.power(m, "Days", rhs=5, n_sims=20, rng=1).p_values
    )
    both = mx.power(m, ["Intercept = 250", "Days = 10"], n_sims=20, rng=1)
    rows = mx.power(m, np.eye(2), rhs=[250.0, 10.0], n_sims=20, rng=1)
    np.testing.assert_array_equal(both.p_values, rows.p_values)
    with pytest.raises(InvalidArgumentError, match="did you mean 'Days'"):
        mx.power(m, "Day = 5")


@pytest.mark.parametrize("text", ["(Days | Subject)", "(1+Days|Subject)", "(Days + 1 | Subject)"])
def test_a_term_in_each_of_its_spellings(text):
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    assert mx.power(m, text, n_sims=2, rng=1).test == "(1 + Days | Subject)"
    made = mx.make_model(m, var_corr={text: [10.0, 3.0]})
    assert made.var_corr().to_frame()["sdcor"].iloc[0] == pytest.approx(10.0)
    apart = mx.lmer("Reaction ~ Days + (Days || Subject)", mx.load_dataset("sleepstudy"))
    assert mx.power(apart, "(Days - 1 | Subject)", n_sims=2, rng=1).test == "(0 + Days | Subject)"
    with pytest.raises(InvalidArgumentError, match="neither a fixed effect"):
        mx.power(apart, text)

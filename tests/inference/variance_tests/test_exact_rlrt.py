"""The exact test of one variance among several, against R, the bootstrap and its own forms."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.formula.api as smf
from exact_models import EXPECTED, N_SIMS, assert_same_null, data_of, given, quietly
from tolerances import EXACT_STATISTIC, MONTE_CARLO, SPECTRAL

import merextras as mx
from merextras import r
from merextras.distributions.null_spectrum import spectrum, spectrum_of
from merextras.exceptions import ConvergenceWarning, InvalidArgumentError, UnsupportedModelError
from merextras.inference.variance_tests import variance_hypothesis
from merextras.inference.variance_tests.null_bootstrap import null_sample
from merextras.inference.variance_tests.variance_hypothesis import label_of

GIVEN = EXPECTED["given"]
TERMS = {
    "slope": "(0 + Days | Subject)",
    "class": "(1 | class:school)",
    "school": "(1 | school)",
    "plate": "(1 | plate)",
    "sample": "(1 | sample)",
}


@pytest.mark.parametrize("name", GIVEN)
def test_as_in_r(name):
    full, null, tested = (given(name, which) for which in ("full", "null", "tested"))
    test = mx.exact_rlrt(tested, full, null, n_sims=N_SIMS, rng=1)
    expected = GIVEN[name]["rlrt"]
    assert test.statistic == pytest.approx(expected["statistic"], abs=EXACT_STATISTIC)
    assert_same_null(test.sample, expected["null"])
    assert "taken as known (Greven et al. 2008)" in test.note


@pytest.mark.parametrize("name", GIVEN)
def test_all_ways_to_say_which_variance(name):
    full, null, tested = (given(name, which) for which in ("full", "null", "tested"))
    wanted = mx.exact_rlrt(tested, full, null, n_sims=50, rng=1)
    (other,) = [label_of(term) for term in null.design.terms]
    assert wanted.null_hypothesis.endswith(f"= 0, given {other}")
    ways = [
        {"model": full, "null": null},
        {"full": full, "null": null},
        {"model": tested, "full": full},
        {"model": full, "term": TERMS[name]},
        {"full": full, "term": TERMS[name].replace(" ", "")[1:-1]},
    ]
    for way in ways:
        found = mx.exact_rlrt(**way, n_sims=50, rng=1)
        assert found.statistic == pytest.approx(wanted.statistic, abs=SPECTRAL)
        np.testing.assert_array_equal(found.sample, wanted.sample)
        assert (found.null_hypothesis, found.note) == (wanted.null_hypothesis, wanted.note)


def test_the_design_is_that_of_the_tested_effect_alone():
    for name in GIVEN:
        cp = given(name).solution.factor.system.cp
        at = [label_of(term) for term in given(name).design.terms].index(TERMS[name])
        alone = given(name, "tested").design
        expected = spectrum(alone.x, alone.z().toarray())
        found = spectrum_of(cp, at)
        np.testing.assert_allclose(found.mu, expected.mu, rtol=1e-10)
        np.testing.assert_array_equal(found.mu_counts, expected.mu_counts)


def test_r_spelling_by_position_and_by_name():
    models = [given("slope", which) for which in ("tested", "full", "null")]
    wanted = mx.exact_rlrt(models[1], null=models[2], n_sims=20, rng=1)
    for found in (
        r.exactRLRT(*models, nsim=20, seed=1),
        r.exactRLRT(m=models[0], mA=models[1], m0=models[2], nsim=20, seed=1),
        mx.exactRLRT(*models, nsim=20, seed=1),
    ):
        assert found.statistic == pytest.approx(wanted.statistic, abs=SPECTRAL)
        np.testing.assert_array_equal(found.sample, wanted.sample)


def test_fits_of_statsmodels():
    data = data_of("sleepstudy")
    options = {"groups": "Subject", "re_formula": "1"}
    full = smf.mixedlm("Reaction ~ Days", data, vc_formula={"Days": "0 + Days"}, **options)
    null = smf.mixedlm("Reaction ~ Days", data, **options)
    expected = GIVEN["slope"]["rlrt"]["statistic"]
    for reml in (True, False):
        fits = [quietly(model.fit, reml=reml) for model in (full, null)]
        test = quietly(mx.exact_rlrt, fits[0], null=fits[1], n_sims=20, rng=1)
        assert test.statistic == pytest.approx(expected, abs=EXACT_STATISTIC)
        assert ("refit by REML" in test.note) is not reml


def test_fits_by_ml_are_refitted(monkeypatch):
    full, null = (given("slope", which, reml=False) for which in ("full", "null"))
    expected = GIVEN["slope"]["rlrt"]["statistic"]
    for way in ({"null": null}, {"null": given("slope", "null")}, {"term": TERMS["slope"]}):
        test = mx.exact_rlrt(full, **way, n_sims=10, rng=1)
        assert test.statistic == pytest.approx(expected, abs=EXACT_STATISTIC)
        assert "the statistic is that of" in test.note
    stop = mx.LmerControl(max_iterations=1)
    with pytest.warns(ConvergenceWarning):
        early = mx.lmer(
            GIVEN["slope"]["formula_full"], data_of("sleepstudy"), reml=False, control=stop
        )
    with pytest.warns(ConvergenceWarning, match=r"exact_rlrt: the refit of .* by REML") as caught:
        mx.exact_rlrt(early, null=null, n_sims=10, rng=1)
    assert caught[0].filename == __file__


def test_least_squares_as_the_null_model():
    data = data_of("dyestuff")
    m, null = mx.lmer("Yield ~ 1 + (1 | Batch)", data), smf.ols("Yield ~ 1", data).fit()
    wanted = mx.exact_rlrt(m, n_sims=20, rng=1)
    for way in ({"null": null}, {"term": "Batch"}):
        found = mx.exact_rlrt(m, **way, n_sims=20, rng=1)
        assert found.statistic == wanted.statistic
        assert found.null_hypothesis == "Var(Intercept | Batch) = 0"
        np.testing.assert_array_equal(found.sample, wanted.sample)


def test_a_vector_valued_term_may_be_among_the_others():
    data = data_of("sleepstudy").assign(half=lambda d: (d["Days"] // 5).astype(str))
    full = quietly(mx.lmer, "Reaction ~ Days + (Days | Subject) + (1 | half:Subject)", data)
    null = mx.lmer("Reaction ~ Days + (Days | Subject)", data)
    a, b = (
        mx.exact_rlrt(full, n_sims=20, rng=1, **w)
        for w in ({"null": null}, {"term": "half:Subject"})
    )
    gain = 2.0 * (full.log_lik() - null.log_lik())
    assert a.statistic == pytest.approx(max(gain, 0.0), abs=SPECTRAL)
    assert a.statistic == pytest.approx(b.statistic, abs=SPECTRAL)
    assert a.null_hypothesis == "Var(Intercept | half:Subject) = 0, given (1 + Days | Subject)"


def test_weights_and_units():
    """Weights count; the units of the tested effect don't, in the tested model alone either."""
    rng = np.random.default_rng(4)
    data = data_of("sleepstudy").assign(w=rng.uniform(0.5, 2.0, 180))
    data["DaysK"] = 1000.0 * data["Days"]
    formula = "Reaction ~ Days + (1 | Subject) + (0 + {} | Subject)"
    a, b = (mx.lmer(formula.format(x), data, weights="w") for x in ("Days", "DaysK"))
    one = mx.exact_rlrt(a, term="(0 + Days | Subject)", n_sims=500, rng=1)
    two = mx.exact_rlrt(b, term="(0 + DaysK | Subject)", n_sims=500, rng=1)
    assert one.statistic == pytest.approx(two.statistic, abs=EXACT_STATISTIC)
    np.testing.assert_allclose(one.sample, two.sample, atol=1e-8)
    null = mx.lmer("Reaction ~ Days + (1 | Subject)", data, weights="w")
    assert one.statistic == pytest.approx(2.0 * (a.log_lik() - null.log_lik()), abs=SPECTRAL)
    three = mx.lmer(
        "Reaction ~ Days + (0 + DaysK | Subject)", data, weights="w"
    )  # RLRsim's m in other units
    assert mx.exact_rlrt(three, a, null, n_sims=5, rng=1).statistic == pytest.approx(one.statistic)


def test_a_statistic_of_zero():
    data = data_of("sleepstudy")
    slopes = data["Days"] - data.groupby("Subject")["Days"].transform("mean")
    per_day = (
        data.assign(s=slopes)
        .groupby("Subject")[["Reaction", "s"]]
        .apply(lambda d: float(np.sum(d["Reaction"] * d["s"]) / np.sum(d["s"] ** 2)))
    )
    data["y"] = data["Reaction"] - slopes * data["Subject"].map(per_day)
    m = quietly(mx.lmer, "y ~ Days + (1 | Subject) + (0 + Days | Subject)", data)
    test = mx.exact_rlrt(m, term=TERMS["slope"], n_sims=200, rng=1)
    assert (test.statistic, test.p_value, len(test.sample)) == (0.0, 1.0, 200)


@pytest.mark.parametrize(("name", "error"), [("slope", 0.01), ("plate", 0.01), ("school", 0.035)])
def test_the_size_of_the_test(name, error):
    """Data of the null model: for a factor that contains another the test is liberal."""
    full, null = given(name), given(name, "null")
    critical = mx.exact_rlrt(full, null=null, n_sims=100_000, rng=1).quantile(0.95)
    sample = null_sample(full, null, np.random.default_rng(2).spawn(1000), 1)
    assert np.all(np.isfinite(sample))
    size = np.mean(sample >= critical)
    assert abs(size - 0.05) < error + (MONTE_CARLO - 2.0) * np.sqrt(0.05 * 0.95 / 1000)


# --- errors --------------------------------------------------------------------------------------


def lmer(formula, data="sleepstudy", **options):
    return quietly(mx.lmer, f"Reaction ~ {formula}", data_of(data), **options)


def test_it_must_be_said_which():
    with pytest.raises(UnsupportedModelError, match=r"2 random-effects terms.* term='\(1 \| Sub"):
        mx.exact_rlrt(lmer("Days + (Days || Subject)"))
    with pytest.raises(InvalidArgumentError, match="model: give a fitted model"):
        mx.exact_rlrt(null=given("slope", "null"))
    with pytest.raises(UnsupportedModelError, match="expected the fit of a statsmodels MixedLM"):
        mx.exact_rlrt(given("slope"), null=3.0)


@pytest.mark.parametrize("term", ["Subject", "(Days | Subject)", "batch", ""])
def test_unknown_terms(term):
    with pytest.raises(InvalidArgumentError, match=r"term=.*allowed: '\(.*\| Subject\)'"):
        mx.exact_rlrt(given("slope"), term=term)
    with pytest.raises(InvalidArgumentError, match=r"term=1: give a term as '\("):
        mx.exact_rlrt(given("slope"), term=1)


def test_a_term_beside_models_that_say_it():
    full, null, tested = (given("slope", which) for which in ("full", "null", "tested"))
    for way in ({"null": null}, {"full": full}):
        with pytest.raises(InvalidArgumentError, match="term: the other models already say"):
            mx.exact_rlrt(tested, **way, term=TERMS["slope"])


def test_covariances_are_refused():
    correlated, null = lmer("Days + (Days | Subject)"), given("slope", "null")
    with pytest.raises(UnsupportedModelError, match=r"null: it has \(1 \| Subject\) where.*boot"):
        mx.exact_rlrt(correlated, null=null)
    with pytest.raises(UnsupportedModelError, match=r"model: it has \(0 \+ Days .*boot"):
        mx.exact_rlrt(given("slope", "tested"), correlated, null)
    with pytest.raises(UnsupportedModelError, match=r"2 effects per level.*\|\|"):
        mx.exact_rlrt(correlated, term="Subject")


def test_models_that_do_not_differ_by_one_variance():
    full, null, tested = (given("slope", which) for which in ("full", "null", "tested"))
    with pytest.raises(InvalidArgumentError, match="has no term more than this one"):
        mx.exact_rlrt(full, null=full)
    with pytest.raises(InvalidArgumentError, match=r"has \(.*\), \(.*\) more than this one"):
        mx.exact_rlrt(full, null=smf.ols("Reaction ~ Days", data_of("sleepstudy")).fit())
    with pytest.raises(InvalidArgumentError, match=r"not nested .*; give the model with both as"):
        mx.exact_rlrt(tested, null=null)
    with pytest.raises(InvalidArgumentError, match=r"not nested .* is not among \(1 \| Subject\)$"):
        mx.exact_rlrt(full=null, null=tested)
    with pytest.raises(InvalidArgumentError, match=r"null: it lacks .* `model` says that"):
        mx.exact_rlrt(tested, full, tested)
    with pytest.raises(InvalidArgumentError, match=r"model: beside full= .* has 2 random"):
        mx.exact_rlrt(full, full, null)
    with pytest.raises(InvalidArgumentError, match=r"full: it has no term \(0 \+ Days"):
        mx.exact_rlrt(tested, null, null)


def test_other_data_and_other_fixed_effects():
    full, data = given("slope"), data_of("sleepstudy")
    one = "Reaction ~ Days + (1 | Subject)"
    with pytest.raises(InvalidArgumentError, match="exact_rlrt: the models are of different data"):
        mx.exact_rlrt(full, null=mx.lmer(one, data.iloc[1:]))
    with pytest.raises(InvalidArgumentError, match="the weights of"):
        mx.exact_rlrt(full, null=mx.lmer(one, data, weights=np.full(180, 2.0)))
    for fixed in ("1", "Days + I(Days**2)"):
        with pytest.raises(InvalidArgumentError, match=r"null: its fixed effects \['Intercept'"):
            mx.exact_rlrt(full, null=lmer(f"{fixed} + (1 | Subject)"))
    with pytest.raises(InvalidArgumentError, match=r"model: its fixed effects \['Intercept'\]"):
        mx.exact_rlrt(lmer("1 + (0 + Days | Subject)"), full, given("slope", "null"))
    with pytest.raises(InvalidArgumentError, match="in other units or another coding"):
        mx.exact_rlrt(full, null=lmer("I(Days / 7) + (1 | Subject)"))
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", data_of("dyestuff"))
    with pytest.raises(InvalidArgumentError, match="null: expected the fit|null: this OLS"):
        mx.exact_rlrt(m, null=smf.ols("Yield ~ 1", data_of("dyestuff")))


def test_the_null_model_is_made_without_rows(monkeypatch):
    def no_pass(self, y=None):
        raise AssertionError("a pass over the rows")

    model = given("plate")
    alone = {6: given("sample", "tested"), 24: given("sample", "null")}
    monkeypatch.setattr(type(model.design), "cross_products", no_pass)
    fit = variance_hypothesis.VarianceHypothesis(model, 0).by_reml().null
    wanted = alone[len(fit.design.terms[0].levels)]
    assert fit.solution.deviance() == pytest.approx(wanted.solution.deviance(), abs=SPECTRAL)

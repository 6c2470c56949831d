"""The exact tests of a model's only variance against R, and what they refuse."""

from __future__ import annotations

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from exact_models import (
    EXPECTED,
    LMM_DATA,
    MODELS,
    N_SIMS,
    NULLS,
    SIZES,
    as_fitted_quietly,
    assert_same_null,
    engine_statistics,
    fitted,
    ols,
    quietly,
    unbalanced,
)
from tolerances import EXACT_STATISTIC, ORACLE, SPECTRAL, SUPREMUM

import merextras as mx
from merextras.datasets import load_dataset
from merextras.distributions.null_spectrum import spectrum, spectrum_of
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import (
    ApproximationWarning,
    ConvergenceWarning,
    InvalidArgumentError,
    UnsupportedModelError,
)
from merextras.inference.variance_tests import variance_hypothesis
from merextras.inference.variance_tests.exact_lrt import exact_lrt
from merextras.inference.variance_tests.exact_rlrt import exact_rlrt
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at, fit_design

# --- against R -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_rlrt_as_in_r(name):
    expected = EXPECTED["tests"][name]["rlrt"]
    test = exact_rlrt(fitted(name), n_sims=N_SIMS, rng=1)
    assert test.name == "RLRT"
    assert test.statistic == pytest.approx(expected["statistic"], abs=EXACT_STATISTIC)
    assert_same_null(test.sample, expected["null"])


@pytest.mark.parametrize(("name", "key"), NULLS)
def test_lrt_as_in_r(name, key):
    expected = EXPECTED["tests"][name][key]
    test = exact_lrt(fitted(name, reml=False), ols(name, key), n_sims=N_SIMS, rng=2)
    assert test.name == "LRT"
    assert test.statistic == pytest.approx(expected["statistic_ml"], abs=EXACT_STATISTIC)
    assert_same_null(test.sample, expected["null"])


@pytest.mark.parametrize(("name", "key"), NULLS)
def test_lrt_at_the_reml_estimates_as_in_r(name, key):
    expected = EXPECTED["tests"][name][key]
    with pytest.warns(ApproximationWarning, match=r"fitted by REML.*refit_ml"):
        test = exact_lrt(fitted(name), ols(name, key), n_sims=10, rng=2)
    assert test.statistic == pytest.approx(expected["statistic_at_reml"], abs=EXACT_STATISTIC)
    assert "REML estimates" in test.note
    assert test.statistic < expected["statistic_ml"]


@pytest.mark.skipif(not LMM_DATA.exists(), reason="the tutorial's own data are not here")
@pytest.mark.parametrize("reml", [True, False])
def test_the_tutorials_own_data(reml):
    expected = EXPECTED["tests"]["students"]
    data = pd.read_csv(LMM_DATA)
    formula, group = MODELS["students"]
    model = as_fitted_quietly(quietly(smf.mixedlm(formula, data, groups=group).fit, reml=reml))
    if reml:
        test, key = exact_rlrt(model, n_sims=10, rng=1), "rlrt"
        statistic = expected[key]["statistic"]
    else:
        test = exact_lrt(model, smf.ols(formula, data).fit(), n_sims=10, rng=1)
        statistic = expected["lrt_q0"]["statistic_ml"]
    assert test.statistic == pytest.approx(statistic, abs=EXACT_STATISTIC)


# --- the verbs -----------------------------------------------------------------------------------


def test_weights_and_frequencies_are_in_the_design():
    design = fitted("dyestuff").design
    rng = np.random.default_rng(5)
    weights = rng.uniform(0.5, 2.0, design.n)
    heavy = FittedModel(fit_design(replace(design, weights=weights), reml=True))
    root = np.sqrt(weights)[:, None]
    expected = spectrum(root * design.x, root * design.z().toarray())
    found = spectrum_of(heavy.solution.factor.system.cp)
    np.testing.assert_allclose(found.mu, expected.mu, rtol=ORACLE)
    np.testing.assert_allclose(found.xi, expected.xi, rtol=ORACLE)
    assert exact_rlrt(heavy, n_sims=100, rng=1).statistic > 0

    counts = rng.integers(1, 4, design.n)
    times = replace(design, frequencies=counts.astype(float))
    at = np.repeat(np.arange(design.n), counts)
    term = design.terms[0]
    rows = TermRows(term.rows.codes[at], term.rows.values[at], term.rows.n_levels)
    longer = replace(design, x=design.x[at], y=design.y[at], terms=(replace(term, rows=rows),))
    short, long = (FittedModel(fit_design(d, reml=True)) for d in (times, longer))
    a, b = exact_rlrt(short, n_sims=500, rng=1), exact_rlrt(long, n_sims=500, rng=1)
    assert a.statistic == pytest.approx(b.statistic, abs=SPECTRAL)
    np.testing.assert_allclose(a.sample, b.sample, atol=SUPREMUM)
    with pytest.raises(InvalidArgumentError, match="weights or an offset"):
        exact_lrt(heavy, smf.ols("Yield ~ 1", load_dataset("dyestuff")).fit())


def test_the_tutorials_test():
    model, null = fitted("students", reml=False), ols("students", "lrt_q1")
    test = exact_lrt(model, null, rng=1)
    assert test.n_sims == 10_000
    assert (test.p_value, test.p_text) == (0.0, "< 1e-04")
    assert test.null_hypothesis == "Var(Intercept | school) = 0, social = 0"
    assert repr(test).endswith("LRT = 2957.9, p-value < 1e-04")
    again = pickle.loads(pickle.dumps(test))
    np.testing.assert_array_equal(again.sample, test.sample)


def test_no_null_model_is_the_same_fixed_part():
    model = fitted("sleepstudy", reml=False)
    given = exact_lrt(model, ols("sleepstudy", "lrt_q0"), n_sims=100, rng=1)
    derived = exact_lrt(model, n_sims=100, rng=1)
    assert derived.statistic == pytest.approx(given.statistic, abs=SPECTRAL)
    np.testing.assert_array_equal(given.sample, derived.sample)
    assert derived.null_hypothesis == given.null_hypothesis == "Var(Intercept | Subject) = 0"


def test_a_null_that_combines_columns_is_nested():
    data = load_dataset("students")
    null = smf.ols("extro ~ I(open + agree) + social", data).fit()
    test = exact_lrt(fitted("students", reml=False), null, n_sims=100, rng=1)
    assert test.null_hypothesis.endswith("and 1 linear restriction(s) on the fixed effects")


def test_raw_fits_of_statsmodels():
    formula, group = MODELS["sleepstudy"]
    data = load_dataset("sleepstudy")
    raw = quietly(smf.mixedlm(formula, data, groups=group).fit)
    test = quietly(exact_rlrt, raw, n_sims=10, rng=1)
    expected = EXPECTED["tests"]["sleepstudy"]["rlrt"]["statistic"]
    assert test.statistic == pytest.approx(expected, abs=EXACT_STATISTIC)


def test_rlrt_of_an_ml_fit_is_that_of_its_refit():
    of_ml = exact_rlrt(fitted("sleepstudy", reml=False), n_sims=10, rng=1)
    of_reml = exact_rlrt(fitted("sleepstudy"), n_sims=10, rng=1)
    assert of_ml.statistic == pytest.approx(of_reml.statistic, abs=SPECTRAL)
    assert "refit by REML" in of_ml.note
    assert of_reml.note == ""


def test_an_unconverged_refit_warns(monkeypatch):
    model = fitted("dyestuff", reml=False)
    refit = fitted("dyestuff")
    summary = replace(refit._fit.opt, converged=False, message="not converged: too far")
    stuck = FittedModel(replace(refit._fit, opt=summary))
    monkeypatch.setattr(variance_hypothesis, "refitted", lambda *_, **__: stuck)
    with pytest.warns(ConvergenceWarning, match=r"by REML: not converged: too far") as caught:
        exact_rlrt(model, n_sims=10, rng=1)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("reml", [True, False])
def test_a_variance_of_zero_has_p_one_and_a_sample(reml):
    data = load_dataset("dyestuff")
    means = data.groupby("Batch")["Yield"].transform("mean")
    data["Yield"] += 1500.0 - means
    model = quietly(smf.mixedlm("Yield ~ 1", data, groups="Batch").fit, reml=reml)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", ApproximationWarning)
        test = (exact_rlrt if reml else exact_lrt)(model, n_sims=500, rng=1)
    assert (test.statistic, test.p_value, test.n_exceeding) == (0.0, 1.0, 500)
    assert len(test.sample) == 500
    assert test.p_zero < 1.0


def test_one_row_in_some_levels():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(len(SIZES)), SIZES)
    data = pd.DataFrame({"y": rng.normal(size=24) + 2 * rng.normal(size=7)[groups], "g": groups})
    model = quietly(smf.mixedlm("y ~ 1", data, groups="g").fit)
    _, term, _ = unbalanced()
    expected = engine_statistics(np.ones((24, 1)), data["y"].to_numpy(), term, kept=1)[0]
    test = quietly(exact_rlrt, model, n_sims=500, rng=1)
    assert test.statistic == pytest.approx(expected, abs=SPECTRAL)


def test_rng_is_an_int_or_a_generator_and_the_global_state_is_left_alone():
    model = fitted("dyestuff")
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (what must not be used)
    one = exact_rlrt(model, n_sims=50, rng=3).sample
    np.testing.assert_array_equal(exact_rlrt(model, n_sims=50, rng=3).sample, one)
    generator = np.random.default_rng(3)
    np.testing.assert_array_equal(exact_rlrt(model, n_sims=50, rng=generator).sample, one)
    assert not np.array_equal(exact_rlrt(model, n_sims=50, rng=generator).sample, one)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_most_of_the_null_distribution_is_zero():
    """Covariates of the groups take what the likelihood could give the variance."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(8), 4)
    data = pd.DataFrame(rng.normal(size=(8, 5))[groups], columns=list("abcde"))
    data = data.assign(g=groups, y=3.0 * rng.normal(size=8)[groups] + rng.normal(size=32))
    model = quietly(mx.lmer, "y ~ a + b + c + d + e + (1 | g)", data, reml=False)
    test = exact_lrt(model, n_sims=5000, rng=1)
    assert 0.95 < test.p_zero < 0.98  # RLRsim: 0.966 in 5000 draws for such a design
    assert "% of the simulated values are zero" in repr(test)
    assert exact_rlrt(model, n_sims=5000, rng=1).p_zero < 0.75


# --- errors --------------------------------------------------------------------------------------


def sleep(formula="Reaction ~ Days", **kwargs):
    model = smf.mixedlm(formula, load_dataset("sleepstudy"), groups="Subject", **kwargs)
    return as_fitted_quietly(quietly(model.fit))


@pytest.mark.parametrize("test", [exact_lrt, exact_rlrt])
def test_correlated_effects_are_not_one_variance(test):
    with pytest.raises(UnsupportedModelError, match=r"2 effects per level.*bootstrap"):
        test(sleep(re_formula="~Days"))


def test_several_components_are_not_one_variance():
    model = sleep(vc_formula={"days": "0 + Days"}, re_formula="1")
    with pytest.raises(UnsupportedModelError, match=r"this one has 2 terms: .* exact_rlrt tests"):
        exact_lrt(model)


@pytest.mark.parametrize("test", [exact_lrt, exact_rlrt])
def test_not_a_mixed_model(test):
    with pytest.raises(UnsupportedModelError, match="expected the fit of a statsmodels MixedLM"):
        test(ols("dyestuff", "lrt_q0"))


@pytest.mark.parametrize(("n_sims", "rng"), [(0, 1), (1.5, 1), (True, 1), (10, -1), (10, "a")])
def test_arguments_of_the_simulation(n_sims, rng):
    with pytest.raises(InvalidArgumentError, match=r"(n_sims|rng)="):
        exact_rlrt(fitted("dyestuff"), n_sims=n_sims, rng=rng)
    with pytest.raises(InvalidArgumentError, match=r"(n_sims|rng)="):
        exact_lrt(fitted("dyestuff", reml=False), n_sims=n_sims, rng=rng)


def wls():
    data = load_dataset("dyestuff")
    return smf.wls("Yield ~ 1", data, weights=np.ones(30)).fit()


def glm():
    return smf.glm("Yield ~ 1", load_dataset("dyestuff")).fit()


def unfitted():
    return smf.ols("Yield ~ 1", load_dataset("dyestuff"))


def regularised():
    return unfitted().fit_regularized(alpha=0.1)


def without_data():
    fit = sm.OLS(np.arange(30.0), np.ones(30)).fit()
    fit.remove_data()
    return fit


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (wls, r"got RegressionResultsWrapper \(of WLS\)"),
        (glm, r"got GLMResultsWrapper \(of GLM\)"),
        (unfitted, "has not been fitted"),
        (regularised, "got RegularizedResultsWrapper"),
        (without_data, "data of this OLS fit were removed"),
        (lambda: fitted("dyestuff"), "got MerMod"),
        (lambda: 3.0, "got float; fit it with"),
    ],
)
def test_null_models_that_are_not_ols(make, message):
    with pytest.raises(InvalidArgumentError, match=message):
        exact_lrt(fitted("dyestuff", reml=False), make())


def test_null_of_other_rows():
    null = smf.ols("Yield ~ 1", load_dataset("dyestuff").iloc[1:]).fit()
    with pytest.raises(InvalidArgumentError, match="fitted to 29 rows, the model to 30"):
        exact_lrt(fitted("dyestuff", reml=False), null)


def test_null_of_another_response():
    null = smf.ols("Yield ~ 1", load_dataset("dyestuff").iloc[::-1]).fit()
    with pytest.raises(InvalidArgumentError, match=r"response differs.*same order"):
        exact_lrt(fitted("dyestuff", reml=False), null)


@pytest.mark.parametrize("formula", ["extro ~ open + id", "extro ~ open + agree + social + id"])
def test_null_that_is_not_nested(formula):
    null = smf.ols(formula, load_dataset("students")).fit()
    with pytest.raises(InvalidArgumentError, match=r"not nested.*'id'.*in the span"):
        exact_lrt(fitted("students", reml=False), null)


def test_one_row_in_every_level():
    design = fitted("dyestuff").design
    rows = TermRows(np.arange(30), np.ones((30, 1)), 30)
    design = replace(design, terms=(replace(design.terms[0], rows=rows),))
    for test, reml in ((exact_lrt, False), (exact_rlrt, True)):
        with pytest.raises(UnsupportedModelError, match="as many levels as rows"):
            test(FittedModel(fit_at(design, np.ones(1), reml=reml)))

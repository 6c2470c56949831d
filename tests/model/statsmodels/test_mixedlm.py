"""Reading statsmodels' fits: their estimate kept or polished, and nothing of them kept."""

from __future__ import annotations

import gc
import pickle
import warnings
import weakref

import numpy as np
import pytest
import statsmodels.formula.api as smf
from lme4_fits import (
    CASES,
    adapted,
    array_fit,
    model_of,
    results_of,
    statsmodels_fit,
)
from properties.compare import close
from tolerances import ADAPTER_ESTIMATE, KEPT_ESTIMATE, KEPT_NORMAL_EQUATIONS

from merextras.exceptions import (
    ConvergenceWarning,
    SingularFitWarning,
)
from merextras.mermod import MerMod
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted

DAYS = {"groups": "Subject", "re_formula": "~Days"}


# --- polish=False: statsmodels' own estimate -----------------------------------------------------

REGULAR = [case for case in CASES if case[0] != "singular"]


@pytest.mark.parametrize(("topic", "name", "criterion"), REGULAR)
def test_the_estimate_is_kept(topic, name, criterion):
    results = results_of(topic, name, reml=criterion == "REML")
    m = MerMod(results, polish=False)
    assert m.opt_summary is None
    tolerance = KEPT_NORMAL_EQUATIONS if name == "students" else KEPT_ESTIMATE
    close(m.fixef(), results.fe_params, tolerance)
    close(m.sigma() ** 2, results.scale, KEPT_ESTIMATE)
    close(m.log_lik(), results.llf, KEPT_ESTIMATE)
    close(m.fitted(), results.fittedvalues, tolerance)
    assert m.fitted().index.equals(results.fittedvalues.index)


@pytest.mark.parametrize(("topic", "name", "criterion"), REGULAR)
def test_covariance_of_the_fixed_effects(topic, name, criterion):
    """Ours is lme4's, at a known theta: the inverse of the fixed block of statsmodels' Hessian."""
    results = results_of(topic, name, reml=criterion == "REML")
    model, reml = results.model, results.model.reml
    model.reml = results.reml
    hessian, _ = model.hessian(results.params_object)
    model.reml = reml
    p = results.k_fe
    theirs = np.linalg.inv(-hessian[:p, :p])
    vcov = MerMod(results, polish=False).vcov()
    close(vcov, theirs, KEPT_NORMAL_EQUATIONS)


@pytest.mark.parametrize(
    ("topic", "name"),
    [("intercept", "sleepstudy"), ("slopes", "correlated"), ("intercept", "dyestuff")],
)
def test_standard_errors_are_kept_where_the_design_is_balanced(topic, name):
    """Elsewhere statsmodels' `bse_fe` has theta's uncertainty in it (sleepstudy, ||: 0.2 %)."""
    results = results_of(topic, name)
    se = np.sqrt(np.diag(MerMod(results, polish=False).vcov()))
    close(se, results.bse_fe, KEPT_NORMAL_EQUATIONS)


@pytest.mark.parametrize("name", ["correlated", "uncorrelated", "thinned_correlated"])
def test_random_effects_are_kept(name):
    results = results_of("slopes", name)
    m = MerMod(results, polish=False)
    re = m.ranef()
    theirs = np.array([results.random_effects[g] for g in re["Subject"].index])
    close(re["Subject"], theirs, KEPT_ESTIMATE)
    covariances = np.array([results.random_effects_cov[g] for g in re["Subject"].index])
    close(re.post_var["Subject"], covariances, KEPT_ESTIMATE)
    close(m.var_corr()["Subject"], np.asarray(results.cov_re)[: len(m.var_corr()["Subject"])][
        :, : len(m.var_corr()["Subject"])
    ], KEPT_ESTIMATE)  # fmt: skip


def test_nested_random_effects_are_kept():
    results = results_of("nested", "students")
    re = MerMod(results, polish=False).ranef()
    for school, effects in results.random_effects.items():
        own = re["school"].loc[school, "Intercept"]
        close(own, effects["school"], KEPT_NORMAL_EQUATIONS)
        for label in "abcd":
            theirs = effects[f"c[C(Q('class'))[{label}]]"]
            own = re["class:school"].loc[f"{label}:{school}", "Intercept"]
            close(own, theirs, KEPT_NORMAL_EQUATIONS)


def test_crossed_random_effects_are_kept():
    results = results_of("crossed", "penicillin")
    re = MerMod(results, polish=False).ranef()
    (effects,), (covariance,) = (
        results.random_effects.values(),
        results.random_effects_cov.values(),
    )
    for factor in ("plate", "sample"):
        names = [f"{factor}[C({factor})[{level}]]" for level in re[factor].index]
        close(re[factor]["Intercept"], effects[names], 1e-10)  # they invert a 30 x 30 matrix
        variances = np.diag(covariance.loc[names, names])
        close(re.post_var[factor][:, 0, 0], variances, 1e-10)


# --- polish=True ---------------------------------------------------------------------------------


def test_origin_shows_where_statsmodels_was(students):
    results = results_of("intercept", "students")
    m = MerMod(results)
    assert m.origin.package == "statsmodels"
    assert m.origin.converged is True
    assert m.origin.log_lik == results.llf
    close(m.origin.theta[0] ** 2, results.cov_re.iloc[0, 0] / results.scale, 1e-14)
    assert m.theta[0] > m.origin.theta[0] * 1.003  # 95.87 for 95.09
    assert m.opt_summary.converged
    assert m.opt_summary.initial_deviance >= m.opt_summary.deviance
    assert m.opt_summary.initial == m.origin.theta
    assert m.log_lik() > results.llf


def test_a_fit_that_stopped_short_warns(sleep):
    results = statsmodels_fit(
        "Reaction ~ D", sleep.assign(D=sleep["Days"] * 1000), groups="Subject", re_formula="~D"
    )
    assert results.converged
    message = r"stopped short of the optimum: the log-likelihood is 0\.0\d+ higher"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        m = MerMod(results)
    assert caught[0].filename == __file__
    assert MerMod(results, polish=False).log_lik() == pytest.approx(results.llf, rel=1e-12)
    assert m.log_lik() - results.llf > 1e-3


def test_a_singular_fit_warns():
    with pytest.warns(SingularFitWarning, match="singular fit: a variance is estimated") as caught:
        m = MerMod(results_of("singular", "dyestuff2"))
    assert caught[0].filename == __file__
    assert m.is_singular()
    assert m.theta.tolist() == [0.0]


def test_a_good_fit_does_not_warn():
    MerMod(results_of("slopes", "correlated"))  # warnings are errors


def test_as_fitted():
    results = results_of("intercept", "dyestuff")
    assert isinstance(as_fitted(results), MerMod)
    m = FittedModel(MerMod(results)._fit)
    assert as_fitted(m) is m


# --- The results object is lazy and the model under it mutable -----------------------------------


def test_a_reml_fit_whose_model_was_refitted_by_ml(sleep):
    model = smf.mixedlm("Reaction ~ Days", sleep, **DAYS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = model.fit()
        second = model.fit(reml=False)
    m, ml = adapted(first), adapted(second)
    assert (m.is_reml(), ml.is_reml()) == (True, False)
    close(m.reml_crit(), model_of("slopes", "correlated").reml_crit(), 1e-11)
    close(ml.deviance(), model_of("slopes", "correlated", reml=False).deviance(), 1e-11)
    assert np.isnan(m.origin.log_lik)  # it would be that of the other criterion
    close(MerMod(first, polish=False).theta, m.origin.theta, 1e-15)


def test_nothing_of_the_fit_is_kept(sleep):
    results = statsmodels_fit("Reaction ~ Days", sleep.copy(), **DAYS)
    m = adapted(results)
    alive = [weakref.ref(results._results), weakref.ref(results.model)]
    del results
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert m.ranef()["Subject"].shape == (18, 2)


def test_changing_the_data_or_the_fit_afterwards_changes_nothing(sleep):
    data = sleep.copy()
    results = statsmodels_fit("Reaction ~ Days", data, **DAYS)
    m = adapted(results)
    before = pickle.dumps((m.model_frame(), m.fitted(), m.fixef(), m.predict(sleep)))
    data.loc[:, "Days"] = 0
    data.loc[:, "Reaction"] = 0.0
    for array in (results.model.endog, results.model.exog, results.model.exog_re):
        if array.flags.writeable:
            array[:] = 0.0
    results.model.groups = results.model.groups * 0
    results._results.fe_params[:] = 0.0
    results.model.data.frame.loc[:, "Days"] = 0
    assert pickle.dumps((m.model_frame(), m.fitted(), m.fixef(), m.predict(sleep))) == before
    close(m.update().fixef(), m.fixef(), ADAPTER_ESTIMATE)
    close(m.refit_ml().refit(m.get_me("y")).fixef(), m.fixef(), 1e-3)
    close(pickle.loads(pickle.dumps(m)).predict(sleep), m.fitted(), 1e-14)


def test_arrays_of_the_fit_are_not_shared():
    x = np.column_stack([np.ones(40), np.arange(40.0)])
    groups = np.repeat(np.arange(8), 5)
    y = np.sin(np.arange(40.0)) + groups
    m = array_fit(y, x, groups, exog_re=x[:, :1])
    mu = m.fitted()
    for array in (x, y, groups):
        array[:] = 0
    close(m.residuals() + m.fitted(), m.get_me("y"), 1e-15)
    np.testing.assert_array_equal(m.fitted(), mu)
    assert m.get_me("X")[:, 1].max() == 39

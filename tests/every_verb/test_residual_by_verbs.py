"""Every function and method on a model with residual standard deviations by group.

Given the estimates such a model is one with precision weights, so that what does not look at how
the residual variances were estimated is held to a fit with these weights; what does has a test of
its own here or in `test_residual_by`; and what can't be had refuses, naming the argument.
"""

from __future__ import annotations

import functools

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from every_verb import test_streamed_verbs
from tolerances import CHUNKS_ESTIMATES

import merextras as mx
from merextras.exceptions import UnsupportedModelError

pytestmark = pytest.mark.usefixtures("quiet")

mpl.use("agg")

FORMULA = "Reaction ~ Days + (Days | Subject)"


@functools.cache
def data():
    sleep = mx.load_dataset("sleepstudy")
    return sleep.assign(late=np.where(sleep["Days"] >= 5, "late", "early"))


@functools.cache
def model(formula=FORMULA):
    return mx.lmer(formula, data(), residual_by="late")


@functools.cache
def weighted(formula=FORMULA):
    """The same with the estimated precisions as weights; sigma is that of the first group."""
    return mx.lmer(formula, rows_with_weights(), weights="w")


def rows_with_weights():
    return data().assign(w=model().design.precision)


@functools.cache
def rows():
    return rows_with_weights().iloc[:12].reset_index(drop=True)


def _numeric(found):
    """The numbers of a result, those that are finite."""
    if hasattr(found, "to_frame") and not isinstance(found, (pd.Series, pd.DataFrame)):
        found = found.to_frame()
    if isinstance(found, pd.DataFrame):
        found = found.select_dtypes(["number", "bool"])
    values = np.asarray(found, dtype=float)
    return np.where(np.isfinite(values), values, 0.0)


#: What only conditions on the estimates.
SAME = {
    "augment": lambda m: mx.augment(m).drop(columns="weights"),
    "average_obs": lambda m: mx.average_obs(m)[["Reaction", "Days"]],
    "check_collinearity": mx.check_collinearity,
    "check_heteroscedasticity": lambda m: [mx.check_heteroscedasticity(m).statistic],
    "check_normality": mx.check_normality,
    "check_outliers": lambda m: mx.check_outliers(m).table,
    "check_predictions": lambda m: mx.check_predictions(m, n_sims=5, rng=1),
    "check_singularity": mx.check_singularity,
    "contest": lambda m: mx.contest(m, np.eye(2)[1:], ddf="asymptotic")[["statistic", "p_value"]],
    "emmeans": lambda m: mx.emmeans(m, "Days", ddf="asymptotic"),
    "expected_rank": mx.expected_rank,
    "fe_sim": lambda m: mx.fe_sim(m, n_sims=20, rng=1),
    "icc": mx.icc,
    "joint_tests": lambda m: mx.joint_tests(m, ddf="asymptotic"),
    "qq_residuals": mx.qq_residuals,
    "r2": mx.r2,
    "random_obs": lambda m: mx.random_obs(m, rng=1)[["Reaction", "Days"]],
    "re_corr_extract": mx.re_corr_extract,
    "re_extract": mx.re_extract,
    "re_impact": lambda m: mx.re_impact(m, rows(), group="Subject"),
    "re_margins": lambda m: mx.re_margins(m, rows(), group="Subject", include_resid_var=False),
    "re_quantile": lambda m: mx.re_quantile(m, 0.5, group="Subject"),
    "re_sd_extract": mx.re_sd_extract,
    "residual_table": mx.residual_table,
    "rmse": lambda m: [mx.rmse(m), mx.rmse(m, scale=True)],
    "se_coef": lambda m: mx.se_coef(m)["fixef"],
    "se_fixef": mx.se_fixef,
    "se_ranef": lambda m: mx.se_ranef(m)["Subject"],
    "shrinkage": mx.shrinkage,
    "sim": lambda m: mx.sim(m, n_sims=20, rng=1).fixef,
    "theta_extract": mx.theta_extract,
    "variance_decomposition": mx.variance_decomposition,
    "what_if_average": lambda m: mx.what_if_average(m, rows(), changes={"Days": [1.0, 2.0]}),
    "m.fixef": lambda m: m.fixef(),
    "m.ranef": lambda m: m.ranef(cond_var=True),
    "m.coef": lambda m: m.coef()["Subject"],
    "m.vcov": lambda m: m.vcov(),
    "m.vcov: robust": lambda m: m.vcov(kind="CR2"),
    "contest: robust": lambda m: mx.contest(m, "Days = 0", ddf="CR2"),
    "m.re_pca": lambda m: m.re_pca(),
    "m.confint": lambda m: m.confint(method="wald", parm="beta_"),
    "m.log_lik": lambda m: [m.log_lik(), m.log_lik(reml=False)],
    "m.deviance": lambda m: [m.deviance()],
    "m.reml_crit": lambda m: [m.reml_crit()],
    "m.nobs": lambda m: [m.nobs()],
    "m.ngrps": lambda m: m.ngrps(),
    "m.predict": lambda m: m.predict(rows(), se_fit=True, interval="prediction"),
    "m.predict: own rows": lambda m: m.predict(interval="prediction"),
    "m.predict: population": lambda m: m.predict(rows(), re_form="NA", interval="prediction"),
    "m.simulate": lambda m: m.simulate(2, rng=1),
    "m.hatvalues": lambda m: m.hatvalues(),
    "m.hat_trace": lambda m: [m.hat_trace()],
    "m.rstudent": lambda m: m.rstudent(),
    "m.cooks_distance": lambda m: m.cooks_distance(),
    "m.fitted": lambda m: m.fitted(),
    "m.residuals": lambda m: m.residuals(),
    "m.residuals: pearson": lambda m: m.residuals("pearson"),
    "m.residuals: scaled": lambda m: m.residuals("pearson", scaled=True),
    "m.is_reml": lambda m: [m.is_reml()],
    "m.is_lmm": lambda m: [m.is_lmm()],
    "m.is_glmm": lambda m: [m.is_glmm()],
    "m.is_nlmm": lambda m: [m.is_nlmm()],
    "m.is_singular": lambda m: [m.is_singular()],
    "m.get_me": lambda m: m.get_me("Lambdat").toarray()[:4, :4],
    "m.get_me: b": lambda m: m.get_me("b"),
    "m.get_l": lambda m: m.get_l().toarray()[:5, :5],
    "m.block_description": lambda m: m.block_description(),
    "m.model_matrix": lambda m: m.model_matrix(),
    "m.anova": lambda m: m.anova()[["num_df", "statistic"]],
    "m.terms": lambda m: [len(m.terms())],
    "m.family": lambda m: [len(m.family())],
    "m.formula": lambda m: [len(m.formula())],
}

#: Draws, which depend on the order of the numbers: the same distribution. Spreads.
DRAWN = {
    "predict_interval": lambda m: _width(mx.predict_interval(m, rows(), n_sims=4000, rng=1)),
    "predict_interval: parts": lambda m: _width(
        mx.predict_interval(m, rows(), which="random", n_sims=4000, rng=1)
    ),
    "re_sim": lambda m: mx.re_sim(m, n_sims=4000, rng=1)["sd"],
    "sim_fitted": lambda m: mx.sim_fitted(m, mx.sim(m, n_sims=4000, rng=1)).std(axis=1),
    "what_if": lambda m: _width(mx.what_if(m, rows(), group="Subject", n_sims=4000, rng=1)),
}


def _width(frame):
    return frame["upper"] - frame["lower"]


#: What is there and differs: these have tests of their own, here or in `test_residual_by`.
OWN = {
    "all_fit": lambda m: mx.all_fit(m, n_random=1, rng=1),
    "bootstrap": lambda m: mx.bootstrap(m, n_sims=3, rng=1),
    "bootstrap: residuals": lambda m: mx.bootstrap(m, kind="semiparametric", n_sims=3, rng=1),
    "bootstrap: cases": lambda m: mx.bootstrap(m, kind="cases", n_sims=3, rng=1),
    "check_convergence": mx.check_convergence,
    "check_model": mx.check_model,
    "compare": lambda m: mx.compare(m, model("Reaction ~ Days + (1 | Subject)")),
    "compare_table": mx.compare_table,
    "cross_validate": lambda m: mx.cross_validate(m, by="Subject", folds=3, rng=1),
    "display": mx.display,
    "draw": lambda m: mx.draw(m, rng=1),
    "emtrends": lambda m: mx.emtrends(
        model("Reaction ~ Days * late + (Days | Subject)"), "late", var="Days", ddf="satterthwaite"
    ),
    "extract_dic": mx.extract_dic,
    "fast_display": mx.fast_display,
    "find_form_funs": mx.find_form_funs,
    "glance": mx.glance,
    "ls_means": lambda m: mx.ls_means(
        mx.lmer("Reaction ~ late + (Days | Subject)", data(), residual_by="late")
    ),
    "model_checks": mx.model_checks,
    "model_info": mx.model_info,
    "performance": mx.performance,
    "ranova": mx.ranova,
    "sat_modcomp": lambda m: mx.sat_modcomp(m, "Days"),
    "sigma_hat": mx.sigma_hat,
    "standardize": mx.standardize,
    "step": lambda m: mx.step(m, alpha_random=1e-30, alpha_fixed=1e-30),
    "stream_rows": lambda m: None,
    "sub_boot": lambda m: mx.sub_boot(m, n_sims=2, rng=1),
    "tidy": mx.tidy,
    "what_if_spread": lambda m: mx.what_if_spread(m, rows(), group="Subject", rng=1),
    "m.sigma": lambda m: m.sigma(),
    "m.var_corr": lambda m: m.var_corr(),
    "m.profile": lambda m: m.profile("sigma_late"),
    "m.summary": lambda m: m.summary(ddf="satterthwaite"),
    "m.aic": lambda m: m.aic(),
    "m.bic": lambda m: m.bic(),
    "m.extract_aic": lambda m: m.extract_aic(),
    "m.df_residual": lambda m: m.df_residual(),
    "m.as_function": lambda m: m.as_function(),
    "m.drop1": lambda m: m.drop1(),
    "m.influence": lambda m: m.influence("Subject"),
    "m.plot": lambda m: m.plot(),
    "m.qqmath": lambda m: m.qqmath(),
    "m.model_frame": lambda m: m.model_frame(),
    "m.weights": lambda m: m.weights(),
    "m.refit": lambda m: m.refit(data()["Reaction"] + 1.0),
    "m.refit_ml": lambda m: m.refit_ml(),
    "m.update": lambda m: m.update(". ~ . - Days"),
    "m.call": lambda m: m.call(),
    "m.predict: Satterthwaite": lambda m: m.predict(
        rows(), interval="prediction", ddf="satterthwaite", adjust=True
    ),
}

#: What has no meaning yet: an error that names the argument.
REFUSED = {
    "emmeans: kenward-roger": lambda m: mx.emmeans(m, "Days"),
    "exact_lrt": lambda m: mx.exact_lrt(model("Reaction ~ Days + (1 | Subject)").refit_ml()),
    "exact_rlrt": lambda m: mx.exact_rlrt(model("Reaction ~ Days + (1 | Subject)")),
    "exact_rlrt: null": lambda m: mx.exact_rlrt(
        mx.lmer("Reaction ~ Days + (Days || Subject)", data()), null=m
    ),
    "icc: exact": lambda m: mx.icc(m, ci="exact"),
    "icc: intervals": lambda m: mx.icc(m, ci="bootstrap", n_sims=3),
    "kr_modcomp": lambda m: mx.kr_modcomp(m, "Days"),
    "make_model": mx.make_model,
    "pb_modcomp": lambda m: mx.pb_modcomp(m, model("Reaction ~ 1 + (Days | Subject)"), n_sims=3),
    "power": lambda m: mx.power(m, "Days", n_sims=3),
    "power_curve": lambda m: mx.power_curve(m, "Days", along="Subject", values=[5], n_sims=3),
    "predict_interval: independent": lambda m: mx.predict_interval(m, rows(), joint=False),
    "r2: intervals": lambda m: mx.r2(m, ci="bootstrap", n_sims=3),
    "ranova: bootstrap": lambda m: mx.ranova(m, p_values="bootstrap", n_sims=3),
    "ranova: exact": lambda m: mx.ranova(m, p_values="exact", n_sims=3),
    "re_margins: residuals": lambda m: mx.re_margins(
        m, rows(), group="Subject", include_resid_var=True
    ),
    "rmse: interval": lambda m: mx.rmse(m, ci=0.9),
    "vcov_adj": mx.vcov_adj,
    "m.influence: one step": lambda m: m.influence("Subject", method="one-step"),
    "m.summary: kenward-roger": lambda m: m.summary(ddf="kenward-roger"),
    "m.to_statsmodels": lambda m: m.to_statsmodels(),
}


@pytest.mark.parametrize("name", SAME)
def test_given_the_estimates_it_is_a_weighted_model(name):
    found, expected = (_numeric(SAME[name](m)) for m in (model(), weighted()))
    assert found.size > 0
    size = np.nanmax(np.abs(expected), initial=1e-300)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=CHUNKS_ESTIMATES * size)


@pytest.mark.parametrize("name", DRAWN)
def test_draws(name):
    # 4000 draws know a standard deviation to 1.1 %, a 95 % interval's width to 2.5 %.
    found, expected = (np.asarray(DRAWN[name](m)) for m in (model(), weighted()))
    np.testing.assert_allclose(found, expected, rtol=0.13)
    assert np.mean(found / expected) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("name", OWN)
def test_it_is_there(name):
    OWN[name](model())


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name):
    with pytest.raises(UnsupportedModelError, match=r"residual_by='late', 2 residual standard"):
        REFUSED[name](model())


def test_everything_public_is_here():
    known = {name.split(":")[0] for name in [*SAME, *DRAWN, *OWN, *REFUSED]}
    known |= test_streamed_verbs.OTHERS - {"power_curve", "make_model", "stream_rows"}
    functions = {n for n in mx.__all__ if n == n.lower() and not n.startswith("plot_")}
    functions |= {n for n in mx.__all__ if n[0].isupper() and hasattr(getattr(mx, n), "mro")}
    methods = {f"m.{n}" for n in dir(mx.MerMod) if not n.startswith("_")}
    properties = {f"m.{n}" for n in dir(mx.MerMod) if not callable(getattr(mx.MerMod, n))}
    assert (functions | methods) - properties - {"m.adapter"} - known == set()


def test_plots_draw():
    """Figures of a model draw what the verbs return."""
    frame = mx.residual_table(model()).to_frame()
    assert isinstance(frame, pd.DataFrame)
    mx.plot_residuals(mx.residual_table(model()))

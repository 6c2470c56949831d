"""Every function and method on a model with a prior of its covariances.

What depends on the estimates alone gives what it gives at those estimates without the prior; what
fits again keeps the prior; what looks at the criterion looks at the penalised one; what compares
maxima of likelihoods refuses; and a number that then means something else is said to.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from properties.compare import close

import merextras as mx
from merextras.exceptions import (
    ApproximationWarning,
    MerextrasWarning,
    RefitWarning,
    UnsupportedModelError,
)
from merextras.model.state.fitting import fit_at

FORMULA = "Reaction ~ Days + (Days | Subject)"
SMALL = "Reaction ~ 1 + (Days | Subject)"


@functools.cache
def model(reml=True):
    return mx.lmer(FORMULA, mx.load_dataset("sleepstudy"), reml=reml, cov_prior="wishart")


@functools.cache
def plain(reml=True):
    """The same estimates, without the prior: what they alone give."""
    m = model(reml)
    design = replace(m.design, options=replace(m.design.options, cov_prior=None))
    fit = fit_at(design, m.theta, reml=reml)
    return mx.MerMod._of(replace(fit, opt=m.opt_summary, theta=None))


@functools.cache
def rows():
    return mx.load_dataset("sleepstudy").iloc[:12].reset_index(drop=True)


def _small(m):
    prior = "wishart" if m.design.penalty is not None else None
    return mx.lmer(SMALL, mx.load_dataset("sleepstudy"), reml=m.is_reml(), cov_prior=prior)


#: Of the estimates alone.
SAME = {
    "augment": mx.augment,
    "average_obs": mx.average_obs,
    "check_collinearity": lambda m: mx.check_collinearity(m).to_frame(),
    "check_heteroscedasticity": lambda m: mx.check_heteroscedasticity(m).to_frame(),
    "check_normality": lambda m: mx.check_normality(m).to_frame(),
    "check_outliers": lambda m: mx.check_outliers(m).to_frame(),
    "check_predictions": lambda m: mx.check_predictions(m, rng=1).to_frame(),
    "check_singularity": lambda m: mx.check_singularity(m).to_frame(),
    "draw": lambda m: mx.draw(m, rng=1),
    "expected_rank": mx.expected_rank,
    "fe_sim": lambda m: mx.fe_sim(m, n_sims=20, rng=1),
    "find_form_funs": lambda m: len(mx.find_form_funs(m)),
    "icc": lambda m: mx.icc(m).to_frame(),
    "predict_interval": lambda m: mx.predict_interval(m, rows(), n_sims=20, rng=1),
    "qq_residuals": mx.qq_residuals,
    "r2": lambda m: mx.r2(m).to_frame(),
    "random_obs": lambda m: mx.random_obs(m, rng=1),
    "re_corr_extract": mx.re_corr_extract,
    "re_extract": mx.re_extract,
    "re_impact": lambda m: mx.re_impact(m, rows(), group="Subject"),
    "re_margins": lambda m: mx.re_margins(m, rows(), group="Subject"),
    "re_quantile": lambda m: mx.re_quantile(m, 0.5, group="Subject"),
    "re_sd_extract": mx.re_sd_extract,
    "re_sim": lambda m: mx.re_sim(m, n_sims=20, rng=1),
    "residual_table": mx.residual_table,
    "rmse": lambda m: [mx.rmse(m)],
    "se_coef": lambda m: mx.se_coef(m)["fixef"],
    "se_fixef": mx.se_fixef,
    "se_ranef": lambda m: mx.se_ranef(m)["Subject"],
    "shrinkage": lambda m: mx.shrinkage(m, group="Subject"),
    "sigma_hat": lambda m: mx.sigma_hat(m).to_frame(),
    "sim": lambda m: mx.sim(m, n_sims=20, rng=1).fixef,
    "sim_fitted": lambda m: mx.sim_fitted(m, mx.sim(m, n_sims=2, rng=1)),
    "theta_extract": mx.theta_extract,
    "tidy": mx.tidy,
    "variance_decomposition": mx.variance_decomposition,
    "what_if": lambda m: mx.what_if(m, rows(), group="Subject", rng=1),
    "what_if_average": lambda m: mx.what_if_average(m, rows(), changes={"Days": [0.0, 5.0]}),
    "what_if_spread": lambda m: mx.what_if_spread(m, rows(), group="Subject", rng=1),
    "wiggle": lambda m: mx.wiggle(rows(), "Days", [1.0, 2.0]),
    "m.fixef": lambda m: m.fixef(),
    "m.ranef": lambda m: m.ranef(cond_var=True).to_frame(),
    "m.coef": lambda m: m.coef()["Subject"],
    "m.sigma": lambda m: [m.sigma()],
    "m.vcov": lambda m: m.vcov(),
    "m.vcov: robust": lambda m: m.vcov(kind="CR2"),
    "m.var_corr": lambda m: m.var_corr().to_frame(),
    "m.re_pca": lambda m: m.re_pca().to_frame(),
    "m.confint: wald": lambda m: m.confint(method="wald", parm="beta_"),
    "m.summary": lambda m: m.summary().coefficients,
    "m.log_lik": lambda m: [m.log_lik(), m.log_lik(reml=False)],
    "m.deviance": lambda m: [m.deviance()],
    "m.reml_crit": lambda m: [m.reml_crit()],
    "m.df_residual": lambda m: [m.df_residual()],
    "m.nobs": lambda m: [m.nobs()],
    "m.ngrps": lambda m: m.ngrps(),
    "m.anova: one model": lambda m: m.anova(),
    "m.predict": lambda m: m.predict(rows(), se_fit=True, interval="prediction"),
    "m.simulate": lambda m: m.simulate(2, rng=1),
    "m.fitted": lambda m: m.fitted(),
    "m.residuals": lambda m: m.residuals(),
    "m.hatvalues": lambda m: m.hatvalues(),
    "m.hat_trace": lambda m: [m.hat_trace()],
    "m.rstudent": lambda m: m.rstudent(),
    "m.cooks_distance": lambda m: m.cooks_distance(),
    "m.formula": lambda m: m.formula(),
    "m.terms": lambda m: m.terms(),
    "m.model_frame": lambda m: m.model_frame(),
    "m.model_matrix": lambda m: m.model_matrix(),
    "m.family": lambda m: m.family(),
    "m.weights": lambda m: m.weights(),
    "m.is_reml": lambda m: [m.is_reml()],
    "m.is_lmm": lambda m: [m.is_lmm()],
    "m.is_glmm": lambda m: [m.is_glmm()],
    "m.is_nlmm": lambda m: [m.is_nlmm()],
    "m.is_singular": lambda m: [m.is_singular()],
    "m.get_me": lambda m: m.get_me("Lambdat").toarray()[:4, :4],
    "m.get_l": lambda m: m.get_l().toarray()[:5, :5],
    "m.block_description": lambda m: m.block_description(),
}

#: By the penalised criterion, where they differ from the estimates' alone.
PENALISED = {
    "all_fit": lambda m: [mx.all_fit(m, rng=1, n_random=1).best],
    "check_convergence": lambda m: mx.check_convergence(m).eigenvalues,
    "contest": lambda m: mx.contest(m, np.eye(2)[1:], ddf="satterthwaite"),
    "emmeans: satterthwaite": lambda m: mx.emmeans(m, "Days", ddf="satterthwaite").to_frame(),
    "emtrends: satterthwaite": lambda m: mx.emtrends(
        m, [], var="Days", ddf="satterthwaite"
    ).to_frame(),
    "sat_modcomp": lambda m: mx.sat_modcomp(m, "Days = 5").to_frame(),
    "joint_tests: satterthwaite": lambda m: mx.joint_tests(m, ddf="satterthwaite"),
    "tidy: satterthwaite": lambda m: mx.tidy(m, ddf="satterthwaite"),
    "m.as_function": lambda m: [m.as_function()(1.1 * m.theta)],
    "m.anova: ddf": lambda m: m.anova(ddf="satterthwaite"),
    "m.drop1: F": lambda m: m.drop1(test="f"),
    "m.summary: ddf": lambda m: m.summary(ddf="satterthwaite").coefficients,
    "m.predict: df": lambda m: m.predict(rows(), se_fit=True, ddf="satterthwaite", adjust=True),
}

#: Fitted again, with the prior.
REFITS = {
    "bootstrap": lambda m: mx.bootstrap(m, n_sims=4, rng=1).estimates,
    "bootstrap: residuals": lambda m: (
        mx.bootstrap(m, kind="semiparametric", n_sims=4, rng=1).estimates
    ),
    "bootstrap: cases": lambda m: mx.bootstrap(m, kind="cases", n_sims=4, rng=1).estimates,
    "cross_validate": lambda m: mx.cross_validate(m, by="Subject").to_frame(),
    "icc: intervals": lambda m: mx.icc(m, ci="bootstrap", n_sims=4, rng=1).to_frame(),
    "ls_means": lambda m: mx.ls_means(m.update("Reaction ~ C(Days) + (Days | Subject)")),
    "power": lambda m: mx.power(m, "Days", n_sims=4, rng=1).p_values,
    "power_curve": lambda m: np.array(
        [
            study.p_values
            for study in mx.power_curve(
                m, "Days", along="Subject", values=[12, 24], n_sims=4, rng=1
            ).powers
        ]
    ),
    "standardize": lambda m: [mx.standardize(m).log_lik()],
    "sub_boot": lambda m: mx.sub_boot(m, n_sims=4, rng=1),
    "m.confint: boot": lambda m: m.confint(method="boot", n_sims=4, rng=1),
    "m.influence": lambda m: m.influence("Subject").thetas,
    "m.influence: rows": lambda m: m.influence().thetas,
    "m.influence: one-step": lambda m: m.influence("Subject", method="one-step").thetas,
    "m.refit": lambda m: [m.refit(m.fitted().to_numpy() + np.sin(np.arange(180))).log_lik()],
    "m.refit_ml": lambda m: [m.refit_ml().log_lik()],
    "m.update": lambda m: m.update(". ~ . - Days").theta,
}

#: Of maxima of the likelihood.
REFUSES = {
    "exact_lrt": mx.exact_lrt,
    "exact_rlrt": mx.exact_rlrt,
    "exact_rlrt: other": lambda m: mx.exact_rlrt(_small(plain()), full=m),
    "pb_modcomp": lambda m: mx.pb_modcomp(m, _small(m), n_sims=4),
    "pb_modcomp: other": lambda m: mx.pb_modcomp(_small(plain()), m, n_sims=4),
    "power: variance": lambda m: mx.power(m, "(1 + Days | Subject)", n_sims=4, rng=1),
    "power: lrt": lambda m: mx.power(m, "Days", method="lrt", n_sims=4, rng=1),
    "power: kenward-roger": lambda m: mx.power(m, "Days", method="kenward-roger", n_sims=4, rng=1),
    "ranova": mx.ranova,
    "step": mx.step,
    "step: fixed": lambda m: mx.step(m, reduce_random=False),
    "m.anova: models": lambda m: m.anova(_small(m)),
    "m.anova: other": lambda m: _small(plain()).anova(m),
    "m.confint": lambda m: m.confint(),
    "m.drop1": lambda m: m.drop1(),
    "m.drop1: AIC": lambda m: m.drop1(test=None),
    "m.profile": lambda m: m.profile(),
    "m.to_statsmodels": lambda m: m.to_statsmodels(),
}

#: What a number means then.
SAYS = {
    "compare": lambda m: mx.compare(m, _small(m)),
    "compare_table": mx.compare_table,
    "display": mx.display,
    "extract_dic": mx.extract_dic,
    "fast_display": mx.fast_display,
    "for_summary_col": mx.for_summary_col,
    "glance": mx.glance,
    "model_info": mx.model_info,
    "performance": mx.performance,
    "m.aic": lambda m: m.aic(),
    "m.bic": lambda m: m.bic(),
    "m.extract_aic": lambda m: m.extract_aic(),
    "contest: kenward-roger": lambda m: mx.contest(m, np.eye(2)[1:], ddf="kenward-roger"),
    "emmeans": lambda m: mx.emmeans(m, "Days"),
    "emtrends": lambda m: mx.emtrends(m, [], var="Days"),
    "joint_tests": mx.joint_tests,
    "kr_modcomp": lambda m: mx.kr_modcomp(m, "Days = 5"),
    "vcov_adj": mx.vcov_adj,
    "m.summary: kenward-roger": lambda m: m.summary(ddf="kenward-roger"),
    "R's AIC": mx.r.AIC,
}

#: No model, or one that they make; figures and pages of what is above.
OTHERS = {
    "check_model", "explore", "mcsamp", "extend", "icc_from_data", "lm_list", "lmer", "lmer_list",
    "load_bootstrap", "load_cross_products", "cross_products", "load_dataset", "lrt_sim",
    "make_model", "model_checks", "report", "rlrt_sim", "stream_rows", "super_factor", "xyplot",
    "Gamma", "InverseWishart", "LmerControl", "MerMod", "ModelList", "ModelProducts", "Wishart",
    "GlmerMod", "check_laplace", "check_overdispersion", "check_zero_inflation", "glmer",
    "glmer_list", "glmer_nb", "median_odds_ratio", "m.call", "m.from_cross_products", "m.plot",
    "m.qqmath",
}  # fmt: skip


def _numbers(found):
    if hasattr(found, "to_frame") and not isinstance(found, (pd.Series, pd.DataFrame)):
        found = found.to_frame()
    if isinstance(found, pd.DataFrame):
        found = found.select_dtypes(["number", "bool"])
    if isinstance(found, (str, list)) and not np.all([isinstance(x, float) for x in found]):
        return found
    return np.asarray(found, dtype=float)


def _same(found, expected, tolerance=1e-9):
    found, expected = _numbers(found), _numbers(expected)
    if isinstance(found, np.ndarray):
        assert found.size > 0
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-9)
    else:
        assert found == expected


@pytest.mark.parametrize("name", SAME)
def test_of_the_estimates_alone(name):
    _same(SAME[name](model()), SAME[name](plain()))


@pytest.mark.parametrize("name", PENALISED)
def test_by_the_penalised_criterion(name):
    found, other = _numbers(PENALISED[name](model())), _numbers(PENALISED[name](plain()))
    assert np.all(np.isfinite(found) | np.isnan(other))
    assert not np.allclose(found, other, rtol=1e-6, atol=0.0, equal_nan=True)


@pytest.mark.parametrize("name", REFITS)
def test_fitted_again_with_the_prior(name):
    """Other numbers than without it, from a process that says nothing."""
    found, other = _numbers(REFITS[name](model())), _numbers(REFITS[name](plain()))
    assert np.isfinite(found).any()
    assert found.shape != other.shape or not np.allclose(
        found, other, rtol=1e-6, atol=0.0, equal_nan=True
    )


@pytest.mark.parametrize("name", REFUSES)
def test_maxima_are_refused(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefitWarning)
        with pytest.raises(UnsupportedModelError, match=r"cov_prior.*m\.update\(cov_prior=None\)"):
            REFUSES[name](model())


@pytest.mark.parametrize("name", SAYS)
def test_what_is_said(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        warnings.simplefilter("always", ApproximationWarning)
        with pytest.warns(ApproximationWarning, match=r"prior.*m\.update\(cov_prior=None\)"):
            SAYS[name](model())


def test_everything_public_is_here():
    lists = [*SAME, *PENALISED, *REFITS, *REFUSES, *SAYS]
    known = {name.split(":")[0] for name in lists} | OTHERS
    functions = {n for n in mx.__all__ if n == n.lower() and not n.startswith("plot_")}
    functions |= {n for n in mx.__all__ if n[0].isupper() and hasattr(getattr(mx, n), "mro")}
    methods = {f"m.{n}" for n in dir(mx.MerMod) if not n.startswith("_")}
    properties = {f"m.{n}" for n in dir(mx.MerMod) if not callable(getattr(mx.MerMod, n))}
    assert (functions | methods) - properties - {"m.adapter"} - known == set()


@pytest.mark.parametrize("groups", ["Subject", None])
def test_influence_is_that_of_fits_with_the_prior(groups):
    sleep = mx.load_dataset("sleepstudy")
    found = model().influence(groups)
    for i in (0, 5, 17):
        left = sleep[sleep.Subject != found.levels[i]] if groups else sleep.drop(index=i)
        other = mx.lmer(FORMULA, left, cov_prior="wishart")
        close(found.thetas[i], other.theta, 1e-5, scale=0.1)
        close(found.betas[i], other.fixef().to_numpy(), 1e-7)
        at_all = model().as_function()(other.theta)
        assert found.displacement[i] >= at_all - model().opt_summary.deviance - 1e-9
    assert np.all(found.displacement >= -1e-9)


def test_influence_one_by_one_is_too():
    """Crossed factors are refitted in turn."""
    data = mx.load_dataset("penicillin")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    m = mx.lmer(formula, data, cov_prior="wishart")
    found = m.influence("sample")
    other = mx.lmer(formula, data[data["sample"] != found.levels[1]], cov_prior="wishart")
    close(found.thetas[1], other.theta, 1e-6, scale=0.1)
    assert np.all(found.displacement >= -1e-9)


def test_replicates_together_are_fits_with_the_prior():
    """Those of the batch, and those that are refitted one by one for a function."""
    together = mx.bootstrap(model(), n_sims=4, rng=2).estimates
    alone = mx.bootstrap(model(), lambda fit: [fit.sigma()], n_sims=4, rng=2).estimates
    close(together["sigma"].to_numpy(), np.asarray(alone)[:, 0], 1e-7)
    assert not mx.bootstrap(plain(), n_sims=4, rng=2).estimates.equals(together)


def test_a_refit_is_a_fit_with_the_prior():
    y = model().simulate(1, rng=2).iloc[:, 0].to_numpy()
    data = mx.load_dataset("sleepstudy").assign(Reaction=y)
    refit, direct = model().refit(y), mx.lmer(FORMULA, data, cov_prior="wishart")
    close(refit.theta, direct.theta, 1e-6, scale=0.1)
    close(refit.opt_summary.deviance, direct.opt_summary.deviance, 1e-10)


def test_satterthwaite_counts_what_the_prior_tells():
    """With a sharp prior the variances are nearly known, and degrees of freedom rise."""
    sleep, formula = mx.load_dataset("sleepstudy"), "Reaction ~ Days + (1 | Subject)"
    contrast = [[1.0, 0.0]]
    weak = mx.lmer(formula, sleep, cov_prior="wishart")
    sharp = mx.lmer(formula, sleep, cov_prior=mx.InverseWishart(500.0, 700.0))
    df = [
        float(mx.contest(m, contrast, ddf="satterthwaite", joint=False)["df"].iloc[0])
        for m in (weak, sharp)
    ]
    assert df[1] > 3.0 * df[0]


def test_all_checks_of_a_model():
    checks = mx.model_checks(model(), n_sims=20, rng=1).to_frame().set_index("check")
    assert checks.loc[["convergence", "singularity"], "ok"].all()

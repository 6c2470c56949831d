"""Every function and method on a model that keeps no rows: as in memory, or an error that helps."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from chunk_models import table

import merextras as mx
from merextras.exceptions import MerextrasError, NoRowsError

pytestmark = pytest.mark.usefixtures("quiet")

FORMULA = "y ~ x * c + (1 + I(x - 50) | g) + (1 | h)"
SMALL = "y ~ x + c + (1 | g) + (1 | h)"


@functools.cache
def data():
    return table()


@functools.cache
def rows():
    """Rows to predict for."""
    return data().dropna().iloc[:12].reset_index(drop=True)


@functools.cache
def model(streamed, formula=FORMULA, reml=True):
    return mx.lmer(formula, [data()] if streamed else data(), reml=reml)


def _other(m, formula):
    return model(not m.design.keeps_rows, formula, m.is_reml())


#: By function or method (a part after the colon tells variants apart): numbers.
SAME = {
    "all_fit": lambda m: mx.all_fit(m).to_frame().select_dtypes("number").iloc[:, 0],
    "compare": lambda m: mx.compare(m, _other(m, SMALL)),
    "check_collinearity": lambda m: mx.check_collinearity(m).to_frame(),
    "check_convergence": lambda m: mx.check_convergence(m).theta,
    "check_singularity": lambda m: mx.check_singularity(m).to_frame(),
    "contest": lambda m: mx.contest(m, np.eye(6)[1:3]),
    "contest: text": lambda m: mx.contest(m, "c[u] = c[v], x = 0", joint=False),
    "emmeans": lambda m: mx.emmeans(m, "c").to_frame(),
    "emmeans: at": lambda m: mx.emmeans(m, "c", at={"x": [45, 55]}).to_frame(),
    "emtrends": lambda m: mx.emtrends(m, "c", var="x").to_frame(),
    "exact_rlrt": lambda m: [mx.exact_rlrt(m, term="h", n_sims=50, rng=1).statistic],
    "exact_rlrt: sample": lambda m: np.sort(mx.exact_rlrt(m, term="h", n_sims=50, rng=1).sample),
    "exact_rlrt: null": lambda m: [
        mx.exact_rlrt(_other(m, SMALL), null=_other(m, "y ~ x + c + (1 | g)"), n_sims=9).statistic
    ],
    "exact_lrt": lambda m: [
        mx.exact_lrt(_other(m, "y ~ x + (1 | g)").refit_ml(), n_sims=50, rng=1).statistic
    ],
    "expected_rank": mx.expected_rank,
    "extract_dic": lambda m: [mx.extract_dic(m)],
    "fe_sim": lambda m: mx.fe_sim(m, n_sims=20, rng=1),
    "glance": mx.glance,
    "icc": lambda m: mx.icc(m).to_frame(),
    "joint_tests": mx.joint_tests,
    "kr_modcomp": lambda m: mx.kr_modcomp(m, "x = 0").to_frame().iloc[:, 1:],
    "ls_means": lambda m: mx.ls_means(m).iloc[:, 2:],
    "model_info": mx.model_info,
    "performance": mx.performance,
    "predict_interval": lambda m: mx.predict_interval(m, rows(), n_sims=20, rng=1),
    "r2": lambda m: mx.r2(m).to_frame(),
    "ranova": mx.ranova,
    "step": lambda m: mx.step(m).random,
    "ranova: exact": lambda m: mx.ranova(m, p_values="exact", n_sims=50, rng=1),
    "ranova: terms": lambda m: mx.ranova(m, reduce_terms=False),
    "re_corr_extract": mx.re_corr_extract,
    "re_extract": mx.re_extract,
    "re_impact": lambda m: mx.re_impact(m, rows(), group="h"),
    "re_margins": lambda m: mx.re_margins(m, rows(), group="h"),
    "re_sd_extract": mx.re_sd_extract,
    "re_sim": lambda m: mx.re_sim(m, n_sims=20, rng=1),
    "rmse": lambda m: [mx.rmse(m), mx.rmse(m, scale=True)],
    "sat_modcomp": lambda m: mx.sat_modcomp(m, np.eye(6)[1:3]).to_frame().iloc[:, 1:],
    "se_coef": lambda m: mx.se_coef(m)["fixef"],
    "se_fixef": mx.se_fixef,
    "se_ranef": lambda m: mx.se_ranef(m)["g"],
    "sigma_hat": lambda m: mx.sigma_hat(m).to_frame(),
    "sim": lambda m: mx.sim(m, n_sims=20, rng=1).fixef,
    "theta_extract": mx.theta_extract,
    "tidy": mx.tidy,
    "variance_decomposition": mx.variance_decomposition,
    "vcov_adj": mx.vcov_adj,
    "what_if": lambda m: mx.what_if(m, rows(), group="h", rng=1),
    "what_if: changes": lambda m: mx.what_if(m, rows(), changes={"x": [40.0, 60.0]}, rng=1),
    "what_if_average": lambda m: mx.what_if_average(m, rows(), changes={"x": [40.0, 60.0]}),
    "m.fixef": lambda m: m.fixef(),
    "m.ranef": lambda m: m.ranef(cond_var=True).to_frame(),
    "m.coef": lambda m: m.coef()["g"],
    "m.sigma": lambda m: [m.sigma()],
    "m.vcov": lambda m: m.vcov(),
    "m.var_corr": lambda m: m.var_corr().to_frame(),
    "m.re_pca": lambda m: m.re_pca().to_frame(),
    "m.confint": lambda m: m.confint(method="wald", parm="beta_"),
    "m.confint: profile": lambda m: m.confint(parm="theta_"),
    "m.profile": lambda m: m.profile(["sigma"]).confint(0.9),
    "m.summary": lambda m: m.summary().coefficients,
    "m.log_lik": lambda m: [m.log_lik()],
    "m.deviance": lambda m: [m.deviance()],
    "m.reml_crit": lambda m: [m.reml_crit()],
    "m.aic": lambda m: [m.aic()],
    "m.bic": lambda m: [m.bic()],
    "m.extract_aic": lambda m: m.extract_aic(),
    "m.df_residual": lambda m: [m.df_residual()],
    "m.nobs": lambda m: [m.nobs()],
    "m.ngrps": lambda m: m.ngrps(),
    "m.as_function": lambda m: [m.as_function()(1.1 * m.theta)],
    "m.anova": lambda m: m.anova(),
    "m.anova: type 1": lambda m: m.anova(type=1, ddf="satterthwaite"),
    "m.anova: type 2": lambda m: m.anova(type=2, ddf="satterthwaite"),
    "m.anova: models": lambda m: m.anova(_other(m, SMALL), names=["large", "small"]),
    "m.anova: as they are": lambda m: _other(m, SMALL).anova(
        _other(m, "y ~ x + c + (1 | g)"), refit=False
    ),
    "m.drop1": lambda m: m.drop1(),
    "m.predict": lambda m: m.predict(rows(), se_fit=True, interval="prediction"),
    "m.predict: df": lambda m: m.predict(rows(), se_fit=True, ddf="satterthwaite", adjust=True),
    "m.simulate: newdata": lambda m: m.simulate(2, newdata=rows(), rng=1),
    "m.hat_trace": lambda m: [m.hat_trace()],
    "m.is_reml": lambda m: [m.is_reml()],
    "m.is_lmm": lambda m: [m.is_lmm()],
    "m.is_glmm": lambda m: [m.is_glmm()],
    "m.is_nlmm": lambda m: [m.is_nlmm()],
    "m.is_singular": lambda m: [m.is_singular()],
    "m.get_me": lambda m: m.get_me("Lambdat").toarray()[:4, :4],
    "m.get_me: Gp": lambda m: m.get_me("Gp"),
    "m.get_l": lambda m: m.get_l().toarray()[:5, :5],
    "m.block_description": lambda m: m.block_description().select_dtypes("number"),
    "m.refit_ml": lambda m: [m.refit_ml().deviance()],
    "m.update": lambda m: m.update(". ~ . - x:c").fixef(),
    "m.update: reml": lambda m: m.update(reml=False).fixef(),
}

#: The same words.
TEXT = {
    "compare_table": mx.compare_table,
    "re_quantile": lambda m: mx.re_quantile(m, 0.5, group="h"),
    "display": mx.display,
    "fast_display": mx.fast_display,
    "m.formula": lambda m: m.formula(),
    "m.terms": lambda m: m.terms(),
    "m.family": lambda m: m.family(),
    "m.call": lambda m: m.call(),
}

#: Random numbers of their own: the same distribution, other draws; see `test_streamed_draws`.
RANDOM = {
    "bootstrap": lambda m: mx.bootstrap(m, n_sims=4, rng=1).estimates,
    "m.confint: boot": lambda m: m.confint(method="boot", n_sims=4, rng=1),
    "ranova: bootstrap": lambda m: mx.ranova(m, p_values="bootstrap", n_sims=4, rng=1),
    "pb_modcomp": lambda m: mx.pb_modcomp(
        m, _other(m, "y ~ x + (1 + I(x - 50) | g) + (1 | h)"), n_sims=4, rng=1
    ).to_frame(),
    "power": lambda m: mx.power(m, "x", n_sims=4, rng=1).p_values,
    "icc: intervals": lambda m: mx.icc(m, ci="bootstrap", n_sims=4, rng=1).to_frame(),
}

NEEDS_ROWS = {
    "cross_validate": lambda m: mx.cross_validate(m, by="h"),
    "augment": mx.augment,
    "average_obs": mx.average_obs,
    "bootstrap: residuals": lambda m: mx.bootstrap(m, kind="semiparametric", n_sims=2),
    "bootstrap: cases": lambda m: mx.bootstrap(m, kind="cases", n_sims=2),
    "check_heteroscedasticity": mx.check_heteroscedasticity,
    "check_model": mx.check_model,
    "check_normality": mx.check_normality,
    "check_outliers": mx.check_outliers,
    "check_predictions": mx.check_predictions,
    "draw": lambda m: mx.draw(m, rng=1),
    "m.vcov: robust": lambda m: m.vcov(kind="CR2"),
    "emmeans: weights": lambda m: mx.emmeans(m, "x", weights="proportional"),
    "find_form_funs": mx.find_form_funs,
    "model_checks": mx.model_checks,
    "qq_residuals": mx.qq_residuals,
    "random_obs": lambda m: mx.random_obs(m, rng=1),
    "residual_table": mx.residual_table,
    "shrinkage": lambda m: mx.shrinkage(m, group="g"),
    "sim_fitted": lambda m: mx.sim_fitted(m, mx.sim(m, n_sims=2, rng=1)),
    "standardize": mx.standardize,
    "sub_boot": lambda m: mx.sub_boot(m, n_sims=4, rng=1),
    "what_if_spread": lambda m: mx.what_if_spread(m, rows(), group="h"),
    "m.fitted": lambda m: m.fitted(),
    "m.residuals": lambda m: m.residuals(),
    "m.predict: own rows": lambda m: m.predict(),
    "m.simulate": lambda m: m.simulate(rng=1),
    "m.hatvalues": lambda m: m.hatvalues(),
    "m.rstudent": lambda m: m.rstudent(),
    "m.cooks_distance": lambda m: m.cooks_distance(),
    "m.influence": lambda m: m.influence(),
    "m.influence: groups": lambda m: m.influence("g"),
    "m.plot": lambda m: m.plot(),
    "m.qqmath": lambda m: m.qqmath(),
    "m.model_frame": lambda m: m.model_frame(),
    "m.model_matrix": lambda m: m.model_matrix(),
    "m.weights": lambda m: m.weights(),
    "m.get_me: X": lambda m: m.get_me("X"),
    "m.refit": lambda m: m.refit(np.zeros(3)),
    "m.to_statsmodels": lambda m: m.to_statsmodels(),
}

#: Functions that take no model, make one, or refuse any; results that draw; R's spellings.
OTHERS = {
    "extend",
    "make_model",
    "power_curve",  # needs the rows to have more or fewer of them, and says so
    "Gamma",
    "InverseWishart",
    "GlmerMod",
    "LmerControl",
    "MerMod",
    "ModelList",
    "ModelProducts",
    "cross_products",
    "explore",
    "check_laplace",
    "check_overdispersion",
    "check_zero_inflation",
    "for_summary_col",
    "glmer",
    "glmer_list",
    "glmer_nb",
    "median_odds_ratio",
    "icc_from_data",
    "lmer",
    "lm_list",
    "lmer_list",
    "load_bootstrap",
    "load_cross_products",
    "load_dataset",
    "lrt_sim",
    "mcsamp",
    "report",
    "rlrt_sim",
    "stream_rows",
    "super_factor",
    "Wishart",
    "wiggle",
    "xyplot",
    "m.from_cross_products",
}


def _numbers(found):
    if hasattr(found, "to_frame") and not isinstance(found, (pd.Series, pd.DataFrame)):
        found = found.to_frame()
    if isinstance(found, pd.DataFrame):
        found = found.select_dtypes(["number", "bool"])
    return np.asarray(found, dtype=float)


@pytest.mark.parametrize("name", SAME)
def test_as_in_memory(name):
    found, expected = SAME[name](model(True)), SAME[name](model(False))
    if isinstance(found, (pd.Series, pd.DataFrame)):
        assert list(map(str, found.index)) == list(map(str, expected.index))
    found, expected = _numbers(found), _numbers(expected)
    assert found.size > 0
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", TEXT)
def test_the_same_words(name):
    assert repr(TEXT[name](model(True))) == repr(TEXT[name](model(False)))


@pytest.mark.parametrize("name", RANDOM)
def test_draws(name):
    found = RANDOM[name](model(True))
    assert _numbers(found).shape == _numbers(RANDOM[name](model(False))).shape
    np.testing.assert_array_equal(_numbers(found), _numbers(RANDOM[name](model(True))))


@pytest.mark.parametrize("name", NEEDS_ROWS)
def test_what_needs_rows_says_so(name):
    with pytest.raises(NoRowsError, match=r"keeps no rows.*stream_rows\(m, source\)"):
        NEEDS_ROWS[name](model(True))


def test_everything_public_is_here():
    known = {name.split(":")[0] for name in [*SAME, *TEXT, *RANDOM, *NEEDS_ROWS]} | OTHERS
    functions = {n for n in mx.__all__ if n == n.lower() and not n.startswith("plot_")}
    functions |= {n for n in mx.__all__ if n[0].isupper() and hasattr(getattr(mx, n), "mro")}
    methods = {f"m.{n}" for n in dir(mx.MerMod) if not n.startswith("_")}
    properties = {f"m.{n}" for n in dir(mx.MerMod) if not callable(getattr(mx.MerMod, n))}
    own = {"m.adapter"}
    assert (functions | methods) - properties - own - known == set()


def test_a_model_without_rows_and_one_with_them():
    with pytest.raises(NoRowsError, match="can't be compared. Fit both in the same way"):
        model(True).anova(model(False, SMALL))
    with pytest.raises(MerextrasError, match="can't be compared"):
        mx.exact_rlrt(model(True, SMALL), null=model(False, "y ~ x + c + (1 | g)"))

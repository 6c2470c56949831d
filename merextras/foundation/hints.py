"""Suggestions in the messages of `AttributeError`, for names of other packages.

The first guess of someone who comes from statsmodels, lme4, arm or merTools is that package's name.
Three sources, asked in this order, answer it: the two tables below, which hold what has another
name here; the names that exist, but elsewhere (a method asked of the package, a function of the
package asked of a model); and the table of R's spellings in `merextras.r`. What is none of these
gets the nearest name, if one is near.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

__all__ = ["MODEL", "PACKAGE", "PLOTS", "of_model", "of_package"]

#: Asked of a model: statsmodels' names of a MixedLMResults, then the slots of lme4's merMod.
MODEL: Mapping[str, str] = MappingProxyType(
    {
        "params": "`m.fixef()` for the fixed effects, `m.var_corr()` for the variances",
        "fe_params": "`m.fixef()`",
        "bse": "`mx.se_fixef(m)`, or `m.summary().coefficients['std_error']`",
        "bse_fe": "`mx.se_fixef(m)`",
        "bse_re": "`m.confint(parm='theta_')`, by profile: a standard error of a variance misleads",
        "tvalues": "`m.summary().coefficients['statistic']`",
        "pvalues": "`m.summary(ddf='satterthwaite').coefficients['p_value']`",
        "use_t": "`m.summary(ddf='satterthwaite')`",
        "conf_int": "`m.confint()`, by profile, or `m.confint(method='wald')`",
        "cov_params": "`m.vcov()`",
        "normalized_cov_params": "`m.vcov()`",
        "llf": "`m.log_lik()`",
        "llnull": "`m.anova(other)`",
        "resid": "`m.residuals()`",
        "fittedvalues": "`m.fitted()`",
        "random_effects": "`m.ranef()`, a frame for each grouping factor",
        "random_effects_cov": "`m.ranef().post_var`, or `mx.se_ranef(m)`",
        "cov_re": "`m.var_corr()`, a frame for each grouping factor",
        "cov_re_unscaled": "`m.get_me('Tlist')`, whose products T T' it is",
        "vcomp": "`m.var_corr().to_frame()`",
        "scale": "`m.sigma() ** 2`",
        "df_resid": "`m.df_residual()`",
        "df_model": "`len(m.fixef())`",
        "df_modelwc": "`m.nobs() - m.df_residual()`",
        "k_fe": "`len(m.fixef())`",
        "converged": "`m.opt_summary.converged`, or `mx.check_convergence(m)`",
        "hist": "`m.opt_summary`",
        "t_test": "`mx.contest(m, {'Days': 1})`, with Satterthwaite's degrees of freedom",
        "f_test": "`mx.contest(m, L)` with a row of L for each contrast",
        "wald_test": "`mx.contest(m, L)` with a row of L for each contrast",
        "t_test_pairwise": "`mx.emmeans(m, 'factor').contrasts()`",
        "wald_test_terms": "`m.anova(ddf='satterthwaite')`",
        "compare_lr_test": "`m.anova(other)`",
        "get_prediction": "`m.predict(newdata, se_fit=True)`, or "
        "`m.predict(newdata, interval='prediction')`",
        "get_influence": "`m.influence('group')`, `m.hatvalues()`, `m.cooks_distance()`",
        "outlier_test": "`mx.check_outliers(m)`",
        "profile_re": "`m.profile(which='theta_')`",
        "model": "`m.model_frame()`, `m.model_matrix()`, `m.formula()`",
        "endog": "`m.get_me('y')`",
        "exog": "`m.model_matrix()`",
        "exog_re": "`m.get_me('Z')`",
        "groups": "`m.get_me('flist')`",
        "group_labels": "`m.ranef()['group'].index`",
        "data": "`m.model_frame()`",
        "summary2": "`m.summary()`",
        "summary_frame": "`mx.tidy(m)`",
        "as_latex": "`mx.compare_table(m).to_latex()`",
        "as_html": "`mx.compare_table(m).to_html()`",
        "plot_partial_residuals": "`m.plot()`, `mx.check_model(m)`",
        "save": "`pickle.dump(m, file)`",
        "remove_data": "`pickle.dump(m, file)`: a model needs its rows",
        "fit": "`m.refit(y)` for another response, `m.update(...)` for another formula or data",
        "beta": "`m.fixef()`, or `m.get_me('beta')` without names",
        "b": "`m.ranef()`, or `m.get_me('b')` without names",
        "u": "`m.get_me('u')`",
        "lower": "`m.get_me('lower')`",
        "frame": "`m.model_frame()`",
        "flist": "`m.get_me('flist')`",
        "cnms": "`m.get_me('cnms')`",
        "Gp": "`m.get_me('Gp')`",
        "resp": "`m.get_me('resp')`",
        "pp": "`m.get_me('pp')`",
        "devcomp": "`m.get_me('devcomp')`",
        "optinfo": "`m.get_me('optinfo')`, `m.opt_summary`",
        "X": "`m.model_matrix()`, or `m.get_me('X')`",
        "Z": "`m.model_matrix('random')`, or `m.get_me('Z')`",
        "y": "`m.get_me('y')`",
        "varcor": "`m.var_corr()`",
        "coefficients": "`m.fixef()`, or `m.summary().coefficients`",
        "r_squared": "`mx.r2(m)`",
        "rsquared": "`mx.r2(m)`, Nakagawa's",
        "caterpillar": "`mx.plot_ranef(m.ranef())`",
    }
)

#: Asked of the package: names of other packages that are spelt differently here.
PACKAGE: Mapping[str, str] = MappingProxyType(
    {
        "mixedlm": "`mx.MerMod(smf.mixedlm(...).fit())`, or `mx.lmer(formula, data)`",
        "MixedLM": "`mx.MerMod(smf.mixedlm(...).fit())`, or `mx.lmer(formula, data)`",
        "Lmer": "`mx.lmer(formula, data)`",
        "lme": "`mx.lmer(formula, data)`",
        "fit": "`mx.lmer(formula, data)`, or `mx.MerMod(fit)` of a statsmodels fit",
        "anova_lm": "`m.anova(other)`, or `m.anova(ddf='satterthwaite')`",
        "summary_col": "`mx.compare_table(a, b)`",
        "stargazer": "`mx.compare_table(a, b).to_latex()`",
        "tab_model": "`mx.compare_table(a, b)`",
        "check_singular": "`mx.check_singularity(m)`",
        "ggpredict": "`mx.emmeans(m, 'factor')`, `m.predict(newdata, se_fit=True)`",
        "lsmeans": "`mx.emmeans(m, 'factor')`",
        "difflsmeans": "`mx.emmeans(m, 'factor').contrasts()`",
        "caterpillar": "`mx.plot_ranef(m.ranef())`",
        "plot_caterpillar": "`mx.plot_ranef(m.ranef())`",
        "plot_random_effects": "`mx.plot_ranef(m.ranef())`",
        "plot_model": "`mx.plot_coef(m.summary().coefficients)`, `mx.plot_ranef(m.ranef())`",
        "plot": "`m.plot()`, `mx.check_model(m)`",
        "data": "`mx.load_dataset('sleepstudy')`",
        "lmList": "`mx.shrinkage(m)`, which has the fits to each level's own rows",
        "prediction_interval": "`m.predict(newdata, interval='prediction')`, or by simulation "
        "`mx.predict_interval(m, newdata)`",
        "swap": "`mx.what_if(m, cases, 'group')`",
        "shinyMer": "`mx.explore(m)`",
    }
)


#: What each figure draws, and the call that makes it of a model.
PLOTS: Mapping[str, str] = MappingProxyType(
    {
        "plot_coef": "plot_coef(m.summary().coefficients)",
        "plot_emmeans": "plot_emmeans(mx.emmeans(m, 'factor'))",
        "plot_exact_test": "plot_exact_test(mx.exact_rlrt(m))",
        "plot_expected_rank": "plot_expected_rank(mx.expected_rank(m))",
        "plot_fe_sim": "plot_fe_sim(mx.fe_sim(m))",
        "plot_fitted": "plot_fitted(mx.residual_table(m))",
        "plot_influence": "plot_influence(m.influence('group'))",
        "plot_model_check": "plot_model_check(mx.model_checks(m))",
        "plot_power_curve": "plot_power_curve(mx.power_curve(m, 'x', ...))",
        "plot_predictions": "plot_predictions(m.predict(newdata, interval='prediction'))",
        "plot_profile_density": "plot_profile_density(m.profile())",
        "plot_profile_pairs": "plot_profile_pairs(m.profile())",
        "plot_profile_zeta": "plot_profile_zeta(m.profile())",
        "plot_qq": "plot_qq(mx.qq_residuals(m))",
        "plot_qqmath": "plot_qqmath(m.ranef())",
        "plot_ranef": "plot_ranef(m.ranef())",
        "plot_re_correlation": "plot_re_correlation(m.ranef(), m.var_corr())",
        "plot_re_impact": "plot_re_impact(mx.re_impact(m, cases))",
        "plot_re_sim": "plot_re_sim(mx.re_sim(m))",
        "plot_residuals": "plot_residuals(mx.residual_table(m))",
        "plot_shrinkage": "plot_shrinkage(mx.shrinkage(m))",
        "plot_what_if": "plot_what_if(mx.what_if(m, cases, 'group'))",
        "xyplot": "xyplot(data, y, xs, by)",
    }
)


def of_model(owner: str, name: str, own: Iterable[str]) -> str:
    """The message for an attribute that a model does not have.

    Parameters
    ----------
    owner : str
        Name of its class.
    name : str
        What was asked for.
    own : iterable of str
        What the model has.
    """
    methods, functions = set(_public(own)), set(_public(import_module("merextras").__all__))
    known = MODEL.get(name) or (_call(name) if name in functions else _spelt(name, methods))
    near = _near(name, [*methods, *functions])
    if known is None and near is not None:
        known = f"`m.{near}()`" if near in methods else _call(near)
    return _message(f"{owner!r} object", name, known)


def of_package(name: str, public: Iterable[str]) -> str:
    """The message for a name that the package does not have; `public` are those that it has."""
    names = list(public)
    methods = set(_public(dir(import_module("merextras.mermod").MerMod)))
    known = PACKAGE.get(name) or (f"`m.{name}()`" if name in methods else _spelt(name, methods))
    known = known or MODEL.get(name)
    near = _near(name, names)
    if known is None and near is not None:
        known = f"`mx.{near}`"
    return _message("module 'merextras'", name, known)


def _message(owner: str, name: str, known: str | None) -> str:
    """Python's own sentence, and what to write."""
    return f"{owner} has no attribute {name!r}" + (f"; write {known}" if known else "")


def _public(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith("_")]


def _call(name: str) -> str:
    """How a function of the package is called with a model: with what it needs besides."""
    if name in PLOTS:
        return f"`mx.{PLOTS[name]}`"
    parameters = list(
        inspect.signature(getattr(import_module("merextras"), name)).parameters.values()
    )
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters[1:] if p.default is p.empty and p.kind not in kinds]
    return f"`mx.{name}({', '.join(['m', *needed])})`"


def _spelt(name: str, methods: set[str]) -> str | None:
    """What a name of R's is here: by the table of R's names, or else in snake_case."""
    table: Mapping[str, Any] = import_module("merextras.r").TABLE
    dotted = {r.replace(".", "_"): spelling.ours for r, spelling in table.items()}
    if name in dotted:
        ours = str(dotted[name])
        own = ours if ours.startswith(("m.", "means.")) else f"mx.{ours}"
        return f"`{own}`, or R's own `merextras.r.{name}`"
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return f"`m.{snake}()`" if snake in methods else None


def _near(name: str, names: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.75)
    return near[0] if near else None

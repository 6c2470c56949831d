"""R's spellings, for those who know them: ``from merextras.r import VarCorr, getME, refitML``.

Each name below is a function that calls the one named beside it, on a `MerMod` or on statsmodels'
own fit. There is no second implementation: `TABLE` holds the names, and R's keywords where they
differ from ours, which work too.

The rule for what R spells with dots, names and keywords alike: a dot becomes an underscore, and
nothing else changes. ``se.fixef(m)`` is ``se_fixef(m)``, ``model.frame(m)`` is ``model_frame(m)``,
``predict(m, re.form = NA)`` is ``predict(m, re_form="NA")``. Formulas and names are strings,
``TRUE`` is ``True``, and what R reaches with ``@`` or ``$`` is an attribute, an item or
``getME(m, "...")``.

Examples
--------
>>> import merextras as mx
>>> from merextras.r import REsim, VarCorr, fixef, getME, ranef, refitML
>>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
>>> fixef(m).round(2).to_dict()
{'Intercept': 251.41, 'Days': 10.47}
>>> getME(refitML(m), "theta").round(4)
array([0.9292, 0.0182, 0.2226])
>>> ranef(m, condVar=True, whichel="Subject")["Subject"].head(1).round(2)
         Intercept  Days
Subject
308           2.26   9.2
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from merextras.exceptions import InvalidArgumentError
from merextras.r_idioms.links import family_of_r
from merextras.r_idioms.spelling import Spelling, function_of, idiom, method, of_means

_LRT = {"nsim": "n_sims", "seed": "rng"}
_NULL = {"X": "x", "Z": "z", "sqrt_Sigma": "sqrt_sigma", **_LRT}

#: R's name -> what it stands for.
_BOOT = {"x": "m", "FUN": "func", "nsim": "n_sims", "seed": "rng", "type": "kind"}
_MODCOMP = {"largeModel": "large", "smallModel": "small"}
_PB = {**_MODCOMP, "nsim": "n_sims", "seed": "rng"}
_SIMR = {"fit": "m", "nsim": "n_sims", "seed": "rng"}
_PLOT = {
    "dat": "data", "var": "stat", "sigmaScale": "sigma_scale", "oddsRatio": "odds_ratio",
}  # fmt: skip
_MERTOOLS = {"merMod": "m", "groupFctr": "group"}
_SIM = {"merMod": "m", "nsims": "n_sims", "seed": "rng"}
_DRAW = {"merMod": "m", "varList": "var_list"}
#: Rooms of which several functions are taken.
_CASES, _ASSUMPTIONS = "prediction.cases", "diagnostics.assumptions"
_BROOM = {"x": "m", "conf_level": "level", "ddf_method": "ddf", "nsim": "n_sims", "seed": "rng"}
TABLE: dict[str, Spelling] = {
    # Fitting
    "lmer": idiom("lmer(...)", "fitting.lmer", REML="reml"),
    "glmer": idiom("glmer(...)", "fitting.glmer", nAGQ="n_agq"),
    "glmer.nb": function_of("glmermod", "glmer_nb", nAGQ="n_agq"),
    "lmList": function_of("inference.each_group.lm_list", "lm_list"),
    "lmerControl": idiom("LmerControl(...)", "fitting.lmer_control"),
    "glmerControl": idiom("LmerControl(...)", "fitting.glmer_control"),
    # The estimates, from lme4
    "fixef": method("fixef"),
    "ranef": method("ranef", condVar="cond_var", whichel="groups"),
    "coef": method("coef"),
    "sigma": method("sigma"),
    "vcov": method("vcov"),
    "vcovCR": method("vcov", type="kind"),
    "VarCorr": method("var_corr"),
    "rePCA": method("re_pca"),
    "confint": idiom(
        "m.confint()",
        "estimates.confint",
        object="m",
        oldNames="old_names",
        nsim="n_sims",
        seed="rng",
    ),
    "profile": method("profile", prof_scale="scale"),
    "summary": idiom("m.summary()", "estimates.summary", object="m"),
    # The likelihood
    "logLik": method("log_lik", REML="reml"),
    "deviance": idiom("m.deviance()", "scales.deviance", object="m", REML="reml"),
    "REMLcrit": method("reml_crit"),
    "AIC": idiom("m.aic()", "estimates.aic", object="m"),
    "BIC": idiom("m.bic()", "estimates.bic", object="m"),
    "extractAIC": method("extract_aic"),
    "df.residual": method("df_residual"),
    "nobs": method("nobs"),
    "ngrps": method("ngrps"),
    "as.function": method("as_function"),
    # Tests, from lme4, lmerTest and pbkrtest
    "anova": idiom("m.anova()", "estimates.anova", object="m", model_names="names"),
    "drop1": method("drop1"),
    "contest": function_of("inference.fixed_effects.contest", "contest", model="m"),
    "ls_means": function_of(
        "inference.means.ls_means", "ls_means", model="m", pairwise="differences"
    ),
    "ranova": function_of("inference.comparison.ranova", "ranova", model="m"),
    "step": function_of("inference.comparison.step", "step", object="m"),
    "rand": function_of("inference.comparison.ranova", "ranova", model="m"),
    "vcovAdj": function_of("inference.ddf.kenward_roger", "vcov_adj", object="m"),
    # Row by row
    "fitted": method("fitted"),
    "residuals": method("residuals"),
    "resid": method("residuals"),
    "hatvalues": method("hatvalues"),
    "rstudent": method("rstudent"),
    "cooks.distance": method("cooks_distance"),
    "influence": method("influence"),
    "dfbeta": function_of("diagnostics.case_deletion.influence", "dfbeta", model="influence"),
    "dfbetas": function_of("diagnostics.case_deletion.influence", "dfbetas", model="influence"),
    "predict": idiom("m.predict()", "scales.predict", object="m"),
    "simulate": method("simulate", nsim="n_sims", seed="rng"),
    # What the model is
    "formula": method("formula"),
    "terms": method("terms"),
    "model.frame": method("model_frame"),
    "getData": method("model_frame"),
    "model.matrix": method("model_matrix", type="which"),
    "family": method("family"),
    "weights": method("weights"),
    "getCall": method("call"),
    "getME": method("get_me"),
    "slotNames": idiom("m.get_me()", "estimates.slot_names"),
    "getL": method("get_l"),
    "isREML": method("is_reml"),
    "isLMM": method("is_lmm"),
    "isGLMM": method("is_glmm"),
    "isNLMM": method("is_nlmm"),
    "isSingular": method("is_singular"),
    # Fitting again
    "refit": method("refit", newresp="y"),
    "refitML": method("refit_ml"),
    "update": method("update", REML="reml"),
    "allFit": function_of("inference.all_fit", "all_fit", object="m"),
    "bootMer": function_of("inference.intervals.bootstrap", "bootstrap", **_BOOT),
    # pbkrtest
    "PBmodcomp": function_of("inference.comparison.pb_modcomp", "pb_modcomp", **_PB),
    "KRmodcomp": function_of("inference.comparison.f_modcomp", "kr_modcomp", **_MODCOMP),
    "SATmodcomp": function_of("inference.comparison.f_modcomp", "sat_modcomp", **_MODCOMP),
    # simr
    "powerSim": function_of("inference.planning.power", "power", **_SIMR),
    "powerCurve": function_of(
        "inference.planning.power_curve", "power_curve", breaks="values", **_SIMR
    ),
    "extend": function_of("inference.planning.extend", "extend", object="data"),
    "makeLmer": function_of("inference.planning.make_model", "make_model", VarCorr="var_corr"),
    "makeGlmer": function_of("inference.planning.make_model", "make_model", VarCorr="var_corr"),
    # arm
    "sim": function_of("simulation.sim", "sim", seed="rng"),
    "display": function_of("inference.arm.display", "display"),
    "se.fixef": function_of("inference.arm.standard_errors", "se_fixef"),
    "se.ranef": function_of("inference.arm.standard_errors", "se_ranef"),
    "se.coef": function_of("inference.arm.standard_errors", "se_coef"),
    "sigma.hat": function_of("inference.arm.standard_errors", "sigma_hat"),
    "extractDIC": function_of("inference.arm.dic", "extract_dic"),
    "standardize": function_of("inference.arm.standardize", "standardize"),
    "mcsamp": function_of("simulation.mcsamp", "mcsamp"),
    # RLRsim
    "exactLRT": function_of(
        "inference.variance_tests.exact_lrt", "exact_lrt", m="model", m0="null", **_LRT
    ),
    "exactRLRT": function_of(
        "inference.variance_tests.exact_rlrt", "exact_rlrt", m="model", mA="full", m0="null", **_LRT
    ),
    "LRTSim": function_of("distributions.rlrt_null", "lrt_sim", **_NULL),
    "RLRTSim": function_of("distributions.rlrt_null", "rlrt_sim", **_NULL),
    # merTools and the tutorial
    "REsim": replace(
        function_of(
            "simulation.re_sim", "re_sim", whichel="groups", oddsRatio="odds_ratio", **_SIM
        ),
        also={"x": "m"},
    ),
    "FEsim": replace(
        function_of("simulation.re_sim", "fe_sim", oddsRatio="odds_ratio", **_SIM), also={"x": "m"}
    ),
    "predictInterval": idiom(
        "predict_interval(...)",
        "scales.predict_interval_of",
        merMod="m",
        returnSims="return_sims",
        seed="rng",
    ),
    "plotREsim": function_of("plots", "plot_re_sim", labs="labels", **_PLOT),
    "plotFEsim": function_of("plots", "plot_fe_sim", **_PLOT),
    "lmerModList": function_of("model_list", "lmer_list", data="datasets"),
    "glmerModList": function_of("model_list", "glmer_list", data="datasets", nAGQ="n_agq"),
    "blmerModList": idiom("lmer_list(...)", "fitting.blmer_list", data="datasets"),
    "modelFixedEff": function_of("model_list", "ModelList.pool"),
    "modelRandEffStats": function_of("model_list", "ModelList.re_stats"),
    "expectedRank": function_of("prediction.ranks.expected_rank", "expected_rank", **_MERTOOLS),
    "REimpact": idiom("re_impact(...)", "verbs.re_impact_of", seed="rng", **_MERTOOLS),
    "REmargins": function_of("prediction.ranks.re_margins", "re_margins", **_MERTOOLS),
    "REquantile": function_of("accessors.extract", "re_quantile", **_MERTOOLS),
    "REextract": function_of("accessors.extract", "re_extract", merMod="m"),
    "thetaExtract": function_of("accessors.extract", "theta_extract", merMod="m"),
    "REsdExtract": function_of("accessors.extract", "re_sd_extract", model="m"),
    "REcorrExtract": function_of("accessors.extract", "re_corr_extract", model="m"),
    "modelInfo": function_of("accessors.extract", "model_info", object="m"),
    "averageObs": function_of(f"{_CASES}.observations", "average_obs", **_DRAW, origData="data"),
    "randomObs": function_of(f"{_CASES}.observations", "random_obs", **_DRAW, seed="rng"),
    "draw": function_of(
        f"{_CASES}.observations", "draw", object="m", varList="var_list", seed="rng"
    ),
    "findFormFuns": function_of(
        f"{_CASES}.observations", "find_form_funs", merMod="m", origData="data"
    ),
    "wiggle": function_of(
        f"{_CASES}.wiggle", "wiggle", varlist="var_list", valueslist="values_list"
    ),
    "superFactor": function_of(f"{_CASES}.wiggle", "super_factor", fullLev="full_levels"),
    "RMSE": function_of("diagnostics.residuals.rmse", "rmse", merMod="m"),
    "ICC": function_of("inference.variance_shares.icc_from_data", "icc_from_data"),
    "subBoot": function_of(
        "inference.intervals.sub_boot", "sub_boot", merMod="m", FUN="func", R="n_sims", seed="rng"
    ),
    "fastdisp": function_of("inference.arm.display", "fast_display", x="m"),
    "plotREimpact": function_of("plots", "plot_re_impact", data="impact"),
    "shinyMer": function_of("app.explore", "explore", merMod="m", simData="data"),
    # performance
    "r2_nakagawa": function_of(
        "inference.variance_shares.r2", "r2", model="m", iterations="n_sims"
    ),
    "icc": function_of("inference.variance_shares.icc", "icc", model="m", iterations="n_sims"),
    "get_variance": function_of(
        "inference.variance_shares.variance_decomposition", "variance_decomposition", x="m"
    ),
    "model_performance": function_of("inference.comparison.performance", "performance", model="m"),
    "compare_performance": function_of("inference.comparison.performance", "compare"),
    "check_collinearity": function_of(f"{_ASSUMPTIONS}.collinearity", "check_collinearity", x="m"),
    "check_convergence": function_of(
        "diagnostics.estimation.convergence", "check_convergence", x="m"
    ),
    "check_heteroscedasticity": function_of(
        f"{_ASSUMPTIONS}.heteroscedasticity", "check_heteroscedasticity", x="m"
    ),
    "check_model": function_of("checking", "check_model", x="m"),
    "check_normality": function_of(
        f"{_ASSUMPTIONS}.normality", "check_normality", x="m", effects="what"
    ),
    "check_outliers": function_of(f"{_ASSUMPTIONS}.outliers", "check_outliers", x="m"),
    "check_overdispersion": function_of(
        f"{_ASSUMPTIONS}.dispersion", "check_overdispersion", x="m"
    ),
    "check_zeroinflation": function_of(f"{_ASSUMPTIONS}.dispersion", "check_zero_inflation", x="m"),
    "check_predictions": function_of(
        f"{_ASSUMPTIONS}.predictions", "check_predictions", object="m", iterations="n_sims"
    ),
    "check_singularity": function_of(
        "diagnostics.estimation.singularity", "check_singularity", x="m", tolerance="tol"
    ),
    # broom.mixed
    "tidy": idiom("tidy(...)", "verbs.tidy_of", **_BROOM),
    "glance": function_of("tables.glance", "glance", x="m"),
    "augment": function_of("tables.augment", "augment", x="m"),
    # emmeans
    "emmeans": idiom("emmeans(...)", "verbs.emmeans_of", object="m", lmer_df="ddf"),
    "emtrends": idiom("emtrends(...)", "verbs.emtrends_of", object="m", lmer_df="ddf"),
    "joint_tests": function_of(
        "inference.means.joint_tests", "joint_tests", object="m", lmer_df="ddf"
    ),
    "contrast": of_means("contrasts", object="self"),
    "pairs": of_means("contrasts", x="self"),
    "test": of_means("test", object="self"),
    "cld": of_means("cld", object="self"),
    "emmip": function_of("plots", "plot_emmeans", object="means"),
    # lattice
    "dotplot": function_of("plots", "plot_ranef", x="ranef", main="title"),
    "densityplot": function_of("plots", "plot_profile_density", x="profile", main="title"),
    "splom": function_of("plots", "plot_profile_pairs", x="profile", main="title"),
    "qqmath": idiom("m.qqmath()", "figures.qqmath"),
    "plot": idiom("m.plot()", "figures.plot"),
    "coefplot": function_of("plots", "plot_coef", object="coefs", main="title"),
    "xyplot": idiom("xyplot(...)", "figures.xyplot"),
    # R itself
    "as.data.frame": idiom("result.to_frame()", "verbs.as_data_frame"),
    "print": idiom("print(...)", "verbs.print_"),
    "show": idiom("print(...)", "verbs.show"),
}

_NAMES = {name.replace(".", "_"): name for name in TABLE}
__all__ = sorted(_NAMES)  # noqa: PLE0605 (made from the table)


# Not decorated: a type checker reads from it what ``from merextras.r import ranef`` is.
def __getattr__(name: str) -> Callable[..., Any]:
    if name not in _NAMES:
        near = difflib.get_close_matches(name, __all__, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    return _spelt(name)


def __dir__() -> list[str]:
    return [*__all__, "TABLE", "Spelling"]


@functools.cache
def _spelt(name: str) -> Callable[..., Any]:
    """Make the function of a name of `__all__`."""
    r_name, spelling = _NAMES[name], TABLE[_NAMES[name]]
    target, keywords = spelling.find(), spelling.keywords
    known = {**spelling.also, **keywords}
    signature = inspect.signature(target)
    family = (
        list(signature.parameters).index("family") if "family" in signature.parameters else None
    )

    @functools.wraps(target)
    def function(*args: Any, **kwargs: Any) -> Any:
        ours = {known.get(key, key): value for key, value in kwargs.items()}
        if len(ours) < len(kwargs):
            raise InvalidArgumentError(f"{name}: an argument is given by R's name and by ours")
        if "family" in ours:
            ours["family"] = family_of_r(ours["family"])
        elif family is not None and len(args) > family:
            args = (*args[:family], family_of_r(args[family]), *args[family + 1 :])
        return target(*args, **ours)

    theirs = {own: key for key, own in keywords.items()}
    parameters = [p.replace(name=theirs.get(p.name, p.name)) for p in signature.parameters.values()]
    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    setattr(function, "__signature__", signature.replace(parameters=parameters))  # noqa: B010
    others = ", ".join(f"``{key}`` is `{own}`" for key, own in known.items())
    head = f"R's ``{r_name}``: ``{spelling.ours}``." + (f" Keywords: {others}." if others else "")
    function.__doc__ = f"{head}\n\n{inspect.getdoc(target) or ''}"
    return function


def _listed() -> str:
    """Lay out R's names and ours as a table of reStructuredText."""
    rows = [("R", "here", "in Python")]
    rows += [(f"``{r}``", f"``{name}``", f"``{TABLE[r].ours}``") for name, r in _NAMES.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    rule = "  ".join("=" * width for width in widths)
    laid = [[c.ljust(w) for c, w in zip(row, widths, strict=True)] for row in rows]
    lines = ["  ".join(row).rstrip() for row in laid]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


__doc__ = f"{__doc__}\n{_listed()}\n"

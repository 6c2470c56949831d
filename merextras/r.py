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
import importlib
import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from merextras.exceptions import InvalidArgumentError
from merextras.mermod import MerMod
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model_list import ModelList
from merextras.results.estimates.influence import Influence
from merextras.results.profiles.profile import Profile
from merextras.results.replicates.bootstrap import Bootstrap


@dataclass(frozen=True)
class Spelling:
    """What an R name stands for.

    Attributes
    ----------
    ours : str
        As it is written in Python: ``m.var_corr()``, ``re_sim(m)``.
    find : callable
        Returns the function. Its module is imported no earlier than that: the plots' are slow, and
        an imported ``sim`` would hide the one of R's keywords.
    keywords : mapping R keyword -> ours
        With R's dots already underscores; those that are the same are left out.
    also : mapping R keyword -> ours
        A second name of the same, of an older version or of the tutorial.
    """

    ours: str
    find: Callable[[], Callable[..., Any]]
    keywords: Mapping[str, str]
    also: Mapping[str, str] = field(default_factory=dict)


def _method(name: str, **keywords: str) -> Spelling:
    """Take a method of `MerMod`."""
    return Spelling(f"m.{name}()", functools.partial(_unbound, name), keywords)


def _unbound(name: str) -> Callable[..., Any]:
    target = getattr(MerMod, name)

    @functools.wraps(target)
    def function(m: object, *args: Any, **kwargs: Any) -> Any:
        # R's confint(profile(m)), cooks.distance(influence(m)), ranef(lmerModList(...))
        if isinstance(m, (Bootstrap, Influence, ModelList, Profile)) and hasattr(m, name):
            return getattr(m, name)(*args, **kwargs)
        model = as_fitted(m, generalised=True)
        if model.is_generalised:  # which has methods of its own, and refusals
            return getattr(model, name)(*args, **kwargs)
        return target(model, *args, **kwargs)

    own = inspect.signature(target)
    first, *others = own.parameters.values()
    signature = own.replace(parameters=[first.replace(name="m", annotation="object"), *others])
    setattr(function, "__signature__", signature)  # noqa: B010 (mypy knows no such attribute)
    return function


def _function(module: str, name: str, **keywords: str) -> Spelling:
    """Take a function of the package."""
    return Spelling(f"{name}(...)", functools.partial(_found, module, name), keywords)


def _found(module: str, name: str) -> Callable[..., Any]:
    room: Any = importlib.import_module(f"merextras.{module}")
    return operator.attrgetter(name)(room)  # type: ignore[no-any-return] # a table of names


def _of_means(name: str, **keywords: str) -> Spelling:
    """Take a method of what `emmeans` returns."""
    found = functools.partial(_found, "results.means.emmeans", f"Emmeans.{name}")
    return Spelling(f"means.{name}(...)", found, keywords)


def _idiom(ours: str, name: str, **keywords: str) -> Spelling:
    """Take a function of a module of `merextras.r_idioms`, ``"module.function"``."""
    module, function = name.split(".")
    return Spelling(ours, functools.partial(_found, f"r_idioms.{module}", function), keywords)


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
    "lmer": _idiom("lmer(...)", "fitting.lmer", REML="reml"),
    "glmer": _idiom("glmer(...)", "fitting.glmer", nAGQ="n_agq"),
    "glmer.nb": _function("glmermod", "glmer_nb", nAGQ="n_agq"),
    "lmList": _function("inference.lm_list", "lm_list"),
    "lmerControl": _idiom("LmerControl(...)", "fitting.lmer_control"),
    "glmerControl": _idiom("LmerControl(...)", "fitting.glmer_control"),
    # The estimates, from lme4
    "fixef": _method("fixef"),
    "ranef": _method("ranef", condVar="cond_var", whichel="groups"),
    "coef": _method("coef"),
    "sigma": _method("sigma"),
    "vcov": _method("vcov"),
    "vcovCR": _method("vcov", type="kind"),
    "VarCorr": _method("var_corr"),
    "rePCA": _method("re_pca"),
    "confint": _idiom(
        "m.confint()",
        "estimates.confint",
        object="m",
        oldNames="old_names",
        nsim="n_sims",
        seed="rng",
    ),
    "profile": _method("profile", prof_scale="scale"),
    "summary": _idiom("m.summary()", "estimates.summary", object="m"),
    # The likelihood
    "logLik": _method("log_lik", REML="reml"),
    "deviance": _idiom("m.deviance()", "scales.deviance", object="m", REML="reml"),
    "REMLcrit": _method("reml_crit"),
    "AIC": _idiom("m.aic()", "estimates.aic", object="m"),
    "BIC": _idiom("m.bic()", "estimates.bic", object="m"),
    "extractAIC": _method("extract_aic"),
    "df.residual": _method("df_residual"),
    "nobs": _method("nobs"),
    "ngrps": _method("ngrps"),
    "as.function": _method("as_function"),
    # Tests, from lme4, lmerTest and pbkrtest
    "anova": _idiom("m.anova()", "estimates.anova", object="m", model_names="names"),
    "drop1": _method("drop1"),
    "contest": _function("inference.fixed_effects.contest", "contest", model="m"),
    "ls_means": _function(
        "inference.means.ls_means", "ls_means", model="m", pairwise="differences"
    ),
    "ranova": _function("inference.comparison.ranova", "ranova", model="m"),
    "step": _function("inference.comparison.step", "step", object="m"),
    "rand": _function("inference.comparison.ranova", "ranova", model="m"),
    "vcovAdj": _function("inference.ddf.kenward_roger", "vcov_adj", object="m"),
    # Row by row
    "fitted": _method("fitted"),
    "residuals": _method("residuals"),
    "resid": _method("residuals"),
    "hatvalues": _method("hatvalues"),
    "rstudent": _method("rstudent"),
    "cooks.distance": _method("cooks_distance"),
    "influence": _method("influence"),
    "dfbeta": _function("diagnostics.case_deletion.influence", "dfbeta", model="influence"),
    "dfbetas": _function("diagnostics.case_deletion.influence", "dfbetas", model="influence"),
    "predict": _idiom("m.predict()", "scales.predict", object="m"),
    "simulate": _method("simulate", nsim="n_sims", seed="rng"),
    # What the model is
    "formula": _method("formula"),
    "terms": _method("terms"),
    "model.frame": _method("model_frame"),
    "getData": _method("model_frame"),
    "model.matrix": _method("model_matrix", type="which"),
    "family": _method("family"),
    "weights": _method("weights"),
    "getCall": _method("call"),
    "getME": _method("get_me"),
    "slotNames": _idiom("m.get_me()", "estimates.slot_names"),
    "getL": _method("get_l"),
    "isREML": _method("is_reml"),
    "isLMM": _method("is_lmm"),
    "isGLMM": _method("is_glmm"),
    "isNLMM": _method("is_nlmm"),
    "isSingular": _method("is_singular"),
    # Fitting again
    "refit": _method("refit", newresp="y"),
    "refitML": _method("refit_ml"),
    "update": _method("update", REML="reml"),
    "allFit": _function("inference.all_fit", "all_fit", object="m"),
    "bootMer": _function("inference.intervals.bootstrap", "bootstrap", **_BOOT),
    # pbkrtest
    "PBmodcomp": _function("inference.comparison.pb_modcomp", "pb_modcomp", **_PB),
    "KRmodcomp": _function("inference.comparison.f_modcomp", "kr_modcomp", **_MODCOMP),
    "SATmodcomp": _function("inference.comparison.f_modcomp", "sat_modcomp", **_MODCOMP),
    # simr
    "powerSim": _function("inference.planning.power", "power", **_SIMR),
    "powerCurve": _function(
        "inference.planning.power_curve", "power_curve", breaks="values", **_SIMR
    ),
    "extend": _function("inference.planning.extend", "extend", object="data"),
    "makeLmer": _function("inference.planning.make_model", "make_model", VarCorr="var_corr"),
    "makeGlmer": _function("inference.planning.make_model", "make_model", VarCorr="var_corr"),
    # arm
    "sim": _function("simulation.sim", "sim", seed="rng"),
    "display": _function("inference.arm.display", "display"),
    "se.fixef": _function("inference.arm.standard_errors", "se_fixef"),
    "se.ranef": _function("inference.arm.standard_errors", "se_ranef"),
    "se.coef": _function("inference.arm.standard_errors", "se_coef"),
    "sigma.hat": _function("inference.arm.standard_errors", "sigma_hat"),
    "extractDIC": _function("inference.arm.dic", "extract_dic"),
    "standardize": _function("inference.arm.standardize", "standardize"),
    "mcsamp": _function("simulation.mcsamp", "mcsamp"),
    # RLRsim
    "exactLRT": _function(
        "inference.variance_tests.exact_lrt", "exact_lrt", m="model", m0="null", **_LRT
    ),
    "exactRLRT": _function(
        "inference.variance_tests.exact_rlrt", "exact_rlrt", m="model", mA="full", m0="null", **_LRT
    ),
    "LRTSim": _function("distributions.rlrt_null", "lrt_sim", **_NULL),
    "RLRTSim": _function("distributions.rlrt_null", "rlrt_sim", **_NULL),
    # merTools and the tutorial
    "REsim": replace(
        _function("simulation.re_sim", "re_sim", whichel="groups", oddsRatio="odds_ratio", **_SIM),
        also={"x": "m"},
    ),
    "FEsim": replace(_function("simulation.re_sim", "fe_sim", **_SIM), also={"x": "m"}),
    "predictInterval": _idiom(
        "predict_interval(...)",
        "scales.predict_interval_of",
        merMod="m",
        returnSims="return_sims",
        seed="rng",
    ),
    "plotREsim": _function("plots", "plot_re_sim", labs="labels", **_PLOT),
    "plotFEsim": _function("plots", "plot_fe_sim", **_PLOT),
    "lmerModList": _function("model_list", "lmer_list", data="datasets"),
    "glmerModList": _function("model_list", "glmer_list", data="datasets", nAGQ="n_agq"),
    "blmerModList": _idiom("lmer_list(...)", "fitting.blmer_list", data="datasets"),
    "modelFixedEff": _function("model_list", "ModelList.pool"),
    "modelRandEffStats": _function("model_list", "ModelList.re_stats"),
    "expectedRank": _function("prediction.ranks.expected_rank", "expected_rank", **_MERTOOLS),
    "REimpact": _idiom("re_impact(...)", "verbs.re_impact_of", seed="rng", **_MERTOOLS),
    "REmargins": _function("prediction.ranks.re_margins", "re_margins", **_MERTOOLS),
    "REquantile": _function("accessors.extract", "re_quantile", **_MERTOOLS),
    "REextract": _function("accessors.extract", "re_extract", merMod="m"),
    "thetaExtract": _function("accessors.extract", "theta_extract", merMod="m"),
    "REsdExtract": _function("accessors.extract", "re_sd_extract", model="m"),
    "REcorrExtract": _function("accessors.extract", "re_corr_extract", model="m"),
    "modelInfo": _function("accessors.extract", "model_info", object="m"),
    "averageObs": _function(f"{_CASES}.observations", "average_obs", **_DRAW, origData="data"),
    "randomObs": _function(f"{_CASES}.observations", "random_obs", **_DRAW, seed="rng"),
    "draw": _function(f"{_CASES}.observations", "draw", object="m", varList="var_list", seed="rng"),
    "findFormFuns": _function(
        f"{_CASES}.observations", "find_form_funs", merMod="m", origData="data"
    ),
    "wiggle": _function(f"{_CASES}.wiggle", "wiggle", varlist="var_list", valueslist="values_list"),
    "superFactor": _function(f"{_CASES}.wiggle", "super_factor", fullLev="full_levels"),
    "RMSE": _function("diagnostics.residuals.rmse", "rmse", merMod="m"),
    "ICC": _function("inference.variance_shares.icc_from_data", "icc_from_data"),
    "subBoot": _function(
        "inference.intervals.sub_boot", "sub_boot", merMod="m", FUN="func", R="n_sims", seed="rng"
    ),
    "fastdisp": _function("inference.arm.display", "fast_display", x="m"),
    "plotREimpact": _function("plots", "plot_re_impact", data="impact"),
    "shinyMer": _function("app.explore", "explore", merMod="m", simData="data"),
    # performance
    "r2_nakagawa": _function("inference.variance_shares.r2", "r2", model="m", iterations="n_sims"),
    "icc": _function("inference.variance_shares.icc", "icc", model="m", iterations="n_sims"),
    "get_variance": _function(
        "inference.variance_shares.variance_decomposition", "variance_decomposition", x="m"
    ),
    "model_performance": _function("inference.comparison.performance", "performance", model="m"),
    "compare_performance": _function("inference.comparison.performance", "compare"),
    "check_collinearity": _function(f"{_ASSUMPTIONS}.collinearity", "check_collinearity", x="m"),
    "check_convergence": _function(
        "diagnostics.estimation.convergence", "check_convergence", x="m"
    ),
    "check_heteroscedasticity": _function(
        f"{_ASSUMPTIONS}.heteroscedasticity", "check_heteroscedasticity", x="m"
    ),
    "check_model": _function("checking", "check_model", x="m"),
    "check_normality": _function(
        f"{_ASSUMPTIONS}.normality", "check_normality", x="m", effects="what"
    ),
    "check_outliers": _function(f"{_ASSUMPTIONS}.outliers", "check_outliers", x="m"),
    "check_overdispersion": _function(f"{_ASSUMPTIONS}.dispersion", "check_overdispersion", x="m"),
    "check_zeroinflation": _function(f"{_ASSUMPTIONS}.dispersion", "check_zero_inflation", x="m"),
    "check_predictions": _function(
        f"{_ASSUMPTIONS}.predictions", "check_predictions", object="m", iterations="n_sims"
    ),
    "check_singularity": _function(
        "diagnostics.estimation.singularity", "check_singularity", x="m", tolerance="tol"
    ),
    # broom.mixed
    "tidy": _idiom("tidy(...)", "verbs.tidy_of", **_BROOM),
    "glance": _function("tables.glance", "glance", x="m"),
    "augment": _function("tables.augment", "augment", x="m"),
    # emmeans
    "emmeans": _idiom("emmeans(...)", "verbs.emmeans_of", object="m", lmer_df="ddf"),
    "emtrends": _idiom("emtrends(...)", "verbs.emtrends_of", object="m", lmer_df="ddf"),
    "joint_tests": _function(
        "inference.means.joint_tests", "joint_tests", object="m", lmer_df="ddf"
    ),
    "contrast": _of_means("contrasts", object="self"),
    "pairs": _of_means("contrasts", x="self"),
    "test": _of_means("test", object="self"),
    "cld": _of_means("cld", object="self"),
    "emmip": _function("plots", "plot_emmeans", object="means"),
    # lattice
    "dotplot": _function("plots", "plot_ranef", x="ranef", main="title"),
    "densityplot": _function("plots", "plot_profile_density", x="profile", main="title"),
    "splom": _function("plots", "plot_profile_pairs", x="profile", main="title"),
    "qqmath": _idiom("m.qqmath()", "figures.qqmath"),
    "plot": _idiom("m.plot()", "figures.plot"),
    "coefplot": _function("plots", "plot_coef", object="coefs", main="title"),
    "xyplot": _idiom("xyplot(...)", "figures.xyplot"),
    # R itself
    "as.data.frame": _idiom("result.to_frame()", "verbs.as_data_frame"),
    "print": _idiom("print(...)", "verbs.print_"),
    "show": _idiom("print(...)", "verbs.show"),
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

    @functools.wraps(target)
    def function(*args: Any, **kwargs: Any) -> Any:
        ours = {known.get(key, key): value for key, value in kwargs.items()}
        if len(ours) < len(kwargs):
            raise InvalidArgumentError(f"{name}: an argument is given by R's name and by ours")
        return target(*args, **ours)

    theirs = {own: key for key, own in keywords.items()}
    signature = inspect.signature(target)
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

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
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.mermod import MerMod
from merextras.model.mixedlm import as_fitted


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
    """

    ours: str
    find: Callable[[], Callable[..., Any]]
    keywords: Mapping[str, str]


def _method(name: str, **keywords: str) -> Spelling:
    """Take a method of `MerMod`."""
    return Spelling(f"m.{name}()", functools.partial(_unbound, name), keywords)


def _unbound(name: str) -> Callable[..., Any]:
    target = getattr(MerMod, name)

    @functools.wraps(target)
    def function(m: object, *args: Any, **kwargs: Any) -> Any:
        return target(as_fitted(m), *args, **kwargs)

    own = inspect.signature(target)
    first, *others = own.parameters.values()
    signature = own.replace(parameters=[first.replace(name="m", annotation="object"), *others])
    setattr(function, "__signature__", signature)  # noqa: B010 (mypy knows no such attribute)
    return function


def _function(module: str, name: str, **keywords: str) -> Spelling:
    """Take a function of the package."""
    return Spelling(f"{name}(...)", functools.partial(_found, module, name), keywords)


def _found(module: str, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module(f"merextras.{module}"), name)
    return found


def _lattice(
    formula: str,
    data: pd.DataFrame,
    *,
    layout: tuple[int, int] | None = None,
    main: str | None = None,
    auto_key: object = None,
    **options: Any,
) -> Any:
    """Draw lattice's ``y ~ x1 + x2 | g`` or ``y ~ x1 + x2 | g + h``.

    Parameters
    ----------
    formula : str
        Names of columns; ``*`` between the conditioning ones is the same as ``+``.
    data : DataFrame
    layout : (columns, rows), optional
        Only the number of columns is used.
    main : str, optional
        Title of the figure.
    auto_key : object
        Not used: there always is a legend.
    **options
        Passed to `merextras.plots.xyplot`.

    Returns
    -------
    seaborn.FacetGrid

    Raises
    ------
    InvalidArgumentError
        A formula that is not of this form, or names that are not columns.
    """
    del auto_key
    shape = r"\s*([^~|]+)~([^~|]+)\|([^~|]+)"
    match = re.fullmatch(shape, formula) if isinstance(formula, str) else None
    y, xs, by = [
        [name.strip().strip("`") for name in re.split(r"[+*]", part)]
        for part in (match.groups() if match else ("", "", ""))
    ]
    if match is None or len(y) != 1 or len(by) > 2:
        raise InvalidArgumentError(
            f"formula={formula!r}: expected 'y ~ x1 + x2 | g' or 'y ~ x1 + x2 | g + h'"
        )
    columns = None if layout is None else layout[0]
    return _found("plots", "xyplot")(data, y[0], xs, *by, col_wrap=columns, title=main, **options)


_LRT = {"nsim": "n_sims", "seed": "rng"}
_NULL = {"X": "x", "Z": "z", "sqrt_Sigma": "sqrt_sigma", **_LRT}

#: R's name -> what it stands for.
_BOOT = {"x": "m", "FUN": "func", "nsim": "n_sims", "seed": "rng", "type": "kind"}
_PB = {"largeModel": "large", "smallModel": "small", "nsim": "n_sims", "seed": "rng"}
TABLE: dict[str, Spelling] = {
    # The estimates, from lme4
    "fixef": _method("fixef"),
    "ranef": _method("ranef", condVar="cond_var", whichel="groups"),
    "coef": _method("coef"),
    "sigma": _method("sigma"),
    "vcov": _method("vcov"),
    "VarCorr": _method("var_corr"),
    "confint": _method("confint", nsim="n_sims", seed="rng"),
    "profile": _method("profile", prof_scale="scale"),
    "summary": _method("summary"),
    # The likelihood
    "logLik": _method("log_lik", REML="reml"),
    "deviance": _method("deviance", REML="reml"),
    "REMLcrit": _method("reml_crit"),
    "AIC": _method("aic"),
    "BIC": _method("bic"),
    "extractAIC": _method("extract_aic"),
    "df.residual": _method("df_residual"),
    "nobs": _method("nobs"),
    "ngrps": _method("ngrps"),
    "as.function": _method("as_function"),
    # Tests, from lme4, lmerTest and pbkrtest
    "anova": _method("anova"),
    "drop1": _method("drop1"),
    "contest": _function("inference.contest", "contest", model="m"),
    "ranova": _function("inference.ranova", "ranova", model="m"),
    "rand": _function("inference.ranova", "ranova", model="m"),
    "vcovAdj": _function("inference.kenward_roger", "vcov_adj", object="m"),
    # Row by row
    "fitted": _method("fitted"),
    "residuals": _method("residuals"),
    "resid": _method("residuals"),
    "predict": _method("predict"),
    "simulate": _method("simulate", nsim="n_sims", seed="rng"),
    # What the model is
    "formula": _method("formula"),
    "terms": _method("terms"),
    "model.frame": _method("model_frame"),
    "model.matrix": _method("model_matrix", type="which"),
    "family": _method("family"),
    "weights": _method("weights"),
    "getCall": _method("call"),
    "getME": _method("get_me"),
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
    "bootMer": _function("inference.bootstrap", "bootstrap", **_BOOT),
    # pbkrtest
    "PBmodcomp": _function("inference.pb_modcomp", "pb_modcomp", **_PB),
    # arm
    "sim": _function("simulation.sim", "sim", seed="rng"),
    "display": _function("inference.display", "display"),
    "se.fixef": _function("inference.standard_errors", "se_fixef"),
    "se.ranef": _function("inference.standard_errors", "se_ranef"),
    "se.coef": _function("inference.standard_errors", "se_coef"),
    "sigma.hat": _function("inference.standard_errors", "sigma_hat"),
    "extractDIC": _function("inference.dic", "extract_dic"),
    "standardize": _function("inference.standardize", "standardize"),
    "mcsamp": _function("simulation.mcsamp", "mcsamp"),
    # RLRsim
    "exactLRT": _function("inference.exact_lrt", "exact_lrt", m="model", m0="null", **_LRT),
    "exactRLRT": _function("inference.exact_lrt", "exact_rlrt", m="model", **_LRT),
    "LRTSim": _function("inference.rlrt_null", "lrt_sim", **_NULL),
    "RLRTSim": _function("inference.rlrt_null", "rlrt_sim", **_NULL),
    # merTools and the tutorial
    "REsim": _function(
        "simulation.re_sim", "re_sim", x="m", whichel="groups", nsims="n_sims", seed="rng"
    ),
    "FEsim": _function("simulation.re_sim", "fe_sim", x="m", nsims="n_sims", seed="rng"),
    "plotREsim": _function("plots", "plot_re_sim", dat="data", var="stat", labs="labels"),
    "plotFEsim": _function("plots", "plot_fe_sim", dat="data", var="stat"),
    # lattice
    "dotplot": _function("plots", "plot_ranef", x="ranef", main="title"),
    "densityplot": _function("plots", "plot_profile_density", x="profile", main="title"),
    "splom": _function("plots", "plot_profile_pairs", x="profile", main="title"),
    "xyplot": Spelling("xyplot(...)", lambda: _lattice, {}),
}

_NAMES = {name.replace(".", "_"): name for name in TABLE}
__all__ = sorted(_NAMES)  # noqa: PLE0605 (made from the table)


@functools.cache
def __getattr__(name: str) -> Callable[..., Any]:
    if name not in _NAMES:
        near = difflib.get_close_matches(name, __all__, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{hint}")
    return _spelt(name, _NAMES[name], TABLE[_NAMES[name]])


def __dir__() -> list[str]:
    return [*__all__, "TABLE", "Spelling"]


def _spelt(name: str, r_name: str, spelling: Spelling) -> Callable[..., Any]:
    """Make the function of an R name."""
    target, keywords = spelling.find(), spelling.keywords

    @functools.wraps(target)
    def function(*args: Any, **kwargs: Any) -> Any:
        ours = {keywords.get(key, key): value for key, value in kwargs.items()}
        if len(ours) < len(kwargs):
            raise InvalidArgumentError(f"{name}: an argument is given by R's name and by ours")
        return target(*args, **ours)

    theirs = {own: key for key, own in keywords.items()}
    signature = inspect.signature(target)
    parameters = [p.replace(name=theirs.get(p.name, p.name)) for p in signature.parameters.values()]
    function.__name__ = function.__qualname__ = name
    function.__module__ = __name__
    setattr(function, "__signature__", signature.replace(parameters=parameters))  # noqa: B010
    others = ", ".join(f"``{key}`` is `{own}`" for key, own in keywords.items())
    head = f"R's ``{r_name}``: ``{spelling.ours}``." + (f" Keywords: {others}." if others else "")
    function.__doc__ = f"{head}\n\n{inspect.getdoc(target) or ''}"
    return function


def _listed() -> str:
    """Lay out R's names and ours as a table of reStructuredText."""
    rows = [("R", "here", "in Python")]
    rows += [(f"``{r}``", f"``{name}``", f"``{TABLE[r].ours}``") for name, r in _NAMES.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


__doc__ = f"{__doc__}\n{_listed()}\n"

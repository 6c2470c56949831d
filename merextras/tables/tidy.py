"""A model's parameters as a tidy frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors.estimates import ranef, var_corr
from merextras.accessors.parameters import as_variances, kinds, parameter_names, parameters_of
from merextras.accessors.ratios import check_ratio
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_choice, check_ci, one_of
from merextras.foundation.renamed import new_names
from merextras.inference.ddf.method import method_of, t_table
from merextras.inference.intervals.bootstrap import bootstrap
from merextras.inference.intervals.profile import intervals
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table
from merextras.results.ratios import as_ratios, marked
from merextras.tables.ran_coefs import ran_coefs

__all__ = ["tidy"]

_EFFECTS = ("fixed", "ran_pars", "ran_vals", "ran_coefs")
_COLUMNS = [
    "effect", "group", "level", "term", "estimate", "std_error", "statistic", "df", "p_value",
    "conf_low", "conf_high",
]  # fmt: skip
_TEXT = {"effect", "group", "level", "term"}
_BY_LEVEL = {"ran_vals", "ran_coefs"}

#: Names of arguments before `ci`.
_OLD = {"conf_int": "ci", "conf_method": "ci"}


def tidy(
    m: object,
    effects: str | Sequence[str] = ("ran_pars", "fixed"),
    *,
    ci: str | float | None = None,
    level: float = 0.95,
    ddf: str | None = None,
    cluster: Any = None,
    scales: str = "sdcor",
    exponentiate: bool = False,
    n_sims: int = 500,
    rng: Rng = None,
    **old: Any,
) -> pd.DataFrame:
    """A model's parameters and effects as a frame, broom.mixed's ``tidy``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    effects : str or sequence of {"fixed", "ran_pars", "ran_vals", "ran_coefs"}
        Fixed effects; standard deviations and correlations; the levels' conditional modes (those of
        `ranef`); their coefficients, fixed plus random (those of `coef`).
    ci : {None, "wald", "profile", "bootstrap"} or float
        Add ``conf_low conf_high``, by this method for parameters, see `MerMod.confint`; a number is
        the level of Wald's. Wald intervals of variance parameters do not exist (NaN); those of
        fixed effects take Student's t and the standard errors of `ddf` if it is given. Those of
        modes and coefficients are always Wald's.
    level : float, default 0.95
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}, optional
        Add ``df p_value`` of the fixed effects; with Kenward and Roger's standard errors are
        theirs, with the last three they are cluster-robust.
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.
    scales : {"sdcor", "vcov"}
        Standard deviations and correlations, or variances and covariances, with intervals on that
        scale.
    exponentiate : bool, default False
        Of a model of `glmer` with a logit, log or complementary log-log link: the fixed effects as
        ratios (of odds, rates or hazards) with the ends of their intervals, and standard errors by
        the delta method; statistics and p-values are those of the effects.
    n_sims, rng
        Replicates and seed of ``ci="bootstrap"``.
    **old
        ``conf_int=True, conf_method="profile"`` is ``ci="profile"`` now; the old names end with
        release 0.2.

    Returns
    -------
    DataFrame
        ``effect group level term estimate std_error statistic df p_value conf_low conf_high``, in
        the order fixed, ran_pars, ran_vals, ran_coefs. Columns that none of the rows can have are
        left out; `std_error` is NaN for variance parameters, as in broom.mixed. Terms are
        broom.mixed's with ``Intercept`` for ``(Intercept)``: ``sd__Days``,
        ``cor__Intercept.Days``, ``sd__Observation`` of the group ``Residual`` (of residual
        variances by group: with that group as `level`), and ``var__``, ``cov__``.

    Raises
    ------
    InvalidArgumentError
        Unknown effects, method, scale or `ddf`; a level outside (0, 1); a `cluster` without a
        robust `ddf`, and what `MerMod.vcov` raises.
    ProfileError
        A profile that can't be followed.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit: the whole table is that of its refit by REML.

    See Also
    --------
    merextras.tables.compare_table.compare_table : Several models side by side.

    Notes
    -----
    Two differences from broom.mixed. A coefficient of a level, beta + b, has the standard error of
    the joint distribution of both (`merextras.engine.posterior.joint`), where broom.mixed has none.
    And profile intervals of ``scales="vcov"`` are of variances; broom.mixed 0.2.9 puts those of
    standard deviations beside them.

    The frame is a DataFrame: ``tidy(m).to_html()``, ``.to_latex()`` (pandas needs jinja2 for it)
    and ``.to_markdown()`` (tabulate) are pandas'.

    **Cost**: that of `ranef` or `confint`; O(levels p) numbers at a time for ``"ran_coefs"``.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.tidy(m, ddf="satterthwaite").round(3).drop(columns="statistic")
         effect     group                 term  estimate  std_error    df  p_value
    0     fixed       NaN            Intercept   251.405      6.825  17.0      0.0
    1     fixed       NaN                 Days    10.467      1.546  17.0      0.0
    2  ran_pars   Subject        sd__Intercept    24.740        NaN   NaN      NaN
    3  ran_pars   Subject  cor__Intercept.Days     0.066        NaN   NaN      NaN
    4  ran_pars   Subject             sd__Days     5.922        NaN   NaN      NaN
    5  ran_pars  Residual      sd__Observation    25.592        NaN   NaN      NaN
    >>> mx.tidy(m, "ran_coefs").head(2).round(3)
          effect    group level       term  estimate  std_error
    0  ran_coefs  Subject   308  Intercept   253.664     12.255
    1  ran_coefs  Subject   309  Intercept   211.007     12.255
    """
    if old:
        new_names("tidy", old, _OLD, {} if ci is None else {"ci": ci}, until="0.2")
        ci = old.get("conf_method", "wald") if old.get("conf_int", False) else None
    model = as_fitted(m, generalised=True)
    how, level = check_ci(ci, level, ("wald", "profile", "bootstrap"))
    ratio = check_ratio(model, exponentiate, "exponentiate")
    wanted = _wanted_effects(effects)
    check_choice(scales, ("sdcor", "vcov"), "scales")
    parts = {}
    name = "asymptotic" if ddf is None else ddf
    method = method_of(model, name, cluster=cluster, stacklevel=3)
    model = method.model
    fixed = t_table(method, np.eye(len(model.fixed_estimates)))
    fixed.insert(0, "term", list(model.design.fixed.names))
    if model.is_generalised:
        fixed = fixed.drop(columns="df")
    elif ddf is None:
        fixed = fixed.drop(columns=["df", "p_value"])
    if "fixed" in wanted:
        parts["fixed"] = fixed
    if "ran_pars" in wanted:
        parts["ran_pars"] = _parameters(model, scales)
    if how is not None and parts:
        _add_intervals(model, parts, level, how, scales, n_sims, rng)
    if ratio and "fixed" in parts:
        parts["fixed"] = as_ratios(parts["fixed"])
    for effect in _BY_LEVEL & wanted:
        table = ranef(model).to_frame() if effect == "ran_vals" else ran_coefs(model)
        parts[effect] = _with_wald(table, level) if how is not None else table
    made = _joined(parts)
    return Table.of(marked(made) if ratio and set(parts) == {"fixed"} else made)


def _wanted_effects(effects: str | Sequence[str]) -> set[str]:
    given = [effects] if isinstance(effects, str) else list(effects)
    for effect in given:
        if effect not in _EFFECTS:
            raise InvalidArgumentError(f"effects: {effect!r}: {one_of(effect, _EFFECTS)}")
    if not given:
        raise InvalidArgumentError(f"effects: give one or more of {', '.join(_EFFECTS)}")
    return set(given)


def _joined(parts: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The parts below one another, with all columns that one of them has."""
    present = {e: parts[e] for e in _EFFECTS if e in parts}
    names = {"effect", "group"}.union(*present.values())
    made: dict[str, Any] = {}
    for name in (name for name in _COLUMNS if name in names):
        is_text = name in _TEXT
        columns = [
            np.full(len(table), effect if name == "effect" else np.nan, dtype=object)
            if name not in table
            else table[name].to_numpy(dtype=object if is_text else float)
            for effect, table in present.items()
        ]
        whole = np.concatenate(columns)
        made[name] = pd.Series(whole).infer_objects() if is_text else whole.astype(float)
        if name == "level":  # whole numbers stay what they are beside rows without a level
            made[name] = pd.Series(whole, dtype=object)
    return pd.DataFrame(made)


def _parameters(model: FittedModel, scales: str) -> pd.DataFrame:
    """Variance parameters in the order of theta, then the residual's."""
    scale = "sdcor" if scales == "sdcor" else "varcov"
    groups, terms = [], []
    for component, term in zip(var_corr(model).components, model.design.terms, strict=True):
        found = kinds(term.structure, component.names, scale)
        groups += [component.group] * len(found)
        # broom.mixed names a correlation by its effects in their order.
        terms += [f"{kind}__{'.'.join(reversed(label))}" for kind, label in found]
    if isinstance(model, FittedGlmm):
        return _parameters_of_glmm(model, groups, terms, scale)
    by = model.design.residual
    levels = [np.nan] if by is None else list(by.levels)
    if model.has_known_sigma:
        levels = []
    values = parameters_of(model)[: len(terms) + len(levels)]
    if scales == "vcov":
        values = as_variances(model.design.covariances, values[None], len(levels))[0]
    own = "sd" if scales == "sdcor" else "var"
    table = {
        "group": groups + ["Residual"] * len(levels),
        "term": terms + [f"{own}__Observation"] * len(levels),
    }
    out = pd.DataFrame({**table, "estimate": values, "std_error": np.nan})
    if by is not None:
        out["level"] = pd.Series([np.nan] * len(terms) + levels, dtype=object)
    return out


def _parameters_of_glmm(
    model: FittedGlmm, groups: list[str], terms: list[str], scale: str
) -> pd.DataFrame:
    """The same with the dispersion, if it is estimated, in the residual's place."""
    values = parameters_of(model)[: len(parameter_names(model)) - len(model.fixed_estimates)]
    if scale == "varcov":
        values = as_variances(model.design.covariances, values[None], 0)[0]
    table: dict[str, Any] = {"group": groups, "term": terms}
    if model.engine_family.n_phi:
        table = {"group": [*groups, "Residual"], "term": [*terms, "dispersion"]}
    return pd.DataFrame({**table, "estimate": values, "std_error": np.nan})


def _add_intervals(
    model: FittedModel,
    parts: dict[str, pd.DataFrame],
    level: float,
    how: str,
    scales: str,
    n_sims: int,
    rng: Rng,
) -> None:
    names = parameter_names(model, "sdcor" if scales == "sdcor" else "varcov")
    count = len(names) - len(model.fixed_estimates)
    where = {"ran_pars": slice(None, count), "fixed": slice(count, None)}
    if how == "wald":
        for effect, table in parts.items():
            parts[effect] = _with_wald(table, level)
        return
    if how == "profile":
        wanted = [name for effect in parts for name in names[where[effect]]]
        scale = "sdcor" if scales == "sdcor" else "varcov"
        found = intervals(model, wanted, level, scale=scale)
    else:
        boot = bootstrap(model, n_sims=n_sims, rng=rng)
        if scales == "vcov":
            cov = model.design.covariances
            n_sigmas = 0 if model.is_generalised else 1
            made = [as_variances(cov, v, n_sigmas) for v in (boot.values[None], boot.replicates)]
            boot = replace(boot, names=names, values=made[0][0], replicates=made[1])
        found = boot.confint(level)
    for effect, table in parts.items():
        ends = found.loc[list(names[where[effect]])].to_numpy()
        parts[effect] = table.assign(conf_low=ends[:, 0], conf_high=ends[:, 1])


def _with_wald(table: pd.DataFrame, level: float) -> pd.DataFrame:
    df = table.get("df", np.inf)
    half = stats.t.isf((1.0 - level) / 2.0, df) * table["std_error"]
    return table.assign(conf_low=table["estimate"] - half, conf_high=table["estimate"] + half)

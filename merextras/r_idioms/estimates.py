"""R's accessors, criteria, comparisons and intervals where they take or return more."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras.accessors.parameters import parameter_names
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_level, one_of
from merextras.inference.comparison.anova import anova as compare
from merextras.inference.comparison.anova_generalised import anova as compare_generalised
from merextras.inference.fixed_effects.summary import summary as summarise
from merextras.inference.intervals.confint import confint as intervals
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.penalised import CRITERIA, is_penalised, say_penalised
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.estimates.summary import Summary
from merextras.results.means.emmeans import Emmeans
from merextras.results.profiles.profile import Profile
from merextras.results.replicates.bootstrap import Bootstrap

__all__ = ["aic", "anova", "bic", "confint", "slot_names", "summary"]

#: The slots of R's merMod, in R's order; each is a name of `getME`.
SLOTS = ("resp", "Gp", "call", "frame", "flist", "cnms", "lower", "theta", "beta", "u", "devcomp",
         "pp", "optinfo")  # fmt: skip
_BOOT_TYPES = {"perc": "percentile", "norm": "normal"}


def slot_names(m: object) -> list[str]:
    """The slots of lme4's merMod, each of which `getME` returns.

    Parameters
    ----------
    m : MerMod or MixedLMResults

    Returns
    -------
    list of str
    """
    as_fitted(m)
    return list(SLOTS)


def aic(m: object, *others: object, k: float = 2.0) -> float | pd.DataFrame:
    """Akaike's criterion of a model, or of several as R's table ``df AIC``.

    Parameters
    ----------
    m, *others : MerMod or MixedLMResults
    k : float, default 2
        The penalty of a parameter.

    Returns
    -------
    float, or DataFrame with a row per model, under its formula
    """
    return _criterion("AIC", [m, *others], lambda _: k)


def bic(m: object, *others: object) -> float | pd.DataFrame:
    """Schwarz's criterion of a model, or of several as R's table ``df BIC``.

    Parameters
    ----------
    m, *others : MerMod or MixedLMResults

    Returns
    -------
    float, or DataFrame with a row per model, under its formula
    """
    return _criterion("BIC", [m, *others], lambda fit: float(np.log(fit.nobs())))


def _criterion(name: str, models: Sequence[object], penalty: Any) -> float | pd.DataFrame:
    fits: list[Any] = [as_fitted(m, generalised=True) for m in models]
    penalised = next((m for m in fits if is_penalised(m)), fits[0])
    say_penalised(penalised, CRITERIA, stacklevel=3)
    values = [-2.0 * m.log_lik() + penalty(m) * m.n_parameters for m in fits]
    if len(fits) == 1:
        return float(values[0])
    labels = [m.formula() for m in fits]
    if len(set(labels)) < len(labels):
        labels = [f"{i + 1}: {label}" for i, label in enumerate(labels)]
    return pd.DataFrame({"df": [m.n_parameters for m in fits], name: values}, index=labels)


def summary(m: object, *, ddf: str | None = None) -> Summary:
    """Summarise a fit: `MerMod.summary`, with lmerTest's ``ddf="lme4"`` for no tests.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    ddf : str, optional

    Returns
    -------
    Summary
    """
    return summarise(as_fitted(m, generalised=True), ddf=_tested(ddf))


def _tested(ddf: str | None) -> str | None:
    return None if ddf == "lme4" else ddf


def anova(
    m: object,
    *others: object,
    ddf: str | None = None,
    test: str | None = None,
    names: Sequence[str] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Compare models, or test the terms of one: `MerMod.anova` with R's ``test``.

    Parameters
    ----------
    m, *others : MerMod or MixedLMResults
    ddf : str, optional
        As in `MerMod.anova`; lmerTest's ``"lme4"`` is the table without tests.
    test : {"Chisq", "LRT"}, optional
        Models are compared by likelihood ratios, whether it is said or not. ``"F"`` is for the
        terms of one model, whose table has F with `ddf`.
    names : sequence of str, optional
        Of the models.
    **options
        As in `MerMod.anova`: `refit`, `type`.

    Returns
    -------
    DataFrame

    Raises
    ------
    InvalidArgumentError
        A `test` that does not go with the models; and what `MerMod.anova` raises.
    """
    generalised_one = isinstance(m, FittedGlmm)
    allowed = ("Chisq", "LRT") if others or generalised_one else ("F",)
    if test is not None and test not in allowed:
        kind = "several models" if others else "the terms of one model"
        raise InvalidArgumentError(f"test={test!r}: for {kind}, {one_of(test, allowed)}")
    model = as_fitted(m, generalised=True)
    if isinstance(model, FittedGlmm):
        return compare_generalised(model, *others, ddf=_tested(ddf), names=names, **options)
    return compare(model, *others, ddf=_tested(ddf), names=names, **options)


def confint(
    m: Any,
    parm: Any = None,
    level: float = 0.95,
    method: str | None = None,
    *,
    old_names: bool = False,
    boot_type: str | None = None,
    n_sims: int | None = None,
    rng: Rng = None,
    **options: Any,
) -> pd.DataFrame:
    """Confidence intervals, with R's names of parameters if asked for.

    Parameters
    ----------
    m : MerMod, MixedLMResults, Profile, Bootstrap or Emmeans
        Of marginal means their table with intervals.
    parm : str or sequence of str, optional
        Our names, or ``".sig01"``, ``".sigma"``, ``"(Intercept)"``, ``"theta_"``, ``"beta_"``.
    level : float, default 0.95
    method, boot_type, n_sims, rng
        As in `MerMod.confint`; R's ``boot_type="perc"`` is ``"percentile"``.
    old_names : bool, default False
        Whether the rows are named ``.sig01``, ..., ``.sigma``, ``(Intercept)``. That is R's
        default, and not ours.
    **options
        Of a profile or a bootstrap what its own ``confint`` takes, such as ``type="basic"``; else
        as in `MerMod.confint`.

    Returns
    -------
    DataFrame
    """
    given = {"method": method, "n_sims": n_sims, "rng": rng}
    given["boot_type"] = _BOOT_TYPES.get(str(boot_type), boot_type)
    options |= {name: value for name, value in given.items() if value is not None}
    if isinstance(m, Emmeans):
        return _of_means(m, parm, level, options)
    if isinstance(m, Bootstrap):
        names = [str(name) for name in m.names]
        found = m.confint(level, **options)
        wanted = _ours(parm, names)
        found = found if wanted is None else found.loc[wanted]
    elif isinstance(m, Profile):
        names = list(m.curves)
        found = m.confint(level, parm=_ours(parm, names), **options)
    else:
        model = as_fitted(m, generalised=True)
        names = list(parameter_names(model))
        found = intervals(model, level=level, parm=_ours(parm, names), **options)
    return found.rename(index=_old(names)) if old_names else found


def _of_means(means: Emmeans, parm: Any, level: float, options: Mapping[str, Any]) -> pd.DataFrame:
    """The table of marginal means with intervals of a level; nothing else can be said of them."""
    given = [name for name, value in {"parm": parm, **options}.items() if value is not None]
    if given:
        raise InvalidArgumentError(
            f"confint: {given[0]}: marginal means have one kind of intervals, those of their table"
        )
    return means.to_frame(level=check_level(level))


def _old(names: Sequence[str]) -> dict[str, str]:
    """R's old names by ours; those of variance parameters are numbered in their order."""
    thetas = [name for name in names if re.match(r"(sd|cor)_", name)]
    out = {name: f".sig{i + 1:02d}" for i, name in enumerate(thetas)}
    return {**out, "sigma": ".sigma", "Intercept": "(Intercept)"}


def _ours(parm: Any, names: Sequence[str]) -> Any:
    """Our names of the parameters; one alone stays a word where it stands for several."""
    known = {theirs: ours for ours, theirs in _old(names).items()}
    if parm is None or parm in ("theta_", "beta_"):
        return parm
    return [known.get(name, name) for name in ([parm] if isinstance(parm, str) else parm)]

"""R's ``lmer``, ``glmer``, ``lmerControl`` and ``glmerControl``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer as fit_lmer
from merextras.foundation.arguments import check_choice, one_of
from merextras.glmermod import GlmerMod
from merextras.glmermod import glmer as fit_glmer
from merextras.mermod import MerMod
from merextras.model.state.control import LmerControl
from merextras.model_list import ModelList, lmer_list

__all__ = ["blmer_list", "glmer", "glmer_control", "lmer", "lmer_control"]

_OPTIMIZERS = ("nloptwrap", "bobyqa", "Nelder_Mead", "nlminbwrap", "optimx", "nmkbw", "nlminb")
#: Options of R's controls that have nothing to act on here: the optimum is found by Newton
#: steps in a basis of its own, and checked by its gradient and Hessian.
_NO_EFFECT = ("restart_edge", "boundary_tol", "calc_derivs", "use_last_params", "sparseX",
              "standardize_X", "check_nlev_gtreq_5", "check_scaleX", "check_formula_LHS",
              "check_conv_grad", "check_conv_singular", "check_conv_hess", "autoscale",
              "mod_type")  # fmt: skip
_OF_GLMER = ("tolPwrss", "compDev", "nAGQ0initStep", "check_response_not_const")
_OF_BOTH = ("optCtrl", "check_rankX", "check_nobs_vs_nlev", "check_nobs_vs_rankZ",
            "check_nobs_vs_nRE", "check_nlev_gtr_1")  # fmt: skip


def lmer(
    formula: str,
    data: Any,
    reml: bool = True,
    control: LmerControl | None = None,
    start: Any = None,
    *,
    verbose: int = 0,
    subset: Any = None,
    weights: Any = None,
    na_action: str = "na.omit",
    offset: Any = None,
    contrasts: Mapping[str, str] | None = None,
    **ours: Any,
) -> MerMod:
    """Fit a linear mixed model, with the arguments of R's ``lmer`` in its order.

    Parameters
    ----------
    formula, data, weights, offset, contrasts
        As in `merextras.lmer`.
    reml : bool, default True
    control : LmerControl, optional
        Of `lmerControl` or `merextras.LmerControl`.
    start : array of theta, or mapping with ``theta``, optional
    verbose : int
        Not used: ``m.opt_summary`` has the steps.
    subset : (n,) array of bool, or Series, optional
        Rows to keep.
    na_action : {"na.omit", "na.exclude", "na.fail"}
    **ours
        Other arguments of `merextras.lmer`.

    Returns
    -------
    MerMod

    Raises
    ------
    InvalidArgumentError
        Another `na_action`, a `subset` that is not of that form, and what `merextras.lmer` raises.
    """
    del verbose
    ours.setdefault("missing", _missing(na_action))
    data = _rows(data, subset)
    if start is not None:
        theta = start["theta"] if isinstance(start, Mapping) and "theta" in start else start
        control = replace(control or LmerControl(), start=theta)
    return fit_lmer(
        formula, data, reml=reml, control=control, weights=weights, offset=offset,
        contrasts=contrasts, **ours,
    )  # fmt: skip


def _missing(na_action: str) -> str:
    known = {"na.omit": "drop", "na.exclude": "keep", "na.fail": "raise"}
    return known[check_choice(na_action, tuple(known), "na_action")]


def _rows(data: Any, subset: Any) -> Any:
    if subset is None:
        return data
    kept = np.asarray(subset)
    if kept.dtype != bool or not isinstance(data, pd.DataFrame) or kept.shape != (len(data),):
        raise InvalidArgumentError(
            "subset: an array of True and False, one for each row, such as data['x'] > 2"
        )
    return data[kept]


def glmer(
    formula: str,
    data: Any,
    family: object,
    control: LmerControl | None = None,
    start: Any = None,
    verbose: int = 0,
    n_agq: int = 1,
    *,
    subset: Any = None,
    weights: Any = None,
    na_action: str = "na.omit",
    offset: Any = None,
    contrasts: Mapping[str, str] | None = None,
    **ours: Any,
) -> GlmerMod:
    """Fit a generalised linear mixed model, with the arguments of R's ``glmer`` in its order.

    Parameters
    ----------
    formula, data, family, weights, offset, contrasts
        As in `merextras.glmer`; the family has no default here (R's is gaussian, which is `lmer`).
    control : LmerControl, optional
    start : array of theta, or mapping with ``theta``, optional
    verbose : int
        Not used: ``m.opt_summary`` has the steps.
    n_agq : int
        R's ``nAGQ``; 0 is an error.
    subset : (n,) array of bool, or Series, optional
        Rows to keep.
    na_action : {"na.omit", "na.exclude", "na.fail"}
    **ours
        Other arguments of `merextras.glmer`.

    Returns
    -------
    GlmerMod

    Raises
    ------
    InvalidArgumentError
        Another `na_action`, a `subset` that is not of that form, what `merextras.glmer` raises.
    """
    del verbose
    ours.setdefault("missing", _missing(na_action))
    if start is not None:
        theta = start["theta"] if isinstance(start, Mapping) and "theta" in start else start
        control = replace(control or LmerControl(), start=theta)
    return fit_glmer(
        formula, _rows(data, subset), family, n_agq=n_agq, control=control, weights=weights,
        offset=offset, contrasts=contrasts, **ours,
    )  # fmt: skip


def blmer_list(
    formula: str, datasets: Any, *, cov_prior: Any = "wishart", **ours: Any
) -> ModelList:
    """Fit one formula to several data sets with blme's prior of the covariances.

    merTools' ``blmerModList``: `merextras.lmer_list` with the prior that ``blmer`` has by default.

    Parameters
    ----------
    formula, datasets
        As in `merextras.lmer_list`.
    cov_prior : as of `merextras.lmer`
    **ours
        Other arguments of `merextras.lmer_list`.

    Returns
    -------
    ModelList
    """
    return lmer_list(formula, datasets, cov_prior=cov_prior, **ours)


def lmer_control(
    optimizer: str | Sequence[str] = "nloptwrap",
    *,
    optCtrl: Mapping[str, Any] | None = None,
    check_rankX: str = "message+drop.cols",
    check_nobs_vs_nlev: str = "stop",
    check_nobs_vs_rankZ: str = "ignore",
    check_nobs_vs_nRE: str = "stop",
    check_nlev_gtr_1: str = "stop",
    **others: Any,
) -> LmerControl:
    """Make an `LmerControl` from the options of R's ``lmerControl``.

    Parameters
    ----------
    optimizer : str or sequence of str
        lme4's names are taken, and one optimiser, our own, is used whatever it is: where R's agree,
        they agree with it.
    optCtrl : mapping, optional
        ``maxfun``, ``maxeval`` or ``maxit`` bounds the iterations; its tolerances have no effect.
    check_rankX : str
        What is done with columns that others determine: those with ``drop.cols`` drop them,
        ``"stop.deficient"`` raises.
    check_nobs_vs_nlev, check_nobs_vs_rankZ, check_nobs_vs_nRE, check_nlev_gtr_1 : str
        ``"ignore"`` or ``"warning"`` in the first, third or last leaves out all our checks of that
        kind, as ``LmerControl(check=False)``.
    **others
        The rest of R's options, which have no effect, and our own: `tolerance`, `start`,
        `max_iterations`, `check`, `rank_deficient`, `formula_engine`.

    Returns
    -------
    LmerControl

    Raises
    ------
    InvalidArgumentError
        An option that neither R's nor ours has, an unknown optimiser.
    """
    del check_nobs_vs_rankZ  # R's default is to ignore it, ours to check
    for name in [optimizer] if isinstance(optimizer, str) else list(optimizer):
        check_choice(name, _OPTIMIZERS, "optimizer")
    fields = tuple(LmerControl.__dataclass_fields__)
    _check_known("lmerControl", others, (*_NO_EFFECT, *fields))
    options: dict[str, Any] = {name: others[name] for name in fields if name in others}
    steps = [v for k, v in (optCtrl or {}).items() if k in {"maxfun", "maxeval", "maxit"}]
    if steps:
        whole = [int(v) if float(v).is_integer() else v for v in steps]
        options.setdefault("max_iterations", min(whole))
    if check_rankX == "stop.deficient":
        options.setdefault("rank_deficient", "raise")
    elif not check_rankX.endswith("drop.cols"):
        raise InvalidArgumentError(
            f"check_rankX={check_rankX!r}: columns are dropped ('message+drop.cols') or an error "
            "('stop.deficient')"
        )
    if {check_nobs_vs_nlev, check_nobs_vs_nRE, check_nlev_gtr_1} - {"stop"}:
        options.setdefault("check", False)
    return LmerControl(**options)


def _check_known(control: str, given: Iterable[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise InvalidArgumentError(f"{control} has no {name!r}; {one_of(name, known)}")


def glmer_control(
    optimizer: str | Sequence[str] = ("bobyqa", "Nelder_Mead"),
    *,
    tolPwrss: float = 1e-7,
    compDev: bool = True,
    nAGQ0initStep: bool | int = True,
    check_response_not_const: str = "stop",
    **others: Any,
) -> LmerControl:
    """Make an `LmerControl` from the options of R's ``glmerControl``.

    Parameters
    ----------
    optimizer : str or sequence of str
        As in `lmer_control`.
    tolPwrss, compDev, nAGQ0initStep
        Of R's iterations, and without effect: modes are found to rounding, and the parameters
        searched together.
    check_response_not_const : str
        Without effect: a response without variation is an error.
    **others
        As in `lmer_control`.

    Returns
    -------
    LmerControl

    Raises
    ------
    InvalidArgumentError
        As `lmer_control`.
    """
    del tolPwrss, compDev, nAGQ0initStep, check_response_not_const
    known = (*_OF_GLMER, *_OF_BOTH, *_NO_EFFECT, *LmerControl.__dataclass_fields__)
    _check_known("glmerControl", others, known)
    return lmer_control(optimizer, **others)

"""Fitting a mixed model from lme4's formula."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from merextras._checks import check_choice, one_of
from merextras._typing import Array
from merextras.engine import covpar
from merextras.engine.optimize import Control
from merextras.engine.start import moments
from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    SingularFitWarning,
)
from merextras.model.build import Options, build_design
from merextras.model.design import Design
from merextras.model.fitted import Fit, FittedModel, fit_design, is_singular
from merextras.model.fixed import Scope
from merextras.model.rank import full_rank
from merextras.model.sanity import check_design


@dataclass(frozen=True)
class LmerControl:
    """How `lmer` fits and what it refuses.

    Attributes
    ----------
    start : sequence of float, optional
        A starting theta, as `get_me("theta")` has it; by default from moments.
    tolerance : float
        On twice the deviance still to be gained.
    max_iterations : int
    check : bool
        Refuse designs whose variances can't be identified (one level, as many levels or random
        effects as observations).
    rank_deficient : {"drop", "raise"}
        What to do with a fixed-effects column that others determine.
    formula_engine : {"patsy", "formulaic"}
    """

    start: tuple[float, ...] | None = None
    tolerance: float = 1e-13
    max_iterations: int = 100
    check: bool = True
    rank_deficient: str = "drop"
    formula_engine: str = "patsy"

    def __post_init__(self) -> None:
        check_choice(self.rank_deficient, ("drop", "raise"), "rank_deficient")
        check_choice(self.formula_engine, ("patsy", "formulaic"), "formula_engine")


def fit_formula(
    formula: str,
    data: Any,
    *,
    reml: bool,
    weights: Any,
    freq_weights: Any,
    offset: Any,
    contrasts: Mapping[str, str] | None,
    missing: str,
    control: LmerControl | None,
    depth: int,
) -> Fit:
    """Build the design, check it and find the optimum; see `merextras.lmer`."""
    control = LmerControl() if control is None else control
    if not isinstance(control, LmerControl):
        raise InvalidArgumentError(f"control={control!r}: expected an LmerControl")
    frame = as_pandas(data)
    options = Options(
        weights=_by_row(weights, frame, "weights"),
        frequencies=_by_row(freq_weights, frame, "freq_weights"),
        offset=_by_row(offset, frame, "offset", signed=True),
        missing=check_choice(missing, ("drop", "raise"), "missing"),
        contrasts=dict(contrasts or {}),
        scope=Scope(_callers_names(depth), control.formula_engine),
    )
    design, n_dropped = build_design(formula, frame, options)
    design = full_rank(design, control.rank_deficient)
    fit = fit_checked(design, reml=reml, control=control)
    return replace(fit, n_dropped=n_dropped)


def fit_checked(design: Design, *, reml: bool, control: LmerControl) -> Fit:
    """Fit a design after the sanity checks; warn of a singular or unfinished fit."""
    products = design.cross_products()
    if control.check:
        check_design(design, products.n)
    theta = moments(products) if control.start is None else _start(design, control.start)
    inner = Control(tolerance=control.tolerance, max_iterations=control.max_iterations)
    fit = fit_design(design, reml=reml, theta=theta, control=inner, products=products)
    assert fit.opt is not None
    if not fit.opt.converged:
        warnings.warn(fit.opt.message, ConvergenceWarning, stacklevel=4)
    if is_singular(FittedModel(fit)):
        warnings.warn(
            "singular fit: a variance is estimated at zero, or a correlation at its bound; "
            "see var_corr() and is_singular()",
            SingularFitWarning,
            stacklevel=4,
        )
    return fit


def as_pandas(data: Any) -> pd.DataFrame:
    """A pandas frame from a pandas, polars or arrow table (anything with ``to_pandas``)."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, Mapping):
        return pd.DataFrame(data)
    convert = getattr(data, "to_pandas", None)
    if convert is None:
        raise InvalidArgumentError(
            f"data: expected a pandas or polars DataFrame, got {type(data).__name__}"
        )
    frame = convert()
    if not isinstance(frame, pd.DataFrame):
        raise InvalidArgumentError(f"data: {type(data).__name__} did not convert to a DataFrame")
    return frame


def _by_row(values: Any, frame: pd.DataFrame, name: str, *, signed: bool = False) -> Array | None:
    """An argument with a value per row: an array, a Series on the data's index, a column's name."""
    if values is None:
        return None
    if isinstance(values, str):
        if values not in frame.columns:
            known = [str(c) for c in frame.columns]
            raise InvalidArgumentError(f"{name}={values!r}: {one_of(values, known)}")
        values = frame[values]
    if isinstance(values, pd.Series) and not values.index.equals(frame.index):
        raise InvalidArgumentError(f"{name}: the Series has another index than the data")
    try:
        out = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"{name}: the values must be numeric") from None
    if out.shape != (len(frame),):
        raise InvalidArgumentError(
            f"{name}: expected {len(frame)} values, one per row of the data, got shape {out.shape}"
        )
    if np.any(np.isinf(out)) or (not signed and np.any(out < 0)):
        allowed = "finite" if signed else "finite and not negative"
        raise InvalidArgumentError(f"{name}: the values must be {allowed}")
    return out


def _start(design: Design, start: tuple[float, ...]) -> Array:
    theta = np.asarray(start, dtype=float)
    size = covpar.n_theta(design.ks)
    if theta.shape != (size,) or not np.all(np.isfinite(theta)):
        raise InvalidArgumentError(f"control.start={start!r}: expected {size} finite number(s)")
    return theta


def _callers_names(depth: int) -> dict[str, Any]:
    """Names that the caller's formula may use: its module's and its own."""
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = None if frame is None else frame.f_back
    if frame is None:
        return {}
    return {**frame.f_globals, **frame.f_locals}

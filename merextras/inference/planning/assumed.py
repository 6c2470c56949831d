"""The parameters of a model that is made and not fitted, as the user gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import one_of
from merextras.inference.variance_tests.variance_hypothesis import label_of, term_key
from merextras.model.design.design import Design
from merextras.model.formula.parse import parse
from merextras.model.formula.translate import names_in, unquoted
from merextras.model.state.fitted import FittedModel


def with_response(formula: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with some value of the response in every row."""
    response = unquoted(parse(formula).response)
    if response in frame.columns:
        if not frame[response].isna().any():
            return frame
        return frame.assign(**{response: frame[response].astype(float).fillna(0.0)})
    used = [c for c in frame.columns if c in names_in(parse(formula).response)]
    if used:
        return frame
    if not response.replace("_", "a").replace(".", "a").isalnum():
        raise InvalidArgumentError(
            f"formula={formula!r}: the data lack the variables of the response {response!r}; "
            "without them write a plain name left of the '~'"
        )
    return frame.assign(**{response: 0.0})


def fixed_effects(design: Design, given: Any, old: FittedModel | None) -> Array:
    """The fixed effects that are assumed, (p,); those that are not given are the old model's."""
    names = list(design.fixed.names)
    known: dict[str, float] = {}
    if old is not None:
        known = dict(zip(old.design.fixed.names, old.fixed_estimates.tolist(), strict=True))
    if given is None or isinstance(given, (Mapping, pd.Series)):
        known |= _by_name(dict(given) if given is not None else {}, names)
        missing = [name for name in names if name not in known]
        if missing:
            raise InvalidArgumentError(
                f"fixef: the design has the fixed effects {names}; there is no value for {missing}"
            )
        lost = [name for name in known if name not in names]
        if lost:
            raise InvalidArgumentError(
                f"data: the fixed effects {lost} of the model can't be made from them: they are "
                "not columns of the new design, or others determine them"
            )
        return np.array([known[name] for name in names], dtype=float)
    try:
        beta = np.array(given, dtype=float)
    except (TypeError, ValueError):
        beta = np.empty(0)
    if beta.shape != (len(names),) or not np.all(np.isfinite(beta)):
        raise InvalidArgumentError(
            f"fixef: expected {len(names)} finite numbers, one for each of {names}, or a mapping "
            f"of names to numbers; got {given!r}"
        )
    return beta


def _by_name(given: Mapping[Any, Any], names: list[str]) -> dict[str, float]:
    out = {}
    for name, value in given.items():
        if name not in names:
            raise InvalidArgumentError(f"fixef: {name!r} is no fixed effect; {one_of(name, names)}")
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not is_number or not np.isfinite(value):
            raise InvalidArgumentError(f"fixef: {name!r} is {value!r}, not a finite number")
        out[str(name)] = float(value)
    return out


def covariances_of(
    design: Design, given: Mapping[str, Any] | None, old: FittedModel | None
) -> list[Array]:
    """The covariance matrix of each term."""
    if given is not None and not isinstance(given, Mapping):
        raise InvalidArgumentError(
            f'var_corr={given!r}: expected a mapping such as {{"school": 0.5}} of terms to '
            "standard deviations or covariance matrices"
        )
    labels = [label_of(term) for term in design.terms]
    keys = {term_key(label): t for t, label in enumerate(labels)}
    for factor in design.factors:
        if len(found := design.terms_of(factor)) == 1:
            keys.setdefault(term_key(factor), found[0])
    out: dict[int, Array] = {} if old is None else dict(enumerate(old.covariances))
    for key, value in (given or {}).items():
        t = keys.get(term_key(key)) if isinstance(key, str) else None
        if t is None:
            raise InvalidArgumentError(
                f"var_corr: {key!r} is no term of the model; {one_of(key, labels)}"
            )
        out[t] = _covariance(value, design.terms[t].names, labels[t])
    missing = [label for t, label in enumerate(labels) if t not in out]
    if missing:
        raise InvalidArgumentError(f"var_corr: there is no value for {missing}")
    return [out[t] for t in range(len(labels))]


def _covariance(value: Any, names: tuple[str, ...], label: str) -> Array:
    k = len(names)
    try:
        found = np.array(value, dtype=float)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape == () and k == 1:
        found = found.reshape(1)
    if found.shape == (k,) and np.all(found >= 0.0) and np.all(np.isfinite(found)):
        return np.diag(found**2)
    if found.shape != (k, k) or not np.all(np.isfinite(found)):
        raise InvalidArgumentError(
            f"var_corr: {label} needs {k} standard deviation(s), not negative, or a ({k}, {k}) "
            f"covariance matrix of {list(names)}; got {value!r}"
        )
    size = np.sqrt(np.abs(np.diag(found)))
    unit = np.outer(*[np.where(size > 0.0, size, 1.0)] * 2)
    values = np.linalg.eigvalsh(0.5 * (found + found.T) / unit)
    if np.any(np.abs(found - found.T) > 1e-8 * unit) or np.any(values < -1e-8):
        raise InvalidArgumentError(
            f"var_corr: the matrix of {label} is no covariance: it must be symmetric, without "
            f"negative eigenvalues (correlations within -1 to 1); got {value!r}"
        )
    return np.asarray(0.5 * (found + found.T))

"""Parsing of linear hypotheses on the fixed effects, their rank, and the F test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import one_of
from merextras.model.columns.part import FixedPart

# Eigenvalues of the covariance of the contrasts, as correlations, below this are zero: lmerTest's.
_NO_RANK = float(np.sqrt(np.finfo(float).eps))


@dataclass(frozen=True)
class FTest:
    """An F test.

    Attributes
    ----------
    statistic : float
        What is compared with the F distribution.
    unscaled : float
        The same before Kenward and Roger's factor, for the sums of squares.
    num_df : int
        The rank of the hypothesis.
    den_df : float
    """

    statistic: float
    unscaled: float
    num_df: int
    den_df: float


@dataclass(frozen=True)
class Contrasts:
    """Hypotheses ``L beta = rhs``.

    Attributes
    ----------
    matrix : (r, p) array
    rhs : (r,) array
    labels : Index
    single : bool
        Given as one contrast rather than as a table of them.
    offset : (r,) array
        Known parts of what is estimated, from an offset of the model.
    notes : tuple of str
        What names in a text stand for.
    """

    matrix: Array
    rhs: Array
    labels: pd.Index
    single: bool
    offset: Array
    notes: tuple[str, ...] = ()


def read_contrasts(fixed: FixedPart, given: Any, rhs: Any) -> Contrasts:
    """An array, a mapping or a frame of names as contrasts of the fixed effects.

    Raises
    ------
    InvalidArgumentError
        Another length than the number of fixed effects, unknown names, columns that were dropped,
        values that are not finite numbers, a row of zeros, `rhs` of another length.
    """
    if isinstance(given, Mapping):
        scalars = [np.ndim(value) == 0 for value in given.values()]
        table = pd.DataFrame([dict(given)]) if all(scalars) else _frame_of(given)
        matrix, labels, single = _by_name(fixed, table), table.index, all(scalars)
    elif isinstance(given, pd.DataFrame):
        matrix, labels, single = _by_name(fixed, given), given.index, False
    elif isinstance(given, pd.Series):
        matrix, single = _by_name(fixed, given.to_frame().T), True
        labels = pd.RangeIndex(1)
    else:
        matrix, single = _by_position(fixed, given)
        labels = pd.RangeIndex(len(matrix))
    if not np.all(np.isfinite(matrix)):
        raise InvalidArgumentError("L: there are missing or infinite values")
    if len(matrix) == 0 or not np.all(np.any(matrix != 0.0, axis=1)):
        raise InvalidArgumentError("L: a contrast has no weight that is not zero")
    right = right_hand_side(rhs, len(matrix))
    return Contrasts(matrix, right, labels, single, np.zeros(len(matrix)))


def _frame_of(given: Mapping[str, Any]) -> pd.DataFrame:
    try:
        return pd.DataFrame(dict(given))
    except ValueError as err:
        raise InvalidArgumentError(f"L: {err}") from err


def _by_name(fixed: FixedPart, table: pd.DataFrame) -> Array:
    known = list(fixed.names)
    for name in table.columns:
        if name in fixed.dropped:
            raise InvalidArgumentError(
                f"L: {name!r} is not estimable: its column was dropped from the fit, as others "
                "determine it"
            )
        if name not in known:
            raise InvalidArgumentError(f"L: {name!r} is no fixed effect; {one_of(name, known)}")
    try:
        return (
            table.reindex(columns=known)
            .astype(float)
            .fillna({name: 0.0 for name in known if name not in table.columns})
            .to_numpy(dtype=float)
        )
    except (TypeError, ValueError):
        raise InvalidArgumentError("L: the weights must be numbers") from None


def _by_position(fixed: FixedPart, given: Any) -> tuple[Array, bool]:
    try:
        values = np.asarray(given, dtype=float)
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            "L: expected an array, a mapping of names to weights, or a frame with the names of "
            "fixed effects as columns"
        ) from None
    if values.ndim not in {1, 2} or values.shape[-1] != len(fixed.names):
        raise InvalidArgumentError(
            f"L: expected {len(fixed.names)} weights per contrast, one for each of "
            f"{list(fixed.names)}, got shape {values.shape}"
        )
    return np.atleast_2d(values), values.ndim == 1


def right_hand_side(rhs: Any, rows: int) -> Array:
    """Hypothesised values, one for each row.

    Raises
    ------
    InvalidArgumentError
        Not a finite number, nor so many of them.
    """
    try:
        values = np.asarray(rhs, dtype=float)
    except (TypeError, ValueError):
        values = np.full(0, np.nan)
    if values.shape not in {(), (rows,)} or not np.all(np.isfinite(values)):
        raise InvalidArgumentError(f"rhs={rhs!r}: expected a finite number, or {rows} of them")
    return np.asarray(np.broadcast_to(values, (rows,)), dtype=float)


def independent(matrix: Array, gap: Array, covariance: Array) -> tuple[Array, Array, Array]:
    """Uncorrelated contrasts that say the same: the eigenvectors of their covariance.

    Parameters
    ----------
    matrix : (r, p) array
    gap : (r,) array
        ``L beta - rhs``.
    covariance : (p, p) array

    Returns
    -------
    rows : (q, p) array
        With ``rows covariance rows'`` diagonal.
    gap : (q,) array
    variances : (q,) array
        Of the rows, the largest first.

    Raises
    ------
    InvalidArgumentError
        Rows that say different things of the same contrast.
    """
    spread = matrix @ covariance @ matrix.T
    size = np.sqrt(np.diag(spread))
    # The rank does not depend on the units of the rows.
    values = np.linalg.eigvalsh(spread / np.outer(size, size))
    rank = int(np.sum(values > _NO_RANK * values[-1]))
    variances, vectors = np.linalg.eigh(spread)
    order = np.argsort(-variances, kind="stable")
    turned = vectors[:, order].T
    gaps = turned @ gap
    if rank < len(gap) and np.any(np.abs(turned.T[:, rank:] @ gaps[rank:]) > 1e-6 * size):
        raise InvalidArgumentError(
            "rhs: the contrasts are linearly dependent and contradict each other"
        )
    return turned[:rank] @ matrix, gaps[:rank], variances[order][:rank]

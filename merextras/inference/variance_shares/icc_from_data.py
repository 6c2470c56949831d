"""The intraclass correlation of a column of data: merTools' ``ICC``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_columns
from merextras.model.fit.lmer import fit_formula
from merextras.model.frame.read import given_frame
from merextras.model.state.fitted import FittedModel


def icc_from_data(outcome: str, group: str, data: Any, subset: object = None) -> float:
    """Return the share of an outcome's variance that lies between groups.

    Parameters
    ----------
    outcome, group : str
        Columns of the data.
    data : DataFrame (pandas or polars)
        Rows in which either is missing are left out.
    subset : array of bool, optional
        The rows to use, one value per row of the data (a Series under its index).

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    InvalidArgumentError
        A column that is not there, an outcome that is not numeric or has an infinite value, a
        `subset` that is no such array or leaves no row, groups with a row each or a single group.

    Warns
    -----
    SingularFitWarning
        The variance between groups is estimated at zero.

    See Also
    --------
    merextras.icc : That of a fitted model.

    Notes
    -----
    ``tau² / (tau² + sigma²)`` of the null model ``outcome ~ 1 + (1 | group)``, fitted by REML.

    **R counterpart**: ``merTools::ICC``.

    Examples
    --------
    >>> import merextras as mx
    >>> round(mx.icc_from_data("mathach", "schid", mx.load_dataset("hsb")), 4)
    0.1804
    """
    data = given_frame(data, "data", [outcome, group])
    check_columns(data, [outcome, group], "data")
    if outcome == group:
        raise InvalidArgumentError(f"group={group!r}: is the outcome; give another column")
    column = data[outcome]
    if not is_numeric_dtype(column) or is_bool_dtype(column):
        raise InvalidArgumentError(f"outcome={outcome!r}: must be numeric, not {column.dtype}")
    rows = _rows(data, subset)
    fit = fit_formula(
        f"`{outcome}` ~ 1 + (1 | `{group}`)",
        data.loc[rows, [outcome, group]],
        reml=True,
        weights=None,
        freq_weights=None,
        offset=None,
        residual_by=None,
        contrasts=None,
        missing="drop",
        sigma=None,
        cov_prior=None,
        control=None,
        depth=1,
    )
    model = FittedModel(fit)
    tau2 = float(model.covariances[0][0, 0])
    return tau2 / (tau2 + model.solution.sigma2)


def _rows(data: pd.DataFrame, subset: object) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if subset is None:
        return np.ones(len(data), dtype=bool)
    if isinstance(subset, pd.Series) and not subset.index.equals(data.index):
        raise InvalidArgumentError("subset: the Series has another index than the data")
    rows = np.asarray(subset)
    if rows.dtype != bool or rows.shape != (len(data),):
        raise InvalidArgumentError(
            f"subset: expected {len(data)} values True or False, one per row of the data, such as "
            "data['x'] > 0"
        )
    if not np.any(rows):
        raise InvalidArgumentError("subset: no row is True")
    return rows

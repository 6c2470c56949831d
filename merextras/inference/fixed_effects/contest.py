"""Tests of contrasts of the fixed effects."""

from __future__ import annotations

from typing import Any

import pandas as pd
from scipy import stats

from merextras._checks import check_level
from merextras.inference.ddf.contrasts import read_contrasts
from merextras.inference.ddf.method import f_row, f_table, method_of, t_table
from merextras.model.statsmodels.mixedlm import as_fitted

__all__ = ["contest"]


def contest(
    m: object,
    L: Any,
    *,
    ddf: str = "satterthwaite",
    joint: bool = True,
    rhs: Any = 0.0,
    level: float = 0.95,
) -> pd.DataFrame:
    """Test ``L beta = rhs``, lmerTest's ``contest``.

    Parameters
    ----------
    m : MerMod or fit of a statsmodels MixedLM
    L : array, mapping, Series or DataFrame
        One contrast: an array of p weights, or a mapping or Series of names of fixed effects to
        weights, as in ``{"C(x)[T.b]": 1, "C(x)[T.c]": -1}``. Several: an (r, p) array, or a frame
        with names as columns and a row per contrast. Names that are left out have weight 0.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}
    joint : bool
        Several contrasts in one F test; False tests each by itself. One contrast is a t test (its
        F test is that of a (1, p) array).
    rhs : float or (r,) array
        Hypothesised values.
    level : float
        Of the confidence intervals.

    Returns
    -------
    DataFrame
        A row per contrast with ``estimate std_error df statistic p_value conf_low conf_high``, or
        for a joint test one row with ``sum_sq mean_sq num_df den_df statistic p_value``. Rows that
        depend on others don't count in `num_df`.

    Raises
    ------
    InvalidArgumentError
        Contrasts of another length, unknown names, columns that the fit dropped (not estimable),
        a contrast of zeros, dependent contrasts with contradicting `rhs`, an unknown `ddf`.
    UnsupportedModelError
        Not a mixed model.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit, which is refitted by REML.

    See Also
    --------
    merextras.inference.ddf.satterthwaite.Satterthwaite :
        The formulas, and those of Fai and Cornelius.
    merextras.inference.ddf.kenward_roger.kenward_roger :
        The formulas; standard errors are adjusted.

    Notes
    -----
    R: ``lmerTest::contest``, ``contest1D`` and ``contestMD``; of a single contrast lmerTest, too,
    gives an F test unless ``joint = FALSE``. Cost: that of
    `merextras.engine.derivatives.information` once per model, then O(m p**2) a contrast for m
    variance parameters.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.contest(m, {"Days": 1}).round(3).T
                    0
    estimate   10.467
    std_error   1.546
    df         17.000
    statistic   6.771
    p_value     0.000
    conf_low    7.206
    conf_high  13.729
    >>> mx.contest(m, [[1, 0], [0, 1]], ddf="kenward-roger").round(2)
          sum_sq    mean_sq  num_df  den_df  statistic  p_value
    0  982358.58  491179.29       2    16.0     705.84      0.0
    """
    fitted, level = as_fitted(m), check_level(level)
    given = read_contrasts(fitted.design.fixed, L, rhs)
    method = method_of(fitted, ddf, stacklevel=3)
    if joint and not given.single:
        table = f_table({"0": f_row(method, given.matrix, given.rhs)})
        return table.set_axis(pd.RangeIndex(1), axis=0)
    table = t_table(method, given.matrix, given.rhs).set_axis(given.labels, axis=0)
    half = stats.t.isf((1.0 - level) / 2.0, table["df"]) * table["std_error"]
    return table.assign(conf_low=table["estimate"] - half, conf_high=table["estimate"] + half)

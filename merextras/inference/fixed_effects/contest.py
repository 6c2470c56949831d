"""Tests of contrasts of the fixed effects."""

from __future__ import annotations

from typing import Any

import pandas as pd
from scipy import stats

from merextras.accessors.ratios import check_ratio
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_level
from merextras.inference.ddf.contrasts import Contrasts, read_contrasts
from merextras.inference.ddf.method import chi2_row, f_row, f_table, method_of, t_table
from merextras.inference.functions.hypotheses import is_text, read_hypotheses
from merextras.model.design.design import Design
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table
from merextras.results.ratios import as_ratios

__all__ = ["contest"]


def contest(
    m: object,
    L: Any,
    *,
    ddf: str = "satterthwaite",
    cluster: Any = None,
    joint: bool = True,
    rhs: Any = 0.0,
    level: float = 0.95,
    exponentiate: bool = False,
) -> pd.DataFrame:
    """Test ``L beta = rhs``, lmerTest's ``contest``.

    Parameters
    ----------
    m : MerMod or fit of a statsmodels MixedLM
    L : str, array, mapping, Series or DataFrame
        Hypotheses as text, such as ``"x = 0"`` or ``"f[a] = f[b], 2 * x - z = 1"``, separated by
        commas (or a list of them): names of fixed effects are those, and a level of a factor,
        ``f[b]``, or a cell, ``f[b]:g[c]``, is its estimated marginal mean (of `emmeans`), unless a
        fixed effect is called that. Without text, one contrast: an array of p weights, or a mapping
        or Series of names of fixed effects to weights, as in ``{"C(x)[T.b]": 1, "C(x)[T.c]":
        -1}``. Several: an (r, p) array, or a frame with names as columns and a row per contrast.
        Names that are left out have weight 0.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}
        The last three have cluster-robust standard errors, see `MerMod.vcov`, with Bell and
        McCaffrey's degrees of freedom, in joint tests those of Pustejovsky & Tipton (2018).
    cluster : str or array, optional
        Of these three, as in `MerMod.vcov`.
    joint : bool
        Several contrasts in one F test; False tests each by itself. One contrast is a t test (its
        F test is that of a (1, p) array).
    rhs : float or (r,) array
        Hypothesised values; text has its own right of the equals sign.
    level : float
        Of the confidence intervals.
    exponentiate : bool, default False
        Of a logit, log or complementary log-log link, as in `tidy`: contrasts as ratios of odds,
        rates or hazards with the ends of their intervals, and standard errors by the delta method.
        `rhs` and what the text has right of the equals sign stay on the scale of the coefficients,
        as do statistics and p-values.

    Returns
    -------
    DataFrame
        A row per contrast with ``estimate std_error df statistic p_value conf_low conf_high``, or
        for a joint test one row with ``sum_sq mean_sq num_df den_df statistic p_value``. Rows that
        depend on others don't count in `num_df`. Of a model of `glmer` tests are asymptotic,
        whatever the default of `ddf`, and a joint one is Wald's chi-square, ``statistic df
        p_value``. Of text, the hypotheses as they were read are the
        index, or of a joint test ``attrs["hypotheses"]``, and ``attrs["notes"]`` says which names
        are marginal means, and over what these are averaged.

    Raises
    ------
    InvalidArgumentError
        Contrasts of another length, unknown names, columns that the fit dropped (not estimable),
        a contrast of zeros, dependent contrasts with contradicting `rhs`, an unknown `ddf`, text
        that is no linear hypothesis or not estimable, `rhs` beside an equals sign, clusters that
        are not independent in the model or too few for a joint test; `exponentiate` of a joint
        test, or with a link whose exponentials are no ratios.
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
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + Q('class') + (1 | school)", students)
    >>> found = mx.contest(m, "class[a] = class[b] = class[d]", joint=False)
    >>> found.iloc[:, :4].round(3)
                             estimate  std_error      df  statistic
    class[a] - class[b] = 0    -2.044      0.136  1190.0    -14.996
    class[b] - class[d] = 0    -3.612      0.136  1190.0    -26.508
    >>> found.attrs["notes"][0]
    'Marginal means: class[a], class[b], class[d].'
    """
    fitted, level = as_fitted(m, generalised=True), check_level(level)
    ratio = check_ratio(fitted, exponentiate, "exponentiate")
    given = _read(fitted.design, L, rhs)
    method = method_of(fitted, ddf, cluster=cluster, stacklevel=3, default="satterthwaite")
    right = given.rhs - given.offset
    table: pd.DataFrame
    if joint and not given.single:
        if ratio:
            raise InvalidArgumentError(
                "exponentiate=True: a joint test has no estimates; joint=False has a row for each "
                "contrast"
            )
        if fitted.is_generalised:
            row = chi2_row(method, given.matrix, right)
            table = Table(dict(zip(["statistic", "df", "p_value"], zip(row), strict=True)))
        else:
            table = f_table({"0": f_row(method, given.matrix, right)})
            table = table.set_axis(pd.RangeIndex(1), axis=0)
        table.attrs["hypotheses"] = tuple(map(str, given.labels))
    else:
        table = t_table(method, given.matrix, right).set_axis(given.labels, axis=0)
        table["estimate"] += given.offset
        half = stats.t.isf((1.0 - level) / 2.0, table["df"]) * table["std_error"]
        table = table.assign(conf_low=table["estimate"] - half, conf_high=table["estimate"] + half)
        table = as_ratios(table) if ratio else table
    table.attrs["notes"] = given.notes
    return table


def _read(design: Design, given: Any, rhs: Any) -> Contrasts:
    """Text by its words, all else by names or positions."""
    if is_text(given):
        return read_hypotheses(design, given, rhs)
    return read_contrasts(design.fixed, given, rhs)

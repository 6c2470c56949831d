"""Variance inflation of the fixed effects."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array, IntArray
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.check import CollinearityCheck

__all__ = ["check_collinearity"]

#: Variances inflated this many times are worth a look, and a problem.
_MODERATE, _HIGH = 5.0, 10.0


def check_collinearity(m: object) -> CollinearityCheck:
    r"""Variance inflation factors of the fixed effects' terms.

    With R the correlation matrix of the fixed effects' estimates without the intercept, and
    :math:`R_{11}`, :math:`R_{22}` its blocks for the columns of a term and for all others,

    .. math:: \mathrm{GVIF} = \frac{|R_{11}| \, |R_{22}|}{|R|}

    which for a term of one column is the variance inflation factor.

    Parameters
    ----------
    m : MerMod or MixedLMResults

    Returns
    -------
    CollinearityCheck
        The table is ``term df vif se_factor tolerance``, a row per term of the formula: `df`
        columns; `se_factor` is ``vif ** (1 / (2 df))``, by which standard errors are larger than
        if the term were orthogonal to the others; `tolerance` is ``1 / vif``. `ok` if no
        ``se_factor ** 2`` reaches 5; from 10 it is called high.

    Notes
    -----
    R: ``performance::check_collinearity``, whose ``SE_factor`` is the root of the GVIF also for
    several columns; ours is Fox and Monette's, comparable between terms. It is of the model's own
    covariance, ``vcov``: predictors that are far apart within groups count as the model sees them.
    Without an intercept the columns are not centred, and large factors mean little. Fox, J. and
    Monette, G. (1992). J. Am. Stat. Assoc. 87, 178-183. Cost: O(p**3) per term.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("extro ~ open + agree + (1 | school)", mx.load_dataset("students"))
    >>> mx.check_collinearity(m)
    ok: no term inflates the variances of others: the largest factor is 1
        term  df    vif se_factor tolerance
    0   open   1  1.000     1.000    0.9999
    1  agree   1  1.000     1.000    0.9999
    """
    model = as_fitted(m, generalised=True)
    effects = model.design.effects()
    kept = [effect for effect in effects.effects if effect.columns]
    covariance = model.fixed_covariance
    columns = [j for effect in kept for j in effect.columns]
    sd = np.sqrt(np.diag(covariance))
    correlation = (covariance / np.outer(sd, sd))[np.ix_(columns, columns)]
    rows, at = [], 0
    for effect in kept:
        df = len(effect.columns)
        vif = _inflation(correlation, np.arange(at, at + df))
        rows.append((effect.label, df, vif, vif ** (0.5 / df), 1.0 / vif))
        at += df
    names = ["term", "df", "vif", "se_factor", "tolerance"]
    table = pd.DataFrame(rows, columns=names)
    centred = bool(effects.rest) or model.design.constant is not None
    return CollinearityCheck(*_judged(table, centred), table)


def _inflation(correlation: Array, own: IntArray) -> float:
    others = np.setdiff1d(np.arange(len(correlation)), own)
    logs = [
        np.linalg.slogdet(correlation[np.ix_(part, part)])[1] if len(part) else 0.0
        for part in (own, others)
    ]
    return float(np.exp(sum(logs) - np.linalg.slogdet(correlation)[1]))


def _judged(table: pd.DataFrame, centred: bool) -> tuple[bool | None, str, tuple[str, ...]]:
    if len(table) < 2:
        return True, "fewer than two terms: there is nothing to be collinear with", ()
    size = table["se_factor"] ** 2
    worst = float(size.max())
    if worst < _MODERATE:
        text = f"no term inflates the variances of others: the largest factor is {worst:.3g}"
        return True, text, ()
    named = ", ".join(
        f"{term} ({value:.1f})"
        for term, value in zip(table["term"], size, strict=True)
        if value >= _MODERATE
    )
    degree = "high" if worst >= _HIGH else "moderate"
    advice = [
        "coefficients of these terms are uncertain because the data hardly tell them apart; "
        "predictions and the other terms are not affected",
        "interactions and powers are correlated with their parts by construction: centre the "
        "predictors (standardize), and judge the parts by joint tests (m.anova)",
    ]
    if not centred:
        advice.append("there is no intercept: the columns are not centred, and this means little")
    return False, f"{degree} collinearity: {named}", tuple(advice)

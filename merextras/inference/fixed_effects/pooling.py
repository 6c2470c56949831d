"""Rubin's rules: one answer from the fits to several completed data sets.

Rubin (1987), *Multiple Imputation for Nonresponse in Surveys*, section 3.1; the degrees of freedom
of Barnard & Rubin (1999), Biometrika 86, 948-955.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_level
from merextras.inference.ddf.method import METHODS, check_method, method_of
from merextras.model.state.fitted import FittedModel
from merextras.results.estimates.pooled import Pooled


def pool_fixef(models: Sequence[FittedModel], *, level: float, ddf: str | None) -> Pooled:
    """Pool the fixed effects; see `merextras.ModelList.pool`.

    All models have the same fixed effects in the same order.
    """
    level = check_level(level)
    estimates = np.array([model.fixed_estimates for model in models])
    covariances = np.array([model.fixed_covariance for model in models])
    complete = _complete_df(models, ddf)
    m = len(models)
    estimate, within = estimates.mean(axis=0), covariances.mean(axis=0)
    centred = estimates - estimate
    between = centred.T @ centred / (m - 1)
    total = within + (1.0 + 1.0 / m) * between
    variance = np.diag(total)
    share = (1.0 + 1.0 / m) * np.diag(between) / variance
    df = barnard_rubin(share, complete, m)
    std_error = np.sqrt(variance)
    statistic = estimate / std_error
    half = std_error * stats.t.isf((1.0 - level) / 2.0, df)
    increase = (1.0 + 1.0 / m) * np.diag(between) / np.diag(within)
    table = pd.DataFrame(
        {
            "term": list(models[0].design.fixed.names),
            "estimate": estimate,
            "std_error": std_error,
            "statistic": statistic,
            "df": df,
            "p_value": 2.0 * stats.t.sf(np.abs(statistic), df),
            "conf_low": estimate - half,
            "conf_high": estimate + half,
            "riv": increase,
            "fmi": (increase + 2.0 / (df + 3.0)) / (1.0 + increase),
        }
    )
    return Pooled(table, within, between, total, m, level)


def barnard_rubin(share: Array, complete: Array, m: int) -> Array:
    """Degrees of freedom of a pooled estimate (Barnard & Rubin 1999, eq. 3).

    Parameters
    ----------
    share : array
        lambda, the share of the total variance that is due to what is missing.
    complete : array
        Degrees of freedom that complete data would have had; may be infinite.
    m : int
        Data sets.

    Notes
    -----
    ``1 / (1 / nu_m + 1 / nu_obs)`` with ``nu_m = (m - 1) / lambda**2`` and
    ``nu_obs = (nu + 1) / (nu + 3) nu (1 - lambda)``.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        by_imputation = (m - 1) / share**2
        observed = (complete + 1.0) / (complete + 3.0) * complete * (1.0 - share)
        observed = np.where(np.isinf(complete), np.inf, observed)
        return np.asarray(1.0 / (1.0 / by_imputation + 1.0 / observed))


def _complete_df(models: Sequence[FittedModel], ddf: str | None) -> Array:
    """Of each coefficient: n - p, or the mean of a method's over the models."""
    p = len(models[0].fixed_estimates)
    if ddf is None:
        return np.full(p, float(np.mean([model.joint.sigma_df for model in models])))
    if check_method(ddf, METHODS) == METHODS[-1]:
        return np.full(p, np.inf)
    found = []
    for model in models:
        method = method_of(model, ddf, stacklevel=4)
        found.append([method.df(row) for row in np.eye(p)])
    return np.asarray(np.mean(found, axis=0))

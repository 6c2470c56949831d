"""Confidence intervals of the parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from merextras._checks import check_choice, check_level
from merextras.model.fitted import FittedModel


def confint(model: FittedModel, *, level: float = 0.95, method: str = "wald") -> pd.DataFrame:
    """Confidence intervals, lme4's ``confint``.

    Parameters
    ----------
    level : float
    method : {"wald"}
        ``estimate -+ z sqrt(vcov)`` for the fixed effects. For standard deviations, correlations
        and sigma a Wald interval has no good reason, and they are NaN, as in lme4.

    Returns
    -------
    DataFrame
        ``conf_low conf_high``, indexed by parameter: ``sd_Intercept|school``,
        ``cor_Days.Intercept|Subject``, ``sigma``, then the fixed effects.

    Raises
    ------
    InvalidArgumentError

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> fit = smf.mixedlm("extro ~ open", load_dataset("students"), groups="school").fit()
    >>> mx.MerMod(fit).confint(level=0.99).round(2)
                         conf_low  conf_high
    sd_Intercept|school       NaN        NaN
    sigma                     NaN        NaN
    Intercept               49.48      70.26
    open                    -0.02       0.04
    """
    level = check_level(level)
    check_choice(method, ("wald",), "method")
    beta = model.solution.beta
    half = stats.norm.isf((1.0 - level) / 2.0) * np.sqrt(np.diag(model.fixed_covariance))
    names = [*covariance_names(model), "sigma", *model.design.fixed.names]
    out = pd.DataFrame(np.nan, index=names, columns=["conf_low", "conf_high"])
    fixed = slice(len(names) - len(beta), None)
    out.iloc[fixed, 0] = beta - half
    out.iloc[fixed, 1] = beta + half
    return out


def covariance_names(model: FittedModel) -> list[str]:
    """Names of the standard deviations and correlations, in the order of theta."""
    names = []
    for term in model.design.terms:
        for j, first in enumerate(term.names):
            names.append(f"sd_{first}|{term.factor}")
            names += [f"cor_{other}.{first}|{term.factor}" for other in term.names[j + 1 :]]
    return names

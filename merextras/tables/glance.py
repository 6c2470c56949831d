"""A model in one row."""

from __future__ import annotations

import pandas as pd

from merextras.accessors import likelihood
from merextras.accessors.estimates import mean_sigma
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table

__all__ = ["glance"]


def glance(m: object) -> pd.DataFrame:
    """A model's size, residual deviation and criteria in one row, broom.mixed's ``glance``.

    Parameters
    ----------
    m : MerMod or MixedLMResults

    Returns
    -------
    DataFrame
        One row: ``nobs sigma log_lik aic bic reml_crit df_residual``, with ``deviance`` instead of
        ``reml_crit`` for an ML fit. Likelihood, AIC and BIC are of the fit's own criterion. With
        residual variances by group `sigma` is the root of their mean over the observations; a model
        of `glmer` has none.

    Raises
    ------
    UnsupportedModelError
        Not a mixed model.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.glance(m).round(2)
       nobs  sigma  log_lik      aic      bic  reml_crit  df_residual
    0   180  25.59  -871.81  1755.63  1774.79    1743.63          174
    """
    model = as_fitted(m, generalised=True)
    sigma = {} if model.is_generalised else {"sigma": [mean_sigma(model)]}
    return Table(
        {
            "nobs": [likelihood.nobs(model)],
            **sigma,
            "log_lik": [likelihood.log_lik(model)],
            "aic": [likelihood.aic(model)],
            "bic": [likelihood.bic(model)],
            "reml_crit" if model.reml else "deviance": [likelihood.deviance(model)],
            "df_residual": [likelihood.df_residual(model)],
        }
    )

"""Reading a statsmodels `OLS` fit, the null model of a test of variances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from statsmodels.regression.linear_model import (
    OLS,
    RegressionResults,
    RegressionResultsWrapper,
)

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array


@dataclass(frozen=True)
class NullModel:
    """A linear model without random effects.

    Attributes
    ----------
    y : (n,) array
    x : (n, p0) array
    names : tuple of str
        Of the columns of x.
    log_lik : float
        The maximised log-likelihood, R's ``logLik`` of an ``lm``.
    """

    y: Array
    x: Array
    names: tuple[str, ...]
    log_lik: float


def is_ols(obj: object) -> bool:
    """Whether this is an OLS model or the fit of one."""
    results = obj._results if isinstance(obj, RegressionResultsWrapper) else obj
    return isinstance(obj, OLS) or type(getattr(results, "model", None)) is OLS


def read_ols(obj: object, name: str = "null") -> NullModel:
    """Read the fit of a statsmodels `OLS`; arrays are copied, nothing is kept of the fit.

    Parameters
    ----------
    obj : RegressionResults or its wrapper
        ``smf.ols(...).fit()`` or ``sm.OLS(y, x).fit()``.
    name : str
        The argument that errors speak of.

    Returns
    -------
    NullModel

    Raises
    ------
    InvalidArgumentError
        Anything else: a model that was not fitted, a GLM, a WLS or GLS fit (another likelihood),
        a regularised fit (not at its maximum), a fit whose data were removed.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.model.statsmodels.ols import read_ols
    >>> null = read_ols(smf.ols("Yield ~ 1", load_dataset("dyestuff")).fit())
    >>> null.names, round(null.log_lik, 6)
    (('Intercept',), -166.364943)
    """
    results = obj._results if isinstance(obj, RegressionResultsWrapper) else obj
    model: Any = getattr(results, "model", None)
    if isinstance(obj, OLS):
        raise InvalidArgumentError(f"{name}: this OLS model has not been fitted; call .fit() first")
    if not isinstance(results, RegressionResults) or type(model) is not OLS:
        of = "" if model is None else f" (of {type(model).__name__})"
        raise InvalidArgumentError(
            f"{name}: expected the fit of a statsmodels OLS, got {type(obj).__name__}{of}; fit it "
            "with statsmodels.formula.api.ols(...).fit()"
        )
    if getattr(model, "endog", None) is None or getattr(model, "exog", None) is None:
        raise InvalidArgumentError(f"{name}: the data of this OLS fit were removed (remove_data)")
    return NullModel(
        np.array(model.endog, dtype=np.float64).reshape(-1),
        np.array(model.exog, dtype=np.float64).reshape(len(model.exog), -1),
        tuple(str(name) for name in model.exog_names),
        float(results.llf),
    )

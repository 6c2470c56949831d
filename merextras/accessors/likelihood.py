"""Likelihood and the numbers derived from it, of a linear or a generalised model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from merextras.exceptions import InvalidArgumentError
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import refitted
from merextras.model.state.penalised import CRITERIA, say_penalised


def log_lik(model: FittedModel, *, reml: bool | None = None) -> float:
    """Log-likelihood, lme4's ``logLik``: restricted for a REML fit, without a prior's density.

    Of a generalised model by Laplace's approximation or quadrature as the fit, with all constants
    of the response's density: comparable with that of a model without random effects, and with
    other `n_agq`.

    Parameters
    ----------
    reml : bool, optional
        The other criterion at the same theta; by default the fit's own. True is an error for a
        generalised model, which has no restricted likelihood.
    """
    return -0.5 * model._deviance(reml)


def deviance(model: FittedModel, *, reml: bool | None = None) -> float:
    """Minus twice the log-likelihood, lme4's ``deviance``.

    Parameters
    ----------
    reml : bool, optional
        False for the ML deviance at the fit's estimates (not those of `refit_ml`), True for the
        REML criterion; by default the fit's own criterion. True is an error for a generalised
        model.

    Notes
    -----
    R's ``deviance`` of a glmer fit is another number: the sum of the squared deviance residuals
    given the random effects, here ``(m.residuals() ** 2).sum()``.
    """
    return model._deviance(reml)


def reml_crit(model: FittedModel) -> float:
    """REML criterion at the estimate (Bates et al. 2015, eq. 42), lme4's ``REMLcrit``.

    Of an ML fit it is the deviance, as in lme4.
    """
    return model.solution.deviance()


def aic(model: FittedModel) -> float:
    """Akaike's criterion, ``-2 log_lik + 2 npar`` with npar = p + len(theta) + 1.

    With residual variances by group their number stands for the 1; of a generalised model the 1
    is there if a dispersion is estimated.

    From the restricted likelihood for a REML fit, as lme4 does: compare such fits only if their
    fixed effects are the same.

    Warns
    -----
    ApproximationWarning
        The model has a `cov_prior`: its likelihood is not at its maximum.
    """
    say_penalised(model, CRITERIA, stacklevel=2)
    return -2.0 * log_lik(model) + 2.0 * model.n_parameters


def bic(model: FittedModel) -> float:
    """Schwarz's criterion, ``-2 log_lik + npar log(n)`` with n observations.

    Warns
    -----
    ApproximationWarning
        The model has a `cov_prior`: its likelihood is not at its maximum.
    """
    say_penalised(model, CRITERIA, stacklevel=2)
    return float(-2.0 * log_lik(model) + np.log(nobs(model)) * model.n_parameters)


def extract_aic(model: FittedModel) -> tuple[int, float]:
    """(npar, AIC) of the model refitted by ML, R's ``extractAIC``."""
    ml = _by_ml(model)
    return model.n_parameters, aic(ml)


def _by_ml(model: FittedModel) -> FittedModel:
    return refitted(model, reml=False) if model.reml else model


def df_residual(model: FittedModel) -> int:
    """``n - npar``, lme4's ``df.residual``."""
    return nobs(model) - model.n_parameters


def nobs(model: FittedModel) -> int:
    """Observations in the fit (with frequency weights, their sum); a row of trials is one."""
    return model.n_observations


def ngrps(model: FittedModel) -> pd.Series:
    """Levels of each grouping factor, lme4's ``ngrps``."""
    counts = {term.factor: len(term.levels) for term in model.design.terms}
    return pd.Series(counts, dtype=int)


def as_function(model: FittedModel) -> Callable[[ArrayLike], float]:
    """The criterion as a function of theta, lme4's ``as.function``.

    Returns
    -------
    callable theta -> float
        The profiled deviance of an ML fit, the REML criterion of a REML fit, at any theta of the
        length of `get_me("theta")`; with a `cov_prior` and its -2 log density: what was minimised.
        With residual variances by group the logarithms of all groups' precisions but the first's,
        ``2 log(sigma_1 / sigma_h)``, come after theta. A call costs one factorisation.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> fit = smf.mixedlm("Yield ~ 1", load_dataset("dyestuff"), groups="Batch").fit()
    >>> f = mx.MerMod(fit).as_function()
    >>> round(f([0.8483]), 4), round(f([0.0]), 4)
    (319.6543, 326.0232)
    """
    at, size = model.criterion.at, model.criterion.parameters.n

    def criterion(theta: ArrayLike) -> float:
        values = np.asarray(theta, dtype=float).reshape(-1)
        if len(values) != size or not np.all(np.isfinite(values)):
            raise InvalidArgumentError(f"theta={theta!r}: expected {size} finite number(s)")
        return at(model.criterion.from_user(values)).value()

    return criterion

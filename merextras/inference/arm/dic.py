"""The deviance information criterion, as arm computes it without simulation."""

from __future__ import annotations

from merextras.accessors.likelihood import log_lik
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import refitted
from merextras.model.state.penalised import CRITERIA, say_penalised
from merextras.model.statsmodels.mixedlm import as_fitted


def extract_dic(m: object) -> float:
    """Return the deviance information criterion of a fit.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model. A REML fit is refitted by ML.

    Returns
    -------
    float

    Raises
    ------
    UnsupportedModelError
        `m` is not the fit of a linear mixed model.

    Notes
    -----
    With D the deviance of the ML fit and Dhat minus twice the log-likelihood of the fit's own
    criterion (restricted for a REML fit), arm takes ``pD = D - Dhat`` for the effective number of
    parameters in the definition of Spiegelhalter et al. [1]_,

    ``DIC = D + pD = 2 D - Dhat``.

    Of an ML fit pD is 0 and the DIC is the deviance; of a REML fit it mixes two likelihoods, pD is
    often negative, and it changes with the units of the predictors. It is here for comparison
    with arm's numbers. To compare models, use ``aic()`` of ML fits.

    **R counterpart**: ``arm::extractDIC``. **Cost**: one refit of a REML fit.

    References
    ----------
    .. [1] Spiegelhalter, D. J., Best, N. G., Carlin, B. P. and van der Linde, A. (2002). Bayesian
       measures of model complexity and fit. *J. R. Stat. Soc. B* 64(4), 583-639.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.inference.arm.dic import extract_dic
    >>> students = load_dataset("students")
    >>> fit = smf.mixedlm("extro ~ open + agree + social", students, groups="school").fit()
    >>> round(extract_dic(fit), 1)
    5788.9
    """
    model = as_fitted(m)
    say_penalised(model, CRITERIA, stacklevel=2)
    return deviance_and_dic(model)[1]


def deviance_and_dic(model: FittedModel) -> tuple[float, float]:
    """Return the deviance of the ML fit, and the DIC."""
    ml = refitted(model, reml=False) if model.solution.reml else model
    deviance = ml.solution.deviance()
    return deviance, 2.0 * deviance + 2.0 * log_lik(model)

"""All checks of a model at once, and their panel."""

from __future__ import annotations

from typing import Any

import numpy as np

from merextras.accessors.estimates import ranef
from merextras.diagnostics.assumptions.collinearity import check_collinearity
from merextras.diagnostics.assumptions.dispersion import check_overdispersion, check_zero_inflation
from merextras.diagnostics.assumptions.heteroscedasticity import check_heteroscedasticity
from merextras.diagnostics.assumptions.normality import check_normality, of_glmm
from merextras.diagnostics.assumptions.outliers import check_outliers
from merextras.diagnostics.assumptions.predictions import check_predictions
from merextras.diagnostics.estimation.convergence import check_convergence
from merextras.diagnostics.estimation.singularity import check_singularity
from merextras.diagnostics.residuals.checks_generalised import heteroscedasticity
from merextras.diagnostics.residuals.residual_table import qq_residuals, residual_table
from merextras.diagnostics.residuals.simulated import Simulated
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_count
from merextras.foundation.rng import as_generator
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.checks.check import Check
from merextras.results.checks.model_check import ModelCheck

__all__ = ["check_model", "model_checks"]

#: Simulated responses among which a generalised model's residuals are placed.
_SIMULATED = 250


def model_checks(m: object, *, n_sims: int = 50, rng: Rng = None) -> ModelCheck:
    """Run all checks of a model: the numbers behind `check_model`.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    n_sims : int, default 50
        Simulated responses of the predictive check; of a model of `glmer` also those that it is
        refitted to for overdispersion. Its other checks take 250.
    rng : int, numpy.random.Generator or None

    Returns
    -------
    ModelCheck
        Prints all verdicts; `to_frame()` is ``check ok verdict``; `checks` has each result. A model
        with frequency weights has no check of outliers and no predictive check, which need a row
        per observation. A model of `glmer` has besides ``overdispersion`` (counts, and proportions
        of several trials) and ``zero_inflation``; its residuals are quantile residuals.

    Raises
    ------
    InvalidArgumentError
        An `n_sims` or `rng` that is not allowed.

    Notes
    -----
    Cost: that of the leverages, a few gradients and `n_sims` simulated responses, of a model of
    `glmer` `n_sims` refits.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mx.load_dataset("penicillin"))
    >>> mx.model_checks(m, rng=1).to_frame()[["check", "ok"]]
                    check     ok
    0         convergence   True
    1         singularity   True
    2        collinearity   True
    3           normality   True
    4  heteroscedasticity   True
    5            outliers  False
    6         predictions   True
    """
    model = as_fitted(m, generalised=True)
    if isinstance(model, FittedGlmm):
        return _of_glmm(model, check_count(n_sims, "n_sims"), as_generator(rng))
    checks: dict[str, Check] = {
        "singularity": check_singularity(model),
        "collinearity": check_collinearity(model),
        "normality": check_normality(model),
        "heteroscedasticity": check_heteroscedasticity(model),
    }
    if model.design.frequencies is None:
        checks["outliers"] = check_outliers(model)
        checks["predictions"] = check_predictions(model, n_sims=n_sims, rng=rng)
    return ModelCheck(
        model.design.formula,
        check_convergence(model),
        checks,
        residual_table(model),
        qq_residuals(model),
        ranef(model),
    )


def _of_glmm(model: FittedGlmm, n_sims: int, rng: np.random.Generator) -> ModelCheck:
    """The checks of a generalised model, which share their simulated responses."""
    simulated = Simulated.of(model, _SIMULATED, rng)
    checks: dict[str, Check] = {
        "singularity": check_singularity(model),
        "collinearity": check_collinearity(model),
        "normality": of_glmm(model, simulated, True, 0.05),
        "heteroscedasticity": heteroscedasticity(model, simulated, 0.05),
        "outliers": check_outliers(model),
    }
    counts = model.choice.name in {"binomial", "poisson", "negative_binomial"}
    trials = model.response.trials
    if counts and (trials is None or bool(np.any(trials > 1.0))):
        dispersion = check_overdispersion(model, n_sims=n_sims, rng=rng)
        checks["overdispersion"] = dispersion.as_check()
        checks["zero_inflation"] = check_zero_inflation(model, rng=rng).as_check()
    checks["predictions"] = check_predictions(model, n_sims=n_sims, rng=rng)
    state = int(rng.integers(2**32))
    return ModelCheck(
        model.design.formula, check_convergence(model), checks,
        residual_table(model, rng=state), qq_residuals(model, rng=state), ranef(model),
    )  # fmt: skip


def check_model(
    m: object, *, n_sims: int = 50, rng: Rng = None, columns: int = 2, size: float = 3.2
) -> Any:
    """Draw the panel of a model's checks.

    Predictive check, residuals against fitted values, scale against location, influence,
    collinearity, quantiles of residuals and of random effects: see `plot_model_check`. Of a model
    of `glmer` residuals are quantile residuals, but against leverage.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    n_sims : int, default 50
        Simulated responses of the predictive check.
    rng : int, numpy.random.Generator or None
    columns : int, default 2
        Number of panels in a row.
    size : float, default 3.2
        Height of a panel in inches.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InvalidArgumentError
        An argument that is not allowed.

    See Also
    --------
    merextras.model_checks : The verdicts.

    Notes
    -----
    R: ``performance::check_model``. Cost: that of `model_checks`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> figure = mx.check_model(m, rng=1)
    >>> figure.axes[0].get_title()
    'Predictive check'
    >>> plt.close(figure)
    """
    from merextras.plots.checks.model_check import plot_model_check  # noqa: PLC0415 (loads matplotlib)

    return plot_model_check(model_checks(m, n_sims=n_sims, rng=rng), columns=columns, size=size)

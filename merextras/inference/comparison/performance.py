"""Indices of how well models fit: one model's in a row, several models' side by side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from merextras.accessors import likelihood
from merextras.accessors.estimates import mean_sigma
from merextras.accessors.rows import residual_squares
from merextras.exceptions import InvalidArgumentError, RefitWarning
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_models
from merextras.inference.comparison.anova_generalised import candidate
from merextras.inference.nesting.nested import (
    AnyCandidate,
    check_same_data,
    mixed_candidate,
    same_criterion,
    same_fixed,
)
from merextras.inference.variance_shares import icc as _icc
from merextras.inference.variance_shares import r2 as _r2
from merextras.inference.variance_shares.variance_parts import VarianceParts
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import refitted
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table

__all__ = ["compare", "performance"]


def performance(m: object) -> pd.DataFrame:
    """Indices of one model's fit.

    Parameters
    ----------
    m : MerMod or MixedLMResults

    Returns
    -------
    DataFrame
        One row: ``aic aicc bic r2_conditional r2_marginal icc rmse sigma``. The criteria are of the
        fit's own likelihood, restricted for a REML fit; `icc` is the adjusted one; `rmse` is the
        root of the mean squared residual given the random effects, in units of the response, and
        so smaller than `sigma`. Of a model of `glmer` the response is a proportion, a count or a
        number, and `sigma`, which it does not have, NaN.

    See Also
    --------
    merextras.compare : Several models.

    Notes
    -----
    R: ``performance::model_performance(m)``. AICc = AIC + 2 k (k + 1) / (n - k - 1) with k
    parameters in all (Hurvich, C. M. and Tsai, C.-L. (1989). Biometrika 76, 297-307); NaN where n
    does not exceed k + 1. For a model whose observations are correlated n says too much. Cost: that
    of `r2`.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.performance(m).round(3).T
                           0
    aic             1755.628
    aicc            1756.114
    bic             1774.786
    r2_conditional     0.799
    r2_marginal        0.279
    icc                0.722
    rmse            23.438
    sigma             25.592
    """
    model = as_fitted(m, generalised=True)
    return Table.of(pd.DataFrame([{**_criteria(model), **_fit_of(model)}]))


def compare(*models: object, names: Sequence[str] | None = None) -> pd.DataFrame:
    r"""Indices of several models' fit, with the weights of the information criteria.

    Parameters
    ----------
    *models : MerMod or MixedLMResults
        Two or more, nested or not, of the same rows and response; also as one list, or one mapping
        of names to models.
    names : sequence of str, optional
        Of the rows of the table; by default the formulas, numbered where two are the same.

    Returns
    -------
    DataFrame
        A row per model in the given order: ``npar aic aic_weight aicc aicc_weight bic bic_weight
        r2_conditional r2_marginal icc rmse sigma``. The weight of a model is
        :math:`e^{-\Delta / 2}` over the sum of those of all, :math:`\Delta` its distance from the
        smallest criterion: for BIC the approximate posterior probability of the model among these.

    Raises
    ------
    InvalidArgumentError
        Fewer than two models, another number of names than models, models of different data, some
        of `lmer` and some of `glmer`.

    Warns
    -----
    RefitWarning
        REML fits were refitted by ML for ``aic``, ``aicc`` and ``bic``, because the fixed effects
        differ or not all are REML fits. The other columns stay those of the fits as given.

    See Also
    --------
    MerMod.anova : Likelihood ratio tests of nested models.

    Notes
    -----
    R: ``performance::compare_performance``. Of REML fits that takes the ML likelihood at the REML
    estimates, which is not its maximum; here the models are refitted, or the restricted
    likelihoods are taken where these can be compared (all REML, the same fixed effects). Burnham,
    K. P. and Anderson, D. R. (2002). *Model Selection and Multimodel Inference*, section 2.9.
    Cost: that of `r2` per model, and a refit where it is needed.

    Examples
    --------
    >>> import merextras as mx
    >>> sleep = mx.load_dataset("sleepstudy")
    >>> one = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> two = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> mx.compare(one, two, names=["intercepts", "slopes"])[["npar", "aic", "aic_weight"]].round(2)
                npar      aic  aic_weight
    intercepts     4  1794.47         0.0
    slopes         6  1755.63         1.0
    """
    given, names = check_models(models, names)
    if len(given) < 2:
        raise InvalidArgumentError(f"models: {len(given)} given; a comparison needs two or more")
    if names is not None and (isinstance(names, str) or len(names) != len(given)):
        raise InvalidArgumentError(f"names={names!r}: expected {len(given)} names")
    fits = [as_fitted(m, generalised=True) for m in given]
    judged = _comparable(fits)
    rows = []
    for fit, other in zip(fits, judged, strict=True):
        rows.append({"npar": fit.n_parameters, **_criteria(other), **_fit_of(fit)})
    frame = pd.DataFrame(rows, index=pd.Index(_labels(fits, names), dtype=object))
    for at, name in ((2, "aic"), (4, "aicc"), (6, "bic")):
        frame.insert(at, f"{name}_weight", _weights(frame[name].to_numpy()))
    return Table.of(frame)


def _comparable(fits: Sequence[FittedModel]) -> list[FittedModel]:
    """The fits themselves, or all by ML where their likelihoods are of different kinds."""
    if any(fit.is_generalised for fit in fits):
        check_same_data(_of_glmms(fits), "compare")
        return list(fits)
    candidates = [mixed_candidate(fit) for fit in fits]
    check_same_data(candidates, "compare")
    by_reml = [fit.solution.reml for fit in fits]
    first = candidates[0]
    alike = all(same_fixed(first, c) and same_criterion(first, c) for c in candidates[1:])
    if not any(by_reml) or (all(by_reml) and alike):
        return list(fits)
    why = "the fixed effects differ" if all(by_reml) else "the others are not REML fits"
    warnings.warn(
        f"compare: {sum(by_reml)} model(s) refitted by ML (instead of REML) for the information "
        f"criteria, as {why}",
        RefitWarning,
        stacklevel=3,
    )
    return [refitted(fit, reml=False) if fit.solution.reml else fit for fit in fits]


def _of_glmms(fits: Sequence[FittedModel]) -> list[AnyCandidate]:
    """Generalised models of any families, whose densities of one response can be compared."""
    out: list[AnyCandidate] = [candidate(fit) for fit in fits if isinstance(fit, FittedGlmm)]
    if len(out) < len(fits):
        raise InvalidArgumentError(
            "compare: models of lmer and of glmer are not compared; fit all by glmer, "
            "family='gaussian'"
        )
    return out


def _criteria(model: FittedModel) -> dict[str, float]:
    aic, k, n = likelihood.aic(model), model.n_parameters, model.n_observations
    correction = 2.0 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.nan
    return {"aic": aic, "aicc": aic + correction, "bic": likelihood.bic(model)}


def _fit_of(model: FittedModel) -> dict[str, float]:
    if isinstance(model, FittedGlmm):
        found = _r2.r2(model)
        return {
            "r2_conditional": found.conditional,
            "r2_marginal": found.marginal,
            "icc": float(_icc.icc(model).adjusted),  # type: ignore[arg-type]
            "rmse": float(np.sqrt(np.mean((model.response.observed - model.mu) ** 2))),
            "sigma": np.nan,
        }
    variances = VarianceParts.of(model).at(model)[None]
    marginal, conditional = _r2.shares(variances)[0]
    return {
        "r2_conditional": float(conditional),
        "r2_marginal": float(marginal),
        "icc": float(_icc.adjusted(variances)[0]),
        "rmse": _rmse(model),
        "sigma": mean_sigma(model),
    }


def _rmse(model: FittedModel) -> float:
    """Root of the mean squared conditional residual over the observations."""
    design, solution = model.design, model.solution
    if design.weights is None:
        return float(np.sqrt(residual_squares(model) / solution.n))
    used = design.observed
    counts = np.ones(design.n) if design.frequencies is None else design.frequencies
    squares = (design.y - model.mu)[used] ** 2
    return float(np.sqrt(np.average(squares, weights=counts[used])))


def _labels(fits: Sequence[FittedModel], names: Sequence[str] | None) -> list[str]:
    labels = [fit.design.formula for fit in fits] if names is None else [str(n) for n in names]
    if len(set(labels)) == len(labels):
        return labels
    return [f"{i + 1}: {label}" for i, label in enumerate(labels)]


def _weights(criterion: Array) -> Array:
    relative = np.exp(-0.5 * (criterion - np.min(criterion)))
    return np.asarray(relative / np.sum(relative))

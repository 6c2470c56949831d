"""The exact likelihood ratio test of a variance component and fixed effects.

Crainiceanu & Ruppert (2004), J. R. Statist. Soc. B 66, 165-185; RLRsim's ``exactLRT`` in R. The
null distribution is in `rlrt_null`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from merextras.distributions.null_spectrum import spectrum_of
from merextras.distributions.rlrt_null import simulate_null
from merextras.engine.kernels.dense import orthonormal
from merextras.exceptions import (
    ApproximationWarning,
    InvalidArgumentError,
    UnsupportedModelError,
)
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_count
from merextras.foundation.rng import as_generator
from merextras.inference.variance_tests.null_bootstrap import likelihood_ratio
from merextras.inference.variance_tests.variance_hypothesis import (
    VarianceHypothesis,
    check_one_sigma,
    label_of,
    scalar,
)
from merextras.model.design.design import Design
from merextras.model.state.fitted import FittedModel
from merextras.model.state.penalised import refuse_penalised
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model.statsmodels.ols import NullModel, read_ols
from merextras.results.tests.exact_test import ExactTest

__all__ = ["exact_lrt"]

# How far a column may be from the span of others, or a response from another, relatively.
_SAME = 1e-7


def exact_lrt(
    model: object, null: object | None = None, *, n_sims: int = 10_000, rng: Rng = None
) -> ExactTest:
    """Exact likelihood ratio test that the model's one variance, and fixed effects, are zero.

    The statistic is::

        LRT = 2 (l(model) - l(null)),  at least 0

    with the log-likelihoods of the model and of a linear model without random effects and with q
    fixed effects fewer, q = 0 included. Its null distribution is simulated (`lrt_sim`).

    Parameters
    ----------
    model : MerMod or fit of a statsmodels MixedLM
        With exactly one variance besides the residual one, fitted by ML.
    null : fit of a statsmodels OLS, optional
        The model under the null hypothesis: the same rows in the same order, its columns in the
        span of the model's. By default the model's own fixed part, q = 0; `exact_rlrt` is then
        preferable, as it has more power.
    n_sims : int, default 10000
        Draws from the null distribution.
    rng : int, Generator or None

    Returns
    -------
    ExactTest
        As for `exact_rlrt`.

    Warns
    -----
    ApproximationWarning
        The model was fitted by REML: the statistic is that of the ML likelihood at the REML
        estimates, which is below its maximum, so that the test is conservative. Refit by ML first.

    Raises
    ------
    UnsupportedModelError
        As for `exact_rlrt`; or a likelihood without a maximum.
    InvalidArgumentError
        `null` is not the fit of an OLS, has other rows or another response, or is not nested in
        the model; for `n_sims` or `rng`.

    See Also
    --------
    exact_rlrt : From the restricted likelihood, for the variance alone.
    merextras.distributions.rlrt_null.lrt_sim :
        The null distribution, its accuracy and its cost.

    Notes
    -----
    R: ``RLRsim::exactLRT(m, m0)``, whose null distribution depends on the units of Z and which
    allows any `m0` with fewer columns; here the columns of `null` must lie in the span of the
    model's. Its warning of a null distribution that is mostly at zero, as covariates of the groups
    make it, is a note of the result.

    References
    ----------
    Crainiceanu, C. M. and Ruppert, D. (2004). Likelihood ratio tests in linear mixed models with
    one variance component. J. R. Statist. Soc. B 66, 165-185, Theorem 1.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.inference.variance_tests.exact_lrt import exact_lrt
    >>> data = load_dataset("dyestuff")
    >>> fit = smf.mixedlm("Yield ~ 1", data, groups="Batch").fit(reml=False)
    >>> test = exact_lrt(fit, smf.ols("Yield ~ 1", data).fit(), rng=1)
    >>> print(f"{test.statistic:.3f}", 0.002 < test.p_value < 0.008)
    5.403 True
    """
    fitted, note = as_fitted(model), ""
    check_one_sigma(fitted, "exact_lrt")
    refuse_penalised("exact_lrt", fitted)
    n_sims, generator = check_count(n_sims, "n_sims"), as_generator(rng)
    tested = _tested(fitted)
    hypothesis, q, null_deviance = tested.hypothesis, 0, tested.null_deviance(reml=False)
    if null is not None:
        given = read_ols(null)
        q, null_deviance = _restrictions(fitted.design, given), -2.0 * given.log_lik
        hypothesis += _restricted(fitted.design, given, q)
    if fitted.solution.reml:
        note = "ML likelihood at the REML estimates; refit the model by ML for its maximum"
        warnings.warn(
            "exact_lrt: the model was fitted by REML; the ML likelihood at the REML estimates is "
            "used, which is below its maximum. Refit the model by ML first (refit_ml())",
            ApproximationWarning,
            stacklevel=2,
        )
    found = spectrum_of(fitted.solution.factor.system.cp)
    sample = simulate_null(found, reml=False, q=q, lambda0=0.0, n_sims=n_sims, rng=generator)
    deviance = fitted.solution.deviance(reml=False)
    statistic = float(likelihood_ratio(null_deviance, deviance, fitted.solution.n))
    return ExactTest("LRT", statistic, sample, hypothesis, note)


def _tested(fitted: FittedModel) -> VarianceHypothesis:
    """The model's one variance; an error if it has others."""
    labels = [label_of(term) for term in fitted.design.terms]
    if len(labels) != 1:
        raise UnsupportedModelError(
            f"exact_lrt is for a model with one variance component; this one has {len(labels)} "
            f"terms: {', '.join(labels)}. exact_rlrt tests one variance among several; fixed "
            "effects together with one are tested by a parametric bootstrap (pb_modcomp)"
        )
    return scalar(VarianceHypothesis(fitted, 0))


def _restrictions(design: Design, null: NullModel) -> int:
    """Count the fixed effects that the null model has fewer; an error if it is not nested."""
    extras = (design.weights, design.frequencies, design.offset)
    if any(extra is not None for extra in extras):
        raise InvalidArgumentError(
            "null: the model has weights or an offset, which an OLS fit has not; give null=None"
        )
    if len(null.y) != design.n:
        raise InvalidArgumentError(
            f"null: fitted to {len(null.y)} rows, the model to {design.n}; fit both to the same "
            "data"
        )
    if np.max(np.abs(null.y - design.y)) > _SAME * np.std(design.y):
        raise InvalidArgumentError(
            "null: its response differs from the model's; fit both to the same data, with the rows "
            "in the same order"
        )
    basis, reduced = orthonormal(design.x), orthonormal(null.x)
    outside = np.linalg.norm(reduced - basis @ (basis.T @ reduced), axis=0)
    if np.any(outside > _SAME):
        raise InvalidArgumentError(
            f"null: not nested in the model: its columns {list(null.names)} are not all in the "
            f"span of the model's fixed effects {list(design.fixed.names)}"
        )
    return int(basis.shape[1] - reduced.shape[1])


def _restricted(design: Design, null: NullModel, q: int) -> str:
    """State the hypothesis about the fixed effects, by name if columns were simply left out."""
    if q == 0:
        return ""
    kept: list[Any] = [
        np.any(np.all(np.isclose(null.x, column[:, None], rtol=_SAME, atol=0.0), axis=0))
        for column in design.x.T
    ]
    dropped = [name for name, keep in zip(design.fixed.names, kept, strict=True) if not keep]
    if len(dropped) == q:
        return "".join(f", {name} = 0" for name in dropped)
    return f", and {q} linear restriction(s) on the fixed effects"

"""The error of Laplace's approximation, measured by adaptive quadrature."""

from __future__ import annotations

import warnings

import numpy as np

from merextras.exceptions import ApproximationWarning, InvalidArgumentError
from merextras.foundation.arguments import check_count
from merextras.model.generalised.fit import check_nodes, check_quadrature
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.refit import by_quadrature
from merextras.results.checks.laplace_check import LaplaceCheck

#: Standard errors that a fixed effect may move by before it is said.
_TENTH = 0.1


def check_laplace(m: object, *, n_agq: int = 15) -> LaplaceCheck:
    """Compare Laplace's approximation with adaptive quadrature.

    The model is fitted again with `n_agq` nodes, from its estimate.

    Parameters
    ----------
    m : model of `glmer`
        With one grouping factor and up to three effects.
    n_agq : int
        Nodes of the quadrature in each effect, at least two.

    Returns
    -------
    LaplaceCheck
        Both log-likelihoods at their optima, that of quadrature at Laplace's estimate, and each
        fixed effect by both with the difference in standard errors.

    Raises
    ------
    InvalidArgumentError
        A linear model, or one fitted by quadrature already; fewer than two nodes, or more than 300.
    UnsupportedModelError
        Several grouping factors, or more than three effects.

    Warns
    -----
    ApproximationWarning
        A fixed effect moves by more than a tenth of its standard error.

    Notes
    -----
    Laplace's approximation takes the distribution of a level's effects given its responses for
    normal, which few trials in a level are far from. lme4 has no such check. Cost: a fit by
    quadrature, ``n_agq**k`` passes over the rows an evaluation.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> found = mx.check_laplace(m)
    >>> round(found.error, 4), found.largest_shift < 0.1
    (0.0425, True)
    """
    if not isinstance(m, FittedGlmm):
        raise InvalidArgumentError(
            f"check_laplace: expected a model of glmer, got {type(m).__name__}; the likelihood of "
            "a linear model is exact"
        )
    if m.n_agq != 1:
        raise InvalidArgumentError(
            f"check_laplace: the model was fitted by quadrature (n_agq={m.n_agq}) and not by "
            "Laplace's approximation"
        )
    if check_count(n_agq, "n_agq") == 1:
        raise InvalidArgumentError(
            "n_agq=1: is Laplace's approximation itself, which is compared with at least 2 nodes"
        )
    check_nodes(n_agq)
    design = m.design.require_rows("check_laplace", "quadrature goes through them")
    check_quadrature(design, "check_laplace")
    at_estimate, exact = by_quadrature(m, n_agq)
    shift = (exact.fixed_estimates - m.fixed_estimates) / np.sqrt(np.diag(exact.fixed_covariance))
    found = LaplaceCheck(
        n_agq=n_agq,
        log_lik=m.log_likelihood,
        log_lik_at_estimate=at_estimate,
        log_lik_exact=exact.log_likelihood,
        names=tuple(m.design.fixed.names),
        estimates=tuple(m.fixed_estimates.tolist()),
        exact_estimates=tuple(exact.fixed_estimates.tolist()),
        shifts=tuple(shift.tolist()),
    )
    if found.largest_shift > _TENTH:
        name = found.names[int(np.argmax(np.abs(shift)))]
        warnings.warn(
            f"Laplace's approximation is poor here: by quadrature with {n_agq} nodes {name!r} "
            f"moves by {found.largest_shift:.2f} standard errors; fit by m.update(n_agq={n_agq})",
            ApproximationWarning,
            stacklevel=2,
        )
    return found

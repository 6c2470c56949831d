"""The analytic gradient of the profiled deviance.

With ``P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1`` under REML (``V^-1`` under ML) the derivative with
respect to the covariance of term t is, summed over its levels,

    D_t = sum_j [ Z'PZ - (df / r**2) Z'V^-1 e e'V^-1 Z ]_jj,     e = y - X beta,

by the envelope theorem for the second part, and ``d / d Lambda_t = 2 D_t Lambda_t``. The chain rule
to the parameters is `Covariances.gradient`. Nothing is divided by Lambda, so a variance at zero is
nothing special. See Lindstrom & Bates (1988), J. Am. Stat. Assoc. 83, for the derivatives; the
block form is ours.
"""

from __future__ import annotations

from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array
from merextras.engine.solution.pls import Solution


def factor_slopes(solution: Solution, weight: Array | None = None) -> tuple[Array, ...]:
    """``2 D_t Lambda_t`` of each term, (k, k); of a triangular factor the upper part is not free.

    Parameters
    ----------
    weight : (p + 1, p + 1) array, optional
        In the basis, what stands between ``Z'V^-1 [X y]`` and its transpose in place of the
        criterion's own: ``c c' / sigma**2`` for the ML deviance at a given sigma, c = (-beta, 1).
    """
    factor, products = solution.factor, _fit_products(solution, weight)
    out: list[Array] = [2.0 * -prod @ lam for prod, lam in zip(products, factor.lams, strict=True)]
    for t, inner in solution.lead_blocks.items():
        out[t] += 2.0 * inner.sum(axis=0) @ factor.lams[t]
    if len(factor.tail):
        for t, trace in solution.selected.tail.scaled_traces().items():
            out[t] += 2.0 * trace
    return tuple(out)


def deviance_slopes(solution: Solution, weight: Array | None = None) -> tuple[Array, ...]:
    """D_t of each term, (k, k) symmetric: the derivative in the covariance itself.

    At a boundary the optimality condition is on D_t: positive semidefinite where the covariance
    is null. A dense tail costs O(q_tail**3). `weight` is that of `factor_slopes`.
    """
    out = [-prod for prod in _fit_products(solution, weight)]
    for t, inner in solution.lead_blocks.items():
        out[t] += inner.sum(axis=0)
    if len(solution.factor.tail):
        for t, trace in solution.selected.tail.traces().items():
            out[t] += trace
    return tuple(0.5 * (d + d.T) for d in out)


def _fit_products(solution: Solution, weight: Array | None) -> tuple[Array, ...]:
    """``sum_j H_j E H_j'`` with H = Z'V^-1 [X y]: what beta and r**2 add to the derivative."""
    weight = solution.slope_weight if weight is None else weight
    return tuple(
        blocks.outer_sum(blocks.transpose(h @ weight), blocks.transpose(h))
        for h in solution.projected
    )

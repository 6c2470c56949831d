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

import numpy as np

from merextras.engine.elimination.factor import Lead
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
    factor, selected = solution.factor, solution.selected
    products = _fit_products(solution, weight)
    out: list[Array] = [2.0 * -prod @ lam for prod, lam in zip(products, factor.lams, strict=True)]
    for lead in factor.leads:
        out[lead.term] += 2.0 * lead_trace(lead, lead.lam, selected.reach[lead.term])
    for t, trace in selected.tail.scaled_traces().items():
        out[t] += 2.0 * trace
    return tuple(out)


def covariance_slopes(solution: Solution, weight: Array | None = None) -> tuple[Array, ...]:
    """D_t of each term, (k, k) symmetric: the derivative in the covariance itself.

    At a boundary the optimality condition is on D_t: positive semidefinite where the covariance
    is null. A dense tail costs O(q_tail**3). `weight` is that of `factor_slopes`.
    """
    factor, selected = solution.factor, solution.selected
    out = [-prod for prod in _fit_products(solution, weight)]
    for lead in factor.leads:
        out[lead.term] += lead_trace(lead, np.eye(len(lead.lam)), selected.reach[lead.term])
    for t, trace in selected.tail.traces().items():
        out[t] += trace
    return tuple(0.5 * (d + d.T) for d in out)


def lead_trace(lead: Lead, right: Array, reach: Array, copies: Array | None = None) -> Array:
    """``sum_j (Z'V^-1 Z)_jj right`` of a leading term, each level so many times, (J,)."""
    # I - N C, written so that a large C costs no digits.
    keep = blocks.inverse(np.eye(len(lead.lam)) + (lead.lam @ lead.lam.T) @ lead.own)
    inner = lead.own @ keep - blocks.transpose(keep) @ reach @ keep
    total = inner.sum(axis=0) if copies is None else np.tensordot(copies, inner, 1)
    return np.asarray(total @ right)


def _fit_products(solution: Solution, weight: Array | None) -> tuple[Array, ...]:
    """``sum_j H_j E H_j'`` with H = Z'V^-1 [X y]: what beta and r**2 add to the derivative."""
    weight = solution.slope_weight if weight is None else weight
    return tuple(
        blocks.outer_sum(blocks.transpose(h @ weight), blocks.transpose(h))
        for h in solution.projected
    )

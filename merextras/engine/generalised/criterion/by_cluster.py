"""The gradient of the approximate likelihood in parts, one of each cluster of rows.

No random effect is in two clusters, so that the deviance is a sum over them. Of a cluster with rows
X and Z, ``A = Z Lambda``, ``H = A'WA + I`` and, as in `laplace`, ``q = diag(A H^-1 A')``,
``s = w' q`` and ``r = -2 g + s - w A H^-1 A's``, the derivatives of its part are ``X'r`` in the
fixed effects and, in the covariance of a term,

    D = sum_j sym[(Z'r)_j (Z'g)_j' + (Z'g)_j (Z'(s - w A H^-1 A's))_j'] / 2 + (Z'V^-1 Z)_jj

with ``V^-1 = W - W A H^-1 A'W``: nothing of it needs an order of elimination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.generalised.criterion.quadrature import Quadrature, QuadraturePoint
from merextras.engine.generalised.families.family import ByDispersion
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.term_rows import TermRows

# Steps of differences of fourth order, in standard errors: beside their fourth power and their
# inverse times rounding.
_STEP = 1e-2


@dataclass(frozen=True)
class AtRows:
    """What the rows' log-densities are like at the modes, (n,) each.

    Attributes
    ----------
    g : (n,) array
        First derivatives in the linear predictor.
    w : (n,) array
        Minus the second ones.
    slope : (n,) array
        Derivatives of w.
    by_dispersion : ByDispersion or None
        Of a family with one.
    """

    g: Array
    w: Array
    slope: Array
    by_dispersion: ByDispersion | None


@dataclass(frozen=True)
class ClusterSlopes:
    """Derivatives of the deviance, one of each cluster.

    Attributes
    ----------
    fixed : (m, p) array
    covariances : tuple of (m, k, k) arrays
        By terms, symmetric.
    dispersion : (m, n_phi) array
    """

    fixed: Array
    covariances: tuple[Array, ...]
    dispersion: Array


def cluster_slopes(
    x: Array,
    terms: Sequence[TermRows],
    lams: Sequence[Array],
    at: AtRows,
    clusters: Sequence[IntArray],
) -> ClusterSlopes:
    """The gradient by clusters of rows, O(n (q + p)**2 + q**3) with q effects in each.

    Parameters
    ----------
    x : (n, p) array
    terms : sequence of TermRows
    lams : sequence of (k, k) arrays
        Any factors of the terms' covariances.
    at : AtRows
    clusters : sequence of integer arrays
        The rows of each.
    """
    found = [_one(x, terms, lams, at, rows) for rows in clusters]
    return ClusterSlopes(
        np.array([one[0] for one in found]),
        tuple(np.array([one[1][t] for one in found]) for t in range(len(terms))),
        np.array([one[2] for one in found]),
    )


def _one(
    x: Array, terms: Sequence[TermRows], lams: Sequence[Array], at: AtRows, rows: IntArray
) -> tuple[Array, list[Array], Array]:
    z = [_by_level(term, rows) for term in terms]
    flat = [block.reshape(len(rows), -1) for block in z]
    a = np.concatenate(
        [(block @ lam).reshape(len(rows), -1) for block, lam in zip(z, lams, strict=True)], axis=1
    )
    g, w = at.g[rows], at.w[rows]
    inverse = np.linalg.inv(a.T @ (w[:, None] * a) + np.eye(a.shape[1]))
    q = np.einsum("nq,nq->n", a @ inverse, a)
    s = at.slope[rows] * q
    moved = a @ (inverse @ (a.T @ s))
    rest = s - w * moved
    r = rest - 2.0 * g
    covariances = []
    for block, own in zip(z, flat, strict=True):
        shape = block.shape[1:]
        to_r, to_g, to_rest = (((own.T @ e).reshape(shape)) for e in (r, g, rest))
        part = 0.5 * (to_r.T @ to_g + to_g.T @ to_rest)
        to_a = (own.T @ (w[:, None] * a)).reshape(*shape, -1)
        part = part + np.einsum("nlk,n,nlm->km", block, w, block)
        part = part - np.einsum("lkq,qr,lmr->km", to_a, inverse, to_a)
        covariances.append(0.5 * (part + part.T))
    by, phi = at.by_dispersion, np.empty(0)
    if by is not None:
        total = q @ by.weight[rows] + moved @ by.first[rows] - 2.0 * np.sum(by.log_density[rows])
        phi = np.array([total])
    return x[rows].T @ r, covariances, phi


def _by_level(term: TermRows, rows: IntArray) -> Array:
    """Z of some rows, (rows, levels, k), of the levels that they have."""
    levels, place = np.unique(term.codes[rows], return_inverse=True)
    out = np.zeros((len(rows), len(levels), term.k))
    out[np.arange(len(rows)), place.reshape(-1)] = term.values[rows]
    return out


def level_slopes(point: QuadraturePoint, scale: Array) -> Array:
    """Derivatives of the deviance by quadrature in all parameters, of each level, (J, m).

    By differences of fourth order, with steps of a hundredth of `scale`, (m,), a standard error of
    each.
    """
    criterion: Quadrature = point.criterion
    out = np.zeros((criterion.n_levels, criterion.m))
    for i in np.flatnonzero(scale > 0.0):
        step = np.zeros(criterion.m)
        step[i] = _STEP * scale[i]
        values = [
            level_deviances(criterion.at(point.x + k * step, point)) for k in (1.0, -1.0, 2.0, -2.0)
        ]
        whole = 8.0 * (values[0] - values[1]) - (values[2] - values[3])
        out[:, i] = whole / (12.0 * step[i])
    return out


def level_deviances(point: object) -> Array:
    """Minus twice the log-likelihood by quadrature of each level, (J,)."""
    assert isinstance(point, QuadraturePoint)
    criterion, nodes = point.criterion, point._nodes
    phi = criterion.split(point.x)[2]
    logs = np.empty((len(criterion.nodes), criterion.n_levels))
    with np.errstate(all="ignore"):
        for q, node in enumerate(criterion.nodes):
            at = nodes.at(node)
            density = criterion.family.log_density(point._eta(nodes.zt, at), phi)
            penalty = 0.5 * np.einsum("jk,jk->j", at, at)
            logs[q] = criterion.logs[q] + criterion.by_level(density) - penalty
    logs = np.where(np.isnan(logs), -np.inf, logs)
    top = np.max(logs, axis=0)
    size = np.log(np.abs(np.linalg.det(nodes.root)))
    constant = 0.5 * len(nodes.lam) * np.log(np.pi)
    return np.asarray(-2.0 * (top + np.log(np.sum(np.exp(logs - top), axis=0)) + size - constant))

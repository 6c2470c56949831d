"""The score of a generalised model by clusters of rows, and the covariance that follows from it."""

from __future__ import annotations

import numpy as np

from merextras.engine.generalised.criterion.by_cluster import AtRows, cluster_slopes, level_slopes
from merextras.engine.generalised.criterion.quadrature import QuadraturePoint
from merextras.foundation.aliases import Array, IntArray
from merextras.model.generalised.fitted import FittedGlmm


def cluster_scores(model: FittedGlmm, codes: IntArray) -> Array:
    """Derivatives of each cluster's log-likelihood in all of the engine's parameters, (m, n_par).

    By the criterion of the fit, Laplace's approximation or quadrature. Columns of what is held are
    zero.

    Parameters
    ----------
    codes : (n,) array
        The cluster of each row, 0 to m - 1; no random effect is in two of them.
    """
    point = model.laplace
    if isinstance(point, QuadraturePoint):
        found = _by_quadrature(model, point, codes)
    else:
        found = _by_laplace(model, codes)
    return np.asarray(-0.5 * np.where(model.optimum.free, found, 0.0))


def sandwich(model: FittedGlmm, codes: IntArray) -> Array:
    """The covariance of all parameters, (n_par, n_par), from the spread of the clusters' scores."""
    scores = cluster_scores(model, codes)
    half = scores @ model.optimum.covariance()
    return np.asarray(half.T @ half)


def _by_laplace(model: FittedGlmm, codes: IntArray) -> Array:
    family, eta, phi = model.engine_family, model.eta, model.phi
    g, w = family.first(eta, phi)
    by = family.by_dispersion(eta, phi) if len(phi) else None
    order = np.argsort(codes, kind="stable")
    clusters = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    table = model.laplace.criterion.table
    found = cluster_slopes(
        model.design.x,
        [term.rows for term in model.design.terms],
        model.lams,
        AtRows(g, w, family.weight_slope(eta, phi), by),
        clusters,
    )
    by_theta = np.zeros((len(clusters), len(model.relative_theta)))
    for own, slopes in zip(found.covariances, model.covariance_slopes, strict=True):
        by_theta += np.einsum("mab,iab->mi", own, slopes)
    return np.concatenate([by_theta, found.fixed @ table.transform, found.dispersion], axis=1)


def _by_quadrature(model: FittedGlmm, point: QuadraturePoint, codes: IntArray) -> Array:
    scale = np.sqrt(np.maximum(np.diag(model.optimum.covariance()), 0.0))
    levels = level_slopes(point, scale)
    cluster = np.empty(len(levels), dtype=np.intp)
    cluster[model.design.terms[0].rows.codes] = codes
    out = np.zeros((int(codes.max()) + 1, levels.shape[1]))
    np.add.at(out, cluster, levels)
    return out

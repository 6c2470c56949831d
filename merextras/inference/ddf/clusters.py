"""Independent clusters of rows: which they are, and what each has of a robust variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg as la

from merextras.exceptions import InvalidArgumentError, TooLargeError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import unknown_column
from merextras.model.design.design import RowDesign
from merextras.model.design.user_rows import expected, rows_of_fit
from merextras.model.state.fitted import FittedModel

# Singular values of (I - H) in its own metric below this belong to directions that it removes.
_REMOVED = 1e-7
# Rows of a cluster whose matrices are held whole, 800 MB each.
_LARGEST = 10_000


@dataclass(frozen=True)
class Cluster:
    """What a cluster has, in coordinates of a basis of ``[Z Lambda, X]`` of its rows.

    Attributes
    ----------
    x : (s, p) array
        X in the basis of the cross-products.
    spread : (s, s) array
        The covariance of the rows over sigma**2.
    residual : (s,) array
        ``y - X beta``.
    """

    x: Array
    spread: Array
    residual: Array


def cluster_codes(design: RowDesign, given: Any) -> tuple[IntArray, str]:
    """The cluster of each row, and what they are called; the outermost factor by default.

    Raises
    ------
    InvalidArgumentError
        A name that is no column, values of another length or missing, clusters that random effects
        go across, fewer than two.
    """
    if given is None:
        codes, name = _outermost(design)
    else:
        codes, name = _read(design, given)
        for term in design.terms:
            if not _refines(term.rows.codes, codes):
                raise InvalidArgumentError(
                    f"cluster={name!r}: levels of the random effects of {term.factor!r} are in "
                    "several clusters, which are not independent then; take a factor that all "
                    "groups are nested in"
                )
    codes = codes[design.observed]
    if len(np.unique(codes)) < 2:
        raise InvalidArgumentError(f"cluster={name!r}: a robust variance needs several clusters")
    return codes, name


def _outermost(design: RowDesign) -> tuple[IntArray, str]:
    for term in design.terms[::-1]:  # the fewest levels first
        if all(_refines(other.rows.codes, term.rows.codes) for other in design.terms):
            return term.rows.codes, term.factor
    names = " and ".join(design.factors)
    raise InvalidArgumentError(
        f"cluster=None: {names} are crossed, none is nested in another; give a factor that all are "
        "nested in, whose levels are independent"
    )


def _read(design: RowDesign, given: Any) -> tuple[IntArray, str]:
    if isinstance(given, str):
        if given in design.factors:
            return design.terms[design.terms_of(given)[0]].rows.codes, given
        if given not in design.columns:
            raise InvalidArgumentError(
                f"cluster: {unknown_column(given, design.columns)} (of the model; other values can "
                "be given as an array)"
            )
        values, name = design.frame[given], given
    else:
        name = str(getattr(given, "name", None) or "cluster")
        own = rows_of_fit(given, design.index, design.user_rows, "cluster", wider=True)
        values = pd.Series(np.asarray(own)) if np.ndim(own) == 1 else pd.Series(dtype=float)
        if len(values) != design.n:
            raise InvalidArgumentError(
                f"cluster: expected a name or {expected(design.index, design.user_rows)}, "
                f"got shape {np.shape(given)}"
            )
    if values.isna().any():
        raise InvalidArgumentError(f"cluster={name!r}: there are missing values")
    return np.asarray(pd.factorize(values)[0], dtype=np.intp), name


def _refines(fine: IntArray, coarse: IntArray) -> bool:
    """Whether every level of `fine` is in one level of `coarse`."""
    first = np.zeros(int(fine.max()) + 1, dtype=np.intp)
    first[fine] = coarse
    return bool(np.all(first[fine] == coarse))


def clusters(model: FittedModel, design: RowDesign, codes: IntArray) -> Sequence[Cluster]:
    """What each cluster has; `codes` of the observations."""
    basis = model.solution.cp.basis
    y = design.y if design.offset is None else design.y - design.offset
    columns = basis.apply(design.x, y)[design.observed]
    p = columns.shape[1] - 1
    beta = la.solve_triangular(basis.transform, model.solution.beta - basis.offset) if p else []
    residual = columns[:, p] - columns[:, :p] @ np.asarray(beta)
    terms = basis.rows([term.rows for term in design.terms])
    effects = [
        (term.codes[design.observed], term.values[design.observed] @ lam)
        for term, lam in zip(terms, model.solution.factor.lams, strict=True)
    ]
    weights, counts = (
        np.ones(len(columns)) if given is None else np.asarray(given[design.observed], dtype=float)
        for given in (design.precision, design.frequencies)
    )
    order = np.argsort(codes, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return [
        _cluster(
            columns[at, :p],
            _columns_of([(c[at], v[at]) for c, v in effects]),
            residual[at],
            weights[at],
            counts[at],
        )
        for at in parts
    ]


def _columns_of(effects: Sequence[tuple[IntArray, Array]]) -> Array:
    """Z Lambda of the levels that occur, (rows, q)."""
    out = []
    for codes, values in effects:
        levels, place = np.unique(codes, return_inverse=True)
        k = values.shape[1]
        block = np.zeros((len(codes), len(levels), k))
        block[np.arange(len(codes)), place.reshape(-1)] = values
        out.append(block.reshape(len(codes), -1))
    return np.concatenate(out, axis=1)


def _cluster(x: Array, z: Array, residual: Array, weights: Array, counts: Array) -> Cluster:
    """The cluster in few coordinates: beside ``[Z Lambda, X]`` the covariance is sigma**2 I."""
    root = np.sqrt(counts)[:, None]
    x, z, residual = root * x, root * z, root[:, 0] * residual
    if np.all(weights == weights[0]):
        basis = la.qr(np.column_stack([z, x]), mode="economic")[0]
        x, z, residual = basis.T @ x, basis.T @ z, basis.T @ residual
        weights = np.full(len(x), weights[0])
    elif len(x) > _LARGEST:
        raise TooLargeError(
            f"a cluster has {len(x)} rows of different weights, whose covariance would be held "
            f"whole; up to {_LARGEST} are, take smaller clusters"
        )
    return Cluster(x, np.diag(1.0 / weights) + z @ z.T, residual)


def adjusted(cluster: Cluster, bread: Array) -> Array:
    """A with ``A cov(e) A' = Phi`` for the cluster's residuals e under the model, (s, s).

    ``A = D' B^(+1/2) D`` with ``Phi = D'D`` and ``B = D (Phi - X M X') D'`` (Pustejovsky & Tipton
    2018). B has the square root ``D D' F`` with F that of ``I - K K'``, ``K = D'^-1 X
    M^(1/2)``, so that its small eigenvalues keep their digits.
    """
    upper = np.linalg.cholesky(cluster.spread).T
    half = np.linalg.cholesky(bread)
    left, size, _ = np.linalg.svd(
        la.solve_triangular(upper, cluster.x @ half, trans="T"), full_matrices=False
    )
    rest = np.sqrt(np.maximum(1.0 - size**2, 0.0))
    rest[rest < _REMOVED] = 0.0
    root = np.eye(len(upper)) - (left * (1.0 - rest)) @ left.T
    vectors, values, _ = np.linalg.svd(upper @ upper.T @ root)
    kept = values > _REMOVED * _REMOVED * values[0] if len(values) else np.zeros(0, dtype=bool)
    kept &= np.arange(len(values)) < len(values) - int(np.sum(rest == 0.0))
    turned = vectors[:, kept].T @ upper
    return np.asarray((turned.T / values[kept]) @ turned)

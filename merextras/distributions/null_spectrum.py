"""The eigenvalues on which the null distribution of a variance's likelihood ratio depends.

Crainiceanu & Ruppert (2004), J. R. Statist. Soc. B 66, 165-185, section 2. For
``y = X beta + Z b + e`` with ``b ~ N(0, lambda sigma**2 Sigma)`` and ``Sigma = S S'`` these are

- ``mu``: the eigenvalues of ``S'Z'P0 Z S``, where P0 projects on what X does not span,
- ``xi``: the eigenvalues of ``S'Z'Z S``.

Equal eigenvalues are kept once, with how often they occur: a balanced design has one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from merextras.engine.kernels.dense import orthonormal
from merextras.engine.products.crossprod import CrossProducts
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, IntArray

# Eigenvalues this close, relatively, are one. K of them then change the log-likelihood ratio by
# less than K times this.
_EQUAL = 1e-10
# Below this share of the largest, an eigenvalue is rounding.
_ZERO = 1e-12
# Up to this many levels LAPACK's K x K eigenvalues take less than a second.
_DENSE = 1000
# Doubles in a temporary array of the bisection.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Spectrum:
    """Positive eigenvalues, each once, in ascending order, and their multiplicities.

    Attributes
    ----------
    n, p : int
        Rows, and the rank of X.
    mu, mu_counts : (m,) arrays
    xi, xi_counts : arrays
    """

    n: int
    p: int
    mu: Array
    mu_counts: IntArray
    xi: Array
    xi_counts: IntArray

    @property
    def rest(self) -> int:
        """Residual degrees of freedom that the random effects do not touch."""
        return self.n - self.p - int(self.mu_counts.sum())


def spectrum(x: Array, z: Any, sqrt_sigma: Array | None = None) -> Spectrum:
    """Find the eigenvalues of a design.

    Cost: for a sparse Z with one entry a row (a grouping factor, whose Z'Z is diagonal) and more
    than 1 000 levels, O(n p**2 + m**2 p**3) with m distinct diagonal elements: sizes of groups are
    small integers, so m is small; 5 000 or 20 000 *different* elements
    (a slope) take some 15 or 80 seconds. Otherwise
    O(n K**2 + K**3) time and O(K**2) memory. No n x n matrix is formed.

    Parameters
    ----------
    x : (n, p) array
        Collinear columns are harmless.
    z : (n, K) array or scipy sparse
    sqrt_sigma : (K, m) array, optional
        S with Sigma = S S'; the identity by default.

    Returns
    -------
    Spectrum

    Raises
    ------
    InvalidArgumentError
        Shapes that do not fit, values that are not finite.
    UnsupportedModelError
        The columns of Z lie in the span of X.
    """
    x, z, root = _checked_design(x, z, sqrt_sigma)
    basis = orthonormal(x)
    n, p = len(x), basis.shape[1]
    if _is_sparse(z):
        gram, shared = sp.csr_array(z.T @ z), np.asarray(z.T @ basis)
        if root is None and _is_diagonal(gram):
            return _of_diagonal(n, gram.diagonal(), shared)
        inner = np.asarray(gram.todense(), dtype=float)
        inner = inner if root is None else root.T @ inner @ root
        shared = shared if root is None else root.T @ shared
        xi, mu = _eigenvalues(inner), _eigenvalues(inner - shared @ shared.T)
        return _spectrum(n, p, mu, xi, _ZERO * xi[-1])
    zs = z if root is None else z @ root
    # Projecting before squaring keeps small mu to their own precision, as splines need.
    left = zs - basis @ (basis.T @ zs)
    xi, mu = _eigenvalues(zs.T @ zs), _eigenvalues(left.T @ left)
    return _spectrum(n, p, mu, xi, max(_ZERO * mu[-1], _ZERO**2 * xi[-1]))


def spectrum_of(products: CrossProducts, term: int = 0) -> Spectrum:
    """Find the eigenvalues of a scalar term of a fitted model, from its cross-products.

    Weights and frequencies are in them, and no rows are needed. Cost as for a sparse Z in
    `spectrum`, without what is of order n.

    Raises
    ------
    UnsupportedModelError
        The residual variance is known.
    """
    if products.scale.is_known:
        raise UnsupportedModelError(
            "exact tests: the model has a known residual standard deviation (sigma=), and their "
            "null distribution is that of a variance relative to an estimated one; take "
            "pb_modcomp, or ranova(p_values='bootstrap')"
        )
    p = products.p
    low = la.cholesky(products.xy[:p, :p], lower=True)
    unit = products.basis.effects[term].transform[0, 0]
    shared = la.solve_triangular(low, products.to_xy[term][:, 0, :p].T / unit, lower=True).T
    return _of_diagonal(products.n, products.own[term][:, 0, 0] / unit**2, shared)


def _checked_design(x: Array, z: Any, sqrt_sigma: Array | None) -> tuple[Array, Any, Array | None]:
    x = np.asarray(x, dtype=float)
    z = z.astype(float) if _is_sparse(z) else np.asarray(z, dtype=float)
    root = None if sqrt_sigma is None else np.asarray(sqrt_sigma, dtype=float)
    given: dict[str, Any] = {"x": x, "z": z}
    if root is not None:
        given["sqrt_sigma"] = root
    for name, array in given.items():
        if array.ndim != 2:
            raise InvalidArgumentError(f"{name}: needs two dimensions, got shape {array.shape}")
        values = array.data if _is_sparse(array) else array
        if not np.all(np.isfinite(values)):
            raise InvalidArgumentError(f"{name}: has values that are not finite")
    if z.shape[1] == 0 or len(x) != z.shape[0]:
        raise InvalidArgumentError(
            f"x has shape {x.shape} and z {z.shape}: both need the same rows, and z a column"
        )
    if root is not None and root.shape[0] != z.shape[1]:
        raise InvalidArgumentError(
            f"sqrt_sigma: shape {root.shape}, but z has {z.shape[1]} columns; Sigma is "
            "sqrt_sigma @ sqrt_sigma.T"
        )
    return x, z, root


def _is_sparse(z: object) -> bool:
    return bool(sp.issparse(z))


def _eigenvalues(symmetric: Array) -> Array:
    return np.asarray(la.eigvalsh(symmetric), dtype=np.float64)


def _is_diagonal(gram: sp.csr_array) -> bool:
    rows, columns = gram.nonzero()
    return bool(np.all(rows == columns))


def _of_diagonal(n: int, diagonal: Array, shared: Array) -> Spectrum:
    xi = np.sort(diagonal)
    mu = diagonal_less_gram(diagonal, shared)
    return _spectrum(n, shared.shape[1], mu, xi, _ZERO * xi[-1])


def _spectrum(n: int, p: int, mu: Array, xi: Array, tiny: float) -> Spectrum:
    mu = mu[mu > tiny]
    # At most n - p of mu can be positive; more would be rounding.
    mu = mu[len(mu) - min(len(mu), n - p) :]
    if len(mu) == 0:
        raise UnsupportedModelError(
            "the random effect's columns lie in the span of the fixed effects, so that its "
            "variance has no effect on the restricted likelihood; drop the fixed effects that "
            "distinguish its levels"
        )
    xi = xi[xi > _ZERO * xi[-1]]
    return Spectrum(n, p, *distinct(mu), *distinct(xi[-n:]))


def distinct(values: Array) -> tuple[Array, IntArray]:
    """Merge nearly equal ones of ascending values into their mean; also count them."""
    new = np.flatnonzero(np.diff(values) > _EQUAL * np.abs(values[1:])) + 1
    starts = np.concatenate([[0], new]).astype(np.intp)
    counts = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values, starts) / counts, counts


def diagonal_less_gram(diagonal: Array, u: Array) -> Array:
    """Find the eigenvalues of ``diag(d) - U U'``, semidefinite, ascending; U is (K, p).

    The i-th lies between d_(i - p) and d_(i), sorted, so that all but p of a group of equal d are
    known without work. The others are bisected by counting: by Sylvester's law of inertia the
    number below x is ``#(d < x) + #(negative eigenvalues of I - U'(D - x)^-1 U)``, p x p. Each step
    costs O(r m p**2) for r eigenvalues left and m distinct d.
    """
    if len(diagonal) <= _DENSE:
        return _eigenvalues(np.diag(diagonal) - u @ u.T)
    order = np.argsort(diagonal)
    values, counts = distinct(diagonal[order])
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    products = np.add.reduceat(u[order, :, None] * u[order, None, :], starts, axis=0)
    high = np.repeat(values, counts)
    low = np.concatenate([np.zeros(u.shape[1]), high])[: len(high)]
    open_ = np.flatnonzero(high - low > 1e-14 * values[-1])
    while len(open_):
        # Off the middle: with sizes 4, 5, 6 the middle is an eigenvalue of D.
        middle = low[open_] + 0.4819660113 * (high[open_] - low[open_])
        below = _n_below(middle, values, counts, products) > open_
        high[open_[below]] = middle[below]
        low[open_[~below]] = middle[~below]
        open_ = open_[high[open_] - low[open_] > 1e-14 * values[-1]]
    return np.asarray(0.5 * (low + high))


def _n_below(at: Array, values: Array, counts: IntArray, products: Array) -> IntArray:
    """Count the eigenvalues below each of `at`, by inertia."""
    p = products.shape[1]
    before = np.concatenate([[0], np.cumsum(counts)])
    out = before[np.searchsorted(values, at)]
    flat = products.reshape(len(values), p * p)
    size = max(1, _CHUNK // len(values))
    for start in range(0, len(at), size):
        gap = values - at[start : start + size, None]
        # A hair below: nearer, the matrix would keep no digit of the others.
        gap[gap == 0.0] = 1e-10 * values[-1]
        inner = np.eye(p) - ((1.0 / gap) @ flat).reshape(-1, p, p)
        out[start : start + size] += np.sum(np.linalg.eigvalsh(inner) < 0.0, axis=1)
    return np.asarray(out)

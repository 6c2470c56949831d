"""Identifiability of the variances: the rank of the covariance's derivatives.

The covariance of the observations is linear in the elements g of the terms' covariances and in
sigma**2, ``V = sigma**2 W^-1 + sum_i g_i V_i`` with ``V_i = Z_t E_i Z_t'``, E_i a way in which the
structure of the covariance lets it change. With the fixed effects taken out by P, ``P V_i P`` are
what the elements can be seen by. If they and P itself (unless sigma**2 is known) are linearly
dependent, a change of the elements exists that nothing shows, and their estimates are one of many:
their Gram matrix ``tr(P V_i P V_j)`` is then singular. It comes from the cross-products alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import scipy.linalg as la

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.change import blocks_times_both
from merextras.engine.products.crossprod import CrossProducts

# An eigenvalue of the Gram matrix of matrices of size one that is rounding.
_NONE = 1e-11
# The square of a change of V over that of the covariance in its basis, that is rounding.
_UNSEEN = 1e-14
# A share of a combination that counts as taking part in it.
_PART = 1e-4


def confounded(
    cp: CrossProducts, changes: Sequence[Array] | None = None
) -> list[tuple[tuple[int, ...], bool]]:
    """Terms whose variances can't be told apart: a tuple for each combination that nothing shows.

    Parameters
    ----------
    cp : CrossProducts
    changes : sequence of (d, k, k) arrays, optional
        By terms: the E_i, in the coordinates of the cross-products; by default all there are.

    Returns
    -------
    list of (terms, residual)
        Numbers of the terms that take part, and whether the residual variance does. A term alone
        can't be told from the fixed effects, or has effects that can't be told from each other.

    Notes
    -----
    Cost: O(sum J k**4) and one product of Z'WZ with p columns for each element.
    """
    if not cp.own or cp.n <= cp.p:
        return []
    roots = [_inverse_root(own.sum(axis=0)) for own in cp.own]
    if changes is None:
        units = [_units(len(root)) for root in roots]
    else:
        units = [_rotated(e, root) for e, root in zip(changes, roots, strict=True)]
    gram, size = _gram(_Rotated(cp, roots), cp, units)
    known = cp.scale.is_known
    if known:  # nothing is taken for the residual variance's share
        gram, size = gram[:-1, :-1], size[:-1]
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    term_of = np.repeat(np.arange(len(roots)), [len(own) for own in units])
    found = []
    for null in vectors[:, values < _NONE].T:
        taking = np.abs(null) > _PART * np.max(np.abs(null))
        terms = tuple(int(t) for t in np.unique(term_of[taking[: len(term_of)]]))
        found.append((terms, bool(not known and taking[-1])))
    return found


def _rotated(changes: Array, root: Array) -> Array:
    """The E_i of effects in the basis that ``Z root'`` is in; those of nothing that is seen out."""
    back = np.linalg.pinv(root.T)
    return np.asarray(back @ changes @ back.T)


def _inverse_root(total: Array) -> Array:
    """(r, k) R with ``R total R'`` the identity; r < k if effects depend on each other."""
    size = np.sqrt(np.diag(total))
    size = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(total / np.outer(size, size))
    kept = values > 1e-13 * values[-1]
    return np.asarray((vectors[:, kept] / np.sqrt(values[kept])).T / size)


class _Rotated:
    """Z'WZ and Z'WX with each term's effects, and X, in their orthonormal basis."""

    def __init__(self, cp: CrossProducts, roots: Sequence[Array]) -> None:
        p = cp.p
        low = la.cholesky(cp.xy[:p, :p] + 1e-300 * np.eye(p), lower=True) if p else np.eye(0)
        self.own = [r @ own @ r.T for r, own in zip(roots, cp.own, strict=True)]
        back = la.solve_triangular(low, np.eye(p), lower=True) if p else np.eye(0)
        pairs = zip(roots, cp.to_xy, strict=True)
        self.to_x = [r @ to_xy[:, :, :p] @ back.T for r, to_xy in pairs]
        self.cross = {
            (s, t): blocks_times_both(block, roots[s].T, roots[t].T)
            for (s, t), block in cp.cross.items()
        }

    def times(self, s: int, t: int, part: Array) -> Array:
        """``Z_s'WZ_t part``; `part` and the result are (J, k, d, p)."""
        levels, k, d, p = part.shape
        if s == t:
            return np.asarray(self.own[t] @ part.reshape(levels, k, d * p)).reshape(part.shape)
        block = self.cross[s, t] if s < t else self.cross[t, s].T
        found = block @ part.reshape(levels * k, d * p)
        return np.asarray(found.reshape(*self.own[s].shape[:2], d, p))

    def double(self, s: int, t: int) -> Array:
        """``sum B_ac B_bd`` over the pairs of levels, (k_s k_s, k_t k_t): rows a b, columns c d."""
        found = self.own[t] if s == t else self.cross[s, t].data
        size, ks, kt = found.shape
        flat = found.reshape(size, ks * kt)
        sums = (flat.T @ flat).reshape(ks, kt, ks, kt)
        return np.asarray(sums.transpose(0, 2, 1, 3).reshape(ks * ks, kt * kt))


def _units(k: int) -> Array:
    """The symmetric E_i, (k (k + 1) / 2, k, k)."""
    rows, cols = lower_indices(k)
    out = np.zeros((len(rows), k, k))
    out[np.arange(len(rows)), rows, cols] = out[np.arange(len(rows)), cols, rows] = 1.0
    return out


def _gram(products: _Rotated, cp: CrossProducts, units: Sequence[Array]) -> tuple[Array, Array]:
    """``tr(P V_i P V_j)`` with P as the last, and the size of each V_i before P was taken."""
    ks = [own.shape[1] for own in products.own]
    ends = np.cumsum([0, *(len(own) for own in units)])
    at = [slice(*pair) for pair in pairwise(ends)]
    out, size = np.empty((ends[-1] + 1,) * 2), np.empty(ends[-1] + 1)
    pairs_of = list(zip(units, products.to_x, strict=True))
    moved = [np.einsum("iab,jbp->jaip", *each) for each in pairs_of]
    # h'E_i h of all elements, a row each.
    sums = [
        np.tensordot(h, part, ((0, 1), (0, 1)))
        for h, part in zip(products.to_x, moved, strict=True)
    ]
    inner = np.concatenate([_by_element(part[None]) for part in sums])
    for t, k in enumerate(ks):
        flat = units[t].reshape(-1, k * k)
        for s in range(t + 1):
            pairs = units[s].reshape(-1, ks[s] ** 2) @ products.double(s, t) @ flat.T
            once = _by_element(moved[s]) @ _by_element(products.times(s, t, moved[t])).T
            twice = inner[at[s]] @ inner[at[t]].T
            out[at[s], at[t]] = pairs - 2.0 * once + twice
            out[at[t], at[s]] = out[at[s], at[t]].T
            if s == t:
                size[at[t]] = _sizes(np.diag(pairs), flat)
        traces = units[t].reshape(-1, k * k) @ products.own[t].sum(axis=0).reshape(-1)
        by_element = inner[at[t]].reshape(len(units[t]), cp.p, cp.p)
        fixed = np.trace(by_element, axis1=1, axis2=2)
        out[at[t], -1] = out[-1, at[t]] = traces - fixed
    out[-1, -1], size[-1] = cp.n - cp.p, np.sqrt(cp.n)
    seen = size > 0.0
    return out * np.outer(seen, seen), np.where(seen, size, 1.0)


def _by_element(columns: Array) -> Array:
    """(J, k, d, p) as (d, J k p): all that is of an element E_i in a row."""
    levels, k, d, p = columns.shape
    return columns.transpose(2, 0, 1, 3).reshape(d, levels * k * p)


def _sizes(squares: Array, changes: Array) -> Array:
    """Roots of ``tr(V_i V_i)``; zero where that is rounding: effects of which no level has both."""
    seen = squares > _UNSEEN * np.einsum("ij,ij->i", changes, changes)
    return np.sqrt(np.where(seen, squares, 0.0))

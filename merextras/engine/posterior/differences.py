"""Variances of differences between random effects, for all pairs of two sets of levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.posterior import joint
from merextras.engine.solution.pls import Solution


@dataclass(frozen=True)
class EffectRows:
    """Random effects as combinations of independent unit normals, sigma being one.

    Attributes
    ----------
    sparse : tuple of sparse (m, q_t) arrays
        On those of the leading terms: a level's own and its parents'.
    dense : (m, q_tail + p) array
        On those of the tail and of the fixed effects.
    """

    sparse: tuple[sp.csr_array, ...]
    dense: Array


def effects(solution: Solution, term: int, effect: int, levels: IntArray) -> EffectRows:
    """One effect of some levels of a term, in the joint distribution of all effects.

    Notes
    -----
    The effect b_j alone is the linear combination ``z'b`` with a single one in z. Memory is m
    (q_tail + p) numbers; cost O(J) whatever m is, and m q_tail**2 with a tail.
    """
    m = len(levels)
    z = [sp.csr_array((m, b.size)) for b in solution.b]
    k = solution.b[term].shape[1]
    at = (np.ones(m), levels * k + effect, np.arange(m + 1))
    z[term] = sp.csr_array(at, shape=z[term].shape)
    parts, rest, tail = joint.whitened(solution, z, np.zeros((m, solution.p)))
    return EffectRows(tuple(parts), np.hstack([rest.T, tail.T]))


def difference_variances(a: EffectRows, b: EffectRows) -> Array:
    """Variances over sigma**2 of the differences of each effect in a and each in b, (m_a, m_b).

    Squared distances of the combinations. What all levels share (the error of the intercept above
    all, often far larger than a difference) is taken off first, so that it does not cancel digits.
    """
    common = np.mean(a.dense, axis=0)
    left, right = a.dense - common, b.dense - common
    size_a, size_b = _sizes(a.sparse, left), _sizes(b.sparse, right)
    out: Array = left @ right.T
    for mine, theirs in zip(a.sparse, b.sparse, strict=True):
        both = sp.coo_array(mine @ theirs.T)
        out[both.row, both.col] += both.data
    out *= -2.0
    out += size_a[:, None]
    out += size_b
    np.maximum(out, 0.0, out=out)
    return out


def _sizes(parts: tuple[sp.csr_array, ...], dense: Array) -> Array:
    out = np.einsum("im,im->i", dense, dense)
    for part in parts:
        out += np.asarray(part.multiply(part).sum(axis=1)).reshape(-1)
    return np.asarray(out)

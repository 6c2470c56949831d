"""A generalised linear model of each level alone, all levels at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.generalised.families.family import Family
from merextras.engine.kernels import blocks
from merextras.engine.kernels.by_level import inverse, orthonormal
from merextras.foundation.aliases import Array, BoolArray, IntArray

# Steps, halvings of one, the change of a linear predictor that ends them, and the change that a
# level may still have at the end; one whose likelihood rises without end changes by more.
_STEPS, _HALVINGS, _DONE, _FOUND = 100, 30, 1e-12, 1e-8
# The least eigenvalue of the observed information over the expected one with which a step is taken.
_CURVED = 1e-3


@dataclass(frozen=True, eq=False)
class LevelsAlone:
    """The maxima of the likelihoods of J levels.

    Attributes
    ----------
    moved : (J, k) array
        What is added to the coefficients of the start; zero for a column that depends on those
        before it in the level.
    known : (J, k) boolean array
        Columns that do not.
    found : (J,) boolean array
        Levels whose search ended; the others' likelihood rises without end, or is nowhere finite.
    """

    moved: Array
    known: BoolArray
    found: BoolArray


def levels_alone(
    family: Family, phi: Array, eta: Array, z: Array, codes: IntArray, levels: int
) -> LevelsAlone:
    """Maximise the likelihood of each level's rows, the dispersion held.

    By Newton steps of all levels together, each a least-squares fit to the rows, halved where the
    likelihood would fall; in a level where the observed information is not positive definite by
    Fisher's scoring.

    Parameters
    ----------
    family : Family
    phi : array
        The dispersion.
    eta : (n,) array
        Linear predictors at the start, where the log-density of each row is finite.
    z : (n, k) array
    codes : (n,) integer array
    levels : int
    """
    moved, known = np.zeros((levels, z.shape[1])), orthonormal(z, codes, levels)[1]
    left: BoolArray = np.full(levels, True)
    change = np.full(levels, np.inf)

    def at(where: Array) -> Array:
        return np.asarray(eta + np.einsum("nk,nk->n", z, where[codes]))

    def likelihoods(where: Array) -> Array:
        found = blocks.sum_by(family.log_density(at(where), phi), codes, levels)
        return np.where(np.isfinite(found), found, -np.inf)

    with np.errstate(all="ignore"):
        before = likelihoods(moved)
        for _ in range(_STEPS):
            here = at(moved)
            g, observed = family.first(here, phi)
            expected = observed if family.concave else family.expected(here, phi)
            step = _step(z, g, observed, expected, codes, known)
            step = np.where(left[:, None], step, 0.0)
            step, before = _uphill(likelihoods, moved, step, before)
            moved = moved + step
            now = np.zeros(levels)
            np.maximum.at(now, codes, np.abs(np.einsum("nk,nk->n", z, step[codes])))
            change = np.where(left, now, change)
            left = np.isnan(change) | (change > _DONE)
            if not np.any(left & np.isfinite(moved).all(axis=1)):
                break
    return LevelsAlone(moved, known, np.asarray(change <= _FOUND))


def _step(
    z: Array, g: Array, observed: Array, expected: Array, codes: IntArray, known: BoolArray
) -> Array:
    """``(Z_j'W_jZ_j)^-1 Z_j'g_j`` by levels, (J, k)."""
    root = np.sqrt(expected)
    upper, _, q = orthonormal(z * root[:, None], codes, len(known), known)
    ratio = np.where(root > 0.0, g / root, 0.0)
    inner = np.column_stack([blocks.sum_by(own * ratio, codes, len(known)) for own in q])
    if expected is not observed:
        inner = _newton(q, np.where(root > 0.0, observed / expected, 1.0), inner, codes, known)
    finite: BoolArray = np.asarray(np.isfinite(upper).all(axis=(1, 2)))
    upper = np.where(finite[:, None, None], upper, np.eye(z.shape[1]))
    step = np.einsum("jab,jb->ja", inverse(upper, known), inner)
    return np.where(finite[:, None], step, np.nan)


def _newton(
    q: Sequence[Array], ratio: Array, inner: Array, codes: IntArray, known: BoolArray
) -> Array:
    """The step in the basis Q by the observed information, `ratio` times the expected one there.

    Unchanged in levels where it is not positive definite.
    """
    levels, k = inner.shape
    gram = np.zeros((levels, k, k))
    for a in range(k):
        for b in range(a + 1):
            gram[:, a, b] = gram[:, b, a] = blocks.sum_by(q[a] * ratio * q[b], codes, levels)
    gram += np.eye(k) * ~known[:, :, None]
    usable: BoolArray = np.asarray(np.isfinite(gram).all(axis=(1, 2)))
    usable[usable] = np.linalg.eigvalsh(gram[usable])[:, 0] > _CURVED
    out = inner.copy()
    out[usable] = np.linalg.solve(gram[usable], inner[usable][:, :, None])[:, :, 0]
    return out


def _uphill(
    likelihoods: Callable[[Array], Array], moved: Array, step: Array, before: Array
) -> tuple[Array, Array]:
    """Steps halved in the levels whose likelihood would fall, and the likelihoods after them."""
    noise = 1e-12 * (1.0 + np.abs(before))
    after = likelihoods(moved + step)
    for _ in range(_HALVINGS):
        falls: BoolArray = after < before - noise
        if not np.any(falls):
            break
        step = np.where(falls[:, None], 0.5 * step, step)
        after = likelihoods(moved + step)
    return step, after

"""Draws of ``[Z X]'W e`` and ``e'We`` for independent normal residuals, without a row.

For e ~ N(0, W^-1) the vector ``[Z X]'W e`` is normal with covariance ``[Z X]'W[Z X]``, the Gram
matrix, and ``e'We`` less its share in that span is an independent chi-square with as many degrees
of freedom as there are observations less the rank. Both follow from the cross-products alone. The
matrix is singular as a rule (the indicators of two factors both add up to one), so it is taken
apart term by term in the engine's order of elimination, every block by its eigenvectors; those of
eigenvalue zero are left out, and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from merextras.engine.elimination.factor import flat
from merextras.engine.elimination.plan import System, make_plan, prepare
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.replicates.responses import Responses

BoolArray = NDArray[np.bool_]

# An eigenvalue is zero below this share of its block before anything was eliminated, which had
# rounding of some 1e-15 of it; a true one that is smaller is lost without a trace in any result.
_ZERO = 1e-11


@dataclass(frozen=True)
class Stage:
    """A leading term at the moment it is eliminated.

    Attributes
    ----------
    term : int
    root : (J, k, k) array
        V E^(1/2) of what is left of its blocks; columns of zeros where the eigenvalue is zero.
    known : (J, k) boolean array
        Which eigenvalues are not zero.
    later : mapping s -> (J, k_s, k) array
        Of later leading terms: their blocks with this one, times V E^(-1/2).
    tail : sparse (q_tail, J k) or None
        The same of the tail.
    xy : (J, p, k) array
        The same of X.
    """

    term: int
    root: Array
    known: BoolArray
    later: Mapping[int, Array]
    tail: sp.csr_array | None
    xy: Array


@dataclass(frozen=True)
class GramFactor:
    """A root of the Gram matrix ``[Z XT]'W[Z XT]``, by blocks.

    Attributes
    ----------
    system : System
    stages : tuple of Stage
    tail : (q_tail, q_tail) array
    tail_known : (q_tail,) boolean array
    tail_x : (p, q_tail) array
    x : (p, p) array
    x_known : (p,) boolean array
    """

    system: System
    stages: tuple[Stage, ...]
    tail: Array
    tail_known: BoolArray
    tail_x: Array
    x: Array
    x_known: BoolArray

    @property
    def rank(self) -> int:
        """Rank of ``[Z X]`` with its weights."""
        found = sum(int(np.sum(stage.known)) for stage in self.stages)
        return found + int(np.sum(self.tail_known)) + int(np.sum(self.x_known))

    @property
    def size(self) -> int:
        """Normal numbers that a draw takes, q + p."""
        return sum(stage.known.size for stage in self.stages) + len(self.tail) + len(self.x)

    def times(self, noise: Array) -> tuple[tuple[Array, ...], Array, Array]:
        """The root times columns of numbers.

        Parameters
        ----------
        noise : (q + p, m) array

        Returns
        -------
        z : tuple of (J, k, m) arrays, by terms
        x : (p, m) array
        squares : (m,) array
            Of the numbers that count, those of eigenvalues that are not zero.
        """
        system, m = self.system, noise.shape[1]
        z = {t: np.zeros((*system.cp.shapes[t], m)) for t in system.plan.leading}
        tail, x = np.zeros((len(self.tail), m)), np.zeros((len(self.x), m))
        squares, at = np.zeros(m), 0
        for stage in self.stages:
            count = stage.known.size
            part = noise[at : at + count].reshape(*stage.known.shape, m)
            part = part * stage.known[:, :, None]
            at += count
            z[stage.term] += stage.root @ part
            for s, block in stage.later.items():
                parents = system.plan.parents[stage.term, s]
                z[s] += blocks.sum_by(block @ part, parents, len(z[s]))
            own = part.reshape(count, m)
            if stage.tail is not None:
                tail += stage.tail @ own
            x += np.einsum("jpk,jkm->pm", stage.xy, part, optimize=True)
            squares += np.einsum("qm,qm->m", own, own)
        tail_part = noise[at : at + len(tail)] * self.tail_known[:, None]
        x_part = noise[at + len(tail) :] * self.x_known[:, None]
        tail += self.tail @ tail_part
        x += self.tail_x @ tail_part + self.x @ x_part
        squares += np.einsum("qm,qm->m", tail_part, tail_part)
        squares += np.einsum("pm,pm->m", x_part, x_part)
        return self._by_term(z, tail), x, squares

    def _by_term(self, z: dict[int, Array], tail: Array) -> tuple[Array, ...]:
        at, shapes = 0, self.system.cp.shapes
        for t in self.system.plan.tail:
            levels, k = shapes[t]
            z[t] = tail[at : at + levels * k].reshape(levels, k, -1)
            at += levels * k
        return tuple(z[t] for t in range(len(shapes)))


def gram_factor(cp: CrossProducts) -> GramFactor:
    """Take the Gram matrix apart; the cost of one factorisation with eigenvectors, see `plan`.

    The tail is dense, whatever it is for a fit: what is left of a Gram matrix is singular.
    """
    system = prepare(cp, make_plan(cp, tail="dense"))
    left = _Left(system)
    stages = [left.eliminate(i) for i in range(len(system.plan.leading))]
    p = system.cp.p
    size = np.sqrt(np.diag(left.whole_tail))
    root, inverse, known = _roots(left.tail[None], size[None])
    x_tail = left.x_tail @ inverse[0]
    size = np.sqrt(np.diag(system.cp.xy)[:p])
    last, _, x_known = _roots((left.x - x_tail @ x_tail.T)[None], size[None])
    return GramFactor(system, tuple(stages), root[0], known[0], x_tail, last[0], x_known[0])


class _Left:
    """What is left of the Gram matrix while terms are eliminated; see `factor` for the pattern."""

    def __init__(self, system: System) -> None:
        cp, plan, p = system.cp, system.plan, system.cp.p
        self._system = system
        self._own = {t: cp.own[t] for t in plan.leading}
        self._x_of = {t: block[:, :, :p] for t, block in enumerate(cp.to_xy)}
        self._nested, self._to_tail = dict(system.nested), dict(system.to_tail)
        self.whole_tail = system.tail.whole().toarray()
        self.tail, self.x = self.whole_tail.copy(), cp.xy[:p, :p].copy()
        parts = [flat(self._x_of[t]) for t in plan.tail]
        self.x_tail = np.concatenate([np.zeros((0, p)), *parts]).T

    def eliminate(self, i: int) -> Stage:
        """Take out the i-th leading term."""
        plan, cp = self._system.plan, self._system.cp
        t, others = plan.leading[i], plan.leading[i + 1 :]
        root, inverse, known = _roots(self._own[t], _sizes(cp.own[t]))
        later = {s: self._nested[t, s] @ inverse for s in others}
        xy = blocks.transpose(self._x_of[t]) @ inverse
        half = None
        if plan.tail:
            half = sp.csr_array(self._to_tail[t] @ blocks.block_diagonal(inverse))
            self.tail -= (half @ half.T).toarray()
            self.x_tail = self.x_tail - (half @ flat(blocks.transpose(xy))).T
        for a, s in enumerate(others):
            parents, levels = plan.parents[t, s], cp.shapes[s][0]
            up = blocks.transpose(later[s])
            self._own[s] = self._own[s] - blocks.sum_by(later[s] @ up, parents, levels)
            change = blocks.sum_by(later[s] @ blocks.transpose(xy), parents, levels)
            self._x_of[s] = self._x_of[s] - change
            for r in others[a + 1 :]:
                change = blocks.sum_by(later[r] @ up, parents, levels)
                self._nested[s, r] = self._nested[s, r] - change
            if half is not None:
                to_s = sp.csc_array(half @ blocks.block_columns(up, parents, levels))
                self._to_tail[s] = sp.csc_array(self._to_tail[s] - to_s)
        rows = flat(blocks.transpose(xy))
        self.x -= rows.T @ rows
        return Stage(t, root, known, later, half, xy)


def _sizes(own: Array) -> Array:
    return np.asarray(np.sqrt(np.einsum("jkk->jk", own)))


def _roots(own: Array, size: Array) -> tuple[Array, Array, BoolArray]:
    """V E^(1/2), V E^(-1/2) of semidefinite blocks, and which of E are not zero.

    `size` is what the rows were before anything was eliminated; blocks are scaled by it first, so
    that the units of the effects do not matter.
    """
    scale = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(own / (scale[:, :, None] * scale[:, None, :]))
    known = values > _ZERO
    root = np.sqrt(np.where(known, values, 0.0))
    inverse = np.where(known, 1.0 / np.where(known, root, 1.0), 0.0)
    return (
        scale[:, :, None] * vectors * root[:, None, :],
        vectors / scale[:, :, None] * inverse[:, None, :],
        known,
    )


@dataclass(frozen=True)
class Sums:
    """m vectors u of rows, by their products with the design.

    Attributes
    ----------
    z : tuple of (J, k, m) arrays
        Z'Wu.
    x : (p, m) array
        (XT)'Wu, in the basis of the design's cross-products.
    squares : (m,) array
        u'Wu.
    """

    z: tuple[Array, ...]
    x: Array
    squares: Array

    def responses(self, system: System, beta: Array) -> Responses:
        """The responses ``X beta + u``, reduced.

        Parameters
        ----------
        beta : (p,) array
        """
        cp, p = system.cp, system.cp.p
        gram = cp.xy[:p, :p]
        coefficients = np.linalg.solve(gram, self.x) if p else self.x
        to_y = tuple(
            z - block[:, :, :p] @ coefficients for z, block in zip(self.z, cp.to_xy, strict=True)
        )
        explained = np.einsum("pm,pm->m", coefficients, self.x)
        return Responses(
            to_y,
            self.x - gram @ coefficients,
            np.maximum(self.squares - explained, 0.0),
            beta[:, None] + cp.basis.transform @ coefficients,
        )


def effects_and_noise(factor: GramFactor, b: Sequence[Array], noise: Array, chi2: Array) -> Sums:
    """Products of ``u = Zb + e`` with the design.

    Parameters
    ----------
    factor : GramFactor
    b : sequence of (J, k, m) arrays
    noise : (q + p, m) array
        Standard normals, times sigma.
    chi2 : (m,) array
        Chi-squares with n - rank degrees of freedom, times sigma**2.
    """
    cp = factor.system.cp
    z, x, squares = factor.times(noise)
    zb = [own @ part for own, part in zip(cp.own, b, strict=True)]
    for (s, t), block in cp.cross.items():
        zb[s] = zb[s] + (block @ flat(b[t])).reshape(b[s].shape)
        zb[t] = zb[t] + (block.T @ flat(b[s])).reshape(b[t].shape)
    total = chi2 + squares
    for mine, own, e in zip(b, zb, z, strict=True):
        total = total + np.einsum("jkm,jkm->m", mine, own + 2.0 * e)
    for mine, block in zip(b, cp.to_xy, strict=True):
        x = x + np.einsum("jkp,jkm->pm", block[:, :, : cp.p], mine, optimize=True)
    return Sums(tuple(a + e for a, e in zip(zb, z, strict=True)), x, total)

"""Cross-products by residual strata: groups of rows with residual variances of their own.

The weighted sum of cross-products is that of rows with these weights, so that with
``Var(e_i) = sigma**2 / (w_i omega_h)`` in stratum h all that a fit needs of any omega are the
cross-products of each stratum: no row is read in a search. They are kept among the pairs of a level
and a stratum that occur, which are never more than the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from merextras.engine.kernels import blocks, sparse
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.accumulate import (
    Part,
    basis_of,
    change_of_columns,
    combined,
    permuted,
    qr_factor,
)
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts, effects_of
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.restrict import Kept, restricted
from merextras.engine.products.term_rows import TermRows


@dataclass(frozen=True)
class Strata:
    """The cross-products of H strata of a table, in one basis.

    Attributes
    ----------
    pairs : CrossProducts
        Of all rows with weights as given, the levels of each term split by strata.
    level, stratum : tuples of (P,) integer arrays
        By terms: whose each pair is.
    sizes : tuple of int
        Levels of each term.
    xy : (H, p + 1, p + 1) array
        [X y]'W[X y] of each stratum.
    n : (H,) array
        Rows of each stratum (with frequency weights: the sum of the frequencies).
    sum_log_w : (H,) array
        Sum of the logarithms of the weights as given, by strata.
    """

    pairs: CrossProducts
    level: tuple[IntArray, ...]
    stratum: tuple[IntArray, ...]
    sizes: tuple[int, ...]
    xy: Array
    n: Array
    sum_log_w: Array

    @classmethod
    def from_rows(
        cls,
        x: Array,
        y: Array,
        terms: Sequence[TermRows],
        codes: IntArray,
        n_strata: int,
        weights: Array | None = None,
        frequencies: Array | None = None,
    ) -> Strata:
        """Reduce a table whose rows are in the strata `codes`; one pass, sorted by them."""
        total = weights if frequencies is None else frequencies
        if weights is not None and frequencies is not None:
            total = weights * frequencies
        basis = Basis.from_rows(x, y, total)
        basis = basis.with_effects(effects_of(terms, weights, frequencies))
        order = np.argsort(codes, kind="stable")
        ends = np.searchsorted(codes[order], np.arange(n_strata + 1))
        parts = []
        for start, end in pairwise(ends.tolist()):
            rows = order[start:end]
            mine = [replace(t, codes=t.codes[rows], values=t.values[rows]) for t in terms]
            w, count = (None if v is None else v[rows] for v in (weights, frequencies))
            parts.append(Part.from_rows(x[rows], y[rows], mine, w, count, basis))
        return cls.of_parts(parts, [term.n_levels for term in terms], basis)

    @classmethod
    def of_parts(
        cls, parts: Sequence[Part], sizes: Sequence[int], basis: Basis | None = None
    ) -> Strata:
        """The strata of a table, given a part each, none without rows.

        Parameters
        ----------
        parts : sequence of Part
        sizes : sequence of int
            Levels of each term.
        basis : Basis, optional
            By default that of all rows.
        """
        if basis is None:
            basis = _joint_basis(parts)
        cps = [part.cp.in_basis(basis) for part in parts]
        every = range(len(sizes))
        counts = [[len(part.at[t]) for part in parts] for t in every]
        pairs = CrossProducts(
            tuple(np.concatenate([cp.own[t] for cp in cps]) for t in every),
            {key: _diagonal([cp.cross[key] for cp in cps]) for key in cps[0].cross},
            tuple(np.concatenate([cp.to_xy[t] for cp in cps]) for t in every),
            np.sum([cp.xy for cp in cps], axis=0),
            sum(cp.n for cp in cps),
            sum(cp.sum_log_w for cp in cps),
            basis,
        )
        return cls(
            pairs,
            tuple(np.concatenate([part.at[t] for part in parts]) for t in every),
            tuple(np.repeat(np.arange(len(parts)), count) for count in counts),
            tuple(sizes),
            np.array([cp.xy for cp in cps]),
            np.array([float(cp.n) for cp in cps]),
            np.array([cp.sum_log_w for cp in cps]),
        )

    def in_basis(self, basis: Basis) -> Strata:
        """The same with Z, X and y in another basis."""
        change = self.pairs.basis.change_to(basis)
        return replace(self, pairs=self.pairs.in_basis(basis), xy=change.T @ self.xy @ change)

    def combined(self, columns: Array, rows: Array) -> Strata:
        """The same with X C in place of X; see `accumulate.combined`."""
        change = change_of_columns(self.pairs, columns, rows)[1]
        made = combined(self.pairs, columns, rows)
        return replace(self, pairs=made, xy=change.T @ self.xy @ change)

    def restricted(self, kept: Kept) -> Strata:
        """The same of some of the terms; see `restrict.restricted`."""
        terms = [t for t, _ in kept]
        return replace(
            self,
            pairs=restricted(self.pairs, kept),
            level=tuple(self.level[t] for t in terms),
            stratum=tuple(self.stratum[t] for t in terms),
            sizes=tuple(self.sizes[t] for t in terms),
        )

    def permuted(self, order: Sequence[int]) -> Strata:
        """The same with the terms in another order: term ``order[i]`` comes i-th."""
        return replace(
            self,
            pairs=permuted(self.pairs, order),
            level=tuple(self.level[t] for t in order),
            stratum=tuple(self.stratum[t] for t in order),
            sizes=tuple(self.sizes[t] for t in order),
        )

    def reindexed(
        self, at: Sequence[IntArray], sizes: Sequence[int], strata: IntArray, n_strata: int
    ) -> Strata:
        """The same among more levels, and more strata: ours go to places of those."""
        xy = np.zeros((n_strata, *self.xy.shape[1:]))
        n, log_w = np.zeros(n_strata), np.zeros(n_strata)
        xy[strata], n[strata], log_w[strata] = self.xy, self.n, self.sum_log_w
        return Strata(
            self.pairs,
            tuple(to[level] for to, level in zip(at, self.level, strict=True)),
            tuple(strata[own] for own in self.stratum),
            tuple(sizes),
            xy,
            n,
            log_w,
        )

    def __add__(self, other: Strata) -> Strata:
        """Both tables together, among the same levels and strata and in one basis.

        A pair that both have is there twice: everything is a sum over the pairs.
        """
        one, two = self.pairs, other.pairs
        pairs = replace(
            one,
            own=tuple(np.concatenate(both) for both in zip(one.own, two.own, strict=True)),
            to_xy=tuple(np.concatenate(both) for both in zip(one.to_xy, two.to_xy, strict=True)),
            cross={key: _diagonal([one.cross[key], two.cross[key]]) for key in one.cross},
            xy=one.xy + two.xy,
            n=one.n + two.n,
            sum_log_w=one.sum_log_w + two.sum_log_w,
        )
        return replace(
            self,
            pairs=pairs,
            level=tuple(map(_joined, self.level, other.level)),
            stratum=tuple(map(_joined, self.stratum, other.stratum)),
            xy=self.xy + other.xy,
            n=self.n + other.n,
            sum_log_w=self.sum_log_w + other.sum_log_w,
        )

    def __len__(self) -> int:
        """Strata, H."""
        return len(self.n)

    def at(self, log_omega: Array) -> CrossProducts:
        """Cross-products of the table with weights ``w_i omega_h``, (H,) logarithms."""
        omega = np.exp(log_omega)
        own, to_xy = [], []
        for t, (level, stratum, size) in enumerate(
            zip(self.level, self.stratum, self.sizes, strict=True)
        ):
            weight = omega[stratum][:, None, None]
            own.append(blocks.sum_by(self.pairs.own[t] * weight, level, size))
            to_xy.append(blocks.sum_by(self.pairs.to_xy[t] * weight, level, size))
        cross = {}
        for key, (pattern, place, stratum) in self.placed.items():
            data = self.pairs.cross[key].data * omega[stratum]
            sums = np.bincount(place, data, pattern.nnz).astype(np.float64)
            cross[key] = sparse.with_data(pattern, sums)
        return replace(
            self.pairs,
            own=tuple(own),
            cross=cross,
            to_xy=tuple(to_xy),
            xy=np.tensordot(omega, self.xy, axes=1),
            sum_log_w=float(np.sum(self.sum_log_w) + self.n @ log_omega),
        )

    @cached_property
    def placed(self) -> dict[tuple[int, int], tuple[sp.csc_array, IntArray, IntArray]]:
        """Between two terms: the pattern of levels, each pair's entry's place and stratum."""
        out = {}
        for (s, t), block in self.pairs.cross.items():
            k, m = self.pairs.shapes[s][1], self.pairs.shapes[t][1]
            right = sparse.columns_of(block)
            rows = self.level[s][block.indices // k] * k + block.indices % k
            cols = self.level[t][right // m] * m + right % m
            height = self.sizes[s] * k
            wanted, place = np.unique(cols * height + rows, return_inverse=True)
            ends = np.searchsorted(wanted, np.arange(self.sizes[t] * m + 1) * height)
            pattern = sp.csc_array(
                (np.zeros(len(wanted)), wanted % height, ends), shape=(height, self.sizes[t] * m)
            )
            out[s, t] = pattern, place.reshape(-1), self.stratum[t][right // m]
        return out

    def residual(self, columns: Sequence[Array]) -> Residual:
        """Products of ``E = A - Z m`` for columns m of all levels' effects, A = [X y].

        Parameters
        ----------
        columns : sequence of (J, k, p + 1) arrays
        """
        mine = [part[level] for part, level in zip(columns, self.level, strict=True)]
        rest = [
            to - own @ m for to, own, m in zip(self.pairs.to_xy, self.pairs.own, mine, strict=True)
        ]
        for (s, t), block in self.pairs.cross.items():
            rest[s] = rest[s] - (block @ _flat(mine[t])).reshape(rest[s].shape)
            rest[t] = rest[t] - (block.T @ _flat(mine[s])).reshape(rest[t].shape)
        cross, gram = self.xy.copy(), self.xy.copy()
        for to, left, m, stratum in zip(self.pairs.to_xy, rest, mine, self.stratum, strict=True):
            taken = blocks.sum_by(blocks.transpose(to) @ m, stratum, len(self))
            cross -= taken
            gram -= taken + blocks.sum_by(blocks.transpose(m) @ left, stratum, len(self))
        return Residual(rest, cross, 0.5 * (gram + blocks.transpose(gram)))


@dataclass(frozen=True)
class Residual:
    """What is left of [X y] after some effects of the levels, E, by strata.

    Attributes
    ----------
    by_pair : list of (P, k, p + 1) arrays
        Z_h'W E by terms, of each pair with a stratum h.
    cross : (H, p + 1, p + 1) array
        [X y]'W E of each stratum.
    gram : (H, p + 1, p + 1) array
        E'W E of each stratum.
    """

    by_pair: list[Array]
    cross: Array
    gram: Array


def _flat(array: Array) -> Array:
    """(P, k, m) as (P k, m)."""
    return array.reshape(-1, array.shape[2])


def _joined(one: IntArray, other: IntArray) -> IntArray:
    return np.concatenate([one, other])


def _joint_basis(parts: Sequence[Part]) -> Basis:
    """The basis of the rows of all parts."""
    rows: Array | None = None
    for part in parts:
        rows = qr_factor(part.rows, rows)
    assert rows is not None
    n = sum(part.cp.n for part in parts)
    effects = []
    for t in range(len(parts[0].at)):
        values = np.concatenate([part.cp.effect_rows(t) for part in parts])
        effects.append(EffectBasis.from_rows(values, n))
    return basis_of(rows).with_effects(effects)


def _diagonal(matrices: Sequence[sp.csc_array]) -> sp.csc_array:
    """The matrices along a diagonal, zeros on their patterns kept."""
    rows, cols, data = [], [], []
    down = right = 0
    for matrix in matrices:
        rows.append(matrix.indices.astype(np.intp) + down)
        cols.append(sparse.columns_of(matrix) + right)
        data.append(matrix.data)
        down, right = down + matrix.shape[0], right + matrix.shape[1]
    places = np.concatenate(rows), np.concatenate(cols)
    return sp.csc_array(sp.coo_array((np.concatenate(data), places), shape=(down, right)))

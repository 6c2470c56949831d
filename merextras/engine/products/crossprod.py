"""The cross-products of a mixed model: all that the likelihood needs of the data.

They form an additive monoid: the cross-products of two tables stacked are the sum of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import scipy.sparse as sp

from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.basis import Basis
from merextras.engine.products.cells import Cells
from merextras.engine.products.change import is_identity, sparse_times_both, times_both
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.scale import ESTIMATED, Scale
from merextras.engine.products.term_rows import TermRows

# Pivots of X'V^-1 X that are rounding: relative to the column's own size, and for a column that was
# one already in the basis, whose columns are of size one.
NO_DIGITS = 1e-14
NO_COLUMN = 1e-25


@dataclass(frozen=True)
class CrossProducts:
    """``Z'WZ``, ``Z'W[X y]`` and ``[X y]'W[X y]`` by blocks, Z, X and y in a `Basis`.

    Attributes
    ----------
    own : tuple of (J, k, k) arrays
        The diagonal of Z'WZ, a term each.
    cross : mapping (s, t) -> sparse (q_s, q_t), s < t
        The blocks between two terms, on the pattern of the levels that share a row.
    to_xy : tuple of (J, k, p + 1) arrays
        Z'W[X y].
    xy : (p + 1, p + 1) array
        [X y]'W[X y].
    n : int
        Rows (with frequency weights: the sum of the frequencies).
    sum_log_w : float
        Sum of the logarithms of the precision weights.
    basis : Basis
        What Z, X and y were transformed by.
    scale : Scale
        What is known of the residual variance besides the weights; nothing by default.
    """

    own: tuple[Array, ...]
    cross: Mapping[tuple[int, int], sp.csc_array]
    to_xy: tuple[Array, ...]
    xy: Array
    n: int
    sum_log_w: float
    basis: Basis
    scale: Scale = ESTIMATED

    @cached_property
    def p(self) -> int:
        """Fixed effects."""
        return len(self.xy) - 1

    def at_sigma2(self, sigma2: float | None) -> CrossProducts:
        """The same with the residual variance given, or none."""
        return self if self.scale.given == sigma2 else replace(self, scale=Scale(sigma2))

    @cached_property
    def noise(self) -> Array:
        """The pivots of X'V^-1 X that are rounding, (p,)."""
        return np.maximum(NO_DIGITS * self.xy.diagonal()[:-1], NO_COLUMN)

    @cached_property
    def crossed_back(self) -> Mapping[tuple[int, int], sp.csr_array]:
        """The transposes of `cross`, which share its numbers."""
        return {pair: block.T for pair, block in self.cross.items()}

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(levels, effects per level) of each term."""
        return tuple((own.shape[0], own.shape[1]) for own in self.own)

    @classmethod
    def from_rows(
        cls,
        x: Array,
        y: Array,
        terms: Sequence[TermRows],
        weights: Array | None = None,
        basis: Basis | None = None,
        *,
        frequencies: Array | None = None,
        effects: Sequence[EffectBasis] | None = None,
        cells: Cells | None = None,
    ) -> CrossProducts:
        """Reduce a table to its cross-products: one pass, O(n (p + sum k)**2).

        Parameters
        ----------
        x, y : (n, p) and (n,) arrays
        terms : sequence of TermRows
        weights : (n,) array, optional
            Precision weights, not negative; a row of weight zero is not an observation.
        basis : Basis, optional
            By default made from these rows, for X and y.
        frequencies : (n,) array, optional
            How many observations each row stands for.
        effects : sequence of EffectBasis, optional
            Coordinates of the terms' effects where the basis has none; by default the user's.
            `effects_of` has those that a model is fitted in.
        cells : Cells, optional
            Of X, where its first columns have few different rows.
        """
        w, n, log_w = _row_weights(len(y), weights, frequencies)
        if basis is None:
            basis = Basis.from_rows(x, y, w)
        if not basis.effects:
            as_given = [EffectBasis.identity(term.k, term.freedom) for term in terms]
            basis = basis.with_effects(as_given if effects is None else effects)
        several, p1 = len(terms) > 1, x.shape[1] + 1
        terms = basis.rows(terms) if several else terms
        own = tuple(np.zeros((term.n_levels, term.k, term.k)) for term in terms)
        to_xy = tuple(np.zeros((term.n_levels, term.k, p1)) for term in terms)
        gram = np.zeros((p1, p1))
        # Each block goes through all levels: it is not to have fewer rows.
        levels = max((term.n_levels for term in terms), default=0)
        width = p1 + sum(term.k for term in terms)
        cells = cells if cells is not None and cells.serve(x, levels) else None
        m = 0 if cells is None else cells.m
        sums = np.zeros((0 if cells is None else len(cells.table), p1 - m))
        for rows in dense.row_blocks(len(y), width, levels):
            here = [term.part(rows) for term in terms]
            here = here if several else basis.rows(here)
            xy = cells.rest(basis, y, rows) if cells else basis.apply(x[rows], y[rows])
            weights_here = None if w is None else w[rows]
            w_xy = xy if weights_here is None else xy * weights_here[:, None]
            for t, term in enumerate(here):
                columns = _columns(term)
                _add_gram(own[t], term, columns, weights_here)
                _add_products(to_xy[t][:, :, m:], columns, w_xy)
            gram[m:, m:] += dense.gram(xy, w_xy)
            if cells is not None:
                sums += cells.sums(rows, list(w_xy.T))
        if cells is not None:
            _write_first(cells, basis, terms, w, sums, to_xy, gram)
        cross = {
            (s, t): _between(terms[s], term, w) for t, term in enumerate(terms) for s in range(t)
        }
        return cls(own, cross, to_xy, gram, n, log_w, basis)

    def in_basis(self, basis: Basis) -> CrossProducts:
        """Return the same cross-products with Z, X and y in another basis."""
        pairs = zip(self.basis.effects, basis.effects, strict=True)
        turns = [np.eye(a.k) if a.is_same(b) else a.change_to(b) for a, b in pairs]
        if self.basis.is_same(basis) and all(map(is_identity, turns)):
            return replace(self, basis=basis)
        change = self.basis.change_to(basis)
        pairs_xy = zip(self.to_xy, turns, strict=True)
        return CrossProducts(
            tuple(times_both(own, c, c) for own, c in zip(self.own, turns, strict=True)),
            {
                (s, t): sparse_times_both(block, turns[s], turns[t])
                for (s, t), block in self.cross.items()
            },
            tuple(times_both(to_xy, c, change) for to_xy, c in pairs_xy),
            change.T @ self.xy @ change,
            self.n,
            self.sum_log_w,
            basis,
            self.scale,
        )

    def __add__(self, other: CrossProducts) -> CrossProducts:
        if self.scale != other.scale:
            raise ValueError("cross-products with different residual variances cannot be added")
        if self.shapes != other.shapes or self.p != other.p:
            raise ValueError(
                "cross-products of different models cannot be added: terms "
                f"{self.shapes} and {other.shapes}, fixed effects {self.p} and {other.p}"
            )
        basis = self._joint_basis(other)
        one, other = self.in_basis(basis), other.in_basis(basis)
        return CrossProducts(
            tuple(a + b for a, b in zip(one.own, other.own, strict=True)),
            {key: _sum_kept(block, other.cross[key]) for key, block in one.cross.items()},
            tuple(a + b for a, b in zip(one.to_xy, other.to_xy, strict=True)),
            one.xy + other.xy,
            one.n + other.n,
            one.sum_log_w + other.sum_log_w,
            basis,
            one.scale,
        )

    def _joint_basis(self, other: CrossProducts) -> Basis:
        """Return the basis of both tables' rows, or theirs if they have the same.

        One table's own can be far from orthonormal on the other's rows, a polynomial in time on a
        later chunk for one, and cost all digits; changing to the joint one only shrinks columns.
        """
        basis = self.basis
        if not basis.is_same(other.basis):
            x, y = map(np.concatenate, zip(self._rows(), other._rows(), strict=True))
            basis = Basis.from_rows(x, y)
        return basis.with_effects(self.joint_effects(other))

    def joint_effects(self, other: CrossProducts) -> tuple[EffectBasis, ...]:
        """Coordinates of the effects for both tables' rows, or theirs if they have the same."""
        out = []
        for t, (mine, theirs) in enumerate(
            zip(self.basis.effects, other.basis.effects, strict=True)
        ):
            rows = [part.effect_rows(t) for part in (self, other)]
            same = mine.is_same(theirs)
            out.append(mine if same else mine.of_rows(np.concatenate(rows), self.n + other.n))
        return tuple(out)

    def own_effects(self) -> tuple[EffectBasis, ...]:
        """Coordinates in which each term's covariates are orthonormal on these rows."""
        terms = range(len(self.own))
        return tuple(EffectBasis.from_rows(self.effect_rows(t), self.n) for t in terms)

    def effect_rows(self, t: int) -> Array:
        """Up to k rows with the same sum of squares and products as a term's covariates."""
        own = self.basis.effects[t]
        values, vectors = np.linalg.eigh(self.own[t].sum(axis=0))
        kept = values > 1e-14 * np.max(values, initial=0.0)
        root = np.sqrt(values[kept])[:, None] * vectors[:, kept].T
        return dense.divided(own.transform.T[::-1, ::-1], root.T[::-1])[::-1].T

    def _rows(self) -> tuple[Array, Array]:
        """Return X and y of up to p rows with the table's X'WX and X'Wy, for a basis.

        Directions of which the table has nothing but rounding have no row.
        """
        values, vectors = np.linalg.eigh(self.xy[: self.p, : self.p])
        kept = values > 1e-10 * np.max(values, initial=0.0)
        size, directions = np.sqrt(values[kept])[:, None], vectors[:, kept].T
        y = (directions @ self.xy[: self.p, self.p])[:, None] / size
        return self.basis.restore(np.hstack([size * directions, y]))


def _write_first(
    cells: Cells,
    basis: Basis,
    terms: Sequence[TermRows],
    w: Array | None,
    sums: Array,
    to_xy: Sequence[Array],
    gram: Array,
) -> None:
    """Write the products of the columns that are functions of cells."""
    first = cells.first(basis)
    cells.write(gram, first, cells.weights(w), sums)
    terms = terms if len(terms) > 1 else basis.rows(terms)
    for term, out in zip(terms, to_xy, strict=True):
        out[:, :, : cells.m] = cells.by_level(term, w) @ first


def effects_of(
    terms: Sequence[TermRows], weights: Array | None = None, frequencies: Array | None = None
) -> list[EffectBasis]:
    """Coordinates of each term's effects in which its covariates are nearly orthonormal.

    As nearly as the structures of their covariances allow.
    """
    if not terms:
        return []
    w, n, _ = _row_weights(len(terms[0].codes), weights, frequencies)
    told = [term.told if w is None else None for term in terms]
    pairs = zip(terms, told, strict=True)
    return [EffectBasis.from_rows(term.values, n, w, term.freedom, own) for term, own in pairs]


def _row_weights(
    n: int, weights: Array | None, frequencies: Array | None
) -> tuple[Array | None, int, float]:
    """Return the rows' weights in the cross-products, the number of rows, sum of log weights."""
    if weights is None:
        return frequencies, n if frequencies is None else round(float(np.sum(frequencies))), 0.0
    count = np.ones(n) if frequencies is None else frequencies
    used = weights > 0.0
    log_w = float(np.sum(count[used] * np.log(weights[used])))
    return weights * count, round(float(np.sum(count[used]))), log_w


@dataclass(frozen=True)
class _Column:
    """A covariate of a term on the rows where it is not zero, or on all if these are not few.

    Attributes
    ----------
    rows : slice or integer array
    codes, values : arrays
        The level and the covariate of each.
    """

    rows: slice | IntArray
    codes: IntArray
    values: Array


def _columns(term: TermRows) -> list[_Column]:
    if 2 * np.count_nonzero(term.values) > term.values.size:
        return [_Column(slice(None), term.codes, values) for values in term.values.T]
    stored = sp.csc_array(term.values)
    out = []
    for start, stop in pairwise(stored.indptr.tolist()):
        rows = stored.indices[start:stop].astype(np.intp)
        out.append(_Column(rows, term.codes[rows], stored.data[start:stop]))
    return out


def _add_gram(gram: Array, term: TermRows, columns: Sequence[_Column], w: Array | None) -> None:
    for a, column in enumerate(columns):
        weighted = column.values if w is None else w[column.rows] * column.values
        for b in range(a + 1):
            product = weighted * term.values[column.rows, b]
            if product.any():
                gram[:, a, b] += np.bincount(column.codes, product, minlength=term.n_levels)
                gram[:, b, a] = gram[:, a, b]


def _add_products(out: Array, columns: Sequence[_Column], xy: Array) -> None:
    for a, column in enumerate(columns):
        for c in range(xy.shape[1]):
            product = column.values * xy[column.rows, c]
            out[:, a, c] += np.bincount(column.codes, product, minlength=len(out))


def _between(left: TermRows, right: TermRows, w: Array | None) -> sp.csc_array:
    rows = left.codes[:, None, None] * left.k + np.arange(left.k)[:, None]
    cols = right.codes[:, None, None] * right.k + np.arange(right.k)
    weighted = left.values if w is None else left.values * w[:, None]
    values = weighted[:, :, None] * right.values[:, None, :]
    rows, cols = np.broadcast_arrays(rows, cols)
    coo = (values.reshape(-1), (rows.reshape(-1), cols.reshape(-1)))
    return sp.csc_array(sp.coo_array(coo, shape=(left.q, right.q)))


def _sum_kept(left: sp.csc_array, right: sp.csc_array) -> sp.csc_array:
    """Return the sum on the union of both patterns; scipy's own ``+`` drops the zeros."""
    a, b = left.tocoo(), right.tocoo()
    rows, cols = np.concatenate([a.row, b.row]), np.concatenate([a.col, b.col])
    values = np.concatenate([a.data, b.data])
    return sp.csc_array(sp.coo_array((values, (rows, cols)), shape=left.shape))

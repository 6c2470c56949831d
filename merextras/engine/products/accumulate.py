"""Cross-products of a table that comes in pieces, without a pass over all levels for each piece.

A piece touches few of the levels. It is reduced among its own levels alone (`Part`), and added
into arrays by level (`Accumulator`) or joined with another part on the union of their levels. The
basis of X and y follows the table: a triangular factor of all rows so far is kept beside the
cross-products, updated by orthogonal transformations (a QR of chunks one after the other; Demmel,
Grigori, Hoemmen & Langou 2012, SIAM J. Sci. Comput. 34), so that the basis of all rows is known to
the last digit, whatever the first piece looked like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la
import scipy.sparse as sp

from merextras.engine.covariance.structure import Freedom
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.basis import Basis
from merextras.engine.products.change import times_both
from merextras.engine.products.crossprod import CrossProducts, effects_of
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.pairs_so_far import PairsSoFar
from merextras.engine.products.term_rows import TermRows

# Condition number of all rows so far in a basis, from which on a new basis is made: two digits.
_DRIFT = 30.0
# Levels that are changed to another basis at a time.
_BLOCK = 2**17
# Levels for each row up to which a table of all of them is faster than sorting.
_FLAGS = 16


def qr_factor(rows: Array, before: Array | None = None) -> Array:
    """Triangular factor R of rows, R'R = rows'rows, together with a factor of earlier rows."""
    if before is not None:
        rows = np.concatenate([before, rows])
    if len(rows) <= rows.shape[1]:
        return rows
    # scipy's makes a matrix of all rows of it first.
    return np.asarray(np.linalg.qr(rows, mode="r"))


@dataclass(frozen=True)
class Part:
    """Some rows' cross-products, among the levels that occur in them.

    Attributes
    ----------
    at : tuple of integer arrays
        By terms: which levels of the whole those of `cp` are, sorted.
    cp : CrossProducts
    rows : (up to p + 1, p + 1) array
        Triangular factor of the weighted ``[X y]``.
    """

    at: tuple[IntArray, ...]
    cp: CrossProducts
    rows: Array

    @classmethod
    def from_rows(
        cls,
        x: Array,
        y: Array,
        terms: Sequence[TermRows],
        weights: Array | None = None,
        frequencies: Array | None = None,
        basis: Basis | None = None,
    ) -> Part:
        """Reduce rows among their own levels; O(n (p + sum k)**2 + n log n), whatever the J."""
        w = np.ones(len(y)) if weights is None else weights
        w = w if frequencies is None else w * frequencies
        rows = qr_factor(np.column_stack([x, y]) * np.sqrt(w)[:, None])
        if basis is None:
            basis = basis_of(rows).with_effects(effects_of(terms, weights, frequencies))
        found = [_occurring(term) for term in terms]
        local = [
            replace(term, codes=codes, n_levels=len(levels))
            for (levels, codes), term in zip(found, terms, strict=True)
        ]
        cp = CrossProducts.from_rows(x, y, local, weights, basis, frequencies=frequencies)
        return cls(tuple(levels for levels, _ in found), cp, rows)

    def moved(self, places: Sequence[IntArray]) -> Part:
        """The same among levels in another order: level i of term t becomes ``places[t][i]``."""
        to = [place[own] for place, own in zip(places, self.at, strict=True)]
        at = tuple(np.sort(own) for own in to)
        where = [np.searchsorted(a, b) for a, b in zip(at, to, strict=True)]
        return replace(self, at=at, cp=reindexed(self.cp, where, [len(own) for own in at]))

    def permuted(self, order: Sequence[int]) -> Part:
        """The same with the terms in another order, as `permuted` of cross-products."""
        return replace(self, at=tuple(self.at[t] for t in order), cp=permuted(self.cp, order))

    def __add__(self, other: Part) -> Part:
        rows = qr_factor(other.rows, self.rows)
        basis = basis_of(rows).with_effects(self.cp.joint_effects(other.cp))
        at = tuple(union(a, b) for a, b in zip(self.at, other.at, strict=True))
        parts = [part._among(at, basis) for part in (self, other)]
        return Part(at, parts[0] + parts[1], rows)

    def _among(self, at: Sequence[IntArray], basis: Basis) -> CrossProducts:
        """The cross-products among levels that have all of its own, in a basis."""
        cp, sizes = self.cp.in_basis(basis), [len(levels) for levels in at]
        if [len(levels) for levels in self.at] == sizes:
            return cp
        places = [np.searchsorted(a, b) for a, b in zip(at, self.at, strict=True)]
        return reindexed(cp, places, sizes)


def _occurring(term: TermRows) -> tuple[IntArray, IntArray]:
    """The levels that rows have, sorted, and the place of each row's among them."""
    if term.n_levels > _FLAGS * len(term.codes):
        levels, codes = np.unique(term.codes, return_inverse=True)
        return levels, codes.reshape(-1).astype(np.intp)
    occurs = np.zeros(term.n_levels, dtype=bool)
    occurs[term.codes] = True
    levels = np.flatnonzero(occurs)
    place = np.empty(term.n_levels, dtype=np.intp)
    place[levels] = np.arange(len(levels))
    return levels, place[term.codes]


def union(left: IntArray, right: IntArray) -> IntArray:
    """Levels that are in one of two sorted arrays, sorted, each once; numpy's own hashes them."""
    if np.array_equal(left, right):
        return left
    both = np.sort(np.concatenate([left, right]), kind="stable")
    return both[np.diff(both, prepend=-1) > 0]


def basis_of(rows: Array) -> Basis:
    """Return the basis of all rows with the triangular factor ``[X y]``."""
    return Basis.from_rows(rows[:, :-1], rows[:, -1])


def reindexed(cp: CrossProducts, at: Sequence[IntArray], sizes: Sequence[int]) -> CrossProducts:
    """The same cross-products among more levels: those of term t go to ``at[t]`` of ``sizes[t]``.

    Different levels must go to different places.
    """
    own, to_xy = [], []
    for blocks, to, place, size in zip(cp.own, cp.to_xy, at, sizes, strict=True):
        own.append(np.zeros((size, *blocks.shape[1:])))
        own[-1][place] = blocks
        to_xy.append(np.zeros((size, *to.shape[1:])))
        to_xy[-1][place] = to
    cross = {}
    for (s, t), block in cp.cross.items():
        rows, cols, data = _placed(block, at[s], at[t], cp.shapes[s][1], cp.shapes[t][1])
        shape = sizes[s] * cp.shapes[s][1], sizes[t] * cp.shapes[t][1]
        cross[s, t] = sp.csc_array(sp.coo_array((data, (rows, cols)), shape=shape))
    return replace(cp, own=tuple(own), cross=cross, to_xy=tuple(to_xy))


def _placed(
    block: sp.csc_array, left: IntArray, right: IntArray, k: int, m: int
) -> tuple[IntArray, IntArray, Array]:
    coo = block.tocoo()
    rows = left[coo.row // k] * k + coo.row % k
    cols = right[coo.col // m] * m + coo.col % m
    return rows, cols, coo.data


class Accumulator:
    """Adds up parts: what has been added is in arrays by level, which grow as levels come.

    Parameters
    ----------
    p : int
        Columns of X.
    shapes : sequence of (J, k)
        Levels and effects of each term, as far as they are known.
    freedoms : sequence of Freedom, optional
        By terms; any by default.
    """

    def __init__(
        self,
        p: int,
        shapes: Sequence[tuple[int, int]],
        freedoms: Sequence[Freedom] | None = None,
    ) -> None:
        self._ks = [k for _, k in shapes]
        self._levels = [levels for levels, _ in shapes]
        self._own = [np.zeros((levels, k, k)) for levels, k in shapes]
        self._to_xy = [np.zeros((levels, k, p + 1)) for levels, k in shapes]
        self._cross = {
            (s, t): PairsSoFar((shapes[s][0] * shapes[s][1], shapes[t][0] * shapes[t][1]))
            for t in range(len(shapes))
            for s in range(t)
        }
        self._xy = np.zeros((p + 1, p + 1))
        self._n = 0
        self._sum_log_w = 0.0
        self.rows = np.empty((0, p + 1))
        self._effects = [np.empty((0, k)) for k in self._ks]
        freedoms = [Freedom.ANY] * len(shapes) if freedoms is None else freedoms
        pairs = zip(self._ks, freedoms, strict=True)
        self._basis = Basis.identity(p, [EffectBasis.identity(k, free) for k, free in pairs])

    def add_rows(
        self,
        x: Array,
        y: Array,
        terms: Sequence[TermRows],
        weights: Array | None = None,
        frequencies: Array | None = None,
    ) -> None:
        """Reduce rows and add them; the codes of the terms are those of all levels."""
        if len(y) == 0:
            return
        w = np.ones(len(y)) if weights is None else weights
        w = w if frequencies is None else w * frequencies
        self._n += round(float(np.sum((w > 0.0) if frequencies is None else frequencies[w > 0.0])))
        for t, term in enumerate(terms):
            self._make_room(t, term.n_levels)
        self._follow(np.column_stack([x, y]), [term.values for term in terms], w)
        self._add(Part.from_rows(x, y, terms, weights, frequencies, self._basis))

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays by level."""
        return sum(array.nbytes for array in (*self._own, *self._to_xy))

    def _make_room(self, t: int, levels: int) -> None:
        """Let a term have more levels; what is there stays where it is."""
        if levels <= self._levels[t]:
            return
        self._levels[t] = levels
        for array in (self._own[t], self._to_xy[t]):
            if levels > len(array):
                # In place; half as many again, or each piece with new levels would move them all.
                size = max(levels, len(array) * 3 // 2)
                array.resize((size, *array.shape[1:]), refcheck=False)
        for (i, j), pairs in self._cross.items():
            left, right = self._levels[i] * self._ks[i], self._levels[j] * self._ks[j]
            pairs.shape = (left, right)

    def _follow(self, rows: Array, effects: Sequence[Array], w: Array) -> None:
        """Take rows into the triangular factors, and change a basis if it no longer fits them."""
        first, root = len(self.rows) == 0, np.sqrt(w)[:, None]
        self.rows = qr_factor(rows * root, self.rows)
        pairs = zip(effects, self._effects, strict=True)
        self._effects = [qr_factor(values * root, before) for values, before in pairs]
        basis = self._basis
        if first or _has_drifted(basis, self.rows):
            basis = basis_of(self.rows).with_effects(basis.effects)
        pairs_of = list(zip(basis.effects, self._effects, strict=True))
        # Changes of unit alone are by powers of two and cost no digits.
        drifted = [
            first or (own.freedom is Freedom.ANY and _is_skew(own.rows(factor)))
            for own, factor in pairs_of
        ]
        if any(drifted):
            basis = basis.with_effects(
                [
                    own.of_rows(factor, self._n) if far else own
                    for (own, factor), far in zip(pairs_of, drifted, strict=True)
                ]
            )
        if first:
            self._basis = basis
        elif basis is not self._basis:
            self._change_to(basis)

    def _change_to(self, basis: Basis) -> None:
        change = self._basis.change_to(basis)
        self._xy = change.T @ self._xy @ change
        pairs = zip(self._basis.effects, basis.effects, strict=True)
        turns = [None if a.is_same(b) else a.change_to(b) for a, b in pairs]
        for own, to, turn in zip(self._own, self._to_xy, turns, strict=True):
            for at in range(0, len(to), _BLOCK):
                here = slice(at, at + _BLOCK)
                to[here] = times_both(
                    to[here], np.eye(own.shape[1]) if turn is None else turn, change
                )
                if turn is not None:
                    own[here] = times_both(own[here], turn, turn)
        for (s, t), pairs_of in self._cross.items():
            if turns[s] is not None or turns[t] is not None:
                left, right = (
                    np.eye(self._ks[i]) if turn is None else turn
                    for i, turn in ((s, turns[s]), (t, turns[t]))
                )
                pairs_of.change(left, right)
        self._basis = basis

    def _add(self, part: Part) -> None:
        cp = part.cp
        for t, at in enumerate(part.at):
            self._own[t][at] += cp.own[t]
            self._to_xy[t][at] += cp.to_xy[t]
        for (s, t), block in cp.cross.items():
            k, m = cp.shapes[s][1], cp.shapes[t][1]
            self._cross[s, t].add(*_placed(block, part.at[s], part.at[t], k, m))
        self._xy += cp.xy
        self._sum_log_w += cp.sum_log_w

    def products(self) -> CrossProducts:
        """Return what was added, in the basis of all rows; nothing may be added after it."""
        if len(self.rows):
            pairs_of = zip(self._basis.effects, self._effects, strict=True)
            made = [own.of_rows(factor, self._n) for own, factor in pairs_of]
            self._change_to(basis_of(self.rows).with_effects(made))
        cross = {key: pairs.total() for key, pairs in self._cross.items()}
        return CrossProducts(
            tuple(a[:levels] for a, levels in zip(self._own, self._levels, strict=True)),
            cross,
            tuple(a[:levels] for a, levels in zip(self._to_xy, self._levels, strict=True)),
            self._xy,
            self._n,
            self._sum_log_w,
            self._basis,
        )


def _has_drifted(basis: Basis, rows: Array) -> bool:
    """Whether X or y in the basis would cost digits, given the triangular factor of all rows."""
    x, y = rows[:, :-1], rows[:, -1]
    if _is_skew(basis.columns(x)):
        return True
    rest = la.norm(y - x @ basis.offset)
    least = abs(rows[-1, -1]) if len(rows) == rows.shape[1] else 0.0
    return bool(rest > _DRIFT * least + 1e-12 * la.norm(y))


def _is_skew(columns: Array) -> bool:
    """Whether columns are far from orthogonal ones of the same length."""
    size = np.linalg.norm(columns, axis=0)
    # A column that has not been more than rounding so far says nothing.
    kept = columns[:, size > 1e-10 * np.max(size, initial=0.0)]
    if kept.shape[1] < 1:
        return False
    values = np.linalg.svd(kept, compute_uv=False)
    return bool(values[0] > _DRIFT * values[-1])


def combined(cp: CrossProducts, columns: Array, rows: Array) -> CrossProducts:
    """The cross-products with X C in place of X.

    Parameters
    ----------
    cp : CrossProducts
    columns : (p, m) array
        C; some columns of the identity leave out the others.
    rows : (up to p + 1, p + 1) array
        Triangular factor of the weighted ``[X y]`` of all rows.
    """
    basis, change = change_of_columns(cp, columns, rows)
    return replace(
        cp,
        to_xy=tuple(block @ change for block in cp.to_xy),
        xy=change.T @ cp.xy @ change,
        basis=basis,
    )


def change_of_columns(cp: CrossProducts, columns: Array, rows: Array) -> tuple[Basis, Array]:
    """The basis with X C in place of X, and B, (p + 1, m + 1), with ``[XC y] = [X y] B`` in it."""
    p, m = columns.shape
    made = basis_of(qr_factor(np.column_stack([rows[:, :p] @ columns, rows[:, p]])))
    basis = made.with_effects(cp.basis.effects)
    inverse = la.solve_triangular(cp.basis.transform, np.eye(p)) if p else np.eye(0)
    change = np.zeros((p + 1, m + 1))
    change[:p, :m] = inverse @ columns @ basis.transform
    change[:p, m] = inverse @ (cp.basis.offset - columns @ basis.offset)
    change[p, m] = 1.0
    return basis, change


def permuted(cp: CrossProducts, order: Sequence[int]) -> CrossProducts:
    """The same cross-products with the terms in another order: term ``order[i]`` comes i-th."""
    cross = {}
    for j, t in enumerate(order):
        for i, s in enumerate(order[:j]):
            cross[i, j] = cp.cross[s, t] if s < t else sp.csc_array(cp.cross[t, s].T)
    return replace(
        cp,
        own=tuple(cp.own[t] for t in order),
        to_xy=tuple(cp.to_xy[t] for t in order),
        cross=cross,
        basis=cp.basis.with_effects([cp.basis.effects[t] for t in order]),
    )

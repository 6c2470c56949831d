"""Rows that are reduced again with other weights, on one layout.

What does not depend on the weights is found once: the coordinates of X and of the effects, the
order of elimination, and for each number of Z'WZ which rows it is a sum over. A reduction is then
one ``bincount`` for each block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from merextras.engine.elimination.columns import solved
from merextras.engine.elimination.conditional_variances import Selected
from merextras.engine.elimination.factor import Factor
from merextras.engine.elimination.plan import Plan, System, TailKind, make_plan, prepare
from merextras.engine.generalised.rows.cells import Cells
from merextras.engine.kernels import dense, sparse
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.term_rows import TermRows

#: What is told of a fit before it takes memory: by the layout, its plan and the rows.
Announce: TypeAlias = Callable[[CrossProducts, Plan, int], None]


@dataclass(frozen=True)
class _Sum:
    """A block of Z'WZ: ``sum_i w_i products_mi`` at each place, (m, n) of both.

    Attributes
    ----------
    places : (m, n) array
        Numbers of the block's entries.
    products : (m, n) array
    twice : (m,) array
        How often each pair of effects is in a quadratic form: twice, unless it is one effect.
    size : int
    """

    places: IntArray
    products: Array
    twice: Array
    size: int

    @classmethod
    def of(
        cls,
        places: Sequence[IntArray],
        products: Sequence[Array],
        size: int,
        twice: Sequence[float] | None = None,
    ) -> _Sum:
        often = np.full(len(places), 2.0) if twice is None else np.array(twice)
        return cls(np.array(places), np.array(products), often, size)

    def values(self, w: Array) -> Array:
        return (self.products * w).reshape(-1)

    def total(self, w: Array) -> Array:
        found = np.bincount(self.places.reshape(-1), self.values(w), self.size)
        return found.astype(float, copy=False)

    def form(self, entries: Array) -> Array:
        """The part of ``z_i' W z_i`` of a block W with these entries at the places, (n,)."""
        return np.asarray(self.twice @ (entries * self.products))


class Table:
    """The rows of a model, or its cells in their place.

    Attributes
    ----------
    x : (n, p) array
        X in coordinates in which the columns of all rows are orthonormal.
    transform : (p, p) array
        T of ``X T = x``.
    terms : tuple of TermRows
        In the coordinates of `effects`; of a class of M levels divided by sqrt(M).
    effects : tuple of EffectBasis
    sizes : tuple of (k,) arrays
        Root mean squares of the covariates of each term.
    offset : (n,) array
    template : System
        The layout, with weights of one.
    cells : Cells or None
    counts : (n,) array
        How many of the user's rows each stands for, in all levels.
    copies : (J,) array or None
        How many levels each stands for; None if one.
    """

    def __init__(
        self,
        x: Array,
        terms: Sequence[TermRows],
        offset: Array | None = None,
        *,
        tail: TailKind = "auto",
        cells: Cells | None = None,
        announce: Announce | None = None,
    ) -> None:
        self.cells, counts = cells, None
        self.copies = None if cells is None else cells.copies
        if cells is not None:
            x, terms, counts = x[cells.rows], _in_cells(terms, cells), _counts(cells)
            offset = None if offset is None else offset[cells.rows]
        self.counts = np.ones(len(x)) if counts is None else counts
        self.n, self.p = x.shape
        self.transform = dense.orthonormal_coordinates(x, counts) if self.p else np.eye(0)
        self.x = dense.times_triangle([x], self.transform)
        self.offset = np.zeros(self.n) if offset is None else offset
        rows = self.n if counts is None else float(np.sum(counts))
        self.effects: tuple[EffectBasis, ...] = tuple(
            EffectBasis.from_rows(term.values, rows, counts, term.freedom) for term in terms
        )
        pairs = list(zip(terms, self.effects, strict=True))
        self.terms = tuple(replace(term, values=own.rows(term.values)) for term, own in pairs)
        self.sizes = tuple(_sizes(term.values, rows, counts) for term in self.terms)
        if self.copies is not None:
            root = np.sqrt(self.copies[self.terms[0].codes])[:, None]
            self.terms = tuple(replace(term, values=term.values / root) for term in self.terms)
        bases = [EffectBasis.identity(term.k, term.freedom) for term in self.terms]
        cp = CrossProducts.from_rows(
            np.empty((self.n, 0)), np.zeros(self.n), self.terms, effects=bases
        )
        plan = make_plan(cp, tail)
        if announce is not None:
            announce(cp, plan, self.n)
        self.template = prepare(cp, plan)
        self._lay_out()

    def _lay_out(self) -> None:
        """Where each row goes in each block."""
        plan, terms = self.template.plan, self.terms
        self._own = {t: _own_sum(terms[t]) for t in plan.leading}
        self._nested = {(t, s): _nested_sum(terms[t], terms[s]) for t, s in plan.parents}
        starts, at = {}, 0
        for t in plan.tail:
            starts[t] = at
            at += terms[t].q
        self._to_tail: dict[int, _Sum] = {}
        self._among_tail: _Sum | None = None
        if not plan.tail:
            return
        for t in plan.leading:
            self._to_tail[t] = self._to_tail_sum(t, starts)
        self._among_tail = self._tail_sum(starts)

    def _to_tail_sum(self, t: int, starts: dict[int, int]) -> _Sum:
        block, lead = self.template.to_tail[t], self.terms[t]
        stored = sparse.columns_of(block) * block.shape[0] + block.indices
        places, products = [], []
        for s in self.template.plan.tail:
            for a in range(self.terms[s].k):
                for b in range(lead.k):
                    rows = starts[s] + self.terms[s].codes * self.terms[s].k + a
                    cols = lead.codes * lead.k + b
                    places.append(np.searchsorted(stored, cols * block.shape[0] + rows))
                    products.append(self.terms[s].values[:, a] * lead.values[:, b])
        return _Sum.of(places, products, block.nnz)

    def _tail_sum(self, starts: dict[int, int]) -> _Sum:
        """The lower triangle of the tail; the pairs of two terms once."""
        tail, terms = self.template.tail, self.terms
        order, places, products, twice = self.template.plan.tail, [], [], []
        for i, s in enumerate(order):
            for t in order[: i + 1]:
                for a in range(terms[s].k):
                    for b in range(a + 1 if s == t else terms[t].k):
                        rows = starts[s] + terms[s].codes * terms[s].k + a
                        cols = starts[t] + terms[t].codes * terms[t].k + b
                        places.append(tail.places(rows, cols))
                        products.append(terms[s].values[:, a] * terms[t].values[:, b])
                        twice.append(1.0 if s == t and a == b else 2.0)
        return _Sum.of(places, products, 0, twice)

    def weighted(self, w: Array) -> System:
        """Z'WZ, laid out; cost O(n (sum k)**2)."""
        template = self.template
        own = list(template.cp.own)
        for t, block in self._own.items():
            own[t] = _mirrored(block.total(w).reshape(own[t].shape))
        nested = {
            key: block.total(w).reshape(template.nested[key].shape)
            for key, block in self._nested.items()
        }
        to_tail = {
            t: sparse.with_data(template.to_tail[t], block.total(w))
            for t, block in self._to_tail.items()
        }
        tail = template.tail
        if self._among_tail is not None:
            places = self._among_tail.places.reshape(-1)
            tail = tail.refilled(places, self._among_tail.values(w))
        # Nothing of a factorisation reads the blocks between terms, which are in the layout.
        one = template.cp
        cp = CrossProducts(tuple(own), {}, one.to_xy, one.xy, one.n, one.sum_log_w, one.basis)
        return System(cp, template.plan, nested, to_tail, tail)

    def by_row(self, r: Array) -> Array:
        """A number (a row of numbers) for each row of the user, of one for each row here."""
        return r if self.cells is None else np.asarray(r[self.cells.of_row])

    def modes_by_level(self, b: Array) -> Array:
        """Effects of each level of the user, (J, k), in the coordinates of `effects`."""
        if self.copies is None:
            return b
        return self.by_level(b / np.sqrt(self.copies)[:, None])

    def by_level(self, values: Array) -> Array:
        """Something of each level of the user, (J, ...), of that of the levels here."""
        if self.cells is None or self.cells.level_of is None:
            return values
        return np.asarray(values[self.cells.level_of])

    def log_det(self, factor: Factor) -> float:
        """``log |H|``."""
        if self.copies is None:
            return factor.log_det
        diagonals = (np.diagonal(lead.low, axis1=1, axis2=2) for lead in factor.leads)
        return 2.0 * sum(float(self.copies @ np.log(part).sum(axis=1)) for part in diagonals)

    def to_terms(self, r: Array) -> tuple[Array, ...]:
        """``Z'r`` by terms, (J, k, 1)."""
        return self.products(r[None])

    def products(self, columns: Array) -> tuple[Array, ...]:
        """``Z'A`` by terms, (J, k, m), of m columns A that are the rows of `columns`, (m, n)."""
        return tuple(
            _products(term, by_effect, columns)
            for term, by_effect in zip(self.terms, self._by_effect, strict=True)
        )

    @cached_property
    def _by_effect(self) -> list[Array]:
        """The covariates of the terms with those of an effect side by side, (k, n) each."""
        return [np.ascontiguousarray(term.values.T) for term in self.terms]

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand."""
        return {name: value for name, value in vars(self).items() if name != "_by_effect"}

    def rows(self, b: Sequence[Array]) -> Array:
        """``Z b`` of effects by terms, (J, k): (n,)."""
        out = None
        for term, by_effect, part in zip(self.terms, self._by_effect, b, strict=True):
            for column, effect in zip(by_effect, part.T, strict=True):
                more = np.take(effect, term.codes)
                more *= column
                out = more if out is None else np.add(out, more, out=out)
        return np.zeros(self.n) if out is None else out

    def solved(self, factor: Factor, r: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """``G Z'V^-1 a`` and ``Z'V^-1 a`` by terms, (J, k), of a column with ``Z'Wa = Z'r``."""
        found, left = solved(factor, self.to_terms(r))
        return tuple(b[:, :, 0] for b in found), tuple(v[:, :, 0] for v in left)

    def variances(self, selected: Selected) -> Array:
        """``z_i' W z_i`` with W the conditional covariance, (n,); of `to_tail`."""
        found = [(block, selected.own[t].reshape(-1)) for t, block in self._own.items()]
        found += [(block, selected.nested[key].reshape(-1)) for key, block in self._nested.items()]
        found += [(block, selected.to_tail[t].data) for t, block in self._to_tail.items()]
        out = np.zeros(self.n)
        for block, entries in found:
            out += block.form(np.take(entries, block.places))
        if self._among_tail is not None:
            block = self._among_tail
            out += block.form(selected.tail.at(block.places))
        return out if self.copies is None else out * self.copies[self.terms[0].codes]


def _in_cells(terms: Sequence[TermRows], cells: Cells) -> list[TermRows]:
    """The rows of the cells."""
    out = [replace(term, codes=term.codes[cells.rows], values=term.values[cells.rows])
           for term in terms]  # fmt: skip
    if cells.codes is None or cells.copies is None:
        return out
    codes, size = cells.codes, len(cells.copies)
    return [replace(term, codes=codes, n_levels=size) for term in out]


def _counts(cells: Cells) -> Array:
    """The rows that each cell stands for, in all levels of its class."""
    if cells.codes is None or cells.copies is None:
        return cells.counts
    return cells.counts * cells.copies[cells.codes]


def _sizes(values: Array, n: float, counts: Array | None) -> Array:
    weights = np.ones(len(values)) if counts is None else counts
    square = weights @ values**2 / max(n, 1.0)
    return np.sqrt(np.where(square > 0.0, square, 1.0))


def _own_sum(term: TermRows) -> _Sum:
    """The lower triangles of blocks (k, k)."""
    k = term.k
    pairs = [(a, b) for a in range(k) for b in range(a + 1)]
    places = [term.codes * k * k + a * k + b for a, b in pairs]
    products = [term.values[:, a] * term.values[:, b] for a, b in pairs]
    twice = [1.0 if a == b else 2.0 for a, b in pairs]
    return _Sum.of(places, products, term.n_levels * k * k, twice)


def _mirrored(low: Array) -> Array:
    """Symmetric blocks, (J, k, k), of their lower triangles."""
    for a in range(1, low.shape[1]):
        low[:, :a, a] = low[:, a, :a]
    return low


def _nested_sum(inner: TermRows, outer: TermRows) -> _Sum:
    """Blocks (k_s, k_t) at each level of the inner term t, with its parent in s."""
    pairs = [(a, b) for a in range(outer.k) for b in range(inner.k)]
    size = outer.k * inner.k
    places = [inner.codes * size + a * inner.k + b for a, b in pairs]
    products = [outer.values[:, a] * inner.values[:, b] for a, b in pairs]
    return _Sum.of(places, products, inner.n_levels * size)


def _products(term: TermRows, by_effect: Array, columns: Array) -> Array:
    out = np.empty((term.n_levels, len(by_effect), len(columns)))
    for a, values in enumerate(by_effect):
        for m, column in enumerate(columns):
            out[:, a, m] = np.bincount(term.codes, values * column, term.n_levels)
    return out

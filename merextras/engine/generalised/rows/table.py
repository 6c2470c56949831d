"""Rows that are reduced again with other weights, on one layout.

What does not depend on the weights is found once: the coordinates of X and of the effects, the
order of elimination, and for each number of Z'WZ which rows it is a sum over (see `sums`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from merextras.engine.elimination.columns import solved
from merextras.engine.elimination.conditional_variances import Selected
from merextras.engine.elimination.factor import Factor
from merextras.engine.elimination.plan import Plan, System, TailKind, make_plan, prepare
from merextras.engine.generalised.rows.cells import Cells
from merextras.engine.generalised.rows.sums import ByRow, Sums, transposed
from merextras.engine.kernels import blocks, dense
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.term_rows import TermRows

#: What is told of a fit before it takes memory: by the layout, its plan and the rows.
Announce: TypeAlias = Callable[[CrossProducts, Plan, int], None]


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
    kept : bool
        Whether there are many sums over these rows.
    """

    kept: bool = True

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

    @cached_property
    def _sums(self) -> Sums:
        """What the numbers of Z'WZ are sums of."""
        return Sums.of(self.template, self.terms, self.n, often=self.kept)

    @cached_property
    def _transposed(self) -> ByRow:
        """Z', (q, n)."""
        return transposed(self.terms, self.n, often=self.kept)

    @cached_property
    def _z(self) -> ByRow:
        """Z, which shares its numbers with Z'."""
        return self._transposed.T

    @cached_property
    def _parts(self) -> list[tuple[slice, tuple[int, int, int]]]:
        """The effects of each term in Z, and (J, k, -1)."""
        out, at = [], 0
        for term in self.terms:
            out.append((slice(at, at + term.q), (term.n_levels, term.k, -1)))
            at += term.q
        return out

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand."""
        made = {"_sums", "_transposed", "_z", "_parts"}
        return {name: value for name, value in vars(self).items() if name not in made}

    def weighted(self, w: Array) -> System:
        """Z'WZ, laid out; cost O(n (sum k)**2)."""
        return self._sums.weighted(w)

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
        logs = (np.log(blocks.diagonals(lead.low)).sum(axis=1) for lead in factor.leads)
        return 2.0 * sum(float(self.copies @ part) for part in logs)

    def to_terms(self, r: Array) -> tuple[Array, ...]:
        """``Z'r`` by terms, (J, k, 1)."""
        return self._by_terms(self._transposed @ r)

    def products(self, columns: Array) -> tuple[Array, ...]:
        """``Z'A`` by terms, (J, k, m), of m columns A, (n, m)."""
        return self._by_terms(self._transposed @ columns)

    def _by_terms(self, found: Array) -> tuple[Array, ...]:
        """Something of each effect by terms, (J, k, m), of (q,) or (q, m)."""
        return tuple([found[at].reshape(shape) for at, shape in self._parts])

    def rows(self, b: Sequence[Array]) -> Array:
        """``Z b`` of effects by terms, (J, k): (n,)."""
        if not b:
            return np.zeros(self.n)
        return np.asarray(self._z @ np.concatenate([part.reshape(-1) for part in b]))

    def solved(self, factor: Factor, r: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """``G Z'V^-1 a`` and ``Z'V^-1 a`` by terms, (J, k), of a column with ``Z'Wa = Z'r``."""
        found, left = solved(factor, self.to_terms(r))
        return tuple(b[:, :, 0] for b in found), tuple(v[:, :, 0] for v in left)

    def variances(self, selected: Selected) -> Array:
        """``z_i' W z_i`` with W the conditional covariance, (n,); of `to_tail`."""
        out = self._sums.forms(selected)
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

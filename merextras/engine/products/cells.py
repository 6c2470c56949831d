"""Leading columns of X that take few different rows: indicators and contrasts of categories.

Rows with the same categories are one *cell*. What such columns have in products is then sums by
cell, and these are made by counting: no product with a column of zeros and ones is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.term_rows import TermRows

if TYPE_CHECKING:
    from merextras.engine.products.basis import Basis

# Rows from which counting is worth the trouble of it.
_MANY = 1 << 14


@dataclass(frozen=True, eq=False)
class Cells:
    """The first m columns of X by cell: row i of them is row ``codes[i]`` of a table.

    Attributes
    ----------
    x : (n, p) array
        All columns of X.
    codes : (n,) integer array
        In as few bytes as they need.
    table : (c, m) array
        A row for each cell, whether or not it occurs.
    """

    x: Array
    codes: IntArray
    table: Array

    @property
    def m(self) -> int:
        """Columns that are functions of the cell."""
        return int(self.table.shape[1])

    def serve(self, x: Array, levels: int = 1) -> bool:
        """Whether these are the cells of X, many rows and, with so many levels, few sums."""
        n = len(self.codes)
        return self.x is x and n >= _MANY and len(self.table) * max(levels, 1) <= n

    @cached_property
    def counts(self) -> Array:
        """Rows in each cell, (c,)."""
        counts = np.zeros(len(self.table))
        for rows in dense.row_blocks(len(self.codes), 1):
            counts += np.bincount(self.codes[rows], minlength=len(counts))
        return counts

    def sums(self, rows: slice, columns: Sequence[Array]) -> Array:
        """Sums by cell over some rows, (c, number of columns)."""
        at = self.codes[rows].astype(np.intp)
        made = [np.bincount(at, column, minlength=len(self.table)) for column in columns]
        return np.column_stack(made) if made else np.empty((len(self.table), 0))

    def at(self, rows: slice, values: Array) -> Array:
        """A number for each row, (n,), from one for each cell, (c,)."""
        return np.asarray(np.take(values, self.codes[rows]))

    def scaled_cholesky(self) -> dense.Told:
        """`dense.scaled_cholesky` of X."""
        m, p = self.m, self.x.shape[1]
        gram, sums = np.zeros((p, p)), np.zeros((len(self.table), p - m))
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in dense.row_blocks(len(self.codes), p - m):
                rest = dense.by_columns(self.x[rows, m:])
                gram[m:, m:] += dense.gram(rest)
                sums += self.sums(rows, list(rest.T))
            self.write(gram, self.table, self.counts, sums)
            return dense.told_by(gram)

    def write(self, gram: Array, table: Array, counts: Array, sums: Array) -> None:
        """Write the products of the first columns, with each other and with the rest.

        Parameters
        ----------
        gram : (p, p) array
        table : (c, m) array
            The first columns by cell.
        counts, sums : (c,) and (c, p - m) arrays
            Weights and sums of the weighted rest.
        """
        m = self.m
        gram[:m, :m] = table.T @ (counts[:, None] * table)
        gram[:m, m:] = table.T @ sums
        gram[m:, :m] = gram[:m, m:].T

    def times(self, _x: Array, y: Array, b: Array | None = None) -> Array:
        """``X'y``, or ``X'(y - X b)``, (p,)."""
        m, p = self.m, self.x.shape[1]
        total, sums = np.zeros(p), np.zeros((len(self.table), 1))
        fitted = None if b is None else self.table @ b[:m]
        for rows in dense.row_blocks(len(self.codes), p - m + 1):
            rest, own = dense.by_columns(self.x[rows, m:]), y[rows]
            if b is not None and fitted is not None:
                explained = self.at(rows, fitted)
                explained += rest @ b[m:]
                own = own - explained
            total[m:] += rest.T @ own
            sums += self.sums(rows, [own])
        total[:m] = self.table.T @ sums[:, 0]
        return total

    def rest(self, basis: Basis, y: Array, rows: slice) -> Array:
        """The other columns of ``[X T, y - X b0]`` on some rows, (rows, p - m + 1).

        As exactly as `dense.times_triangle`, which makes them where digits cancel.
        """
        m, change = self.m, basis.change
        first, upper = dense.exact_product(self.table, change[:m, m:]), change[m:, m:]
        a = dense.side_by_side([self.x[rows, m:], y[rows]], len(upper))
        most = np.sqrt(len(a)) * np.abs(self.table).max(axis=0)
        terms = dense.lengths(a) @ np.abs(upper) + most @ np.abs(change[:m, m:])
        out = dense.times_upper(a, upper)
        for j, own in enumerate(first.T):
            out[:, j] += self.at(rows, own)
        if (terms > dense.CANCELS * dense.lengths(out)).any():
            return basis.apply(self.x[rows], y[rows])[:, m:]
        return out

    def first(self, basis: Basis) -> Array:
        """The first columns of ``X T`` by cell, (c, m)."""
        return dense.exact_product(self.table, basis.transform[: self.m, : self.m])

    def weights(self, w: Array | None) -> Array:
        """Sums of the rows' weights, (c,)."""
        return self.counts if w is None else self.sums(slice(None), [w])[:, 0]

    def by_level(self, term: TermRows, w: Array | None) -> Array:
        """Sums of a term's covariates by level and cell, (J, k, c)."""
        c = len(self.table)
        out = np.zeros((term.k, term.n_levels * c))
        for rows in dense.row_blocks(len(self.codes), term.k, out.shape[1]):
            at = term.codes[rows] * c + self.codes[rows]
            for a, values in enumerate(term.values[rows].T):
                weighted = values if w is None else values * w[rows]
                out[a] += np.bincount(at, weighted, minlength=out.shape[1])
        return np.moveaxis(out.reshape(term.k, term.n_levels, c), 0, 1)

"""Linear combinations of a model's effects: predictions, their differences and averages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from merextras.engine.solution.pls import Solution
from merextras.foundation.aliases import Array, IntArray
from merextras.model.newdata.rows import NewRows


@dataclass(frozen=True, eq=False)
class Combination:
    """Rows ``constant + x'beta + z'b + u'v`` with the effects v of levels that are not in the data.

    Attributes
    ----------
    x : (m, p) array
    z : tuple of sparse (m, J k) arrays
        By terms, in the model's order.
    new_levels : tuple of sparse (m, U k) arrays
        By terms: the coefficients of U levels that the model has not seen, which are expected to be
        zero and have their variance before any data.
    constant : (m,) array
    """

    x: Array
    z: tuple[sp.csr_array, ...]
    new_levels: tuple[sp.csr_array, ...]
    constant: Array

    @classmethod
    def of(
        cls,
        rows: NewRows,
        unseen: Sequence[IntArray],
        n_unseen: Sequence[int],
        offset: Array,
    ) -> Combination:
        """The predictors of rows.

        Parameters
        ----------
        unseen : sequence of (m,) integer arrays
            By terms: the number of the row's level among the unseen ones, -1 where it is known.
        n_unseen : sequence of int
            How many these are.
        """
        new = NewRows(rows.x, tuple(unseen), rows.values, tuple(n_unseen))
        return cls(rows.x, rows.z, new.z, offset)

    @classmethod
    def of_rows(cls, rows: NewRows) -> Combination:
        """The predictors of rows in which each level that is not known is another, no offset."""
        new = [np.where(codes < 0, np.cumsum(codes < 0) - 1, -1) for codes in rows.codes]
        counts = [int(np.sum(codes < 0)) for codes in rows.codes]
        return cls.of(rows, new, counts, np.zeros(len(rows)))

    def __len__(self) -> int:
        return len(self.x)

    def shifted(self, offset: Array) -> Combination:
        """Add a known part to each row, (m,)."""
        return Combination(self.x, self.z, self.new_levels, self.constant + offset)

    def take(self, rows: slice | IntArray) -> Combination:
        """Take some of the rows, perhaps several times."""
        return Combination(
            self.x[rows],
            tuple(z[rows] for z in self.z),
            tuple(u[rows] for u in self.new_levels),
            self.constant[rows],
        )

    def __sub__(self, other: Combination) -> Combination:
        """Row by row the difference."""
        return Combination(
            self.x - other.x,
            tuple(sp.csr_array(a - b) for a, b in zip(self.z, other.z, strict=True)),
            tuple(
                sp.csr_array(a - b) for a, b in zip(self.new_levels, other.new_levels, strict=True)
            ),
            self.constant - other.constant,
        )

    def weighted(self, weights: sp.csr_array) -> Combination:
        """Weighted sums of the rows; `weights` is (new rows, m)."""
        return Combination(
            np.asarray(weights @ self.x),
            tuple(sp.csr_array(weights @ z) for z in self.z),
            tuple(sp.csr_array(weights @ u) for u in self.new_levels),
            np.asarray(weights @ self.constant),
        )

    def estimates(self, solution: Solution) -> Array:
        """The rows at the estimates, (m,)."""
        out = self.constant + np.einsum("mp,p->m", self.x, solution.beta)
        for z, b in zip(self.z, solution.b, strict=True):
            out += z @ b.reshape(-1)
        return np.asarray(out)

    def prior(self, lams: Sequence[Array]) -> Array:
        """Variance over sigma**2 of ``u'v``, (m,)."""
        out = np.zeros(len(self))
        for u, lam in zip(self.new_levels, lams, strict=True):
            k = len(lam)
            if u.nnz:
                spread = u @ sp.kron(sp.identity(u.shape[1] // k), lam, format="csr")
                out += np.asarray(spread.multiply(spread).sum(axis=1)).reshape(-1)
        return out

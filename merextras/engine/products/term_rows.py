"""The rows of one random-effects term."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from merextras.engine.covariance.structure import Freedom
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array, IntArray


@dataclass(frozen=True)
class TermRows:
    """One random-effects term, row by row: the sparse Z of the term without its zeros.

    Attributes
    ----------
    codes : (n,) integer array
        The level each row belongs to, in 0 .. n_levels - 1.
    values : (n, k) array
        The row's covariates: a column of ones for a random intercept.
    n_levels : int
        J; a level may have no rows.
    freedom : Freedom
        In which coordinates the structure of their covariance lets the effects stand.
    """

    codes: IntArray
    values: Array
    n_levels: int
    freedom: Freedom = Freedom.ANY

    @property
    def k(self) -> int:
        """Random effects per level."""
        return int(self.values.shape[1])

    @property
    def q(self) -> int:
        """Random effects in all, J k."""
        return self.n_levels * self.k

    @cached_property
    def told(self) -> dense.Told:
        """How well the covariates are told apart by the rows: `dense.scaled_cholesky`."""
        return dense.scaled_cholesky(self.values)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made on demand: a model that was asked is pickled as one that was not."""
        return {name: value for name, value in vars(self).items() if name != "told"}

    def part(self, rows: slice) -> TermRows:
        """Some rows of the term."""
        if rows.start == 0 and rows.stop >= len(self.codes):
            return self
        return replace(self, codes=self.codes[rows], values=self.values[rows])

    def sparse(self) -> sp.csr_array:
        """Z of this term, (n, J k), level by level with k columns each."""
        n, k = self.values.shape
        cols = self.codes[:, None] * k + np.arange(k)
        shape = (n, self.q)
        indptr = np.arange(n + 1) * k
        return sp.csr_array((self.values.reshape(-1), cols.reshape(-1), indptr), shape=shape)

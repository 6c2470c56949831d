"""The interface of the tail, the terms that are not eliminated level by level.

Everything but the tail's own files sees it through these three: what is known before theta
(`TailSystem`), the tail eliminated at a theta (`TailFactor`) and its conditional covariance
(`TailInverse`). `tail_dense` and `tail_sparse` are the two kinds. Rows of a tail are its terms'
random effects one after the other, in the plan's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import scipy.sparse as sp

from merextras.engine.kernels.blocks import Array, IntArray


class TailSystem(Protocol):
    """The tail's cross-products, laid out."""

    @property
    def kind(self) -> str:
        """``dense`` or ``sparse``."""
        ...

    @property
    def numbers(self) -> int:
        """Stored numbers of its Cholesky factor."""
        ...

    def __len__(self) -> int:
        """Random effects, q_tail."""
        ...

    def start(self) -> Array:
        """The entries of C_tail before anything is eliminated, a copy."""
        ...

    def subtract(self, entries: Array, term: int, half: sp.csc_array) -> None:
        """Take ``half half'`` off the entries; `half` is on the pattern of C_tail,term."""
        ...

    def factorise(self, entries: Array, lams: Sequence[Array]) -> TailFactor:
        """Eliminate the tail; `lams` are those of all terms, in the model's order."""
        ...

    def whole(self) -> sp.csc_array:
        """Z_tail'WZ_tail."""
        ...

    def places(self, rows: IntArray, cols: IntArray) -> IntArray:
        """Where entries of the lower triangle are kept, for `refilled` and `TailInverse.at`."""
        ...

    def refilled(self, places: IntArray, values: Array) -> TailSystem:
        """The same tail of other cross-products: values of the lower triangle, to be summed up."""
        ...

    def plus(self, other: TailSystem) -> TailSystem:
        """The tail of two tables' rows, of those of each on one layout."""
        ...

    def product(self, rhs: Array) -> Array:
        """``Z_tail'WZ_tail`` times a (q_tail, m) array."""
        ...


class TailFactor(Protocol):
    """The tail eliminated at one theta; S is ``Lambda' C Lambda + I = L L'``."""

    @property
    def log_det(self) -> float:
        """The logarithm of |S|; NaN if it is not positive definite."""
        ...

    def __len__(self) -> int:
        """Random effects, q_tail."""
        ...

    def whiten(self, rhs: Array) -> Array:
        """``L^-1 Lambda'`` times a (q_tail, m) array."""
        ...

    def colour(self, rhs: Array) -> Array:
        """``Lambda L^-T`` times a (q_tail, m) array."""
        ...

    def times(self, rhs: Array) -> Array:
        """C times a (q_tail, m) array."""
        ...

    def inverse(self, between: Mapping[int, sp.csc_array], *, whole: bool = False) -> TailInverse:
        """The conditional covariance.

        Parameters
        ----------
        between : mapping t -> sparse (q_tail, q_t)
            C_tail,t of each leading term.
        whole : bool
            Whether entries between different levels of the tail will be asked for.
        """
        ...

    def cholesky(self) -> tuple[sp.csc_array, IntArray]:
        """L, and the rows of the tail in the order of its rows and columns."""
        ...


class TailInverse(Protocol):
    """``W = Lambda S^-1 Lambda'``, its entries where C is not zero."""

    def entries(self, rows: IntArray, cols: IntArray) -> Array:
        """W at some rows and columns, arrays of one shape; zero where C has no entry."""
        ...

    def at(self, places: IntArray) -> Array:
        """W at some places of the system, see `TailSystem.places`."""
        ...

    def own(self) -> dict[int, Array]:
        """The diagonal blocks of each term, (J, k, k)."""
        ...

    def met(self, term: int) -> Array:
        """``W C_tail,term`` on the pattern of C_tail,term; not to be changed."""
        ...

    def traces(self) -> Mapping[int, Array]:
        """``sum_j (Z'V^-1 Z)_jj`` of each term, (k, k)."""
        ...

    def scaled_traces(self) -> Mapping[int, Array]:
        """The same times Lambda."""
        ...

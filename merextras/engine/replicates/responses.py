"""The cross-products of many responses that share one design.

The factor of a mixed model depends on theta and the design, never on y: a further response costs
``Z'Wy``, ``X'Wy`` and ``y'Wy``. Each response is first freed of its own least-squares fit, as the
design's own is (see `basis`), so that no digit is lost to its mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from merextras.engine.elimination.plan import System
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows


@dataclass(frozen=True)
class Responses:
    """m responses, reduced; Z, X T and the basis are those of the design's `CrossProducts`.

    Attributes
    ----------
    to_y : tuple of (J, k, m) arrays
        Z'W(y - X b0), a term each.
    xy : (p, m) array
        (X T)'W(y - X b0).
    yy : (m,) array
        (y - X b0)'W(y - X b0).
    offset : (p, m) array
        b0, each response's own.
    """

    to_y: tuple[Array, ...]
    xy: Array
    yy: Array
    offset: Array

    def __len__(self) -> int:
        return len(self.yy)

    @classmethod
    def from_rows(
        cls,
        cp: CrossProducts,
        x: Array,
        y: Array,
        terms: Sequence[TermRows],
        weights: Array | None = None,
    ) -> Responses:
        """Reduce m responses on the rows that `cp` was made from: O(n m (p + sum k)).

        Parameters
        ----------
        cp : CrossProducts
        x : (n, p) array
        y : (n, m) array
        terms : sequence of TermRows
        weights : (n,) array, optional
            What a row counts in the cross-products: precision weight times frequency.
        """
        columns, terms = cp.basis.columns(x), cp.basis.rows(terms)
        weighted = columns if weights is None else columns * weights[:, None]
        coefficients = weighted.T @ y
        rest = y - columns @ coefficients
        w_rest = rest if weights is None else rest * weights[:, None]
        to_y = [
            np.asarray(sp.csr_array(term.sparse().T) @ w_rest).reshape(term.n_levels, term.k, -1)
            for term in terms
        ]
        return cls(
            tuple(to_y),
            weighted.T @ rest,
            np.einsum("nm,nm->m", rest, w_rest),
            cp.basis.transform @ coefficients,
        )

    def take(self, which: slice | IntArray) -> Responses:
        """Take some of the responses."""
        return Responses(
            tuple(part[:, :, which] for part in self.to_y),
            self.xy[:, which],
            self.yy[which],
            self.offset[:, which],
        )

    def system(self, system: System, r: int) -> System:
        """The design's system with response r in place of its own."""
        cp, p = system.cp, system.cp.p
        to_xy = [block.copy() for block in cp.to_xy]
        for block, mine in zip(to_xy, self.to_y, strict=True):
            block[:, :, p] = mine[:, :, r]
        xy = cp.xy.copy()
        xy[:p, p] = xy[p, :p] = self.xy[:, r]
        xy[p, p] = self.yy[r]
        basis = replace(cp.basis, offset=self.offset[:, r])
        return replace(system, cp=replace(cp, to_xy=tuple(to_xy), xy=xy, basis=basis))

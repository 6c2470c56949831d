"""Fixed-effects columns that are linear combinations of earlier ones."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import scipy.linalg as la

from merextras.engine.kernels import dense
from merextras.exceptions import InvalidArgumentError, RankDeficientWarning
from merextras.foundation.aliases import Array
from merextras.model.columns.part import FixedPart

if TYPE_CHECKING:
    from merextras.model.design.design import RowDesign

# lme4's tolerance: a column is dependent if less than this share of it is new.
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class KeptColumns(FixedPart):
    """A fixed part without some of its columns.

    Attributes
    ----------
    part : FixedPart
    kept, left_out : tuples of str
    """

    part: FixedPart
    kept: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are left."""
        return self.kept

    @property
    def variables(self) -> tuple[str, ...]:
        """Variables that making the columns needs."""
        return self.part.variables

    @property
    def whole(self) -> FixedPart:
        """The part with all columns."""
        return self.part

    @property
    def dropped(self) -> tuple[str, ...]:
        """The columns that were left out."""
        return self.left_out

    @property
    def right_side(self) -> str | None:
        """Of the part."""
        return self.part.right_side

    @property
    def codes(self) -> tuple[str, ...]:
        """Of the part."""
        return self.part.codes

    def matrix(self, data: pd.DataFrame) -> Array:
        """The kept columns for new data."""
        at = [self.part.names.index(name) for name in self.kept]
        return self.part.matrix(data)[:, at]


def dependent_columns(x: Array, order: Sequence[int] | None = None) -> list[int]:
    """Columns that the columns before them determine, ascending; cost O(n p**2).

    Gram-Schmidt with reorthogonalisation on the triangular factor, in the given order or that of
    the columns, so that the first of a dependent set is kept, as R does.
    """
    # What is new in each column, by the cross-products: enough unless it is nearly nothing.
    if x.shape[1] == 0 or dense.is_clear(dense.scaled_cholesky(x)[0]):
        return []
    size = np.linalg.norm(x, axis=0)
    scaled = x / np.where(size > 0, size, 1.0)
    r = la.qr(scaled, mode="r", check_finite=False)[0] if len(x) > x.shape[1] else scaled
    r = r[: min(r.shape)] if len(x) > x.shape[1] else r
    basis = np.empty((r.shape[0], 0))
    found = []
    for j in range(x.shape[1]) if order is None else order:
        rest = r[:, j].copy()
        for _ in range(2):
            rest -= basis @ (basis.T @ rest)
        norm = float(np.linalg.norm(rest))
        if norm <= _TOLERANCE:
            found.append(j)
        else:
            basis = np.column_stack([basis, rest / norm])
    return sorted(found)


def full_rank(design: RowDesign, rank_deficient: str = "drop", *, stacklevel: int = 3) -> RowDesign:
    """The design without the fixed-effects columns that those of earlier terms determine.

    Terms are in the order of the formula, main effects before interactions, as R has them.
    The warning points `stacklevel` calls above this function, 1 being who called it.
    """
    if dense.is_clear(design.told[0]):
        return design
    found = dependent_columns(design.x[design.observed], design.fixed.column_order())
    if not found:
        return design
    part = without_columns(design.fixed, found, rank_deficient, stacklevel=stacklevel + 1)
    kept = [i for i in range(len(design.fixed.names)) if i not in found]
    return replace(design, x=design.x[:, kept], fixed=part, cells=None)


def without_columns(
    fixed: FixedPart, found: list[int], rank_deficient: str, *, stacklevel: int
) -> KeptColumns:
    """The fixed part without its dependent columns, with a warning; an error if so wanted."""
    names = fixed.names
    dropped = tuple(names[i] for i in found)
    if rank_deficient == "raise":
        raise InvalidArgumentError(
            f"formula: the fixed-effects column(s) {list(dropped)} are determined by the others; "
            "drop them, or fit with rank_deficient='drop'"
        )
    warnings.warn(
        f"the fixed part is rank deficient: dropped {len(dropped)} column(s): {', '.join(dropped)}",
        RankDeficientWarning,
        stacklevel=stacklevel + 1,
    )
    kept = tuple(name for i, name in enumerate(names) if i not in found)
    return KeptColumns(fixed, kept, dropped)

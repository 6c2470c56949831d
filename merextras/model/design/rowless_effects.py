"""The effects of a fixed part whose rows are gone.

Tests by term need X only up to what its products tell: any rows with the same X'X do. Those kept
are the triangular factor of X. The full columns of a term (see `effects`) are linear in the columns
of X, whatever the rows, if all combinations of categories that a term has were there; how, is found
on synthetic rows, with every factor at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
import scipy.linalg as la

from merextras.exceptions import NoRowsError
from merextras.foundation.aliases import Array
from merextras.model.columns.array_columns import ColumnsPart
from merextras.model.columns.part import FixedPart
from merextras.model.columns.synthetic_rows import OUTSIDE, SyntheticRows
from merextras.model.design.effects import Effect, Effects, effects_in, products
from merextras.model.formula.names import INTERCEPT
from merextras.model.structure.structure import RandomTerm


@dataclass(frozen=True)
class RowlessEffects(Effects):
    """Effects whose full columns belong to rows that are not those of the data.

    Attributes
    ----------
    made : mapping code -> (rows, c) array
        What each factor is on synthetic rows.
    x : (rows, p) array
        The columns on them.
    square : (r, p) array
        The columns on the rows that the full columns are for.
    """

    made: Mapping[str, Array]
    x: Array
    square: Array

    def full(self, effects: Sequence[Effect]) -> Array:
        """As `Effects.full`, (r, c), for rows with the products of all rows."""
        n = len(self.x)
        parts = [np.ones((n, 1))] if self.rest else [np.empty((n, 0))]
        for effect in effects:
            values = [self.made[code] for code in sorted(effect.variables)]
            parts.append(reduce(products, values))
        columns = np.concatenate(parts, axis=1)
        coefficients, *_ = la.lstsq(self.x, columns)
        rest = np.max(np.abs(columns - self.x @ coefficients), initial=0.0)
        if rest > OUTSIDE * (1.0 + np.max(np.abs(columns), initial=0.0)):
            raise NoRowsError(
                "the model keeps no rows, and its terms can't be told from its columns alone: the "
                "fixed part does not span them (columns were dropped, or a main effect is missing)"
            )
        return np.asarray(self.square @ coefficients)


def rowless_effects(part: FixedPart, names: Sequence[str], square: Array) -> RowlessEffects:
    """The effects of a part of which these columns are left, for rows ``square`` of them."""
    found, rest = effects_in(part, names)
    synthetic = part.synthetic(SyntheticRows([part]))
    kept = [j for j, name in enumerate(part.names) if name in names]
    return RowlessEffects(
        part, pd.DataFrame(), found, rest, synthetic.full, synthetic.x[:, kept], square
    )


def effects_of_term(term: RandomTerm) -> RowlessEffects:
    """The covariates of a random-effects term as effects, for coefficients of its columns."""
    part, names = term.part, term.names
    if names != part.names:  # one of a bar's, on its own
        part = ColumnsPart(names, INTERCEPT if INTERCEPT in names else None)
    return rowless_effects(part, names, np.eye(len(names)))

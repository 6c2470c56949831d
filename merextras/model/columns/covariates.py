"""The covariates of a random-effects term, and how to make them again from new data.

statsmodels does not keep `re_formula` or `vc_formula`. A covariate is taken from its name where
that is safe: the intercept, a column of the data, a column of the fixed part. Anything else needs
the formula, and the error says so.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_columns
from merextras.model.columns.part import FixedPart
from merextras.model.formula.names import effect_key
from merextras.model.frame.kinds import numbers


@dataclass(frozen=True)
class Covariates:
    """Named columns of a term.

    Attributes
    ----------
    names : tuple of str
    formula : FixedPart or None
        Makes the columns, if the formula is known.
    """

    names: tuple[str, ...]
    formula: FixedPart | None = None

    def matrix(self, data: pd.DataFrame, fixed: FixedPart) -> Array:
        """(rows, k) values for new data.

        Raises
        ------
        UnsupportedModelError
            A covariate can't be made from its name alone.
        """
        if self.formula is not None:
            made = self.formula.matrix(data)
            if set(self.names) <= set(self.formula.names):  # one of several, written with ||
                return made[:, [self.formula.names.index(name) for name in self.names]]
            return made
        whole: Array | None = None
        places = {effect_key(name): j for j, name in enumerate(fixed.names)}
        columns = []
        for name in self.names:
            if name == "Intercept":
                columns.append(np.ones(len(data)))
            elif name in data.columns:
                columns.append(numbers(data[name], name))
            elif effect_key(name) in places:
                whole = fixed.matrix(data) if whole is None else whole
                columns.append(whole[:, places[effect_key(name)]])
            elif name.isidentifier():
                check_columns(data, [name], "newdata")
            else:
                raise UnsupportedModelError(
                    f"the random effect {name!r} can't be made for new data from its name: "
                    "statsmodels keeps no random-effects formula; pass it, as in "
                    "MerMod(fit, re_formula='~ ...') or MerMod(fit, vc_formula={...})"
                )
        return np.column_stack(columns)

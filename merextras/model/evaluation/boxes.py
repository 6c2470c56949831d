"""patsy's ``C(x)`` for categoricals, without a loop over their rows.

patsy takes the codes of a categorical column as they are, but goes through the rows of one within
``C(...)``. The box made here shows patsy that it holds a categorical.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import patsy
from patsy.categorical import _CategoricalBox


class CategoricalBox(_CategoricalBox):  # type: ignore[misc] # patsy has no types
    """A categorical with its contrast."""

    @property
    def dtype(self) -> Any:
        """That of the column."""
        return self.data.dtype

    @property
    def cat(self) -> Any:
        """Its codes and categories."""
        return self.data.cat


def boxed(data: Any, contrast: Any = None, levels: Any = None) -> Any:
    """Patsy's ``C``; what makes no contrasts, such as ``sum`` for ``Sum``, is an unknown name."""
    if callable(contrast):
        try:
            known = not isinstance(contrast(), str)
        except TypeError:
            known = False
        if not known:
            raise NameError(f"name {getattr(contrast, '__name__', contrast)!r}")
    box = patsy.builtins.C(data, contrast, levels)
    column = box.data
    is_column = isinstance(column, pd.Series) and isinstance(column.dtype, pd.CategoricalDtype)
    if not is_column or box.levels is not None:
        return box
    return CategoricalBox(column, box.contrast, None)

"""Truth values that stand both alone and in code of one formula, for formulaic.

R and patsy have a factor where they stand alone and numbers in code: ``x:a + I(a + b)`` has two
slopes of ``x``. formulaic takes a column for one or the other wherever it stands.
"""

from __future__ import annotations

from contextlib import suppress

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.model.formula.names import bare
from merextras.model.formula.rewrite import expanded
from merextras.model.formula.translate import pieces_of
from merextras.model.frame.engine_frame import ALONE, CATEGORY, is_alone, uses_of
from merextras.model.frame.kinds import kind_of


def with_categories(rhs: str, frame: pd.DataFrame) -> tuple[str, dict[str, str]]:
    """A right side with ``C(a)`` for truth values that stand alone and in code, and its labels.

    Parameters
    ----------
    rhs : str
        The right side of a formula; what can't be read comes back as it is.
    frame : DataFrame
        Columns in their normal form.

    Returns
    -------
    rhs : str
    labels : dict code -> label
        ``{"C(a)": "a"}``, so that its columns are called as patsy calls them.
    """
    mixed: set[str] = set()
    with suppress(InvalidArgumentError):  # what can't be read is told by the engine
        uses = uses_of(pieces_of(rhs))
        mixed = {c for c, use in uses.items() if ALONE in use and not use <= {ALONE, CATEGORY}}
    mixed = {c for c in mixed if c in frame and kind_of(frame[c]) == "booleans"}
    if not mixed:
        return rhs, {}
    labels: dict[str, str] = {}

    def change(code: str) -> str:
        if not is_alone(code) or bare(code) not in mixed:
            return code
        labels[f"C({code})"] = bare(code)
        return f"C({code})"

    return expanded(rhs, change), labels

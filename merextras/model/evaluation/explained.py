"""Formula engines' errors, put in terms of the formula as it was written."""

from __future__ import annotations

import re

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import in_index, unknown_column
from merextras.model.formula.r_spelling import instead_of


def explained(err: Exception, code: str, frame: pd.DataFrame) -> InvalidArgumentError:
    """The engine's error; of an unknown name, what it may have meant."""
    text = first_line(err)
    if re.search("contains (missing|null) values", text):
        return no_value(code)
    match = re.search(r"(?:Name|Key)Error:[^'`]*['`](?P<name>[^'`]+)['`]", text)
    if match is None:
        return InvalidArgumentError(f"formula {code!r}: {text}")
    name = match["name"]
    if re.search(rf"\bC\(.*,\s*{re.escape(name)}\b", code):
        return InvalidArgumentError(
            f"formula {code!r}: there are no contrasts {name!r}; there are Treatment, Sum, Poly, "
            "Helmert, Diff"
        )
    if re.search(rf"(?<![\w.]){re.escape(name)}\s*[(.]", code):
        instead = instead_of(name)
        return InvalidArgumentError(
            f"formula {code!r}: {name!r} is not defined where the formula is written"
            + (f"; {instead}" if instead else "")
        )
    known = unknown_column(name, frame.columns)
    return InvalidArgumentError(f"formula {code!r}: {known}{in_index(name, frame)}")


def no_value(code: str) -> InvalidArgumentError:
    """The error of code that has no value where its columns have one."""
    return InvalidArgumentError(
        f"formula {code!r}: there is no value in some rows, such as the logarithm of a number "
        "below zero, though their columns have one; leave these rows out, or make it a column "
        "of the data"
    )


def first_line(err: Exception) -> str:
    """The first line of an error's text."""
    return str(err).split("\n", 1)[0]

"""Arguments that have another name now: the old one goes on working for a release.

A function takes the old names by ``**old`` and hands them to `new_names`. Nothing wraps it, so that
a warning's line and the names of the caller's formulas are counted as ever.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from merextras.exceptions import InvalidArgumentError


def new_names(
    verb: str,
    old: Mapping[str, Any],
    names: Mapping[str, str],
    given: Mapping[str, Any],
    *,
    until: str,
    stacklevel: int = 2,
) -> dict[str, Any]:
    """What was given by old names, by the new ones.

    Parameters
    ----------
    verb : str
        The function, for messages.
    old : mapping
        Its ``**old``.
    names : mapping old -> new
    given : mapping new -> value
        The new arguments, if they are not what they are by default.
    until : str
        The release in which the old names end.
    stacklevel : int
        How many calls above this function the warning points, 1 being who called it.

    Raises
    ------
    TypeError
        A name that the function never had.
    InvalidArgumentError
        An argument by both names.

    Warns
    -----
    DeprecationWarning
        For each old name, with the new one.
    """
    out: dict[str, Any] = {}
    for name, value in old.items():
        if name not in names:
            raise TypeError(f"{verb}() got an unexpected keyword argument {name!r}")
        new = names[name]
        if new in given:
            raise InvalidArgumentError(f"{verb}: {name}= is the old name of {new}=; give {new}=")
        warnings.warn(
            f"{verb}: {name}= is called {new}= now; the old name ends with release {until}",
            DeprecationWarning,
            stacklevel=stacklevel + 1,
        )
        out[new] = value
    return out

"""Means as the points of an interaction plot."""

from __future__ import annotations

import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import one_of

_ROLES = ("x", "trace", "panel")


def points(
    labels: pd.DataFrame, table: pd.DataFrame, x: str | None, trace: str | None, panel: str | None
) -> pd.DataFrame:
    """``x trace panel`` and the numbers of a table.

    Raises
    ------
    InvalidArgumentError
        A name that is no factor, or twice the same.
    """
    factors = [str(name) for name in labels.columns]
    roles: list[str | None] = [x, trace, panel]
    given = [name for name in roles if name is not None]
    for role, name in zip(_ROLES, roles, strict=True):
        if name is not None and (name not in factors or given.count(name) > 1):
            raise InvalidArgumentError(
                f"{role}={name!r}: each factor once; {one_of(name, factors)}"
            )
    left = [name for name in factors if name not in given]
    for i, name in enumerate(roles):
        roles[i] = left.pop(0) if name is None and left else name
    out = pd.DataFrame(index=labels.index)
    for role, name in zip(_ROLES, roles, strict=True):
        out[role] = "" if name is None else labels[name]
    if left:
        more = [name for name in (roles[2], *left) if name is not None]
        out["panel"] = [", ".join(map(str, row)) for row in labels[more].to_numpy()]
    return pd.concat([out, table.drop(columns=factors)], axis=1)

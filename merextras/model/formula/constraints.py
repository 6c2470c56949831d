"""Linear hypotheses written as text: ``"a = b"``, ``"2 * a - b = 1, c"``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from patsy import PatsyError
from patsy.constraint import linear_constraint

from merextras.foundation.aliases import Array


def read_constraints(texts: Sequence[str], names: Sequence[str]) -> tuple[Array, Array]:
    """Weights of the names and right-hand sides, (r, names) and (r,); patsy's linear constraints.

    Several hypotheses of one text are separated by commas; ``a = b = c`` is two, and an expression
    without an equals sign is to be zero.

    Raises
    ------
    ValueError
        What can't be read, a name that is none, products of names, a hypothesis without a name; the
        message says which.
    """
    parts = []
    for text in texts:
        try:
            found = linear_constraint(text, list(names))
        except PatsyError as err:
            origin = getattr(err, "origin", None)
            where = f" at {text[origin.start :]!r}" if origin is not None else ""
            raise ValueError(f"{err.message}{where}") from None
        parts.append((found.coefs, found.constants[:, 0]))
    coefs, constants = zip(*parts, strict=True)
    return np.vstack(coefs).astype(float), np.concatenate(constants).astype(float)


def written(weights: Array, right: float, names: Sequence[str]) -> str:
    """Write a hypothesis out: ``"a - 2 * b = 0"``."""
    out = ""
    for weight, name in zip(weights, names, strict=True):
        if weight == 0.0:
            continue
        size = "" if abs(weight) == 1.0 else f"{abs(weight):.6g} * "
        sign = " - " if weight < 0 else " + "
        out += (sign if out else "-" if weight < 0 else "") + size + name
    return f"{out} = {right + 0.0:.6g}"

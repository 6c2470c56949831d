"""State of a formula's stateful transforms (``center``, ``bs``) as plain data, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from merextras.exceptions import UnsupportedModelError

#: What a transform needs only while it learns.
_WHILE_LEARNING = frozenset({"_tmp"})
_PLAIN = (bool, int, float, str, type(None))


def stored(transform: Any, code: str) -> dict[str, Any]:
    """The attributes of a transform: numbers, strings and arrays.

    Raises
    ------
    UnsupportedModelError
        It remembers something else.
    """
    state = {}
    for name, value in vars(transform).items():
        if name in _WHILE_LEARNING:
            continue
        if isinstance(value, np.generic):
            value = value.item()  # noqa: PLW2901
        array = isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
        if not array and not isinstance(value, _PLAIN):
            raise UnsupportedModelError(
                f"{code!r}: what the transform {type(transform).__name__} remembers can't be "
                f"stored: {name} is a {type(value).__name__}"
            )
        state[name] = np.array(value, dtype=float) if array else value
    return {"class": type(transform).__name__, "state": state}


def restored(transform: Any, learnt: dict[str, Any], code: str) -> Any:
    """A new transform of the same class with what another remembered."""
    if type(transform).__name__ != learnt["class"]:
        raise UnsupportedModelError(
            f"{code!r}: the transform is a {type(transform).__name__} here and was a "
            f"{learnt['class']} where it learnt"
        )
    vars(transform).update(learnt["state"])
    return transform

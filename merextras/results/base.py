"""What the result objects share."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np
import pandas as pd

from merextras._typing import Array

V = TypeVar("V")


def freeze(array: Array) -> Array:
    """A read-only copy."""
    out = np.array(array, dtype=float)
    out.flags.writeable = False
    return out


class TextResult:
    """A result that prints as text, in a notebook as the same text in a fixed-width block."""

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.to_text())}</pre>"

    def to_text(self) -> str:
        """The text that is printed."""
        raise NotImplementedError


class FrozenMapping(Mapping[str, V]):
    """A read-only mapping in a fixed order, whose missing keys say what there is."""

    def __init__(self, items: Mapping[str, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: str) -> V:
        try:
            return self._items[key]
        except KeyError:
            raise KeyError(f"{key!r}; there are {list(self._items)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return "\n\n".join(f"{key}:\n{value}" for key, value in self.items())


def format_columns(frame: pd.DataFrame, digits: int = 4) -> str:
    """A frame as text, numbers to `digits` significant digits of their column's largest."""
    out = frame.copy()
    for name in out.columns:
        if pd.api.types.is_float_dtype(out[name]):
            out[name] = format_numbers(out[name].to_numpy(), digits)
    return str(out.to_string())


def format_numbers(values: Array, digits: int = 4) -> list[str]:
    """Numbers with the decimals that show `digits` significant ones of the smallest that counts."""
    finite = np.abs(values[np.isfinite(values) & (values != 0)])
    if len(finite) == 0:
        decimals = 1
    else:
        smallest = float(np.min(finite[finite >= finite.max() * 1e-6]))
        decimals = int(np.clip(digits - 1 - np.floor(np.log10(smallest)), 0, 10))
    return ["" if np.isnan(v) else f"{v:.{decimals}f}" for v in values]

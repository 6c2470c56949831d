"""Base classes and number formats shared by the results."""

from __future__ import annotations

import html
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array

V = TypeVar("V")


#: Lines of text and tables, in order: what a result prints.
Parts = Sequence[str | pd.DataFrame]
#: Rows of a long table that a notebook shows.
_ROWS = 20


class TextResult:
    """A result that prints as text, and in a notebook as text and tables.

    A subclass defines `_parts`, from which both are made, or `to_text`, or both where its text has
    a layout of its own.
    """

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return to_html(self._parts())

    def _parts(self) -> Parts:
        """Lines of text and frames; frames of text are shown as they are."""
        return [self.to_text()]

    def to_text(self) -> str:
        """The text that is printed."""
        return "\n".join(p if isinstance(p, str) else format_columns(p) for p in self._parts())


class Table(pd.DataFrame):
    """A frame that prints all of its columns, below one another where they do not fit beside.

    pandas leaves out the middle ones in a terminal, where statistics and p-values are. Nothing else
    differs, and an option of the user's own (``display.max_columns``) is obeyed. What is made of a
    table, by ``round`` or ``head``, is one, too. A column that had another name goes on answering
    to it for a release.
    """

    @property
    def _constructor(self) -> type[Table]:
        return Table

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Table:
        """The frame itself with this way of printing; its ``attrs`` stay."""
        out = cls(frame)
        out.attrs = frame.attrs
        return out

    def renamed(self, names: Mapping[str, str], *, until: str) -> Table:
        """The same table, whose columns answer to the old of `names`, old -> new, with a warning.

        Parameters
        ----------
        names : mapping old -> new
        until : str
            The release in which the old names end.
        """
        self.attrs["renamed"] = {old: (new, until) for old, new in names.items()}
        return self

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str) and key not in self.columns and "renamed" in self.attrs:
            new, until = self.attrs["renamed"].get(key, (key, ""))
            if new in self.columns:
                warnings.warn(
                    f"column {key!r} is called {new!r} now; the old name ends with release {until}",
                    DeprecationWarning,
                    stacklevel=2,
                )
                key = new
        return super().__getitem__(key)

    def __repr__(self) -> str:
        if pd.get_option("display.max_columns") != 0:  # 0: as many as fit the terminal
            return super().__repr__()
        width = shutil.get_terminal_size().columns
        with pd.option_context("display.max_columns", None, "display.width", width):
            return super().__repr__()


def to_html(parts: Parts) -> str:
    """Text in fixed-width blocks and frames as tables, their numbers as they are printed."""
    return "".join(_html(part) for part in parts if isinstance(part, pd.DataFrame) or part)


def _html(part: str | pd.DataFrame) -> str:
    if isinstance(part, str):
        return f"<pre>{html.escape(part)}</pre>"
    shown = formatted(part)
    return str(shown.to_html(border=0, max_rows=_ROWS, na_rep="", sparsify=False))


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

    def _repr_html_(self) -> str:
        out = []
        for key, value in self.items():
            own = isinstance(value, TextResult)
            body = value._repr_html_() if own else to_html([_shown(value)])  # type: ignore[attr-defined]
            out.append(to_html([f"{key}:"]) + body)
        return "".join(out)


def _shown(value: object) -> str | pd.DataFrame:
    return value if isinstance(value, pd.DataFrame) else str(value)


def format_columns(frame: pd.DataFrame, digits: int = 4) -> str:
    """A frame as text, numbers to `digits` significant digits of their column's largest."""
    return str(formatted(frame, digits).to_string())


def formatted(frame: pd.DataFrame, digits: int = 4) -> pd.DataFrame:
    """The frame with its floating-point numbers as text, as `format_columns` has them."""
    out = pd.DataFrame(frame.copy())
    for name in out.columns:
        if pd.api.types.is_float_dtype(out[name]):
            out[name] = format_numbers(out[name].to_numpy(), digits)
    return out


def p_text(p: float) -> str:
    """Three significant digits; what R can't tell from zero as R does."""
    return "<2e-16" if p < 2e-16 else f"{p:.3g}"


def format_numbers(values: Array, digits: int = 4) -> list[str]:
    """Numbers with the decimals that show `digits` significant ones of the smallest that counts."""
    finite = np.abs(values[np.isfinite(values) & (values != 0)])
    if len(finite) == 0:
        decimals = 1
    else:
        smallest = float(np.min(finite[finite >= finite.max() * 1e-6]))
        decimals = int(np.clip(digits - 1 - np.floor(np.log10(smallest)), 0, 10))
    return ["" if np.isnan(v) else f"{v:.{decimals}f}" for v in values]

"""Calls that are made and written down at once: code that makes again what is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

#: Columns of a line of code.
_WIDTH = 88


@dataclass(frozen=True)
class Named:
    """A value and what it is called in the code.

    Attributes
    ----------
    text : str
    value : object
    """

    text: str
    value: Any

    def of(self, name: str) -> Named:
        """An attribute of the value, such as a method."""
        return Named(f"{self.text}.{name}", getattr(self.value, name))


class Script:
    """Steps in the order in which they were made.

    A step is run when it is added, and what is written is what was run: the code can't differ from
    the numbers. Figures are the exception: they are drawn when they are needed.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []

    def note(self, text: str) -> None:
        """Add a line that is a remark."""
        self._lines.append(f"# {text}")

    def let(self, name: str, text: str, value: Any) -> Named:
        """Add ``name = text``, whose value is known."""
        self._lines.append(f"{name} = {text}")
        return Named(name, value)

    def call(self, name: str, function: Named, *args: Any, **keywords: Any) -> Named:
        """Add ``name = function(...)`` and call it.

        Arguments are written by their names where they are `Named`, else as literals.
        """
        made = function.value(
            *(_value(one) for one in args), **{key: _value(one) for key, one in keywords.items()}
        )
        start = f"{name} = "
        self._lines.append(start + call_text(function.text, args, keywords, len(start)))
        return Named(name, made)

    def figure(self, function: Named, *args: Any, **keywords: Any) -> Callable[[], Any]:
        """Add ``function(...)``; what comes back draws it."""
        self._lines.append(call_text(function.text, args, keywords, 0))
        values = [_value(one) for one in args]
        named = {key: _value(one) for key, one in keywords.items()}
        return lambda: function.value(*values, **named)

    @property
    def text(self) -> str:
        """The code."""
        return "\n".join(self._lines)


def _value(given: Any) -> Any:
    return given.value if isinstance(given, Named) else given


def call_text(
    function: str, args: tuple[Any, ...], keywords: Mapping[str, Any], indent: int
) -> str:
    """Write a call, on several lines where it is long."""
    parts = [literal(one) for one in args]
    parts += [f"{key}={literal(one)}" for key, one in keywords.items()]
    line = f"{function}({', '.join(parts)})"
    if indent + len(line) <= _WIDTH:
        return line
    return f"{function}(\n" + "".join(f"    {part},\n" for part in parts) + ")"


def literal(value: Any) -> str:
    """Write a value as Python code that makes it again.

    Parameters
    ----------
    value : Named, None, bool, number, str, timestamp, or a list, tuple or dict of these
        Scalars of numpy are written as Python's.
    """
    if isinstance(value, Named):
        return value.text
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, (pd.Timestamp, pd.Timedelta, pd.Period, pd.Interval)):
        return f"pd.{value!r}"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """A string in double quotes where that needs no escape, as formatters write it."""
    made = repr(text)
    if made.startswith("'") and '"' not in text and "\\" not in made:
        return f'"{text}"'
    return made

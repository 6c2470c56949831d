"""Values of a file's header, each taken as what it must be."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any, NoReturn

#: No sum of a table's products is above it, and none is lost when it is squared.
LARGEST = 1e150


class Field:
    """A value from JSON and its place in the header.

    Parameters
    ----------
    value : object
    place : str
        For messages: ``terms[0].columns``.
    """

    def __init__(self, value: Any, place: str = "") -> None:
        self.value = value
        self._place = place

    def refuse(self, what: str) -> NoReturn:
        """Raise, with the place."""
        raise ValueError(f"the header's {self._place or 'whole'} {what}")

    def fields(self, *names: str) -> dict[str, Field]:
        """Those of an object with exactly these names."""
        found = self.value
        if not isinstance(found, dict) or set(found) != set(names):
            self.refuse(f"must have {', '.join(names)}")
        return {name: self._within(found[name], f".{name}") for name in names}

    def with_value(self, name: str, value: Any) -> Field:
        """The same object with one more name."""
        known = self.value if isinstance(self.value, dict) and name not in self.value else {}
        return Field({**known, name: value}, self._place)

    def mapping(self) -> dict[str, Field]:
        """An object whose names are data."""
        if not isinstance(self.value, dict):
            self.refuse("must be an object")
        return {Field(k, self._place).text(): self._within(v, f".{k}") for k, v in self._pairs()}

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        yield from self.value.items()

    def items(self, n: int | None = None) -> list[Field]:
        """Of a list, of the given length."""
        if not isinstance(self.value, list) or n not in (None, len(self.value)):
            self.refuse("must be a list" + ("" if n is None else f" of {n}"))
        return [self._within(each, f"[{i}]") for i, each in enumerate(self.value)]

    def _within(self, value: Any, step: str) -> Field:
        return Field(value, f"{self._place}{step[:100]}".lstrip("."))

    def optional(self) -> Field | None:
        """None for null."""
        return None if self.value is None else self

    def text(self, among: Collection[str] | None = None) -> str:
        """A text that can be written as UTF-8, perhaps one of some."""
        found = self.value
        if not isinstance(found, str) or not _is_text(found):
            self.refuse("must be a text")
        if among is not None and found not in among:
            self.refuse(f"must be one of {sorted(among)[:20]}, not {found[:100]!r}")
        return str(found)

    def texts(self, among: Collection[str] | None = None) -> tuple[str, ...]:
        """A list of texts, each once."""
        found = tuple(each.text(among) for each in self.items())
        if len(set(found)) < len(found):
            self.refuse("must not have a text twice")
        return found

    def whole(self, low: int = 0, high: int = 2**53) -> int:
        """A whole number in a range, both ends in it."""
        found = self.value
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            self.refuse(f"must be a whole number from {low} to {high}")
        return int(found)

    def wholes(self, high: int) -> tuple[int, ...]:
        """A list of whole numbers from 0, each once."""
        found = tuple(each.whole(0, high) for each in self.items())
        if len(set(found)) < len(found):
            self.refuse("must not have a number twice")
        return found

    def number(self) -> float:
        """A number whose square is finite."""
        found = self.value
        if not isinstance(found, (int, float)) or isinstance(found, bool):
            self.refuse("must be a number")
        try:
            number = float(found)
        except OverflowError:
            number = math.inf
        if not abs(number) <= LARGEST:
            self.refuse(f"must be a number up to {LARGEST:g}")
        return number

    def flag(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            self.refuse("must be true or false")
        return bool(self.value)


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True

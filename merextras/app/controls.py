"""Descriptions of the page's input controls, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from merextras.exceptions import InvalidArgumentError

Values = Mapping[str, Any]
#: Between what a label depends on and its place, in the value of an option.
_MARK = "|"


@dataclass(frozen=True)
class Control:
    """What all controls have.

    Attributes
    ----------
    name : str
        Of the argument that it sets.
    label : str
        What the page calls it.
    when : (str, tuple of str), optional
        Another control and those of its values for which this one is shown.
    """

    name: str
    label: str
    when: tuple[str, tuple[str, ...]] | None = None

    def read(self, given: Any, values: Values) -> Any:
        """The value for Python of what the page has, given the controls before it."""
        del values
        return given


@dataclass(frozen=True)
class Choice(Control):
    """One of some words; ``options`` maps each to what the page calls it."""

    options: Mapping[str, str] | None = None
    default: str = ""

    def read(self, given: Any, values: Values) -> str:
        """The word, or an error if it is none of them."""
        del values
        if given not in (self.options or {}):
            raise InvalidArgumentError(f"{self.label}: {given!r} is not among the choices")
        return str(given)


@dataclass(frozen=True)
class Number(Control):
    """A number between two others; `default` may be a function of the controls before it."""

    default: float | Callable[[Values], float] = 0.0
    low: float | None = None
    high: float | None = None
    step: float | None = None
    whole: bool = False
    follows: str = ""

    def start(self, values: Values) -> float:
        """The value that is there at first."""
        return self.default(values) if callable(self.default) else self.default

    def read(self, given: Any, values: Values) -> float | int:
        """The number, or an error that says what is allowed."""
        del values
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        good = isinstance(given, (int, float)) and not isinstance(given, bool)
        if not good or not low <= given <= high or (self.whole and given != int(given)):
            kind = "a whole number" if self.whole else "a number"
            span = "" if self.low is None else f" from {low:g} to {high:g}"
            raise InvalidArgumentError(f"{self.label}: give {kind}{span}")
        return int(given) if self.whole else float(given)


@dataclass(frozen=True)
class Switch(Control):
    """Yes or no."""

    default: bool = False


@dataclass(frozen=True)
class Text(Control):
    """Words to search for."""

    hint: str = ""

    def read(self, given: Any, values: Values) -> str:
        """The words; nothing in them is special."""
        del values
        return str(given or "")


@dataclass(frozen=True)
class Pick(Control):
    """Any of many labels, with a box to search them; the page gets the labels that it asks for.

    `pool` makes the labels from the controls before it, of which it depends on `follows`.
    """

    pool: Callable[[Values], Any] = tuple
    follows: str = ""
    hint: str = ""

    def options(self, values: Values) -> dict[str, str]:
        """Option and text of each label: the option says what it depends on, and the place."""
        stem = str(values.get(self.follows, ""))
        return {f"{i}{_MARK}{stem}": str(label) for i, label in enumerate(self.pool(values))}

    def read(self, given: Any, values: Values) -> list[Any]:
        """The labels that are picked; what belongs to another pool, of before a change, is none."""
        labels, stem = self.pool(values), str(values.get(self.follows, ""))
        picked = [str(option).partition(_MARK) for option in given or ()]
        places = [int(place) for place, _, of in picked if of == stem and place.isdecimal()]
        return [labels[place] for place in places if place < len(labels)]


def read_all(controls: Sequence[Control], given: Callable[[str], Any]) -> dict[str, Any]:
    """The values of controls, in order.

    Parameters
    ----------
    controls : sequence of Control
    given : function
        What the page has for a control's name.

    Raises
    ------
    InvalidArgumentError
        A number that is missing or out of its range.
    """
    values: dict[str, Any] = {}
    for control in controls:
        if _is_shown(control, values):
            values[control.name] = control.read(given(control.name), values)
    return values


def needed_by(control: Control, controls: Sequence[Control]) -> list[Control]:
    """The controls that decide what one offers: those that it follows, and whether these show."""
    wanted = {getattr(control, "follows", "")}
    for one in reversed(controls):
        if one.name in wanted:
            wanted |= {getattr(one, "follows", ""), one.when[0] if one.when else ""}
    return [one for one in controls if one.name in wanted]


def _is_shown(control: Control, values: Values) -> bool:
    """Whether the page shows it: what is not shown is not read, and so not in the way."""
    if control.when is None:
        return True
    name, allowed = control.when
    return str(values.get(name)) in allowed

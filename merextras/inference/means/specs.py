"""A parser of emmeans' formulas of marginal means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from merextras.exceptions import InvalidArgumentError
from merextras.inference.functions.grid import Grid


def read_specs(specs: object) -> tuple[str, Any, list[str] | None]:
    """Take emmeans' formula ``"pairwise ~ a + b | c"`` apart: its left side, ``a b``, ``c``.

    Names that are no such formula come back as they are, with an empty left side.

    Raises
    ------
    InvalidArgumentError
        A formula without a name right of the tilde, or with more than one tilde or bar.
    """
    if isinstance(specs, str) and specs.strip() == "1":
        return "", [], None
    if not isinstance(specs, str) or "~" not in specs:
        return "", specs, None
    left, *rest = specs.split("~")
    sides = [
        [name.strip().strip("`") for name in re.split(r"[+*:]", side) if name.strip()]
        for part in rest
        for side in part.split("|")
    ]
    if len(rest) != 1 or not 1 <= len(sides) <= 2 or not sides[0]:
        raise InvalidArgumentError(f"specs={specs!r}: expected '~ a + b' or '~ a | b'")
    return left.strip(), [] if sides[0] == ["1"] else sides[0], sides[1] if sides[1:] else None


@dataclass(frozen=True)
class Wanted:
    """What is wanted of the means.

    Attributes
    ----------
    comparison : str
        The set of contrasts left of a formula's tilde.
    specs, within : tuple of str
        Variables, and those of `by`.
    """

    comparison: str
    specs: tuple[str, ...]
    within: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All variables, those of `by` first."""
        return self.within + self.specs


def wanted_of(grid: Grid, specs: str | Sequence[str], by: str | Sequence[str] | None) -> Wanted:
    """Read `specs` and `by`; what a nested factor is in comes with it.

    Raises
    ------
    InvalidArgumentError
        Names that are no variables of the fixed part, a bar beside `by`.
    """
    left, specs, bar = read_specs(specs)
    if bar is not None and by is not None:
        raise InvalidArgumentError(f"by={by!r}: the formula of specs has a bar already")
    within = grid.closed(grid.names(bar if by is None else by, "by"))
    wanted = grid.closed(grid.names(specs, "specs"))
    return Wanted(left, tuple(name for name in wanted if name not in within), within)

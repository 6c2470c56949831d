"""lme4's formulas taken apart: ``y ~ x + (1 + x | g) + (1 | a/b)``.

The fixed part is left to a formula engine. Only what stands in bars is read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from merextras.exceptions import InvalidArgumentError

_OPEN, _CLOSE, _QUOTES = "([{", ")]}", "\"'`"


@dataclass(frozen=True)
class Bar:
    """One random-effects term as it was written.

    Attributes
    ----------
    effects : str
        Left of the bar: ``1 + x``.
    factors : tuple of str
        Right of it, one grouping factor: ``("a",)``, or ``("b", "a")`` for ``b:a``.
    independent : bool
        Written with ``||``.
    """

    effects: str
    factors: tuple[str, ...]
    independent: bool


@dataclass(frozen=True)
class MixedFormula:
    """A formula's parts.

    Attributes
    ----------
    response : str
        Empty for a one-sided formula.
    fixed : str
        The fixed part; ``1`` if there is nothing but bars.
    bars : tuple of Bar
        With ``a/b`` already expanded to ``b:a`` and ``a``, as lme4 orders them.
    dropped : tuple of Bar
        Those that were subtracted.
    """

    response: str
    fixed: str
    bars: tuple[Bar, ...]
    dropped: tuple[Bar, ...] = ()


def parse(text: str, *, name: str = "formula", subtract: bool = False) -> MixedFormula:
    """Take a formula apart.

    Parameters
    ----------
    text : str
    name : str
        The argument that errors speak of.
    subtract : bool
        Whether a random-effects term may be subtracted, as in an update.

    Raises
    ------
    InvalidArgumentError
        With the formula and a mark under the place.
    """
    if not isinstance(text, str):
        raise InvalidArgumentError(
            f"{name}: expected a formula as a string, got {type(text).__name__}"
        )
    _check_brackets(text, name)
    tildes = [i for i in _outside(text) if text[i] == "~"]
    if len(tildes) > 1:
        raise _error(text, tildes[1], "a second '~'", name)
    start = tildes[0] + 1 if tildes else 0
    response = text[: tildes[0]].strip() if tildes else ""
    kept: list[str] = []
    bars: dict[str, list[Bar]] = {"+": [], "-": []}
    for sign, at, end in _summands(text, start):
        found = _bar(text, at, end, name)
        if found is None:
            kept.append(f"{sign} {text[at:end].strip()}")
        elif sign == "-" and not subtract:
            raise _error(text, at, "a random-effects term can't be subtracted", name)
        else:
            bars[sign] += found
    fixed = " ".join(kept).removeprefix("+ ").strip() or "1"
    return MixedFormula(response, fixed, tuple(bars["+"]), tuple(bars["-"]))


def _error(text: str, at: int, what: str, name: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{name}: {what}\n    {text}\n    {' ' * at}^")


def _check_brackets(text: str, name: str) -> None:
    stack: list[int] = []
    quote = -1
    for i, char in enumerate(text):
        if quote >= 0:
            quote = -1 if char == text[quote] else quote
        elif char in _QUOTES:
            quote = i
        elif char in _OPEN:
            stack.append(i)
        elif char in _CLOSE:
            if not stack or _OPEN.index(text[stack[-1]]) != _CLOSE.index(char):
                raise _error(text, i, f"{char!r} closes nothing", name)
            stack.pop()
    if quote >= 0:
        raise _error(text, quote, "this quote is never closed", name)
    if stack:
        raise _error(text, stack[-1], f"{text[stack[-1]]!r} is never closed", name)


def _outside(text: str, start: int = 0, end: int | None = None) -> Iterator[int]:
    """Positions that are in no bracket and no quote."""
    depth, quote = 0, ""
    for i in range(start, len(text) if end is None else end):
        char = text[i]
        if quote:
            quote = "" if char == quote else quote
        elif char in _QUOTES:
            quote = char
        elif char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif depth == 0:
            yield i


def _summands(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """(sign, start, end) of what is added at the top level."""
    sign, at = "+", start
    for i in [*(j for j in _outside(text, start) if text[j] in "+-"), len(text)]:
        if text[at:i].strip():
            yield sign, at + len(text[at:i]) - len(text[at:i].lstrip()), i
            sign = "+"
        if i < len(text):
            sign = "-" if (text[i] == "-") != (sign == "-" and not text[at:i].strip()) else "+"
        at = i + 1


def _bar(text: str, at: int, end: int, name: str) -> list[Bar] | None:
    """The terms of ``(effects | factors)``, or None if it is not one."""
    while end > at and text[end - 1].isspace():
        end -= 1
    naked = [i for i in _outside(text, at, end) if text[i] == "|"]
    if naked:
        raise _error(text, naked[0], "a bar must stand in parentheses: (effects | factor)", name)
    if text[at] != "(" or any(True for _ in _outside(text, at, end)):
        return None
    pipes = [i for i in _outside(text, at + 1, end - 1) if text[i] == "|"]
    if not pipes:
        return None
    independent = len(pipes) == 2 and pipes[1] == pipes[0] + 1
    if len(pipes) > 1 and not independent:
        raise _error(text, pipes[1], "more than one bar in a term", name)
    effects = text[at + 1 : pipes[0]].strip()
    if not effects:
        what = "nothing stands left of the bar; (1 | g) is an intercept"
        raise _error(text, pipes[0], what, name)
    return [
        Bar(effects, factors, independent)
        for factors in _factors(text, pipes[-1] + 1, end - 1, name)
    ]


def _factors(text: str, start: int, end: int, name: str) -> list[tuple[str, ...]]:
    """Grouping factors: ``a``, ``a:b``, ``a/b``, or several joined by ``+``."""
    sums = [start - 1, *(i for i in _outside(text, start, end) if text[i] == "+"), end]
    out: list[tuple[str, ...]] = []
    for left, right in pairwise(sums):
        slashes = [left, *(i for i in _outside(text, left + 1, right) if text[i] == "/"), right]
        chain: list[tuple[str, ...]] = []
        for a, b in pairwise(slashes):
            inner = _interaction(text, a + 1, b, name)
            chain.append((*inner, *(chain[-1] if chain else ())))
        out += reversed(chain)
    return out


def _interaction(text: str, start: int, end: int, name: str) -> tuple[str, ...]:
    """The columns of ``a:b``."""
    colons = [start - 1, *(i for i in _outside(text, start, end) if text[i] == ":"), end]
    names = []
    for a, b in pairwise(colons):
        column = text[a + 1 : b].strip()
        if not column:
            raise _error(text, min(a + 1, len(text) - 1), "a grouping factor is missing here", name)
        quoted = column[0] == "`" and column[-1] == "`"
        names.append(column[1:-1] if quoted else column)
    return tuple(names)

"""lme4's formulas taken apart: ``y ~ x + (1 + x | g) + (1 | a/b)``.

The fixed part is left to a formula engine. Only what stands in bars is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from merextras.engine.covariance.tags import PLAIN, Tag
from merextras.exceptions import InvalidArgumentError
from merextras.model.formula.structures import tag_of

_OPEN, _CLOSE, _QUOTES = "([{", ")]}", "\"'`"
# A column that is said to be a factor, which it is right of a bar: ``factor(g)``.
_FACTOR = re.compile(r"(?:(?:as\.)?factor|C)\s*\(\s*(`[^`]*`|\w+)\s*\)")


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
    tag : Tag
        The structure of its covariance, written as ``cs(0 + f | g)``.
    """

    effects: str
    factors: tuple[str, ...]
    independent: bool
    tag: Tag = PLAIN

    @property
    def text(self) -> str:
        """``(1 + x | b:a)``, as messages have it."""
        return self.tag.term([self.effects], ":".join(self.factors))


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


def check_order(formula: object, data: object, verb: str = "lmer") -> None:
    """Raise where the two arguments of a verb are swapped."""
    if isinstance(data, str) and "~" in data and not isinstance(formula, str):
        raise InvalidArgumentError(
            f"the arguments are swapped: {verb}(formula, data), {verb}({data!r}, ...)"
        )


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
    return _parsed(text, name, subtract)


@lru_cache(maxsize=128)
def _parsed(text: str, name: str, subtract: bool) -> MixedFormula:
    """A fit asks several times for the same formula."""
    _check_brackets(text, name)
    tildes = [i for i in _outside(text) if text[i] == "~"]
    if len(tildes) > 1:
        raise _error(text, tildes[1], "a second '~'", name)
    if text.rstrip()[-1:] in {"+", "-", "~"}:
        raise _error(text, len(text.rstrip()) - 1, "nothing stands after this", name)
    start = tildes[0] + 1 if tildes else 0
    response = text[: tildes[0]].strip() if tildes else ""
    kept: list[str] = []
    bars: dict[str, list[Bar]] = {"+": [], "-": []}
    lone = _lone_bar(text, start, name)
    for sign, at, end, found in lone or _parts(text, start, len(text), name):
        if found is None:
            _check_no_bar(text, at, end, name)
            kept.append(f"{sign} {text[at:end].strip()}")
        elif sign == "-" and not subtract:
            raise _error(text, at, "a random-effects term can't be subtracted", name)
        else:
            bars[sign] += found
    fixed = " ".join(kept).removeprefix("+ ").strip() or "1"
    return MixedFormula(response, fixed, tuple(bars["+"]), tuple(bars["-"]))


@lru_cache(maxsize=128)
def one_line(text: str) -> str:
    """The text with single spaces, but for what is in quotes: a name may have two."""
    pieces = re.split(r"(\"[^\"]*\"|'[^']*'|`[^`]*`)", text)
    pieces[::2] = [re.sub(r"\s+", " ", piece) for piece in pieces[::2]]
    return "".join(pieces).strip()


def _error(text: str, at: int, what: str, name: str) -> InvalidArgumentError:
    text = re.sub(r"\s", " ", text)  # on one line, so that the mark is under the place
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


def _parts(
    text: str, start: int, stop: int, name: str
) -> Iterator[tuple[str, int, int, list[Bar] | None]]:
    """The summands with the terms that they are, sums in parentheses opened where bars are in."""
    for sign, at, end in summands(text, start, stop):
        last = at + len(text[at:end].rstrip())
        found = _bar(text, at, last, name)
        if found is None and _is_group(text, at, last) and sign == "+" and "|" in text[at:last]:
            yield from _parts(text, at + 1, last - 1, name)
        else:
            yield sign, at, last, found


def _lone_bar(
    text: str, start: int, name: str
) -> list[tuple[str, int, int, list[Bar] | None]] | None:
    """A bar without parentheses where nothing is beside it: ``y ~ 1 | g``, ``re_form="~ 1 | g"``.

    R takes all that stands left of a naked bar for its effects. Of ``y ~ x + 1 | g`` that is seldom
    what is meant; in a `re_form`, where there is nothing else, it is.
    """
    if not any(text[i] == "|" for i in _outside(text, start)):
        return None
    if name != "re_form" and len(list(summands(text, start))) != 1:
        return None
    at = len(text) - len(text[start:].lstrip())
    return [("+", at, len(text), _split_bar(text, at, len(text.rstrip()), name))]


def _calls(text: str, at: int) -> bool:
    """Whether an opening bracket is that of a function's arguments or an index."""
    return text[at] != "(" or (at > 0 and (text[at - 1].isalnum() or text[at - 1] in "_)]"))


def in_call(text: str, at: int) -> bool:
    """Whether a place is within some function's arguments or an index."""
    opened = (i for i in range(at) if text[i] in _OPEN and _closing(text, i) >= at)
    return any(_calls(text, i) for i in opened)


def _is_group(text: str, at: int, end: int) -> bool:
    """Whether it is all in one pair of parentheses."""
    return text[at] == "(" and _closing(text, at) == end - 1


def _closing(text: str, at: int) -> int:
    """Where the bracket at a place is closed."""
    depth, quote = 0, ""
    for i in range(at, len(text)):
        char = text[i]
        if quote:
            quote = "" if char == quote else quote
        elif char in _QUOTES:
            quote = char
        else:
            depth += (char in _OPEN) - (char in _CLOSE)
            if depth == 0:
                return i
    return len(text)


def _check_no_bar(text: str, at: int, end: int, name: str) -> None:
    """A bar in parentheses that are no function's is a term in a wrong place."""
    inside = at
    for i in range(at, end):
        if i < inside or text[i] != "(":
            continue
        close = _closing(text, i)
        if i > at and _calls(text, i):
            inside = close
        elif any(text[j] == "|" for j in _outside(text, i + 1, close)):
            raise _error(text, i, "a random-effects term must be added, by '+'", name)


def summands(text: str, start: int, stop: int | None = None) -> Iterator[tuple[str, int, int]]:
    """(sign, start, end) of what is added at the top level."""
    sign, at = "+", start
    stop = len(text) if stop is None else stop
    for i in [*(j for j in _outside(text, start, stop) if text[j] in "+-"), stop]:
        if text[at:i].strip():
            yield sign, at + len(text[at:i]) - len(text[at:i].lstrip()), i
            sign = "+"
        if i < stop:
            sign = "-" if (text[i] == "-") != (sign == "-" and not text[at:i].strip()) else "+"
        at = i + 1


def _bar(text: str, at: int, end: int, name: str) -> list[Bar] | None:
    """The terms of ``(effects | factors)`` or ``cs(effects | factors)``, None if it is neither."""
    naked = [i for i in _outside(text, at, end) if text[i] == "|"]
    if naked:
        raise _error(text, naked[0], "a bar must stand in parentheses: (effects | factor)", name)
    if _is_group(text, at, end):
        return _split_bar(text, at + 1, end - 1, name)
    called = re.match(r"([^\W\d]\w*)\s*\(", text[at:end])
    opened = at + called.end() - 1 if called else end
    if called is None or _closing(text, opened) != end - 1:
        return None
    if not any(text[i] == "|" for i in _outside(text, opened + 1, end - 1)):
        return None
    return _tagged(text, called[1], opened, end - 1, name)


def _tagged(text: str, word: str, opened: int, close: int, name: str) -> list[Bar] | None:
    """The terms of a structure's call, or None if it is some function's."""
    commas = [i for i in _outside(text, opened + 1, close) if text[i] == ","]
    ends = [*commas, close]
    try:
        tag = tag_of(word, [text[a + 1 : b].strip() for a, b in pairwise(ends)])
    except InvalidArgumentError as err:
        raise _error(text, opened - len(word), str(err), name) from err
    if tag is None:
        return None
    bars = _split_bar(text, opened + 1, ends[0], name) or []
    if any(bar.independent for bar in bars):
        what = f"{word}() says how the effects go together, which '||' does, too; write one bar"
        raise _error(text, opened, what, name)
    return [replace(bar, tag=tag) for bar in bars]


def _split_bar(text: str, at: int, end: int, name: str) -> list[Bar] | None:
    """The terms of ``effects | factors``, or None if there is no bar."""
    pipes = [i for i in _outside(text, at, end) if text[i] == "|"]
    if not pipes:
        return None
    independent = len(pipes) == 2 and pipes[1] == pipes[0] + 1
    if len(pipes) > 1 and not independent:
        raise _error(text, pipes[1], "more than one bar in a term", name)
    effects = text[at : pipes[0]].strip()
    if not effects:
        what = "nothing stands left of the bar; (1 | g) is an intercept"
        raise _error(text, pipes[0], what, name)
    _check_no_bar(text, at, pipes[0], name)
    return [
        Bar(effects, factors, independent) for factors in _factors(text, pipes[-1] + 1, end, name)
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
        called = _FACTOR.fullmatch(column)
        column = called[1] if called else column
        quoted = column[0] == "`" and column[-1] == "`"
        names.append(column[1:-1] if quoted else column)
    return tuple(names)

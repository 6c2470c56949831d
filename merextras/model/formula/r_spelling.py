"""Translation of R's spellings in formulas for Python's formula engines.

``^`` is a power in every place: Python's own is the exclusive or of bits, which on whole numbers
gives other numbers without a word. ``factor(x)`` is ``C(x)``, ``TRUE`` is ``True``, and ``.`` is
all other columns. What has no counterpart is refused with the spelling that does.
"""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import unknown_column
from merextras.model.formula.parse import in_call, one_line, parse

#: A quoted piece, which is left alone.
_QUOTED = r"(?P<quoted>\"[^\"]*\"|'[^']*'|`[^`]*`)"
_POWER = re.compile(rf"{_QUOTED}|\s*\^\s*")
_FACTOR = re.compile(rf"{_QUOTED}|(?<![\w.])(?:as\.)?factor\s*\(")
_LOGICAL = re.compile(rf"{_QUOTED}|(?<![\w.])(?P<word>TRUE|FALSE)(?![\w.(])")
_DOT = re.compile(rf"{_QUOTED}|(?<![\w.)\]])\.(?![\w.])")

#: R's functions that have no counterpart of the same name, and what to write for them.
_INSTEAD = {
    "as.numeric": "a column of the data that is numeric",
    "as.integer": "a column of the data that is numeric",
    "c": "a list: [1, 2]",
    "cut": "pd.cut(x, [0, 5, 10]), with the limits as numbers",
    "ifelse": "np.where(test, yes, no)",
    "interaction": "a:b",
    "is.na": "a column of the data",
    "max": "the number",
    "mean": "center(x) for x less its mean",
    "min": "the number",
    "ns": "cr(x, df=...)",
    "ordered": "C(x, Poly)",
    "pmax": "np.maximum(x, y)",
    "pmin": "np.minimum(x, y)",
    "relevel": 'C(x, Treatment("level"))',
    "sd": "standardize(x) or scale(x) for x in standard deviations",
}


def spelled(text: str, columns: Iterable[str] = ()) -> str:
    """A piece of a formula with R's powers, factors and logical values as Python's.

    Raises
    ------
    InvalidArgumentError
        ``factor(x, ...)`` with levels by position, which ``C()`` takes for contrasts.
    """
    if "^" in text:
        text = _POWER.sub(lambda m: m["quoted"] or " ** ", text)
    if "factor" in text:
        text = _FACTOR.sub(lambda m: m["quoted"] or "C(", _checked_factors(text))
    words = {"TRUE", "FALSE"} - set(columns)
    if any(word in text for word in words):
        text = _LOGICAL.sub(lambda m: m["quoted"] or _logical(m["word"], words), text)
    return text


def _logical(word: str, words: set[str]) -> str:
    return word.capitalize() if word in words else word


def _checked_factors(text: str) -> str:
    for found in _FACTOR.finditer(text):
        if found["quoted"]:
            continue
        inside = _argument_list(text, found.end() - 1)
        second = inside[1].strip() if len(inside) > 1 else "levels="
        if not re.match(r"(levels|contrast)\s*=", second):
            raise InvalidArgumentError(
                f"formula: factor({', '.join(part.strip() for part in inside)}): give levels by "
                f"name, as in C({inside[0].strip()}, levels=['a', 'b']); labels are those of the "
                "data"
            )
    return text


def _argument_list(text: str, opened: int) -> list[str]:
    """The arguments of a call whose bracket is opened at a place."""
    depth, quote, parts = 0, "", [""]
    for char in text[opened:]:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'`":
            quote = char
        elif char in "([{":
            depth += 1
            if depth == 1:
                continue
        elif char in ")]}":
            depth -= 1
            if depth == 0:
                break
        elif char == "," and depth == 1:
            parts.append("")
            continue
        parts[-1] += char
    return parts


def written_out(formula: object, columns: Iterable[object]) -> str:
    """The formula on one line, with the columns that ``.`` stands for: R's ``y ~ . - z``.

    These are all columns of the data but those that the response reads and the grouping factors.

    Raises
    ------
    InvalidArgumentError
        Not a string, a ``.`` within a function, or no column that it could stand for.
    """
    if not isinstance(formula, str):
        raise InvalidArgumentError(
            f"formula: expected a formula as a string, got {type(formula).__name__}"
        )
    head, tilde, rhs = formula.rpartition("~")
    places = [m.start() for m in _DOT.finditer(rhs) if not m["quoted"]] if "." in rhs else []
    if not places or not tilde:
        return one_line(formula)
    if any(in_call(rhs, at) for at in places):
        raise InvalidArgumentError(
            f"formula={formula!r}: '.' stands for columns, which a function does not take together"
        )
    parsed = parse(formula)
    taken = {column for bar in parsed.bars for column in bar.factors}
    taken |= {*_words(parsed.response), parsed.response.strip("`")}
    others = [quoted(str(c)) for c in columns if str(c) not in taken]
    if not others:
        raise InvalidArgumentError(
            f"formula={formula!r}: '.' stands for no column; the data have only {sorted(taken)}"
        )
    both = f"({' + '.join(others)})" if len(others) > 1 else others[0]
    return one_line(f"{head}~{_DOT.sub(lambda m: m['quoted'] or both, rhs)}")


def _words(code: str) -> set[str]:
    return {a or b or c for a, b, c in re.findall(r"`([^`]*)`|['\"]([^'\"]*)['\"]|(\w+)", code)}


def quoted(column: str) -> str:
    """A column's name as a formula has it, in backticks where it needs them."""
    return column if column.isidentifier() and not keyword.iskeyword(column) else f"`{column}`"


def check_code(code: str, columns: Iterable[object]) -> None:
    """Refuse a piece of code that is none, with what to write for it.

    Raises
    ------
    InvalidArgumentError
        It can't be read.
    """
    if code.isidentifier() and not keyword.iskeyword(code):
        return
    try:
        ast.parse(code.strip(), mode="eval")
    except (SyntaxError, ValueError) as err:
        what = str(err.msg) if isinstance(err, SyntaxError) else str(err)
        raise InvalidArgumentError(f"formula {code!r}: {_advice(code, columns) or what}") from err


def _advice(code: str, columns: Iterable[object]) -> str:
    """What may have been meant by code that can't be read."""
    if code in map(str, columns):
        return f"write the column in backticks: `{code}`"
    if keyword.iskeyword(code):
        return unknown_column(code, columns)
    multiple = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([^\W\d]\w*)", code)
    if multiple is not None:
        return (
            f"{unknown_column(code, columns)}; {multiple[1]} times {multiple[2]} is "
            f"I({multiple[1]} * {multiple[2]})"
        )
    called = re.search(r"[\w.]+\.[\w.]+(?=\s*\()", code)
    if called is not None:
        return instead_of(called.group()) or f"{called.group()!r} is no name in Python"
    if "%" in code:
        return (
            "operators between '%' are R's; write a:b for a %in% b, np.isin(a, [...]) in I(); "
            "x % 2 for x %% 2, x // 2 for x %/% 2"
        )
    return ""


def instead_of(name: str) -> str:
    """What to write for a function of R, if that is known."""
    found = _INSTEAD.get(name)
    return "" if found is None else f"for R's {name}() write {found}"

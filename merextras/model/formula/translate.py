"""Pieces of a formula as code for the formula engine: quoting, contrasts, offsets, names."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import patsy

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import unknown_column
from merextras.model.formula.parse import MixedFormula, in_call, summands
from merextras.model.formula.r_spelling import check_code, spelled


def as_code(
    written: MixedFormula, columns: Sequence[str], contrasts: Mapping[str, str]
) -> MixedFormula:
    """The parts as the engines read them.

    R's spellings as Python's; backticks, bare keywords (``class``) and names with dots
    (``Sepal.Length``) as patsy's ``Q("class")``; contrasts put in.
    """
    for column in contrasts:
        if column not in columns:
            raise InvalidArgumentError(f"contrasts: {unknown_column(str(column), columns)}")
    return _as_code(written, tuple(columns), tuple((c, str(how)) for c, how in contrasts.items()))


@lru_cache(maxsize=128)
def _as_code(
    written: MixedFormula, columns: tuple[str, ...], pairs: tuple[tuple[str, str], ...]
) -> MixedFormula:
    """Text for text: the same formula is often fitted again."""
    contrasts = dict(pairs)
    pattern = _naming(columns, contrasts)

    def code(text: str) -> str:
        def swapped(found: re.Match[str]) -> str:
            column = found["tick"] or found["quoted"] or found["word"]
            if column in contrasts and not in_call(text, found.start()):
                return _contrasted(column, contrasts[column])
            return column if column in contrasts and found["word"] else f'Q("{column}")'

        return pattern.sub(swapped, spelled(text, columns))

    bars = tuple(replace(b, effects=code(b.effects)) for b in written.bars)
    return MixedFormula(code(written.response), code(written.fixed), bars)


def in_backticks(text: str, columns: Sequence[str]) -> str:
    """The text with backticks around all columns that stand in ``Q()`` or need quotes."""

    def swapped(found: re.Match[str]) -> str:
        name = found["word"] or found["quoted"] or found["tick"]
        return found.group() if "`" in name else f"`{name}`"

    return _naming(columns).sub(swapped, text)


def _naming(columns: Sequence[str], contrasts: Iterable[str] = ()) -> re.Pattern[str]:
    """All that names a column in one pattern, so that nothing is put into what was put in.

    In backticks, in ``Q()``, or a bare word that the engines do not take for a column's name.
    """
    own = set(contrasts)
    words = [c for c in columns if keyword.iskeyword(c) or c in own or _dotted(c, columns)]
    names = "|".join(map(re.escape, sorted(words, key=len, reverse=True))) or r"(?!)"
    return re.compile(
        rf"`(?P<tick>[^`]*)`|Q\((?P<mark>['\"])(?P<quoted>.*?)(?P=mark)\)"
        rf"|(?<![\w\"'.])(?P<word>{names})(?![\w\"'(.])"
    )


def _dotted(column: str, columns: Sequence[str]) -> bool:
    """Whether a column has a name such as R's ``Sepal.Length``, which is no column's attribute."""
    first, dot, _ = column.partition(".")
    return bool(dot) and first not in columns and bool(re.fullmatch(r"[^\W\d]\w*(\.\w+)+", column))


def contrast_labels(contrasts: Mapping[str, str]) -> dict[str, str]:
    """What the columns of a factor with contrasts are called after: the factor alone."""
    return {_contrasted(column, how): column for column, how in contrasts.items()}


def _contrasted(column: str, how: str) -> str:
    """A column with its contrast as patsy code."""
    code = column if column.isidentifier() and not keyword.iskeyword(column) else f'Q("{column}")'
    return f"C({code}, {how})"


def take_offsets(fixed: str) -> tuple[str, list[str]]:
    """The fixed part without its ``offset(...)`` terms, and what is in them."""
    rest, found = _without_offsets(fixed)
    return rest, list(found)


@lru_cache(maxsize=128)
def _without_offsets(fixed: str) -> tuple[str, tuple[str, ...]]:
    kept, found = [], []
    for sign, start, end in summands(fixed, 0):
        piece = fixed[start:end].strip()
        if not re.match(r"offset\s*\(", piece) or not piece.endswith(")"):
            kept.append(f"{sign} {piece}")
            continue
        code = piece[piece.index("(") + 1 : -1].strip()
        if sign == "-":
            raise InvalidArgumentError(
                f"formula: an offset is added; for '- {piece}' write offset(-({code}))"
            )
        found.append(code)
    return " ".join(kept).removeprefix("+ ").strip() or "1", tuple(found)


def names_used(
    parsed: MixedFormula, fixed: str, offsets: Sequence[str], columns: Iterable[object]
) -> set[str]:
    """Names that the formula reads: of columns, and of the caller's functions.

    Raises
    ------
    InvalidArgumentError
        A piece of code that can't be read; the response among the predictors. `columns` are those
        of the data.
    """
    return set(_names_used(parsed, fixed, tuple(offsets), tuple(map(str, columns))))


@lru_cache(maxsize=128)
def _names_used(
    parsed: MixedFormula, fixed: str, offsets: tuple[str, ...], columns: tuple[str, ...]
) -> frozenset[str]:
    pieces = pieces_of(fixed)
    pieces += [piece for bar in parsed.bars for piece in pieces_of(bar.effects)]
    if parsed.response and parsed.response in pieces:
        raise InvalidArgumentError(
            f"formula: the response {unquoted(parsed.response)!r} is among the predictors; take it "
            "out on the right of the '~'"
        )
    texts = [*offsets, *pieces]
    if unquoted(parsed.response) not in columns:
        texts.append(parsed.response)
    for text in filter(None, texts):
        check_code(text, columns)
    used = {name for text in texts for name in names_in(text)}
    # The response may be a column of that name, such as the one that a refit makes.
    used |= {column for bar in parsed.bars for column in bar.factors}
    return frozenset(used | {unquoted(parsed.response)})


def pieces_of(text: str) -> list[str]:
    """Code of the factors of a one-sided formula."""
    if re.fullmatch(r"[\w\s+]*", text):
        return [piece.strip() for piece in text.split("+")]
    try:
        description = patsy.ModelDesc.from_formula(text)
    except (patsy.PatsyError, SyntaxError) as err:
        raise InvalidArgumentError(f"formula: {err}") from err
    return [f.name() for term in description.rhs_termlist for f in term.factors]


def names_in(code: str) -> set[str]:
    """Names and string constants in a piece of formula code; the latter for ``Q('a b')``."""
    return {code} if code.isidentifier() else set(_names_in(code))


@lru_cache(maxsize=1024)
def _names_in(code: str) -> frozenset[str]:
    code = re.sub(r"`([^`]*)`", lambda m: repr(m.group(1)), code)
    try:
        tree = ast.parse(code, mode="eval")
    except SyntaxError:
        return frozenset({code})
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return frozenset(names | {value for value in constants if isinstance(value, str)})


def unquoted(text: str) -> str:
    """``Q("class")`` as ``class``."""
    return re.sub(r"Q\((['\"])(.*?)\1\)", r"\2", text) if "Q(" in text else text

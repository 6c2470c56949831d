"""A frame as a formula engine should see it.

Labels are given as categoricals with the levels of the fit, so that no engine loops over rows of
text; dates as numbers of days; small integers and truth values so that arithmetic on them neither
wraps nor is logic; whole numbers under a power as floats, as R's.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.model.frame.kinds import check_predictor, kind_of, numbers
from merextras.model.frame.labels import codes_in, other_kind

#: How a column stands in code: alone, as ``C(x)``, before a dot (``x.dt``), or otherwise.
ALONE, CATEGORY, METHOD, CODE = "alone", "category", "method", "code"


def for_engine(
    frame: pd.DataFrame, codes: Iterable[str], what: str = "data", *, bools: bool = False
) -> pd.DataFrame:
    """The columns that some code reads, for an engine that is to learn from them.

    Parameters
    ----------
    frame : DataFrame
        Columns in their normal form.
    codes : iterable of str
        Code of the factors.
    what : str
        The argument that messages speak of.
    bools : bool
        Whether truth values that stand alone are given as categories: to formulaic, which takes
        them for numbers, where R and patsy have a factor (two slopes in ``x:b``, not one).

    Raises
    ------
    InvalidArgumentError
        A column that is neither numbers nor categories.
    """
    codes = list(codes)
    uses, floats = uses_of(codes), _powered(codes)
    made = {
        c: _to_learn(frame[c], c, uses[c], what, floats=c in floats)
        for c in frame.columns
        if c in uses
    }
    for c in [c for c in made if bools and uses[c] <= {ALONE, CATEGORY}]:
        if kind_of(frame[c]) == "booleans":
            made[c] = pd.Categorical(made[c], categories=[False, True])
    return FormulaFrame(made, index=frame.index)


def like_fit(
    frame: pd.DataFrame,
    codes: Sequence[str],
    levels: Mapping[str, Sequence[Any]],
    numeric: Mapping[str, str],
    what: str = "newdata",
) -> pd.DataFrame:
    """New rows of what `for_engine` gave, with the levels of the fit.

    Parameters
    ----------
    frame : DataFrame
        Columns in their normal form.
    codes : sequence of str
        Code of the factors.
    levels : mapping column -> sequence
        Of the columns that are factors by themselves.
    numeric : mapping column -> kind
        The columns that were numbers in the fit, and whether ``"numbers"`` or ``"dates"``.
    what : str
        The argument that messages speak of.

    Raises
    ------
    InvalidArgumentError
        A category that the fit has not seen, or a column of another kind.
    """
    uses, floats = uses_of(codes), _powered(codes)
    made: dict[str, Any] = {}
    for c in frame.columns:
        use = uses.get(c)
        if use is None:
            continue
        if c in levels and use <= {ALONE, CATEGORY} and not (c in numeric and ALONE in use):
            made[c] = _coded(frame[c], c, levels[c], what)
        elif c in numeric and not (METHOD in use and numeric[c] == "dates"):
            is_date = numeric[c] == "dates"
            made[c] = _number(frame[c], c, what, dates=is_date, floats=c in floats)
        elif kind_of(frame[c]) == "booleans":
            made[c] = _truth_values(frame[c])
        else:
            made[c] = _to_learn(frame[c], c, use, what, floats=c in floats)
    return FormulaFrame(made, index=frame.index)


def date_numbers(data: pd.DataFrame | Mapping[str, pd.Series], codes: Iterable[str]) -> list[str]:
    """The columns of dates, of a frame or by their names, that some code takes as numbers."""
    uses = uses_of(codes)
    dates = [str(c) for c in data if c in uses and kind_of(data[c]) == "dates"]
    return [c for c in dates if uses[c] != {CATEGORY} and METHOD not in uses[c]]


def _to_learn(column: pd.Series, name: str, use: frozenset[str], what: str, *, floats: bool) -> Any:
    kind = kind_of(column)
    if METHOD in use and kind not in {"numbers", "booleans"}:
        return column
    check_predictor(column, name, what)
    is_factor = use <= {ALONE, CATEGORY}
    if kind in {"numbers", "dates"}:
        is_level = use == {CATEGORY}
        if is_level:
            return _sorted_levels(column)
        return _number(column, name, what, dates=True, floats=floats)
    if kind == "booleans":
        if is_factor and not isinstance(column.dtype, np.dtype):
            made = column.astype(object).where(column.notna(), np.nan)
            return pd.Categorical(made, categories=[False, True])
        return _truth_values(column)
    return column if kind == "categories" or not is_factor else _sorted_levels(column)


def _truth_values(column: pd.Series) -> pd.Series:
    """Truth values as they are; as numbers where one is missing."""
    if isinstance(column.dtype, np.dtype):
        return column
    return column.astype(object).where(column.notna(), np.nan).astype(float)


def _sorted_levels(column: pd.Series) -> pd.Categorical:
    codes, levels = pd.factorize(column, sort=True)
    return pd.Categorical.from_codes(codes, categories=pd.Index(levels))


def _number(column: pd.Series, name: str, what: str, *, dates: bool, floats: bool) -> Any:
    """Integers stay, which ``C(x)`` names, unless floats are wanted; all else is floats."""
    if column.dtype == np.int64 and not floats:
        return column
    return numbers(column, name, what, dates=dates)


def _coded(column: pd.Series, name: str, levels: Sequence[Any], what: str) -> Any:
    known: pd.Index = pd.Index(levels, tupleize_cols=False)
    codes = codes_in(column, known)
    check_seen(column, codes, known, name, what)
    return pd.Categorical.from_codes(codes, categories=known)


def check_seen(
    column: pd.Series, codes: Any, levels: Sequence[Any] | pd.Index, name: object, what: str
) -> None:
    """Raise where a row has a category without a code."""
    new = (codes < 0) & column.notna().to_numpy(dtype=bool)
    if not np.any(new):
        return
    given = list(pd.unique(column[new]))
    word = other_kind(given, levels)
    raise InvalidArgumentError(
        f"{what}: column {name!r} has categories the model has not seen: "
        f"{sorted(map(str, given))}; known: {[str(level) for level in levels]}"
        f"{f' ({word})' if word else ''}"
    )


def uses_of(codes: Iterable[str]) -> dict[str, frozenset[str]]:
    """How each name stands in some code: sets of `ALONE`, `CATEGORY`, `METHOD`, `CODE`."""
    found: dict[str, frozenset[str]] = {}
    for code in codes:
        for name, use in _uses(code).items():
            found[name] = found.get(name, frozenset()) | use
    return found


def is_alone(code: str) -> bool:
    """Whether code is nothing but a column."""
    return list(_uses(code).values()) == [frozenset({ALONE})]


@lru_cache(maxsize=1024)
def _uses(code: str) -> dict[str, frozenset[str]]:
    try:
        tree = ast.parse(re.sub(r"`([^`]*)`", r'Q("\1")', code).strip(), mode="eval").body
    except SyntaxError:
        return {code: frozenset({ALONE})}
    name = _column(tree)
    if name is not None:
        return {name: frozenset({ALONE})}
    found: dict[str, set[str]] = {}
    if isinstance(tree, ast.Call) and _is_category(tree):
        name = _column(tree.args[0]) if tree.args else None
        if name is not None and len(tree.args) < 3 and not _has_levels(tree):
            found[name] = {CATEGORY}
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            inner = _column(node)
            is_function = isinstance(parent, ast.Call) and node is parent.func
            is_category = parent is tree and found.get(inner or "") == {CATEGORY}
            if inner is not None and not is_function and not is_category:
                use = METHOD if isinstance(parent, ast.Attribute) else CODE
                found.setdefault(inner, set()).add(use)
    return {name: frozenset(use) for name, use in found.items()}


def _powered(codes: Iterable[str]) -> set[str]:
    """The columns under a power in some code, and in none that makes categories of their values.

    numpy's powers of whole numbers wrap beyond 2**63, and negative ones there are none.
    """
    powers: set[str] = set()
    labels: set[str] = set()
    for code in codes:
        own = _powers_and_labels(code)
        powers |= own[0]
        labels |= own[1]
    return powers - labels


@lru_cache(maxsize=1024)
def _powers_and_labels(code: str) -> tuple[frozenset[str], frozenset[str]]:
    try:
        tree = ast.parse(re.sub(r"`([^`]*)`", r'Q("\1")', code).strip(), mode="eval").body
    except SyntaxError:
        return frozenset(), frozenset()
    return _within(tree, _is_power), _within(tree, _is_category)


def _within(tree: ast.AST, wanted: Callable[[ast.AST], bool]) -> frozenset[str]:
    """The columns within those nodes that are wanted."""
    inside = (each for node in ast.walk(tree) if wanted(node) for each in ast.walk(node))
    return frozenset(name for name in map(_column, inside) if name is not None)


def _is_power(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow)


def _is_category(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "C"


def _has_levels(call: ast.Call) -> bool:
    return any(keyword.arg in {"levels", None} for keyword in call.keywords)


def _column(node: ast.AST) -> str | None:
    """The column that a node is: ``x`` or ``Q("x")``."""
    if isinstance(node, ast.Name):
        return node.id
    is_quoted = (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Q"
        and len(node.args) == 1
        and isinstance(node.args[0], ast.Constant)
    )
    return str(node.args[0].value) if is_quoted else None  # type: ignore[attr-defined]


class FormulaColumn(pd.Series):
    """A column on which arithmetic is that of numbers: True + True is 2, integers do not wrap."""

    @property
    def _constructor(self) -> type[FormulaColumn]:
        return FormulaColumn

    @property
    def _constructor_expanddim(self) -> type[FormulaFrame]:
        return FormulaFrame


class FormulaFrame(pd.DataFrame):
    """A frame of `FormulaColumn`."""

    @property
    def _constructor(self) -> type[FormulaFrame]:
        return FormulaFrame

    @property
    def _constructor_sliced(self) -> type[FormulaColumn]:
        return FormulaColumn


#: Whole numbers may grow to this before they are given as floats.
_LARGEST = 2.0**62
_GROWING: Mapping[str, Callable[[float, float], float]] = {
    "add": operator.add,
    "sub": lambda a, b: a + b,
    "mul": operator.mul,
    "pow": operator.pow,
}


def _widened(value: Any) -> Any:
    """Truth values and small integers as long ones."""
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    dtype = getattr(value, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in "biu" and dtype != np.int64:
        return value.astype(np.int64 if dtype != np.uint64 else float)
    return value


def _overflows(name: str, values: Sequence[Any]) -> bool:
    """Whether integers would leave their range: seen at the largest of them."""
    if name not in _GROWING or any(np.asarray(value).dtype.kind != "i" for value in values):
        return False
    if name == "pow" and np.min(np.asarray(values[1]), initial=0) < 0:
        return True
    sizes = [float(np.max(np.abs(np.asarray(value, dtype=float)), initial=0.0)) for value in values]
    try:
        return bool(_GROWING[name](*sizes) > _LARGEST)
    except OverflowError:
        return True


def _operation(name: str, *, reflected: bool) -> Callable[[FormulaColumn, Any], Any]:
    """Pandas' own operation on widened operands."""
    plain = getattr(pd.Series, f"__r{name}__" if reflected else f"__{name}__")

    def operate(self: FormulaColumn, other: Any) -> Any:
        if isinstance(other, (str, list, tuple, pd.DataFrame)):
            return plain(self, other)
        own, other = _widened(self), _widened(other)
        if _overflows(name, (other, own) if reflected else (own, other)):
            own = own.astype(float)
        return plain(own, other)

    return operate


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(FormulaColumn, f"__{_name}__", _operation(_name, reflected=False))
    setattr(FormulaColumn, f"__r{_name}__", _operation(_name, reflected=True))
setattr(FormulaColumn, "__neg__", lambda self: pd.Series.__neg__(_widened(self)))  # noqa: B010

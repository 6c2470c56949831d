"""Formula code whose value in a row depends on the other rows: ``x - x.mean()``, ``x.rank()``.

It means another thing in every chunk, at every site and in new data. Code that is plain arithmetic
is told by reading it; any other is evaluated on a few rows of the data, alone and some together,
and compared with what it makes of these rows among many.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import MerextrasError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.formula.functions import ELEMENTWISE, STATEFUL
from merextras.model.formula.translate import names_in

#: What makes the columns of a piece of code for rows, having learnt from a frame.
Evaluator = Callable[[str, pd.DataFrame], Callable[[pd.DataFrame], Array]]

#: Rows that stand for the whole, rows taken together from these, and rows taken alone at random.
_MANY, _SOME, _ALONE = 500, 100, 3
#: The same number computed of fewer rows, relative to the largest in its column.
_SAME = 1e-10
#: Functions of numpy that are no ufuncs and look at one row at a time.
_NUMPY = frozenset({"where", "clip", "isin", "round", "around", "real", "nan_to_num", "digitize"})
_WORDS = frozenset({"I", "Q", "abs", "float", "int"})

#: Where a model of all rows meets others.
NO_OTHER_ROWS = "so that it has no value in other rows"
_WHAT_TO_DO = (
    "write center(x), standardize(x) or scale(x), which go through the rows first and remember "
    "them, or make it a column of the data"
)


def looking_at_whole(codes: Iterable[str], frame: pd.DataFrame, evaluator: Evaluator) -> list[str]:
    """Those pieces of code that depend on more than a row's own values.

    Parameters
    ----------
    codes : iterable of str
        From `not_by_row`.
    frame : DataFrame
        Rows without missing values; a sample of them is used.
    evaluator : callable
        Gives code and rows to learn from a function of rows.

    Notes
    -----
    Cost: a dozen evaluations of each piece on a few hundred rows at most, whatever the number of
    rows. Rows at the ends of a variable are taken alone, as those are what a quantile cuts off.
    """
    codes = list(codes)
    if not codes:
        return []
    if len(frame) > _MANY:
        rng = np.random.default_rng(0)
        frame = frame.iloc[np.sort(rng.choice(len(frame), _MANY, replace=False))]
    frame = frame.reset_index(drop=True)
    return [code for code in codes if _depends(code, frame, evaluator)]


def _depends(code: str, frame: pd.DataFrame, evaluator: Evaluator) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = evaluator(code, frame)
            whole = made(frame)
            return any(
                _differs(whole[rows], made, frame.iloc[rows].reset_index(drop=True))
                for rows in _parts(code, frame)
            )
    except _FAILURES as err:
        # Such as a column of the caller's with as many rows as the data; not an unknown name.
        return not isinstance(err.__cause__, NameError) and "NameError" not in str(err.__cause__)


_FAILURES = (ArithmeticError, AttributeError, LookupError, MerextrasError, TypeError, ValueError)


def _parts(code: str, frame: pd.DataFrame) -> list[IntArray]:
    """Rows to evaluate the code on: some alone, some together in another order."""
    rng = np.random.default_rng(0)
    order = rng.permutation(len(frame))
    alone = list(order[:_ALONE])
    names = names_in(code)
    for name in [c for c in frame.columns if str(c) in names]:
        if pd.api.types.is_numeric_dtype(frame[name]) and not frame[name].isna().any():
            values = frame[name].to_numpy(dtype=float)
            alone += [int(np.argmax(values)), int(np.argmin(values))]
    some = order[: min(_SOME, max(len(frame) // 2, 1))]
    return [*(np.array([row]) for row in dict.fromkeys(alone)), some]


def _differs(whole: Array, made: Callable[[pd.DataFrame], Array], rows: pd.DataFrame) -> bool:
    found = made(rows)
    if found.shape != whole.shape:
        return True
    size = _SAME * np.maximum(np.max(np.abs(np.nan_to_num(whole)), axis=0, initial=0.0), 1e-300)
    gone = np.isnan(whole)
    if not np.array_equal(gone, np.isnan(found)):
        return True
    return bool(np.any(np.abs(np.where(gone, 0.0, found - whole)) > size))


def not_by_row(
    codes: Iterable[str], columns: Iterable[object], names: Mapping[str, Any]
) -> list[str]:
    """Those pieces of code that are not known by reading them to look at one row alone.

    Parameters
    ----------
    codes : iterable of str
    columns : iterable
        Of the data.
    names : mapping
        What else the code may see.
    """
    there = {str(c) for c in columns}
    return [code for code in codes if not _by_row(code, there, names)]


def learning_from_columns(codes: Iterable[str], columns: Iterable[object]) -> list[str]:
    """Those whose transforms take something else from the data than their column.

    Such as ``bs(x, knots=[x.median()])``: remembered with all rows, another in each chunk.
    """
    reader = _Reader({str(c) for c in columns}, {})
    return [code for code in codes if reader.learns(code)]


def _by_row(code: str, columns: set[str], names: Mapping[str, Any]) -> bool:
    if code in columns or code.isidentifier():
        return True
    try:
        tree = ast.parse(code.strip(), mode="eval")
    except SyntaxError:
        return True  # a name in quotes of its own; code that can't be read is refused elsewhere
    return _Reader(columns, names).by_row(tree.body)


class _Reader:
    """Whether an expression is made of one row's values at a time."""

    def __init__(self, columns: set[str], names: Mapping[str, Any]) -> None:
        self._columns = columns
        self._names = names

    def by_row(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Name):
            return node.id in self._columns or np.isscalar(self._names.get(node.id))
        if isinstance(node, ast.Call):
            return self._call(node)
        known = (ast.Constant, ast.BinOp, ast.UnaryOp, ast.Compare, ast.List, ast.Tuple)
        inside = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        return isinstance(node, known) and all(map(self.by_row, inside))

    def _call(self, node: ast.Call) -> bool:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        own = self._names.get(name)
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        if name == "C" or (name in STATEFUL and (own is None or _remembers(own))):
            # What comes after the column are levels, contrasts, knots: of no row.
            return all(map(self.by_row, arguments[:1])) and not any(
                self._reads(argument) for argument in arguments[1:] if name != "te"
            )
        known = name in _WORDS if own is None else own is ELEMENTWISE.get(name)
        return (known or self._is_numpy(node.func)) and all(map(self.by_row, arguments))

    def learns(self, code: str) -> bool:
        """Whether a transform's arguments after the column read columns."""
        try:
            nodes = list(ast.walk(ast.parse(code.strip(), mode="eval")))
        except SyntaxError:
            return False
        calls = [n for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        return any(
            self._reads(argument)
            for call in calls
            if isinstance(call.func, ast.Name) and call.func.id in STATEFUL - {"te"}
            for argument in [*call.args[1:], *(keyword.value for keyword in call.keywords)]
        )

    def _reads(self, node: ast.AST) -> bool:
        """Whether it is made from columns of the data."""
        return any(isinstance(n, ast.Name) and n.id in self._columns for n in ast.walk(node))

    def _is_numpy(self, func: ast.AST) -> bool:
        if isinstance(func, ast.Name):
            return isinstance(self._names.get(func.id), np.ufunc)
        if not (isinstance(func, ast.Attribute) and isinstance(func.value, ast.Name)):
            return False
        of_numpy = self._names.get(func.value.id) is np
        return of_numpy and (
            func.attr in _NUMPY or isinstance(getattr(np, func.attr, None), np.ufunc)
        )


def _remembers(function: Any) -> bool:
    kinds = ("__patsy_stateful_transform__", "__is_stateful_transform__")
    return any(hasattr(function, kind) for kind in kinds)


def refusal(code: str, where: str) -> str:
    """Why such code is refused, and what to do."""
    code = code[2:-1] if code.startswith("I(I(") else code  # of a response, an offset
    return f"{code!r} looks at the whole column, {where}; {_WHAT_TO_DO}"

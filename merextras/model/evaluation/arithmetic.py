"""Sums, differences and products of numeric columns, without a formula engine.

Such as ``size - incidence``: an engine takes milliseconds to see that it is no more.
"""

from __future__ import annotations

import ast
import operator
from typing import Any

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array

_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}
#: Columns on which arithmetic neither wraps nor is logic.
_PLAIN = (np.dtype(np.int64), np.dtype(np.float64))


def arithmetic(code: str, frame: pd.DataFrame) -> Array | None:
    """The values of the code, (n,), or None where it is more than that."""
    try:
        tree = ast.parse(code.strip(), mode="eval").body
    except SyntaxError:
        return None
    values = _value(tree, frame)
    if not isinstance(values, np.ndarray):
        return None
    return values.astype(float)


def _value(node: ast.expr, frame: pd.DataFrame) -> Any:
    """An array or a number; None for other code."""
    if isinstance(node, ast.Name):
        return _column(node.id, frame)
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) in (int, float) else None
    if not isinstance(node, ast.BinOp) or type(node.op) not in _OPERATORS:
        return None
    left, right = _value(node.left, frame), _value(node.right, frame)
    if left is None or right is None:
        return None
    return _OPERATORS[type(node.op)](left, right)


def _column(name: str, frame: pd.DataFrame) -> Array | None:
    if name not in frame.columns:
        return None
    column = frame[name]
    usable = isinstance(column, pd.Series) and column.dtype in _PLAIN
    return column.to_numpy() if usable else None

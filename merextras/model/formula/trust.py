"""The gate before every evaluator: code that came from a file passes only if it is trusted.

A formula is Python code. Where one is written, it is the caller's own; where it was read from a
file, it is text, and stays text until the caller says ``trust_formula=True``. Only `Scope` and
`Computed` hand code to a formula engine, and they ask here first.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import TypeGuard

from merextras.exceptions import UnsupportedModelError

#: patsy's contrasts, which are no code of anybody's.
_CONTRASTS = frozenset({"Treatment", "Sum", "Poly", "Helmert", "Diff"})


def check_trusted(codes: Iterable[str], columns: Iterable[object], *, trusted: bool) -> None:
    """Raise where code may not be evaluated.

    Parameters
    ----------
    codes : iterable of str
        Of factors, of an offset or a response.
    columns : iterable
        Of the data. What names one of them, with or without a contrast, is no code.
    trusted : bool
        Whether the code is the caller's own, or was trusted when it was read from a file.

    Raises
    ------
    UnsupportedModelError
        There is code that is not trusted.
    """
    if trusted:
        return
    known = {str(column) for column in columns}
    for code in codes:
        if code.strip() not in known and not _names_a_column(code, known):
            raise UnsupportedModelError(
                f"{code!r} is Python code from a file, which is not run; read it, and if it "
                "does nothing but make a column: load_cross_products(path, trust_formula=True)"
            )


def _names_a_column(code: str, columns: set[str]) -> bool:
    """Whether code is ``x``, ``Q("x")``, or ``C(...)`` of these with one of patsy's contrasts."""
    try:
        tree: ast.expr = ast.parse(code.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    if isinstance(tree, ast.Constant):
        return tree.value in (0, 1)
    if _is_call(tree, "C") and 1 <= len(tree.args) <= 2:
        if len(tree.args) == 2 and not _is_contrast(tree.args[1]):
            return False
        tree = tree.args[0]
    if _is_call(tree, "Q") and len(tree.args) == 1:
        return isinstance(tree.args[0], ast.Constant) and tree.args[0].value in columns
    return isinstance(tree, ast.Name) and tree.id in columns


def _is_call(tree: ast.expr, name: str) -> TypeGuard[ast.Call]:
    return (
        isinstance(tree, ast.Call)
        and isinstance(tree.func, ast.Name)
        and tree.func.id == name
        and not tree.keywords
    )


def _is_contrast(tree: ast.expr) -> bool:
    """Whether it is ``Sum`` or ``Treatment('b')``."""
    if isinstance(tree, ast.Call):
        values = [*tree.args, *(keyword.value for keyword in tree.keywords)]
        return isinstance(tree.func, ast.Name) and (
            tree.func.id in _CONTRASTS and all(isinstance(v, ast.Constant) for v in values)
        )
    return isinstance(tree, ast.Name) and tree.id in _CONTRASTS

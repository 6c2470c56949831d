"""Frames as HTML tables and as CSV."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pandas as pd

from merextras.results.base import format_numbers, p_text

#: Rows of a table that a page shows.
SHOWN = 200
#: Columns that are probabilities of something, to three decimals.
_PROBABILITIES = ("p_better",)
#: Longer texts are sentences.
_WORDS = 48
#: How verdicts stand out.
_BADGES = {"ok": "mx-ok", "not ok": "mx-not-ok", "undecided": "mx-undecided"}


def to_html(frame: pd.DataFrame, *, shown: int = SHOWN, rest: str = "in the file") -> str:
    """A frame as a table, numbers aligned and to the digits that count.

    Parameters
    ----------
    frame : DataFrame
        Its index is not shown.
    shown : int
        Rows at most; a line says how many more there are.
    rest : str
        Where these are.

    Returns
    -------
    str
        Every text in it is escaped.
    """
    if len(frame) == 0:
        return '<p class="mx-empty">None.</p>'
    head = frame.iloc[:shown]
    columns = [_cells(head.iloc[:, i], str(name)) for i, name in enumerate(frame.columns)]
    aligned = [
        "num" if _is_number(frame.iloc[:, i]) else _kind_of_text(cells)
        for i, cells in enumerate(columns)
    ]
    names = "".join(
        f'<th scope="col" class="{how}">{_breakable(str(name))}</th>'
        for name, how in zip(frame.columns, aligned, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(f'<td class="{how}">{c[i]}</td>' for c, how in zip(columns, aligned, strict=True))
        + "</tr>"
        for i in range(len(head))
    )
    more = len(frame) - len(head)
    tail = f'<p class="mx-more">and {_count(more)} more rows, {escape(rest)}.</p>' if more else ""
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="mx-table" tabindex="0">{table}</div>{tail}'


def to_csv(frame: pd.DataFrame) -> str:
    """A frame as comma-separated text at full precision."""
    return str(frame.to_csv(index=False))


def _count(n: int) -> str:
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _breakable(name: str) -> str:
    """A column's name, which may be broken after an underscore."""
    return escape(name).replace("_", "_<wbr>")


def _kind_of_text(cells: list[str]) -> str:
    """Whether a column is of words or of sentences, which need room."""
    return "text" if max(map(len, cells), default=0) <= _WORDS else "text long"


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _cells(column: pd.Series, name: str) -> list[str]:
    """The texts of a column, escaped; nothing for a missing value."""
    if pd.api.types.is_float_dtype(column):
        values = column.to_numpy(dtype=float, na_value=np.nan)
        return [escape(text) for text in _numbers(values, name)]
    texts = ["" if _missing(value) else escape(_text(value)) for value in column]
    if name == "ok":
        return [f'<span class="{_BADGES[t]}">{t}</span>' if t in _BADGES else t for t in texts]
    return texts


def _numbers(values: Any, name: str) -> list[str]:
    if name == "p_value":
        return ["" if np.isnan(p) else p_text(float(p)) for p in values]
    if name in _PROBABILITIES:
        return ["" if np.isnan(p) else probability(float(p)) for p in values]
    finite = values[np.isfinite(values)]
    if len(finite) and np.all(finite == np.round(finite)) and np.abs(finite).max() < 1e15:
        return ["" if np.isnan(v) else f"{v:.0f}" for v in values]
    return [text.replace("-", "\N{MINUS SIGN}") for text in format_numbers(values)]


def probability(p: float) -> str:
    """A probability to three decimals, never written as if something were certain."""
    if p < 0.0005:
        return "<0.001"
    return ">0.999" if p >= 0.9995 else f"{p:.3f}"


def _missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value)) and bool(pd.isna(value))


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)

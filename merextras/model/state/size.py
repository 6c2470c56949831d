"""Saying before a fit what it will take, where that is a lot."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from merextras.engine.elimination.blocks_of_plan import fit_gigabytes, tail_cost
from merextras.engine.elimination.plan import Plan
from merextras.engine.products.crossprod import CrossProducts
from merextras.exceptions import LargeModelWarning
from merextras.foundation.memory import ALWAYS, PART, available_memory
from merextras.model.design.design import Design

# What a Schur complement may take before the user is told first: gigabytes, seconds a step. A dense
# one of 10 000 random effects takes as long, of 14 000 as much; of a sparse one it is far more.
_LARGE_TAIL, _LONG_STEP = 1.7, 50.0
# Numbers that a generalised model keeps of a row at its peak: in all, for each column of X and for
# each random effect of the row; and points whose factors its search keeps at once.
_ROW, _COLUMN, _EFFECT, _POINTS = 6.0, 2.8, 13.0, 4
_DO_TAIL = (
    "Rows of levels with few of them can be left out, or a factor be taken as fixed or made "
    "coarser; else it takes a machine with more memory"
)
_DO_ROWS = "With chunk_size= the rows are read again for each step and not kept there"
_DO_LEVELS = (
    "Fewer columns of the fixed part, or effects of a level, take less in proportion; else it "
    "takes a machine with more memory"
)


def bytes_of_row(p: int, ks: Sequence[int]) -> float:
    """Of a generalised model with p fixed effects and k effects of a level, by terms."""
    return 8.0 * (_ROW + _COLUMN * p + _EFFECT * sum(ks))


def warn_of_size(
    design: Design,
    products: CrossProducts,
    plan: Plan,
    *,
    generalised: bool = False,
    rows: int = 0,
    stacklevel: int = 4,
) -> None:
    """Say so before a fit that fills memory, or whose Schur complement takes minutes.

    Parameters
    ----------
    generalised : bool
        Whether the cross-products are made again for each step, of `rows` that are kept.
    stacklevel : int
        The warning points so many calls above this function, 1 being who called it.
    """
    points = _POINTS if generalised else 1
    cost, p = tail_cost(products, plan, points), len(design.fixed.names)
    by_row = 1e-9 * rows * bytes_of_row(p, design.ks)
    needed = fit_gigabytes(products, plan, points) + by_row
    if needed <= ALWAYS:
        return
    available = available_memory()
    free = "" if available is None else f", of which {available / 1e9:.3g} GB are free"
    fills = available is not None and needed > PART * available / 1e9
    if cost.gigabytes >= _LARGE_TAIL or cost.seconds >= _LONG_STEP:
        told = (
            f"{_tail(design, plan)} cross the larger factors with {cost.size} random effects: "
            f"their {cost.kind} Schur complement and what is made of it take about "
            f"{cost.gigabytes:.1f} GB{free}, and each step of the optimiser about "
            f"{cost.seconds:.0f} s"
        )
    elif fills:
        told = f"the fit will take about {needed:.2g} GB more memory{free}, most of it for "
        parts = [
            (cost.gigabytes, f"{cost.size} crossed effects of {_tail(design, plan)}", _DO_TAIL),
            (by_row, f"{rows} rows", _DO_ROWS),
            (needed - cost.gigabytes - by_row, f"{_levels(design, products)}", _DO_LEVELS),
        ]
        _, largest, what_to_do = max(parts)
        told += f"{largest}, with {p} columns of the fixed part. {what_to_do}"
    else:
        return
    warnings.warn(told, LargeModelWarning, stacklevel=stacklevel + 1)


def _tail(design: Design, plan: Plan) -> str:
    return " and ".join(dict.fromkeys(design.terms[t].factor for t in plan.tail))


def _levels(design: Design, products: CrossProducts) -> str:
    pairs = zip(design.terms, products.shapes, strict=True)
    return " and ".join(f"{levels} levels of {t.label}" for t, (levels, _) in pairs)

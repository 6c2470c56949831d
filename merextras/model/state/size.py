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

# What a Schur complement may take before the user is told first: gigabytes, seconds a step. That
# is 10 000 random effects of a dense one, and far more of a sparse one.
_LARGE_TAIL, _LONG_STEP = 2.6, 50.0
# Numbers that a generalised model keeps of a row at its peak: in all, for each column of X and for
# each random effect of the row.
_ROW, _COLUMN, _EFFECT = 18.0, 4.0, 22.0


def bytes_of_row(p: int, ks: Sequence[int]) -> float:
    """Of a generalised model with p fixed effects and k effects of a level, by terms."""
    return 8.0 * (_ROW + _COLUMN * p + _EFFECT * sum(ks))


def warn_of_size(
    design: Design,
    products: CrossProducts,
    plan: Plan,
    *,
    rows: float = 0.0,
    stacklevel: int = 4,
) -> None:
    """Say so before a fit that fills memory, or whose Schur complement takes minutes.

    Parameters
    ----------
    rows : float
        Bytes that the fit keeps of rows, of a generalised model.
    stacklevel : int
        The warning points so many calls above this function, 1 being who called it.
    """
    cost, needed = tail_cost(products, plan), fit_gigabytes(products, plan) + 1e-9 * rows
    if needed <= ALWAYS:
        return
    available = available_memory()
    free = "" if available is None else f", of which {available / 1e9:.3g} GB are free"
    fills = available is not None and needed > PART * available / 1e9
    if cost.gigabytes >= _LARGE_TAIL or cost.seconds >= _LONG_STEP:
        names = " and ".join(dict.fromkeys(design.terms[t].factor for t in plan.tail))
        told = (
            f"{names} cross the larger factors with {cost.size} random effects: their {cost.kind} "
            f"Schur complement and what is made of it take about {cost.gigabytes:.1f} GB{free}, "
            f"and each step of the optimiser about {cost.seconds:.0f} s"
        )
    elif fills:
        told = f"the fit will take about {needed:.2g} GB more memory{free}"
        if 2e-9 * rows > needed:
            told += ". With chunk_size= the rows are read again for each step and not kept there"
    else:
        return
    warnings.warn(told, LargeModelWarning, stacklevel=stacklevel + 1)

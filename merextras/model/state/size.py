"""Saying before a fit what it will take, where that is a lot."""

from __future__ import annotations

import warnings

from merextras.engine.elimination.blocks_of_plan import fit_gigabytes, tail_cost
from merextras.engine.elimination.plan import Plan
from merextras.engine.products.crossprod import CrossProducts
from merextras.exceptions import LargeModelWarning
from merextras.foundation.memory import ALWAYS, PART, available_memory
from merextras.model.design.design import Design

# What a Schur complement may take before the user is told first: gigabytes, seconds a step. That
# is 10 000 random effects of a dense one, and far more of a sparse one.
_LARGE_TAIL, _LONG_STEP = 2.6, 50.0


def warn_of_size(design: Design, products: CrossProducts, plan: Plan) -> None:
    """Say so before a fit that fills memory, or whose Schur complement takes minutes."""
    cost, needed = tail_cost(products, plan), fit_gigabytes(products, plan)
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
    else:
        return
    warnings.warn(told, LargeModelWarning, stacklevel=5)

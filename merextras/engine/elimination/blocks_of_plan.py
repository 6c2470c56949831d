"""The blocks of a plan: their kinds, sizes and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from merextras.engine.elimination.plan import Plan, System
from merextras.engine.elimination.tail_choice import dense_seconds
from merextras.engine.kernels.inverse import AT_ONCE, WIDTH
from merextras.engine.products.crossprod import CrossProducts


@dataclass(frozen=True)
class Block:
    """One block of the factor, in the order of elimination.

    Attributes
    ----------
    row, column : tuples of int
        Terms; the tail is one block of all its terms, X and y are the empty tuple.
    kind : str
        ``diagonal``, ``block-diagonal``, ``nested`` (one block per level), ``sparse`` or ``dense``;
        the tail's own block is dense or sparse.
    shape : (int, int)
    numbers : int
        Stored numbers, 8 bytes each.
    """

    row: tuple[int, ...]
    column: tuple[int, ...]
    kind: str
    shape: tuple[int, int]
    numbers: int


def describe(system: System) -> tuple[Block, ...]:
    """The blocks of a system, a row each of the lower triangle, by columns."""
    return tuple(_blocks(system))


def _blocks(system: System) -> Iterator[Block]:
    plan, shapes, p = system.plan, system.cp.shapes, system.cp.p
    q_tail = len(system.tail)
    for at, t in enumerate(plan.leading):
        levels, k = shapes[t]
        kind = "diagonal" if k == 1 else "block-diagonal"
        yield Block((t,), (t,), kind, (levels * k, levels * k), levels * k * k)
        for s in plan.leading[at + 1 :]:
            shape = (shapes[s][0] * shapes[s][1], levels * k)
            yield Block((s,), (t,), "nested", shape, int(system.nested[t, s].size))
        if plan.tail:
            numbers = int(system.to_tail[t].nnz)
            yield Block(plan.tail, (t,), "sparse", (q_tail, levels * k), numbers)
        yield Block((), (t,), "dense", (p + 1, levels * k), (p + 1) * levels * k)
    if plan.tail:
        yield Block(plan.tail, plan.tail, system.tail.kind, (q_tail, q_tail), system.tail.numbers)
        yield Block((), plan.tail, "dense", (p + 1, q_tail), (p + 1) * q_tail)
    yield Block((), (), "dense", (p + 1, p + 1), (p + 1) ** 2)


# At the peak of a fit: copies of the columns of a dense tail's inverse that are worked on together;
# copies of what there is for each level and column of X and y, for each level and pair of effects,
# and for each pair of levels that meet.
_COLUMNS, _BY_COLUMN, _BY_PAIR, _BY_ENTRY = 1.5, 5.0, 5.0, 8.0


@dataclass(frozen=True)
class TailCost:
    """What the tail of a plan will take, before any of it is made; orders of magnitude.

    Attributes
    ----------
    kind : str
        ``dense`` or ``sparse``.
    size : int
        Random effects, q_tail.
    gigabytes : float
        The peak of a fit.
    seconds : float
        Of a step of the optimiser.
    """

    kind: str
    size: int
    gigabytes: float
    seconds: float


def fit_gigabytes(cp: CrossProducts, plan: Plan, points: int = 1) -> float:
    """The peak of a fit over the cross-products, with the tail; see `tail_cost` for `points`."""
    entries = sum(block.nnz for block in cp.cross.values())
    levels = levels_gigabytes(cp.shapes, cp.p)
    return float(tail_cost(cp, plan, points).gigabytes + levels + 8e-9 * _BY_ENTRY * entries)


def levels_gigabytes(shapes: Sequence[tuple[int, int]], p: int) -> float:
    """What a fit keeps by levels over the cross-products, of terms of (levels, effects).

    For X and y that is there as cross-products, reduced, and as modes of one step or the next.
    """
    numbers = sum(levels * k * (_BY_COLUMN * (p + 1) + _BY_PAIR * k) for levels, k in shapes)
    return 8e-9 * numbers


def tail_cost(cp: CrossProducts, plan: Plan, points: int = 1) -> TailCost:
    """Estimate the tail's memory and time.

    Parameters
    ----------
    points : int
        Points of a search whose factors are kept at once: one of a linear model's.
    """
    size = sum(cp.shapes[t][0] * cp.shapes[t][1] for t in plan.tail)
    if plan.sparse is None:
        numbers = points * size**2 + _of_inverse(size, kept=points > 1 and len(plan.tail) > 1)
        return TailCost("dense", size, 8e-9 * numbers, dense_seconds(size))
    gigabytes = 1e-3 * plan.sparse.megabytes(points)
    return TailCost("sparse", size, gigabytes, plan.sparse.seconds)


def _of_inverse(size: int, *, kept: bool) -> float:
    """Numbers of a dense tail's inverse, or of its columns that are there at once."""
    at_once = size**2 if size**2 <= AT_ONCE else _COLUMNS * WIDTH * size
    return at_once + (size**2 if kept else 0.0)

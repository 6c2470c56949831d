"""What blocks a plan has, of which kind and how large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from merextras.engine.crossprod import CrossProducts
from merextras.engine.plan import Plan, System


@dataclass(frozen=True)
class Block:
    """One block of the factor, in the order of elimination.

    Attributes
    ----------
    row, column : tuples of int
        Terms; the tail is one block of all its terms, X and y are the empty tuple.
    kind : str
        ``diagonal``, ``block-diagonal``, ``nested`` (one block per level), ``sparse`` or ``dense``.
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
    q_tail = tail_size(system.cp, plan)
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
        yield Block(plan.tail, plan.tail, "dense", (q_tail, q_tail), q_tail**2)
        yield Block((), plan.tail, "dense", (p + 1, q_tail), (p + 1) * q_tail)
    yield Block((), (), "dense", (p + 1, p + 1), (p + 1) ** 2)


def tail_size(cp: CrossProducts, plan: Plan) -> int:
    """Random effects whose Schur complement is dense."""
    return sum(cp.shapes[t][0] * cp.shapes[t][1] for t in plan.tail)

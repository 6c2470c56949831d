"""Same-data and nesting checks for models without stored rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from merextras.engine.covariance.families import contains
from merextras.engine.replicates.draws import Sums
from merextras.engine.replicates.responses import Responses
from merextras.exceptions import InvalidArgumentError, NoRowsError
from merextras.foundation.aliases import Array
from merextras.model.columns.synthetic_rows import combinations
from merextras.model.design.rowless import RowlessDesign, fixed_columns, term_columns
from merextras.model.state.fitted import FittedModel
from merextras.model.structure.structure import RandomTerm

#: By how much sums over the same rows may differ, relatively: they are added in other chunks.
_SAME = 1e-9


def check_same_sums(one: RowlessDesign, other: RowlessDesign, verb: str) -> None:
    """Refuse models whose rows can't be the same, as their sums differ."""
    names = f"{one.formula!r} and {other.formula!r}"
    different = f"{verb}: the models are of different data: "
    if (one.n, one.products.n) != (other.n, other.products.n):
        raise InvalidArgumentError(
            f"{different}{one.formula!r} was fitted to {one.products.n} observations, "
            f"{other.formula!r} to {other.products.n}; fit all to the rows that are complete for "
            "the largest"
        )
    if dict(one.structure.by_row) != dict(other.structure.by_row) or not _close(
        one.products.sum_log_w, other.products.sum_log_w, one.n
    ):
        raise InvalidArgumentError(f"{verb}: the weights or offsets of {names} differ")
    if not _same_response(one, other):
        raise InvalidArgumentError(
            f"{different}the responses of {names} differ; fit all to the same data"
        )
    shared = [name for name in one.fixed.names if name in other.fixed.names]
    sums = [_sums(design, shared) for design in (one, other)]
    if np.any(np.abs(sums[0] - sums[1]) > _SAME * (1.0 + np.abs(sums[0]))):
        raise InvalidArgumentError(f"{different}the columns {shared} of {names} differ")


def _close(one: float, other: float, size: float) -> bool:
    return abs(one - other) <= _SAME * max(abs(size), abs(one))


def _same_response(one: RowlessDesign, other: RowlessDesign) -> bool:
    """Whether the responses less their offsets have the same range and weighted length."""
    length = [float(np.linalg.norm(design.rows[:, -1])) for design in (one, other)]
    low, high = one.facts.low, one.facts.high
    size = max(abs(low), abs(high))
    return (
        _close(length[0], length[1], length[0])
        and _close(low, other.facts.low, size)
        and _close(high, other.facts.high, size)
    )


def _sums(design: RowlessDesign, names: Sequence[str]) -> Array:
    """Weighted lengths of columns, and of their angles with the response."""
    columns, last = design.rows[:, [design.fixed.names.index(n) for n in names]], design.rows[:, -1]
    size = np.linalg.norm(columns, axis=0)
    cosine = (columns.T @ last) / np.where(size > 0, size, 1.0) / np.linalg.norm(last)
    return np.concatenate([size, cosine])


def same_levels(one: RandomTerm, other: RandomTerm) -> bool:
    """Whether two terms are on the same grouping factor, with the same levels."""
    mine, theirs = one.coder, other.coder
    return set(mine.columns) == set(theirs.columns) and (
        mine.levels.equals(theirs.levels)
        if mine.columns == theirs.columns
        else len(mine.levels) == len(theirs.levels)
    )


def term_within(small: RandomTerm, large: RandomTerm) -> Array | None:
    """How the effects of a term are combinations of another's on the same levels, (k, r)."""
    if not same_levels(small, large) or small.coder.columns != large.coder.columns:
        return None
    mine, theirs = term_columns([small, large])
    found = combinations(mine, theirs)
    if found is None or not contains(large.structure, small.structure, _places(found)):
        return None
    return found


def _places(combinations: Array) -> list[int] | None:
    """Which effects combinations are; None if one is of several."""
    single = np.isclose(combinations, 1.0) & (np.abs(combinations) > 0.5)
    rest = np.where(single, 0.0, combinations)
    if np.any(single.sum(axis=0) != 1) or np.any(np.abs(rest) > _SAME):
        return None
    return [int(at) for at in np.argmax(single, axis=0)]


def fixed_within(small: RowlessDesign, large: RowlessDesign) -> Array | None:
    """How fixed-effects columns are combinations of another model's, (p, r)."""
    mine, theirs = fixed_columns([small, large])
    return combinations(mine, theirs)


def placed(small: RowlessDesign, large: RowlessDesign) -> list[tuple[int, Array]]:
    """For each term of a nested model the term of the larger one that it is in, and how."""
    out: list[tuple[int, Array]] = []
    for term in small.structure.terms:
        found = [
            (t, c)
            for t, other in enumerate(large.structure.terms)
            if (c := term_within(term, other)) is not None and t not in {a for a, _ in out}
        ]
        if not found:
            raise NoRowsError(
                f"the models keep no rows: that ({' + '.join(term.names)} | {term.factor}) is "
                f"nested in {large.formula!r} can't be told"
            )
        out.append(found[0])
    return out


class Restriction:
    """How what a large model sees of a response becomes what a smaller one sees.

    Parameters
    ----------
    small, large : FittedModel
        Without rows, of the same data, one nested in the other.
    """

    def __init__(self, small: FittedModel, large: FittedModel) -> None:
        one, other = small.design.sums(), large.design.sums()
        self.terms = placed(one, other)
        self._system = small.solution.factor.system
        if one.fixed.names == other.fixed.names:
            columns: Array | None = np.eye(len(one.fixed.names))
        else:
            columns = fixed_within(one, other)
        if columns is None:
            raise NoRowsError("the models keep no rows: that one is nested can't be told")
        mine, theirs = self._system.cp.basis, large.solution.factor.system.cp.basis
        inverse = np.linalg.solve(theirs.transform, columns) if len(columns) else columns
        self._change = inverse @ mine.transform
        self._turns = [
            theirs.effects[t].coordinates(c @ own.transform)
            for own, (t, c) in zip(mine.effects, self.terms, strict=True)
        ]

    def responses(self, sums: Sums) -> Responses:
        """The smaller model's responses ``u``, from sums of the larger model's rows."""
        pairs = zip(self._turns, self.terms, strict=True)
        z = tuple(turn.T @ sums.z[t] for turn, (t, _) in pairs)
        own = Sums(z, self._change.T @ sums.x, sums.squares)
        return own.responses(self._system, np.zeros(self._system.cp.p))

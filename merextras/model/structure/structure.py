"""A model's structure without its rows, and what it makes of some rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from merextras.engine.covariance.structure import Structure as CovarianceStructure
from merextras.engine.covariance.tags import PLAIN, Tag
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.model.columns.finite import check_finite
from merextras.model.columns.levels import LevelCoder, LevelCounter
from merextras.model.columns.part import FixedPart
from merextras.model.evaluation.computed import Computed
from merextras.model.evaluation.explained import no_value
from merextras.model.formula.translate import names_in
from merextras.model.frame.kinds import is_number, kind_of, numbers, responses
from merextras.model.frame.read import read_columns


@dataclass(frozen=True, eq=False)
class RandomTerm:
    """The effects of one term, and its grouping factor.

    Attributes
    ----------
    coder : LevelCoder
    part : FixedPart
        Makes the columns of the bar that the term was written in.
    columns : tuple of int
        Which of them are the term's.
    tag : Tag
        How the structure of their covariance is written.
    """

    coder: LevelCoder
    part: FixedPart
    columns: tuple[int, ...]
    tag: Tag = PLAIN

    @property
    def factor(self) -> str:
        """The grouping factor as lme4 names it."""
        return ":".join(self.coder.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the effects."""
        return tuple(self.part.names[i] for i in self.columns)

    @property
    def key(self) -> tuple[object, ...]:
        """What tells it from the other terms of a formula."""
        return self.coder.columns, self.names, self.tag

    @property
    def shape(self) -> tuple[int, int]:
        """(levels, effects)."""
        return len(self.coder.levels), len(self.columns)

    @property
    def structure(self) -> CovarianceStructure:
        """Of the effects' covariance."""
        return self.tag.structure(len(self.columns))

    @property
    def label(self) -> str:
        """As a formula has it, with the effects' names."""
        return self.tag.term(self.names, self.factor)


@dataclass(frozen=True, eq=False)
class Value:
    """A number for each row: a column of the data, or code that makes one."""

    code: str
    column: str | None
    computed: Computed | None

    def of(self, frame: pd.DataFrame, what: str) -> Array:
        """The finite values of rows."""
        if self.computed is not None:
            values = self._one_column(self.computed.values(frame), len(frame))
            if np.isnan(values).any():
                raise no_value(self.code)
        else:
            values = responses(frame[self.column], self.code, what)
        check_finite(values[:, None], (self.code,), what)
        return values

    def _one_column(self, made: Any, n: int) -> Array:
        """What the code makes, if it is numbers, one for each row."""
        kind = getattr(made, "dtype", np.asarray(made).dtype if not hasattr(made, "data") else None)
        values = np.asarray(made) if isinstance(kind, np.dtype) and kind.kind in "iuf" else None
        if values is None or values.size not in {1, n} or (values.ndim > 1 and values.shape[1] > 1):
            raise InvalidArgumentError(f"{self.code!r} must be one numeric column")
        return np.broadcast_to(np.asarray(values, dtype=float).reshape(-1), (n,))


@dataclass(frozen=True, eq=False)
class ChunkRows:
    """Some rows in a model's terms; only complete ones are here.

    Attributes
    ----------
    kept : (m,) boolean array
        Which of the rows given are complete.
    x, y : (n, p) and (n,) arrays
        The response as it is, without the offset taken off.
    terms : tuple of TermRows
        Codes among all levels; -1 for one that is not known.
    weights, frequencies, offset : (n,) arrays or None
    numbers : mapping variable -> (n,) array
        The numeric variables of the fixed part and of offsets.
    strata : (n,) integer array or None
        The group of each row, of those with residual variances of their own; -1 for one that is
        not known.
    """

    kept: BoolArray
    x: Array
    y: Array
    terms: tuple[TermRows, ...]
    weights: Array | None
    frequencies: Array | None
    offset: Array | None
    numbers: Mapping[str, Array]
    strata: IntArray | None = None

    @property
    def counts(self) -> Array | None:
        """How many observations each row stands for; None for one each."""
        if self.weights is None:
            return self.frequencies
        counts = np.ones(len(self.y)) if self.frequencies is None else self.frequencies
        return np.where(self.weights > 0.0, counts, 0.0)

    @property
    def target(self) -> Array:
        """The response less the offset."""
        return self.y if self.offset is None else self.y - self.offset

    @property
    def observed(self) -> BoolArray | slice:
        """The rows whose weights are not zero."""
        used: BoolArray | slice = slice(None)
        for extra in (self.weights, self.frequencies):
            if extra is not None:
                used = extra > 0 if isinstance(used, slice) else used & (extra > 0)
        return used


#: Arguments with a value per row that a source can have as columns.
BY_ROW = ("weights", "freq_weights", "offset")


@dataclass(frozen=True, eq=False)
class Structure:
    """What a formula means for a source: everything but rows.

    Attributes
    ----------
    formula : str
        In lme4's notation.
    response : Value
    response_name : str
    fixed : FixedPart
        With all columns, dependent ones too.
    terms : tuple of RandomTerm
        In lme4's order.
    offsets : tuple of Value
        Of the formula.
    columns : tuple of str
        Columns of the data that are read, weights among them.
    variables : tuple of str
        Those that the formula reads.
    by_row : mapping argument -> column
    contrasts : mapping column -> str
    trusted : bool
        Whether the formula's code may be evaluated: not if it came from a file.
    residual : LevelCoder or None
        Groups with residual variances of their own.
    """

    formula: str
    response: Value
    response_name: str
    fixed: FixedPart
    terms: tuple[RandomTerm, ...]
    offsets: tuple[Value, ...]
    columns: tuple[str, ...]
    variables: tuple[str, ...]
    by_row: Mapping[str, str] = field(default_factory=dict)
    contrasts: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = True
    residual: LevelCoder | None = None

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(levels, effects) of each term."""
        return [term.shape for term in self.terms]

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """The numeric variables of the fixed part and of offsets."""
        found = set(self.fixed.numeric)
        for value in self.offsets:
            found |= {value.column} if value.column is not None else set(names_in(value.code))
        found |= {self.by_row["offset"]} if "offset" in self.by_row else set()
        return tuple(c for c in self.columns if c in found)

    def computed(self) -> list[Computed]:
        """All code of the formula that is not a column."""
        parts = [self.fixed, *(term.part for term in self.terms)]
        found = [f.computed for part in parts for f in part.coded_factors]
        found += [value.computed for value in (self.response, *self.offsets)]
        return [each for each in found if each is not None]

    def with_names(self, names: Mapping[str, Any]) -> None:
        """Give the code back the caller's functions, which pickling loses."""
        for each in self.computed():
            each.with_names(names)

    def with_levels(self, coders: Sequence[LevelCoder]) -> Structure:
        """The same with other levels, term by term."""
        pairs = zip(self.terms, coders, strict=True)
        return replace(self, terms=tuple(replace(term, coder=coder) for term, coder in pairs))

    def rows(
        self,
        frame: pd.DataFrame,
        *,
        what: str = "source",
        growing: Mapping[tuple[str, ...], LevelCounter] | None = None,
    ) -> ChunkRows:
        """What the model sees of rows; those that miss a value are left out.

        With `growing` the levels of grouping factors, by their columns, are those that have
        occurred there, and new ones are taken in.
        """
        kept = complete(frame, self.columns)
        if not kept.any():
            return self._no_rows(kept)
        frame = plain_rows(frame, kept)
        try:
            x = self.fixed.matrix(frame)
            values = _effects(self.terms, frame)
        except InvalidArgumentError as err:
            raise InvalidArgumentError(str(err).replace("newdata:", f"{what}:", 1)) from err
        _check_columns(x, self.fixed, self.formula)
        levels = _Levels(frame, growing)
        terms = tuple(
            TermRows(levels.codes(t.coder), v, levels.count(t.coder), t.structure.freedom)
            for t, v in zip(self.terms, values, strict=True)
        )
        extra = {name: self._by_row(frame, name) for name in BY_ROW}
        offsets = [value.of(frame, "offset") for value in self.offsets]
        offsets += [extra["offset"]] if extra["offset"] is not None else []
        return ChunkRows(
            kept,
            x,
            self.response.of(frame, "response"),
            terms,
            extra["weights"],
            extra["freq_weights"],
            np.sum(offsets, axis=0) if offsets else None,
            {c: numbers(frame[c], c, dates=True) for c in self.numbers if is_number(frame[c])},
            None if self.residual is None else levels.codes(self.residual),
        )

    def _no_rows(self, kept: BoolArray) -> ChunkRows:
        """What there is where no row is complete: a column may then be of any type."""
        none = np.empty(0)
        codes = np.empty(0, dtype=np.intp)
        weights, frequencies, offset = (none if name in self.by_row else None for name in BY_ROW)
        return ChunkRows(
            kept,
            np.empty((0, len(self.fixed.names))),
            none,
            tuple(
                TermRows(codes, np.empty((0, len(t.columns))), t.shape[0], t.structure.freedom)
                for t in self.terms
            ),
            weights,
            frequencies,
            none if self.offsets else offset,
            dict.fromkeys(self.numbers, none),
        )

    def _by_row(self, frame: pd.DataFrame, name: str) -> Array | None:
        if name not in self.by_row:
            return None
        column = frame[self.by_row[name]]
        if kind_of(column) not in {"numbers", "booleans"}:
            raise InvalidArgumentError(f"{name}: the values must be numeric, not {column.dtype}")
        values = column.to_numpy(dtype=float)
        signed = name == "offset"
        if np.any(np.isinf(values)) or (not signed and np.any(values < 0)):
            allowed = "finite" if signed else "finite and not negative"
            raise InvalidArgumentError(f"{name}: the values must be {allowed}")
        if name == "freq_weights" and np.any(values != np.round(values)):
            raise InvalidArgumentError(
                "freq_weights: counts of observations must be whole numbers; for precision weights "
                "use weights="
            )
        return values


class _Levels:
    """Levels of some rows, each factor's found once.

    Parameters
    ----------
    frame : DataFrame
    growing : mapping columns -> LevelCounter, optional
        The levels so far, in place of the factors' own.
    """

    def __init__(
        self, frame: pd.DataFrame, growing: Mapping[tuple[str, ...], LevelCounter] | None
    ) -> None:
        self._frame, self._growing = frame, growing
        self._codes: dict[int, IntArray] = {}

    def codes(self, coder: LevelCoder) -> IntArray:
        """The level of each row."""
        known = coder if self._growing is None else self._growing[coder.columns]
        if id(known) not in self._codes:
            made = known.codes if isinstance(known, LevelCoder) else known.add
            self._codes[id(known)] = made(self._frame)
        return self._codes[id(known)]

    def count(self, coder: LevelCoder) -> int:
        """How many levels there are."""
        return len(coder.levels if self._growing is None else self._growing[coder.columns])


def _effects(terms: Sequence[RandomTerm], frame: pd.DataFrame) -> list[Array]:
    """The covariates of each term; a bar that makes several terms is made once."""
    made: dict[int, Array] = {}
    out = []
    for term in terms:
        key = id(term.part)
        if key not in made:
            made[key] = term.part.matrix(frame)
            _check_columns(made[key], term.part, f"(... | {term.factor})")
        out.append(made[key][:, list(term.columns)])
    return out


def _check_columns(made: Array, part: FixedPart, what: str) -> None:
    """Raise if columns of complete rows are not finite; a row without a value is NaN throughout."""
    if made.size and np.isnan(made).all(axis=1).any():
        raise no_value(part.right_side or what)
    check_finite(made, part.names, what)


def complete(frame: pd.DataFrame, columns: Sequence[str]) -> BoolArray:
    """Rows with a value in all columns."""
    keep = np.ones(len(frame), dtype=bool)
    for column in columns:
        keep &= frame[column].notna().to_numpy(dtype=bool)
    return keep


def plain_rows(frame: pd.DataFrame, keep: BoolArray) -> pd.DataFrame:
    """The kept rows, columns in their normal form."""
    columns = set(map(str, frame.columns))
    frame = read_columns(frame, columns)
    return frame if keep.all() else read_columns(frame.loc[keep], columns)

"""The first pass over a source: levels, types and what stateful transforms remember."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import patsy
from tqdm import tqdm

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.arguments import unknown_column
from merextras.model.columns.coded import CodedPart, Factor, as_series
from merextras.model.columns.effect_levels import check_effects_of
from merextras.model.columns.fixed import FORMULA_WORDS, Scope
from merextras.model.columns.levels import LevelCoder, LevelCounter
from merextras.model.columns.part import FixedPart
from merextras.model.columns.plain_columns import plain_part
from merextras.model.design.build import check_parts, codes_of, say_days
from merextras.model.evaluation.computed import Computed
from merextras.model.evaluation.whole_column import learning_from_columns, not_by_row, refusal
from merextras.model.formula.functions import formula_names
from merextras.model.formula.names import bare
from merextras.model.formula.parse import MixedFormula, parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.formula.translate import (
    as_code,
    contrast_labels,
    names_in,
    names_used,
    pieces_of,
    take_offsets,
    unquoted,
)
from merextras.model.frame.engine_frame import date_numbers
from merextras.model.frame.kinds import check_predictor, is_number, kind_of
from merextras.model.settings.residual import check_grouped, residual_columns
from merextras.model.source.chunks import Source
from merextras.model.source.request import ModelRequest
from merextras.model.structure.structure import (
    BY_ROW,
    RandomTerm,
    Structure,
    Value,
    complete,
    plain_rows,
)

#: Rows on which code is tried that may look at the whole column.
_ENOUGH = 100
_A_PART = "of which a chunk, a partition or a site has only a part"


@dataclass(frozen=True, eq=False)
class LearntSchema:
    """A structure, and how many rows it was learnt from."""

    structure: Structure
    n_rows: int
    n_dropped: int


class SchemaLearner:
    """What a source's rows tell about a formula, taken in chunk by chunk.

    Parameters
    ----------
    asked : ModelRequest
    columns : sequence of str
        Of the source.
    """

    def __init__(self, asked: ModelRequest, columns: Sequence[str]) -> None:
        self._asked = asked
        self._formula = written_out(asked.formula, columns)
        written = parse(self._formula)
        check_parts(written, self._formula, pd.DataFrame(columns=list(columns)))
        self._parsed, self.names = self._read(written, columns)
        for name, column in asked.by_row.items():
            if column not in columns:
                raise InvalidArgumentError(f"{name}: {unknown_column(column, columns)}")
        for column in asked.levels:
            if column not in columns:
                raise InvalidArgumentError(f"levels: {unknown_column(str(column), columns)}")
        self._by = residual_columns(list(asked.residual_by) or None, columns)
        extra = [asked.by_row[name] for name in BY_ROW if name in asked.by_row] + list(self._by)
        self.variables = tuple(c for c in columns if c in self.names)
        self.columns = tuple(c for c in columns if c in self.names or c in extra)
        self.n_rows = self.n_dropped = 0
        self.head: pd.DataFrame | None = None
        factors = [bar.factors for bar in self._parsed.bars] + ([self._by] if self._by else [])
        self.grouping = {columns: LevelCounter(columns) for columns in factors}
        self.seen: dict[str, LevelCounter] = {}
        self._contrasts: dict[str, Any] = {}
        self._computed: dict[str, Computed] = {}
        self.numbers: set[str] = set()
        self._given = dict(asked.levels)
        self._sample: pd.DataFrame | None = None
        names = formula_names(asked.names, "")
        self._unclear = not_by_row(self._all_codes(), columns, names)
        for code in learning_from_columns(self._unclear, columns):
            raise UnsupportedModelError(refusal(code, _A_PART))

    def _read(self, written: MixedFormula, columns: Sequence[str]) -> tuple[MixedFormula, set[str]]:
        parsed = as_code(written, list(columns), self._asked.contrasts)
        self._fixed, self._offsets = take_offsets(parsed.fixed)
        used = names_used(parsed, self._fixed, self._offsets, columns)
        known = {*columns, *formula_names(self._asked.names, "")}
        parts = [self._fixed, *(bar.effects for bar in parsed.bars)]
        for code in (code for part in parts for code in pieces_of(part)):
            if code.isidentifier() and code not in known:
                raise InvalidArgumentError(f"formula {code!r}: {unknown_column(code, columns)}")
        return parsed, used

    # One pass --------------------------------------------------------------------------------

    def take(self, frame: pd.DataFrame, *, grouping: bool = True) -> None:
        """Take in rows of the first pass; without `grouping` not the levels of these factors."""
        others = set(self._by) - self.names - set(self._asked.by_row.values())
        keep = complete(frame, [c for c in self.columns if c not in others])
        check_grouped(frame, self._by, keep)
        self.n_rows += len(frame)
        self.n_dropped += int((~keep).sum())
        if not keep.any():
            return
        rows = plain_rows(frame, keep)
        self.check_by_row(rows)
        try:
            self._take(rows, grouping)
        except InvalidArgumentError:
            self.check_by_row(None)  # the reason may be that these are not all rows
            raise

    def _take(self, rows: pd.DataFrame, grouping: bool) -> None:
        if self.head is None:
            self.begin(rows)
        for column in self.numbers:
            assert self.head is not None
            kind = kind_of(self.head[column])
            if kind_of(rows[column]) != kind:
                raise InvalidArgumentError(
                    f"source: the column {column!r} has {kind} in some chunks and "
                    f"{rows[column].dtype} in others; give it one type"
                )
        for seen in self.grouping.values() if grouping else ():
            seen.add(rows)
        for code, seen in self.seen.items():
            if code in self._computed:
                made = as_series(self._computed[code].values(rows))
                seen.add(pd.DataFrame({code: made}))
            else:
                seen.add(rows)
        for computed in self._computed.values():
            if computed.passes:
                computed.learn(0, rows)

    def take_grouping(self, frame: pd.DataFrame) -> None:
        """Take in the levels of grouping factors, of rows taken without them."""
        keep = complete(frame, self.columns)
        if keep.any():
            rows = plain_rows(frame, keep)
            for seen in self.grouping.values():
                seen.add(rows)

    def begin(self, rows: pd.DataFrame) -> None:
        """Find out what each factor is from the first rows."""
        self.head = rows.head(100)
        for code in self._factor_codes():
            column = bare(code)
            if column in rows.columns and not code.startswith("C("):
                if is_number(rows[column]):
                    self.numbers.add(column)
                else:
                    check_predictor(rows[column], column, "source")
                    self._categorical(code, column)
            elif column in rows.columns and "(" not in column:
                self._categorical(code, column, Computed(code, self._used_names(code)))
            else:
                self._computed[code] = Computed(code, self._used_names(code))
                if not self._computed[code].passes:
                    self._look_at(code, rows)
        for code in [self._parsed.response, *self._offsets]:
            if unquoted(code) not in rows.columns:
                self._computed[f"I({code})"] = Computed(f"I({code})", self._used_names(code))

    def has_memory(self) -> bool:
        """Whether some factor remembers the rows that it was made from: ``center``, ``bs``."""
        return any(Computed(code, self._used_names(code)).passes for code in self._all_codes())

    def _all_codes(self) -> list[str]:
        """Code of the factors left and right of all bars, and of response and offsets in I()."""
        codes = [code for code in pieces_of(self._fixed) if code]
        codes += [code for bar in self._parsed.bars for code in pieces_of(bar.effects) if code]
        values = [self._parsed.response, *self._offsets]
        return codes + [f"I({code})" for code in values if unquoted(code) not in self.columns]

    def check_by_row(self, rows: pd.DataFrame | None) -> None:
        """Refuse code that looks at the whole column, as soon as there are rows enough to tell."""
        if not self._unclear or self.n_rows == 0:
            return
        sample = [each for each in (self._sample, rows) if each is not None]
        self._sample = pd.concat(sample, ignore_index=True).head(_ENOUGH) if sample else self.head
        if self._sample is None or (rows is not None and len(self._sample) < _ENOUGH):
            return
        Scope(self._asked.names).refuse_whole(self._unclear, self._sample, _A_PART)
        self._unclear = []

    def _used_names(self, code: str) -> dict[str, Any]:
        names = names_in(code)
        own = {k: v for k, v in self._asked.names.items() if k in names and k not in FORMULA_WORDS}
        return formula_names(own, code)

    def _factor_codes(self) -> list[str]:
        """Code of all factors, of parts that are more than a sum of columns."""
        found: dict[str, None] = {}
        assert self.head is not None
        for text in [self._fixed, *(bar.effects for bar in self._parsed.bars)]:
            plain = plain_part(text, self.head)
            if plain is not None:
                self.numbers.update(plain.variables)
                continue
            try:
                terms = patsy.ModelDesc.from_formula(text).rhs_termlist
            except (patsy.PatsyError, SyntaxError) as err:
                raise InvalidArgumentError(f"formula: {err}") from err
            found.update(dict.fromkeys(f.name() for term in terms for f in term.factors))
        return list(found)

    def _categorical(self, code: str, column: str, computed: Computed | None = None) -> None:
        self.seen[code] = LevelCounter((column,))
        if computed is not None:
            assert self.head is not None
            box = computed.values(self.head)
            self._contrasts[code] = box.contrast
            if box.levels is not None and column not in self._given:
                self._given[column] = list(box.levels)

    def _look_at(self, code: str, rows: pd.DataFrame) -> None:
        """Whether code without a memory makes numbers or categories."""
        made = self._computed[code].values(rows.head(100))
        if hasattr(made, "contrast"):
            self._contrasts[code] = made.contrast
        elif isinstance(made, pd.DataFrame) or _makes_numbers(made):
            return
        self.seen[code] = LevelCounter((code,))

    # After it --------------------------------------------------------------------------------

    @property
    def passes(self) -> int:
        """How many passes the transforms need in all; at least one."""
        return max([1, *(computed.passes for computed in self._computed.values())])

    def finish(self, which: int) -> None:
        """End a pass of the transforms."""
        for computed in self._computed.values():
            if computed.passes > which:
                computed.finish(which)

    def take_again(self, which: int, frame: pd.DataFrame) -> None:
        """Take in rows of a later pass, for transforms of transforms."""
        keep = complete(frame, self.columns)
        if keep.any():
            for computed in self._computed.values():
                if computed.passes > which:
                    computed.learn(which, plain_rows(frame, keep))

    def learnt(self, coders: Mapping[tuple[str, ...], LevelCoder]) -> LearntSchema:
        """What was learnt, checked; the grouping factors' levels, by columns, are given."""
        if self.n_dropped and self._asked.missing == "raise":
            raise InvalidArgumentError(
                f"missing='raise': {self.n_dropped} of {self.n_rows} rows miss a value of the "
                "model's variables"
            )
        if self.head is None:
            what = (
                "there are no rows"
                if self.n_rows == 0
                else ("no row has a value for all variables of the model")
            )
            raise InvalidArgumentError(f"source: {what}")
        say_days(date_numbers(self.head, codes_of(self._parsed, self._fixed, self._offsets)))
        self.check_by_row(None)
        return LearntSchema(self.structure_of(coders), self.n_rows, self.n_dropped)

    def coders(self) -> dict[tuple[str, ...], LevelCoder]:
        """The grouping factors' levels so far, by columns."""
        return {
            columns: LevelCoder.from_frame(seen.frame(), columns)
            for columns, seen in self.grouping.items()
            if len(seen)
        }

    def structure_of(self, coders: Mapping[tuple[str, ...], LevelCoder]) -> Structure:
        """What was learnt so far, unchecked, with these grouping factors."""
        assert self.head is not None
        factors = {code: self._factor(code) for code in self._factor_codes()}
        labels = contrast_labels(self._asked.contrasts)
        terms: list[RandomTerm] = []
        for bar in self._parsed.bars:
            part = self._part(bar.effects, factors, labels)
            every = list(range(len(part.names)))
            what = bar.text
            if not every:
                raise InvalidArgumentError(f"formula: {what} has no effects")
            check_effects_of(bar.tag, part, what)
            for own in [[i] for i in every] if bar.independent else [every]:
                terms.append(RandomTerm(coders[bar.factors], part, tuple(own), bar.tag))
        return Structure(
            self._formula,
            self._value(self._parsed.response),
            unquoted(self._parsed.response),
            self._part(self._fixed, factors, labels),
            tuple(sorted(terms, key=lambda term: -term.shape[0])),
            tuple(self._value(code) for code in self._offsets),
            self.columns,
            self.variables,
            self._asked.by_row,
            {c: how for c, how in self._asked.contrasts.items() if c in self.names},
            residual=coders[self._by] if self._by else None,
        )

    def _value(self, code: str) -> Value:
        name = unquoted(code)
        if name in self.columns:
            return Value(name, name, None)
        return Value(code, None, self._computed[f"I({code})"])

    def _factor(self, code: str) -> Factor:
        assert self.head is not None
        column, computed = bare(code), self._computed.get(code)
        if code in self.seen:
            levels = self._levels(code, column)
            return Factor(code, None if computed is not None else column, levels, 1, computed)
        if computed is None:
            dates = kind_of(self.head[column]) == "dates"
            return Factor(code, column, None, dates=dates)
        made = computed.values(self.head)
        if hasattr(made, "contrast"):
            raise UnsupportedModelError(
                f"source: {code!r} makes categories of what needs a pass over the rows first; add "
                "it to the data as a column"
            )
        values = pd.DataFrame(made).to_numpy(dtype=float)
        return Factor(code, None, None, values.shape[1] if values.ndim > 1 else 1, computed)

    def _levels(self, code: str, column: str) -> pd.Index:
        if column in self._given:
            given: pd.Index = pd.Index(list(self._given[column]))
            return given
        levels: pd.Index = self.seen[code].levels()
        return pd.Index([False, True]) if bool(levels.dtype.kind == "b") else levels

    def _part(
        self, code: str, factors: Mapping[str, Factor], labels: Mapping[str, str]
    ) -> FixedPart:
        assert self.head is not None
        plain = plain_part(code, self.head)
        if plain is not None:
            return plain
        return CodedPart.from_factors(code, factors, self._contrasts, self.columns, labels)


def _makes_numbers(values: Any) -> bool:
    """Whether code has made numbers; truth values are categories."""
    kind = getattr(values, "dtype", type(values))
    return bool(pd.api.types.is_numeric_dtype(kind)) and not pd.api.types.is_bool_dtype(kind)


def learn(source: Source, asked: ModelRequest, *, progress: bool | None) -> LearntSchema:
    """Go through the source once (or as often as its transforms need) and learn its structure."""
    learner = SchemaLearner(asked, source.names)
    for frame in watched(source.chunks(learner.columns), source, "levels", progress):
        learner.take(frame)
    learner.finish(0)
    for which in range(1, learner.passes):
        for frame in watched(source.chunks(learner.columns), source, "transforms", progress):
            learner.take_again(which, frame)
        learner.finish(which)
    return learner.learnt(learner.coders())


def watched(
    frames: Iterable[pd.DataFrame], source: Source, what: str, progress: bool | None
) -> Iterator[pd.DataFrame]:
    """The frames, with a progress bar that counts rows; shown from two seconds on."""
    disable = None if progress is None else not progress
    with tqdm(
        total=source.n_rows, desc=what, unit="rows", unit_scale=True, disable=disable, delay=2
    ) as bar:
        for frame in frames:
            yield frame
            bar.update(len(frame))

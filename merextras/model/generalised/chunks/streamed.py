"""A generalised model of rows that are read for each step of its fit, and not kept.

One pass learns the structure, one adds up the products of the design, which set the coordinates
and the layout, and checks the response; each step of the modes and each gradient is one more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from merextras.engine.generalised.rows.passes import Rows
from merextras.exceptions import (
    InvalidArgumentError,
    MerextrasError,
    NoRowsError,
    UnsupportedModelError,
)
from merextras.foundation.aliases import Array
from merextras.model.columns.fixed import Scope
from merextras.model.columns.levels import LevelCounter
from merextras.model.formula.parse import parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.formula.translate import names_in, unquoted
from merextras.model.frame.kinds import kind_of
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.responses.response import (
    Response,
    check_two,
    column_by_row,
    parts_of_pair,
    response_by_row,
)
from merextras.model.generalised.responses.response_facts import ResponseFacts
from merextras.model.generalised.responses.rowless_response import RowlessResponse
from merextras.model.products.products import ModelProducts
from merextras.model.source.chunks import Source
from merextras.model.source.learn import learn, watched
from merextras.model.source.reduce import Sums, check_count, check_memory, known_rows
from merextras.model.source.request import ModelRequest
from merextras.model.structure.structure import ChunkRows, Structure, Value, plain_rows

T = TypeVar("T")


class _Later(Value):
    """In the response's place while the design is read."""

    def of(self, frame: pd.DataFrame, what: str) -> Array:
        """Zeros."""
        del what
        return np.zeros(len(frame))


@dataclass(frozen=True, eq=False)
class Reader:
    """What makes rows and responses of a source's chunks.

    Attributes
    ----------
    structure : Structure
        With trials as ``weights``; its own response is nothing.
    code : str
        The left side of the formula.
    value : Value
        What the formula engine has learnt of it.
    scope : Scope
    choice : FamilyChoice
    labels : tuple
        Failure and success, of a response of labels, once they are known.
    """

    structure: Structure
    code: str
    value: Value
    scope: Scope
    choice: FamilyChoice
    labels: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """The response's."""
        return self.structure.response_name

    def rows(self, frame: pd.DataFrame) -> ChunkRows:
        """The design of a chunk's complete rows."""
        return known_rows(self.structure, frame)

    def labelled(self, frame: pd.DataFrame, rows: ChunkRows) -> pd.DataFrame | None:
        """The column of a response that is labels, of complete rows; None if it is numbers."""
        if self.name not in frame.columns or not self.choice.has_trials:
            return None
        own = plain_rows(frame[[self.name]], rows.kept)
        return None if kind_of(own[self.name]) in {"numbers", "booleans"} else own

    def response(self, frame: pd.DataFrame, rows: ChunkRows) -> Response:
        """The response of a chunk's complete rows."""
        trials, levels = rows.weights, self.labels or None
        if self.value.computed is not None and parts_of_pair(self.code) is None:
            own = plain_rows(frame, rows.kept)
            column = pd.Series(self.value.of(own, "response"))
            return column_by_row(column, self.name, self.choice, trials)
        names = names_in(self.code) | {self.name}
        own = plain_rows(frame[[c for c in frame.columns if c in names]], rows.kept)
        return response_by_row(self.code, own, self.scope, self.choice, trials, levels)


class SourceRows:
    """One pass over the rows of a source for each call; the rows of the first passes each time.

    Parameters
    ----------
    source : Source
    reader : Reader
    kept : sequence of int
        The columns of X that the model has.
    n_rows, n_kept : int
        Rows, and complete ones.
    progress : bool or None
    """

    def __init__(
        self,
        source: Source,
        reader: Reader,
        kept: Sequence[int],
        counted: tuple[int, int],
        progress: bool | None,
    ) -> None:
        self._source: Source | None = source
        self.reader, self._kept, self._counted = reader, list(kept), counted
        self.progress = progress

    def __getstate__(self) -> dict[str, Any]:
        # Files may be elsewhere, functions do not pickle.
        return {"_source": None}

    @property
    def source(self) -> Source:
        """The source.

        Raises
        ------
        NoRowsError
            It is gone.
        """
        if self._source is None:
            raise NoRowsError(
                "the model was fitted from chunks, which this would take more passes over; it has "
                "been pickled since, and its source is not with it: fit it again with glmer"
            )
        return self._source

    def __call__(self) -> Iterator[Rows]:
        """The rows, chunk by chunk."""
        source = self.source
        n_rows = n_kept = 0
        columns = self.reader.structure.columns
        for n, made in read_chunks(source, columns, self._made, self.progress):
            n_rows, n_kept = n_rows + n, n_kept + len(made.x)
            if len(made.x):
                yield made
        if (n_rows, n_kept) != self._counted:
            raise InvalidArgumentError(
                f"source: {self._counted[0]} rows were counted in the first pass, {n_rows} came in "
                f"a later one ({self._counted[1]} and {n_kept} of them complete); it must give the "
                "same rows each time"
            )

    def _made(self, frame: pd.DataFrame) -> tuple[int, Rows]:
        """The rows of a chunk, and how many it had."""
        rows = self.reader.rows(frame)
        x = rows.x if len(self._kept) == rows.x.shape[1] else rows.x[:, self._kept]
        if not len(x):
            return len(frame), Rows(x, rows.terms, None, self.reader.choice.of(rows.y, rows.y))
        response = self.reader.response(frame, rows)
        family = self.reader.choice.of(response.y, response.trials)
        return len(frame), Rows(x, rows.terms, rows.offset, family)


def read_chunks(
    source: Source, columns: Sequence[str], make: Callable[[pd.DataFrame], T], progress: bool | None
) -> Iterator[T]:
    """What is made of each chunk in one pass; what is wrong with one names it."""
    first = 0
    for number, frame in enumerate(watched(source.chunks(columns), source, "rows", progress), 1):
        with in_chunk(number, first, len(frame)):
            made = make(frame)
        yield made
        first += len(frame)


@contextmanager
def in_chunk(number: int, first: int, n: int) -> Iterator[None]:
    """Let our errors say which chunk they are of."""
    try:
        yield
    except MerextrasError as err:
        where = f"chunk {number}, rows {first + 1} to {first + n} of the source"
        raise type(err)(f"{err} ({where})") from err


@dataclass(frozen=True, eq=False)
class Learnt:
    """What the first two passes have found.

    Attributes
    ----------
    products : ModelProducts
        Of a response of zeros.
    reader : Reader
    response : RowlessResponse
    n_rows : int
    """

    products: ModelProducts
    reader: Reader
    response: RowlessResponse
    n_rows: int


def learn_glmm(
    source: Source,
    formula: str,
    choice: FamilyChoice,
    scope: Scope,
    *,
    progress: bool | None,
    weights: Any,
    offset: Any,
    contrasts: Any,
    missing: str,
    names: Mapping[str, Any],
) -> Learnt:
    """The first two passes over a source.

    Raises
    ------
    InvalidArgumentError
        As `glmer`; an error in a chunk names it.
    TooLargeError
        What is kept by levels would not fit in memory.
    """
    written = written_out(formula, source.names)
    code = parse(written).response
    parts = parts_of_pair(code, source.names)
    if weights is not None and (not choice.has_trials or parts is not None):
        raise InvalidArgumentError(
            "weights: they are numbers of trials, of a binomial response that is a proportion"
        )
    if parts is not None:
        # Complete rows have both.
        written = f"({parts[0]}) + ({parts[1]}) ~{written.partition('~')[2]}"
    asked = ModelRequest.checked(
        written, contrasts=contrasts, missing=missing, names=names, weights=weights, offset=offset
    )
    learnt = learn(source, asked, progress=progress)
    value = learnt.structure.response
    if parts is not None and value.computed is not None and value.computed.passes:
        raise UnsupportedModelError(f"formula: {code}: of chunks, numbers that need no other rows")
    structure = replace(
        learnt.structure, formula=written_out(formula, source.names),
        response=_Later(code, None, None), response_name=unquoted(code),
    )  # fmt: skip
    n_kept = learnt.n_rows - learnt.n_dropped
    check_memory(structure, n_kept, chunk=min(source.size, n_kept))
    reader = Reader(structure, code, value, scope, choice)
    found = _Found(reader)
    n_rows = sum(read_chunks(source, structure.columns, found.take, progress))
    check_count(n_rows, found.sums.n_kept, learnt)
    reduced = found.sums.reduced()
    products = ModelProducts(
        structure, reduced.products, reduced.rows, reduced.facts, reduced.seen, learnt.n_dropped
    )
    form, labels = found.form(parts)
    reader = replace(reader, labels=labels if form == "labels" else ())
    response = RowlessResponse(choice, form, labels, found.whole(form), reader.response)
    return Learnt(products, reader, response, learnt.n_rows)


@dataclass(eq=False)
class _Found:
    """What the second pass adds up."""

    reader: Reader
    sums: Sums = field(init=False)
    facts: ResponseFacts = field(default_factory=ResponseFacts)
    labels: LevelCounter = field(init=False)
    forms: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.sums = Sums(self.reader.structure)
        self.labels = LevelCounter((self.reader.name,))

    def take(self, frame: pd.DataFrame) -> int:
        """Take in a chunk; how many rows it had."""
        rows = self.reader.rows(frame)
        if len(rows.y):
            self._take(frame, rows)
        return len(frame)

    def _take(self, frame: pd.DataFrame, rows: ChunkRows) -> None:
        self.sums.add(replace(rows, weights=None, offset=None))
        labelled = self.reader.labelled(frame, rows)
        if labelled is not None:
            if rows.weights is not None:
                raise InvalidArgumentError(
                    f"weights: the response {self.reader.name!r} is labels, one trial a row"
                )
            self.labels.add(labelled)
            self.forms.add("labels")
            return
        response = self.reader.response(frame, rows)
        self.facts += ResponseFacts.of(response.y, response.trials)
        self.forms.add(response.form)

    def form(self, parts: tuple[str, ...] | None) -> tuple[str, tuple[Any, ...]]:
        """The form of the response, and its labels; it is checked as a whole.

        Raises
        ------
        InvalidArgumentError
        """
        name = self.reader.name
        if "labels" in self.forms:
            if len(self.forms) > 1:
                raise InvalidArgumentError(
                    f"response {name!r}: labels in some chunks, numbers in others"
                )
            labels = tuple(self.labels.levels().tolist())
            check_two(labels, name)
            return "labels", labels
        self.facts.check(self.reader.choice, name)
        if parts is not None:
            return "cbind", parts
        return ("proportions" if "proportions" in self.forms else sorted(self.forms)[-1]), ()

    def whole(self, form: str) -> ResponseFacts:
        """Sums over the rows."""
        n = self.sums.n_kept
        return ResponseFacts(n, shares=float(n)) if form == "labels" else self.facts

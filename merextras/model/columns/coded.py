"""Columns of a formula as data: what a formula engine has learnt, without the engine.

A `CodedPart` is what patsy makes of a formula (which factor, which levels, which contrasts, what
its stateful transforms remember) written out as numbers and strings. It pickles, goes into a file,
and makes its columns without evaluating code wherever a factor is a column of the data. Only other
factors, such as ``np.log(x)``, are Python code; see `Computed`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import patsy
from patsy.builtins import C

from merextras.engine.products.cells import Cells
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.arguments import check_columns
from merextras.model.columns.blocks import Block, cells_of, columns_of
from merextras.model.columns.part import FixedPart, PartTerm, Rows
from merextras.model.columns.synthetic_rows import Synthetic, SyntheticRows
from merextras.model.columns.term_order import in_order_of, ordered
from merextras.model.evaluation.computed import Computed
from merextras.model.evaluation.specs import indicators
from merextras.model.formula.names import relabelled
from merextras.model.formula.translate import names_in, unquoted
from merextras.model.frame.engine_frame import check_seen
from merextras.model.frame.kinds import numbers
from merextras.model.frame.labels import small_codes_in


@dataclass(frozen=True, eq=False)
class Factor:
    """One factor of a formula.

    Attributes
    ----------
    code : str
        As in the formula.
    column : str or None
        The column of the data that it is; None if it is computed.
    levels : Index or None
        Of a categorical one.
    width : int
        Columns of a numeric one.
    computed : Computed or None
    dates : bool
        Whether it is a column of dates, as numbers of days.
    """

    code: str
    column: str | None
    levels: pd.Index | None
    width: int = 1
    computed: Computed | None = None
    dates: bool = False

    @property
    def key(self) -> object:
        """What factors that make the same numbers have in common."""
        if self.computed is None:
            return unquoted(str(self.column))
        return self.code, repr(self.computed.stored())

    def reads(self, name: str) -> bool:
        """Whether a column of the data is used."""
        return self.column == name or (self.column is None and name in names_in(self.code))

    def values(self, data: Rows, name: str = "newdata") -> tuple[Array | IntArray, BoolArray]:
        """Numbers (m, width) or codes (m, 1), and which rows miss a value."""
        if self.levels is None:
            values = self._numbers(data)
            return values, np.asarray(np.isnan(values).any(axis=1))
        column = data[self.column] if self.column is not None else self._made(data)
        codes = small_codes_in(column, self.levels)
        missing = np.zeros(len(codes), dtype=bool)
        if (codes < 0).any():
            column = column.set_axis(range(len(column)), axis=0)
            missing = column.isna().to_numpy(dtype=bool)
            check_seen(column, codes, self.levels, self.column or self.code, name)
        return codes[:, None], missing

    def _numbers(self, data: Rows) -> Array:
        if self.column is not None:
            return numbers(data[self.column], self.column, dates=self.dates)[:, None]
        assert self.computed is not None
        assert isinstance(data, pd.DataFrame)
        values = np.asarray(self.computed.values(data), dtype=float)
        if values.ndim == 0:
            values = np.full(len(data), float(values))
        values = values.reshape(len(values), -1 if values.size else self.width)
        if values.shape != (len(data), self.width):
            raise InvalidArgumentError(
                f"{self.code!r} makes {values.shape[1]} column(s) of {len(values)} rows here, "
                f"{self.width} of {len(data)} expected"
            )
        return values

    def _made(self, data: Rows) -> pd.Series:
        assert self.computed is not None
        assert isinstance(data, pd.DataFrame)
        return as_series(self.computed.values(data))


def as_series(values: Any) -> pd.Series:
    """What a categorical factor's code makes, out of patsy's box."""
    values = getattr(values, "data", values) if hasattr(values, "contrast") else values
    return values.reset_index(drop=True) if isinstance(values, pd.Series) else pd.Series(values)


@dataclass(frozen=True, eq=False)
class CodedPart(FixedPart):
    """A formula's right-hand side as data.

    Attributes
    ----------
    formula : str
    names : tuple of str
    variables : tuple of str
        Columns of the data that it reads.
    factors : tuple of Factor
    terms : tuple of (label, tuple of int, tuple of Block)
        Each term's factors and its columns, in the order of the columns.
    """

    formula: str
    names: tuple[str, ...]
    variables: tuple[str, ...]
    factors: tuple[Factor, ...]
    terms: tuple[tuple[str, tuple[int, ...], tuple[Block, ...]], ...]
    labels: Mapping[str, str] = field(default_factory=dict)

    def matrix(self, data: pd.DataFrame) -> Array:
        """The columns for new data; a missing value gives a row of NaN.

        Raises
        ------
        InvalidArgumentError
            A variable is missing, not numeric, or has a category that was not seen.
        """
        check_columns(data, self.variables, "newdata")
        return self.of_columns(data, len(data))

    def of_columns(self, columns: Rows, n: int) -> Array:
        """The same of n rows, of a part without computed factors by the names of the columns."""
        return self.by_cell(columns, n)[0]

    def by_cell(self, columns: Rows, n: int) -> tuple[Array, Cells | None]:
        """The same, and the cells of the columns before the first number's.

        None with missing values, or where combinations of categories are not far fewer than rows.
        """
        found = [factor.values(columns) for factor in self.factors]
        missing = np.zeros(n, dtype=bool)
        for _, gone in found:
            missing |= gone
        if not missing.any():
            values = [values for values, _ in found]
            out = self.product(values, n)
            return out, cells_of(self._blocks, values, out)
        out = self.product([np.where(gone[:, None], 0, v) for v, gone in found], n)
        out[missing] = np.nan
        return out, None

    def product(self, values: Sequence[Array | IntArray], n: int) -> Array:
        """The columns from the values of the factors: numbers, or codes of levels."""
        return columns_of(self._blocks, values, n)

    @property
    def _blocks(self) -> list[Block]:
        return [block for _, _, term in self.terms for block in term]

    @property
    def numeric(self) -> tuple[str, ...]:
        """Variables that numeric factors read and categorical ones do not."""
        numbers: set[str] = set()
        for factor in self.factors:
            if factor.levels is None:
                read = [factor.column] if factor.column is not None else names_in(factor.code)
                numbers.update(str(name) for name in read)
        categories = {factor.column for factor in self.factors if factor.levels is not None}
        return tuple(name for name in self.variables if name in numbers - categories)

    def spans(self) -> list[slice]:
        """The columns of each term."""
        sizes = [sum(map(self._width, blocks)) for _, _, blocks in self.terms]
        ends = list(itertools.accumulate(sizes, initial=0))
        return [slice(a, b) for a, b in itertools.pairwise(ends)]

    def _width(self, block: Block) -> int:
        parts = zip(block.factors, block.contrasts, strict=True)
        widths = [self.factors[f].width if c is None else c.shape[1] for f, c in parts]
        return int(np.prod(widths, dtype=int))

    @property
    def right_side(self) -> str:
        """The formula that was coded."""
        return self.formula

    @property
    def coded_factors(self) -> tuple[Factor, ...]:
        """All of them."""
        return self.factors

    @property
    def dates(self) -> frozenset[str]:
        """Code of the factors that are columns of dates."""
        return frozenset(factor.code for factor in self.factors if factor.dates)

    def terms_written(self) -> list[PartTerm]:
        """The terms in the order of the columns."""
        found = []
        for (label, factors, _), where in zip(self.terms, self.spans(), strict=True):
            own = [self.factors[f] for f in factors]
            categorical = tuple(f.code for f in own if f.levels is not None)
            numbers = tuple(f.code for f in own if f.levels is None)
            found.append(
                PartTerm(label, categorical, numbers, tuple(range(where.start, where.stop)))
            )
        return found

    def terms_in_order(self) -> list[PartTerm]:
        """As written."""
        return ordered(self.terms_written(), self.formula)

    def column_order(self) -> list[int]:
        """By the terms as written."""
        return in_order_of(self.terms_written(), self.formula, len(self.names))

    def categories(self, code: str) -> Sequence[Any] | None:
        """As they were learnt."""
        found = next((f.levels for f in self.factors if f.code == code), None)
        return None if found is None else tuple(found)

    def lone_levels(self) -> Mapping[str, Any]:
        """From the terms that have no columns."""
        empty = [term for term in self.terms_written() if not term.columns]
        found = {code: self.categories(code) or () for term in empty for code in term.factors}
        return {code: known[0] for code, known in found.items() if len(known) == 1}

    def full_columns(self, code: str, frame: pd.DataFrame) -> Array:
        """From the factor's values."""
        factor = next(f for f in self.factors if f.code == code)
        values = factor.values(frame)[0]
        own = values if factor.levels is None else indicators(values[:, 0], len(factor.levels))
        return np.asarray(own, dtype=float)

    def synthetic(self, rows: SyntheticRows) -> Synthetic:
        """The products of the factors' values; indicators of categories."""
        values: list[Array | IntArray] = []
        full = {}
        for factor in self.factors:
            if factor.levels is None:
                full[factor.code] = rows.numbers(factor.key, factor.width)
                values.append(full[factor.code])
            else:
                key, n_levels = (factor.column or factor.code, *factor.levels), len(factor.levels)
                codes = rows.codes(key, n_levels)
                full[factor.code] = indicators(codes, n_levels)
                values.append(codes[:, None])
        return Synthetic(self.product(values, rows.n), full)

    def subset(self, at: Sequence[int], columns: IntArray, code: str) -> CodedPart:
        """The factors of these terms."""
        used = sorted({f for i in at for f in self.terms[i][1]})
        place = {f: i for i, f in enumerate(used)}
        read = {name for name in self.variables if any(self.factors[f].reads(name) for f in used)}
        return replace(
            self,
            formula=code,
            names=tuple(self.names[j] for j in columns),
            variables=tuple(name for name in self.variables if name in read),
            factors=tuple(self.factors[f] for f in used),
            terms=tuple(
                (
                    label,
                    tuple(place[f] for f in own),
                    tuple(replace(b, factors=tuple(place[f] for f in b.factors)) for b in blocks),
                )
                for label, own, blocks in (self.terms[i] for i in at)
            ),
        )

    def with_names(self, names: Mapping[str, Any]) -> None:
        """Give the code back the caller's functions, which pickling loses."""
        for factor in self.factors:
            if factor.computed is not None:
                factor.computed.with_names(names)

    @classmethod
    def from_factors(
        cls,
        formula: str,
        factors: Mapping[str, Factor],
        contrasts: Mapping[str, Any],
        columns: Iterable[str],
        labels: Mapping[str, str],
    ) -> CodedPart:
        """Code a formula whose factors are known.

        Parameters
        ----------
        formula : str
            patsy's, one-sided.
        factors : mapping code -> Factor
        contrasts : mapping code -> what ``C(x, ...)`` was given, for those that have it
        columns : iterable of str
            Of the data.
        labels : mapping
            Names for pieces of code, as in `FormulaPart`.
        """
        terms = patsy.ModelDesc.from_formula(formula).rhs_termlist
        known = [
            patsy.Term([_Known(f.name(), factors[f.name()], contrasts) for f in term.factors])
            for term in terms
        ]
        (info,) = patsy.design_matrix_builders(
            [known], lambda: iter([{}]), patsy.EvalEnvironment([{}]), NA_action="raise"
        )
        used = list(dict.fromkeys(f.name() for term in known for f in term.factors))
        number = {code: i for i, code in enumerate(used)}
        made = []
        for term, blocks in info.term_codings.items():
            own = tuple(number[f.name()] for f in term.factors)
            label = ":".join(relabelled(f.name(), labels) for f in term.factors)
            made.append((label, own, tuple(_block(b, number) for b in blocks)))
        read = {name for code in used for name in names_in(code)}
        return cls(
            formula,
            tuple(relabelled(str(name), labels) for name in info.column_names),
            tuple(c for c in columns if c in read),
            tuple(factors[code] for code in used),
            tuple(made),
            dict(labels),
        )


def _block(block: Any, number: Mapping[str, int]) -> Block:
    contrasts = [
        np.asarray(block.contrast_matrices[f].matrix, dtype=float)
        if f in block.contrast_matrices
        else None
        for f in block.factors
    ]
    return Block(tuple(number[f.name()] for f in block.factors), tuple(contrasts))


class _Known:
    """A factor for patsy whose type and levels are known: it evaluates to an example."""

    origin = None

    def __init__(self, code: str, factor: Factor, contrasts: Mapping[str, Any]) -> None:
        self._code = code
        if factor.levels is None:
            self._example: Any = np.zeros((2, factor.width))
        else:
            levels = list(factor.levels)
            self._example = C(pd.Categorical(levels, categories=levels), contrasts.get(code))

    def name(self) -> str:
        return self._code

    def memorize_passes_needed(self, state: Any, eval_env: Any) -> int:  # noqa: ARG002
        return 0

    def eval(self, state: Any, data: Any) -> Any:  # noqa: ARG002
        return self._example

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self._code == other._code

    def __hash__(self) -> int:
        return hash(self._code)

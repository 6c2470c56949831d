"""The fixed part of a model: the names of its columns, and how to make them from new data."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
import patsy

from merextras._checks import check_columns
from merextras._typing import Array, BoolArray
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.columns.explained import explained, first_line
from merextras.model.columns.number_columns import (
    bools_as_factors,
    for_powers,
    in_floats,
    is_number,
)
from merextras.model.columns.specs import (
    categorical_codes,
    codes_of,
    names_seen,
    numeric_codes,
    variables_of,
)
from merextras.model.columns.whole_column import (
    NO_OTHER_ROWS,
    looking_at_whole,
    not_by_row,
    refusal,
)
from merextras.model.formula.functions import formula_names
from merextras.model.formula.names import bare, relabelled
from merextras.model.formula.translate import names_in, pieces_of

#: Names that mean the same in every formula, whatever the caller calls by them.
FORMULA_WORDS = frozenset({"C", "I", "Q"})


class FixedPart(Protocol):
    """What makes the columns of X."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the data that they are made from."""
        ...

    def matrix(self, data: pd.DataFrame) -> Array:
        """X for new data, (rows, p)."""
        ...


class ColumnsPart:
    """Columns taken as they are: models made from arrays."""

    def __init__(self, names: Sequence[str], constant: str | None) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self.variables: tuple[str, ...] = tuple(name for name in names if name != constant)
        self._constant = constant

    def matrix(self, data: pd.DataFrame) -> Array:
        """The columns of these names; the constant may be left out."""
        check_columns(data, self.variables, "newdata")
        columns = [
            np.ones(len(data))
            if name == self._constant and name not in data
            else numeric(data[name], name)
            for name in self.names
        ]
        return np.column_stack(columns) if columns else np.empty((len(data), 0))


def numeric(column: pd.Series, name: str) -> Array:
    """A column of new data as floats.

    Raises
    ------
    InvalidArgumentError
        It is not numeric.
    """
    if not pd.api.types.is_string_dtype(column):  # "3" is not 3
        with suppress(TypeError, ValueError):
            return column.to_numpy(dtype=float, na_value=np.nan)
    raise InvalidArgumentError(f"newdata: column {name!r} must be numeric, not {column.dtype}")


class Scope:
    """Which engine evaluates formulas, and the names that it sees besides the data.

    Parameters
    ----------
    names : mapping, optional
        Functions and constants, besides those that are always there (`formula_names`).
    engine : {"patsy", "formulaic"}
    """

    def __init__(self, names: Mapping[str, Any] | None = None, engine: str = "patsy") -> None:
        own = {k: v for k, v in (names or {}).items() if k not in FORMULA_WORDS}
        self._names = {"np": np, **own}
        self._engine = engine

    def _seen_by(self, code: str) -> dict[str, Any]:
        return formula_names(self._names, code, self._engine)

    def spec(self, rhs: str, frame: pd.DataFrame) -> Any:
        """The engine's own memory of levels and transforms."""
        frame = for_powers(frame, _pieces(rhs))
        if self._engine == "formulaic":
            return self._by_formulaic(rhs, frame)
        space = patsy.EvalEnvironment([self._seen_by(rhs)])
        try:
            return patsy.dmatrix(rhs, frame, eval_env=space, NA_action="raise").design_info
        except (patsy.PatsyError, SyntaxError, NameError, ValueError) as err:
            raise explained(err, rhs, frame) from err

    def _by_formulaic(self, rhs: str, frame: pd.DataFrame) -> Any:
        from formulaic import errors, model_matrix  # noqa: PLC0415 (only if it is asked for)

        frame = bools_as_factors(frame, _pieces(rhs))
        try:
            made = model_matrix(rhs, frame, context=self._seen_by(rhs), na_action="raise")
        except (errors.FormulaicError, SyntaxError, NameError, ValueError) as err:
            raise explained(err, rhs, frame) from err
        return made.model_spec

    def __reduce__(self) -> tuple[Any, ...]:
        # The caller's functions may not pickle, and what they do could have changed since.
        return Scope, (None, self._engine)

    def only(self, names: Iterable[str]) -> Scope:
        """The scope with no more than these of its names."""
        names = set(names)
        kept = {name: value for name, value in self._names.items() if name in names}
        return Scope(kept, self._engine)

    def within(self, names: Mapping[str, Any]) -> Scope:
        """The scope with further names, where it has none of its own."""
        return Scope({**names, **self._names}, self._engine)

    def names_of(self, spec: Any) -> dict[str, Any]:
        """The names that a spec uses; patsy keeps its own."""
        if isinstance(spec, patsy.DesignInfo):
            return {}
        used = {str(v) for v in spec.variables} | {str(v).split(".")[0] for v in spec.variables}
        code = " ".join(map(str, spec.factors))
        return {name: value for name, value in self._seen_by(code).items() if name in used}

    def looking_at_whole(self, codes: Sequence[str], frame: pd.DataFrame) -> list[str]:
        """The code among this that looks at the whole column, of which other rows have another."""
        unclear = not_by_row(codes, frame.columns, self._seen_by(" ".join(codes)))
        return looking_at_whole(unclear, frame, self._evaluator)

    def refuse_whole(self, codes: Sequence[str], frame: pd.DataFrame, where: str) -> None:
        """Raise if there is such code."""
        for code in self.looking_at_whole(codes, frame):
            raise UnsupportedModelError(refusal(code, where))

    def _evaluator(self, code: str, frame: pd.DataFrame) -> Callable[[pd.DataFrame], Array]:
        return FormulaPart.from_formula(f"0 + {code}", frame, scope=self)._made

    def column(self, code: str, frame: pd.DataFrame) -> Array:
        """One numeric column from a piece of code."""
        frame = for_powers(frame, [code])
        space = patsy.EvalEnvironment([formula_names(self._names, code)])
        try:
            made = patsy.dmatrix(f"0 + I({code})", frame, eval_env=space, NA_action="raise")
        except (patsy.PatsyError, SyntaxError) as err:
            raise explained(err, code, frame) from err
        values = np.asarray(made, dtype=float)
        if values.shape[1] != 1:
            raise InvalidArgumentError(f"{code!r} must be one numeric column")
        return values[:, 0]


def _pieces(rhs: str) -> list[str]:
    """Code of the factors; none of a formula that the engine will refuse with its own words."""
    with suppress(InvalidArgumentError):
        return pieces_of(re.sub(r"`([^`]*)`", r'Q("\1")', rhs))
    return []


class FormulaPart:
    """Columns made by a formula engine that remembers levels and transforms.

    Parameters
    ----------
    spec : patsy.DesignInfo or formulaic.ModelSpec
    formula : str
        The right-hand side, from which `spec` is made again after unpickling: patsy's design
        information can't be pickled.
    frame : DataFrame
        The data the model was fitted to.
    labels : mapping, optional
        Names for pieces of code in the columns' names; given, ``Q("class")[T.b]`` also becomes
        ``class[T.b]``.
    """

    def __init__(
        self,
        spec: Any,
        formula: str,
        frame: pd.DataFrame,
        *,
        labels: Mapping[str, str] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        self._spec = spec
        self._context = context
        self._labels = labels
        self.formula = formula
        self._engine = "patsy" if isinstance(spec, patsy.DesignInfo) else "formulaic"
        self._columns: tuple[str, ...] = tuple(str(name) for name in spec.column_names)
        names = self._columns
        if labels is not None:
            names = tuple(relabelled(name, labels) for name in names)
        self.names: tuple[str, ...] = names
        self.variables: tuple[str, ...] = tuple(variables_of(spec, frame.columns))
        # Its own columns only, so that neither the user's frame nor its size is carried along.
        self._frame = frame[[c for c in frame.columns if str(c) in self.variables]]

    @classmethod
    def from_formula(
        cls,
        formula: str,
        frame: pd.DataFrame,
        *,
        labels: Mapping[str, str] | None = None,
        scope: Scope | None = None,
    ) -> FormulaPart:
        """From a one-sided formula, by the engine of the scope.

        Raises
        ------
        InvalidArgumentError
            The formula can't be evaluated on the frame.
        """
        scope = Scope() if scope is None else scope
        rhs = formula.split("~", 1)[-1]
        spec = scope.spec(rhs, frame)
        return cls(spec, rhs, frame, labels=labels, context=scope.names_of(spec))

    def __getstate__(self) -> dict[str, Any]:
        # formulaic's memory is kept: made again, its columns could be in another order.
        spec = None if self._engine == "patsy" else self._spec
        return {**self.__dict__, "_spec": spec, "_context": None}

    @property
    def spec(self) -> Any:
        """The engine's own object."""
        if self._spec is None:
            self._spec = self._remade()
        return self._spec

    @property
    def context(self) -> Mapping[str, Any]:
        """The names that formulaic sees besides the data."""
        return (
            formula_names({}, self.formula, self._engine)
            if self._context is None
            else self._context
        )

    def label(self, code: str) -> str:
        """The name of a term, given its code."""
        return relabelled(code, self._labels or {})

    def _remade(self) -> Any:
        try:
            made = Scope(engine=self._engine).spec(self.formula, self._frame)
        except InvalidArgumentError as err:
            raise UnsupportedModelError(
                f"the formula {self.formula!r} can't be evaluated again after unpickling; it uses "
                f"something that is not in the data: {err}"
            ) from err
        if tuple(made.column_names) != self._columns:
            raise UnsupportedModelError(
                f"the formula {self.formula!r}, evaluated again after unpickling, makes columns "
                f"{list(made.column_names)} where the fit has {list(self._columns)}"
            )
        return made

    def matrix(self, data: pd.DataFrame) -> Array:
        """The columns for new data; a missing value gives a row of NaN.

        Raises
        ------
        InvalidArgumentError
            A variable is missing, or has a category the model has not seen.
        """
        check_columns(data, self.variables, "newdata")
        if self._whole and not self._is_own(data):
            raise UnsupportedModelError(refusal(self._whole[0], NO_OTHER_ROWS))
        return self._made(data)

    @cached_property
    def _whole(self) -> list[str]:
        """Code that looks at the whole column, found out when other rows come first."""
        return Scope(self._names(), self._engine).looking_at_whole(codes_of(self.spec), self._frame)

    def _names(self) -> dict[str, Any]:
        """What the code sees besides the data."""
        return dict(self.context) if self._engine == "formulaic" else names_seen(self.spec)

    def _is_own(self, data: pd.DataFrame) -> bool:
        """Whether these are the rows of the fit."""
        own = self._frame
        return len(data) == len(own) and all(
            np.array_equal(data[c].to_numpy(), own[c].to_numpy()) for c in own.columns
        )

    def _made(self, data: pd.DataFrame) -> Array:
        data = for_powers(data, codes_of(self.spec))
        return self._by_patsy(data) if self._engine == "patsy" else self._by_formulaic(data)

    def _by_patsy(self, data: pd.DataFrame) -> Array:
        complete = _Complete(len(data))
        frame = in_floats(data, self._numbers())
        own = [c for c in self.variables if isinstance(data[c].dtype, pd.CategoricalDtype)]
        if own:
            # patsy refuses other categories than the fit's even where no row has them.
            frame = frame.assign(**{c: frame[c].astype(object) for c in own})
        try:
            (out,) = patsy.build_design_matrices([self.spec], frame, NA_action=complete)
        except patsy.PatsyError as err:
            raise InvalidArgumentError(f"newdata: {first_line(err)}") from err
        made = np.full((len(data), len(self.names)), np.nan)
        made[complete.rows] = np.asarray(out, dtype=float)
        return made

    def _numbers(self) -> list[str]:
        """The columns that were numbers in the fit and that its numeric factors are made from."""
        used = {name for code in numeric_codes(self.spec) for name in names_in(code)}
        return [c for c in self._frame.columns if c in used and is_number(self._frame[c])]

    def _by_formulaic(self, data: pd.DataFrame) -> Array:
        from formulaic import errors  # noqa: PLC0415 (only if the fit used it)

        data, missing = in_floats(data, self._numbers()), self._check_categories(data)
        spec, made = self.spec, np.full((len(data), len(self.names)), np.nan)
        context = self.context
        data = bools_as_factors(data, categorical_codes(self.spec))
        try:
            # A category that is missing or unseen would be coded as the reference level.
            with warnings.catch_warnings():
                warnings.simplefilter("error", errors.DataMismatchWarning)
                part = spec.get_model_matrix(data[~missing], context=context, na_action="ignore")
        except (errors.FormulaicError, errors.DataMismatchWarning) as err:
            text = first_line(err)
            if "NameError" in text:
                raise UnsupportedModelError(
                    f"the formula {self.formula!r} can't be evaluated for new data: it uses "
                    f"something that neither the data nor numpy (np) has: {text}"
                ) from err
            raise InvalidArgumentError(f"newdata: {text}") from err
        made[~missing] = np.asarray(part, dtype=float)
        return made

    def _check_categories(self, data: pd.DataFrame) -> BoolArray:
        """Rows that miss a category; formulaic codes an unseen one as the reference: an error."""
        missing = np.zeros(len(data), dtype=bool)
        for factor, (_, state) in self.spec.encoder_state.items():
            known, column = state.get("categories"), bare(str(factor))
            if known is None or column not in data:
                continue
            missing |= data[column].isna().to_numpy(dtype=bool)
            seen = set(pd.unique(data[column].dropna()))
            unseen = sorted(map(str, seen - set(known)))
            if unseen:
                raise InvalidArgumentError(
                    f"newdata: column {column!r} has categories the model has not seen: "
                    f"{unseen}; known: {list(known)}"
                )
        return missing


class _Complete(patsy.NAAction):  # type: ignore[misc] # patsy has no types
    """Drops rows with missing values, in numbers and in categories, and remembers which it kept."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.rows: BoolArray = np.ones(n, dtype=bool)

    def handle_NA(self, values: Any, is_NAs: Any, origins: Any) -> Any:  # noqa: ARG002, N802
        """Patsy's hook: called with all factors' values and where they are missing."""
        for mask in is_NAs:
            self.rows &= ~mask
        return [value[self.rows] for value in values]

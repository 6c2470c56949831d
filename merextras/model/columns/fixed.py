"""Columns that a formula engine makes, and what its code sees besides the data."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import patsy

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, BoolArray
from merextras.foundation.arguments import check_columns
from merextras.model.columns.spec_part import SpecPart
from merextras.model.evaluation.arithmetic import arithmetic
from merextras.model.evaluation.boxes import boxed
from merextras.model.evaluation.complete_rows import CompleteRows
from merextras.model.evaluation.explained import explained, first_line
from merextras.model.evaluation.specs import read_spec
from merextras.model.evaluation.truth_values import with_categories
from merextras.model.evaluation.whole_column import (
    NO_OTHER_ROWS,
    looking_at_whole,
    not_by_row,
    refusal,
)
from merextras.model.formula.functions import formula_names
from merextras.model.formula.names import bare, relabelled
from merextras.model.formula.translate import pieces_of
from merextras.model.formula.trust import check_trusted
from merextras.model.frame.engine_frame import for_engine, is_alone, like_fit
from merextras.model.frame.kinds import kind_of
from merextras.model.frame.read import only_columns

#: Names that mean the same in every formula, whatever the caller calls by them.
FORMULA_WORDS = frozenset({"C", "I", "Q"})


class Scope:
    """Which engine evaluates formulas, and the names that it sees besides the data.

    Parameters
    ----------
    names : mapping, optional
        Functions and constants, besides those that are always there (`formula_names`).
    engine : {"patsy", "formulaic"}
    trusted : bool
        False for code that came from a file: it is not evaluated, see `check_trusted`.
    """

    def __init__(
        self, names: Mapping[str, Any] | None = None, engine: str = "patsy", *, trusted: bool = True
    ) -> None:
        self._trusted = trusted
        own = {k: v for k, v in (names or {}).items() if k not in FORMULA_WORDS}
        self._names = {"np": np, **own}
        self._engine = engine

    @property
    def engine(self) -> str:
        """Which one evaluates."""
        return self._engine

    @property
    def names(self) -> Mapping[str, Any]:
        """Those it sees besides the data."""
        return self._names

    @property
    def trusted(self) -> bool:
        """Whether code is evaluated."""
        return self._trusted

    def _seen_by(self, code: str, engine: str | None = None) -> dict[str, Any]:
        return formula_names(self._names, code, self._engine if engine is None else engine)

    def matrix(self, rhs: str, frame: pd.DataFrame) -> Any:
        """The engine's own matrix, which has its memory of levels and transforms."""
        if not self._trusted:
            check_trusted(pieces_of(rhs), frame.columns, trusted=False)
        pieces: list[str] | None = None
        with suppress(InvalidArgumentError):  # what can't be read is told by the engine
            pieces = pieces_of(re.sub(r"`([^`]*)`", r'Q("\1")', rhs))
        shown = frame if pieces is None else self._shown(frame, pieces)
        by = self._by_formulaic if self._engine == "formulaic" else self._by_patsy
        with np.errstate(all="ignore"):  # told by ours: log(0), log(-1), exp(1000)
            return by(rhs, shown, frame)

    def _shown(self, frame: pd.DataFrame, pieces: Sequence[str]) -> pd.DataFrame:
        return for_engine(frame, pieces, "formula", bools=self._engine == "formulaic")

    def _by_patsy(self, rhs: str, shown: pd.DataFrame, frame: pd.DataFrame) -> Any:
        space = patsy.EvalEnvironment([{**self._seen_by(rhs), "C": boxed}])
        try:
            return patsy.dmatrix(rhs, shown, eval_env=space, NA_action="raise")
        except (patsy.PatsyError, SyntaxError, NameError, ValueError) as err:
            raise explained(err, rhs, frame) from err

    def _by_formulaic(self, rhs: str, shown: pd.DataFrame, frame: pd.DataFrame) -> Any:
        from formulaic import errors, model_matrix  # noqa: PLC0415 (only if it is asked for)

        try:
            return model_matrix(
                rhs, shown, context=self._seen_by(rhs), na_action="raise", materializer="pandas"
            )
        except (errors.FormulaicError, SyntaxError, NameError, ValueError) as err:
            raise explained(err, rhs, frame) from err

    def __reduce__(self) -> tuple[Any, ...]:
        # The caller's functions may not pickle, and what they do could have changed since.
        return _scope, (self._engine, self._trusted)

    def only(self, names: Iterable[str]) -> Scope:
        """The scope with no more than these of its names."""
        kept = {name: self._names[name] for name in set(names) & set(self._names)}
        return Scope(kept, self._engine, trusted=self._trusted)

    def by(self, engine: str) -> Scope:
        """The scope with another engine."""
        return Scope(self._names, engine, trusted=self._trusted)

    def within(self, names: Mapping[str, Any]) -> Scope:
        """The scope with further names, where it has none of its own."""
        return Scope({**names, **self._names}, self._engine, trusted=self._trusted)

    def names_of(self, spec: Any) -> dict[str, Any]:
        """The names that a spec uses; patsy keeps its own."""
        known = read_spec(spec)
        used = known.names_wanted()
        if not used:
            return {}
        seen = self._seen_by(" ".join(known.codes()))
        return {name: value for name, value in seen.items() if name in used}

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
        """One numeric column from a piece of code; truth values are 0 and 1."""
        if kind_of(found := self.series(code, frame)) in {"numbers", "booleans"}:
            return found.to_numpy(dtype=float)
        raise InvalidArgumentError(f"{code!r} must be one numeric column")

    def series(self, code: str, frame: pd.DataFrame) -> pd.Series:
        """What a piece of code is of each row: numbers, truth values or categories."""
        check_trusted([code], frame.columns, trusted=self._trusted)
        if (plain := arithmetic(code, frame)) is not None:
            return pd.Series(plain, index=frame.index)
        shown = for_engine(frame, [f"I({code})"], "formula")
        space = patsy.EvalEnvironment([{**self._seen_by(code, "patsy"), "C": boxed}])
        try:
            with np.errstate(all="ignore"):  # told by ours: log(0), log(-1), exp(1000)
                made = patsy.dmatrix(f"0 + I({code})", shown, eval_env=space, NA_action="raise")
        except (patsy.PatsyError, SyntaxError) as err:
            raise explained(err, code, frame) from err
        values = np.asarray(made, dtype=float)
        (factor,) = made.design_info.factor_infos.values()
        if factor.type == "categorical":  # a column of each
            held = pd.Categorical.from_codes(values.argmax(axis=1), pd.Index(factor.categories))
            truth = {type(level) for level in factor.categories} <= {bool, np.bool_}
            return pd.Series(held.astype(bool) if truth else held, index=frame.index)
        if values.shape[1] != 1:
            raise InvalidArgumentError(f"{code!r} must be one numeric column")
        return pd.Series(values[:, 0], index=frame.index)


def _scope(engine: str, trusted: bool) -> Scope:
    return Scope(None, engine, trusted=trusted)


class FormulaPart(SpecPart):
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
    context : mapping, optional
        The names that formulaic's code sees.
    trusted : bool
        Of the scope that made the spec.
    """

    def __init__(
        self,
        spec: Any,
        formula: str,
        frame: pd.DataFrame,
        *,
        labels: Mapping[str, str] | None = None,
        context: Mapping[str, Any] | None = None,
        trusted: bool = True,
    ) -> None:
        self._spec = spec
        self.trusted = trusted
        self._context = context
        self._labels = labels
        self.formula = formula
        self._engine = read_spec(spec).engine
        self._columns: tuple[str, ...] = tuple(str(name) for name in spec.column_names)
        names = self._columns
        if labels is not None:
            names = tuple(relabelled(name, labels) for name in names)
        self.names: tuple[str, ...] = names
        self.variables: tuple[str, ...] = tuple(read_spec(spec).variables(frame.columns))
        # Its own columns only, so that neither the user's frame nor its size is carried along.
        self._frame = only_columns(frame, self.variables)
        # What learning made, until it is asked for.
        self._first: tuple[pd.DataFrame, Array] | None = None

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
        if scope.engine == "formulaic":
            rhs, own = with_categories(rhs, frame)
            labels = {**(labels or {}), **own}
        made = scope.matrix(rhs, frame)
        spec = made.design_info if scope.engine == "patsy" else made.model_spec
        part = cls(
            spec,
            rhs,
            frame,
            labels=labels,
            context=scope.names_of(spec),
            trusted=scope.trusted,
        )
        part._first = frame, np.ascontiguousarray(made, dtype=float)
        return part

    def __getstate__(self) -> dict[str, Any]:
        # formulaic's memory is kept: made again, its columns could be in another order.
        spec = None if self._engine == "patsy" else self._spec
        return {**self.__dict__, "_spec": spec, "_context": None, "_first": None}

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
            scope = Scope(engine=self._engine, trusted=self.trusted)
            made = scope.matrix(self.formula, self._frame).design_info
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
        first, self._first = self._first, None
        if first is not None and data is first[0]:
            return first[1]
        check_columns(data, self.variables, "newdata")
        if self._whole and not self._is_own(data):
            raise UnsupportedModelError(refusal(self._whole[0], NO_OTHER_ROWS))
        return self._made(data)

    @cached_property
    def _whole(self) -> list[str]:
        """Code that looks at the whole column, found out when other rows come first."""
        scope = Scope(self._names(), self._engine, trusted=self.trusted)
        return scope.looking_at_whole(self.known.codes(), self._frame)

    def _names(self) -> dict[str, Any]:
        """What the code sees besides the data."""
        return dict(self.context) if self._engine == "formulaic" else self.known.names_kept()

    def _is_own(self, data: pd.DataFrame) -> bool:
        """Whether these are the rows of the fit."""
        own = self._frame
        return len(data) == len(own) and all(
            np.array_equal(data[c].to_numpy(), own[c].to_numpy()) for c in own.columns
        )

    def _made(self, data: pd.DataFrame) -> Array:
        with np.errstate(all="ignore"):  # told by ours: log(0), log(-1), exp(1000)
            return self._by_patsy(data) if self._engine == "patsy" else self._by_formulaic(data)

    def _by_patsy(self, data: pd.DataFrame) -> Array:
        complete = CompleteRows(len(data))
        frame = self.as_fitted(data)
        try:
            (out,) = patsy.build_design_matrices([self.spec], frame, NA_action=complete)
        except patsy.PatsyError as err:
            raise InvalidArgumentError(f"newdata: {first_line(err)}") from err
        made = np.full((len(data), len(self.names)), np.nan)
        made[complete.rows] = np.asarray(out, dtype=float)
        return made

    def as_fitted(self, data: pd.DataFrame) -> pd.DataFrame:
        """Rows as the engine had those of the fit.

        Raises
        ------
        InvalidArgumentError
            A category that was not there, or a column of another kind.
        """
        known = self.known.categories()
        factors = {code: found for code, found in known.items() if found is not None}
        levels = {bare(code): found for code, found in factors.items()}
        alone = {bare(code) for code in factors if is_alone(code)}
        kinds = {str(c): kind_of(self._frame[c]) for c in self._frame.columns if c not in alone}
        numeric = {c: kind for c, kind in kinds.items() if kind in {"numbers", "dates"}}
        return like_fit(data, list(known), levels, numeric)

    def _by_formulaic(self, data: pd.DataFrame) -> Array:
        from formulaic import errors  # noqa: PLC0415 (only if the fit used it)

        frame, missing = self.as_fitted(data), self._misses_category(data)
        spec, made = self.spec, np.full((len(data), len(self.names)), np.nan)
        context = self.context
        try:
            # A category that is missing or unseen would be coded as the reference level.
            with warnings.catch_warnings():
                warnings.simplefilter("error", errors.DataMismatchWarning)
                part = spec.get_model_matrix(frame[~missing], context=context, na_action="ignore")
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

    def _misses_category(self, data: pd.DataFrame) -> BoolArray:
        """Rows that miss a category, which formulaic would code as the reference."""
        missing = np.zeros(len(data), dtype=bool)
        for code, known in self.known.categories().items():
            if known is not None and bare(code) in data:
                missing |= data[bare(code)].isna().to_numpy(dtype=bool)
        return missing

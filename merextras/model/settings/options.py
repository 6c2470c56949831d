"""The evaluation context of a formula, made from `lmer`'s arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.arguments import unknown_column
from merextras.model.columns.fixed import Scope
from merextras.model.formula.translate import names_in
from merextras.model.frame.kinds import kind_of, numbers
from merextras.model.frame.read import read_column
from merextras.model.settings.cov_prior import CovPrior

#: What is done with rows that miss a value: left out of the fit, and of results or not.
MISSING = ("drop", "raise", "keep")
#: Modules whose functions pass a user's call on to ours.
_PASSING = ("merextras.r", "merextras.r_idioms.fitting", "merextras.r_idioms.spelling")
#: Arguments with a value for each row, and what they are called here.
_BY_ROW = {"weights": "weights", "freq_weights": "frequencies", "offset": "offset"}


class Keep(Enum):
    """An argument of an update that is not given: it stays what it was."""

    KEEP = "keep"


@dataclass(frozen=True, eq=False)
class Options:
    """How a formula is evaluated and on which rows.

    Attributes
    ----------
    weights, frequencies, offset : (n,) arrays or None
        By row of the data. The offset is the argument's, without the formula's ``offset()``.
    missing : {"drop", "raise", "keep"}
    contrasts : mapping column -> patsy contrast, such as ``"Sum"`` or ``"Treatment('b')"``
    scope : Scope
    columns : mapping argument of `lmer` -> column
        Which of its arguments by row are columns of the data.
    whole : tuple of str
        Code of the formula's offsets that looks at the whole column.
    sigma : float or None
        The residual standard deviation of a row of weight one, where it is known.
    residual_by : tuple of str
        Columns whose combinations have residual variances of their own.
    cov_prior : CovPrior, mapping of them by grouping factor or term, or None
        As `check_cov_prior` returns it.
    """

    weights: Array | None = None
    frequencies: Array | None = None
    offset: Array | None = None
    missing: str = "drop"
    contrasts: Mapping[str, str] = field(default_factory=dict)
    scope: Scope = field(default_factory=Scope)
    columns: Mapping[str, str] = field(default_factory=dict)
    whole: tuple[str, ...] = ()
    residual_by: tuple[str, ...] = ()
    cov_prior: CovPrior | Mapping[str, CovPrior] | None = None
    sigma: float | None = None

    @property
    def sigma2(self) -> float | None:
        """The residual variance of a row of weight one, where it is known."""
        return None if self.sigma is None else self.sigma**2

    def with_rows(self, frame: pd.DataFrame, **given: Any) -> Options:
        """The options with ``weights=``, ``freq_weights=``, ``offset=``, by row of a frame.

        Raises
        ------
        InvalidArgumentError
            An unknown column, another length or index, values that are not allowed.
        """
        known = [getattr(self, _BY_ROW[name]) for name in given]
        if not self.columns and all(values is None for values in [*given.values(), *known]):
            return self
        made: dict[str, Any] = {
            _BY_ROW[name]: by_row(values, frame, name, signed=name == "offset")
            for name, values in given.items()
        }
        columns = {name: values for name, values in given.items() if isinstance(values, str)}
        return replace(self, columns=columns, **made)

    def again(self, frame: pd.DataFrame, others: bool, **given: Any) -> Options:
        """The options of an update: what is by row stays unless it is given, None takes it away.

        Parameters
        ----------
        frame : DataFrame
        others : bool
            Whether the frame is of other rows than before, see `for_data`.
        **given
            As of `with_rows`, ``Keep.KEEP`` for what stays.
        """
        given = {name: values for name, values in given.items() if values is not Keep.KEEP}
        kept = self
        if others:
            kept = self.for_data(frame, [name for name in _BY_ROW if name not in given])
        if not given:
            return kept
        columns = {name: column for name, column in kept.columns.items() if name not in given}
        new = replace(kept, columns={}).with_rows(frame, **given)
        return replace(new, columns={**columns, **new.columns})

    def kept(self, keep: BoolArray, names: set[str]) -> Options:
        """The options of some rows, without what a formula of these names does not need."""
        contrasts = {c: how for c, how in self.contrasts.items() if c in names}
        names = names.union(*(names_in(how) for how in contrasts.values()))
        scope = self.scope.only(names)
        return replace(self, scope=scope, contrasts=contrasts, **self._of_rows(keep))

    def at(self, rows: IntArray) -> Options:
        """The options of the given rows, in that order, perhaps several times."""
        return replace(self, **self._of_rows(rows))

    def _of_rows(self, rows: IntArray | BoolArray) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in _BY_ROW.values()}
        return {name: given[rows] for name, given in values.items() if given is not None}

    def for_data(self, frame: pd.DataFrame, wanted: Iterable[str] = tuple(_BY_ROW)) -> Options:
        """The options for other data, from which the columns among the arguments are taken.

        Parameters
        ----------
        frame : DataFrame
        wanted : iterable of str
            The arguments by row that are needed; the others are left out.

        Raises
        ------
        InvalidArgumentError
            An argument was given as an array, whose values for other rows are not known.
        """
        for name in wanted:
            if getattr(self, _BY_ROW[name]) is not None and name not in self.columns:
                raise InvalidArgumentError(
                    f"the model has {name}= by array, whose values for other data are not known; "
                    f"fit with the name of a column as {name}="
                )
        columns = {name: column for name, column in self.columns.items() if name in wanted}
        without = replace(self, weights=None, frequencies=None, offset=None)
        return without.with_rows(frame, **columns)


def check_sigma(sigma: Any) -> float | None:
    """A known residual standard deviation: a positive number, or None."""
    if sigma is None:
        return None
    is_number = isinstance(sigma, (int, float, np.number)) and not isinstance(sigma, bool)
    if not is_number or not 0.0 < float(sigma) < np.inf:
        raise InvalidArgumentError(
            f"sigma={sigma!r}: the known residual standard deviation of a row of weight one, a "
            "positive number (1 with weights=1/variance), or None to estimate it"
        )
    return float(sigma)


def refuse_two_sigmas(sigma: float | None, residual_by: object) -> None:
    """Refuse a known residual standard deviation of all rows beside estimated ones by group."""
    if sigma is not None and residual_by:
        raise InvalidArgumentError(
            f"sigma={sigma:g} is the known residual standard deviation of all rows, and "
            "residual_by= estimates one for each group; leave one of the two out. What is known "
            "of the rows' own variances are weights: sigma=1, weights=1/variance"
        )


def by_row(values: Any, frame: pd.DataFrame, name: str, *, signed: bool = False) -> Array | None:
    """An argument with a value per row: an array, a Series on the data's index, a column's name."""
    if values is None:
        return None
    if isinstance(values, str):
        if values not in frame.columns:
            raise InvalidArgumentError(f"{name}: {unknown_column(values, frame.columns)}")
        values = frame[values]
    if isinstance(values, pd.Series):
        if not values.index.equals(frame.index):
            raise InvalidArgumentError(f"{name}: the Series has another index than the data")
        values = read_column(values)
        if kind_of(values) not in {"numbers", "booleans"}:
            raise InvalidArgumentError(f"{name}: the values must be numeric, not {values.dtype}")
        if kind_of(values) == "numbers":
            values = numbers(values, name)
    if getattr(getattr(values, "dtype", None), "kind", "f") in "mMcUS":
        raise InvalidArgumentError(f"{name}: the values must be numeric, not {values.dtype}")
    try:
        out = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise InvalidArgumentError(f"{name}: the values must be numeric") from None
    if out.shape != (len(frame),):
        raise InvalidArgumentError(
            f"{name}: expected {len(frame)} values, one per row of the data, got shape {out.shape}"
        )
    _check_values(out, name, signed)
    return out


def _check_values(values: Array, name: str, signed: bool) -> None:
    if np.any(np.isinf(values)) or (not signed and np.any(values < 0)):
        allowed = "finite" if signed else "finite and not negative"
        raise InvalidArgumentError(f"{name}: the values must be {allowed}")
    known = values[~np.isnan(values)]
    if name == "freq_weights" and np.any(known != np.round(known)):
        raise InvalidArgumentError(
            "freq_weights: counts of observations must be whole numbers; for precision weights use "
            "weights="
        )
    if not signed and len(known) and not np.any(known > 0):
        raise InvalidArgumentError(f"{name}: no row has a positive weight")


def callers_names(depth: int) -> dict[str, Any]:
    """Names of the function `depth` calls above the one that asks: its module's and its own.

    The functions that only pass a call on, R's spellings, are not the user's: the one above them.
    """
    frame = inspect.currentframe()
    for _ in range(depth + 1):
        frame = None if frame is None else frame.f_back
    while frame is not None and frame.f_globals.get("__name__") in _PASSING:
        frame = frame.f_back
    if frame is None:
        return {}
    return {**frame.f_globals, **frame.f_locals}

"""Residual standard deviations by group: which group a row is in, and what was estimated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.arguments import check_columns, unknown_column
from merextras.model.columns.levels import LevelCoder

#: Groups that a message lists.
_LISTED = 5


@dataclass(frozen=True, eq=False)
class ResidualBy:
    """The groups of rows that have residual variances of their own, H of them.

    Attributes
    ----------
    columns : tuple of str
        Whose values, or combinations of values, are the groups.
    coder : LevelCoder
        The groups' labels, in order.
    codes : (n,) integer array or None
        The group of each row; None where no rows are kept.
    log_omega : (H,) array or None
        Logarithms of the groups' precisions relative to the first's, ``sigma_1**2 / sigma_h**2``;
        None before they are estimated.
    """

    columns: tuple[str, ...]
    coder: LevelCoder
    codes: IntArray | None = None
    log_omega: Array | None = None

    @classmethod
    def of_frame(cls, frame: pd.DataFrame, columns: Sequence[str]) -> ResidualBy:
        """The groups that occur in a frame without missing values."""
        coder = LevelCoder.from_frame(frame, tuple(columns))
        return cls(tuple(columns), coder, coder.codes(frame))

    def __len__(self) -> int:
        return len(self.coder.levels)

    @property
    def name(self) -> str:
        """``school``, or ``school:class`` for several columns."""
        return ":".join(self.columns)

    @property
    def levels(self) -> pd.Index:
        """The groups, in order."""
        return self.coder.levels

    @property
    def argument(self) -> str:
        """The argument as a user writes it."""
        return f"residual_by={shown(self.columns)}"

    @property
    def omega(self) -> Array:
        """The groups' precisions relative to the first's, (H,); ones before they are estimated."""
        return np.ones(len(self)) if self.log_omega is None else np.exp(self.log_omega)

    def by_row(self) -> Array:
        """The relative precision of each row of the fit, (n,)."""
        assert self.codes is not None
        return np.asarray(self.omega[self.codes])

    def at(self, rows: IntArray) -> ResidualBy:
        """The same of some rows, perhaps several times; all groups are kept."""
        return replace(self, codes=None if self.codes is None else self.codes[rows])

    def codes_of(self, data: pd.DataFrame, what: str = "newdata") -> IntArray:
        """The group of each row of new data.

        Raises
        ------
        InvalidArgumentError
            The columns are not there, or a row is in no group that the model has a residual
            variance of.
        """
        check_columns(data, list(self.columns), what)
        codes = self.coder.codes(data)
        if np.any(codes < 0):
            rows = data.loc[codes < 0, list(self.columns)].drop_duplicates()
            found = [":".join(map(str, row)) for row in rows.itertuples(index=False)]
            more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
            raise InvalidArgumentError(
                f"{what}: {self.argument} has no residual standard deviation of the group(s) "
                f"{', '.join(map(repr, found[:_LISTED]))}{more}; known are "
                f"{', '.join(map(repr, list(self.levels[:_LISTED])))}"
                f"{', ...' if len(self) > _LISTED else ''}"
            )
        return codes

    def of_data(self, data: pd.DataFrame, what: str = "newdata") -> Array:
        """The relative precision of each row of new data, (m,); errors as `codes_of`."""
        return np.asarray(self.omega[self.codes_of(data, what)])

    def check_sizes(self, counts: Array) -> None:
        """Refuse groups from whose rows no variance can be had, given the observations of each."""
        if len(self) < 2:
            raise InvalidArgumentError(
                f"{self.argument}: there is one group, {self.levels[0]!r}, and one residual "
                "variance: leave residual_by out"
            )
        few = np.flatnonzero(np.asarray(counts) < 2)
        if len(few):
            names = ", ".join(repr(self.levels[i]) for i in few[:_LISTED])
            more = f" and {len(few) - _LISTED} more" if len(few) > _LISTED else ""
            raise InvalidArgumentError(
                f"{self.argument}: a residual variance needs two observations or more, and the "
                f"group(s) {names}{more} have fewer; join them with others or leave them out"
            )


def shown(columns: Sequence[str]) -> str:
    """Columns as the user gives them: one as it is, several as a list."""
    return repr(columns[0]) if len(columns) == 1 else repr(list(columns))


def residual_columns(
    given: Any, columns: pd.Index | Sequence[Any] | None = None
) -> tuple[str, ...]:
    """The argument ``residual_by``, checked: names of columns, none for None.

    Parameters
    ----------
    given : None, str or sequence of str
    columns : Index, optional
        Those that there are, where they are known.
    """
    if given is None:
        return ()
    names = (given,) if isinstance(given, str) else tuple(given) if _listed(given) else None
    if not names or not all(isinstance(name, str) for name in names):
        raise InvalidArgumentError(
            f"residual_by={given!r}: expected the name of a column, or a list of names"
        )
    if len(set(names)) < len(names):
        raise InvalidArgumentError(f"residual_by={given!r}: a column is named twice")
    if columns is not None:
        for name in names:
            if name not in columns:
                raise InvalidArgumentError(f"residual_by: {unknown_column(name, columns)}")
    return names


def _listed(given: Any) -> bool:
    return isinstance(given, (list, tuple))


def check_grouped(data: pd.DataFrame, columns: Sequence[str], keep: BoolArray) -> None:
    """Refuse rows that are otherwise complete and are in no group."""
    if not columns:
        return
    has = data[list(columns)].notna().all(axis=1).to_numpy(dtype=bool)
    count = int(np.sum(keep & ~has))
    if count:
        raise InvalidArgumentError(
            f"residual_by={shown(columns)}: {count} row(s) miss its value; a row without a group "
            "has no residual variance: give it one, or leave the rows out "
            f"(data.dropna(subset={list(columns)!r}))"
        )

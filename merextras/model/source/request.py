"""The model that is requested of a source of chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice
from merextras.model.settings.residual import residual_columns


@dataclass(frozen=True, eq=False)
class ModelRequest:
    """What the user wants of a source.

    Attributes
    ----------
    formula : str
    by_row : mapping argument -> column
        ``weights``, ``freq_weights``, ``offset``.
    contrasts : mapping column -> str
    missing : {"drop", "raise"}
    names : mapping
        The caller's names, for the formula's code.
    levels : mapping column -> sequence
        Categories of the fixed part's columns, in place of those that occur.
    residual_by : tuple of str
        Columns whose combinations have residual variances of their own.
    """

    formula: str
    by_row: Mapping[str, str]
    contrasts: Mapping[str, str]
    missing: str
    names: Mapping[str, Any]
    levels: Mapping[str, Sequence[Any]]
    residual_by: tuple[str, ...] = ()

    @classmethod
    def checked(
        cls,
        formula: str,
        *,
        contrasts: Any,
        missing: str,
        names: Mapping[str, Any],
        levels: Any = None,
        residual_by: Any = None,
        **by_row: Any,
    ) -> ModelRequest:
        """From arguments of a user."""
        for name, given in by_row.items():
            if given is not None and not isinstance(given, str):
                raise InvalidArgumentError(
                    f"{name}: rows that are read in chunks need the name of a column, not a "
                    f"{type(given).__name__}"
                )
        for name, given in (("contrasts", contrasts), ("levels", levels)):
            if not isinstance(given, Mapping | None):
                raise InvalidArgumentError(f"{name}={given!r}: expected a mapping of columns")
        return cls(
            formula,
            {name: given for name, given in by_row.items() if given is not None},
            dict(contrasts or {}),
            _check_missing(missing),
            names,
            dict(levels or {}),
            residual_columns(residual_by),
        )


def _check_missing(given: Any) -> str:
    if isinstance(given, str) and given == "keep":
        raise InvalidArgumentError(
            "missing='keep': a fit from chunks keeps no rows that results could be aligned with; "
            "missing='drop' leaves rows with missing values out, and stream_rows(m, source) has "
            "the others under their own index"
        )
    return check_choice(given, ("drop", "raise"), "missing")

"""The response of a generalised model in any of its forms, as successes, counts or numbers."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.columns.finite import check_finite
from merextras.model.columns.fixed import Scope
from merextras.model.design.build import response_of
from merextras.model.formula.translate import unquoted
from merextras.model.frame.kinds import kind_of
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.responses.response_facts import ResponseFacts

#: Proportions times trials may be that far from a whole number, relatively.
_WHOLE = 1e-6
_CBIND = re.compile(r"\s*cbind\s*\((.*)\)\s*", re.DOTALL)


@dataclass(frozen=True, eq=False)
class Response:
    """A response.

    Attributes
    ----------
    y : (n,) array
        Successes, counts, or numbers.
    trials : (n,) array or None
        Of a binomial response.
    form : {"numbers", "booleans", "labels", "cbind", "proportions"}
        How the user has it.
    labels : tuple
        Failure and success, of labels; names of the two columns, of ``cbind``.
    """

    y: Array
    trials: Array | None
    form: str = "numbers"
    labels: tuple[Any, ...] = ()

    @property
    def observed(self) -> Array:
        """The response on the scale of its mean: the proportion of successes, or itself."""
        return self.y if self.trials is None else self.y / self.trials

    @property
    def facts(self) -> ResponseFacts:
        """Sums over the rows."""
        return ResponseFacts.of(self.y, self.trials)

    def shown(self, y: Array) -> Array | list[Array]:
        """New successes, counts or numbers in the response's own form; two arrays of ``cbind``."""
        if self.form == "booleans":
            return np.asarray(y > 0.5)
        if self.form == "labels":
            return np.asarray(np.array(self.labels, dtype=object)[(y > 0.5).astype(int)])
        if self.form == "proportions" and self.trials is not None:
            return np.asarray(y / self.trials)
        if self.form == "cbind" and self.trials is not None:
            return [y, self.trials - y]
        return y

    def part(self, rows: IntArray, choice: FamilyChoice) -> Response:
        """The response of some rows.

        Raises
        ------
        InvalidArgumentError
            No variation is left in it.
        """
        trials = None if self.trials is None else self.trials[rows]
        return _checked_response(replace(self, y=self.y[rows], trials=trials), choice, "y")

    def again(self, y: Any, allowed: str, choice: FamilyChoice) -> Response:
        """Another response of the same rows in the same form, such as a column of `simulate`.

        Parameters
        ----------
        y
            Of the rows of the fit.
        allowed : str
            How many values a response has, for a message.

        Raises
        ------
        InvalidArgumentError
            Another length, values that are not allowed.
        """
        n = len(self.y)
        values = y if isinstance(y, pd.DataFrame | pd.Series) else np.asarray(y)
        if self.form == "cbind":
            table = np.asarray(values, dtype=float)
            if table.shape == (n, 2):
                return _checked_response(
                    _of_pair(table[:, 0], table[:, 1], self.labels), choice, "y"
                )
            if table.shape != (n,):
                raise InvalidArgumentError(
                    f"y: expected ({n}, 2) successes and failures, or numbers of successes of the "
                    f"same trials, {allowed}; got shape {table.shape}"
                )
            return _checked_response(replace(self, y=table), choice, "y")
        if values.shape != (n,):
            raise InvalidArgumentError(f"y: expected {allowed}, got shape {values.shape}")
        column = values if isinstance(values, pd.Series) else pd.Series(values)
        trials = self.trials if self.form == "proportions" else None
        made = _of_column(column, "y", choice, trials)
        if self.form == "labels":
            _check_labels(column, self.labels)
        return _checked_response(made, choice, "y")


def read_response(
    code: str, frame: pd.DataFrame, scope: Scope, choice: FamilyChoice, weights: Array | None
) -> Response:
    """The left side of a formula.

    Raises
    ------
    InvalidArgumentError
        Values that the family does not allow; weights where there are no trials.
    """
    found = response_by_row(code, frame, scope, choice, weights)
    found.facts.check(choice, unquoted(code))
    return found


def response_by_row(
    code: str,
    frame: pd.DataFrame,
    scope: Scope,
    choice: FamilyChoice,
    weights: Array | None,
    levels: Sequence[Any] | None = None,
) -> Response:
    """The left side of a formula on some rows, whose values are allowed.

    Parameters
    ----------
    levels : sequence, optional
        Failure and success of labels; by default those of the rows.

    Raises
    ------
    InvalidArgumentError
        Values that the family does not allow; weights where there are no trials.
    """
    name, parts = unquoted(code), parts_of_pair(code, frame.columns)
    if parts is not None:
        found = _pair(parts, code, frame, scope, choice, weights)
        return _allowed(found, choice, name)
    column = frame[name] if name in frame.columns else scope.series(code, frame)
    return column_by_row(column, name, choice, weights, levels)


def column_by_row(
    column: pd.Series,
    name: object,
    choice: FamilyChoice,
    weights: Array | None,
    levels: Sequence[Any] | None = None,
) -> Response:
    """The response in a column, as `response_by_row`."""
    if weights is not None and not choice.has_trials:
        raise InvalidArgumentError(
            f"weights: for family={choice.name!r} they are not defined (a known number of trials "
            "is a binomial response's; exposure is offset=np.log(exposure))"
        )
    return _allowed(_of_column(column, name, choice, weights, levels), choice, name)


def trials_of(
    code: str, frame: pd.DataFrame, scope: Scope, choice: FamilyChoice, weights: Array | None
) -> tuple[Array | None, str, tuple[Any, ...]]:
    """The trials of each row, the form and the labels of a response whose values do not matter.

    Raises
    ------
    InvalidArgumentError
        Trials that are not whole numbers above zero; weights where there are no trials.
    """
    n, inside = len(frame), parts_of_pair(code)
    if not choice.has_trials:
        if weights is not None or inside is not None:
            raise InvalidArgumentError(
                f"weights, cbind: are numbers of trials, for family='binomial', not {choice.name!r}"
            )
        return None, "numbers", ()
    if inside is not None:
        found = _pair(inside, code, frame, scope, choice, weights)
        trials, form, labels = found.trials, found.form, found.labels
    else:
        trials = np.ones(n) if weights is None else weights
        form, labels = ("numbers" if np.all(trials == 1.0) else "proportions"), ()
    assert trials is not None
    if np.any(trials < 1.0) or np.any(trials != np.round(trials)):
        raise InvalidArgumentError("the numbers of trials must be whole numbers from 1")
    return trials, form, labels


def of_numbers(y: Array, name: str, choice: FamilyChoice) -> Response:
    """A response that is numbers already, (n,).

    Raises
    ------
    InvalidArgumentError
        Values that the family does not allow.
    """
    return _checked_response(_of_column(pd.Series(y), name, choice, None), choice, name)


def parts_of_pair(code: str, columns: Collection[str] = ()) -> tuple[str, ...] | None:
    """Code of successes and failures of ``cbind(a, b)``; None if it is something else, a column.

    Raises
    ------
    InvalidArgumentError
        Not two parts.
    """
    found = _CBIND.fullmatch(code)
    if found is None or unquoted(code) in columns:
        return None
    parts = _arguments(found[1])
    if len(parts) != 2:
        raise InvalidArgumentError(f"formula: {code}: cbind takes successes and failures")
    return parts


def _pair(
    parts: Sequence[str],
    code: str,
    frame: pd.DataFrame,
    scope: Scope,
    choice: FamilyChoice,
    weights: Any,
) -> Response:
    """Successes and failures of ``cbind(a, b)``."""
    if not choice.has_trials:
        raise InvalidArgumentError(
            f"formula: {code} is successes and failures, for family='binomial' alone"
        )
    if weights is not None:
        raise InvalidArgumentError("weights: cbind(successes, failures) has the trials in it")
    named = {unquoted(part) for part in parts}
    columns = {str(name): frame[name] for name in frame.columns if str(name) in named}
    successes, failures = (response_of(part, frame, columns, scope) for part in parts)
    return _of_pair(successes, failures, (parts[0], parts[1]))


@lru_cache(maxsize=256)
def _arguments(inside: str) -> tuple[str, ...]:
    """Code of the arguments of a call; none of what is no call."""
    try:
        call = ast.parse(f"f({inside})", mode="eval").body
    except SyntaxError:
        return ()
    assert isinstance(call, ast.Call)
    return tuple(ast.unparse(part) for part in call.args)


def _of_pair(successes: Array, failures: Array, labels: tuple[Any, ...]) -> Response:
    return Response(successes, successes + failures, "cbind", labels)


def _of_column(
    column: pd.Series,
    name: object,
    choice: FamilyChoice,
    weights: Array | None,
    levels: Sequence[Any] | None = None,
) -> Response:
    kind = kind_of(column)
    if not choice.has_trials:
        if kind != "numbers":
            raise InvalidArgumentError(
                f"response {name!r} must be numeric for family={choice.name!r}, not {kind}"
            )
        return Response(column.to_numpy(dtype=float), None)
    if kind not in {"numbers", "booleans"}:
        return _of_labels(column, name, weights, levels)
    y = np.array(column.to_numpy(dtype=float))
    check_finite(y[:, None], (str(name),), "response")
    if weights is not None:
        return _of_proportions(y, name, weights)
    if not np.isin(y, (0.0, 1.0)).all():
        bad = y[~np.isin(y, (0.0, 1.0))][0]
        raise InvalidArgumentError(
            f"response {name!r}: family='binomial' takes 0 and 1, got {bad:g}. For proportions "
            "give the trials as weights=, for successes and failures write cbind(a, b)"
        )
    return Response(y, np.ones(len(y)), "booleans" if kind == "booleans" else "numbers")


def _of_labels(
    column: pd.Series, name: object, weights: Array | None, levels: Sequence[Any] | None
) -> Response:
    """Two labels: the first level is a failure, as in R."""
    if weights is not None:
        raise InvalidArgumentError(f"weights: the response {name!r} is labels, one trial a row")
    if levels is None and isinstance(column.dtype, pd.CategoricalDtype):
        levels = [c for c in column.cat.categories if (column == c).any()]
    elif levels is None:
        levels = sorted(column.unique().tolist(), key=str)
    check_two(levels, name)
    y = (column == levels[1]).to_numpy(dtype=float)
    return Response(y, np.ones(len(y)), "labels", tuple(levels))


def check_two(levels: Sequence[Any], name: object) -> None:
    """Refuse labels of a response that are not two."""
    if len(levels) != 2:
        raise InvalidArgumentError(
            f"response {name!r}: family='binomial' takes two levels, got {len(levels)}: "
            f"{[str(level) for level in levels[:5]]}"
        )


def _check_labels(column: pd.Series, labels: tuple[Any, ...]) -> None:
    unknown = [value for value in column.unique().tolist() if value not in labels]
    if unknown:
        raise InvalidArgumentError(f"y: {unknown[0]!r} is not among the levels {list(labels)}")


def _of_proportions(share: Array, name: object, weights: Array) -> Response:
    if np.any(share < 0.0) or np.any(share > 1.0):
        raise InvalidArgumentError(
            f"response {name!r}: with weights= as trials it is a proportion, between 0 and 1; for "
            "successes and failures write cbind(a, b)"
        )
    if np.any(weights <= 0.0):
        raise InvalidArgumentError("weights: numbers of trials are positive; leave such rows out")
    if np.any(weights != np.round(weights)):
        raise InvalidArgumentError("weights: numbers of trials are whole numbers")
    y = np.round(share * weights)
    if np.any(np.abs(y - share * weights) > _WHOLE * np.maximum(weights, 1.0)):
        raise InvalidArgumentError(
            f"response {name!r}: a proportion times its trials (weights=) is not a whole number of "
            "successes"
        )
    form = "numbers" if np.all(weights == 1.0) else "proportions"
    return Response(y, weights, form)


def _checked_response(found: Response, choice: FamilyChoice, name: object) -> Response:
    """Refuse values that the family does not have, and responses without variation."""
    _allowed(found, choice, name).facts.check(choice, name)
    return found


def _allowed(found: Response, choice: FamilyChoice, name: object) -> Response:
    """Refuse values that the family does not have."""
    y, trials = found.y, found.trials
    check_finite(y[:, None], (str(name),), "response")
    if trials is not None:
        _check_trials(y, trials, name)
    elif choice.name in {"poisson", "negative_binomial"}:
        if np.any(y < 0.0) or np.any(y != np.round(y)):
            bad = y[(y < 0.0) | (y != np.round(y))][0]
            raise InvalidArgumentError(
                f"response {name!r}: family={choice.name!r} takes counts, whole numbers from 0, "
                f"got {bad:g}"
            )
    elif choice.name in {"gamma", "inverse_gaussian"} and np.any(y <= 0.0):
        raise InvalidArgumentError(
            f"response {name!r}: family={choice.name!r} takes positive numbers, got "
            f"{float(np.min(y)):g}"
        )
    return found


def _check_trials(y: Array, trials: Array, name: object) -> None:
    """Refuse successes and failures that are no whole numbers from zero, and rows of none."""
    check_finite(trials[:, None], (str(name),), "response")
    failures = trials - y
    if np.any(y < 0.0) or np.any(failures < 0.0):
        raise InvalidArgumentError(f"response {name!r}: successes and failures can't be negative")
    if np.any(y != np.round(y)) or np.any(failures != np.round(failures)):
        raise InvalidArgumentError(f"response {name!r}: successes and failures are whole numbers")
    if np.any(trials == 0.0):
        raise InvalidArgumentError(
            f"response {name!r}: {int(np.sum(trials == 0.0))} row(s) have no trials; leave them out"
        )

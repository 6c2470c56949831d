"""Predictions of rows left out of the fit, and their errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.results.base import TextResult, format_columns

__all__ = ["CrossValidation"]

_WORDS = {"refit": "covariances estimated anew in each fold", "held": "covariances of all rows"}


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation(TextResult):
    """What `cross_validate` returns: each row as predicted without its fold, and the errors.

    Parameters
    ----------
    rows : DataFrame
        By the user's index: ``fold observed fit std_error lower upper log_score new weight``, NaN
        where a fold has no fit. `std_error` is the standard deviation of a new observation, `new`
        whether a grouping factor's level of the row is not in the rows that the fold was predicted
        from, `weight` how many observations the row stands for. Of a generalised model
        ``deviance``, and of a binomial one ``brier trials``, too.
    by : str
        What is left out: ``"row"``, or a factor.
    n_folds : int
    theta : {"refit", "held"}
    level : float
        Of the intervals.
    metrics : mapping name -> callable, optional
        The user's own, of (observed, fit).
    failures : mapping message -> count of folds
    scores : tuple of str
        Of ``deviance brier`` those that the rows have: of a generalised model.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> found = mx.cross_validate(m, by="Subject")
    >>> found.n_folds, bool(found.rows["new"].all())
    (18, True)
    """

    rows: pd.DataFrame
    by: str
    n_folds: int
    theta: str
    level: float
    metrics: Mapping[str, Callable[[Array, Array], Any]] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    scores: tuple[str, ...] = ()

    @property
    def n_failed(self) -> int:
        """Folds without a fit; their rows count in nothing else."""
        return sum(self.failures.values())

    @property
    def rmse(self) -> float:
        """Root mean squared error of prediction, on the scale of the response."""
        return float(self._summary(self._used())["rmse"])

    @property
    def mae(self) -> float:
        """Mean absolute error of prediction, on the scale of the response."""
        return float(self._summary(self._used())["mae"])

    @property
    def log_score(self) -> float:
        """Mean logarithm of the predictive density at what was observed; larger is better."""
        return float(self._summary(self._used())["log_score"])

    @property
    def deviance(self) -> float:
        """Mean squared deviance residual at the prediction; NaN of a linear model."""
        return self._score("deviance")

    @property
    def brier(self) -> float:
        """Mean over the trials of (outcome - probability) squared; NaN of other families."""
        return self._score("brier")

    def _score(self, name: str) -> float:
        return float(self._summary(self._used()).get(name, np.nan))

    @property
    def coverage(self) -> float:
        """Share of the observations that are in their prediction interval."""
        return float(self._summary(self._used())["coverage"])

    def _used(self) -> pd.DataFrame:
        used = np.isfinite(self.rows["fit"]) & (self.rows["weight"] > 0.0)
        kept: pd.DataFrame = self.rows.loc[used]
        return kept

    def _summary(self, rows: pd.DataFrame) -> dict[str, float]:
        names = ["n", "rmse", "mae", *self.scores, "log_score", "coverage", *self.metrics]
        weight = rows["weight"].to_numpy(float)
        if not np.sum(weight):
            return {**dict.fromkeys(names, np.nan), "n": 0.0}
        observed, fit = rows["observed"].to_numpy(float), rows["fit"].to_numpy(float)
        inside = (rows["lower"] <= observed) & (observed <= rows["upper"])
        out = {
            "n": float(np.sum(weight)),
            "rmse": float(np.sqrt(np.average((observed - fit) ** 2, weights=weight))),
            "mae": float(np.average(np.abs(observed - fit), weights=weight)),
            **{name: _averaged(rows, name, weight) for name in self.scores},
            "log_score": float(np.average(rows["log_score"], weights=weight)),
            "coverage": float(np.average(inside, weights=weight)),
        }
        return {**out, **{name: self._measure(name, observed, fit) for name in self.metrics}}

    def _measure(self, name: str, observed: Array, fit: Array) -> float:
        """One of the user's own, whose errors are named."""
        try:
            return float(self.metrics[name](observed, fit))
        except Exception as err:  # any error of the caller's function
            raise InvalidArgumentError(
                f"metrics: {name!r} gave no number of (observed, fit), two arrays: "
                f"{type(err).__name__}: {err}"
            ) from err

    def to_frame(self) -> pd.DataFrame:
        """``n rmse mae log_score coverage`` of all rows, and of those in known and new groups.

        Of a generalised model ``deviance`` and ``brier``, too.
        """
        used = self._used()
        parts = {"all": used, "known groups": used[~used["new"]], "new groups": used[used["new"]]}
        kept = {name: rows for name, rows in parts.items() if len(rows) or name == "all"}
        out = pd.DataFrame([self._summary(rows) for rows in kept.values()], index=list(kept))
        return out.astype({"n": int})

    def by_fold(self) -> pd.DataFrame:
        """The same by fold."""
        used = self._used()
        found = {fold: self._summary(rows) for fold, rows in used.groupby("fold", sort=True)}
        out = pd.DataFrame(found.values(), index=pd.Index(found, name="fold"))
        return out.astype({"n": int})

    def to_text(self) -> str:
        """Write the errors, and what went wrong."""
        lines = [
            f"Cross-validation by {self.by}, {self.n_folds} folds, {_WORDS[self.theta]}; "
            f"{100.0 * self.level:g} % prediction intervals",
            format_columns(self.to_frame()),
        ]
        lines += [f"no fit in {n} fold(s): {why}" for why, n in self.failures.items()]
        return "\n".join(lines)


def _averaged(rows: pd.DataFrame, name: str, weight: Array) -> float:
    """The mean of a score over the rows; Brier's over their trials."""
    if name == "brier":
        weight = weight * rows["trials"].to_numpy(float)
    return float(np.average(rows[name].to_numpy(float), weights=weight))

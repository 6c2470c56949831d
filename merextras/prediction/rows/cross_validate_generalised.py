"""Folds of a generalised model's cross-validation: each fitted to the others and predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from merextras.accessors.generalised import unit_of
from merextras.engine.generalised.criterion.marginal import linked
from merextras.foundation.aliases import Array, IntArray
from merextras.model.design.user_rows import in_user_rows
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.other_rows import fit_part
from merextras.model.generalised.responses.new_responses import NewResponses
from merextras.model.newdata.rows import NewRows, own_rows
from merextras.prediction.rows.predict_generalised import variances_of

#: Scores of a row besides the logarithm of its density; the second of a binomial response alone.
SCORES = ("deviance", "brier")
_NO_INFORMATION = "the information matrix is not positive definite"


@dataclass(frozen=True, eq=False)
class GeneralisedFolding:
    """What each fold is predicted from and with.

    Attributes
    ----------
    model : FittedGlmm
    codes : (n,) array
        The fold of each row.
    refit : bool
        Whether covariances and dispersion are estimated anew in each.
    level : float
    """

    model: FittedGlmm
    codes: IntArray
    refit: bool
    level: float

    @property
    def n_folds(self) -> int:
        """How many there are."""
        return int(self.codes.max()) + 1

    @property
    def scores(self) -> tuple[str, ...]:
        """Which scores rows have besides those of a linear model."""
        return SCORES if self.model.choice.has_trials else SCORES[:1]

    @cached_property
    def _rows(self) -> NewRows:
        return own_rows(self.model.design)

    def predict(self, which: IntArray) -> list[Array | str]:
        """``row fit std_error lower upper log_score new`` and scores of some folds, or why not."""
        return [self._one(int(g)) for g in which]

    def _one(self, g: int) -> Array | str:
        there = self.codes == g
        left_out, rest = np.flatnonzero(there), np.flatnonzero(~there)
        with np.errstate(all="ignore"):
            found = fit_part(self.model, rest, held=not self.refit)
        if isinstance(found, str):
            return found
        if not found.optimum.positive:
            return _NO_INFORMATION
        rows, new = self._left_out(left_out, rest)
        offset = self.model.design.offset
        eta = rows.estimates(found.joint) + (0.0 if offset is None else offset[left_out])
        trials = self.model.response.trials
        trials = None if trials is None else trials[left_out]
        law = NewResponses(found, eta, variances_of(found, rows, draw=True), trials)
        size = 1.0 if trials is None else trials
        tail = (1.0 - self.level) / 2.0
        y, fit = self.model.response.y[left_out], law.mean / size
        columns = [
            left_out,
            fit,
            np.sqrt(law.variances) / size,
            law.quantiles(tail) / size,
            law.quantiles(1.0 - tail) / size,
            law.log_density(y),
            new,
            _deviances(found, y, trials, fit),
        ]
        if trials is not None:
            columns.append((y * (1.0 - fit) ** 2 + (trials - y) * fit**2) / trials)
        return np.column_stack(columns)

    def _left_out(self, left_out: IntArray, rest: IntArray) -> tuple[NewRows, Array]:
        """The rows of a fold in terms of the model without it, and which have a new level."""
        rows, new, codes = self._rows.take(left_out), np.zeros(len(left_out), dtype=bool), []
        levels = []
        for own, every in zip(rows.codes, self._rows.codes, strict=True):
            there = np.unique(every[rest])
            place = np.full(int(every.max()) + 1, -1, dtype=np.intp)
            place[there] = np.arange(len(there))
            codes.append(place[own])
            levels.append(len(there))
            new |= codes[-1] < 0
        return replace(rows, codes=tuple(codes), n_levels=tuple(levels)), new

    def frame(self, found: Sequence[Array | str], labels: pd.Index) -> pd.DataFrame:
        """The rows with their predictions, in the user's order."""
        design, response = self.model.design, self.model.response
        names = ["fit", "std_error", "lower", "upper", "log_score", "new", *self.scores]
        values = np.full((design.n, len(names)), np.nan)
        for part in found:
            if not isinstance(part, str):
                values[part[:, 0].astype(int)] = part[:, 1:]
        out = pd.DataFrame(values, columns=names, index=design.index)
        out.insert(0, "fold", labels.take(self.codes))
        out.insert(1, "observed", response.observed)
        out["new"] = out["new"] == 1.0
        if response.trials is not None:
            out["trials"] = response.trials
        out["weight"] = 1.0
        return in_user_rows(out, design.user_rows)


def _deviances(model: FittedGlmm, y: Array, trials: Array | None, mean: Array) -> Array:
    """Twice what the log-densities at means lack of their largest, times the dispersion, (m,)."""
    family, phi = model.choice.of(y, trials), model.phi
    with np.errstate(all="ignore"):
        at = family.log_density(linked(model.choice.link, mean), phi)
    lacking = np.maximum(family.saturated(phi) - at, 0.0)
    return np.asarray(2.0 * unit_of(model) * lacking)

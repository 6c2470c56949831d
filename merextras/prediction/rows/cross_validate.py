"""Cross-validation: the error of predictions for rows and groups left out of the fit."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from joblib import delayed
from scipy import stats
from tqdm import tqdm

from merextras.diagnostics.case_deletion.influence import row_groups, table_of
from merextras.engine.deletion.one_by_one import solution_without
from merextras.engine.deletion.tables import Deletions, Whole
from merextras.engine.solution.pls import Solution
from merextras.exceptions import ApproximationWarning, InvalidArgumentError, MerextrasError
from merextras.foundation.aliases import Array, IntArray, Rng
from merextras.foundation.arguments import check_choice, check_count, check_jobs, check_level
from merextras.foundation.jobs import in_order
from merextras.foundation.rng import as_generator
from merextras.model.design.design import Design
from merextras.model.design.user_rows import in_user_rows
from merextras.model.fit.part_of_rows import fit_to_part
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.newdata.rows import NewRows, own_rows
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import refit_start
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.combinations.prediction_variance import relative_variances
from merextras.prediction.rows.cross_validate_generalised import GeneralisedFolding
from merextras.results.replicates.cross_validation import CrossValidation

__all__ = ["cross_validate"]

# Folds that are predicted before a report, and how many take long enough for a progress bar.
_FEW, _LONG = 16, 500


def cross_validate(
    m: object,
    *,
    by: Any = "row",
    folds: int | str = "each",
    theta: str = "refit",
    level: float = 0.95,
    metrics: Mapping[str, Callable[[Array, Array], Any]] | None = None,
    rng: Rng = None,
    n_jobs: int = 1,
) -> CrossValidation:
    r"""Predict every row from a fit without it, and say how far off that is.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    by : str, or (n,) array or Series of labels
        What is left out together: ``"row"``, or the levels of a factor or variable of the model
        (``"school"``: how well are *new* schools predicted?).
    folds : "each" or int
        Each row or level by itself, or that many folds of rows or levels at random, of the same
        size but for one.
    theta : {"refit", "held"}
        The covariances of the random effects: estimated anew without each fold, or held at the
        estimates of all rows, which is faster and a little optimistic. Fixed effects, sigma and
        the modes of the random effects are those of the other rows in either case.
    level : float, default 0.95
        Of the prediction intervals whose coverage is counted.
    metrics : mapping name -> callable, optional
        Further measures, ``f(observed, fit)``, beside those below.
    rng : int, numpy.random.Generator or None
        For folds at random.
    n_jobs : int, default 1
        Processes (joblib); -1 for all cores. The result does not depend on it.

    Returns
    -------
    CrossValidation
        ``.rmse``, ``.mae``, ``.log_score``, ``.coverage``, of a model of `glmer` ``.deviance`` and
        of a binomial one ``.brier``; ``.to_frame()`` has them for rows of known and of new groups;
        ``.rows`` has each row's prediction; ``.by_fold()``.

    Raises
    ------
    InvalidArgumentError
        An unknown `by`; folds that are fewer than two or more than rows or levels; another
        argument that is not allowed.
    NoRowsError
        A model that was fitted from chunks.
    MerextrasError
        No fold has a fit.

    Warns
    -----
    ApproximationWarning
        Some folds have no fit, such as one that leaves fewer than two levels of a factor: their
        rows are not counted, and ``.failures`` says why.

    See Also
    --------
    MerMod.predict, MerMod.influence

    Notes
    -----
    Each fold is fitted from the cross-products of all rows less its own, exactly, without another
    pass over the data. A row's prediction is normal, or rather Student's t with n - p degrees of
    freedom of the rows that are left, with the variance of ``predict(interval="prediction",
    allow_new_levels="draw")``: the effects of a level that is not among the other rows are zero
    with their whole variance. `log_score` is the mean logarithm of that density at the
    observation. Rows of weight zero are no observations; a row with a frequency is left out as a
    whole and counts as often.

    R has no counterpart in lme4; the package cv refits for each fold.

    Of a generalised model (`glmer`) a row is predicted as a response whose linear predictor is
    normal, with the mean and variance of ``predict(type="link", allow_new_levels="draw")`` from the
    fit without its fold: `fit` is the expectation over that (of a new group the population's
    mean), `log_score` the logarithm of the probability or density of what was observed, `lower` and
    `upper` are quantiles. By ``theta="held"`` the dispersion is held, too. `deviance` is the mean
    of the squared deviance residuals at `fit`, `brier` the mean over the trials of the squared
    difference between their outcome, 0 or 1, and `fit`.

    **Cost** a fold: a factorisation, and with ``theta="refit"`` some four iterations; of a
    generalised model a fit, some milliseconds.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> round(mx.cross_validate(m).rmse, 1), round(mx.cross_validate(m, by="Subject").rmse, 1)
    (28.7, 49.6)
    """
    model = as_fitted(m, generalised=True)
    check_choice(theta, ("refit", "held"), "theta")
    level, n_jobs = check_level(level), check_jobs(n_jobs)
    own = _metrics(metrics)
    model.design.require_rows("cross_validate", "rows are left out and predicted")
    codes, labels, name = _folds(model.design, by, folds, rng)
    folding = _folding(model, codes, len(labels), theta == "refit", level)
    found = _all(folding, n_jobs)
    failures = Counter(part for part in found if isinstance(part, str))
    _report(failures, len(labels))
    rows, reasons = folding.frame(found, labels), dict(failures)
    scores = folding.scores
    made = CrossValidation(rows, name, len(labels), theta, level, own, reasons, scores)
    if own:
        made.to_frame()  # an error of the user's functions belongs here
    return made


def _folding(
    model: FittedModel, codes: IntArray, n_folds: int, refit: bool, level: float
) -> _Folding | GeneralisedFolding:
    """What the folds of a model are predicted with."""
    if isinstance(model, FittedGlmm):
        return GeneralisedFolding(model, codes, refit, level)
    table = table_of(model)
    whole = Whole(model.point, table, refit_start(model), model._fit.control.engine)
    deletions = Deletions(codes, table.frequencies, n_folds)
    kind = _Folding if model.design.residual is None else _FoldingByStrata
    return kind(whole, deletions, own_rows(model.design), refit, level, model)


def _metrics(given: object) -> dict[str, Callable[[Array, Array], Any]]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(callable(f) for f in given.values()):
        raise InvalidArgumentError(
            f"metrics={given!r}: expected a mapping of names to functions of (observed, fit)"
        )
    return {str(name): f for name, f in given.items()}


def _folds(design: Design, by: Any, folds: Any, rng: Rng) -> tuple[IntArray, pd.Index, str]:
    """The fold of each row, the folds' labels, and what is left out."""
    is_row = isinstance(by, str) and by == "row" and by not in design.columns
    codes, labels, name = row_groups(design, None if is_row else by, argument="by")
    name = "row" if is_row else name
    if isinstance(folds, str):
        check_choice(folds, ("each",), "folds")
        if len(labels) < 2:
            raise InvalidArgumentError(f"by={by!r}: there is one level; nothing is left without it")
        return codes, labels, name
    count = check_count(folds, "folds")
    if not 2 <= count <= len(labels):
        raise InvalidArgumentError(
            f"folds={folds!r}: at least 2 and at most the {len(labels)} there are of {name}, or "
            "'each'"
        )
    order = as_generator(rng).permutation(len(labels))
    place = np.empty(len(labels), dtype=np.intp)
    place[order] = np.arange(len(labels)) % count
    return place[codes], pd.RangeIndex(1, count + 1), name


@dataclass(frozen=True)
class _Folding:
    """What each fold is predicted from and with."""

    whole: Whole
    deletions: Deletions
    rows: NewRows
    refit: bool
    level: float
    model: FittedModel
    scores: ClassVar[tuple[str, ...]] = ()

    @property
    def n_folds(self) -> int:
        """How many there are."""
        return int(self.deletions.m)

    def predict(self, which: IntArray) -> list[Array | str]:
        """``row fit std_error lower upper log_score new`` of some folds, or why they have none."""
        return [self._one(int(g)) for g in which]

    def _one(self, g: int) -> Array | str:
        left_out, _ = self.deletions.rows_of(np.array([g]))
        without = self._without(g, left_out)
        if isinstance(without, str):
            return without
        found, precision = without
        rows = self.rows.take(left_out)
        fit = rows.x @ found.beta + np.sum(rows.effects(found.b), axis=0)
        residual = np.where(
            precision > 0.0, 1.0 / np.where(precision > 0.0, precision, 1.0), np.nan
        )
        error = np.sqrt(found.sigma2 * (relative_variances(found, rows) + residual))
        df = found.sigma_df
        half = stats.t.isf((1.0 - self.level) / 2.0, df) * error
        density = stats.t.logpdf(self.whole.rows.y[left_out], df, loc=fit, scale=error)
        new = self._new(left_out, rows)
        return np.column_stack([left_out, fit, error, fit - half, fit + half, density, new])

    def _without(self, g: int, left_out: IntArray) -> tuple[Solution, Array] | str:
        """The estimates without a fold, and what sigma**2 is over in its rows."""
        found = solution_without(self.whole, self.deletions, g, full=self.refit)
        return found if isinstance(found, str) else (found, self.whole.rows.precision[left_out])

    def _new(self, left_out: IntArray, rows: NewRows) -> Array:
        """Whether a level of a row has no observation outside of the fold."""
        taken = self.whole.rows.observations[left_out]
        new = np.zeros(len(left_out), dtype=bool)
        for codes, counts in zip(rows.codes, self.whole.level_counts, strict=True):
            gone = np.bincount(codes, taken, minlength=len(counts))
            new |= (counts - gone)[codes] < 0.5
        return new

    def frame(self, found: Sequence[Array | str], labels: pd.Index) -> pd.DataFrame:
        """The rows with their predictions, in the user's order."""
        design = self.model.design
        values = np.full((design.n, 6), np.nan)
        for part in found:
            if not isinstance(part, str):
                values[part[:, 0].astype(int)] = part[:, 1:]
        offset = np.zeros(design.n) if design.offset is None else design.offset
        fit, error, lower, upper, density, new = values.T
        columns = {
            "fold": labels.take(self.deletions.codes),
            "observed": design.y,
            "fit": fit + offset,
            "std_error": error,
            "lower": lower + offset,
            "upper": upper + offset,
            "log_score": density,
            "new": new == 1.0,
            "weight": self.whole.rows.observations,
        }
        return in_user_rows(pd.DataFrame(columns, index=design.index), design.user_rows)


class _FoldingByStrata(_Folding):
    """The same of a model with residual variances by group, which each fold estimates again."""

    def _without(self, g: int, left_out: IntArray) -> tuple[Solution, Array] | str:
        del g
        observations = self.whole.rows.observations.copy()
        observations[left_out] = 0.0
        found = fit_to_part(self.model, observations, keep_levels=True, held=not self.refit)
        if isinstance(found, str):
            return found
        fit, groups = found
        before, after = self.model.design.residual, fit.design.residual
        assert before is not None
        assert before.codes is not None
        assert after is not None
        at = groups[before.codes[left_out]]
        if np.any(at < 0):
            gone = before.levels[before.codes[left_out][at < 0][0]]
            return f"no row of the group {gone!r} is left, whose residual variance is not known"
        weights = self.model.design.weights
        own = np.ones(len(left_out)) if weights is None else weights[left_out]
        return fit.solution, own * after.omega[at]


def _all(folding: _Folding | GeneralisedFolding, n_jobs: int) -> list[Array | str]:
    every = np.arange(folding.n_folds)
    parts = [every[at : at + _FEW] for at in range(0, len(every), _FEW)]
    found: Iterable[list[Array | str]] = (folding.predict(part) for part in parts)
    if n_jobs != 1 and len(parts) > 1:
        found = in_order((delayed(folding.predict)(part) for part in parts), n_jobs)
    out: list[Array | str] = []
    disable = None if len(every) >= _LONG else True
    with tqdm(total=len(every), desc="cross-validation", unit="folds", disable=disable) as bar:
        for part, result in zip(parts, found, strict=True):
            out += result
            bar.update(len(part))
    return out


def _report(failures: Counter[str], n_folds: int) -> None:
    failed = failures.total()
    if failed == 0:
        return
    reason, count = failures.most_common(1)[0]
    if failed == n_folds:
        raise MerextrasError(f"cross_validate: no fold has a fit; {count} of them: {reason}")
    warnings.warn(
        f"cross_validate: {failed} of {n_folds} folds have no fit, and their rows are not "
        f"counted; {count} of them: {reason}",
        ApproximationWarning,
        stacklevel=3,
    )

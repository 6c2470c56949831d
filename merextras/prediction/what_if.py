"""What cases would be if they belonged to other groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from merextras._checks import check_choice, check_columns, check_count, check_frame, check_level
from merextras._rng import as_generator
from merextras._typing import Array, IntArray, Rng
from merextras.engine import joint
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.design import Design, labels_of
from merextras.model.fitted import FittedModel
from merextras.model.mixedlm import as_fitted
from merextras.model.rows import NewRows, level_codes, new_rows, unseen
from merextras.simulation.sim import draw_effects, factor_levels

#: Numbers held at a time for the intervals (32 MB).
_BLOCK = 2**22


def what_if(
    m: object,
    cases: pd.DataFrame,
    group: str,
    levels: Sequence[object] | None = None,
    *,
    n_sims: int | None = 1000,
    level: float = 0.95,
    rng: Rng = None,
) -> pd.DataFrame:
    r"""Predict each case in each level of a grouping factor.

    "What would these students be like at the other schools?" Everything about a case stays as it
    is, but for the level it belongs to.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    cases : DataFrame
        A row per case, with the variables of the model; its index names the cases and must be
        unique. The columns of `group` and the response may be left out.
    group : str
        The grouping factor, such as ``school``, or ``class:school`` for a nested one.
    levels : level or sequence of levels, optional
        Levels to put the cases in, all of the factor's by default.
    n_sims : int or None, default 1000
        Draws for the intervals. With None they are exact (see Notes) and nothing is drawn; use it
        for large models.
    level : float, default 0.95
        Coverage of the intervals.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers.

    Returns
    -------
    DataFrame
        ``case level fixed effect fit lower upper own_level observed shift distance``, a row for
        each case and level, cases outermost, on the scale of the response.

        - `fixed`: X beta of the case.
        - `effect`: z'b, the conditional modes of *all* terms with the case's own covariates. The
          factors that do not move stay at the case's own levels.
        - `fit`: fixed + effect, without an offset.
        - `lower` and `upper`: interval of this linear predictor, a conditional mean; there is no
          residual noise in it.
        - `own_level`: the level in `cases`; NaN if its columns are not there.
        - `observed`: the response in `cases`, or NaN.
        - `shift`: fit less the fit at the case's own level; NaN if the model does not know it.
        - `distance`: fit - observed.

    Raises
    ------
    InvalidArgumentError
        An unknown `group`; levels that the model has not seen, or one given twice; cases that are
        empty, lack a column, have a repeated index label, a missing value in a predictor, or an
        unseen level of a factor that does not move; `level` outside (0, 1); `n_sims` not positive.
    UnsupportedModelError
        A random effect's covariate can't be made from its name alone.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    merextras.simulation.sim.sim : The draws, and their formula.
    merextras.simulation.re_sim.re_sim : Summaries of the effects that are added here.

    Notes
    -----
    To move a case is to change the columns that the level is made of; all that is made of these
    columns follows. Moving a student to school II makes ``class:school`` ``a:II`` of ``a:I``, and a
    fixed effect of the school changes too; moving to ``class:school`` ``b:II`` moves to school II.
    Where the moved inner level does not exist in the data, its effect is expected to be zero and
    its variance before any data is in the interval; so it is where the case's own inner level is
    one that the model does not know. A factor with columns of its own (a student, a school
    year, a cask labelled ``A:a``) stays as it is.

    Intervals are quantiles of ``x'beta + z'b`` over joint draws of (beta, b, sigma), theta held at
    its estimate. With the joint covariance C of `sim` and :math:`s^2 = r^2/(n-p)` these converge
    to the exact ones, which ``n_sims=None`` gives,

    .. math:: x'\hat\beta + z'\hat b \pm t_{n-p} \, s \, \sqrt{(x, z)' C (x, z)},

    plus :math:`z'\Lambda\Lambda'z` under the root for an effect without data. The effects of
    fixed and random parts cancel largely, so that intervals are far narrower than from
    independent draws of the two.

    **R counterpart**: none as a function; the tutorial's section "What Do Random Effects Matter?"
    builds `fit` by hand from the mean of simulated effects, without intervals. Here `fit` has the
    conditional mode itself. ``merTools::REimpact`` averages over bins of groups.

    **Cost**: O(cases x levels x (p + effects per row + n_sims)) time. All random effects are drawn
    for each simulation, of which those that some row needs are kept.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.prediction.what_if import what_if
    >>> students = load_dataset("students")
    >>> fit = smf.mixedlm("extro ~ open + agree + social", students, groups="school").fit()
    >>> moved = what_if(fit, students.head(2), "school", ["I", "IV", "VI"], n_sims=None)
    >>> columns = ["case", "level", "fit", "lower", "upper", "own_level", "shift"]
    >>> moved[columns].round(1)
       case level   fit  lower  upper own_level  shift
    0     0     I  46.3   45.8   46.7        IV  -16.1
    1     0    IV  62.3   61.8   62.8        IV    0.0
    2     0    VI  74.3   73.8   74.8        IV   12.0
    3     1     I  46.3   45.8   46.7        II   -7.9
    4     1    IV  62.3   61.9   62.7        II    8.1
    5     1    VI  74.3   73.9   74.7        II   20.1
    """
    model = as_fitted(m)
    design = model.design
    check_frame(cases, "cases")
    check_choice(group, design.factors, "group")
    level = check_level(level)
    n_sims = None if n_sims is None else check_count(n_sims, "n_sims")
    generator = as_generator(rng)
    chosen = _chosen_levels(design, group, levels)
    _check_cases(design, cases, group)
    rows = new_rows(model, _moved(design, cases, group, chosen), unknown="zero", name="cases")
    fixed, effect = _parts(model, rows)
    fit = fixed + effect
    bad = np.flatnonzero(~np.isfinite(fit)) // len(chosen)
    if len(bad):
        where = cases.index[np.unique(bad)[:10]].tolist()
        raise InvalidArgumentError(f"cases: no finite prediction for {where}")
    if n_sims is None:
        lower, upper = _exact(model, rows, fit, level)
    else:
        lower, upper = _simulated(model, rows, n_sims, level, generator)
    own = _own(model, cases, group)
    each = np.repeat(np.arange(len(cases)), len(chosen))
    observed = _observed(design, cases)[each]
    columns = {
        "case": cases.index.to_flat_index()[each],
        "level": chosen[np.tile(np.arange(len(chosen)), len(cases))],
        "fixed": fixed,
        "effect": effect,
        "fit": fit,
        "lower": lower,
        "upper": upper,
        "own_level": own.labels[each],
        "observed": observed,
        "shift": fit - own.fit[each],
        "distance": fit - observed,
    }
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})


@dataclass(frozen=True)
class _Own:
    """The cases' own levels and the fits there; NaN where not known."""

    labels: pd.Index
    fit: Array


def _columns(design: Design, group: str) -> tuple[str, ...]:
    """Name the columns that the levels of a factor are made of."""
    return design.terms[design.terms_of(group)[0]].columns


def _chosen_levels(design: Design, group: str, levels: object) -> pd.Index:
    known = factor_levels(design, group)
    if levels is None:
        return known
    given: list[object] = [levels]
    if isinstance(levels, Iterable) and not isinstance(levels, str):
        given = list(levels)
    if not given:
        raise InvalidArgumentError("levels=[]: give at least one level, or None for all")
    at = known.get_indexer(pd.Index(given, dtype=object))
    if np.any(at < 0):
        new = [label for label, code in zip(given, at, strict=True) if code < 0]
        raise InvalidArgumentError(f"levels: {unseen(new, known, group)}")
    if len(set(at)) < len(at):
        twice = [str(label) for label in known[np.flatnonzero(np.bincount(at) > 1)]]
        raise InvalidArgumentError(f"levels={given!r}: each level once; more than once: {twice}")
    return known[at]


def _check_cases(design: Design, cases: pd.DataFrame, group: str) -> None:
    """Check that the cases have all that is used, without missing values in predictors."""
    moving = set(_columns(design, group))
    stays = [term for term in design.terms if not moving & set(term.columns)]
    predictors = dict.fromkeys(design.fixed.variables)
    others = {column for term in design.terms for column in term.columns}
    for term in design.terms:
        of_formula = term.covariates.formula
        names = term.names if of_formula is None else of_formula.variables
        predictors.update(dict.fromkeys(name for name in names if name in design.frame.columns))
    needed = [c for c in dict.fromkeys((*predictors, *sorted(others))) if c not in moving]
    check_columns(cases, needed, "cases")
    repeated = cases.index[cases.index.duplicated()]
    if len(repeated):
        raise InvalidArgumentError(
            "cases: index labels name the cases and must be unique; repeated: "
            f"{[str(label) for label in repeated.unique()[:10]]}. Use cases.reset_index(drop=True)"
        )
    missing = cases[needed].isna()
    if missing.to_numpy().any():
        where = {c: cases.index[missing[c]].tolist()[:10] for c in needed if missing[c].any()}
        raise InvalidArgumentError(f"cases: missing values, by column and case: {where}")
    for term in stays:
        level_codes(term, cases, "error", "cases")


def _moved(design: Design, cases: pd.DataFrame, group: str, levels: pd.Index) -> pd.DataFrame:
    """Repeat the cases for each level, with the columns that the level is made of."""
    columns = list(_columns(design, group))
    each = np.repeat(np.arange(len(cases)), len(levels))
    moved = cases.iloc[each].reset_index(drop=True)
    values = _values_of(design, group, columns, levels)
    again = np.tile(np.arange(len(levels)), len(cases))
    return moved.assign(**{name: values[name].iloc[again].to_numpy() for name in columns})


def _values_of(design: Design, group: str, columns: list[str], levels: pd.Index) -> pd.DataFrame:
    """Find the values of a factor's columns in each level, as in the data of the model."""
    if len(columns) == 1:
        return pd.DataFrame({columns[0]: levels})
    if not set(columns) <= set(design.frame.columns):
        raise UnsupportedModelError(
            f"group={group!r}: the columns {columns} are not in the data of the model, so that a "
            "level can't be taken apart; fit the model from a data frame that has them"
        )
    labels = labels_of(design.frame, columns)
    first = ~labels.duplicated()
    known = design.frame.loc[first, columns].set_axis(labels[first], axis=0)
    return known.loc[levels]


def _parts(model: FittedModel, rows: NewRows) -> tuple[Array, Array]:
    """Add up the fixed and the random part of each row, in an order that rows do not change."""
    fixed = np.einsum("mp,p->m", rows.x, model.solution.beta)
    return fixed, np.sum(rows.effects(model.solution.b), axis=0)


def _own(model: FittedModel, cases: pd.DataFrame, group: str) -> _Own:
    columns = _columns(model.design, group)
    nothing = np.full(len(cases), np.nan)
    if not set(columns) <= set(cases.columns):
        return _Own(pd.Index(nothing), nothing)
    rows = new_rows(model, cases, unknown="zero", name="cases")
    codes = rows.codes[model.design.terms_of(group)[0]]
    fixed, effect = _parts(model, rows)
    absent = cases[list(columns)].isna().any(axis=1).to_numpy()
    labels = pd.Series(labels_of(cases, columns)).mask(absent)
    return _Own(pd.Index(labels.infer_objects()), np.where(codes < 0, np.nan, fixed + effect))


def _observed(design: Design, cases: pd.DataFrame) -> Array:
    if design.response not in cases.columns:
        return np.full(len(cases), np.nan)
    try:
        return cases[design.response].to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise InvalidArgumentError(
            f"cases: the response {design.response!r} must be numeric, not "
            f"{cases[design.response].dtype}"
        ) from None


def _exact(model: FittedModel, rows: NewRows, fit: Array, level: float) -> tuple[Array, Array]:
    """Intervals by Student's t: theta known, sigma**2 from n - p degrees of freedom."""
    solution = model.solution
    df = solution.n - solution.p
    out = np.empty(len(rows))
    step = max(1, _BLOCK // (len(solution.factor.tail) + solution.p))
    for start in range(0, len(rows), step):
        part = rows.take(slice(start, start + step))
        variance = joint.variances(solution, part.z, part.x) + part.prior(solution.factor.lams)
        out[start : start + step] = np.sqrt(solution.pwrss / df * variance)
    half = float(stats.t.isf((1.0 - level) / 2.0, df)) * out
    return fit - half, fit + half


def _simulated(
    model: FittedModel, rows: NewRows, n_sims: int, level: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Quantiles of the linear predictor over joint draws, in blocks of rows."""
    keep: list[IntArray] = [np.unique(codes[codes >= 0]) for codes in rows.codes]
    draws = draw_effects(model, n_sims, rng, keep)
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    out = np.empty((2, len(rows)))
    step = max(1, _BLOCK // n_sims)
    for start in range(0, len(rows), step):
        part = rows.take(slice(start, start + step))
        eta = part.x @ draws.beta.T
        for codes, values, levels, b in zip(part.codes, part.values, keep, draws.b, strict=True):
            known = codes >= 0
            at = np.searchsorted(levels, codes[known])
            eta[known] += np.einsum("mk,mks->ms", values[known], b[at])
        prior = np.sqrt(part.prior(model.solution.factor.lams))
        new = prior > 0
        noise = rng.standard_normal((int(new.sum()), n_sims))
        eta[new] += prior[new, None] * draws.sigma * noise
        out[:, start : start + step] = np.quantile(eta, tails, axis=1)
    return out[0], out[1]

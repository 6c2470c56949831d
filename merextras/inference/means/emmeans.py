"""Estimated marginal means and trends."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras._checks import check_choice, check_level
from merextras._typing import Array, BoolArray, IntArray
from merextras.distributions.uncertainty import Uncertainty
from merextras.exceptions import InvalidArgumentError
from merextras.inference.ddf.kenward_roger import KenwardRoger
from merextras.inference.ddf.method import Method, method_of
from merextras.inference.ddf.satterthwaite import Satterthwaite
from merextras.inference.means.emmeans_grid import Grid, evaluated, reference_grid
from merextras.model.design.design import Design
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.means.emmeans import Emmeans

__all__ = ["emmeans", "emtrends"]

# Of a numeric variable's range, the step of its differences.
_STEP = 1e-3


def emmeans(
    m: object,
    specs: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    ddf: str = "kenward-roger",
    weights: str = "equal",
    level: float = 0.95,
) -> Emmeans:
    """Estimated marginal means of factors, emmeans' ``emmeans``.

    The model's predictions for the population (no random effects) at each combination of levels of
    the factors, averaged over the levels of the other factors, with covariates at their means.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model, of a patsy, formulaic or plain formula.
    specs : str or sequence of str
        Variables of the fixed part whose levels are wanted; ``()`` for the one overall mean. Also
        emmeans' formula, ``"~ a + b"`` or ``"~ a | b"``, which has `by` right of the bar.
    by : str or sequence of str, optional
        Further ones; contrasts stay within their levels.
    at : mapping of variable to values, optional
        What to hold numbers at instead of their means, or a choice of levels of factors. Several
        values of a variable that is not in `specs` are averaged over.
    ddf : {"kenward-roger", "satterthwaite", "asymptotic"}
        Degrees of freedom; with Kenward and Roger's the standard errors are theirs. There is no
        limit on the size of the data (emmeans' is 3000 rows).
    weights : {"equal", "proportional"}
        Of the levels that are averaged over: all the same, or by how often their combinations
        occur among the observations (frequency weights count, precision weights do not).
    level : float, default 0.95
        Of the confidence intervals.

    Returns
    -------
    Emmeans
        Prints as a table; ``to_frame()`` has the columns ``<factors> estimate std_error df conf_low
        conf_high``, and ``contrasts(...)`` compares the means. A mean that is not estimable,
        because the model has dropped columns, is NaN, and a note says so.

    Raises
    ------
    InvalidArgumentError
        A name that is no variable of the fixed part, an unknown level, method or weighting, a
        grid of more than some millions of cells, a formula without a finite value on it.
    UnsupportedModelError
        A factor computed in the formula, as ``C(x > 3)``.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit: everything is that of its refit by REML. emmeans keeps
        the ML estimates, and combines the two fits' covariances to degrees of freedom that belong
        to neither.

    See Also
    --------
    emtrends : Slopes instead of means.
    merextras.inference.means.joint_tests.joint_tests : F tests.

    Notes
    -----
    Searle, Speed & Milliken [1]_: with L the average of the rows of X over the grid, the mean is
    ``L beta``, its standard error ``sqrt(L V L')``. As in emmeans a number with no more than two
    values in the data is treated like a factor with two levels, and transforms are taken of the
    mean (``np.log(x)`` at log of the mean of x). An offset of the formula is that of the grid, and
    one by `lmer`'s argument is at its mean. L is estimable if it is orthogonal to the null space of
    X with all its columns. Means are on the scale of the response as it is in the formula.

    **Cost**: that of `merextras.engine.derivatives.information` once per model and O(cells p) for
    the grid.

    References
    ----------
    .. [1] Searle, S. R., Speed, F. M. and Milliken, G. A. (1980). Population marginal means in the
       linear model: an alternative to least squares means. *The American Statistician* 34(4).

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open + Q('class') + (1 | school)", students)
    >>> mx.emmeans(m, "class").to_frame().round(3)
      class  estimate  std_error     df  conf_low  conf_high
    0     a    57.418      3.999  5.004    47.142     67.695
    1     b    59.462      3.999  5.004    49.186     69.738
    2     c    61.116      3.999  5.004    50.839     71.392
    3     d    63.074      3.999  5.004    52.798     73.350
    """
    fitted, level = as_fitted(m), check_level(level)
    check_choice(weights, ("equal", "proportional"), "weights")
    grid = reference_grid(fitted.design, at)
    wanted, within = _wanted(grid, specs, by)
    method = method_of(fitted, ddf, stacklevel=3)
    return _marginal(grid, wanted, within, method, weights, level, "Estimated marginal means")


def emtrends(
    m: object,
    specs: str | Sequence[str],
    var: str,
    by: str | Sequence[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    ddf: str = "kenward-roger",
    weights: str = "equal",
    level: float = 0.95,
) -> Emmeans:
    """Slopes in a numeric variable at levels of factors, emmeans' ``emtrends``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    specs : str or sequence of str
        Variables whose levels are wanted; `var` itself, with values in `at`, gives slopes there.
    var : str
        A numeric column of the data that the fixed part uses.
    by, at, ddf, weights, level
        As in `emmeans`.

    Returns
    -------
    Emmeans
        Slopes in `estimate`, per unit of `var`.

    Raises
    ------
    InvalidArgumentError
        `var` is no numeric variable of the fixed part, or the formula has no finite value near the
        grid; and what `emmeans` raises.

    Notes
    -----
    The derivative of the population's prediction averaged over the grid, by central differences of
    the fourth order with steps of a thousandth of the range of `var`: exact for polynomials up to
    the fourth degree, and within some 1e-11 for smooth transforms. emmeans takes one-sided
    differences with such steps, which is some tenths of a per cent off where the line is curved.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open * Q('class') + (1 | school)", students)
    >>> mx.emtrends(m, "class", "open").to_frame().round(4).iloc[:, :3]
      class  estimate  std_error
    0     a    0.0206     0.0160
    1     b   -0.0023     0.0168
    2     c   -0.0022     0.0167
    3     d    0.0272     0.0173
    """
    fitted, level = as_fitted(m), check_level(level)
    check_choice(weights, ("equal", "proportional"), "weights")
    grid = reference_grid(fitted.design, at)
    wanted, within = _wanted(grid, specs, by)
    (var,) = grid.names(var, "var")
    slopes = derivative(grid, var)
    method = method_of(fitted, ddf, stacklevel=3)
    return _marginal(slopes, wanted, within, method, weights, level, f"Trends in {var}", var)


def _marginal(
    grid: Grid,
    wanted: tuple[str, ...],
    within: tuple[str, ...],
    method: Method,
    weights: str,
    level: float,
    what: str,
    var: str | None = None,
) -> Emmeans:
    shares = None if weights == "equal" else _shares(grid, wanted + within)
    labels, rows, offset = averaged(grid, within + wanted, shares)
    uncertainty = uncertainty_of(method)
    notes = _notes(grid, wanted + within, uncertainty.estimable(rows), var)
    labels = labels[[*wanted, *within]]
    return Emmeans(labels, within, rows, offset, uncertainty, level, what, notes)


def uncertainty_of(method: Method) -> Uncertainty:
    """What is needed of a method and its model."""
    model = method.model
    p = model.solution.p
    slopes, parameters = np.empty((0, p, p)), np.empty((0, 0))
    if isinstance(method, (Satterthwaite, KenwardRoger)):
        slopes, parameters = method.slopes, method.parameters
    kept, null, scale = _null_space(model.design)
    return Uncertainty(
        beta=model.solution.beta,
        transform=model.solution.cp.basis.transform,
        covariance=method.inner,
        plain=model.solution.sigma2 * model.solution.basis_covariance(),
        slopes=slopes,
        parameters=parameters,
        kept=kept,
        null=null,
        scale=scale,
        title=method.title,
    )


def _null_space(design: Design) -> tuple[IntArray, Array, Array]:
    """Where the kept columns are, the directions that X does not see, and the columns' lengths."""
    names = list(design.fixed.whole.names)
    if not design.fixed.dropped:
        size = np.linalg.norm(design.observed_rows(), axis=0)
        return np.arange(len(names)), np.empty((len(names), 0)), size
    x = design.observed_rows(as_written=True)
    size = np.linalg.norm(x, axis=0)
    size = np.where(size > 0.0, size, 1.0)
    _, _, right = np.linalg.svd(np.linalg.qr(x / size, mode="r"))
    null = right[len(design.fixed.names) :].T / size[:, None]
    return np.array([names.index(name) for name in design.fixed.names]), null, size


def derivative(grid: Grid, *variables: str) -> Grid:
    """The grid with X and offset differentiated by numeric variables, by each of them once.

    Raises
    ------
    InvalidArgumentError
        A variable is categorical or constant.
    """
    # A mixed derivative divides rounding by the product of the steps: they get larger.
    size = _STEP ** (5.0 / (4.0 + len(variables)))
    steps: list[tuple[str, float]] = []
    for var in variables:
        step = size * grid.design.spread(var) if var in grid.numbers else 0.0
        if step == 0.0:
            raise InvalidArgumentError(f"var={var!r}: there is no slope in what is not a number")
        steps.append((var, step))
    rows, offset = _differenced(grid, grid.frame, steps)
    return replace(grid, rows=rows, offset=offset)


def _differenced(
    grid: Grid, frame: pd.DataFrame, steps: Sequence[tuple[str, float]]
) -> tuple[Array, Array]:
    """X and offset at the rows of a frame, differentiated by the first variable last."""
    if not steps:
        return evaluated(grid.design, frame)
    (var, step), *others = steps
    rows, offset = np.zeros_like(grid.rows), np.zeros_like(grid.offset)
    for weight, by in ((8.0, 1), (-8.0, -1), (-1.0, 2), (1.0, -2)):
        moved = frame.assign(**{var: frame[var].astype(float) + by * step})
        x, o = _differenced(grid, moved, others)
        rows += weight * x
        offset += weight * o
    return rows / (12.0 * step), offset / (12.0 * step)


def averaged(
    grid: Grid, names: Sequence[str], shares: Array | None = None
) -> tuple[pd.DataFrame, Array, Array]:
    """X and offset averaged over all but the named variables; first the labels of the rows.

    The first of the names changes most slowly. `shares` are the weights of the cells, all the same
    by default.
    """
    shares = np.ones(len(grid.frame)) if shares is None else shares
    cells = grid.frame[list(names)]
    codes = np.zeros(len(cells), dtype=np.intp)
    for name in names:
        values = {value: i for i, value in enumerate(grid.values[name])}
        codes = codes * len(values) + np.array([values[v] for v in cells[name]], dtype=np.intp)
    total = np.bincount(codes, weights=shares)
    weight = shares / total[codes]
    out = np.zeros((len(total), grid.rows.shape[1]))
    np.add.at(out, codes, weight[:, None] * grid.rows)
    first = np.unique(codes, return_index=True)[1]
    labels = cells.iloc[first].reset_index(drop=True)
    offset = np.bincount(codes, weights=weight * grid.offset)
    return labels, out, np.asarray(offset, dtype=float)


def read_specs(specs: object) -> tuple[str, Any, list[str] | None]:
    """Take emmeans' formula ``"pairwise ~ a + b | c"`` apart: its left side, ``a b``, ``c``.

    Names that are no such formula come back as they are, with an empty left side.

    Raises
    ------
    InvalidArgumentError
        A formula without a name right of the tilde, or with more than one tilde or bar.
    """
    if not isinstance(specs, str) or "~" not in specs:
        return "", specs, None
    left, *rest = specs.split("~")
    sides = [
        [name.strip().strip("`") for name in re.split(r"[+*:]", side) if name.strip()]
        for part in rest
        for side in part.split("|")
    ]
    if len(rest) != 1 or not 1 <= len(sides) <= 2 or not sides[0]:
        raise InvalidArgumentError(f"specs={specs!r}: expected '~ a + b' or '~ a | b'")
    return left.strip(), [] if sides[0] == ["1"] else sides[0], sides[1] if sides[1:] else None


def _wanted(
    grid: Grid, specs: str | Sequence[str], by: str | Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    left, specs, bar = read_specs(specs)
    if bar is not None and by is not None:
        raise InvalidArgumentError(f"by={by!r}: the formula of specs has a bar already")
    by = bar if by is None else by
    if left:
        more = "" if by is None else f", by={by!r}"
        raise InvalidArgumentError(
            f"specs: {left!r} is a comparison of the means; give specs={specs!r}{more} and call "
            f".contrasts({left!r}) of the result"
        )
    within = grid.names(by, "by")
    return tuple(name for name in grid.names(specs, "specs") if name not in within), within


def _shares(grid: Grid, names: Sequence[str]) -> Array:
    """How often the combinations occur that are averaged over, whatever the named ones are."""
    over = [n for n in grid.values if n in grid.factors and n not in names]
    if not over:
        return np.ones(len(grid.frame))
    counts = grid.counts()
    groups = grid.frame[over].astype(object).apply(tuple, axis=1)
    return pd.Series(counts).groupby(groups).transform("sum").to_numpy(dtype=float)


def _notes(
    grid: Grid, names: Sequence[str], estimable: BoolArray, var: str | None
) -> tuple[str, ...]:
    several = [n for n, v in grid.values.items() if len(v) > 1 and n not in names and n != var]
    held = [n for n in grid.numbers if n not in names and len(grid.values[n]) == 1]
    notes = []
    if held:
        notes.append("At " + ", ".join(f"{n} = {grid.values[n][0]:.6g}" for n in held) + ".")
    if several:
        notes.append(f"Averaged over the levels of: {', '.join(several)}.")
    terms = [t for t in grid.design.term_variables() if t & set(names) and (not var or var in t)]
    involved = [n for n in several if any(n in t for t in terms)]
    if involved:
        notes.append(f"These interact with {', '.join(involved)}: an average may mislead.")
    if not np.all(estimable):
        notes.append(
            f"NaN: {int(np.sum(~estimable))} of {len(estimable)} are not estimable; they depend on "
            "coefficients that the data do not determine."
        )
    return tuple(notes)

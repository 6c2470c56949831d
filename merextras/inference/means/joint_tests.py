"""F tests of the terms of a fixed part on its reference grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from merextras.distributions.uncertainty import Uncertainty
from merextras.engine.kernels.dense import orthonormal
from merextras.foundation.aliases import Array
from merextras.inference.ddf.method import Method, f_row, method_of
from merextras.inference.functions.averages import averaged
from merextras.inference.functions.estimable import uncertainty_of
from merextras.inference.functions.grid import Grid, reference_grid
from merextras.inference.functions.slopes import derivative
from merextras.model.design.design import Design
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table
from merextras.results.means.contrasts import groups

__all__ = ["joint_tests"]

_COLUMNS = ["num_df", "den_df", "statistic", "p_value"]


def joint_tests(
    m: object,
    by: str | Sequence[str] | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    ddf: str = "kenward-roger",
    cluster: Any = None,
) -> pd.DataFrame:
    """F tests of main effects and interactions of the marginal means, emmeans' ``joint_tests``.

    What a main effect or an interaction of the *means* is does not depend on the coding of factors
    nor on where a covariate has its zero, unlike the terms of `MerMod.anova` where a factor and a
    covariate interact: there the factor is tested at the covariate's zero, here at its mean.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    by : str or sequence of str, optional
        Variables within whose levels the others are tested.
    at : mapping of variable to values, optional
        As in `emmeans`.
    ddf : {"kenward-roger", "satterthwaite", "asymptotic", "CR0", "CR1", "CR2"}
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.

    Returns
    -------
    DataFrame
        A row per term, and per level of `by`: ``term <by> num_df den_df statistic p_value note``.
        Empty cells leave fewer degrees of freedom, and the note says so; ``attrs["notes"]`` says
        if the tests leave out some of what the fixed part can express (empty cells, powers of a
        covariate).

    Raises
    ------
    InvalidArgumentError, UnsupportedModelError
        As `emmeans`.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit.

    Notes
    -----
    The hypothesis of a term is that the products of consecutive contrasts of its factors, averaged
    over the others with equal weights, are zero; a numeric variable enters by the derivative at its
    mean (or at `at`). The F test is that of `contest`. emmeans has the same hypotheses (for
    covariates with differences over two units instead of derivatives), but its F of several
    contrasts lacks Kenward and Roger's scale factor and takes other degrees of freedom; for one
    contrast the two are the same. The offset is not tested. Of a model of `glmer` the means are
    linear predictors and the test Wald's: `statistic` is the chi-square over `num_df`, `den_df`
    infinite, whatever the default of `ddf`.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> m = mx.lmer("extro ~ open * Q('class') + (1 | school)", students)
    >>> mx.joint_tests(m).round(3).drop(columns="note")
             term  num_df    den_df  statistic  p_value
    0        open       1  1187.003      1.680    0.195
    1       class       3  1187.000    622.900    0.000
    2  open:class       3  1187.002      0.833    0.476
    """
    fitted = as_fitted(m, generalised=True)
    grid = reference_grid(fitted.design, at)
    within = grid.closed(grid.names(by, "by"))
    method = method_of(fitted, ddf, cluster=cluster, stacklevel=3, default="kenward-roger")
    uncertainty = uncertainty_of(method)
    functions = {term: _functions(grid, term, within) for term in _terms(grid, within)}
    made, tested = [], [np.empty((0, grid.rows.shape[1]))]
    levels = averaged(grid, within)[0].itertuples(index=False, name=None) if within else [()]
    for i, level in enumerate(levels):
        for term, rows in functions.items():
            row, free = _tested(method, uncertainty, rows[i])
            made.append([":".join(term), *level, *row])
            tested.append(free)
    out = pd.DataFrame(made, columns=["term", *within, *_COLUMNS, "note"])
    out = out.astype({"num_df": int, "den_df": float, "statistic": float, "p_value": float})
    known = _rank(np.vstack(tested), uncertainty)
    out.attrs["notes"] = () if within or at else _left_out(fitted.design, known)
    return Table.of(out)


def _terms(grid: Grid, within: Sequence[str]) -> list[tuple[str, ...]]:
    """All that the terms of the fixed part contain, main effects first, in the data's order."""
    order = {name: i for i, name in enumerate(grid.values)}
    found: dict[tuple[str, ...], None] = {}
    for term in grid.design.term_variables():
        names = sorted(term - set(within), key=order.__getitem__)
        for size in range(1, len(names) + 1):
            for chosen in combinations(names, size):
                whole = set(grid.closed(chosen)) - set(within)
                found[tuple(sorted(whole, key=order.__getitem__))] = None
    several = [t for t in found if all(n in grid.numbers or len(grid.values[n]) > 1 for n in t)]
    return sorted(several, key=lambda t: (len(t), [order[name] for name in t]))


def _functions(grid: Grid, term: Sequence[str], within: Sequence[str]) -> list[Array]:
    """The functions that are zero if there is no such effect, (r, all columns) by level of `by`.

    Those of a nested factor are within each cell of what it is in.
    """
    factors = [name for name in term if name in grid.factors]
    numbers = [name for name in term if name not in factors]
    slopes = derivative(grid, *numbers) if numbers else grid
    outer = [n for n in factors if any(n in grid.nesting.get(o, ()) for o in factors)]
    compared = [n for n in factors if n not in outer]
    labels, rows, _ = averaged(slopes, [*within, *outer, *compared])
    out = []
    for _, at in groups(labels, within):
        parts = [
            _steps(labels.iloc[at[cell]][compared]) @ rows[at[cell]]
            for _, cell in groups(labels.iloc[at], outer)
        ]
        out.append(np.concatenate([np.empty((0, rows.shape[1])), *parts]))
    return out


def _steps(labels: pd.DataFrame) -> Array:
    """Products of consecutive contrasts of each factor, over the cells that there are, (r, cells).

    Of a product the cells that are missing take it away.
    """
    places = [pd.factorize(labels[name])[0] for name in labels.columns]
    sizes = [int(place.max()) + 1 for place in places]
    contrasts: Array = np.ones((1, 1))
    for k in sizes:
        step = np.eye(k)[1:] - np.eye(k)[:-1]
        contrasts = np.asarray(np.kron(contrasts, step), dtype=float)
    at = np.zeros(len(labels), dtype=np.intp)
    for place, k in zip(places, sizes, strict=True):
        at = at * k + place
    there = np.zeros(contrasts.shape[1], dtype=bool)
    there[at] = True
    whole = ~np.any(contrasts[:, ~there] != 0.0, axis=1)
    return np.asarray(contrasts[whole][:, at])


def _tested(method: Method, uncertainty: Uncertainty, rows: Array) -> tuple[list[Any], Array]:
    """The F test of what can be tested of some functions, with a note, and that part of them."""
    free, note = rows, ""
    if not np.all(uncertainty.estimable(rows)):
        free = uncertainty.estimable_part(rows)
        lost = _rank(rows, uncertainty) - len(free)
        note = f"{lost} of {lost + len(free)} contrasts are not estimable"
    free = free[np.any(free != 0.0, axis=1)]
    if len(free) == 0:
        return [0, np.nan, np.nan, np.nan, note or "the term is constant here"], free
    found = f_row(method, free[:, uncertainty.kept])
    return [*found[2:], note], free


def _rank(rows: Array, uncertainty: Uncertainty) -> int:
    """Of functions of the coefficients, in the units of the columns that these belong to."""
    scaled = rows / uncertainty.scale
    size = np.linalg.norm(scaled, axis=1, keepdims=True)
    return int(np.linalg.matrix_rank(scaled / np.where(size > 0.0, size, 1.0))) if len(rows) else 0


def _left_out(design: Design, tested: int) -> tuple[str, ...]:
    """How much of what the fixed part can express, but for a constant, no test is about."""
    x = design.span()
    basis, ones = orthonormal(x), np.ones(len(x))
    total = x.shape[1] - int(np.allclose(basis @ (basis.T @ ones), ones))
    left = total - tested
    if left <= 0:
        return ()
    return (
        f"{left} of the {total} degrees of freedom of the fixed part are in none of these tests: "
        "they belong to what empty cells mix up, or to the curvature of a covariate",
    )

"""The tutorial's analysis from beginning to end: what ``merextras demo`` prints and draws."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from pandas.api.types import is_bool_dtype, is_numeric_dtype

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MerextrasWarning, RankDeficientWarning
from merextras.foundation.arguments import check_columns, check_frame

FORMULA = "extro ~ open + agree + social"
#: Rows that the model's six parameters need at least.
_FEWEST = 10
COLUMNS = ("extro", "open", "agree", "social", "class", "school")


def read_data(path: Path | None) -> pd.DataFrame:
    """The bundled twin of the tutorial's data, or the user's own copy.

    Raises
    ------
    InvalidArgumentError
        The file is not there, can't be read as CSV, lacks a column or a value, or has other things
        than finite numbers in the model's columns.
    """
    if path is None:
        return mx.load_dataset("students")
    try:
        data = pd.read_csv(path)
    except (OSError, ValueError) as err:
        raise InvalidArgumentError(f"--data {path}: {err}") from err
    _check(data, f"--data {path}")
    return data


def _check(data: pd.DataFrame, name: str) -> None:
    """Raise unless all rows have the demo's columns."""
    check_frame(data, name)
    check_columns(data, COLUMNS, name)
    if len(data) < _FEWEST:
        raise InvalidArgumentError(
            f"{name}: {len(data)} rows are too few for {FORMULA!r} by school; the demo needs "
            f"{_FEWEST} at least"
        )
    missing = {c: int(n) for c, n in data[list(COLUMNS)].isna().sum().items() if n}
    if missing:
        listed = ", ".join(f"{n} of {column!r}" for column, n in missing.items())
        raise InvalidArgumentError(
            f"{name}: there are missing values, {listed}; the demo needs rows without one"
        )
    for column in COLUMNS[:4]:
        if not is_numeric_dtype(data[column]) or is_bool_dtype(data[column]):
            raise InvalidArgumentError(
                f"{name}: column {column!r} must be numeric, not {data[column].dtype}"
            )
        if not np.all(np.isfinite(data[column])):
            raise InvalidArgumentError(f"{name}: column {column!r} has infinite values")


def _fitted(data: pd.DataFrame) -> mx.MerMod:
    """The model as a user of statsmodels fits it, if the data can have one.

    Raises
    ------
    MerextrasError
        A constant column, one school, fewer rows than estimates: what `lmer` says of it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        warnings.simplefilter("error", RankDeficientWarning)
        try:
            mx.lmer(f"{FORMULA} + (1 | school)", data)
        except RankDeficientWarning as err:
            raise InvalidArgumentError(
                f"{err}; it is constant or made of the others, and {FORMULA!r} has no fit"
            ) from err
    try:
        fit = smf.mixedlm(FORMULA, data, groups="school").fit()
    except (ValueError, np.linalg.LinAlgError) as err:
        raise InvalidArgumentError(f"statsmodels can't fit {FORMULA!r} by school: {err}") from err
    return mx.MerMod(fit)


def run(data: pd.DataFrame, folder: Path) -> list[Path]:
    """Print every result of the tutorial; write its figures; return their paths."""
    m = _fitted(data)
    folder.mkdir(parents=True, exist_ok=True)
    figures = _describe(data, folder)
    _estimates(m)
    figures += _random_effects(m, folder)
    figures += _exact_test(m, data, folder)
    figures += _what_if(m, data, folder)
    return figures


def _say(title: str, reading: str, table: object = None) -> None:
    """Print a heading, a one-line reading and a table."""
    print(f"\n{title}\n{'-' * len(title)}\n{reading}")
    if table is not None:
        print(table.to_string() if isinstance(table, (pd.DataFrame, pd.Series)) else table)


def _save(figure: Any, folder: Path, name: str) -> Path:
    """Write a FacetGrid or an Axes as PNG."""
    owner = figure.figure
    path = folder / f"{name}.png"
    owner.savefig(path, dpi=110, bbox_inches="tight")
    owner.clear()
    return path


def _describe(data: pd.DataFrame, folder: Path) -> list[Path]:
    table = pd.crosstab(data["class"], data["school"])
    _say("Rows by class and school", f"{len(data)} students; see how balanced the table is.", table)
    xs = ["open", "social", "agree"]
    lattices = {
        "xyplot_class": mx.xyplot(data, "extro", xs, "class", title="Extroversion by class"),
        "xyplot_school": mx.xyplot(data, "extro", xs, "school", title="Extroversion by school"),
        "xyplot_school_class": mx.xyplot(
            data, "extro", xs, "school", "class", title="Extroversion by school and class"
        ),
    }
    return [_save(grid, folder, name) for name, grid in lattices.items()]


def _estimates(m: mx.MerMod) -> None:
    _say("The model", "A random intercept for each school.", m.summary())
    slopes = m.summary().coefficients.drop(index="Intercept")
    largest = slopes["statistic"].abs()
    _say(
        "Fixed effects",
        f"The strongest predictor is {largest.idxmax()!r}, {largest.max():.1f} SEs from zero.",
        m.fixef(),
    )
    _say(
        "99 % profile intervals",
        "From the ML likelihood, as lme4's; the one of the schools' SD is not symmetric.",
        m.confint(level=0.99),
    )
    _say(
        "Effect sizes",
        "Fixed effects in residual standard deviations, per unit of the predictor.",
        m.fixef() / m.sigma(),
    )


def _random_effects(m: mx.MerMod, folder: Path) -> list[Path]:
    ranef = m.ranef()
    _say(
        "Random effects",
        "The schools' shifts, with the conditional SD: the fixed effects held at their estimates.",
        ranef.to_frame(),
    )
    spread = mx.re_sim(m, "school", n_sims=1000, rng=1)
    _say(
        "Simulated random effects",
        "Wider than above: these draws contain the uncertainty of the fixed effects as well.",
        spread.round(3),
    )
    return [
        _save(mx.plot_ranef(ranef), folder, "ranef"),
        _save(mx.plot_re_sim(spread, scale=1.2, stat="mean"), folder, "re_sim"),
    ]


def _exact_test(m: mx.MerMod, data: pd.DataFrame, folder: Path) -> list[Path]:
    null = smf.ols(FORMULA, data).fit()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MerextrasWarning)
        at_reml = mx.exact_lrt(m, null=null, rng=2)
    note = caught[0].message if caught else ""
    _say("Exact test of the school variance, at the REML estimates", f"Warning: {note}", at_reml)
    test = mx.exact_lrt(m.refit_ml(), null=null, rng=2)
    reading = f"{test.n_exceeding} of {test.n_sims} values simulated without schools exceed it."
    _say("The same after refit_ml()", reading, test)
    return [_save(mx.plot_exact_test(test), folder, "exact_test")]


def _what_if(m: mx.MerMod, data: pd.DataFrame, folder: Path) -> list[Path]:
    cases = data.sample(min(12, len(data)), random_state=1)
    moved = mx.what_if(m, cases, "school", rng=3)
    wide = moved.pivot(index="case", columns="level", values="fit").round(2)
    _say("What if these students had gone to another school?", "Expected extroversion.", wide)
    within = moved.groupby("level")["fit"].std().mean()
    between = moved.groupby("case")["fit"].std().mean()
    print(
        f"\nOne student differs from school to school by {between:.2f} (SD); these students differ "
        f"within a school by {within:.2f}."
    )
    by_case = mx.plot_what_if(moved, by="case", outcome=data["extro"])
    by_level = mx.plot_what_if(moved, by="level", outcome=data["extro"])
    return [_save(by_case, folder, "what_if_by_case"), _save(by_level, folder, "what_if_by_school")]

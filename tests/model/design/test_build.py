"""Designs from lme4's formulas, against those read from statsmodels' fits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lme4_fits import BOTH, data_of, model_of
from properties.compare import close

from merextras.exceptions import InvalidArgumentError
from merextras.model.columns.levels import grouping
from merextras.model.design.build import Options, build_design

FORMULAS = {
    ("intercept", "students"): "extro ~ open + agree + social + (1 | school)",
    ("intercept", "sleepstudy"): "Reaction ~ Days + (1 | Subject)",
    ("intercept", "dyestuff"): "Yield ~ 1 + (1 | Batch)",
    ("slopes", "correlated"): "Reaction ~ Days + (Days | Subject)",
    ("slopes", "uncorrelated"): "Reaction ~ Days + diag(Days | Subject)",
    ("slopes", "thinned_correlated"): "Reaction ~ Days + (Days | Subject)",
    ("slopes", "thinned_uncorrelated"): "Reaction ~ Days + diag(Days | Subject)",
    ("slopes", "scaled"): "Reaction ~ DaysK + (DaysK | Subject)",
    ("nested", "students"): "extro ~ open + agree + social + (1 | school/class)",
    ("nested", "pastes"): "strength ~ 1 + (1 | batch/cask)",
    ("crossed", "penicillin"): "diameter ~ 1 + (1 | plate) + (1 | sample)",
    ("crossed", "penicillin_thinned"): "diameter ~ 1 + (1 | sample) + (1 | plate)",
    ("singular", "dyestuff2"): "Yield ~ 1 + (1 | Batch)",
    ("singular", "perfect_correlation"): "y ~ Days + (Days | Subject)",
}


@pytest.mark.parametrize(("topic", "name"), BOTH)
def test_the_same_design_as_the_adapters(topic, name):
    data = data_of(topic, name)
    design, n_dropped = build_design(FORMULAS[topic, name], data)
    theirs = model_of(topic, name).design
    assert n_dropped == 0
    assert design.fixed.names == theirs.fixed.names
    assert design.index.equals(theirs.index)
    assert set(design.frame) == set(theirs.frame)
    np.testing.assert_array_equal(design.y, theirs.y)
    np.testing.assert_array_equal(design.x, theirs.x)
    for ours, term in zip(design.terms, theirs.terms, strict=True):
        assert (ours.factor, ours.columns, ours.names) == (term.factor, term.columns, term.names)
        assert ours.levels.tolist() == term.levels.tolist()
        np.testing.assert_array_equal(ours.rows.codes, term.rows.codes)
        np.testing.assert_array_equal(ours.rows.values, term.rows.values)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=12),
            "x": rng.uniform(1, 2, size=12),
            "my x": rng.normal(size=12),
            "class": np.tile(list("ab"), 6),
            "g": pd.Categorical(np.repeat(list("uvw"), 4), ["w", "unused", "v", "u"]),
            "h": np.tile([3, 1, 2], 4),
            "other": np.nan,
        }
    )
    return frame.set_axis(np.arange(12) * 10, axis=0)


@pytest.mark.parametrize(
    ("formula", "names", "used"),
    [
        ("y ~ x + (1 | g)", ("Intercept", "x"), ["y", "x", "g"]),
        ("y ~ class + (1 | g)", ("Intercept", "class[T.b]"), ["y", "class", "g"]),
        ("y ~ `my x` + (1 | g)", ("Intercept", "my x"), ["y", "my x", "g"]),
        ("np.log(x) ~ class:x + (1 | g)", ("Intercept", "class[a]:x", "class[b]:x"), None),
        ("y ~ 0 + I(x**2) + (x | g)", ("I(x ** 2)",), ["y", "x", "g"]),
        ("y ~ (1 | g)", ("Intercept",), ["y", "g"]),
        ("y ~ x + (1 | class/h)", ("Intercept", "x"), ["y", "x", "class", "h"]),
    ],
)
def test_names_and_variables(table, formula, names, used):
    design, _ = build_design(formula, table)
    assert design.fixed.names == names
    if used is not None:
        assert list(design.frame) == used
    assert design.formula == formula
    close(design.fixed.matrix(table), design.x, 1e-15)
    for term in design.terms:
        close(term.covariates.matrix(table, design.fixed), term.rows.values, 1e-15)
        assert term.codes_of(table).tolist() == term.rows.codes.tolist()


def test_levels_are_in_the_order_of_the_categories(table):
    design, _ = build_design("y ~ 1 + (1 | g) + (1 | h)", table)
    assert [term.levels.tolist() for term in design.terms] == [["w", "v", "u"], [1, 2, 3]]


def test_grouping_by_several_columns(table):
    levels, codes = grouping(table, ["class", "h", "g"])
    every = [f"{c}:{h}:{g}" for c in "ab" for h in (1, 2, 3) for g in "wvu"]
    labels = table["class"] + ":" + table["h"].astype(str) + ":" + table["g"].astype(str)
    assert [levels[c] for c in codes] == labels.tolist()
    assert levels.tolist() == [level for level in every if level in set(labels)]


@pytest.mark.parametrize("column", ["y", "x", "g", "class"])
def test_rows_that_miss_a_value_are_dropped(table, column):
    data = table.astype({"class": object})
    data.loc[[30, 70], column] = None
    formula = "y ~ x + class + (1 | g)"
    design, n_dropped = build_design(formula, data)
    assert (n_dropped, design.n) == (2, 10)
    assert design.index.tolist() == [i for i in table.index if i not in {30, 70}]
    with pytest.raises(InvalidArgumentError, match="missing='raise': 2 of 12 rows miss a value"):
        build_design(formula, data, Options(missing="raise"))


def test_an_unused_column_that_misses_values_does_not_matter(table):
    assert build_design("y ~ x + (1 | g)", table)[1] == 0


def test_weights_and_offset_follow_the_rows(table):
    weights, offset = np.arange(12.0), np.arange(12.0) ** 2
    weights[2] = np.nan
    data = table.assign(y=table["y"].where(table.index != 50))
    options = Options(weights=weights, offset=offset)
    design, n_dropped = build_design("y ~ offset(x) + offset(2 * h) + (1 | g)", data, options)
    kept = np.setdiff1d(np.arange(12), [2, 5])
    assert n_dropped == 2
    close(design.weights, weights[kept], 0)
    close(design.offset, (offset + table["x"] + 2 * table["h"])[table.index[kept]], 1e-15)
    assert design.fixed.names == ("Intercept",)


def test_contrasts(table):
    options = Options(contrasts={"class": "Sum"})
    design, _ = build_design("y ~ class + (1 | g)", table, options)
    assert design.fixed.names == ("Intercept", "class[S.a]")
    assert sorted(set(design.x[:, 1])) == [-1.0, 1.0]


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("x + (1 | g)", "there is no response left of a '~'"),
        ("y ~ x", "there is no random-effects term such as"),
        ("y ~ x + (1 | G)", "the grouping factor 'G' is not a column of the data; .*'g'"),
        ("y ~ X + (1 | g)", "'X' is not a column of the data"),
        ("y ~ x + (X | g)", "'X' is not a column of the data"),
        ("Y ~ x + (1 | g)", "'Y'"),
        ("class ~ x + (1 | g)", "response 'class' must be numeric, not"),
        ("np.log(x - x) ~ x + (1 | g)", "response: infinite or undefined values"),
        ("y ~ np.log(x - x) + (1 | g)", "infinite or undefined values in"),
        ("y ~ x + (np.log(x - x) | g)", "infinite or undefined values in"),
        ("y ~ other + (1 | g)", "no row has a value for all variables"),
        ("y ~ x + (0 | g)", "has no effects"),
        ("y ~ x) + (1 | g)", "closes nothing"),
        ("y ~ x + * + (1 | g)", "formula"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_errors(table, formula, message):
    with pytest.raises(InvalidArgumentError, match=message):
        build_design(formula, table)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda t: t.head(0), "data: the frame has no rows"),
        (lambda t: pd.concat([t, t[["x"]]], axis=1), r"column names must be unique; .* \['x'\]"),
        (lambda t: t.to_dict(), "data: expected a pandas DataFrame, got dict"),
    ],
)
def test_bad_data(table, data, message):
    with pytest.raises(InvalidArgumentError, match=message):
        build_design("y ~ x + (1 | g)", data(table))


def test_the_data_are_not_changed(table):
    before = table.copy(deep=True)
    design, _ = build_design("y ~ class + (1 | g)", table)
    pd.testing.assert_frame_equal(table, before)
    assert design.frame["g"].cat.categories.tolist() == ["w", "v", "u"]


def test_changing_the_data_afterwards_changes_nothing(table):
    data = table.copy()
    weights = np.linspace(1, 2, 12)
    design, _ = build_design("y ~ x + class + (1 | g)", data, Options(weights=weights))
    before = [design.y.copy(), design.x.copy(), design.frame.copy(deep=True)]
    for column in ("y", "x"):
        data.loc[:, column] = 0.0
    weights[:] = 0.0
    np.testing.assert_array_equal(design.y, before[0])
    np.testing.assert_array_equal(design.x, before[1])
    pd.testing.assert_frame_equal(design.frame, before[2])
    assert design.weights.min() == 1.0

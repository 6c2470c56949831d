"""`what_if_average`: means over cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties.compare import close
from reassigned_rows import Dense
from scipy import stats
from sim_models import SHAPES, fitted
from tolerances import INVARIANCE, MONTE_CARLO, ORACLE

from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer
from merextras.prediction.counterfactual.what_if import what_if
from merextras.prediction.counterfactual.what_if_average import what_if_average


def mean_rows(dense, model, data, level):
    """The mean of the moved rows and that of the cases' own, dense."""
    columns = model.design.terms[0].columns
    parts = [level] if len(columns) == 1 else level.split(":")
    moved = dict(zip(columns, parts, strict=True))
    rows = data.to_dict("records")
    there = np.mean([dense.row(**(row | moved)) for row in rows], axis=0)
    return there, np.mean([dense.row(**row) for row in rows], axis=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_means_have_the_variance_of_the_mean_row(shape):
    model = fitted(shape)
    group, levels = model.design.factors[0], model.design.terms[0].levels[[0, 3]]
    data = model.design.frame.iloc[::7]
    table = what_if_average(model, data, group, list(levels), level=0.9)
    dense = Dense(model)
    for row, level in zip(table.itertuples(), levels, strict=True):
        there, here = mean_rows(dense, model, data, level)
        quantile = stats.t.isf(0.05, dense.df)
        close([row.fit, row.std_error], [dense.estimate(there), dense.se(there)], ORACLE)
        close([row.upper], [dense.estimate(there) + quantile * dense.se(there)], ORACLE)
        shift, se = dense.estimate(there - here), dense.se(there - here)
        close([row.shift], [shift], ORACLE, abs(row.fit))
        close([row.shift_std_error], [se], ORACLE)
        close([row.shift_lower], [shift - quantile * se], ORACLE, abs(row.fit))
        expected = stats.t.cdf(shift / se, dense.df) if se > 0 else np.nan
        np.testing.assert_allclose(row.p_better, expected, rtol=1e-6, atol=1e-12)


def test_means_are_those_of_the_cases():
    model, cases = fitted("nested"), load_dataset("students").sample(30, random_state=2)
    swaps = {"school": ["I", "IV"], "class": None}
    changes = {"open": [20, 60]}
    table = what_if_average(model, cases, swaps, changes=changes)
    each = what_if(model, cases, swaps, changes=changes, n_sims=None)
    means = each.groupby("level", sort=False)[["fit", "shift"]].mean()
    assert table["level"].tolist() == means.index.tolist()
    assert list(table.columns[-3:]) == ["new_school", "new_class", "new_open"]
    assert (table["n_cases"] == 30).all()
    close(table["fit"], means["fit"], INVARIANCE)
    close(table["shift"], means["shift"], INVARIANCE, 10.0)


def test_errors_that_cases_share_do_not_average_out():
    """The standard error of 400 cases is not a twentieth of that of one."""
    model, data = fitted("intercept"), load_dataset("students")
    cases = data[data["school"].isin(["II", "III"])]
    table = what_if_average(model, cases, "school", ["I"])
    each = what_if(model, cases, "school", ["I"], n_sims=None)
    assert table["std_error"].iloc[0] > 0.5 * ((each["upper"] - each["lower"]) / 3.93).mean()
    assert table["shift_std_error"].iloc[0] > 0.5 * each["shift_std_error"].mean()


@pytest.mark.parametrize("shape", ["slopes", "nested", "crossed"])
def test_draws_converge_to_the_exact_means(shape):
    model, n = fitted(shape), 20_000
    group = model.design.factors[-1]
    data = model.design.frame.iloc[::9]
    exact = what_if_average(model, data, group)
    drawn = what_if_average(model, data, group, n_sims=n, rng=4)
    for name, at in (("std_error", "fit"), ("shift_std_error", "shift")):
        np.testing.assert_array_equal(exact[at], drawn[at])
        # 1.05: t with 58 degrees of freedom or more.
        error = 1.05 * MONTE_CARLO / np.sqrt(2 * n) + 1.0 / (model.solution.n - 5)
        np.testing.assert_allclose(drawn[name], exact[name], rtol=error)
    p = exact["p_better"]
    error = MONTE_CARLO * np.sqrt(p * (1 - p) / n) + 1 / n
    assert np.all(np.abs(drawn["p_better"] - p) < error)


def test_cases_in_an_inner_level_without_data_share_its_effect():
    data = load_dataset("students")
    data = data[~((data["school"] == "II") & (data["class"] == "d"))]
    m = lmer("extro ~ open + (1 | school/class)", data)
    cases = data[(data["school"] == "I") & (data["class"] == "d")].head(20)
    table = what_if_average(m, cases, "school", ["II"])
    dense = Dense(m, unseen=[(0, "d:II")])
    rows = cases.assign(school="II").to_dict("records")
    there = np.mean([dense.row(**row) for row in rows], axis=0)
    close(table["std_error"], [dense.se(there)], ORACLE)
    assert table["std_error"].iloc[0] > m.solution.lams[0][0, 0] * dense.s


def test_shift_is_unknown_if_one_case_is():
    cases = load_dataset("students").head(3).assign(school=["I", "X", "II"])
    table = what_if_average(fitted("intercept"), cases, "school")
    unknown = ["shift", "shift_std_error", "shift_lower", "shift_upper", "p_better"]
    assert table[unknown].isna().all().all()
    assert table[["fit", "std_error", "lower", "upper"]].notna().all().all()


def test_who_stays():
    """Nothing is uncertain where nobody moves."""
    data = load_dataset("students")
    cases = data[data["school"] == "V"].head(4)
    for n_sims in (None, 100):
        table = what_if_average(fitted("intercept"), cases, "school", ["V"], n_sims=n_sims, rng=1)
        np.testing.assert_allclose(table[["shift", "shift_std_error"]].to_numpy(), 0, atol=1e-7)


def test_seeds_and_direction():
    model, cases = fitted("slopes"), load_dataset("sleepstudy").head(5)
    one, other = (what_if_average(model, cases, "Subject", n_sims=40, rng=s) for s in (1, 1))
    pd.testing.assert_frame_equal(one, other)
    lower = what_if_average(model, cases, "Subject", n_sims=40, rng=1, better="lower")
    moves = one["shift_std_error"] > 0
    np.testing.assert_allclose((one["p_better"] + lower["p_better"])[moves], 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": "shool"}, "group='shool': allowed: 'school'"),
        ({"n_sims": 0}, "n_sims=0"),
        ({"level": 95}, "level=95"),
        ({"better": 1}, "better=1: allowed: 'higher', 'lower'"),
        ({"rng": "a"}, "rng='a'"),
        ({"changes": {"school": ["I"]}}, "changes: 'school' is a grouping factor"),
    ],
)
def test_refuses(arguments, message):
    cases = load_dataset("students").head(2)
    with pytest.raises(InvalidArgumentError, match=message):
        what_if_average(fitted("intercept"), cases, **{"group": "school", **arguments})

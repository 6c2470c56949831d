"""Each view: its numbers are the functions', and its code makes them again."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.reporting.cases import Cases
from merextras.reporting.contents import (
    checked,
    impact,
    intervals,
    levels,
    simulated,
    summary,
    swap,
    wiggled,
)
from merextras.reporting.view import answered, preamble

pytestmark = pytest.mark.usefixtures("figures_closed")

FORMULAS = {
    "students": ("extro ~ open + agree + social + (1 | school)", "students"),
    "slopes": ("Reaction ~ Days + (Days | Subject)", "sleepstudy"),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin"),
    "nested": ("extro ~ open + agree + (1 | school / class)", "students"),
}


@pytest.fixture(scope="module", params=[*FORMULAS, "statsmodels"])
def model(request):
    if request.param == "statsmodels":
        data = mx.load_dataset("students")
        return mx.MerMod(smf.mixedlm("extro ~ open + agree", data, groups="school").fit())
    formula, name = FORMULAS[request.param]
    return mx.lmer(formula, mx.load_dataset(name))


def _six(m):
    """Six levels of the first factor; none are named where there are no more."""
    known = list(m.ranef()[m.design.factors[0]].index)
    return None if len(known) <= 6 else known[:6]


VIEWS = {
    "summary": (
        lambda m: summary.summary(m, level=0.9),
        {summary.RANDOM: "random", summary.FIT: "fit", summary.R_SQUARED: "explained"},
    ),
    "intervals": (lambda m: intervals.intervals(m, seed=3, n_sims=200), {}),
    "exact": (lambda m: intervals.intervals(m, method="exact", residual=False), {}),
    "parts": (lambda m: intervals.intervals(m, which="all", cases=Cases("average")), {}),
    "simulated": (
        lambda m: simulated.simulated(m, n_sims=100, seed=2),
        {simulated.RANDOM: "random", simulated.FIXED: "fixed"},
    ),
    "swap": (
        lambda m: swap.swap(
            m, cases=Cases(count=3, seed=5), levels=_six(m), better="lower", panels="level"
        ),
        {swap.CASES: "moved", swap.MEANS: "means"},
    ),
    "spanned": (lambda m: swap.swap(m, levels=4), {swap.CASES: "moved", swap.MEANS: "means"}),
    "impact": (lambda m: impact.impact(m, cases=Cases(count=2)), {impact.TABLE: "impact"}),
    "levels": (lambda m: levels.levels(m, search="1"), {levels.TABLE: "table"}),
    "checks": (lambda m: checked.checked(m, n_sims=10), {}),
}


def run(view, m, data=None):
    """What the view's code defines when it is run."""
    names = {"mx": mx, "m": m, "data": data}
    exec(view.code, names)
    return names


@pytest.mark.parametrize("name", VIEWS)
def test_the_code_makes_the_tables_and_figures_again(name, model):
    ask, made = VIEWS[name]
    view = ask(model)
    assert not view.problem
    before = len(plt.get_fignums())
    found = run(view, model)
    assert len(plt.get_fignums()) - before == len(view.figures)
    for title, variable in made.items():
        table, again = view.tables[title], found[variable]
        again = again.rename(columns={"grp": "group"})[list(table.columns)]
        pd.testing.assert_frame_equal(table, again)


def test_the_model_is_made_again_by_the_first_lines(model):
    data = mx.load_dataset("students" if "extro" in model.formula() else "sleepstudy")
    if "plate" in model.formula():
        data = mx.load_dataset("penicillin")
    names = {"data": data}
    exec(preamble(model), names)
    assert names["m"].formula() == model.formula()
    np.testing.assert_array_equal(names["m"].theta, model.theta)


def test_an_estimate_that_was_not_polished_is_not_polished_again():
    data = mx.load_dataset("students")
    m = mx.MerMod(smf.mixedlm("extro ~ open", data, groups="school").fit(), polish=False)
    names = {"data": data}
    exec(preamble(m), names)
    np.testing.assert_array_equal(names["m"].theta, m.theta)


def test_predictions_are_those_of_the_functions(students):
    m = mx.lmer(FORMULAS["students"][0], students)
    cases = students.sample(4, random_state=9)
    given = Cases(count=4, seed=9)
    table = intervals.intervals(m, cases=given, seed=2).tables[intervals.TABLE]
    expected = mx.predict_interval(m, cases, level=0.95, rng=2)
    assert table["case"].tolist() == cases.index.tolist()
    np.testing.assert_array_equal(table[["fit", "lower", "upper"]], expected)
    assert table["school"].tolist() == cases["school"].tolist()
    exact = intervals.intervals(m, cases=given, method="exact", level=0.8)
    expected = m.predict(cases, interval="prediction", level=0.8)
    columns = ["fit", "std_error", "lower", "upper"]
    np.testing.assert_array_equal(exact.tables[intervals.TABLE][columns], expected[columns])


def test_the_swap_is_what_if(students):
    m = mx.lmer(FORMULAS["students"][0], students)
    view = swap.swap(m, cases=Cases("chosen", chosen=[3, 700]), levels=["I", "VI"], level=0.9)
    moved = mx.what_if(m, students.loc[[3, 700]], "school", ["I", "VI"], n_sims=None, level=0.9)
    table = view.tables[swap.CASES]
    pd.testing.assert_frame_equal(table, moved[list(table.columns)])
    assert view.notes == (
        "Of the levels shown these cases would be highest on average in VI: a move there helps "
        "with a probability of >0.999 for the one that is elsewhere.",
    )
    spread = mx.what_if_spread(m, students.loc[[3, 700]], "school", ["I", "VI"], n_sims=None)
    found = view.tables[swap.SPREAD]
    pd.testing.assert_frame_equal(found, spread[list(found.columns)])


def test_levels_span_from_the_lowest_to_the_highest_with_the_cases_own():
    m = mx.lmer("mathach ~ ses + (1 | schid)", mx.load_dataset("hsb"))
    effects = m.ranef()["schid"]["Intercept"].sort_values()
    spanned = swap.spanning(m, "schid", 5)
    assert spanned == effects.index[[0, 40, 80, 119, 159]].tolist()
    view = swap.swap(m, cases=Cases(count=2, seed=1), levels=5)
    table = view.tables[swap.CASES]
    shown = table["level"].unique().tolist()
    assert set(shown) == set(spanned) | set(table["own_level"])
    assert effects[shown].is_monotonic_increasing


def test_columns_of_nested_levels_can_be_moved_between(students):
    m = mx.lmer(FORMULAS["nested"][0], students)
    assert swap.movable(m) == ["class:school", "school", "class"]
    table = swap.swap(m, group="class", cases=Cases(count=1)).tables[swap.CASES]
    assert sorted(table["level"]) == sorted(students["class"].unique())


def test_a_predictor_is_wiggled():
    data = mx.load_dataset("hsb")
    m = mx.lmer("mathach ~ ses + C(schtype) + (1 | schid)", data)
    assert wiggled.predictors(m) == ["ses", "schtype"]
    view = wiggled.wiggled(m, predictor="ses", values=[-1.0, 2.0], cases=Cases(count=2))
    cases = m.model_frame().sample(2, random_state=1)
    moved = mx.what_if(m, cases, changes={"ses": [-1.0, 2.0]}, n_sims=None)
    pd.testing.assert_series_equal(view.tables[wiggled.CASES]["fit"], moved["fit"])
    # The fit is what predict has for merTools' wiggle of the same rows.
    wiggle = mx.wiggle(cases, "ses", [-1.0, 2.0])
    predicted = m.predict(wiggle).to_numpy().reshape(2, 2).T.ravel()
    np.testing.assert_allclose(view.tables[wiggled.CASES]["fit"], predicted, rtol=1e-12)
    assert run(view, m)["moved"].equals(moved)
    both = wiggled.wiggled(m, predictor="schtype").tables[wiggled.MEANS]
    assert both["new_schtype"].tolist() == [1, 2] or both["new_schtype"].tolist() == [0, 1]


def test_a_grid_is_even_and_readable():
    assert wiggled.grid(0.0, 1.0, 5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert wiggled.grid(3.0, 3.0, 4) == [3.0]
    assert wiggled.grid(21.8658, 58.7981, 2) == [21.87, 58.8]
    with pytest.raises(InvalidArgumentError, match="both must be finite"):
        wiggled.grid(float("nan"), 1.0, 3)


def test_a_search_finds_parts_of_names_and_takes_no_sign_for_special():
    data = mx.load_dataset("students").assign(school=lambda d: d["school"] + ".a")
    m = mx.lmer("extro ~ open + (1 | school)", data)
    names = ["IV.a", "V.a", "VI.a"]
    assert sorted(levels.levels(m, search="v").tables[levels.TABLE]["level"]) == names
    assert sorted(levels.levels(m, search=" V. ").tables[levels.TABLE]["level"]) == ["IV.a", "V.a"]
    nothing = levels.levels(m, search="(((")
    assert nothing.notes == ("0 of 6 levels of school are found.",)
    assert levels.FOUND not in nothing.figures
    both = levels.levels(m, search="iv", chosen=["I.a"])
    assert sorted(both.tables[levels.TABLE]["level"]) == ["I.a", "IV.a"]
    assert sorted(run(both, m)["found"]["level"]) == ["I.a", "IV.a"]
    table = levels.levels(m).tables[levels.TABLE]
    expected = mx.expected_rank(m).set_index("level")["pct_er"]
    pd.testing.assert_series_equal(table.set_index("level")["pct_er"].sort_index(), expected)
    assert table["estimate"].is_monotonic_decreasing


def test_verdicts_are_those_of_the_checks():
    m = mx.lmer(*[FORMULAS["slopes"][0], mx.load_dataset("sleepstudy")])
    view = checked.checked(m, seed=4)
    expected = mx.model_checks(m, rng=4).to_frame()
    table = view.tables[checked.VERDICTS]
    assert table["verdict"].tolist() == expected["verdict"].tolist()
    assert [mark == "ok" for mark in table["ok"]] == [ok is True for ok in expected["ok"]]
    assert table.loc[table["ok"] == "not ok", "advice"].str.len().gt(0).all()
    assert view.notes[0].startswith("To be looked at: normality")


def test_a_view_that_can_not_be_made_says_why(students):
    m = mx.lmer(FORMULAS["students"][0], students, chunk_size=500)
    view = answered(lambda: swap.swap(m))
    assert "keeps no rows" in view.problem
    assert view.tables == {}
    found = answered(lambda: swap.swap(m, students.head(30), cases=Cases(count=2)))
    assert not found.problem
    assert len(found.tables[swap.CASES]) == 12


def test_what_is_warned_of_is_noted():
    m = mx.lmer(FORMULAS["slopes"][0], mx.load_dataset("sleepstudy"))
    data = mx.load_dataset("sleepstudy").head(2).assign(Subject=1)
    view = answered(lambda: intervals.intervals(m, data, cases=Cases(count=2)))
    assert any("1" in note and "zero" in note for note in view.notes)
    with pytest.raises(ZeroDivisionError):
        answered(lambda: 1 / 0)

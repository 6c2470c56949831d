"""Average and random observations, against merTools and by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from mertools_models import MODELS, NAMES, data_of, model

from merextras import LmerControl, average_obs, draw, find_form_funs, lmer, random_obs
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError, SingularFitWarning, UnsupportedModelError


@pytest.mark.parametrize("name", NAMES)
def test_merTools_averages(name):
    theirs = MODELS[name]["average_obs"]
    ours = average_obs(model(name))
    assert len(ours) == 1
    assert set(ours.columns) == set(theirs)
    numbers = [key for key, value in theirs.items() if not isinstance(value, str)]
    np.testing.assert_allclose(ours[numbers].iloc[0].astype(float), [theirs[k] for k in numbers])
    labels = {key: str(ours[key].iloc[0]) for key in theirs if key not in numbers}
    wrong = {
        # A tie is no level in theirs; here the class is the median one of that school.
        "nested": {"class": (".", "b")},
        # Their median of three is the lowest.
        "three": {"Subject": ("309", "310")},
    }.get(name, {})
    for key, (their, our) in wrong.items():
        assert (theirs[key], labels.pop(key)) == (their, our)
    if name == "crossed":  # plates have the same effect to rounding
        modes = model(name).ranef()["plate"]["Intercept"]
        np.testing.assert_allclose(modes[labels.pop("plate")], modes[theirs["plate"]])
    assert labels == {key: theirs[key] for key in labels}


def test_the_inner_level_is_the_median_one_within_the_outer():
    m = model("nested")
    row = average_obs(m)
    assert row["school"].iloc[0] == "III"
    effects = m.ranef()["class:school"]["Intercept"]
    within = effects[[f"{c}:III" for c in "abcd"]].sort_values()
    assert within.index[1] == f"{row['class'].iloc[0]}:III"
    assert average_obs(m, {"class": "d"})["class"].iloc[0] == "d"
    one = average_obs(m, {"school": ["I", "II"]})
    assert one["school"].iloc[0] == "I"


def test_conditions():
    m, data = model("students"), load_dataset("students")
    some = data[data["school"].isin(["I", "VI"])]
    row = average_obs(m, {"school": ["I", "VI"]})
    np.testing.assert_allclose(row["open"], some["open"].mean())
    assert row["school"].iloc[0] == "I"
    pinned = average_obs(m, {"school": "VI"})
    np.testing.assert_allclose(pinned["extro"], data[data["school"] == "VI"]["extro"].mean())


def test_the_prediction_of_the_average_row():
    m = model("sleepstudy")
    row = average_obs(m)
    assert row["Subject"].dtype.kind == "i"
    want = m.coef()["Subject"].loc[row["Subject"].iloc[0]] @ [1, 4.5]
    np.testing.assert_allclose(m.predict(row), want)


def test_modes_of_what_is_no_number():
    data = load_dataset("students").assign(
        kind=lambda d: pd.Categorical(np.where(d["open"] > 45, "z", "y"), ["z", "unused", "y"]),
        flag=lambda d: d["agree"] > 30,
        tie=lambda d: np.tile(["b", "a"], len(d) // 2),
    )
    m = lmer("extro ~ kind + flag + tie + (1 | school)", data)
    row = average_obs(m)
    assert row["kind"].iloc[0] == "y"
    assert list(row["kind"].cat.categories) == list(m.design.frame["kind"].cat.categories)
    assert row["flag"].iloc[0] is np.True_ or row["flag"].iloc[0] is True
    assert row["flag"].dtype == bool
    assert row["tie"].iloc[0] == "a"
    assert np.isfinite(m.predict(row)).all()
    assert np.isfinite(m.predict(random_obs(m, {"kind": "z"}, rng=1))).all()


def test_other_data():
    m = model("students")
    data = load_dataset("students").head(10)
    np.testing.assert_allclose(average_obs(m, data=data)["open"], data["open"].mean())
    assert average_obs(m, data=data)["school"].iloc[0] == "III"


def test_rows_of_weight_zero_and_frequencies(sleep):
    weights = np.where(sleep["Days"] < 5, 1.0, 0.0)
    m = lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=weights)
    assert average_obs(m)["Days"].iloc[0] == 2.0
    assert {random_obs(m, rng=i)["Days"].iloc[0] for i in range(40)} == {0, 1, 2, 3, 4}
    counts = np.where(sleep["Days"] == 9, 3, 1)
    often = lmer("Reaction ~ Days + (1 | Subject)", sleep, freq_weights=counts)
    np.testing.assert_allclose(
        average_obs(often)["Days"], np.average(sleep["Days"], weights=counts)
    )
    nines = sum(random_obs(often, rng=i)["Days"].iloc[0] == 9 for i in range(400))
    assert abs(nines - 100) < 5 * np.sqrt(400 * 0.25 * 0.75)


def test_fits_of_statsmodels():
    data = load_dataset("students").assign(text=lambda d: d["school"] + "!")
    fit = smf.mixedlm("extro ~ open", data, groups="text").fit()
    assert average_obs(fit)["text"].iloc[0] == "III!"
    nested = smf.mixedlm(
        "strength ~ 1",
        load_dataset("pastes"),
        groups="batch",
        re_formula="1",
        vc_formula={"cask": "0 + C(cask)"},
    ).fit()
    row = average_obs(nested)
    assert {"batch", "cask"} <= set(row.columns)


def test_levels_that_cannot_be_taken_apart():
    """A frame without the inner factor's column."""
    m = model("nested")
    design = replace(m.design, frame=m.design.frame.drop(columns="class"))
    bare = m._like(replace(m._fit, design=design))
    with pytest.raises(UnsupportedModelError, match="group='class:school'"):
        average_obs(bare)


def test_a_random_row_is_one_of_the_rows():
    m, data = model("sleepstudy"), load_dataset("sleepstudy")
    for seed in range(5):
        row = random_obs(m, {"Subject": 310, "Days": [3, 4]}, rng=seed)
        pd.testing.assert_frame_equal(row, data.loc[row.index, row.columns])
        assert row["Subject"].iloc[0] == 310
        assert row["Days"].iloc[0] in {3, 4}
    assert random_obs(m, rng=3).equals(random_obs(m, rng=3))
    many = {random_obs(m, rng=i).index[0] for i in range(30)}
    assert len(many) > 15


def test_draw_is_either():
    m = model("students")
    assert draw(m, "average").equals(average_obs(m))
    assert draw(m, rng=4).equals(random_obs(m, rng=4))
    assert draw(m, "random", {"school": "II"}, rng=1)["school"].iloc[0] == "II"


def test_functions_of_the_formula_at_the_means():
    """The square of the mean, not the mean of the squares; transforms remember the fit's data."""
    data = load_dataset("sleepstudy")
    m = lmer("Reaction ~ np.log(Days + 1) + I(Days ** 2) + center(Days) + (1 | Subject)", data)
    row = find_form_funs(m)
    np.testing.assert_allclose(row["np.log(Days + 1)"], np.log(5.5))
    np.testing.assert_allclose(row["I(Days ** 2)"], 4.5**2)
    np.testing.assert_allclose(row["center(Days)"], 0.0, atol=1e-12)
    assert np.mean(data["Days"] ** 2) == 28.5  # what merTools has, with a warning
    assert list(row.columns)[:3] == list(average_obs(m).columns)
    shifted = find_form_funs(m, data.assign(Days=data["Days"] + 1.0))
    np.testing.assert_allclose(shifted["center(Days)"], 1.0)


def test_dummies_interactions_and_random_covariates():
    data = load_dataset("students")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        m = lmer("extro ~ open * agree + C(Q('class')) + (1 + I(open / 10) | school)", data)
    row = find_form_funs(m)
    np.testing.assert_allclose(row["open:agree"], data["open"].mean() * data["agree"].mean())
    np.testing.assert_allclose(row["I(open / 10)"], data["open"].mean() / 10)
    dummies = [c for c in row.columns if "[T." in c]
    assert len(dummies) == 3
    assert "Intercept" not in row


@pytest.mark.parametrize("function", [average_obs, random_obs, draw])
@pytest.mark.parametrize(
    ("var_list", "message"),
    [
        ({"scool": "I"}, "var_list: 'scool' is not a column of the data; did you mean 'school'"),
        ({"school": "VII"}, "no row matches; 'school' has values such as"),
        ({"school": "I", "open": -1}, "no row matches; 'open' has values such as"),
        ({"school": []}, "no row matches"),
        (["school"], r"var_list=\['school'\]: expected a mapping"),
    ],
)
def test_bad_conditions(function, var_list, message):
    with pytest.raises(InvalidArgumentError, match=message):
        function(model("students"), var_list=var_list)


def test_bad_input():
    m, data = model("students"), data_of("students")
    with pytest.raises(InvalidArgumentError, match="type='median': allowed: 'random', 'average'"):
        draw(m, "median")
    with pytest.raises(InvalidArgumentError, match="rng=-1"):
        random_obs(m, rng=-1)
    with pytest.raises(InvalidArgumentError, match="data: the frame has no rows"):
        average_obs(m, data=data.head(0))
    with pytest.raises(InvalidArgumentError, match="data: needs the column"):
        find_form_funs(m, data.drop(columns="open"))


def test_formulas_by_formulaic():
    data = load_dataset("students")
    control = LmerControl(formula_engine="formulaic")
    m = lmer("extro ~ open + C(school) + np.log(agree) + (1 | class)", data, control=control)
    row = find_form_funs(m)
    np.testing.assert_allclose(row["np.log(agree)"], np.log(data["agree"].mean()))
    assert sum("[T." in column for column in row.columns) == 5
    assert m.predict(average_obs(m)).notna().all()


@pytest.mark.parametrize("observation", [average_obs, lambda m: random_obs(m, rng=1)])
def test_columns_of_the_offset_and_weights(observation):
    """Without them the observation could not be predicted."""
    data = load_dataset("sleepstudy")
    data["start"], data["w"] = data["Days"] / 2.0, 1.0 + data["Days"] % 2
    m = lmer("Reaction ~ Days + (1 | Subject)", data, offset="start", weights="w")
    row = observation(m)
    assert {"start", "w"} <= set(row.columns)
    assert m.predict(row, interval="prediction").notna().all(axis=None)
    assert average_obs(m)["start"].item() == data["start"].mean()
    assert find_form_funs(m, data=data)["w"].item() == data["w"].mean()
    with pytest.raises(InvalidArgumentError, match=r"data: needs the column\(s\) \['w'\]"):
        average_obs(m, data=data.drop(columns="w"))

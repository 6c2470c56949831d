"""`what_if`: cases in other groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from oracle.dense import dense_z
from properties.compare import close
from scipy import stats
from sim_models import SHAPES, STUDENTS, fitted, joint_covariance, quietly
from tolerances import INVARIANCE, MONTE_CARLO, ORACLE

from merextras import lmer
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.prediction.counterfactual.what_if import what_if
from merextras.simulation.sim import draw_effects

COLUMNS = ["case", "level", "fixed", "effect", "fit", "lower", "upper"]
COLUMNS += ["own_level", "observed", "shift", "distance"]
OF_SHIFT = ["shift_std_error", "shift_lower", "shift_upper", "p_better"]
COLUMNS += OF_SHIFT
SCHOOLS = ["I", "II", "III", "IV", "V", "VI"]
LMM_DATA = Path(__file__).parents[3].parent / "shared" / "data" / "lmm_data.csv"
#: Standard error of the 2.5 % quantile of n normal draws, times sqrt(n), in SDs.
QUANTILE_ERROR = np.sqrt(0.025 * 0.975) / stats.norm.pdf(stats.norm.ppf(0.025))


@pytest.fixture
def cases():
    return load_dataset("students").sample(12, random_state=1)


def joint_sd(model, rows):
    """Exact SDs over sigma of the linear predictors of the model's own rows; dense."""
    joint, _ = joint_covariance(model)
    z = dense_z([term.rows for term in model.design.terms])
    x = np.hstack([model.design.x, z])[rows]
    return np.sqrt(np.einsum("mi,ij,mj->m", x, joint, x))


def half_width(frame):
    return (frame["upper"] - frame["lower"]).to_numpy() / 2


def test_twelve_students_in_six_schools(cases):
    """The tutorial's question."""
    model = fitted("intercept")
    frame = what_if(model, cases, "school", rng=1)
    assert list(frame.columns) == COLUMNS
    assert frame["case"].tolist() == np.repeat(cases.index, 6).tolist()
    assert frame["level"].tolist() == SCHOOLS * 12
    x = np.column_stack([np.ones(12), cases[["open", "agree", "social"]]])
    fixed = np.repeat(x @ model.solution.beta, 6)
    modes = np.tile(model.solution.b[0][:, 0], 12)
    np.testing.assert_allclose(frame["fixed"], fixed, rtol=INVARIANCE)
    np.testing.assert_array_equal(frame["effect"], modes)
    np.testing.assert_array_equal(frame["fit"], frame["fixed"] + frame["effect"])
    assert frame["own_level"].tolist() == np.repeat(cases["school"], 6).tolist()
    assert frame["observed"].tolist() == np.repeat(cases["extro"], 6).tolist()
    np.testing.assert_array_equal(frame["distance"], frame["fit"] - frame["observed"])
    own = frame[frame["level"] == frame["own_level"]]
    assert len(own) == 12
    assert own["shift"].tolist() == [0.0] * 12
    one = frame[frame["case"] == cases.index[0]].set_index("level")
    moves = one["effect"] - one["effect"][one["own_level"].iloc[0]]
    np.testing.assert_allclose(one["shift"], moves, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_own_rows_have_the_exact_interval(shape):
    """At the own level of a row of the data: fit, and the dense joint variance."""
    model = fitted(shape)
    group = model.design.factors[0]
    data = model.design.frame.iloc[:40]
    frame = what_if(model, data, group, n_sims=None, level=0.9)
    own = frame[frame["level"] == frame["own_level"]]
    assert own["case"].tolist() == data.index.tolist()
    close(own["fit"], model.mu[:40], INVARIANCE)
    df = model.solution.n - model.solution.p
    s = np.sqrt(model.solution.pwrss / df)
    exact = stats.t.isf(0.05, df) * s * joint_sd(model, slice(0, 40))
    close(half_width(own), exact, ORACLE)


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_converge_to_the_exact_interval(shape):
    model = fitted(shape)
    group = model.design.factors[-1]
    data = model.design.frame.iloc[:6]
    n_sims = 20_000
    exact = what_if(model, data, group, n_sims=None)
    drawn = what_if(model, data, group, n_sims=n_sims, rng=2)
    pd.testing.assert_frame_equal(
        exact.drop(columns=["lower", "upper", *OF_SHIFT]),
        drawn.drop(columns=["lower", "upper", *OF_SHIFT]),
    )
    # The quantiles of t with 29 degrees of freedom or more err by at most 1.1 of the normal's.
    sd = half_width(exact) / 1.96
    error = 1.1 * MONTE_CARLO * QUANTILE_ERROR / np.sqrt(n_sims) * sd
    assert np.all(np.abs(drawn["lower"] - exact["lower"]) < error)
    assert np.all(np.abs(drawn["upper"] - exact["upper"]) < error)


@pytest.mark.skipif(not LMM_DATA.exists(), reason="the tutorial's data are not here")
def test_first_row_of_the_tutorials_data():
    """SD of the linear predictor 0.24; merTools' independent draws have 3.84."""
    data = pd.read_csv(LMM_DATA)
    fit = smf.mixedlm(STUDENTS, data, groups="school").fit()
    own = data["school"].iloc[0]
    exact = what_if(fit, data.head(1), "school", [own], n_sims=None, level=0.95)
    assert round(half_width(exact)[0] / stats.t.isf(0.025, 1196), 2) == 0.24
    drawn = what_if(fit, data.head(1), "school", [own], n_sims=20_000, rng=1)
    assert round(half_width(drawn)[0] / 1.96, 2) == 0.24


def test_slopes_use_the_cases_own_covariates():
    model = fitted("slopes")
    cases = pd.DataFrame({"Days": [0, 4.5]}, index=["start", "later"])
    frame = what_if(model, cases, "Subject", [370, 309], n_sims=None)
    codes = model.design.terms[0].levels.get_indexer([370, 309])
    b = model.solution.b[0][codes]
    expected = np.concatenate([b[:, 0], b[:, 0] + 4.5 * b[:, 1]])
    np.testing.assert_allclose(frame["effect"], expected)
    assert frame["level"].tolist() == [370, 309, 370, 309]
    assert frame["level"].dtype.kind == "i"
    assert frame["case"].tolist() == ["start", "start", "later", "later"]
    unknown = ["own_level", "observed", "shift", "distance", *OF_SHIFT]
    assert frame[unknown].isna().all().all()


def test_other_factors_stay():
    model = fitted("crossed")
    cases = load_dataset("penicillin").iloc[[3, 50]]
    frame = what_if(model, cases, "sample", n_sims=None).set_index(["case", "level"])
    plates = dict(zip(model.design.terms[0].levels, model.solution.b[0][:, 0], strict=True))
    samples = dict(zip(model.design.terms[1].levels, model.solution.b[1][:, 0], strict=True))
    for case, row in cases.iterrows():
        for sample, mode in samples.items():
            expected = plates[row["plate"]] + mode
            np.testing.assert_allclose(frame.loc[(case, sample), "effect"], expected)


def test_nested_factors_follow():
    """Class a of school I becomes class a of school II."""
    model = fitted("nested")
    cases = load_dataset("students").head(3)
    frame = what_if(model, cases, "school", n_sims=None)
    inner, outer = model.design.terms
    for row in frame.itertuples():
        label = f"{cases.loc[row.case, 'class']}:{row.level}"
        expected = (
            model.solution.b[0][inner.levels.get_loc(label), 0]
            + model.solution.b[1][outer.levels.get_loc(row.level), 0]
        )
        np.testing.assert_allclose(row.effect, expected)


def test_moving_to_an_inner_level_moves_the_outer_one():
    model = fitted("nested")
    cases = load_dataset("students").head(2)
    frame = what_if(model, cases, "class:school", ["b:II"], n_sims=None)
    inner, outer = model.design.terms
    expected = (
        model.solution.b[0][inner.levels.get_loc("b:II"), 0]
        + model.solution.b[1][outer.levels.get_loc("II"), 0]
    )
    np.testing.assert_allclose(frame["effect"], expected)
    labels = (cases["class"] + ":" + cases["school"]).tolist()
    assert frame["own_level"].tolist() == labels
    assert len(what_if(model, cases, "class:school", n_sims=None)) == 2 * 24


@pytest.fixture
def without_a_class():
    """School II has no class d."""
    data = load_dataset("students")
    data = data[~((data["school"] == "II") & (data["class"] == "d"))]
    model = smf.mixedlm(
        STUDENTS, data, groups="school", re_formula="1", vc_formula={"cls": "0 + C(Q('class'))"}
    )
    return data, quietly(model.fit)


def test_inner_level_that_does_not_exist(without_a_class):
    """Its effect is zero, its variance before any data is in the interval."""
    data, model = without_a_class
    cases = data[data["class"] == "d"].head(1)
    frame = what_if(model, cases, "school", ["II"], n_sims=None)
    outer = model.design.terms[1]
    mode = model.solution.b[1][outer.levels.get_loc("II"), 0]
    np.testing.assert_allclose(frame["effect"], mode)
    joint, pwrss = joint_covariance(model)
    x = np.array([1.0, *cases[["open", "agree", "social"]].iloc[0]])
    at = np.zeros(len(joint))
    at[:4] = x
    at[4 + 23 + outer.levels.get_loc("II")] = 1.0
    df = model.solution.n - 4
    variance = at @ joint @ at + model.solution.lams[0][0, 0] ** 2
    exact = stats.t.isf(0.025, df) * np.sqrt(pwrss / df * variance)
    close(half_width(frame), [exact], ORACLE)
    drawn = what_if(model, cases, "school", ["II"], n_sims=20_000, rng=1)
    error = MONTE_CARLO * QUANTILE_ERROR / np.sqrt(20_000) * exact / 1.96
    np.testing.assert_allclose(half_width(drawn), exact, atol=error)


def test_own_inner_level_that_does_not_exist(without_a_class):
    data, model = without_a_class
    cases = data.head(1).assign(**{"school": "II", "class": "d"})
    frame = what_if(model, cases, "school", ["II", "I"], n_sims=None)
    assert frame["shift"].iloc[0] == pytest.approx(0.0, abs=1e-12)
    inner = what_if(model, cases, "class:school", ["a:I"], n_sims=None)
    assert inner["own_level"].tolist() == ["d:II"]
    assert inner["shift"].isna().all()


def test_levels_that_can_not_be_taken_apart():
    fit = fitted("nested")._fit
    design = replace(fit.design, frame=fit.design.frame.drop(columns="class"))
    with pytest.raises(UnsupportedModelError, match=r"group='class:school': the columns \['class'"):
        what_if(FittedModel(replace(fit, design=design)), load_dataset("students"), "class:school")


def test_group_in_the_fixed_part_moves_too():
    data = load_dataset("students")
    model = as_fitted(smf.mixedlm("extro ~ open + (school == 'I')", data, groups="school").fit())
    frame = what_if(model, data[["open"]].head(1), "school", ["I", "II"], n_sims=None)
    difference = np.diff(frame["fixed"])[0]
    assert abs(abs(difference) - abs(model.solution.beta[1])) < 1e-10


def test_columns_that_may_be_left_out(cases):
    model = fitted("intercept")
    whole = what_if(model, cases, "school", rng=3)
    bare = what_if(model, cases.drop(columns=["school", "extro", "class"]), "school", rng=3)
    unknown = ["own_level", "observed", "shift", "distance", *OF_SHIFT]
    assert bare[unknown].isna().all().all()
    rest = [name for name in COLUMNS if name not in unknown]
    pd.testing.assert_frame_equal(bare[rest], whole[rest])


def test_own_level_unknown_or_missing(cases):
    cases = cases.head(3).assign(school=["X", np.nan, "II"])
    frame = what_if(fitted("intercept"), cases, "school", ["II"], n_sims=None)
    assert frame["own_level"].tolist()[::2] == ["X", "II"]
    assert frame["own_level"].isna().tolist() == [False, True, False]
    assert frame["shift"].isna().tolist() == [True, True, False]


def test_missing_response(cases):
    cases = cases.assign(extro=[np.nan, *cases["extro"].iloc[1:]])
    frame = what_if(fitted("intercept"), cases, "school", "I", n_sims=None)
    assert frame["distance"].isna().tolist() == [True] + [False] * 11


def test_labels_of_cases(cases):
    model = fitted("intercept")
    cases.index = pd.MultiIndex.from_arrays([list("aaabbbcccddd"), list(range(12))])
    frame = what_if(model, cases, "school", ["I", "II"], n_sims=None)
    assert frame["case"].iloc[2] == ("a", 1)


def test_seeds_and_blocks(cases, monkeypatch):
    model = fitted("intercept")
    first = what_if(model, cases, "school", n_sims=50, rng=4)
    pd.testing.assert_frame_equal(first, what_if(model, cases, "school", n_sims=50, rng=4))
    other = what_if(model, cases, "school", n_sims=50, rng=5)
    assert not np.allclose(first["lower"], other["lower"], rtol=1e-6)
    exact = what_if(model, cases, "school", n_sims=None)
    monkeypatch.setattr("merextras.prediction.combinations.uncertainty._BLOCK", 7 * 50)
    pd.testing.assert_frame_equal(first, what_if(model, cases, "school", n_sims=50, rng=4))
    monkeypatch.setattr("merextras.prediction.combinations.prediction_variance._BLOCK", 20)
    pd.testing.assert_frame_equal(exact, what_if(model, cases, "school", n_sims=None))


def test_rows_of_one_level_share_their_draws():
    """Only the levels that some row needs are kept, and they are those of `sim`."""
    model = fitted("slopes")
    keep = [np.array([4, 9])]
    some = draw_effects(model, 6, np.random.default_rng(1), keep)
    every = draw_effects(model, 6, np.random.default_rng(1), [np.arange(18)])
    np.testing.assert_array_equal(some.b[0], every.b[0][[4, 9]])


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (["I", "VII"], r"levels: levels of 'school' .* not seen: 'VII'; allowed: 'I', .*'VI'; did"),
        (["I", "II", "I"], r"levels=\['I', 'II', 'I'\]: each level once; more than once: \['I'\]"),
        ([], "levels=.*: give at least one level"),
        (3, "not seen: '3'"),
    ],
)
def test_refuses_levels(cases, levels, message):
    with pytest.raises(InvalidArgumentError, match=message):
        what_if(fitted("intercept"), cases, "school", levels)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_sims": 0}, "n_sims=0: must be a positive whole number"),
        ({"level": 95}, "level=95: .*for 95 % write level=0.95"),
        ({"level": 0.0}, "level=0.0"),
        ({"rng": "a"}, "rng='a'"),
        ({"group": "shcool"}, "group='shcool': allowed: 'school'; did you mean 'school'"),
        ({"group": None}, "group=None: allowed"),
    ],
)
def test_refuses_arguments(cases, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        what_if(fitted("intercept"), cases, **{"group": "school", **arguments})


def test_refuses_cases(cases):
    model = fitted("intercept")

    def refused(changed, message, model=model, group="school"):
        with pytest.raises(InvalidArgumentError, match=message):
            what_if(model, changed, group)

    refused(cases.head(0), "cases: the frame has no rows")
    refused(cases.to_numpy(), "cases: expected a pandas DataFrame")
    refused(cases.drop(columns="open"), r"cases: needs the column\(s\) \['open'\]")
    gap = cases.copy()
    gap.loc[gap.index[1], "agree"] = np.nan
    refused(gap, rf"cases: missing values, by column and case: {{'agree': \[{gap.index[1]}\]}}")
    twice = cases.set_index(np.repeat([5, 6, 7], 4))
    refused(twice, r"cases: index labels .* unique; repeated: \['5', '6', '7'\]. Use cases.reset")
    refused(cases.assign(open=np.inf), "cases: no finite prediction for")
    refused(cases.assign(extro="x"), "cases: the response 'extro' must be numeric")
    nested = fitted("nested")
    refused(cases.drop(columns="class"), r"cases: needs the column\(s\) \['class'\]", nested)
    refused(cases.assign(**{"class": None}), "cases: missing values.*'class'", nested)
    crossed, plates = fitted("crossed"), load_dataset("penicillin").head(2)
    refused(plates.drop(columns="plate"), r"needs the column\(s\) \['plate'\]", crossed, "sample")
    refused(
        plates.assign(plate=["a", "zz"]),
        "cases: levels of 'plate' that the model has not seen: 'zz'",
        crossed,
        "sample",
    )


def test_takes_a_statsmodels_fit(cases):
    fit = smf.mixedlm(STUDENTS, load_dataset("students"), groups="school").fit()
    frame = what_if(fit, cases, "school", ["IV"], rng=1)
    assert np.all((frame["lower"] < frame["fit"]) & (frame["fit"] < frame["upper"]))


def test_changes_without_a_prediction():
    data = load_dataset("sleepstudy")
    m = lmer("Reaction ~ I(np.where(Days < 0, np.nan, Days)) + (1 | Subject)", data)
    with pytest.raises(InvalidArgumentError, match=r"changes: no finite .* the cases \[0, 1\]"):
        what_if(m, data.head(2), changes={"Days": [-1.0]}, n_sims=None)

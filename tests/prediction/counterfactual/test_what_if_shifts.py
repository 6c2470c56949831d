"""`what_if`: several factors, new values, and how sure a change is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties.compare import close
from reassigned_rows import Dense
from scipy import stats
from sim_models import SHAPES, fitted, intercept
from tolerances import INVARIANCE, MONTE_CARLO, ORACLE

from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer
from merextras.prediction.counterfactual.what_if import what_if

STUDENTS = "extro ~ open + agree + social"
#: Standard error of the 2.5 % quantile of n normal draws, times sqrt(n), in SDs.
QUANTILE_ERROR = np.sqrt(0.025 * 0.975) / stats.norm.pdf(stats.norm.ppf(0.025))


def own_values(frame, case):
    return frame.loc[case].to_dict()


def check_shifts(table, dense, there, here, level=0.95):
    """Hold shifts against dense rows, those moved to and from."""
    estimate = np.array([dense.estimate(a - b) for a, b in zip(there, here, strict=True)])
    se = np.array([dense.se(a - b) for a, b in zip(there, here, strict=True)])
    half = stats.t.isf((1 - level) / 2, dense.df) * se
    scale = np.abs([dense.estimate(a) for a in there]).max()
    close(table["shift"], estimate, ORACLE, scale)
    close(table["shift_std_error"], se, ORACLE)
    close(table["shift_lower"], estimate - half, ORACLE, scale)
    close(table["shift_upper"], estimate + half, ORACLE, scale)
    moves = se > 0
    expected = np.full(len(se), np.nan)
    expected[moves] = stats.t.cdf(estimate[moves] / se[moves], dense.df)
    np.testing.assert_allclose(table["p_better"], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_shifts_are_those_of_the_dense_covariance(shape):
    model = fitted(shape)
    group = model.design.factors[0]
    data = model.design.frame.iloc[[0, 7, 29]]
    levels = model.design.terms[0].levels[[0, 2, 5]]
    table = what_if(model, data, group, list(levels), n_sims=None, level=0.9)
    dense, there, here = Dense(model), [], []
    for row in table.itertuples():
        values = own_values(data, row.case)
        columns = model.design.terms[0].columns
        parts = [row.level] if len(columns) == 1 else row.level.split(":")
        here.append(dense.row(**values))
        there.append(dense.row(**(values | dict(zip(columns, parts, strict=True)))))
    check_shifts(table, dense, there, here, level=0.9)


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_converge_to_the_exact_shift(shape):
    model = fitted(shape)
    group, n = model.design.factors[-1], 20_000
    data = model.design.frame.iloc[:4]
    exact = what_if(model, data, group, n_sims=None)
    drawn = what_if(model, data, group, n_sims=n, rng=2)
    sd = exact["shift_std_error"]
    df = model.solution.n - model.solution.p
    # The draws' fourth moment is that of t.
    error = MONTE_CARLO * np.sqrt((2 + 6 / (df - 4)) / 4 / n) * sd
    assert np.all(np.abs(drawn["shift_std_error"] / np.sqrt(df / (df - 2)) - sd) <= error + 1e-12)
    error = 1.1 * MONTE_CARLO * QUANTILE_ERROR / np.sqrt(n) * sd + 1e-9
    assert np.all(np.abs(drawn["shift_lower"] - exact["shift_lower"]) < error)
    assert np.all(np.abs(drawn["shift_upper"] - exact["shift_upper"]) < error)
    p = exact["p_better"]
    assert (p.isna() == drawn["p_better"].isna()).all()
    error = MONTE_CARLO * np.sqrt(p * (1 - p) / n) + 1 / n
    assert np.all((np.abs(drawn["p_better"] - p) < error) | p.isna())


def test_probabilities_between_zero_and_one_are_tested():
    """The models above are not all certain of their shifts."""
    table = what_if(fitted("slopes"), load_dataset("sleepstudy").head(2), "Subject", n_sims=None)
    p = table["p_better"].dropna()
    assert ((p > 0.1) & (p < 0.9)).sum() >= 5


def test_two_predictions_are_not_independent():
    """To add up the variances of two predictions is wrong, of a small change by a factor 600."""
    model = fitted("intercept")
    case = load_dataset("students").head(1)
    own = case["open"].iloc[0]
    table = what_if(model, case, changes={"open": [own + 1, own + 20]}, n_sims=None)
    half = stats.t.isf(0.025, model.solution.n - 4)
    variances = ((table["upper"] - table["lower"]) / 2 / half) ** 2
    one = ((what_if(model, case, "school", case["school"], n_sims=None)["upper"]) - 0.0).iloc[0]
    at_home = (one - (table["fit"] - table["shift"]).iloc[0]) / half
    added = variances + at_home**2
    assert (table["shift_std_error"] ** 2 / added).iloc[0] < 1 / 600
    slope = np.sqrt(model.solution.pwrss / (model.solution.n - 4))
    slope *= np.sqrt(model.solution.fixed_covariance()[1, 1])
    np.testing.assert_allclose(table["shift_std_error"], [slope, 20 * slope], rtol=1e-8)
    # Between schools what is common is the fixed part: half of the variance.
    moved = what_if(model, case, "school", n_sims=None)
    variances = ((moved["upper"] - moved["lower"]) / 2 / half) ** 2
    elsewhere = moved["level"] != moved["own_level"]
    ratio = (moved["shift_std_error"] ** 2 / (variances + at_home**2))[elsewhere]
    assert ratio.between(0.5, 0.8).all()


def test_what_is_better():
    model, cases = fitted("slopes"), load_dataset("sleepstudy").head(2)
    for n_sims in (None, 200):
        higher = what_if(model, cases, "Subject", n_sims=n_sims, rng=1)
        lower = what_if(model, cases, "Subject", n_sims=n_sims, rng=1, better="lower")
        stays = higher["shift_std_error"] == 0
        assert stays.sum() == 2
        assert higher.loc[stays, "p_better"].isna().all()
        total = (higher["p_better"] + lower["p_better"])[~stays]
        np.testing.assert_allclose(total, 1.0)
        rest = higher.columns.drop("p_better")
        pd.testing.assert_frame_equal(higher[rest], lower[rest])


def test_several_factors_at_once():
    """School and class together are the inner level."""
    model = fitted("nested")
    cases = load_dataset("students").head(3)
    swaps = {"school": ["II", "I"], "class": ["a", "d"]}
    table = what_if(model, cases, swaps, n_sims=None)
    assert table["level"].tolist() == ["II, a", "II, d", "I, a", "I, d"] * 3
    assert table["new_school"].tolist() == ["II", "II", "I", "I"] * 3
    assert table["new_class"].tolist() == ["a", "d"] * 6
    owns = (cases["school"] + ", " + cases["class"]).tolist()
    assert table["own_level"].tolist() == np.repeat(owns, 4).tolist()
    inner = what_if(model, cases, "class:school", ["a:II", "d:II", "a:I", "d:I"], n_sims=None)
    rest = [c for c in inner.columns if c not in ("level", "own_level")]
    pd.testing.assert_frame_equal(table[rest], inner[rest])
    turned = what_if(model, cases, {"class": ["a", "d"], "school": ["II", "I"]}, n_sims=None)
    assert turned["level"].tolist()[:4] == ["a, II", "a, I", "d, II", "d, I"]
    np.testing.assert_array_equal(turned["fit"][:4], table["fit"].iloc[[0, 2, 1, 3]])
    whole = what_if(model, cases.head(1), {"school": None, "class": None}, n_sims=None)
    assert whole["level"].tolist() == [f"{s}, {c}" for s in SCHOOLS for c in "abcd"]


SCHOOLS = ["I", "II", "III", "IV", "V", "VI"]


def test_one_factor_in_a_mapping_is_that_factor():
    model, cases = fitted("intercept"), load_dataset("students").head(3)
    plain = what_if(model, cases, "school", ["I", "II"], rng=1)
    pd.testing.assert_frame_equal(plain, what_if(model, cases, {"school": ["I", "II"]}, rng=1))


def test_a_column_of_a_factor_alone():
    """Class a of the own school."""
    model, cases = fitted("nested"), load_dataset("students").head(3)
    table = what_if(model, cases, "class", n_sims=None)
    assert table["level"].tolist() == list("abcd") * 3
    assert table["own_level"].tolist() == np.repeat(cases["class"], 4).tolist()
    stays = table["level"] == table["own_level"]
    assert (table.loc[stays, "shift"] == 0).all()


def test_crossed_factors_at_once():
    model, data = fitted("crossed"), load_dataset("penicillin")
    cases = data.iloc[[3, 50]]
    swaps = {"plate": ["a", "k"], "sample": ["B", "F"]}
    table = what_if(model, cases, swaps, n_sims=None)
    dense = Dense(model)
    there = [dense.row(plate=p, sample=s) for p, s in zip(table.new_plate, table.new_sample)]  # noqa: B905
    here = [dense.row(**own_values(cases, case)) for case in table["case"]]
    check_shifts(table, dense, there, here)


@pytest.mark.parametrize("shape", ["slopes", "uncorrelated", "singular_slopes"])
def test_new_values_in_both_parts(shape):
    """Days is in the fixed part and a random slope."""
    model = fitted(shape)
    cases = load_dataset("sleepstudy").iloc[[3, 25]]
    table = what_if(
        model, cases, {"Subject": [309, 330]}, changes={"Days": [0, 3, 12]}, n_sims=None
    )
    assert table["new_Subject"].tolist() == [309, 309, 309, 330, 330, 330] * 2
    assert table["new_Days"].tolist() == [0, 3, 12] * 4
    assert table["level"].tolist()[:2] == ["309, Days=0", "309, Days=3"]
    assert table["own_level"].iloc[0] == "308, Days=3"
    dense = Dense(model)
    pairs = zip(table["new_Subject"], table["new_Days"], strict=True)
    there = [dense.row(Subject=subject, Days=days) for subject, days in pairs]
    here = [dense.row(**own_values(cases, case)) for case in table["case"]]
    close(table["fit"], [dense.estimate(row) for row in there], ORACLE)
    check_shifts(table, dense, there, here)


def test_new_values_without_a_move():
    model, cases = fitted("slopes"), load_dataset("sleepstudy").iloc[[3, 25]]
    table = what_if(model, cases, changes={"Days": [3, 5.5]}, n_sims=None)
    assert table["level"].tolist() == ["Days=3", "Days=5.5"] * 2
    assert table["own_level"].tolist() == ["Days=3"] * 2 + ["Days=5"] * 2
    assert (table["level"] == table["own_level"]).tolist() == [True, False, False, False]
    assert table["shift"].iloc[0] == 0.0
    one = what_if(model, cases, changes={"Days": 4}, n_sims=None)
    assert one["new_Days"].tolist() == [4, 4]
    bare = what_if(model, cases[["Subject"]], changes={"Days": 4}, n_sims=None)
    np.testing.assert_array_equal(bare["fit"], one["fit"])
    assert bare[["own_level", "shift", "shift_std_error", "p_better"]].isna().all().all()


def test_a_case_whose_own_value_is_missing():
    model = fitted("slopes")
    cases = load_dataset("sleepstudy").iloc[[3, 25]]
    gap = cases.assign(Days=[np.nan, 5.0])
    table = what_if(model, gap, changes={"Days": 4}, rng=1, n_sims=50)
    assert table["shift"].isna().tolist() == [True, False]
    assert table["shift_upper"].isna().tolist() == [True, False]
    assert table["own_level"].isna().tolist() == [True, False]
    assert table["fit"].notna().all()


def test_categories_as_new_values():
    data = load_dataset("students").assign(kind=np.tile(["u", "v", "w"], 400))
    m = lmer("extro ~ open + kind + (1 | school)", data)
    cases = data.head(2)
    table = what_if(m, cases, changes={"kind": ["w", "u"]}, n_sims=None)
    for kind in ("w", "u"):
        expected = m.predict(cases.assign(kind=kind))
        close(table.loc[table["new_kind"] == kind, "fit"], expected, INVARIANCE)
    as_category = data.assign(kind=pd.Categorical(data["kind"], list("uvw")))
    same = what_if(m, as_category.head(2), changes={"kind": ["w", "u"]}, n_sims=None)
    close(same["shift_std_error"], table["shift_std_error"], INVARIANCE)
    with pytest.raises(
        InvalidArgumentError, match=r"changes: .*has categories the model has not seen: \['z'\]"
    ):
        what_if(m, cases, changes={"kind": ["u", "z"]})
    with pytest.raises(InvalidArgumentError, match=r"changes: column 'open' must be numeric"):
        what_if(m, cases, changes={"open": ["u"]})


@pytest.fixture(scope="module")
def gappy():
    """Schools II and III have no class d."""
    data = load_dataset("students")
    data = data[~(data["school"].isin(["II", "III"]) & (data["class"] == "d"))]
    return data, lmer(f"{STUDENTS} + (1 | school/class)", data)


def test_shifts_to_and_from_inner_levels_without_data(gappy):
    """An effect that nobody knows adds its variance, unless it is the same in both rows."""
    data, model = gappy
    cases = data.head(2).assign(**{"school": ["II", "I"], "class": ["d", "d"]})
    table = what_if(model, cases, "school", ["I", "II", "III"], n_sims=None)
    dense = Dense(model, unseen=[(0, "d:II"), (0, "d:III")])
    there = [
        dense.row(**(own_values(cases, r.case) | {"school": r.level})) for r in table.itertuples()
    ]
    here = [dense.row(**own_values(cases, r.case)) for r in table.itertuples()]
    check_shifts(table, dense, there, here)
    tau = model.solution.lams[0][0, 0] * dense.s
    assert table["shift_std_error"].iloc[1] == 0.0
    assert table["shift_std_error"].iloc[2] > np.sqrt(2) * tau
    drawn = what_if(model, cases, "school", ["I", "II", "III"], n_sims=20_000, rng=3)
    error = MONTE_CARLO / np.sqrt(2 * 20_000) * 1.01 * table["shift_std_error"]
    assert np.all(np.abs(drawn["shift_std_error"] - table["shift_std_error"]) <= error + 1e-12)


@pytest.fixture(scope="module")
def sized():
    """A predictor of schools."""
    sizes = dict(zip(SCHOOLS, [300.0, 150.0, 800.0, 420.0, 610.0, 90.0], strict=True))
    data = load_dataset("students")
    data = data.assign(size=data["school"].map(sizes), twice=data["open"] * 2)
    return data, sizes, lmer("extro ~ agree + twice + size + (1 | school)", data)


def test_what_belongs_to_a_level_comes_with_it(sized):
    data, sizes, m = sized
    cases = data.head(3)
    stays = what_if(m, cases, "school", n_sims=None)
    comes = what_if(m, cases, "school", along="size", n_sims=None)
    difference = [
        m.fixef()["size"] * (sizes[r.level] - sizes[r.own_level]) for r in comes.itertuples()
    ]
    close(comes["fit"] - stays["fit"], difference, 1e-9)
    assert (comes.loc[comes["level"] == comes["own_level"], "shift"] == 0).all()
    both = what_if(
        m, cases, {"school": ["I"]}, along=["size"], changes={"agree": [20, 40]}, n_sims=None
    )
    expected = m.predict(cases.assign(school="I", size=300.0, agree=20), se_fit=True)
    close(both["fit"].iloc[::2], expected["fit"], INVARIANCE)
    close(both["upper"].iloc[::2], expected["upper"], INVARIANCE)
    bare = what_if(m, cases.drop(columns="size"), "school", along="size", n_sims=None)
    np.testing.assert_array_equal(bare["fit"], comes["fit"])
    assert bare["shift"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"along": "twice"}, r"along: 'twice' varies within the levels of \['school'\]"),
        ({"along": "sise"}, "along: 'sise' is no predictor of the model; .*did you mean 'size'"),
        ({"along": 3}, "along=3: a column, or a list"),
        ({"along": ["size"], "changes": {"size": [1]}}, "along: 'size' is in changes too"),
    ],
)
def test_refuses_what_does_not_belong_to_a_level(sized, arguments, message):
    data, _, m = sized
    with pytest.raises(InvalidArgumentError, match=message):
        what_if(m, data.head(2), "school", **arguments)


def test_offset_is_in_the_prediction():
    data = load_dataset("students").assign(base=np.linspace(-3, 3, 1200))
    cases = data.head(3)
    for m in (
        lmer(f"{STUDENTS} + offset(base) + (1 | school)", data),
        lmer(f"{STUDENTS} + (1 | school)", data, offset="base"),
    ):
        table = what_if(m, cases, "school", ["IV"], changes={"base": [0, 2]}, n_sims=None)
        for base in (0, 2):
            expected = m.predict(cases.assign(school="IV", base=base), se_fit=True)
            mine = table[table["new_base"] == base]
            close(mine["fit"], expected["fit"], INVARIANCE)
            close(mine["upper"], expected["upper"], INVARIANCE)
        own = m.predict(cases).to_numpy().repeat(2)
        close(table["shift"], table["fit"] - own, INVARIANCE, 60.0)
        drawn = what_if(m, cases, "school", ["IV"], changes={"base": [0, 2]}, rng=1)
        assert np.all((drawn["lower"] < drawn["fit"]) & (drawn["fit"] < drawn["upper"]))
        with pytest.raises(InvalidArgumentError, match="cases: .*'base'"):
            what_if(m, cases.drop(columns="base"), "school")
    by_array = lmer(f"{STUDENTS} + (1 | school)", data, offset=data["base"])
    with pytest.raises(InvalidArgumentError, match="cases: the model has offset= by array"):
        what_if(by_array, cases, "school")


@pytest.mark.parametrize("option", ["weights", "freq_weights"])
def test_weighted_models_predict_as_predict_does(option):
    data = load_dataset("students").assign(w=np.arange(1200) % 4)
    m = lmer(f"{STUDENTS} + (1 | school/class)", data, **{option: "w"})
    cases = data.head(4).drop(columns="w")
    table = what_if(m, cases, "school", ["III"], n_sims=None)
    expected = m.predict(cases.assign(school="III"), se_fit=True)
    for name in ("fit", "lower", "upper"):
        close(table[name], expected[name], INVARIANCE)


def test_ml_fits_have_n_less_p_degrees_of_freedom():
    model = intercept(reml=False)
    case = load_dataset("students").head(1)
    table = what_if(model, case, "school", ["I"], n_sims=None)
    dense = Dense(model)
    here = dense.row(**case.iloc[0].to_dict())
    there = dense.row(**(case.iloc[0].to_dict() | {"school": "I"}))
    check_shifts(table, dense, [there], [here])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": {}}, r"group=\{\}: give at least one factor"),
        ({"group": {"scool": ["I"]}}, "group='scool': allowed: .*did you mean 'school'"),
        (
            {"group": {"school": ["I", "X"]}},
            r"group\['school'\]: levels of 'school' .*not seen: 'X'",
        ),
        ({"group": {"school": []}}, r"group\['school'\]=\[\]: give at least one"),
        ({"group": {"school": ["I", "I"]}}, r"group\['school'\]=.*each level once"),
        ({"group": {"class": ["e"]}}, r"group\['class'\]: levels of 'class' .*not seen: 'e'"),
        (
            {"group": {"school": ["I"], "class:school": ["a:I"]}},
            r"group: 'school' and 'class:school' both change the column\(s\) \['school'\]",
        ),
        ({"group": {"school": ["I"]}, "levels": ["I"]}, "levels: only with the name of one factor"),
        ({"group": None}, "group=None: allowed"),
        ({"group": None, "changes": {"open": 3}, "levels": ["I"]}, "levels: only with the name"),
        ({"changes": {}}, r"changes=\{\}: expected a mapping"),
        ({"changes": ["open"]}, r"changes=\['open'\]: expected a mapping"),
        ({"changes": {"opn": [1]}}, "changes: 'opn' is no predictor of the model; .*'open'"),
        ({"changes": {"extro": [1]}}, "changes: 'extro' is no predictor"),
        ({"changes": {"class": ["a"]}}, "changes: 'class' is a grouping factor or part of one"),
        ({"changes": {"open": []}}, "changes: no values for 'open'"),
        ({"changes": {"open": [1.0, np.nan]}}, "changes: missing or infinite values for 'open'"),
        ({"changes": {"open": [np.inf]}}, "changes: missing or infinite values for 'open'"),
        ({"changes": {"open": [1, 2, 1.0]}}, "changes: each value of 'open' once"),
        ({"better": "more"}, "better='more': allowed: 'higher', 'lower'"),
    ],
)
def test_refuses(arguments, message):
    cases = load_dataset("students").head(2)
    with pytest.raises(InvalidArgumentError, match=message):
        what_if(fitted("nested"), cases, **{"group": "school", **arguments})

"""`re_margins`: cases in the levels at given ranks, part by part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mertools_models import MODELS, model, table, text
from properties.compare import close
from scipy import stats
from sim_models import fitted, joint_covariance
from tolerances import INVARIANCE, MONTE_CARLO, ORACLE

from merextras import expected_rank, lmer, re_margins, what_if
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError
from merextras.prediction.cases.reassigned_rows import reassigned_rows

COLUMNS = ["case", "group", "term", "percentile", "level", "pct_er", "own_level", "effect"]
COLUMNS += ["fit", "std_error", "lower", "upper"]
#: Standard error of the 10 % quantile of n normal draws, times sqrt(n), in SDs.
QUANTILE_ERROR = np.sqrt(0.1 * 0.9) / stats.norm.pdf(stats.norm.ppf(0.1))


@pytest.fixture
def cases():
    return load_dataset("students").sample(3, random_state=1)


def part(frame, effect):
    return frame[frame["effect"] == effect].reset_index(drop=True)


def test_the_lowest_and_the_highest_are_among_them(cases):
    frame = re_margins(fitted("intercept"), cases)
    assert list(frame.columns) == COLUMNS
    combined = part(frame, "combined")
    assert combined["percentile"].tolist() == [0, 100 / 3, 200 / 3, 100] * 3
    assert combined["level"].tolist()[:4] == ["I", "II", "IV", "VI"]
    assert combined["case"].tolist() == np.repeat(cases.index, 4).tolist()
    assert combined["own_level"].tolist() == np.repeat(cases["school"], 4).tolist()
    assert frame["effect"].tolist()[:3] == ["combined", "school", "fixed"]


@pytest.mark.parametrize("shape", ["intercept", "nested"])
def test_combined_is_the_case_in_that_level(shape, cases):
    m = fitted(shape)
    frame = part(re_margins(m, cases, "school", level=0.9), "combined")
    moved = what_if(m, cases, "school", n_sims=None, level=0.9)
    want = frame[["case", "level"]].merge(moved, on=["case", "level"])
    close(frame["fit"], want["fit"], INVARIANCE)
    close(frame["lower"], want["lower"], 1e-9)
    close(frame["upper"], want["upper"], 1e-9)


@pytest.mark.parametrize("shape", ["intercept", "slopes", "nested", "crossed", "uncorrelated"])
def test_parts_by_the_dense_covariance(shape):
    """The model's own rows, in all parts; they add up."""
    m = fitted(shape)
    group = m.design.factors[-1]
    data = m.design.frame.iloc[:5]
    frame = re_margins(m, data, group, m.design.terms[-1].names[0], [0, 50, 100])
    joint, _ = joint_covariance(m)
    place = {"fixed": np.arange(m.solution.p)}
    at = m.solution.p
    for term, b in zip(m.design.terms, m.solution.b, strict=True):
        mine = np.arange(at, at + b.size)
        place[term.factor] = np.append(place.get(term.factor, np.arange(0)), mine)
        at += b.size
    effects = np.concatenate([m.solution.beta, *(b.ravel() for b in m.solution.b)])
    levels = frame["level"].unique()
    rows = reassigned_rows(m, data, group, pd.Index(levels))
    dense = np.hstack([rows.x, *(z.toarray() for z in rows.z)])
    pairs = [(case, level) for case in data.index for level in levels]
    where = dict(zip(pairs, dense, strict=True))
    for effect in ["combined", *m.design.factors, "fixed"]:
        mine = part(frame, effect)
        a = np.array(
            [where[case, level] for case, level in zip(mine["case"], mine["level"], strict=True)]
        )
        if effect != "combined":
            kept = np.zeros(a.shape[1])
            kept[place[effect]] = 1
            a = a * kept
        close(mine["fit"], a @ effects, ORACLE)
        variance = np.einsum("mi,ij,mj->m", a, joint, a) * m.solution.sigma2
        close(mine["std_error"], np.sqrt(variance), 1e-8)
    total = frame[frame["effect"] != "combined"].groupby(["case", "percentile"])["fit"].sum()
    combined = part(frame, "combined").set_index(["case", "percentile"])["fit"]
    close(total, combined.loc[total.index], ORACLE)


@pytest.mark.parametrize("name", ["students", "sleepstudy"])
def test_merTools_levels_and_intervals(name):
    """At the lower edges, whose levels are never the highest; its other terms' are not theirs."""
    given, m = MODELS[name]["margins"], model(name)
    theirs = table(given["table"])
    theirs["percentile"] = 25.0 * theirs["breaks"] - 24
    rows = pd.DataFrame(given["newdata"])
    rows[given["group"]] = m.design.terms[0].levels[0]
    ours = re_margins(
        m,
        rows,
        given["group"],
        breaks=[1, 26, 51, 76],
        level=0.8,
        include_resid_var=True,
        joint=False,
    )
    ours = part(ours, "combined").assign(level=lambda d: text(d["level"]))
    ours["case"] += 1
    both = ours.merge(theirs, on=["case", "term", "percentile"], suffixes=("", "_r"))
    assert len(both) == len(ours) == len(theirs)
    first = both[both["term"] == "Intercept"]
    assert first["level"].tolist() == first["level_r"].tolist()
    best = expected_rank(m, term="Intercept").sort_values("er")["level"].iloc[-1]
    assert str(best) not in set(theirs["level"])
    error = MONTE_CARLO * QUANTILE_ERROR / np.sqrt(given["n_sims"])
    width = first["upper"] - first["lower"]
    for one, other in (("lower", "lwr"), ("upper", "upr")):
        # Student's t instead of draws of sigma with other degrees of freedom: 0.3 % of the width.
        off = np.abs(first[one] - first[f"{other}_combined"])
        assert np.all(off < (error / 2.5 + 0.003) * width)


def test_merTools_picks_levels_by_another_terms_ranks():
    """For the slope: the subject at the 57th percentile of slopes for the first, and the like."""
    given, m = MODELS["sleepstudy"]["margins"], model("sleepstudy")
    theirs = table(given["table"]).query("term == 'Days' and case == 1").sort_values("breaks")
    slopes = expected_rank(m, term="Days")
    pct = slopes["pct_er"].set_axis(text(slopes["level"]))
    targets = np.array([1, 26, 51, 76])
    row = load_dataset("sleepstudy").head(1)
    ours = part(re_margins(m, row, term="Days", breaks=targets), "combined")
    assert np.all(np.abs(pct[text(ours["level"])] - targets) < 8)
    assert np.max(np.abs(pct[theirs["level"]] - targets)) > 40


def test_jointly_narrow_independently_wide(cases):
    m = fitted("intercept")
    joint, alone = (part(re_margins(m, cases, joint=j), "combined") for j in (True, False))
    close(joint["fit"], alone["fit"], INVARIANCE)
    assert np.all(alone["std_error"] > 10 * joint["std_error"])
    parts = re_margins(m, cases, joint=False)
    squares = part(parts, "school")["std_error"] ** 2 + part(parts, "fixed")["std_error"] ** 2
    close(alone["std_error"] ** 2, squares, ORACLE)
    post = m.ranef().post_var["school"][0, 0, 0]
    close(part(parts, "school")["std_error"] ** 2, np.full(12, post), ORACLE)


def test_the_residual_is_in_the_combined_interval_only(cases):
    m = fitted("intercept")
    plain, noisy = (re_margins(m, cases, include_resid_var=r) for r in (False, True))
    close(plain["std_error"], noisy["std_error"], INVARIANCE)
    for effect in ("school", "fixed"):
        close(part(plain, effect)["upper"], part(noisy, effect)["upper"], INVARIANCE)
    t = stats.t.isf(0.025, m.solution.n - m.solution.p)
    want = t * np.sqrt(part(plain, "combined")["std_error"] ** 2 + m.sigma() ** 2)
    close(part(noisy, "combined").eval("upper - fit"), want, ORACLE)


def test_the_models_own_rows():
    m = model("sleepstudy")
    every = re_margins(m, breaks=2)
    assert len(every) == 180 * 2 * 2 * 3
    given = re_margins(m, load_dataset("sleepstudy"), breaks=2)
    pd.testing.assert_frame_equal(every, given)
    assert list(dict.fromkeys(every["term"])) == ["Intercept", "Days"]
    assert every["level"].dtype.kind == every["own_level"].dtype.kind == "i"


def test_offsets_are_in_the_fixed_part():
    data = load_dataset("sleepstudy").assign(off=lambda d: 10.0 * d["Days"])
    by_formula = lmer("Reaction ~ Days + offset(off) + (1 | Subject)", data)
    by_array = lmer("Reaction ~ Days + (1 | Subject)", data, offset=data["off"].to_numpy())
    one, other = (re_margins(m, breaks=2) for m in (by_formula, by_array))
    close(one["fit"], other["fit"], 1e-7)
    fixed = part(one, "fixed").drop_duplicates("case")["fit"]
    close(fixed, by_formula.predict(re_form="NA"), INVARIANCE)
    with pytest.raises(InvalidArgumentError, match="offset= by array"):
        re_margins(by_array, data.head(2))


def test_percentiles_of_ones_own():
    frame = re_margins(model("hsb"), load_dataset("hsb").head(1), breaks=[10, 50, 90])
    chosen = frame[(frame["effect"] == "combined") & (frame["term"] == "Intercept")]
    assert chosen["percentile"].tolist() == [10, 50, 90]
    np.testing.assert_allclose(chosen["pct_er"], chosen["percentile"], atol=1.0)
    assert chosen["fit"].is_monotonic_increasing


def test_of_levels_as_near_the_lower():
    assert re_margins(fitted("intercept"), load_dataset("students").head(1), breaks=[50])[
        "level"
    ].unique() == ["III"]


def test_no_variance_picks_the_first_level():
    frame = re_margins(fitted("singular"), pd.DataFrame({"Batch": ["C"]}), breaks=2)
    assert frame["level"].tolist() == ["A"] * 6
    assert part(frame, "Batch")["fit"].eq(0).all()
    assert part(frame, "Batch")["std_error"].eq(0).all()


def test_without_the_columns_of_the_group():
    case = load_dataset("students")[["open", "agree", "social"]].head(1)
    assert re_margins(fitted("intercept"), case)["own_level"].isna().all()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda d: d, {"group": "class"}, "group='class': allowed: 'school'"),
        (lambda d: d, {"term": "open"}, "term='open': allowed: 'Intercept'"),
        (lambda d: d, {"breaks": 1}, "breaks=1: how many levels, at least 2, or percentiles"),
        (lambda d: d, {"breaks": []}, r"breaks=\[\]"),
        (lambda d: d, {"breaks": [-1, 50]}, "from 0 to 100"),
        (lambda d: d, {"breaks": "top"}, "breaks='top'"),
        (lambda d: d, {"breaks": [np.nan]}, r"breaks=\[nan\]"),
        (lambda d: d, {"level": 0}, "level=0"),
        (lambda d: d, {"joint": 1}, "joint=1: True or False"),
        (lambda d: d, {"include_resid_var": None}, "include_resid_var=None: True or False"),
        (lambda d: d.head(0), {}, "newdata: the frame has no rows"),
        (lambda d: d.drop(columns="open"), {}, "newdata: needs the column"),
        (lambda d: d.assign(open=np.nan), {}, "newdata: missing values"),
        (lambda d: pd.concat([d, d]), {}, "newdata: index labels name the cases"),
    ],
)
def test_bad_input(change, arguments, message, cases):
    with pytest.raises(InvalidArgumentError, match=message):
        re_margins(fitted("intercept"), change(cases), **arguments)

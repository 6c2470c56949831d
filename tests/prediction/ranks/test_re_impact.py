"""`re_impact`: averages over levels of low, middle and high rank."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mertools_models import MODELS, model, plain, table
from properties.compare import close
from scipy import stats
from sim_models import fitted, joint_covariance, quietly
from tolerances import INVARIANCE, MONTE_CARLO, ORACLE

from merextras import expected_rank, lmer, re_impact, re_margins, what_if
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError
from merextras.prediction.cases.reassigned_rows import reassigned_rows
from merextras.prediction.ranks import re_impact as module

COLUMNS = ["case", "bin", "pct_low", "pct_high", "fit", "std_error", "lower", "upper"]
COLUMNS += ["spread_error", "n_levels"]


@pytest.fixture
def cases():
    return load_dataset("students").sample(4, random_state=1)


def dense_rows(m, cases, group):
    """(X, Z) of each case in each level, cases outermost."""
    levels = m.design.terms[m.design.terms_of(group)[0]].levels
    rows = reassigned_rows(m, cases, group, levels)
    return np.hstack([rows.x, *(z.toarray() for z in rows.z)])


def bins_of(m, group, edges):
    pct = expected_rank(m, group)["pct_er"].to_numpy()
    return pd.cut(pct, edges, labels=False, include_lowest=True)


def cochran(weights, values):
    """Cochran's ratio variance of a weighted mean, as Gatz and Smith (1995) write it."""
    n, mean_w = len(values), np.mean(weights)
    mean = np.average(values, weights=weights)
    off_w, off_wx = weights - mean_w, weights * values - mean_w * mean
    total = np.sum(off_wx**2) - 2 * mean * np.sum(off_w * off_wx) + mean**2 * np.sum(off_w**2)
    return n / ((n - 1) * np.sum(weights) ** 2) * total


@pytest.mark.parametrize("weights", ["equal", "precision"])
@pytest.mark.parametrize("shape", ["intercept", "nested"])
def test_averages_by_the_dense_covariance(shape, weights, cases):
    m = fitted(shape)
    edges = [0, 30, 70, 100]
    frame = re_impact(m, cases, "school", breaks=edges, weights=weights, level=0.9)
    assert list(frame.columns) == COLUMNS
    bins = bins_of(m, "school", edges)
    joint, _ = joint_covariance(m)
    rows = dense_rows(m, cases, "school")
    single = np.einsum("mi,ij,mj->m", rows, joint, rows).reshape(len(cases), 6)
    moved = what_if(m, cases, "school", n_sims=None)["fit"].to_numpy().reshape(len(cases), 6)
    for i in range(len(cases)):
        for b in range(3):
            chosen = bins == b
            w = 1 / single[i][chosen] if weights == "precision" else np.ones(chosen.sum())
            x = np.average(rows.reshape(len(cases), 6, -1)[i][chosen], axis=0, weights=w)
            got = frame.iloc[3 * i + b]
            fit, se = np.average(moved[i][chosen], weights=w), np.sqrt(x @ joint @ x) * m.sigma()
            assert (got["case"], got["bin"], got["n_levels"]) == (
                cases.index[i],
                b + 1,
                chosen.sum(),
            )
            close(got["fit"], fit, ORACLE)
            np.testing.assert_allclose(got["std_error"], se, rtol=1e-8)
            half = stats.t.isf(0.05, m.solution.n - m.solution.p) * se
            np.testing.assert_allclose(got["upper"] - got["lower"], 2 * half, rtol=1e-8)
            spread = np.sqrt(cochran(w, moved[i][chosen]))
            np.testing.assert_allclose(got["spread_error"], spread, rtol=1e-9)


@pytest.mark.parametrize("shape", ["intercept", "nested"])
def test_a_bin_of_one_level_is_that_level(shape, cases):
    m = fitted(shape)
    pct = np.sort(expected_rank(m, "school")["pct_er"])
    edges = [0, *((pct[1:] + pct[:-1]) / 2), 100]
    frame = re_impact(m, cases, "school", breaks=edges)
    moved = what_if(m, cases, "school", n_sims=None)
    assert frame["n_levels"].eq(1).all()
    close(frame["fit"], moved["fit"], INVARIANCE)
    close(frame["lower"], moved["lower"], 1e-9)
    close(frame["upper"], moved["upper"], 1e-9)
    assert frame["spread_error"].isna().all()


def test_an_inner_level_that_does_not_exist_has_its_variance():
    students = load_dataset("students")
    some = students[~((students["class"] == "d") & students["school"].isin(["I", "VI"]))]
    m = lmer("extro ~ open + (1 | school/class)", some)
    case = students[students["class"] == "d"].head(1)
    pct = np.sort(expected_rank(m, "school")["pct_er"])
    edges = [0, *((pct[1:] + pct[:-1]) / 2), 100]
    frame = re_impact(m, case, "school", breaks=edges)
    close(frame["upper"], what_if(m, case, "school", n_sims=None)["upper"], 1e-9)
    halves = re_impact(m, case, "school", breaks=[0, 50, 100], weights="equal")
    tau = m.var_corr()["class:school"].iloc[0, 0]
    assert halves["std_error"].iloc[0] > np.sqrt(tau) / 3


@pytest.mark.parametrize("name", ["students", "sleepstudy", "hsb"])
def test_merTools_averages(name):
    """merTools' within its Monte Carlo error; its standard error is the square of one."""
    given, m = MODELS[name]["impact"], model(name)
    rows = pd.DataFrame(given["newdata"])
    arguments = given["group"], plain(given["term"])
    rows[given["group"]] = m.design.terms[0].levels[0]
    # merTools rounds the percentiles before it bins them: the same in bins with gaps around.
    edges = _merTools_edges(m, given)
    ours = re_impact(m, rows, *arguments, edges, weights="interval")
    theirs = table(given["table"]).sort_values(["case", "bin"])
    assert ours["n_levels"].tolist() == theirs["nobs"].tolist()
    spread = np.sqrt(m.sigma() ** 2 + 4 * np.max(np.diag(m.ranef().post_var[given["group"]][0])))
    error = MONTE_CARLO * 1.25 * (spread + _fixed_error(m, rows)) / np.sqrt(given["n_sims"])
    assert np.all(np.abs(ours["fit"].to_numpy() - theirs["AvgFit"].to_numpy()) < error)
    # Theirs has the noise of its medians in it.
    np.testing.assert_allclose(ours["spread_error"] ** 2, theirs["AvgFitSE"], rtol=0.15)
    assert not np.allclose(ours["spread_error"], theirs["AvgFitSE"], rtol=0.3)


def _fixed_error(m, rows):
    """Largest standard error of the fixed part."""
    x = m.design.fixed.matrix(rows)
    return np.sqrt(np.max(np.einsum("mp,pr,mr->m", x, m.vcov().to_numpy(), x)))


def _merTools_edges(m, given):
    """Edges that give its bins, which are of the independent and rounded percentiles."""
    pct = expected_rank(m, given["group"], plain(given["term"]), joint=False)["pct_er"]
    rounded = pct.round()
    edges = np.linspace(rounded.min(), rounded.max(), given["breaks"] + 1)
    exact = expected_rank(m, given["group"], plain(given["term"]))["pct_er"]
    inner = [
        (exact[rounded <= edge].max() + exact[rounded > edge].min()) / 2 for edge in edges[1:-1]
    ]
    return [0, *inner, 100]


def test_bins_of_equal_width_over_the_percentiles(cases):
    frame = re_impact(fitted("intercept"), cases, breaks=4)
    pct = expected_rank(fitted("intercept"))["pct_er"]
    edges = np.linspace(pct.min(), pct.max(), 5)
    np.testing.assert_allclose(frame["pct_low"][:4], edges[:-1])
    np.testing.assert_allclose(frame["pct_high"][:4], edges[1:])
    assert frame["n_levels"].tolist()[:4] == [2, 1, 1, 2]
    assert frame["case"].tolist() == np.repeat(cases.index, 4).tolist()


def test_levels_beyond_the_edges_are_in_no_bin(cases):
    frame = re_impact(fitted("intercept"), cases.head(1), breaks=[60, 80, 100])
    assert frame["n_levels"].tolist() == [1, 1]


def test_an_empty_bin_has_no_average(cases):
    frame = re_impact(fitted("intercept"), cases.head(1), breaks=[0, 1, 100])
    assert frame["n_levels"].tolist() == [0, 6]
    assert frame.loc[0, ["fit", "std_error", "lower", "upper", "spread_error"]].isna().all()
    assert np.isfinite(frame.loc[1, "fit"])


def test_no_variance_puts_all_levels_in_the_middle():
    m = fitted("singular")
    frame = re_impact(m, pd.DataFrame({"Batch": ["A"]}))
    assert frame["n_levels"].tolist() == [0, 6, 0]
    middle = frame.iloc[1]
    np.testing.assert_allclose(middle["fit"], m.fixef().iloc[0])
    np.testing.assert_allclose(middle["std_error"], np.sqrt(m.vcov().iloc[0, 0]))
    assert middle["spread_error"] < 1e-9


def test_ranked_by_the_slope_and_moved_with_all_effects():
    m = fitted("slopes")
    case = pd.DataFrame({"Days": [4.0]})
    frame = re_impact(m, case, term="Days", breaks=[0, 50, 100], weights="equal")
    ranks = expected_rank(m, term="Days")["pct_er"].to_numpy()
    eta = m.coef()["Subject"].to_numpy() @ [1.0, 4.0]
    want = [eta[ranks <= 50].mean(), eta[ranks > 50].mean()]
    np.testing.assert_allclose(frame["fit"], want)
    assert frame["n_levels"].sum() == 18


def test_blocks_change_nothing(monkeypatch, cases):
    whole = re_impact(fitted("nested"), cases, "school")
    monkeypatch.setattr(module, "_BLOCK", 7)
    again = re_impact(fitted("nested"), cases, "school")
    pd.testing.assert_frame_equal(whole, again, rtol=1e-9)


def test_offsets_are_added():
    data = load_dataset("sleepstudy").assign(off=lambda d: 10.0 * d["Days"])
    m = lmer("Reaction ~ Days + offset(off) + (1 | Subject)", data)
    frame = re_impact(m, data.iloc[[0, 3]], weights="equal")
    moved = what_if(m, data.iloc[[0, 3]], "Subject", n_sims=None)
    without = re_impact(m, data.iloc[[0, 3]].assign(off=0.0), weights="equal")
    close(frame["fit"] - without["fit"], [0, 0, 0, 30, 30, 30], 1e-9)
    assert without["fit"].between(moved["fit"].min(), moved["fit"].max()).all()


def test_a_statsmodels_fit_and_integer_labels():
    import statsmodels.formula.api as smf

    data = load_dataset("sleepstudy")
    m = quietly(lambda: smf.mixedlm("Reaction ~ Days", data, groups="Subject").fit())
    frame = re_impact(m, data[["Days"]].set_index(data.index + 500).head(2), breaks=2)
    assert frame["case"].tolist() == [500, 500, 501, 501]
    assert frame["n_levels"].sum() == 36


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda d: d, {"group": "class"}, "group='class': allowed: 'school'"),
        (lambda d: d, {"group": ["school"]}, r"group=\['school'\]: give one group"),
        (lambda d: d, {"term": "open"}, "term='open': allowed: 'Intercept'"),
        (lambda d: d, {"breaks": 1}, "breaks=1: a number of bins, at least 2, or their edges"),
        (lambda d: d, {"breaks": True}, "breaks=True"),
        (lambda d: d, {"breaks": 2.5}, "breaks=2.5"),
        (lambda d: d, {"breaks": [0, 50, 50, 100]}, "ascending within 0 to 100"),
        (lambda d: d, {"breaks": [0, 101]}, "ascending within 0 to 100"),
        (lambda d: d, {"breaks": ["low", "high"]}, "breaks="),
        (lambda d: d, {"weights": "width"}, "weights='width': allowed: 'precision'"),
        (lambda d: d, {"level": 95}, "level=95.*write level=0.95"),
        (lambda d: d.head(0), {}, "newdata: the frame has no rows"),
        (lambda d: d.to_dict(), {}, "newdata: expected a pandas DataFrame"),
        (lambda d: d.drop(columns="open"), {}, "newdata: needs the column"),
        (lambda d: d.assign(open=np.nan), {}, "newdata: missing values"),
        (lambda d: pd.concat([d, d]), {}, "newdata: index labels name the cases"),
    ],
)
def test_bad_input(change, arguments, message, cases):
    with pytest.raises(InvalidArgumentError, match=message):
        re_impact(fitted("intercept"), change(cases), **arguments)


def test_an_unseen_level_of_another_factor():
    case = load_dataset("penicillin").head(1).assign(plate="zz")
    with pytest.raises(InvalidArgumentError, match="newdata: levels of 'plate'"):
        re_impact(fitted("crossed"), case, "sample")


@pytest.mark.parametrize("function", [re_impact, re_margins])
def test_a_missing_offset(function):
    data = load_dataset("sleepstudy").assign(start=1.0)
    m = lmer("Reaction ~ Days + (1 | Subject)", data, offset="start")
    cases = data.head(2).assign(start=[1.0, np.nan])
    with pytest.raises(InvalidArgumentError, match=r"the offset is missing for the cases \[1\]"):
        function(m, cases)

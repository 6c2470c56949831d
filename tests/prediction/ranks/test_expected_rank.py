"""Expected ranks, against loops over a dense covariance, draws, and merTools."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mertools_models import MODELS, NAMES, model, table, text
from properties.compare import close
from scipy import stats
from sim_models import SHAPES, fitted, joint_covariance
from tolerances import MERTOOLS, MONTE_CARLO, ORACLE

from merextras import expected_rank, lmer
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError
from merextras.prediction.ranks import expected_rank as module

COLUMNS = ["group", "level", "term", "estimate", "std_error", "er", "pct_er"]


def effects_of(model):
    """(group, term) -> modes and the places of the effects in the joint covariance."""
    at, out = model.solution.p, {}
    for t, term in enumerate(model.design.terms):
        levels, k = model.solution.b[t].shape
        for e, name in enumerate(term.names):
            places = at + np.arange(levels) * k + e
            out[term.factor, name] = (model.solution.b[t][:, e], places)
        at += levels * k
    return out


def of_effect(frame, key):
    return frame[(frame["group"] == key[0]) & (frame["term"] == key[1])]


def ranks_by_loop(b, variance):
    """The definition, pair by pair."""
    out = np.ones(len(b))
    for i in range(len(b)):
        for k in range(len(b)):
            if k != i:
                same = b[i] == b[k] and variance[i, k] == 0
                out[i] += 0.5 if same else stats.norm.cdf((b[i] - b[k]) / np.sqrt(variance[i, k]))
    return out


@pytest.mark.parametrize("shape", SHAPES)
def test_joint_ranks_by_the_dense_covariance(shape):
    m = fitted(shape)
    joint, _ = joint_covariance(m)
    frame = expected_rank(m)
    for key, (b, places) in effects_of(m).items():
        c = m.solution.sigma2 * joint[np.ix_(places, places)]
        variance = np.diag(c)[:, None] + np.diag(c) - 2 * c
        close(of_effect(frame, key)["er"], ranks_by_loop(b, np.maximum(variance, 0)), ORACLE)


@pytest.mark.parametrize("shape", SHAPES)
def test_independent_ranks_by_the_conditional_variances(shape):
    m = fitted(shape)
    frame = expected_rank(m, joint=False)
    for key, (b, _) in effects_of(m).items():
        v = of_effect(frame, key)["std_error"].to_numpy() ** 2
        close(of_effect(frame, key)["er"], ranks_by_loop(b, v[:, None] + v), ORACLE)


@pytest.mark.parametrize("shape", ["nested", "slopes"])
def test_the_mean_rank_over_joint_draws(shape):
    """What an expected rank is, from the joint distribution itself."""
    m, n_sims = fitted(shape), 20_000
    joint, _ = joint_covariance(m)
    frame = expected_rank(m)
    rng = np.random.default_rng(1)
    for key, (b, places) in effects_of(m).items():
        c = m.solution.sigma2 * joint[np.ix_(places, places)]
        ranks = stats.rankdata(rng.multivariate_normal(b, c, n_sims), axis=1)
        error = ranks.std(axis=0) / np.sqrt(n_sims)
        # Plus what 20 000 draws do not show: a probability that is nearly one.
        off = np.abs(of_effect(frame, key)["er"] - ranks.mean(axis=0))
        assert np.all(off <= MONTE_CARLO * error + 1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_merTools_ranks(name):
    frame = expected_rank(model(name), joint=False)
    theirs = table(MODELS[name]["expected_rank"])
    theirs = theirs.set_index(["groupFctr", "term", "groupLevel"])
    frame["level"] = text(frame["level"])
    ours = frame.set_index(["group", "term", "level"]).loc[theirs.index]
    assert len(ours) == len(theirs) == len(frame)
    close(ours["estimate"], theirs["estimate"], MERTOOLS)
    np.testing.assert_allclose(ours["er"], theirs["ER"], rtol=MERTOOLS)
    assert ours["pct_er"].round().tolist() == theirs["pctER"].tolist()
    # Theirs is called a standard error and is a variance.
    np.testing.assert_allclose(ours["std_error"] ** 2, theirs["std.error"], rtol=MERTOOLS)
    assert not np.allclose(ours["std_error"], theirs["std.error"], rtol=0.01)


def test_joint_and_independent_agree_where_the_design_is_balanced():
    m = model("sleepstudy")
    close(expected_rank(m)["er"], expected_rank(m, joint=False)["er"], ORACLE)


def test_classes_of_one_school_are_told_apart_better_jointly():
    m = model("nested")
    joint, alone = expected_rank(m, "class:school"), expected_rank(m, "class:school", joint=False)
    middle = 12.5
    assert (joint["er"] - middle).abs().mean() > (alone["er"] - middle).abs().mean()


@pytest.mark.parametrize("name", ["nested", "crossed", "hsb"])
@pytest.mark.parametrize("joint", [True, False])
def test_what_adds_up(name, joint):
    frame = expected_rank(model(name), joint=joint)
    assert list(frame.columns) == COLUMNS
    for _, part in frame.groupby(["group", "term"]):
        n = len(part)
        assert part["er"].sum() == pytest.approx(n * (n + 1) / 2, rel=1e-12)
        assert part["er"].between(1, n).all()
        np.testing.assert_allclose(part["pct_er"], 100 * (part["er"] - 0.5) / n)


def test_no_variance_ranks_all_in_the_middle():
    frame = expected_rank(fitted("singular"))
    assert frame["er"].tolist() == [3.5] * 6
    assert frame["pct_er"].tolist() == [50.0] * 6
    assert frame["std_error"].tolist() == [0.0] * 6
    alone = expected_rank(fitted("singular"), joint=False)
    assert alone["er"].tolist() == [3.5] * 6


def test_a_single_level_is_the_first():
    nothing = module._sum_of_probabilities(np.array([2.0]), lambda _a, _b: np.zeros((1, 1)))
    assert nothing.tolist() == [1.0]


def test_a_sure_difference_without_variance():
    found = module._probabilities(np.array([-1.0, 0.0, 1.0]), np.zeros(3))
    assert found.tolist() == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("held", [0, 10**6])
def test_blocks_change_nothing(monkeypatch, held):
    m = model("crossed")
    whole = expected_rank(m)
    monkeypatch.setattr(module, "_BLOCK", 5)
    monkeypatch.setattr(module, "_HELD", held)
    close(expected_rank(m)["er"], whole["er"], ORACLE)


def test_groups_and_terms():
    m = model("nested")
    every = expected_rank(m)
    assert list(dict.fromkeys(every["group"])) == ["class:school", "school"]
    schools = expected_rank(m, "school")
    assert schools["level"].tolist() == ["I", "II", "III", "IV", "V", "VI"]
    pd.testing.assert_frame_equal(schools, every[every["group"] == "school"].reset_index(drop=True))
    both = expected_rank(model("sleepstudy"), term=["Days", "Intercept"])
    assert list(dict.fromkeys(both["term"])) == ["Intercept", "Days"]
    assert both["level"].dtype.kind == "i"
    spelt_by_r = expected_rank(model("sleepstudy"), term="(Intercept)")
    assert spelt_by_r["term"].unique().tolist() == ["Intercept"]


def test_two_terms_on_one_factor():
    """merTools stops with an error here."""
    m = lmer("Reaction ~ Days + (Days || Subject)", load_dataset("sleepstudy"))
    frame = expected_rank(m)
    assert len(frame) == 36
    assert expected_rank(m, term="Days")["er"].is_unique


def test_rows_of_weight_zero_are_not_there(sleep):
    weights = np.where(sleep["Days"] < 8, 1.0, 0.0)
    zeros = lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=weights)
    without = lmer("Reaction ~ Days + (1 | Subject)", sleep[sleep["Days"] < 8])
    close(expected_rank(zeros)["er"], expected_rank(without)["er"], MERTOOLS)


def test_hsb_has_no_sure_best_school():
    frame = expected_rank(model("hsb"), term="Intercept").sort_values("er")
    assert len(frame) == 160
    assert frame["er"].iloc[-1] < 159.5
    assert frame["er"].iloc[0] > 1.5
    # What is shrunk is nearer to the middle than its rank is.
    outer = np.abs(np.arange(1, 161) - 80.5)
    assert np.mean(np.abs(frame["er"] - 80.5)) < 0.95 * np.mean(outer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"group": "scool"}, r"group='scool': allowed: .*did you mean 'school'"),
        ({"group": []}, r"group=\[\]: a group, a list of some, or None for all"),
        ({"group": 3}, "group=3: a group"),
        ({"term": "open"}, "term='open': allowed: 'Intercept'"),
        ({"term": ["Intercept", "x"]}, "term='x'"),
        ({"joint": "yes"}, "joint='yes': True or False"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        expected_rank(model("nested"), **arguments)

"""Refits without groups and rows: against lme4's, against our own fits, and at the edges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from influence_models import (
    MODELS,
    REFERENCE,
    brute,
    data_of,
    deletions,
    model_of,
    quiet,
    same_as_a_fit,
    ten_groups,
)
from properties.compare import close
from tolerances import DELETION, LME4_INFLUENCE, SAME_DELETION, SAME_STEP

import merextras as mx
from merextras.exceptions import RankDeficientWarning

SLOPES = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def subjects():
    return model_of("slopes").influence("Subject")


@pytest.fixture(scope="module")
def table():
    return ten_groups()


@pytest.mark.parametrize(("name", "number"), deletions())
def test_refits_against_lme4(name, number):
    theirs = MODELS[name]["deletions"][number]
    case = theirs["groups"] == "case"
    found = model_of(name, reml=theirs["REML"]).influence(None if case else theirs["groups"])
    assert found.reasons == {}
    known = [str(level) for level in found.levels]
    levels = [refit["level"] for refit in theirs["refits"]]
    at = [int(x) - 1 if case else known.index(x) for x in levels]
    assert len(set(at)) == len(at)
    for ours, key in (
        (found.thetas, "theta"),
        (found.betas, "beta"),
        (found.std_errors, "std_error"),
    ):
        for column in range(ours.shape[1]):
            values = [refit[key][column] for refit in theirs["refits"]]
            close(ours[at, column], values, DELETION, scale=0.1 if key == "theta" else 0.0)
    close(found.var_corr["sigma"].iloc[at], [r["sigma"] for r in theirs["refits"]], DELETION)
    assert found.n_deleted[at].tolist() == [r["rows"] for r in theirs["refits"]]


def test_lme4s_own_object(subjects):
    """Its definitions; lme4's Cook's distances have a factor (m - p) / m that ours have not."""
    theirs = REFERENCE["lme4"]["subject"]
    assert [str(level) for level in subjects.levels] == theirs["levels"]
    close(subjects.dfbeta().to_numpy(), theirs["dfbeta"], LME4_INFLUENCE)
    close(subjects.dfbetas().to_numpy(), theirs["dfbetas"], LME4_INFLUENCE)
    close(subjects.cooks_distance("lme4"), theirs["cooks_distance"], LME4_INFLUENCE)
    close(subjects.cooks_distance() * 16 / 18, theirs["cooks_distance"], LME4_INFLUENCE)
    cases = model_of("slopes").influence()
    close(cases.cooks_distance("lme4"), REFERENCE["lme4"]["case"]["cooks_distance"], 0.01)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["slopes", "crossed"])
def test_measures_by_their_definitions(name, reml):
    m = model_of(name, reml=reml)
    group = m.design.factors[-1]
    found, measures = m.influence(group), m.influence(group).measures()
    vcov, p = m.vcov().to_numpy(), len(m.fixef())
    for level in found.levels[:3]:
        frame = data_of(name)
        rest = brute(MODELS[name]["formula"], frame, frame[group] != level, reml=reml)
        moved = (rest.fixef() - m.fixef()).to_numpy()
        row = measures.loc[level]
        close(row["cooks_distance"], moved @ np.linalg.solve(vcov, moved) / p, DELETION)
        other = rest.vcov().to_numpy()
        close(row["cov_ratio"], np.linalg.det(other) / np.linalg.det(vcov), DELETION)
        trace = abs(np.trace(np.linalg.solve(vcov, other)) - p)
        close(row["cov_trace"], trace, DELETION, scale=1.0)
        close(row["displacement"], dense_displacement(m, rest), DELETION, scale=1.0)


def dense_displacement(m, rest):
    """How much larger -2 log L of all rows is at the rest's estimates, with V written out."""
    z, y, x = m.get_me("Z").toarray(), m.get_me("y"), m.get_me("X")
    terms = m.design.terms

    def criterion(fit):
        lam = np.zeros((z.shape[1], z.shape[1]))
        at = 0
        for term, own in zip(terms, fit.solution.lams, strict=True):
            for _ in range(len(term.levels)):
                lam[at : at + term.k, at : at + term.k] = own
                at += term.k
        v = fit.sigma() ** 2 * (np.eye(len(y)) + z @ lam @ lam.T @ z.T)
        inner = x.T @ np.linalg.solve(v, x)
        beta = fit.fixef().to_numpy()
        value = np.linalg.slogdet(v)[1]
        if m.is_reml():
            beta = np.linalg.solve(inner, x.T @ np.linalg.solve(v, y))
            value += np.linalg.slogdet(inner)[1]
        return value + (y - x @ beta) @ np.linalg.solve(v, y - x @ beta)

    return criterion(rest) - criterion(m)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("formula", "group"),
    [
        ("y ~ x + (x | g)", "g"),
        ("y ~ x + (x || g)", None),
        ("y ~ x + (1 | g)", "h"),
        ("y ~ x + (1 | g) + (1 | h)", "h"),
        ("y ~ x + (1 | g) + (1 | h)", None),
        ("y ~ x + (1 | g/h)", "h:g"),
        ("y ~ x + (1 | g/h)", "g"),
    ],
)
def test_against_fits_to_what_is_left(table, formula, group, reml):
    rng = np.random.default_rng(2)
    frame = table.assign(h=np.resize(list("abcd"), 80))
    frame["y"] += rng.normal(0, 1.0, 4)[pd.factorize(frame["h"])[0]]
    frame["y"] += rng.normal(0, 1.0, 40)[frame["g"] * 4 + pd.factorize(frame["h"])[0]]
    m = quiet(formula, frame, reml=reml)
    found = m.influence(frame["h"] if group == "h" else group)
    pairs = frame["h"] + ":" + frame["g"].astype(str)
    by = {None: frame.index, "g": frame["g"], "h": frame["h"], "h:g": pairs}[group]
    for i in (0, len(found) // 2, len(found) - 1):
        keep = np.asarray(by != found.levels[i])
        same_as_a_fit(found, i, brute(formula, frame, keep, reml=reml))
        assert found.n_deleted[i] == np.sum(~keep)


def test_one_step_is_near_the_full_refit(subjects):
    m = model_of("slopes")
    step = m.influence("Subject", method="one-step")
    assert step.method == "one-step"
    moved, near = subjects.dfbeta().to_numpy(), step.dfbeta().to_numpy()
    assert np.max(np.abs(near - moved)) < 0.02 * np.max(np.abs(moved))
    changes, steps = subjects.change.to_numpy(), step.change.to_numpy()
    assert np.max(np.abs(changes - steps)) < 0.25 * np.max(np.abs(changes))
    assert step.measures()["displacement"].isna().all()
    assert step.cooks_distance().idxmax() == subjects.cooks_distance().idxmax()


def test_the_error_of_a_step_is_of_second_order(table):
    """Of a row among two thousand the step is as good as the refit."""
    parts = [table.assign(g=table["g"] + 10 * i, y=table["y"] + 0.01 * i) for i in range(25)]
    m = mx.lmer("y ~ x + (x | g)", pd.concat(parts, ignore_index=True))
    full, step = m.influence(), m.influence(method="one-step")
    for name in ("thetas", "betas", "std_errors", "parameter_values"):
        one, other = getattr(full, name), getattr(step, name)
        moved = np.max(np.abs(one - np.median(one, axis=0)), axis=0)
        assert np.all(np.max(np.abs(one - other), axis=0) < 0.025 * moved), name


def test_a_step_from_a_boundary_stays_there():
    m = model_of("singular")
    found = m.influence("Batch", method="one-step")
    assert np.all(found.thetas == 0.0)
    assert np.all(np.isfinite(found.betas))
    assert found.measures()["singular"].all()


@pytest.mark.slow
def test_processes_change_nothing():
    m = model_of("nested")
    one, two = m.influence("batch"), m.influence("batch", n_jobs=2)
    np.testing.assert_array_equal(one.thetas, two.thetas)
    np.testing.assert_array_equal(one.betas, two.betas)


def test_blocks_change_nothing(monkeypatch):
    m = model_of("slopes")
    whole = m.influence()
    monkeypatch.setattr("merextras.engine.deletion.refitter._BLOCK", 2000)
    close(m.influence().thetas, whole.thetas, SAME_DELETION)
    close(m.influence(method="one-step").thetas, m.influence(method="one-step").thetas, SAME_STEP)


def test_frequencies_lose_one_observation_a_row(table):
    times = np.resize([1, 3, 2, 0], 80)
    short = mx.lmer("y ~ x + (x | g)", table.assign(k=times), freq_weights="k")
    long = table.loc[table.index.repeat(times)].reset_index(drop=True)
    cases = short.influence()
    first = np.concatenate([[0], np.cumsum(times)])
    for i in (0, 1, 2):
        keep = np.arange(len(long)) != first[i]
        same_as_a_fit(cases, i, brute("y ~ x + (x | g)", long, keep))
    close(cases.betas[3], short.fixef(), SAME_STEP)
    assert cases.n_deleted[:4].tolist() == [1, 1, 1, 0]
    groups = short.influence("g")
    same_as_a_fit(groups, 2, brute("y ~ x + (x | g)", long, long["g"] != 2))
    assert groups.n_deleted[0] == np.sum(times[:8])


def test_rows_of_weight_zero_are_no_observations():
    m, frame = model_of("weights"), data_of("weights")
    cases = m.influence()
    at = np.flatnonzero(frame["w"] == 0)[0]
    assert cases.n_deleted[at] == 0
    close(cases.betas[at], m.fixef(), SAME_STEP)
    assert cases.cooks_distance().iloc[at] == pytest.approx(0.0, abs=1e-12)


def test_an_offset_stays(table):
    frame = table.assign(o=np.linspace(0, 5, 80) ** 2)
    m = mx.lmer("y ~ x + offset(o) + (1 | g)", frame)
    found = m.influence("g")
    same_as_a_fit(found, 3, brute("y ~ x + offset(o) + (1 | g)", frame, frame["g"] != 3))


def test_what_only_one_group_tells_has_a_reason(table):
    m = mx.lmer("y ~ x + rare + (1 | g)", table)
    for method in ("full", "one-step"):
        found = m.influence("g", method=method)
        assert list(found.reasons) == [4]
        assert "fixed effects cannot all be estimated" in found.reasons[4]
        assert found.fixef.loc[4].isna().all()
        assert found.fixef.drop(index=4).notna().all(axis=None)
        assert found.measures().loc[4, "cooks_distance":"displacement"].isna().all()
    assert "no estimates without 4: the fixed effects" in repr(m.influence("g"))


def test_reasons_one_by_one(table):
    frame = table.assign(h=np.resize(list("ab"), 80))
    m = quiet("y ~ x + rare + (1 | g) + (1 | h)", frame)
    assert "fixed effects cannot all" in m.influence("g").reasons[4]
    found = m.influence("h")
    assert set(found.reasons.values()) == {"a grouping factor has fewer than two levels left"}
    assert np.all(np.isnan(found.betas))


@pytest.mark.parametrize("formula", ["y ~ x + (1 | g)", "y ~ x + (1 | g) + (1 | h)"])
def test_what_is_left_fits_exactly(table, formula):
    """One row has all of the noise: without it there is no likelihood to speak of."""
    frame = table.assign(y=1.0 + 2.0 * table["x"], h=np.resize(list("abcd"), 80))
    frame.loc[4, "y"] += 5.0
    m = quiet(formula, frame)
    for method in ("full", "one-step"):
        found = m.influence(method=method)
        left = found.var_corr.loc[4, "sigma"]
        # Rounding decides whether anything is left.
        assert list(found.reasons) == [4] if np.isnan(left) else left < 1e-6
        assert found.fixef.drop(index=4).notna().all(axis=None)


def test_a_step_does_not_trust_a_curvature_that_is_gone():
    """Two rows a level; without one of two rows the criterion is flat where the fit was."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"g": np.arange(30) // 2, "x": rng.normal(size=30)})
    frame["y"] = rng.normal(size=30)
    m = quiet("y ~ x + (1 | g)", frame)
    full, step = m.influence(), m.influence(method="one-step")
    assert np.max(np.abs(full.thetas - m.theta)) > 0.5 * m.theta
    assert np.max(np.abs(step.thetas - full.thetas)) < np.max(np.abs(full.thetas - m.theta))


def test_without_fixed_effects(table):
    m = quiet("y ~ 0 + (1 | g)", table.assign(y=table["y"] - 3.0))
    found = m.influence("g")
    assert found.betas.shape == (10, 0)
    assert found.cooks_distance().isna().all()
    rest = brute("y ~ 0 + (1 | g)", table.assign(y=table["y"] - 3.0), table["g"] != 1)
    close(found.thetas[1], rest.theta, SAME_DELETION)


def test_too_few_levels_or_rows(table):
    two = table[table["g"] < 2]
    found = quiet("y ~ x + (1 | g)", two).influence("g")
    assert set(found.reasons.values()) == {"a grouping factor has fewer than two levels left"}
    most = np.where(np.arange(80) < 77, "most", "rest")
    found = mx.lmer("y ~ x + rare + (1 | g)", table).influence(most)
    assert found.reasons[0] == "there are no more rows left than fixed effects"


@pytest.mark.parametrize(
    ("formula", "size"),
    [("y ~ x + (1 | g)", 1e4), ("y ~ x + (1 | g)", 1e7), ("y ~ x + (x | g)", 1e3)],
)
def test_a_row_that_is_nearly_all_there_is(table, formula, size):
    """A misplaced decimal point: a difference of cross-products would have no digits."""
    frame = table.copy()
    frame.loc[7, "x"] = size
    found = quiet(formula, frame).influence()
    same_as_a_fit(found, 7, brute(formula, frame, frame.index != 7))


def test_collinear_columns_that_the_fit_dropped(table):
    with pytest.warns(RankDeficientWarning):
        m = mx.lmer("y ~ x + x2 + (1 | g)", table.assign(x2=2 * table["x"]))
    assert list(m.influence("g").fixef.columns) == ["Intercept", "x"]


def test_one_row_per_level_of_a_factor_of_two(table):
    """Levels that vanish from one factor and lose a row in the other."""
    frame = table.assign(row=np.arange(80) // 2)
    m = quiet("y ~ x + (1 | row) + (1 | g)", frame)
    found = m.influence("row")
    assert len(found) == 40
    same_as_a_fit(found, 5, brute("y ~ x + (1 | row) + (1 | g)", frame, frame["row"] != 5), 1e-5)


def test_many_groups_take_one_step_each():
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(5000), 3)
    frame = pd.DataFrame({"g": g, "x": rng.normal(size=15000)})
    frame["y"] = rng.normal(size=5000)[g] + frame["x"] + rng.normal(size=15000)
    frame.loc[300:302, "y"] += 30.0
    found = mx.lmer("y ~ x + (1 | g)", frame).influence("g", method="one-step")
    assert found.cooks_distance().idxmax() == 100
    assert found.change["sd_Intercept|g"].idxmin() == 100
    assert found.reasons == {}

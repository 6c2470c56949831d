"""Each row's prediction is that of a fit without it, and the errors are what they say."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tolerances import LEFT_OUT

import merextras as mx
from merextras.exceptions import (
    ApproximationWarning,
    InvalidArgumentError,
    MerextrasError,
    NoRowsError,
    SingularFitWarning,
)

# Where fits stop by default (a decrement of 1e-13) is 3e-8 standard errors off.
TIGHT = mx.LmerControl(tolerance=1e-18)


def crossed(rows=120):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {"g": rng.integers(0, 8, rows), "h": rng.integers(0, 6, rows), "x": rng.normal(size=rows)}
    )
    effect = rng.normal(size=8)[frame["g"]] + rng.normal(size=6)[frame["h"]]
    frame["y"] = 3.0 + frame["x"] + effect + rng.normal(size=rows)
    frame["w"] = rng.uniform(0.5, 2.0, rows)
    frame["f"] = rng.integers(1, 4, rows)
    return frame.set_axis(np.arange(rows) * 2 + 5)


MODELS = {
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"), {}),
    "crossed": ("y ~ x + (1 | g) + (1 | h)", crossed(), {}),
    "weights": ("y ~ x + (1 | g)", crossed(), {"weights": "w"}),
    "offset, ML": ("y ~ 1 + (1 | g)", crossed(), {"offset": "x", "reml": False}),
}


def alone(formula, data, left_out, given):
    """Predictions of rows from a fit to the others, by the verbs for fits and predictions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = mx.lmer(formula, data.drop(left_out), control=TIGHT, **given)
        return fit.predict(
            data.loc[left_out], interval="prediction", allow_new_levels="draw", level=0.9
        )


@pytest.mark.parametrize("name", MODELS)
def test_each_row_is_predicted_as_by_a_fit_to_the_others(name):
    formula, data, given = MODELS[name]
    m = mx.lmer(formula, data, control=TIGHT, **given)
    found = mx.cross_validate(m, level=0.9)
    assert found.n_folds == len(data)
    assert found.rows.index.equals(data.index)
    for row in data.index[::23]:
        expected = alone(formula, data, [row], given).iloc[0]
        for column in ("fit", "lower", "upper"):
            off = found.rows.loc[row, column] - expected[column]
            assert abs(off) < LEFT_OUT * found.rows["observed"].std()


@pytest.mark.parametrize("name", MODELS)
def test_each_group_is_predicted_as_by_a_fit_to_the_others(name):
    formula, data, given = MODELS[name]
    m = mx.lmer(formula, data, control=TIGHT, **given)
    by = m.design.factors[0]
    found = mx.cross_validate(m, by=by, level=0.9)
    assert found.rows["new"].all()
    for level in data[by].unique()[:4]:
        left_out = data.index[data[by] == level]
        expected = alone(formula, data, left_out, given)
        for column in ("fit", "lower", "upper"):
            off = np.abs(found.rows.loc[left_out, column] - expected[column])
            assert off.max() < LEFT_OUT * found.rows["observed"].std()
        assert (found.rows.loc[left_out, "fold"] == level).all()


def test_folds_at_random_are_refits_too_and_know_what_is_new():
    formula, data, _ = MODELS["crossed"]
    m = mx.lmer(formula, data, control=TIGHT)
    found = mx.cross_validate(m, folds=5, level=0.9, rng=1, n_jobs=2)
    assert sorted(found.rows["fold"].value_counts()) == [24] * 5
    for fold, rows in found.rows.groupby("fold"):
        expected = alone(formula, data, rows.index, {})
        off = np.abs(rows["fit"] - expected["fit"])
        assert off.max() < LEFT_OUT * data["y"].std(), fold
        kept = data.drop(rows.index)
        is_new = ~data.loc[rows.index, "g"].isin(kept["g"]) | ~data.loc[rows.index, "h"].isin(
            kept["h"]
        )
        assert rows["new"].equals(is_new.rename("new"))
    same = mx.cross_validate(m, folds=5, level=0.9, rng=1)
    pd.testing.assert_frame_equal(found.rows, same.rows)
    by_group = mx.cross_validate(m, by="g", folds=4, rng=2)
    assert by_group.rows.groupby(data["g"])["fold"].nunique().max() == 1
    assert by_group.n_folds == 4


def test_held_covariances_are_those_of_all_rows():
    """Least squares with V held, in the dense way."""
    formula, data, _ = MODELS["crossed"]
    m = mx.lmer(formula, data)
    found = mx.cross_validate(m, theta="held")
    z = m.design.z().toarray()
    lam = np.concatenate([np.full(len(t.levels), m.theta[i]) for i, t in enumerate(m.design.terms)])
    v = np.eye(len(data)) + (z * lam**2) @ z.T
    x, y = m.design.x, m.design.y
    for i in (0, 17, 119):
        kept = np.delete(np.arange(len(data)), i)
        inverse = np.linalg.inv(v[np.ix_(kept, kept)])
        beta = np.linalg.solve(x[kept].T @ inverse @ x[kept], x[kept].T @ inverse @ y[kept])
        fit = x[i] @ beta + v[i, kept] @ inverse @ (y[kept] - x[kept] @ beta)
        assert abs(found.rows["fit"].iloc[i] - fit) < LEFT_OUT * y.std()


def test_the_errors_are_what_they_say():
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    own = {"worst": lambda observed, fit: np.max(np.abs(observed - fit))}
    found = mx.cross_validate(m, by="Subject", metrics=own)
    rows = found.rows
    off = rows["observed"] - rows["fit"]
    assert np.isclose(found.rmse, np.sqrt(np.mean(off**2)), rtol=1e-12)
    assert np.isclose(found.mae, np.mean(np.abs(off)), rtol=1e-12)
    inside = (rows["lower"] <= rows["observed"]) & (rows["observed"] <= rows["upper"])
    assert np.isclose(found.coverage, inside.mean(), rtol=1e-12)
    density = stats.t.logpdf(off / rows["std_error"], 168) - np.log(rows["std_error"])
    assert np.isclose(found.log_score, density.mean(), rtol=1e-12)
    frame = found.to_frame()
    assert list(frame.index) == ["all", "new groups"]
    assert np.isclose(frame.loc["all", "worst"], off.abs().max(), rtol=1e-12)
    assert len(found.by_fold()) == 18
    assert "Cross-validation by Subject, 18 folds" in str(found)


def test_frequencies_count_and_weight_zero_does_not():
    data = crossed()
    m = mx.lmer("y ~ x + (1 | g)", data, freq_weights="f")
    found = mx.cross_validate(m, by="g")
    repeated = data.loc[data.index.repeat(data["f"])].reset_index(drop=True)
    plain = mx.cross_validate(mx.lmer("y ~ x + (1 | g)", repeated), by="g")
    assert np.isclose(found.rmse, plain.rmse, rtol=1e-9)
    assert found.to_frame()["n"].iloc[0] == len(repeated)
    data.loc[data.index[:3], "w"] = 0.0
    part = mx.cross_validate(mx.lmer("y ~ x + (1 | g)", data, weights="w"))
    assert part.to_frame()["n"].iloc[0] == len(data) - 3


def test_folds_without_a_fit_are_said():
    data = crossed(40)
    data["only"] = (np.arange(40) < 4).astype(float)
    m = mx.lmer("y ~ only + (1 | g)", data)
    groups = np.where(data["only"] > 0, "a", np.where(np.arange(40) % 2, "b", "c"))
    with pytest.warns(ApproximationWarning, match=r"1 of 3 folds have no fit"):
        found = mx.cross_validate(m, by=groups)
    assert found.n_failed == 1
    assert found.to_frame()["n"].iloc[0] == 36
    assert "no fit in 1 fold(s)" in str(found)
    halves = np.where(data["g"] < data["g"].median(), "a", "b")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        two = mx.lmer("y ~ 1 + (1 | g)", data.assign(g=halves))
    with pytest.raises(MerextrasError, match="no fold has a fit"):
        mx.cross_validate(two, by="g")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "school"}, "by='school'.*'g'"),
        ({"by": [1, 2]}, "by: expected the name of a factor, or 120 labels"),
        ({"folds": "all"}, "folds='all'.*'each'"),
        ({"folds": 1}, "folds=1: at least 2"),
        ({"by": "g", "folds": 9}, "folds=9.*the 8 there are of g"),
        ({"folds": 2.5}, "folds=2.5"),
        ({"theta": "fixed"}, "theta='fixed'.*'held'"),
        ({"level": 95}, "level=95.*0.95"),
        ({"metrics": "rmse"}, "metrics='rmse'"),
        ({"metrics": {"bias": lambda observed: 1.0}}, "metrics: 'bias' gave no number.*TypeError"),
        ({"metrics": {"bias": lambda observed, fit: "low"}}, "'bias' gave no number.*ValueError"),
    ],
)
def test_bad_arguments_say_what_is_allowed(arguments, message):
    m = mx.lmer("y ~ x + (1 | g)", crossed())
    with pytest.raises(InvalidArgumentError, match=message):
        mx.cross_validate(m, **arguments)


def test_a_model_without_rows_is_refused():
    m = mx.lmer("y ~ x + (1 | g)", crossed(), chunk_size=50)
    with pytest.raises(NoRowsError, match="cross_validate"):
        mx.cross_validate(m)

"""`predict_interval` with joint draws against the exact distribution."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import polars as pl
import pytest
import statsmodels.formula.api as smf
from interval_models import dense_covariance, dense_prior
from properties.compare import close
from scipy import stats
from sim_models import SHAPES, errors_of_covariance, fitted
from tolerances import INVARIANCE, MONTE_CARLO, SAME_DRAWS

from merextras import lmer
from merextras.datasets import load_dataset
from merextras.exceptions import ApproximationWarning, InvalidArgumentError
from merextras.mermod import MerMod
from merextras.model.newdata.rows import new_rows
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at
from merextras.prediction.rows.predict import predict
from merextras.simulation.interval_tables import intervals
from merextras.simulation.predict_interval import predict_interval
from merextras.simulation.sim import sim, sim_fitted

N_SIMS = 20_000
#: New rows: a known level, an unseen one twice, another one; by terms the labels of those drawn.
UNSEEN = {
    "intercept": ({"school": ["I", "X", "X", "Y"]}, [[None, "X", "X", "Y"]]),
    "slopes": ({"Subject": [308, 1, 1, 2]}, [[None, 1, 1, 2]]),
    "uncorrelated": ({"Subject": [308, 1, 1, 2]}, [[None, 1, 1, 2]]),
    "nested": (
        {"school": ["I", "I", "X", "X"], "class": ["a", "e", "a", "e"]},
        [[None, "e:I", "a:X", "e:X"], [None, None, "X", "X"]],
    ),
    "crossed": (
        {"plate": ["a", "zz", "b", "zz"], "sample": ["A", "B", "Z", "Z"]},
        [[None, "zz", None, "zz"], [None, None, "Z", "Z"]],
    ),
    "singular": ({"Batch": ["A", "X", "X", "Y"]}, [[None, "X", "X", "Y"]]),
    "singular_slopes": ({"Subject": [308, 1, 1, 2]}, [[None, 1, 1, 2]]),
}


def some_rows(shape):
    """Four rows of the model's own data, with an index of their own."""
    frame = fitted(shape).design.frame.iloc[[0, 3, 12, 25]]
    return frame.set_axis(list("wxyz"), axis=0)


def drawn(model, data, **options):
    return predict_interval(model, data, return_sims=True, n_sims=N_SIMS, **options)


def quantile_errors(table, centre, sd, df, level):
    """Errors of fit, lower and upper in their own standard errors; the draws are t(df)."""
    out = []
    for name, p in (("fit", 0.5), ("lower", (1 - level) / 2), ("upper", (1 + level) / 2)):
        at = stats.t.ppf(p, df)
        se = sd * np.sqrt(p * (1 - p) / N_SIMS) / stats.t.pdf(at, df)
        out.append((table[name] - centre - at * sd) / se)
    return np.array(out)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("resid", [True, False])
def test_distribution_in_known_groups(shape, resid):
    model, data = fitted(shape), some_rows(shape)
    covariance, pwrss = dense_covariance(model, new_rows(model, data))
    exact = covariance + resid * np.eye(4)
    df = model.solution.n - model.solution.p
    made = drawn(model, data, include_resid_var=resid, rng=3)
    centre = predict(model, data).to_numpy()
    errors = errors_of_covariance(made.sims["full"].T, centre, exact * pwrss / (df - 2), df)
    assert np.max(np.abs(errors)) < MONTE_CARLO
    table = made.to_frame()
    sd = np.sqrt(np.diag(exact) * pwrss / df)
    assert np.max(np.abs(quantile_errors(table, centre, sd, df, 0.8))) < MONTE_CARLO
    assert table.index.tolist() == list("wxyz")
    assert list(table) == ["fit", "lower", "upper"]


@pytest.mark.parametrize("shape", SHAPES)
def test_unseen_levels_drawn(shape):
    """Rows of one new level share its effect; those of several factors add up."""
    columns, labels = UNSEEN[shape]
    model, data = fitted(shape), some_rows(shape).assign(**columns)
    rows = new_rows(model, data, unknown="zero")
    covariance, pwrss = dense_covariance(model, rows)
    covariance += dense_prior(model, rows, own_draw=labels)
    df = model.solution.n - model.solution.p
    made = drawn(model, data, include_resid_var=False, new_levels="draw", rng=4)
    centre = predict(model, data, allow_new_levels="draw").to_numpy()
    errors = errors_of_covariance(made.sims["full"].T, centre, covariance * pwrss / (df - 2), df)
    assert np.max(np.abs(errors)) < MONTE_CARLO


@pytest.mark.parametrize("shape", ["slopes", "nested", "crossed"])
def test_unseen_levels_at_zero(shape):
    model, data = fitted(shape), some_rows(shape).assign(**UNSEEN[shape][0])
    covariance, pwrss = dense_covariance(model, new_rows(model, data, unknown="zero"))
    df = model.solution.n - model.solution.p
    with pytest.warns(ApproximationWarning, match="effects are taken for zero, without variance"):
        made = drawn(model, data, include_resid_var=False, rng=5)
    centre = predict(model, data, allow_new_levels="zero").to_numpy()
    errors = errors_of_covariance(made.sims["full"].T, centre, covariance * pwrss / (df - 2), df)
    assert np.max(np.abs(errors)) < MONTE_CARLO


def test_the_warning_names_the_levels():
    data = some_rows("nested").assign(**UNSEEN["nested"][0])
    with pytest.warns(ApproximationWarning) as caught:
        predict_interval(fitted("nested"), data, n_sims=5, rng=1)
    texts = [str(w.message) for w in caught]
    assert len(texts) == 2
    assert "levels of 'class:school' that the model has not seen: 'e:I', 'a:X', 'e:X'" in texts[0]
    assert "levels of 'school' that the model has not seen: 'X'; their effects" in texts[1]
    assert caught[0].filename == __file__


@pytest.mark.parametrize("shape", ["slopes", "nested", "crossed"])
@pytest.mark.parametrize("which", ["fixed", "random"])
def test_parts(shape, which):
    """Without residuals, whatever `include_resid_var` says."""
    model, data = fitted(shape), some_rows(shape)
    rows = new_rows(model, data)
    zero = [np.zeros_like(v) for v in rows.values]
    rows = replace(rows, values=tuple(zero)) if which == "fixed" else replace(rows, x=0 * rows.x)
    covariance, pwrss = dense_covariance(model, rows)
    df = model.solution.n - model.solution.p
    made = drawn(model, data, which=which, rng=6)
    centre = rows.x @ model.solution.beta + np.sum(rows.effects(model.solution.b), axis=0)
    errors = errors_of_covariance(made.sims[which].T, centre, covariance * pwrss / (df - 2), df)
    assert np.max(np.abs(errors)) < MONTE_CARLO


def test_all_parts_add_up_to_the_whole():
    data = some_rows("nested")
    options = {"n_sims": 50, "rng": 7, "return_sims": True, "include_resid_var": False}
    made = predict_interval(fitted("nested"), data, which="all", **options)
    assert list(made.sims) == ["combined", "class:school", "school", "fixed"]
    total = sum(draws for effect, draws in made.sims.items() if effect != "combined")
    close(total, made.sims["combined"], INVARIANCE)
    for which, parts in (("full", ["combined"]), ("fixed", ["fixed"])):
        one = predict_interval(fitted("nested"), data, which=which, **options)
        close(one.sims[which], sum(made.sims[part] for part in parts), INVARIANCE)
    both = predict_interval(fitted("nested"), data, which="random", **options)
    close(both.sims["random"], made.sims["class:school"] + made.sims["school"], INVARIANCE)


def test_all_has_residuals_in_the_whole_only():
    data = some_rows("crossed")
    plain = predict_interval(
        fitted("crossed"), data, which="all", rng=1, n_sims=500, include_resid_var=False
    )
    noisy = predict_interval(fitted("crossed"), data, which="all", rng=1, n_sims=500)
    same = plain["effect"] != "combined"
    pd.testing.assert_frame_equal(plain[same], noisy[same])
    width = (noisy["upper"] - noisy["lower"]) / (plain["upper"] - plain["lower"])
    assert np.all(width[~same] > 1.1)


def test_all_is_long():
    data = some_rows("crossed").set_axis([7, 7, 3, 1], axis=0)
    frame = predict_interval(fitted("crossed"), data, which="all", n_sims=5, rng=1)
    assert list(frame) == ["effect", "case", "fit", "lower", "upper"]
    effects = ["combined", "plate", "sample", "fixed"]
    assert frame["effect"].tolist() == np.repeat(effects, 4).tolist()
    assert frame["case"].tolist() == [7, 7, 3, 1] * 4
    assert frame.index.tolist() == list(range(16))


@pytest.mark.parametrize("shape", SHAPES)
def test_draws_are_those_of_sim(shape):
    model = fitted(shape)
    made = predict_interval(model, n_sims=11, rng=8, include_resid_var=False, return_sims=True)
    close(made.sims["full"], sim_fitted(model, sim(model, 11, rng=8)), SAME_DRAWS)


def test_own_rows_and_the_same_as_new_ones():
    model = fitted("nested")
    own = predict_interval(model, n_sims=20, rng=1)
    assert own.index.equals(model.design.index)
    pd.testing.assert_frame_equal(
        own, predict_interval(model, model.design.frame, n_sims=20, rng=1)
    )


def test_statistics_are_quantiles_of_type_seven():
    made = predict_interval(fitted("slopes"), n_sims=57, rng=2, level=0.9, return_sims=True)
    table, draws = made.to_frame(), made.sims["full"]
    close(table, np.quantile(draws, [0.5, 0.05, 0.95], axis=1).T, 1e-14)
    mean = predict_interval(fitted("slopes"), n_sims=57, rng=2, level=0.9, stat="mean")
    close(mean["fit"], draws.mean(axis=1), 1e-14)
    pd.testing.assert_frame_equal(mean[["lower", "upper"]], table[["lower", "upper"]])


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_quantiles_of_few_draws(n):
    draws = np.random.default_rng(n).standard_normal((4, n))
    exact = np.quantile(draws, [0.5, 0.25, 0.75], axis=1).T
    close(intervals(draws.copy(), "median", 0.5), exact, 1e-15)


@pytest.mark.parametrize("shape", ["slopes", "nested", "crossed"])
@pytest.mark.parametrize("joint", [True, False])
def test_passes_and_blocks_share_the_draws_of_a_level(shape, joint, monkeypatch):
    """Little memory: rows in several passes, in the same draws but for the residuals."""
    model = fitted(shape)
    data = model.design.frame.iloc[::3]
    data = pd.concat([data, some_rows(shape).assign(**UNSEEN[shape][0])])
    options = {"rng": 9, "n_sims": 40, "joint": joint, "new_levels": "draw", "return_sims": True}
    plain = {"include_resid_var": False, **options}
    whole = predict_interval(model, data, **plain).sims["full"]
    monkeypatch.setattr("merextras.simulation.linear_predictor._HELD", 40 * 9)
    monkeypatch.setattr("merextras.simulation.linear_predictor._BLOCK", 100)
    monkeypatch.setattr("merextras.simulation.independent._BLOCK", 100)
    monkeypatch.setattr("merextras.simulation.predict_interval._BLOCK", 300)
    parts = predict_interval(model, data, **plain)
    close(parts.sims["full"], whole, SAME_DRAWS)
    assert parts.index.equals(data.index)
    noisy = predict_interval(model, data, **options).sims["full"]
    apart = (noisy - whole) / np.sqrt(model.solution.sigma2)
    assert abs(np.mean(apart)) < MONTE_CARLO / np.sqrt(apart.size)
    assert abs(np.mean(apart**2) - 1) < 0.2


def test_a_generator_moves_on_and_a_seed_repeats():
    model, data = fitted("slopes"), some_rows("slopes")
    rng = np.random.default_rng(1)
    first, second = (predict_interval(model, data, n_sims=9, rng=rng) for _ in range(2))
    assert not first.equals(second)
    assert first.equals(predict_interval(model, data, n_sims=9, rng=1))


def test_missing_values_give_nan():
    data = some_rows("slopes").assign(Days=[1.0, np.nan, 2.0, 3.0])
    made = predict_interval(fitted("slopes"), data, n_sims=9, rng=1, return_sims=True)
    assert made.to_frame().isna().all(axis=1).tolist() == [False, True, False, False]
    assert np.isnan(made.sims["full"]).all(axis=1).tolist() == [False, True, False, False]
    nothing = predict_interval(fitted("slopes"), data.iloc[[1]], n_sims=9, rng=1)
    assert nothing.isna().all(axis=None)


def test_a_missing_level_is_an_unseen_one():
    data = some_rows("slopes").assign(Subject=[308, np.nan, 309, np.nan])
    made = predict_interval(
        fitted("slopes"), data, n_sims=2000, rng=1, new_levels="draw", include_resid_var=False
    )
    width = made["upper"] - made["lower"]
    assert width[["x", "z"]].min() > 1.5 * width[["w", "y"]].max()


def test_offset_and_weights():
    data = load_dataset("sleepstudy").assign(far=100.0, w=np.tile([1.0, 4.0, 0.0, 1.0, 1.0], 36))
    m = lmer("Reaction ~ Days + offset(far) + (1 | Subject)", data, weights="w")
    new = data.head(4).assign(w=[1.0, 16.0, 0.0, np.nan])
    for given in (new, new.rename(columns={"w": "v"})):
        made = predict_interval(
            m, given, n_sims=4000, rng=1, weights=None if given is new else "v", return_sims=True
        )
        sd = made.sims["full"].std(axis=1)
        mean = predict_interval(m, given, n_sims=4000, rng=1, include_resid_var=False)
        exact = m.predict(given, interval="prediction", weights=given.iloc[:, -1].to_numpy())
        close(made.to_frame()["fit"][:2], exact["fit"][:2], 0.01)
        half = (exact["upper"] - exact["lower"])[:2] / 2 / stats.t.ppf(0.975, 142)
        close(sd[:2], half, MONTE_CARLO / np.sqrt(2 * 4000))
        assert np.isnan(sd[2:]).all()  # no observation, and one of unknown weight
        assert mean.notna().all(axis=None)
    fixed = predict_interval(m, new, which="fixed", n_sims=4000, rng=1)
    close(fixed["fit"], m.predict(new, re_form="NA"), 0.01)
    random = predict_interval(m, new, which="random", n_sims=4000, rng=1)
    assert np.max(np.abs(random["fit"])) < 100  # no offset


def test_weights_by_array_are_asked_for():
    data = load_dataset("sleepstudy")
    m = lmer("Reaction ~ Days + (1 | Subject)", data, weights=np.full(180, 2.0))
    with pytest.raises(InvalidArgumentError, match="by array, whose values for newdata are not"):
        predict_interval(m, data.head(2), n_sims=5)
    made = predict_interval(m, data.head(2), n_sims=5, rng=1, weights=2.0)
    own = predict_interval(m, n_sims=5, rng=1)
    assert made.shape == own.head(2).shape
    assert (
        predict_interval(m, data.head(2), n_sims=5, include_resid_var=False).notna().all(axis=None)
    )


def test_takes_a_statsmodels_fit():
    data = load_dataset("dyestuff")
    fit = smf.mixedlm("Yield ~ 1", data, groups="Batch").fit()
    made = predict_interval(fit, data.head(2), n_sims=50, rng=1)
    assert made.equals(predict_interval(MerMod(fit), data.head(2), n_sims=50, rng=1))


@pytest.mark.parametrize("joint", [True, False])
def test_many_groups(joint):
    """50 000 groups of one row or two, some seen, some not."""
    rng = np.random.default_rng(1)
    g = np.arange(75_000) % 50_000
    data = pd.DataFrame({"g": g, "y": rng.standard_normal(50_000)[g] + rng.standard_normal(75_000)})
    m = lmer("y ~ 1 + (1 | g)", data)
    new = pd.DataFrame({"g": [0, 49_999, 50_001, 50_001, 60_000]})
    made = predict_interval(
        m,
        new,
        n_sims=20,
        rng=1,
        new_levels="draw",
        include_resid_var=False,
        joint=joint,
        return_sims=True,
    )
    draws = made.sims["full"]
    close(draws[2], draws[3], 0)
    assert np.max(np.abs(draws[3] - draws[4])) > 0.1


# --- What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"which": "both"}, "which='both': allowed: 'full', 'fixed', 'random', 'all'"),
        ({"which": None}, "which=None: allowed"),
        ({"stat": "mode"}, "stat='mode': allowed: 'median', 'mean'"),
        ({"new_levels": "error"}, "new_levels='error': allowed: 'zero', 'draw'"),
        ({"new_levels": True}, "new_levels=True: allowed: 'zero', 'draw'"),
        ({"level": 1.0}, "level=1.0: a level is a number strictly between 0 and 1"),
        ({"level": 80}, "level=80: .* for 80 % write level=0.8"),
        ({"n_sims": 0}, "n_sims=0: must be a positive whole number"),
        ({"joint": "no"}, "joint='no': True or False"),
        ({"include_resid_var": "no"}, "include_resid_var='no': True or False"),
        ({"return_sims": 1}, "return_sims=1: True or False"),
        ({"n_sims": 1e3}, "n_sims=1000.0: must be a positive whole number"),
        ({"rng": "1"}, "rng='1': give a non-negative int"),
        ({"weights": -1}, "weights: the values must be finite and not negative"),
        ({"fix_intercept_variance": True}, "fix_intercept_variance=True: .* joint=False"),
        ({"ignore_fixed_terms": "Days"}, r"ignore_fixed_terms=\['Days'\]: .* joint=False"),
        ({"newdata": load_dataset("sleepstudy")[["Days"]]}, r"needs the column\(s\) \['Subject'\]"),
        ({"newdata": load_dataset("sleepstudy").head(0)}, "newdata: the frame has no rows"),
        ({"newdata": [1.0]}, "newdata: expected a pandas DataFrame, got list"),
        (
            {"newdata": load_dataset("sleepstudy").assign(Days="1")},
            "newdata: column 'Days' must be numeric",
        ),
        (
            {"newdata": pd.concat([load_dataset("sleepstudy")] * 2, axis=1)},
            "newdata: column names must be unique",
        ),
    ],
)
def test_bad_arguments(given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        predict_interval(fitted("slopes"), **given)


def test_an_unseen_category():
    students = load_dataset("students").rename(columns={"class": "cls"})
    m = lmer("extro ~ cls + (1 | school)", students)
    with pytest.raises(InvalidArgumentError, match=r"newdata: .*'?z'?"):
        predict_interval(m, students.head(2).assign(cls="z"), n_sims=5)


def test_nothing_warns_without_unseen_levels():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict_interval(fitted("nested"), some_rows("nested"), n_sims=5)
        unseen = some_rows("nested").assign(school="X")
        predict_interval(fitted("nested"), unseen, n_sims=5, new_levels="draw")


def test_ml_draws_sigma_as_reml_does():
    model = SHAPES["intercept"](reml=False)
    again = FittedModel(fit_at(model.design, model.theta, reml=True))
    data = some_rows("intercept")
    close(
        predict_interval(model, data, n_sims=9, rng=1),
        predict_interval(again, data, n_sims=9, rng=1),
        INVARIANCE,
    )


def test_a_polars_frame():
    model, data = fitted("slopes"), load_dataset("sleepstudy").head(3)
    made = predict_interval(model, pl.from_pandas(data), n_sims=20, rng=1)
    pd.testing.assert_frame_equal(made, predict_interval(model, data, n_sims=20, rng=1))


@pytest.mark.parametrize("name", ["fixed", "combined"])
def test_a_factor_called_as_a_part(name):
    data = load_dataset("dyestuff").rename(columns={"Batch": name})
    m = lmer(f"Yield ~ 1 + (1 | {name})", data)
    with pytest.raises(InvalidArgumentError, match=f"the grouping factor '{name}' has the name of"):
        predict_interval(m, which="all", n_sims=5)

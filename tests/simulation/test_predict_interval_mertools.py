"""`predict_interval(joint=False)` against merTools 0.5.2, within Monte Carlo error of both."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from interval_models import EXPECTED, at_r_theta, dense_covariance, new_rows_of
from properties.compare import close
from scipy import stats
from sim_models import fitted
from tolerances import BOTH_SIMULATED, INVARIANCE, MONTE_CARLO

from merextras import lmer
from merextras.datasets import load_dataset
from merextras.exceptions import ApproximationWarning, InvalidArgumentError
from merextras.model.newdata.rows import new_rows
from merextras.simulation.predict_interval import predict_interval

MODELS, CORRECTIONS = EXPECTED["models"], EXPECTED["corrections"]
N_SIMS = 20_000
CASES = [(name, which) for name in MODELS for which in ("full", "fixed", "random", "all")]
RESIDUAL = {"with_residual": True, "without_residual": False}


def model_of(entry):
    return at_r_theta(entry["formula"], entry["data"])


def drawn(entry, **options):
    """Our draws for R's new rows; one level of each factor is new in `models`."""
    new = new_rows_of(entry)
    options = {"joint": False, "n_sims": N_SIMS, "return_sims": True, "rng": 1, **options}
    if entry not in MODELS.values():
        return predict_interval(model_of(entry), new, **options)
    with pytest.warns(ApproximationWarning, match="has not seen"):
        return predict_interval(model_of(entry), new, **options)


def errors(draws, theirs, n):
    """Differences of mean, SD and quantiles from R's, in standard errors of the difference."""
    both = 1 / len(draws[0]) + 1 / n
    found = np.array(theirs["sd"])
    sd = np.where(found > 0, found, 1e-12)
    out = [
        (draws.mean(axis=1) - theirs["mean"]) / (sd * np.sqrt(both)),
        (draws.std(axis=1, ddof=1) - found) / (sd * np.sqrt(both / 2)),
    ]
    for p, quantile in zip((0.1, 0.5, 0.9), np.array(theirs["quantiles"]).T, strict=True):
        at = stats.norm.ppf(p)
        se = sd * np.sqrt(p * (1 - p) * both) / stats.norm.pdf(at)
        out.append((np.quantile(draws, p, axis=1) - quantile) / se)
    return np.abs(out)


@pytest.mark.parametrize(("name", "which"), CASES)
@pytest.mark.parametrize("noise", RESIDUAL)
def test_draws(name, which, noise):
    entry = MODELS[name]
    theirs = entry[noise][which]
    made = drawn(entry, which=which, include_resid_var=RESIDUAL[noise])
    if which != "all":
        assert np.max(errors(made.sims[which], theirs, entry["n_sims"])) < BOTH_SIMULATED
        return
    assert set(made.sims) == {"combined", *theirs}
    for effect, found in theirs.items():
        assert np.max(errors(made.sims[effect], found, entry["n_sims"])) < BOTH_SIMULATED
    table = made.to_frame().query("effect == 'combined'")[["fit", "lower", "upper"]].to_numpy()
    sd = made.sims["combined"].std(axis=1)
    for j, p in enumerate((0.5, 0.1, 0.9)):
        se = sd * np.sqrt(p * (1 - p) * (1 / N_SIMS + 1 / entry["n_sims_combined"]))
        gap = table[:, j] - np.array(entry[noise]["combined"])[:, j]
        assert np.max(np.abs(gap * stats.norm.pdf(stats.norm.ppf(p)) / se)) < BOTH_SIMULATED


@pytest.mark.parametrize("name", CORRECTIONS)
def test_corrections(name):
    entry = CORRECTIONS[name]
    ignored = [term.replace("(Intercept)", "Intercept") for term in entry["ignored"]]
    options = {
        "plain": {},
        "fix_intercept_variance": {"fix_intercept_variance": True},
        "ignore_fixed_terms": {"ignore_fixed_terms": ignored},
        "both": {"fix_intercept_variance": True, "ignore_fixed_terms": ignored[1:]},
    }
    for key, given in options.items():
        made = drawn(entry, include_resid_var=False, **given)
        assert np.max(errors(made.sims["full"], entry[key], entry["n_sims"])) < BOTH_SIMULATED


def test_one_term_by_name():
    entry = CORRECTIONS["hsb"]
    one = drawn(entry, n_sims=9, ignore_fixed_terms="ses")
    several = drawn(entry, n_sims=9, ignore_fixed_terms=["ses"])
    close(one.sims["full"], several.sims["full"], 0)


def test_where_mertools_is_wrong():
    """The mean of row 1 of the students: SD 3.8 from independent draws; 0.24 is right."""
    model = fitted("intercept")
    data = model.design.frame.head(1)
    covariance, pwrss = dense_covariance(model, new_rows(model, data))
    exact = np.sqrt(covariance[0, 0] * pwrss / 1194)
    options = {"n_sims": 4000, "include_resid_var": False, "return_sims": True, "rng": 1}
    ours, theirs = (
        predict_interval(model, data, joint=joint, **options).sims["full"].std()
        for joint in (True, False)
    )
    assert abs(ours - exact) < MONTE_CARLO * exact / np.sqrt(2 * 4000)
    assert round(exact, 1) == 0.2
    assert 3 < theirs < 5


def test_mertools_adds_residuals_to_parts():
    """SD of a school's own effect: that of a residual, 2.7, where its own is 0.19."""
    model = fitted("intercept")
    data = model.design.frame.head(1)
    options = {"which": "random", "n_sims": 4000, "return_sims": True, "rng": 1}
    theirs = predict_interval(model, data, joint=False, **options).sims["random"].std()
    assert abs(theirs - np.sqrt(model.solution.sigma2)) < 0.2


def test_independent_draws_of_uncorrelated_terms():
    """`||`, which merTools 0.5.2 can't do: the level's whole conditional covariance."""
    model = fitted("uncorrelated")
    data = model.design.frame.iloc[[0, 9]]
    made = predict_interval(
        model,
        data,
        joint=False,
        n_sims=N_SIMS,
        rng=2,
        which="random",
        return_sims=True,
        include_resid_var=False,
    ).sims["random"]
    (lam,) = model.solution.lams
    inside = np.linalg.inv(np.diag(1 / np.diag(lam) ** 2) + _gram(data, model))
    z = np.column_stack([np.ones(2), data["Days"]])
    exact = model.solution.sigma2 * z @ inside @ z.T
    gap = np.cov(made) - exact
    size = np.sqrt(np.outer(np.diag(exact), np.diag(exact)) * 2 / N_SIMS)
    assert np.max(np.abs(gap) / size) < MONTE_CARLO


def _gram(data, model):
    """Z'Z of the first row's subject."""
    own = model.design.frame.query(f"Subject == {data['Subject'].iloc[0]}")["Days"]
    z = np.column_stack([np.ones(len(own)), own])
    return z.T @ z


def test_independent_draws_of_a_singular_fit():
    model = fitted("singular")
    made = predict_interval(
        model, n_sims=50, rng=1, joint=False, which="random", include_resid_var=False
    )
    assert np.all(made == 0.0)


def test_new_levels_drawn_independently():
    model = fitted("slopes")
    data = model.design.frame.head(3).assign(Subject=[1, 1, 2], Days=[2.0, 2.0, 2.0])
    made = predict_interval(
        model,
        data,
        joint=False,
        n_sims=N_SIMS,
        rng=3,
        which="random",
        new_levels="draw",
        include_resid_var=False,
        return_sims=True,
    ).sims["random"]
    close(made[0], made[1], 0)
    z = np.array([1.0, 2.0])
    sd = np.sqrt(z @ model.covariances[0] @ z)
    assert np.max(np.abs(made.std(axis=1) / sd - 1)) < MONTE_CARLO / np.sqrt(2 * N_SIMS) + 0.01
    assert abs(np.corrcoef(made[0], made[2])[0, 1]) < MONTE_CARLO / np.sqrt(N_SIMS)


def test_the_offset_is_in_it():
    """merTools leaves it out."""
    data = load_dataset("sleepstudy").assign(far=1000.0)
    m = lmer("Reaction ~ Days + offset(far) + (1 | Subject)", data)
    for which in ("full", "fixed"):
        made = predict_interval(m, data.head(2), joint=False, which=which, n_sims=2000, rng=1)
        exact = m.predict(data.head(2), re_form=None if which == "full" else "NA")
        assert np.max(np.abs(made["fit"] - exact)) < 5


@pytest.mark.parametrize(
    ("formula", "given", "message"),
    [
        ("Reaction ~ Days + (1 | Subject)", {"ignore_fixed_terms": "days"}, "did you mean 'Days'"),
        ("Reaction ~ Days + (1 | Subject)", {"ignore_fixed_terms": [1]}, "ignore_fixed_terms: 1:"),
        (
            "Reaction ~ Days + (0 + Days | Subject)",
            {"fix_intercept_variance": True},
            "fix_intercept_variance: 'Subject' has no random intercepts",
        ),
        (
            "Reaction ~ 0 + Days + (1 | Subject)",
            {"fix_intercept_variance": True},
            "fix_intercept_variance: the model has no fixed intercept",
        ),
    ],
)
def test_bad_corrections(formula, given, message):
    m = lmer(formula, load_dataset("sleepstudy"))
    with pytest.raises(InvalidArgumentError, match=message):
        predict_interval(m, joint=False, n_sims=5, **given)


def test_a_correction_that_leaves_nothing(crossed):
    """merTools goes on with a negative variance."""
    with pytest.raises(InvalidArgumentError, match="nothing is left of the intercept's variance"):
        predict_interval(crossed, joint=False, n_sims=5, fix_intercept_variance=True)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_no_degrees_of_freedom():
    data = load_dataset("dyestuff").iloc[[0, 1, 5]]
    m = lmer("Yield ~ 1 + (1 | Batch)", data)
    with pytest.raises(InvalidArgumentError, match="joint=False: 3 observations and 3 parameters"):
        predict_interval(m, joint=False, n_sims=5)


def test_independent_parts_add_up():
    """And do not depend on which parts are asked for."""
    entry = CORRECTIONS["hsb"]
    options = {"n_sims": 30, "include_resid_var": False}
    parts = drawn(entry, which="all", **options).sims
    close(parts["schid"] + parts["fixed"], parts["combined"], INVARIANCE)
    close(drawn(entry, which="full", **options).sims["full"], parts["combined"], INVARIANCE)


def test_the_intercept_in_r_spelling():
    m = fitted("slopes")
    options = {"joint": False, "n_sims": 20, "rng": 1}
    ours = predict_interval(m, ignore_fixed_terms="Intercept", **options)
    theirs = predict_interval(m, ignore_fixed_terms=["(Intercept)"], **options)
    pd.testing.assert_frame_equal(ours, theirs)

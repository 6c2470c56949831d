"""Simulated intervals of generalised models: of means in closed form, of responses by moments."""

from __future__ import annotations

import json
from pathlib import Path

import glmm_models as models
import numpy as np
import pytest
from scipy import special, stats
from tolerances import BOTH_SIMULATED, MONTE_CARLO

import merextras as mx
from merextras.exceptions import InvalidArgumentError


def test_intervals_of_the_mean_are_those_of_predict():
    m, n = models.cbpp(), 6000
    found = mx.predict_interval(m, include_resid_var=False, level=0.9, n_sims=n, rng=1)
    exact = m.predict(type="link", interval="confidence", level=0.9)
    density = stats.norm.pdf(stats.norm.ppf(0.95))
    error = exact["std_error"] * np.sqrt(0.05 * 0.95 / n) / density
    for column in ("lower", "upper"):
        miss = special.logit(found[column]) - exact[column]
        assert np.max(np.abs(miss) / error) < MONTE_CARLO
    fixed = mx.predict_interval(m, which="fixed", n_sims=n, rng=1)
    assert np.max(np.abs(fixed["fit"] - m.predict(re_form="NA"))) < 0.01


@pytest.mark.parametrize("response", ["yes", "count", "spread", "size", "time", "number"])
def test_new_responses_have_their_variance(response):
    m, n = models.generated(response), 4000
    rows = models.rows().head(4)
    draws = {"n_sims": n, "return_sims": True, "rng": 1}
    new = mx.predict_interval(m, rows, **draws).sims["full"]
    mean = mx.predict_interval(m, rows, include_resid_var=False, **draws).sims["full"]
    within = {
        "yes": lambda mu: mu * (1.0 - mu),
        "count": lambda mu: mu,
        "spread": lambda mu: mu + mu**2 / m.dispersion,
        "size": lambda mu: m.dispersion * mu**2,
        "time": lambda mu: m.dispersion * mu**3,
        "number": lambda mu: np.full(mu.shape, m.dispersion),
    }[response](mean)
    expected = within.mean(axis=1) + mean.var(axis=1)
    kurtosis = stats.kurtosis(new, axis=1) + 3.0
    error = np.sqrt(np.maximum(kurtosis - 1.0, 0.5) / n)
    assert np.max(np.abs(new.var(axis=1) / expected - 1.0) / error) < MONTE_CARLO
    error = np.sqrt(expected / n)
    assert np.max(np.abs(new.mean(axis=1) - mean.mean(axis=1)) / error) < MONTE_CARLO


def test_a_level_that_is_new_is_drawn():
    m = models.generated("count")
    rows = models.rows().head(1).assign(g=99, h=99)
    drawn = mx.predict_interval(
        m, rows, which="random", new_levels="draw", n_sims=4000, return_sims=True, rng=1
    ).sims["random"]
    z = np.array([1.0, rows["x"].iloc[0]])
    g, h = m.covariances
    assert drawn.std() == pytest.approx(np.sqrt(z @ g @ z + h[0, 0]), rel=MONTE_CARLO / 89.0)


def test_trials_of_new_rows_are_read_from_their_columns():
    m, data = models.cbpp(), mx.load_dataset("cbpp")
    whole = mx.predict_interval(m, n_sims=200, rng=1)
    again = mx.predict_interval(m, data, n_sims=200, rng=1)
    np.testing.assert_array_equal(again, whole)
    rows = data.head(2)[["period", "herd"]]
    given = mx.predict_interval(m, rows, weights=data["size"].head(2), n_sims=200, rng=1)
    # Medians and quantiles of proportions of so many trials, and between two of them.
    counts = given["fit"] * data["size"].head(2)
    np.testing.assert_allclose(2.0 * counts, np.round(2.0 * counts), atol=1e-9)


def test_all_parts_add_up_on_the_scale_of_the_link():
    m = models.generated("count")
    rows = models.rows().head(4)
    options = {"n_sims": 30, "return_sims": True, "rng": 1, "include_resid_var": False}
    link = mx.predict_interval(m, rows, which="all", type="link", **options).sims
    assert set(link) == {"combined", "g", "h", "fixed"}
    np.testing.assert_allclose(link["combined"], link["g"] + link["h"] + link["fixed"], rtol=1e-12)
    made = mx.predict_interval(m, rows, which="all", **options)
    np.testing.assert_allclose(made.sims["combined"], np.exp(link["combined"]), rtol=1e-12)
    for part in ("g", "h", "fixed"):
        np.testing.assert_array_equal(made.sims[part], link[part])
    whole = mx.predict_interval(m, rows, **options).sims["full"]
    np.testing.assert_allclose(made.sims["combined"], whole, rtol=1e-12)
    frame = made.to_frame()
    assert frame["effect"].unique().tolist() == list(made.tables)
    noisy = mx.predict_interval(m, rows, which="all", n_sims=30, return_sims=True, rng=1).sims
    assert np.all(noisy["combined"] == np.round(noisy["combined"]))
    np.testing.assert_array_equal(noisy["fixed"], link["fixed"])


@pytest.mark.parametrize("which", ["full", "fixed", "random"])
def test_independent_draws_have_merTools_variances(which):
    """``x'Vx``, ``z'Cz`` and one, in closed form."""
    m, n = models.cbpp(), 6000
    rows = mx.load_dataset("cbpp").head(6)
    x, z = m.design.x[:6], m.ranef(cond_var=True).to_frame().set_index("level")
    fixed = np.einsum("np,pq,nq->n", x, m.vcov().to_numpy(), x)
    effects = z["std_error"].loc[rows["herd"]].to_numpy() ** 2
    exact = {"full": fixed + effects, "fixed": fixed, "random": effects}[which]
    given = {"which": which, "type": "link", "joint": False, "n_sims": n, "return_sims": True}
    for noise in (False, True):
        made = mx.predict_interval(m, rows, rng=2, include_resid_var=noise, **given).sims[which]
        miss = made.var(axis=1) / (exact + noise) - 1.0
        assert np.max(np.abs(miss)) < MONTE_CARLO * np.sqrt(2.0 / n)


MERTOOLS = json.loads(
    (Path(__file__).parents[1] / "reference" / "predict_interval_glmer" / "expected.json")
    .read_text(encoding="utf-8")
)["models"]  # fmt: skip


def _theirs(name):
    """The model of ``reference/predict_interval_glmer`` and its new rows."""
    sleep = mx.load_dataset("sleepstudy")
    sleep = sleep.assign(Lapses=np.round(sleep["Reaction"] / 40) + sleep["Days"])
    women = mx.load_dataset("contraception")
    women = women.assign(urban=(women["urban"] == "Y").astype(float))
    data, formula, family = {
        "cbpp": (
            mx.load_dataset("cbpp"),
            "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)",
            "binomial",
        ),
        "slopes": (women, "use ~ age + urban + (1 + urban | district)", "binomial"),
        "poisson": (sleep, "Lapses ~ Days + (1 | Subject)", "poisson"),
    }[name]
    return mx.glmer(formula, data, family), data.iloc[np.array(MERTOOLS[name]["rows"]) - 1]


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("name", MERTOOLS)
@pytest.mark.parametrize("noise", [True, False])
def test_independent_draws_are_merTools(name, noise):
    (m, rows), expected = _theirs(name), MERTOOLS[name]
    theirs = expected["with_residual" if noise else "without_residual"]
    n, given = 10_000, {"type": "link", "joint": False, "return_sims": True, "rng": 3}
    given |= {"n_sims": n, "include_resid_var": noise}
    parts = mx.predict_interval(m, rows, which="all", **given).sims
    full = mx.predict_interval(m, rows, **given).sims["full"]
    pairs = [(full, theirs["full"]), *((parts[e], found) for e, found in theirs["all"].items())]
    for draws, found in pairs:
        both = 1 / n + 1 / expected["n_sims"]
        sd = np.maximum(found["sd"], 1e-3)
        gap = np.abs(draws.mean(axis=1) - found["mean"]) / (sd * np.sqrt(both))
        assert np.max(gap) < BOTH_SIMULATED
        gap = np.abs(draws.std(axis=1, ddof=1) - found["sd"]) / (sd * np.sqrt(both / 2))
        assert np.max(gap) < BOTH_SIMULATED


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("name", ["cbpp", "slopes"])
def test_probabilities_are_merTools(name):
    (m, rows), expected = _theirs(name), MERTOOLS[name]
    n = 10_000
    made = mx.predict_interval(m, rows, joint=False, include_resid_var=False, n_sims=n, rng=4)
    sd = np.array(expected["without_residual"]["full"]["sd"])
    places = stats.norm.ppf([0.5, 0.1, 0.9])
    for j, column in enumerate(("fit", "lower", "upper")):
        p = stats.norm.cdf(places[j])
        both = 1 / n + 1 / expected["n_sims_probability"]
        error = sd * np.sqrt(p * (1 - p) * both) / stats.norm.pdf(places[j])
        gap = special.logit(made[column]) - special.logit(np.array(expected["probability"])[:, j])
        assert np.max(np.abs(gap / error)) < BOTH_SIMULATED


def test_what_is_refused():
    m = models.cbpp()
    with pytest.raises(InvalidArgumentError, match="numbers of trials"):
        mx.predict_interval(m, mx.load_dataset("cbpp").head(2)[["period", "herd"]])
    for which in ("full", "all"):
        with pytest.raises(InvalidArgumentError, match="type='link' with include_resid_var=True"):
            mx.predict_interval(m, which=which, type="link")
    with pytest.raises(InvalidArgumentError, match="type='odds'"):
        mx.predict_interval(m, type="odds")
    with pytest.raises(InvalidArgumentError, match="weights"):
        mx.predict_interval(m, weights=2.5)

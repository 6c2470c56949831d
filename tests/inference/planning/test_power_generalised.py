"""Power of generalised models: each p-value that of a refit, sizes, assumed parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from tolerances import BRUTE_FORCE, LIKELIHOOD_RATIO, MONTE_CARLO, P_VALUE

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MerextrasError, UnsupportedModelError
from merextras.foundation.rng import as_generator

pytestmark = pytest.mark.filterwarnings("ignore:singular fit", "ignore:the size of the negative")

HERDS = "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)"


@pytest.fixture(scope="module")
def herds():
    return mx.load_dataset("cbpp")


@pytest.fixture(scope="module")
def m(herds):
    return mx.glmer(HERDS, herds)


def plan(groups=20, rows=10):
    return pd.DataFrame(
        {"g": np.repeat(np.arange(groups), rows), "x": np.tile([0.0, 1.0], groups * rows // 2)}
    )


def responses(m, n, rng):
    """What `power` draws: each study from a generator of its own."""
    return [m.simulate(rng=_Given(g))["sim_1"] for g in as_generator(rng).spawn(n)]


class _Given(np.random.Generator):
    """A generator that gives itself to the one response that is drawn."""

    def __init__(self, own):
        super().__init__(own.bit_generator)
        self.own = own

    def spawn(self, n):
        assert n == 1
        return [self.own]


def test_each_wald_test_is_that_of_the_summary_of_a_refit(m):
    found = mx.power(m, "C(period)[T.2]", n_sims=6, rng=1)
    term = mx.power(m, "C(period)", n_sims=6, rng=1)
    assert found.method == term.method == "asymptotic"
    assert found.effect == (pytest.approx(m.fixef()["C(period)[T.2]"]),)
    for i, y in enumerate(responses(m, 6, 1)):
        refit = m.refit(y)
        p_value = refit.summary().coefficients.loc["C(period)[T.2]", "p_value"]
        np.testing.assert_allclose(found.p_values[i], p_value, rtol=P_VALUE)
        p_value = refit.anova(type=3).loc["C(period)", "p_value"]
        np.testing.assert_allclose(term.p_values[i], p_value, rtol=P_VALUE)


def test_each_likelihood_ratio_is_that_of_two_refits(m):
    small = m.update(". ~ . - C(period)")
    found = mx.power(m, "C(period)", n_sims=5, method="lrt", rng=2)
    of_herds = mx.power(m, "(1 | herd)", n_sims=5, rng=2)
    for i, y in enumerate(responses(m, 5, 2)):
        large = m.refit(y)
        gain = 2.0 * (large.log_lik() - small.refit(y).log_lik())
        assert abs(found.p_values[i] - stats.chi2.sf(gain, 3)) < LIKELIHOOD_RATIO
        p_value = mx.ranova(large).loc["(1 | herd)", "p_value"]
        assert abs(of_herds.p_values[i] - p_value) < LIKELIHOOD_RATIO


@pytest.mark.parametrize("method", ["asymptotic", "lrt"])
def test_without_an_effect_it_is_the_level(method):
    model = mx.make_model(
        "y ~ x + (1 | g)", plan(30), family="poisson", fixef=[0.5, 0.0], var_corr={"g": 0.5}
    )
    found = mx.power(model, "x", n_sims=600, method=method, rng=3)
    assert found.n_failed == 0
    # Of 300 counts the tests have their level but for some tenths of a per cent.
    error = np.sqrt(0.05 * 0.95 / found.n_used)
    assert abs(found.power - 0.05) < MONTE_CARLO * error


def test_power_of_a_rate_is_that_of_its_information():
    # Counts of 40 rows in each of 12 groups with nearly no variance between them: the score and
    # Wald tests of a log rate ratio have the information of two Poisson totals.
    data = plan(12, 40)
    model = mx.make_model(
        "y ~ x + (1 | g)", data, family="poisson", fixef=[0.0, 0.2], var_corr={"g": 0.01}
    )
    totals = len(data) / 2.0 * np.exp(np.array([0.0, 0.2]))
    z = 0.2 / np.sqrt(np.sum(1.0 / totals))
    cut = stats.norm.isf(0.025)
    exact = stats.norm.sf(cut - z) + stats.norm.cdf(-cut - z)
    found = mx.power(model, "x", n_sims=400, rng=4)
    assert abs(found.power - exact) < MONTE_CARLO * np.sqrt(exact * (1.0 - exact) / 400)


def test_the_model_stands_at_the_parameters(m, herds):
    made = mx.make_model(m, fixef={"C(period)[T.2]": -0.5}, var_corr={"herd": 0.8})
    assert isinstance(made, mx.GlmerMod)
    assert made.fixef()["C(period)[T.2]"] == pytest.approx(-0.5)
    assert made.fixef()["C(period)[T.4]"] == pytest.approx(m.fixef()["C(period)[T.4]"])
    assert made.var_corr().to_frame()["sdcor"].iloc[0] == pytest.approx(0.8)
    np.testing.assert_allclose(made.ranef()["herd"], 0.0, atol=BRUTE_FORCE)
    eta = made.model_matrix() @ made.fixef()
    np.testing.assert_allclose(made.predict(), 1.0 / (1.0 + np.exp(-eta)), rtol=BRUTE_FORCE)
    drawn = made.simulate(200, rng=1)
    trials = herds["size"].to_numpy()
    wide = np.array([drawn[f"sim_{i + 1}"].sum(axis=1).to_numpy() for i in range(200)])
    assert (wide == trials).all()
    more = mx.make_model(made, mx.extend(made, along="herd", n=30))
    assert more.ngrps()["herd"] == 30
    np.testing.assert_allclose(more.fixef(), made.fixef(), rtol=BRUTE_FORCE)


FAMILIES = {
    "one trial": {"family": "binomial"},
    "trials": {"family": "binomial", "weights": "t"},
    "counts": {"family": "poisson"},
    "negative binomial": {"family": "negative_binomial", "dispersion": 3.0},
}


@pytest.mark.parametrize("name", list(FAMILIES))
def test_models_of_a_formula(name):
    data = plan().assign(t=5.0)
    parameters = {"fixef": {"Intercept": 0.2, "x": 0.9}, "var_corr": {"g": 0.4}}
    made = mx.make_model("y ~ x + (1 | g)", data, **parameters, **FAMILIES[name])
    assert made.fixef().to_dict() == pytest.approx(parameters["fixef"])
    again = made.refit(made.simulate(rng=1))
    assert abs(again.fixef()["x"] - 0.9) < 1.0
    curve = mx.power_curve(made, "x", along="g", values=[4, 60], n_sims=20, rng=1)
    assert curve[4].power < curve[60].power == 1.0
    assert curve[60].n_rows == 600


def test_extended_studies_have_the_weights_of_linear_models_too():
    data = mx.load_dataset("sleepstudy").assign(w=1.0 + np.arange(180) % 3)
    model = mx.lmer("Reaction ~ Days + (1 | Subject)", data, weights="w")
    more = mx.extend(model, along="Subject", n=36)
    np.testing.assert_array_equal(more["w"], np.tile(data["w"], 2))
    curve = mx.power_curve(model, "Days", along="Subject", values=[36], n_sims=5, rng=1)
    assert curve[36].n_rows == 360


def test_labels_stay_labels(herds):
    labelled = herds.assign(sick=np.where(herds["incidence"] > 0, "yes", "no"))
    model = mx.glmer("sick ~ size + (1 | herd)", labelled)
    curve = mx.power_curve(model, "size", along="herd", values=[20], n_sims=3, rng=1)
    assert curve[20].n_levels == {"herd": 20}
    assert set(mx.make_model(model).simulate(rng=1)["sim_1"]) == {"yes", "no"}


def test_bad_arguments(m, herds):
    data = plan()
    given = {"fixef": [0.0, 1.0], "var_corr": {"g": 1.0}}
    cases = [
        (lambda: mx.power(m, "period"), InvalidArgumentError, "neither a fixed effect"),
        (lambda: mx.power(m, "C(period)", method="kenward-roger"), UnsupportedModelError, "'lrt'"),
        (lambda: mx.make_model(m, sigma=1.0), InvalidArgumentError, "sigma= and reml= are of"),
        (lambda: mx.make_model(m, family="poisson"), InvalidArgumentError, "so is the family"),
        (lambda: mx.make_model(m, fixef={"x": 1.0}), InvalidArgumentError, "'x' is no fixed"),
        (
            lambda: mx.make_model("y ~ x + (1 | g)", data, family="gamma", **given),
            UnsupportedModelError,
            "has a dispersion",
        ),
        (
            lambda: mx.make_model("y ~ x + (1 | g)", data, family="binomial"),
            InvalidArgumentError,
            "give a formula, data=, fixef= and var_corr=",
        ),
        (
            lambda: mx.make_model("y ~ x + (1 | g)", data, sigma=1.0, dispersion=2.0, **given),
            InvalidArgumentError,
            "dispersion: is for family='negative_binomial'",
        ),
        (
            lambda: mx.make_model(
                "y ~ x + (1 | g)", data.assign(t=0.5), family="binomial", weights="t", **given
            ),
            InvalidArgumentError,
            "whole numbers from 1",
        ),
        (
            lambda: mx.make_model(HERDS, herds.assign(size=np.nan), family="binomial", **given),
            InvalidArgumentError,
            "missing='raise'",
        ),
    ]
    for ask, error, message in cases:
        with pytest.raises(error, match=message):
            ask()


def test_what_asks_for_the_uncertainty_of_assumed_parameters_says_so(m, herds):
    made = mx.make_model(m, fixef={"C(period)[T.2]": -0.5})
    assert np.isnan(made.predict(se_fit=True)["std_error"]).all()
    with pytest.raises(MerextrasError, match="they are assumed"):
        mx.what_if(made, herds.head(1), "herd", levels=[1, 2], rng=1)
    again = made.refit(made.simulate(rng=1))
    assert np.isfinite(again.predict(se_fit=True)["std_error"]).all()

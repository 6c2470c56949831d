"""`sim` against the exact joint distribution it draws from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from sim_models import (
    SHAPES,
    errors_of_covariance,
    fitted,
    intercept,
    joint_covariance,
    nested_pastes,
    quietly,
)
from tolerances import LME4_JOINT, MONTE_CARLO, SAME_DRAWS

from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError, SingularFitWarning
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at
from merextras.simulation.sim import sim, sim_fitted

REFERENCE = Path(__file__).parents[1] / "reference" / "accessors" / "expected.json"
N_SIMS = 20_000


def in_term_order(model, sims):
    """The draws as (n_sims, p + q): beta, then b term after term, level by level."""
    parts, first = [sims.fixef], dict.fromkeys(model.design.factors, 0)
    for term in model.design.terms:
        at = first[term.factor]
        parts.append(sims.ranef[term.factor][:, :, at : at + term.k].reshape(sims.n_sims, -1))
        first[term.factor] += term.k
    return np.hstack(parts)


def estimates(model):
    return np.concatenate([model.solution.beta, *(b.reshape(-1) for b in model.solution.b)])


@pytest.mark.parametrize("shape", SHAPES)
def test_joint_covariance(shape):
    model = fitted(shape)
    joint, pwrss = joint_covariance(model)
    df = model.solution.n - model.solution.p
    sims = sim(model, N_SIMS, rng=11)
    exact = joint * pwrss / (df - 2)
    draws = in_term_order(model, sims)
    assert np.max(np.abs(errors_of_covariance(draws, estimates(model), exact, df))) < MONTE_CARLO
    se = np.sqrt(np.maximum(np.diag(exact), 1e-20) / N_SIMS)
    assert np.max(np.abs(draws.mean(axis=0) - estimates(model)) / se) < MONTE_CARLO


@pytest.mark.parametrize("name", ["students", "sleepstudy", "pastes"])
def test_joint_covariance_from_r(name):
    """R has it at a fixed sigma: the draws' over E[sigma**2] / sigma**2 = df / (df - 2)."""
    reference = json.loads(REFERENCE.read_text())["models"][name]
    models = {
        "students": lambda: fitted("intercept"),
        "sleepstudy": lambda: fitted("slopes"),
        "pastes": nested_pastes,
    }
    model = models[name]()
    df = model.solution.n - model.solution.p
    at_sigma = np.array(reference["joint_cov"])
    joint, _ = joint_covariance(model)
    size = np.abs(at_sigma).max()
    np.testing.assert_allclose(
        joint * model.solution.sigma2, at_sigma, rtol=0, atol=LME4_JOINT * size
    )
    draws = in_term_order(model, sim(model, N_SIMS, rng=12))
    exact = at_sigma * df / (df - 2)
    assert np.max(np.abs(errors_of_covariance(draws, estimates(model), exact, df))) < MONTE_CARLO


def test_arm_is_wrong_for_correlated_slopes():
    """SD of a slope in sleepstudy: 2.65; arm's transposed Lambda gives 2.77."""
    slopes = sim(fitted("slopes"), N_SIMS, rng=3).ranef["Subject"][:, :, 1]
    joint, _ = joint_covariance(fitted("slopes"))
    sd = np.sqrt(joint[3, 3] * fitted("slopes").solution.sigma2 * 178 / 176)
    assert round(sd, 2) == 2.65
    found = slopes.std(axis=0).mean()
    assert abs(found - sd) < MONTE_CARLO * sd / np.sqrt(2 * N_SIMS)
    assert abs(found - 2.77) > MONTE_CARLO * sd / np.sqrt(2 * N_SIMS)


@pytest.mark.parametrize("reml", [True, False])
def test_sigma_is_scaled_inverse_chi_square_with_n_minus_p(reml):
    model = intercept(reml)
    sigma = sim(model, N_SIMS, rng=4).sigma
    chi2 = model.solution.pwrss / sigma**2
    assert stats.kstest(chi2, stats.chi2(1196).cdf).pvalue > 1e-4
    assert abs(chi2.mean() - 1196) < MONTE_CARLO * np.sqrt(2 * 1196 / N_SIMS)


def test_blocks_of_draws_have_the_same_distribution(monkeypatch):
    """Blocks of 97 draws, the last one shorter, and every draw its own sigma."""
    monkeypatch.setattr("merextras.simulation.sim._BLOCK", 97 * 38)
    model = fitted("slopes")
    joint, pwrss = joint_covariance(model)
    draws = in_term_order(model, sim(model, 20_000, rng=5))
    errors = errors_of_covariance(draws, estimates(model), joint * pwrss / 176, 178)
    assert np.max(np.abs(errors)) < MONTE_CARLO


def test_joint_draws_have_heavy_tails_not_normal_ones():
    """(beta - beta^) / se is t with n - p = 29 degrees of freedom, sigma being drawn."""
    model = fitted("singular")
    beta = sim(model, N_SIMS, rng=6).fixef[:, 0]
    scaled = (beta - model.solution.beta) / np.sqrt(model.fixed_covariance[0, 0])
    assert stats.kstest(scaled, stats.t(29).cdf).pvalue > 1e-4


def test_terms_and_levels():
    sims = sim(fitted("nested"), 3, rng=1)
    assert list(sims.ranef) == ["class:school", "school"]
    assert sims.ranef["class:school"].shape == (3, 24, 1)
    assert sims.levels["class:school"][:2].tolist() == ["a:I", "a:II"]
    sims = sim(fitted("uncorrelated"), 3, rng=1)
    assert sims.terms["Subject"] == ("Intercept", "Days")
    assert sims.partners["Subject"] == ("Intercept", "Days")
    assert sims.ranef["Subject"].shape == (3, 18, 2)
    assert sims.levels["Subject"][0] == 308


@pytest.mark.parametrize("shape", SHAPES)
def test_fitted_is_x_beta_plus_z_b(shape):
    model = fitted(shape)
    sims = sim(model, 7, rng=1)
    draws = in_term_order(model, sims)
    p = model.solution.p
    exact = model.design.x @ draws[:, :p].T + model.design.z() @ draws[:, p:].T
    np.testing.assert_allclose(sim_fitted(model, sims), exact, rtol=SAME_DRAWS)


def test_fitted_values_have_the_sd_of_the_joint_distribution():
    """Row 1 of the students: 0.24, where independent draws of beta and b give 3.84 (merTools)."""
    model = fitted("intercept")
    sd = sim_fitted(model, sim(model, 4000, rng=1)).std(axis=1)
    assert 0.15 < sd.min() < sd.max() < 0.6


def test_fitted_in_blocks_of_rows(monkeypatch):
    model = fitted("nested")
    sims = sim(model, 5, rng=1)
    whole = sim_fitted(model, sims)
    monkeypatch.setattr("merextras.simulation.sim._BLOCK", 35)
    np.testing.assert_array_equal(sim_fitted(model, sims), whole)


def test_fitted_includes_the_offset():
    plain = fitted("slopes").design
    design = replace(plain, y=plain.y + 100.0, offset=np.full(180, 100.0))
    model = FittedModel(fit_at(design, fitted("slopes").theta, reml=True))
    mean = sim_fitted(model, sim(model, 400, rng=1)).mean(axis=1)
    np.testing.assert_allclose(mean, model.mu, atol=MONTE_CARLO * 20 / np.sqrt(400))


def test_fitted_refuses_another_models_draws():
    with pytest.raises(InvalidArgumentError, match=r"sims: drawn from another model.*'Days'"):
        sim_fitted(fitted("intercept"), sim(fitted("slopes"), 2, rng=1))


def test_seeds():
    model = fitted("slopes")
    first, again = sim(model, 5, rng=8), sim(model, 5, rng=np.random.default_rng(8))
    np.testing.assert_array_equal(first.ranef["Subject"], again.ranef["Subject"])
    np.testing.assert_array_equal(first.fixef, again.fixef)
    assert not np.array_equal(first.fixef, sim(model, 5, rng=9).fixef)
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (the global state must not move)
    assert sim(model).n_sims == 100
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_generator_moves_on():
    rng = np.random.default_rng(1)
    model = fitted("slopes")
    assert not np.array_equal(sim(model, 2, rng=rng).fixef, sim(model, 2, rng=rng).fixef)


def test_takes_a_statsmodels_fit():
    data = load_dataset("dyestuff")
    fit = smf.mixedlm("Yield ~ 1", data, groups="Batch").fit()
    assert sim(fit, 4, rng=1).ranef["Batch"].shape == (4, 6, 1)


def test_singular_fit_warns():
    model = fitted("singular")
    assert np.all(sim(model, 10, rng=1).ranef["Batch"] == 0.0)
    data = model.design.frame
    fit = smf.mixedlm("Yield ~ 1", data, groups="Batch")
    with pytest.warns() as caught:
        sim(fit.fit(), 2, rng=1)
    assert any(issubclass(w.category, SingularFitWarning) for w in caught)


@pytest.mark.parametrize("n_sims", [0, -1, 2.5, True, "10"])
def test_refuses_counts(n_sims):
    with pytest.raises(InvalidArgumentError, match=r"n_sims=.*positive whole number"):
        sim(fitted("slopes"), n_sims)


def test_refuses_rng():
    with pytest.raises(InvalidArgumentError, match=r"rng=-1: give a non-negative int"):
        sim(fitted("slopes"), 2, rng=-1)


def test_terms_on_one_factor_with_other_levels():
    """A class whose covariate is always zero has no slope to draw: NaN, and no part in a mean."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"g": np.repeat(list("ABCDEF"), 40), "x": rng.standard_normal(240)})
    data["c"] = np.tile(np.repeat(list("abcd"), 10), 6)
    data.loc[data["c"] == "b", "x"] = 0.0
    cell = data.groupby(["g", "c"]).ngroup()
    effects = rng.standard_normal((24, 2))
    data["y"] = effects[cell, 0] + effects[cell, 1] * data["x"] + rng.standard_normal(240) / 2
    components = {"level": "0 + C(c)", "slope": "0 + C(c):x"}
    fit = smf.mixedlm("y ~ x", data, groups="g", re_formula="0", vc_formula=components)
    model = quietly(fit.fit)
    sims = sim(model, 4, rng=1)
    missing = np.isnan(sims.ranef["c:g"])
    lost = [len(term.levels) for term in model.design.terms] == [24, 18]
    assert missing.sum() == (4 * 6 if lost else 0)
    assert np.all(np.isfinite(sim_fitted(model, sims)))

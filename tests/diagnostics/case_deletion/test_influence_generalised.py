"""Influence of generalised models: against lme4, refits by hand and dense formulas."""

from __future__ import annotations

import functools
import json
import pickle
import warnings
from pathlib import Path

import glmm_models as models
import numpy as np
import pandas as pd
import pytest
from tolerances import GLMM_AGAINST_LME4, GLMM_ESTIMATE, GLMM_LOG_LIK

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MerextrasWarning

REFERENCE = Path(__file__).resolve().parents[2] / "reference"


@functools.cache
def expected(name="glmer_influence"):
    return json.loads((REFERENCE / name / "expected.json").read_text(encoding="utf-8"))


@functools.cache
def herds(method="full"):
    return models.cbpp().influence("herd", method=method)


def test_refits_without_each_herd_are_lme4s():
    found, theirs = herds(), expected()["influence"]
    assert list(map(str, found.levels)) == theirs["herd"]
    np.testing.assert_allclose(found.fixef, theirs["fixef"], rtol=GLMM_AGAINST_LME4)
    np.testing.assert_allclose(
        found.var_corr["sd_Intercept|herd"], theirs["sd"], rtol=GLMM_AGAINST_LME4
    )


@pytest.mark.parametrize("response", ["yes", "count", "spread", "size", "time", "number"])
def test_a_refit_is_that_of_the_rows_that_are_left(response):
    m = models.generated(response)
    data = m.model_frame()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        found = m.influence("h")
        level = found.levels[2]
        alone = m.update(data=data[data["h"] != level].reset_index(drop=True))
    assert 2 not in found.reasons
    se = np.sqrt(np.diag(alone.vcov()))
    at = found.fixef.index.get_loc(level)
    assert np.max(np.abs(found.fixef.iloc[at] - alone.fixef()) / se) < GLMM_ESTIMATE
    np.testing.assert_allclose(found.std_error.iloc[at], se, rtol=1e-5)
    whole = m.laplace.criterion
    theta, beta, phi = alone.laplace.criterion.split(alone.laplace.x)
    x = np.concatenate(
        [
            whole.own_theta(alone.laplace.criterion.user_theta(theta)),
            np.linalg.solve(whole.table.transform, alone.laplace.criterion.beta_of(beta)),
            phi,
        ]
    )
    lost = whole.at(x).deviance() - m.deviance()
    np.testing.assert_allclose(found.displacement[at], lost, rtol=1e-4, atol=1e-6)
    assert found.displacement[at] > 0.0


def test_measures_are_their_formulas():
    m, found = models.cbpp(), herds()
    v, moved = m.vcov().to_numpy(), (found.fixef - m.fixef()).to_numpy()
    cook = np.einsum("mp,pq,mq->m", moved, np.linalg.inv(v), moved) / len(v)
    np.testing.assert_allclose(found.cooks_distance(), cook, rtol=1e-8)
    data = mx.load_dataset("cbpp")
    alone = m.update(data=data[data["herd"] != 1].reset_index(drop=True))
    own = alone.vcov().to_numpy()
    measures = found.measures()
    np.testing.assert_allclose(
        measures["cov_ratio"].iloc[0], np.linalg.det(own) / np.linalg.det(v), rtol=1e-5
    )
    trace = abs(np.trace(np.linalg.solve(v, own)) - len(v))
    np.testing.assert_allclose(measures["cov_trace"].iloc[0], trace, rtol=1e-4)
    assert measures["n_deleted"].tolist() == data.groupby("herd").size().tolist()
    assert not measures["singular"].any()


def test_one_step_is_near_for_small_changes():
    m = models.women(slopes=False)
    full, step = (m.influence("district", method=how) for how in ("full", "one-step"))
    se = np.sqrt(np.diag(m.vcov()))
    change = np.max(np.abs(full.betas - full.beta) / se, axis=1)
    error = np.max(np.abs(step.betas - full.betas) / se, axis=1)
    # Of second order in the change.
    assert np.all(error <= change**2 + 1e-3)
    assert np.median(error / change) < 0.05
    np.testing.assert_allclose(step.std_errors, full.std_errors, rtol=0.02)
    np.testing.assert_allclose(step.parameter_values, full.parameter_values, rtol=0.03)
    assert np.isnan(step.displacement).all()


def test_a_step_has_the_order_of_a_newton_step():
    """The error falls with the square of what one row of many changes."""
    data = models.rows(n=240, seed=9)
    errors = []
    for copies in (2, 8):
        repeated = pd.concat([data] * copies, ignore_index=True)
        m = mx.glmer("count ~ x + (1 | g)", repeated, "poisson")
        labels = np.where(np.arange(len(repeated)) == 3, "one", "rest")
        # Deleting the rest leaves one row, and no fit.
        full, step = (m.influence(labels, method=how) for how in ("full", "one-step"))
        change = np.linalg.norm(full.betas[0] - full.beta)
        errors.append((change, np.linalg.norm(step.betas[0] - full.betas[0])))
        assert "fewer than two levels" in full.reasons[1] or "rows" in full.reasons[1]
    (large, off), (small, less) = errors
    assert small < 0.4 * large
    assert less < 3.0 * off * (small / large) ** 2 + 1e-9


def test_deletions_without_a_fit_say_why():
    data = models.rows(n=120, seed=3).assign(late=lambda d: (d["h"] == 1) * d["x"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        m = mx.glmer("count ~ late + (1 | g)", data, "poisson")
        found = m.influence(data["h"].rename("h"))
    at = list(found.levels).index(1)
    assert found.reasons == {at: found.reasons[at]}
    assert "fixed effects cannot all be estimated" in found.reasons[at]
    assert np.isnan(found.betas[at]).all()
    assert np.isfinite(np.delete(found.betas, at, 0)).all()
    with pytest.raises(InvalidArgumentError, match="groups='none'"):
        m.influence("none")
    with pytest.raises(InvalidArgumentError, match="method"):
        m.influence("g", method="half")


def test_processes_and_pickles_change_nothing():
    again = models.cbpp().influence("herd", n_jobs=2)
    np.testing.assert_array_equal(again.betas, herds().betas)
    copied = pickle.loads(pickle.dumps(herds()))
    pd.testing.assert_frame_equal(copied.to_frame(), herds().to_frame())
    assert "Influence of 15 levels of herd" in repr(copied)


def _dense(m):
    """``A = [X Z]``, the inverse of the effects' covariance, and expected weights at the modes."""
    design, family = m.design, m.engine_family
    trials = 1.0 if m.response.trials is None else m.response.trials
    w = (trials * family.mean_slope(m.eta)) ** 2 / family.variance(m.eta, m.phi)
    blocks, inverse = [design.x], [np.zeros((design.x.shape[1],) * 2)]
    for term, g in zip(design.terms, m.covariances, strict=True):
        blocks.append(term.rows.sparse().toarray())
        inverse.append(np.kron(np.eye(len(term.levels)), np.linalg.inv(g)))
    a = np.hstack(blocks)
    size = [len(b) for b in inverse]
    whole, at = np.zeros((sum(size),) * 2), 0
    for b in inverse:
        whole[at : at + len(b), at : at + len(b)] = b
        at += len(b)
    return a, whole, w


def _dense_hat(m):
    """w_i a_i' (A'WA + G^-1)^-1 a_i at the modes."""
    a, whole, w = _dense(m)
    middle = np.linalg.inv(a.T @ (w[:, None] * a) + whole)
    return w * np.einsum("np,pq,nq->n", a, middle, a)


LINKS = [
    ("yes", "binomial"), ("yes", "binomial(probit)"), ("yes", "binomial(cloglog)"),
    ("count", "poisson"), ("spread", "negative_binomial"), ("size", "gamma"),
    ("time", "inverse_gaussian"), ("number", "gaussian(log)"), ("number", "gaussian"),
]  # fmt: skip


@pytest.mark.parametrize(("response", "family"), LINKS)
def test_leverages_are_those_of_the_working_model(response, family):
    m = models.generated(response, "(1 | g)", family)
    hat = m.hatvalues()
    np.testing.assert_allclose(hat, _dense_hat(m), rtol=1e-7)
    np.testing.assert_allclose(hat.sum(), m.hat_trace(), rtol=1e-9)
    assert hat.between(0.0, 1.0).all()
    assert m.rstudent().notna().all()
    assert (m.cooks_distance() >= 0.0).all()


@pytest.mark.parametrize(("response", "family"), LINKS)
def test_a_canonical_link_has_its_observed_weights(response, family):
    m = models.generated(response, "(1 | g)", family)
    same = np.array_equal(m.expected_weights, m.observed_weights)
    canonical = {"binomial", "poisson", "gaussian"}
    assert same == (m.expected_working is m.working) == (family in canonical)


def _at(model, theta, fixef, phi=()):
    """The model at given estimates."""
    criterion = model.laplace.criterion
    beta = np.linalg.solve(criterion.table.transform, fixef)
    return models.moved(model, np.concatenate([criterion.own_theta(theta), beta, phi]))


@pytest.mark.parametrize("family", expected("glmer_leverages")["leverages"])
def test_leverages_against_lme4_and_glm(family):
    """lme4's middle of the hat matrix, at its own estimates; glm's leverages without variances."""
    theirs, phi = expected("glmer_leverages")["leverages"][family], []
    if family.startswith("binomial"):
        m = models.cbpp(family)
    else:
        sleep = mx.load_dataset("sleepstudy")
        m = mx.glmer("Reaction ~ Days + (1 | Subject)", sleep, family)
        phi = [-2.0 * np.log(theirs["sigma"])]
    there = _at(m, np.array([theirs["sd"]]), theirs["fixef"], phi)
    np.testing.assert_allclose(there.hatvalues(), theirs["hat"], rtol=GLMM_AGAINST_LME4)
    alone = _at(m, np.zeros(1), theirs["glm"]["coef"], phi)
    np.testing.assert_allclose(alone.hatvalues(), theirs["glm"]["hat"], rtol=1e-7)


def _without_each(m):
    """Cook's distances of all effects: their modes without each row, the parameters held."""
    (a, inverse, w), family = _dense(m), m.engine_family
    start = np.concatenate([m.fixed_estimates, *(b.ravel() for b in m.modes)])

    def height(v, kept):
        return kept @ family.log_density(a @ v, m.phi) - 0.5 * v @ inverse @ v

    def mode(kept):
        v = start
        for _ in range(500):
            eta = a @ v
            weights = kept * family.expected(eta, m.phi)
            score = a.T @ (kept * family.first(eta, m.phi)[0]) - inverse @ v
            step = np.linalg.solve(a.T @ (weights[:, None] * a) + inverse, score)
            before = height(v, kept)
            while height(v + step, kept) < before - 1e-12 * abs(before):
                step = 0.5 * step
            v = v + step
            if score @ step < 1e-9:
                return v
        raise AssertionError("no mode")

    n = len(a)
    moves = np.array([mode(np.arange(n) != i) for i in range(n)]) - mode(np.ones(n))
    middle = a.T @ (w[:, None] * a) + inverse
    return np.einsum("ip,pq,iq->i", moves, middle, moves) / len(m.fixed_estimates)


@pytest.mark.parametrize(("response", "family"), [
    ("number", "gaussian(log)"), ("size", "gamma"),
    ("yes", "binomial(cloglog)"), ("spread", "negative_binomial"),
])  # fmt: skip
def test_cooks_distances_are_near_those_of_deletion(response, family):
    """One step of scoring; by the observed weights those of the largest rows were several times."""
    m = models.generated(response, "(1 | g)", family)
    found, right = m.cooks_distance().to_numpy(), _without_each(m)
    assert np.corrcoef(found, right)[0, 1] > 0.95
    assert np.sqrt(np.sum((found - right) ** 2) / np.sum(right**2)) < 0.3
    largest = np.argsort(-right)[:10]
    assert 0.7 < np.median(found[largest] / right[largest]) < 1.4


def test_studentised_residuals_and_cooks_distances():
    m = models.cbpp()
    h, pearson, own = m.hatvalues(), m.residuals("pearson"), m.residuals()
    expected_ = np.sign(own) * np.sqrt(own**2 + h * pearson**2 / (1.0 - h))
    np.testing.assert_allclose(m.rstudent(), expected_, rtol=1e-12)
    np.testing.assert_allclose(
        m.cooks_distance(), pearson**2 * h / (1.0 - h) ** 2 / 4.0, rtol=1e-12
    )
    size = models.generated("size")
    h, pearson = size.hatvalues(), size.residuals("pearson")
    expected_ = pearson**2 * h / (1.0 - h) ** 2 / (size.dispersion * len(size.fixef()))
    np.testing.assert_allclose(size.cooks_distance(), expected_, rtol=1e-12)


def test_a_displacement_is_no_smaller_than_nothing():
    found = herds()
    assert (found.displacement > -GLMM_LOG_LIK).all()


def test_refits_by_quadrature_and_of_slopes():
    m = models.cbpp(n_agq=7)
    data = mx.load_dataset("cbpp")
    found = m.influence("herd")
    alone = m.update(data=data[data["herd"] != 5].reset_index(drop=True))
    assert alone.n_agq == 7
    se = np.sqrt(np.diag(alone.vcov()))
    at = list(found.levels).index(5)
    assert np.max(np.abs(found.betas[at] - alone.fixef()) / se) < GLMM_ESTIMATE
    women = models.women()
    frame = women.model_frame()
    some = women.influence(np.where(frame["district"] == 14, "14", "rest"))
    left = women.update(data=frame[frame["district"] != 14].reset_index(drop=True))
    np.testing.assert_allclose(some.betas[0], left.fixef(), rtol=1e-5)
    sds = left.var_corr().to_frame()["sdcor"].to_numpy()
    np.testing.assert_allclose(np.sort(some.parameter_values[0]), np.sort(sds), rtol=1e-5)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("effects", ["(1 | g)", "(1 + x | g)"])
def test_one_step_of_a_singular_fit_holds_what_is_at_its_bound(effects):
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 15), "x": rng.normal(size=300)})
    data["y"] = rng.binomial(1, 1.0 / (1.0 + np.exp(-0.3 - 0.8 * data["x"])))
    m = mx.glmer(f"y ~ x + {effects}", data)
    assert m.is_singular()
    full, step = (m.influence("g", method=how) for how in ("full", "one-step"))
    assert not step.reasons
    np.testing.assert_allclose(full.thetas, 0.0, atol=1e-8)  # no refit leaves the bound
    found, expected = step.cooks_distance(), full.cooks_distance()
    np.testing.assert_allclose(found, expected, atol=0.05 * expected.max())
    inside = mx.glmer(f"y ~ x + {effects}", _far(data))
    assert inside.is_singular() == (effects != "(1 | g)")
    assert not inside.influence("g", method="one-step").reasons


def _far(data):
    """A variance inside, with a correlation at its bound."""
    return data.assign(y=np.where(data["g"] < 5, 1, data["y"]))

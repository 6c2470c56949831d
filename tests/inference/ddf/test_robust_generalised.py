"""Cluster-robust covariances of generalised models: against scores by differences, and by verb."""

from __future__ import annotations

import functools
import warnings
from dataclasses import replace

import glmm_models as models
import numpy as np
import pandas as pd
import pytest
from tolerances import ROBUST_GLMM

import merextras as mx
from merextras.engine.generalised.criterion.laplace import Laplace
from merextras.engine.generalised.criterion.modes import find_modes
from merextras.engine.generalised.criterion.quadrature import Quadrature
from merextras.engine.generalised.rows.table import Table
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import InvalidArgumentError, MerextrasWarning, UnsupportedModelError
from merextras.model.generalised.scores import cluster_scores, sandwich


def frame_of(seed=3, schools=9, n=220):
    """Rooms in schools, with responses of several families."""
    rng = np.random.default_rng(seed)
    school = rng.integers(0, schools, n)
    room = 3 * school + rng.integers(0, 3, n)
    x = rng.normal(size=n) + 0.2 * school
    eta = 0.3 * x + 0.7 * rng.normal(size=schools)[school] + 0.5 * rng.normal(size=27)[room]
    mu = np.exp(eta)
    return pd.DataFrame(
        {
            "yes": (rng.random(n) < mu / (1.0 + mu)).astype(int),
            "count": rng.poisson(mu),
            "spread": rng.negative_binomial(2.0, 2.0 / (2.0 + mu)),
            "size": rng.gamma(3.0, mu / 3.0),
            "time": rng.wald(mu, 2.0),
            "x": x,
            "c": np.array(list("pq"))[school % 2],
            "school": school,
            "room": room,
        }
    )


CASES = {
    "yes": ("yes ~ x + c + (1 + x | school)", "binomial", 1, None),
    "probit": ("yes ~ x + (1 | school / room)", "binomial(probit)", 1, None),
    "cloglog": ("yes ~ x + (1 | school)", "binomial(cloglog)", 1, None),
    "count": ("count ~ x + (1 | school / room)", "poisson", 1, None),
    "coarser": ("count ~ x + (1 | room)", "poisson", 1, "school"),
    "spread": ("spread ~ x + (1 | school)", "negative_binomial", 1, None),
    "size": ("size ~ x + (1 + x || school)", "gamma", 1, None),
    "time": ("time ~ x + (1 | school)", "inverse_gaussian", 1, None),
    "quadrature": ("yes ~ x + (1 + x | school)", "binomial", 7, None),
    "quadrature, coarser": ("yes ~ x + (1 | room)", "binomial", 9, "school"),
}


@functools.cache
def fitted(name):
    formula, family, n_agq, _ = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.glmer(formula, frame_of(), family, n_agq=n_agq)


def clusters_of(name):
    given = CASES[name][3]
    return frame_of()["school" if given is None else given].to_numpy()


def alone(model, rows):
    """The criterion of some rows, as a function of all of the model's own parameters.

    In the model's coordinates of X and of the effects: what a cluster adds to the deviance.
    """
    criterion = model.laplace.criterion
    table = criterion.table
    trials = model.response.trials
    family = model.choice.of(model.response.y[rows], None if trials is None else trials[rows])
    x, terms = table.x[rows], []
    for term in table.terms:
        there, codes = np.unique(term.codes[rows], return_inverse=True)
        terms.append(TermRows(codes.reshape(-1), term.values[rows], len(there)))
    part = Table(np.empty((len(rows), 0)), terms, table.offset[rows])
    # Coordinates of its own are taken back: of the effects those of the whole model.
    part.x, part.p, part.transform = x, x.shape[1], np.eye(x.shape[1])
    scale = [np.linalg.inv(own.transform) for own in part.effects]
    kind = Laplace if model.n_agq == 1 else Quadrature
    options = {} if model.n_agq == 1 else {"n_points": model.n_agq}
    made = kind(part, family, criterion.covariances, **options)

    def deviance(parameters):
        theta = criterion.split(parameters)[0]
        lams = criterion.covariances.factors(theta)
        inner = [s @ lam for s, lam in zip(scale, lams, strict=True)]
        return _at(made, parameters, inner).deviance()

    return deviance


def _at(criterion, parameters, lams):
    """A point with given factors, which other coordinates make of the parameters."""
    _, beta, phi = criterion.split(parameters)
    with np.errstate(all="ignore"):
        modes = find_modes(criterion.table, criterion.family, lams, beta, phi, None)
    return criterion.point(parameters, modes)


@pytest.mark.parametrize("name", CASES)
def test_scores_are_those_of_each_cluster_alone(name):
    m, labels = fitted(name), clusters_of(name)
    codes = pd.factorize(labels, sort=True)[0]
    found = cluster_scores(m, codes)
    x = m.laplace.x
    se = np.sqrt(np.diag(m.optimum.covariance()))
    deviances = [alone(m, np.flatnonzero(codes == g)) for g in range(codes.max() + 1)]
    total = sum(f(x) for f in deviances)
    assert total == pytest.approx(m.deviance(), rel=1e-9)
    expected = np.empty_like(found)
    for g, f in enumerate(deviances):
        for i in range(len(x)):
            step = np.zeros(len(x))
            step[i] = 3e-3 * max(se[i], 1e-3)
            at = [f(x + k * step) for k in (1.0, -1.0, 2.0, -2.0)]
            slope = (8.0 * (at[0] - at[1]) - (at[2] - at[3])) / (12.0 * step[i])
            expected[g, i] = -0.5 * slope
    free = se > 0.0
    # At a variance of zero all slopes are.
    size = np.maximum(np.abs(expected).max(axis=0), 1e-3)
    np.testing.assert_allclose(
        (found / size)[:, free], (expected / size)[:, free], atol=ROBUST_GLMM
    )
    # The sum is the gradient, which is zero at the optimum.
    assert np.all(np.abs(found.sum(axis=0) * se) < 1e-4)


@pytest.mark.parametrize("name", ["yes", "spread", "quadrature"])
def test_the_covariance_is_the_sandwich(name):
    m, labels = fitted(name), clusters_of(name)
    codes = pd.factorize(labels, sort=True)[0]
    scores, bread = cluster_scores(m, codes), m.optimum.covariance()
    whole = bread @ (scores.T @ scores) @ bread
    np.testing.assert_allclose(sandwich(m, codes), whole, rtol=1e-10, atol=1e-14)
    transform = m.laplace.criterion.table.transform
    expected = transform @ whole[m.of_fixed, m.of_fixed] @ transform.T
    np.testing.assert_allclose(m.vcov(kind="CR0"), expected, rtol=1e-9)
    clusters = len(np.unique(codes))
    np.testing.assert_allclose(
        m.vcov(kind="CR1"), expected * clusters / (clusters - 1.0), rtol=1e-9
    )
    np.testing.assert_allclose(m.vcov(kind="cr0", cluster="school"), expected, rtol=1e-9)
    named = pd.Series(labels, index=frame_of().index, name="s")
    np.testing.assert_allclose(m.vcov(kind="CR0", cluster=named), expected, rtol=1e-9)


def test_of_joined_rows_and_levels():
    rng = np.random.default_rng(8)
    n = 4000
    data = pd.DataFrame({"g": rng.integers(0, 500, n), "x": rng.integers(0, 2, n)})
    eta = 0.5 * data["x"] + 0.8 * rng.normal(size=500)[data["g"]]
    data["y"] = (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    m = mx.glmer("y ~ x + (1 | g)", data)
    assert m.laplace.criterion.table.cells is not None
    # A covariate that is no number twice: no row is like another.
    apart = mx.glmer("y ~ x + (1 | g)", data.assign(x=data["x"] + 1e-9 * rng.normal(size=n)))
    assert apart.laplace.criterion.table.cells is None
    np.testing.assert_allclose(m.vcov(kind="CR0"), apart.vcov(kind="CR0"), rtol=1e-6)


def test_where_the_model_is_right_it_is_near_the_models_own():
    rng = np.random.default_rng(2)
    n, groups = 6000, 600
    g, x = np.repeat(np.arange(groups), 10), rng.normal(size=n)
    eta = 0.4 * x + 0.7 * rng.normal(size=groups)[g]
    data = pd.DataFrame({"y": rng.poisson(np.exp(eta)), "x": x, "g": g})
    m = mx.glmer("y ~ x + (1 | g)", data, "poisson")
    ratio = np.diag(m.vcov(kind="CR1")) / np.diag(m.vcov())
    np.testing.assert_allclose(ratio, 1.0, atol=0.15)
    # Twice the rows with each twice in its cluster: the model's own errors are too small then.
    twice = pd.concat([data, data], ignore_index=True)
    wrong = mx.glmer("y ~ x + (1 | g)", twice, "poisson")
    assert (np.diag(wrong.vcov(kind="CR1")) > 1.3 * np.diag(wrong.vcov())).any()


def test_at_a_variance_of_zero():
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"g": np.repeat(np.arange(30), 8), "x": rng.normal(size=240)})
    data["y"] = rng.poisson(np.exp(0.3 * data["x"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        m = mx.glmer("y ~ x + (1 | g)", data, "poisson")
    if m.theta[0] > 0.0:
        pytest.skip("the draw has a variance above zero")
    # The scores of a log-linear model, summed by cluster.
    mu, x = m.fitted().to_numpy(), np.column_stack([np.ones(240), data["x"]])
    sums = pd.DataFrame(x * (data["y"] - mu).to_numpy()[:, None]).groupby(data["g"]).sum()
    bread = np.linalg.inv(x.T @ (mu[:, None] * x))
    expected = bread @ (sums.T.to_numpy() @ sums.to_numpy()) @ bread
    np.testing.assert_allclose(m.vcov(kind="CR0"), expected, rtol=1e-5)


def test_verbs_take_it():
    m = fitted("yes")
    robust = m.vcov(kind="CR1")
    error = np.sqrt(np.diag(robust))
    summary = m.summary(ddf="CR1")
    np.testing.assert_allclose(summary.coefficients["std_error"], error)
    assert "CR1 standard errors, 9 clusters by school" in repr(summary)
    np.testing.assert_allclose(np.diag(summary.correlation), 1.0)
    table = mx.tidy(m, "fixed", ddf="CR1", ci="wald")
    np.testing.assert_allclose(table["std_error"], error)
    wald = m.confint(method="wald", ddf="CR1", parm="beta_")
    np.testing.assert_allclose(wald["conf_high"], table["conf_high"])
    np.testing.assert_allclose(wald["conf_high"] - m.fixef(), 1.959963984540054 * error)
    by_term = m.anova(ddf="CR1")
    z = m.fixef()["x"] / robust.loc["x", "x"] ** 0.5
    assert by_term.loc["x", "statistic"] == pytest.approx(z**2)
    contest = mx.contest(m, "x = 0", ddf="CR1", joint=False)
    assert contest["std_error"].iloc[0] == pytest.approx(error[list(m.fixef().index).index("x")])
    means = mx.emmeans(m, "c", ddf="CR1", type="response")
    plain = mx.emmeans(m, "c", type="response")
    assert not np.allclose(means.to_frame()["std_error"], plain.to_frame()["std_error"])
    np.testing.assert_allclose(means.to_frame()["estimate"], plain.to_frame()["estimate"])
    population = mx.emmeans(m, "c", ddf="CR1", type="response", re_form="population").to_frame()
    assert np.isfinite(population["std_error"]).all()
    compared = mx.compare_table(m, ddf="CR1", cluster="school", stars=True)
    assert f"({error[0]:.3f})" in repr(compared)
    assert "CR1 by school" in repr(compared)
    column = mx.for_summary_col(m, ddf="CR1")
    np.testing.assert_allclose(column.bse, error)


def test_what_is_refused():
    m = fitted("yes")
    with pytest.raises(UnsupportedModelError, match="CR1"):
        m.vcov(kind="CR2")
    for ask in (
        lambda: m.summary(cluster="school"),
        lambda: m.anova(cluster="school"),
        lambda: m.confint(method="wald", cluster="school"),
        lambda: m.vcov(cluster="school"),
        lambda: mx.tidy(m, cluster="school"),
    ):
        with pytest.raises(InvalidArgumentError, match="CR0"):
            ask()
    with pytest.raises(InvalidArgumentError, match="method='wald'"):
        m.confint(ddf="CR1")
    with pytest.raises(InvalidArgumentError, match="by term"):
        m.anova(m.update(". ~ . - c"), ddf="CR1")
    with pytest.raises(InvalidArgumentError, match="several clusters"):
        m.vcov(kind="CR0", cluster=frame_of()["room"])
    with pytest.raises(UnsupportedModelError, match=r"anova\(ddf='CR1'"):
        m.drop1(ddf="CR1")
    crossed = models.generated("yes")
    with pytest.raises(InvalidArgumentError, match="crossed"):
        crossed.vcov(kind="CR0")
    with pytest.raises(InvalidArgumentError, match="several clusters"):
        crossed.vcov(kind="CR0", cluster="g")


def test_too_few_clusters_for_a_joint_test():
    m = fitted("yes")
    two = (frame_of()["school"] % 2).rename("half")
    with pytest.raises(InvalidArgumentError, match="2 clusters are too few"):
        mx.contest(m, np.eye(3), ddf="CR0", cluster=two)


def test_parameters_that_are_not_determined_have_none():
    m = fitted("yes")
    optimum = replace(m.optimum)
    optimum.__dict__["hessian"] = -m.optimum.hessian
    broken = m._like(replace(m._fit, optimum=optimum))
    with pytest.raises(Exception, match="information matrix is not positive definite"):
        broken.vcov(kind="CR0")

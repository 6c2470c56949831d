"""Refits of many responses all together against the refits one by one."""

from __future__ import annotations

import glmm_models
import many_responses as many
import numpy as np
import pytest
from tolerances import DELTA_METHOD, DEVIANCES_TOGETHER, REFITS_TOGETHER

import merextras as mx
from merextras.engine.generalised.searches import reoptimiser as module
from merextras.engine.generalised.searches.optimum import information
from merextras.model.generalised.again import Refits, all_drawn


def _compared(refits, found, alone):
    """Assert that the ends are the same, by the standard errors at each end of its own."""
    np.testing.assert_array_equal(found.converged, alone.converged)
    np.testing.assert_allclose(found.deviance, alone.deviance, rtol=DEVIANCES_TOGETHER)
    variances = 2.0 / np.diagonal(refits._search.hessian)
    error = np.sqrt(np.abs(variances))
    infinite = refits.criterion.family.has_limit & (found.x[:, -1] > 6.0)
    distance = np.abs(found.x - alone.x) / error
    # A size that is nearly infinite is hardly determined.
    distance[infinite, -1] *= np.exp(-np.maximum(found.x[infinite, -1] - 4.0, 0.0))
    assert np.max(distance[found.converged]) < REFITS_TOGETHER
    np.testing.assert_array_equal(found.singular, alone.singular)


@pytest.mark.parametrize("name", many.MODELS)
def test_each_end_is_that_of_its_own_search(name):
    refits, y = many.refits(name), many.responses(name)
    found = refits.fit(y)
    alone = refits._search._one_by_one(y, refits._criterion_for)
    _compared(refits, found, alone)
    assert np.mean(found.alone) <= (0.5 if name == "no variance" else 0.1)
    np.testing.assert_allclose(found.eta, alone.eta, atol=1e-5)


def test_some_of_these_are_singular():
    names = ("singular", "slopes", "cbpp", "no variance")
    singular = sum(
        int(many.refits(name).fit(many.responses(name)).singular.sum()) for name in names
    )
    assert singular >= 12


@pytest.mark.parametrize("name", ["cbpp", "contraception"])
def test_responses_without_an_optimum(name):
    refits, y = many.refits(name), many.responses(name, 5)
    trials = refits.model.response.trials
    y[:, 0], y[:, 1] = 0.0, trials
    column = refits.model.design.x[:, -1]
    y[column > np.min(column), 2] = 0.0
    found = refits.fit(y)
    assert found.alone[:2].all()
    assert not found.alone[3:].any()
    alone = refits._search._one_by_one(y, refits._criterion_for)
    np.testing.assert_array_equal(found.converged, alone.converged)
    np.testing.assert_array_equal(found.x[found.alone], alone.x[found.alone])


def test_blocks_do_not_change_the_ends(monkeypatch):
    refits, y = many.refits("cbpp"), many.responses("cbpp")
    whole = refits.fit(y)
    monkeypatch.setattr(module, "_MOST", 5)
    parts = refits.fit(y)
    _compared(refits, parts, whole)
    assert refits._search.block == 5


@pytest.mark.parametrize("name", ["cbpp", "slopes", "negative binomial", "nested slopes"])
def test_information_is_that_of_each(name):
    refits, y = many.refits(name), many.responses(name, 4)
    again = refits.fit(y)
    found = refits._search.informations(y, again, refits._criterion_for)
    for i in range(4):
        own = refits._criterion_for(y[:, i])
        whole = information(own, own.at(again.x[i]), np.ones(own.m, dtype=bool))
        size = np.sqrt(np.abs(whole.diagonal()))
        error = (found[i] - whole) / np.outer(size, size)
        assert np.max(np.abs(error)) < 10.0 * DELTA_METHOD


def test_crossed_factors_and_quadrature_are_refitted_one_by_one():
    for m in (glmm_models.generated("yes"), glmm_models.cbpp(n_agq=5)):
        refits = Refits(m)
        y = all_drawn(m, set(), np.random.default_rng(1).spawn(2))
        found = refits.fit(y)
        assert found.alone.all()
        for i in range(2):
            whole = refits.model_of(y[:, i])
            assert found.deviance[i] == pytest.approx(-2.0 * whole.log_likelihood, rel=1e-10)
            np.testing.assert_allclose(
                refits.estimates(found.x).beta[i], whole.fixed_estimates, atol=1e-5
            )


def test_a_model_without_random_effects():
    data = mx.load_dataset("cbpp")
    m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", data)
    small = many.refits("cbpp").model._like(_without_herds(m))
    refits, y = Refits(small), many.responses("cbpp")
    found = refits.fit(y)
    assert not found.alone.any()
    _compared(refits, found, refits._search._one_by_one(y, refits._criterion_for))


def _without_herds(m):
    from merextras.model.generalised.refit import with_design

    return with_design(m, m.design.restricted_to([]), "test")._fit


def test_no_responses():
    found = many.refits("cbpp").fit(np.empty((56, 0)))
    assert len(found.x) == len(found.deviance) == found.eta.shape[1] == 0

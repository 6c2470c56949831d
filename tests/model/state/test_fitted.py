"""Fitted models: immutable, picklable, fitted again from where they are."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from lme4_fits import CASES, expected, model_of
from properties.compare import close
from tolerances import ADAPTER_CRITERION, ADAPTER_ESTIMATE, LME4_FIXED_THETA

from merextras.mermod import MerMod
from merextras.model.state.fitted import FittedModel, is_singular
from merextras.model.state.fitting import fit_at, fit_design, refitted


@pytest.mark.parametrize(("topic", "name", "criterion"), CASES)
def test_the_other_criterion_from_here(topic, name, criterion):
    """Refitting a REML fit by ML, or back, gives lme4's fit by that criterion."""
    reml = criterion == "REML"
    m = refitted(model_of(topic, name, reml=not reml), reml=reml)
    lme4 = expected(topic)[name][criterion]
    close(m.solution.deviance(), lme4["criterion"], ADAPTER_CRITERION)
    close(m.theta, lme4["theta"]["values"], ADAPTER_ESTIMATE)


@pytest.mark.parametrize(("topic", "name", "criterion"), CASES)
def test_from_the_optimisers_own_start(topic, name, criterion):
    design = model_of(topic, name).design
    fit = fit_design(design, reml=criterion == "REML")
    close(fit.solution.deviance(), expected(topic)[name][criterion]["criterion"], ADAPTER_CRITERION)
    assert fit.opt.converged
    # A singular end is looked at from other starts.
    assert fit.opt.n_evaluations < (60 if fit.opt.regular else 200)


def test_fit_at_keeps_theta(slopes):
    fit = fit_at(slopes.design, np.array([1.0, 0.0, 0.5]), reml=False)
    assert fit.opt is None
    assert FittedModel(fit).theta.tolist() == [1.0, 0.0, 0.5]
    close(fit.solution.deviance(), slopes.refit_ml().as_function()([1, 0, 0.5]), LME4_FIXED_THETA)


@pytest.mark.filterwarnings("ignore:singular fit")
def test_a_round_trip_by_pickle(case):
    m, _ = case
    again = pickle.loads(pickle.dumps(m))
    assert isinstance(again, MerMod)
    assert again.theta.tolist() == m.theta.tolist()
    assert again.origin == m.origin
    assert again.opt_summary == m.opt_summary
    np.testing.assert_array_equal(again.fitted(), m.fitted())
    pd.testing.assert_frame_equal(again.ranef().to_frame(), m.ranef().to_frame())
    np.testing.assert_array_equal(again.predict(m.model_frame()), m.predict(m.model_frame()))
    assert repr(again) == repr(m)
    close(again.refit(m.get_me("y")).theta, m.theta, ADAPTER_ESTIMATE)


def test_caches_are_not_pickled(nested):
    small = len(pickle.dumps(model_of("nested", "students")))
    nested.ranef()
    nested.get_me("mu")
    nested.vcov()
    assert len(pickle.dumps(nested)) == pytest.approx(small, rel=0.01)


def test_a_pickle_is_of_the_size_of_the_data(nested):
    design = nested.design
    size = design.x.nbytes + design.frame.memory_usage(deep=True).sum()
    assert len(pickle.dumps(nested)) < 3 * size


@pytest.mark.parametrize(
    ("name", "tol", "singular"),
    [("dyestuff2", 1e-4, True), ("perfect_correlation", 1e-4, True), ("dyestuff2", 0.0, False)],
)
def test_is_singular(name, tol, singular):
    m = model_of("singular", name)
    assert is_singular(m, tol) is singular
    assert m.is_singular(tol) is singular


def test_is_singular_is_relative_to_sigma(slopes):
    assert not slopes.is_singular()
    # What is left of the slope given the intercept at the mean day, in units of a day's deviation.
    assert not slopes.is_singular(tol=0.43)
    assert slopes.is_singular(tol=0.44)


def test_parameters(nested):
    assert nested.n_parameters == 4 + 2 + 1
    assert nested.theta.shape == (2,)


def test_mu_is_cached_and_covariances_follow_theta(slopes):
    assert slopes.mu is slopes.mu
    (covariance,) = slopes.covariances
    lam = slopes.get_me("Tlist")[0]
    close(covariance, slopes.sigma() ** 2 * lam @ lam.T, 1e-14)

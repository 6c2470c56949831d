"""`MerMod(statsmodels fit)` and `lmer` of the same model are the same model."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from lme4_fits import CASES, data_of, model_of
from lmer_models import quiet
from properties.compare import close
from tolerances import LMER_CRITERION, SAME_MODEL

FORMULAS = {
    ("intercept", "students"): "extro ~ open + agree + social + (1 | school)",
    ("intercept", "sleepstudy"): "Reaction ~ Days + (1 | Subject)",
    ("intercept", "dyestuff"): "Yield ~ 1 + (1 | Batch)",
    ("slopes", "correlated"): "Reaction ~ Days + (Days | Subject)",
    ("slopes", "uncorrelated"): "Reaction ~ Days + (Days || Subject)",
    ("slopes", "thinned_correlated"): "Reaction ~ Days + (1 + Days | Subject)",
    ("slopes", "thinned_uncorrelated"): "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)",
    ("slopes", "scaled"): "Reaction ~ DaysK + (DaysK | Subject)",
    ("nested", "students"): "extro ~ open + agree + social + (1 | school/class)",
    ("nested", "pastes"): "strength ~ 1 + (1 | batch/cask)",
    ("crossed", "penicillin"): "diameter ~ 1 + (1 | plate) + (1 | sample)",
    ("crossed", "penicillin_thinned"): "diameter ~ 1 + (1 | plate) + (1 | sample)",
    ("singular", "dyestuff2"): "Yield ~ 1 + (1 | Batch)",
    ("singular", "perfect_correlation"): "y ~ Days + (Days | Subject)",
}


@functools.cache
def by_lmer(topic, name, reml):
    return quiet(FORMULAS[topic, name], data_of(topic, name), reml=reml)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def pair(request):
    """The two fits, and their rows."""
    topic, name, criterion = request.param
    reml = criterion == "REML"
    both = by_lmer(topic, name, reml), model_of(topic, name, reml=reml)
    return *both, data_of(topic, name)


def same_frame(ours, theirs):
    pd.testing.assert_index_equal(ours.index, theirs.index, check_names=False)
    assert list(ours) == list(theirs)
    close(ours, theirs, SAME_MODEL)


def test_every_reference_model_is_compared():
    assert {(topic, name) for topic, name, _ in CASES} == set(FORMULAS)


def test_estimates(pair):
    ours, theirs, _ = pair
    close(ours.get_me("theta"), theirs.get_me("theta"), SAME_MODEL)
    close(ours.fixef(), theirs.fixef(), SAME_MODEL)
    assert ours.fixef().index.tolist() == theirs.fixef().index.tolist()
    same_frame(ours.vcov(), theirs.vcov())
    close(ours.sigma(), theirs.sigma(), SAME_MODEL)


def test_random_effects(pair):
    ours, theirs = (m.ranef(cond_var=True) for m in pair[:2])
    assert list(ours) == list(theirs)
    for factor in ours:
        same_frame(ours[factor], theirs[factor])
        close(ours.post_var[factor], theirs.post_var[factor], SAME_MODEL)


def test_variances(pair):
    ours, theirs = (m.var_corr().to_frame() for m in pair[:2])
    numbers = ours.select_dtypes("number").columns
    assert len(numbers)
    for column in numbers:
        close(ours[column].fillna(0), theirs[column].fillna(0), SAME_MODEL)
    rest = [column for column in ours if column not in numbers]
    if any(term.tag.name == "diag" for term in pair[1].design.terms):  # one term for several
        ours["grp"] = ours["grp"].str.removesuffix(".1")
    pd.testing.assert_frame_equal(ours[rest], theirs[rest])


def test_likelihood(pair):
    ours, theirs, _ = pair
    for name in ("log_lik", "deviance", "reml_crit", "aic", "bic"):
        close(getattr(ours, name)(), getattr(theirs, name)(), LMER_CRITERION)
    assert ours.nobs() == theirs.nobs()
    assert ours.n_parameters == theirs.n_parameters


@pytest.mark.parametrize("re_form", [None, "NA"])
def test_predictions(pair, re_form):
    ours, theirs, data = pair
    new = data.iloc[::7]
    close(ours.predict(re_form=re_form), theirs.predict(re_form=re_form), SAME_MODEL)
    close(ours.predict(new, re_form=re_form), theirs.predict(new, re_form=re_form), SAME_MODEL)
    np.testing.assert_array_equal(ours.fitted().index, theirs.fitted().index)
    close(ours.residuals("pearson", scaled=True), theirs.residuals("pearson", scaled=True), 1e-5)

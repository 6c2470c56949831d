"""Every function and method on a model with a given sigma: its own answer, or a refusal.

The model is that of `test_streamed_verbs`, with the residual standard deviation given at its own
estimate. What does not depend on how well sigma is known is then the same as before; what does is
named here, with what it must be.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
from every_verb import test_streamed_verbs as verbs

import merextras as mx
from merextras.exceptions import MerextrasWarning, UnsupportedModelError

#: What is refused, and a word of the reason.
REFUSED = {
    "exact_rlrt": "known residual",
    "exact_rlrt: sample": "known residual",
    "exact_rlrt: null": "known residual",
    "exact_lrt": "known residual",
    "m.to_statsmodels": "estimates the residual variance",
}

#: Names of results with a parameter less: sigma is none.
WITHOUT_SIGMA = {
    "tidy",
    "m.confint: profile",
    "compare_table",
    "bootstrap",
    "bootstrap: residuals",
    "m.confint: boot",
    "sub_boot",
    "m.influence",
    "m.influence: groups",
    "m.profile",  # which asks for sigma, and is told that there is none
}

#: Counts of parameters, refits at which sigma would have moved, and the uncertainty of sigma
#: itself: draws of it, degrees of freedom, intervals by Student's t.
CHANGED = {
    "check_outliers", "compare", "contest", "contest: text", "emmeans", "emmeans: at", "emtrends",
    "fe_sim", "glance", "joint_tests", "kr_modcomp", "ls_means", "model_info", "performance",
    "predict_interval", "sat_modcomp",
    "ranova", "ranova: exact", "ranova: terms",
    "re_margins", "re_sim", "step", "sim", "vcov_adj", "what_if", "what_if: changes",
    "what_if_average",
    "m.aic", "m.bic", "m.extract_aic", "m.df_residual", "m.as_function", "m.anova: type 1",
    "m.anova: type 2", "m.anova: models", "m.anova: as they are", "m.drop1", "m.predict: df",
    "m.update", "m.update: reml", "ranova: bootstrap", "pb_modcomp", "power", "icc: intervals",
    "cross_validate", "check_predictions", "sim_fitted", "what_if_spread", "standardize", "display",
    "fast_display",
}  # fmt: skip

#: As before: refused, or of no use, whatever sigma is.
ALIKE = {"bootstrap: cases", "m.refit", "m.vcov: robust"}


@functools.cache
def free(formula=verbs.FORMULA, reml=True):
    return mx.lmer(formula, verbs.data(), reml=reml)


@functools.cache
def known(formula=verbs.FORMULA, reml=True):
    sigma = free(formula, reml).sigma()
    return mx.lmer(formula, verbs.data(), reml=reml, sigma=sigma)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    def other(m, formula):
        return (known if m.has_known_sigma else free)(formula, m.is_reml())

    monkeypatch.setattr(verbs, "_other", other)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        yield


@functools.cache
def _of_few_rows(known_sigma):
    """A fit for each row takes its time."""
    data = verbs.data().dropna().head(120)
    m = mx.lmer(verbs.SMALL, data)
    return mx.lmer(verbs.SMALL, data, sigma=m.sigma()) if known_sigma else m


EVERY = {
    **verbs.SAME,
    **verbs.TEXT,
    **verbs.RANDOM,
    **verbs.NEEDS_ROWS,
    "m.influence": lambda m: _of_few_rows(m.has_known_sigma).influence(),
}
SAME = [n for n in EVERY if n not in CHANGED | WITHOUT_SIGMA | ALIKE | REFUSED.keys()]


def _shown(found):
    try:
        return verbs._numbers(found)
    except (TypeError, ValueError):
        return None


@pytest.mark.parametrize("name", SAME)
def test_sigma_at_its_estimate_changes_nothing(name):
    found, expected = EVERY[name](known()), EVERY[name](free())
    if isinstance(expected, (pd.Series, pd.DataFrame)):
        assert list(map(str, found.index)) == list(map(str, expected.index))
    found, expected = _shown(found), _shown(expected)
    if expected is not None:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", sorted(CHANGED))
def test_what_depends_on_sigma_is_another(name):
    found, expected = EVERY[name](known()), EVERY[name](free())
    numbers, before = _shown(found), _shown(expected)
    if numbers is None:
        assert repr(found) != repr(expected)
        return
    assert numbers.shape == before.shape
    assert np.nanmax(np.abs(numbers - before)) > 0.0


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_is_refused(name):
    with pytest.raises(UnsupportedModelError, match=REFUSED[name]):
        EVERY[name](known())


@pytest.mark.parametrize("name", sorted(WITHOUT_SIGMA - {"m.profile", "compare_table"}))
def test_sigma_is_no_parameter(name):
    found, expected = EVERY[name](known()), EVERY[name](free())
    assert _shown(found).size < _shown(expected).size


def test_degrees_of_freedom_are_those_of_no_estimate():
    """n - p of Student's t become infinitely many."""
    m = known()
    fit = m.predict(verbs.rows(), interval="confidence", ddf="residual")
    normal = m.predict(verbs.rows(), interval="confidence", ddf="asymptotic")
    np.testing.assert_array_equal(fit, normal)
    assert m.solution.sigma_df == np.inf
    np.testing.assert_array_equal(mx.sim(m, n_sims=9, rng=1).sigma, m.sigma())
    assert m.get_me("devcomp")["dims"]["useSc"] == 0


def test_every_verb_has_its_place():
    named = CHANGED | WITHOUT_SIGMA | ALIKE | REFUSED.keys()
    assert named <= EVERY.keys()

"""`diag`, `cs` and `ar1` in formulas against glmmTMB and nlme, on eight data sets."""

from __future__ import annotations

import re

import numpy as np
import pytest
from properties.compare import close
from structure_models import CASES, UNBOUNDED, expected, model_of
from tolerances import STRUCTURE_CRITERION, STRUCTURE_ESTIMATE, STRUCTURE_FIXED

#: The largest gradient of a fit of glmmTMB that has converged; nlme gives none.
_CONVERGED = 1e-5


#: glmmTMB's standard errors hold a part for the variances' uncertainty, which is zero where the
#: fixed effects' estimate does not depend on them; ours are held to a dense formula elsewhere.
_UNBALANCED = ("pixel", "chickweight")


def key_of(name):
    """A fixed effect's name, in R's spelling or in ours."""
    name = re.sub(r"\[T?\.?(.*?)\]", r"\1", name).replace("(Intercept)", "Intercept")
    return tuple(sorted(name.replace(" ", "").replace("**", "^").split(":")))


def has_converged(theirs):
    """Whether the other package is at an optimum, inside."""
    variances = [sd for term in theirs["terms"] for sd in term["sd"]]
    inside = min(variances) > 1e-3 * theirs["sigma"] and theirs["sigma"] > 1e-3 * max(variances)
    return theirs.get("gradient", 0.0) < _CONVERGED and inside


#: The cases in which it is.
CONVERGED = [name for name in CASES if has_converged(expected(name))]
#: Those with the modes of a single term.
WITH_MODES = [
    name for name in CONVERGED if "modes" in expected(name) and len(expected(name)["terms"]) == 1
]


def test_most_of_the_other_fits_have_converged():
    assert len(CONVERGED) >= 26
    assert len(WITH_MODES) >= 10


@pytest.mark.parametrize("name", UNBOUNDED)
def test_a_likelihood_without_a_maximum_is_said_to_have_none(name):
    model, theirs = model_of(name), expected(name)
    assert not model.opt_summary.converged
    assert model.opt_summary.unbounded
    assert theirs["sigma"] < 1e-2 or theirs["gradient"] > 1.0


@pytest.mark.parametrize("name", CASES)
def test_log_likelihood(name):
    model, theirs = model_of(name), expected(name)
    assert model.opt_summary.converged
    assert model.log_lik() > theirs["log_lik"] - STRUCTURE_CRITERION
    if name in CONVERGED:
        np.testing.assert_allclose(model.log_lik(), theirs["log_lik"], 0.0, STRUCTURE_CRITERION)


@pytest.mark.parametrize("name", CONVERGED)
def test_standard_deviations_and_correlations(name):
    model, theirs = model_of(name), expected(name)
    terms = sorted(theirs["terms"], key=lambda term: len(term["sd"]))
    components = sorted(model.var_corr().components, key=lambda c: len(c.names))
    for component, term in zip(components, terms, strict=True):
        close(component.std_dev, term["sd"], STRUCTURE_ESTIMATE)
        if term["cor"]:
            close(component.correlation[:, 0], term["cor"], STRUCTURE_ESTIMATE)
    close(model.sigma(), theirs["sigma"], STRUCTURE_ESTIMATE)


@pytest.mark.parametrize("name", CONVERGED)
def test_fixed_effects(name):
    model, theirs = model_of(name), expected(name)
    found = model.fixef()
    order = [key_of(name) for name in theirs["names"]]
    assert sorted(order) == sorted(map(key_of, found.index))
    places = [[key_of(name) for name in found.index].index(key) for key in order]
    close(found.to_numpy()[places], theirs["beta"], STRUCTURE_FIXED)
    if theirs["data"] not in _UNBALANCED:
        errors = np.sqrt(np.diag(model.vcov()))
        close(errors[places], theirs["se"], STRUCTURE_FIXED)


@pytest.mark.parametrize("name", WITH_MODES)
def test_modes(name):
    model, theirs = model_of(name), expected(name)
    (modes,) = model.ranef().values()
    modes = modes.loc[sorted(modes.index, key=str)]  # R's levels are text
    close(modes.to_numpy().reshape(-1), theirs["modes"], STRUCTURE_FIXED)

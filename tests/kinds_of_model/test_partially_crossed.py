"""Factors that cross within schools: by a sparse tail, a dense one, and lme4."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from properties.compare import close
from tolerances import (
    LMER_CRITERION,
    LMER_ESTIMATE,
    LMER_FIXED,
    LMER_SIGMA,
    LMER_THETA,
    OPTIMUM_DEFAULT,
)

from merextras.engine.elimination.plan import make_plan
from merextras.fit_lmer import lmer
from merextras.model.state import fitting

FOLDER = Path(__file__).resolve().parents[1] / "reference" / "partially_crossed"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())["models"]


@functools.cache
def model_of(name, *, reml, tail):
    data = pd.read_csv(FOLDER / "school.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fitting, "make_plan", functools.partial(make_plan, tail=tail))
        return lmer(EXPECTED[name]["formula"], data, reml=reml)


def in_our_order(m, entry):
    """lme4's theta with its terms in our order."""
    starts, parts = 0, {}
    for term in entry["terms"]:
        k = len(term["columns"])
        size = k * (k + 1) // 2
        parts[term["factor"]] = entry["theta"]["values"][starts : starts + size]
        starts += size
    return np.concatenate([parts[term.factor] for term in m.design.terms])


@pytest.mark.parametrize("tail", ["sparse", "dense"])
@pytest.mark.parametrize("criterion", ["REML", "ML"])
@pytest.mark.parametrize("name", EXPECTED)
def test_against_lme4(name, criterion, tail):
    m, lme4 = model_of(name, reml=criterion == "REML", tail=tail), EXPECTED[name][criterion]
    assert m.solution.factor.system.tail.kind == tail
    close(m.solution.deviance(), lme4["criterion"], LMER_CRITERION)
    close(m.theta, in_our_order(m, lme4), LMER_THETA)
    close(m.fixef(), lme4["beta"]["values"], LMER_FIXED)
    close(m.vcov(), lme4["vcov"], LMER_ESTIMATE)
    close(m.sigma(), lme4["sigma"], LMER_SIGMA)
    for t, term in enumerate(m.design.terms):
        theirs = lme4["ranef"][term.factor]
        assert list(map(str, term.levels)) == theirs["levels"]
        close(m.solution.b[t], theirs["values"], LMER_ESTIMATE)
        variances = m.solution.sigma2 * m.solution.conditional(t)
        close(variances, theirs["cond_var"][0]["array"], LMER_ESTIMATE)


@pytest.mark.parametrize("name", EXPECTED)
def test_both_tails_give_the_same_results(name):
    sparse, dense = (model_of(name, reml=True, tail=tail) for tail in ("sparse", "dense"))
    close(sparse.theta, dense.theta, OPTIMUM_DEFAULT)
    close(sparse.fitted(), dense.fitted(), OPTIMUM_DEFAULT)
    for got, expected in zip(sparse.ranef().values(), dense.ranef().values(), strict=True):
        close(got, expected, OPTIMUM_DEFAULT)


def test_a_profile_of_the_sparse_tail():
    sparse, dense = (model_of("two", reml=False, tail=tail) for tail in ("sparse", "dense"))
    ours, theirs = (m.profile().confint() for m in (sparse, dense))
    close(ours, theirs, LMER_ESTIMATE)


def test_the_block_description():
    m = model_of("three", reml=True, tail="sparse")
    blocks = m.block_description().set_index(["row", "column"])
    tail = blocks.loc[("teacher + room", "teacher + room")]
    assert (tail["kind"], tail["shape"]) == ("sparse", (168, 168))
    assert tail["numbers"] < 0.4 * 168**2
    assert tail["megabytes"] == pytest.approx(8e-6 * tail["numbers"])
    dense = model_of("three", reml=True, tail="dense").block_description()
    assert (
        dense.set_index(["row", "column"]).loc[("teacher + room", "teacher + room"), "kind"]
        == "dense"
    )

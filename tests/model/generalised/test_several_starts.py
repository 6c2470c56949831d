"""Log-densities that are not concave: the best of the optima to which several starts lead."""

from __future__ import annotations

import numpy as np
import pytest
from glmer_designs import design

import merextras as mx
from merextras.engine.generalised.searches import search
from merextras.engine.generalised.searches.search import optimise
from merextras.engine.generalised.searches.start import starts

#: Designs with several ends; of the last two one start alone still leads above the best.
SEEDS = (19, 89, 57, 9)
HIGHER = SEEDS[2:]


def fit(seed):
    formula, data, family = design(seed)
    return mx.glmer(formula, data, family)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("seed", SEEDS)
def test_no_other_start_leads_lower(seed):
    m, rng = fit(seed), np.random.default_rng(seed)
    criterion, x, ends = m.laplace.criterion, m.laplace.x, []
    for size in np.repeat([0.1, 0.5, 1.0], 4):
        elsewhere = x + size * rng.normal(size=len(x)) * (np.abs(x) + 0.1)
        elsewhere[0] = abs(elsewhere[0])
        found = optimise(criterion, elsewhere)
        if found.converged:
            ends.append(found.point.deviance())
    assert m.optimum.converged
    assert m.deviance() <= min(ends) + 1e-6 * (1.0 + abs(m.deviance()))


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("seed", HIGHER)
def test_one_start_alone_would_end_higher(seed):
    m = fit(seed)
    points = list(starts(m.laplace.criterion))
    assert len(points) > 1
    alone = [optimise(m.laplace.criterion, [point]).point.deviance() for point in points]
    assert max(alone) > m.deviance() + 1e-3
    assert min(alone) == pytest.approx(m.deviance(), abs=1e-6)


#: Few rows with a singular optimum, of concave log-densities, which is 10 and 1.5 above another.
SINGULAR = (62, 194)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
@pytest.mark.parametrize("seed", SINGULAR)
def test_a_singular_end_of_few_rows_is_left_for_a_lower_one(seed, monkeypatch):
    m = fit(seed)
    monkeypatch.setattr(search, "_FEW", 0)
    assert fit(seed).deviance() > m.deviance() + 1.0
    assert m.optimum.converged


def test_a_regular_fit_of_a_concave_log_density_has_one_start():
    m = mx.glmer("cbind(incidence, size - incidence) ~ period + (1|herd)", mx.load_dataset("cbpp"))
    asked = []

    def counted():
        for point in starts(m.laplace.criterion):
            asked.append(point)
            yield point

    optimise(m.laplace.criterion, counted())
    assert len(asked) == 1

"""Several optimisers, one optimum."""

from __future__ import annotations

import numpy as np
import pytest
from lme4_fits import adapted, statsmodels_fit
from properties.compare import close
from small_models import case_of
from tolerances import OTHER_OPTIMISER, SAME_DRAWS

import merextras as mx
from merextras.exceptions import InvalidArgumentError

NEWTON = ["newton, from moments", "newton, from the identity"]
SCIPY = ["L-BFGS-B", "SLSQP", "Nelder-Mead", "Powell"]


@pytest.mark.parametrize("name", ["slopes", "nested", "crossed", "uncorrelated"])
def test_all_find_the_same(name, request):
    model = request.getfixturevalue(name)
    found = mx.all_fit(model, n_random=2, rng=1)
    frame = found.to_frame()
    random = ["newton, random start 1", "newton, random start 2"]
    assert frame["optimizer"].tolist() == [*NEWTON, *random, *SCIPY]
    assert frame["converged"].all()
    assert not frame["singular"].any()
    assert np.max(np.abs(frame["criterion"] - model.deviance())) < OTHER_OPTIMISER
    assert np.all(frame["above_best"] >= 0.0)
    assert np.all(frame["seconds"] > 0.0)
    assert found.agree
    assert found.theta.shape == (8, len(model.theta))
    close(found.theta.to_numpy(), np.tile(model.theta, (8, 1)), 1e-3)
    assert "All that converged agree" in repr(found)


def test_the_same_seed_gives_the_same(slopes):
    one, two = (mx.all_fit(slopes, rng=3) for _ in range(2))
    close(one.theta.to_numpy(), two.theta.to_numpy(), SAME_DRAWS)
    assert repr(one) == repr(two)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_a_singular_model():
    data = mx.load_dataset("dyestuff")
    y = data["Yield"] - data.groupby("Batch")["Yield"].transform("mean")
    found = mx.all_fit(mx.lmer("y ~ 1 + (1 | Batch)", data.assign(y=y)), rng=1)
    frame = found.to_frame().set_index("optimizer")
    assert frame.loc[NEWTON, "singular"].all()
    assert found.agree


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_a_search_that_tries_where_there_is_no_criterion():
    case = case_of(60)  # Powell's: its line search extrapolates to standard deviations of 1e6
    found = mx.all_fit(mx.lmer(case.formula, case.data, **case.kwargs), rng=1)
    frame = found.to_frame().set_index("optimizer")
    assert frame.loc["Powell", "above_best"] < OTHER_OPTIMISER


def test_statsmodels_own_estimate_falls_short(students):
    fit = statsmodels_fit("extro ~ open + agree + social", students, groups="school")
    found = mx.all_fit(adapted(fit, polish=False), n_random=1, rng=1)
    assert not found.agree
    assert found.current - found.best > 1e-4
    assert "above the best: fit it again from the best theta" in repr(found)


def test_what_a_stopped_optimiser_says(sleep):
    some = sleep.iloc[7:]  # of all, which are balanced, the start from moments is the optimum
    found = mx.all_fit(mx.lmer("Reaction ~ Days + (Days | Subject)", some), n_random=1, rng=1)
    assert all(fit.message for fit in found.fits)
    assert all(fit.n_evaluations > 3 for fit in found.fits)


def test_errors(slopes):
    with pytest.raises(InvalidArgumentError, match="n_random=0"):
        mx.all_fit(slopes, n_random=0)
    with pytest.raises(InvalidArgumentError, match="rng=-2"):
        mx.all_fit(slopes, rng=-2)

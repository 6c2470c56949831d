"""Verbs that refit generalised models to many responses: all together, as one by one."""

from __future__ import annotations

import many_responses as many
import numpy as np
import pytest
from tolerances import DELTA_METHOD, REFIT_OF_A_REPLICATE

import merextras as mx
from merextras.engine.generalised.searches.reoptimiser import Reoptimiser
from merextras.exceptions import MerextrasError
from merextras.inference.intervals import bootstrap_generalised


def _bootstrap():
    return mx.bootstrap(many.model("slopes"), n_sims=12, rng=1).replicates


def _function():
    return mx.bootstrap(many.model("cbpp"), lambda m: m.fixef(), n_sims=6, rng=1).replicates


def _modes_kept():
    return mx.bootstrap(many.model("nested"), n_sims=6, rng=1, use_u=True).replicates


def _shares():
    return (
        mx.icc(many.model("negative binomial"), ci="bootstrap", n_sims=10, rng=1)
        .to_frame()
        .select_dtypes(float)
        .to_numpy()
    )


def _modcomp():
    large, data = many.model("cbpp"), mx.load_dataset("cbpp")
    small = mx.glmer("cbind(incidence, size - incidence) ~ 1 + (1 | herd)", data)
    return mx.pb_modcomp(large, small, n_sims=10, rng=1).sample


def _ranova():
    found = mx.ranova(many.model("slopes"), p_values="bootstrap", n_sims=20, rng=1)
    return found["p_bootstrap"].to_numpy()


def _power(test):
    found = mx.power(many.model("cbpp"), test, n_sims=12, rng=1)
    return np.asarray(found.p_values)


def _power_wald():
    return _power("C(period)[T.2]")


def _overdispersion():
    return mx.check_overdispersion(many.model("cbpp"), n_sims=8, rng=1).sample


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
@pytest.mark.parametrize(
    "verb",
    [_bootstrap, _function, _modes_kept, _shares, _modcomp, _ranova, _power_wald, _overdispersion],
)
def test_together_as_one_by_one(verb, monkeypatch):
    together = verb()
    monkeypatch.setattr(Reoptimiser, "layout", None)
    np.testing.assert_allclose(
        together, verb(), rtol=10.0 * DELTA_METHOD, atol=REFIT_OF_A_REPLICATE, equal_nan=True
    )


def test_processes_and_blocks():
    m = many.model("cbpp")
    one, two = (mx.bootstrap(m, n_sims=600, rng=1, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one.replicates, two.replicates)
    assert one.n_failed == 0
    assert 0.0 < one.singular_share < 0.05


def test_the_spread_is_that_of_the_estimates():
    m = many.model("cbpp")
    found = mx.bootstrap(m, n_sims=1000, rng=1)
    wald = np.sqrt(np.diag(m.vcov()))
    # Of 1000 draws a standard deviation is within a tenth; the Wald's own is of large samples.
    np.testing.assert_allclose(found.std_error[m.fixef().index], wald, rtol=0.15)


def test_a_mean_that_is_none_is_a_failure_of_its_replicate():
    # The effects' standard deviation is a third of the mean: in some groups it is negative.
    data, rng = many.MODELS["gamma inverse"][1](), np.random.default_rng(3)
    mean = np.maximum(3.0 + 1.5 * rng.standard_normal(18), 0.3)[data["g"]]
    data = data.assign(wait=rng.gamma(4.0, 0.25 / mean))
    m = mx.glmer("wait ~ 1 + (1 | g)", data, many.MODELS["gamma inverse"][2])
    found = mx.bootstrap(m, n_sims=30, rng=1)
    assert set(found.failures) <= {"ValueError: scale < 0", "not converged"}
    assert 0 < found.failures["ValueError: scale < 0"] < 30
    assert np.isnan(found.replicates).all(axis=1).sum() == found.n_failed


def test_all_responses_may_fail_to_be_drawn(monkeypatch):
    def none(*args):
        raise ValueError("no mean")

    monkeypatch.setattr(bootstrap_generalised, "drawn", none)
    with pytest.raises(MerextrasError, match="all 5 replicates failed; the first: ValueError"):
        mx.bootstrap(many.model("cbpp"), n_sims=5, rng=1)

"""Results can't be changed by what was done with their arrays, after they were pickled either."""

from __future__ import annotations

import functools
import pickle

import numpy as np
import pytest

import merextras as mx
from merextras.foundation.frozen import FrozenArrays


@functools.cache
def model(formula="Reaction ~ Days + (Days | Subject)"):
    return mx.lmer(formula, mx.load_dataset("sleepstudy"))


def pooled():
    sleep = mx.load_dataset("sleepstudy")
    shifted = [sleep.assign(Days=sleep["Days"] + shift) for shift in (0.0, 0.1)]
    return mx.lmer_list("Reaction ~ Days + (1 | Subject)", shifted).pool()


MADE = {
    "bootstrap": lambda: mx.bootstrap(model(), n_sims=3, rng=1),
    "convergence": lambda: mx.check_convergence(model()),
    "effect sizes": lambda: mx.r2(model()),
    "exact test": lambda: mx.exact_rlrt(model("Reaction ~ Days + (1 | Subject)"), n_sims=9, rng=1),
    "f test": lambda: mx.sat_modcomp(model(), "Days"),
    "influence": lambda: model().influence("Subject"),
    "list of fits": lambda: mx.lm_list("Reaction ~ Days | Subject", mx.load_dataset("sleepstudy")),
    "means": lambda: mx.emmeans(model(), "Days"),
    "pooled": pooled,
    "power": lambda: mx.power(model(), "Days", n_sims=3, rng=1),
    "predictions": lambda: mx.check_predictions(model(), n_sims=3, rng=1),
    "principal components": lambda: model().re_pca()["Subject"],
    "profile": lambda: model().profile("sigma"),
    "simulated effects": lambda: mx.sim(model(), n_sims=3, rng=1),
}


def arrays_of(found):
    """Every array that the result stands on."""
    out = [getattr(found, name) for name in found._arrays if getattr(found, name) is not None]
    for part in vars(found).values():
        if hasattr(part, "values") and callable(part.values):
            out += [each for each in part.values() if isinstance(each, np.ndarray)]
    return out + [part for part in vars(found).values() if isinstance(part, np.ndarray)]


@pytest.mark.parametrize("name", MADE)
def test_arrays_are_read_only_before_and_after_a_pickle(name):
    found = MADE[name]()
    assert isinstance(found, FrozenArrays)
    for each in (found, pickle.loads(pickle.dumps(found))):
        arrays = arrays_of(each)
        assert arrays
        assert not any(array.flags.writeable for array in arrays)

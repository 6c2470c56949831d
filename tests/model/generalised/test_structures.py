"""Covariance structures in `glmer`: normal responses are those of `lmer`."""

from __future__ import annotations

import numpy as np
import pytest

import merextras as mx

BARS = (
    "diag(1 + Days | Subject)",
    "cs(0 + late | Subject)",
    "ar1(0 + late | Subject)",
    "(Days || Subject)",
)


@pytest.mark.parametrize("bar", BARS)
def test_structures_are_those_of_lmer(sleep, bar):
    data = sleep.assign(late=(sleep["Days"] > 4).astype(str))
    linear = mx.lmer(f"Reaction ~ Days + {bar}", data, reml=False)
    m = mx.glmer(f"Reaction ~ Days + {bar}", data, "gaussian")
    np.testing.assert_allclose(m.log_lik(), linear.log_lik(), rtol=1e-10)
    for ours, theirs in zip(m.var_corr().values(), linear.var_corr().values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)

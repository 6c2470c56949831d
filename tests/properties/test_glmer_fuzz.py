"""`glmer` on random designs: an optimum, or a sentence of ours that says what is wrong.

Separation, rare events, tiny groups and huge counts are all among them.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fuzz_share import part
from glmer_designs import design

import merextras as mx
from merextras.exceptions import ConvergenceWarning, MerextrasError, MerextrasWarning


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(part(500)))
def test_it_fits_or_says_why_not(seed):
    formula, data, family = design(seed)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            m = mx.glmer(formula, data, family)
        except MerextrasError:
            return
    assert all(issubclass(w.category, MerextrasWarning) for w in said)
    doubtful = any(issubclass(w.category, ConvergenceWarning) for w in said)
    assert m.optimum.converged or doubtful
    if doubtful:
        return
    assert np.isfinite(m.summary().coefficients.to_numpy()).all()
    # No better model nearby: a maximum in every direction that is free.
    criterion, x = m.laplace.criterion, m.laplace.x
    rng, base = np.random.default_rng(seed), m.deviance()
    se = np.sqrt(np.maximum(np.diag(m.optimum.covariance()), 0.0))
    for _ in range(5):
        other = criterion.at(x + 0.3 * se * rng.normal(size=len(x)), m.laplace)
        assert other.deviance() >= base - 1e-7 * (1.0 + abs(base))

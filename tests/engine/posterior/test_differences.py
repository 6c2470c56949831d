"""Variances of differences between random effects, against the dense joint covariance."""

from __future__ import annotations

import numpy as np
import pytest
from properties.compare import close
from sim_models import SHAPES, fitted, joint_covariance
from tolerances import ORACLE

from merextras import lmer
from merextras.datasets import load_dataset
from merextras.engine.posterior import differences


def dense_variances(model, term, effect):
    """Var(b_i - b_k) over sigma**2 of all pairs of levels."""
    joint, _ = joint_covariance(model)
    at = model.solution.p + sum(b.size for b in model.solution.b[:term])
    levels, k = model.solution.b[term].shape
    places = at + np.arange(levels) * k + effect
    c = joint[np.ix_(places, places)]
    return np.diag(c)[:, None] + np.diag(c) - 2 * c


def effects_of(model):
    return [(t, e) for t, b in enumerate(model.solution.b) for e in range(b.shape[1])]


@pytest.mark.parametrize("shape", SHAPES)
def test_all_pairs_of_two_blocks(shape):
    model = fitted(shape)
    for term, effect in effects_of(model):
        levels = np.arange(len(model.solution.b[term]))
        half = len(levels) // 2
        left = differences.effects(model.solution, term, effect, levels)
        right = differences.effects(model.solution, term, effect, levels[half:])
        found = differences.difference_variances(left, right)
        close(found, dense_variances(model, term, effect)[:, half:], ORACLE)
        assert np.all(found >= 0)


def test_the_common_error_of_the_intercept_takes_no_digits():
    """A predictor far from zero: the intercept's error is 1e5 times that of a difference."""
    students = load_dataset("students")
    near = lmer("extro ~ open + (1 | school)", students)
    far = lmer("extro ~ open + (1 | school)", students.assign(open=students["open"] + 1e5))
    one, other = (
        differences.difference_variances(*[differences.effects(m.solution, 0, 0, np.arange(6))] * 2)
        for m in (near, far)
    )
    off = ~np.eye(6, dtype=bool)
    assert far.vcov().iloc[0, 0] > 1e5 * far.sigma() ** 2 * other[off].max()
    np.testing.assert_allclose(other[off], one[off], rtol=1e-6)

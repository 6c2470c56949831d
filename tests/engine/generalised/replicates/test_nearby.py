"""Gradients at several points near one against those of each by itself."""

from __future__ import annotations

import many_responses as many
import numpy as np
import pytest
from tolerances import CRITERION_OF_MANY

from merextras.engine.generalised.replicates import nearby


def _near(name, n_points):
    criterion = many.refits(name).criterion
    point = criterion.at(many.refits(name)._search.x)
    moves = 0.01 * np.random.default_rng(5).standard_normal((n_points, criterion.m))
    return point, point.x + moves


@pytest.mark.parametrize("name", many.MODELS)
@pytest.mark.parametrize("n_points", [1, 9, 10, 25])
def test_gradients_are_those_of_each_point(name, n_points):
    point, x = _near(name, n_points)
    found = nearby.gradients(point, x)
    one_by_one = np.array([point.criterion.at(at, point).gradient() for at in x])
    size = np.max(np.abs(one_by_one), axis=1, keepdims=True)
    np.testing.assert_allclose(found / size, one_by_one / size, rtol=0, atol=CRITERION_OF_MANY)


def test_in_blocks_and_at_once(monkeypatch):
    point, x = _near("cbpp", 25)
    before = point.criterion.n_evaluations
    at_once = nearby.gradients(point, x)
    assert point.criterion.n_evaluations == before
    monkeypatch.setattr(nearby, "BLOCK", 11 * point.criterion.table.n)
    np.testing.assert_allclose(nearby.gradients(point, x), at_once, rtol=1e-9)
    assert point.criterion.n_evaluations == before


def test_a_point_without_a_mode_has_no_gradient_and_spoils_no_other():
    point, x = _near("cbpp", 12)
    x[3, -1] = np.nan
    found = nearby.gradients(point, x)
    assert np.isnan(found[3]).any()
    assert np.isfinite(np.delete(found, 3, axis=0)).all()

"""What is kept of numeric variables, and reference grids made of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from chunk_models import table

import merextras as mx
from merextras.model.structure.ranges import Numbers

NAMES = ["estimate", "std_error", "df", "conf_low", "conf_high"]


@pytest.mark.parametrize("counted", [False, True])
def test_sums_of_parts(counted):
    rng = np.random.default_rng(1)
    values = rng.normal(1e6, 1.0, 500)
    counts = rng.integers(0, 3, 500).astype(float) if counted else None
    cuts = [slice(0, 100), slice(100, 100), slice(100, 130), slice(130, 500)]
    parts = [Numbers.of(values[c], None if counts is None else counts[c]) for c in cuts]
    found = parts[0] + parts[1] + parts[2] + parts[3]
    used = values if counts is None else values[counts > 0]
    assert found.mean == pytest.approx(np.average(values, weights=counts), rel=1e-14)
    assert (found.low, found.high, found.two) == (used.min(), used.max(), False)


def test_one_and_two_values():
    ones, zeros, twos = (Numbers.of(np.full(3, v), None) for v in (1.0, 0.0, 2.0))
    assert (ones + ones).typical == (1.0,)
    assert (ones + zeros).typical == (0.0, 1.0)
    assert (ones + zeros + twos).typical == (1.0,)
    assert (ones + Numbers.of(np.zeros(3), np.zeros(3))).typical == (1.0,)


@pytest.mark.parametrize("kwargs", [{}, {"weights": "w"}, {"weights": "w", "freq_weights": "f"}])
def test_means_at_the_same_values(tmp_path, kwargs):
    """Numbers in code, with two values, weighted; also from a file and from two sites."""
    data = table().dropna()
    data["two"] = np.where(data["x"] > 50, 5.0, 3.0)
    formula = "y ~ np.log(x) * c + two + offset(t / 1e6) + (1 | g)"
    expected = mx.emmeans(mx.lmer(formula, data, **kwargs), "c").to_frame()
    levels = {"c": ["u", "v", "w"]}
    parts = [
        mx.cross_products(formula, d, levels=levels, **kwargs) for d in (data[:700], data[700:])
    ]
    (parts[0] + parts[1]).save(tmp_path / "a.npz")
    loaded = mx.load_cross_products(tmp_path / "a.npz", trust_formula=True)
    found = mx.emmeans(mx.MerMod.from_cross_products(loaded), "c").to_frame()
    pd.testing.assert_frame_equal(found[NAMES], expected[NAMES], rtol=1e-6)

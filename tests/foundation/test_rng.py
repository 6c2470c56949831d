"""Random number generators: seeds, generators, nothing; never the global state."""

from __future__ import annotations

import numpy as np
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.rng import as_generator


@pytest.mark.parametrize("seed", [0, 1, 2**40, np.int64(7), np.uint8(3)])
def test_a_seed(seed):
    assert as_generator(seed).integers(2**30) == as_generator(int(seed)).integers(2**30)


def test_a_generator_is_itself():
    rng = np.random.default_rng(1)
    assert as_generator(rng) is rng


def test_a_seed_sequence():
    made = as_generator(np.random.SeedSequence(5))
    assert made.integers(2**30) == as_generator(5).integers(2**30)


def test_none_is_fresh():
    assert as_generator(None).integers(2**60) != as_generator(None).integers(2**60)


def test_the_global_state_is_left_alone():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    as_generator(3).normal(size=5)
    as_generator(None).normal(size=5)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("bad", [-1, 1.0, "1", True, [1, 2], np.random.RandomState(1), np.random])
def test_anything_else(bad):
    with pytest.raises(InvalidArgumentError, match=r"rng=.*: give a non-negative int"):
        as_generator(bad)

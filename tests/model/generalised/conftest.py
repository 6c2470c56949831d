"""Models that several tests of this folder ask, each fitted once a file."""

import pytest
from glmer_trials import CBPP, single

import merextras as mx


@pytest.fixture(scope="module")
def cbpp():
    return mx.load_dataset("cbpp")


@pytest.fixture(scope="module")
def herds(cbpp):
    return mx.glmer(CBPP, cbpp)


@pytest.fixture(scope="module")
def trials():
    return single()


@pytest.fixture(scope="module")
def crossed(trials):
    return mx.glmer("y ~ x + (1 + x | g) + (1 | h)", trials)

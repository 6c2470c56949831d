"""Hypothesis profiles (the same examples every time where CI is set), and models fitted once."""

from __future__ import annotations

import os
import sys
import warnings

# Before numpy is loaded: the dense oracle's many small products are slower on two threads than on
# one, and far slower on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import lme4_fits
import pytest
from fuzz_share import examples
from hypothesis import HealthCheck, settings

from merextras.datasets import load_dataset
from merextras.exceptions import MerextrasWarning

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "default", deadline=None, max_examples=examples(40), suppress_health_check=_SLOW_IS_FINE
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


@pytest.fixture(scope="session")
def sleep():
    """sleepstudy, of which the tests make their own variants; not to be changed."""
    return load_dataset("sleepstudy")


@pytest.fixture(scope="session")
def students():
    """The bundled students; not to be changed."""
    return load_dataset("students")


@pytest.fixture(scope="session", params=lme4_fits.CASES, ids="-".join)
def case(request):
    """A reference model by one criterion: the adapter, and lme4's numbers."""
    topic, name, criterion = request.param
    model = lme4_fits.model_of(topic, name, reml=criterion == "REML")
    return model, lme4_fits.expected(topic)[name][criterion]


@pytest.fixture(scope="session", params=["students", "sleepstudy", "pastes"])
def accessors(request):
    """A reference model with all of merMod's accessors: the adapter, and lme4's answers."""
    name = request.param
    return lme4_fits.model_of("accessors", name), lme4_fits.expected("accessors")[name]


@pytest.fixture(scope="session")
def intercepts():
    """Reaction ~ Days + (1 | Subject)."""
    return lme4_fits.model_of("intercept", "sleepstudy")


@pytest.fixture(scope="session")
def slopes():
    """Reaction ~ Days + (Days | Subject)."""
    return lme4_fits.model_of("accessors", "sleepstudy")


@pytest.fixture(scope="session")
def nested():
    """The students, classes in schools."""
    return lme4_fits.model_of("nested", "students")


@pytest.fixture(scope="session")
def crossed():
    """Penicillin: plates crossed with samples."""
    return lme4_fits.model_of("crossed", "penicillin")


@pytest.fixture(scope="session")
def uncorrelated():
    """Two terms on one factor, `||`."""
    return lme4_fits.model_of("slopes", "uncorrelated")


@pytest.fixture
def figures_closed():
    """Close what was drawn."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def figures_unseen(monkeypatch):
    """A report's figures are made, but not rendered, for tests of its text."""
    from merextras.reporting import figures

    monkeypatch.setattr(figures, "_saved", lambda figure, kind: figures.Drawn(b"", kind, 600.0))


@pytest.fixture
def quiet():
    """No warnings of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        yield

"""Models with residual standard deviations by group: the students by school, crossed factors."""

from __future__ import annotations

import functools
import warnings

import pytest
from chunk_models import table
from properties.compare import close
from tolerances import CHUNKS_DEVIANCE

import merextras as mx
from merextras.exceptions import MerextrasWarning

STUDENTS = "extro ~ open + agree + social + (1 | school)"

CROSSED = "y ~ x * c + (1 + I(x - 50) | g) + (1 | h)"


@functools.cache
def students():
    return mx.load_dataset("students")


@functools.cache
def model(reml=True):
    return mx.lmer(STUDENTS, students(), residual_by="school", reml=reml)


@functools.cache
def crossed(by="c"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.lmer(CROSSED, table(), residual_by=list(by))


def assert_same(found, expected):
    """The same to nine digits."""
    assert found.log_lik() == pytest.approx(expected.log_lik(), rel=CHUNKS_DEVIANCE)
    close(found.sigma(), expected.sigma(), 1e-9)
    assert list(found.sigma().index) == list(expected.sigma().index)
    close(found.fixef(), expected.fixef(), 1e-9)
    close(found.vcov(), expected.vcov(), 1e-9)
    for factor in expected.design.factors:
        close(found.ranef()[factor], expected.ranef()[factor], 1e-8)
    assert (found.nobs(), found.aic()) == pytest.approx((expected.nobs(), expected.aic()))

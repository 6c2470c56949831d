"""Random generalised models: rows that are read for each step give what rows in memory give."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest
from fuzz_share import part
from glmer_designs import design
from tolerances import STREAMED_CRITERION

import merextras as mx
from merextras.exceptions import MerextrasError, MerextrasWarning
from merextras.model.generalised.chunks.kept_cells import KeptCells
from merextras.model.generalised.separated import separation_of

#: Designs that are always tried: a family each.
FEW = 10
#: Parts that a whole search may read in a test.
MOST_PARTS = 50


@pytest.fixture
def read_again(monkeypatch):
    """Within it each pass reads the rows again: tables as small as these are kept."""

    @contextlib.contextmanager
    def reading():
        with monkeypatch.context() as patched:
            patched.setattr(KeptCells, "__call__", lambda self: self.read())
            yield

    return reading


def fitted(formula, data, family, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        try:
            return mx.glmer(formula, data, family, **given)
        except MerextrasError as err:
            return err


def compare(seed, read_again):
    """The same criterion and gradient at the same parameters, and the same optimum.

    A short search reads the rows for each of its steps; a long one has them from its first pass, as
    where a table is small, and then its criterion reads them again.
    """
    formula, data, family = design(seed)
    rng = np.random.default_rng(seed)
    data = data.mask(rng.random(data.shape) < 0.01) if seed % 3 == 0 else data
    data = data.assign(g=[f"group {v}" for v in data["g"]]) if seed % 2 else data
    whole, size = fitted(formula, data, family), int(rng.choice([7, 31, 100]))
    steps = 1 if isinstance(whole, MerextrasError) else whole.optimum.n_evaluations
    short = steps * len(data) / size <= MOST_PARTS
    with read_again() if short else contextlib.nullcontext():
        parts = fitted(formula, data, family, chunk_size=size)
    if isinstance(whole, MerextrasError) or isinstance(parts, MerextrasError):
        assert isinstance(whole, MerextrasError), f"only chunks: {parts}"
        assert isinstance(parts, MerextrasError), f"only memory: {whole}"
        return
    assert list(whole.fixef().index) == list(parts.fixef().index)
    assert (whole.nobs(), whole.n_dropped) == (parts.nobs(), parts.n_dropped)
    with read_again():
        same_criterion(parts.laplace.criterion, whole.laplace)
    # What is not concave may have several optima, and several modes at one of them; what is
    # separated has none, and says so.
    some = whole.engine_family.concave and separation_of(whole) is None
    if some and whole.optimum.converged and parts.optimum.converged:
        gap = abs(whole.deviance() - parts.deviance())
        assert gap <= 1e-8 * max(1.0, abs(whole.deviance())) + whole.laplace.noise


def same_criterion(mine, point):
    """The streamed criterion is the other one at its optimum, and within the region."""
    theirs = point.criterion
    np.testing.assert_allclose(mine.table.transform, theirs.table.transform, rtol=1e-8, atol=1e-12)
    for inside in (0.0, 0.5):
        theta, beta, phi = theirs.split(point.x)
        theta = theirs.covariances.inside(theta, inside)
        one = theirs.at(np.concatenate([theta, beta, phi]))
        own = mine.own_theta(theirs.user_theta(theta))
        other = mine.at(np.concatenate([own, beta, phi]))
        assert np.isfinite(one.deviance()) == np.isfinite(other.deviance())
        if not np.isfinite(one.deviance()):
            continue
        room = STREAMED_CRITERION * max(1.0, abs(one.deviance()))
        assert abs(one.deviance() - other.deviance()) <= room + one.noise + other.noise
        right = one.gradient()
        np.testing.assert_allclose(
            other.gradient(), right, rtol=1e-5, atol=1e-7 * (1.0 + np.max(np.abs(right)))
        )


@pytest.mark.parametrize("seed", range(FEW))
def test_chunks_are_memory(seed, read_again):
    compare(seed, read_again)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FEW, FEW + part(200)))
def test_chunks_are_memory_at_length(seed, read_again):
    compare(seed, read_again)

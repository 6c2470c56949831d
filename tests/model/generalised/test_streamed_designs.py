"""Random generalised models: rows that are read for each step give what rows in memory give."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fuzz_share import part
from glmer_designs import design
from tolerances import STREAMED_CRITERION

import merextras as mx
from merextras.exceptions import MerextrasError, MerextrasWarning
from merextras.model.generalised.chunks import fit_chunks


@pytest.fixture(autouse=True)
def _read_again(monkeypatch):
    """Tables as small as these would be kept."""
    monkeypatch.setattr(fit_chunks, "_most_cells", lambda _: -1)


#: Designs that are always tried: a family each.
FEW = 10


def fitted(formula, data, family, **given):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        try:
            return mx.glmer(formula, data, family, **given)
        except MerextrasError as err:
            return err


def compare(seed):
    """The same criterion and gradient at the same parameters, and no worse an optimum."""
    formula, data, family = design(seed)
    rng = np.random.default_rng(seed)
    data = data.mask(rng.random(data.shape) < 0.01) if seed % 3 == 0 else data
    data = data.assign(g=[f"group {v}" for v in data["g"]]) if seed % 2 else data
    whole = fitted(formula, data, family)
    parts = fitted(formula, data, family, chunk_size=int(rng.choice([7, 31, 100])))
    if isinstance(whole, MerextrasError) or isinstance(parts, MerextrasError):
        assert isinstance(whole, MerextrasError), f"only chunks: {parts}"
        assert isinstance(parts, MerextrasError), f"only memory: {whole}"
        return
    assert list(whole.fixef().index) == list(parts.fixef().index)
    assert (whole.nobs(), whole.n_dropped) == (parts.nobs(), parts.n_dropped)
    mine, theirs = parts.laplace.criterion, whole.laplace.criterion
    np.testing.assert_allclose(mine.table.transform, theirs.table.transform, rtol=1e-8, atol=1e-12)
    for inside in (0.0, 0.5):
        theta, beta, phi = theirs.split(whole.laplace.x)
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
    if whole.optimum.converged and parts.optimum.converged:
        gap = abs(whole.deviance() - parts.deviance())
        assert gap <= 1e-8 * max(1.0, abs(whole.deviance())) + whole.laplace.noise


@pytest.mark.parametrize("seed", range(FEW))
def test_chunks_are_memory(seed):
    compare(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FEW, FEW + part(200)))
def test_chunks_are_memory_at_length(seed):
    compare(seed)

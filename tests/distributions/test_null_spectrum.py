"""The eigenvalues of a design: against R and LAPACK, and for many levels."""

from __future__ import annotations

import numpy as np
import pytest
from exact_models import (
    EXPECTED,
    MODELS,
    covariates,
    fitted,
    indicators,
)
from tolerances import EIGENVALUES, MONTE_CARLO, ORACLE

from merextras.distributions import null_spectrum
from merextras.distributions.null_spectrum import (
    diagonal_less_gram,
    spectrum,
    spectrum_of,
)
from merextras.distributions.rlrt_null import rlrt_sim


@pytest.mark.parametrize("name", MODELS)
def test_eigenvalues_as_in_r(name):
    expected = EXPECTED["tests"][name]["design"]
    found = spectrum_of(fitted(name).solution.factor.system.cp)
    mu = np.repeat(found.mu, found.mu_counts)
    np.testing.assert_allclose(mu[::-1], expected["mu"][: len(mu)], rtol=ORACLE)
    np.testing.assert_allclose(np.repeat(found.xi, found.xi_counts), expected["xi"], rtol=ORACLE)
    assert (found.n, found.p) == (expected["n"], expected["p"])


@pytest.mark.parametrize("p", [1, 3, 5])
@pytest.mark.parametrize("kind", ["integers", "distinct"])
def test_eigenvalues_by_counting(monkeypatch, p, kind):
    rng = np.random.default_rng(p)
    sizes = rng.integers(1, 9, 150)
    slope = None if kind == "integers" else rng.normal(size=sizes.sum())
    x, z = covariates(sizes.sum(), p), indicators(sizes, slope)
    d, u = (z.T @ z).diagonal(), z.T @ np.linalg.qr(x)[0]
    expected = np.linalg.eigvalsh(np.diag(d) - u @ u.T)
    monkeypatch.setattr(null_spectrum, "_DENSE", 0)
    monkeypatch.setattr(null_spectrum, "_CHUNK", 1000)
    found = diagonal_less_gram(d, u)
    np.testing.assert_allclose(found, expected, atol=EIGENVALUES * d.max())


def test_eigenvalues_where_a_bracket_is_centred_on_another(monkeypatch):
    # Sizes 4, 5, 6 once each: halving would divide by zero at 5.
    x, z = covariates(15, 2), indicators([4, 5, 6])
    d, u = (z.T @ z).diagonal(), z.T @ np.linalg.qr(x)[0]
    expected = np.linalg.eigvalsh(np.diag(d) - u @ u.T)
    monkeypatch.setattr(null_spectrum, "_DENSE", 0)
    np.testing.assert_allclose(diagonal_less_gram(d, u), expected, atol=EIGENVALUES * 6)
    at = np.array([4.0, 5.0, 6.0])
    products = u[:, :, None] * u[:, None, :]
    counted = null_spectrum._n_below(at, d, np.ones(3, int), products)
    np.testing.assert_array_equal(counted, [np.sum(expected < x) for x in at])


def test_many_levels():
    sizes = np.random.default_rng(1).integers(1, 20, 20_000)
    x, z = covariates(sizes.sum(), 3), indicators(sizes)
    found = spectrum(x, z)
    assert found.mu_counts.sum() == 19_999
    assert len(found.mu) < 20 * 4
    sample = rlrt_sim(x, z, n_sims=2000, rng=1)
    # With so many levels the null is the half-and-half mixture.
    assert abs(np.mean(sample == 0) - 0.5) < MONTE_CARLO * 0.5 / np.sqrt(2000)

"""Distributions of ranges and of largest t statistics against scipy, R and integrals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats
from scipy.integrate import quad

from merextras.distributions.multiplicity import adjusted, critical
from merextras.distributions.simultaneous import LargestT, range_isf, range_sf, sidak

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "emmeans" / "expected.json"
MVT = json.loads(REFERENCE.read_text())["multivariate_t"]


@pytest.mark.parametrize("k", [2, 3, 12, 60])
@pytest.mark.parametrize("df", [1.0, 3.3, 17.0, 250.0, np.inf])
def test_range_as_scipy(k, df):
    q = np.array([0.4, 2.0, 3.7, 6.0])
    found = range_sf(q, k, np.full(4, df))
    np.testing.assert_allclose(found, stats.studentized_range.sf(q, k, df), rtol=1e-6, atol=1e-11)


def test_range_of_two_is_students_t_far_into_the_tail():
    t = np.array([0.1, 3.0, 12.0, 25.0])
    found = range_sf(np.sqrt(2.0) * t, 2, np.full(4, 40.0))
    np.testing.assert_allclose(found, 2.0 * stats.t.sf(t, 40.0), rtol=1e-6)
    assert found[-1] < 1e-24


def test_quantiles_are_the_inverse():
    df = np.array([2.5, 30.0, np.inf, 30.0])
    q = range_isf(0.05, 5, df)
    np.testing.assert_allclose(range_sf(q, 5, df), 0.05, rtol=1e-9)
    assert q[1] == q[3]
    assert q[2] == pytest.approx(stats.studentized_range.isf(0.05, 5, np.inf), rel=1e-6)


def bivariate(c, df, rho):
    """P(max |T| > c) of two by a double integral."""

    def inner(s):
        def body(z):
            root = np.sqrt(1 - rho**2)
            inside = special.ndtr((c * s - rho * z) / root) - special.ndtr(
                (-c * s - rho * z) / root
            )
            return stats.norm.pdf(z) * inside

        density = 2 * df * s * stats.chi2.pdf(df * s**2, df)
        return quad(body, -c * s, c * s, epsabs=1e-12)[0] * density

    return 1 - quad(inner, 0, 5, epsabs=1e-11, points=[0.5, 1, 1.5])[0]


@pytest.mark.parametrize("rho", [0.5, -0.9])
def test_two_correlated_t(rho):
    found = LargestT(np.array([[1.0, rho], [rho, 1.0]]))
    t, df = np.array([2.5]), np.array([20.5])
    wanted = [bivariate(c, 20.5, rho) for c in t]
    np.testing.assert_allclose(found.sf(t, df), wanted, rtol=1e-6)


def test_several_correlated_t_as_mvtnorm():
    found = LargestT(np.array(MVT["correlation"]))
    t = np.array(MVT["t"])
    p = found.sf(t, np.full(len(t), float(MVT["df"])))
    np.testing.assert_allclose(p, MVT["p"], rtol=5e-4)


def test_special_correlations():
    t, df = np.array([1.3, 2.2, 4.0]), np.array([12.0, 12.0, np.inf])
    single = 2.0 * stats.t.sf(t, df)
    one = LargestT(np.ones((3, 3)))  # one statistic three times
    np.testing.assert_allclose(one.sf(t, df), single, rtol=1e-12)
    alone = LargestT(np.eye(3))
    independent = sidak(2.0 * stats.norm.sf(t), 3)
    np.testing.assert_allclose(alone.sf(t, np.full(3, np.inf)), independent, rtol=1e-3)
    p = alone.sf(t, df)
    assert np.all(p >= single)
    assert np.all(p <= sidak(single, 3))
    assert alone.sf(np.zeros(1), np.array([5.0])) == pytest.approx(1.0)


def test_largest_t_quantiles_are_the_inverse():
    largest = LargestT(0.5 + 0.5 * np.eye(4))
    df = np.array([8.0, 80.0, np.inf])
    cut = largest.isf(0.05, df)
    np.testing.assert_allclose(largest.sf(cut, df), 0.05, rtol=1e-9)
    # Dunnett (1964), table II: two-sided 5 % points for four treatments.
    assert LargestT(0.5 + 0.5 * np.eye(4)).isf(0.05, np.array([20.0]))[0] == pytest.approx(
        2.65, abs=0.01
    )


def test_stepwise_as_statsmodels():
    from statsmodels.stats.multitest import multipletests

    rng = np.random.default_rng(0)
    t, df = rng.normal(size=9) * 2, rng.uniform(5, 50, 9)
    raw = 2.0 * stats.t.sf(np.abs(t), df)
    for how, theirs in {
        "holm": "holm",
        "fdr": "fdr_bh",
        "bonferroni": "bonferroni",
        "sidak": "sidak",
    }.items():
        wanted = multipletests(raw, method=theirs)[1]
        np.testing.assert_allclose(adjusted(how, t, df, np.eye(9), 9, 5), wanted, rtol=1e-10)


@pytest.mark.parametrize("how", ["tukey", "dunnett", "sidak", "bonferroni", "none"])
def test_intervals_and_p_values_agree(how):
    """At the critical value the adjusted p-value is alpha."""
    r = 0.5 + 0.5 * np.eye(3)
    df = np.array([9.0, 30.0, 200.0])
    cut = critical(how, 0.05, df, r, 3, 3)
    np.testing.assert_allclose(adjusted(how, cut, df, r, 3, 3), 0.05, rtol=1e-8)


def test_sidak_of_small_p():
    np.testing.assert_allclose(sidak(np.array([1e-20, 1.0]), 5), [5e-20, 1.0])

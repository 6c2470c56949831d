"""What a structure promises besides its derivatives: powers, ways off a boundary, rank."""

from __future__ import annotations

import numpy as np
import pytest

from merextras.engine.covariance.autoregressive import Autoregressive
from merextras.engine.covariance.compound_symmetry import CompoundSymmetry
from merextras.engine.covariance.diagonal import Diagonal
from merextras.engine.covariance.structure import Freedom
from merextras.engine.covariance.unstructured import NO_SLOPE, Unstructured

STRUCTURES = [
    Unstructured(3),
    Diagonal(3),
    Diagonal(3, hom=True),
    CompoundSymmetry(4),
    CompoundSymmetry(4, hom=True),
    Autoregressive(4),
    Autoregressive(4, hom=False),
]
SIZES = np.array([0.5, 2.0, 3.0])


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_a_parameter_of_some_power_is_a_standard_deviation(structure):
    theta = np.linspace(0.4, 0.9, structure.n)[None]
    for i, power in enumerate(structure.powers):
        other = theta.copy()
        other[0, i] *= 3.0
        expected, found = structure.natural(theta)[0], structure.natural(other)[0]
        if power > 0.0:
            expected[i] *= 3.0**power
        else:  # an angle
            assert structure.pairs[0][i] != structure.pairs[1][i]
            expected[i] = found[i]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def _falls_by(change, slope):
    return np.einsum("mab,mab->m", change, slope)


def _symmetric(values, seed=0):
    q = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return (q * values) @ q.T


def test_free_covariances_grow_where_the_criterion_falls_most():
    scaled = _symmetric([-2.0, -0.5, 3.0])
    slope = (scaled * np.outer(SIZES, SIZES))[None]
    change, found = Unstructured(3).inward(np.zeros((1, 6)), slope, SIZES)
    assert found[0]
    assert np.linalg.eigvalsh(change[0])[0] > -1e-12
    np.testing.assert_allclose(_falls_by(change, slope), -2.0)
    direction = np.linalg.eigh(scaled)[1][:, 0] / SIZES
    np.testing.assert_allclose(change[0], np.outer(direction, direction))


@pytest.mark.parametrize("held", [(), (1,)])
def test_independent_effects_grow_where_the_criterion_falls_most(held):
    score = np.array([-1.0, -4.0, 2.0])
    slope = (np.diag(score * SIZES**2) + 0.1)[None]
    structure = Diagonal(3)
    change, found = structure.inward(np.zeros((1, 3)), slope, SIZES, held)
    chosen = 0 if held else 1
    assert found[0]
    np.testing.assert_allclose(np.diag(change[0]), np.eye(3)[chosen] / SIZES**2)
    np.testing.assert_allclose(change[0], np.diag(np.diag(change[0])))


def test_effects_of_one_size_grow_together():
    slope = np.diag([1.0, -40.0, 2.0])[None]
    change, found = Diagonal(3, hom=True).inward(np.zeros((1, 1)), slope, SIZES)
    assert found[0]
    np.testing.assert_allclose(change[0], np.eye(3) / np.mean(SIZES**2))
    assert not Diagonal(3, hom=True).inward(np.zeros((1, 1)), -slope, SIZES)[1][0]


@pytest.mark.parametrize("structure", [Unstructured(3), Diagonal(3)], ids=repr)
def test_a_slope_of_rounding_leads_nowhere(structure):
    theta = np.zeros((4, structure.n))
    least = np.array([-0.2, -5.0, 1.0, np.nan]) * NO_SLOPE
    slope = np.array([np.diag([1.0, 0.5, last]) for last in least]) * np.outer(SIZES, SIZES)
    _, found = structure.inward(theta, slope, SIZES)
    assert found.tolist() == [False, True, False, False]


def test_rank_is_lost_by_the_size_of_an_effect():
    theta = np.array([[1.0, 0.3, 0.2, 0.1, 0.5, 0.01]])  # a diagonal of 1, 0.1 and 0.01
    for order, sizes in ((None, [1.0, 1.0, 5.0]), ((2, 0, 1), [1.0, 5.0, 1.0])):
        structure = Unstructured(3, order)
        assert not structure.near_zero(theta, np.array(sizes), 0.04)[0]
        assert structure.near_zero(theta, np.array(sizes), 0.06)[0]
        assert structure.near_zero(theta, np.ones(3), 0.04)[0]
    diagonal = np.array([[1.0, -0.1, 0.01]])
    assert not Diagonal(3).near_zero(diagonal, np.array([1.0, 1.0, 5.0]), 0.04)[0]
    assert Diagonal(3).near_zero(diagonal, np.array([1.0, 1.0, 5.0]), 0.06)[0]
    assert Diagonal(3).near_zero(diagonal, np.array([1.0, 0.5, 50.0]), 0.06)[0]


def test_columns_of_a_free_factor_turn_to_positive_diagonals():
    theta = np.array([[-1.0, 2.0, 3.0, 4.0, -5.0, -6.0]])
    expected = [[1.0, -2.0, -3.0, 4.0, -5.0, 6.0]]
    np.testing.assert_array_equal(Unstructured(3).canonical(theta), expected)
    np.testing.assert_array_equal(Diagonal(2).canonical(np.array([[-1.0, 2.0]])), [[1.0, 2.0]])


@pytest.mark.parametrize("kind", [CompoundSymmetry, Autoregressive])
@pytest.mark.parametrize("hom", [True, False])
@pytest.mark.parametrize("end", ["low", "high"])
def test_a_correlation_comes_off_its_end_where_the_criterion_falls(kind, hom, end):
    structure = kind(3, hom=hom)
    rho = structure.ends[end == "high"]
    sds = [0.7] if hom else [0.7, 1.1, 0.9]
    theta = structure.from_natural(np.array([[*sds, rho]]))
    rise = structure.rho_slope(np.array([rho]))[0]  # a D that rises with the correlation
    inward = rise[None] if end == "high" else -rise[None]
    for slope, falls in ((inward, True), (-inward, False)):
        change, found = structure.inward(theta, slope, SIZES)
        assert found[0] == falls
        assert change[0, :-1].tolist() == [0.0] * structure.sds
        assert change[0, -1] == (0.0 if not falls else -1.0 if end == "high" else 1.0)
    assert not structure.inward(theta, inward, SIZES, [structure.n - 1])[1][0]
    assert not structure.inward(theta, inward * np.nan, SIZES)[1][0]


@pytest.mark.parametrize("kind", [CompoundSymmetry, Autoregressive])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_of_several_deviations_comes_off_zero(kind, place):
    structure, own = kind(3, hom=False), np.eye(3)[place]
    theta = structure.from_natural(np.array([[*np.where(own == 1.0, 0.0, 0.8), 0.4]]))
    slope = np.diag(1.0 - 2.0 * own)[None]
    change, found = structure.inward(theta, slope, SIZES)
    assert found[0]
    assert change[0].tolist() == [*own, 0.0]
    assert not structure.inward(theta, -slope, SIZES)[1][0]
    assert not structure.inward(theta, slope, SIZES, [place])[1][0]
    assert structure.inward(theta, slope, SIZES, [3])[1][0]
    # Of first order by the others: a positive slope of its own does not keep it.
    pulled = (6.0 * np.eye(3) - 5.0)[None]
    change, found = structure.inward(theta, pulled, SIZES)
    assert found[0]
    assert change[0].tolist() == [*own, 0.0]


@pytest.mark.parametrize("kind", [CompoundSymmetry, Autoregressive])
def test_one_deviation_of_all_comes_off_zero(kind):
    structure = kind(3, hom=True)
    theta = structure.from_natural(np.array([[0.0, 0.4]]))
    slope = -np.eye(3)[None] / 10.0
    change, found = structure.inward(theta, slope, SIZES)
    assert found[0]
    assert change[0].tolist() == [1.0, 0.0]
    assert not structure.inward(theta, -slope, SIZES)[1][0]
    assert not structure.inward(theta, slope, SIZES, [0])[1][0]


@pytest.mark.parametrize("structure", STRUCTURES, ids=repr)
def test_effects_may_change_as_its_freedom_says(structure):
    """And in no other way: a larger change leaves the structure."""
    rng, k = np.random.default_rng(5), structure.k
    lam = structure.factor(np.linspace(0.4, 0.9, structure.n)[None])[0]
    changes = {
        Freedom.ANY: rng.normal(size=(k, k)),
        Freedom.SCALES: np.diag(rng.uniform(1.0, 3.0, k)),
        Freedom.SCALE: 3.0 * np.eye(k),
    }
    allowed = False
    for freedom, change in changes.items():
        allowed = allowed or freedom is structure.freedom
        g = change @ lam @ lam.T @ change.T
        back = structure.factor(structure.from_covariance(g[None]))[0]
        assert np.allclose(back @ back.T, g, rtol=1e-9) == allowed, freedom


@pytest.mark.parametrize("kind", [CompoundSymmetry, Autoregressive])
@pytest.mark.parametrize(
    ("hom", "told", "change", "size", "expected"),
    [
        (False, [0.7, 0.0, 0.9, 0.4], [0, 1, 0, 0], 0.04, [0.7, 0.1, 0.9, 0.4]),
        (False, [0.7, 0.8, 0.0, 0.4], [0, 0, 1, 0], 0.09, [0.7, 0.8, 0.1, 0.4]),
        (True, [0.0, 0.4], [1, 0], 0.04 * np.mean(SIZES**2), [0.2, 0.4]),
        (True, [0.7, 1.0], [0, -1], 0.04, [0.7, 0.96]),
        (True, [0.7, 1.0], [0, -1], 4.0, [0.7, 0.5]),
        (False, [0.7, 0.8, 0.9, 1.0], [0, 0, 0, -1], 0.04, [0.7, 0.8, 0.9, 0.96]),
    ],
)
def test_growth_is_of_the_size_that_is_asked(kind, hom, told, change, size, expected):
    structure = kind(3, hom=hom)
    theta = structure.from_natural(np.array([told]))
    found = structure.grown(theta, np.array([change], dtype=float), size, SIZES)
    np.testing.assert_allclose(structure.natural(found)[0], expected, atol=1e-12)


def test_growth_of_a_covariance_adds_to_it():
    structure, theta = Unstructured(3), np.array([[1.0, 0.3, 0.2, 0.0, 0.5, 0.0]])
    change = np.outer([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    lam = structure.factor(theta)[0]
    grown = structure.factor(structure.grown(theta, change[None], 0.3, SIZES))[0]
    np.testing.assert_allclose(grown @ grown.T, lam @ lam.T + 0.3 * change, atol=1e-12)


def test_uneven_covariances_are_of_one_direction_each():
    assert Diagonal(3, hom=True).uneven() == []
    np.testing.assert_array_equal(Diagonal(3).uneven(), [np.diag(e) for e in np.eye(3)])
    free = np.array(Unstructured(3).uneven())
    assert len(free) == 9
    np.testing.assert_allclose(np.trace(free, axis1=1, axis2=2), 1.0)
    np.testing.assert_allclose(np.linalg.eigvalsh(free)[:, :2], 0.0, atol=1e-12)
    apart = np.abs(free[:, None] - free).max(axis=(2, 3)) + np.eye(9)
    assert apart.min() > 0.4


@pytest.mark.parametrize("structure", STRUCTURES[1:], ids=repr)
def test_directions_are_those_of_the_parameters_that_are_told(structure):
    """Up to their length: of the covariance in standard deviations and the correlation."""

    def covariance(told):
        lam = structure.factor(structure.from_natural(told[None]))[0]
        return lam @ lam.T

    told = np.linspace(0.9, 0.4, structure.n)
    found = structure.directions(structure.from_natural(told[None])[0])
    assert len(found) == structure.n
    for direction, step in zip(found, 1e-6 * np.eye(structure.n), strict=True):
        expected = covariance(told + step) - covariance(told - step)
        sizes = np.linalg.norm(direction), np.linalg.norm(expected)
        np.testing.assert_allclose(direction / sizes[0], expected / sizes[1], atol=1e-7)

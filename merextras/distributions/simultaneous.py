"""Distributions of the largest of several t statistics: Tukey's range, and Dunnett's and others'.

Both are mixtures over s, the estimated over the true standard deviation, ``nu s**2`` being
chi-square with nu degrees of freedom. Every hypothesis brings its own nu, as its t test does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from scipy import special, stats
from scipy.interpolate import BSpline, make_interp_spline
from scipy.stats import qmc

from merextras.foundation.aliases import Array

# Ranges of k unit normals up to this are told apart; beyond, tails are below 1e-300.
_WIDEST, _KNOTS = 50.0, 2001
_INNER, _OUTER = 160, 200
# Below this share of the chi distribution lies nothing that a p-value of 1e-25 is made of.
_TAIL = 1e-30
# Points of the rule for maxima, a power of two, and numbers held at a time (32 MB).
_POINTS, _GROUPS, _BLOCK = 2**16, 2**12, 2**22


def range_sf(q: Array, k: int, df: Array) -> Array:
    """Upper tail of the studentized range of k means, Tukey's distribution.

    Parameters
    ----------
    q : (r,) array
        For a difference of two means ``sqrt(2) |t|``.
    k : int
    df : (r,) array
        Of each; infinite ones are allowed.

    Returns
    -------
    (r,) array

    Notes
    -----
    ``E_s[1 - H(q s)]`` with the range's ``1 - H(w) = k int phi(z) {Phi(z)**(k-1) - (Phi(z) -
    Phi(z-w))**(k-1)} dz`` (Miller 1981, *Simultaneous Statistical Inference*, ch. 2): no difference
    of nearly equal numbers, so that small p-values have digits. Gauss-Legendre rules; the inner one
    is tabulated once, which makes thousands of tests as cheap as a few. scipy's
    ``studentized_range`` gives the same to its 1e-10 or so, one integral of 10 ms at a time.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.distributions.simultaneous import range_sf
    >>> range_sf(np.array([3.5]), 3, np.array([20.0])).round(6)
    array([0.055892])
    """
    q, df = np.asarray(q, dtype=float), np.asarray(df, dtype=float)
    out = np.empty(len(q))
    for at in np.array_split(np.arange(len(q)), max(1, len(q) * _OUTER // _BLOCK)):
        out[at] = _Mixture(k, df[at]).tail(q[at])
    return out


def range_isf(alpha: float, k: int, df: Array) -> Array:
    """The studentized range that is exceeded with probability alpha, by bisection, (r,)."""
    each, where = np.unique(np.asarray(df, dtype=float), return_inverse=True)
    return _solved(_Mixture(k, each).tail, alpha, len(each))[where.reshape(-1)]


class LargestT:
    """The largest absolute value of correlated t statistics with a common estimate of error.

    Parameters
    ----------
    correlation : (r, r) array
        Of the estimates, of rank d; may be singular.

    Notes
    -----
    The estimates are R times a point of length ``sqrt(d F)`` in a random direction u, F being
    F-distributed with d and nu degrees of freedom and R R' the correlation (Genz & Bretz 2009,
    *Computation of Multivariate Normal and t Probabilities*, ch. 4), so that::

        P(max |T| > c) = E_u[ P(F > c**2 / (d m(u)**2)) ],      m(u) = max |R u|.

    Only u is integrated numerically, over 65 536 points, always the same; they serve all degrees of
    freedom and levels. On a circle (d = 2) they are equally spaced and the error is below 1e-8 of
    the probability; for larger d they are scrambled Sobol points and it is some 1e-4. p-values are
    kept between that of the single test and Sidak's bound (Sidak 1967). scipy's ``multivariate_t``
    integrates all dimensions, to 1e-4 in absolute terms by default.
    """

    def __init__(self, correlation: Array) -> None:
        values, vectors = np.linalg.eigh(correlation)
        kept = values > 1e-10 * values[-1]
        root = vectors[:, kept] * np.sqrt(values[kept])
        self._r, self._rank = root.shape
        points = _directions(self._rank)
        step = max(1, _BLOCK // self._r)
        parts = [
            np.square(points[i : i + step] @ root.T).max(axis=1) for i in range(0, _POINTS, step)
        ]
        # Means of neighbours stand for them: the integrand is smooth in m**2.
        self._squares = np.sort(np.concatenate(parts)).reshape(_GROUPS, -1).mean(axis=1)

    def sf(self, t: Array, df: Array) -> Array:
        """P-values of each of the tests among all, (r,)."""
        single = 2.0 * stats.t.sf(np.abs(t), df)
        found = np.array([self._tail(abs(c), nu) for c, nu in zip(t, df, strict=True)])
        return np.asarray(np.clip(found, single, sidak(single, self._r)))

    def isf(self, alpha: float, df: Array) -> Array:
        """The value that the largest exceeds with probability alpha, (r,)."""
        each, where = np.unique(df, return_inverse=True)

        def tails(values: Array) -> Array:
            return np.array([self._tail(c, nu) for c, nu in zip(values, each, strict=True)])

        return _solved(tails, alpha, len(each))[where.reshape(-1)]

    def _tail(self, c: float, df: float) -> float:
        d, x = self._rank, c**2 / self._squares
        tails = special.chdtrc(d, x) if np.isinf(df) else special.fdtrc(d, df, x / d)
        return float(np.mean(tails))


def sidak(p: Array, m: int) -> Array:
    """``1 - (1 - p)**m`` without rounding small p away."""
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(m * np.log1p(-p)))


def _directions(rank: int) -> Array:
    """Points on the unit sphere, (65 536, rank)."""
    if rank == 2:
        angles = (np.arange(_POINTS) + 0.5) * (np.pi / _POINTS)  # u and -u are the same here
        return np.column_stack([np.cos(angles), np.sin(angles)])
    points = special.ndtri(qmc.Sobol(rank, scramble=True, seed=20).random(_POINTS))
    return np.asarray(points / np.linalg.norm(points, axis=1)[:, None])


@functools.lru_cache(maxsize=8)
def _range_table(k: int) -> BSpline:
    """``log(1 - H(w))`` of the range of k unit normals."""
    w = np.linspace(0.0, _WIDEST, _KNOTS)
    nodes, weights = np.polynomial.legendre.leggauss(_INNER)
    half = (w / 2.0 + 17.0) / 2.0  # z runs from -8.5 to w / 2 + 8.5
    z = -8.5 + half[:, None] * (nodes + 1.0)
    # Of Phi(z - w) / Phi(z), by logarithms: both are far below what a double holds.
    ratio = np.exp(special.log_ndtr(z - w[:, None]) - special.log_ndtr(z))
    with np.errstate(divide="ignore"):
        above = -np.expm1((k - 1) * np.log1p(-np.minimum(ratio, 1.0)))
    body = stats.norm.pdf(z) * np.exp((k - 1) * special.log_ndtr(z)) * above
    tail = k * half * (body @ weights)
    return make_interp_spline(w, np.log(tail), k=5)


class _Mixture:
    """The range's tail averaged over s, for each of some degrees of freedom."""

    def __init__(self, k: int, df: Array) -> None:
        self._table = _range_table(k)
        nodes, weights = np.polynomial.legendre.leggauss(_OUTER)
        nu = np.where(np.isfinite(df), df, 1.0)[:, None]
        low = np.sqrt(stats.chi2.ppf(_TAIL, nu) / nu)
        half = 0.5 * (np.sqrt(stats.chi2.isf(_TAIL, nu) / nu) - low)
        self._s = low + half * (nodes + 1.0)
        density = 2.0 * nu * self._s * stats.chi2.pdf(nu * self._s**2, nu)
        self._weights = half * weights * density
        known = np.isinf(df)  # s is one
        self._s[known] = 1.0
        self._weights[known] = 1.0 / _OUTER

    def tail(self, q: Array) -> Array:
        """The probability of a larger range than q, one for each of the degrees of freedom."""
        tails = np.exp(self._table(np.clip(q[:, None] * self._s, 0.0, _WIDEST)))
        return np.asarray(np.minimum(np.sum(self._weights * tails, axis=1), 1.0))


def _solved(tail: Callable[[Array], Array], alpha: float, count: int) -> Array:
    """Where decreasing tails are alpha, by bisection of all at once."""
    low, high = np.zeros(count), np.full(count, 4.0)
    while np.any(above := tail(high) > alpha):
        high = np.where(above, 2.0 * high, high)
    for _ in range(50):
        middle = 0.5 * (low + high)
        above = tail(middle) > alpha
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray(0.5 * (low + high))

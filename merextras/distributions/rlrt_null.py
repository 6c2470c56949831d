"""Simulated null distributions of the (restricted) likelihood ratio of one variance component.

Crainiceanu & Ruppert (2004), J. R. Statist. Soc. B 66, 165-185: Theorem 1 and its counterpart for
the restricted likelihood. A draw of the statistic needs one chi-square variable for each distinct
eigenvalue of the design (`null_spectrum`) and one supremum over the variance ratio.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from merextras.distributions.null_spectrum import Spectrum, spectrum
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, IntArray, Rng
from merextras.foundation.arguments import check_count
from merextras.foundation.rng import as_generator

__all__ = ["lrt_sim", "rlrt_sim"]

# Steps of the grid in log(1 + c lambda): fine where the criterion can bend, coarse in its tail.
_STEP, _TAIL_STEP, _TAIL = 0.1, 2.0, 19
# About the largest number of grid points: eigenvalues span at most twelve orders of magnitude.
_GRID_SIZE = 350
# Twice what the maximum may still gain when the last Newton step is taken.
_DECREMENT = 1e-12
# Doubles in a block of draws.
_BLOCK = 2_000_000
# Draws x (20 eigenvalues + grid) that take two or three seconds; less needs no progress bar.
_LONG = 5.0e8


def rlrt_sim(
    x: Array,
    z: Any,
    *,
    sqrt_sigma: Array | None = None,
    lambda0: float = 0.0,
    n_sims: int = 10_000,
    rng: Rng = None,
) -> Array:
    """Simulate the restricted likelihood ratio statistic of a variance under its null value.

    For ``y = X beta + Z b + e`` with ``b ~ N(0, lambda sigma**2 Sigma)`` and the hypothesis
    ``lambda = lambda0``, the statistic is distributed as the supremum over ``lambda >= 0`` of::

        (n - p) log(1 + N(lambda) / D(lambda)) - sum_s log((1 + lambda mu_s) / (1 + lambda0 mu_s))
        N(lambda) = sum_s (lambda - lambda0) mu_s / (1 + lambda mu_s) w_s
        D(lambda) = sum_s (1 + lambda0 mu_s) / (1 + lambda mu_s) w_s + W

    with ``w_s ~ chi2(1)`` and ``W ~ chi2(n - p - r)`` independent, where ``mu_s`` are the r
    positive eigenvalues of ``S'Z'(I - X (X'X)^-1 X')Z S`` (Crainiceanu & Ruppert 2004, section 2).

    Parameters
    ----------
    x : (n, p) array
        Fixed-effects columns; p is taken as their rank.
    z : (n, K) array or scipy sparse array
        Columns of the tested random effect: for a random intercept, indicators of the levels.
    sqrt_sigma : (K, m) array, optional
        S with ``Sigma = S S'``, such as a lower Cholesky factor; identity by default. (RLRsim's
        ``sqrt.Sigma`` is its transpose.)
    lambda0 : float, default 0
        The variance ratio under the null hypothesis, in the units of z.
    n_sims : int, default 10000
    rng : int, Generator or None

    Returns
    -------
    (n_sims,) array
        Statistics, at least zero; exactly zero where the supremum is at ``lambda0 = 0``.

    Raises
    ------
    InvalidArgumentError
        Shapes that do not fit, values that are not finite, a negative `lambda0`.
    UnsupportedModelError
        The statistic is degenerate: z lies in the span of x, or the random effect can't be told
        from the residual, as with one row per level.

    See Also
    --------
    lrt_sim : The same for the likelihood itself.
    merextras.inference.variance_tests.exact_rlrt.exact_rlrt : The test.

    Notes
    -----
    R: ``RLRsim::RLRTSim``. It takes the maximum over a grid of 200 values up to
    ``exp(8) / max(mu)`` and stops at the first decrease. Here every local maximum over a grid in
    ``log(1 + lambda max(mu))`` is refined by Newton steps, to within 1e-10 of the statistic. (What
    rises and falls again between two points of the grid, 0.1 apart, is missed: with eigenvalues
    over ten orders of magnitude one draw in a million, by 1e-5.) RLRsim requires
    ``n - p - K >= 1``; here the chi-square that is left has ``n - p - r`` degrees of freedom, and
    none is needed: with ``n - p = r`` W is zero. The result does not depend on the units of z.

    Equal eigenvalues share one chi-square variable, so that a draw costs O(1) in a balanced design
    and O(distinct eigenvalues) otherwise. Draws are made in blocks: memory stays below some 100 MB
    whatever `n_sims`, besides that of the eigenvalues (`null_spectrum.spectrum`).

    References
    ----------
    Crainiceanu, C. M. and Ruppert, D. (2004). Likelihood ratio tests in linear mixed models with
    one variance component. J. R. Statist. Soc. B 66, 165-185.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.distributions.rlrt_null import rlrt_sim
    >>> groups = np.repeat(np.arange(6), 5)
    >>> sample = rlrt_sim(np.ones((30, 1)), np.eye(6)[groups], n_sims=200_000, rng=1)
    >>> print(f"{np.mean(sample == 0):.2f}")
    0.56
    """
    found = spectrum(x, z, sqrt_sigma)
    ratio, n_sims = _ratio(lambda0), check_count(n_sims, "n_sims")
    return simulate_null(found, reml=True, q=0, lambda0=ratio, n_sims=n_sims, rng=rng)


def lrt_sim(
    x: Array,
    z: Any,
    q: int = 0,
    *,
    sqrt_sigma: Array | None = None,
    lambda0: float = 0.0,
    n_sims: int = 10_000,
    rng: Rng = None,
) -> Array:
    """Simulate the likelihood ratio statistic of a variance and q fixed effects under the null.

    For ``y = X beta + Z b + e`` with ``b ~ N(0, lambda sigma**2 Sigma)`` and the hypothesis
    ``lambda = lambda0`` together with q linear restrictions on beta, the statistic is distributed
    as (Crainiceanu & Ruppert 2004, Theorem 1)::

        n log(1 + U / (sum_s w_s + W)) + sup over lambda >= 0 of
            n log(1 + N(lambda) / D(lambda)) - sum_s log((1 + lambda xi_s) / (1 + lambda0 xi_s))

    with N, D, ``w_s`` and W as for `rlrt_sim`, ``U ~ chi2(q)`` independent of them, and ``xi_s``
    the eigenvalues of ``S'Z'Z S``.

    Parameters
    ----------
    x : (n, p) array
        Fixed-effects columns of the larger model.
    z : (n, K) array or scipy sparse array
    q : int, default 0
        Restrictions on the fixed effects under the null hypothesis.
    sqrt_sigma, lambda0, n_sims, rng
        As for `rlrt_sim`.

    Returns
    -------
    (n_sims,) array
        Statistics, at least zero.

    Raises
    ------
    InvalidArgumentError
        As `rlrt_sim`; q negative or above the rank of x.
    UnsupportedModelError
        As `rlrt_sim`; or a likelihood without a maximum, where x and z together fit any response
        exactly.

    See Also
    --------
    rlrt_sim : For the restricted likelihood, preferable if q = 0.
    merextras.inference.variance_tests.exact_lrt.exact_lrt : The test.

    Notes
    -----
    R: ``RLRsim::LRTSim``, which divides xi by the largest eigenvalue *after* mu was divided, so
    that its distribution depends on the units of z: with indicators times 0.01 the 95 % quantile
    of the tutorial's model is 9.09 where it should be 1.41. Here both are divided by the same
    number. For the other differences, the accuracy and the cost see `rlrt_sim`.

    References
    ----------
    Crainiceanu, C. M. and Ruppert, D. (2004). Likelihood ratio tests in linear mixed models with
    one variance component. J. R. Statist. Soc. B 66, 165-185.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.distributions.rlrt_null import lrt_sim
    >>> groups = np.repeat(np.arange(6), 5)
    >>> sample = lrt_sim(np.ones((30, 1)), np.eye(6)[groups], n_sims=200_000, rng=1)
    >>> print(f"{np.mean(sample == 0):.2f}")
    0.66
    """
    if not isinstance(q, (int, np.integer)) or isinstance(q, bool) or q < 0:
        raise InvalidArgumentError(f"q={q!r}: must be a whole number, 0 or more")
    found = spectrum(x, z, sqrt_sigma)
    if q > found.p:
        raise InvalidArgumentError(f"q={q}: there are only {found.p} fixed effects to restrict")
    ratio, n_sims = _ratio(lambda0), check_count(n_sims, "n_sims")
    return simulate_null(found, reml=False, q=int(q), lambda0=ratio, n_sims=n_sims, rng=rng)


def _ratio(lambda0: float) -> float:
    is_number = isinstance(lambda0, (int, float, np.number)) and not isinstance(lambda0, bool)
    if not is_number or not 0.0 <= float(lambda0) < np.inf:
        raise InvalidArgumentError(f"lambda0={lambda0!r}: must be a finite number, 0 or more")
    return float(lambda0)


@dataclass(frozen=True)
class _Criterion:
    """g(s) = df log Q(s) + L(s): minus twice the profiled log-likelihood, to a constant.

    ``s = log(1 + c lambda)``, where c is the largest eigenvalue: s runs like lambda near zero and
    like its logarithm far out, and nothing depends on units. With ``h = 1 / (1 + lambda mu)``,
    ``Q = sum v h + W``; both h and ``k = -d log h / ds`` stay in [0, 1].
    """

    mu: Array
    xi: Array
    xi_counts: IntArray
    df: int
    grid: Array
    lambda0: float

    def log_det(self, s: Array) -> Array:
        """L(s) = sum log(1 + lambda xi), for s of shape (G,)."""
        return np.asarray(np.log1p(np.outer(np.expm1(s), self.xi)) @ self.xi_counts)

    def slopes(self, v: Array, rest: Array, s: Array) -> tuple[Array, Array]:
        """First and second derivative of g, for a draw and an s each: v is (B, m), s is (B,)."""
        h, k = _shrinkage(self.mu, s)
        q = np.einsum("bm,bm->b", v, h) + rest
        kh = k * h
        first = -np.einsum("bm,bm->b", v, kh) / q
        kh *= 2.0 * k - 1.0
        second = np.einsum("bm,bm->b", v, kh) / q - first**2
        if self.xi is not self.mu:
            k = _shrinkage(self.xi, s)[1]
        curvature = (k * (1.0 - k)) @ self.xi_counts
        return self.df * first + k @ self.xi_counts, self.df * second + curvature

    def gain(self, v: Array, rest: Array, s: Array) -> Array:
        """g(lambda0) - g(s): the log-likelihood ratio at s."""
        q = np.einsum("bm,bm->b", v, _shrinkage(self.mu, s)[0]) + rest
        total = v @ _shrinkage(self.mu, np.log1p([self.lambda0]))[0][0] + rest
        at = np.log1p(np.expm1(s)[:, None] * self.xi) @ self.xi_counts
        return np.asarray(-self.df * np.log(q / total) - at + self._log_det0())

    def _log_det0(self) -> float:
        return float(np.log1p(self.lambda0 * self.xi) @ self.xi_counts)


def _shrinkage(mu: Array, s: Array) -> tuple[Array, Array]:
    """Compute h and k of `_Criterion`, (B, m) each."""
    ratio = np.expm1(s)[:, None]
    h = 1.0 / (1.0 + ratio * mu)
    return h, (1.0 + ratio) * mu * h


def _criterion(found: Spectrum, reml: bool, lambda0: float) -> _Criterion:
    # One divisor for both: what makes the result independent of the units of z.
    largest = float(found.mu[-1] if reml else max(found.mu[-1], found.xi[-1]))
    mu = found.mu / largest
    xi, counts = (mu, found.mu_counts) if reml else (found.xi / largest, found.xi_counts)
    df = found.n - found.p if reml else found.n
    if found.rest == 0 and len(mu) == 1:
        raise UnsupportedModelError(
            "the random effect can't be told from the residual: with as many levels as rows the "
            "likelihood does not depend on the variance ratio"
        )
    if found.rest == 0 and counts.sum() < df:
        raise UnsupportedModelError(
            "the likelihood has no maximum: the fixed and random effects together fit any response "
            "exactly; the restricted likelihood has one (exact_rlrt)"
        )
    start = lambda0 * largest
    bend = np.log1p(max(100.0 / min(mu[0], xi[0]), start))
    fine = np.linspace(0.0, bend, int(np.ceil(bend / _STEP)) + 1)
    grid = np.concatenate([fine, bend + _TAIL_STEP * np.arange(1, _TAIL + 1), [np.log1p(start)]])
    return _Criterion(mu, xi, counts, df, np.unique(grid), start)


def simulate_null(
    found: Spectrum, *, reml: bool, q: int, lambda0: float, n_sims: int, rng: Rng
) -> Array:
    """Draw the statistic, block by block: `rlrt_sim` or `lrt_sim` once the spectrum is known."""
    generator = as_generator(rng)
    criterion = _criterion(found, reml, lambda0)
    null = 1.0 + criterion.lambda0 * criterion.mu
    shrunk = _shrinkage(criterion.mu, criterion.grid)[0].T
    level = np.exp(criterion.log_det(criterion.grid) / criterion.df)
    out = np.empty(n_sims)
    for block in _blocks(n_sims, len(found.mu)):
        size = block.stop - block.start
        w = _chi_squares(generator, found.mu_counts, size)
        rest = generator.chisquare(found.rest, size) if found.rest else np.zeros(size)
        fixed = 0.0
        if q:
            fixed = found.n * np.log1p(generator.chisquare(q, size) / (w.sum(axis=1) + rest))
        w *= null
        # Monotone in g and free of logarithms.
        score = (w @ shrunk + rest[:, None]) * level
        out[block] = fixed + _supremum(criterion, w, rest, score)
    return out


def _blocks(n_sims: int, m: int) -> Iterator[slice]:
    """Slices of 0 .. n_sims, with a progress bar if the work is long and someone watches."""
    # Of m alone, not of the grid: rounding must not change which draw gets which number.
    size = max(1, _BLOCK // (m + _GRID_SIZE))
    disable = None if n_sims * (20 * m + _GRID_SIZE) > _LONG else True
    with tqdm(total=n_sims, desc="null distribution", unit="draws", disable=disable) as bar:
        for start in range(0, n_sims, size):
            stop = min(n_sims, start + size)
            yield slice(start, stop)
            bar.update(stop - start)


def _chi_squares(generator: np.random.Generator, counts: IntArray, size: int) -> Array:
    """Draw chi2(count) variables, (size, m); faster as squared normals where the count is 1."""
    single = counts == 1
    normal = generator.standard_normal((size, int(single.sum())))
    np.square(normal, out=normal)
    if single.all():
        return normal
    out = np.empty((size, len(counts)))
    out[:, single] = normal
    out[:, ~single] = generator.chisquare(counts[~single], (size, int((~single).sum())))
    return out


def _supremum(criterion: _Criterion, v: Array, rest: Array, score: Array) -> Array:
    """Maximise g(lambda0) - g over lambda >= 0 for each draw; `score` is monotone in g."""
    grid = criterion.grid
    lower = np.ones(score.shape, dtype=bool)
    np.less(score[:, 1:], score[:, :-1], out=lower[:, 1:])
    lower[:, :-1] &= score[:, :-1] <= score[:, 1:]
    draw, at = np.nonzero(lower)
    # lambda = 0 is a local maximum unless the likelihood rises there, and not only on the grid.
    zero = np.zeros(len(v))
    best = np.maximum(0.0, criterion.gain(v, rest, zero)) if criterion.lambda0 else zero
    rising = (v @ criterion.mu) * criterion.df > (v.sum(axis=1) + rest) * (
        criterion.xi @ criterion.xi_counts
    )
    keep = (at > 0) | rising[draw]
    draw, at = draw[keep], at[keep]
    low, high = grid[np.maximum(at - 1, 0)], grid[np.minimum(at + 1, len(grid) - 1)]
    values = _refined(criterion, v[draw], rest[draw], grid[at], low, high)
    np.maximum.at(best, draw, values)
    return best


def _refined(
    criterion: _Criterion, v: Array, rest: Array, s: Array, low: Array, high: Array
) -> Array:
    """Maximise within each bracket by Newton steps, else by halving; return the maxima."""
    s, low, high = s.copy(), low.copy(), high.copy()
    active = np.arange(len(s))
    for _ in range(100):
        if len(active) == 0:
            break
        at = s[active]
        first, second = criterion.slopes(v[active], rest[active], at)
        low[active] = np.where(first <= 0.0, at, low[active])
        high[active] = np.where(first >= 0.0, at, high[active])
        step = first / np.where(second > 0.0, second, 1.0)
        newton = at - step
        inside = (second > 0.0) & (newton >= low[active]) & (newton <= high[active])
        s[active] = np.where(inside, newton, 0.5 * (low[active] + high[active]))
        width = high[active] - low[active]
        done = (inside & (first * step <= _DECREMENT)) | (width * np.abs(first) <= _DECREMENT)
        active = active[~done]
    return criterion.gain(v, rest, s)

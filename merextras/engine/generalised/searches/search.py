"""The optimum of a generalised model's criterion, jointly in theta, beta and phi.

Newton-type steps: the block of beta is the working model's own information, made anew at every
point; all else follows it by BFGS updates, from rows that are differences of the exact gradient.
theta is searched without bounds, as in the linear model (`optimum.newton`), and so is what happens
at a boundary: what is nearly zero is put there, and D, the derivative in the covariance, says
whether a zero is optimal. The last steps are Newton's, by a Hessian near the end, which also says
whether that is an optimum: by exact rows of theta and phi and the working model's block of
beta where these are clearly positive definite, else by the whole information.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from merextras.engine.generalised.criterion.laplace import FAR, HALF, Laplace, LaplacePoint
from merextras.engine.generalised.searches.optimum import POSITIVE, Optimum, information
from merextras.engine.generalised.searches.start import starts
from merextras.engine.generalised.searches.steps import least_eigenvalue, newton_step, updated
from merextras.engine.kernels.blocks import Array, BoolArray
from merextras.engine.optimum import line
from merextras.engine.optimum.boundary import NEAR_BOUNDARY, NEAR_ZERO

# Step of one-sided differences for a Hessian.
_ROUGH = 1e-4
# Steps in a row after which the decrement has not fallen to this share: the Hessian is a poor one.
SLOW, PATIENCE = 0.3, 3
# The decrement of a refit to one of many responses, which ends within sqrt(AGAIN) standard errors,
# and up to which it has converged.
AGAIN, FOUND = 1e-13, 1e-8
# A decrement after which the search goes on with a Hessian of its last point, and relative standard
# deviations that may be on their way to zero, which take the search to its end without one.
_CLOSE, _SMALL = 1e-5, 0.03
# The decrement at which one of several searches is compared with the others; the rows up to which a
# singular fit is searched for again, and the standard deviation from which.
_NEAR_END, _FEW, _WIDE = 1e-6, 2_000, 1.0
# Steps with the last point's Hessian.
_LAST_STEPS = 6
# A least eigenvalue of a scaled Hessian that needs no other look.
_CLEAR = 0.02
# A logarithm of a size from which on a negative binomial is Poisson, where it is put then, and one
# that may be on its way there.
_POISSON, _AT_POISSON, _BIG = 16.0, 18.0, 5.0


@dataclass(frozen=True)
class GlmmControl:
    """When to stop.

    Attributes
    ----------
    tolerance : float
        On the decrement ``g'H^-1 g``, four times the log-likelihood that is still to gain.
    max_iterations, max_restarts : int
    """

    tolerance: float = 1e-12
    max_iterations: int = 200
    max_restarts: int = 5


@dataclass(frozen=True)
class Again:
    """Where a search for another response ended.

    Attributes
    ----------
    point : LaplacePoint
    converged : bool
    """

    point: LaplacePoint
    converged: bool


class _Search:
    """The state of one search."""

    def __init__(self, criterion: Laplace, control: GlmmControl, close: float = 0.0) -> None:
        self.criterion, self.control, self.close = criterion, control, close
        self.free = np.ones(criterion.m, dtype=bool)
        n = criterion.covariances.n
        self.beta = slice(n, n + criterion.table.p)
        self.theta = slice(0, n)
        self.log: list[tuple[float, float]] = []

    def first_hessian(self, point: LaplacePoint, gradient: Array) -> Array:
        """The block of beta, and rows of theta and phi by one-sided differences."""
        m = self.criterion.m
        out = np.eye(m)
        out[self.beta, self.beta] = 2.0 * point.fixed_information()
        for i in [i for i in range(m) if not self.beta.start <= i < self.beta.stop]:
            x = point.x.copy()
            x[i] += _ROUGH * max(0.3, abs(x[i]))
            beside = self.criterion.at(x, point, settle=False)
            if np.isfinite(beside.deviance()):
                row = (beside.gradient() - gradient) / (x[i] - point.x[i])
                if np.isfinite(row).all():
                    out[i] = out[:, i] = row
        return out

    def climb(
        self, point: LaplacePoint, hessian: Array | None = None
    ) -> tuple[LaplacePoint, float]:
        """Iterate to a stationary point of what is free; its decrement.

        `hessian` is one from nearby parameters or responses.
        """
        gradient, block = point.gradient(), 2.0 * point.fixed_information()
        point.forget()
        hessian = self.first_hessian(point, gradient) if hessian is None else hessian.copy()
        decrement, previous, slow = np.inf, np.inf, 0
        for _ in range(self.control.max_iterations):
            if self._size_is_infinite(point.x):
                point = self._as_poisson(point)
                gradient = point.gradient()
            step, decrement = newton_step(hessian, np.where(self.free, gradient, 0.0), self.free)
            slow = slow + 1 if decrement > SLOW * previous else 0
            if slow >= PATIENCE:
                # What the updates have made of it is a poor one.
                hessian, slow = information(self.criterion, point, self.free), 0
                step, decrement = newton_step(
                    hessian, np.where(self.free, gradient, 0.0), self.free
                )
            previous = decrement
            self.log.append((point.deviance(), decrement))
            if self._is_enough(point, decrement) or not np.isfinite(decrement):
                break
            point.forget()
            found = self._along(point, step, decrement)
            if found is None:
                break
            after, now = found.gradient(), 2.0 * found.fixed_information()
            if not (np.isfinite(after).all() and np.isfinite(now).all()):
                break
            hessian[self.beta, self.beta] += now - block
            hessian = updated(hessian, found.x - point.x, after - gradient)
            point, gradient, block = found, after, now
        return point, decrement

    def _is_enough(self, point: LaplacePoint, decrement: float) -> bool:
        """Whether to stop here, or to go on with a Hessian of this point."""
        if decrement <= self.control.tolerance or decrement > self.close:
            return decrement <= self.control.tolerance
        criterion = self.criterion
        theta = point.x[None, self.theta]
        on_its_way = criterion.covariances.near_zero(theta, criterion.sizes, _SMALL).any()
        return not (on_its_way or (self._has_size() and point.x[-1] > _BIG))

    def polish(self, point: LaplacePoint, hessian: Array, moving: BoolArray) -> LaplacePoint:
        """Newton's steps with a Hessian of a point that is all but optimal."""
        gradient = np.where(moving, point.gradient(), 0.0)
        for i in range(_LAST_STEPS):
            step, decrement = newton_step(hessian, gradient, moving)
            if i > 0 and decrement <= self.control.tolerance:
                break
            trial = self.criterion.at(point.x + step, point)
            if not trial.deviance() <= point.deviance() + point.noise:
                break
            after = np.where(moving, trial.gradient(), 0.0)
            hessian = updated(hessian, step, after - gradient)
            point, gradient = trial, after
        return point

    def _along(self, point: LaplacePoint, step: Array, decrement: float) -> LaplacePoint | None:
        length, theta = 1.0, np.abs(point.x[self.theta])
        most = HALF * max(1.0, float(np.max(theta, initial=0.0)))
        length = min(length, most / max(float(np.max(np.abs(step[self.theta]), initial=0)), most))
        phi = float(np.max(np.abs(step[self.beta.stop :]), initial=0.0))
        length = min(length, FAR / max(phi, FAR))

        def trial(length: float) -> tuple[LaplacePoint, float]:
            reached = self.criterion.at(point.x + length * step, point)
            return reached, reached.deviance()

        before, noise = point.deviance(), point.noise
        found = line.downhill(trial, before, decrement, noise, longest=length)
        return None if found is None else found[1]

    def _size_is_infinite(self, x: Array) -> bool:
        """Whether a negative binomial's size is so large that it is a Poisson distribution."""
        return self._has_size() and is_infinite_size(float(x[-1]))

    def _has_size(self) -> bool:
        family = self.criterion.family
        return family.n_phi == 1 and family.has_limit and bool(self.free[-1])

    def _as_poisson(self, point: LaplacePoint) -> LaplacePoint:
        self.free[-1] = False
        x = point.x.copy()
        x[-1] = _AT_POISSON
        return self.criterion.at(x, point)

    def settle(
        self, point: LaplacePoint, hessian: Array | None = None
    ) -> tuple[LaplacePoint, float]:
        """Climb, and put at zero what is nearly there."""
        point, decrement = self.climb(point, hessian)
        for _ in range(2):
            snapped = self._snapped(point)
            if snapped is None:
                break
            point, decrement = self.climb(snapped)
        return point, decrement

    def _snapped(self, point: LaplacePoint) -> LaplacePoint | None:
        """The point with effects of nearly no variance at zero, where the deviance allows it."""
        criterion, found = self.criterion, None
        for where in criterion.covariances.zero_groups():
            at = point if found is None else found
            size = np.abs(at.x[self.theta]) * criterion.units
            limit = NEAR_ZERO * max(1.0, float(np.max(size, initial=0.0)))
            if not np.any(at.x[where]) or np.linalg.norm(size[where]) >= limit:
                continue
            x = at.x.copy()
            x[where] = 0.0
            trial = criterion.at(x, at)
            if trial.deviance() <= point.deviance() + point.noise:
                found = trial
        return found

    def at_zero(self, x: Array) -> BoolArray:
        """Which parameters are of effects without variance, (m,)."""
        out = np.zeros(len(x), dtype=bool)
        for where in self.criterion.covariances.zero_groups():
            out[where] |= not np.any(x[where])
        return out

    def inside(self, point: LaplacePoint) -> LaplacePoint | None:
        """A better point inside, if this is on a boundary and not optimal there."""
        criterion, cov = self.criterion, self.criterion.covariances
        theta = point.x[self.theta]
        near = cov.near_zero(theta[None], criterion.sizes, NEAR_BOUNDARY)[0]
        if not np.isfinite(point.deviance()) or not near.any():
            return None
        slopes = point.deviance_slopes()
        for t in np.flatnonzero(near).tolist():
            own = theta[None, cov.parts[t]]
            change, found = cov.structures[t].inward(own, slopes[t][None], criterion.sizes[t])
            better = self._grown(point, t, change) if found[0] else None
            if better is not None:
                return better
        return None

    def _grown(self, point: LaplacePoint, t: int, change: Array) -> LaplacePoint | None:
        cov, sizes = self.criterion.covariances, self.criterion.sizes

        def trial(size: float) -> tuple[LaplacePoint, float]:
            x = point.x.copy()
            x[self.theta] = cov.grown(x[None, self.theta], t, change, size, sizes[t])[0]
            inside = self.criterion.at(x, point)
            return inside, inside.deviance()

        return line.grown(trial, point.deviance() - 10.0 * point.noise)

    def canonical(self, point: LaplacePoint) -> LaplacePoint:
        """The same model with the theta that is reported."""
        theta = self.criterion.covariances.canonical(point.x[self.theta])
        if np.array_equal(theta, point.x[self.theta]):
            return point
        return self.criterion.at(np.concatenate([theta, point.x[self.beta.start :]]), point)


def is_infinite_size(logarithm: float) -> bool:
    """Whether a negative binomial's size is so large that it is a Poisson distribution."""
    return bool(logarithm > _POISSON)


def optimise(
    criterion: Laplace,
    x: Array | Iterable[LaplacePoint] | None = None,
    *,
    control: GlmmControl | None = None,
) -> Optimum:
    """Find the optimum, from parameters, points, or starts by penalised quasi-likelihood.

    Of several points all are searched from where a log-density is not concave, which may have
    several optima. So may few rows: from a singular end it is searched again with wide effects.
    """
    control = GlmmControl() if control is None else control
    search = _Search(criterion, control, _CLOSE)
    begin = starts(criterion) if x is None else x
    points = iter([criterion.at(begin)] if isinstance(begin, np.ndarray) else begin)
    point = _begun(search, points)
    if not np.isfinite(point.deviance()):
        return _nowhere(search, point)
    point = search.inside(point) or point
    point, _, restarts = _settled(search, point)
    singular = criterion.covariances.is_singular(point.x[None, search.theta])[0]
    if singular and criterion.table.n <= _FEW:
        lower = _lowest(search, point, [_widened(search, point)])
        if lower is not point:
            point, _, restarts = _settled(search, lower)
    return _finished(search, search.canonical(point), restarts)


def _begun(search: _Search, points: Iterator[LaplacePoint]) -> LaplacePoint:
    """The first point, or of a log-density that is not concave near the lowest end of all."""
    first = next(points)
    return first if search.criterion.family.concave else _lowest(search, None, [first, *points])


def _widened(search: _Search, point: LaplacePoint) -> LaplacePoint:
    """The point with all standard deviations at `_WIDE` on the scale of the link."""
    cov, x = search.criterion.covariances, point.x.copy()
    x[search.theta] = cov.from_covariances([_WIDE**2 * np.eye(k) for k in cov.ks])
    return search.criterion.at(x, point)


def _lowest(
    search: _Search, end: LaplacePoint | None, points: Iterable[LaplacePoint]
) -> LaplacePoint:
    """Near the lowest of the optima to which points lead; `end` where none is lower."""
    rough = replace(search.control, tolerance=_NEAR_END)
    for point in points:
        other = _Search(search.criterion, rough).climb(point)[0]
        if end is None or other.deviance() < end.deviance() - 10.0 * end.noise:
            end = other
    assert end is not None
    return end


def pushes_inside(criterion: Laplace, point: LaplacePoint) -> bool:
    """Whether the deviance would fall if a variance left zero, or a correlation its bound."""
    return _Search(criterion, GlmmControl()).inside(point) is not None


def reoptimise(criterion: Laplace, x: Array, hessian: Array | None) -> Again:
    """The optimum for another response, from the parameters and the Hessian of the first one.

    Without the information matrix, which takes most of a small fit: for many responses.
    """
    search = _Search(criterion, GlmmControl(tolerance=AGAIN))
    point = criterion.at(x)
    if not np.isfinite(point.deviance()):
        point, hessian = _begun(search, starts(criterion)), None
    if not np.isfinite(point.deviance()):
        return Again(point, False)
    point, decrement, _ = _settled(search, point, hessian)
    point = search.canonical(point)
    found = bool(np.isfinite(decrement)) and decrement <= FOUND
    return Again(point, found and bool(np.isfinite(point.deviance())))


def _settled(
    search: _Search, point: LaplacePoint, hessian: Array | None = None
) -> tuple[LaplacePoint, float, int]:
    """A point that no growth of a variance makes better, its decrement, and the restarts."""
    restarts = 0
    while True:
        point, decrement = search.settle(point, hessian)
        better = search.inside(point) if restarts < search.control.max_restarts else None
        if better is None:
            return point, decrement, restarts
        point, restarts, hessian = better, restarts + 1, None


def _finished(search: _Search, point: LaplacePoint, restarts: int) -> Optimum:
    """The last steps, by a Hessian of this point."""
    free, criterion = search.free, search.criterion
    gradient = np.where(free, point.gradient(), 0.0)
    hessian = search.first_hessian(point, gradient)
    if least_eigenvalue(hessian[np.ix_(free, free)]) < _CLEAR:
        # Whether this is an optimum is the information's to say.
        hessian = information(criterion, point, free)
    # What is at zero stays there: one-sided differences do not know that the deviance is even.
    moving = free & ~search.at_zero(point.x)
    positive = least_eigenvalue(hessian[np.ix_(free, free)]) > POSITIVE
    if positive and search.control.tolerance > 0.0:
        point = search.polish(point, hessian, moving)
        gradient = np.where(free, point.gradient(), 0.0)
    decrement = newton_step(hessian, np.where(moving, gradient, 0.0), moving)[1]
    converged = bool(np.isfinite(decrement)) and decrement <= 1e-8 and positive
    return Optimum(
        point, hessian, free, gradient, float(decrement), len(search.log),
        criterion.n_evaluations, criterion.n_steps, restarts, converged, tuple(search.log),
    )  # fmt: skip


def _nowhere(search: _Search, point: LaplacePoint) -> Optimum:
    """What is returned where the criterion has no finite value at any start."""
    m, criterion = search.criterion.m, search.criterion
    nothing = np.full(m, np.nan)
    return Optimum(
        point, np.full((m, m), np.nan), search.free, nothing, np.inf, 0,
        criterion.n_evaluations, criterion.n_steps, 0, False, (),
    )  # fmt: skip

"""The optimum of a generalised model's criterion, jointly in theta, beta and phi.

Newton-type steps with the Hessian of the working linear model (`curvature`), which BFGS updates
bring nearer to the deviance's own; close to the end its rows of theta and phi are made exact.
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
from merextras.engine.generalised.searches import boundary
from merextras.engine.generalised.searches.curvature import differenced, working_hessian
from merextras.engine.generalised.searches.optimum import POSITIVE, Optimum, information
from merextras.engine.generalised.searches.start import starts
from merextras.engine.generalised.searches.steps import least_eigenvalue, newton_step, updated
from merextras.engine.kernels.blocks import Array, BoolArray
from merextras.engine.optimum import line

# Steps in a row after which the decrement has not fallen to this share: the Hessian is a poor one.
SLOW, PATIENCE = 0.3, 3
# The decrement of a refit to one of many responses, which ends within sqrt(AGAIN) standard errors,
# and up to which it has converged.
AGAIN, FOUND = 1e-13, 1e-8
# A decrement above which the working model's Hessian is made anew, one below which exact rows take
# its place, one above which those were of another place, and relative standard deviations that may
# be on their way to zero, which take the search to its end without.
_FAR_OFF, _CLOSE, _LOST, _SMALL = 2.0, 1e-2, 0.1, 0.03
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
        # Of the last climb: whether it began without a Hessian, the one at its end, and that of a
        # point near the end.
        self.is_new, self.hessian = True, np.empty((0, 0))
        self.fine: Array | None = None

    @property
    def by_differences(self) -> list[int]:
        """What is free of theta and phi: the working model has less of its curvature."""
        beta = range(self.beta.start, self.beta.stop)
        return [i for i in np.flatnonzero(self.free).tolist() if i not in beta]

    def climb(
        self, point: LaplacePoint, hessian: Array | None = None
    ) -> tuple[LaplacePoint, float]:
        """Iterate to a stationary point of what is free; its decrement.

        `hessian` is one from nearby parameters or responses.
        """
        gradient, block, hessian = self._started(point, hessian)
        decrement, previous, slow = np.inf, np.inf, 0
        for _ in range(self.control.max_iterations):
            if self._size_is_infinite(point.x):
                point = self._as_poisson(point)
                gradient = point.gradient()
            step, decrement = self._newton(hessian, gradient)
            slow = slow + 1 if decrement > SLOW * previous else 0
            if slow >= PATIENCE:
                # What the updates have made of it is a poor one.
                hessian, slow = information(self.criterion, point, self.free), 0
                step, decrement = self._newton(hessian, gradient)
            if self._wants_exact_rows(point, decrement):
                self.fine = hessian = differenced(block, point, gradient, self.by_differences)
                step, decrement = self._newton(hessian, gradient)
            previous = decrement
            self.log.append((point.deviance(), decrement))
            if decrement <= self.control.tolerance or not np.isfinite(decrement):
                break
            point.forget()
            found = self._along(point, step, decrement)
            if found is None:
                break
            after, now = found.gradient(), self._block(found, block, decrement)
            if not (np.isfinite(after).all() and np.isfinite(now).all()):
                break
            hessian = updated(hessian + now - block, found.x - point.x, after - gradient)
            point, gradient, block = found, after, now
        self.hessian = hessian
        return point, decrement

    def _started(self, point: LaplacePoint, given: Array | None) -> tuple[Array, Array, Array]:
        """The gradient where a climb begins, the working model's Hessian and the search's."""
        gradient = point.gradient()
        self.fine, self.is_new = None, given is None
        if given is not None:
            block = self._block(point, np.zeros_like(given), 0.0)
            point.forget()
            return gradient, block, given
        block = working_hessian(point)
        point.forget()
        dispersion = range(self.beta.stop, len(block))
        return gradient, block, differenced(block, point, gradient, dispersion)

    def _newton(self, hessian: Array, gradient: Array) -> tuple[Array, float]:
        return newton_step(hessian, np.where(self.free, gradient, 0.0), self.free)

    def _block(self, point: LaplacePoint, before: Array, decrement: float) -> Array:
        """The working model's Hessian after a step; near the end only that of beta, or as before.

        By what it changes the search's is changed.
        """
        if self.is_new and decrement > _FAR_OFF:
            return working_hessian(point)
        if self.fine is not None:
            return before
        out = before.copy()
        out[self.beta, self.beta] = 2.0 * point.fixed_information()
        return out

    def _wants_exact_rows(self, point: LaplacePoint, decrement: float) -> bool:
        """Whether the Hessian is to be a point's that is near the end, and there is none yet."""
        if decrement > _LOST:
            self.fine = None
        near = self.is_new and self.fine is None and decrement <= self.close
        return near and not self._is_leaving(point)

    def _is_leaving(self, point: LaplacePoint) -> bool:
        """Whether the point may be on its way to a zero or a Poisson distribution."""
        criterion = self.criterion
        theta = point.x[None, self.theta]
        near = criterion.covariances.near_zero(theta, criterion.sizes, _SMALL).any()
        return bool(near) or (self._has_size() and point.x[-1] > _BIG)

    @property
    def is_certain(self) -> bool:
        """Whether the climb ended at a minimum, as a Hessian of a point near its end says."""
        if self.fine is None:
            return False
        at = np.ix_(self.free, self.free)
        return min(least_eigenvalue(h[at]) for h in (self.fine, self.hessian)) >= _CLEAR

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
            snapped = boundary.snapped_to_zero(point)
            if snapped is None:
                break
            point, decrement = self.climb(snapped)
        return point, decrement


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
    point = boundary.inside(point) or point
    point, decrement, restarts = _settled(search, point)
    singular = criterion.covariances.is_singular(point.x[None, search.theta])[0]
    if singular and criterion.table.n <= _FEW:
        lower = _lowest(search, point, [_widened(search, point)])
        if lower is not point:
            point, decrement, restarts = _settled(search, lower)
    return _finished(search, point, decrement, restarts)


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
    point = boundary.canonical(point)
    found = bool(np.isfinite(decrement)) and decrement <= FOUND
    return Again(point, found and bool(np.isfinite(point.deviance())))


def _settled(
    search: _Search, point: LaplacePoint, hessian: Array | None = None
) -> tuple[LaplacePoint, float, int]:
    """A point that no growth of a variance makes better, its decrement, and the restarts."""
    restarts = 0
    while True:
        point, decrement = search.settle(point, hessian)
        better = boundary.inside(point) if restarts < search.control.max_restarts else None
        if better is None:
            return point, decrement, restarts
        point, restarts, hessian = better, restarts + 1, None


def _finished(search: _Search, point: LaplacePoint, decrement: float, restarts: int) -> Optimum:
    """The end as it was found, where that is certain; else the last steps from it."""
    reported = boundary.canonical(point)
    if reported is point and decrement <= search.control.tolerance and search.is_certain:
        return _optimum(search, point, search.hessian, decrement, restarts, positive=True)
    free, point = search.free, reported
    gradient = point.gradient()
    rough = np.zeros((search.criterion.m, search.criterion.m))
    rough[search.beta, search.beta] = 2.0 * point.fixed_information()
    hessian = differenced(rough, point, gradient, search.by_differences)
    if least_eigenvalue(hessian[np.ix_(free, free)]) < _CLEAR:
        # Whether this is an optimum is the information's to say.
        hessian = information(search.criterion, point, free)
    # What is at zero stays there: one-sided differences do not know that the deviance is even.
    moving = free & ~boundary.at_zero(point)
    positive = least_eigenvalue(hessian[np.ix_(free, free)]) > POSITIVE
    near = newton_step(hessian, np.where(moving, gradient, 0.0), moving)[1] <= _CLOSE
    if near and positive and search.control.tolerance > 0.0:
        point = search.polish(point, hessian, moving)
    gradient = np.where(moving, point.gradient(), 0.0)
    decrement = newton_step(hessian, gradient, moving)[1]
    return _optimum(search, point, hessian, decrement, restarts, positive=positive)


def _optimum(
    search: _Search,
    point: LaplacePoint,
    hessian: Array,
    decrement: float,
    restarts: int,
    *,
    positive: bool,
) -> Optimum:
    criterion, gradient = search.criterion, np.where(search.free, point.gradient(), 0.0)
    converged = bool(np.isfinite(decrement)) and decrement <= FOUND and positive
    return Optimum(
        point, hessian, search.free, gradient, float(decrement), len(search.log),
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

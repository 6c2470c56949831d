"""The part of the deviance that no response enters, near one theta: polynomials for all replicates.

``log |L|**2``, and ``log |X'V^-1 X|`` under REML, cost a factorisation at every theta. They are
smooth in the logarithms of the standard deviations, so that in the box where nearly all replicates
end they are Chebyshev polynomials to the last digits that a search can see. The polynomials are
fitted to values and gradients, and tried where they were not fitted; where they do not hold there
are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.polynomial import chebyshev

from merextras.engine.derivatives.gradient import factor_slopes
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.step import positive_root

# The box: so many standard errors of theta to each side, below no more than so much of a logarithm.
_ERRORS, _WIDEST = 3.2, 1.2
# Nodes along one parameter, each set with the one before it in it.
_NODES = (5, 9, 17, 33)
# What the polynomials may miss the value by, and a step of Newton's by, in standard errors.
_VALUE, _STEP = 4e-9, 1e-7
# Numbers known for each coefficient, nodes that are left for a trial, and attempts.
_OVERSAMPLED, _TRIALS, _ATTEMPTS = 1.5, 6, 3
# Searches in parameters of a number above which the polynomials are too many.
_MOST_PARAMETERS = 6
# Evaluations that a refit by itself takes.
_EACH = 4


@dataclass(frozen=True, eq=False)
class SharedPart:
    """Polynomials in a box.

    Attributes
    ----------
    start : (n,) array
        The theta around which they are, in the coordinates of the cross-products.
    positive : (n,) boolean array
        Parameters whose logarithm is the coordinate.
    middle, half : (n,) arrays
        The box in the coordinates.
    powers : (c, n) integer array
        Degrees of the Chebyshev polynomials of each product.
    coefficients : (c,) array
    """

    start: Array
    positive: BoolArray
    middle: Array
    half: Array
    powers: IntArray
    coefficients: Array

    def covers(self, theta: Array) -> BoolArray:
        """Which of many thetas are in the box, (m,)."""
        inside = np.abs(self._units(theta)) <= 1.0
        return np.asarray(np.all(inside & ((theta > 0.0) | ~self.positive), axis=1))

    def value(self, theta: Array) -> Array:
        """(m,) of thetas in the box, (m, n)."""
        return np.asarray(_products(self._tables(theta, 0), self.powers) @ self.coefficients)

    def gradient(self, theta: Array) -> Array:
        """Derivatives in theta, (m, n)."""
        slopes = _gradients(self._tables(theta, 1), self.powers) @ self.coefficients
        return np.asarray(slopes * self._turn(theta))

    def hessian(self, theta: Array) -> Array:
        """Second derivatives in theta, (m, n, n)."""
        n, turn = theta.shape[1], self._turn(theta)
        tables = self._tables(theta, 2)
        out = np.empty((len(theta), n, n))
        for i, j in product(range(n), range(n)):
            order = [int(i == d) + int(j == d) for d in range(n)]
            out[:, i, j] = _products(tables, self.powers, order) @ self.coefficients
        out *= turn[:, :, None] * turn[:, None, :]
        bent = _gradients(tables, self.powers) @ self.coefficients * turn
        diagonal = np.arange(n)
        out[:, diagonal, diagonal] -= np.where(self.positive, bent / theta, 0.0)
        return out

    def _units(self, theta: Array) -> Array:
        """Coordinates in the box, from minus one to one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((_coordinates(theta, self.positive) - self.middle) / self.half)

    def _turn(self, theta: Array) -> Array:
        """Derivatives of these in theta."""
        return np.asarray(np.where(self.positive, 1.0 / theta, 1.0) / self.half)

    def _tables(self, theta: Array, most: int) -> list[Array]:
        return _tables(self._units(theta), int(self.powers.max(initial=0)), most)


def shared_part(criterion: Criterion, start: Array, n_responses: int) -> SharedPart | None:
    """The polynomials around a theta; None if there are none, or too few refits to need them.

    Cost: some tens to hundreds of factorisations with their selected inverses, a third at most of
    what the refits take one by one.
    """
    cov, n = criterion.covariances, len(start)
    plain = criterion.strata is None and criterion.penalty is None
    if not plain or not 0 < n <= _MOST_PARAMETERS or criterion.near_zero(start, 0.01):
        return None
    positive = np.asarray(cov.at_least_zero)
    if np.any(start[positive] <= 0.0):
        return None
    errors = _standard_errors(criterion, start)
    if not np.all(np.isfinite(errors) & (errors > 0.0)):
        return None
    # The estimate of a standard deviation is about symmetric; its logarithm has a tail below.
    wide = _ERRORS * errors
    least = np.where(positive, np.maximum(start - wide, start * np.exp(-_WIDEST)), start - wide)
    ends = _coordinates(np.array([least, start + wide]), positive)
    box = ends.mean(axis=0), 0.5 * (ends[1] - ends[0])
    return _Fitting(criterion, start, positive, box, errors, _EACH * n_responses // 3).run()


def _standard_errors(criterion: Criterion, theta: Array) -> Array:
    """Of theta, (n,), by the average information."""
    root = positive_root(criterion.at(theta).hessian()[None])[0]
    return np.asarray(np.sqrt(2.0 * np.sum(root**2, axis=1)))


class _Fitting:
    """Exact evaluations of the part so far, and the polynomials that they determine."""

    def __init__(
        self,
        criterion: Criterion,
        start: Array,
        positive: BoolArray,
        box: tuple[Array, Array],
        errors: Array,
        budget: int,
    ) -> None:
        self.criterion, self.start, self.positive = criterion, start, positive
        (self.middle, self.half), self.budget = box, budget
        self.known: dict[tuple[float, ...], tuple[float, Array]] = {}
        #: Standard errors in the box's units.
        self.errors = errors / np.where(positive, start, 1.0) / self.half

    def run(self) -> SharedPart | None:
        """Fit and try until they hold, or the evaluations are too many."""
        degrees = [self.degree(i) for i in range(len(self.start))]
        rng = np.random.default_rng(0)
        for attempt in range(_ATTEMPTS):
            most = [None if d is None else d * (1.0 + 0.25 * attempt) for d in degrees]
            powers = _powers([d for d in most if d is not None])
            wanted = int(_OVERSAMPLED * len(powers) / (1 + len(self.start))) + _TRIALS
            if None in most or max(wanted, len(self.known)) > self.budget:
                return None
            while len(self.known) < wanted:
                self.add(np.cos(np.pi * rng.random(len(self.start))))
            trials = [np.cos(np.pi * rng.random(len(self.start))) for _ in range(_TRIALS)]
            found = self.fitted(powers)
            held = [self.holds(found, at) for at in trials]
            if all(held):
                return found
        return None

    def degree(self, i: int) -> int | None:
        """The degree that the part has along one parameter; None if that is too high."""
        for size in _NODES:
            places = np.cos(np.pi * np.arange(size) / (size - 1))
            if len(self.known) + size > self.budget:
                return None
            values = [self.add(np.where(np.arange(len(self.start)) == i, x, 0.0)) for x in places]
            # Values at the extrema of the last polynomial determine the coefficients.
            found = np.abs(chebyshev.chebfit(places, values, size - 1))
            needed = np.flatnonzero(found > 0.25 * _VALUE)
            last = int(needed[-1]) if len(needed) else 0
            if last < size - 2:
                return max(last, 1)
        return None

    def add(self, at: Array) -> float:
        """The value at a place in the box, evaluated unless it is known."""
        key = tuple(np.round(at, 12).tolist())
        if key not in self.known:
            self.known[key] = self.exact(np.array(key))
        return self.known[key][0]

    def exact(self, at: Array) -> tuple[float, Array]:
        """The part and its gradient in the box's units."""
        place = self.middle + self.half * at
        theta = np.where(self.positive, np.exp(np.where(self.positive, place, 0.0)), place)
        criterion, cov = self.criterion, self.criterion.covariances
        solution = criterion.solution_at(theta, cov.factors(theta))
        p = solution.p
        value, weight = solution.log_det, np.zeros((p + 1, p + 1))
        if criterion.reml:
            value += solution.log_det_fixed
            weight[:p, :p] = dense.solve(solution.fixed_low, np.eye(p))
        slopes = cov.gradient(theta, factor_slopes(solution, weight))
        return value, slopes * np.where(self.positive, theta, 1.0) * self.half

    def fitted(self, powers: IntArray) -> SharedPart:
        """The least-squares polynomials of all that is known."""
        places = np.array(list(self.known))
        tables = _tables(places, int(powers.max(initial=0)), 1)
        slopes = _gradients(tables, powers)
        rows = np.concatenate([_products(tables, powers), slopes.reshape(-1, len(powers))])
        values = np.array([value for value, _ in self.known.values()])
        gradients = np.concatenate([slope for _, slope in self.known.values()])
        base = values[0]
        right = np.concatenate([values - base, gradients])
        size = np.linalg.norm(rows, axis=0)
        coefficients = np.linalg.lstsq(rows / size, right, rcond=1e-14)[0] / size
        coefficients[np.flatnonzero(np.all(powers == 0, axis=1))] += base
        given = (self.start, self.positive, self.middle, self.half)
        return SharedPart(*given, powers, coefficients)

    def holds(self, found: SharedPart, at: Array) -> bool:
        """Whether the polynomials hold at a place; it is known from then on."""
        self.add(at)
        value, slopes = self.known[tuple(np.round(at, 12).tolist())]
        tables = _tables(np.round(at[None], 12), int(found.powers.max(initial=0)), 1)
        off = abs(float((_products(tables, found.powers) @ found.coefficients)[0]) - value)
        turned = (_gradients(tables, found.powers) @ found.coefficients)[0] - slopes
        # A gradient of two standard errors' inverse is a step of one.
        step = np.max(np.abs(turned) * self.errors) / 2.0
        return bool(off <= _VALUE and step <= _STEP)


def _coordinates(theta: Array, positive: BoolArray) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(positive, np.log(np.where(positive, theta, 1.0)), theta)


def _powers(degrees: Sequence[float]) -> IntArray:
    """Products of polynomials whose degrees, relative to these, add up to one or less."""
    every = product(*(range(int(d) + 1) for d in degrees))
    powers = np.array(list(every), dtype=np.intp).reshape(-1, len(degrees))
    return np.asarray(powers[powers @ (1.0 / np.array(degrees)) <= 1.0 + 1e-9])


def _tables(at: Array, degree: int, most: int) -> list[Array]:
    """Chebyshev polynomials and their derivatives to an order, each (m, n, degree + 1)."""
    out: list[Array] = [chebyshev.chebvander(at, degree).astype(float)]
    one = np.eye(degree + 1)
    for order in range(1, most + 1):
        turn = chebyshev.chebder(one, order) if degree >= order else np.zeros((1, degree + 1))
        out.append(out[0][:, :, : len(turn)] @ turn)
    return out


def _products(tables: Sequence[Array], powers: IntArray, order: Sequence[int] = ()) -> Array:
    """The products, (m, c); the derivative of some order in each coordinate."""
    n = powers.shape[1]
    order = list(order) or [0] * n
    out = np.ones((len(tables[0]), len(powers)))
    for d in range(n):
        out *= tables[order[d]][:, d, powers[:, d]]
    return out


def _gradients(tables: Sequence[Array], powers: IntArray) -> Array:
    """Their first derivatives, (m, n, c)."""
    n = powers.shape[1]
    each = [_products(tables, powers, [int(i == d) for d in range(n)]) for i in range(n)]
    return np.stack(each, axis=1)

"""Starting values by rounds of penalised quasi-likelihood.

Each round takes the linear mixed model of the working response ``eta + g / w`` with weights w
(Breslow & Clayton 1993, J. Am. Stat. Assoc. 88) and makes one Newton step of its variances, the
first from those by the method of moments: a start, not an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import numpy as np
import scipy.linalg as la

from merextras.engine.elimination.plan import prepare
from merextras.engine.generalised.criterion.laplace import Laplace, LaplacePoint
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.rows.table import Table
from merextras.engine.generalised.searches.steps import newton_step
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum import line
from merextras.engine.optimum.boundary import NOISE
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.start import moments
from merextras.engine.optimum.unbounded import LARGE, relative_size
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.engine.solution.pls import Solution

#: Parameters, and the v of the modes there if it is known.
Start: TypeAlias = tuple[Array, tuple[Array, ...] | None]

# A change of eta after which a round is the last.
_CLOSE = 0.05
# A weight that is not divided by, relative to their mean, and a step of eta that is believed.
_LEAST, _LONGEST = 1e-6, 5.0
# Relative standard deviations that a search starts from at least, and those of a plain start.
INSIDE, PLAIN = 0.05, (0.5, 0.1)
# Rounds at most.
ROUNDS = 2


def starts(criterion: Laplace) -> Iterator[LaplacePoint]:
    """Where to begin: points at which the criterion exists, the likeliest first.

    If there is none, the last of those tried.
    """
    return usable(criterion, _candidates(criterion))


def usable(criterion: Laplace, candidates: Iterable[Start]) -> Iterator[LaplacePoint]:
    """The candidates at which the criterion exists, as in `starts`, each evaluated when asked."""
    nowhere, some = None, False
    for x, v in candidates:
        point = criterion.at(x, v=v)
        if np.isfinite(point.deviance()):
            some = True
            yield point
        else:
            nowhere = point
    if not some and nowhere is not None:
        yield nowhere


def _candidates(criterion: Laplace) -> Iterator[Start]:
    # Linear models know nothing of levels that stand for several.
    found = _quasi(criterion) if criterion.table.copies is None else None
    if found is not None:
        yield found
    family, table, cov = criterion.family, criterion.table, criterion.covariances
    eta = family.guess() - table.offset
    mean = float(table.counts @ eta / np.sum(table.counts))
    for target in (eta, np.full(table.n, mean)):
        for size in PLAIN:
            theta = cov.from_covariances([size**2 * np.eye(k) for k in cov.ks])
            phi = family.phi_of(0.5, table.offset + target, table.counts)
            yield np.concatenate([theta, table.x.T @ (table.counts * target), phi]), None


def _quasi(criterion: Laplace) -> Start | None:
    """The parameters and modes after two rounds; None where one fails."""
    family, table = criterion.family, criterion.table
    eta, theta = family.guess(), None
    start: Start | None = None
    phi = np.zeros(family.n_phi)
    for _ in range(ROUNDS):
        worked = working_response(family, eta, table.offset, phi)
        if worked is None:
            break
        found = linear_round(criterion, _products(table, *worked), theta)
        if found is None:
            break
        solution, theta, scaled, v = found
        before, eta = eta, table.offset + table.x @ solution.beta + table.rows(solution.b)
        phi_then = family.phi_of(solution.sigma2, eta, table.counts)
        start = np.concatenate([scaled, solution.beta, phi_then]), v
        if float(np.max(np.abs(eta - before))) < _CLOSE:
            break
    return start


def linear_round(
    criterion: Laplace, cp: CrossProducts | None, theta: Array | None
) -> tuple[Solution, Array, Array, tuple[Array, ...]] | None:
    """The linear model of a round's cross-products, near its optimum; None where it fails.

    With its theta, theta in units of the response that a search may start from, and its modes.
    """
    if cp is None:
        return None
    cov = criterion.covariances
    try:
        system = prepare(cp, criterion.table.template.plan)
        linear = Criterion(system, cov, reml=False, by_levels=False)
        begin = moments(cp, cov) if theta is None else theta
        found = _stepped(linear, begin)
    except (la.LinAlgError, ValueError):
        return None
    if found is None or not found[0].sigma2 > 0.0 or not np.isfinite(found[0].beta).all():
        return None
    solution, theta = found
    scaled = cov.inside(theta * np.sqrt(solution.sigma2), INSIDE)
    return solution, theta, scaled, tuple(part / solution.sigma2 for part in solution.scores)


def _stepped(linear: Criterion, theta: Array) -> tuple[Solution, Array] | None:
    """The solution and theta after one Newton step.

    None where the criterion is not finite, or seems to have no minimum.
    """
    with np.errstate(all="ignore"):
        point = linear.at(theta)
        before, gradient, hessian = point.value(), point.gradient(), point.hessian()
        step, decrement = newton_step(hessian, gradient, np.ones(len(theta), dtype=bool))
        point.forget()

        def trial(length: float) -> tuple[Point, float]:
            reached = linear.at(theta + length * step)
            return reached, reached.value()

        if not np.isfinite(before):
            return None
        noise = NOISE * (abs(before) + linear.system.cp.n)
        found = line.downhill(trial, before, decrement, noise) if np.isfinite(decrement) else None
        point = point if found is None else found[1]
        if relative_size(linear, point.theta) > LARGE:
            return None
        return point.solution, linear.parameters.canonical(point.theta)


def _products(table: Table, response: Array, w: Array) -> CrossProducts | None:
    """Cross-products of a round, of the residuals of least squares, in the table's coordinates.

    Those do for any weights: of a start no last digit is asked. None where there are none.
    """
    wx = w[:, None] * table.x
    try:
        fitted = np.linalg.solve(table.x.T @ wx, wx.T @ response).astype(float, copy=False)
    except la.LinAlgError:
        return None
    free = [EffectBasis.identity(term.k, term.freedom) for term in table.terms]
    basis = Basis(np.eye(table.p), fitted, tuple(free))
    return CrossProducts.from_rows(table.x, response, table.terms, w, basis)


def working_response(
    family: Family, eta: Array, offset: Array, phi: Array
) -> tuple[Array, Array] | None:
    """What a round's linear model is of: ``eta + g / w`` less the offset, and weights, (n,) each.

    None where there is no number for some row.
    """
    with np.errstate(all="ignore"):
        g, w = family.first(eta, phi)
        w = w if family.concave else family.expected(eta, phi)
    if not (np.isfinite(g).all() and np.isfinite(w).all()):
        return None
    w = np.maximum(w, _LEAST * float(np.mean(w)))
    return eta - offset + np.clip(g / w, -_LONGEST, _LONGEST), w

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
from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import improved
from merextras.engine.optimum.start import moments
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
# Rounds; decrement and steps of each.
ROUNDS, _TOLERANCE, _STEPS = 2, 1e-3, 1


def starts(criterion: Laplace) -> list[LaplacePoint]:
    """Where to begin: one point for a concave log-density, else all that are known.

    What is not concave in eta may have several optima, to which different starts lead. A point at
    which the criterion does not exist is alone.
    """
    return usable(criterion, _candidates(criterion))


def usable(criterion: Laplace, candidates: Iterable[Start]) -> list[LaplacePoint]:
    """The first of the candidates at which the criterion exists, or all that do, as in `starts`."""
    found: list[LaplacePoint] = []
    nowhere: list[LaplacePoint] = []
    for x, v in candidates:
        point = criterion.at(x, v=v)
        (found if np.isfinite(point.deviance()) else nowhere).append(point)
        if found and criterion.family.concave:
            break
    return found or nowhere[-1:]


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
    family, table, cov = criterion.family, criterion.table, criterion.covariances
    eta, theta = family.guess(), None
    start: Start | None = None
    phi = np.zeros(family.n_phi)
    for _ in range(ROUNDS):
        worked = working_response(family, eta, table.offset, phi)
        if worked is None:
            break
        response, w = worked
        try:
            cp = _products(table, response, w)
            system = prepare(cp, table.template.plan)
            linear = Criterion(system, cov, reml=False, by_levels=False)
            found = linear_fit(linear, moments(cp, cov) if theta is None else theta)
        except (la.LinAlgError, ValueError):
            break
        if found is None:
            break
        solution, theta = found
        scaled = cov.inside(theta * np.sqrt(solution.sigma2), INSIDE)
        before, eta = eta, table.offset + table.x @ solution.beta + table.rows(solution.b)
        phi_then = family.phi_of(solution.sigma2, eta, table.counts)
        x = np.concatenate([scaled, solution.beta, phi_then])
        start = x, tuple(part / solution.sigma2 for part in solution.scores)
        if float(np.max(np.abs(eta - before))) < _CLOSE:
            break
    return start


def _products(table: Table, response: Array, w: Array) -> CrossProducts:
    """Cross-products of a round, of the residuals of least squares, in the table's coordinates.

    Those do for any weights: of a start no last digit is asked.
    """
    wx = w[:, None] * table.x
    fitted = np.linalg.solve(table.x.T @ wx, wx.T @ response).astype(float, copy=False)
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


def linear_fit(linear: Criterion, theta: Array) -> tuple[Solution, Array] | None:
    """The linear model nearer to its optimum than at this theta, with theta."""
    found = improved(linear, theta, tolerance=_TOLERANCE, steps=_STEPS)
    if found is None or not found[0].sigma2 > 0.0 or not np.isfinite(found[0].beta).all():
        return None
    return found

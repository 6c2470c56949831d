"""Starting values for rows that are read for each sum: the rounds of `start`, a pass each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.engine.generalised.criterion.streamed import StreamedLaplace
from merextras.engine.generalised.searches.start import (
    PLAIN,
    ROUNDS,
    Start,
    linear_round,
    usable,
    working_response,
)
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.engine.solution.pls import Solution


def streamed_starts(criterion: StreamedLaplace) -> Iterator[LaplacePoint]:
    """Where to begin, as in `starts`; two passes, and those of an evaluation for each point."""
    return usable(criterion, _candidates(criterion))


def _candidates(criterion: StreamedLaplace) -> Iterator[Start]:
    found = _quasi(criterion)
    if found is not None:
        yield found
    family, cov, table = criterion.family, criterion.covariances, criterion.table
    guess, ones, mean, near = np.zeros(table.p), np.zeros(table.p), 0.0, np.zeros(family.n_phi)
    for part in table.parts():
        first = part.family.guess()
        eta = first - part.offset
        guess += part.x.T @ (part.counts * eta)
        ones += part.x.T @ part.counts
        mean += float(part.counts @ eta) / table.n
        near += part.family.phi_of(0.5, first, part.counts) * (np.sum(part.counts) / table.n)
    # Around one number the responses vary more than around what each of them suggests.
    far = np.zeros(family.n_phi)
    for part in table.parts():
        one = part.offset + mean
        far += part.family.phi_of(0.5, one, part.counts) * (np.sum(part.counts) / table.n)
    for beta, phi in ((guess, near), (mean * ones, far)):
        for size in PLAIN:
            theta = cov.from_covariances([size**2 * np.eye(k) for k in cov.ks])
            yield np.concatenate([theta, beta, phi]), None


def _quasi(criterion: StreamedLaplace) -> Start | None:
    """The parameters and modes after two rounds; None where one fails."""
    theta, solution = None, None
    start: Start | None = None
    for _ in range(ROUNDS):
        worked = _working(criterion, solution)
        if worked is None:
            break
        cp, phi = worked
        found = linear_round(criterion, cp, theta)
        if found is None:
            break
        solution, theta, scaled, v = found
        start = np.concatenate([scaled, solution.beta, phi]), v
    return start


def _working(
    criterion: StreamedLaplace, before: Solution | None
) -> tuple[CrossProducts, Array] | None:
    """Cross-products of the working response at the guess, or at the solution before; one pass.

    And a start for phi there: the parts' mean, each by its rows.
    """
    table, phi = criterion.table, np.zeros(criterion.family.n_phi)
    started = phi.copy()
    shapes = table.template.cp.shapes
    pairs = zip(shapes, table.effects, strict=True)
    free = [EffectBasis.identity(k, own.freedom) for (_, k), own in pairs]
    basis, total = Basis.identity(table.p, free), None
    for part in table.parts():
        eta = part.family.guess() if before is None else part.eta(before.beta, before.b)
        worked = working_response(part.family, eta, part.offset, phi)
        if worked is None:
            return None
        response, w = worked
        own = CrossProducts.from_rows(part.x, response, part.terms, w, basis)
        total = own if total is None else total + own
        variance = 1.0 if before is None else before.sigma2
        started += part.family.phi_of(variance, eta, part.counts) * (
            float(np.sum(part.counts)) / table.n
        )
    return None if total is None else (total, started)

"""One generalised model fitted to many responses of its rows, through one layout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from merextras.engine.generalised.criterion.laplace import Laplace
from merextras.engine.generalised.searches.optimum import POSITIVE, information
from merextras.engine.generalised.searches.search import Again, is_infinite_size, reoptimise
from merextras.engine.generalised.searches.steps import inverse, least_eigenvalue
from merextras.foundation.aliases import Array
from merextras.model.generalised.fit import Request, criterion_of, fit_response
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.draws import effects_anew, response_given

# Relative standard deviations that a refit starts from at least, and a logarithm of a size that it
# starts from where the fit's own is infinite.
_INSIDE, _SIZE = 0.1, 4.0


@dataclass(frozen=True, eq=False)
class Refits:
    """The refits of a model, warm: from its estimates and its Hessian."""

    model: FittedGlmm

    @cached_property
    def _start(self) -> tuple[Array, Array | None]:
        optimum = self.model.optimum
        x, covariances = optimum.point.x.copy(), self.criterion.covariances
        theta = x[: covariances.n]
        inside = covariances.inside(theta, _INSIDE)
        moved = not np.array_equal(inside, theta)
        x[: covariances.n] = inside
        if self.model.is_poisson:
            x[-1], moved = _SIZE, True
        return x, None if moved or not optimum.positive else optimum.hessian

    @property
    def criterion(self) -> Laplace:
        """That of the model's own response."""
        return self.model.laplace.criterion

    def model_of(self, y: Array) -> FittedGlmm:
        """The whole fit to successes, counts or numbers y, (n,)."""
        response = replace(self.model.response, y=y)
        shown = response.shown(y)
        design = replace(self.model.design, y=response.observed)
        if not isinstance(shown, list):
            design = replace(design, frame=design.frame.assign(**{design.response: shown}))
        request = Request(
            self.model.choice, replace(self.model.control, start=None), self.model.n_agq
        )
        anew = self.model.is_poisson or not self.model.engine_family.concave
        x = None if anew else self._start[0]
        fit = fit_response(design, response, request, n_dropped=self.model.n_dropped, x=x)
        return self.model._like(fit)  # type: ignore[arg-type]

    def fixed_of(self, again: Again) -> tuple[Array, Array] | None:
        """The fixed effects of a refit and their covariance, as of the whole fit to that response.

        None where the information matrix is not positive definite.
        """
        point = again.point
        criterion, free = point.criterion, np.ones(point.criterion.m, dtype=bool)
        if criterion.family.has_limit and criterion.family.n_phi:
            free[-1] = not is_infinite_size(point.x[-1])
        hessian = information(criterion, point, free)
        where = np.flatnonzero(free)
        inner = hessian[np.ix_(where, where)]
        if not least_eigenvalue(inner) > POSITIVE:
            return None
        n = criterion.covariances.n
        beta, transform = criterion.split(point.x)[1], criterion.table.transform
        own = 2.0 * inverse(inner)[n : n + len(beta), n : n + len(beta)]
        return criterion.beta_of(beta), np.asarray(transform @ own @ transform.T)

    def fit(self, y: Array) -> Again:
        """The optimum for successes, counts or numbers y, (n,)."""
        x, hessian = self._start
        with np.errstate(all="ignore"):
            return reoptimise(self._criterion_for(y), x, hessian)

    def _criterion_for(self, y: Array) -> Laplace:
        """On the same layout; anew where rows are joined by their responses."""
        model, response = self.model, replace(self.model.response, y=y)
        if self.criterion.table.cells is None:
            return self.criterion.of(model.choice.of(y, response.trials))
        return criterion_of(
            model.design, response, Request(model.choice, model.control, model.n_agq)
        )


def drawn(model: FittedGlmm, kept: set[int], generator: np.random.Generator) -> Array:
    """A response of the model: the terms of `kept` at their modes, the effects of others anew."""
    design = model.design
    eta = design.x @ model.fixed_estimates + (0.0 if design.offset is None else design.offset)
    for t, term in enumerate(design.terms):
        b = model.modes[t] if t in kept else effects_anew(model, t, generator)
        eta = eta + np.einsum("nk,nk->n", term.rows.values, b[term.rows.codes])
    return response_given(model, eta, generator)

"""One generalised model fitted to many responses of its rows, through one layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from merextras.engine.generalised.criterion.laplace import Laplace
from merextras.engine.generalised.searches.optimum import POSITIVE
from merextras.engine.generalised.searches.reoptimiser import ManyAgain, Reoptimiser
from merextras.engine.generalised.searches.search import is_infinite_size
from merextras.engine.generalised.searches.steps import inverse, least_eigenvalue
from merextras.foundation.aliases import Array
from merextras.model.generalised.fit import Request, criterion_of, fit_response
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.draws import effects_anew, response_given

# Relative standard deviations that a refit starts from at least, and a logarithm of a size that it
# starts from where the fit's own is infinite.
_INSIDE, _SIZE = 0.1, 4.0
# Responses that are refitted one after the other before progress is reported.
_FEW = 8


@dataclass(frozen=True)
class ManyEstimates:
    """The estimates of many refits of a model.

    Attributes
    ----------
    covariances : tuple of (R, k, k) arrays
        Of the user's effects, by terms.
    beta : (R, p) array
    phi : (R, n_phi) array
        The dispersion as the engine has it.
    """

    covariances: tuple[Array, ...]
    beta: Array
    phi: Array


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

    @cached_property
    def _search(self) -> Reoptimiser:
        return Reoptimiser(self.criterion, *self._start, self.model.engine_family)

    @property
    def block(self) -> int:
        """Responses that are best refitted together: of the model alone."""
        return max(self._search.block, _FEW)

    def fit(self, y: Array) -> ManyAgain:
        """The optima for the columns of y, (n, R): successes, counts or numbers."""
        return self._search.search(y, self._criterion_for)

    def estimates(self, x: Array) -> ManyEstimates:
        """Of the parameters of many, (R, m), in the coordinates of the criterion."""
        criterion = self.criterion
        table, cov = criterion.table, criterion.covariances
        lams, end = cov.joint(x[:, : cov.n]), cov.n + table.p
        roots = [lams[:, span, span] for span in cov.spans]
        gs = tuple(
            own.covariance(root @ np.swapaxes(root, 1, 2))
            for own, root in zip(table.effects, roots, strict=True)
        )
        return ManyEstimates(gs, x[:, cov.n : end] @ table.transform.T, x[:, end:])

    def model_of(self, y: Array, x: Array | None = None) -> FittedGlmm:
        """The whole fit to successes, counts or numbers y, (n,); x: parameters to start from."""
        response = replace(self.model.response, y=y)
        shown = response.shown(y)
        design = replace(self.model.design, y=response.observed)
        if not isinstance(shown, list):
            design = replace(design, frame=design.frame.assign(**{design.response: shown}))
        request = Request(
            self.model.choice, replace(self.model.control, start=None), self.model.n_agq
        )
        if x is None and self.model.engine_family.concave and not self.model.is_poisson:
            x = self._start[0]
        fit = fit_response(design, response, request, n_dropped=self.model.n_dropped, x=x)
        return self.model._like(fit)  # type: ignore[arg-type]

    def fixed_of(self, y: Array, again: ManyAgain) -> list[tuple[Array, Array] | None]:
        """The fixed effects of refits and their covariance, as of whole fits to these responses.

        None where the information matrix is not positive definite.
        """
        n, transform = self.criterion.covariances.n, self.criterion.table.transform
        found = self._search.informations(y, again, self._criterion_for)
        out: list[tuple[Array, Array] | None] = []
        for x, hessian in zip(again.x, found, strict=True):
            free = np.ones(len(x), dtype=bool)
            if self.criterion.family.has_limit and self.criterion.family.n_phi:
                free[-1] = not is_infinite_size(x[-1])
            inner, end = hessian[np.ix_(free, free)], n + self.criterion.table.p
            if not least_eigenvalue(inner) > POSITIVE:
                out.append(None)
                continue
            own = 2.0 * inverse(inner)[n:end, n:end]
            beta = self.criterion.beta_of(x[n:end])
            out.append((beta, np.asarray(transform @ own @ transform.T)))
        return out

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


def all_drawn(
    model: FittedGlmm, kept: set[int], generators: Sequence[np.random.Generator]
) -> Array:
    """A response of each generator, (n, R)."""
    out = np.empty((model.design.n, len(generators)))
    for i, generator in enumerate(generators):
        out[:, i] = drawn(model, kept, generator)
    return out

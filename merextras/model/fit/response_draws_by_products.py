"""Responses drawn from a model that keeps no rows: their products with the design.

A fit sees a response through Z'Wy, X'Wy and y'Wy alone, and of those of a new response the joint
distribution follows from the design's own cross-products (see `merextras.engine.replicates.draws`).
A row that stands for several observations has that many residuals, so that frequency weights are no
obstacle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.elimination.plan import make_plan
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.replicates.draws import GramFactor, Sums, effects_and_noise, gram_factor
from merextras.engine.replicates.responses import Responses
from merextras.exceptions import NoRowsError
from merextras.foundation.aliases import Array
from merextras.model.fit.response_draws import ResponseModel, own_response_model
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_like, start_for_user

#: Random effects of crossed factors for which a dense matrix is made (0.8 GB).
_LARGEST_TAIL = 10_000


@dataclass(frozen=True, eq=False)
class ResponseModelByProducts:
    """``X beta + Z b + e`` with b and e normal.

    Attributes
    ----------
    factor : GramFactor
    beta : (p,) array
    roots : tuple of (k, r) arrays
        By terms: what standard normals are multiplied by to make b; no columns for none.
    modes : tuple of (J, k) arrays or None
        Effects that are the same in every draw, in place of b.
    sigma : float
        Of the residuals, whose variances are ``sigma**2 / w``.
    """

    factor: GramFactor
    beta: Array
    roots: tuple[Array, ...]
    modes: tuple[Array, ...] | None
    sigma: float

    @property
    def df(self) -> int:
        """Observations less the rank of ``[Z X]``."""
        return max(self.factor.system.cp.n - self.factor.rank, 0)

    def sums(self, generators: Sequence[np.random.Generator]) -> Sums:
        """Draw ``Zb + e`` from each generator."""
        m, size = len(generators), self.factor.size
        shapes = [
            (levels, root.shape[1])
            for (levels, _), root in zip(self.factor.system.cp.shapes, self.roots, strict=True)
        ]
        counts = [levels * r for levels, r in shapes] if self.modes is None else []
        drawn, chi2 = np.empty((m, sum(counts) + size)), np.zeros(m)
        for i, generator in enumerate(generators):
            generator.standard_normal(out=drawn[i])
            chi2[i] = generator.chisquare(self.df) if self.df else 0.0
        noise = np.ascontiguousarray(drawn[:, sum(counts) :].T) * self.sigma
        return effects_and_noise(
            self.factor, self._effects(drawn, shapes), noise, chi2 * self.sigma**2
        )

    def _effects(self, drawn: Array, shapes: Sequence[tuple[int, int]]) -> list[Array]:
        m = len(drawn)
        if self.modes is not None:
            return [np.repeat(b[:, :, None], m, axis=2) for b in self.modes]
        out, at = [], 0
        for (levels, r), root in zip(shapes, self.roots, strict=True):
            part = np.ascontiguousarray(drawn[:, at : at + levels * r].T)
            out.append(root @ part.reshape(levels, r, m))
            at += levels * r
        return out

    def responses(self, generators: Sequence[np.random.Generator]) -> Responses:
        """Draw a response from each generator, reduced."""
        return self.sums(generators).responses(self.factor.system, self.beta)


def response_model_of(
    model: FittedModel, *, use_u: bool = False, resampled: bool = False
) -> ResponseModel | ResponseModelByProducts:
    """Describe new responses of a model: by row, or by products where it keeps no rows.

    Parameters are those of `own_response_model`; residuals can only be resampled by row.
    """
    if resampled or model.design.keeps_rows:
        return own_response_model(model, use_u=use_u, resampled=resampled)
    solution = model.solution
    sigma = float(np.sqrt(solution.sigma2))
    effects = zip(solution.cp.basis.effects, solution.b, strict=True)
    modes = tuple(own.coordinates(b[:, :, None])[:, :, 0] for own, b in effects)
    return ResponseModelByProducts(
        gram_of(model),
        solution.beta,
        tuple(sigma * lam for lam in solution.factor.lams),
        modes if use_u else None,
        sigma,
    )


def refitted_products(model: FittedModel, products: CrossProducts) -> FittedModel:
    """The model fitted to another response, given by its products with the design."""
    fit = fit_like(model, model.design.sums().with_products(products), theta=start_for_user(model))
    return model._like(fit)


def gram_of(model: FittedModel) -> GramFactor:
    """The design's Gram matrix, taken apart.

    Raises
    ------
    NoRowsError
        Crossed factors with so many levels that what is left of it takes too much memory.
    """
    cp = model.solution.factor.system.cp
    plan = make_plan(cp, tail="dense")
    size = sum(cp.shapes[t][0] * cp.shapes[t][1] for t in plan.tail)
    if size > _LARGEST_TAIL:
        names = " and ".join(dict.fromkeys(model.design.terms[t].factor for t in plan.tail))
        raise NoRowsError(
            f"the model keeps no rows, and to draw a response's products without them takes a "
            f"dense matrix of the {size} effects of {names}, {8e-9 * size**2:.0f} GB; simulate "
            "from a model of rows that fit in memory"
        )
    return gram_factor(cp)

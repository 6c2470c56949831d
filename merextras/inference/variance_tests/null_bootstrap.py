"""Likelihood ratios of responses simulated from the smaller of two models.

Both models are fitted to every response, each by its own criterion, through the many-responses
engine; a model without random effects has its deviances in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.elimination.plan import prepare
from merextras.engine.replicates.iterated import Common
from merextras.engine.replicates.responses import Responses
from merextras.engine.solution.pls import solve
from merextras.foundation.aliases import Array
from merextras.inference.intervals.replicates import (
    block_size,
    common_of,
    in_blocks,
    is_long,
    reduced,
    refit_reduced,
)
from merextras.inference.nesting.nested_rowless import Restriction
from merextras.model.design.design import Design
from merextras.model.fit.response_draws import Source, own_source
from merextras.model.fit.response_draws_by_products import ProductSource, gram_of
from merextras.model.state.fitted import Fit, FittedModel

# A statistic below this share of the deviance is the rounding of two equal likelihoods.
_ROUNDING = 1e-12


def likelihood_ratio(null: Array | float, deviance: Array | float, n: int) -> Array:
    """Differences of deviances, those that are rounding or negative zero; NaN stays NaN."""
    gain = np.subtract(null, deviance)
    noise = _ROUNDING * (np.abs(deviance) + n)
    return np.where(gain <= noise, 0.0, gain)


def least_squares(design: Design, *, reml: bool) -> FittedModel:
    """The design's fixed part without random effects, as a model without terms."""
    plain = design.with_terms([])
    return FittedModel(Fit(plain, solve(prepare(plain.cross_products()), (), reml=reml), None))


def null_sample(
    large: FittedModel,
    small: FittedModel,
    generators: Sequence[np.random.Generator],
    n_jobs: int,
) -> Array:
    """Likelihood ratios of the models, a response from `small` for each generator.

    NaN where a fit did not converge. Both models are of the same rows and criterion.
    """
    n_sims = len(generators)
    own = common_of(small, n_sims)
    # A term that the smaller model lacks has no variance in most replicates.
    same = len(large.design.terms) == len(small.design.terms)
    common = own, common_of(large, n_sims) if same else None
    found = in_blocks(
        _statistics,
        (large, small, _null_source(large, small), common),
        generators,
        size=block_size(large),
        n_jobs=n_jobs,
        long=is_long(large, n_sims),
    )
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class _NullProducts:
    """Responses of the smaller model, by products with the larger one's design."""

    source: ProductSource
    restriction: Restriction


def _null_source(large: FittedModel, small: FittedModel) -> Source | _NullProducts:
    """Where responses of the smaller model come from; its fixed part changes no ratio."""
    if large.design.keeps_rows:
        return own_source(small)
    restriction, solution = Restriction(small, large), small.solution
    sigma = float(np.sqrt(solution.sigma2))
    roots = [np.zeros((k, 0)) for k in large.design.ks]
    for (t, c), lam in zip(restriction.terms, solution.lams, strict=True):
        own = large.solution.cp.basis.effects[t]
        roots[t] = np.hstack([roots[t], own.coordinates(sigma * c @ lam)])
    beta = np.zeros(large.solution.p)
    factor = gram_of(large)
    return _NullProducts(ProductSource(factor, beta, tuple(roots), None, sigma), restriction)


def _statistics(
    large: FittedModel,
    small: FittedModel,
    source: Source | _NullProducts,
    common: tuple[Common | None, Common | None],
    generators: Sequence[np.random.Generator],
) -> Array:
    if isinstance(source, _NullProducts):
        sums = source.source.sums(generators)
        system = large.solution.factor.system
        given = source.restriction.responses(sums), sums.responses(system, source.source.beta)
    else:
        y = source.draw(generators)
        given = reduced(small, y), reduced(large, y)
    each = zip((small, large), given, common, strict=True)
    deviances = [deviances_of(model, responses, known) for model, responses, known in each]
    return likelihood_ratio(deviances[0], deviances[1], large.solution.n)


def deviances_of(model: FittedModel, responses: Responses, common: Common | None = None) -> Array:
    """The least deviance for each response, (m,), by the model's criterion; NaN if not found."""
    if model.design.terms:
        fits = refit_reduced(model, responses, common)
        return np.where(fits.converged, fits.deviance, np.nan)
    solution, scale = model.solution, model.solution.cp.scale
    own = scale.fit(np.float64(solution.pwrss), solution.df)
    return np.asarray(solution.deviance() - own + scale.fit(responses.yy, solution.df))

"""Likelihood ratios of responses simulated from the smaller of two models.

Both models are fitted to every response, each by its own criterion, through the many-responses
engine; a model without random effects has its deviances in closed form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from merextras._typing import Array
from merextras.engine.plan import prepare
from merextras.engine.pls import solve
from merextras.engine.responses import Responses
from merextras.inference.replicates import block_size, in_blocks, is_long, refit_all
from merextras.model.design import Design
from merextras.model.draws import Source, own_source
from merextras.model.fitted import Fit, FittedModel

# A statistic below this share of the deviance is the rounding of two equal likelihoods.
_ROUNDING = 1e-12


def likelihood_ratio(null: Array | float, deviance: Array | float, n: int) -> Array:
    """Differences of deviances, those that are rounding or negative zero; NaN stays NaN."""
    gain = np.subtract(null, deviance)
    noise = _ROUNDING * (np.abs(deviance) + n)
    return np.where(gain <= noise, 0.0, gain)


def least_squares(design: Design, *, reml: bool) -> FittedModel:
    """The design's fixed part without random effects, as a model without terms."""
    plain = replace(design, terms=())
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
    found = in_blocks(
        _statistics,
        (large, small, own_source(small)),
        generators,
        size=block_size(large),
        n_jobs=n_jobs,
        long=is_long(large, len(generators)),
    )
    return np.concatenate(found)


def _statistics(
    large: FittedModel,
    small: FittedModel,
    source: Source,
    generators: Sequence[np.random.Generator],
) -> Array:
    y = source.draw(generators)
    return likelihood_ratio(_deviances(small, y), _deviances(large, y), large.solution.n)


def _deviances(model: FittedModel, y: Array) -> Array:
    if model.design.terms:
        fits = refit_all(model, y)
        return np.where(fits.converged, fits.deviance, np.nan)
    design, solution = model.design, model.solution
    if design.offset is not None:
        y = y - design.offset[:, None]
    cp = solution.factor.system.cp
    rss = Responses.from_rows(cp, design.x, y, [], design.weights).yy
    return np.asarray(solution.deviance() + solution.df * np.log(rss / solution.pwrss))

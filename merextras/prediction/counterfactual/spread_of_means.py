"""Variances of a generalised model's means over levels and cases, under draws."""

from __future__ import annotations

import numpy as np

from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.probabilities import variance_at
from merextras.prediction.combinations.combination import Combination
from merextras.prediction.combinations.uncertainty import Draws

#: Numbers held at a time for draws (32 MB).
_BLOCK = 2**22


def single_noise(model: FittedGlmm, eta: Array, weights: Array) -> float:
    """What a response varies around its mean: the weighted mean over rows."""
    return float(weights @ variance_at(model, model.engine_family.mean(eta))) * _share(model)


def _share(model: FittedGlmm) -> float:
    """Of the variance of one trial that of a proportion, on average over the data."""
    facts = model.response.facts
    return facts.shares / facts.n if model.choice.has_trials else 1.0


def drawn_sources(
    model: FittedGlmm, rows: Combination, draws: Draws, weights: Array, centre: float
) -> list[Array]:
    """Variances between levels and between cases, and the residual's, under each draw.

    Parameters
    ----------
    rows : Combination
        n cases in L levels each, cases outermost.
    weights : (L,) array
        Of the levels; they sum to one.
    centre : float
        About the mean of all: squares of small numbers lose no digits.

    Returns
    -------
    list of three (n_sims,) arrays
    """
    size, n_sims = len(weights), len(draws.sigma)
    n, mean = len(rows) // size, model.engine_family.mean
    every, cases, noise = np.zeros(n_sims), np.zeros(n_sims), np.zeros(n_sims)
    levels = np.zeros((size, n_sims))
    step = max(1, _BLOCK // (size * n_sims))
    for start in range(0, n, step):
        part = slice(start * size, min(start + step, n) * size)
        means = mean(draws.values(rows.take(part))).reshape(-1, size, n_sims)
        noise += np.einsum("l,kls->s", weights, variance_at(model, means))
        off = means - centre
        every += np.einsum("l,kls->s", weights, off**2)
        cases += np.sum(np.einsum("l,kls->ks", weights, off) ** 2, axis=0)
        levels += off.sum(axis=0)
    whole, of_levels = every / n, weights @ (levels / n) ** 2
    between = [np.maximum(whole - part, 0.0) for part in (cases / n, of_levels)]
    return [*between, noise / n * _share(model)]

"""Responses drawn from a fitted model: what simulation and the bootstrap share.

Each response has a generator of its own, so that the i-th does not depend on how many are drawn,
nor on which process draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from merextras.engine.kernels.blocks import block_diagonal
from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.model.state.fitted import FittedModel

# Numbers of responses that are made together: they stay in a small processor's cache.
_TOGETHER = 1 << 17


@dataclass(frozen=True, eq=False)
class ResponseModel:
    """``mean + Z b + e`` with b and e normal, or e resampled.

    Attributes
    ----------
    mean : (n,) array
    effects : tuple of sparse (n, J k) arrays
        ``sigma Z Lambda`` of the random effects that are drawn.
    noise : (n,) array
        Standard deviations of the residuals, ``sigma / sqrt(w)``.
    pool : (r,) array or None
        Residuals to resample, with variance one; normal ones if None.
    """

    mean: Array
    effects: tuple[sp.csr_array, ...]
    noise: Array
    pool: Array | None = None

    def draw(self, generators: Sequence[np.random.Generator]) -> Array:
        """Draw a response from each generator: (n, m), row by row in memory."""
        return np.ascontiguousarray(self.draw_each(generators).T)

    def draw_each(self, generators: Sequence[np.random.Generator]) -> Array:
        """The same, (m, n), response by response in memory."""
        out = np.empty((len(generators), len(self.mean)))
        step = max(1, _TOGETHER // max(len(self.mean), 1))
        for at in range(0, len(generators), step):
            self._fill(out[at : at + step], generators[at : at + step])
        return out

    def _fill(self, out: Array, generators: Sequence[np.random.Generator]) -> None:
        """Of each generator first the effects, then the residuals."""
        sizes = [z.shape[1] for z in self.effects]
        drawn = np.empty((len(generators), sum(sizes)))
        for own, row, generator in zip(drawn, out, generators, strict=True):
            generator.standard_normal(out=own)
            if self.pool is None:
                generator.standard_normal(out=row)
            else:
                row[:] = generator.choice(self.pool, len(row))
        out *= self.noise
        out += self.mean
        at = 0
        for z, size in zip(self.effects, sizes, strict=True):
            out += (z @ np.ascontiguousarray(drawn[:, at : at + size].T)).T
            at += size


def own_response_model(
    model: FittedModel, *, use_u: bool = False, resampled: bool = False
) -> ResponseModel:
    """Describe new responses on the model's own rows.

    Parameters
    ----------
    use_u : bool
        Keep the random effects at their modes instead of drawing new ones.
    resampled : bool
        Resample the residuals (centred, each divided by its own standard deviation) instead of
        drawing normal ones.
    """
    check_rows(model)
    design, solution = model.design, model.solution
    sigma, sd = np.sqrt(solution.sigma2), residual_sd(model)
    if use_u:
        mean = model.mu
        effects: tuple[sp.csr_array, ...] = ()
    else:
        mean = design.x @ solution.beta + (0.0 if design.offset is None else design.offset)
        parts = zip(design.terms, solution.lams, strict=True)
        effects = tuple(
            replace(term.rows, values=term.rows.values @ (sigma * lam)).sparse()
            for term, lam in parts
        )
    pool = None
    if resampled:
        used = design.observed
        pool = ((design.y - model.mu)[used]) / sd[used]
        pool -= np.mean(pool)
    return ResponseModel(mean, effects, sd, pool)


def scaled_effects(z: sp.csr_array, lam: Array, n_levels: int) -> sp.csr_array:
    """Z Lambda of one term, whose Lambda repeats over its levels."""
    repeated = np.broadcast_to(lam, (n_levels, *lam.shape))
    return sp.csr_array(z @ block_diagonal(np.ascontiguousarray(repeated)))


def residual_sd(model: FittedModel) -> Array:
    """Standard deviation of each row's residual, its group's; zero for a row of weight zero."""
    sigma, weights = np.sqrt(model.solution.sigma2), model.design.precision
    if weights is None:
        return np.broadcast_to(sigma, model.design.n)
    used = weights > 0.0
    return np.asarray(np.where(used, sigma / np.sqrt(np.where(used, weights, 1.0)), 0.0))


def check_rows(model: FittedModel) -> None:
    """Refuse rows that stand for several observations: one response cannot."""
    if "freq_weights" in model.design.by_row:
        raise UnsupportedModelError(
            "the model has frequency weights: a simulated response needs one row per observation. "
            "Repeat the rows, data.loc[data.index.repeat(freq_weights)], and fit without them"
        )

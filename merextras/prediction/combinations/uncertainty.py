"""Standard errors and intervals of linear combinations of effects, exact or from joint draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy import stats
from tqdm import tqdm

from merextras.foundation.aliases import Array, IntArray
from merextras.model.state.fitted import FittedModel
from merextras.prediction.combinations.combination import Combination
from merextras.prediction.combinations.prediction_variance import relative_variances
from merextras.simulation.linear_predictor import draw_unseen, effect_factors
from merextras.simulation.sim import draw_effects

#: Numbers held at a time for draws (4 MB): they are gone through several times.
_BLOCK = 2**19
#: Numbers that take a second or two; fewer need no progress bar.
_LONG = 2e7


@dataclass(frozen=True, eq=False)
class Distribution:
    """What is said of each of m linear combinations, (m,) arrays.

    Attributes
    ----------
    std_error, lower, upper : arrays
    p_positive, p_negative : arrays
        Probability of more, or less, than zero; NaN where nothing is uncertain.
    """

    std_error: Array
    lower: Array
    upper: Array
    p_positive: Array
    p_negative: Array


@dataclass(frozen=True, eq=False)
class Draws:
    """Joint draws of what some combinations are made of.

    Attributes
    ----------
    sigma : (n_sims,) array
    beta : (p, n_sims) array
    columns : tuple of integer arrays
        By terms: the columns of z that were kept.
    b, v : tuples of (kept, n_sims) arrays
        By terms: the effects of known levels, and of unseen ones.
    """

    sigma: Array
    beta: Array
    columns: tuple[IntArray, ...]
    b: tuple[Array, ...]
    v: tuple[Array, ...]

    @classmethod
    def of(
        cls,
        model: FittedModel,
        used: Sequence[Combination],
        n_sims: int,
        rng: np.random.Generator,
    ) -> Draws:
        """Draw all that the given combinations need, so that they share their draws."""
        lams = effect_factors(model)
        keep, columns = [], []
        for t, lam in enumerate(lams):
            k = len(lam)
            levels = np.unique(np.concatenate([one.z[t].indices // k for one in used]))
            keep.append(levels.astype(np.intp))
            columns.append((levels[:, None] * k + np.arange(k)).reshape(-1))
        drawn = draw_effects(model, n_sims, rng, keep, keep)
        b = tuple(part.reshape(-1, n_sims) for part in drawn.b)
        v = []
        for t, lam in enumerate(lams):
            every = np.arange(used[0].new_levels[t].shape[1] // len(lam))
            new = draw_unseen(lam, drawn.sigma, len(every), every, rng)
            v.append(new.reshape(-1, n_sims))
        beta = np.ascontiguousarray(drawn.beta.T)
        return cls(drawn.sigma, beta, tuple(columns), b, tuple(v))

    def values(self, rows: Combination) -> Array:
        """The combinations under each draw, (m, n_sims)."""
        out = rows.x @ self.beta + rows.constant[:, None]
        for z, columns, b in zip(rows.z, self.columns, self.b, strict=True):
            out += z[:, columns] @ b
        for u, v in zip(rows.new_levels, self.v, strict=True):
            out += u @ v
        return np.asarray(out)

    def in_blocks(self, rows: Combination) -> Iterator[tuple[slice, Array]]:
        """The same in blocks of rows."""
        step = max(1, _BLOCK // len(self.sigma))
        short = len(rows) * len(self.sigma) < _LONG
        with tqdm(total=len(rows), desc="draws", unit="rows", disable=short or None) as bar:
            for start in range(0, len(rows), step):
                part = slice(start, min(start + step, len(rows)))
                yield part, self.values(rows.take(part))
                bar.update(part.stop - start)


def of_means(
    draws: Draws, rows: Combination, inverse_link: Callable[[Array], Array], level: float
) -> Distribution:
    """How uncertain the means are whose linear predictors are combinations."""
    blocks = ((part, inverse_link(values)) for part, values in draws.in_blocks(rows))
    return summarised(blocks, len(rows), level)


def of_shifts(
    draws: Draws,
    rows: Combination,
    own: Combination,
    inverse_link: Callable[[Array], Array],
    level: float,
) -> Distribution:
    """How uncertain the differences of means are, row by row."""
    blocks = (
        (part, inverse_link(values) - inverse_link(draws.values(own.take(part))))
        for part, values in draws.in_blocks(rows)
    )
    return summarised(blocks, len(rows), level)


def of_mixed(
    draws: Draws,
    rows: Combination,
    weights: sp.csr_array,
    inverse_link: Callable[[Array], Array],
) -> Array:
    """Weighted sums of the means of rows under each draw, (new rows, n_sims)."""
    out = np.zeros((weights.shape[0], len(draws.sigma)))
    for part, values in draws.in_blocks(rows):
        out += weights[:, part] @ inverse_link(values)
    return out


def distribution(
    model: FittedModel, rows: Combination, estimates: Array, level: float, draws: Draws | None
) -> Distribution:
    """Say how uncertain combinations are: by `draws`, or by Student's t for None.

    Parameters
    ----------
    estimates : (m,) array
        The rows' own, the centre of the closed formula.
    """
    if draws is None:
        return _exact(model, rows, estimates, level)
    return summarised(draws.in_blocks(rows), len(rows), level)


def summarised(blocks: Iterator[tuple[slice, Array]], n: int, level: float) -> Distribution:
    """What is said of n numbers whose draws come in blocks of rows, (rows, n_sims)."""
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    out = np.full((5, n), np.nan)
    for part, values in blocks:
        out[0, part] = np.std(values, axis=1, ddof=1) if values.shape[1] > 1 else np.nan
        out[1:3, part] = np.quantile(values, tails, axis=1)
        moves = np.ptp(values, axis=1) > 0.0 if values.shape[1] > 1 else values[:, 0] != 0.0
        out[3, part] = np.where(moves, np.mean(values > 0.0, axis=1), np.nan)
        out[4, part] = np.where(moves, np.mean(values < 0.0, axis=1), np.nan)
    return Distribution(*out)


def _exact(model: FittedModel, rows: Combination, estimates: Array, level: float) -> Distribution:
    """Student's t: theta known, sigma**2 from n - p degrees of freedom."""
    solution = model.joint
    df, sigma2 = solution.sigma_df, solution.unbiased_sigma2
    std_error = np.sqrt(sigma2 * relative_variances(solution, rows, (rows,)))
    half = float(stats.t.isf((1.0 - level) / 2.0, df)) * std_error
    moves = std_error > 0.0
    ratio = np.full(len(rows), np.nan)
    ratio[moves] = estimates[moves] / std_error[moves]
    return Distribution(
        std_error,
        estimates - half,
        estimates + half,
        stats.t.sf(-ratio, df),
        stats.t.sf(ratio, df),
    )

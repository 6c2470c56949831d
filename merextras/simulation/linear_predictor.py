"""Draws of the parameters for some rows, and of what the rows' linear predictors are made of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from merextras.foundation.aliases import Array, IntArray
from merextras.model.newdata.rows import NewRows
from merextras.model.newdata.target import Target
from merextras.model.state.fitted import FittedModel
from merextras.simulation.sim import Draws

#: Draws of random effects held at a time (0.5 GB); rows that need more take another pass.
_HELD = 2**26
#: Random numbers for unseen levels made at a time (8 MB). The stream of draws depends on it.
_BLOCK = 2**20

#: Draws (sigma, beta, b) from a generator, with the levels to keep and all those to draw, by terms.
#: What it draws must not depend on which levels are kept.
Drawer = Callable[[np.random.Generator, Sequence[IntArray], Sequence[IntArray]], Draws]


@dataclass(frozen=True, eq=False)
class RowDraws:
    """Draws of the parameters that some rows of a target need.

    Attributes
    ----------
    at : (m,) integer array
        Which rows of the target.
    x : (m, p) array
    codes : tuple of (m,) integer arrays
        By terms: the place of the row's level in `b`, -1 for an effect of zero.
    values : tuple of (m, k) arrays
    sigma : (n_sims,) array
    beta : (p, n_sims) array
    b : tuple of (levels, k, n_sims) arrays
        By terms: the effects of the levels that these rows have, unseen ones last.
    """

    at: IntArray
    x: Array
    codes: tuple[IntArray, ...]
    values: tuple[Array, ...]
    sigma: Array
    beta: Array
    b: tuple[Array, ...]

    def __len__(self) -> int:
        return len(self.at)

    def fixed(self, part: slice) -> Array:
        """``x'beta`` of some rows under each draw, (rows, n_sims)."""
        return np.asarray(self.x[part] @ self.beta)

    def add_effects(self, out: Array, part: slice, terms: Sequence[int]) -> None:
        """Add ``z'b`` of the given terms to ``out``, (rows, n_sims), in place."""
        for t in terms:
            codes, values, b = self.codes[t][part], self.values[t][part], self.b[t]
            known = codes >= 0
            where = slice(None) if known.all() else np.flatnonzero(known)
            at = codes[where]
            for j in range(values.shape[1]):
                column = values[where, j]
                found = b[at, j]
                if not np.all(column == 1.0):
                    found *= column[:, None]
                out[where] += found


def row_draws(
    model: FittedModel,
    target: Target,
    rows: IntArray,
    drawer: Drawer,
    n_sims: int,
    rng: np.random.Generator,
    *,
    new_levels: str = "zero",
) -> Iterator[RowDraws]:
    """Draw the parameters for the given rows of a target, in as many passes as memory needs.

    All rows of a level share its draws, whether they come in one pass or in several: each pass
    draws the same again. Rows come in the order of the largest term's levels if there are several
    passes.

    Parameters
    ----------
    rows : integer array
        Rows without missing values.
    drawer : callable
        The distribution of (sigma, beta, b).
    new_levels : {"zero", "draw"}
        What the effects of a level that the model has not seen are: zero, or normal with their
        variance before any data, ``sigma**2 Lambda Lambda'`` at the draw's own sigma.
    """
    part = target.rows.take(rows)
    codes = _with_unseen(part, [own[rows] for own in target.unseen], new_levels)
    counts = [
        max(0, int(own.max(initial=-1)) + 1 - levels)
        for own, levels in zip(codes, part.n_levels, strict=True)
    ]
    ks = [values.shape[1] for values in part.values]
    start = copy.deepcopy(rng)
    drawn = [
        np.unique(own[(own >= 0) & (own < levels)])
        for own, levels in zip(codes, part.n_levels, strict=True)
    ]
    for i, chosen in enumerate(_passes(codes, ks, max(1, _HELD // n_sims))):
        # The first pass moves the caller's generator on; the others draw the same again.
        generator = rng if i == 0 else copy.deepcopy(start)
        used = [np.unique(own[chosen][own[chosen] >= 0]) for own in codes]
        split = [
            np.searchsorted(own, levels) for own, levels in zip(used, part.n_levels, strict=True)
        ]
        keep = [own[:at] for own, at in zip(used, split, strict=True)]
        draws = drawer(generator, keep, drawn)
        b = []
        for t, lam in enumerate(effect_factors(model)):
            new = used[t][split[t] :] - part.n_levels[t]
            more = draw_unseen(lam, draws.sigma, counts[t], new, generator)
            b.append(np.concatenate([draws.b[t], more]) if len(more) else draws.b[t])
        places = [
            np.where(own[chosen] < 0, -1, np.searchsorted(levels, own[chosen]))
            for own, levels in zip(codes, used, strict=True)
        ]
        yield RowDraws(
            rows[chosen],
            part.x[chosen],
            tuple(places),
            tuple(own[chosen] for own in part.values),
            draws.sigma,
            np.ascontiguousarray(draws.beta.T),
            tuple(b),
        )


def effect_factors(model: FittedModel) -> tuple[Array, ...]:
    """Factors of each term's covariance over sigma**2, (k, k), as the user counts the effects."""
    return model.joint.lams


def _with_unseen(part: NewRows, unseen: Sequence[IntArray], new_levels: str) -> list[IntArray]:
    """Codes of the rows' levels; those of unseen ones, if they are drawn, follow the known."""
    if new_levels == "zero":
        return list(part.codes)
    parts = zip(part.codes, unseen, part.n_levels, strict=True)
    return [np.where(new >= 0, levels + new, known) for known, new, levels in parts]


def draw_unseen(
    lam: Array, sigma: Array, count: int, keep: IntArray, rng: np.random.Generator
) -> Array:
    """Draw the effects of `count` unseen levels; `keep` some of them, (kept, k, n_sims)."""
    k, n_sims = len(lam), len(sigma)
    out = np.empty((len(keep), k, n_sims))
    step = max(1, _BLOCK // (k * n_sims))
    for start in range(0, count, step):
        noise = rng.standard_normal((min(step, count - start), k, n_sims))
        first, last = np.searchsorted(keep, [start, start + step])
        out[first:last] = (lam @ noise[keep[first:last] - start]) * sigma
    return out


def _passes(codes: Sequence[IntArray], ks: Sequence[int], size: int) -> Iterator[IntArray]:
    """Rows of each pass, which have at most `size` effects between them (or are one row)."""
    m = len(codes[0])
    if _effects(codes, ks, np.arange(m)) <= size:
        yield np.arange(m)
        return
    widest = max(range(len(codes)), key=lambda t: len(np.unique(codes[t])) * ks[t])
    order = np.argsort(codes[widest], kind="stable")
    start = 0
    while start < m:
        low, high = start + 1, m
        while low < high:  # the last row with which the effects still fit
            middle = (low + high + 1) // 2
            fits = _effects(codes, ks, order[start:middle]) <= size
            low, high = (middle, high) if fits else (low, middle - 1)
        yield order[start:low]
        start = low


def _effects(codes: Sequence[IntArray], ks: Sequence[int], rows: IntArray) -> int:
    """How many random effects some rows have between them."""
    levels = [np.unique(own[rows]) for own in codes]
    return sum(k * int(np.sum(own >= 0)) for k, own in zip(ks, levels, strict=True))

"""Intervals from draws of linear predictors, collected block by block of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from merextras.accessors.pick import COMBINED, FIXED, parts_of
from merextras.foundation.aliases import Array
from merextras.model.design.design import Design
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.draws import of_means
from merextras.simulation.linear_predictor import RowDraws


@dataclass(frozen=True, eq=False)
class Residuals:
    """What is added to a linear predictor, of a linear model to make an observation.

    Attributes
    ----------
    scale : (n,) array or None
        Standard deviation over sigma of each row of the target; one if None.
    to_parts : bool
        Whether parts of the mean get residuals too.
    rng : Generator
    """

    scale: Array | None
    to_parts: bool
    rng: np.random.Generator

    def add(self, out: Array, draws: RowDraws, part: slice) -> None:
        """Add residuals of their own to ``out``, (rows, n_sims), in place."""
        noise = self.rng.standard_normal(out.shape)
        noise *= draws.sigma
        if self.scale is not None:
            noise *= self.scale[draws.at[part], None]
        out += noise


@dataclass(frozen=True, eq=False)
class Observations:
    """New responses of a generalised model in place of their means.

    Attributes
    ----------
    model : FittedGlmm
    trials : (n,) array or None
        Of each row of the target, for a binomial family: responses are proportions of them.
    rng : Generator
    """

    model: FittedGlmm
    trials: Array | None
    rng: np.random.Generator

    def add(self, out: Array, draws: RowDraws, part: slice) -> None:
        """Draw responses with the means in ``out``, (rows, n_sims), in place."""
        if self.trials is None:
            out[:] = of_means(self.model, out, None, self.rng)
            return
        trials = np.broadcast_to(self.trials[draws.at[part], None], out.shape)
        out[:] = of_means(self.model, out, trials, self.rng) / trials


@dataclass(frozen=True, eq=False)
class IntervalTables:
    """Fit, lower and upper of each effect by rows, filled as the draws come.

    Attributes
    ----------
    design : Design
    which : str
        ``"full"``, ``"fixed"``, ``"random"`` or ``"all"``.
    stat : str
        ``"median"`` or ``"mean"``.
    level : float
    offset : (n,) array or None
    residuals : Residuals, Observations or None
    inverse_link : callable or None
        Of a generalised model, for what is wanted on the scale of the response: all of it, or the
        fixed part asked for by itself.
    tables : dict effect -> (n, 3) array
    sims : dict effect -> (n, n_sims) array
        Empty if the draws are not wanted.
    """

    design: Design
    which: str
    stat: str
    level: float
    offset: Array | None
    residuals: Residuals | Observations | None
    inverse_link: Callable[[Array], Array] | None = None
    tables: dict[str, Array] = field(default_factory=dict)
    sims: dict[str, Array] = field(default_factory=dict)

    @property
    def effects(self) -> list[str]:
        """What is predicted."""
        return parts_of(self.design) if self.which == "all" else [self.which]

    def prepare(self, n: int, n_sims: int, *, keep: bool) -> None:
        """Make room for n rows, NaN until they are filled, and for their draws."""
        for effect in self.effects:
            self.tables[effect] = np.full((n, 3), np.nan)
            if keep:
                self.sims[effect] = np.full((n, n_sims), np.nan)

    def fill(self, draws: RowDraws, part: slice) -> None:
        """Summarise some rows of a pass."""
        at = draws.at[part]
        for effect, made in self._made(draws, part):
            whole, more = effect in {"full", COMBINED}, self.residuals
            if isinstance(more, Residuals) and (whole or more.to_parts):
                more.add(made, draws, part)
            if self.inverse_link is not None and (whole or self.which == "fixed"):
                made[:] = self.inverse_link(made)
            if isinstance(more, Observations) and whole:
                more.add(made, draws, part)
            if effect in self.sims:
                self.sims[effect][at] = made
            self.tables[effect][at] = intervals(made, self.stat, self.level)

    def _made(self, draws: RowDraws, part: slice) -> Iterator[tuple[str, Array]]:
        """Linear predictors of the effects, (rows, n_sims) each, to be changed at will."""
        terms = range(len(self.design.terms))
        if self.which == "random":
            made = np.zeros((len(draws.at[part]), len(draws.sigma)))
            draws.add_effects(made, part, terms)
            yield "random", made
            return
        fixed = draws.fixed(part)
        if self.offset is not None:
            fixed += self.offset[draws.at[part], None]
        if self.which == "full":
            draws.add_effects(fixed, part, terms)
        if self.which != "all":
            yield self.which, fixed
            return
        total = fixed.copy()
        for factor in self.design.factors:
            own = np.zeros_like(fixed)
            draws.add_effects(own, part, self.design.terms_of(factor))
            total += own
            yield factor, own
        yield FIXED, fixed
        yield COMBINED, total


def intervals(draws: Array, stat: str, level: float) -> Array:
    """Fit, lower and upper of each row of draws, (m, 3); the draws are sorted in place.

    Quantiles of type 7 (Hyndman and Fan 1996), R's and numpy's own.
    """
    mean = draws.mean(axis=1) if stat == "mean" else None
    draws.sort(axis=1)
    places = np.array([0.5, (1.0 - level) / 2.0, (1.0 + level) / 2.0]) * (draws.shape[1] - 1)
    below = np.floor(places).astype(np.intp)
    above = np.minimum(below + 1, draws.shape[1] - 1)
    low = draws[:, below]
    out = low + (places - below) * (draws[:, above] - low)
    if mean is not None:
        out[:, 0] = mean
    return np.asarray(out)


def blocks_of_rows(rows: int, n_sims: int, size: int) -> Iterator[slice]:
    """Slices of rows that have about `size` numbers under all draws."""
    step = max(1, size // n_sims)
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))

"""R squared and intraclass correlations, with their intervals if they were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, TextResult
from merextras.results.replicates.bootstrap import Bootstrap

__all__ = ["Icc", "RSquared"]


@dataclass(frozen=True, eq=False, repr=False)
class EffectSizes(FrozenArrays, TextResult):
    """Shares of variance between 0 and 1.

    Attributes
    ----------
    groups, terms : tuples of str
        What each value is of.
    values : array
    bootstrap : Bootstrap or None
        The replicates, a column per value.
    level : float
        Of the intervals.
    by_residual : DataFrame or None
        Under ``residual_by=``: the same with the residual variance of each group, a row each, in
        place of the mean over the observations.
    limits : (low, high), optional
        An interval of all the values by the F distribution, in place of the bootstrap's.
    distribution : str
        Of a generalised model: what its distribution's variance is.
    """

    groups: tuple[str, ...]
    terms: tuple[str, ...]
    values: Array
    bootstrap: Bootstrap | None
    level: float
    by_residual: pd.DataFrame | None = None
    limits: tuple[float, float] | None = None
    distribution: str = ""

    _arrays = ("values",)

    def _columns(self) -> dict[str, Any]:
        columns: dict[str, Any] = {"estimate": np.array(self.values)}
        if self.bootstrap is not None:
            limits = self.bootstrap.confint(self.level)
            columns["conf_low"] = limits["conf_low"].to_numpy()
            columns["conf_high"] = limits["conf_high"].to_numpy()
        if self.limits is not None:
            columns["conf_low"], columns["conf_high"] = self.limits
        return columns

    def _note(self) -> Parts:
        own = [f"distribution variance: {self.distribution}"] if self.distribution else []
        return [*own, *self._of_intervals()]

    def _of_intervals(self) -> Parts:
        if self.limits is not None:
            return [f"{100.0 * self.level:g} % intervals, exact, by the F distribution"]
        if self.by_residual is not None:
            name = self.by_residual.index.name
            return [f"of the mean residual variance; by its groups, {name}:", self.by_residual]
        if self.bootstrap is None:
            return []
        boot = self.bootstrap
        failed = f", {boot.n_failed} failed" if boot.n_failed else ""
        return [
            f"{100.0 * self.level:g} % percentile intervals, parametric bootstrap: "
            f"{boot.n_sims} replicates{failed}"
        ]


@dataclass(frozen=True, eq=False, repr=False)
class RSquared(EffectSizes):
    """What `r2` returns.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.replicates.effect_size import RSquared
    >>> r2 = RSquared(("", ""), ("marginal", "conditional"), np.array([0.25, 0.5]), None, 0.95)
    >>> r2.marginal, r2.conditional
    (0.25, 0.5)
    """

    @property
    def marginal(self) -> float:
        """Share of the fixed part."""
        return float(self.values[0])

    @property
    def conditional(self) -> float:
        """Share of the fixed part and the random effects."""
        return float(self.values[1])

    def to_frame(self) -> pd.DataFrame:
        """Two rows: ``term estimate``, with ``conf_low conf_high`` if there are intervals."""
        return pd.DataFrame({"term": list(self.terms), **self._columns()})

    def _parts(self) -> Parts:
        """The two with their intervals."""
        frame = self.to_frame().set_index("term").rename_axis(None)
        return ["R squared (Nakagawa)", frame, *self._note()]


@dataclass(frozen=True, eq=False, repr=False)
class Icc(EffectSizes):
    """What `icc` returns.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.replicates.effect_size import Icc
    >>> terms, values = ("adjusted", "unadjusted") * 2, np.array([0.5, 0.4, 0.5, 0.4])
    >>> icc = Icc(("", "", "school", "school"), terms, values, None, 0.95)
    >>> icc.adjusted, icc.unadjusted
    (0.5, 0.4)
    >>> icc.by_factor
            adjusted  unadjusted
    group...
    school       0.5         0.4
    """

    @property
    def adjusted(self) -> float:
        """Share of the random effects in what the fixed part leaves."""
        return float(self.values[0])

    @property
    def unadjusted(self) -> float:
        """Share of the random effects in all variance."""
        return float(self.values[1])

    @property
    def by_factor(self) -> pd.DataFrame:
        """The same of each grouping factor: ``adjusted unadjusted`` by ``group``."""
        index = pd.Index(self.groups[2::2], name="group")
        return pd.DataFrame(
            np.array(self.values[2:]).reshape(-1, 2),
            index=index,
            columns=["adjusted", "unadjusted"],
        )

    def to_frame(self) -> pd.DataFrame:
        """``group term estimate``, with ``conf_low conf_high``; all factors together have no group.

        The first two rows are of all factors together, under the group ``""``.
        """
        columns = {"group": list(self.groups), "term": list(self.terms)}
        return pd.DataFrame({**columns, **self._columns()})

    def _parts(self) -> Parts:
        """All of them."""
        frame = self.to_frame()
        labels = [
            f"{term}, {group}" if group else term
            for group, term in zip(self.groups, self.terms, strict=True)
        ]
        shown = frame.drop(columns=["group", "term"]).set_axis(pd.Index(labels), axis=0)
        if len(self.values) == 4:  # one factor's are those of all
            shown = shown.iloc[:2]
        return ["Intraclass correlation", shown, *self._note()]

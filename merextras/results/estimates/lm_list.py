"""A linear model of each group: its coefficients, their intervals, the pooled residual variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray
from merextras.foundation.arguments import check_flag, check_level
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, Table, TextResult

__all__ = ["LmList"]


@dataclass(frozen=True, repr=False, eq=False)
class LmList(FrozenArrays, TextResult):
    """Least squares in each of J groups, p coefficients each, without pooling.

    Attributes
    ----------
    formula : str
    group : str
        The grouping factor.
    levels : Index, (J,)
    names : tuple of str
        The p coefficients.
    estimates : (J, p) array
        NaN for a coefficient that a group's rows do not determine: its column depends on those
        before it there, as R has NA.
    unscaled : (J, p) array
        Standard errors over the residual standard deviation, NaN likewise.
    rss : (J,) array
        Residual sums of squares, weighted.
    n : (J,) array
        Observations.
    rank : (J,) array
        Coefficients that are determined.
    complete : (p,) array
        The fit to all rows at once: complete pooling.
    """

    formula: str
    group: str
    levels: pd.Index
    names: tuple[str, ...]
    estimates: Array
    unscaled: Array
    rss: Array
    n: Array
    rank: Array
    complete: Array

    _arrays: ClassVar[tuple[str, ...]] = ("estimates", "unscaled", "rss", "n", "rank", "complete")

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def df(self) -> Array:
        """Residual degrees of freedom of each group, (J,)."""
        return self.n - self.rank

    @property
    def df_residual(self) -> float:
        """Residual degrees of freedom of all groups together."""
        return float(np.sum(self.df))

    @property
    def sigma(self) -> float:
        """The pooled residual standard deviation; NaN where no group has a degree of freedom."""
        df = self.df_residual
        return float(np.sqrt(np.sum(self.rss) / df)) if df > 0 else np.nan

    @property
    def sigmas(self) -> pd.Series:
        """Each group's own residual standard deviation; NaN without degrees of freedom."""
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.sqrt(np.where(self.df > 0, self.rss / self.df, np.nan))
        return pd.Series(values, index=self._index, name="sigma")

    @property
    def deficient(self) -> BoolArray:
        """Groups that do not determine all coefficients, (J,)."""
        return np.asarray(self.rank < len(self.names))

    @cached_property
    def _index(self) -> pd.Index:
        return self.levels.rename(self.group)

    def coef(self) -> pd.DataFrame:
        """The coefficients, a row for each group."""
        return pd.DataFrame(self.estimates.copy(), index=self._index, columns=list(self.names))

    def std_error(self, *, pooled: bool = True) -> pd.DataFrame:
        """Their standard errors, with the pooled residual variance or each group's own."""
        values = self._scales(pooled)[:, None] * self.unscaled
        return pd.DataFrame(values, index=self._index, columns=list(self.names))

    def confint(self, level: float = 0.95, *, pooled: bool = True) -> pd.DataFrame:
        """Intervals of the coefficients by Student's t, nlme's ``intervals(lmList)``.

        Parameters
        ----------
        level : float
        pooled : bool
            With the pooled residual standard deviation and its degrees of freedom, or with each
            group's own.

        Returns
        -------
        DataFrame
            ``group level term estimate std_error conf_low conf_high``, a row for each group and
            coefficient; ``plot_ranef(frame, level=None)`` draws it.
        """
        level = check_level(level)
        return self._long(level, check_flag(pooled, "pooled"))

    def to_frame(self) -> pd.DataFrame:
        """``group level term estimate std_error statistic df p_value conf_low conf_high``."""
        frame = self._long(0.95, True)
        statistic = (frame["estimate"] / frame["std_error"]).to_numpy()
        df = self._t_df(True)
        p_value = 2.0 * stats.t.sf(np.abs(statistic), df)
        for at, (name, values) in enumerate(
            {"statistic": statistic, "df": df, "p_value": p_value}.items()
        ):
            frame.insert(5 + at, name, values)
        return frame

    def summary(self) -> pd.DataFrame:
        """Each coefficient's spread over the groups: ``n mean sd min median max mean_std_error``.

        `n` counts the groups that determine it.
        """
        coef = self.coef()
        return Table.of(
            pd.DataFrame(
                {
                    "n": coef.notna().sum(),
                    "mean": coef.mean(),
                    "sd": coef.std(),
                    "min": coef.min(),
                    "median": coef.median(),
                    "max": coef.max(),
                    "mean_std_error": self.std_error().mean(),
                }
            )
        )

    def shrinkage(self, m: Any) -> pd.DataFrame:
        """Beside a mixed model of the same groups: what `plot_shrinkage` draws.

        Parameters
        ----------
        m : MerMod
            With coefficients of these names that vary by the factor, or some of them.

        Returns
        -------
        DataFrame
            As of `merextras.shrinkage`: ``group level term n no_pooling partial_pooling
            complete_pooling``, by coefficient and group.

        Raises
        ------
        InvalidArgumentError
            The model has no such factor, other levels, or none of the coefficients varies by it.
        """
        terms, partial = self._partial(m)
        parts = []
        for name in terms:
            at = self.names.index(name)
            part = {
                "group": self.group,
                "level": np.asarray(self.levels, dtype=object),
                "term": name,
                "n": self.n.astype(int),
                "no_pooling": self.estimates[:, at],
                "partial_pooling": partial[name].to_numpy(),
                "complete_pooling": self.complete[at],
            }
            parts.append(pd.DataFrame(part))
        return pd.concat(parts, ignore_index=True)

    def _partial(self, m: Any) -> tuple[Sequence[str], pd.DataFrame]:
        """The terms that vary by the factor in a mixed model, and its coefficients."""
        modes = m.ranef() if hasattr(m, "ranef") else {}
        if self.group not in modes:
            raise InvalidArgumentError(
                f"m: expected a mixed model (MerMod) with the grouping factor {self.group!r}"
            )
        varying = [name for name in self.names if name in modes[self.group].columns]
        coef = m.coef()[self.group]
        if not varying or not self.levels.isin(coef.index).all():
            raise InvalidArgumentError(
                f"m: its effects by {self.group!r} are {list(modes[self.group].columns)} in "
                f"{len(coef)} levels; these fits have {list(self.names)} in {len(self)}, and need "
                "the same levels and a name in common"
            )
        return varying, coef.loc[self.levels]

    def _scales(self, pooled: bool) -> Array:
        return np.full(len(self), self.sigma) if pooled else self.sigmas.to_numpy()

    def _t_df(self, pooled: bool) -> Array | float:
        """Student's degrees of freedom, of all groups or (J, 1) each group's own."""
        if pooled:
            return self.df_residual
        return np.where(self.df > 0, self.df, np.nan)[:, None]

    def _long(self, level: float, pooled: bool) -> pd.DataFrame:
        estimate, error = self.estimates, self._scales(pooled)[:, None] * self.unscaled
        with np.errstate(invalid="ignore"):
            quantile = stats.t.isf((1.0 - level) / 2.0, self._t_df(pooled))
        half = quantile * error
        count, p = len(self), len(self.names)
        return Table.of(
            pd.DataFrame(
                {
                    "group": self.group,
                    "level": np.repeat(np.asarray(self.levels, dtype=object), p),
                    "term": np.tile(np.array(self.names, dtype=object), count),
                    "estimate": estimate.reshape(-1),
                    "std_error": error.reshape(-1),
                    "conf_low": (estimate - half).reshape(-1),
                    "conf_high": (estimate + half).reshape(-1),
                }
            )
        )

    def _title(self) -> str:
        return f"Linear models by {self.group}: {self.formula}"

    def _of_scale(self) -> list[str]:
        return [
            f"Pooled residual standard deviation {self.sigma:.4g} on {self.df_residual:.0f} "
            "degrees of freedom"
        ]

    def _footer(self) -> list[str]:
        lines = self._of_scale()
        few = int(np.sum(self.deficient))
        if few:
            lines.append(f"{few} group(s) do not determine all coefficients, which are NaN there")
        return lines

    def _parts(self) -> Parts:
        return [
            self._title(),
            f"{len(self)} groups, {int(np.sum(self.n))} observations",
            self.summary(),
            *self._footer(),
        ]

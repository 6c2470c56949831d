"""A generalised linear model of each group: its coefficients and their intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray
from merextras.foundation.arguments import check_flag
from merextras.results.estimates.lm_list import LmList
from merextras.results.ratios import RATIOS, as_ratios

__all__ = ["GlmList"]


@dataclass(frozen=True, repr=False, eq=False)
class GlmList(LmList):
    """Maximum likelihood in each of J groups, p coefficients each, without pooling.

    An `LmList` on the scale of the linear predictor; where the family has a dispersion, `sigma` is
    its root, and Student's t with the residual degrees of freedom is taken; else `sigma` is one and
    the distribution normal.

    Attributes
    ----------
    family : str
        With its link.
    dispersed : bool
        Whether the family has a dispersion, estimated by Pearson's statistic over its degrees of
        freedom.
    estimates, unscaled : (J, p) arrays
        NaN also for a coefficient of a separated group that is infinite. Standard errors are of the
        expected information.
    rss : (J,) array
        Pearson's statistics.
    deviance : (J,) array
        At a dispersion of one; of a separated group its limit.
    separated : (J,) boolean array
        Groups in which a combination of the columns tells successes from failures, or where counts
        are zero: the likelihood rises without end along it.
    found : (J,) boolean array
        Groups whose search ended, or are separated; all coefficients of the others are NaN.
    """

    family: str
    dispersed: bool
    deviance: Array
    separated: BoolArray
    found: BoolArray

    _arrays = (*LmList._arrays, "deviance", "separated", "found")

    @property
    def sigma(self) -> float:
        """The root of the pooled dispersion; one of a family without."""
        if not self.dispersed:
            return 1.0
        used = self.df[self._whole]
        df = float(np.sum(used))
        return float(np.sqrt(np.sum(self.rss[self._whole]) / df)) if df > 0 else np.nan

    @property
    def sigmas(self) -> pd.Series:
        """The root of each group's own dispersion; one of a family without."""
        if self.dispersed:
            return super().sigmas.where(self._whole)
        return pd.Series(1.0, index=self._index, name="sigma")

    @property
    def df_residual(self) -> float:
        """Residual degrees of freedom of all groups whose search ended."""
        return float(np.sum(self.df[self._whole]))

    @property
    def _whole(self) -> BoolArray:
        return np.asarray(self.found & ~self.separated)

    def confint(
        self, level: float = 0.95, *, pooled: bool = True, exponentiate: bool = False
    ) -> pd.DataFrame:
        """Wald's intervals of the coefficients.

        Parameters
        ----------
        level : float
        pooled : bool
            With the pooled dispersion, or with each group's own; without one they are the same.
        exponentiate : bool
            Of a logit, log or complementary log-log link: ratios of odds, rates or hazards with
            the ends of their intervals, and standard errors by the delta method.

        Returns
        -------
        DataFrame
            ``group level term estimate std_error conf_low conf_high``.
        """
        frame = super().confint(level, pooled=pooled)
        return as_ratios(frame) if self._wants_ratios(exponentiate) else frame

    def to_frame(self, *, exponentiate: bool = False) -> pd.DataFrame:
        """``group level term estimate std_error statistic df p_value conf_low conf_high``.

        With `exponentiate` as in `confint`; statistics and p-values are of the coefficients.
        """
        frame = super().to_frame()
        return as_ratios(frame) if self._wants_ratios(exponentiate) else frame

    def _wants_ratios(self, exponentiate: bool) -> bool:
        link = self.family.partition("(")[2].rstrip(")")
        if check_flag(exponentiate, "exponentiate") and link not in RATIOS:
            raise InvalidArgumentError(
                f"exponentiate=True: with the link {link!r} exponentials of the coefficients are "
                f"no ratios; links with ratios are {', '.join(map(repr, RATIOS))}"
            )
        return exponentiate

    def _t_df(self, pooled: bool) -> Array | float:
        return super()._t_df(pooled) if self.dispersed else np.inf

    def _title(self) -> str:
        return f"Generalised linear models by {self.group}, {self.family}: {self.formula}"

    def _of_scale(self) -> list[str]:
        if not self.dispersed:
            return []
        df = f"{self.df_residual:.0f} degrees of freedom"
        return [f"Pooled dispersion {self.sigma**2:.4g} on {df}"]

    def _footer(self) -> list[str]:
        few = int(np.sum(self.separated))
        text = f"{few} group(s) are separated: coefficients without a finite estimate are NaN there"
        return [*super()._footer(), *([text] if few else [])]

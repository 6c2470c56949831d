"""The printed summary of a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.results.base import Parts, TextResult, format_columns, format_numbers, p_text
from merextras.results.estimates.var_corr import VarCorr

# With more fixed effects than this their correlations are not printed, as in lme4.
_MOST_CORRELATED = 12

_HEADERS = {"estimate": "Estimate", "std_error": "Std. Error"}


@dataclass(frozen=True, repr=False)
class Summary(TextResult):
    """What lme4's ``summary()`` shows.

    Attributes
    ----------
    title, formula : str
    criteria : frame
        One row: the REML criterion, or AIC, BIC, logLik, deviance and df.resid of an ML fit.
    scaled_residuals : (5,) array
        Minimum, quartiles and maximum of the Pearson residuals over sigma.
    var_corr : VarCorr
    nobs : int
    ngrps : Series
        Levels by grouping factor.
    coefficients : frame
        ``estimate std_error statistic`` by fixed effect, with ``df`` and ``p_value`` if asked for.
    correlation : frame
        Of the fixed effects' estimates.
    notes : tuple of str
        What to be aware of: a singular fit, an estimate that moved.
    tested : {"t", "z"}
        What the statistic of a coefficient is.
    """

    title: str
    formula: str
    criteria: pd.DataFrame
    scaled_residuals: Array
    var_corr: VarCorr
    nobs: int
    ngrps: pd.Series
    coefficients: pd.DataFrame
    correlation: pd.DataFrame
    notes: tuple[str, ...]
    tested: str = "t"

    def to_text(self) -> str:
        """The whole summary."""
        groups = "; ".join(f"{name}, {count}" for name, count in self.ngrps.items())
        parts = [
            self.title,
            f"Formula: {self.formula}",
            "",
            self._criteria(),
            "",
            "Scaled residuals:",
            self._residuals(),
            "",
            "Random effects:",
            self.var_corr.to_text(variances=True),
            f"Number of obs: {self.nobs}, groups: {groups}",
            "",
            "Fixed effects:",
            self._coefficients(),
        ]
        if 1 < len(self.correlation) <= _MOST_CORRELATED:
            parts += ["", "Correlation of fixed effects:", self._correlation()]
        elif len(self.correlation) > 1:
            count = len(self.correlation)
            parts += ["", f"The correlation of {count} fixed effects is in summary().correlation."]
        if self.notes:
            parts += ["", *self.notes]
        return "\n".join(parts)

    def _parts(self) -> Parts:
        """The same as text and tables, for a notebook."""
        groups = "; ".join(f"{name}, {count}" for name, count in self.ngrps.items())
        out: list[str | pd.DataFrame] = [
            f"{self.title}\nFormula: {self.formula}\n\n{self._criteria()}",
            "Scaled residuals:",
            self._residual_table(),
            "Random effects:",
            self.var_corr.table(variances=True),
            f"Number of obs: {self.nobs}, groups: {groups}",
            "Fixed effects:",
            self._coefficient_table(),
        ]
        if 1 < len(self.correlation) <= _MOST_CORRELATED:
            out += ["Correlation of fixed effects:", self._correlation_table()]
        return [*out, "\n".join(self.notes)]

    def _coefficients(self) -> str:
        return format_columns(self._coefficient_table())

    def _coefficient_table(self) -> pd.DataFrame:
        frame = self.coefficients
        if "p_value" in frame:
            frame = frame.assign(p_value=[p_text(float(p)) for p in frame["p_value"]])
        names = {"statistic": f"{self.tested} value", "p_value": f"Pr(>|{self.tested}|)"}
        return frame.rename(columns=_HEADERS | names)

    def _criteria(self) -> str:
        if "reml_crit" in self.criteria:
            return f"REML criterion at convergence: {self.criteria['reml_crit'].iloc[0]:.4f}"
        return str(self.criteria.round(4).to_string(index=False))

    def _residuals(self) -> str:
        return str(self._residual_table().to_string(index=False))

    def _residual_table(self) -> pd.DataFrame:
        names = ["Min", "1Q", "Median", "3Q", "Max"]
        return pd.DataFrame([format_numbers(self.scaled_residuals)], [""], names)

    def _correlation(self) -> str:
        return str(self._correlation_table().to_string())

    def _correlation_table(self) -> pd.DataFrame:
        corr = self.correlation
        values = corr.to_numpy(dtype=float)
        text = [
            [f"{values[i, j]:.3f}" if j < i else "" for j in range(len(corr) - 1)]
            for i in range(1, len(corr))
        ]
        columns = [name[:10] for name in map(str, corr.columns[:-1])]
        return pd.DataFrame(text, index=corr.index[1:], columns=columns)


def quantiles5(values: Array) -> Array:
    """Minimum, quartiles, maximum."""
    return np.asarray(np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0]))

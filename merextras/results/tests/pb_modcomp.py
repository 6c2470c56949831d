"""The result of a parametric-bootstrap likelihood ratio test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, TextResult

__all__ = ["PBModcomp"]


@dataclass(frozen=True, eq=False, repr=False)
class PBModcomp(FrozenArrays, TextResult):
    """What `pb_modcomp` returns: the statistic, its reference sample, and tests made from both.

    Parameters
    ----------
    statistic : float
        The likelihood ratio statistic.
    df : int
        Number of parameters that the larger model has more.
    sample : (n,) array
        The statistic of data simulated from the smaller model.
    large, small : str
        Formulas.
    n_failed : int
        Replicates of which a fit did not converge; they are not in the sample.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.tests.pb_modcomp import PBModcomp
    >>> sample = np.linspace(0.0, 3.0, 1000) ** 2 / 2.5
    >>> PBModcomp(3.0, 1, sample, "y ~ x + (1 | g)", "y ~ 1 + (1 | g)").to_frame().round(3)
           test  statistic   df    ddf  p_value
    0       LRT      3.000  1.0    NaN    0.083
    1    PBtest      3.000  NaN    NaN    0.089
    2     Gamma      3.000  NaN    NaN    0.069
    3  Bartlett      2.499  1.0    NaN    0.114
    4         F      3.000  1.0  11.97    0.109
    """

    statistic: float
    df: int
    sample: Array
    large: str
    small: str
    n_failed: int = 0

    _arrays = ("sample",)

    def __post_init__(self) -> None:
        super().__post_init__()
        sample = self.sample
        if sample.ndim != 1 or len(sample) < 2 or not np.all(np.isfinite(sample)):
            raise InvalidArgumentError(
                "sample: needs at least two finite values in one dimension, got shape "
                f"{sample.shape}"
            )

    @property
    def n_sims(self) -> int:
        """Number of replicates, failed ones included."""
        return len(self.sample) + self.n_failed

    @property
    def n_exceeding(self) -> int:
        """Number of simulated statistics that are at least the observed one."""
        return int(np.count_nonzero(self.sample >= self.statistic))

    @property
    def p_value(self) -> float:
        """The bootstrap p-value, ``(n_exceeding + 1) / (n + 1)``: never zero."""
        return (self.n_exceeding + 1.0) / (len(self.sample) + 1.0)

    @property
    def p_value_se(self) -> float:
        """Monte Carlo standard error of the p-value."""
        p = self.p_value
        return float(np.sqrt(p * (1.0 - p) / len(self.sample)))

    @property
    def mean(self) -> float:
        """Mean of the sample: its excess over `df` is what Bartlett's correction removes."""
        return float(np.mean(self.sample))

    @property
    def variance(self) -> float:
        """Variance of the sample."""
        return float(np.var(self.sample, ddof=1))

    def to_frame(self) -> pd.DataFrame:
        """A row per test: ``test statistic df ddf p_value``.

        NaN where there is no such number. The F approximation needs a sample whose mean exceeds its
        degrees of freedom.
        """
        t, d, mean, variance = self.statistic, float(self.df), self.mean, self.variance
        ratio = mean / d
        bartlett = t / ratio if ratio > 0.0 else np.nan
        ddf = 2.0 * ratio / (ratio - 1.0) if ratio > 1.0 else np.nan
        gamma = np.nan
        if variance > 0.0:
            gamma = stats.gamma.sf(t, mean**2 / variance, scale=variance / mean)
        rows = [
            ("LRT", t, d, np.nan, stats.chi2.sf(t, d)),
            ("PBtest", t, np.nan, np.nan, self.p_value),
            ("Gamma", t, np.nan, np.nan, gamma),
            ("Bartlett", bartlett, d, np.nan, stats.chi2.sf(bartlett, d)),
            ("F", t / d, d, ddf, stats.f.sf(t / d, d, ddf)),
        ]
        frame = pd.DataFrame(rows, columns=["test", "statistic", "df", "ddf", "p_value"])
        return frame.astype({"statistic": float, "df": float, "ddf": float, "p_value": float})

    def _parts(self) -> Parts:
        """The models and the table."""
        frame = self.to_frame().set_index("test").rename_axis(None)
        frame["df"] = ["" if np.isnan(v) else f"{v:.0f}" for v in frame["df"]]
        for name, form in (("statistic", "{:.4f}"), ("ddf", "{:.2f}"), ("p_value", "{:.4g}")):
            frame[name] = ["" if np.isnan(v) else form.format(v) for v in frame[name]]
        failed = f", {self.n_failed} failed" if self.n_failed else ""
        return [
            f"Parametric bootstrap test; {self.n_sims} samples, {self.n_exceeding} at least as "
            f"extreme{failed}",
            f"large: {self.large}",
            f"small: {self.small}",
            frame,
        ]

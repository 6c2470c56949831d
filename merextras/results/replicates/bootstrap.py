"""Bootstrap replicates of a model's parameters, or of any function of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice, check_level
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import Parts, TextResult
from merextras.results.replicates import bootstrap_file

__all__ = ["Bootstrap"]

TYPES = ("percentile", "basic", "normal", "shortest")
# A share of replicates this close to a whole number of them is that number: rounding.
_WHOLE = 1e-9


@dataclass(frozen=True, eq=False, repr=False)
class Bootstrap(FrozenArrays, TextResult):
    """What `bootstrap` returns: the replicates, and what follows from them.

    Parameters
    ----------
    names : tuple of str
        Parameters, in the order of the columns of `replicates`.
    values : (k,) array
        Their values at the fit itself.
    replicates : (n_sims, k) array
        NaN in the whole row of a failed replicate; elsewhere where a value does not exist, such as
        a correlation with an effect whose variance is estimated at zero.
    singular_share : float
        Share of the replicates that did not fail whose fit is singular.
    kind : str
        ``"parametric"``, ``"semiparametric"`` or ``"cases"``.
    use_u : bool
        Whether the random effects were kept at their modes.
    failures : mapping message -> count, optional
        Why replicates failed.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.replicates.bootstrap import Bootstrap
    >>> draws = np.arange(1.0, 102.0)[:, None]
    >>> boot = Bootstrap(("x",), np.array([50.0]), draws, 0.0, "parametric", False)
    >>> boot.confint(0.9)
       conf_low  conf_high
    x       6.0       96.0
    """

    names: tuple[str, ...]
    values: Array
    replicates: Array
    singular_share: float
    kind: str
    use_u: bool
    failures: Mapping[str, int] | None = None

    _arrays = ("values", "replicates")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "failures", dict(self.failures or {}))

    @property
    def n_sims(self) -> int:
        """Number of replicates, failed ones included."""
        return len(self.replicates)

    @property
    def n_failed(self) -> int:
        """Number of replicates without an estimate; nothing else counts them."""
        return sum((self.failures or {}).values())

    @property
    def estimates(self) -> pd.DataFrame:
        """A fresh frame of the replicates, a column per parameter."""
        index = pd.RangeIndex(1, self.n_sims + 1, name="replicate")
        return pd.DataFrame(np.array(self.replicates), index=index, columns=list(self.names))

    @property
    def observed(self) -> pd.Series:
        """The values at the fit itself."""
        return self._series(self.values, "observed")

    @property
    def n_used(self) -> pd.Series:
        """How many replicates have a value, by parameter."""
        return self._series(np.sum(np.isfinite(self.replicates), axis=0), "n_used")

    @property
    def bias(self) -> pd.Series:
        """Mean of the replicates less the observed value."""
        return self._series(self._over(np.mean) - self.values, "bias")

    @property
    def std_error(self) -> pd.Series:
        """Standard deviation of the replicates (divisor one less than their number)."""
        return self._series(self._over(_sd), "std_error")

    def quantiles(self, probs: float | Sequence[float] | Array) -> pd.DataFrame:
        """Compute quantiles of the replicates that have a value, R's type 7.

        Parameters
        ----------
        probs : float or sequence of floats
            Between 0 and 1.

        Returns
        -------
        DataFrame
            A row per parameter, a column per probability.

        Raises
        ------
        InvalidArgumentError
            For a probability outside 0 to 1.
        """
        at = np.atleast_1d(np.asarray(probs, dtype=float))
        if at.ndim != 1 or not np.all((at >= 0.0) & (at <= 1.0)):
            raise InvalidArgumentError(f"probs={probs!r}: probabilities are between 0 and 1")
        rows = [
            np.quantile(column[np.isfinite(column)], at)
            if np.any(np.isfinite(column))
            else np.full(len(at), np.nan)
            for column in self.replicates.T
        ]
        values = np.array(rows).reshape(len(self.names), len(at))
        return pd.DataFrame(values, index=list(self.names), columns=at)

    def confint(self, level: float = 0.95, type: str = "percentile") -> pd.DataFrame:  # noqa: A002
        """Confidence intervals from the replicates.

        Parameters
        ----------
        level : float, default 0.95
        type : {"percentile", "basic", "normal", "shortest"}
            The replicates' own quantiles ``(q_low, q_high)``; these reflected at the observed value
            ``(2 t - q_high, 2 t - q_low)``; or ``t - bias -+ z std_error`` (Davison & Hinkley 1997,
            *Bootstrap Methods and their Application*, chapter 5); or the shortest interval that
            holds ``ceil(level n)`` of the n replicates, a variance's shorter than the percentile's
            and to its left (the highest density's of draws with one mode). Standard deviations may
            get negative limits from the second and third.

        Returns
        -------
        DataFrame
            ``conf_low conf_high``, indexed by parameter; NaN for a parameter without replicates.

        Raises
        ------
        InvalidArgumentError
            For another type, or a level outside (0, 1).
        """
        level, tail = check_level(level), (1.0 - check_level(level)) / 2.0
        check_choice(type, TYPES, "type")
        if type == "shortest":
            low, high = np.array([shortest(column, level) for column in self.replicates.T]).T
        elif type == "normal":
            centre = self.values - self.bias.to_numpy()
            half = stats.norm.isf(tail) * self.std_error.to_numpy()
            low, high = centre - half, centre + half
        else:
            low, high = self.quantiles([tail, 1.0 - tail]).to_numpy().T
            if type == "basic":
                low, high = 2.0 * self.values - high, 2.0 * self.values - low
        return pd.DataFrame({"conf_low": low, "conf_high": high}, index=list(self.names))

    def to_frame(self, *, level: float = 0.95, type: str = "percentile") -> pd.DataFrame:  # noqa: A002
        """Summarise: ``term estimate bias std_error conf_low conf_high n_used``."""
        limits = self.confint(level, type)
        columns = {
            "term": list(self.names),
            "estimate": np.array(self.values),
            "bias": self.bias.to_numpy(),
            "std_error": self.std_error.to_numpy(),
            "conf_low": limits["conf_low"].to_numpy(),
            "conf_high": limits["conf_high"].to_numpy(),
            "n_used": self.n_used.to_numpy(),
        }
        return pd.DataFrame(columns)

    def save(self, path: str | Path) -> None:
        """Write the replicates to a parquet file, whole or not at all; `load_bootstrap` reads it.

        Parameters
        ----------
        path : path
            A column for each parameter, and what else there is as text in the file's metadata. It
            needs pyarrow (``merextras[arrow]``).
        """
        bootstrap_file.write(self, Path(path))

    def _parts(self) -> Parts:
        """The summary and what went wrong."""
        frame = self.to_frame().set_index("term").rename_axis(None)
        used = frame.pop("n_used")
        given = " given the random effects' modes" if self.use_u else ""
        lines: list[str | pd.DataFrame] = [
            f"{self.kind.capitalize()} bootstrap{given}: {self.n_sims} replicates, "
            f"{self.n_failed} failed, {100.0 * self.singular_share:.1f} % singular",
            frame,
        ]
        for name, count in used.items():
            missing = self.n_sims - self.n_failed - count
            if missing:
                lines.append(f"{name}: does not exist in {missing} of the replicates")
        lines += [f"failed, {n} times: {why}" for why, n in (self.failures or {}).items()]
        return lines

    def _series(self, values: Array, name: str) -> pd.Series:
        return pd.Series(np.array(values), index=list(self.names), name=name)

    def _over(self, function: Any) -> Array:
        """A function of the finite replicates of each parameter; NaN if there are none."""
        finite = [column[np.isfinite(column)] for column in self.replicates.T]
        return np.array([function(values) if len(values) else np.nan for values in finite])


def shortest(values: Array, level: float) -> tuple[float, float]:
    """Ends of the shortest interval that holds a share of the finite values; NaN without any."""
    ordered = np.sort(values[np.isfinite(values)])
    if not len(ordered):
        return np.nan, np.nan
    count = int(np.ceil(level * len(ordered) - _WHOLE))
    widths = ordered[count - 1 :] - ordered[: len(ordered) - count + 1]
    at = int(np.argmin(widths))
    return float(ordered[at]), float(ordered[at + count - 1])


def _sd(values: Array) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan

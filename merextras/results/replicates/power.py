"""The power of a test: how often it finds what is there, by simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_level
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import TextResult, format_columns

__all__ = ["Power", "PowerCurve"]

COLUMNS = ["power", "conf_low", "conf_high", "n_rejected", "n_used", "n_failed"]


@dataclass(frozen=True, eq=False, repr=False)
class Power(FrozenArrays, TextResult):
    """What `power` returns: the p-values of the simulated studies, and the share below `alpha`.

    Parameters
    ----------
    test : str
        What is tested, in words.
    method : str
        How: ``"satterthwaite"``, ``"kenward-roger"``, ``"asymptotic"`` or ``"lrt"``.
    p_values : (n_sims,) array
        NaN where a simulated study has none.
    alpha : float
        The test's level.
    effect : tuple of float
        What the tested contrasts are in the model that was simulated from; empty for a variance.
    n_rows : int
    n_levels : mapping factor -> int
        The size of the study.
    level : float
        Of the interval of the power.
    singular_share : float
        Share of the simulated studies whose fit is singular.
    failures : mapping message -> count
        Why studies have no p-value.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.replicates.power import Power
    >>> found = Power("x", "lrt", np.array([0.01, 0.2, 0.03, 0.04]), 0.05, (1.0,), 20, {"g": 5})
    >>> found.power, found.n_used
    (0.75, 4)
    """

    test: str
    method: str
    p_values: Array
    alpha: float
    effect: tuple[float, ...]
    n_rows: int
    n_levels: Mapping[str, int]
    level: float = 0.95
    singular_share: float = 0.0
    failures: Mapping[str, int] = field(default_factory=dict)

    _arrays = ("p_values",)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "failures", dict(self.failures))

    @property
    def n_sims(self) -> int:
        """Simulated studies, failed ones included."""
        return len(self.p_values)

    @property
    def n_used(self) -> int:
        """Studies with a p-value; the power is a share of these."""
        return int(np.sum(np.isfinite(self.p_values)))

    @property
    def n_failed(self) -> int:
        """Studies without a p-value: nothing else counts them."""
        return self.n_sims - self.n_used

    @property
    def n_rejected(self) -> int:
        """Studies whose p-value is below `alpha`."""
        return int(np.sum(self.p_values < self.alpha))

    @property
    def power(self) -> float:
        """Share of the studies with a p-value in which it is below `alpha`."""
        return self.n_rejected / self.n_used if self.n_used else np.nan

    @property
    def std_error(self) -> float:
        """Monte Carlo standard error of `power`."""
        return float(np.sqrt(self.power * (1.0 - self.power) / self.n_used))

    def confint(self, level: float | None = None) -> tuple[float, float]:
        """Clopper and Pearson's exact interval of the power, for the number of simulations.

        Parameters
        ----------
        level : float, optional
            By default that of `power`.
        """
        level = self.level if level is None else check_level(level)
        if not self.n_used:
            return np.nan, np.nan
        found = stats.binomtest(self.n_rejected, self.n_used).proportion_ci(level, method="exact")
        return float(found.low), float(found.high)

    def at(self, alpha: float) -> Power:
        """Return the power of the same studies at another level of the test."""
        values = {**self.__dict__, "alpha": check_level(alpha, "alpha")}
        return Power(**values)

    def to_frame(self) -> pd.DataFrame:
        """One row: ``power conf_low conf_high n_rejected n_used n_failed``."""
        low, high = self.confint()
        counts = [self.n_rejected, self.n_used, self.n_failed]
        row = dict(zip(COLUMNS, [self.power, low, high, *counts], strict=True))
        return pd.DataFrame(row, index=pd.Index([self.test], name="test"))

    def to_text(self) -> str:
        """Write the power, its interval and what went wrong."""
        low, high = self.confint()
        size = ", ".join(f"{n} {factor}" for factor, n in self.n_levels.items())
        lines = [
            f"Power of a test of {self.test} ({self.method}, alpha {self.alpha:g}): "
            f"{100.0 * self.power:.1f} % ({100.0 * self.level:g} % interval "
            f"{100.0 * low:.1f} to {100.0 * high:.1f})",
            f"{self.n_sims} simulated studies of {self.n_rows} rows ({size}); "
            f"{self.n_failed} failed, {100.0 * self.singular_share:.1f} % singular",
        ]
        if self.effect:
            lines.insert(1, "true value: " + ", ".join(f"{value:g}" for value in self.effect))
        lines += [f"failed, {n} times: {why}" for why, n in self.failures.items()]
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False)
class PowerCurve(TextResult):
    """What `power_curve` returns: the power by the size of the study.

    Parameters
    ----------
    along : str
        What the sizes are of: a grouping factor, or ``"within"`` with its name.
    values : tuple of int
    powers : tuple of Power
        One for each value.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.replicates.power import Power, PowerCurve
    >>> one = Power("x", "lrt", np.array([0.01, 0.2]), 0.05, (1.0,), 20, {"g": 5})
    >>> two = Power("x", "lrt", np.array([0.01, 0.02]), 0.05, (1.0,), 40, {"g": 10})
    >>> curve = PowerCurve("g", (5, 10), (one, two))
    >>> curve.to_frame()["power"].tolist(), curve.smallest(0.8)
    ([0.5, 1.0], 10)
    """

    along: str
    values: tuple[int, ...]
    powers: tuple[Power, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, value: int) -> Power:
        """Return the power at one of the values."""
        if value not in self.values:
            raise KeyError(f"{value!r}; there are {list(self.values)}")
        return self.powers[self.values.index(value)]

    @property
    def level(self) -> float:
        """Of the intervals."""
        return self.powers[0].level

    def smallest(self, power: float = 0.8) -> int | None:
        """Find the smallest of the values at which the power is at least this; None if at none.

        Parameters
        ----------
        power : float, default 0.8
            Wanted power, between 0 and 1.
        """
        if not 0.0 < power < 1.0:
            raise InvalidArgumentError(f"power={power!r}: a number strictly between 0 and 1")
        found = [v for v, p in zip(self.values, self.powers, strict=True) if p.power >= power]
        return min(found, default=None)

    def to_frame(self) -> pd.DataFrame:
        """List ``power conf_low conf_high n_rejected n_used n_failed n_rows`` by value."""
        out = pd.concat([p.to_frame() for p in self.powers])
        out.index = pd.Index(self.values, name=self.along)
        return out.assign(n_rows=[p.n_rows for p in self.powers])

    def to_text(self) -> str:
        """Write the table."""
        first = self.powers[0]
        head = (
            f"Power of a test of {first.test} ({first.method}, alpha {first.alpha:g}) by "
            f"{self.along}, {first.n_sims} simulated studies each"
        )
        return head + "\n" + format_columns(self.to_frame(), 3)

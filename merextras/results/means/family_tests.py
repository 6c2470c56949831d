"""Tests of several linear functions in a family: two-sided, one-sided, of equivalence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from merextras.distributions.multiplicity import (
    ADJUSTMENTS,
    DEFAULTS,
    OF_P_VALUES,
    adjusted,
    adjusted_p,
    critical,
)
from merextras.distributions.uncertainty import Uncertainty
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice
from merextras.results.means.contrast_sets import PAIRS

_SIDES = {
    "two-sided": 0,
    "both": 0,
    "equivalence": 0,
    "greater": 1,
    "right": 1,
    "noninferiority": 1,
    "less": -1,
    "left": -1,
    "nonsuperiority": -1,
}


@dataclass(frozen=True)
class Alternative:
    """What is to be shown of an estimate.

    Attributes
    ----------
    side : int
        1 for larger than the hypothesised value, -1 for smaller, 0 for different or equivalent.
    null : float
        The hypothesised value.
    delta : float
        The threshold below which a difference from it does not matter.
    """

    side: int = 0
    null: float = 0.0
    delta: float = 0.0

    @property
    def one_tail(self) -> bool:
        """Whether a p-value is the probability of one tail."""
        return self.side != 0 or self.delta > 0.0

    def statistic(self, estimate: Array, std_error: Array) -> Array:
        """Distance from the bound of the hypothesis in standard errors."""
        gap = estimate - self.null
        if self.side == 0 and self.delta > 0.0:
            return np.asarray((np.abs(gap) - self.delta) / std_error)
        return np.asarray((gap + self.side * self.delta) / std_error)

    def tail(self, t: Array, df: Array) -> Array:
        """P-values of the single tests."""
        return np.asarray(stats.t.sf(t, df) if self.side > 0 else stats.t.cdf(t, df))

    def said(self) -> tuple[str, ...]:
        """A note on what is tested."""
        at = "" if self.null == 0.0 else f" of {self.null:.6g}"
        if self.delta > 0.0:
            what = {0: "equivalence", 1: "noninferiority", -1: "nonsuperiority"}[self.side]
            return (f"Tests of {what} with a threshold of {self.delta:.6g}{at}.",)
        if self.side != 0:
            return (f"Tests of {'larger' if self.side > 0 else 'smaller'} than {self.null:.6g}.",)
        return (f"Tests of a difference from {self.null:.6g}.",) if self.null != 0.0 else ()


def alternative(side: object, null: object, delta: object) -> Alternative:
    """What is to be shown, from the arguments of a verb.

    Raises
    ------
    InvalidArgumentError
        An unknown `side`, a `null` or `delta` that is no number, a `delta` below zero or missing.
    """
    name = check_choice(side, tuple(_SIDES), "side")
    found = Alternative(_SIDES[name], _number(null, "null"), _number(delta, "delta"))
    if found.delta < 0.0:
        raise InvalidArgumentError(f"delta={delta!r}: a threshold is not below zero")
    if found.delta == 0.0 and name in {"equivalence", "noninferiority", "nonsuperiority"}:
        raise InvalidArgumentError(
            f"side={side!r}: needs a threshold: say by delta= what difference does not matter"
        )
    return found


def _number(given: object, name: str) -> float:
    try:
        value = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = np.nan
    if not np.isfinite(value):
        raise InvalidArgumentError(f"{name}={given!r}: expected a finite number")
    return value


def adjustment(given: object, kind: str, method: object, what: Alternative) -> tuple[str, str]:
    """The adjustments of p-values and of intervals.

    Raises
    ------
    InvalidArgumentError
        An unknown one, Tukey's of what are not all pairs, or one that has no one-sided form.
    """
    how = DEFAULTS[kind] if given is None else check_choice(given, ADJUSTMENTS, "adjust")
    if how == "tukey" and kind not in PAIRS:
        raise InvalidArgumentError(
            f"adjust='tukey' is for all pairwise differences, not for method={method!r}"
        )
    if not what.one_tail or how in OF_P_VALUES:
        return how, how
    if given is not None:
        raise InvalidArgumentError(
            f"adjust={given!r}: is for two-sided tests of a difference; for one-sided ones and "
            f"equivalence: {', '.join(OF_P_VALUES)}"
        )
    return "sidak", how if what.side == 0 else "sidak"


@dataclass(frozen=True)
class Asked:
    """How families are tested.

    Attributes
    ----------
    adjust : tuple of str
        Of p-values and of intervals.
    cross : str
        Of p-values across families.
    what : Alternative
    level : float
        Of the intervals.
    """

    adjust: tuple[str, str]
    cross: str
    what: Alternative
    level: float


@dataclass(frozen=True)
class Family:
    """Linear functions that are tested together.

    Attributes
    ----------
    rows : (r, all columns) array
    offset : (r,) array
    compared : int
        Means that are compared.
    """

    rows: Array
    offset: Array
    compared: int

    def tested(self, uncertainty: Uncertainty, asked: Asked) -> pd.DataFrame:
        """``estimate std_error df statistic p_value conf_low conf_high``, a row per function."""
        how, what, level = asked.adjust, asked.what, asked.level
        table = uncertainty.table(self.rows, self.offset)
        good = (table["std_error"] > 0.0).to_numpy()
        correlation = uncertainty.correlation(self.rows[good])
        estimate, std_error, df = (table[c].to_numpy() for c in ("estimate", "std_error", "df"))
        with np.errstate(divide="ignore", invalid="ignore"):
            t = what.statistic(estimate, std_error)
        p_value, cut = np.full(len(t), np.nan), np.full(len(t), np.nan)
        m, k = len(t), self.compared
        if np.any(good):
            if what.one_tail:
                p_value[good] = adjusted_p(how[0], what.tail(t[good], df[good]), m)
            else:
                p_value[good] = adjusted(how[0], t[good], df[good], correlation, m, k)
            sides = 2 if what.side == 0 else 1
            cut[good] = critical(how[1], 1.0 - level, df[good], correlation, m, k, sides=sides)
        half = cut * std_error
        return table.assign(
            statistic=np.where(good, t, np.nan),
            p_value=p_value,
            conf_low=np.where(good & (what.side < 0), -np.inf, estimate - half),
            conf_high=np.where(good & (what.side > 0), np.inf, estimate + half),
        )


def across_families(tables: list[pd.DataFrame], how: str) -> list[pd.DataFrame]:
    """P-values adjusted once more, for the same function of all families.

    Raises
    ------
    InvalidArgumentError
        Families of different size.
    """
    check_choice(how, OF_P_VALUES, "cross_adjust")
    if how == "none" or len(tables) < 2:
        return tables
    sizes = {len(table) for table in tables}
    if len(sizes) > 1:
        raise InvalidArgumentError(
            f"cross_adjust={how!r}: the families have different sizes, {sorted(sizes)}"
        )
    p = np.array([table["p_value"].to_numpy() for table in tables])
    for j in range(p.shape[1]):
        good = ~np.isnan(p[:, j])
        p[good, j] = adjusted_p(how, p[good, j], int(np.sum(good)))
    return [table.assign(p_value=row) for table, row in zip(tables, p, strict=True)]

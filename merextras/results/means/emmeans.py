"""Estimated marginal means, or trends, and contrasts among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras._checks import check_choice, check_level, one_of
from merextras._typing import Array, IntArray
from merextras.distributions.multiplicity import ADJUSTMENTS, DEFAULTS, adjusted, critical, said
from merextras.distributions.uncertainty import Uncertainty
from merextras.exceptions import InvalidArgumentError
from merextras.results.base import Parts, Table, TextResult, freeze
from merextras.results.means.contrast_sets import contrast_set

__all__ = ["Contrasts", "Emmeans"]


@dataclass(frozen=True, eq=False, repr=False)
class Emmeans(TextResult):
    """What `emmeans` and `emtrends` return: linear functions of the fixed effects.

    Attributes
    ----------
    labels : DataFrame
        The levels that each row stands for: the factors of `specs`, then those of `by`.
    by : tuple of str
        The factors that contrasts stay within.
    rows : (r, all columns) array
        The functions, over all columns of X.
    offset : (r,) array
        Known parts of the means.
    uncertainty : Uncertainty
    level : float
    what : str
        What the estimates are, for the heading.
    notes : tuple of str
    """

    labels: pd.DataFrame
    by: tuple[str, ...]
    rows: Array
    offset: Array
    uncertainty: Uncertainty
    level: float
    what: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", freeze(self.rows))
        object.__setattr__(self, "offset", freeze(self.offset))

    @property
    def factors(self) -> tuple[str, ...]:
        """The factors of `specs`."""
        return tuple(name for name in self.labels.columns if name not in self.by)

    def to_frame(self, *, level: float | None = None) -> pd.DataFrame:
        """``<factors> estimate std_error df conf_low conf_high``, a row per mean.

        Parameters
        ----------
        level : float, optional
            Another one than that of the call. Each interval stands for itself; those of
            `contrasts` are adjusted.

        Returns
        -------
        DataFrame
            NaN where the mean is not estimable: it depends on coefficients that the data do not
            determine, such as that of an empty cell.
        """
        level = self.level if level is None else check_level(level)
        table = self.uncertainty.table(self.rows, self.offset)
        half = stats.t.isf((1.0 - level) / 2.0, table["df"]) * table["std_error"]
        table["conf_low"], table["conf_high"] = table["estimate"] - half, table["estimate"] + half
        return Table.of(pd.concat([self.labels, table], axis=1))

    def contrasts(
        self,
        method: Any = "pairwise",
        *,
        adjust: str | None = None,
        by: str | Sequence[str] | None = None,
        ref: object = None,
        level: float | None = None,
    ) -> Contrasts:
        """Contrasts among the means, emmeans' ``contrast`` and ``pairs``.

        Parameters
        ----------
        method : {"pairwise", "control", "eff", "consec"}, mapping, DataFrame or array
            All differences; each less the control (``"trt.vs.ctrl"`` is the same); each less the
            mean of all; each less the one before. Or weights of one's own, in the order of the
            rows within a level of `by`: a mapping of names to them, a frame with a row per
            contrast, or an array.
        adjust : {"tukey", "dunnett", "mvt", "sidak", "bonferroni", "holm", "fdr", "none"}
            For several tests in a family, the contrasts within a level of `by`. ``"tukey"`` is for
            pairwise differences; ``"dunnett"`` and ``"mvt"`` are one, the multivariate t of the
            contrasts' own correlations. By default Tukey's for pairs, Dunnett's for a control,
            ``"mvt"`` for consecutive ones, ``"fdr"`` for effects and ``"none"`` else.
        by : str or sequence of str, optional
            Contrasts stay within each level of these, instead of those of the means; ``()`` for
            contrasts among all.
        ref : label or position, optional
            The control; the first by default.
        level : float, optional
            Of the simultaneous intervals.

        Returns
        -------
        Contrasts
            With the columns ``contrast <by> estimate std_error df statistic p_value conf_low
            conf_high``.

        Raises
        ------
        InvalidArgumentError
            An unknown method, adjustment, factor or control; Tukey's adjustment of what are not
            all pairs; weights of another length.

        Notes
        -----
        The critical values and p-values take each contrast's own degrees of freedom. Dunnett's are
        of the multivariate t distribution; emmeans' default for them, ``"dunnettx"``, is an
        approximation whose p-values differ by some 3 %, and its ``"mvt"`` is simulated. Tukey's is
        exact for independent means of equal variance and conservative else (Hayter 1984 in the
        one-way layout). For Holm's and the false discovery rate intervals are Bonferroni's, as in
        emmeans. A contrast that can't be estimated still counts in its family, as there, but not in
        Dunnett's and ``"mvt"``, having no correlation with others. Where there is one, emmeans
        rounds the degrees of freedom of the others for Tukey's adjustment; here they are as shown.

        Examples
        --------
        >>> import merextras as mx
        >>> students = mx.load_dataset("students")
        >>> m = mx.lmer("extro ~ Q('class') + (1 | school)", students)
        >>> means = mx.emmeans(m, "class")
        >>> means.contrasts("control", adjust="holm").to_frame().iloc[:, :5].round(3)
          contrast  estimate  std_error      df  statistic
        0    b - a     2.049      0.136  1191.0     15.034
        1    c - a     3.699      0.136  1191.0     27.143
        2    d - a     5.656      0.136  1191.0     41.511
        """
        level = self.level if level is None else check_level(level)
        by = self._by(by)
        names = [name for name in self.labels.columns if name not in by]
        parts, how = [], ""
        for where, at in _groups(self.labels, by):
            labels = [" ".join(map(str, row)) for row in self.labels[names].iloc[at].to_numpy()]
            kind, given, weights = contrast_set(method, labels, ref)
            how = DEFAULTS[kind] if adjust is None else check_choice(adjust, ADJUSTMENTS, "adjust")
            if how == "tukey" and kind != "pairwise":
                raise InvalidArgumentError(
                    f"adjust='tukey' is for all pairwise differences, not for method={method!r}"
                )
            table = self._tested(weights, at, how, level)
            table.insert(0, "contrast", given)
            for i, (name, value) in enumerate(zip(by, where, strict=True)):
                table.insert(1 + i, name, pd.Series([value] * len(table), dtype=object))
            parts.append(table)
        frame = pd.concat(parts, ignore_index=True)
        for name in by:
            frame[name] = frame[name].infer_objects()
        sizes = sorted({len(part) for part in parts})
        return Contrasts(frame, tuple(by), how, level, (*self.notes, said(how, sizes)))

    def _by(self, given: str | Sequence[str] | None) -> list[str]:
        if given is None:
            return list(self.by)
        wanted = [given] if isinstance(given, str) else list(given)
        for name in wanted:
            if name not in self.labels.columns:
                known = [str(c) for c in self.labels.columns]
                raise InvalidArgumentError(f"by: {name!r}: {one_of(name, known)}")
        return wanted

    def _tested(self, weights: Array, at: IntArray, how: str, level: float) -> pd.DataFrame:
        """The contrasts of one family."""
        rows = weights @ self.rows[at]
        table = self.uncertainty.table(rows, weights @ self.offset[at])
        good = (table["std_error"] > 0.0).to_numpy()
        correlation = self.uncertainty.correlation(rows[good])
        t = (table["estimate"] / table["std_error"]).to_numpy()
        df = table["df"].to_numpy()
        p_value, cut = np.full(len(t), np.nan), np.full(len(t), np.nan)
        m, k = len(t), len(at)
        if np.any(good):
            p_value[good] = adjusted(how, t[good], df[good], correlation, m, k)
            cut[good] = critical(how, 1.0 - level, df[good], correlation, m, k)
        half = cut * table["std_error"]
        return table.assign(
            statistic=t,
            p_value=p_value,
            conf_low=table["estimate"] - half,
            conf_high=table["estimate"] + half,
        )

    def _parts(self) -> Parts:
        """The table and its notes."""
        notes = [*self.notes, f"Confidence level {self.level:g}, each interval for itself."]
        return [f"{self.what}, {self.uncertainty.title}", _shown(self.to_frame()), *notes]


@dataclass(frozen=True, eq=False, repr=False)
class Contrasts(TextResult):
    """What `Emmeans.contrasts` returns.

    Attributes
    ----------
    frame : DataFrame
    by : tuple of str
    adjust : str
    level : float
    notes : tuple of str
    """

    frame: pd.DataFrame
    by: tuple[str, ...]
    adjust: str
    level: float
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """``contrast <by> estimate std_error df statistic p_value conf_low conf_high``."""
        return Table.of(self.frame.copy())

    def _parts(self) -> Parts:
        """The table and its notes."""
        return ["Contrasts", _shown(self.frame), *self.notes, f"Confidence level {self.level:g}."]


def _groups(labels: pd.DataFrame, by: Sequence[str]) -> list[tuple[tuple[Any, ...], IntArray]]:
    """The rows of each combination of levels, in their order."""
    found: dict[tuple[Any, ...], list[int]] = {}
    columns = [labels[name].tolist() for name in by]
    for i, where in enumerate(zip(*columns, strict=True) if by else [()] * len(labels)):
        found.setdefault(tuple(where), []).append(i)
    return [(where, np.array(at, dtype=np.intp)) for where, at in found.items()]


def _shown(frame: pd.DataFrame) -> pd.DataFrame:
    shown = frame.copy()
    if "p_value" in shown:
        shown["p_value"] = [
            "" if np.isnan(p) else "<1e-16" if p < 1e-16 else f"{p:.3g}" for p in shown["p_value"]
        ]
    if np.isinf(shown["df"]).any():
        shown["df"] = ["inf" if np.isinf(v) else f"{v:.4g}" for v in shown["df"]]
    return shown

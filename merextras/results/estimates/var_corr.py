"""Variance components of a mixed model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import freeze
from merextras.results.base import FrozenMapping, Parts, TextResult, format_numbers


@dataclass(frozen=True)
class Line:
    """What is shown of some of a term's effects.

    Attributes
    ----------
    name : str
    std_dev : float
    correlations : tuple of float
        With the effects before it, or the one that all have.
    """

    name: str
    std_dev: float
    correlations: tuple[float, ...] = ()


@dataclass(frozen=True)
class Component:
    """One term's covariance.

    Attributes
    ----------
    group : str
        The grouping factor; a further term on the same factor has ``.1``, ``.2`` appended.
    names : tuple of str
    covariance : (k, k) array
        Variances and covariances of the effects.
    structure : str
        That of the covariance, as a formula has it; empty where all are free.
    lines : tuple of Line
        Its parameters as they are shown; by default an effect each.
    """

    group: str
    names: tuple[str, ...]
    covariance: Array
    structure: str = ""
    lines: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        if not self.lines:
            sd, corr = self.std_dev, self.correlation
            every = [Line(n, sd[i], tuple(corr[i, :i])) for i, n in enumerate(self.names)]
            object.__setattr__(self, "lines", tuple(every))

    @property
    def std_dev(self) -> Array:
        """Standard deviations, (k,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def correlation(self) -> Array:
        """Correlation matrix; NaN where a variance is zero."""
        sd = self.std_dev
        with np.errstate(invalid="ignore", divide="ignore"):
            corr = self.covariance / np.outer(sd, sd)
        corr[np.diag_indices_from(corr)] = 1.0
        return corr


class VarCorr(TextResult, FrozenMapping[pd.DataFrame]):
    """A mapping from group to the covariance matrix of its effects, as a frame.

    Attributes
    ----------
    components : tuple of Component
    sigma : float or None
        Residual standard deviation; with residual variances by group the root of their mean over
        the observations; None for a generalised model, which has none.
    residual_by : str or None
        What the residual variance differs by.
    sigmas : mapping group -> float
        Residual standard deviations by group, if there are several.
    """

    def __init__(
        self,
        components: Sequence[Component],
        sigma: float | None,
        residual_by: str | None = None,
        sigmas: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.components = tuple(replace(c, covariance=freeze(c.covariance)) for c in components)
        self.sigma = None if sigma is None else float(sigma)
        self.residual_by = residual_by
        self.sigmas = FrozenMapping(dict(sigmas))
        super().__init__(_frames(self.components))

    def __getitem__(self, key: str) -> pd.DataFrame:
        return super().__getitem__(key).copy()

    def to_frame(self) -> pd.DataFrame:
        """As lme4's ``as.data.frame(VarCorr(m))``: ``grp var1 var2 vcov sdcor``.

        Variances first, then covariances, group by group; the residual last, of several a row for
        each with its group as `var1`. `vcov` is a variance or covariance, `sdcor` a standard
        deviation or correlation.
        """
        rows: list[tuple[str, str | None, str | None, float, float]] = []
        for c in self.components:
            sd, corr = c.std_dev, c.correlation
            for i, name in enumerate(c.names):
                rows.append((c.group, name, None, c.covariance[i, i], sd[i]))
            together = any(line.correlations for line in c.lines)
            for i in range(len(c.names) if together else 0):
                for j in range(i + 1, len(c.names)):
                    rows.append((c.group, c.names[i], c.names[j], c.covariance[i, j], corr[i, j]))
        rows += [("Residual", name, None, sd**2, sd) for name, sd in self._residuals()]
        return pd.DataFrame(rows, columns=["grp", "var1", "var2", "vcov", "sdcor"])

    def to_text(self, *, variances: bool = False, digits: int | None = None) -> str:
        """The table that lme4 prints: standard deviations and correlations by group.

        Parameters
        ----------
        variances : bool
            Variances too.
        digits : int, optional
            Decimals of the numbers; by default four significant digits, two of a correlation.
        """
        return _aligned(self._rows(digits), variances)

    def table(self, *, variances: bool = False) -> pd.DataFrame:
        """The same table as a frame of text, for a notebook."""
        names = ["Groups", "Name", "Variance", "Std.Dev.", "Corr"]
        frame = pd.DataFrame(self._rows(None), columns=names)
        unused = [] if variances else ["Variance"]
        unused += [] if (frame["Corr"] != "").any() else ["Corr"]
        return frame.drop(columns=unused).set_index("Groups")

    def _parts(self) -> Parts:
        return [self.table()]

    def _rows(self, digits: int | None) -> list[list[str]]:
        """Group, name, variance, standard deviation and correlations of each effect, as text."""
        residuals = self._residuals()
        shown = [line.std_dev for c in self.components for line in c.lines]
        sd = np.array([*shown, *(value for _, value in residuals)])
        text, squares = _formatted(sd, digits), _formatted(sd**2, digits)
        decimals = 2 if digits is None else digits
        rows, at = [], 0
        for c in self.components:
            note = f" ({c.structure})" if c.structure else ""
            for i, line in enumerate(c.lines):
                corr = " ".join(f"{r:{decimals + 3}.{decimals}f}" for r in line.correlations)
                corr += note if line.correlations else ""
                rows.append([c.group if i == 0 else "", line.name, squares[at], text[at], corr])
                at += 1
        first = "Residual" if self.residual_by is None else f"Residual, by {self.residual_by}"
        for i, (group, _) in enumerate(residuals):
            rows.append([first if i == 0 else "", group or "", squares[at + i], text[at + i], ""])
        return rows

    def _residuals(self) -> list[tuple[str | None, float]]:
        """The residual standard deviations and the groups they are of."""
        if self.sigma is None:
            return []
        return list(self.sigmas.items()) if self.sigmas else [(None, self.sigma)]


def _formatted(values: Array, digits: int | None) -> list[str]:
    return format_numbers(values) if digits is None else [f"{v:.{digits}f}" for v in values]


def _frames(components: Sequence[Component]) -> Mapping[str, pd.DataFrame]:
    return {c.group: pd.DataFrame(c.covariance, c.names, c.names) for c in components}


def _aligned(rows: list[list[str]], variances: bool) -> str:
    header = ["Groups", "Name", "Variance", "Std.Dev.", "Corr"]
    has_corr = any(row[4] for row in rows)
    shown = [i for i in range(5) if (i != 2 or variances) and (i != 4 or has_corr)]
    header, rows = [header[i] for i in shown], [[row[i] for i in shown] for row in rows]
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    lines = []
    for line in [header, *rows]:
        cells = [
            cell.ljust(width) if i < 2 or shown[i] == 4 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        lines.append((" " + "  ".join(cells)).rstrip())
    return "\n".join(lines)

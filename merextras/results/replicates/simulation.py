"""Simulated parameters of a fitted model, and how draws are summarised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays, read_only
from merextras.foundation.renamed import new_names
from merextras.results.base import FrozenMapping, Parts, TextResult

#: Numbers that the summary of draws copies at a time (32 MB).
_BLOCK = 2**22


def summarise(draws: Array) -> dict[str, Array]:
    """Mean, median and standard deviation (divisor n - 1, NaN for one draw) over the last axis.

    Parameters
    ----------
    draws : (..., n_sims) array
        Worked through in blocks of the leading axis; the median takes a copy of each.

    Returns
    -------
    dict
        ``mean``, ``median`` and ``sd``, each of shape (...).
    """
    n_sims = draws.shape[-1]
    out = {name: np.empty(draws.shape[:-1]) for name in ("mean", "median", "sd")}
    step = max(1, _BLOCK // max(1, int(np.prod(draws.shape[1:]))))
    for start in range(0, len(draws), step):
        rows = slice(start, start + step)
        out["mean"][rows] = draws[rows].mean(axis=-1)
        out["median"][rows] = np.median(draws[rows], axis=-1)
        out["sd"][rows] = draws[rows].std(axis=-1, ddof=1) if n_sims > 1 else np.nan
    return out


def effects_frame(
    group: str, levels: pd.Index, terms: Sequence[str], summary: Mapping[str, Array]
) -> pd.DataFrame:
    """Lay out summaries of one factor: ``group level term mean median sd``, term after term.

    Parameters
    ----------
    summary : mapping name -> (levels, terms) array
    """
    columns = {
        "group": group,
        "level": pd.Series(np.tile(levels.to_numpy(dtype=object), len(terms))).infer_objects(),
        "term": np.repeat(np.asarray(terms, dtype=object), len(levels)),
        **{name: values.T.reshape(-1) for name, values in summary.items()},
    }
    frame = pd.DataFrame(columns)
    return frame.assign(term=frame["term"].infer_objects())


@dataclass(frozen=True, eq=False, repr=False)
class SimResult(FrozenArrays, TextResult):
    """Draws of a mixed model's parameters, as `sim` makes them; arrays are read-only.

    Attributes
    ----------
    fixef : (n_sims, p) array
        Fixed effects.
    fixef_names : tuple of str
    ranef : mapping factor -> (n_sims, levels, terms) array
        Random effects, as deviations from the fixed ones. Several terms on one factor stand side
        by side; NaN where a term has no rows of a level.
    levels : mapping factor -> Index
    terms : mapping factor -> tuple of str
    partners : mapping factor -> tuple of str or None
        The fixed effect that each term varies around.
    sigma : (n_sims,) array
        Residual standard deviation; of several the root of the mean variance.
    sigmas : mapping group -> (n_sims,) array
        Residual standard deviations by group, if there are several.

    Notes
    -----
    The arrays of one draw belong together: the same position of `fixef`, `ranef` and `sigma` is
    one joint draw.
    """

    fixef: Array
    fixef_names: tuple[str, ...]
    ranef: Mapping[str, Array]
    levels: Mapping[str, pd.Index]
    terms: Mapping[str, tuple[str, ...]]
    partners: Mapping[str, tuple[str | None, ...]]
    sigma: Array
    sigmas: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("fixef", "sigma"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        arrays = {factor: read_only(draws) for factor, draws in self.ranef.items()}
        object.__setattr__(self, "ranef", FrozenMapping(arrays))
        for name in ("levels", "terms", "partners", "sigmas"):
            object.__setattr__(self, name, FrozenMapping(getattr(self, name)))

    @property
    def n_sims(self) -> int:
        """Number of draws."""
        return len(self.sigma)

    def coef(self, group: str | None = None, **old: Any) -> Array:
        """Coefficients of each level: its random effects plus the fixed ones they vary around.

        R counterpart: arm's ``coef(sim(m))`` returns the parts; their sum is lme4's ``coef`` of
        each draw, without the fixed effects that do not vary over the group.

        Parameters
        ----------
        group : str
            A grouping factor, one of `ranef`.
        **old
            ``factor``, what `group` was called.

        Returns
        -------
        (n_sims, levels, terms) array
            In the order of `levels` and `terms`. A term without a fixed effect is its deviation.
        """
        given = {} if group is None else {"group": group}
        given |= new_names("coef", old, {"factor": "group"}, given, until="0.2")
        if not given:
            raise TypeError("coef() missing 1 required argument: 'group'")
        out = np.array(self.ranef[given["group"]])
        for i, name in enumerate(self.partners[given["group"]]):
            if name is not None:
                out[:, :, i] += self.fixef[:, [self.fixef_names.index(name)]]
        return out

    def fixef_frame(self) -> pd.DataFrame:
        """Summaries of the fixed effects: ``term mean median sd``."""
        return pd.DataFrame({"term": list(self.fixef_names), **summarise(self.fixef.T)})

    def to_frame(self) -> pd.DataFrame:
        """Summaries of the random effects: ``group level term mean median sd``.

        A row per effect; by factors, then terms, then levels in the model's order.
        """
        return pd.concat(
            [
                effects_frame(
                    factor,
                    self.levels[factor],
                    self.terms[factor],
                    summarise(np.moveaxis(draws, 0, -1)),
                )
                for factor, draws in self.ranef.items()
            ],
            ignore_index=True,
        )

    def _parts(self) -> Parts:
        """Summaries of the fixed effects and sigma; of the random effects only what there is."""
        names = [f"sigma {name}" for name in self.sigmas] or ["sigma"]
        drawn = np.array(list(self.sigmas.values()) or [self.sigma])
        sigma = {"term": names, **summarise(drawn)}
        table = pd.concat([self.fixef_frame(), pd.DataFrame(sigma)], ignore_index=True)
        parts = [
            f"{factor}: {len(self.levels[factor])} levels x ({', '.join(self.terms[factor])})"
            for factor in self.ranef
        ]
        shown = table.set_index("term").rename_axis(None)
        return [f"{self.n_sims} draws of the parameters", shown, *parts]

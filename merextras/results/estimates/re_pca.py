"""Principal components of the random effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays
from merextras.results.base import FrozenMapping, Parts, TextResult

__all__ = ["Components", "RePca"]


@dataclass(frozen=True, eq=False, repr=False)
class Components(FrozenArrays, TextResult):
    """Principal components of one factor's random effects.

    Attributes
    ----------
    names : tuple of str
        The k effects.
    sdev : (k,) array
        Standard deviations of the components over sigma, the largest first.
    rotation : (k, k) array
        A component per column, of length one; its largest coefficient is positive.

    Examples
    --------
    >>> import numpy as np
    >>> from merextras.results.estimates.re_pca import Components
    >>> Components(("Intercept", "x"), np.array([2.0, 0.0]), np.eye(2)).importance
                              PC1  PC2
    standard deviation        2.0  0.0
    proportion of variance    1.0  0.0
    cumulative proportion     1.0  1.0
    """

    names: tuple[str, ...]
    sdev: Array
    rotation: Array

    _arrays = ("sdev", "rotation")

    @property
    def proportion(self) -> Array:
        """Each component's share of the variance, (k,); NaN if there is none."""
        total = float(np.sum(self.sdev**2))
        return self.sdev**2 / total if total > 0.0 else np.full(len(self.sdev), np.nan)

    @property
    def importance(self) -> pd.DataFrame:
        """Standard deviation, proportion of variance and its cumulative sum by component."""
        rows = {
            "standard deviation": np.array(self.sdev),
            "proportion of variance": self.proportion,
            "cumulative proportion": np.cumsum(self.proportion),
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=self._labels())

    def loadings(self) -> pd.DataFrame:
        """The rotation with its names: effects by components."""
        return pd.DataFrame(np.array(self.rotation), index=list(self.names), columns=self._labels())

    def _labels(self) -> list[str]:
        return [f"PC{i + 1}" for i in range(len(self.sdev))]

    def _parts(self) -> Parts:
        """The importance of the components, and the rotation."""
        return [self.importance.map(lambda value: f"{value:.4f}"), self.loadings()]


class RePca(TextResult, FrozenMapping[Components]):
    """What `MerMod.re_pca` returns: a mapping from grouping factor to its `Components`."""

    def __init__(self, items: Mapping[str, Components]) -> None:
        super().__init__(items)

    def to_frame(self) -> pd.DataFrame:
        """A row per component: ``group term std_dev proportion cumulative``."""
        parts = [
            pd.DataFrame(
                {
                    "group": group,
                    "term": [f"PC{i + 1}" for i in range(len(found.sdev))],
                    "std_dev": np.array(found.sdev),
                    "proportion": found.proportion,
                    "cumulative": np.cumsum(found.proportion),
                }
            )
            for group, found in self.items()
        ]
        return pd.concat(parts, ignore_index=True)

    def _parts(self) -> Parts:
        return [part for group, found in self.items() for part in (group, *found._parts())]

    def to_text(self) -> str:
        """Write each factor's components."""
        return "\n\n".join(f"{group}\n{found.to_text()}" for group, found in self.items())

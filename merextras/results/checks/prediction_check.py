"""A response beside responses simulated from its model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from merextras.foundation.aliases import Array
from merextras.results.base import freeze
from merextras.results.checks.check import Check

__all__ = ["PredictionCheck"]


@dataclass(frozen=True, eq=False, repr=False)
class PredictionCheck(Check):
    """What `check_predictions` returns; the table is ``statistic observed low high p_value``.

    Attributes
    ----------
    response : str
    n_sims : int
    grid : (g,) array
        Values of the response.
    observed : (g,) array
        Density of the response there.
    simulated : (s, g) array
        Densities of up to 50 simulated responses.
    """

    response: str
    n_sims: int
    grid: Array
    observed: Array
    simulated: Array

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("grid", "observed", "simulated"):
            object.__setattr__(self, name, freeze(getattr(self, name)))

    def __setstate__(self, state: dict[str, Any]) -> None:
        # An unpickled array is writable again.
        arrays = {name: freeze(state[name]) for name in ("grid", "observed", "simulated")}
        self.__dict__.update({**state, **arrays})

"""A response beside responses simulated from its model."""

from __future__ import annotations

from dataclasses import dataclass

from merextras.foundation.aliases import Array
from merextras.results.checks.check import Check

__all__ = ["PredictionCheck"]


@dataclass(frozen=True, eq=False, repr=False)
class PredictionCheck(Check):
    """What `check_predictions` returns; the table is ``statistic observed lower upper p_value``.

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

    _arrays = ("grid", "observed", "simulated")

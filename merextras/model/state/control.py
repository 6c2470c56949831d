"""Settings of the search and of the checks of `lmer`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from merextras.engine.optimum.summary import Control
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice, check_count


@dataclass(frozen=True)
class LmerControl:
    """How `lmer` fits and what it refuses.

    Attributes
    ----------
    start : sequence of float, or float, optional
        A starting theta, as `get_me("theta")` has it; by default from moments. One number will do
        for a theta of one.
    tolerance : float
        On twice the deviance still to be gained.
    max_iterations : int
    check : bool
        Refuse designs whose variances can't be identified (one level, as many levels or random
        effects as observations, the same effect twice).
    rank_deficient : {"drop", "raise"}
        What to do with a fixed-effects column that others determine.
    formula_engine : {"patsy", "formulaic"}
    """

    start: Sequence[float] | float | None = None
    tolerance: float = 1e-13
    max_iterations: int = 100
    check: bool = True
    rank_deficient: str = "drop"
    formula_engine: str = "patsy"

    def __post_init__(self) -> None:
        check_choice(self.rank_deficient, ("drop", "raise"), "rank_deficient")
        check_choice(self.formula_engine, ("patsy", "formulaic"), "formula_engine")
        check_count(self.max_iterations, "max_iterations")
        tolerance = self.tolerance
        if not isinstance(tolerance, (int, float, np.number)) or not 0.0 < tolerance < 1.0:
            raise InvalidArgumentError(f"tolerance={tolerance!r}: a number between 0 and 1")

    @property
    def engine(self) -> Control:
        """What of it the optimiser needs."""
        return Control(tolerance=self.tolerance, max_iterations=self.max_iterations)

    def start_for(self, size: int) -> Array | None:
        """The starting theta, (size,), if one was given.

        Raises
        ------
        InvalidArgumentError
            Another number of values than theta has, or values that are not finite numbers.
        """
        if self.start is None:
            return None
        try:
            theta = np.atleast_1d(np.array(self.start, dtype=float))
        except (TypeError, ValueError):
            theta = np.empty(0)
        if theta.shape != (size,) or not np.all(np.isfinite(theta)):
            raise InvalidArgumentError(
                f"control.start={self.start!r}: expected {size} finite number(s)"
            )
        return theta

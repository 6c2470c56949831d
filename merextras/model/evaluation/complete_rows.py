"""patsy's rows with a value in every factor."""

from __future__ import annotations

from typing import Any

import numpy as np
import patsy

from merextras.foundation.aliases import BoolArray


class CompleteRows(patsy.NAAction):  # type: ignore[misc] # patsy has no types
    """Drops rows with missing values, in numbers and in categories, and remembers which it kept."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.rows: BoolArray = np.ones(n, dtype=bool)

    def handle_NA(self, values: Any, is_NAs: Any, origins: Any) -> Any:  # noqa: ARG002, N802
        """Patsy's hook: called with all factors' values and where they are missing."""
        for mask in is_NAs:
            self.rows &= ~mask
        return [value[self.rows] for value in values]

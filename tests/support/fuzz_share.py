"""How much of each long random search the slow tests run.

``MEREXTRAS_FUZZ=1`` runs all of every one, which takes hours; unless told otherwise it is a tenth.
The seeds are fixed, so that a part is always the same part.
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("MEREXTRAS_FUZZ", "0.1"))


def part(n: int) -> int:
    """That share of a number of trials, at least one."""
    return max(1, round(SHARE * n))

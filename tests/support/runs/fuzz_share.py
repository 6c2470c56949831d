"""How much of each random search the tests run, which `MEREXTRAS_FUZZ` says.

``MEREXTRAS_FUZZ=1`` runs all of every one, which takes hours. Unless told otherwise it is a
twentieth of the long ones, which are marked slow, and some of the examples of a property. The seeds
are fixed, so that a part is always the same part.
"""

from __future__ import annotations

import os

SHARE = float(os.environ.get("MEREXTRAS_FUZZ", "0.05"))
# Of a property's examples where not all are run: Hypothesis tries the simple ones first.
_OF_EXAMPLES = 0.4


def part(n: int) -> int:
    """That share of a number of trials, at least one."""
    return max(1, round(SHARE * n))


def examples(n: int) -> int:
    """How many of n examples of a property are tried."""
    return n if SHARE >= 1.0 else round(_OF_EXAMPLES * n)

"""Random number generators: an int, a Generator or None, never the global state."""

from __future__ import annotations

import numpy as np

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Rng


def as_generator(rng: Rng) -> np.random.Generator:
    """A Generator: fresh for None, seeded for an int, the same one for a Generator.

    Raises
    ------
    InvalidArgumentError
        For anything else, a negative seed included.
    """
    is_seed = isinstance(rng, (int, np.integer)) and not isinstance(rng, bool) and rng >= 0
    if rng is None or is_seed or isinstance(rng, (np.random.Generator, np.random.SeedSequence)):
        return np.random.default_rng(rng)
    raise InvalidArgumentError(
        f"rng={rng!r}: give a non-negative int (a seed), a numpy.random.Generator or None"
    )

"""Work in processes, on threads or on a cluster: whatever joblib is set to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from joblib import Parallel


def in_order(work: Iterable[Any], n_jobs: int) -> Iterable[Any]:
    """Results of ``joblib.delayed`` calls in their order, one by one if the backend can do that."""
    try:
        made: Iterable[Any] = Parallel(n_jobs=n_jobs, return_as="generator")(work)
    except ValueError as err:
        # Dask's backend in joblib before 1.4; said before anything is begun.
        if "return_as" not in str(err):
            raise
        made = Parallel(n_jobs=n_jobs)(work)
    return made

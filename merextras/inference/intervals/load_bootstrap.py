"""Reading a saved bootstrap."""

from __future__ import annotations

from pathlib import Path

from merextras.results.replicates import bootstrap_file
from merextras.results.replicates.bootstrap import Bootstrap

__all__ = ["load_bootstrap"]


def load_bootstrap(path: str | Path) -> Bootstrap:
    """Read the replicates that ``Bootstrap.save`` wrote; nothing is executed.

    Parameters
    ----------
    path : path
        A parquet file; it needs pyarrow (``merextras[arrow]``).

    Returns
    -------
    Bootstrap

    Raises
    ------
    InvalidArgumentError
        No such file, not one that was written by `save`, or with a value that can't be.

    Examples
    --------
    >>> import merextras as mx, tempfile, pathlib
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    >>> boot = mx.bootstrap(m, n_sims=50, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     boot.save(pathlib.Path(folder) / "boot.parquet")
    ...     again = mx.load_bootstrap(pathlib.Path(folder) / "boot.parquet")
    >>> bool((again.estimates == boot.estimates).all().all())
    True
    """
    return Bootstrap(**bootstrap_file.read(Path(path)))

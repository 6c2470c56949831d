"""Versions of Python, of the packages and of the system behind a result."""

from __future__ import annotations

import platform
from importlib import metadata

import pandas as pd

import merextras as mx

_PACKAGES = (
    "numpy", "scipy", "pandas", "statsmodels", "patsy", "formulaic", "matplotlib",
    "seaborn",
)  # fmt: skip


def version_of(package: str) -> str:
    """The version of a package, or that it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def session() -> pd.DataFrame:
    """Versions of Python, the system and the packages: ``what version``."""
    rows = [("Python", platform.python_version()), ("system", platform.platform(terse=True))]
    rows.append(("merextras", mx.__version__))
    rows += [(name, version_of(name)) for name in _PACKAGES]
    frame = pd.DataFrame(rows, columns=["what", "version"])
    return frame[frame["version"] != "not installed"].reset_index(drop=True)

"""Packages that only some parts need, asked for where they are used."""

from __future__ import annotations

from importlib.util import find_spec

from merextras.exceptions import MissingExtraError


def need(package: str, extra: str, what: str) -> None:
    """Raise unless a package is there.

    Parameters
    ----------
    package : str
        Its name as it is imported.
    extra : str
        The extra of ours that brings it.
    what : str
        What needs it, as the user called it.

    Raises
    ------
    MissingExtraError
        The package is not installed.
    """
    if find_spec(package) is None:
        raise MissingExtraError(
            f"{what} needs {package}, which is not installed; install it with "
            f"python -m pip install 'merextras[{extra}]'"
        )

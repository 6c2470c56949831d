"""Files written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from merextras.exceptions import InvalidArgumentError


def atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file beside its place and move it there when it is whole."""
    if not path.parent.is_dir():
        raise InvalidArgumentError(f"path: there is no directory {str(path.parent)!r}")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    try:
        write(Path(name))
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o666 & ~umask)  # mkstemp's files are the owner's alone
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise

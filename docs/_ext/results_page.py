"""The page of result classes, made from the package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

import merextras.results

_HEAD = """Results
=======

What the functions return: frozen, picklable, without a reference to the model. What prints as a
table has `to_text`, what is one has ``to_frame()``.

.. autosummary::
   :toctree: generated
   :nosignatures:

"""


def result_classes() -> dict[str, type]:
    """Public classes of ``merextras.results``, by their full name, in alphabetical order."""
    found: dict[str, type] = {}
    rooms = pkgutil.walk_packages(merextras.results.__path__, "merextras.results.")
    for module in (importlib.import_module(info.name) for info in rooms):
        for name, value in vars(module).items():
            own = inspect.isclass(value) and value.__module__ == module.__name__
            if own and not name.startswith("_") and not issubclass(value, BaseException):
                found[f"{module.__name__}.{name}"] = value
    return dict(sorted(found.items(), key=lambda item: item[1].__name__))


def short_names() -> dict[str, str]:
    """The full name of each result class by its own, which docstrings use."""
    return {value.__name__: name for name, value in result_classes().items()}


def write(app: Sphinx, _config: Config) -> None:
    """Write ``api/results.rst``; nothing if it is there already as it should be."""
    path = Path(app.srcdir) / "api" / "results.rst"
    text = _HEAD + "".join(f"   ~{name}\n" for name in result_classes())
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the page before Sphinx looks for its sources."""
    app.connect("config-inited", write)
    return {"parallel_read_safe": True}

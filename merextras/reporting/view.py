"""One question about a model, answered: tables, figures, notes and code."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

import merextras as mx
from merextras.exceptions import MerextrasError, MerextrasWarning
from merextras.reporting.script import Named, Script

#: The package as code calls it.
MX = Named("mx", mx)


@dataclass(frozen=True, eq=False)
class View:
    """What is shown of a model.

    Attributes
    ----------
    script : Script
        What was called.
    tables : mapping title -> DataFrame
        At full precision.
    figures : mapping title -> function without arguments
        Each draws and returns a figure, axes or grid.
    notes : tuple of str
        Sentences to be read with it.
    problem : str
        Why there is nothing to show; empty if there is.
    """

    script: Script
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def code(self) -> str:
        """Code that makes it again, given ``mx``, ``m`` and perhaps ``data``."""
        return self.script.text


def answered(ask: Callable[[], View]) -> View:
    """A view, or one that holds nothing but the reason why there is none.

    What is warned of while it is made stands in its notes.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MerextrasWarning)
        try:
            view = ask()
        except MerextrasError as err:
            view = View(Script(), problem=str(err))
    said = [str(one.message) for one in caught if issubclass(one.category, MerextrasWarning)]
    return replace(view, notes=(*view.notes, *dict.fromkeys(said)))


def preamble(m: Any) -> str:
    """The lines that come before a view's code: the packages and the model.

    Parameters
    ----------
    m : MerMod
    """
    imports: list[str] = []
    if m.origin is None:
        fit = f"mx.{m.call()}"
    else:
        imports, fit = _of_statsmodels(m)
    remark = "# data: the data frame that the model was fitted to"
    return "\n".join([*imports, "import merextras as mx", "", remark, f"m = {fit}"])


def _of_statsmodels(m: Any) -> tuple[list[str], str]:
    """The import and the call of a model from statsmodels."""
    call, polish = m.call(), "" if m.opt_summary is not None else ", polish=False"
    module, name = ("formula.api", "smf") if call.startswith("mixedlm(") else ("api", "sm")
    return [f"import statsmodels.{module} as {name}", ""], f"mx.MerMod({name}.{call}{polish})"

"""The response of a generalised model that keeps no rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pandas as pd

from merextras.foundation.aliases import Array
from merextras.model.design.questions import ByRow
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.responses.response import Response
from merextras.model.generalised.responses.response_facts import ResponseFacts
from merextras.model.structure.structure import ChunkRows


class RowlessResponse(ByRow, Response):
    """The form of a response; what it has by row is an error that says so.

    Parameters
    ----------
    choice : FamilyChoice
    form : {"numbers", "booleans", "labels", "cbind", "proportions"}
    labels : tuple
        As of `Response`.
    facts : ResponseFacts
    read : callable
        What makes the response of a chunk and its design.
    """

    _facts: ResponseFacts
    _read: Callable[[pd.DataFrame, ChunkRows], Response]
    of_rows: ClassVar[Mapping[str, str]] = {"y": "response by row", "trials": "trials by row"}

    def __init__(
        self,
        choice: FamilyChoice,
        form: str,
        labels: tuple[Any, ...],
        facts: ResponseFacts,
        read: Callable[[pd.DataFrame, ChunkRows], Response],
    ) -> None:
        values: dict[str, Any] = {"form": form, "labels": labels, "_facts": facts, "_read": read}
        if not choice.has_trials:
            values["trials"] = None
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def facts(self) -> ResponseFacts:
        """Sums over the rows, as they were kept."""
        return self._facts

    def observed_in(self, frame: pd.DataFrame, rows: ChunkRows) -> Array:
        """The response of a chunk's complete rows on the scale of its mean, (n,)."""
        return self._read(frame, rows).observed

    def __repr__(self) -> str:
        return f"<response as {self.form} without rows>"

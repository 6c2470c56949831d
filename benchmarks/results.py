"""Measurements of one package on one case."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

#: What a worker may say: it ran; it isn't installed; the package can't express the model or the
#: task; it was killed at the time limit; it ran out of memory; it raised.
STATUSES = ("ok", "missing", "n/a", "timeout", "memory", "failed")


@dataclass
class Measurement:
    """Times and answers of one package on one case; `note` says why there are none."""

    case: str
    package: str
    task: str
    status: str
    note: str = ""
    version: str = ""
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)  # CPU seconds of the same runs
    cold: bool = False  # the first fit is among the times: there was no time for a second
    criterion: float | None = None
    converged: bool | None = None
    singular: bool | None = None
    memory: dict[str, float | None] = field(default_factory=dict)  # MB: import, data, peak
    limit: float = 0.0

    @property
    def seconds(self) -> float | None:
        """The median of the times."""
        return median(self.times) if self.times else None

    @property
    def cpu_seconds(self) -> float | None:
        """The median of the CPU seconds, which a busy machine disturbs least."""
        return median(self.cpu) if self.cpu else None

    def extra_memory(self) -> float | None:
        """MB at the peak of a fit, the data included, over the process with its imports done."""
        peak, base = self.memory.get("peak"), self.memory.get("import")
        return None if peak is None or base is None else max(0.0, peak - base)


@dataclass
class CaseRun:
    """All measurements of one case."""

    name: str
    formula: str
    source: str
    rows: int
    levels: dict[str, int]
    ours_only: bool
    measurements: list[Measurement] = field(default_factory=list)

    def of(self, package: str) -> Measurement | None:
        """Return one package's measurement."""
        return next((m for m in self.measurements if m.package == package), None)


@dataclass
class Run:
    """Everything that one command measured, and on what."""

    environment: dict[str, Any]
    cases: list[CaseRun] = field(default_factory=list)

"""Tools shared by the Python workers: reading a case, timing a task, and telling the parent.

A worker is started as ``python -m benchmarks.workers.<name> FOLDER TASK REPEAT SECONDS``. It
prints a JSON line when it is ready, one after the first run of the task, and one at the end. Only
numpy is imported here, so that a worker needs nothing but its package.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import columns
from benchmarks.columns import Factor, Table
from benchmarks.models import Bar, Model

PREFIX = "benchmark:"
MIN_TOTAL = 1.0  # seconds of runs, however many that takes
MAX_RUNS = 200
WARM_ENOUGH = 10.0  # a first run this long is a measurement: lazy imports don't matter to it


class NotExpressible(Exception):  # noqa: N818
    """The package has no way to say this model, or to do this task."""


@dataclass
class Outcome:
    """What a fit says of itself."""

    criterion: float | None
    converged: bool | None = None
    singular: bool | None = None


@dataclass
class Job:
    """A case as the worker sees it."""

    model: Model
    table: Table
    notes: list[str] = field(default_factory=list)

    def frame(self, table: Table | None = None) -> Any:
        """Return the data as a pandas frame, factors as categoricals."""
        import pandas as pd  # noqa: PLC0415

        def series(column: Any) -> Any:
            if isinstance(column, Factor) and column.text:
                return pd.Series(column.labels())
            if isinstance(column, Factor):
                return pd.Categorical.from_codes(column.codes, categories=pd.Index(column.levels))
            return column

        return pd.DataFrame({k: series(v) for k, v in (table or self.table).items()})

    def plain_groups(self, at_most: int = 1) -> tuple[list[Bar], Table]:
        """Return terms and data with a column of its own for each group of too many factors.

        For who can't cross factors in a formula, or not more than `at_most`.
        """
        table, terms = dict(self.table), []
        for term in self.model.terms:
            crossed = term.group.count(":") >= at_most
            name = term.group.replace(":", "_x_") if crossed else term.group
            if crossed:
                table[name] = columns.interaction(self.table, term.group)
                self.notes.append(f"column for {term.group} made beforehand, not timed")
            terms.append(replace(term, group=name))
        return terms, table


#: What is timed, and how its value is read (which is not timed).
Prepared = tuple[Callable[[], Any], Callable[[Any], Outcome]]
Task = Callable[[Job], Prepared]


def tell(**message: Any) -> None:
    print(PREFIX + json.dumps(message), file=sys.__stdout__, flush=True)


@contextmanager
def optional(distribution: str) -> Iterator[None]:
    """Tell the parent that the package isn't installed, instead of failing."""
    try:
        yield
    except ImportError as error:
        tell(event="done", status="missing", note=f"{distribution} is not installed: {error}")
        sys.exit(0)


def memory(field_name: str) -> float | None:
    """Return this process's memory in MB: ``VmRSS`` now, ``VmHWM`` at its peak."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # not Linux: the peak so far serves for both
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1e6 if sys.platform == "darwin" else 1024)
    line = next(line for line in status.splitlines() if line.startswith(f"{field_name}:"))
    return float(line.split()[1]) / 1024


def forget_peak() -> None:
    """Set Linux's record of the peak back to the memory in use now."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


@dataclass(frozen=True)
class Took:
    """Seconds of one run: by the clock, and of all threads' work."""

    seconds: float
    cpu: float


def _timed(call: Callable[[], Any]) -> tuple[Took, Any]:
    start, work = time.perf_counter(), time.process_time()
    value = call()
    return Took(time.perf_counter() - start, time.process_time() - work), value


def _enough(runs: list[Took], repeat: int) -> bool:
    total = sum(run.seconds for run in runs)
    return len(runs) >= MAX_RUNS or (len(runs) >= repeat and total >= MIN_TOTAL)


def measure(prepared: Prepared, repeat: int, seconds: float) -> dict[str, Any]:
    """Run once to warm up, then until there are enough times or no time for another."""
    call, read = prepared
    start = time.perf_counter()
    first, value = _timed(call)
    peak = memory("VmHWM")
    tell(event="first", **vars(first), peak=peak)
    outcome = read(value)
    del value
    runs = [first] if first.seconds >= WARM_ENOUGH else []
    last = first
    while not _enough(runs, repeat) and time.perf_counter() - start + last.seconds < seconds:
        last = _timed(call)[0]
        runs.append(last)
    runs = runs or [first]
    times, cpu = [run.seconds for run in runs], [run.cpu for run in runs]
    return {"times": times, "cpu": cpu, "cold": runs == [first], "peak": peak, **vars(outcome)}


def _run(
    distribution: str, tasks: Mapping[str, Task], abilities: Collection[str], base: float | None
) -> dict[str, Any]:
    folder, task, repeat, seconds = sys.argv[1:5]
    if task not in tasks:
        raise NotExpressible(f"no task {task!r}")
    model = Model.read(Path(folder))
    lacking = [need for need in model.needs if need not in abilities]
    if lacking:
        raise NotExpressible(f"no {', '.join(lacking)}")
    job = Job(model, columns.read(Path(folder)))
    prepared = tasks[task](job)
    job.table.clear()
    forget_peak()
    data = memory("VmRSS")
    tell(event="ready", version=_version(distribution))
    result = measure(prepared, int(repeat), float(seconds))
    result["memory"] = {"import": base, "data": data, "peak": result.pop("peak")}
    return {"status": "ok", "note": "; ".join(job.notes), **result}


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return str(getattr(sys.modules.get(distribution), "__version__", "source"))


def serve(distribution: str, tasks: Mapping[str, Task], abilities: Collection[str] = ()) -> None:
    """Do what the command line asks and report it; the package is imported by now.

    `abilities` are those of `benchmarks.models` that the package has.
    """
    warnings.simplefilter("ignore")
    base = memory("VmRSS")
    try:
        result = _run(distribution, tasks, abilities, base)
    except NotExpressible as reason:
        result = {"status": "n/a", "note": str(reason)}
    except MemoryError as error:
        result = {"status": "memory", "note": str(error)}
    except Exception as error:  # a peer may raise anything; the report shows it
        result = {"status": "failed", "note": f"{type(error).__name__}: {error}"[:300]}
    tell(event="done", version=_version(distribution), **result)

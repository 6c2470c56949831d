"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks import columns, process, report
from benchmarks.cases import CASES, Case
from benchmarks.packages import OURS, PACKAGES, Package
from benchmarks.process import Settings
from benchmarks.results import CaseRun, Measurement, Run
from benchmarks.tasks import TASKS

#: The interpreter that has the peers, when `--peer-python` doesn't say.
PEER_PYTHON = "MEREXTRAS_PEER_PYTHON"


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks", description=report.__doc__)
    p.add_argument("--case", nargs="+", action="extend", metavar="NAME", help="names or patterns")
    p.add_argument("--package", nargs="+", action="extend", metavar="NAME", help="the same")
    p.add_argument("--task", choices=list(TASKS), default="fit", help="what is timed (fit)")
    p.add_argument("--repeat", type=int, default=5, help="runs at least, as time allows (5)")
    p.add_argument("--seconds", type=float, default=120, help="limit per package and case (120)")
    p.add_argument("--threads", type=int, default=2, help="for everyone (2)")
    p.add_argument("--memory", type=float, default=_most_memory(), metavar="GB", help="0: no limit")
    p.add_argument("--scale", type=float, default=1, help="shrink generated data: to try things")
    p.add_argument(
        "--peer-python",
        default=os.environ.get(PEER_PYTHON, sys.executable),
        metavar="PATH",
        help=f"the interpreter that has the peers (${PEER_PYTHON}, else this one)",
    )
    p.add_argument("--json", type=Path, metavar="OUT", help="everything, every time included")
    p.add_argument("--markdown", type=Path, metavar="OUT", help="the report")
    p.add_argument("--list", action="store_true", help="name the cases and packages, and stop")
    return p


def _most_memory() -> float:
    """Four fifths of the machine's memory, so that no package brings it down."""
    try:
        return round(0.8 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return 0.0


def chosen(names: Sequence[str], patterns: Sequence[str] | None) -> list[str]:
    """Return the names that match a pattern, all without one; a pattern must match something."""
    if patterns is None:
        return list(names)
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise SystemExit(f"nothing is called {pattern!r}; there are {', '.join(names)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def usual(task: str) -> list[str]:
    """Name the cases that a task is run on when none are asked for."""
    return list(TASKS[task].cases) or [case.name for case in CASES if not case.for_tasks]


def environment(settings: Settings, scale: float) -> dict[str, object]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}, {_processor()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_at_start": load,
        "scale": scale,
        "threads": settings.threads,
        "repeat": settings.repeat,
        "seconds": settings.seconds,
        "memory_gb": settings.memory_gb,
        "task": settings.task,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "")


def run_case(case: Case, packages: Sequence[Package], settings: Settings, scale: float) -> CaseRun:
    """Make the data once and give it to each package in turn."""
    built = case.make(scale)
    folder = Path(tempfile.mkdtemp(prefix="merextras-benchmark-"))
    try:
        columns.write(built.table, folder)
        case.model.write(folder)
        result = _description(case, built.table, built.source)
        built.table.clear()
        for package in packages:
            if not case.ours_only or package.name == OURS:
                result.measurements.append(process.run(package, case.name, folder, settings))
                _progress(result.measurements[-1])
    finally:
        shutil.rmtree(folder)
    return result


def _description(case: Case, table: columns.Table, source: str) -> CaseRun:
    groups = {term.group for term in case.model.terms}
    levels = {g: len(columns.interaction(table, g).levels) for g in sorted(groups)}
    rows = columns.n_rows(table)
    return CaseRun(case.name, case.model.title, source, rows, levels, case.ours_only)


def _progress(m: Measurement) -> None:
    took = "" if m.seconds is None else f"{m.seconds:.4g} s"
    print(f"{m.case:24}{m.package:16}{m.status:10}{took:12}{m.note}", file=sys.stderr, flush=True)


def cases_run(options: argparse.Namespace, settings: Settings) -> Iterator[CaseRun]:
    names = chosen([case.name for case in CASES], options.case or usual(options.task))
    wanted = chosen([package.name for package in PACKAGES], options.package)
    packages = [package for package in PACKAGES if package.name in wanted]
    for case in CASES:
        if case.name in names and (OURS in wanted or not case.ours_only):
            yield run_case(case, packages, settings, options.scale)


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    if options.list:
        print("cases:   ", *(f"{case.name}  {case.model.title}" for case in CASES), sep="\n  ")
        print("tasks:   ", *(f"{task.name}  {task.what}" for task in TASKS.values()), sep="\n  ")
        print("packages:", *(package.name for package in PACKAGES), sep="\n  ")
        return 0
    settings = Settings(
        options.repeat,
        options.seconds,
        options.threads,
        options.memory,
        options.peer_python,
        options.task,
    )
    run = Run(environment(settings, options.scale))
    for case_run in cases_run(options, settings):
        run.cases.append(case_run)
        if options.json:  # after each case: a long run that is stopped is not lost
            options.json.write_text(json.dumps(asdict(run), indent=1) + "\n", encoding="utf-8")
    text = report.markdown(run)
    print(text)
    if options.markdown:
        options.markdown.write_text(text, encoding="utf-8")
    return 0

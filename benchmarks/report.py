"""Ours, R's lme4 and the other Python packages on the same data in one run, as a report.

Ratios are what it is for: seconds are those of one machine in one hour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.packages import GLMMTMB, OURS, REFERENCE
from benchmarks.results import CaseRun, Measurement, Run
from benchmarks.tasks import TASKS, Task

NOTHING = "–"
#: Ends of formulas whose family has no canonical link.
OTHER_CRITERION = (", gamma", ", negative_binomial")
LEGEND = """\
Seconds are medians of {what}, not of reading the data; CPU seconds are those of all threads, which
other work on the machine disturbs less. `× ours`: its time over ours; `× faster than lme4`: lme4's
time over its own. Δ: {value} less {reference}; {judged}. Memory: the peak of a first
run, the data included, over the process with its packages imported. `> N s`: killed at the time
limit. `¹`: the first run of the process, there was no time for a second.
"""


def markdown(run: Run) -> str:
    """Write the whole report."""
    compared = [case for case in run.cases if not case.ours_only]
    scaling = [case for case in run.cases if case.ours_only]
    task = TASKS[run.environment["task"]]
    parts = ["# Benchmark", _environment(run), _legend(task)]
    if len(compared) > 1:
        parts += ["## Seconds", _summary(compared, ratio=False)]
        parts += ["## Times ours", _summary(compared, ratio=True)]
    parts += [_case(case, task) for case in compared]
    if scaling:
        formulas = dict.fromkeys(case.formula for case in scaling)
        parts += ["## Growth of ours"]
        parts += [_scaling([c for c in scaling if c.formula == each]) for each in formulas]
    parts.append(_faults(run))
    return "\n\n".join(part for part in parts if part).rstrip() + "\n"


def _legend(task: Task) -> str:
    share = " of it" if task.relative else ""
    return LEGEND.format(
        what=task.what,
        value=task.value,
        reference="the lowest of lme4's, glmmTMB's and ours" if task.name == "fit" else "lme4's",
        judged="it is random and not judged"
        if task.tolerance is None
        else f"**!** where it is off by more than {task.tolerance:g}{share}, a wrong or "
        "unfinished answer",
    )


def _environment(run: Run) -> str:
    e = run.environment
    lines = [
        f"{e['date']}, {e['machine']}, {e['cores']} cores, {e['threads']} threads for everyone, "
        f"Python {e['python']}; at least {e['repeat']} runs, at most {e['seconds']:g} s a package "
        f"and case. {_versions(run)}."
    ]
    if e["load_at_start"] is not None and e["load_at_start"] > 0.5:
        lines.append(
            f"**The machine was not quiet: load {e['load_at_start']:.1f} at the start. "
            "Don't trust these times.**"
        )
    if e["scale"] != 1:
        lines.append(f"**Generated data were scaled by {e['scale']:g}: a trial, not a result.**")
    return "\n\n".join(lines)


def _versions(run: Run) -> str:
    versions = {m.package: m.version for case in run.cases for m in case.measurements if m.version}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# One number ---------------------------------------------------------------------------------------


def seconds(m: Measurement | None) -> str:
    """Write a median, or why there is none."""
    if m is None:
        return NOTHING
    if m.seconds is not None:
        return f"{_digits(m.seconds)}{'¹' if m.cold else ''}"
    return f"> {m.limit:g}" if m.status == "timeout" else m.status


def _digits(value: float, digits: int = 3) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def ratio(above: Measurement | None, below: Measurement | None) -> str:
    """Write the ratio of two medians; of a time limit, that it is more."""
    if above is None or below is None or not below.seconds:
        return NOTHING
    if above.seconds is None:
        return f"> {above.limit / below.seconds:.0f}" if above.status == "timeout" else NOTHING
    return _digits(above.seconds / below.seconds)


def cpu_ratio(above: Measurement, below: Measurement | None) -> str:
    """Write the ratio of two medians of CPU seconds."""
    if above.cpu_seconds is None or below is None or not below.cpu_seconds:
        return NOTHING
    return _digits(above.cpu_seconds / below.cpu_seconds)


def yes_no(value: bool | None) -> str:
    """Write a flag that may be unknown."""
    return NOTHING if value is None else "yes" if value else "no"


# Answers ------------------------------------------------------------------------------------------


def reference(case: CaseRun) -> float | None:
    """Return the value that the others are held against.

    Of fits the lowest criterion of lme4, glmmTMB and ours, of tasks the value of lme4; of anyone
    when those are missing. lme4's is another criterion where a link is not canonical, as it takes
    expected weights, and does not count then.
    """
    is_fit = all(m.task == "fit" for m in case.measurements)
    own = case.formula.endswith(OTHER_CRITERION)
    fits = (OURS, GLMMTMB) if own else (OURS, REFERENCE, GLMMTMB)
    trusted = map(case.of, fits if is_fit else (REFERENCE,))
    known = [m.criterion for m in trusted if m is not None]
    values = [c for c in known if c is not None]
    values = values or [m.criterion for m in case.measurements if m.criterion is not None]
    return min(values, default=None)


def is_off(m: Measurement, best: float | None) -> bool:
    """Whether a value is wrong."""
    if m.criterion is None or best is None:
        return m.status == "ok"
    task = TASKS[m.task]
    if task.tolerance is None:
        return False
    return not abs(m.criterion - best) <= task.tolerance * (abs(best) if task.relative else 1.0)


def _criterion(m: Measurement, best: float | None) -> tuple[str, str]:
    if m.criterion is None or best is None:
        return NOTHING, NOTHING
    mark = " **!**" if is_off(m, best) else ""
    return f"{m.criterion:.4f}", f"{m.criterion - best:+.1e}{mark}"


# Tables -------------------------------------------------------------------------------------------


def _summary(cases: Sequence[CaseRun], *, ratio: bool) -> str:
    names = list(dict.fromkeys(m.package for case in cases for m in case.measurements))
    write = _relative if ratio else _absolute
    rows = [[case.name, *(write(case, name) for name in names)] for case in cases]
    return _table(["case", *names], rows)


def _mark(case: CaseRun, m: Measurement | None) -> str:
    if m is None or m.criterion is None:
        return ""
    return " **!**" if is_off(m, reference(case)) else ""


def _absolute(case: CaseRun, package: str) -> str:
    m = case.of(package)
    return seconds(m) + _mark(case, m)


def _relative(case: CaseRun, package: str) -> str:
    m = case.of(package)
    return ratio(m, case.of(OURS)) + _mark(case, m)


def _case(case: CaseRun, task: Task) -> str:
    levels = ", ".join(f"{name} {count}" for name, count in case.levels.items())
    head = f"## {case.name}\n\n`{case.formula}`; {case.rows} rows; {levels}; {case.source}."
    header = [
        "package",
        "seconds",
        "CPU s",
        "runs",
        "× ours",
        "CPU × ours",
        "× faster than lme4",
        task.value,
        "Δ",
        "converged",
        "singular",
        "memory, MB",
        "note",
    ]
    return f"{head}\n\n{_table(header, [_row(case, m) for m in case.measurements])}"


def _row(case: CaseRun, m: Measurement) -> list[str]:
    memory = m.extra_memory()
    return [
        m.package,
        seconds(m),
        NOTHING if m.cpu_seconds is None else _digits(m.cpu_seconds),
        str(len(m.times)) if m.times else NOTHING,
        ratio(m, case.of(OURS)),
        cpu_ratio(m, case.of(OURS)),
        ratio(case.of(REFERENCE), m),
        *_criterion(m, reference(case)),
        yes_no(m.converged),
        yes_no(m.singular),
        NOTHING if memory is None else f"{memory:.0f}",
        m.note.replace("|", "\\|").replace("\n", " "),
    ]


def _scaling(cases: Sequence[CaseRun]) -> str:
    """Ours from small to large: seconds and memory a million rows should stay where they are."""
    rows = []
    for case in cases:
        m = case.of(OURS)
        memory = m.extra_memory() if m else None
        took = m.seconds if m else None
        millions = case.rows / 1e6
        rows.append(
            [
                f"{case.rows:,}",
                f"{sum(case.levels.values()):,}",
                seconds(m),
                NOTHING if took is None else _digits(took / millions),
                NOTHING if memory is None else f"{memory:.0f}",
                NOTHING if memory is None else f"{memory / millions:.0f}",
                yes_no(m.converged if m else None),
            ]
        )
    header = ["rows", "levels", "seconds", "s / 10⁶ rows", "MB", "MB / 10⁶ rows", "converged"]
    return f"`{cases[0].formula}`\n\n{_table(header, rows)}"


def _faults(run: Run) -> str:
    """List what a reader must not overlook."""
    lines = []
    for case in run.cases:
        best = reference(case)
        for m in case.measurements:
            where = f"{case.name}, {m.package}"
            if m.status in ("failed", "memory"):
                lines.append(f"- {where}: {m.status}: {m.note}")
            elif m.status == "ok" and is_off(m, best):
                told = "says it converged" if m.converged else "does not claim convergence"
                off = "no criterion" if m.criterion is None else f"criterion {m.criterion:.4f}"
                lines.append(f"- {where}: {off}, should be {best:.4f}; {told}")
            elif m.status == "ok" and m.converged is False:
                lines.append(f"- {where}: right criterion, but says it did not converge")
    measured = [m for case in run.cases for m in case.measurements]
    missing = {m.package: m.note for m in measured if m.status == "missing"}
    lines += [f"- {name} is missing: {note}" for name, note in missing.items()]
    return "## To note\n\n" + "\n".join(lines) if lines else ""

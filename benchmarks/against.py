"""``python -m benchmarks.against REVISION``: CPU time of this tree's small cases over another's.

Fits of milliseconds are lost by a line here and a line there. Both trees run the same cases in
turn, each round in a process of its own with one BLAS thread; the ratio is that of the least
times, which a busy machine disturbs least. The command fails where a ratio is above the limit, so
it can be run on a change: ``python -m benchmarks.against main --limit 1.05``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.packages import THREAD_VARIABLES

ROOT = Path(__file__).resolve().parents[1]
#: CPU seconds that a case takes at least in a round: short ones are repeated.
ENOUGH = 0.3


def cases() -> dict[str, Callable[[], Any]]:
    """What is timed, by its name; the models of later tasks are fitted here."""
    import numpy as np  # noqa: PLC0415 - the tree's own environment, in the worker only
    import pandas as pd  # noqa: PLC0415

    import merextras as mx  # noqa: PLC0415

    sleep, students = mx.load_dataset("sleepstudy"), mx.load_dataset("students")
    dyes, plates = mx.load_dataset("dyestuff"), mx.load_dataset("penicillin")
    rng = np.random.default_rng(1)
    school = rng.integers(0, 160, 7_000)
    pupils = pd.DataFrame({"ses": rng.normal(size=school.size), "school": school})
    pupils["math"] = 12 + 2 * pupils["ses"] + rng.normal(size=160)[school] * 2
    pupils["math"] += rng.normal(size=school.size) * 6
    ratings = pd.DataFrame({"s": rng.integers(0, 1_000, 20_000), "d": rng.integers(0, 400, 20_000)})
    ratings["dept"], ratings["service"] = ratings["d"] % 14, rng.integers(0, 2, len(ratings))
    ratings["y"] = rng.normal(size=1_000)[ratings["s"]] * 0.3 + rng.normal(size=len(ratings))
    ratings["y"] += (rng.normal(size=400) * 0.5)[ratings["d"]] + 0.2 * rng.normal(size=14)[
        ratings["dept"]
    ]
    slopes = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    of_pupils = mx.lmer("math ~ ses + (ses | school)", pupils)
    return {
        "fit sleepstudy": lambda: mx.lmer("Reaction ~ Days + (Days | Subject)", sleep),
        "fit dyestuff": lambda: mx.lmer("Yield ~ 1 + (1 | Batch)", dyes),
        "fit penicillin": lambda: mx.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", plates),
        "fit students": lambda: mx.lmer("extro ~ open + agree + social + (1 | school)", students),
        "fit 7 000 pupils": lambda: mx.lmer("math ~ ses + (ses | school)", pupils),
        "fit 20 000 ratings": lambda: mx.lmer(
            "y ~ service + (1 | s) + (1 | d) + (1 | dept)", ratings
        ),
        "bootstrap sleepstudy": lambda: mx.bootstrap(slopes, n_sims=1000, rng=1),
        "profile sleepstudy": slopes.profile,
        "influence of schools": lambda: of_pupils.influence("school"),
        "predict sleepstudy": lambda: slopes.predict(sleep, se_fit=True),
    }


def work() -> None:
    """Time every case once around and print the CPU seconds of a call."""
    found = {}
    for name, call in cases().items():
        call()
        taken, calls = 0.0, 0
        while taken < ENOUGH:
            start = time.process_time()
            call()
            taken, calls = taken + time.process_time() - start, calls + 1
        found[name] = taken / calls
    print(json.dumps(found))


def times(tree: Path) -> dict[str, float]:
    """One round of a tree in a process of its own; `cases` is this file's for both."""
    path = os.pathsep.join([str(tree), str(ROOT)])
    env = os.environ | dict.fromkeys(THREAD_VARIABLES, "1") | {"PYTHONPATH": path}
    command = [sys.executable, "-W", "ignore", str(Path(__file__).resolve()), "--work"]
    done = subprocess.run(command, cwd=tree, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compare(other: Path, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """The least CPU seconds of each case, here and in the other tree."""
    here: dict[str, float] = {}
    there: dict[str, float] = {}
    for _ in range(rounds):
        for best, tree in ((here, ROOT), (there, other)):
            for name, seconds in times(tree).items():
                best[name] = min(seconds, best.get(name, seconds))
    return here, there


def table(here: dict[str, float], there: dict[str, float], limit: float) -> tuple[str, bool]:
    """A line a case, and whether all ratios are within the limit."""
    lines = [f"{'CPU milliseconds':<24}{'here':>10}{'there':>10}{'ratio':>8}"]
    fine = True
    for name, seconds in here.items():
        ratio = seconds / there[name]
        fine &= ratio <= limit
        mark = "" if ratio <= limit else f"  above {limit}"
        both = f"{1e3 * seconds:>10.2f}{1e3 * there[name]:>10.2f}"
        lines.append(f"{name:<24}{both}{ratio:>8.3f}{mark}")
    return "\n".join(lines), fine


def main() -> int:
    """Compare, print the table, and fail where a ratio is above the limit."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    p.add_argument("revision", help="a commit, branch or tag of this repository")
    p.add_argument("--rounds", type=int, default=5, help="rounds, each tree once in each (5)")
    p.add_argument("--limit", type=float, default=1.05, help="the largest ratio allowed (1.05)")
    given = p.parse_args()
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        subprocess.run([*git, "add", "-q", "--detach", str(other), given.revision], check=True)
        try:
            text, fine = table(*compare(other, given.rounds), given.limit)
        finally:
            subprocess.run([*git, "remove", "--force", str(other)], check=True)
    print(text)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(work() if sys.argv[1:] == ["--work"] else main())

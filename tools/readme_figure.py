"""Draw the figure of the README and of the documentation's start page.

    python tools/readme_figure.py

writes ``docs/_static/school_swap.png``: four students, each predicted in all six schools.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
mpl.use("Agg")

import merextras as mx  # noqa: E402

TARGET = ROOT / "docs" / "_static" / "school_swap.png"


def main(target: Path = TARGET) -> int:
    """Fit the model, move four students through the schools, draw them."""
    students = mx.load_dataset("students")
    m = mx.lmer("extro ~ open + agree + social + (1 | school)", students)
    # One student each of schools I, II, IV and VI
    cases = students.groupby("school").nth(7).query("school in ['I', 'II', 'IV', 'VI']")
    cases = cases.sort_values("school")
    moved = mx.what_if(m, cases, "school", rng=1)
    grid = mx.plot_what_if(
        moved,
        outcome=students["extro"],
        col_wrap=4,
        height=2.7,
        aspect=0.85,
        title="What if this student had gone to that school?",
    )
    grid.figure.savefig(target, dpi=100, bbox_inches="tight")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""lme-python: lme4's formula on a polars frame, which is what it takes without pyarrow.

It reads ``a/b`` but not ``a/b/c``, so nesting is written out. It has no flag for a singular fit.
"""

from __future__ import annotations

from typing import Any

from benchmarks.columns import Factor
from benchmarks.workers.protocol import Job, Outcome, Prepared, optional, serve

with optional("lme-python"):
    import lme_python
    import polars as pl


def polars_frame(job: Job) -> Any:
    def series(column: Any) -> Any:
        if isinstance(column, Factor):
            return pl.Series(column.labels(), dtype=pl.String).cast(pl.Enum(column.levels))
        return pl.Series(column)

    return pl.DataFrame({name: series(column) for name, column in job.table.items()})


def read(fit: Any) -> Outcome:
    return Outcome(fit.reml_criterion, fit.converged)


def fit(job: Job) -> Prepared:
    formula, frame = job.model.expanded, polars_frame(job)
    return lambda: lme_python.lmer(formula, data=frame), read


TASKS = {"fit": fit}

if __name__ == "__main__":
    serve("lme-python", TASKS)

"""merextras: `lmer` with lme4's formula."""

from __future__ import annotations

from typing import Any

from benchmarks.workers.protocol import Job, Outcome, Prepared, optional, serve

with optional("merextras"):
    from merextras.mermod import lmer


def read(fit: Any) -> Outcome:
    return Outcome(fit.reml_crit(), fit.opt_summary.converged, fit.is_singular())


def fit(job: Job) -> Prepared:
    formula, frame = job.model.formula, job.frame()
    return lambda: lmer(formula, frame), read


TASKS = {"fit": fit}

if __name__ == "__main__":
    serve("merextras", TASKS)

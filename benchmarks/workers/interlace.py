"""interlace-lme: the fixed part and a list of random terms; no ``a:b``."""

from __future__ import annotations

from typing import Any

from benchmarks.workers.protocol import Job, Outcome, Prepared, optional, serve

with optional("interlace-lme"):
    import interlace


def read(fit: Any) -> Outcome:
    singular = getattr(fit, "is_singular", None)
    singular = singular() if callable(singular) else singular
    return Outcome(-2.0 * float(fit.llf), bool(fit.converged), singular)


def fit(job: Job) -> Prepared:
    terms, table = job.plain_groups()
    formula, frame, random = job.model.fixed_formula, job.frame(table), [str(t) for t in terms]
    return lambda: interlace.fit(formula, frame, random=random), read


TASKS = {"fit": fit}

if __name__ == "__main__":
    serve("interlace-lme", TASKS)

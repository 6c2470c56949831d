"""mixedlm: lme4's formula on a pandas frame."""

from __future__ import annotations

from typing import Any

from benchmarks.workers.protocol import Job, Outcome, Prepared, optional, serve

with optional("mixedlm"):
    import mixedlm

    mixedlm.lmer  # noqa: B018  # loaded on demand: take the cost of the import now


def read(fit: Any) -> Outcome:
    return Outcome(float(fit.REMLcrit()), bool(fit.converged), bool(fit.isSingular()))


def fit(job: Job) -> Prepared:
    formula, frame = job.model.formula, job.frame()
    return lambda: mixedlm.lmer(formula, frame), read


TASKS = {"fit": fit}

if __name__ == "__main__":
    serve("mixedlm", TASKS)

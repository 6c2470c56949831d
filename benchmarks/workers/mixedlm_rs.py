"""mixedlm-rs: statsmodels' interface, one grouping factor."""

from __future__ import annotations

from typing import Any

from benchmarks.workers.protocol import Job, NotExpressible, Outcome, Prepared, optional, serve

with optional("mixedlm-rs"):
    import mixedlm_rs


def read(fit: Any) -> Outcome:
    return Outcome(-2.0 * float(fit.llf), bool(fit.converged), bool(fit.singular))


def fit(job: Job) -> Prepared:
    if len(job.model.terms) > 1:
        raise NotExpressible("one grouping factor only")
    term, formula, frame = job.model.terms[0], job.model.fixed_formula, job.frame()
    options = {"groups": term.group, "re_formula": f"~{term.effects}"}
    return lambda: mixedlm_rs.mixedlm(formula, frame, **options).fit(), read


TASKS = {"fit": fit}

if __name__ == "__main__":
    serve("mixedlm-rs", TASKS)

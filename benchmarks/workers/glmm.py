"""glmm: lme4's formula on a frame.

Satterthwaite's degrees of freedom, which its `fit` computes unless told not to, are switched off:
no other package's fit includes them. `wald_se="rx"` gives lme4's standard errors. Its formulas have
``a/b`` and ``a:b``, not ``a/b/c`` or ``a:b:c``.
"""

from __future__ import annotations

from typing import Any

from benchmarks.models import FAMILIES
from benchmarks.workers.protocol import Job, NotExpressible, Outcome, Prepared, optional, serve

with optional("glmm"):
    import glmm
    import pandas  # noqa: F401  # the frame's: no part of what glmm takes


def read(fit: Any) -> Outcome:
    return Outcome(-2.0 * float(fit.loglik), bool(fit.converged), bool(fit.singular))


def fit(job: Job) -> Prepared:
    terms, table = job.plain_groups(at_most=2)
    if any(term.effects.startswith("0") for term in terms):
        raise NotExpressible("random effects without an intercept")
    frame, formula = job.frame(table), " + ".join([job.model.fixed_formula, *map(str, terms)])
    family = job.model.family.replace("_", "")
    return lambda: glmm.fit(frame, formula, family, satterthwaite=False, wald_se="rx"), read


TASKS = {"fit": fit}

if __name__ == "__main__":
    serve("glmm", TASKS, (FAMILIES,))

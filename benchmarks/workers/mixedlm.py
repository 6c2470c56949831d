"""mixedlm: lme4's formula on a pandas frame, and what it has after the fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.models import FAMILIES, GAUSSIAN
from benchmarks.workers.protocol import (
    Job,
    NotExpressible,
    Outcome,
    Prepared,
    Task,
    optional,
    serve,
)

with optional("mixedlm"):
    import mixedlm

    mixedlm.lmer  # noqa: B018  # loaded on demand: take the cost of the import now
    from mixedlm import families


def read(fit: Any) -> Outcome:
    return Outcome(float(fit.REMLcrit()), bool(fit.converged), bool(fit.isSingular()))


def read_generalised(fit: Any) -> Outcome:
    return Outcome(-2.0 * float(fit.logLik().value), bool(fit.converged), bool(fit.isSingular()))


def fit(job: Job) -> Prepared:
    formula, frame = job.model.formula, job.frame()
    if job.model.family == GAUSSIAN:
        return lambda: mixedlm.lmer(formula, frame), read
    if "offset(" in formula:
        raise NotExpressible("offset in a formula")
    # The size of its negative binomial is one, and not estimated.
    made = {
        "binomial": families.Binomial, "poisson": families.Poisson,
        "gamma": lambda: families.Gamma(link=families.LogLink()),
        "negative_binomial": families.NegativeBinomial,
    }[job.model.family]  # fmt: skip
    return lambda: mixedlm.glmer(formula, frame, family=made()), read_generalised


def after(task: Callable[[Any, Any], Any], value: Callable[[Any], float]) -> Task:
    """A task on a fit that is made beforehand, and its rows."""

    def prepare(job: Job) -> Prepared:
        frame = job.frame()
        fitted = mixedlm.lmer(job.model.formula, frame)
        return lambda: task(fitted, frame), lambda result: Outcome(float(value(result)))

    return prepare


def ends(profiles: Any) -> float:
    return float(sum(each.ci_lower + each.ci_upper for each in profiles.values()))


# Its profile is of fixed effects alone.
TASKS = {
    "fit": fit,
    "profile_fixed": after(lambda m, _: m.profile(), ends),
    "bootstrap": after(
        lambda m, _: mixedlm.bootMer(m, nsim=1000, seed=1),
        lambda found: found.beta_samples[:, -1].std(ddof=1),
    ),
    "simulate": after(lambda m, _: m.simulate(nsim=100, seed=1, use_re=True), np.std),
    "predict": after(lambda m, rows: m.predict(rows), lambda found: np.mean(found**2)),
}

if __name__ == "__main__":
    serve("mixedlm", TASKS, (FAMILIES,))

"""lme-python: lme4's formula on a polars frame, which is what it takes without pyarrow.

Of what it has after the fit: its profiles of variances are of theta, so those of fixed effects
alone are asked for.

It reads ``a/b`` but not ``a/b/c``, so nesting is written out. It has no flag for a singular fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.columns import Factor
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

with optional("lme-python"):
    import lme_python
    import polars as pl


LINKS = {"binomial": "logit", "poisson": "log", "gamma": "log"}


def polars_frame(job: Job) -> Any:
    def series(column: Any) -> Any:
        if isinstance(column, Factor) and column.text:
            return pl.Series(column.labels(), dtype=pl.String)
        if isinstance(column, Factor):
            return pl.Series(column.labels(), dtype=pl.String).cast(pl.Enum(column.levels))
        return pl.Series(column)

    return pl.DataFrame({name: series(column) for name, column in job.table.items()})


def read(fit: Any) -> Outcome:
    return Outcome(fit.reml_criterion, fit.converged)


def read_generalised(fit: Any) -> Outcome:
    return Outcome(-2.0 * fit.log_likelihood, fit.converged)


def fit(job: Job) -> Prepared:
    formula, frame = job.model.expanded, polars_frame(job)
    family = job.model.family
    if family == GAUSSIAN:
        return lambda: lme_python.lmer(formula, data=frame), read
    if family not in {"binomial", "poisson", "gamma"}:
        raise NotExpressible(f"the family {family}")
    return lambda: lme_python.glmer(formula, frame, family, link_name=LINKS[family]), (
        read_generalised
    )


def after(task: Callable[[Any, str, Any], Any], value: Callable[[Any], float]) -> Task:
    """A task on a fit that is made beforehand, its formula and its rows."""

    def prepare(job: Job) -> Prepared:
        formula, frame = job.model.expanded, polars_frame(job)
        fitted = lme_python.lmer(formula, data=frame)
        return lambda: task(fitted, formula, frame), lambda got: Outcome(float(value(got)))

    return prepare


TASKS = {
    "fit": fit,
    "profile_fixed": after(
        lambda m, _, rows: m.confint(method="profile", data=rows, which="fixed"),
        lambda found: sum(found.lower) + sum(found.upper),
    ),
    "bootstrap": after(
        lambda m, formula, rows: m.boot(formula, rows, nsim=1000, method="parametric", seed=1),
        lambda found: np.std([each.coefficients[-1] for each in found.replicates], ddof=1),
    ),
    # Its random effects are held: there are no draws of new ones.
    "simulate_modes": after(
        lambda m, *_: m.simulate(100, seed=1), lambda got: np.std(got.simulations)
    ),
    "predict": after(
        lambda m, _, rows: m.predict_conditional(rows), lambda found: np.mean(np.square(found))
    ),
}

if __name__ == "__main__":
    serve("lme-python", TASKS, (FAMILIES,))

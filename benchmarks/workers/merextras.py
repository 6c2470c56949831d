"""merextras: `lmer` and `glmer` with lme4's formula, and what is asked of their fits."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from benchmarks.models import FAMILIES, GAUSSIAN, RESIDUAL_BY, STRUCTURES
from benchmarks.workers.protocol import Job, Outcome, Prepared, Task, optional, serve

with optional("merextras"):
    import merextras as mx
    from merextras.fit_lmer import lmer
    from merextras.glmermod import glmer


def read(fit: Any) -> Outcome:
    criterion = fit.reml_crit() if fit.is_reml() else -2.0 * fit.log_lik()
    return Outcome(float(criterion), fit.opt_summary.converged, fit.is_singular())


def fitting(job: Job) -> Callable[[], Any]:
    """The call that fits the job's model."""
    model, frame = job.model, job.frame()
    if model.family != GAUSSIAN:
        return lambda: glmer(model.formula, frame, model.family)
    return lambda: lmer(model.formula, frame, residual_by=model.residual_by or None)


def fit(job: Job) -> Prepared:
    return fitting(job), read


def after(task: Callable[[Any], Any], value: Callable[[Any], float]) -> Task:
    """A task on a fit that is made beforehand; each run gets a fit without caches."""
    return with_rows(lambda m, _: task(m), value)


def with_rows(task: Callable[[Any, Any], Any], value: Callable[[Any], float]) -> Task:
    """The same, of a task that is given the rows again."""

    def prepare(job: Job) -> Prepared:
        state, frame = pickle.dumps(fitting(job)()), job.frame()
        read = lambda result: Outcome(float(value(result)))  # noqa: E731
        return lambda: task(pickle.loads(state), frame), read

    return prepare


def largest_change(result: Any) -> float:
    return float(result.dfbeta().abs().to_numpy().max())


TASKS = {
    "fit": fit,
    "profile": after(lambda m: m.confint(method="profile"), lambda ends: ends.to_numpy().sum()),
    "bootstrap": after(
        lambda m: mx.bootstrap(m, n_sims=1000, rng=1), lambda found: found.std_error.iloc[-1]
    ),
    "profile_fixed": after(
        lambda m: m.confint(method="profile", parm="beta_"), lambda ends: ends.to_numpy().sum()
    ),
    "simulate": after(lambda m: m.simulate(100, rng=1), lambda rows: rows.to_numpy().std()),
    "simulate_modes": after(
        lambda m: m.simulate(100, rng=1, use_u=True), lambda rows: rows.to_numpy().std()
    ),
    "predict": with_rows(
        lambda m, rows: m.predict(rows), lambda found: (found.to_numpy() ** 2).mean()
    ),
    "predict_interval_few": with_rows(
        lambda m, rows: mx.predict_interval(m, rows.head(10_000), level=0.8, n_sims=1000, rng=1),
        lambda rows: (rows["upper"] - rows["lower"]).mean(),
    ),
    "what_if": with_rows(
        lambda m, rows: mx.what_if(m, rows.head(100), m.design.factors[0]),
        lambda rows: (rows["upper"] - rows["lower"]).mean(),
    ),
    "power": after(
        lambda m: mx.power(
            m, m.fixef().index[-1], method="kenward-roger", alpha=0.05, n_sims=100, rng=1
        ),
        lambda found: found.p_values.mean(),
    ),
    "power_lrt": after(
        lambda m: mx.power(m, m.fixef().index[-1], method="lrt", alpha=0.05, n_sims=50, rng=1),
        lambda found: found.p_values.mean(),
    ),
    "kr": after(lambda m: m.anova(ddf="kenward-roger"), lambda table: table["den_df"].sum()),
    "predict_interval": after(
        lambda m: mx.predict_interval(m, level=0.8, n_sims=1000, rng=1),
        lambda rows: (rows["upper"] - rows["lower"]).mean(),
    ),
    "re_sim": after(lambda m: mx.re_sim(m, n_sims=1000, rng=1), lambda rows: rows["sd"].mean()),
    "influence": after(lambda m: m.influence(m.design.factors[0]), largest_change),
}

if __name__ == "__main__":
    serve("merextras", TASKS, (FAMILIES, STRUCTURES, RESIDUAL_BY))

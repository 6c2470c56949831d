"""statsmodels: one factor as `groups`, the others as variance components."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks import columns
from benchmarks.columns import Factor, Table
from benchmarks.workers.protocol import Job, NotExpressible, Outcome, Prepared, optional, serve

with optional("statsmodels"):
    import statsmodels.formula.api as smf


def read(fit: Any) -> Outcome:
    variances = np.append(np.linalg.eigvalsh(fit.cov_re), fit.vcomp)
    singular = bool(variances.min() < 1e-8 * fit.scale)
    return Outcome(-2.0 * float(fit.llf), bool(fit.converged), singular)


def nests(outer: Factor, inner: Factor) -> bool:
    """Whether every level of `inner` lies in one level of `outer`."""
    pairs = outer.codes.astype(np.int64) * len(inner.levels) + inner.codes
    return len(np.unique(pairs)) == len(np.unique(inner.codes))


def outermost(names: list[str], table: Table) -> str | None:
    """Return the factor that all others are nested in."""
    factors = {name: columns.factor(table, name) for name in names}
    for name, factor in factors.items():
        if all(nests(factor, other) for other in factors.values()):
            return name
    return None


def fit(job: Job) -> Prepared:
    terms, table = job.plain_groups()
    formula, frame = job.model.fixed_formula, job.frame(table)
    options: dict[str, Any]
    if len(terms) == 1:
        options = {"groups": terms[0].group, "re_formula": f"~{terms[0].effects}"}
        return lambda: smf.mixedlm(formula, frame, **options).fit(), read
    if any(term.effects != "1" for term in terms):
        raise NotExpressible("random slopes on several factors")
    names = [term.group for term in terms]
    outer = outermost(names, table)
    for name in names:  # text: of a categorical each group would get the columns of all levels
        frame[name] = frame[name].astype(str)
    groups = np.ones(len(frame)) if outer is None else outer
    rest = {name: f"0 + C({name})" for name in names if name != outer}
    options = {"groups": groups, "vc_formula": rest, "re_formula": "0" if outer is None else "1"}
    return lambda: smf.mixedlm(formula, frame, **options).fit(), read


TASKS = {"fit": fit}

if __name__ == "__main__":
    serve("statsmodels", TASKS)

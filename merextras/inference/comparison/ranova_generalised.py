"""Likelihood ratio tests of a generalised model's random-effects terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.engine.covariance.structure import Freedom
from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_count, check_jobs
from merextras.foundation.rng import as_generator
from merextras.inference.comparison.reductions import Reduced, reduced_designs, wanted_p_values
from merextras.inference.intervals.replicates import in_blocks
from merextras.model.generalised.again import Refits, all_drawn
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.refit import with_design
from merextras.results.base import Table

_ADDED = ("mixture", "bootstrap")
_BOOTSTRAP = 1000
# How many replicates take long.
_LONG = 500
# A statistic below this share of the deviance is the rounding of two equal likelihoods.
_ROUNDING = 1e-9


def ranova(
    model: FittedGlmm,
    *,
    reduce_terms: bool,
    p_values: Any,
    n_sims: int | None,
    rng: Rng,
    n_jobs: int,
) -> pd.DataFrame:
    """`ranova` of a generalised model; see there."""
    if p_values == "exact" or (not isinstance(p_values, str) and "exact" in set(p_values)):
        raise UnsupportedModelError(
            "ranova: p_values='exact': the exact null distribution is known for linear models "
            "alone; p_values=['mixture', 'bootstrap'] are of the likelihood ratio at the boundary"
        )
    wanted = wanted_p_values(p_values, _ADDED)
    n_sims = _BOOTSTRAP if n_sims is None else check_count(n_sims, "n_sims")
    n_jobs, notes = check_jobs(n_jobs), dict[str, str]()
    as_generator(rng)
    fixed = model.n_parameters - model.design.covariances.n
    rows = [("<none>", model.n_parameters, model.log_likelihood, np.nan, np.nan)]
    for label, reduced in reduced_designs(model.design, reduce_terms):
        small = with_design(model, reduced.design, f"ranova: without {label}")  # type: ignore[arg-type]
        statistic = ratio(small.log_likelihood, model.log_likelihood)
        mixture = bootstrap = np.nan
        if "mixture" in wanted:
            mixture, why = _mixture(model, reduced, statistic)
            notes |= {label: why} if why else {}
        if "bootstrap" in wanted:
            sample = null_sample(model, small, as_generator(rng).spawn(n_sims), n_jobs)
            used = sample[np.isfinite(sample)]
            bootstrap = (np.count_nonzero(used >= statistic) + 1.0) / (len(used) + 1.0)
            if len(used) < n_sims:
                why = f"p_bootstrap: {n_sims - len(used)} of {n_sims} replicates failed"
                notes |= {label: "; ".join(filter(None, [notes.get(label), why]))}
        npar = fixed + reduced.design.covariances.n
        rows.append((label, npar, small.log_likelihood, mixture, bootstrap))
    out = _table(rows).drop(columns=[f"p_{name}" for name in _ADDED if name not in wanted])
    out.attrs["notes"] = notes
    return Table.of(out)


def _mixture(model: FittedGlmm, reduced: Reduced, statistic: float) -> tuple[float, str]:
    """The p-value of one variance (with its covariances) at the boundary, or why there is none."""
    term = model.design.terms[reduced.term]
    lost = 1 if reduced.whole else term.k - reduced.design.terms[reduced.term].k
    if lost != 1 or (reduced.whole and term.k != 1):
        return np.nan, "p_mixture: several variances at zero have no mixture of known weights"
    if term.structure.freedom is not Freedom.ANY:
        return np.nan, "p_mixture: is known for free covariances, not for those of a structure"
    fewer = term.k - 1
    none = float(statistic <= 0.0) if fewer == 0 else float(stats.chi2.sf(statistic, fewer))
    return 0.5 * none + 0.5 * float(stats.chi2.sf(statistic, fewer + 1)), ""


def ratio(small: Array | float, large: Array | float) -> Any:
    """Twice the difference of log-likelihoods; what is rounding or negative is zero."""
    gain = 2.0 * np.subtract(large, small)
    return np.where(gain <= _ROUNDING * (1.0 + np.abs(large)), 0.0, gain)[()]


def null_sample(
    large: FittedGlmm,
    small: FittedGlmm,
    generators: Sequence[np.random.Generator],
    n_jobs: int,
) -> Array:
    """Likelihood ratios of responses of the smaller model; NaN where a refit did not converge."""
    refits = Refits(large), Refits(small)
    size, long = min(one.block for one in refits), len(generators) > _LONG
    found = in_blocks(_ratios, refits, generators, size=size, n_jobs=n_jobs, long=long)
    return np.concatenate(found)


def _ratios(large: Refits, small: Refits, generators: Sequence[np.random.Generator]) -> Array:
    y = all_drawn(small.model, set(), generators)
    one, other = small.fit(y), large.fit(y)
    found = ratio(-0.5 * one.deviance, -0.5 * other.deviance)
    return np.where(one.converged & other.converged, found, np.nan)


def _table(rows: Sequence[tuple[str, int, float, float, float]]) -> pd.DataFrame:
    npar, log_lik, mixture, bootstrap = np.array([row[1:] for row in rows], dtype=float).T
    first = np.arange(len(rows)) == 0
    statistic = np.where(first, np.nan, ratio(log_lik, log_lik[0]))
    df = np.where(first, np.nan, npar[0] - npar)
    return pd.DataFrame(
        {
            "npar": npar.astype(int),
            "log_lik": log_lik,
            "aic": -2.0 * log_lik + 2.0 * npar,
            "statistic": statistic,
            "df": df,
            "p_value": stats.chi2.sf(statistic, df),
            "p_mixture": mixture,
            "p_bootstrap": bootstrap,
        },
        index=[row[0] for row in rows],
    )

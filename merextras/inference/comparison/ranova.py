"""Tests of random-effects terms by deleting or reducing each in turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_count, check_jobs
from merextras.foundation.rng import as_generator
from merextras.inference.comparison import ranova_generalised
from merextras.inference.comparison.reductions import Reduced, reduced_designs, wanted_p_values
from merextras.inference.intervals.replicates import check_joint_refits
from merextras.inference.variance_tests.exact_rlrt import rlrt
from merextras.inference.variance_tests.null_bootstrap import (
    least_squares,
    likelihood_ratio,
    null_sample,
)
from merextras.inference.variance_tests.variance_hypothesis import (
    VarianceHypothesis,
    check_one_sigma,
)
from merextras.model.design.design import Design
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_like
from merextras.model.state.penalised import refuse_penalised
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table

__all__ = ["ranova"]

# The p-values beside that of the chi-square distribution, and their default numbers of draws.
_ADDED = ("exact", "bootstrap")
_EXACT, _BOOTSTRAP = 10_000, 1000


def ranova(
    m: object,
    *,
    reduce_terms: bool = True,
    p_values: str | Sequence[str] = "chisq",
    n_sims: int | None = None,
    rng: Rng = None,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Likelihood ratio tests of the random-effects terms, lmerTest's ``ranova``.

    Parameters
    ----------
    m : MerMod, of `lmer` or `glmer`, or fit of a statsmodels MixedLM
    reduce_terms : bool
        Test the covariates of a term one by one, each left out with its covariances: of
        ``(1 + Days | Subject)`` what is left is ``(1 | Subject)``. A term whose last covariate goes
        is left out itself. False leaves out whole terms.
    p_values : {"chisq", "exact", "mixture", "bootstrap"} or several of them
        ``p_value``, from the chi-square distribution with as many degrees of freedom as parameters
        are left out, is always there. ``"exact"`` adds ``p_exact``, simulated from the
        finite-sample null distribution of a single variance (`exact_rlrt`, always from the
        restricted likelihood). ``"bootstrap"`` adds ``p_bootstrap``: the share of responses
        simulated from the reduced model, at its estimates, whose likelihood ratio is at least the
        one observed, ``(count + 1) / (n + 1)``.
        A model of `glmer` has no exact null distribution; ``"mixture"`` adds ``p_mixture``, half
        the chi-square probability of one degree of freedom less and half of that of all, the limit
        for one variance (and its covariances) at its boundary. Without any random effects its
        likelihood is that of a generalised linear model.
    n_sims : int, optional
        Draws a row; by default 10 000 for exact p-values, 1000 for the bootstrap.
    rng : int, Generator or None
        A seed is that of every row: its p-value is that of `exact_rlrt` with this seed.
    n_jobs : int, default 1
        Processes of the bootstrap (joblib); -1 for all cores. The result does not depend on it.

    Returns
    -------
    DataFrame
        ``npar log_lik aic statistic df p_value`` of the model (``<none>``) and of each reduced one,
        then ``p_exact`` or ``p_mixture`` and ``p_bootstrap``; the log-likelihood is restricted for
        a REML fit, whose fixed effects stay the same. ``attrs["notes"]`` says, by row, why a
        p-value is NaN, that one of 0 is below 1 / n_sims, and how many replicates of the bootstrap
        failed.

    Raises
    ------
    InvalidArgumentError
        An unknown `p_values`; for `n_sims`, `rng` or `n_jobs`.
    UnsupportedModelError
        Not a mixed model; exact p-values of a generalised one; frequency weights with the
        bootstrap (a row needs one response); a model with a `cov_prior`.

    See Also
    --------
    exact_rlrt : The exact test, how good it is for one variance of several, its sample.
    pb_modcomp : The bootstrap for any two models, fixed effects included.

    Notes
    -----
    R: ``lmerTest::ranova``, which gives the chi-square p-values only. They are conservative: a zero
    variance is at the boundary of what a variance can be (Crainiceanu & Ruppert 2004); for a single
    variance among independent groups half of it is nearer (Self & Liang 1987).
    lmerTest writes effects as the formula does, here the intercept is always written.

    Cost: a refit per row. The exact p-value adds a fraction of a second a row, the bootstrap two
    refits a replicate, all together: for sleepstudy or 144 rows with crossed factors, 1000
    replicates take some 0.1 to 0.5 s a row.

    References
    ----------
    Kuznetsova, A., Brockhoff, P. B. and Christensen, R. H. B. (2017). lmerTest package: tests in
    linear mixed effects models. J. Stat. Softw. 82(13).

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.ranova(m)[["npar", "statistic", "df"]].round(3)
                                    npar  statistic   df
    <none>                             6        NaN  NaN
    Days in (1 + Days | Subject)     4     42.837  2.0

    Batches of a paste and casks in batches, tested in three ways:

    >>> m = mx.lmer("strength ~ 1 + (1 | batch / cask)", mx.load_dataset("pastes"))
    >>> table = mx.ranova(m, p_values=["exact", "bootstrap"], n_sims=200, rng=1)
    >>> table.filter(like="p_").round(2)
                      p_value  p_exact  p_bootstrap
    <none>                NaN      NaN          NaN
    (1 | cask:batch)     0.00     0.00         0.00
    (1 | batch)          0.42     0.16         0.17
    """
    fitted = as_fitted(m, generalised=True)
    if isinstance(fitted, FittedGlmm):
        return ranova_generalised.ranova(
            fitted,
            reduce_terms=reduce_terms,
            p_values=p_values,
            n_sims=n_sims,
            rng=rng,
            n_jobs=n_jobs,
        )
    wanted = wanted_p_values(p_values, _ADDED)
    refuse_penalised("ranova", fitted)
    exact_sims = _EXACT if n_sims is None else check_count(n_sims, "n_sims")
    boot_sims = _BOOTSTRAP if n_sims is None else exact_sims
    as_generator(rng)
    if "exact" in wanted:
        check_one_sigma(fitted, "p_values='exact'")
    if "bootstrap" in wanted:
        check_joint_refits(fitted, "p_values='bootstrap'")
    n_jobs, notes = check_jobs(n_jobs), dict[str, str]()
    fixed = fitted.n_parameters - len(fitted.theta)
    rows = [("<none>", fitted.n_parameters, fitted.solution.deviance(), np.nan, np.nan)]
    for label, reduced in reduced_designs(fitted.design, reduce_terms):
        small = _fitted(fitted, reduced.design)
        npar = fixed + reduced.design.covariances.n
        exact = bootstrap = np.nan
        if "exact" in wanted:
            exact, reason = _exact(fitted, reduced, exact_sims, rng)
            notes |= {label: reason} if reason else {}
        if "bootstrap" in wanted:
            bootstrap, reason = _bootstrapped(fitted, small, boot_sims, rng, n_jobs)
            notes |= {label: "; ".join(filter(None, [notes.get(label), reason]))} if reason else {}
        rows.append((label, npar, small.solution.deviance(), exact, bootstrap))
    out = _table(rows).drop(columns=[f"p_{name}" for name in _ADDED if name not in wanted])
    out.attrs["notes"] = notes
    return Table.of(out)


def _exact(model: FittedModel, reduced: Reduced, n_sims: int, rng: Rng) -> tuple[float, str]:
    """The exact p-value of leaving a term out, and why there is none or what it means."""
    if reduced.without is None:
        return np.nan, "p_exact: a variance with its covariances has no exact test"
    tested = VarianceHypothesis(model, reduced.without)
    if tested.term.k > 1:
        return np.nan, "p_exact: several variances and their covariances have no exact test"
    try:
        test = rlrt(tested, n_sims, rng)
    except UnsupportedModelError as err:
        return np.nan, f"p_exact: {err}"
    none = f"p_exact: {test.p_text}, no simulated value is at least the statistic"
    return test.p_value, "" if test.n_exceeding else none


def _bootstrapped(
    model: FittedModel, small: FittedModel, n_sims: int, rng: Rng, n_jobs: int
) -> tuple[float, str]:
    """The bootstrap p-value of the smaller model, and a word on replicates that failed."""
    sample = null_sample(model, small, as_generator(rng).spawn(n_sims), n_jobs)
    used = sample[np.isfinite(sample)]
    failed = n_sims - len(used)
    reason = f"p_bootstrap: {failed} of {n_sims} replicates failed" if failed else ""
    if len(used) == 0:
        return np.nan, reason
    deviances = small.solution.deviance(), model.solution.deviance()
    observed = likelihood_ratio(*deviances, model.solution.n)
    return (np.count_nonzero(used >= observed) + 1.0) / (len(used) + 1.0), reason


def _table(rows: Sequence[tuple[str, int, float, float, float]]) -> pd.DataFrame:
    npar, deviance, exact, bootstrap = np.array([row[1:] for row in rows], dtype=float).T
    first = np.arange(len(rows)) == 0
    statistic = np.where(first, np.nan, np.maximum(deviance - deviance[0], 0.0))
    df = np.where(first, np.nan, npar[0] - npar)
    return pd.DataFrame(
        {
            "npar": npar.astype(int),
            "log_lik": -0.5 * deviance,
            "aic": deviance + 2.0 * npar,
            "statistic": statistic,
            "df": df,
            "p_value": stats.chi2.sf(statistic, df),
            "p_exact": exact,
            "p_bootstrap": bootstrap,
        },
        index=[row[0] for row in rows],
    )


def _fitted(model: FittedModel, design: Design) -> FittedModel:
    if not design.terms:
        return least_squares(design, reml=model.solution.reml)
    return FittedModel(fit_like(model, design))

"""Tests of random-effects terms by deleting or reducing each in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from merextras._checks import check_choice
from merextras._typing import Array, Rng
from merextras.engine.crossprod import TermRows
from merextras.engine.plan import prepare
from merextras.engine.pls import solve
from merextras.inference.exact_lrt import exact_rlrt
from merextras.model.covariates import Covariates
from merextras.model.design import INTERCEPT, Design, Term
from merextras.model.effects import Effects, effects_of
from merextras.model.fitted import FittedModel, fit_design
from merextras.model.fixed import ColumnsPart
from merextras.model.mixedlm import as_fitted

__all__ = ["ranova"]


def ranova(
    m: object,
    *,
    reduce_terms: bool = True,
    p_values: str = "chisq",
    n_sims: int = 10_000,
    rng: Rng = None,
) -> pd.DataFrame:
    """Likelihood ratio tests of the random-effects terms, lmerTest's ``ranova``.

    Parameters
    ----------
    m : MerMod or fit of a statsmodels MixedLM
    reduce_terms : bool
        Test the covariates of a term one by one, each left out with its covariances: of
        ``(1 + Days | Subject)`` what is left is ``(1 | Subject)``. A term whose last covariate goes
        is left out itself. False leaves out whole terms.
    p_values : {"chisq", "exact", "both"}
        From the chi-square distribution with as many degrees of freedom as parameters are left out;
        simulated from the exact null distribution where there is one, for the only variance of a
        model (`exact_rlrt`, always from the restricted likelihood), NaN elsewhere; or both, the
        latter as ``p_exact``.
    n_sims : int, default 10000
        Draws for the exact p-value.
    rng : int, Generator or None

    Returns
    -------
    DataFrame
        ``npar log_lik aic statistic df p_value`` of the model (``<none>``) and of each reduced one;
        the log-likelihood is restricted for a REML fit, whose fixed effects stay the same.

    Raises
    ------
    InvalidArgumentError
        An unknown `p_values`; for `n_sims` or `rng`.
    UnsupportedModelError
        Not a mixed model.

    Notes
    -----
    R: ``lmerTest::ranova``, which gives the chi-square p-values only. They are conservative: a zero
    variance is at the boundary of what a variance can be (Crainiceanu & Ruppert 2004); for a single
    variance among independent groups half of it is nearer (Self & Liang 1987).
    lmerTest writes effects as the formula does, here the intercept is always written.
    Cost: a refit per row.

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
    """
    fitted = as_fitted(m)
    check_choice(p_values, ("chisq", "exact", "both"), "p_values")
    fixed = fitted.n_parameters - len(fitted.theta)
    rows = {"<none>": (fitted.n_parameters, fitted.solution.deviance(), np.nan)}
    for label, terms in _reductions(fitted.design, reduce_terms):
        deviance = _deviance(fitted, terms)
        npar = fixed + sum(t.k * (t.k + 1) // 2 for t in terms)
        exact = np.nan
        if p_values != "chisq" and not terms and len(fitted.theta) == 1:
            exact = exact_rlrt(fitted, n_sims=n_sims, rng=rng).p_value
        rows[label] = (npar, deviance, exact)
    return _table(rows, p_values)


def _table(rows: dict[str, tuple[int, float, float]], p_values: str) -> pd.DataFrame:
    npar, deviance, exact = np.array(list(rows.values()), dtype=float).T
    first = np.arange(len(rows)) == 0
    statistic = np.where(first, np.nan, np.maximum(deviance - deviance[0], 0.0))
    df = np.where(first, np.nan, npar[0] - npar)
    out = pd.DataFrame(
        {
            "npar": npar.astype(int),
            "log_lik": -0.5 * deviance,
            "aic": deviance + 2.0 * npar,
            "statistic": statistic,
            "df": df,
            "p_value": exact if p_values == "exact" else stats.chi2.sf(statistic, df),
        },
        index=list(rows),
    )
    return out.assign(p_exact=exact) if p_values == "both" else out


def _deviance(model: FittedModel, terms: tuple[Term, ...]) -> float:
    design = replace(model.design, terms=terms)
    reml = model.solution.reml
    if not terms:
        return solve(prepare(design.cross_products()), [], reml=reml).deviance()
    return fit_design(design, reml=reml).solution.deviance()


def _reductions(design: Design, reduce_terms: bool) -> Iterator[tuple[str, tuple[Term, ...]]]:
    """Each model with a term less, or with one that has an effect less, and what is left out."""
    seen: dict[str, int] = {}
    for t, term in enumerate(design.terms):
        before, after = design.terms[:t], design.terms[t + 1 :]
        shown = _bar(term)
        seen[shown] = seen.get(shown, 0) + 1
        smaller = list(_smaller(design, term)) if reduce_terms else []
        for name, left in smaller:
            yield f"{name} in {shown}", (*before, left, *after)
        if not smaller:
            yield shown, (*before, *after)


def _bar(term: Term) -> str:
    names = ["1" if name == INTERCEPT else name for name in term.names]
    return f"({' + '.join(names if names[0] == '1' else ['0', *names])} | {term.factor})"


def _smaller(design: Design, term: Term) -> Iterator[tuple[str, Term]]:
    """The term without each of its covariates, if something is left."""
    effects = _effects(design, term)
    for effect in effects.marginal():
        left = [e for e in effects.effects if e is not effect]
        if not left and not effects.rest:
            continue
        columns = effects.spanned(left)
        yield effect.label, _with_columns(term, columns)


def _effects(design: Design, term: Term) -> Effects:
    """The covariates of a term as effects, from its formula or from its columns."""
    part, names = term.covariates.formula, term.names
    if part is not None and part.names == names:
        return effects_of(part, design.frame)
    frame = pd.DataFrame(term.rows.values, columns=list(names))
    constant = INTERCEPT if INTERCEPT in names else None
    return effects_of(ColumnsPart(names, constant), frame)


def _with_columns(term: Term, columns: Array) -> Term:
    names = tuple(f"column {j}" for j in range(columns.shape[1]))
    rows = TermRows(term.rows.codes, columns, term.rows.n_levels)
    return replace(term, covariates=Covariates(names), rows=rows)

"""Analysis of variance: models against each other, and one model by its terms."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import scipy.linalg as la
from scipy import stats

from merextras.accessors.estimates import mean_sigma
from merextras.engine.kernels import dense
from merextras.exceptions import InvalidArgumentError, RefitWarning
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_models
from merextras.inference.ddf.method import check_method, f_row, f_table, method_of
from merextras.inference.fixed_effects.term_contrasts import by_type
from merextras.inference.nesting.nested import (
    AnyCandidate,
    check_nested,
    check_same_data,
    mixed_candidate,
    ols_candidate,
    same_criterion,
    same_fixed,
)
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import refitted
from merextras.model.state.penalised import refuse_penalised
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model.statsmodels.ols import is_ols
from merextras.results.base import Table

_TYPES: dict[object, int | str] = {
    "I": 1, "II": 2, "III": 3, "1": 1, "2": 2, "3": 3, 1: 1, 2: 2, 3: 3, "marginal": "marginal",
}  # fmt: skip


def anova(
    model: FittedModel,
    *others: object,
    refit: bool = True,
    ddf: str | None = None,
    type: int | str = 3,  # noqa: A002 (lmerTest's name)
    cluster: Any = None,
    names: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Likelihood ratio tests between models, or F tests of one model's terms, lme4's ``anova``.

    Parameters
    ----------
    *others : MerMod, or fits of a statsmodels MixedLM or OLS
        Models of the same data, each nested in the next larger one. An OLS fit can only be the
        smallest. They can be one list, too. Without others the table is by term.
    refit : bool
        Refit REML fits by ML before they are compared, with a warning: the REML criteria of models
        with different fixed effects are not comparable. False takes them as they are, which is a
        test of variances if the fixed effects are the same, and an error if they are not.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}, optional
        Of the denominator; without it lme4's sequential table, which has no p-values. The last
        three are Wald tests with cluster-robust covariances, see `contest`.
    type : {1, 2, 3, "marginal"}
        With `ddf`: terms tested in sequence (1), each given all that do not contain it (2), or
        marginally (3), with hypotheses that do not depend on the coding of factors. Or that each
        term's own coefficients are zero, in the coding of the fit, the intercept's too, nlme's
        ``anova(type = "marginal")``: with an interaction in the model, and treatment contrasts, a
        main effect is then that at the other factor's first level.
    cluster : str or array, optional
        Of the robust covariances, as in `MerMod.vcov`.
    names : sequence of str, optional
        Of the models in the index; their formulas by default.

    Returns
    -------
    DataFrame
        With others: ``npar aic bic log_lik deviance statistic df p_value``, a row per model from
        the smallest to the largest; `statistic` is twice the difference in log-likelihood to the
        row above, and ``attrs["notes"]`` names the tests whose hypothesis may be at a boundary. By
        term: ``sum_sq mean_sq num_df den_df statistic p_value``, or ``sum_sq mean_sq num_df
        statistic`` without `ddf`.

    Raises
    ------
    InvalidArgumentError
        Models of different data (number of rows, response, weights), models that are not nested,
        as far as that can be seen (by the span of X and by random-effects terms), REML fits with
        fixed effects that differ, or that are coded differently, or beside ML fits under
        ``refit=False``, several OLS fits, an unknown `ddf` or `type`.
    UnsupportedModelError
        Another kind of fit among `others`; models with a `cov_prior`.

    Warns
    -----
    RefitWarning
        REML fits were refitted by ML; or an ML fit by REML for Kenward-Roger's method.

    Notes
    -----
    R: lme4's and lmerTest's ``anova``. lme4 compares any models; here models that are not nested
    are an error. The chi-square p-value of a test of variances is conservative, as its hypothesis
    is at the boundary: see `ranova` and `exact_rlrt`. Sums of squares of a table by term are F
    times sigma**2 (with Kenward-Roger's method before it is scaled). Type 1 and 2 contrasts are
    orthogonal in the rows of X, as in lmerTest; lme4's own table (no `ddf`) is orthogonal in
    V^-1. In ``a / b`` lmerTest's types 2 and 3 test ``a`` at the first level of b; here ``a:b``
    contains it, as in SAS. Cost: a refit per REML model, or that of
    `merextras.engine.derivatives.information`.

    Examples
    --------
    >>> import merextras as mx
    >>> sleep = mx.load_dataset("sleepstudy")
    >>> small = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep, reml=False)
    >>> large = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=False)
    >>> small.anova(large, names=["small", "large"]).round(3).T
                  small     large
    npar          4.000     6.000
    aic        1802.079  1763.939
    bic        1814.850  1783.097
    log_lik    -897.039  -875.970
    deviance   1794.079  1751.939
    statistic       NaN    42.139
    df              NaN     2.000
    p_value         NaN     0.000
    >>> large.anova(ddf="satterthwaite").round(2)
            sum_sq   mean_sq  num_df  den_df  statistic  p_value
    Days  31797.55  31797.55       1    18.0      48.55      0.0
    """
    if not others:
        return _by_term(model, ddf, type, cluster)
    if ddf is not None or cluster is not None:
        raise InvalidArgumentError(
            "anova: ddf is for the terms of one model; models are compared by likelihood ratios"
        )
    more, names = check_models(others, names)
    refuse_penalised("anova(other)", model, *more)
    return compared(_candidates([model, *more], names, refit))


def _by_term(model: FittedModel, ddf: str | None, kind: int | str, cluster: Any) -> pd.DataFrame:
    kind = type_of(kind)
    if ddf is None and cluster is not None:
        raise InvalidArgumentError("cluster: is for ddf='CR0', 'CR1' or 'CR2'")
    if ddf is None and kind == "marginal":
        table = _by_term(model, "asymptotic", kind, None)
        return table.drop(columns=["den_df", "p_value"])
    if ddf is None:
        return _sequential(model)
    check_method(ddf)
    contrasts = by_type(model.design, kind)
    if not contrasts:
        return f_table({})
    method = method_of(model, ddf, cluster=cluster, stacklevel=4)
    return f_table({label: f_row(method, rows) for label, rows in contrasts.items()})


def type_of(kind: int | str) -> int | str:
    """The type of sums of squares: 1, 2 or 3, also of ``"III"``, or ``"marginal"``."""
    if kind not in _TYPES or isinstance(kind, bool):
        raise InvalidArgumentError(f"type={kind!r}: allowed: 1, 2, 3, 'marginal'")
    return _TYPES[kind]


def _sequential(model: FittedModel) -> pd.DataFrame:
    """lme4's table: squares of R beta, R the Cholesky factor of X'V^-1X in the terms' order."""
    solution, effects = model.solution, model.design.effects()
    order = [*effects.rest, *(j for effect in effects.effects for j in effect.columns)]
    basis = solution.factor.system.cp.basis.transform
    root = dense.solve_lower(basis.T, solution.fixed_low).T
    upper = la.qr(root[:, order], mode="r")[0] if order else root
    residual = mean_sigma(model) ** 2
    squares = (upper @ solution.beta[order]) ** 2 * (residual / solution.sigma2)
    at, rows = len(effects.rest), {}
    for effect in effects.effects:
        count = len(effect.columns)
        sum_sq = float(np.sum(squares[at : at + count]))
        at += count
        rows[effect.label] = [sum_sq, sum_sq / count, count, sum_sq / count / residual]
    columns = ["sum_sq", "mean_sq", "num_df", "statistic"]
    out = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
    return Table.of(out.astype({"num_df": int}))


def _candidates(
    models: Sequence[object], names: Sequence[str] | None, refit: bool
) -> list[AnyCandidate]:
    """The models in a comparison, by their number of parameters."""
    if names is not None and (isinstance(names, str) or len(names) != len(models)):
        raise InvalidArgumentError(f"names={names!r}: expected {len(models)} names")
    linear = [is_ols(m) for m in models]
    if sum(linear) > 1:
        raise InvalidArgumentError(
            "anova: more than one OLS fit; compare those by statsmodels' own anova_lm"
        )
    fits = [None if ols else as_fitted(m) for m, ols in zip(models, linear, strict=True)]
    mixed = [fit for fit in fits if fit is not None]
    by_reml = [fit for fit in mixed if fit.solution.reml]
    if by_reml and refit:
        warnings.warn(
            f"refitting {len(by_reml)} model(s) by ML (instead of REML)", RefitWarning, stacklevel=3
        )
    out: list[AnyCandidate] = []
    for i, fit in enumerate(fits):
        if fit is None:
            out.append(ols_candidate(models[i], mixed[0].design.response, "anova"))
        else:
            used = refitted(fit, reml=False) if refit and fit in by_reml else fit
            out.append(mixed_candidate(used))
    check_same_data(out)
    if by_reml and not refit:
        _check_comparable(out, all(fit in by_reml for fit in mixed) and not any(linear))
    if names is not None:
        out = [replace(c, label=str(name)) for c, name in zip(out, names, strict=True)]
    return sorted(out, key=lambda c: c.n_parameters)


def _check_comparable(candidates: Sequence[AnyCandidate], all_reml: bool) -> None:
    if not all_reml:
        raise InvalidArgumentError(
            "refit=False: some models were fitted by REML and others by ML; give refit=True"
        )
    if not all(same_fixed(candidates[0], other) for other in candidates[1:]):
        raise InvalidArgumentError(
            "refit=False: the REML criteria of models with different fixed effects can't be "
            "compared; give refit=True"
        )
    if not all(same_criterion(candidates[0], other) for other in candidates[1:]):
        raise InvalidArgumentError(
            "refit=False: the models code the same fixed effects differently (other units, "
            "contrasts or columns), which shifts their REML criteria; code them alike, or give "
            "refit=True"
        )


_AT_A_BOUNDARY = (
    "{0!r} against {1!r} is a test of covariance parameters: where its hypothesis is at a boundary "
    "(a variance of zero, a correlation at its end) the chi-square p-value is conservative; see "
    "`ranova`, `exact_rlrt`, `pb_modcomp`"
)


def compared(candidates: Sequence[AnyCandidate]) -> pd.DataFrame:
    """The table of likelihood ratio tests between models, from the smallest to the largest."""
    log_lik = np.array([c.log_lik for c in candidates])
    npar = np.array([c.n_parameters for c in candidates])
    for small, large in pairwise(candidates):
        check_nested(small, large)
    statistic, df = 2.0 * np.diff(log_lik), np.diff(npar)
    # Equal likelihoods differ by rounding, and by how well their optima are known.
    statistic = np.where(np.abs(statistic) < 1e-9 * np.abs(log_lik[1:]), 0.0, statistic)
    p_value = np.where(df > 0, stats.chi2.sf(statistic, np.maximum(df, 1)), np.nan)
    table = Table.of(
        pd.DataFrame(
            {
                "npar": npar,
                "aic": -2.0 * log_lik + 2.0 * npar,
                "bic": -2.0 * log_lik + np.log(candidates[0].n) * npar,
                "log_lik": log_lik,
                "deviance": -2.0 * log_lik,
                "statistic": _first_missing(statistic),
                "df": _first_missing(df.astype(float)),
                "p_value": _first_missing(p_value),
            },
            index=[c.label for c in candidates],
        )
    )
    table.attrs["notes"] = tuple(
        _AT_A_BOUNDARY.format(small.label, large.label)
        for small, large in pairwise(candidates)
        if large.n_parameters - len(large.names) > small.n_parameters - len(small.names)
    )
    return table


def _first_missing(values: Array) -> Array:
    return np.concatenate([[np.nan], values])

"""Analysis of variance of generalised models: likelihood ratios, and Wald tests by term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError, NoRowsError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_flag, check_models
from merextras.inference.comparison.anova import compared, type_of
from merextras.inference.ddf.method import Method, chi2_row, method_of
from merextras.inference.ddf.robust_generalised import RobustGlmm
from merextras.inference.fixed_effects.term_contrasts import by_type
from merextras.inference.nesting.nested import AnyCandidate, Candidate, check_same_data
from merextras.model.generalised.fitted import FittedGlmm
from merextras.results.base import Table


def anova(
    model: FittedGlmm,
    *others: object,
    ddf: str | None = None,
    cluster: Any = None,
    type: int | str = 3,  # noqa: A002 (car's name)
    names: Sequence[str] | None = None,
    refit: bool = True,
) -> pd.DataFrame:
    """Likelihood ratio tests between models, or Wald tests of one model's terms, lme4's ``anova``.

    Parameters
    ----------
    *others : models of `glmer`
        Of the same data and family, each nested in the next larger one; they can be one list.
        Without others the table is by term.
    ddf : {"asymptotic", "CR0", "CR1"}, optional
        Without others; the last two have cluster-robust standard errors. Other degrees of freedom
        are defined for linear models alone.
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.
    type : {1, 2, 3}
        Without others: terms tested in sequence (1), each given all that do not contain it (2), or
        marginally (3), with hypotheses that do not depend on the coding of factors.
    names : sequence of str, optional
        Of the models in the index; their formulas by default.
    refit : bool
        As of linear models; without effect, as all fits are by maximum likelihood.

    Returns
    -------
    DataFrame
        With others: ``npar aic bic log_lik deviance statistic df p_value``, a row per model from
        the smallest to the largest. By term: ``statistic df p_value``, Wald's chi-square from the
        covariance matrix of the fixed effects.

    Raises
    ------
    InvalidArgumentError
        Models of different data, families or links, models that are not nested, linear models; a
        `cluster` without a robust `ddf`, either of them for several models; too few clusters for
        a term.
    UnsupportedModelError
        Degrees of freedom of linear models, CR2.

    Notes
    -----
    The chi-square p-value of a test of variances is conservative, as its hypothesis is at the
    boundary. R: ``anova`` of lme4 (whose table by term has sums of squares and no p-values) and
    ``Anova`` of car.
    """
    check_flag(refit, "refit")
    method = method_of(model, "asymptotic" if ddf is None else ddf, cluster=cluster, stacklevel=3)
    if not others:
        return _by_term(method, type_of(type))
    if cluster is not None or isinstance(method, RobustGlmm):
        raise InvalidArgumentError(
            "ddf, cluster: are for the table by term; models are compared by their likelihoods"
        )
    more, names = check_models(others, names)
    fits = comparable([model, *more], "anova")
    if names is not None and (isinstance(names, str) or len(names) != len(fits)):
        raise InvalidArgumentError(f"names={names!r}: expected {len(fits)} names")
    out: list[AnyCandidate] = [candidate(fit) for fit in fits]
    check_same_data(out)
    if names is not None:
        out = [replace(c, label=str(name)) for c, name in zip(out, names, strict=True)]
    return compared(sorted(out, key=lambda c: c.n_parameters))


def comparable(models: Sequence[object], verb: str) -> list[FittedGlmm]:
    """Models of one family, approximation, trials and offset.

    Raises
    ------
    InvalidArgumentError
    NoRowsError
    """
    fits = [m for m in models if isinstance(m, FittedGlmm)]
    if len(fits) < len(models):
        other = next(m for m in models if not isinstance(m, FittedGlmm))
        raise InvalidArgumentError(
            f"{verb}: a generalised model is compared with models of glmer, not with "
            f"{other.__class__.__name__}"
        )
    first = fits[0]
    if not all(fit.design.keeps_rows for fit in fits):
        raise NoRowsError(
            f"{verb}: whether models are nested is seen from their rows, and one that was fitted "
            "from chunks keeps no rows; compare log_lik() or aic()"
        )
    for fit in fits[1:]:
        if fit.choice != first.choice:
            raise InvalidArgumentError(
                f"{verb}: the models have different families, {first.choice.text} and "
                f"{fit.choice.text}; models of one family and link are nested. Compare others by "
                "aic or bic"
            )
        if fit.n_agq != first.n_agq:
            raise InvalidArgumentError(
                f"{verb}: the likelihoods are approximated differently, by n_agq={first.n_agq} "
                f"and {fit.n_agq}; fit both alike, by m.update(n_agq={first.n_agq})"
            )
        _check_trials(first, fit, verb)
    return fits


def _check_trials(first: FittedGlmm, fit: FittedGlmm, verb: str) -> None:
    """The same trials and offset in both; models of other rows are refused elsewhere."""
    if fit.design.n != first.design.n:
        return
    for what, a, b in (
        ("trials", first.response.trials, fit.response.trials),
        ("offsets", first.design.offset, fit.design.offset),
    ):
        zero = np.zeros(first.design.n)
        one, other = (zero if part is None else part for part in (a, b))
        if not np.allclose(one, other, rtol=1e-9, atol=1e-12):
            raise InvalidArgumentError(f"{verb}: the models are of different {what}")


def candidate(fit: FittedGlmm) -> Candidate:
    """A generalised model in a comparison."""
    return Candidate(
        label=fit.design.formula,
        n_parameters=fit.n_parameters,
        log_lik=fit.log_likelihood,
        n=fit.design.n,
        y=fit.response.y,
        weights=np.ones(fit.design.n),
        x=fit.design.x,
        names=tuple(fit.design.fixed.names),
        terms=tuple(term.rows for term in fit.design.terms),
        structures=tuple(term.structure for term in fit.design.terms),
    )


def _by_term(method: Method, kind: int | str) -> pd.DataFrame:
    contrasts = by_type(method.model.design, kind)
    rows = {label: _wald(method, contrast) for label, contrast in contrasts.items()}
    columns = ["statistic", "df", "p_value"]
    out = pd.DataFrame.from_dict(rows, orient="index", columns=columns, dtype=float)
    return Table.of(out.astype({"df": int}))


def _wald(method: Method, contrast: Array) -> list[float]:
    if not np.all(np.isfinite(method.inner)):  # there is no information matrix
        return [np.nan, float(len(contrast)), np.nan]
    return chi2_row(method, contrast)

"""Several models side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.accessors import likelihood
from merextras.exceptions import InvalidArgumentError, NoRowsError
from merextras.foundation.arguments import check_flag, check_models
from merextras.inference.ddf.method import check_method, method_of
from merextras.inference.ddf.robust import KINDS
from merextras.inference.variance_shares.r2 import r2
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model.statsmodels.ols import is_ols
from merextras.results.estimates.compare_table import CompareTable
from merextras.tables.tidy import tidy

__all__ = ["compare_table"]

#: Stars by p-value, below which they are given.
_STARS = {"***": 0.001, "**": 0.01, "*": 0.05}
_FOOTER = {"AIC": likelihood.aic, "BIC": likelihood.bic, "log-likelihood": likelihood.log_lik}


@dataclass(frozen=True)
class _Column:
    """One model's share of the table: rows of estimates by label, and the footer."""

    fixed: pd.DataFrame
    variances: Mapping[str, float]
    footer: Mapping[str, str]


@dataclass(frozen=True)
class _Tests:
    """What standard errors and p-values are from; neither asks for a method if `ddf` is None."""

    ddf: str | None
    cluster: Any
    ratios: bool = False

    @classmethod
    def checked(cls, ddf: str, cluster: Any, stars: bool, ratios: bool) -> _Tests:
        name = check_method(ddf)
        if cluster is not None and name not in KINDS:
            raise InvalidArgumentError("cluster: is for ddf='CR0', 'CR1' or 'CR2'")
        return cls(name if stars or name in {"kenward-roger", *KINDS} else None, cluster, ratios)

    @property
    def said(self) -> str:
        """What the note on standard errors has of it."""
        by = f" by {self.cluster}" if isinstance(self.cluster, str) else ""
        return f", {self.ddf}{by}" if self.ddf in KINDS else ""


def compare_table(
    *models: object,
    names: Sequence[str] | None = None,
    digits: int = 3,
    stars: bool | Mapping[str, float] = False,
    ddf: str = "satterthwaite",
    cluster: Any = None,
    order: Sequence[str] = (),
    drop: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    r_squared: bool = True,
    exponentiate: bool = False,
) -> CompareTable:
    """Put models side by side, as statsmodels' ``summary_col`` does.

    Parameters
    ----------
    *models : MerMod, or fits of a statsmodels MixedLM or OLS
        One or more; also as one list, or one mapping of headings to models.
    names : sequence of str, optional
        Headings, each once; the responses with numbers by default.
    digits : int, default 3
        Decimals.
    stars : bool or mapping of stars to levels, default False
        Mark small p-values; True is ``{"***": 0.001, "**": 0.01, "*": 0.05}`` (``summary_col`` has
        0.01, 0.05 and 0.1).
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}
        For the p-values of stars. Kenward-Roger's changes standard errors, with or without stars,
        and so do the cluster-robust ones. Those of an OLS fit are its own.
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.
    order, drop : sequences of str
        Fixed effects to show first, and those not to show.
    labels : mapping of str to str, optional
        Other labels for fixed effects.
    r_squared : bool, default True
        Add Nakagawa's marginal and conditional R², see `r2`; empty for a model without rows.
    exponentiate : bool, default False
        Fixed effects of models of `glmer` with a logit, log or complementary log-log link as ratios
        (of odds, rates or hazards), with standard errors by the delta method; stars are of the
        effects. All models must be such.

    Returns
    -------
    CompareTable
        Prints as text and as HTML in notebooks; ``to_frame()``, ``to_html()``, ``to_latex()``,
        ``to_markdown()``. Fixed effects with their standard errors below, in order of first
        appearance; standard deviations and correlations of random effects; observations, levels of
        each factor, AIC, BIC and log-likelihood of the fit's own criterion, which a row names; R²
        of an OLS fit.

    Raises
    ------
    InvalidArgumentError
        No model, names that are not one per model, unknown effects in `order`, `drop` or `labels`;
        a `cluster` without a robust `ddf`, and what `MerMod.vcov` raises; `exponentiate` with a
        model whose exponentials are no ratios.
    UnsupportedModelError
        Another kind of fit.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit.

    See Also
    --------
    merextras.tables.summary_col.for_summary_col : For statsmodels' own ``summary_col``.

    Notes
    -----
    Likelihoods of REML fits with different fixed effects, or of a REML and an ML fit, can't be
    compared; `MerMod.anova` refits. A variance parameter has no standard error.

    Examples
    --------
    >>> import merextras as mx
    >>> sleep = mx.load_dataset("sleepstudy")
    >>> a = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> b = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> mx.compare_table(a, b, names=["intercepts", "slopes"], stars=True)
                                      intercepts      slopes
    ----------------------------------------------------
    Intercept                     251.405***  251.405***
                                     (9.747)     (6.825)
    Days                           10.467***   10.467***
                                     (0.804)     (1.546)
    ----------------------------------------------------
    sd Intercept (Subject)            37.124      24.740
    cor Intercept.Days (Subject)                   0.066
    sd Days (Subject)                              5.922
    sigma                             30.991      25.592
    ----------------------------------------------------
    observations                         180         180
    levels: Subject                       18          18
    fit by                              REML        REML
    AIC                             1794.465    1755.628
    BIC                             1807.237    1774.786
    log-likelihood                  -893.233    -871.814
    R² marginal                        0.280       0.279
    R² conditional                     0.704       0.799
    ----------------------------------------------------
    Standard errors in parentheses.
    * p < 0.05, ** p < 0.01, *** p < 0.001.
    """
    given, names = check_models(models, names)
    if not given:
        raise InvalidArgumentError("compare_table: give at least one model")
    exponentiate = check_flag(exponentiate, "exponentiate")
    levels, tests = _levels(stars), _Tests.checked(ddf, cluster, bool(stars), exponentiate)
    columns = [_column(m, digits, levels, tests, r_squared) for m in given]
    heads = _heads(given, names)
    effects = _ordered([c.fixed.index for c in columns], order, drop, labels)
    rows: list[tuple[str, list[str]]] = []
    for effect in effects:
        for label, part in (((labels or {}).get(effect, effect), "estimate"), ("", "std_error")):
            rows.append((label, [c.fixed[part].get(effect, "") for c in columns]))
    first = len(rows)
    variances = list(dict.fromkeys(name for c in columns for name in c.variances))
    for name in sorted(variances, key=lambda name: name.partition(" ")[0] == "sigma"):
        texts = [_number(c.variances.get(name, np.nan), digits) for c in columns]
        rows.append((name, texts))
    second = len(rows)
    rows += [(name, [c.footer.get(name, "") for c in columns]) for name in _footer_rows(columns)]
    notes = [f"Standard errors in parentheses{tests.said}."]
    if tests.ratios:
        notes.insert(0, "Fixed effects are exponentials: ratios of odds, rates or hazards.")
    if levels:
        notes.append(", ".join(f"{mark} p < {cut:g}" for mark, cut in reversed(levels)) + ".")
    index, texts_by_row = zip(*rows, strict=True)
    frame = pd.DataFrame(list(texts_by_row), index=list(index), columns=heads, dtype=object)
    return CompareTable(frame, (first, second), tuple(notes))


def _levels(stars: bool | Mapping[str, float]) -> list[tuple[str, float]]:
    """Marks by level, the smallest level first."""
    if not isinstance(stars, Mapping):
        return list(_STARS.items()) if stars else []
    if not all(isinstance(cut, (int, float)) and 0.0 < cut < 1.0 for cut in stars.values()):
        raise InvalidArgumentError(f"stars={stars!r}: levels are numbers between 0 and 1")
    return sorted(stars.items(), key=lambda item: item[1])


def _heads(models: Sequence[object], names: Sequence[str] | None) -> list[str]:
    if names is None:
        found = [_response(m) for m in models]
        return [f"({i + 1}) {name}" for i, name in enumerate(found)]
    heads = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(heads) != len(models) or len(set(heads)) < len(heads):
        raise InvalidArgumentError(f"names={names!r}: expected {len(models)} different names")
    return heads


def _response(m: object) -> str:
    if is_ols(m):
        model: Any = getattr(m, "model", None)
        return str(model.endog_names)
    return as_fitted(m, generalised=True).design.response


def _ordered(
    indexes: Iterable[pd.Index],
    order: Sequence[str],
    drop: Sequence[str],
    labels: Mapping[str, str] | None,
) -> list[str]:
    known = list(dict.fromkeys(str(name) for index in indexes for name in index))
    for argument, given in {"order": order, "drop": drop, "labels": labels or ()}.items():
        for name in given:
            if name not in known:
                raise InvalidArgumentError(
                    f"{argument}: {name!r} is no fixed effect of these models; there are {known}"
                )
    return [name for name in dict.fromkeys([*order, *known]) if name not in drop]


def _footer_rows(columns: Sequence[_Column]) -> list[str]:
    """Rows of the footer, levels of factors after the observations and criteria last."""
    found = list(dict.fromkeys(name for c in columns for name in c.footer))
    last = ["fit by", *_FOOTER, "R²", "R² marginal", "R² conditional"]
    return [n for n in found if n not in last] + [n for n in last if n in found]


def _column(
    m: object, digits: int, levels: list[tuple[str, float]], tests: _Tests, r_squared: bool
) -> _Column:
    if is_ols(m):
        if tests.ratios:
            raise InvalidArgumentError(
                "exponentiate=True: exponentials of the effects of an OLS fit are no ratios"
            )
        return _of_ols(m, digits, levels)
    model = as_fitted(m, generalised=True)
    wanted = tests.ddf
    if isinstance(model, FittedGlmm) and wanted == "satterthwaite":
        wanted = "asymptotic"
    if wanted == "kenward-roger":
        # It changes an ML fit's estimates, and with it the whole column.
        model = method_of(model, wanted, stacklevel=4).model
    table = tidy(model, ddf=wanted, cluster=tests.cluster, exponentiate=tests.ratios)
    is_fixed = table["effect"] == "fixed"
    fixed = table[is_fixed].set_index("term")
    rest = table[~is_fixed]
    levels_of = rest["level"] if "level" in rest else [np.nan] * len(rest)
    variances = {
        _variance_name(group, term, level): value
        for group, term, level, value in zip(
            rest["group"], rest["term"], levels_of, rest["estimate"], strict=True
        )
    }
    footer = {"observations": str(likelihood.nobs(model))}
    footer |= {f"levels: {name}": str(count) for name, count in likelihood.ngrps(model).items()}
    if isinstance(model, FittedGlmm):
        footer["family"] = model.choice.text
    footer["fit by"] = "REML" if model.reml else "ML"
    for title, number in _FOOTER.items():
        footer[title] = _number(number(model), digits)
    if r_squared:
        footer |= _r_squared(model, digits)
    return _Column(_texts(fixed, digits, levels), variances, footer)


def _variance_name(group: str, term: str, level: object) -> str:
    if group != "Residual":
        return f"{term.replace('__', ' ')} ({group})"
    return "sigma" if pd.isna(level) else f"sigma ({level})"  # type: ignore[call-overload]


def _r_squared(model: FittedModel, digits: int) -> dict[str, str]:
    try:
        found = r2(model)
    except NoRowsError:  # a model from chunks: the cells stay empty
        return {}
    values = {"R² marginal": found.marginal, "R² conditional": found.conditional}
    return {name: _number(value, digits) for name, value in values.items()}


def _of_ols(m: object, digits: int, levels: list[tuple[str, float]]) -> _Column:
    fit: Any = m
    columns = {"estimate": fit.params, "std_error": fit.bse, "p_value": fit.pvalues}
    values = {name: np.asarray(column, dtype=float) for name, column in columns.items()}
    fixed = pd.DataFrame(values, index=[str(name) for name in fit.model.exog_names])
    footer = {
        "observations": str(int(fit.nobs)),
        "fit by": "OLS",
        "AIC": _number(float(fit.aic), digits),
        "BIC": _number(float(fit.bic), digits),
        "log-likelihood": _number(float(fit.llf), digits),
        "R²": _number(float(fit.rsquared), digits),
    }
    sigma = float(np.sqrt(fit.scale))
    return _Column(_texts(fixed, digits, levels), {"sigma": sigma}, footer)


def _texts(fixed: pd.DataFrame, digits: int, levels: list[tuple[str, float]]) -> pd.DataFrame:
    marks = [""] * len(fixed)
    if levels:
        marks = [next((mark for mark, cut in levels if p < cut), "") for p in fixed["p_value"]]
    estimates = [
        _number(value, digits) + mark for value, mark in zip(fixed["estimate"], marks, strict=True)
    ]
    errors = [f"({_number(value, digits)})" for value in fixed["std_error"]]
    return pd.DataFrame({"estimate": estimates, "std_error": errors}, index=fixed.index)


def _number(value: float, digits: int) -> str:
    # Adding zero turns the -0.0 of a rounded small number into 0.0.
    return "" if np.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"

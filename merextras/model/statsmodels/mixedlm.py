"""Reading a statsmodels `MixedLM` fit: everything once, into arrays of our own.

statsmodels' results are lazy and the model under them changes when it is refitted, so nothing is
kept of either. `params`, `cov_re` and `vcomp` of the results are the fit's own; the flag for REML
is read from the results, never from the model.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.genmod import bayes_mixed_glm
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMResults, MixedLMResultsWrapper

from merextras.engine.covariance.cholesky import factors_of
from merextras.engine.covariance.tags import PLAIN, Tag
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import Solution
from merextras.exceptions import ApproximationWarning, ConvergenceWarning, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.model.columns.array_columns import ColumnsPart
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.fixed import FormulaPart
from merextras.model.columns.part import FixedPart
from merextras.model.columns.plain_columns import plain_part
from merextras.model.design.design import INTERCEPT, RowDesign, Term, in_order
from merextras.model.design.questions import bar_text
from merextras.model.formula.translate import names_in, unquoted
from merextras.model.frame.read import only_columns, read_columns
from merextras.model.state.fitted import Fit, FittedModel, Origin
from merextras.model.state.fitting import fit_at, fit_design, warn_of
from merextras.model.state.identified import check_told_apart
from merextras.model.state.linear_only import linear_only
from merextras.model.statsmodels.fitted_frame import (
    check_columns_made,
    effect_names,
    frame_of,
    group_name,
    groups_of,
    with_own_values,
)
from merextras.model.statsmodels.user_formulas import check_formulas, warn_of_bits, with_formula
from merextras.model.statsmodels.vc import Groups, vc_term

# A log-likelihood this far short of the optimum is worth a warning.
_GAP = 1e-3
# Our deviance at statsmodels' estimate must be statsmodels' own, or the model was misread.
_SAME = 1e-6
# Random effects that many times the residuals are not an estimate to start from.
_RUN_AWAY = 1e3
# Nor, that many times, is there a likelihood in double precision: X'V^-1 X cancels.
_NO_DIGITS = 1e6


def as_fitted(model: object, *, generalised: bool = False) -> FittedModel:
    """A fitted model from a `MerMod` or a raw statsmodels `MixedLM` fit; the one coercion.

    Parameters
    ----------
    generalised : bool
        Whether the verb is there for generalised models, too.

    Raises
    ------
    UnsupportedModelError
        Anything else, such as an OLS or GLM fit; a generalised mixed model, for verbs of linear
        ones.
    """
    if is_bayes_mixed_glm(model):
        model = FittedModel.adapter(model)  # type: ignore[arg-type]
    if isinstance(model, FittedModel):
        if model.is_generalised and not generalised:
            raise linear_only()
        return model
    return FittedModel.adapter._of(read_mixedlm(model))


def is_bayes_mixed_glm(fit: object) -> bool:
    """Whether it is a fit, or a model before the fit, of statsmodels' Bayesian mixed GLMs."""
    kinds = (bayes_mixed_glm.BayesMixedGLMResults, bayes_mixed_glm._BayesMixedGLM)
    return isinstance(fit, kinds)


def read_mixedlm(
    fit: object,
    *,
    polish: bool = True,
    re_formula: str | None = None,
    vc_formula: dict[str, str] | None = None,
    groups: str | None = None,
) -> Fit:
    """The design and estimates of a fit, moved to the optimum unless `polish` is False."""
    if isinstance(fit, FittedModel):
        if fit.is_generalised:
            raise linear_only()
        return fit._fit
    results = _results(fit)
    design, theta = _design(results, re_formula, vc_formula, groups)
    reml = results.method == "REML"
    origin = _origin(results, design, theta, {"re_formula": re_formula, "vc_formula": vc_formula})
    plain = fit_at(design, theta, reml=reml, origin=origin)
    _check_same(results, plain)
    done = plain
    if polish:
        products = plain.solution.cp
        done = fit_design(design, reml=reml, theta=_start(plain), origin=origin, products=products)
    else:
        _warn_of_digits(plain)
    _warn(done, plain)
    parts = [design.fixed, *(term.covariates.formula for term in design.terms)]
    warn_of_bits(parts, design.frame, stacklevel=3)
    return done


def _start(plain: Fit) -> Array | None:
    """Where to polish from: a little inside of a zero, which is stationary.

    None, for moments, where statsmodels has run away.
    """
    solution = plain.solution
    if _largest(solution) > _RUN_AWAY:
        return None
    cov, basis = plain.design.covariances, solution.cp.basis
    theta = cov.inside(cov.parameters(solution.factor.lams), 1e-3)
    return basis.to_user(theta, cov)


def _largest(solution: Solution) -> float:
    """The largest standard deviation of a row by random effects, in units of the residual's."""
    return max(float(np.max(np.abs(lam))) for lam in solution.factor.lams)


def _lost(solution: Solution) -> float:
    """About how far rounding moves the log-likelihood where random effects are that large."""
    return solution.n * float(np.finfo(float).eps) * _largest(solution) ** 2


def _results(fit: object) -> Any:
    results = getattr(fit, "_results", fit) if isinstance(fit, MixedLMResultsWrapper) else fit
    if isinstance(fit, MixedLM):
        raise UnsupportedModelError("MixedLM: this model has not been fitted; call .fit() first")
    if not isinstance(results, MixedLMResults):
        of = type(fit.model).__name__ if hasattr(fit, "model") else None
        raise UnsupportedModelError(
            f"expected the fit of a statsmodels MixedLM, got {type(fit).__name__}"
            f"{'' if of is None else f' (of {of})'}; fit the model with "
            "statsmodels.formula.api.mixedlm(...).fit()"
        )
    if getattr(results, "method", None) not in {"REML", "ML"} or not hasattr(results, "freepat"):
        raise UnsupportedModelError(
            "a penalised fit (fit_regularized) has no random effects to read; fit with .fit()"
        )
    if results.model.fe_pen is not None or results.cov_pen is not None:
        raise UnsupportedModelError("fits with fe_pen or cov_pen maximise another criterion")
    _check_variances(results)
    return results


def _check_variances(results: Any) -> None:
    """The estimates must be finite, covariances positive semidefinite, and none held fixed."""
    relative = np.asarray(results.cov_re, dtype=float) / results.scale
    values = [*np.asarray(results.vcomp, dtype=float), results.scale]
    if not np.all(np.isfinite(relative)) or not np.all(np.isfinite(values)):
        raise UnsupportedModelError("the fit failed: its covariance estimates are not finite")
    least = np.linalg.eigvalsh(relative)[0] if relative.size else 0.0
    if least < -1e-8 * np.max(np.abs(relative), initial=1.0) or min(values) < 0.0:
        raise UnsupportedModelError(
            "the fit failed: its estimate is not a covariance matrix (a variance is negative); "
            "fit with use_sqrt=True, which is the default"
        )
    if results.freepat is not None and not np.all(np.asarray(results.freepat.vcomp) != 0):
        raise UnsupportedModelError("free=: a variance component held fixed can't be represented")


def _design(
    results: Any, re_formula: str | None, vc_formula: dict[str, str] | None, named: str | None
) -> tuple[RowDesign, Array]:
    """Our design of the fit, and its theta."""
    model = results.model
    n = len(model.endog)
    check_formulas(model, re_formula, vc_formula)
    names = [str(name) for name in model.exog_names]
    labels = model.data.row_labels
    index = pd.RangeIndex(n) if labels is None else pd.Index(labels)
    frame = frame_of(model, names, index)
    columns = frame.columns
    once = columns if columns.is_unique else columns[~columns.duplicated(keep=False)]
    frame = with_own_values(model, names, read_columns(frame, set(once)))
    groups, frame = groups_of(model, frame, named)
    fixed = fixed_of(model, names, frame)
    check_columns_made(model, fixed, frame)
    terms: list[Term] = []
    thetas: list[Array] = []
    if model.k_re:
        found = _group_terms(results, groups, frame, re_formula)
        terms += [term for term, _ in found]
        thetas += [theta for _, theta in found]
    for i, name in enumerate(model.exog_vc.names):
        mats, columns = model.exog_vc.mats[i], model.exog_vc.colnames[i]
        term = vc_term(str(name), mats, columns, groups, frame)
        terms.append(with_formula(term, (vc_formula or {}).get(name), frame))
        thetas.append(np.sqrt(np.array([results.vcomp[i] / results.scale])))
    # statsmodels sorts its components by name; intercepts go before slopes, as `||` writes them.
    ordered = in_order(sorted(terms, key=lambda term: INTERCEPT not in term.names))
    theta_of = {id(term): theta for term, theta in zip(terms, thetas, strict=True)}
    theta = np.concatenate([theta_of[id(term)] for term in ordered])
    y, x = np.array(model.endog, dtype=float), np.array(model.exog, dtype=float)  # copies
    text = getattr(model, "formula", None)
    response = unquoted(text.split("~")[0].strip()) if text else str(model.endog_names)
    formula = formula_of(response, text, fixed, ordered)
    kept = only_columns(frame, used_by(response, fixed, ordered))
    return RowDesign(response, y, x, fixed, ordered, index, kept, formula), theta


def fixed_of(model: Any, names: list[str], frame: pd.DataFrame) -> FixedPart:
    """What makes the fixed columns: the fit's formula, or the columns by name."""
    spec = getattr(model.data, "model_spec", None) or getattr(model.data, "design_info", None)
    formula = getattr(model, "formula", None)
    if spec is None or not isinstance(formula, str):
        ones = np.flatnonzero(np.all(np.asarray(model.exog) == 1.0, axis=0))
        return ColumnsPart(names, names[ones[0]] if len(ones) else None)
    rhs = formula.split("~", 1)[-1]
    plain = plain_part(rhs, frame) if frame.columns.is_unique else None
    return plain if plain and plain.names == tuple(names) else FormulaPart(spec, rhs, frame)


def _group_terms(
    results: Any, groups: Groups, frame: pd.DataFrame, re_formula: str | None
) -> list[tuple[Term, Array]]:
    """The terms on the groups: one, or several where `free` has covariances of some effects."""
    model = results.model
    values = np.asarray(model.exog_re, dtype=float)
    names = effect_names(model, frame)
    relative = np.asarray(results.cov_re, dtype=float) / results.scale
    found = []
    for block, tag in _blocks(results, len(names)):
        covariates = Covariates(tuple(names[i] for i in block))
        rows = TermRows(groups.codes, values[:, block], len(groups.levels))
        term = Term(groups.name, (groups.name,), groups.levels, covariates, rows, tag)
        if len(block) == len(names):
            term = with_formula(term, re_formula, frame)
        free = term.structure.freedom
        own = EffectBasis.from_rows(rows.values, len(values), freedom=free)
        inner = own.covariance_from_user(relative[np.ix_(block, block)])
        low = own.to_user(factors_of(inner[None]))
        found.append((term, term.structure.natural(term.structure.from_factor(low))[0]))
    return found


def _blocks(results: Any, k: int) -> list[tuple[list[int], Tag]]:
    """Sets of effects and how they vary together, from the fit's `free` pattern."""
    if results.freepat is None:
        return [(list(range(k)), PLAIN)]
    free = np.asarray(results.freepat.cov_re) != 0
    if not np.all(np.diag(free)):
        raise UnsupportedModelError("free=: a variance held at a fixed value can't be represented")
    left, blocks = set(range(k)), []
    while left:
        block = sorted(j for j in left if free[min(left), j])
        others = list(left - set(block))
        if not np.all(free[np.ix_(block, block)]) or np.any(free[np.ix_(block, others)]):
            raise UnsupportedModelError(
                "free=: the pattern of free covariances does not fall into blocks; lme4's and our "
                "terms have a full covariance matrix each"
            )
        blocks.append(block)
        left -= set(block)
    held = np.asarray(results.cov_re)[~free]
    if np.any(held != 0.0):
        raise UnsupportedModelError("free=: covariances held at values other than zero")
    if len(blocks) == k > 1:
        return [(list(range(k)), Tag("diag"))]
    return [(block, PLAIN) for block in blocks]


def used_by(response: str, fixed: FixedPart, terms: tuple[Term, ...]) -> set[str]:
    """Variables of the model: what lme4's model frame has."""
    used = {response, *names_in(response), *fixed.variables}
    for term in terms:
        used |= {*term.columns, *term.names, *(n for name in term.names for n in names_in(name))}
        if term.covariates.formula is not None:
            used |= set(term.covariates.formula.variables)
    return used


def formula_of(
    response: str, formula: str | None, fixed: FixedPart, terms: tuple[Term, ...]
) -> str:
    """The model in lme4's notation."""
    if formula:
        lhs, _, rhs = formula.partition("~")
        head = f"{lhs.strip()} ~ {rhs.strip()}"
    else:
        names = [_quoted(name) for name in fixed.variables]
        has_constant = len(fixed.variables) < len(fixed.names)
        head = f"{_quoted(response)} ~ {' + '.join(['1' if has_constant else '0', *names])}"
    return " + ".join([head, *(bar_text(term) for term in terms)])


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def _origin(results: Any, design: RowDesign, theta: Array, given: Mapping[str, object]) -> Origin:
    model = results.model
    try:
        llf = float(results.llf) if model.reml == results.reml else np.nan
    except (np.linalg.LinAlgError, ValueError):
        llf = np.nan  # statsmodels can't evaluate a singular covariance
    how = "" if results.method == "REML" else "reml=False"
    if isinstance(getattr(model, "formula", None), str):
        values, frame = np.asarray(model.groups), design.frame
        group = design.terms[-1].columns[-1] if model.k_re else group_name(model, frame, values)
        parts = [f'"{model.formula}"', "data", f'groups="{group}"', *_random(model, given)]
        call = f"mixedlm({', '.join(parts)}).fit({how})"
    else:
        call = f"MixedLM(endog, exog, groups).fit({how})"
    return Origin("statsmodels", call, tuple(theta.tolist()), llf, bool(results.converged))


def _random(model: Any, given: Mapping[str, object]) -> list[str]:
    """`re_formula` and `vc_formula` of the call: what was given, or from the effects' names."""
    out = []
    codes = [re.sub(r"\[[^\[\]]*\]", "", name) for name in effect_names(model, {})]
    if given["re_formula"] is not None:
        out.append(f're_formula="{given["re_formula"]}"')
    elif codes not in ([INTERCEPT], []) or (codes and model.exog_vc.names):
        names = list(dict.fromkeys("1" if code == INTERCEPT else code for code in codes))
        out.append(f're_formula="{" + ".join(names if "1" in names else ["0", *names])}"')
    if model.exog_vc.names:
        vc = given["vc_formula"]
        out.append(f"vc_formula={'{...}' if vc is None else vc}")
    return out


def _check_same(results: Any, plain: Fit) -> None:
    """Our likelihood at statsmodels' estimate must be statsmodels'."""
    assert plain.origin is not None
    theirs, ours = plain.origin.log_lik, -0.5 * plain.solution.deviance()
    allowed = _SAME * (abs(theirs) + len(results.model.endog)) + 4.0 * _lost(plain.solution)
    if not np.isfinite(ours) and _largest(plain.solution) > _NO_DIGITS:
        return  # statsmodels has run away to where no digit is left
    if np.isfinite(theirs) and not abs(ours - theirs) <= allowed:
        raise UnsupportedModelError(
            f"the model was not understood: log-likelihood {ours:.6f} at the fit's own estimate, "
            f"where statsmodels has {theirs:.6f}. Please report this model"
        )


def _warn_of_digits(plain: Fit) -> None:
    """Say how much of the likelihood at statsmodels' own estimate is rounding."""
    lost = _lost(plain.solution)
    if not np.isfinite(plain.solution.deviance()):
        raise UnsupportedModelError(
            "polish=False: statsmodels' estimate has random effects "
            f"{_largest(plain.solution):.1e} times as large as the residuals, where the likelihood "
            "has no digits; it is no optimum: leave out polish=False"
        )
    if lost > _GAP:
        warnings.warn(
            f"statsmodels' estimate has random effects {_largest(plain.solution):.1e} times as "
            f"large as the residuals; the log-likelihood there is known to about {lost:.1g}. It is "
            "no optimum: leave out polish=False",
            ApproximationWarning,
            stacklevel=4,
        )


def _warn(done: Fit, plain: Fit) -> None:
    before = -0.5 * plain.solution.deviance()
    if not np.isfinite(before) and plain.origin is not None:
        before = plain.origin.log_lik
    gap = -0.5 * done.solution.deviance() - before
    if gap > _GAP:
        warnings.warn(
            f"statsmodels stopped short of the optimum: the log-likelihood is {gap:.4g} higher at "
            "the estimate used here (see opt_summary; polish=False keeps statsmodels' own)",
            ConvergenceWarning,
            stacklevel=4,
        )
    warn_of(done, stacklevel=4)
    factor = done.solution.factor
    check_told_apart(
        done.design.terms, factor.system.cp, factor.lams, done.opt, refuse=False, stacklevel=4
    )

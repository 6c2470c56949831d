"""Reading a fit of statsmodels' Bayesian mixed GLMs, and going on to the maximum of the likelihood.

`BinomialBayesMixedGLM` and `PoissonBayesMixedGLM` have independent components of variance with
priors, and approximate their posterior by its mode or by variational Bayes. What is read is their
design, and their estimate to start from; what is fitted is the model without priors.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.genmod import bayes_mixed_glm

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.model.columns.covariates import Covariates
from merextras.model.design.design import INTERCEPT, RowDesign, Term, in_order
from merextras.model.design.rank import full_rank
from merextras.model.formula.translate import unquoted
from merextras.model.frame.read import only_columns, read_columns
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.fit import (
    Request,
    check_glmm,
    criterion_of,
    fit_response,
    warn_of,
)
from merextras.model.generalised.responses.response import Response, of_numbers
from merextras.model.generalised.whole_fit import GlmmFit
from merextras.model.state.control import LmerControl
from merextras.model.state.fitted import Origin
from merextras.model.statsmodels.fitted_frame import check_columns_made, frame_of, with_own_values
from merextras.model.statsmodels.mixedlm import fixed_of, formula_of, used_by
from merextras.model.statsmodels.user_formulas import with_formula
from merextras.model.statsmodels.vc import Groups, vc_term

_CHOICES = {
    bayes_mixed_glm.BinomialBayesMixedGLM: FamilyChoice("binomial", "logit"),
    bayes_mixed_glm.PoissonBayesMixedGLM: FamilyChoice("poisson", "log"),
}
#: What ends the name of a covariate that has none.
_VALUES = "_values"
#: The one group that all rows are in.
_ALL = "all rows"
# Relative standard deviations that the search starts from at least, and at most.
_LEAST, _MOST = 0.1, 10.0


def read_bayes_mixed_glm(fit: Any, *, vc_formula: dict[str, str] | None = None) -> GlmmFit:
    """The design of a fit, at the maximum of the likelihood by Laplace's approximation.

    Raises
    ------
    UnsupportedModelError
        A model before its fit, another family, a component that is not one level a row.
    InvalidArgumentError
        A response that is not the family's.
    """
    if not isinstance(fit, bayes_mixed_glm.BayesMixedGLMResults):
        raise UnsupportedModelError(
            f"{type(fit).__name__}: this model has not been fitted; call .fit_vb() or .fit_map() "
            "first"
        )
    model, choice = fit.model, _choice_of(fit.model)
    design, thetas = _design(fit, vc_formula)
    response = of_numbers(np.array(model.endog, dtype=float), design.response, choice)
    control = LmerControl()
    design = full_rank(design, control.rank_deficient, stacklevel=3)
    check_glmm(design, response, choice, control, stacklevel=3)
    request = Request(choice, control)
    x, log_lik = _start(fit, design, response, request, thetas)
    done = fit_response(design, response, request, n_dropped=0, x=x, origin=_origin(
        fit, thetas, log_lik))  # fmt: skip
    warn_of(done, stacklevel=3)
    return done


def _choice_of(model: Any) -> FamilyChoice:
    for kind, choice in _CHOICES.items():
        if isinstance(model, kind):
            return choice
    raise UnsupportedModelError(
        f"{type(model).__name__}: of statsmodels' Bayesian mixed GLMs BinomialBayesMixedGLM and "
        "PoissonBayesMixedGLM can be read; other families are those of glmer"
    )


def _design(fit: Any, vc_formula: dict[str, str] | None) -> tuple[RowDesign, Array]:
    """Our design of the fit, and the standard deviations of its components by our terms."""
    model = fit.model
    text = getattr(model.data, "formula", None)
    names, n = [str(name) for name in model.fep_names], len(model.endog)
    known = SimpleNamespace(
        formula=text if isinstance(text, str) else None, data=model.data, k_re=0,
        endog=model.endog, exog=model.exog, endog_names=model.endog_names,
    )  # fmt: skip
    labels = model.data.row_labels
    index = pd.RangeIndex(n) if labels is None else pd.Index(labels)
    frame = frame_of(known, names, index)
    columns = frame.columns
    once = columns if columns.is_unique else columns[~columns.duplicated(keep=False)]
    frame = with_own_values(known, names, read_columns(frame, set(once)))
    fixed = fixed_of(known, names, frame)
    if known.formula is not None:
        check_columns_made(known, fixed, frame)
    terms = [_with_own_name(term, frame) for term in _terms(model, frame, vc_formula)]
    for term in terms:
        for name, values in zip(term.names, term.rows.values.T, strict=True):
            if name.endswith(_VALUES):
                frame = frame.assign(**{name: values})
        if len(term.columns) == 1 and term.columns[0] not in frame.columns:
            frame = frame.assign(**{term.columns[0]: term.levels[term.rows.codes]})
    sds = np.exp(np.asarray(fit.vcp_mean, dtype=float))
    ordered = in_order(terms)
    theta = np.array([sds[next(i for i, t in enumerate(terms) if t is own)] for own in ordered])
    code = known.formula
    response = unquoted(code.split("~")[0].strip()) if code else str(model.endog_names)
    y, x = np.array(model.endog, dtype=float), np.array(model.exog, dtype=float)
    kept = only_columns(frame, used_by(response, fixed, ordered))
    formula = formula_of(response, known.formula, fixed, ordered)
    return RowDesign(response, y, x, fixed, ordered, index, kept, formula), theta


def _terms(model: Any, frame: pd.DataFrame, given: dict[str, str] | None) -> list[Term]:
    """A term for each component of variance."""
    n, ident = len(model.endog), np.asarray(model.ident)
    rows = np.arange(n, dtype=np.intp)
    groups = Groups(_ALL, np.zeros(n, dtype=np.intp), pd.Index([_ALL]), [rows])
    exog_vc, names = model.exog_vc.tocsc(), model.vc_names
    vcp_names = [str(name) for name in model.vcp_names]
    for name in given or {}:
        if name not in vcp_names:
            raise InvalidArgumentError(
                f"vc_formula: {name!r} is no component of the fit, which has {vcp_names}"
            )
    terms = []
    for j, name in enumerate(vcp_names):
        at = np.flatnonzero(ident == j)
        own = [f"{k + 1}" for k in range(len(at))] if names is None else [names[k] for k in at]
        if len(at) < 2:
            raise UnsupportedModelError(
                f"variance component {name!r} has {len(at)} column(s): its variance is that of one "
                "effect, which no data determine. Write '0 + C(factor)' for an effect by level"
            )
        term = vc_term(name, [exog_vc[:, at]], [own], groups, frame)
        terms.append(with_formula(term, (given or {}).get(name), frame))
    return terms


def _with_own_name(term: Term, frame: pd.DataFrame) -> Term:
    """A slope on a covariate that has no name gets one: its component's, which is its factor's."""
    if term.names != (INTERCEPT,) or (term.rows.values == 1.0).all():
        return term
    name = f"{term.columns[0]}{_VALUES}"
    while name in frame.columns:
        name = f"_{name}"
    return replace(term, covariates=Covariates((name,)))


def _start(
    fit: Any, design: RowDesign, response: Response, request: Request, sds: Array
) -> tuple[Array | None, float]:
    """Its estimate in the engine's coordinates, if it is one to start from, and its likelihood."""
    criterion = criterion_of(design, response, request)
    beta = np.asarray(fit.fe_mean, dtype=float)
    if not (np.isfinite(sds).all() and np.isfinite(beta).all() and len(beta) == criterion.table.p):
        return None, np.nan
    inner = np.linalg.solve(criterion.table.transform, beta) if len(beta) else beta
    log_lik = -0.5 * criterion.at(np.concatenate([criterion.own_theta(sds), inner])).deviance()
    if not np.isfinite(log_lik):
        return None, np.nan
    theta = criterion.own_theta(np.clip(sds, _LEAST, _MOST))
    return np.concatenate([theta, inner]), float(log_lik)


def _origin(fit: Any, sds: Array, log_lik: float) -> Origin:
    """What statsmodels estimated, with the likelihood there by Laplace's approximation."""
    model, found = fit.model, fit.optim_retvals
    kind, text = type(model).__name__, getattr(model.data, "formula", None)
    how = "fit_vb" if np.ndim(fit._cov_params) == 1 else "fit_map"
    names = ", ".join(f'"{name}": ...' for name in model.vcp_names)
    call = f"{kind}(endog, exog, exog_vc, ident).{how}()"
    if isinstance(text, str):
        call = f'{kind}.from_formula("{text}", {{{names}}}, data).{how}()'
    return Origin(
        "statsmodels", call, tuple(sds.tolist()), log_lik, bool(getattr(found, "success", True))
    )

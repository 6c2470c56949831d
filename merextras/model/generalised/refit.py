"""Fitting a generalised model again: to another response, with another formula or other data."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pandas as pd

from merextras.exceptions import ConvergenceWarning, NoRowsError, UnsupportedModelError
from merextras.model.design.design import RowDesign
from merextras.model.design.user_rows import expected, rows_of_fit, within
from merextras.model.fit.refit import by_row_of, of_model_frame, with_dots
from merextras.model.frame.read import as_pandas
from merextras.model.generalised.chunks.fit_chunks import fit_again
from merextras.model.generalised.fit import (
    Request,
    criterion_of,
    fit_options,
    fit_response,
    read_request,
    warn_of,
)
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.whole_fit import GlmmFit
from merextras.model.settings.options import Keep, callers_names

M = TypeVar("M", bound=FittedGlmm)


def refit(model: M, y: Any) -> M:
    """The same model fitted to another response, lme4's ``refit``.

    Parameters
    ----------
    y : (n,) array or Series, or (n, 2) frame
        In the form of the fit's response, such as a column of `simulate`, or its frame of one
        response. Of ``cbind`` successes and failures, or successes of the same trials; of
        proportions those of the same trials. For the rows of the fit, or for all rows of the data
        of which the fit left out some. A Series or frame must have the index of either, in any
        order; it is aligned.

    Raises
    ------
    InvalidArgumentError
        Another length or index, values that the family does not allow.
    NoRowsError
        The model was fitted from chunks.
    """
    if not model.design.keeps_rows:
        raise NoRowsError(
            "refit: another response has a value for each row, and the model was fitted from "
            "chunks and keeps no rows; if it is a column of the source, m.update('column ~ .'). "
            "Values by row come from another pass over the data: stream_rows(m, source)"
        )
    choice = model.choice
    y = rows_of_fit(_one(y), model.design.index, model.design.user_rows, "y")
    response = model.response.again(y, expected(model.design.index, model.design.user_rows), choice)
    design = replace(model.design, y=response.observed)
    shown = response.shown(response.y)
    if not isinstance(shown, list):
        # Updating the refit must not undo it.
        design = replace(design, frame=design.frame.assign(**{design.response: shown}))
    request = Request(choice, replace(model.control, start=None), model.n_agq)
    x = model.laplace.x.copy()
    n = len(model.theta)
    x[:n] = model.laplace.criterion.covariances.inside(x[:n], 0.1)
    if model.is_poisson:
        x = None  # type: ignore[assignment]
    fit = fit_response(design, response, request, n_dropped=model.n_dropped, x=x)
    warn_of(fit, stacklevel=2)
    return model._like(fit)  # type: ignore[arg-type]


def refit_ml(model: M) -> M:
    """The model as it is, lme4's ``refitML``: it is fitted by maximum likelihood."""
    return model


def _one(y: Any) -> Any:
    """The one response of a frame such as ``simulate()`` returns; another as it is."""
    if not isinstance(y, pd.DataFrame):
        return y
    if y.columns.nlevels > 1:
        names = y.columns.get_level_values(0).unique()
        if len(names) == 1:
            return y[names[0]]
    elif y.shape[1] == 1:
        return y.iloc[:, 0]
    return y


def update(
    model: M,
    formula: str | None = None,
    *,
    data: pd.DataFrame | None = None,
    family: object = None,
    n_agq: int | None = None,
    reml: bool = False,
    residual_by: object = None,
    cov_prior: object = None,
    dispersion: Any = Keep.KEEP,
    weights: Any = Keep.KEEP,
    offset: Any = Keep.KEEP,
    freq_weights: Any = Keep.KEEP,
) -> M:
    """The model with another formula, data or family, fitted again, R's ``update``.

    Parameters
    ----------
    formula : str, optional
        In lme4's notation; ``.`` stands for what was there, as in ``". ~ . - x"``.
    data : DataFrame, optional
        By default the model frame of the fit, which has the variables of the model only. A model
        fitted from chunks reads its source again, with all columns of it.
    family : optional
        As `glmer`'s, by default that of the fit.
    n_agq : int, optional
        As `glmer`'s, by default that of the fit.
    reml : bool
        True is an error: there is no restricted likelihood.
    residual_by, cov_prior, freq_weights : None
        Of linear models: an error that says what to do.
    dispersion : float, optional
        A negative binomial's size, held at this; None lets it be estimated.
    weights, offset : as of `glmer`, optional
        By row of the fit, or of its data with the rows that it left out; with `data` by its rows.
        Without them what there is stays, None takes it away.

    Raises
    ------
    InvalidArgumentError, UnsupportedModelError
        As `glmer`; other data for a model with weights by array.
    NoRowsError
        Other data, weights or offset for a model fitted from chunks, or one whose source is gone:
        it was pickled.
    """
    _refuse_linear(residual_by, cov_prior, freq_weights)
    text = model.design.formula if formula is None else with_dots(formula, model.design)
    control = replace(model.control, start=None)
    n_agq = model.n_agq if n_agq is None else n_agq
    known = None if dispersion is Keep.KEEP else dispersion
    family_given = model.choice.text if family is None else family
    request = read_request(family_given, known, n_agq, reml, control)
    if family is None and dispersion is Keep.KEEP:
        request = replace(request, choice=model.choice)
    if not model.design.keeps_rows:
        given = {"data": data, "weights": weights, "offset": offset}
        fit = _from_source(model, text, given, request, callers_names(1))
        warn_of(fit, stacklevel=2)
        return model._like(fit)  # type: ignore[arg-type]
    options = model.design.options
    options = replace(options, scope=options.scope.within(callers_names(1)))
    n_dropped, frame = model.n_dropped, model.design.frame
    if data is not None:
        n_dropped, frame = 0, as_pandas(data)
    elif model.response.form == "cbind" and not _has_parts(model):
        raise UnsupportedModelError(
            "update: the response was replaced by refit and is not in the model frame; give data="
        )
    with of_model_frame(data):
        given = by_row_of(model, data, weights=weights, offset=offset)
        options = options.again(frame, data is not None, **given)
        there = {c: how for c, how in options.contrasts.items() if c in frame.columns}
        fit = fit_options(text, frame, replace(options, contrasts=there), request, stacklevel=3)
    warn_of(fit, stacklevel=2)
    if data is None:
        fit = replace(fit, design=within(fit.design, model.design.user_rows))
    return model._like(replace(fit, n_dropped=fit.n_dropped + n_dropped))  # type: ignore[arg-type]


def _from_source(
    model: FittedGlmm,
    formula: str,
    given: Mapping[str, Any],
    request: Request,
    names: Mapping[str, Any],
) -> GlmmFit:
    """Fit a formula on the source of a model that keeps no rows."""
    for name, value in given.items():
        if value is not Keep.KEEP and (name != "data" or value is not None):
            raise NoRowsError(
                f"{name}: the model was fitted from chunks and keeps no rows; fit it with other "
                "ones by glmer(formula, source)"
            )
    return fit_again(model, formula, request, names=names, stacklevel=3)


def _refuse_linear(residual_by: object, cov_prior: object, freq_weights: object) -> None:
    if residual_by is not None:
        raise UnsupportedModelError(
            f"update: residual_by={residual_by!r}: a generalised model has no residual variance; "
            "groups that spread more have an effect of each row, such as (0 + group | row)"
        )
    if cov_prior is not None:
        raise UnsupportedModelError(
            f"update: cov_prior={cov_prior!r}: priors on covariances are for linear models alone; "
            "of a singular fit leave the effect out, m.update(formula), or its correlation, '||'"
        )
    if freq_weights is not None and freq_weights is not Keep.KEEP:
        raise UnsupportedModelError(
            "update: freq_weights: for linear models alone; repeat the rows, or give the successes "
            "and failures of all by cbind(): glmer joins rows that are alike"
        )


def refit_formula(model: M, formula: str, frame: pd.DataFrame) -> M:
    """The model with another formula on the same rows, whose variables `frame` has."""
    if model.response.form == "cbind" and not _has_parts(model):
        raise UnsupportedModelError(
            "the response was replaced by refit and is not in the model frame; fit the model again"
        )
    options, control = model.design.options, replace(model.control, start=None)
    there = {c: how for c, how in options.contrasts.items() if c in frame.columns}
    request = Request(model.choice, control, model.n_agq)
    fit = fit_options(formula, frame, replace(options, contrasts=there), request, stacklevel=3)
    warn_of(fit, stacklevel=3)
    design = within(fit.design, model.design.user_rows)
    return model._like(replace(fit, design=design, n_dropped=fit.n_dropped + model.n_dropped))  # type: ignore[arg-type]


def _has_parts(model: FittedGlmm) -> bool:
    """Whether the frame still has the response that was fitted."""
    from merextras.model.generalised.responses.response import read_response  # noqa: PLC0415

    design = model.design
    found = read_response(
        design.response, design.frame, design.options.scope, model.choice, design.weights
    )
    return bool((found.y == model.response.y).all())


def with_design(model: FittedGlmm, design: RowDesign, what: str) -> FittedGlmm:
    """The model with less in its design, fitted to the same response.

    Warns
    -----
    ConvergenceWarning
        The fit did not end at an optimum; the message begins with `what`.

    Raises
    ------
    NoRowsError
        The model was fitted from chunks.
    """
    if not design.keeps_rows:
        raise NoRowsError(
            f"{what}: a smaller model is fitted to the same rows, and the model was fitted from "
            "chunks and keeps no rows. m.update(formula) reads its source again: compare the two "
            "by m.log_lik() or m.aic()"
        )
    # Without random effects the likelihood is exact.
    n_agq = model.n_agq if design.terms else 1
    request = Request(model.choice, replace(model.control, start=None), n_agq)
    fit = fit_response(design, model.response, request, n_dropped=model.n_dropped)
    if not fit.optimum.converged:
        warnings.warn(f"{what}: {fit.optimum.message}", ConvergenceWarning, stacklevel=3)
    return FittedGlmm(fit)  # type: ignore[arg-type]


def by_quadrature(model: M, n_agq: int) -> tuple[float, M]:
    """The log-likelihood by quadrature at the estimate, and the model fitted so from there."""
    request = Request(model.choice, replace(model.control, start=None), n_agq)
    criterion = criterion_of(model.design, model.response, request)
    x = model.laplace.x.copy()
    at_estimate = -0.5 * criterion.at(x).deviance()
    n = len(model.theta)
    x[:n] = criterion.covariances.inside(x[:n], 0.1)
    fit = fit_response(model.design, model.response, request, n_dropped=model.n_dropped, x=x)
    return at_estimate, model._like(fit)  # type: ignore[arg-type]

"""Fitting a mixed model from lme4's formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice
from merextras.model.columns.fixed import Scope
from merextras.model.design.build import build_design
from merextras.model.design.design import RowDesign
from merextras.model.design.rank import full_rank
from merextras.model.design.sanity import check_design
from merextras.model.frame.read import as_pandas
from merextras.model.products.fit import fit_products
from merextras.model.products.products import ModelProducts, products_of
from merextras.model.settings.cov_prior import check_cov_prior
from merextras.model.settings.options import (
    MISSING,
    Options,
    callers_names,
    check_sigma,
    refuse_two_sigmas,
)
from merextras.model.settings.residual import residual_columns
from merextras.model.source.request import ModelRequest
from merextras.model.state.control import LmerControl
from merextras.model.state.fitted import Fit
from merextras.model.state.fitting import fit_design, warn_of
from merextras.model.state.identified import check_told_apart


def fit_formula(
    formula: str,
    data: Any,
    *,
    reml: bool,
    weights: Any,
    freq_weights: Any,
    offset: Any,
    residual_by: Any,
    contrasts: Mapping[str, str] | None,
    missing: str,
    cov_prior: Any,
    control: LmerControl | None,
    sigma: float | None,
    depth: int,
) -> Fit:
    """Build the design, check it and find the optimum; see `merextras.lmer`.

    Called by the function that the user called; `depth` is 1 then, more with calls between.
    """
    control = LmerControl() if control is None else control
    if not isinstance(control, LmerControl):
        raise InvalidArgumentError(f"control={control!r}: expected an LmerControl")
    if not isinstance(reml, bool):
        raise InvalidArgumentError(f"reml={reml!r}: True (REML) or False (maximum likelihood)")
    if not isinstance(contrasts, Mapping | None):
        raise InvalidArgumentError(
            f'contrasts={contrasts!r}: expected a mapping such as {{"group": "Sum"}}'
        )
    frame = as_pandas(data)
    options = Options(
        missing=check_choice(missing, MISSING, "missing"),
        contrasts=dict(contrasts or {}),
        scope=Scope(callers_names(depth + 1), control.formula_engine),
        residual_by=residual_columns(residual_by, frame.columns),
        sigma=check_sigma(sigma),
        cov_prior=check_cov_prior(cov_prior),
    ).with_rows(frame, weights=weights, freq_weights=freq_weights, offset=offset)
    fit = fit_options(formula, frame, options, reml=reml, control=control, stacklevel=depth + 2)
    warn_of(fit, stacklevel=depth + 2)
    return fit


def read_products(
    formula: str,
    source: Any,
    *,
    contrasts: Any,
    missing: str,
    chunk_size: int | None,
    progress: bool | None,
    depth: int,
    **by_row: Any,
) -> ModelProducts:
    """Reduce a source of chunks; see `merextras.cross_products`. For `depth`, see `fit_formula`."""
    names = callers_names(depth + 1)
    asked = ModelRequest.checked(
        formula, contrasts=contrasts, missing=missing, names=names, **by_row
    )
    return products_of(asked, source, chunk_size, progress)


def fit_source(
    products: ModelProducts,
    *,
    reml: bool,
    control: LmerControl | None,
    sigma: float | None,
    cov_prior: Any,
    depth: int,
) -> Fit:
    """Fit cross-products. For `depth`, see `fit_formula`."""
    if not isinstance(products, ModelProducts):
        raise InvalidArgumentError(
            f"products: expected what cross_products() makes, got {type(products).__name__}"
        )
    products = products.at_sigma(check_sigma(sigma))
    refuse_two_sigmas(sigma, products.structure.residual)
    fit = fit_products(
        products, reml=reml, control=control, cov_prior=cov_prior, stacklevel=depth + 2
    )
    warn_of(fit, stacklevel=depth + 2)
    return fit


def fit_options(
    formula: str,
    frame: Any,
    options: Options,
    *,
    reml: bool,
    control: LmerControl,
    stacklevel: int,
) -> Fit:
    """Fit a formula on a frame, after the sanity checks.

    Warnings of the design point `stacklevel` calls above this function, 1 being who called it.
    """
    refuse_two_sigmas(options.sigma, options.residual_by)
    design, n_dropped = build_design(formula, frame, options)
    design.check_cov_prior()
    design = full_rank(design, control.rank_deficient, stacklevel=stacklevel + 1)
    fit = _fit_checked(design, reml=reml, control=control, stacklevel=stacklevel + 1)
    return replace(fit, n_dropped=n_dropped)


def _fit_checked(design: RowDesign, *, reml: bool, control: LmerControl, stacklevel: int) -> Fit:
    products = design.cross_products()
    if control.check:
        check_design(design, products.n, stacklevel=stacklevel + 1)
    theta = control.start_for(design.covariances.n)
    fit = fit_design(design, reml=reml, theta=theta, control=control.engine, products=products)
    factor = fit.solution.factor
    check_told_apart(
        design.terms, factor.system.cp, factor.lams, fit.opt,
        refuse=control.check, stacklevel=stacklevel + 1,
    )  # fmt: skip
    return replace(fit, control=control)

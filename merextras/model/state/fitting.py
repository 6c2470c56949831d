"""Fits of a design, and of a model again: to another response, by the other criterion."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np

from merextras.engine.elimination.plan import make_plan, prepare
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.newton import minimise
from merextras.engine.optimum.start import moments, residual_start
from merextras.engine.optimum.summary import Control
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.solution.pls import solve
from merextras.exceptions import (
    ConvergenceWarning,
    SingularFitWarning,
    UnsupportedModelError,
)
from merextras.foundation.aliases import Array
from merextras.model.design.design import Design
from merextras.model.state.fitted import Fit, FittedModel, M, Origin, is_singular
from merextras.model.state.identified import (
    check_has_digits,
    check_left_by_fixed,
    check_left_by_random,
)
from merextras.model.state.size import warn_of_size


def fit_design(
    design: Design,
    *,
    reml: bool,
    theta: Array | None = None,
    origin: Origin | None = None,
    control: Control | None = None,
    products: CrossProducts | None = None,
) -> Fit:
    """Optimise a design's criterion, from `theta` (of the user's effects) or from moments.

    Raises
    ------
    InvalidArgumentError
        The fixed or the random effects explain the response exactly, or outweigh a given sigma so
        far that no digit of the likelihood is left.
    """
    strata = design.strata()
    if strata is not None:
        assert design.residual is not None
        design.residual.check_sizes(strata.n)
        _check_no_prior(design)
        products = strata.at(np.zeros(len(strata)))
    products = design.cross_products() if products is None else products
    plan = make_plan(products)
    warn_of_size(design, products, plan)
    if not products.scale.is_known:
        check_left_by_fixed(products)
    system = prepare(products, plan)
    criterion = Criterion(
        system, design.covariances, reml=reml, prior=design.penalty, strata=strata
    )
    solution, opt = minimise(criterion, _start(criterion, theta), control=control)
    check_left_by_random(products, opt)
    check_has_digits(criterion, solution, opt)
    if theta is not None:
        opt = opt.begun_at(tuple(np.asarray(theta, dtype=float).tolist()))
    if strata is not None:
        assert design.residual is not None
        log_omega = criterion.parameters.log_omega(np.array(opt.theta))
        design = design.with_residual(replace(design.residual, log_omega=log_omega))
    return Fit(design, solution, opt, origin, strata=strata)


def _check_no_prior(design: Design) -> None:
    """Refuse a prior of covariances relative to one sigma where there are several."""
    if design.penalty is not None:
        assert design.residual is not None
        raise UnsupportedModelError(
            f"cov_prior: it is of covariances relative to sigma**2, and {design.residual.argument} "
            "makes several of these; leave one of the two out"
        )


def _start(criterion: Criterion, theta: Array | None) -> Array:
    """Where a search begins, from `theta` of the user's effects, perhaps without the residuals'."""
    cov, cp = criterion.covariances, criterion.system.cp
    if theta is not None and len(theta) == criterion.parameters.n:
        return criterion.from_user(np.asarray(theta, dtype=float))
    if theta is None:
        own = moments(cp, cov, reml=criterion.reml, sigma2=criterion.residual_variance())
    else:
        own = cp.basis.from_user(theta, cov)
    return np.concatenate([own, residual_start(criterion, own)])


def fit_at(design: Design, theta: Array, *, reml: bool, origin: Origin | None = None) -> Fit:
    """The estimates at a given theta."""
    products = design.cross_products()
    lams = design.covariances.factors(products.basis.from_user(theta, design.covariances))
    solution = solve(prepare(products), lams, reml=reml)
    return Fit(design, solution, None, origin, theta=np.array(theta, dtype=float))


def fit_like(
    model: FittedModel,
    design: Design,
    *,
    reml: bool | None = None,
    theta: Array | None = None,
    products: CrossProducts | None = None,
) -> Fit:
    """Fit a design as the model was fitted: by its criterion and control, which stay with it."""
    reml = model.solution.reml if reml is None else reml
    control = model.control
    fit = fit_design(design, reml=reml, theta=theta, control=control.engine, products=products)
    return replace(fit, control=control)


def refitted(model: M, *, y: Array | None = None, reml: bool | None = None) -> M:
    """The model fitted again to another response or by the other criterion, from its theta."""
    design = model.design if y is None else _with_response(model.design, y)
    fit = fit_like(model, design, reml=reml, theta=start_for_user(model))
    return model._like(replace(fit, n_dropped=model.n_dropped))


def refit_start(model: FittedModel) -> Array:
    """The theta that refits start from: the estimate, a little inside where that is at zero.

    In the coordinates of the model's cross-products; `start_for_user` has the user's.
    """
    # A variance at zero is a stationary point.
    return model.criterion.parameters.inside(model.point.theta, 0.1)


def start_for_user(model: FittedModel) -> Array:
    """The theta that refits start from, of the user's effects."""
    return model.criterion.to_user(refit_start(model))


def _with_response(design: Design, y: Array) -> Design:
    """The design and its frame with another response: updating the refit must not undo it."""
    rows = design.require_rows("refit", "another response has a value for each")
    return replace(rows, y=y, frame=rows.frame.assign(**{rows.response: y}))


def warn_of(fit: Fit, *, stacklevel: int) -> None:
    """Warn of a fit that is not at its optimum, or singular.

    The warning points `stacklevel` calls above this function, 1 being who called it.
    """
    if fit.opt is not None and not fit.opt.converged:
        warnings.warn(fit.opt.message, ConvergenceWarning, stacklevel=stacklevel + 1)
    if is_singular(FittedModel(fit)):
        warnings.warn(
            "singular fit: a variance is estimated at zero, or a correlation at its bound; see "
            "var_corr() and is_singular(). A weak prior keeps the estimate inside: "
            "cov_prior='wishart' (Chung et al. 2013, Psychometrika 78)",
            SingularFitWarning,
            stacklevel=stacklevel + 1,
        )

"""A fitted mixed model: its design, the engine's solution, and the estimates as arrays."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np

from merextras.engine.derivatives.information import Information, information
from merextras.engine.elimination.plan import make_plan, prepare
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.newton import minimise
from merextras.engine.optimum.start import moments, residual_start
from merextras.engine.optimum.summary import Control, OptSummary
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.strata import Strata
from merextras.engine.solution.pls import Solution, solve
from merextras.exceptions import (
    ConvergenceWarning,
    SingularFitWarning,
    UnsupportedModelError,
)
from merextras.foundation.aliases import Array
from merextras.model.design.design import Design
from merextras.model.state.control import LmerControl
from merextras.model.state.identified import check_left_by_fixed, check_left_by_random
from merextras.model.state.posterior import Posterior
from merextras.model.state.size import warn_of_size

M = TypeVar("M", bound="FittedModel")


@dataclass(frozen=True)
class Origin:
    """What was read from the fit that the model comes from.

    Attributes
    ----------
    package : str
    call : str
        The call that makes the fit again, as far as it is known.
    theta : tuple of float
        Its estimate.
    log_lik : float
        Its own log-likelihood (REML or ML as the fit).
    converged : bool
    """

    package: str
    call: str
    theta: tuple[float, ...]
    log_lik: float
    converged: bool


@dataclass(frozen=True)
class Fit:
    """Everything that is known after fitting; immutable and picklable."""

    design: Design
    solution: Solution
    opt: OptSummary | None
    origin: Origin | None = None
    n_dropped: int = 0
    control: LmerControl = field(default_factory=LmerControl)
    #: A theta that was given and not searched from, to the last digit.
    theta: Array | None = None
    #: Cross-products by groups with residual variances of their own.
    strata: Strata | None = None


class FittedModel:
    """A fitted linear mixed model, the argument of every verb.

    `MerMod` is this with lme4's methods. A model never changes; refitting makes a new one.

    Attributes
    ----------
    adapter : type
        The class that `as_fitted` makes of a raw fit: `MerMod`, which stands on a higher floor and
        sets this when it is imported.
    is_generalised : bool
        Whether it is a generalised model, which has no `solution`.
    """

    adapter: ClassVar[type[FittedModel]]
    is_generalised: ClassVar[bool] = False
    _fit: Fit

    def __init__(self, fit: Fit) -> None:
        self._fit = fit

    def __getstate__(self) -> dict[str, Any]:
        # Caches are made again on demand; they can be larger than the model.
        return {"_fit": self._fit}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)

    @classmethod
    def _of(cls: type[M], fit: Fit) -> M:
        """A model of this class with a fit."""
        new = object.__new__(cls)
        FittedModel.__init__(new, fit)
        return new

    def _like(self: M, fit: Fit) -> M:
        """A model of the same class with another fit."""
        return self._of(fit)

    @property
    def design(self) -> Design:
        """The data and their names."""
        return self._fit.design

    @property
    def solution(self) -> Solution:
        """The engine's estimates at theta."""
        return self._fit.solution

    @property
    def joint(self) -> Solution:
        """The normal distribution of all effects given the data, theta at its estimate.

        For a linear model the solution itself; what the verbs of linear combinations of effects
        ask, of a generalised model too.
        """
        return self.solution

    @property
    def working(self) -> Solution:
        """The linear model that variances of predictors are from: of a linear one the solution."""
        return self.solution

    @property
    def opt_summary(self) -> OptSummary | None:
        """What the optimiser did; None if the fit's own estimate was kept."""
        return self._fit.opt

    @property
    def control(self) -> LmerControl:
        """How the model was fitted, and with it all that is fitted from it."""
        return self._fit.control

    @property
    def n_dropped(self) -> int:
        """Rows that the fit left out for missing values."""
        return self._fit.n_dropped

    @property
    def origin(self) -> Origin | None:
        """The fit that the model was made from, if any."""
        return self._fit.origin

    @cached_property
    def criterion(self) -> Criterion:
        """What was minimised, as a function of theta, with all that is asked of it."""
        solution = self.solution
        system, covariances = solution.factor.system, self.design.covariances
        return Criterion(
            system,
            covariances,
            reml=solution.reml,
            by_levels=False,
            prior=self.design.penalty,
            strata=self._fit.strata,
        )

    @cached_property
    def point(self) -> Point:
        """The criterion at the estimate."""
        residual = self.design.residual
        return self.criterion.reached(
            self.solution, None if residual is None else residual.log_omega
        )

    @property
    def theta(self) -> Array:
        """Covariance parameters: the relative covariance factors' lower triangles."""
        given = self._fit.theta
        if given is not None:
            return given.copy()
        criterion = self.criterion
        return criterion.parameters.theta(criterion.to_user(self.point.theta))

    @property
    def has_known_sigma(self) -> bool:
        """Whether the residual standard deviation was given and not estimated."""
        return self.solution.cp.scale.is_known

    @property
    def n_parameters(self) -> int:
        """Number of parameters: p, the covariances', and one for each unknown residual variance."""
        sigma = 0 if self.has_known_sigma else 1
        return self.solution.p + self.criterion.parameters.n + sigma

    @property
    def n_observations(self) -> int:
        """Observations in the fit; with frequency weights, their sum."""
        return self.solution.n

    @property
    def reml(self) -> bool:
        """Whether the fit is by restricted maximum likelihood."""
        return self.solution.reml

    def _deviance(self, reml: bool | None = None) -> float:
        """Minus twice the log-likelihood, by default of the fit's own criterion."""
        return self.solution.deviance(reml=reml)

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood at the estimate, restricted for a REML fit."""
        return -0.5 * self._deviance()

    @property
    def fixed_estimates(self) -> Array:
        """Fixed effects, (p,)."""
        return self.solution.beta

    @property
    def modes(self) -> tuple[Array, ...]:
        """Conditional modes of the random effects, (J, k) by terms."""
        return self.solution.b

    @property
    def posterior(self) -> Posterior:
        """Covariances of the random effects given the data and the parameters."""
        return Posterior(self.solution.sigma2, self.solution)

    @property
    def relative_theta(self) -> Array:
        """Theta in coordinates in which each term's covariates are orthonormal."""
        return self.design.covariances.parameters(self.solution.factor.lams)

    @cached_property
    def information(self) -> Information:
        """What degrees of freedom and information matrices are made of."""
        return information(self.solution, self.design.covariances, self.criterion.penalty)

    @cached_property
    def covariances(self) -> tuple[Array, ...]:
        """sigma**2 Lambda Lambda' of each term, (k, k)."""
        return tuple(self.solution.sigma2 * lam @ lam.T for lam in self.solution.lams)

    @property
    def basis_covariance(self) -> Array:
        """Covariance of the fixed effects in the basis of the cross-products, (p, p)."""
        return self.solution.sigma2 * self.solution.basis_covariance()

    @cached_property
    def fixed_covariance(self) -> Array:
        """Covariance of the fixed effects, (p, p)."""
        return self.solution.sigma2 * self.solution.fixed_covariance()

    @cached_property
    def mu(self) -> Array:
        """Conditional mean of each row, X beta + Z b + offset, (n,)."""
        design = self.design
        out = design.x @ self.solution.beta
        for term, b in zip(design.terms, self.solution.b, strict=True):
            out += np.einsum("nk,nk->n", term.rows.values, b[term.rows.codes])
        return out if design.offset is None else out + design.offset


FittedModel.adapter = FittedModel


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
        The fixed or the random effects explain the response exactly.
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
    own = moments(cp, cov) if theta is None else cp.basis.from_user(theta, cov)
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


def is_singular(model: FittedModel, tol: float = 1e-4) -> bool:
    """Whether some covariance has (nearly) lost rank, lme4's isSingular.

    True when a diagonal element of a relative covariance factor is below `tol`, that of effects
    whose covariates are orthogonal and of mean square one: what is called zero depends neither on
    the unit of a covariate nor on where its zero is. Where a covariance has a structure, when a
    standard deviation is, or the root of a correlation's distance from its end.
    """
    return bool(model.design.covariances.is_singular(model.relative_theta[None], tol)[0])

"""A fitted mixed model: its design, the engine's solution, and the estimates as arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np

from merextras.engine.derivatives.information import Information, information
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.summary import OptSummary
from merextras.engine.products.strata import Strata
from merextras.engine.solution.pls import Solution
from merextras.foundation.aliases import Array
from merextras.model.design.design import Design
from merextras.model.state.control import LmerControl
from merextras.model.state.link import IDENTITY, Link

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
    def _link(self) -> Link:
        """How means follow from linear predictors."""
        return IDENTITY

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

    def _require_information(self) -> None:
        """Nothing: a linear model's effects have a distribution around their estimates."""

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
    def lams(self) -> tuple[Array, ...]:
        """Relative covariance factors Lambda by terms, (k, k) lower triangular."""
        return self.solution.lams

    @property
    def spherical_modes(self) -> tuple[Array, ...]:
        """Spherical random effects u of the modes, b = Lambda u, (J, k) by terms."""
        return self.solution.u

    @property
    def working(self) -> Solution:
        """The solution whose factor is that of the mixed-model equations.

        Of a generalised model the linear model of the working response at the mode.
        """
        return self.solution

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


def is_singular(model: FittedModel, tol: float = 1e-4) -> bool:
    """Whether some covariance has (nearly) lost rank, lme4's isSingular.

    True when a diagonal element of a relative covariance factor is below `tol`, that of effects
    whose covariates are orthogonal and of mean square one: what is called zero depends neither on
    the unit of a covariate nor on where its zero is. Where a covariance has a structure, when a
    standard deviation is, or the root of a correlation's distance from its end.
    """
    return bool(model.design.covariances.is_singular(model.relative_theta[None], tol)[0])

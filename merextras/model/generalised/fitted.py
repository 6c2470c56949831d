"""A fitted generalised linear mixed model."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from merextras.engine.generalised.criterion.at_mode import AtMode
from merextras.engine.generalised.criterion.laplace import LaplacePoint
from merextras.engine.generalised.criterion.streamed import StreamedPoint
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.searches.optimum import Optimum
from merextras.engine.optimum.criterion import Criterion, Point
from merextras.engine.optimum.summary import Iteration, OptSummary
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.scale import Scale
from merextras.engine.solution.pls import Solution
from merextras.exceptions import ConvergenceWarning, MerextrasError
from merextras.foundation.aliases import Array
from merextras.model.design.design import RowDesign
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.responses.response import Response
from merextras.model.generalised.whole_fit import GlmmFit
from merextras.model.generalised.working import working_model
from merextras.model.state.control import LmerControl
from merextras.model.state.fitted import FittedModel, Origin
from merextras.model.state.linear_only import linear_only
from merextras.model.state.link import Link


class FittedGlmm(FittedModel):
    """A fitted generalised linear mixed model, the argument of the verbs that are made for it.

    What verbs of linear models compute from, `solution` and all that follows from it, it does not
    have: there is an error in its place.
    """

    is_generalised = True
    _fit: GlmmFit  # type: ignore[assignment]

    @property
    def design(self) -> RowDesign:
        """The data and their names; one without rows of a model that was fitted from chunks."""
        return self._fit.design

    @property
    def response(self) -> Response:
        """The response as successes and trials, counts or numbers."""
        return self._fit.response

    @property
    def choice(self) -> FamilyChoice:
        """The family and its link."""
        return self._fit.choice

    @property
    def n_agq(self) -> int:
        """Nodes of the quadrature in each effect; 1 is Laplace's approximation."""
        return self._fit.n_agq

    @property
    def optimum(self) -> Optimum:
        """Where the search ended."""
        return self._fit.optimum

    @property
    def laplace(self) -> LaplacePoint:
        """The criterion at the estimate."""
        return self._fit.optimum.point

    @cached_property
    def engine_family(self) -> Family:
        """The log-density of the response, row by row."""
        criterion = self.laplace.criterion
        if criterion.table.cells is None:
            # Without rows it is that of no response: means, links and dispersion.
            return criterion.family
        return self.choice.of(self.response.y, self.response.trials)

    @property
    def _link(self) -> Link:
        """How means follow from linear predictors."""
        return Link(self.choice.link, self.engine_family.mean, self.engine_family.mean_slope)

    @property
    def solution(self) -> Solution:
        """None: an error that names the verb."""
        raise linear_only()

    @property
    def criterion(self) -> Criterion:
        """None: an error that names the verb."""
        raise linear_only()

    @property
    def point(self) -> Point:
        """None: an error that names the verb."""
        raise linear_only()

    @property
    def information(self) -> Any:
        """None: an error that names the verb."""
        raise linear_only()

    @property
    def control(self) -> LmerControl:
        """How the model was fitted."""
        return self._fit.control

    @property
    def n_dropped(self) -> int:
        """Rows that were left out for missing values."""
        return self._fit.n_dropped

    @property
    def origin(self) -> Origin | None:
        """What was read from a fit of statsmodels; None of a model of `glmer`."""
        return self._fit.origin

    @property
    def _parts(self) -> tuple[Array, Array, Array]:
        return self.laplace.criterion.split(self.laplace.x)

    @property
    def phi(self) -> Array:
        """The dispersion as the engine has it: a logarithm, or nothing."""
        return self._parts[2]

    @cached_property
    def theta(self) -> Array:
        """Covariance parameters: the lower triangles of the factors of the covariances."""
        return self.laplace.criterion.user_theta(self._parts[0])

    @cached_property
    def fixed_estimates(self) -> Array:
        """Fixed effects, (p,)."""
        return self.laplace.criterion.beta_of(self._parts[1])

    @cached_property
    def modes(self) -> tuple[Array, ...]:
        """Conditional modes of the random effects, (J, k) by terms."""
        table = self.laplace.criterion.table
        pairs = zip(table.effects, self.laplace.modes.b, strict=True)
        return tuple(own.modes(table.modes_by_level(part)) for own, part in pairs)

    @property
    def relative_theta(self) -> Array:
        """Theta in coordinates in which each term's covariates are orthonormal."""
        return self._parts[0]

    @property
    def dispersion(self) -> float | None:
        """What the family has besides the mean; None for binomial and Poisson.

        A negative binomial's size t (variance ``mu + mu**2 / t``), infinite where the estimate is
        Poisson; gamma's and the inverse Gaussian's phi (variance ``phi mu**2`` and ``phi mu**3``);
        a normal distribution's variance.
        """
        if self.is_poisson:
            return np.inf
        return self.choice.dispersion_of(self._parts[2])

    @property
    def is_poisson(self) -> bool:
        """Whether a negative binomial's size went to infinity."""
        return self.laplace.criterion.family.has_limit and not bool(self.optimum.free[-1])

    @property
    def n_parameters(self) -> int:
        """Number of parameters: theta, the fixed effects and an estimated dispersion."""
        return self.laplace.criterion.m

    @property
    def n_observations(self) -> int:
        """Rows of the fit; a row of several trials is one."""
        return self.design.n

    @property
    def reml(self) -> bool:
        """False: there is no restricted likelihood."""
        return False

    @property
    def log_likelihood(self) -> float:
        """By Laplace's approximation or quadrature, with all constants."""
        return -0.5 * self.laplace.deviance()

    def _deviance(self, reml: bool | None = None) -> float:
        """By Laplace's approximation or quadrature, with all constants."""
        if reml:
            raise linear_only("reml_crit")
        return self.laplace.deviance()

    @cached_property
    def covariances(self) -> tuple[Array, ...]:
        """Covariance of each term's effects, (k, k)."""
        pairs = zip(self.laplace.criterion.table.effects, self.laplace.modes.lams, strict=True)
        return tuple(own.covariance(lam @ lam.T) for own, lam in pairs)

    @property
    def lams(self) -> tuple[Array, ...]:
        """Factors of the covariances of each term's effects, (k, k) lower triangular."""
        pairs = zip(self.laplace.criterion.table.effects, self.laplace.modes.lams, strict=True)
        return tuple(own.to_user(lam) for own, lam in pairs)

    @property
    def spherical_modes(self) -> tuple[Array, ...]:
        """Spherical random effects u of the modes, b = Lambda u, (J, k) by terms."""
        g, out = self.engine_family.first(self.eta, self.phi)[0], []
        for term, lam in zip(self.design.terms, self.lams, strict=True):
            sums = np.zeros((len(term.levels), term.k))
            np.add.at(sums, term.rows.codes, term.rows.values * g[:, None])
            out.append(sums @ lam)
        return tuple(out)

    @cached_property
    def _covariance(self) -> Array:
        """Of all parameters in the engine's coordinates."""
        if self.optimum.converged and not self.optimum.positive:
            warnings.warn(
                "the information matrix is not positive definite: the data do not determine all "
                "parameters, which have no standard errors",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self.optimum.covariance()

    @cached_property
    def covariance_slopes(self) -> tuple[Array, ...]:
        """Derivatives of each term's covariance in all of the engine's theta, (n_theta, k, k)."""
        criterion = self.laplace.criterion
        own = criterion.covariances.covariance_slopes(self._parts[0])
        out = []
        for at, slopes, basis in zip(
            criterion.covariances.parts, own, criterion.table.effects, strict=True
        ):
            whole = np.zeros((criterion.covariances.n, basis.k, basis.k))
            whole[at] = basis.covariance(slopes)
            out.append(whole)
        return tuple(out)

    def delta_variances(self, by_fixed: Array, by_theta: Array, by_phi: Array | None) -> Array:
        """The diagonal of `delta_covariance`, (m,)."""
        rows = self._in_parameters(by_fixed, by_theta, by_phi)
        return np.asarray(np.einsum("im,mn,in->i", rows, self._covariance, rows))

    def delta_covariance(
        self,
        by_fixed: Array,
        by_theta: Array,
        by_phi: Array | None,
        covariance: Array | None = None,
    ) -> Array:
        """Covariances by the delta method, (m, m), from derivatives in the parameters.

        Parameters
        ----------
        by_fixed : (m, p) array
            In the fixed effects as the user counts them.
        by_theta : (m, n_theta) array
            In the engine's theta.
        by_phi : (m, n_phi) array or None
            In the dispersion; None is zero.
        covariance : array, optional
            Of all of the engine's parameters, by default from the information.
        """
        rows = self._in_parameters(by_fixed, by_theta, by_phi)
        covariance = self._covariance if covariance is None else covariance
        return np.asarray(rows @ covariance @ rows.T)

    def _in_parameters(self, by_fixed: Array, by_theta: Array, by_phi: Array | None) -> Array:
        rows = np.zeros((len(by_fixed), self.laplace.criterion.m))
        n, p = by_theta.shape[1], by_fixed.shape[1]
        rows[:, :n] = by_theta
        rows[:, n : n + p] = by_fixed @ self.laplace.criterion.table.transform
        if by_phi is not None:
            rows[:, n + p :] = by_phi
        return rows

    def _require_information(self) -> None:
        """Refuse what is drawn around the estimate where there is no distribution around it.

        Raises
        ------
        MerextrasError
            The information matrix is not positive definite.
        """
        if not self.optimum.positive:
            raise MerextrasError(
                "the information matrix is not positive definite: the data do not determine all "
                "parameters, or they are assumed (make_model) and no data speak of them, and there "
                "is no distribution to draw them from; refit the model to a response"
            )

    @property
    def basis_covariance(self) -> Array:
        """Of the fixed effects in the engine's coordinates, (p, p)."""
        return self._covariance[self.of_fixed, self.of_fixed]

    @property
    def rough_covariance(self) -> Array:
        """The same by the Hessian of the search's last step, at no cost."""
        return self.optimum.rough_covariance()[self.of_fixed, self.of_fixed]

    @property
    def of_fixed(self) -> slice:
        """Where the fixed effects are among all of the engine's parameters."""
        return slice(len(self._parts[0]), len(self._parts[0]) + len(self._parts[1]))

    @cached_property
    def fixed_covariance(self) -> Array:
        """Covariance of the fixed effects, (p, p): from the observed information of all."""
        transform = self.laplace.criterion.table.transform
        return np.asarray(transform @ self.basis_covariance @ transform.T)

    @property
    def eta(self) -> Array:
        """The linear predictor of each row with the conditional modes, (n,)."""
        self.design.require_rows("linear predictors", "there is one for each")
        return self.laplace.criterion.table.by_row(self.laplace.modes.eta)

    @cached_property
    def mu(self) -> Array:
        """The conditional mean of each row: a probability, a rate, or a mean."""
        return self.engine_family.mean(self.eta)

    @cached_property
    def observed_weights(self) -> Array:
        """Minus the second derivatives of the rows' log-densities in eta at the modes, (n,)."""
        if self.laplace.criterion.table.cells is None:
            return self.laplace.modes.w
        return self.engine_family.first(self.eta, self.phi)[1]

    @cached_property
    def expected_weights(self) -> Array:
        """The expectations of these: ``(dmu / deta)**2`` over the variance, not negative, (n,)."""
        family = self.engine_family
        return self.observed_weights if family.canonical else family.expected(self.eta, self.phi)

    @cached_property
    def working(self) -> Solution:
        """The linear model of the working response at the mode, for variances of predictors."""
        if isinstance(self.laplace, StreamedPoint):
            return self.laplace.working
        return working_model(self.laplace, self.design, self.observed_weights)

    @cached_property
    def expected_working(self) -> Solution:
        """The same with expected weights, for the hat matrix; of a canonical link the same one."""
        if self.engine_family.canonical:
            return self.working
        if isinstance(self.laplace, StreamedPoint):
            return self.laplace.expected_working
        return working_model(self.laplace, self.design, self.expected_weights)

    @property
    def effects_products(self) -> CrossProducts:
        """Cross-products of the random effects alone with a known scale: their design."""
        table = self.laplace.criterion.table
        cp = table.template.cp
        if table.copies is not None:
            # Each level as one, however many it stands for.
            none = np.empty((table.n, 0)), np.zeros(table.n)
            cp = CrossProducts.from_rows(*none, table.terms, table.counts)
        return replace(cp, basis=Basis.identity(0, table.effects), scale=Scale(1.0))

    @cached_property
    def joint(self) -> Solution:
        """The normal distribution of all effects around the estimate and the modes.

        With the covariance of the fixed effects from the information of all parameters; NaN where
        that is not positive definite.
        """
        p = len(self.fixed_estimates)
        low = np.full((p, p), np.nan)
        if self.optimum.positive:
            low = np.linalg.cholesky(np.linalg.inv(self.basis_covariance))
        return AtMode(self.working.factor, False, low, self.fixed_estimates, self.modes)

    @cached_property
    def opt_summary(self) -> OptSummary:
        """What the optimiser did; decrements are four times a gain in log-likelihood.

        The gradient is in theta of covariates that are orthonormal.
        """
        optimum, criterion = self.optimum, self.laplace.criterion
        theta = tuple(self.theta.tolist())
        initial = theta if self.origin is None else self.origin.theta
        log = tuple(Iteration((), deviance, decrement, 1.0) for deviance, decrement in optimum.log)
        return OptSummary(
            initial, theta, log[0].deviance if log else np.nan, self.laplace.deviance(),
            tuple(optimum.gradient[: criterion.covariances.n].tolist()),
            optimum.decrement, optimum.n_evaluations, optimum.n_iterations, optimum.n_restarts,
            optimum.converged, optimum.message, log,
        )  # fmt: skip

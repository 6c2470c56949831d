"""One model, several optimisers: lme4's ``allFit``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import optimize

from merextras.accessors.theta import parameter_labels, theta_names
from merextras.engine.covariance.covariances import SINGULAR
from merextras.engine.optimum.criterion import Point
from merextras.engine.optimum.newton import minimise
from merextras.engine.optimum.start import moments, residual_start
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_count, check_jobs
from merextras.foundation.rng import as_generator
from merextras.inference import all_fit_generalised
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.estimates.all_fit import AllFit, OneFit

__all__ = ["all_fit"]

# scipy's bounded methods; those with a gradient are given the analytic one.
_METHODS = {
    # A smaller ftol is rounding, on which its line search ends abnormally.
    "L-BFGS-B": {"ftol": 1e-13, "gtol": 1e-8, "maxiter": 1000},
    "SLSQP": {"ftol": 1e-12, "maxiter": 1000},
    "Nelder-Mead": {"xatol": 1e-7, "fatol": 1e-10, "maxiter": 20_000, "maxfev": 20_000},
    "Powell": {"xtol": 1e-8, "ftol": 1e-13, "maxiter": 20_000, "maxfev": 20_000},
}
_WITH_GRADIENT = ("L-BFGS-B", "SLSQP")
#: The criterion where there is none: huge, and so that the cubes of it that a search through
#: parabolas forms are still numbers.
_NONE = 1e90


@dataclass
class _Criterion:
    """The model's criterion of theta in units of its covariates, with a count of evaluations."""

    model: FittedModel
    units: Array
    count: int = 0

    def __call__(self, scaled: Array) -> float:
        """The criterion; huge where there is none."""
        self.count += 1
        with np.errstate(all="ignore"):  # no digits are left at some thetas that are tried
            value = self._point(scaled).value()
        return value if np.isfinite(value) else _NONE

    def slope(self, scaled: Array) -> Array:
        """Its gradient."""
        with np.errstate(all="ignore"):  # no digits are left at some thetas that are tried
            return self._point(scaled).gradient() / self.units

    def _point(self, scaled: Array) -> Point:
        return self.model.criterion.at(scaled / self.units)


def all_fit(m: object, *, n_random: int = 3, rng: Rng = None, n_jobs: int = 1) -> AllFit:
    """Find the model's optimum by several optimisers and from several starts, side by side.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    n_random : int, default 3
        Random starts of our own Newton method.
    rng : int, numpy.random.Generator or None
        Of the random starts.
    n_jobs : int, default 1
        Processes (joblib); -1 for all cores. The result does not depend on it, the seconds do.

    Returns
    -------
    AllFit
        ``to_frame()`` has the criterion, convergence, evaluations and seconds by optimiser,
        ``theta`` their estimates. If they agree where it matters, a convergence warning of one
        can be ignored.

    Raises
    ------
    InvalidArgumentError
        For `n_random`, `rng` or `n_jobs`.

    See Also
    --------
    merextras.check_convergence : Whether the estimate at hand is an optimum.

    Notes
    -----
    R: ``lme4::allFit(m)``. Ours: the package's Newton steps (average information, Bates et al.
    2015, eq. 35 and 42 for the criterion) from moments, from the identity and from random starts,
    and scipy's L-BFGS-B and SLSQP with the analytic gradient, Nelder-Mead and Powell without, from
    moments. BOBYQA, lme4's, is not in scipy. Criteria may have several optima (a variance at
    zero and one inside): the starts are for that. Of a model of `glmer` the search is over theta,
    the fixed effects and the dispersion together, from a start by penalised quasi-likelihood
    instead of moments, with the exact gradient. Cost: some 10 factorisations for a Newton
    start, 20 to 50 with a gradient, hundreds to thousands without.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> found = mx.all_fit(m, rng=1)
    >>> round(found.best, 4), found.agree
    (1743.6283, True)
    """
    model = as_fitted(m, generalised=True)
    n_random, n_jobs = check_count(n_random, "n_random"), check_jobs(n_jobs)
    generator = as_generator(rng)
    if isinstance(model, FittedGlmm):
        model.design.require_rows("all_fit", "each of many searches goes over them many times")
        own = all_fit_generalised.work(model, _METHODS, n_random, generator)
        return AllFit(_done(own, n_jobs), theta_names(model.design), model.laplace.deviance())
    units = model.criterion.units
    work: list[Any] = [
        delayed(_newton)(model, *each) for each in _starts(model, n_random, generator)
    ]
    start = _moments(model)
    if len(start):
        work += [delayed(_scipy)(model, method, start * units, units) for method in _METHODS]
    current = model.point.value()
    return AllFit(_done(work, n_jobs), parameter_labels(model.design), current)


def _done(work: list[Any], n_jobs: int) -> tuple[OneFit, ...]:
    if n_jobs == 1:
        return tuple(function(*args, **kwargs) for function, args, kwargs in work)
    return tuple(Parallel(n_jobs=n_jobs)(work))


def _moments(model: FittedModel) -> Array:
    cp, criterion = model.solution.factor.system.cp, model.criterion
    theta = moments(cp, model.design.covariances, reml=criterion.reml)
    return np.concatenate([theta, residual_start(criterion, theta)])


def _starts(
    model: FittedModel, n_random: int, generator: np.random.Generator
) -> Iterator[tuple[str, Array]]:
    covariances, units = model.design.covariances, model.criterion.units
    yield "newton, from moments", _moments(model)
    identity = [np.eye(k) for k in covariances.ks]
    theta = covariances.from_covariances(identity)
    start = np.concatenate([theta, residual_start(model.criterion, theta)])
    yield "newton, from the identity", start
    for i in range(n_random):
        # Relative standard deviations over two orders of magnitude, and any correlation.
        size = np.exp(generator.normal(size=len(units)))
        positive = np.zeros(len(units), dtype=bool)
        positive[: covariances.n] = covariances.at_least_zero
        spread = np.where(positive, size, generator.normal(size=len(units)))
        yield f"newton, random start {i + 1}", spread / units


def _newton(model: FittedModel, name: str, start: Array) -> OneFit:
    began = time.perf_counter()
    criterion = model.criterion.by(reml=model.solution.reml)
    _, found = minimise(criterion, start, control=model.control.engine)
    seconds = time.perf_counter() - began
    theta = model.criterion.from_user(np.array(found.theta))
    return OneFit(
        name, found.deviance, found.theta, found.converged, _singular(model, theta),
        found.n_evaluations, seconds, found.message,
    )  # fmt: skip


def _scipy(model: FittedModel, method: str, start: Array, units: Array) -> OneFit:
    began = time.perf_counter()
    criterion = _Criterion(model, units)
    n_residual = model.criterion.parameters.n_residual
    low = np.append(model.design.covariances.lower, np.full(n_residual, -np.inf))
    found: Any = optimize.minimize(
        criterion,
        start,
        jac=criterion.slope if method in _WITH_GRADIENT else None,
        method=method,
        bounds=optimize.Bounds(low, np.inf),
        options=_METHODS[method],
    )
    seconds = time.perf_counter() - began
    theta = model.criterion.parameters.canonical(found.x / units)
    user = tuple(model.criterion.to_user(theta).tolist())
    return OneFit(
        method, float(found.fun), user, bool(found.success),
        _singular(model, theta), criterion.count, seconds, str(found.message),
    )  # fmt: skip


def _singular(model: FittedModel, theta: Array) -> bool:
    own = model.criterion.parameters.theta(theta[None])
    return bool(model.design.covariances.is_singular(own, SINGULAR)[0])

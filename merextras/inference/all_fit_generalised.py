"""One generalised model, several optimisers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import delayed
from scipy import optimize

from merextras.engine.covariance.covariances import SINGULAR
from merextras.engine.generalised.criterion.laplace import Laplace, LaplacePoint
from merextras.engine.generalised.searches.search import GlmmControl, optimise
from merextras.engine.generalised.searches.start import starts
from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm
from merextras.results.estimates.all_fit import OneFit

#: The deviance where there is none: huge, and its cubes are still numbers.
_NONE = 1e90
#: Evaluations without a gradient, for each parameter.
_TRIES = 200


def work(
    model: FittedGlmm,
    methods: Mapping[str, Mapping[str, Any]],
    n_random: int,
    generator: np.random.Generator,
) -> list[Any]:
    """Delayed fits by our own method from several starts, then by scipy's from the first."""
    criterion = model.laplace.criterion.of(model.engine_family)
    first, n = next(starts(criterion)).x, criterion.covariances.n
    begins = {"newton, from quasi-likelihood": first}
    unit = criterion.covariances.from_covariances([np.eye(k) for k in criterion.covariances.ks])
    begins["newton, from the identity"] = np.concatenate([unit, first[n:]])
    positive = np.asarray(criterion.covariances.at_least_zero)
    for i in range(n_random):
        # Standard deviations over two orders of magnitude, and any correlation.
        size = np.exp(generator.normal(size=n))
        theta = np.where(positive, size, generator.normal(size=n)) / criterion.units
        begins[f"newton, random start {i + 1}"] = np.concatenate([theta, first[n:]])
    own: list[Any] = [delayed(_newton)(model, name, x) for name, x in begins.items()]
    return own + [delayed(_scipy)(model, name, first, dict(how)) for name, how in methods.items()]


def _newton(model: FittedGlmm, name: str, x: Array) -> OneFit:
    began = time.perf_counter()
    criterion = model.laplace.criterion.of(model.engine_family)
    control = GlmmControl(max(model.control.tolerance, 1e-14), model.control.max_iterations)
    with np.errstate(all="ignore"):
        found = optimise(criterion, x, control=control)
    seconds = time.perf_counter() - began
    return _fit(name, found.point, found.converged, criterion, seconds, found.message)


@dataclass
class _Criterion:
    """The deviance in units of the parameters."""

    laplace: Laplace
    units: Array
    last: LaplacePoint | None = None

    def __call__(self, scaled: Array) -> float:
        """The deviance; huge where there is none."""
        value = self._point(scaled).deviance()
        return value if np.isfinite(value) else _NONE

    def slope(self, scaled: Array) -> Array:
        """Its gradient."""
        with np.errstate(all="ignore"):
            return self._point(scaled).gradient() / self.units

    def _point(self, scaled: Array) -> LaplacePoint:
        x = scaled / self.units
        if self.last is None or not np.array_equal(self.last.x, x):
            self.last = self.laplace.at(x, self.last)
        return self.last


def _scipy(model: FittedGlmm, method: str, x: Array, options: dict[str, Any]) -> OneFit:
    began = time.perf_counter()
    laplace = model.laplace.criterion.of(model.engine_family)
    n = laplace.covariances.n
    units = np.ones(len(x))
    units[:n] = laplace.units
    fixed = laplace.at(x).fixed_information().diagonal()
    units[n : n + len(fixed)] = np.sqrt(np.maximum(fixed, 1e-10))
    criterion = _Criterion(laplace, units)
    if "maxfev" in options:  # without a gradient: what a simplex needs, and not the whole day
        options |= {"maxfev": _TRIES * len(x), "maxiter": _TRIES * len(x)}
    low = np.append(laplace.covariances.lower, np.full(len(x) - n, -np.inf))
    with np.errstate(all="ignore"):
        found: Any = optimize.minimize(
            criterion,
            x * units,
            jac=criterion.slope if method in {"L-BFGS-B", "SLSQP"} else None,
            method=method,
            bounds=optimize.Bounds(low, np.inf),
            options=options,
        )
        point = laplace.at(found.x / units, criterion.last)
    seconds = time.perf_counter() - began
    return _fit(method, point, bool(found.success), laplace, seconds, str(found.message))


def _fit(
    name: str, point: LaplacePoint, converged: bool, laplace: Laplace, seconds: float, message: str
) -> OneFit:
    theta = laplace.covariances.canonical(laplace.split(point.x)[0])
    singular = bool(laplace.covariances.is_singular(theta[None], SINGULAR)[0])
    deviance = point.deviance()
    return OneFit(
        name, deviance if np.isfinite(deviance) else np.nan,
        tuple(laplace.user_theta(theta).tolist()), converged, singular, laplace.n_evaluations,
        seconds, message,
    )  # fmt: skip

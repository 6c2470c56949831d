"""Means over a normal distribution of the linear predictor, on the scale of the response.

For ``eta + s z`` with z standard normal, whatever number of effects s**2 is made of,

    mu(eta, s**2) = E h(eta + s z),   dmu / deta = E h',   dmu / d(s**2) = E h'' / 2 = E (h' z) / 2s

h the inverse link. With a log link and a probit there are closed forms; else the integral is a sum
over evenly spaced z. The normal density and h are analytic in a strip around the real line, of a
logit as far as ``pi / s``, of a complementary log-log as far as half of that, and the sum's error
is ``exp(-2 pi strip / step)`` (Trefethen & Weideman 2014, SIAM Review 56): a step of ``0.54 / s``
and of ``0.27 / s`` leaves rounding. Gauss and Hermite's rule has no such step for a large s.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from merextras.engine.generalised.families.family import Family
from merextras.engine.kernels.blocks import Array

# Beyond that the normal density has no digit; the longest step, and numbers held at a time.
_FAR, _LONGEST, _BLOCK = 9.0, 0.5, 1 << 20
#: The step times s, by link.
_STEPS = {"logit": 0.54, "cloglog": 0.27}
#: Links whose mean over a normal distribution does not exist: 1 / eta is not integrable at zero.
WITHOUT_MEAN = frozenset({"inverse"})


@dataclass(frozen=True)
class Marginal:
    """A mean and its derivatives, (n,) each.

    Attributes
    ----------
    mean : (n,) array
    by_eta : (n,) array
        In the linear predictor.
    by_variance : (n,) array
        In the variance s**2.
    """

    mean: Array
    by_eta: Array
    by_variance: Array


def over_normal(family: Family, link: str, eta: Array, variance: Array) -> Marginal:
    """Means over normal linear predictors with means `eta` and these variances, (n,) each."""
    if link in WITHOUT_MEAN:
        raise ValueError(f"the mean over a normal distribution does not exist for link {link!r}")
    if link == "identity":
        return Marginal(eta, np.ones(len(eta)), np.zeros(len(eta)))
    if link == "log":
        mean = np.exp(eta + 0.5 * variance)
        return Marginal(mean, mean, 0.5 * mean)
    if link == "probit":
        whole = 1.0 + variance
        at = eta / np.sqrt(whole)
        density = np.exp(-0.5 * at**2) / np.sqrt(2.0 * np.pi * whole)
        return Marginal(special.ndtr(at), density, -0.5 * density * eta / whole)
    return _summed(family, _STEPS[link], eta, variance)


def _summed(family: Family, step: float, eta: Array, variance: Array) -> Marginal:
    s = np.sqrt(np.maximum(variance, 0.0))
    apart = min(_LONGEST, step / max(float(np.max(s, initial=0.0)), 1e-8))
    count = int(np.ceil(_FAR / apart))
    z = apart * np.arange(-count, count + 1)
    weight = apart * np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    out = np.empty((3, len(eta)))
    size = max(1, _BLOCK // len(z))
    with np.errstate(over="ignore", under="ignore"):
        for at in range(0, len(eta), size):
            part = slice(at, at + size)
            points = eta[part, None] + s[part, None] * z
            slope = family.mean_slope(points)
            out[0, part] = family.mean(points) @ weight
            out[1, part] = slope @ weight
            out[2, part] = slope @ (weight * z)
    out[2] /= np.where(s > 0.0, 2.0 * s, np.inf)
    return Marginal(out[0], out[1], out[2])


_LINKED: dict[str, Callable[[Array], Array]] = {
    "identity": lambda mean: mean,
    "log": np.log,
    "inverse": lambda mean: 1.0 / mean,
    "logit": special.logit,
    "probit": special.ndtri,
    "cloglog": lambda mean: np.log(-np.log1p(-mean)),
}


_UNLINKED: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "identity": (lambda eta: eta, np.ones_like),
    "log": (np.exp, np.exp),
    "inverse": (lambda eta: 1.0 / eta, lambda eta: -1.0 / eta**2),
    "logit": (special.expit, lambda eta: special.expit(eta) * special.expit(-eta)),
    "probit": (special.ndtr, lambda eta: np.exp(-0.5 * eta**2) / np.sqrt(2.0 * np.pi)),
    "cloglog": (lambda eta: -np.expm1(-np.exp(eta)), lambda eta: np.exp(eta - np.exp(eta))),
}


def unlinked(link: str, eta: Array) -> tuple[Array, Array]:
    """The means of linear predictors and their derivatives, whatever the family."""
    mean, slope = _UNLINKED[link]
    return np.asarray(mean(eta)), np.asarray(slope(eta))


def linked(link: str, mean: Array) -> Array:
    """The linear predictor of a mean."""
    return np.asarray(_LINKED[link](mean))

"""The estimates of many refits to parts of a table, and how far they are from those of all rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.solution.pls import Solution


@dataclass(frozen=True)
class Estimates:
    """What m refits estimate.

    Attributes
    ----------
    theta : (m, n_theta) array
        In the coordinates of all rows' cross-products.
    beta : (m, p) array
        Of the X that was given.
    sigma2 : (m,) array
    covariance : (m, p, p) array
        Of beta.
    """

    theta: Array
    beta: Array
    sigma2: Array
    covariance: Array


@dataclass(frozen=True)
class Refits:
    """What is kept of m refits.

    Attributes
    ----------
    theta : (m, n_theta) array
        In the coordinates of all rows' cross-products.
    beta, std_error : (m, p) arrays
    sigma2 : (m,) array
    cov_ratio, cov_trace : (m,) arrays
        ``det V_g / det V`` and ``|tr(V^-1 V_g) - p|`` of the covariances of the fixed effects.
    displacement : (m,) array
        By how much the criterion of all rows is larger at these estimates than at its own; NaN if
        it was not asked for.
    reasons : mapping number -> str
        Why a refit has no estimates; its numbers are NaN.
    """

    theta: Array
    beta: Array
    std_error: Array
    sigma2: Array
    cov_ratio: Array
    cov_trace: Array
    displacement: Array
    reasons: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sigma2)

    @classmethod
    def missing(cls, n_theta: int, p: int, m: int, reasons: dict[int, str]) -> Refits:
        """Refits that do not exist."""
        theta, beta, one = (np.full(shape, np.nan) for shape in ((m, n_theta), (m, p), m))
        return cls(theta, beta, beta, one, one, one, one, reasons)

    @classmethod
    def unchanged(cls, solution: Solution, theta: Array) -> Refits:
        """One refit to all rows."""
        std_error = np.sqrt(solution.sigma2 * np.diag(solution.fixed_covariance()))
        sigma2, one, none = np.array([solution.sigma2]), np.ones(1), np.zeros(1)
        return cls(theta[None], solution.beta[None], std_error[None], sigma2, one, none, none)

    @classmethod
    def stacked(cls, parts: Sequence[Refits]) -> Refits:
        """One after the other."""
        found = {n: np.concatenate([getattr(part, n) for part in parts]) for n in ARRAYS}
        starts = np.cumsum([0, *(len(part) for part in parts)]).tolist()
        reasons = {
            start + i: why
            for start, part in zip(starts, parts, strict=False)
            for i, why in part.reasons.items()
        }
        return cls(**found, reasons=reasons)

    def replaced(self, which: IntArray, other: Refits) -> Refits:
        """The same with others in some places."""
        found = {name: getattr(self, name).copy() for name in ARRAYS}
        for name, values in found.items():
            values[which] = getattr(other, name)
        reasons = {i: why for i, why in self.reasons.items() if i not in set(which.tolist())}
        reasons |= {int(which[i]): why for i, why in other.reasons.items()}
        return Refits(**found, reasons=reasons)


ARRAYS = [f.name for f in fields(Refits) if f.name != "reasons"]


def measured(whole: Solution, found: Estimates, displacement: Array) -> Refits:
    """Compare the covariances of refits with that of the fit to all rows."""
    return against(whole.sigma2 * whole.fixed_covariance(), found, displacement)


def against(full: Array, found: Estimates, displacement: Array) -> Refits:
    """The same with the covariance of the fixed effects of the fit to all rows, (p, p)."""
    # Effects come in units of any size.
    size = np.sqrt(np.diag(full))
    units = np.outer(size, size)
    scaled = found.covariance / units
    log_ratio = np.linalg.slogdet(scaled)[1] - np.linalg.slogdet(full / units)[1]
    trace = np.einsum("mii->m", np.linalg.solve(full / units, scaled))
    std_error = np.sqrt(np.maximum(np.einsum("mii->mi", found.covariance), 0.0))
    with np.errstate(over="ignore"):
        ratio = np.exp(log_ratio)
    return Refits(
        found.theta, found.beta, std_error, found.sigma2, ratio, np.abs(trace - len(full)),
        displacement,
    )  # fmt: skip


def displacements(
    whole: Solution,
    found: Estimates,
    value: Array,
    sigma2: Array,
    quadratic: Array,
    *,
    least: float,
) -> Array:
    """How much larger the criterion of all rows is at other estimates, (m,).

    Parameters
    ----------
    value, sigma2 : (m,) arrays
        The criterion and sigma**2 of all rows at the refits' theta, sigma and beta being those that
        are best there.
    quadratic : (m,) array
        ``d'X'V^-1 X d`` for what the refits' beta differ from the best; the REML criterion is one
        of theta and sigma alone and has no such part.
    least : float
        The criterion of all rows at their own estimates.
    """
    ratio = sigma2 / found.sigma2
    rise = whole.df * (ratio - 1.0 - np.log(ratio))
    if not whole.reml:
        rise = rise + quadratic / found.sigma2
    return np.asarray(value + rise - least)

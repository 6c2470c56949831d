"""Problems of a model with residual variances by strata, from its ML optimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from merextras.engine.kernels.blocks import Array
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.profile.by_strata import StrataProblem
from merextras.engine.profile.charts import Sigma, Target

# The least eigenvalue of the curvature that is divided by, in units of the rows of a stratum.
_LEAST = 1e-3


@dataclass(frozen=True)
class ResidualPaths:
    """What problems of the targets start from.

    Attributes
    ----------
    criterion : Criterion
        The ML deviance.
    log_omega : (H,) array
        At its optimum.
    information : (H, H) array
        About the second derivative in all log omega, sigma held and theta at its best.
    shares : (H,) array
        Of the strata in r**2.
    """

    criterion: Criterion
    log_omega: Array
    information: Array
    shares: Array

    @classmethod
    def of(cls, criterion: Criterion, user: Array) -> ResidualPaths:
        """From the optimum's parameters, theta of the user's effects."""
        strata, parameters = criterion.strata, criterion.parameters
        assert strata is not None
        v = criterion.from_user(user)
        log_omega = parameters.log_omega(v)
        solution, omega = criterion.at(v).solution, np.exp(log_omega)
        gram = strata.residual(solution.modes_map).gram
        squares = omega * (gram @ solution.contrast @ solution.contrast)
        shares = squares / solution.pwrss
        # Sigma profiled out, as theta is nearly: what is left is as of rows in strata alone.
        information = np.diag(np.maximum(strata.n * shares * solution.n / strata.n, 1.0))
        return cls(criterion, log_omega, information, shares)

    def problem(self, target: Target, reference: int) -> tuple[StrataProblem, float]:
        """A target's problem relative to a stratum, and sigma**2 of the first over its."""
        strata, n = self.criterion.strata, self.criterion.system.cp.n
        assert strata is not None
        relative = self.log_omega - self.log_omega[reference]
        curvature = self.information.copy()
        if not isinstance(target, Sigma):  # sigma moves along
            curvature -= n * np.outer(self.shares, self.shares)
        others = np.delete(np.arange(len(strata)), reference)
        inner = curvature[np.ix_(others, others)]
        values, vectors = np.linalg.eigh(inner)
        values = np.maximum(values, _LEAST * float(np.max(values)))
        made = StrataProblem(
            strata,
            self.criterion.system.plan,
            target,
            relative,
            reference,
            (vectors * values) @ vectors.T,
        )
        return made, float(np.exp(self.log_omega[reference]))

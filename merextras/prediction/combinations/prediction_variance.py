"""Variances of linear predictors by row, and their degrees of freedom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.sparse as sp
from tqdm import tqdm

from merextras.engine.posterior import joint
from merextras.engine.solution.pls import Solution
from merextras.foundation.aliases import Array, IntArray
from merextras.inference.ddf.satterthwaite import satterthwaite
from merextras.model.newdata.rows import NewRows
from merextras.model.state.fitted import FittedModel

#: Numbers held at a time (32 MB).
_BLOCK = 2**22
#: Multiplications that take a second or two; less needs no progress bar.
_LONG = 2e9
#: Steps of central differences, relative to the size of theta: an error of 1e-8.
_STEP = 1e-4


class LinearRows(Protocol):
    """Linear combinations of the effects, a row each: coefficients x (m, p) and z by terms.

    `NewRows` are those of one level a term, `Combination` any.
    """

    @property
    def x(self) -> Array:
        """Coefficients of the fixed effects."""

    @property
    def z(self) -> tuple[sp.csr_array, ...]:
        """Those of the random effects."""

    def __len__(self) -> int: ...
    def take(self, rows: slice, /) -> LinearRows:
        """Some of the rows."""

    def prior(self, lams: Sequence[Array], /) -> Array:
        """Variance over sigma**2 of the effects that the data say nothing of."""


def relative_variances(
    solution: Solution, rows: LinearRows, drawn: Sequence[LinearRows] = ()
) -> Array:
    """Variances over sigma**2 of ``x_i'(beta^ - beta) + z_i'(b^ - b)``, (m,).

    Parameters
    ----------
    solution : Solution
    rows : NewRows or other linear combinations
        Without missing values.
    drawn : sequence of NewRows or others
        The effects of unknown levels in these are added with the variance that they have before
        any data.

    Notes
    -----
    In blocks of rows. Cost O(m (p + effects per row)**2) without a tail, O(m q_tail**2) with one.
    """
    width = len(solution.factor.tail) + solution.p
    step = max(1, _BLOCK // max(1, width))
    out = np.empty(len(rows))
    short = len(rows) * width**2 < _LONG
    bar = tqdm(total=len(rows), desc="standard errors", unit="rows", disable=short or None)
    with bar:
        for start in range(0, len(rows), step):
            part = rows.take(slice(start, start + step))
            out[start : start + step] = joint.variances(solution, part.z, part.x)
            bar.update(len(part))
    for more in drawn:
        out += more.prior(solution.lams)
    return out


@dataclass(frozen=True, eq=False)
class ThetaNeighbourhood:
    """A model's solution and those a step away in each element of theta.

    Attributes
    ----------
    solution : Solution
    pairs : list of (Solution, Solution, float, int or None)
        Up and down in each parameter, their distance, and for one of the residuals its group.
    parameters : (m + 1, m + 1) array
        Asymptotic covariance of (theta, sigma), of theta alone where sigma is known; with residual
        variances by group the logarithms of their relative precisions come after theta.

    Notes
    -----
    Slopes in theta are central differences. Making it takes the information matrix, once per
    model, and two factorisations for each element of theta.
    """

    solution: Solution
    pairs: list[tuple[Solution, Solution, float, int | None]]
    parameters: Array

    @classmethod
    def of(cls, model: FittedModel, *, stacklevel: int) -> ThetaNeighbourhood:
        """That of a model; a warning points `stacklevel` calls above this."""
        parameters = satterthwaite(model, stacklevel=stacklevel + 1).parameters
        return cls(model.solution, _neighbours(model), parameters)

    def df(
        self,
        rows: NewRows,
        drawn: Sequence[NewRows],
        residual: Array | float,
        groups: IntArray | None = None,
    ) -> Array:
        """Satterthwaite's degrees of freedom of each row's variance, (m,).

        ``2 v**2 / (g'Ag)`` with v the variance ``sigma**2 (relative_variances + residual)`` and g
        its slope in (theta, sigma); infinite where v does not depend on them. `groups` are those
        of the rows whose residual variances are in it.
        """
        sigma2 = self.solution.sigma2
        variance = sigma2 * (relative_variances(self.solution, rows, drawn) + residual)
        slopes = []
        for up, down, step, group in self.pairs:
            slope = relative_variances(up, rows, drawn) - relative_variances(down, rows, drawn)
            slope = sigma2 * slope / step
            if group is not None and groups is not None:
                slope -= sigma2 * np.where(groups == group, residual, 0.0)
            slopes.append(slope)
        by_sigma = 2.0 / np.sqrt(sigma2) * variance
        g = np.array([*slopes, by_sigma])[: len(self.parameters)]
        spread = np.einsum("im,ij,jm->m", g, self.parameters, g)
        known = spread > 0.0
        out = np.full(len(rows), np.inf)
        out[known] = 2.0 * variance[known] ** 2 / spread[known]
        return out

    def of_theta(self, rows: NewRows) -> Array:
        """Variance over sigma**2 of the predictions for the estimation of theta, (m,).

        ``d'Ad / sigma**2`` with d the slope in theta of ``x'beta^ + z'b^``.
        """
        slopes = [
            (rows.estimates(up) - rows.estimates(down)) / step for up, down, step, _ in self.pairs
        ]
        m = len(slopes)
        d, own = np.array(slopes), self.parameters[:m, :m]
        return np.asarray(np.einsum("im,ij,jm->m", d, own, d) / self.solution.sigma2)


def _neighbours(model: FittedModel) -> list[tuple[Solution, Solution, float, int | None]]:
    """The solutions a step up and down in each parameter, their distance, and whose it is."""
    factor, theta = model.solution.factor, model.point.theta
    sizes = []
    for lam, own in zip(factor.lams, factor.system.cp.own, strict=True):
        # In the units of the effect: those of a variance that the data can just tell from zero.
        mean = np.mean(own, axis=0)[np.diag_indices(len(lam))]
        floor = 1e-2 / np.sqrt(np.where(mean > 0.0, mean, 1.0))
        sizes.append(1.0 / np.maximum(np.linalg.norm(lam, axis=1), floor))
    out = []
    parameters = model.criterion.parameters
    n_theta = parameters.covariances.n
    for i, unit in enumerate(parameters.units(sizes)):
        step = np.zeros(len(theta))
        step[i] = _STEP / unit
        up, down = (model.criterion.at(theta + sign * step).solution for sign in (1.0, -1.0))
        out.append((up, down, 2.0 * float(step[i]), i - n_theta + 1 if i >= n_theta else None))
    return out

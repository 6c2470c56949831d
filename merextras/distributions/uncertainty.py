"""Fixed effects with what degrees of freedom of their linear functions are computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.distributions.degrees import Degrees
from merextras.engine.kernels import dense
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.frozen import FrozenArrays

# A function is estimable if less than this share of it lies where X has no columns of its own.
_NOT_ESTIMABLE = 1e-6


def estimable(rows: Array, null: Array, scale: Array) -> BoolArray:
    """Which functions of all columns' coefficients the data determine, (r,).

    Those that do not change along `null`, directions that X does not see, in units of `scale`.
    """
    missed = np.linalg.norm(rows @ null, axis=1)
    return np.asarray(missed <= _NOT_ESTIMABLE * np.linalg.norm(rows / scale, axis=1))


@dataclass(frozen=True, eq=False)
class Uncertainty(FrozenArrays):
    """Everything needed for inference on linear functions of beta.

    Functions are rows over *all* columns of X, those too that the fit dropped because others
    determine them.

    Attributes
    ----------
    beta : (p,) array
    transform : (p, p) array
        Functions of beta times it are ones of coefficients whose columns are orthonormal, which the
        next two are of: wherever zero is, no digit of a variance is lost.
    covariance : (p, p) array
        That standard errors are from; Kenward and Roger's adjusted one for theirs.
    degrees : Degrees
        Makes degrees of freedom.
    kept : (p,) integer array
        Where the p columns are among all.
    null : (all, d) array
        Directions that X does not see: X null = 0.
    scale : (all,) array
        Lengths of the columns, the units in which `null` is judged.
    title : str
        The method's name.
    """

    beta: Array
    transform: Array
    covariance: Array
    degrees: Degrees
    kept: IntArray
    null: Array
    scale: Array
    title: str

    _arrays = ("beta", "transform", "covariance", "null", "scale")

    def estimable(self, rows: Array) -> BoolArray:
        """Which functions do not depend on the choice among equivalent coefficients, (r,)."""
        return estimable(rows, self.null, self.scale)

    def estimable_part(self, rows: Array) -> Array:
        """Independent combinations of the rows that are estimable, (s, all)."""
        size = np.linalg.norm(rows / self.scale, axis=1)
        rows = rows[size > 0.0] / size[size > 0.0, None]
        left, values, right = np.linalg.svd(rows / self.scale, full_matrices=False)
        del left
        rank = int(np.sum(values > _NOT_ESTIMABLE * np.max(values, initial=0.0)))
        rows = right[:rank] * self.scale
        if self.null.shape[1] == 0 or rank == 0:
            return rows
        left, values, _ = np.linalg.svd(rows @ self.null)
        outside = int(np.sum(values > _NOT_ESTIMABLE))
        return np.asarray(left[:, outside:].T @ rows)

    def table(self, rows: Array, offset: Array) -> pd.DataFrame:
        """``estimate std_error df`` of each function; NaN where it is not estimable."""
        good = self.estimable(rows)
        given = rows[:, self.kept]
        own = dense.times_triangle([given], self.transform)
        variance = np.einsum("rk,rk->r", own @ self.covariance, own)
        made = {
            "estimate": given @ self.beta + offset,
            "std_error": np.sqrt(np.maximum(variance, 0.0)),
            "df": self.degrees.df(own),
        }
        return pd.DataFrame({name: np.where(good, v, np.nan) for name, v in made.items()})

    def correlation(self, rows: Array) -> Array:
        """Correlations of the estimates of estimable functions, (r, r)."""
        own = dense.times_triangle([rows[:, self.kept]], self.transform)
        covariance = own @ self.covariance @ own.T
        sd = np.sqrt(np.diag(covariance))
        return np.asarray(covariance / np.outer(sd, sd))

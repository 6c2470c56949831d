"""The basis in which the fixed-effects columns and the response are cross-multiplied.

Cross-products square the condition number, so they are taken of ``X T`` and ``y - X b0`` in place
of X and y: T makes the columns orthonormal over the rows it was made from, and b0 is their least
squares fit. The likelihood does not change; a response around 1e6 or a predictor in milliseconds
then costs no digits. As in QR-based least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from merextras.engine.kernels.blocks import Array


@dataclass(frozen=True)
class Basis:
    """``(X, y) -> (X T, y - X b0)``.

    Attributes
    ----------
    transform : (p, p) array
        Upper triangular T with a positive diagonal.
    offset : (p,) array
        b0.
    """

    transform: Array
    offset: Array

    @classmethod
    def identity(cls, p: int) -> Basis:
        """Return the basis that leaves X and y as they are."""
        return cls(np.eye(p), np.zeros(p))

    @classmethod
    def from_rows(cls, x: Array, y: Array, weights: Array | None = None) -> Basis:
        """Orthonormal columns and least-squares residuals; cost O(n p**2).

        A column that these rows cannot tell from those before it (in a chunk of a larger table:
        a category not met yet) is freed of what those explain, and left out of the fit of y.
        """
        p, missing = x.shape[1], max(x.shape[1] - len(x), 0)
        if p == 0:
            return cls.identity(p)
        root = np.ones(len(x)) if weights is None else np.sqrt(weights)
        rows = np.pad(x * root[:, None], ((0, missing), (0, 0)))
        q, r = la.qr(rows, mode="economic", check_finite=False)
        dependent = np.flatnonzero(np.abs(np.diag(r)) <= 1e-13 * np.linalg.norm(r, axis=0))
        if len(dependent):
            return cls._with_dependent(x, y, weights, int(dependent[0]))
        signs = np.sign(np.diag(r))
        transform = la.solve_triangular(r, np.diag(signs), check_finite=False)
        rotated = q.T @ np.pad(y * root, (0, missing))
        offset = la.solve_triangular(r, rotated, check_finite=False)
        return cls(transform, offset)

    @classmethod
    def _with_dependent(cls, x: Array, y: Array, weights: Array | None, j: int) -> Basis:
        """Make the basis of the other columns, and put in the first dependent one, j."""
        rest = cls.from_rows(np.delete(x, j, axis=1), y, weights)
        transform = np.insert(np.insert(rest.transform, j, 0.0, axis=0), j, 0.0, axis=1)
        weighted = x[:, j] if weights is None else x[:, j] * weights
        before = rest.transform[:j, :j]
        transform[:j, j] = -before @ ((x[:, :j] @ before).T @ weighted)
        transform[j, j] = 1.0
        norm = float(np.sqrt(x[:, j] @ weighted))
        transform[:, j] /= norm if norm > 0.0 else 1.0
        return cls(transform, np.insert(rest.offset, j, 0.0))

    def apply(self, x: Array, y: Array) -> Array:
        """Return the columns ``[X T, y - X b0]``, (n, p + 1)."""
        return np.column_stack([x @ self.transform, y - x @ self.offset])

    def restore(self, columns: Array) -> tuple[Array, Array]:
        """Return X and y from their columns in the basis."""
        p = len(self.offset)
        if p == 0:
            return np.empty((len(columns), 0)), columns[:, 0]
        x = la.solve_triangular(self.transform, columns[:, :p].T, trans="T").T
        return x, columns[:, p] + x @ self.offset

    def is_same(self, other: Basis) -> bool:
        """Whether the two are equal to the last digit."""
        return np.array_equal(self.transform, other.transform) and np.array_equal(
            self.offset, other.offset
        )

    def coefficients(self, beta: Array) -> Array:
        """Coefficients of X for the response y, from those of ``X T`` for ``y - X b0``."""
        return self.offset + self.transform @ beta

    def log_det(self) -> float:
        """Return log |T|."""
        return float(np.sum(np.log(np.diag(self.transform))))

    def change_to(self, other: Basis) -> Array:
        """Matrix B, (p+1, p+1), with ``[columns in other] = [columns in self] B``."""
        p = len(self.offset)
        change = np.eye(p + 1)
        inv = la.solve_triangular(self.transform, np.eye(p)) if p else np.eye(0)
        change[:p, :p] = inv @ other.transform
        change[:p, p] = inv @ (self.offset - other.offset)
        return change

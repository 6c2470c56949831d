"""The basis in which the fixed-effects columns and the response are cross-multiplied.

Cross-products square the condition number, so they are taken of ``X T`` and ``y - X b0`` in place
of X and y: T makes the columns orthonormal over the rows it was made from, and b0 is their least
squares fit. The likelihood does not change; a response around 1e6 or a predictor in milliseconds
then costs no digits. See DESIGN, section 3; the idea is that of a QR-based least squares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as la

from merextras.engine.blocks import Array


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
        """The basis that leaves X and y as they are."""
        return cls(np.eye(p), np.zeros(p))

    @classmethod
    def from_rows(cls, x: Array, y: Array, weights: Array | None = None) -> Basis:
        """Orthonormal columns and least-squares residuals; cost O(n p**2)."""
        p = x.shape[1]
        if p == 0 or len(x) < p:
            return cls.identity(p)
        root = np.ones(len(x)) if weights is None else np.sqrt(weights)
        q, r = la.qr(x * root[:, None], mode="economic", check_finite=False)
        size = np.abs(np.diag(r))
        if not np.all(size > 1e-13 * max(float(size.max()), np.finfo(float).tiny)):
            return cls.identity(p)
        signs = np.sign(np.diag(r))
        transform = la.solve_triangular(r, np.diag(signs), check_finite=False)
        offset = la.solve_triangular(r, q.T @ (y * root), check_finite=False)
        return cls(transform, offset)

    def apply(self, x: Array, y: Array) -> Array:
        """The columns ``[X T, y - X b0]``, (n, p + 1)."""
        return np.column_stack([x @ self.transform, y - x @ self.offset])

    def coefficients(self, beta: Array) -> Array:
        """Coefficients of X for the response y, from those of ``X T`` for ``y - X b0``."""
        return self.offset + self.transform @ beta

    def log_det(self) -> float:
        """log |T|."""
        return float(np.sum(np.log(np.diag(self.transform))))

    def change_to(self, other: Basis) -> Array:
        """Matrix B, (p+1, p+1), with ``[columns in other] = [columns in self] B``."""
        p = len(self.offset)
        change = np.eye(p + 1)
        inv = la.solve_triangular(self.transform, np.eye(p)) if p else np.eye(0)
        change[:p, :p] = inv @ other.transform
        change[:p, p] = inv @ (self.offset - other.offset)
        return change

"""The basis in which the columns of both parts and the response are cross-multiplied.

Cross-products square the condition number, so they are taken of ``X T`` and ``y - X b0`` in place
of X and y: T makes the columns orthonormal over the rows it was made from, and b0 is their least
squares fit. The likelihood does not change; a response around 1e6 or a predictor in milliseconds
then costs no digits. As in QR-based least squares. The covariates of every random-effects term have
coordinates of their own, see `effects`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg as la

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.kernels import dense
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.cells import Cells
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.term_rows import TermRows


@dataclass(frozen=True)
class Basis:
    """``(X, y) -> (X T, y - X b0)``, and ``Z_t -> Z_t T_t`` for each term.

    Attributes
    ----------
    transform : (p, p) array
        Upper triangular T with a positive diagonal.
    offset : (p,) array
        b0.
    effects : tuple of EffectBasis
        Of the terms.
    """

    transform: Array
    offset: Array
    effects: tuple[EffectBasis, ...] = ()

    @classmethod
    def identity(cls, p: int, effects: Sequence[EffectBasis] = ()) -> Basis:
        """Return the basis that leaves X and y as they are."""
        return cls(np.eye(p), np.zeros(p), tuple(effects))

    def with_effects(self, effects: Sequence[EffectBasis]) -> Basis:
        """The same for X and y, with other coordinates of the terms' effects."""
        if len(effects) == len(self.effects) and all(map(operator.is_, effects, self.effects)):
            return self
        return replace(self, effects=tuple(effects))

    @classmethod
    def from_rows(
        cls,
        x: Array,
        y: Array,
        weights: Array | None = None,
        told: dense.Told | None = None,
        cells: Cells | None = None,
    ) -> Basis:
        """Orthonormal columns and least-squares residuals; cost O(n p**2).

        A column that these rows cannot tell from those before it (in a chunk of a larger table:
        a category not met yet) is freed of what those explain, and left out of the fit of y.
        `told` is the `scaled_cholesky` of x, and `cells` are its cells, where these are known and
        there are no weights.
        """
        p, missing = x.shape[1], max(x.shape[1] - len(x), 0)
        if p == 0:
            return cls.identity(p)
        rows, values = x, y
        if weights is not None:
            root = np.sqrt(weights)
            rows, values = x * root[:, None], y * root
            told = cells = None
        if missing:
            told = cells = None
            rows, values = np.pad(rows, ((0, missing), (0, 0))), np.pad(values, (0, missing))
        times = cells.times if cells is not None and cells.serve(x) else None
        r, fitted = dense.regression(rows, values, told, times)
        diagonal, dependent = r.diagonal(), np.flatnonzero(dense.dependent(r))
        if len(dependent):
            return cls._with_dependent(x, y, weights, int(dependent[0]))
        transform = dense.solve_triangle(r, np.diag(np.sign(diagonal)))
        return cls(transform, dense.solve_triangle(r, fitted))

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
        return dense.times_triangle([x, y], self.change)

    @property
    def change(self) -> Array:
        """Upper triangular, (p + 1, p + 1): what [X y] is multiplied by."""
        p = len(self.offset)
        change = np.eye(p + 1)
        change[:p, :p], change[:p, p] = self.transform, -self.offset
        return change

    def columns(self, x: Array) -> Array:
        """Return X T."""
        return dense.times_triangle([x], self.transform)

    def rows(self, terms: Sequence[TermRows]) -> list[TermRows]:
        """The terms with their covariates in their coordinates."""
        out = []
        for term, own in zip(terms, self.effects, strict=True):
            values = own.rows(term.values)
            same = values is term.values
            out.append(term if same else replace(term, values=values))
        return out

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

    def to_user(self, theta: Array, covariances: Covariances) -> Array:
        """Parameters of the user's effects, (n,) or (m, n), of theta in these coordinates."""
        maps, scales = [e.to_user for e in self.effects], [e.scale for e in self.effects]
        return covariances.natural(covariances.mapped(theta, maps, scales))

    def from_user(self, theta: Array, covariances: Covariances) -> Array:
        """Theta in these coordinates, (n,) or (m, n), of parameters of the user's effects."""
        maps, scales = [e.from_user for e in self.effects], [1.0 / e.scale for e in self.effects]
        return covariances.mapped(covariances.from_natural(theta), maps, scales)

    def coefficients(self, beta: Array) -> Array:
        """Coefficients of X for the response y, from those of ``X T`` for ``y - X b0``."""
        return self.offset + self.transform @ beta

    def log_det(self) -> float:
        """Return log |T|."""
        return self._log_det

    @cached_property
    def _log_det(self) -> float:
        return float(np.log(self.transform.diagonal()).sum())

    def change_to(self, other: Basis) -> Array:
        """Matrix B, (p+1, p+1), with ``[columns in other] = [columns in self] B``."""
        p = len(self.offset)
        change = np.eye(p + 1)
        if p:
            both = np.column_stack([other.transform, self.offset - other.offset])
            change[:p] = dense.divided(self.transform, both)
        return change

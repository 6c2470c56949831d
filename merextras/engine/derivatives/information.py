"""First and second derivatives of the model's criterion in the elements of its covariances.

V is linear in the elements g of the covariances over sigma**2: ``V = W^-1 + sum_i g_i V_i``, with
``V_i = Z_t (E_ab + E_ba) Z_t'`` for a covariance (a, b) of term t and ``Z_t E_aa Z_t'`` for a
variance. All that an expected, observed or average information, the Kenward-Roger correction and
the Satterthwaite gradient need are, for ``A = [X, y - X beta]``,

    tr(V^-1 V_i),   tr(V^-1 V_i V^-1 V_j),   A'V^-1 V_i V^-1 A,   A'V^-1 V_i V^-1 V_j V^-1 A.

They come from ``Z'V^-1 A`` and the columns of ``B = Z'V^-1 Z`` (`traces`), neither of which has the
rows of the data in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.linalg as la

from merextras.engine.covariance.cholesky import lower_indices
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.priors import Penalty
from merextras.engine.covariance.structure import NearLinear
from merextras.engine.derivatives.gradient import deviance_slopes
from merextras.engine.derivatives.traces import traces_of, z_products, z_projected
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array
from merextras.engine.solution.pls import Solution

# Directions of theta that move V less than this, relative to the one that moves it most.
_NULL = 1e-8


@dataclass(frozen=True)
class Information:
    """The derivatives' ingredients at one theta, in units of sigma = 1; m elements.

    Attributes
    ----------
    solution : Solution
    covariances : Covariances
        How the elements depend on theta.
    traces : (m,) array
        ``tr(V^-1 V_i)``.
    trace_products : (m, m) array
        ``tr(V^-1 V_i V^-1 V_j)``.
    first : (m, p + 1, p + 1) array
        ``A'V^-1 V_i V^-1 A``, X in the basis of the cross-products.
    second : (m, m, p + 1, p + 1) array
        ``A'V^-1 V_i V^-1 V_j V^-1 A``.
    penalty : Penalty, optional
        Of a prior of the covariances, in the coordinates of the cross-products: of all that is
        here, a part of the Hessian alone.
    """

    solution: Solution
    covariances: Covariances
    traces: Array
    trace_products: Array
    first: Array
    second: Array
    penalty: Penalty | None = None

    @property
    def m(self) -> int:
        """Elements of the covariances, of the lower triangles by terms."""
        return len(self.traces)

    @property
    def unscaled(self) -> Array:
        """``(X'V^-1 X)^-1`` in the basis, (p, p)."""
        return self.solution.basis_covariance()

    @cached_property
    def theta(self) -> Array:
        """The parameters of the covariances, (n,)."""
        return self.covariances.parameters(self.solution.factor.lams)

    def jacobian(self) -> Array:
        """Derivative of the covariances' elements in theta, (m, n)."""
        parts = []
        for slopes in self.covariances.covariance_slopes(self.theta):
            rows, cols = lower_indices(slopes.shape[1])
            parts.append(slopes[:, rows, cols].T)
        return np.asarray(la.block_diag(*parts)) if parts else np.zeros((0, 0))

    def nearly_linear(self) -> tuple[Array, Array]:
        """How the elements and V depend on parameters in which V is linear or nearly so.

        Those are the variances and covariances of each structure, or its variances and
        correlation, all times sigma**2, and sigma**2.

        Returns
        -------
        slopes : (m + 1, n + 1) array
            Derivatives of the elements, V itself being the last of them and of the directions;
            (m, n) without V where sigma**2 is given.
        second : (n, n, m) array
            Second derivatives of the elements in the parameters.
        """
        found = self.near_linear
        parts, bends = [], []
        for own in found:
            rows, cols = lower_indices(own.slopes.shape[1])
            parts.append(own.slopes[:, rows, cols].T)
            bends.append(own.second[:, :, rows, cols])
        own = la.block_diag(*parts)
        n = own.shape[1]
        slopes = own if self.solution.cp.scale.is_known else la.block_diag(own, 1.0)
        second, i, e = np.zeros((n, n, self.m)), 0, 0
        for bend in bends:
            k, _, m = bend.shape
            second[i : i + k, i : i + k, e : e + m] = bend
            i, e = i + k, e + m
        return np.asarray(slopes), second

    @cached_property
    def near_linear(self) -> list[NearLinear]:
        """Each term's covariance in parameters in which it is nearly linear."""
        pairs = zip(self.covariances.structures, self.covariances.parts, strict=True)
        return [s.near_linear(self.theta[at]) for s, at in pairs]

    def kr_curvature(self, inverse: Array, slopes: Array, second: Array, expected: Array) -> Array:
        """What the curvature of V in its parameters adds to the covariance of beta, (p, p).

        ``M (sum_kl w_kl R_kl) M / 4`` with ``R_kl = X'V^-1 V_kl V^-1 X``, where of ``V_kl = d2V /
        dphi_k dphi_l`` only what is not in the span of the first derivatives counts: the rest is
        undone by the bias that it gives the estimates (Kenward & Roger 2009). So it does not
        depend on the parameters that are chosen; X in the basis.

        Parameters
        ----------
        inverse : (n + 1, n + 1) array
            Of ``slopes' expected slopes``.
        slopes, second : arrays
            See `nearly_linear`.
        expected : (m + 1, m + 1) array
            See `expected`.
        """
        # A move along V moves each variance by its share, and sigma**2.
        values = np.concatenate([own.values for own in self.near_linear])
        turn = np.column_stack([np.eye(len(values)), values])[:, : len(inverse)]
        moved = np.zeros(len(expected))
        moved[: self.m] = np.einsum("ij,ije->e", 2.0 * turn @ inverse @ turn.T, second)
        rest = moved - slopes @ (inverse @ (slopes.T @ (expected @ moved)))
        return np.asarray(0.25 * np.einsum("e,ekl->kl", rest, self.covariance_derivatives()))

    def free_directions(self) -> Array:
        """Orthonormal-in-their-units directions of theta in which V changes, (n, r).

        All of them in the interior. At a boundary V does not depend to first order on the elements
        of a column of Lambda that is zero; neither does anything that is a function of V.
        """
        scale = np.sqrt(np.diag(self.trace_products))
        sizes, at = [], 0
        for lam in self.solution.factor.lams:
            rows, cols = lower_indices(len(lam))
            sizes.append(np.sqrt(scale[at : at + len(rows)][rows == cols]))
            at += len(rows)
        unit = 1.0 / self.covariances.units(sizes)
        _, kept_sizes, right = la.svd(scale[:, None] * self.jacobian() * unit)
        kept = kept_sizes > _NULL * np.max(kept_sizes, initial=0.0)
        return np.asarray(unit[:, None] * right[: len(kept)][kept].T)

    def projected_trace_products(self) -> Array:
        """``tr(P V_i P V_j)``, (m, m), with P free of the fixed effects."""
        p, middle = self.solution.p, self.unscaled
        inner = self.first[:, :p, :p] @ middle
        once = np.einsum("ijkl,lk->ij", self.second[:, :, :p, :p], middle)
        twice = np.einsum("ikl,jlk->ij", inner, inner)
        return np.asarray(self.trace_products - 2.0 * once + twice)

    def expected(self) -> Array:
        """``tr(P V_i P V_j)`` with V itself as the last element, (m + 1, m + 1).

        Without V, (m, m), where sigma**2 is given. Twice the expected information of REML in
        directions that span the elements and sigma**2: V is a combination of the others and of
        W^-1, so that it serves in the place of that.
        """
        p, n = self.solution.p, self.solution.n
        if self.solution.cp.scale.is_known:
            return self.projected_trace_products()
        out = np.empty((self.m + 1, self.m + 1))
        out[:-1, :-1] = self.projected_trace_products()
        explained = np.einsum("ikl,lk->i", self.first[:, :p, :p], self.unscaled)
        out[:-1, -1] = out[-1, :-1] = self.traces - explained
        out[-1, -1] = n - p
        return out

    def covariance_derivatives(self) -> Array:
        """``M X'V^-1 V_i V^-1 X M`` with ``M = (X'V^-1 X)^-1``, X in the basis, (m + 1, p, p).

        How M changes with each element, V itself being the last, for which it is M; without it,
        (m, p, p), where sigma**2 is given.
        """
        p, middle = self.solution.p, self.unscaled
        moved = middle @ self.first[:, :p, :p] @ middle
        return moved if self.solution.cp.scale.is_known else np.concatenate([moved, middle[None]])

    def kr_adjustment(self, weights: Array) -> Array:
        """``M (sum_ij w_ij (Q_ij - P_i M P_j)) M``, (p, p); `weights` are (m + 1, m + 1).

        Or (m, m) without V. With ``P_i = X'V^-1 V_i V^-1 X`` and ``Q_ij = X'V^-1 V_i V^-1 V_j
        V^-1 X``; where i or j is V itself the difference is zero. X in the basis.
        """
        p = self.solution.p
        middle, own = self.unscaled, weights[: self.m, : self.m]
        inner = self.first[:, :p, :p]
        total = np.einsum("ij,ijkl->kl", own, self.second[:, :, :p, :p])
        total -= np.einsum("ij,ika,ab,jbl->kl", own, inner, middle, inner, optimize=True)
        return np.asarray(middle @ (0.5 * (total + total.T)) @ middle)

    def hessian(self) -> Array:
        """Second derivative of the unprofiled criterion in (theta, sigma), (n + 1, n + 1).

        Exact. Of the REML criterion or the ML deviance as the solution is, at the profiled sigma;
        in theta alone, (n, n), where sigma is given.
        """
        p, sigma2, jacobian = self.solution.p, self.solution.sigma2, self.jacobian()
        cross = self.first[:, :p, p]
        quadratic = self.second[:, :, p, p] - cross @ self.unscaled @ cross.T
        log_det = self.projected_trace_products() if self.solution.reml else self.trace_products
        inner = jacobian.T @ (2.0 * quadratic / sigma2 - log_det) @ jacobian
        n = self.covariances.n
        out = np.empty((n + 1, n + 1))
        out[:n, :n] = inner + self.covariances.curvature(self.theta, deviance_slopes(self.solution))
        if self.penalty is not None:
            out[:n, :n] += self.penalty.hessian(self.theta[None])[0]
        out[:n, n] = out[n, :n] = jacobian.T @ self.first[:, p, p] * 2.0 / sigma2**1.5
        out[n, n] = 4.0 * self.solution.df / sigma2
        if self.solution.cp.scale.is_known:
            out = out[:n, :n]
        return 0.5 * (out + out.T)

    def beta_covariance_slopes(self) -> Array:
        """Derivative in (theta, sigma) of the covariance of beta, (n + 1, p, p).

        In theta alone where sigma is given. X in the basis, theta in the coordinates of the
        cross-products.
        """
        solution, moved = self.solution, self.covariance_derivatives()
        by_theta = solution.sigma2 * np.einsum("it,ikl->tkl", self.jacobian(), moved[: self.m])
        if solution.cp.scale.is_known:
            return np.asarray(by_theta)
        by_sigma = 2.0 * np.sqrt(solution.sigma2) * moved[-1]
        return np.concatenate([by_theta, by_sigma[None]])


def information(
    solution: Solution, covariances: Covariances, penalty: Penalty | None = None
) -> Information:
    """All ingredients, exactly.

    Cost: m (p + 1) columns through the factor for the quadratic forms, and for the traces the
    columns of B: the largest connected set of levels' q, at O(nonzeros + q_tail**2) each. Memory:
    some blocks of 64 MB of B's columns, or of one column if that is larger.
    """
    p = solution.p
    combine = np.column_stack([np.eye(p + 1, p), solution.contrast])
    scores = [part @ combine for part in solution.projected]
    working = list(_working(scores))
    m = len(working)
    first = np.array([blocks.outer_sum(scores[t], part) for t, part in working])
    second = np.empty((m, m, p + 1, p + 1))
    for j, (t, part) in enumerate(working):
        back = z_projected(solution, z_products(solution.factor.system.cp, t, part))
        for i, (s, left) in enumerate(working):
            second[i, j] = blocks.outer_sum(left, back[s])
    traces, trace_products = traces_of(solution)
    first = first.reshape(m, p + 1, p + 1)
    return Information(solution, covariances, traces, trace_products, first, second, penalty)


def _working(scores: list[Array]) -> Iterator[tuple[int, Array]]:
    """``E_i Z'V^-1 A`` of each element, (J, k, p + 1), with its term."""
    for t, score in enumerate(scores):
        for a, b in zip(*lower_indices(score.shape[1]), strict=True):
            part = np.zeros_like(score)
            part[:, a] += score[:, b]
            if a != b:
                part[:, b] += score[:, a]
            yield t, part

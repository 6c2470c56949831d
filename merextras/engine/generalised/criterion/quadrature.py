"""Adaptive Gauss-Hermite quadrature for one grouping factor, and its exact gradient.

A level's likelihood is ``int exp(h_j(u)) du / (2 pi)**(k/2)``, ``h_j = sum_i l_i - u'u / 2`` over
its rows. With nodes ``u_jq = u_j + sqrt(2) R_j z_q`` around the mode, ``R_j R_j' = H_j^-1``, and
with z_q and weights omega_q of Gauss and Hermite's tensor rule (Pinheiro & Bates 1995, J. Comput.
Graph. Stat. 4),

    log L_j = log sum_q omega_q exp(z_q'z_q + h_j(u_jq)) + log |R_j| - (k / 2) log pi,

which for one node is Laplace's approximation. Several terms on the factor are one vector u.

In the gradient the nodes move with the mode and with R. With pi_jq the nodes' shares,
``v_jq = dh_j / du`` there, ``V_j = sum_q pi v`` and ``B_j = R' sqrt(2) sum_q pi v z'``, U_j the
strict upper triangle of B, half its diagonal and I / 2, and ``N_j = R sym(U) R'``, the likelihood
changes by ``- tr(N dH)`` through R, and by ``V'du`` through the mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import scipy.linalg as la

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.generalised.criterion.laplace import Laplace, LaplacePoint
from merextras.engine.generalised.criterion.modes import Modes
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.rows.table import Table
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray

#: Effects of a level up to which a tensor rule is bearable.
MOST_EFFECTS = 3
#: Nodes of an effect up to which the rule has its digits.
MOST_NODES = 300


def rule(n_points: int, k: int) -> tuple[Array, Array]:
    """Nodes, (n_points**k, k), and ``log omega + z'z``."""
    x, w = np.polynomial.hermite.hermgauss(n_points)
    # Symmetric to the last digit.
    x, w = 0.5 * (x - x[::-1]), 0.5 * (w + w[::-1])
    z = np.array(list(product(x, repeat=k)))
    omega = np.array([np.prod(part) for part in product(w, repeat=k)])
    return z, np.log(omega) + np.einsum("qk,qk->q", z, z)


@dataclass(frozen=True)
class _Nodes:
    """What is known at the nodes.

    Attributes
    ----------
    lam : (k, k) array
        Lambda of all terms.
    z, zt : (n, k) arrays
        Covariates of the effects and of the spherical effects.
    u : (J, k) array
        The mode.
    own, root : (J, k, k) arrays
        ``Z'WZ`` and R.
    share : (Q, J) array
        pi.
    log_likelihood : float
    """

    lam: Array
    z: Array
    zt: Array
    u: Array
    own: Array
    root: Array
    share: Array
    log_likelihood: float

    def at(self, node: Array) -> Array:
        """A node of all levels, (J, k)."""
        return np.asarray(self.u + np.sqrt(2.0) * (self.root @ node))


class QuadraturePoint(LaplacePoint):
    """The criterion at one vector of parameters; see `LaplacePoint`."""

    criterion: Quadrature

    def deviance(self) -> float:
        """Minus twice the log-likelihood; infinite where there is no mode."""
        if not self.modes.found:
            return np.inf
        with np.errstate(all="ignore"):
            return -2.0 * self._nodes.log_likelihood

    @cached_property
    def _fixed(self) -> Array:
        table = self.criterion.table
        return np.asarray(table.offset + table.x @ self.criterion.split(self.x)[1])

    @cached_property
    def _nodes(self) -> _Nodes:
        criterion, modes = self.criterion, self.modes
        lam = la.block_diag(*modes.lams)
        z = criterion.z
        zt, u = z @ lam, np.concatenate(modes.v, axis=1) @ lam
        own = np.empty((criterion.n_levels, len(lam), len(lam)))
        for a in range(len(lam)):
            for b in range(a + 1):
                own[:, a, b] = own[:, b, a] = criterion.by_level(modes.w * z[:, a] * z[:, b])
        low = blocks.cholesky(lam.T @ own @ lam + np.eye(len(lam)))
        root = blocks.transpose(blocks.solve_lower(low, np.eye(len(lam))[None]))
        found = _Nodes(lam, z, zt, u, own, root, np.empty((0, 0)), np.nan)
        phi = criterion.split(self.x)[2]
        logs = np.empty((len(criterion.nodes), criterion.n_levels))
        for q, node in enumerate(criterion.nodes):
            at = found.at(node)
            density = criterion.family.log_density(self._eta(zt, at), phi)
            penalty = 0.5 * np.einsum("jk,jk->j", at, at)
            logs[q] = criterion.logs[q] + criterion.by_level(density) - penalty
        # A node where the density is nothing, or not defined, adds nothing.
        logs = np.where(np.isnan(logs), -np.inf, logs)
        top = np.max(logs, axis=0)
        shares = np.exp(logs - top)
        total = shares.sum(axis=0)
        log_det = np.log(np.diagonal(low, axis1=1, axis2=2)).sum()
        constant = 0.5 * criterion.n_levels * len(lam) * np.log(np.pi)
        value = float(np.sum(top + np.log(total)) - log_det - constant)
        return _Nodes(lam, z, zt, u, own, root, shares / total, value)

    def _eta(self, zt: Array, u: Array) -> Array:
        return np.asarray(self._fixed + np.einsum("nk,nk->n", zt, u[self.criterion.codes]))

    def gradient(self) -> Array:
        """The derivative in x, (m,)."""
        with np.errstate(all="ignore"):
            return self._gradient

    @cached_property
    def _gradient(self) -> Array:
        criterion, modes, nodes = self.criterion, self.modes, self._nodes
        phi, codes = criterion.split(self.x)[2], criterion.codes
        k, levels = len(nodes.lam), criterion.n_levels
        r, to_lam = np.zeros(criterion.table.n), np.zeros((k, k))
        first, spread = np.zeros((levels, k)), np.zeros((levels, k, k))
        by_phi = 0.0
        for q, node in enumerate(criterion.nodes):
            share, at = nodes.share[q], nodes.at(node)
            used = share > 0.0
            eta = self._eta(nodes.zt, at)
            g = np.where(used[codes], criterion.family.first(eta, phi)[0], 0.0)
            if len(phi):
                by = criterion.family.by_dispersion(eta, phi).log_density
                by_phi += float(share[codes] @ np.where(used[codes], by, 0.0))
            weighted = share[codes] * g
            r += weighted
            to_g = self._sums(weighted)
            to_lam += to_g.T @ at
            v = to_g @ nodes.lam - share[:, None] * at
            first += v
            spread += np.sqrt(2.0) * v[:, :, None] * node
        middle = blocks.transpose(nodes.root) @ spread
        upper = np.triu(middle, 1) + 0.5 * (
            np.einsum("jaa->ja", middle)[:, :, None] * np.eye(k) + np.eye(k)
        )
        inner = 0.5 * (upper + blocks.transpose(upper))
        moved = nodes.root @ inner @ blocks.transpose(nodes.root)
        q_rows = np.einsum("na,nab,nb->n", nodes.zt, moved[codes], nodes.zt)
        s = criterion.family.weight_slope(modes.eta, phi) * q_rows
        inverse = nodes.root @ blocks.transpose(nodes.root)
        a = np.einsum("jab,jb->ja", inverse, first - self._sums(s) @ nodes.lam)
        z_a = np.einsum("nk,nk->n", nodes.zt, a[codes])
        rest = s + modes.w * z_a
        to_lam -= 2.0 * np.einsum("jab,bc,jcd->ad", nodes.own, nodes.lam, moved)
        to_lam += self._sums(modes.g).T @ a - self._sums(rest).T @ nodes.u
        parts = [self._theta_part(-2.0 * to_lam), -2.0 * criterion.table.x.T @ (r - rest)]
        if len(phi):
            at_mode = criterion.family.by_dispersion(modes.eta, phi)
            total = by_phi - q_rows @ at_mode.weight + z_a @ at_mode.first
            parts.append(np.array([-2.0 * total]))
        return np.concatenate(parts)

    def _sums(self, r: Array) -> Array:
        """``Z'r`` by levels, (J, k)."""
        z = self.criterion.z
        return np.stack([self.criterion.by_level(column * r) for column in z.T], axis=1)

    def factor_slopes(self) -> tuple[Array, ...]:
        """Not by terms: the gradient is made of all at once."""
        raise NotImplementedError

    def _theta_part(self, slopes: Array) -> Array:
        covariances = self.criterion.covariances
        theta = self.criterion.split(self.x)[0]
        return covariances.gradient(theta, [slopes[at, at] for at in covariances.spans])


class Quadrature(Laplace):
    """The criterion of a model whose terms are all on one grouping factor.

    Attributes
    ----------
    n_points : int
        Nodes in each effect.
    """

    def __init__(
        self,
        table: Table,
        family: Family,
        covariances: Covariances | None = None,
        *,
        n_points: int,
    ) -> None:
        super().__init__(table, family, covariances)
        self.n_points = n_points
        self.nodes, self.logs = rule(n_points, self.covariances.k)
        self.codes: IntArray = table.terms[0].codes
        self.n_levels = table.terms[0].n_levels
        self.z = np.concatenate([term.values for term in table.terms], axis=1)

    def by_level(self, r: Array) -> Array:
        """Sums over the rows of each level, (J,)."""
        return np.bincount(self.codes, r, minlength=self.n_levels).astype(float)

    def point(self, x: Array, modes: Modes) -> LaplacePoint:
        """The criterion at parameters whose modes are known."""
        return QuadraturePoint(self, x, modes)


def one_factor(codes: Sequence[IntArray]) -> bool:
    """Whether all terms have the same levels in the same rows."""
    return all(np.array_equal(codes[0], other) for other in codes[1:])

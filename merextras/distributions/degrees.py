"""Degrees of freedom of linear functions of the fixed effects, from what is known of a variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from merextras.foundation.aliases import Array
from merextras.foundation.frozen import FrozenArrays

# Numbers held at a time (32 MB).
_BLOCK = 2**22


class Degrees(Protocol):
    """What makes degrees of freedom of functions."""

    def df(self, own: Array) -> Array:
        """Degrees of freedom of each row, (r,), of functions in the basis of the products."""
        ...


@dataclass(frozen=True, eq=False)
class Moments(FrozenArrays):
    """Satterthwaite's, and of a single function Kenward and Roger's, too.

    ``df = 2 v**2 / (g' A g)`` with v the function's variance, g its derivatives and A the
    covariance of the variance parameters. Cost O(r m p**2).

    Attributes
    ----------
    plain : (p, p) array
        ``sigma**2 (X'V^-1 X)^-1``.
    slopes : (m, p, p) array
        Derivatives of `plain` by the variance parameters; m is 0 if these are taken for known.
    parameters : (m, m) array
        Covariance of the variance parameters.
    """

    plain: Array
    slopes: Array
    parameters: Array

    _arrays = ("plain", "slopes", "parameters")

    def df(self, own: Array) -> Array:
        """Infinite where the variance parameters are taken for known."""
        m, p = len(self.slopes), len(self.plain)
        out = np.full(len(own), np.inf)
        step = max(1, _BLOCK // max(1, m * p))
        for at in range(0, len(own) if m else 0, step):
            part = own[at : at + step]
            variance = np.einsum("rk,rk->r", part @ self.plain, part)
            slope = np.einsum("irk,rk->ri", part @ self.slopes, part)
            spread = np.einsum("ri,ri->r", slope @ self.parameters, slope)
            with np.errstate(divide="ignore", invalid="ignore"):
                out[at : at + step] = 2.0 * variance**2 / spread
        return out


@dataclass(frozen=True, eq=False)
class ClusterMoments(FrozenArrays):
    """Bell and McCaffrey's, of a cluster-robust variance under the model.

    The variance of ``l'beta`` is estimated by ``sum_i (p_i'e)**2``, e being the residuals. With
    ``P_ij = cov(p_i'e, p_j'e)`` under the model ``df = (sum P_ii)**2 / sum P_ij**2``. Here ``P_ij =
    d_ij l'G_i l - (l'Y_i)(l'Y_j)'``, so that no clusters x clusters matrix is needed.

    Attributes
    ----------
    own : (m, p, p) array
        The G_i.
    across : (m, p, p) array
        The Y_i.
    """

    own: Array
    across: Array

    _arrays = ("own", "across")

    def df(self, own: Array) -> Array:
        """Of each function by itself. Cost O(r m p**2)."""
        return np.array([self.joint(row[None] / np.max(np.abs(row)))[1] for row in own])

    def joint(self, rows: Array) -> tuple[Array, float]:
        """The expected covariance of several functions, and eta of their Wald test.

        ``eta = q (q + 1) / sum var(d_st)`` with d the estimate of a covariance whose expectation is
        the identity (Pustejovsky & Tipton 2018); of one function it is
        its degrees of freedom.
        """
        own = np.einsum("qk,ikl,rl->iqr", rows, self.own, rows, optimize=True)
        across = np.einsum("qk,ikl->iql", rows, self.across)
        inside = own - across @ across.transpose(0, 2, 1)
        expected = np.sum(inside, axis=0)
        values, vectors = np.linalg.eigh(expected)
        with np.errstate(divide="ignore", invalid="ignore"):
            root = (vectors / np.sqrt(values)) @ vectors.T
        inside, across = root @ inside @ root, root @ across
        q = len(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            eta = q * (q + 1) / self._spread(inside, across)
        return expected, float(eta)

    @staticmethod
    def _spread(inside: Array, across: Array) -> float:
        """``sum_ij tr(P_ij P_ij) + tr(P_ij)**2``."""
        products = np.einsum("iak,ibl->akbl", across, across, optimize=True)
        flat = across.reshape(len(across), -1)
        whole = np.einsum("akbl,bkal->", products, products) + np.sum((flat.T @ flat) ** 2)
        squares = across @ across.transpose(0, 2, 1)
        each = _squared(inside) - _squared(squares)
        return float(whole + np.sum(each))


def _squared(matrices: Array) -> Array:
    return np.asarray(
        np.einsum("iab,iba->i", matrices, matrices) + np.einsum("iaa->i", matrices) ** 2
    )

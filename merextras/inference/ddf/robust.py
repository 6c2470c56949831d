"""Cluster-robust (sandwich) covariances of the fixed effects, and their degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg as la

from merextras.distributions.degrees import ClusterMoments
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.inference.ddf.clusters import adjusted, cluster_codes, clusters
from merextras.inference.ddf.contrasts import FTest, independent
from merextras.inference.ddf.satterthwaite import from_basis, in_basis
from merextras.model.state.fitted import FittedModel

#: By how the residuals of a cluster are adjusted.
KINDS = ("CR0", "CR1", "CR2")

# Of a Wald test's covariance: eigenvalues below this share of the largest are none.
_NO_RANK = 1e-10


@dataclass(frozen=True)
class Robust:
    """What the tests are computed from.

    With M the model's covariance of beta over sigma**2, Phi that of the rows of cluster i and e
    their residuals, the variance is ``M sum_i X_i' Phi_i^-1 A_i e_i e_i' A_i' Phi_i^-1 X_i M``.

    Attributes
    ----------
    model : FittedModel
    kind : str
        CR0 has no adjustment, A = I; CR1 is m / (m - 1) times it for m clusters; CR2 has the A with
        which the estimate is unbiased if the model is true.
    cluster : str
        What the clusters are called.
    n_clusters : int
    inner : (p, p) array
        The covariance of X in the basis of the cross-products.
    moments : ClusterMoments
        What degrees of freedom are made of, likewise.

    References
    ----------
    Bell, R. M. and McCaffrey, D. F. (2002). Bias reduction in standard errors for linear regression
    with multi-stage samples. Survey Methodology 28, 169-181.
    Pustejovsky, J. E. and Tipton, E. (2018). Small-sample methods for cluster-robust variance
    estimation and hypothesis testing in fixed effects models. J. Bus. Econ. Stat. 36, 672-683.
    """

    model: FittedModel
    kind: str
    cluster: str
    n_clusters: int
    inner: Array
    moments: ClusterMoments

    @property
    def title(self) -> str:
        """The method's name in a heading."""
        return f"{self.kind} standard errors, {self.n_clusters} clusters by {self.cluster}"

    @property
    def degrees(self) -> ClusterMoments:
        """What makes degrees of freedom."""
        return self.moments

    @property
    def covariance(self) -> Array:
        """The covariance of the fixed effects, (p, p)."""
        return from_basis(self.model, self.inner)

    def df(self, contrast: Array) -> float:
        """Bell and McCaffrey's degrees of freedom of one contrast, (p,)."""
        return float(self.moments.df(in_basis(self.model, contrast[None]))[0])

    def joint(self, matrix: Array, gap: Array) -> FTest:
        """The approximate Hotelling test (AHT) of several contrasts that are off by `gap`.

        ``(eta - q + 1) / (eta q) Q`` against F with q and ``eta - q + 1`` degrees of freedom, Q
        being Wald's statistic (Pustejovsky & Tipton 2018).

        Raises
        ------
        InvalidArgumentError
            Too few clusters for so many contrasts.
        """
        own = in_basis(self.model, matrix)
        rows, gaps, variances = independent(own, gap, self.model.basis_covariance)
        size = np.sqrt(variances)
        rows, gaps, q = rows / size[:, None], gaps / size, len(gaps)
        spread = rows @ self.inner @ rows.T
        values = np.linalg.eigvalsh(spread)
        _, eta = self.moments.joint(rows)
        if not values[0] > _NO_RANK * values[-1] or not eta > q - 1.0:
            raise InvalidArgumentError(
                f"{self.kind}: {self.n_clusters} clusters are too few for one test of {q} "
                "contrasts; test fewer at once, or take another method of ddf"
            )
        wald = float(gaps @ np.linalg.solve(spread, gaps))
        den_df = eta - q + 1.0
        return FTest(den_df / (eta * q) * wald, wald / q, q, den_df)


def robust(model: FittedModel, kind: str, cluster: Any = None) -> Robust:
    """Prepare a cluster-robust covariance of a model.

    Raises
    ------
    InvalidArgumentError
        As `cluster_codes`.
    NoRowsError
        The model keeps no rows.
    """
    design = model.design.require_rows(kind, "residuals are summed by cluster")
    codes, name = cluster_codes(design, cluster)
    solution = model.solution
    bread = solution.basis_covariance()
    half = np.linalg.cholesky(bread)
    meat, own, across = np.zeros_like(bread), [], []
    found = clusters(model, design, codes)
    for each in found:
        # The residuals' weights in the estimates.
        weights = la.solve(each.spread, each.x @ bread, assume_a="pos")
        if kind == "CR2":
            weights = adjusted(each, bread).T @ weights
        score = weights.T @ each.residual
        meat += np.outer(score, score)
        own.append(solution.sigma2 * (weights.T @ each.spread @ weights))
        across.append(np.sqrt(solution.sigma2) * (weights.T @ each.x @ half))
    m = len(found)
    inner = meat * (m / (m - 1.0)) if kind == "CR1" else meat
    return Robust(model, kind, name, m, inner, ClusterMoments(np.array(own), np.array(across)))

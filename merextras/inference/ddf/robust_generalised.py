"""Cluster-robust (sandwich) covariances of a generalised model's fixed effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from merextras.distributions.degrees import Moments
from merextras.exceptions import InvalidArgumentError, TooLargeError, UnsupportedModelError
from merextras.foundation.aliases import Array, IntArray
from merextras.inference.ddf.clusters import cluster_codes
from merextras.inference.ddf.contrasts import FTest, independent
from merextras.inference.ddf.satterthwaite import in_basis
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.scores import sandwich

# Of a Wald test's covariance: eigenvalues below this share of the largest are none.
_NO_RANK = 1e-10
# Random effects of a cluster whose covariance is held whole, 200 MB.
_LARGEST = 5_000


@dataclass(frozen=True)
class RobustGlmm:
    """What the tests are computed from; their distributions are the normal and the chi-square.

    With I the observed information of all parameters and s_c the score of cluster c in them, the
    variance is the block of the fixed effects in ``I^-1 sum_c s_c s_c' I^-1``.

    Attributes
    ----------
    model : FittedGlmm
    kind : {"CR0", "CR1"}
        CR1 is m / (m - 1) times CR0 for m clusters.
    cluster : str
        What the clusters are called.
    n_clusters : int
    whole : (n_par, n_par) array
        The covariance of all of the engine's parameters.

    References
    ----------
    White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica 50, 1-25.
    """

    model: FittedGlmm
    kind: str
    cluster: str
    n_clusters: int
    whole: Array

    @property
    def inner(self) -> Array:
        """The covariance of X in the basis of the engine, (p, p)."""
        of = self.model.of_fixed
        return np.asarray(self.whole[of, of])

    @property
    def title(self) -> str:
        """The method's name in a heading."""
        return f"{self.kind} standard errors, {self.n_clusters} clusters by {self.cluster}"

    @property
    def covariance(self) -> Array:
        """The covariance of the fixed effects, (p, p)."""
        transform = self.model.laplace.criterion.table.transform
        return np.asarray(transform @ self.inner @ transform.T)

    @property
    def degrees(self) -> Moments:
        """Infinite ones."""
        p = len(self.inner)
        return Moments(self.inner, np.empty((0, p, p)), np.empty((0, 0)))

    def df(self, contrast: Array) -> float:
        """Infinite."""
        del contrast
        return np.inf

    def joint(self, matrix: Array, gap: Array) -> FTest:
        """Wald's test, the chi-square over its degrees of freedom.

        Raises
        ------
        InvalidArgumentError
            Too few clusters for so many contrasts.
        """
        own = in_basis(self.model, matrix)
        rows, gaps, variances = independent(own, gap, self.model.basis_covariance)
        size = np.sqrt(variances)
        rows, gaps = rows / size[:, None], gaps / size
        spread = rows @ self.inner @ rows.T
        values = np.linalg.eigvalsh(spread)
        if not values[0] > _NO_RANK * values[-1]:
            raise InvalidArgumentError(
                f"{self.kind}: {self.n_clusters} clusters are too few for one test of {len(gaps)} "
                "contrasts; test fewer at once, or take ddf='asymptotic'"
            )
        statistic = float(gaps @ np.linalg.solve(spread, gaps)) / len(gaps)
        return FTest(statistic, statistic, len(gaps), np.inf)


def robust_generalised(model: FittedGlmm, kind: str, cluster: Any = None) -> RobustGlmm:
    """Prepare a cluster-robust covariance of a generalised model.

    Raises
    ------
    InvalidArgumentError
        As `cluster_codes`.
    UnsupportedModelError
        CR2.
    MerextrasError
        The information matrix is not positive definite.
    TooLargeError
        A cluster with more random effects than fit.
    """
    if kind == "CR2":
        raise UnsupportedModelError(
            "CR2: its adjustment of residuals is defined for linear models alone, whose estimate "
            "it makes unbiased; kind='CR1' (ddf='CR1') has m / (m - 1) for m clusters"
        )
    model._require_information()
    given, name = cluster_codes(model.design, cluster)
    levels, codes = np.unique(given, return_inverse=True)
    codes = codes.reshape(-1).astype(np.intp)
    _check_size(model, codes)
    whole, m = sandwich(model, codes), len(levels)
    return RobustGlmm(model, kind, name, m, whole * (m / (m - 1.0)) if kind == "CR1" else whole)


def _check_size(model: FittedGlmm, codes: IntArray) -> None:
    count = np.zeros(int(codes.max()) + 1)
    for term in model.design.terms:
        pairs = np.unique(np.column_stack([codes, term.rows.codes]), axis=0)
        count += term.k * np.bincount(pairs[:, 0], minlength=len(count))
    if np.max(count) > _LARGEST:
        raise TooLargeError(
            f"cluster: one has {int(np.max(count))} random effects, whose covariance would be held "
            f"whole; up to {_LARGEST} are, take smaller clusters"
        )

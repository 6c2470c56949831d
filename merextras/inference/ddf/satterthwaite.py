"""Satterthwaite's degrees of freedom of tests on fixed effects."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from merextras.distributions.degrees import Moments
from merextras.engine.optimum.residual_information import residual_information
from merextras.exceptions import ApproximationWarning
from merextras.foundation.aliases import Array
from merextras.inference.ddf.contrasts import FTest, independent
from merextras.model.state.fitted import FittedModel

# Eigenvalues of the Hessian, in units of its diagonal, from which on a direction is determined.
_FLAT = 1e-10
# lmerTest's: degrees of freedom that are the same.
_SAME_DF = 1e-8


@dataclass(frozen=True)
class Satterthwaite:
    """What degrees of freedom are computed from.

    For a contrast ``l'beta`` with estimated variance ``v = l' C(theta, sigma) l``::

        df = 2 v**2 / (g' A g),        g = dv / d(theta, sigma)

    with A the asymptotic covariance of (theta, sigma), twice the inverse of the Hessian of the
    fit's own criterion: the REML criterion, or the ML deviance.

    Attributes
    ----------
    model : FittedModel
    inner : (p, p) array
        C, of the fixed effects of X in the basis of the cross-products.
    slopes : (m + 1, p, p) array
        dC / d(theta, sigma), likewise.
    parameters : (m + 1, m + 1) array
        A, of theta in the coordinates of the cross-products. Where sigma is known it is no
        parameter, here and in `slopes`.

    Notes
    -----
    Gradient and Hessian are analytic and exact (`merextras.engine.derivatives.information`);
    lmerTest takes both by finite differences. The Hessian is that of the criterion as a function of
    theta and sigma, sigma not profiled out. Where a fit is singular, V does not depend to first
    order on the elements of theta in a column of Lambda that is zero: those directions are left
    out, which changes nothing in g'Ag, and the others are treated as free.

    References
    ----------
    Fai, A. H.-T. and Cornelius, P. L. (1996). Approximate F-tests of multiple degree of freedom
    hypotheses in generalized least squares analyses of unbalanced split-plot experiments. J. Stat.
    Comput. Simul. 54, 363-378.
    Kuznetsova, A., Brockhoff, P. B. and Christensen, R. H. B. (2017). lmerTest package: tests in
    linear mixed effects models. J. Stat. Softw. 82(13).
    """

    model: FittedModel
    inner: Array
    slopes: Array
    parameters: Array

    title = "Satterthwaite's method"

    @property
    def covariance(self) -> Array:
        """Covariance of the fixed effects, (p, p)."""
        return self.model.fixed_covariance

    @property
    def degrees(self) -> Moments:
        """What makes degrees of freedom."""
        return Moments(self.inner, self.slopes, self.parameters)

    def df(self, contrast: Array) -> float:
        """Degrees of freedom of one contrast, (p,)."""
        return self._df(in_basis(self.model, contrast[None])[0])

    def _df(self, contrast: Array) -> float:
        variance = contrast @ self.inner @ contrast
        slope = self.slopes @ contrast @ contrast
        spread = float(slope @ self.parameters @ slope)
        # With sigma known and a variance at zero nothing is uncertain to first order.
        return float(2.0 * variance**2 / spread) if spread > 0.0 else np.inf

    def joint(self, matrix: Array, gap: Array) -> FTest:
        """F test of several contrasts, (r, p), whose estimates are off by `gap`, (r,).

        The statistic is the mean of the squared t of uncorrelated contrasts, the denominator's
        degrees of freedom those for which an F has the mean that theirs give (Fai & Cornelius
        1996): ``2 E / (E - q)`` with ``E = sum nu / (nu - 2)``; 2 if some nu is not above 2. The
        uncorrelated contrasts are the eigenvectors of the rows' covariance, so that the degrees of
        freedom (not the statistic) depend a little on which rows express the hypothesis; the verbs
        take lmerTest's.
        """
        rows, gaps, variances = independent(in_basis(self.model, matrix), gap, self.inner)
        statistic = float(np.mean(gaps**2 / variances))
        each = np.array([self._df(row) for row in rows])
        return FTest(statistic, statistic, len(rows), _pooled(each))


def in_basis(model: FittedModel, matrix: Array) -> Array:
    """Contrasts of the fixed effects, (r, p), as ones of X in the basis of the cross-products.

    There the variances of a contrast's parts do not cancel, wherever zero is.
    """
    return model.joint.cp.basis.columns(matrix)


def from_basis(model: FittedModel, covariance: Array) -> Array:
    """A covariance of the fixed effects in that basis, (p, p), as one of the user's."""
    transform = model.solution.cp.basis.transform
    return np.asarray(transform @ covariance @ transform.T)


def _pooled(each: Array) -> float:
    if np.all(np.isinf(each)):
        return np.inf
    each = np.where(np.isinf(each), 1e300, each)
    if np.all(np.abs(np.diff(each)) < _SAME_DF):
        return float(np.mean(each))
    if np.any(each <= 2.0):
        return 2.0
    expected = float(np.sum(each / (each - 2.0)))
    return 2.0 * expected / (expected - len(each))


def satterthwaite(model: FittedModel, *, stacklevel: int = 2) -> Satterthwaite:
    """Prepare Satterthwaite's degrees of freedom for a model.

    Returns
    -------
    Satterthwaite

    Warns
    -----
    ApproximationWarning
        The Hessian is not positive definite in the directions that V depends on: the estimate is
        not at the optimum (``polish=False``), or the data do not determine it.

    Notes
    -----
    R: ``lmerTest::as_lmerModLmerTest``. Cost and memory are those of `engine.information`, once
    per model.

    Examples
    --------
    >>> import numpy as np, merextras as mx
    >>> from merextras.inference.ddf.satterthwaite import satterthwaite
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> round(satterthwaite(m).df(np.array([0.0, 1.0])), 6)
    17.0
    """
    if model.design.residual is not None:
        return _with_residuals(model, stacklevel=stacklevel + 1)
    found = model.information
    free = found.free_directions()
    m, r = free.shape
    # sigma is free too, unless it is known.
    one = 0 if model.has_known_sigma else 1
    basis = np.zeros((m + one, r + one))
    basis[:m, :r], basis[m:, r:] = free, np.eye(one)
    parameters = _covariance(found.hessian(), basis, stacklevel + 1)
    inner = model.solution.sigma2 * found.unscaled
    return Satterthwaite(model, inner, found.beta_covariance_slopes(), parameters)


def _with_residuals(model: FittedModel, *, stacklevel: int) -> Satterthwaite:
    """The same where residual variances differ by group: their estimation counts, too.

    The parameters are theta, the logarithms of the groups' precisions relative to the first's, and
    the first's sigma. The Hessian is by differences of the analytic gradient.
    """
    found = residual_information(model.point)
    # Elements of theta on which V does not depend to first order.
    fixed = np.append(found.is_null, False)
    basis = np.eye(len(fixed))[:, ~fixed]
    parameters = _covariance(found.hessian, basis, stacklevel + 1)
    return Satterthwaite(model, model.basis_covariance, found.beta_covariance_slopes, parameters)


def _covariance(hessian: Array, basis: Array, stacklevel: int) -> Array:
    """Twice the inverse of a Hessian in some directions, (m, r) columns of `basis`."""
    inverse, n_flat = inverse_of(basis.T @ hessian @ basis)
    if n_flat:
        warnings.warn(
            "Satterthwaite's method: the Hessian of the criterion is not positive definite in "
            f"{n_flat} direction(s) of the variance parameters, which were left out; the estimate "
            "may not be at its optimum",
            ApproximationWarning,
            stacklevel=stacklevel,
        )
    return np.asarray(2.0 * basis @ inverse @ basis.T)


def inverse_of(matrix: Array) -> tuple[Array, int]:
    """The inverse of a positive definite matrix, and how many flat directions it leaves out."""
    size = np.sqrt(np.abs(np.diag(matrix)))
    size = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(matrix / np.outer(size, size))
    kept = values > _FLAT
    scaled = vectors[:, kept] / size[:, None]
    return np.asarray((scaled / values[kept]) @ scaled.T), int(np.sum(~kept))

"""Kenward and Roger's adjusted covariance, F test and degrees of freedom."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.distributions.degrees import Moments
from merextras.exceptions import NotPositiveDefiniteError, RefitWarning, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.inference.ddf.contrasts import FTest, independent
from merextras.inference.ddf.satterthwaite import from_basis, in_basis, inverse_of
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import refitted
from merextras.model.state.one_sigma import require_one_sigma
from merextras.model.state.penalised import KENWARD_ROGER, say_penalised
from merextras.model.statsmodels.mixedlm import as_fitted

__all__ = ["KenwardRoger", "kenward_roger", "vcov_adj"]

# pbkrtest's: where the factor of F is of no use, and what counts as zero.
_NEAR_TWO = 1e-2
_ZERO = 1e-10
#: By how much the adjusted variance of a contrast may be below the plain one, relative to it: the
#: adjustment has no negative one.
_LOST = 1e-4


@dataclass(frozen=True)
class KenwardRoger:
    """What the tests are computed from.

    Attributes
    ----------
    model : FittedModel
        Fitted by REML.
    inner : (p, p) array
        The adjusted covariance of the fixed effects of X in the basis of the cross-products.
    unadjusted : (p, p) array
        The covariance ``Phi = sigma**2 (X'V^-1 X)^-1`` that is adjusted, likewise.
    slopes : (m + 1, p, p) array
        ``Phi P_i Phi``, likewise.
    parameters : (m + 1, m + 1) array
        W, the inverse of the expected information.
    """

    model: FittedModel
    inner: Array
    unadjusted: Array
    slopes: Array
    parameters: Array

    title = "Kenward-Roger's method"

    @property
    def covariance(self) -> Array:
        """The adjusted covariance of the fixed effects, (p, p)."""
        return from_basis(self.model, self.inner)

    @property
    def plain(self) -> Array:
        """The covariance that is adjusted, (p, p)."""
        return self.model.fixed_covariance

    @property
    def degrees(self) -> Moments:
        """What makes degrees of freedom of single functions."""
        return Moments(self.unadjusted, self.slopes, self.parameters)

    def df(self, contrast: Array) -> float:
        """Degrees of freedom of one contrast, (p,); its F is not scaled."""
        own = in_basis(self.model, contrast[None])
        return self._moments(own / np.sqrt(own[0] @ self.unadjusted @ own[0]))[1]

    def joint(self, matrix: Array, gap: Array) -> FTest:
        """F test of several contrasts, (r, p), whose estimates are off by `gap`, (r,)."""
        rows, gaps, variances = independent(in_basis(self.model, matrix), gap, self.unadjusted)
        q = len(rows)
        scale, den_df = self._moments(rows / np.sqrt(variances)[:, None])
        spread = rows @ self.inner @ rows.T
        unscaled = float(gaps @ np.linalg.solve(spread, gaps)) / q
        return FTest(scale * unscaled, unscaled, q, den_df)

    def _moments(self, rows: Array) -> tuple[float, float]:
        """The factor of F and its denominator's degrees of freedom, `rows` with unit covariance.

        Kenward & Roger (1997); A1, A2, B, g, the c's and rho are theirs. Where den_df is 2 the
        factor does not exist and is taken for 1, as in pbkrtest.
        """
        q = len(rows)
        moved = rows @ self.slopes @ rows.T
        traces = np.einsum("ikk->i", moved)
        a1 = float(traces @ self.parameters @ traces)
        a2 = float(np.einsum("ij,ikl,jlk->", self.parameters, moved, moved, optimize=True))
        if a2 <= 0.0:
            return 1.0, np.inf
        if q == 1:  # what follows gives the same
            return 1.0, 2.0 / a1
        b = (a1 + 6.0 * a2) / (2.0 * q)
        g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
        below = 3.0 * q + 2.0 * (1.0 - g)
        c1, c2, c3 = g / below, (q - g) / below, (q + 2.0 - g) / below
        v0, v1, v2 = (_not_noise(v) for v in (1.0 + c1 * b, 1.0 - c2 * b, 1.0 - c3 * b))
        e = _not_noise(1.0 - a2 / q)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = 1.0 if e == 0.0 and v1 == 0.0 else np.float64(e) / v1
            rho = ratio**2 * v0 / (q * v2)
            den_df = float(4.0 + (q + 2.0) / (q * rho - 1.0))
        if abs(den_df - 2.0) < _NEAR_TWO:
            return 1.0, den_df
        return den_df * (1.0 - a2 / q) / (den_df - 2.0), den_df


def _not_noise(value: float) -> float:
    return 0.0 if abs(value) < _ZERO else value


def kenward_roger(model: FittedModel, *, stacklevel: int = 2) -> KenwardRoger:
    """Prepare Kenward and Roger's tests for a model.

    Returns
    -------
    KenwardRoger

    Raises
    ------
    NotPositiveDefiniteError
        The adjusted covariance comes out below the plain one: digits are lost, as where the
        residual variance goes to zero.

    Warns
    -----
    RefitWarning
        The model was fitted by ML: the method is for REML, and so is what is returned.
    ApproximationWarning
        The model has a `cov_prior`, which the method does not count.

    Notes
    -----
    With ``V = sigma**2 (W^-1 + Z G Z')`` linear in its parameters, the elements of all covariances
    and sigma**2, and ``Phi = (X'V^-1 X)^-1``::

        Phi_A = Phi + 2 Phi { sum_ij W_ij (Q_ij - P_i Phi P_j) } Phi
        P_i = -X'V^-1 V_i V^-1 X,     Q_ij = X'V^-1 V_i V^-1 V_j V^-1 X
        (W^-1)_ij = (tr(V^-1 V_i V^-1 V_j) - 2 tr(Phi Q_ij) + tr(Phi P_i Phi P_j)) / 2

    Where a structure is not linear in its parameters (``ar1``, ``cs`` with several variances), the
    covariances that it has are a curved surface, and ``- R_ij / 4`` is added in the braces with
    ``R_ij = X'V^-1 (d2V / di dj) V^-1 X``; of the second derivatives only what leaves the surface
    counts, the rest being undone by the bias that it gives the estimates (Kenward & Roger 2009).
    The adjusted covariance can then be the smaller one.

    The result does not depend on the coordinates of the parameters, and sigma**2 is replaced
    by the direction V itself, for which all of these are known; where sigma is given there is no
    such parameter. A W that is singular (variances
    that can't be told apart) is inverted in the directions that the design determines.

    R: ``pbkrtest::KRmodcomp`` and ``vcovAdj``. With precision weights pbkrtest takes sigma**2 I for
    the residuals' part of V; there adjusted standard errors and degrees of freedom depend on the
    weights' unit (weights times 100 turned 1787 degrees of freedom of 420 rows into 14 million).

    Nothing of the size of the data squared exists: see `merextras.engine.derivatives.information`
    for the cost and the memory. 73 421 rows with 2 972 and 1 128 crossed levels take some ten
    seconds and less than a gigabyte.

    References
    ----------
    Kenward, M. G. and Roger, J. H. (1997). Small sample inference for fixed effects from
    restricted maximum likelihood. Biometrics 53, 983-997.
    Kenward, M. G. and Roger, J. H. (2009). An improved approximation to the precision of fixed
    effects from restricted maximum likelihood. Comput. Stat. Data Anal. 53, 2583-2595.
    Halekoh, U. and Hojsgaard, S. (2014). A Kenward-Roger approximation and parametric bootstrap
    methods for tests in linear mixed models: the R package pbkrtest. J. Stat. Softw. 59(9).

    Examples
    --------
    >>> import numpy as np, merextras as mx
    >>> from merextras.inference.ddf.kenward_roger import kenward_roger
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> test = kenward_roger(m).joint(np.eye(2)[1:], m.solution.beta[1:])
    >>> round(test.statistic, 4), round(test.den_df, 6)
    (45.853, 17.0)
    """
    if not model.solution.reml:
        warnings.warn(
            "Kenward-Roger's method is for REML: the model was fitted by ML and is refitted by "
            "REML for it, so that estimates and standard errors are those of the refit",
            RefitWarning,
            stacklevel=stacklevel,
        )
        model = refitted(model, reml=True)
    require_one_sigma(
        model,
        "ddf='kenward-roger'",
        "the method's traces need one W of all residuals",
        "take ddf='satterthwaite', which counts the estimation of all of them",
    )
    say_penalised(model, KENWARD_ROGER, stacklevel=stacklevel)
    found, sigma2 = model.information, model.solution.sigma2
    # Where effects are in coordinates of their own a direction without information is one that the
    # design does not determine, not one of covariates far from zero.
    slopes, second = found.nearly_linear()
    if not np.all(np.isfinite(slopes)):
        raise UnsupportedModelError(
            "Kenward-Roger's method: one of several standard deviations that share a correlation "
            "is estimated as zero, where the covariance has no derivative in its variance; take "
            "ddf='satterthwaite', or leave that effect out"
        )
    expected = found.expected()
    inverse, _ = inverse_of(slopes.T @ expected @ slopes)
    parameters = 2.0 * slopes @ inverse @ slopes.T
    plain = sigma2 * found.unscaled
    adjusted = plain + 2.0 * sigma2 * found.kr_adjustment(parameters)
    _check_adjusted(adjusted, plain)
    if np.any(second):
        adjusted = adjusted - 2.0 * sigma2 * found.kr_curvature(inverse, slopes, second, expected)
        _check_positive(adjusted)
    return KenwardRoger(model, adjusted, plain, sigma2 * found.covariance_derivatives(), parameters)


def _check_positive(adjusted: Array) -> None:
    """Raise where the curvature of V is larger than what it corrects."""
    if not np.linalg.eigvalsh(adjusted)[0] > 0.0:
        raise NotPositiveDefiniteError(
            "Kenward-Roger's method: the covariance of the random effects is so far from linear in "
            "its parameters that the adjusted covariance of the fixed effects is not positive "
            "definite; take ddf='satterthwaite'"
        )


def _check_adjusted(adjusted: Array, plain: Array) -> None:
    """Raise where the adjusted covariance is below the plain one, which no exact one is."""
    try:
        low = np.linalg.cholesky(plain)
        half = np.linalg.solve(low, adjusted)
        smallest = float(np.min(np.linalg.eigvalsh(np.linalg.solve(low, half.T)), initial=1.0))
    except np.linalg.LinAlgError:
        smallest = -np.inf
    if not smallest > 1.0 - _LOST:
        raise NotPositiveDefiniteError(
            "Kenward-Roger's method: the adjusted covariance of the fixed effects comes out below "
            "the one that it adjusts, so that its digits are lost; the estimate may have no "
            "residual variance or not be at an optimum (see check_convergence()). Take "
            "ddf='satterthwaite', or a model with fewer random effects"
        )


def vcov_adj(m: object) -> pd.DataFrame:
    """Kenward and Roger's adjusted covariance of the fixed effects, pbkrtest's ``vcovAdj``.

    The usual covariance takes the variances for known and is too small in small samples; the
    adjustment (Kenward & Roger 1997) corrects that to the second order. Formulas, cost and memory
    are those of `kenward_roger`.

    Parameters
    ----------
    m : MerMod or fit of a statsmodels MixedLM

    Returns
    -------
    DataFrame, (p, p)

    Raises
    ------
    UnsupportedModelError
        Not a mixed model.
    NotPositiveDefiniteError
        The adjusted covariance comes out below the plain one: digits are lost.

    Warns
    -----
    RefitWarning
        An ML fit is refitted by REML, as pbkrtest does without saying so.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (1 | Subject)", mx.load_dataset("sleepstudy").iloc[:95])
    >>> mx.vcov_adj(m).round(3)
               Intercept   Days
    Intercept    225.756 -6.613
    Days          -6.613  1.554
    """
    found = kenward_roger(as_fitted(m), stacklevel=3)
    names = list(found.model.design.fixed.names)
    return pd.DataFrame(found.covariance.copy(), index=names, columns=names)

"""Leverages, studentised residuals and Cook's distances."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.accessors import generalised
from merextras.accessors.rows import by_row, residual_values
from merextras.engine.posterior import leverage
from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel


def hatvalues(model: FittedModel) -> pd.Series:
    r"""Leverages, the diagonal of the hat matrix, lme4's ``hatvalues``.

    At the estimated covariance parameters the conditional fitted values are linear in the response,
    :math:`\hat y = Hy`, and

    .. math:: h_i = w_i\, a_i' \begin{pmatrix} X'WX & X'WZ \\ Z'WX & Z'WZ + G^{-1}
              \end{pmatrix}^{-1} a_i, \qquad a_i' = (x_i', z_i'),

    with :math:`G = \Lambda\Lambda'` (Bates et al. 2015, *J. Stat. Softw.* 67(1), section 5.4;
    Demidenko, E. and Stukel, T. A. (2005), *Stat. Med.* 24, 893-909): how much of a row's own value
    is in its fitted value, and the variance of that over the row's residual variance.

    Returns
    -------
    Series, (n,)
        Between 0 and 1, under the user's index. Zero for a row of weight zero, as in lme4. A row
        with a frequency has the leverage of each of the observations that it stands for. By row as
        `fitted`.

    See Also
    --------
    MerMod.hat_trace : Their sum, without rows.

    Notes
    -----
    Theta is taken as known. Of a generalised model it is the hat matrix of the working linear model
    at the conditional modes with the expected weights of Fisher's scoring,

    .. math:: w_i = m_i \left(\frac{d\mu_i}{d\eta_i}\right)^2 \Big/ \phi V(\mu_i)

    (m the trials), as in R's ``hatvalues`` of ``glm`` (Pregibon, D. (1981), *Ann. Statist.* 9,
    705-724; McCullagh, P. and Nelder, J. A. (1989), *Generalized Linear Models*, section 12.7.1).
    They are those of the observed information for a canonical link; for any other the observed ones
    depend on the row's response and may be negative. lme4 has this middle of the matrix, too, but
    the prior weights m outside it: it warns that its hat matrix, of which many values exceed one,
    may make no sense. Cost: O(n) for one factor, nested ones, and a factor that others cross (73
    000 rows of 2972 by 1128 levels take 0.1 s); O(n q**2) for two or more nested factors that
    others of q levels in all cross. Memory is that of a block of rows: no n x n or n x q matrix.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> m.hatvalues().head(3).round(4).tolist()
    [0.2293, 0.1697, 0.1268]
    >>> round(m.hat_trace(), 3)
    29.022
    """
    return by_row(model, hat_values(model), "hatvalues")


def hat_trace(model: FittedModel) -> float:
    r"""The trace of the hat matrix: the parameters that the conditional fit uses up.

    :math:`\mathrm{tr}\,H = p + \sum_t \sum_j \mathrm{tr}\, G_t (Z'PZ)_{jj}`, from the factor alone;
    between p and p + q. It is the sum of `hatvalues` (each as often as its frequency), the
    effective degrees of freedom of Hodges, J. S. and Sargent, D. J. (2001), *Biometrika* 88,
    367-379, and the penalty of the conditional AIC of Vaida, F. and Blanchard, S. (2005),
    *Biometrika* 92, 351-370. Cost: O(q), and cubic in the random effects that cross the largest
    factor.

    Returns
    -------
    float
    """
    solution = model.expected_working if isinstance(model, FittedGlmm) else model.working
    return leverage.hat_trace(solution)


def rstudent(model: FittedModel) -> pd.Series:
    r"""Studentised residuals, lme4's ``rstudent``.

    :math:`r_i / (\hat\sigma \sqrt{1 - h_i})` with the Pearson residual
    :math:`r_i = \sqrt{w_i} (y_i - \hat y_i)` and the leverage h: the residual over its standard
    error at the given covariance parameters. Sigma is that of the fit to all rows; for a linear
    model R calls this ``rstandard``. lme4 writes it as
    ``sign(r) sqrt(r**2 + h r**2 / (1 - h)) / sigma``, the same number. Of a generalised model the
    first square is of the deviance residual (Williams, D. A. (1987), *Appl. Statist.* 36, 181-191)
    and sigma**2 is the dispersion, one for binomial and Poisson.

    Returns
    -------
    Series, (n,)
        Zero for a row of weight zero; NaN for a row with a leverage of one, which has no residual.
    """
    return by_row(model, student_values(model), "rstudent")


def student_values(model: FittedModel) -> Array:
    """The same of the rows of the fit, (n,)."""
    pearson, hat = _pearson(model), hat_values(model)
    with np.errstate(invalid="ignore", divide="ignore"):
        if isinstance(model, FittedGlmm):
            own = generalised.residual_values(model, "deviance")
            squares = (own**2 + hat * pearson**2 / _left(hat)) / generalised.unit_of(model)
            return np.asarray(np.sign(own) * np.sqrt(squares))
        return np.asarray(pearson / np.sqrt(model.solution.sigma2 * _left(hat)))


def cooks_distance(model: FittedModel) -> pd.Series:
    r"""Cook's distance of each row by its leverage, lme4's ``cooks.distance``.

    .. math:: D_i = \frac{r_i^2}{p\,\hat\sigma^2} \frac{h_i}{(1 - h_i)^2}

    with the Pearson residual r and the leverage h: by how much all conditional fitted values move,
    in units of :math:`p \hat\sigma^2`, when the row is left out at the same covariance parameters.
    Random effects move too, so that it is not the distance of the fixed effects alone; that, with
    the parameters estimated again, is ``m.influence().cooks_distance()``. Of a generalised model
    sigma**2 is the dispersion, one for binomial and Poisson.

    Returns
    -------
    Series, (n,)
        Zero for a row of weight zero; NaN for a row with a leverage of one, and for a model without
        fixed effects.
    """
    return by_row(model, cook_values(model), "cooks_distance")


def cook_values(model: FittedModel) -> Array:
    """The same of the rows of the fit, (n,)."""
    pearson, hat = _pearson(model), hat_values(model)
    linear = model.working
    unit = generalised.unit_of(model) if isinstance(model, FittedGlmm) else linear.sigma2
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.divide(hat, _left(hat) ** 2) / np.float64(linear.p)
        values = pearson**2 / unit * size
    values[~np.isfinite(values)] = np.nan
    return np.asarray(values)


# A leverage that is one but for rounding.
_NEARLY_ONE = 1e-12


def _left(hat: Array) -> Array:
    """1 - h, NaN where nothing is left."""
    left = 1.0 - hat
    return np.where(left > _NEARLY_ONE, left, np.nan)


def hat_values(model: FittedModel) -> Array:
    """Leverages of the rows of the fit, (n,)."""
    design = model.design
    rows = [term.rows for term in design.terms]
    if isinstance(model, FittedGlmm):
        return leverage.hat_values(model.expected_working, design.x, rows, model.expected_weights)
    weights = design.precision
    if design.frequencies is not None:
        # A row that stands for no observation has no leverage either.
        seen = (design.frequencies > 0).astype(float)
        weights = seen if weights is None else weights * seen
    return leverage.hat_values(model.working, design.x, rows, weights)


def _pearson(model: FittedModel) -> Array:
    if isinstance(model, FittedGlmm):
        return generalised.residual_values(model, "pearson")
    return residual_values(model, "pearson")

"""Nakagawa's R squared of a mixed model."""

from __future__ import annotations

import numpy as np

from merextras.foundation.aliases import Array, Rng
from merextras.inference.variance_shares.generalised import (
    latent_bootstrap,
    latent_variances,
)
from merextras.inference.variance_shares.variance_parts import Interval, VarianceParts, by_residual
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.replicates.effect_size import RSquared

__all__ = ["r2"]

_NAMES = ("marginal", "conditional")


def r2(
    m: object,
    *,
    ci: str | float | None = None,
    n_sims: int = 1000,
    level: float = 0.95,
    rng: Rng = None,
) -> RSquared:
    r"""Share of the response's variance that the fixed part, and the whole model, account for.

    .. math:: R^2_m = \frac{s^2_f}{s^2_f + s^2_r + s^2_e}, \qquad
       R^2_c = \frac{s^2_f + s^2_r}{s^2_f + s^2_r + s^2_e}

    with :math:`s^2_f` the sample variance of :math:`X\hat\beta` (divisor n - 1), :math:`s^2_r` the
    mean of the diagonal of :math:`ZGZ'` (the variance of a random intercept; with slopes it depends
    on the covariates of the row) and :math:`s^2_e` the residual variance.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    ci : {None, "bootstrap"} or float
        Intervals by a parametric bootstrap: percentiles over refits to simulated responses. A
        number, as in R, is their level.
    n_sims : int, default 1000
        Its replicates.
    level : float, default 0.95
    rng : int, numpy.random.Generator or None

    Returns
    -------
    RSquared
        `.marginal` and `.conditional`; `.to_frame()` is ``term estimate``, with ``conf_low
        conf_high`` if intervals were asked for. With residual variances by group these are of their
        mean over the observations, and `.by_residual` has a row for each group's own.

    Raises
    ------
    InvalidArgumentError
        Another `ci`, `n_sims`, `level` or `rng`.
    UnsupportedModelError
        ``ci="bootstrap"`` of a model with frequency weights (a row needs one response).

    See Also
    --------
    merextras.icc : Intraclass correlations.
    merextras.variance_decomposition : The variances themselves.

    Notes
    -----
    R: ``performance::r2_nakagawa``. It differs in three places. Of a term ``(x || g)`` insight
    leaves out the variance of the slope, so that ``||`` gets another R squared than ``|`` with a
    correlation of zero; here both are the mean of diag(ZGZ'). A singular fit has a value here, NA
    there. With precision weights w the variance of a residual is sigma**2 / w, and its mean over
    the rows is taken; insight takes sigma**2, so that its R squared changes if all weights are
    doubled. An offset is known and no part of the fixed variance, there as here. Rows of weight
    zero do not count, and a frequency weight counts as so many rows.

    :math:`R^2_m` of a slope model depends on where its covariates have their origin only if the
    model does (Johnson 2014): ``(x || g)`` is another model when x is shifted.

    Of a generalised model (`glmer`) all variances are on the scale of the linear predictor
    (Nakagawa, Johnson & Schielzeth 2017), and the residual's is that of the distribution, which the
    result's `distribution` says in words: of the latent variable of a binomial response (pi**2 / 3
    of a logit, 1 of a probit, pi**2 / 6 of a complementary log-log link), trigamma of a gamma's
    shape, and ``log(1 + V(lambda) / lambda**2)`` of others with a log link, V the variance
    function. There lambda is the mean over the rows of the response's expectation over the random
    effects; performance takes ``exp(b + s**2 / 2)`` of a model without predictors.

    Cost: next to nothing, as the variances are in the model's cross-products; with precision
    weights, or without an intercept, one pass over the rows. A bootstrap adds that of
    `merextras.bootstrap`: 1000 replicates of 180 rows take about 0.1 s.

    References
    ----------
    Nakagawa, S. and Schielzeth, H. (2013). Methods Ecol. Evol. 4, 133-142, for random intercepts;
    Johnson, P. C. D. (2014). Methods Ecol. Evol. 5, 944-946, for slopes; Nakagawa, S., Johnson,
    P. C. D. and Schielzeth, H. (2017). J. R. Soc. Interface 14, 20170213.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.r2(m)
    R squared (Nakagawa)
                 estimate
    marginal       0.2787
    conditional    0.7992
    >>> mx.r2(m, ci="bootstrap", n_sims=400, rng=1).to_frame().round(1)
              term  estimate  conf_low  conf_high
    0     marginal       0.3       0.1        0.4
    1  conditional       0.8       0.7        0.9
    """
    model, interval = as_fitted(m, generalised=True), Interval.of(ci, n_sims, level, rng)
    if isinstance(model, FittedGlmm):
        latent = latent_variances(model)
        values = shares(latent.parts[None])[0]
        boot = latent_bootstrap(model, latent.parts, _NAMES, shares, interval)
        return RSquared(("", ""), _NAMES, values, boot, interval.level, distribution=latent.how)
    parts = VarianceParts.of(model)
    boot = interval.bootstrap(model, parts, _NAMES, shares)
    variances = parts.at(model)
    values = shares(variances[None])[0]
    by = by_residual(model, variances, shares, _NAMES)
    return RSquared(("", ""), _NAMES, values, boot, interval.level, by)


def shares(parts: Array) -> Array:
    """Marginal and conditional R squared, (m, 2), of the variances by source."""
    total = np.sum(parts, axis=1)
    explained = np.stack([parts[:, 0], np.sum(parts[:, :-1], axis=1)], axis=1)
    return np.asarray(explained / total[:, None])

"""Standard errors of the coefficients and all standard deviations, as arm gives them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.accessors.estimates import mean_sigma, ranef, var_corr
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import FrozenMapping
from merextras.results.estimates.sigma_hat import SigmaHat


def se_fixef(m: object) -> pd.Series:
    """Return the standard errors of the fixed effects.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    Series, (p,)
        ``sqrt(diag(vcov))``, indexed as ``fixef()``.

    Raises
    ------
    UnsupportedModelError
        `m` is not the fit of a linear mixed model.

    See Also
    --------
    se_coef : With those of the random effects.

    Notes
    -----
    The covariance is ``sigma² (X'V⁻¹X)⁻¹`` at the estimated theta (Bates et al. [1]_, eq. 54): the
    uncertainty of theta is not in it.

    **R counterpart**: ``arm::se.fixef``.

    References
    ----------
    .. [1] Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. *Journal of Statistical Software* 67(1).

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.inference.arm.standard_errors import se_fixef
    >>> fit = smf.mixedlm("extro ~ open", load_dataset("students"), groups="school").fit()
    >>> se_fixef(fit).round(3)
    Intercept    4.033
    open         0.013
    dtype: float64
    """
    return _se_fixef(as_fitted(m, generalised=True))


def _se_fixef(model: FittedModel) -> pd.Series:
    values = np.sqrt(np.diag(model.fixed_covariance))
    return pd.Series(values, index=list(model.design.fixed.names))


def se_ranef(m: object) -> FrozenMapping[pd.DataFrame]:
    """Return the conditional standard deviations of the random effects.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    mapping factor -> frame (levels by terms)
        ``sqrt`` of the diagonals of ``ranef().post_var``; as ``ranef()``, several terms on one
        factor stand side by side.

    Raises
    ------
    UnsupportedModelError
        `m` is not the fit of a linear mixed model.

    See Also
    --------
    merextras.simulation.re_sim.re_sim : SDs with the uncertainty of the fixed effects in them.

    Notes
    -----
    The variances are the diagonal of ``sigma² Lambda (Lambda'Z'WZ Lambda + I)⁻¹ Lambda'`` (Bates et
    al. [1]_, eq. 58), given theta and the fixed effects.

    **R counterpart**: ``arm::se.ranef``, which stops with an error where one factor has several
    terms (``||``); this does not.

    References
    ----------
    .. [1] Bates, D., Mächler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. *Journal of Statistical Software* 67(1).

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.inference.arm.standard_errors import se_ranef
    >>> sleepstudy = load_dataset("sleepstudy")
    >>> model = smf.mixedlm("Reaction ~ Days", sleepstudy, groups="Subject", re_formula="~Days")
    >>> se_ranef(model.fit())["Subject"].head(2).round(2)
             Intercept  Days
    Subject
    308          12.07   2.3
    309          12.07   2.3
    """
    return FrozenMapping(_se_ranef(as_fitted(m, generalised=True)))


def _se_ranef(model: FittedModel) -> dict[str, pd.DataFrame]:
    modes = ranef(model)
    assert modes.post_var is not None
    out = {}
    for factor, frame in modes.items():
        variances = np.diagonal(modes.post_var[factor], axis1=1, axis2=2)
        # A new frame: columns may repeat where a factor has several terms.
        out[factor] = pd.DataFrame(np.sqrt(variances), index=frame.index, columns=frame.columns)
    return out


def se_coef(m: object) -> FrozenMapping[pd.Series | pd.DataFrame]:
    """Return the standard errors of the fixed and random effects in one mapping.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    mapping
        ``"fixef"`` -> what `se_fixef` gives, then each factor -> what `se_ranef` gives for it.

    Raises
    ------
    UnsupportedModelError
        `m` is not the fit of a linear mixed model.

    Notes
    -----
    In spite of the name, a factor's frame holds the standard deviations of its random effects, not
    those of the sums of fixed and random effects that ``coef()`` returns.

    **R counterpart**: ``arm::se.coef``.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.inference.arm.standard_errors import se_coef
    >>> fit = smf.mixedlm("extro ~ open", load_dataset("students"), groups="school").fit()
    >>> list(se_coef(fit))
    ['fixef', 'school']
    """
    model = as_fitted(m, generalised=True)
    return FrozenMapping({"fixef": _se_fixef(model), **_se_ranef(model)})


def sigma_hat(m: object) -> SigmaHat:
    """Return the estimates of all standard deviations and correlations of a model.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    SigmaHat
        `data`, the residual standard deviation; `sigma`, a mapping factor -> Series of the
        standard deviations of its effects; `cors`, a mapping factor -> frame of their correlations.
        A further term on the same factor is named ``Subject.1``.

    Raises
    ------
    UnsupportedModelError
        `m` is not the fit of a linear mixed model.

    Notes
    -----
    Square roots of the diagonal of ``sigma² Lambda Lambda'`` of each term. The correlation of an
    effect whose variance is estimated at zero is NaN.

    **R counterpart**: ``arm::sigma.hat``, whose list has `data` inside ``sigma``, and NA for the
    correlations of a term with one effect, which are a 1 x 1 frame of 1 here.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.inference.arm.standard_errors import sigma_hat
    >>> sleepstudy = load_dataset("sleepstudy")
    >>> model = smf.mixedlm("Reaction ~ Days", sleepstudy, groups="Subject", re_formula="~Days")
    >>> sds = sigma_hat(model.fit())
    >>> round(sds.data, 2)
    25.59
    >>> sds.sigma["Subject"].round(2).to_dict()
    {'Intercept': 24.74, 'Days': 5.92}
    """
    model = as_fitted(m)
    components = var_corr(model)
    sigma, cors = {}, {}
    for c in components.components:
        names = list(c.names)
        sigma[c.group] = pd.Series(c.std_dev, index=names)
        cors[c.group] = pd.DataFrame(c.correlation, index=names, columns=names)
    return SigmaHat(mean_sigma(model), FrozenMapping(sigma), FrozenMapping(cors), components.sigmas)

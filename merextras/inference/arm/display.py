"""A fit in a few lines, arm's ``display``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.accessors import generalised
from merextras.accessors.description import call
from merextras.accessors.estimates import fixef, var_corr
from merextras.accessors.likelihood import aic, deviance, ngrps
from merextras.exceptions import InvalidArgumentError
from merextras.inference.arm.dic import deviance_and_dic
from merextras.inference.arm.standard_errors import se_fixef
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.estimates.display import Display

#: More decimals than a double has.
_MOST_DIGITS = 15


def display(m: object, *, digits: int = 2, detail: bool = False) -> Display:
    """Show the estimates of a fit in a few lines.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    digits : int, default 2
        Decimals that are printed, 0 to 15.
    detail : bool, default False
        Also the ratio of each fixed effect to its standard error.

    Returns
    -------
    Display
        Prints as text; its parts are attributes: `coefficients` (``coef_est coef_se``, with
        `detail` also ``statistic``), `var_corr`, `n`, `ngrps`, `aic`, `dic`, `deviance`.

    Raises
    ------
    UnsupportedModelError
        `m` is not the fit of a linear mixed model.
    InvalidArgumentError
        `digits` is not a whole number from 0 to 15.

    See Also
    --------
    merextras.inference.arm.dic.extract_dic : What the DIC is, and its limits.

    Notes
    -----
    The AIC is that of the fit's own criterion, ``-2 log_lik + 2 npar``; the deviance is that of the
    model refitted by ML. There are no p-values, as in arm: the ratio has no t distribution with
    known degrees of freedom.

    Of a model of `glmer` there is no DIC, and the deviance is minus twice the log-likelihood.

    **R counterpart**: ``arm::display`` (Gelman and Hill [1]_, appendix C). **Cost**: one refit of a
    REML fit.

    References
    ----------
    .. [1] Gelman, A. and Hill, J. (2007). *Data Analysis Using Regression and
       Multilevel/Hierarchical Models*. Cambridge University Press.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.inference.arm.display import display
    >>> students = load_dataset("students")
    >>> fit = smf.mixedlm("extro ~ open + agree + social", students, groups="school").fit()
    >>> display(fit)
    mixedlm("extro ~ open + agree + social", data, groups="school").fit()
              coef.est coef.se
    Intercept    59.12    4.10
    open          0.01    0.01
    agree         0.03    0.02
    social        0.00    0.00
    <BLANKLINE>
    Error terms:
     Groups    Name       Std.Dev.
     school    Intercept      9.79
     Residual                 2.67
    ---
    number of obs: 1200, groups: school, 6
    AIC = 5836.1, DIC = 5788.9
    deviance = 5806.5
    """
    model = as_fitted(m, generalised=True)
    if model.is_generalised:
        return replace(_short(model, digits, detail), deviance=deviance(model))
    own, dic = deviance_and_dic(model)
    return replace(_short(model, digits, detail), dic=dic, deviance=own)


def fast_display(m: object, *, digits: int = 2, detail: bool = False) -> Display:
    """Show the estimates of a fit in a few lines, without refitting it.

    Parameters
    ----------
    m : MerMod, MixedLMResults or ModelList
        A fitted model, or several: fixed effects by Rubin's rules, variances and AIC their means.
    digits : int, default 2
        Decimals that are printed, 0 to 15.
    detail : bool, default False
        Also the ratio of each fixed effect to its standard error.

    Returns
    -------
    Display
        As that of `display`; its `dic` and `deviance`, for which a REML fit is refitted by ML, are
        None.

    Raises
    ------
    UnsupportedModelError
        `m` is not the fit of a linear mixed model.
    InvalidArgumentError
        `digits` is not a whole number from 0 to 15.

    Notes
    -----
    **R counterpart**: ``merTools::fastdisp``.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    >>> mx.fast_display(m)
    lmer("Yield ~ 1 + (1 | Batch)", data)
              coef.est coef.se
    Intercept  1527.50   19.38
    <BLANKLINE>
    Error terms:
     Groups    Name       Std.Dev.
     Batch     Intercept     42.00
     Residual                49.51
    ---
    number of obs: 30, groups: Batch, 6
    AIC = 325.7
    """
    if is_several(m):
        return _of_several(m, digits, detail)
    return _short(as_fitted(m, generalised=True), digits, detail)


def is_several(m: object) -> bool:
    """Whether it is a list of fits of one model, which stands on a higher floor."""
    return all(hasattr(m, name) for name in ("names", "pool", "var_corr", "estimates"))


def _of_several(m: Any, digits: int, detail: bool) -> Display:
    first, pooled = _short(m[0], digits, detail), m.pool().table.set_index("term")
    table = {"coef_est": pooled["estimate"], "coef_se": pooled["std_error"]}
    if detail:
        table["statistic"] = pooled["statistic"]
    counts = pd.DataFrame([ngrps(model) for model in m])
    return replace(
        first,
        call=f"{len(m)} fits: {first.call}",
        coefficients=pd.DataFrame(table).rename_axis(None),
        var_corr=m.var_corr(),
        n=round(float(np.mean([model.design.n for model in m]))),
        ngrps=counts.mean().round().astype(int),
        aic=float(np.mean([aic(model) for model in m])),
    )


def _short(model: FittedModel, digits: int, detail: bool) -> Display:
    is_count = isinstance(digits, int) and not isinstance(digits, bool)
    if not is_count or not 0 <= digits <= _MOST_DIGITS:
        raise InvalidArgumentError(f"digits={digits!r}: a whole number from 0 to {_MOST_DIGITS}")
    estimate, se = fixef(model), se_fixef(model)
    coefficients = pd.DataFrame({"coef_est": estimate, "coef_se": se})
    if detail:
        coefficients["statistic"] = estimate / se
    return Display(
        call=generalised.call(model) if isinstance(model, FittedGlmm) else call(model),
        coefficients=coefficients,
        var_corr=var_corr(model),
        n=model.design.n,
        ngrps=ngrps(model),
        aic=aic(model),
        digits=digits,
    )

"""Parts of a fit in the shapes in which merTools extracts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras.accessors import likelihood
from merextras.accessors.estimates import mean_sigma, ranef, var_corr
from merextras.accessors.pick import pick_effect
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.model.statsmodels.mixedlm import as_fitted

#: A share of levels this close to a whole number of them is that number: rounding.
_WHOLE = 1e-9


def re_extract(m: object) -> pd.DataFrame:
    """Return the random effects and their standard errors in a wide frame.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    DataFrame
        ``group level``, a column of conditional modes for each effect (``Intercept``, ``Days``),
        then a column of its conditional standard deviations for each (``Intercept_se``, ...). A row
        per level of each factor; NaN where the factor has no such effect. The terms of one factor
        (``||``) are side by side.

    Raises
    ------
    InvalidArgumentError
        An effect is called ``group``, ``level`` or as another's standard deviation.

    See Also
    --------
    MerMod.ranef : The same, and the conditional covariances.

    Notes
    -----
    **R counterpart**: ``merTools::REextract``, which stops with an error for ``||``.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.re_extract(m).head(2).round(2)
         group  level  Intercept  Days  Intercept_se  Days_se
    0  Subject    308       2.26  9.20         12.07      2.3
    1  Subject    309     -40.40 -8.62         12.07      2.3
    """
    modes = ranef(as_fitted(m, generalised=True))
    assert modes.post_var is not None
    names: list[str] = list(dict.fromkeys(n for frame in modes.values() for n in frame.columns))
    columns = ["group", "level", *names, *(f"{name}_se" for name in names)]
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        raise InvalidArgumentError(
            f"re_extract: several columns would be called {repeated}; use ranef() instead"
        )
    parts = []
    for factor, frame in modes.items():
        sd = np.sqrt(np.diagonal(modes.post_var[factor], axis1=1, axis2=2))
        part = pd.DataFrame({"group": factor, "level": frame.index})
        for i, name in enumerate(frame.columns):
            part[name] = frame.iloc[:, i].to_numpy()
            part[f"{name}_se"] = sd[:, i]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)[columns]


def theta_extract(m: object) -> Array:
    """Return theta, the lower triangles of the relative covariance factors.

    Of covariances with a structure it has the standard deviations over sigma and the correlation.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    (n_theta,) array
        In units of the residual standard deviation, terms in the model's order, a triangle column
        by column (Bates et al. 2015, section 2.2). The same as ``get_me("theta")``.

    Notes
    -----
    **R counterpart**: ``merTools::thetaExtract``.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.theta_extract(m).round(4)
    array([0.9667, 0.0152, 0.2309])
    """
    return as_fitted(m, generalised=True).theta


def re_sd_extract(m: object) -> pd.Series:
    """Return the standard deviations of the random effects.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    Series
        Indexed by ``group.term``; a further term on the same factor is named ``Subject.1.term``.

    See Also
    --------
    merextras.sigma_hat : With the residual's and all correlations.

    Notes
    -----
    Square roots of the diagonals of ``sigma² Lambda Lambda'``. **R counterpart**:
    ``merTools::REsdExtract``.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.re_sd_extract(m).round(2)
    Subject.Intercept    24.74
    Subject.Days          5.92
    dtype: float64
    """
    return pd.Series(
        {
            f"{c.group}.{name}": sd
            for c in var_corr(as_fitted(m, generalised=True)).components
            for name, sd in zip(c.names, c.std_dev, strict=True)
        },
        dtype=float,
    )


def re_corr_extract(m: object) -> pd.Series:
    """Return the correlations of the random effects.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    Series
        Indexed by ``group.term.other_term``, a value per pair of effects of a term; empty if no
        term has two. NaN where a variance is estimated at zero.

    Notes
    -----
    **R counterpart**: ``merTools::REcorrExtract``. It returns the smallest of each factor's
    correlation matrix only, and 1 where there is no correlation.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.re_corr_extract(m).round(4)
    Subject.Intercept.Days    0.0656
    dtype: float64
    """
    found = {}
    for c in var_corr(as_fitted(m, generalised=True)).components:
        for i, one in enumerate(c.names):
            for j, other in enumerate(c.names[:i]):
                found[f"{c.group}.{other}.{one}"] = c.correlation[i, j]
    return pd.Series(found, dtype=float)


def re_quantile(
    m: object,
    quantile: float | Sequence[float],
    group: str | None = None,
    term: str | None = "Intercept",
) -> object:
    """Return the level whose random effect is at a quantile of the factor's.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    quantile : float or sequence of float
        From 0 to 1: 0 is the smallest effect's level, 1 the largest's.
    group : str, optional
        Grouping factor, by default the first of the model.
    term : str or None, default "Intercept"
        Name of the random effect; None for the factor's intercept, or its first effect.

    Returns
    -------
    label, or Series of them
        As it is in the data; of several quantiles a Series with these as its index.

    Raises
    ------
    InvalidArgumentError
        `quantile` outside [0, 1]; a group or term that is not in the model.

    Notes
    -----
    The smallest conditional mode that at least a share `quantile` of the J levels does not exceed
    (the inverse of the empirical distribution function, definition 1 of Hyndman and Fan [1]_): the
    ``ceil(quantile J)``-th. Of equal modes the first level comes first.

    **R counterpart**: ``merTools::REquantile``, which takes the ``floor(quantile J)``-th. That is
    the same where ``quantile J`` is whole; otherwise it is one lower, so that its median of three
    levels is the smallest, and nothing at all where ``quantile J < 1``.

    References
    ----------
    .. [1] Hyndman, R. J. and Fan, Y. (1996). Sample quantiles in statistical packages. *The
       American Statistician* 50(4), 361-365.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> print(mx.re_quantile(m, 0), mx.re_quantile(m, 0.5), mx.re_quantile(m, 1))
    309 308 337
    >>> mx.re_quantile(m, [0.25, 0.75]).to_dict()
    {0.25: 350, 0.75: 333}
    """
    model = as_fitted(m, generalised=True)
    several = isinstance(quantile, (Sequence, np.ndarray)) and not isinstance(quantile, str)
    given: list[Any] = list(quantile) if several else [quantile]  # type: ignore[arg-type]
    for one in given:
        is_number = isinstance(one, (int, float, np.number)) and not isinstance(one, bool)
        if not is_number or not 0.0 <= float(one) <= 1.0:
            raise InvalidArgumentError(f"quantile={one!r}: a number from 0 to 1")
    effect = pick_effect(model.design, group, term)
    modes, levels = model.modes[effect.term], model.design.terms[effect.term].levels
    found = [levels[at_quantile(modes[:, effect.place], float(one))] for one in given]
    if not several:
        return found[0]
    return pd.Series(found, index=pd.Index(given, name="quantile", dtype=float), name="level")


def at_quantile(modes: Array, quantile: float) -> int:
    """The place of the quantile among the modes, in the order that they have."""
    rank = max(1, int(np.ceil(quantile * len(modes) - _WHOLE)))
    return int(np.argsort(modes, kind="stable")[rank - 1])


def model_info(m: object) -> pd.DataFrame:
    """Return what sums a fit up in a line.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.

    Returns
    -------
    DataFrame
        One row: ``n_obs`` observations, ``n_lvls`` grouping factors, ``aic`` by the fit's own
        criterion, ``sigma`` the residual standard deviation (with residual variances by group the
        root of their mean over the observations; NaN of a model of `glmer`).

    Notes
    -----
    **R counterpart**: ``merTools::modelInfo``; its ``n.lvls``, too, counts the factors and not
    their levels, which ``ngrps()`` has.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.model_info(m).round(2)
       n_obs  n_lvls      aic  sigma
    0    180       1  1755.63  25.59
    """
    model = as_fitted(m, generalised=True)
    row = {
        "n_obs": likelihood.nobs(model),
        "n_lvls": len(model.design.factors),
        "aic": likelihood.aic(model),
        "sigma": mean_sigma(model),
    }
    return pd.DataFrame([row])

"""A model in the form that statsmodels' ``summary_col`` reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors import likelihood
from merextras.accessors.estimates import mean_sigma, var_corr
from merextras.foundation.aliases import Array
from merextras.inference.ddf.method import method_of, t_table
from merextras.model.statsmodels.mixedlm import as_fitted

__all__ = ["ForSummaryCol", "for_summary_col"]


@dataclass(frozen=True)
class _Model:
    """What ``summary_col`` asks of a result's ``model``."""

    endog_names: str
    exog_names: list[str]


@dataclass(frozen=True, eq=False)
class ForSummaryCol:
    """A mixed model's fixed effects under statsmodels' names.

    Attributes
    ----------
    params, bse, tvalues, pvalues : Series, (p,)
    df : (p,) array
    model : object
        With `endog_names` and `exog_names`.
    nobs : int
    llf, aic, bic, scale : float
    default_model_infos : dict of str to callable
        Rows below the table, by name.
    """

    params: pd.Series
    bse: pd.Series
    tvalues: pd.Series
    pvalues: pd.Series
    df: Array
    model: _Model
    nobs: int
    llf: float
    aic: float
    bic: float
    scale: float
    default_model_infos: dict[str, Callable[[Any], str]]

    def conf_int(self, alpha: float = 0.05) -> Array:
        """Intervals of level ``1 - alpha``, (p, 2)."""
        half = stats.t.isf(alpha / 2.0, self.df) * self.bse.to_numpy()
        estimate = self.params.to_numpy()
        return np.column_stack([estimate - half, estimate + half])


def for_summary_col(m: object, *, ddf: str = "satterthwaite", cluster: Any = None) -> ForSummaryCol:
    """A model in the form that statsmodels' ``summary_col`` reads, beside OLS and other fits.

    ``summary_col`` reads attributes of statsmodels' own results (``params``, ``aic`` as a number),
    which a `MerMod`, whose ``aic()`` is a method as in R, does not have.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}
        Of the p-values, and with Kenward and Roger's method or the cluster-robust ones of the
        standard errors.
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.

    Returns
    -------
    ForSummaryCol
        Standard deviations of random effects and numbers of levels are rows below the table, unless
        ``summary_col`` is given its own ``info_dict``.

    Raises
    ------
    UnsupportedModelError
        Not a mixed model.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit.

    See Also
    --------
    merextras.tables.compare_table.compare_table : The same without statsmodels' function.

    Examples
    --------
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> from statsmodels.iolib.summary2 import summary_col
    >>> sleep = mx.load_dataset("sleepstudy")
    >>> m = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    >>> ols = smf.ols("Reaction ~ Days", sleep).fit()
    >>> table = summary_col([mx.for_summary_col(m), ols], model_names=["mixed", "ols"])
    >>> table.tables[0].loc["Days"].tolist()
    ['10.4673', '10.4673']
    """
    model = as_fitted(m, generalised=True)
    method = method_of(model, ddf, cluster=cluster, stacklevel=3, default="satterthwaite")
    model = method.model
    names = [str(name) for name in model.design.fixed.names]
    table = t_table(method, np.eye(len(names))).set_axis(names, axis=0)
    return ForSummaryCol(
        params=table["estimate"],
        bse=table["std_error"],
        tvalues=table["statistic"],
        pvalues=table["p_value"],
        df=table["df"].to_numpy(),
        model=_Model(model.design.response, names),
        nobs=likelihood.nobs(model),
        llf=likelihood.log_lik(model),
        aic=likelihood.aic(model),
        bic=likelihood.bic(model),
        scale=mean_sigma(model) ** 2,
        default_model_infos=_infos(model),
    )


def _infos(model: Any) -> dict[str, Callable[[Any], str]]:
    texts = {"N": str(likelihood.nobs(model))}
    texts |= {f"Levels: {name}": str(count) for name, count in likelihood.ngrps(model).items()}
    for component in var_corr(model).components:
        for name, sd in zip(component.names, component.std_dev, strict=True):
            texts[f"SD {name} ({component.group})"] = f"{sd:.4f}"
    if model.is_generalised:
        return {name: _always(text) for name, text in texts.items()}
    sigmas = var_corr(model).sigmas or {"": mean_sigma(model)}
    texts |= {f"SD residual {name}".strip(): f"{sd:.4f}" for name, sd in sigmas.items()}
    return {name: _always(text) for name, text in texts.items()}


def _always(text: str) -> Callable[[Any], str]:
    def shown(result: Any) -> str:
        del result
        return text

    return shown

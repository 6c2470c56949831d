"""The summary of a generalised model with tests of the fixed effects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.accessors import generalised as plain
from merextras.inference.ddf.method import method_of, t_table
from merextras.inference.ddf.robust_generalised import RobustGlmm
from merextras.model.generalised.fitted import FittedGlmm
from merextras.results.estimates.summary import Summary


def summary(model: FittedGlmm, *, ddf: str | None = None, cluster: Any = None) -> Summary:
    """The fit at a glance, lme4's ``summary``: with z tests of the fixed effects.

    Parameters
    ----------
    ddf : {"asymptotic", "CR0", "CR1"}, optional
        The last two have cluster-robust standard errors, see `MerMod.vcov`. Other degrees of
        freedom are defined for linear models alone.
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.

    Returns
    -------
    Summary
        Prints as text and in notebooks; its parts are attributes: `coefficients` (``estimate
        std_error statistic p_value``), `var_corr`, ... Standard errors are from the observed
        information of all parameters, by differences of the exact gradient.

    Raises
    ------
    InvalidArgumentError
        An unknown `ddf`; a `cluster` without a robust one; and what `MerMod.vcov` raises.
    UnsupportedModelError
        Degrees of freedom of linear models, CR2.
    """
    method = method_of(model, "asymptotic" if ddf is None else ddf, cluster=cluster, stacklevel=3)
    found = plain.summary(model)
    if not isinstance(method, RobustGlmm):
        return found
    size = np.sqrt(np.diag(method.covariance))
    own, names = method.covariance / np.outer(size, size), found.correlation.index
    table = t_table(method, np.eye(len(size))).drop(columns="df")
    return replace(
        found,
        title=f"{found.title}; z tests use {method.title}",
        coefficients=pd.DataFrame(table).set_axis(found.coefficients.index, axis=0),
        correlation=pd.DataFrame(own, names, names),
    )

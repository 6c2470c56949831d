"""The summary of a fit with tests of the fixed effects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.accessors import summary as plain
from merextras.exceptions import InvalidArgumentError
from merextras.inference.ddf.method import method_of, t_table
from merextras.inference.ddf.robust import Robust
from merextras.inference.ddf.robust_generalised import RobustGlmm
from merextras.model.state.fitted import FittedModel
from merextras.results.estimates.summary import Summary


def summary(model: FittedModel, *, ddf: str | None = None, cluster: Any = None) -> Summary:
    """The fit at a glance, lme4's and lmerTest's ``summary``.

    Parameters
    ----------
    ddf : {"satterthwaite", "kenward-roger", "asymptotic"}, optional
        Adds degrees of freedom and p-values of t tests; with Kenward-Roger's method the standard
        errors are its own. Without it there are none, as in lme4. ``"KR"`` is short for the second.
        ``"CR0"``, ``"CR1"`` and ``"CR2"`` have cluster-robust standard errors, see `MerMod.vcov`,
        with Bell and McCaffrey's degrees of freedom. A generalised model has z tests, and no
        other `ddf` than ``"asymptotic"``, ``"CR0"`` and ``"CR1"``.
    cluster : str or array, optional
        Of these three, as in `MerMod.vcov`.

    Returns
    -------
    Summary
        Prints as text and in notebooks; its parts are attributes: `coefficients` (``estimate
        std_error statistic``, or ``estimate std_error df statistic p_value``), `var_corr`,
        `scaled_residuals`, `correlation`, ... No standard errors are shown for variances:
        statsmodels' are off by a factor of about sqrt(scale).

    Raises
    ------
    InvalidArgumentError
        An unknown `ddf`; a `cluster` without a robust one; and what `MerMod.vcov` raises.
    UnsupportedModelError
        Degrees of freedom of a generalised model, or CR2.

    Warns
    -----
    RefitWarning
        Kenward-Roger's method for an ML fit: the whole summary is that of its refit by REML.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> m.summary(ddf="satterthwaite").coefficients.round(4)
               estimate  std_error    df  statistic  p_value
    Intercept  251.4051     6.8246  17.0    36.8383      0.0
    Days        10.4673     1.5458  17.0     6.7715      0.0
    """
    if ddf is None and cluster is not None and not model.is_generalised:
        raise InvalidArgumentError("cluster: is for ddf='CR0', 'CR1' or 'CR2'")
    name = "asymptotic" if ddf is None else ddf
    method = method_of(model, name, cluster=cluster, stacklevel=3)
    found = plain.summary(method.model)
    robust = isinstance(method, Robust | RobustGlmm)
    if ddf is None or (model.is_generalised and not robust):
        return found
    if robust:
        size = np.sqrt(np.diag(method.covariance))
        own = found.correlation
        scaled = method.covariance / np.outer(size, size)
        found = replace(found, correlation=pd.DataFrame(scaled, own.index, own.columns))
    table = t_table(method, np.eye(len(found.coefficients)))
    if model.is_generalised:
        table = table.drop(columns="df")
    return replace(
        found,
        title=f"{found.title}; {found.tested}-tests use {method.title}",
        coefficients=pd.DataFrame(table).set_axis(found.coefficients.index, axis=0),
    )

"""Confidence intervals of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors.parameters import covariance_names, parameter_names
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_choice, check_level
from merextras.inference.ddf.method import Method, method_of, t_table
from merextras.inference.intervals.bootstrap import bootstrap
from merextras.inference.intervals.profile import intervals
from merextras.model.state.fitted import FittedModel
from merextras.results.profiles.profile import select
from merextras.results.replicates.bootstrap import TYPES

__all__ = ["confint", "covariance_names"]


def confint(
    model: FittedModel,
    *,
    level: float = 0.95,
    method: str = "profile",
    parm: str | Sequence[str] | None = None,
    n_sims: int = 500,
    rng: Rng = None,
    boot_type: str = "percentile",
    n_jobs: int = 1,
    ddf: str | None = None,
    cluster: Any = None,
) -> pd.DataFrame:
    """Confidence intervals, lme4's ``confint``.

    Parameters
    ----------
    level : float
    method : {"profile", "wald", "boot"}
        ``"profile"``: where the signed root of the ML deviance is within the normal quantiles, for
        all parameters, around the ML estimates (of a REML fit, too); see `MerMod.profile`.
        ``"wald"``: ``estimate -+ z sqrt(vcov)`` for the fixed effects, at no cost. For standard
        deviations, correlations, sigma or a dispersion a Wald interval has no good reason, and they
        are NaN, as in lme4. ``"boot"``: from a parametric bootstrap of `n_sims` replicates, see
        `bootstrap`.
    parm : str or sequence of str, optional
        Names of parameters, ``"theta_"`` (standard deviations, correlations, sigma or a dispersion)
        or ``"beta_"`` (fixed effects); by default all. Only these are profiled.
    n_sims, rng, boot_type, n_jobs
        For ``"boot"``: the number of replicates, their seed or generator, ``"percentile"``,
        ``"basic"``, ``"normal"`` or ``"shortest"``, and the number of processes.
    ddf : {"satterthwaite", "kenward-roger", "asymptotic", "CR0", "CR1", "CR2"}, optional
        For ``"wald"``: quantiles of Student's t with these degrees of freedom, and with Kenward and
        Roger's method or the cluster-robust ones their standard errors. A generalised model has
        ``"asymptotic"``, ``"CR0"`` and ``"CR1"``.
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.

    Returns
    -------
    DataFrame
        ``conf_low conf_high``, indexed by parameter: ``sd_Intercept|school``,
        ``cor_Days.Intercept|Subject``, ``sigma``, then the fixed effects. Where the likelihood
        leaves an end open it is the boundary (0, -1, 1) or infinite, and ``attrs["notes"]`` says
        why, by parameter.

    Raises
    ------
    InvalidArgumentError
        A level outside (0, 1), an unknown method or parameter; for the bootstrap's arguments; a
        `ddf` for another method than Wald's, a `cluster` without a robust one.
    UnsupportedModelError
        Degrees of freedom of a generalised model, or CR2.
    ProfileError
        A profile that can't be followed.

    See Also
    --------
    MerMod.profile : Intervals at several levels from one profile.

    Notes
    -----
    **R counterpart**: ``confint.merMod``, whose names are much as these with ``oldNames = FALSE``;
    its ``"Wald"`` is taken, too.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> fit = smf.mixedlm("extro ~ open", load_dataset("students"), groups="school").fit()
    >>> m = mx.MerMod(fit)
    >>> m.confint(level=0.99).round(2)
                         conf_low  conf_high
    sd_Intercept|school      4.92      23.89
    sigma                    2.54       2.82
    Intercept               47.11      72.62
    open                    -0.02       0.04
    >>> m.confint(level=0.99, method="wald", parm="beta_").round(2)
               conf_low  conf_high
    Intercept     49.48      70.26
    open          -0.02       0.04
    """
    level = check_level(level)
    method = "wald" if method == "Wald" else method
    check_choice(method, ("profile", "wald", "boot"), "method")
    if method != "wald" and (ddf is not None or cluster is not None):
        raise InvalidArgumentError(
            f"ddf, cluster: are for method='wald'; method={method!r} has no standard errors"
        )
    names = parameter_names(model)
    wanted = select(parm, names, names[: len(names) - len(model.fixed_estimates)])
    if method == "profile":
        return intervals(model, wanted, level)
    if method == "boot":
        check_choice(boot_type, TYPES, "boot_type")
        found = bootstrap(model, n_sims=n_sims, rng=rng, n_jobs=n_jobs)
        return found.confint(level, boot_type).loc[wanted]
    tests = method_of(model, ddf or "asymptotic", cluster=cluster, stacklevel=3)
    return _wald(tests, level, names).loc[wanted]


def _wald(method: Method, level: float, names: Sequence[str]) -> pd.DataFrame:
    """Of an ML fit Kenward and Roger's method has the estimates of its refit by REML."""
    beta = method.model.fixed_estimates
    table = t_table(method, np.eye(len(beta)))
    half = (stats.t.isf((1.0 - level) / 2.0, table["df"]) * table["std_error"]).to_numpy()
    out = pd.DataFrame(np.nan, index=list(names), columns=["conf_low", "conf_high"])
    fixed = slice(len(names) - len(beta), None)
    out.iloc[fixed, 0] = beta - half
    out.iloc[fixed, 1] = beta + half
    return out

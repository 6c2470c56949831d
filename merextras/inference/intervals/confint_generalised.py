"""Confidence intervals of a generalised model's parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from merextras.accessors.parameters import parameter_names
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_choice, check_level
from merextras.inference.ddf.method import method_of
from merextras.inference.ddf.robust_generalised import RobustGlmm
from merextras.inference.intervals.bootstrap import bootstrap
from merextras.inference.intervals.profile_generalised import profile
from merextras.model.generalised.fitted import FittedGlmm
from merextras.results.profiles.profile import select
from merextras.results.replicates.bootstrap import TYPES


def confint(
    model: FittedGlmm,
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
        ``"profile"``: where the signed root of the deviance is within the normal quantiles, for all
        parameters; see `GlmerMod.profile`. ``"wald"``: ``estimate -+ z sqrt(vcov)`` for the fixed
        effects, with the observed information. For standard deviations, correlations and the
        dispersion a Wald interval has no good reason, and they are NaN, as in lme4. ``"boot"``:
        from a parametric bootstrap of `n_sims` replicates, see `bootstrap`.
    parm : str or sequence of str, optional
        Names of parameters, ``"theta_"`` (standard deviations, correlations, dispersion) or
        ``"beta_"`` (fixed effects); by default all.
    n_sims, rng, boot_type, n_jobs
        For ``"boot"``: the number of replicates, their seed or generator, ``"percentile"``,
        ``"basic"`` or ``"normal"``, and the number of processes.
    ddf : {"asymptotic", "CR0", "CR1"}, optional
        For ``"wald"``; the last two have cluster-robust standard errors. Other degrees of freedom
        are defined for linear models alone.
    cluster : str or array, optional
        Of the robust ones, as in `MerMod.vcov`.

    Returns
    -------
    DataFrame
        ``conf_low conf_high``, indexed by parameter.

    Raises
    ------
    InvalidArgumentError
        A level outside (0, 1), an unknown method or parameter; for the bootstrap's arguments;
        `ddf` or `cluster` for another method than Wald's, a `cluster` without a robust `ddf`.
    UnsupportedModelError
        Degrees of freedom of linear models, CR2.
    ProfileError
        A profile that can't be followed.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> m.confint(parm="theta_").round(3)
                       conf_low  conf_high
    sd_Intercept|herd     0.346        1.1
    """
    level = check_level(level)
    method = "wald" if method == "Wald" else method
    check_choice(method, ("profile", "wald", "boot"), "method")
    tests = method_of(model, "asymptotic" if ddf is None else ddf, cluster=cluster, stacklevel=3)
    if method != "wald" and (cluster is not None or isinstance(tests, RobustGlmm)):
        raise InvalidArgumentError(
            f"ddf, cluster: are for method='wald'; method={method!r} has no standard errors"
        )
    names = parameter_names(model)
    n_covariance = len(names) - len(model.fixed_estimates)
    wanted = select(parm, names, names[:n_covariance])
    if method == "profile":
        return profile(model, wanted, level_max=level).confint(level)
    if method == "boot":
        check_choice(boot_type, TYPES, "boot_type")
        found = bootstrap(model, n_sims=n_sims, rng=rng, n_jobs=n_jobs)
        return found.confint(level, boot_type).loc[wanted]
    half = stats.norm.isf((1.0 - level) / 2.0) * np.sqrt(np.diag(tests.covariance))
    out = pd.DataFrame(np.nan, index=list(names), columns=["conf_low", "conf_high"])
    out.iloc[n_covariance:, 0] = model.fixed_estimates - half
    out.iloc[n_covariance:, 1] = model.fixed_estimates + half
    return out.loc[wanted]

"""Confidence intervals of a generalised model's parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from merextras._checks import check_choice, check_level
from merextras.accessors.parameters import covariance_names
from merextras.exceptions import UnsupportedModelError
from merextras.model.generalised.fitted import FittedGlmm
from merextras.results.profiles.profile import select


def confint(
    model: FittedGlmm,
    *,
    level: float = 0.95,
    method: str = "wald",
    parm: str | Sequence[str] | None = None,
    **of_boot: object,
) -> pd.DataFrame:
    """Confidence intervals, lme4's ``confint``.

    Parameters
    ----------
    level : float
    method : {"wald"}
        ``estimate -+ z sqrt(vcov)`` for the fixed effects, with the observed information. For
        standard deviations and correlations a Wald interval has no good reason, and they are NaN,
        as in lme4. Profiles and the bootstrap are not available yet: an error.
    parm : str or sequence of str, optional
        Names of parameters, ``"theta_"`` (standard deviations, correlations) or ``"beta_"`` (fixed
        effects); by default all.
    **of_boot
        Arguments of the bootstrap: an error, whatever they are.

    Returns
    -------
    DataFrame
        ``conf_low conf_high``, indexed by parameter.

    Raises
    ------
    InvalidArgumentError
        A level outside (0, 1), an unknown method or parameter.
    UnsupportedModelError
        ``method="profile"`` or ``"boot"``.
    """
    level = check_level(level)
    method = "wald" if method == "Wald" else method
    if check_choice(method, ("profile", "wald", "boot"), "method") != "wald" or of_boot:
        raise UnsupportedModelError(
            f"method={method!r}: not available for a generalised model yet; method='wald' has "
            "intervals of the fixed effects"
        )
    of_theta = covariance_names(model)
    names = [*of_theta, *model.design.fixed.names]
    wanted = select(parm, names, of_theta)
    half = stats.norm.isf((1.0 - level) / 2.0) * np.sqrt(np.diag(model.fixed_covariance))
    out = pd.DataFrame(np.nan, index=names, columns=["conf_low", "conf_high"])
    out.iloc[len(of_theta) :, 0] = model.fixed_estimates - half
    out.iloc[len(of_theta) :, 1] = model.fixed_estimates + half
    return out.loc[wanted]

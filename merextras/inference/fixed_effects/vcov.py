"""The covariance of the fixed effects, the model's or one that is robust."""

from __future__ import annotations

from typing import Any

import pandas as pd

from merextras.accessors import estimates
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice
from merextras.inference.ddf.method import method_of
from merextras.inference.ddf.robust import KINDS
from merextras.model.state.fitted import FittedModel


def vcov(model: FittedModel, *, kind: str = "model", cluster: Any = None) -> pd.DataFrame:
    """Covariance matrix of the fixed effects, lme4's ``vcov`` and clubSandwich's ``vcovCR``.

    Parameters
    ----------
    kind : {"model", "CR0", "CR1", "CR2"}
        The model's own, ``sigma**2 (X'V^-1 X)^-1`` at the estimated theta (Bates et al. 2015, eq.
        54), which is right if the variances and covariances of the model are. The others are right
        for many clusters whatever the covariances within them: from the residuals alone, times
        m / (m - 1) for m clusters, or adjusted so that they are unbiased if the model is true,
        which few clusters need.
    cluster : str or (n,) array, optional
        A grouping factor, a column of the model or values by row, whose levels are independent: all
        random effects' levels must be nested in it. By default the outermost grouping factor.

    Returns
    -------
    DataFrame, (p, p)

    Raises
    ------
    InvalidArgumentError
        An unknown `kind`; clusters that random effects go across, as crossed factors do, missing
        values or fewer than two clusters; a `cluster` for the model's own.
    NoRowsError
        A robust one of a model that keeps no rows.
    UnsupportedModelError
        CR2 of a generalised model.

    See Also
    --------
    contest, emmeans, MerMod.summary : With ``ddf="CR2"`` for tests by these.

    Notes
    -----
    Bell & McCaffrey (2002), and Pustejovsky & Tipton (2018) for weighted least squares. Precision
    weights are part of the model's covariance, a row of frequency f is f rows. Cost: O(n (q +
    p)**2) for q random effects in a cluster, nothing n x n; clusters with different precision
    weights take their rows squared.

    Of a generalised model the model's own is from the observed information of all parameters, and
    the robust ones are ``I^-1 sum_c s_c s_c' I^-1`` with it and with the scores s_c of the clusters
    in all parameters (White 1982), those of the criterion of the fit: Laplace's approximation or
    quadrature.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> m.vcov().round(2)
               Intercept  Days
    Intercept      46.57 -1.45
    Days           -1.45  2.39
    >>> m.vcov(kind="CR0").round(2)
               Intercept  Days
    Intercept      43.99 -1.37
    Days           -1.37  2.26
    """
    name = kind.upper() if isinstance(kind, str) and kind.upper() in KINDS else kind
    if check_choice(name, ("model", *KINDS), "kind") != "model":
        names, method = list(model.design.fixed.names), method_of(model, name, cluster=cluster)
        return pd.DataFrame(method.covariance, index=names, columns=names)
    if cluster is not None:
        raise InvalidArgumentError("cluster: is for kind='CR0', 'CR1' or 'CR2'")
    return estimates.vcov(model)

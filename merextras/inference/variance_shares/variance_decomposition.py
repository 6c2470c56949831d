"""The variance of the response by source."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array, Rng
from merextras.inference.variance_shares.generalised import latent_bootstrap, latent_variances
from merextras.inference.variance_shares.variance_parts import Interval, VarianceParts
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.statsmodels.mixedlm import as_fitted

__all__ = ["variance_decomposition"]


def variance_decomposition(
    m: object,
    *,
    ci: str | float | None = None,
    n_sims: int = 1000,
    level: float = 0.95,
    rng: Rng = None,
) -> pd.DataFrame:
    """Divide the variance of the response: fixed part, each random term, residual.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    ci : {None, "bootstrap"} or float
        Intervals of the shares by a parametric bootstrap (percentiles).
    n_sims : int, default 1000
        Its replicates.
    level : float, default 0.95
    rng : int, numpy.random.Generator or None

    Returns
    -------
    DataFrame
        ``component group term variance share``, and ``conf_low conf_high`` of the share if they
        were asked for. `component` is ``"fixed"``, ``"random"`` or ``"residual"``; a row per
        random term, with its effects in `term`; variances are in squared units of the response,
        shares sum to one. Of a model of `glmer` variances are of the linear predictor, and
        ``"distribution"`` takes the residual's place.

    Raises
    ------
    InvalidArgumentError
        Another `ci`, `n_sims`, `level` or `rng`.
    UnsupportedModelError
        ``ci="bootstrap"`` of a model with frequency weights; an inverse link.

    See Also
    --------
    merextras.r2 : Definitions, and sums of these shares.

    Notes
    -----
    What a distribution's variance is on the scale of the linear predictor is said in `r2`.

    R: ``insight::get_variance``; see `r2` for where it differs. Cost: as `r2`.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.variance_decomposition(m).round(3)
      component    group             term  variance  share
    0     fixed                             908.953  0.279
    1    random  Subject  Intercept, Days  1698.071  0.521
    2  residual                             654.941  0.201
    """
    model, interval = as_fitted(m, generalised=True), Interval.of(ci, n_sims, level, rng)
    terms, last = model.design.terms, "residual"
    names = [str(i) for i in range(len(terms) + 2)]
    if isinstance(model, FittedGlmm):
        variances, last = latent_variances(model).parts, "distribution"
        boot = latent_bootstrap(model, variances, names, _shares, interval)
    else:
        parts = VarianceParts.of(model)
        variances, boot = parts.at(model), interval.bootstrap(model, parts, names, _shares)
    columns = {
        "component": ["fixed", *("random" for _ in terms), last],
        "group": ["", *(term.factor for term in terms), ""],
        "term": ["", *(", ".join(term.names) for term in terms), ""],
        "variance": variances,
        "share": _shares(variances[None])[0],
    }
    frame = pd.DataFrame(columns)
    if boot is None:
        return frame
    limits = boot.confint(interval.level)
    return frame.assign(
        conf_low=limits["conf_low"].to_numpy(), conf_high=limits["conf_high"].to_numpy()
    )


def _shares(parts: Array) -> Array:
    return np.asarray(parts / np.sum(parts, axis=1)[:, None])

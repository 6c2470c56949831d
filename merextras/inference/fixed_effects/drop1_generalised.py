"""Single term deletions from the fixed part of a generalised model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import UnsupportedModelError
from merextras.inference.fixed_effects.drop1 import chosen_test, deletions, in_scope
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.refit import with_design


def drop1(
    model: FittedGlmm,
    *,
    test: str | None = "default",
    ddf: str | None = None,
    cluster: Any = None,
    scope: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Leave out each term of the fixed part in turn, lme4's ``drop1``.

    Parameters
    ----------
    test : {"chisq", None}, optional
        Likelihood ratio tests and AIC, or AIC alone. F tests are for linear models.
    ddf : None or "asymptotic"
        Other degrees of freedom are defined for linear models alone.
    cluster : None
        Likelihoods are compared, of which no standard error is robust; ``m.anova(ddf="CR1")`` has
        Wald tests that are.
    scope : sequence of str, optional
        Labels of the terms; by default all that no other term contains.

    Returns
    -------
    DataFrame
        ``df aic statistic p_value`` or ``df aic`` by term, with the model itself first as
        ``<none>``.

    Raises
    ------
    InvalidArgumentError
        An unknown `test` or term, or a term that another contains.
    UnsupportedModelError
        F tests.

    Warns
    -----
    ConvergenceWarning
        A smaller model's fit did not end at an optimum.

    Notes
    -----
    ``statistic`` is the difference in deviance by the fit's own approximation (Laplace's or
    quadrature), ``df`` that in rank. R: ``drop1(m, test = "Chisq")`` of lme4 and glmmTMB. Cost: a
    fit per term.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> m.drop1().round(4)
                df       aic  statistic  p_value
    <none>     NaN  194.0526        NaN      NaN
    C(period)  3.0  213.6626    25.6101      0.0
    """
    _check_likelihood(ddf, cluster)
    chosen = chosen_test(test, None)
    if chosen == "f":
        raise UnsupportedModelError(
            f"drop1: test={test!r}: F tests are for linear models; test='chisq' is by likelihood, "
            "m.anova() has Wald tests"
        )
    effects = model.design.effects(as_written=True)
    wanted = in_scope(effects, scope)
    rows = [(np.nan, model.n_parameters, model._deviance())]
    for effect in wanted:
        x = effects.spanned([e for e in effects.effects if e is not effect])
        lost = len(model.design.fixed.names) - x.shape[1]
        small = model
        if lost:
            what = f"drop1: without {effect.label}"
            small = with_design(model, model.design.with_fixed_columns(x), what)
        rows.append((lost, model.n_parameters - lost, small._deviance()))
    return deletions(wanted, rows, test=chosen == "chisq")


def _check_likelihood(ddf: str | None, cluster: Any) -> None:
    """Refuse degrees of freedom and clusters, which likelihoods have no use for."""
    if ddf not in {None, "asymptotic"} or cluster is not None:
        raise UnsupportedModelError(
            f"drop1: ddf={ddf!r}, cluster: terms are tested by the likelihoods of fits without "
            "them, ddf=None; m.anova(ddf='CR1', cluster=...) has Wald tests with cluster-robust "
            "standard errors, degrees of freedom are defined for linear models alone"
        )

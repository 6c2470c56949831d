"""Checks that a design can be fitted and its variances identified, as lme4 makes them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from merextras._typing import Array
from merextras.exceptions import ApproximationWarning, InvalidArgumentError
from merextras.model.design import Design, Term

# Predictors whose standard deviations differ by more than this slow any optimiser's user down.
_SCALES = 1e5


def check_design(design: Design, n_observations: int) -> None:
    """Raise what makes the fit impossible, warn of what makes it doubtful.

    Raises
    ------
    InvalidArgumentError
        A grouping factor with one level; as many levels, or random effects of a term, as
        observations; no more observations than fixed effects.
    """
    for term in design.terms:
        _check_levels(term, n_observations)
    p = design.x.shape[1]
    if n_observations <= p:
        raise InvalidArgumentError(
            f"data: {n_observations} observations are too few for {p} fixed effects"
        )
    _check_scales(design.x, design.fixed.names)


def _check_levels(term: Term, n: int) -> None:
    bar = f"({' + '.join(term.names)} | {term.factor})"
    levels = len(term.levels)
    if levels < 2:
        raise InvalidArgumentError(
            f"formula: the grouping factor {term.factor!r} of {bar} has one level "
            f"({str(term.levels[0])!r}) in the rows that are used; a variance between levels needs "
            "at least two"
        )
    if levels >= n:
        raise InvalidArgumentError(
            f"formula: the grouping factor {term.factor!r} of {bar} has {levels} levels for {n} "
            "observations; its variance can't be told from the residual's"
        )
    if term.rows.q >= n:
        raise InvalidArgumentError(
            f"formula: {bar} has {term.rows.q} random effects for {n} observations; their "
            f"covariance can't be told from the residual variance. Write (1 | {term.factor}), or "
            f"({' + '.join(term.names)} || {term.factor})"
        )


def _check_scales(x: Array, names: Sequence[str]) -> None:
    sd = x.std(axis=0)
    varying = np.flatnonzero(sd > 0)
    if len(varying) < 2:
        return
    low, high = varying[np.argmin(sd[varying])], varying[np.argmax(sd[varying])]
    if sd[high] > _SCALES * sd[low]:
        warnings.warn(
            f"predictors on very different scales: {names[high]!r} has standard deviation "
            f"{sd[high]:.3g}, {names[low]!r} {sd[low]:.3g}; the fit copes, but consider rescaling "
            "for readable coefficients",
            ApproximationWarning,
            stacklevel=5,
        )

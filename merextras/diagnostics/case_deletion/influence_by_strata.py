"""Estimates without each group or observation, where residual variances differ by group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from merextras.accessors.estimates import group_sigmas
from merextras.accessors.parameters import (
    covariance_names,
    parameters_of,
    residual_names,
)
from merextras.engine.deletion.estimates import Estimates, Refits, measured
from merextras.engine.deletion.one_by_one import displacement_of
from merextras.engine.deletion.tables import Deletions, Whole
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.jobs import in_order
from merextras.model.fit.part_of_rows import fit_to_part
from merextras.model.state.fitted import FittedModel
from merextras.results.estimates.influence import Influence

# Refits in a process before it reports, and how many take long enough for a progress bar.
_FEW, _LONG = 16, 300


@dataclass(frozen=True)
class _One:
    """One refit: its measures, its parameters (SD scale), its theta; or why there is none."""

    refits: Refits
    parameters: Array
    theta: Array
    reason: str = ""


def influence_by_strata(
    model: FittedModel,
    whole: Whole,
    deletions: Deletions,
    name: str,
    levels: pd.Index,
    n_deleted: Array,
    n_jobs: int,
) -> Influence:
    """Refit the model without each deletion, all residual variances too, one after the other.

    A group of which nothing is left has no residual standard deviation, and is NaN.
    """
    every = np.arange(deletions.m)
    parts = [every[at : at + _FEW] for at in range(0, len(every), _FEW)]
    found: Iterable[list[_One]] = (_some(model, whole, deletions, part) for part in parts)
    if n_jobs != 1 and len(parts) > 1:
        work = (delayed(_some)(model, whole, deletions, part) for part in parts)
        found = in_order(work, n_jobs)
    ones: list[_One] = []
    with tqdm(
        total=len(every), desc="influence", unit="refits",
        disable=None if len(every) > _LONG else True,
    ) as bar:  # fmt: skip
        for part, result in zip(parts, found, strict=True):
            ones += result
            bar.update(len(part))
    refits = Refits.stacked([one.refits for one in ones])
    solution = model.solution
    return Influence(
        group=name,
        levels=levels,
        names=tuple(model.design.fixed.names),
        parameter_names=(*covariance_names(model), *residual_names(model)),
        beta=solution.beta,
        vcov=model.fixed_covariance,
        parameters=parameters_of(model)[: len(ones[0].parameters)],
        theta=model.theta,
        betas=refits.beta,
        std_errors=refits.std_error,
        parameter_values=np.array([one.parameters for one in ones]),
        thetas=np.array([one.theta for one in ones]),
        cov_ratio=refits.cov_ratio,
        cov_trace=refits.cov_trace,
        displacement=refits.displacement,
        n_deleted=n_deleted,
        method="full",
        reml=solution.reml,
        reasons={i: one.reason for i, one in enumerate(ones) if one.reason},
        whitening=solution.whitening(),
    )


def _some(model: FittedModel, whole: Whole, deletions: Deletions, which: IntArray) -> list[_One]:
    return [_one(model, whole, deletions, int(g)) for g in which]


def _one(model: FittedModel, whole: Whole, deletions: Deletions, g: int) -> _One:
    rows, _ = deletions.rows_of(np.array([g]))
    left = whole.rows.observations.copy()
    left[rows] -= np.where(left[rows] > 0.0, deletions.taken[rows], 0.0)
    p, n_theta = model.solution.p, len(model.theta)
    n_parameters = n_theta + len(group_sigmas(model))
    found: object = "too few observations are left for the fixed effects"
    if float(np.sum(left)) > p:
        found = fit_to_part(model, left, keep_levels=False)
    if isinstance(found, str):
        none = Refits.missing(n_theta, p, 1, {})
        return _One(none, np.full(n_parameters, np.nan), np.full(n_theta, np.nan), found)
    assert isinstance(found, tuple)
    fit, groups = found
    new = FittedModel(fit)
    own = parameters_of(new)
    sigmas = np.full(len(groups), np.nan)
    sigmas[groups >= 0] = group_sigmas(new)[groups[groups >= 0]]
    covariance = new.fixed_covariance
    # Where all groups are left the parameters are those of the whole's criterion.
    v = np.full(len(whole.theta), np.nan)
    if np.all(groups >= 0):
        v = whole.criterion.from_user(new.criterion.to_user(new.point.theta))
    sigma2 = np.array([new.solution.sigma2])
    estimates = Estimates(v[None], new.solution.beta[None], sigma2, covariance[None])
    moved = displacement_of(whole, estimates) if np.all(np.isfinite(v)) else np.full(1, np.nan)
    refits = measured(whole.solution, estimates, moved)
    return _One(refits, np.concatenate([own[:n_theta], sigmas]), new.theta)

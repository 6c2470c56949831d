"""Estimates of a generalised model without each group or observation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from joblib import delayed
from tqdm import tqdm

from merextras.accessors.parameters import (
    covariance_names,
    parameters_at_point,
    parameters_of,
    residual_names,
)
from merextras.diagnostics.case_deletion.influence import METHODS, row_groups
from merextras.engine.deletion.estimates import Estimates, Refits, against
from merextras.engine.deletion.tables import NO_STEP
from merextras.engine.generalised.criterion.laplace import Laplace, LaplacePoint
from merextras.engine.generalised.searches.optimum import POSITIVE
from merextras.engine.generalised.searches.steps import inverse, least_eigenvalue, newton_step
from merextras.engine.kernels import dense
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.arguments import check_choice, check_jobs
from merextras.foundation.jobs import in_order
from merextras.model.generalised.fit import criterion_of
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.other_rows import (
    fit_part,
    part_of_model,
    request_of,
    translated,
)
from merextras.model.generalised.separated import warn_without_maximum
from merextras.results.estimates.influence import Influence

# Refits in a process before it reports, and how many take long enough for a progress bar.
_FEW, _LONG = 16, 300
# A step of differences of the parameters' map, relative to their size, and the change of its slope
# that is a kink.
_STEP, _KINK = 1e-6, 1e-3


def influence(
    model: FittedGlmm, groups: Any = None, *, method: str = "full", n_jobs: int = 1
) -> Influence:
    """Fit the model without each group, or each observation, lme4's ``influence``.

    Parameters
    ----------
    groups : str, Series or (n,) array, optional
        What is deleted together, as for a linear model: the levels of a grouping factor, of a
        variable of the model or several (``"a:b"``), or of labels by array. By default each row,
        with all of its trials.
    method : {"full", "one-step"}
        Find the optimum of each refit, or take one Newton step from the estimates of all data, with
        the exact gradient of the rows that are left and the Hessian of all, less what the deleted
        rows tell of the fixed effects. A step is off by what is of second order in the change, and
        variances and correlations at a bound are held there.
    n_jobs : int
        Processes (joblib); -1 for all cores. The result does not depend on it.

    Returns
    -------
    Influence
        As for a linear model; the parameters are standard deviations, correlations and, where the
        family has one, ``dispersion``. A deletion after which the model can't be fitted (a fixed
        effect that only this group tells, a factor with one level left, a response without
        variation, separation) has NaN and its reason.

    Raises
    ------
    InvalidArgumentError
        An unknown factor or method, labels of another length or index, or missing ones.

    Notes
    -----
    R: ``lme4::influence(m, groups)``, which fits ``glmer`` with its default precision; its Cook's
    distances are (m - p) / m times ours, see `Influence.cooks_distance`. Standard errors are from
    the observed information without the group; ``displacement`` is twice the log-likelihood that
    all data lose at the estimates without it.

    **Cost**: a fit from the estimates of all data for each deletion, some milliseconds for
    thousands of rows; a step is about two evaluations with one gradient.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> m.influence("herd").cooks_distance().nlargest(2).round(2).to_dict()
    {11: 0.43, 1: 0.34}
    """
    method, n_jobs = check_choice(method, METHODS, "method"), check_jobs(n_jobs)
    warn_without_maximum(model, "influence", stacklevel=3)
    codes, levels, name = row_groups(model.design, groups)
    without = _Without(model, codes, method == "full")
    every = np.arange(len(levels))
    parts = [every[at : at + _FEW] for at in range(0, len(every), _FEW)]
    ones = _all(without, parts, n_jobs)
    found = Refits.stacked([one.refits for one in ones])
    n = len(without.names)
    return Influence(
        group=name,
        levels=levels,
        names=tuple(model.design.fixed.names),
        parameter_names=without.names,
        beta=model.fixed_estimates,
        vcov=model.fixed_covariance,
        parameters=parameters_of(model)[:n],
        theta=model.theta,
        betas=found.beta,
        std_errors=found.std_error,
        parameter_values=np.array([one.parameters for one in ones]).reshape(-1, n),
        thetas=found.theta,
        cov_ratio=found.cov_ratio,
        cov_trace=found.cov_trace,
        displacement=found.displacement,
        n_deleted=np.bincount(codes, minlength=len(levels)).astype(float),
        method=method,
        reml=False,
        reasons=found.reasons,
        known_sigma=1.0,
    )


@dataclass(frozen=True)
class _One:
    """One refit: its measures, its theta among them, and its parameters (SD scale)."""

    refits: Refits
    parameters: Array


def _all(without: _Without, parts: list[IntArray], n_jobs: int) -> list[_One]:
    found: Iterable[list[_One]] = (without.some(part) for part in parts)
    if n_jobs != 1 and len(parts) > 1:
        found = in_order((delayed(without.some)(part) for part in parts), n_jobs)
    total, ones = sum(len(part) for part in parts), []
    disable = None if total > _LONG else True
    with tqdm(total=total, desc="influence", unit="refits", disable=disable) as bar:
        for part, result in zip(parts, found, strict=True):
            ones += result
            bar.update(len(part))
    return ones


@dataclass(frozen=True, eq=False)
class _Without:
    """The model without the rows of one of several groups."""

    model: FittedGlmm
    codes: IntArray
    full: bool

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of the parameters beside the fixed effects."""
        return (*covariance_names(self.model), *residual_names(self.model))

    def some(self, which: IntArray) -> list[_One]:
        """Several deletions, one after the other."""
        return [self.one(int(g)) for g in which]

    def one(self, g: int) -> _One:
        """The estimates without group g."""
        model = self.model
        made = self._refit(g)
        if isinstance(made, str):
            p, n = len(model.fixed_estimates), len(self.names)
            none = Refits.missing(len(model.theta), p, 1, {0: made})
            return _One(none, np.full(n, np.nan))
        point, covariance = made
        criterion = point.criterion
        theta, beta, _ = criterion.split(point.x)
        estimates = Estimates(
            criterion.user_theta(theta)[None],
            criterion.beta_of(beta)[None],
            np.ones(1),
            covariance[None],
        )
        moved = np.full(1, np.nan)
        if self.full:
            there = model.laplace.criterion.at(translated(point, model.laplace.criterion))
            moved[0] = there.deviance() - model.laplace.deviance()
        found = against(model.fixed_covariance, estimates, moved)
        return _One(found, parameters_at_point(model, point)[: len(self.names)])

    def _refit(self, g: int) -> tuple[LaplacePoint, Array] | str:
        """The point of the rows that are left, with the covariance of beta; or why not."""
        model, rows = self.model, np.flatnonzero(self.codes != g)
        if self.full:
            refitted = fit_part(model, rows)
            if isinstance(refitted, str):
                return refitted
            return refitted.laplace, refitted.fixed_covariance
        made = part_of_model(model, rows)
        if isinstance(made, str):
            return made
        criterion = criterion_of(*made, request_of(model))
        return _stepped(model, criterion, translated(model.laplace, criterion))


def _stepped(model: FittedGlmm, criterion: Laplace, x: Array) -> tuple[LaplacePoint, Array] | str:
    """One Newton step from the estimate of all rows."""
    with np.errstate(all="ignore"):
        point = criterion.at(x)
        if not np.isfinite(point.deviance()):
            return NO_STEP
        found = _hessian(model, point)
        if found is None:
            return NO_STEP
        hessian, free = found
        gradient = np.where(free, point.gradient(), 0.0)
        step = newton_step(hessian, gradient, free)[0]
        after = criterion.at(x + step, point)
    if not np.isfinite(after.deviance()):
        return NO_STEP
    where = np.flatnonzero(free)
    whole = np.zeros((len(x), len(x)))
    whole[np.ix_(where, where)] = 2.0 * inverse(hessian[np.ix_(where, where)])
    beta, transform = _places(criterion), criterion.table.transform
    return after, np.asarray(transform @ whole[beta, beta] @ transform.T)


def _places(criterion: Laplace) -> slice:
    n = criterion.covariances.n
    return slice(n, n + criterion.table.p)


def _hessian(model: FittedGlmm, point: LaplacePoint) -> tuple[Array, BoolArray] | None:
    """That of all rows in a criterion's coordinates, less what the deleted rows tell of beta.

    And the parameters that move: elements of theta at a boundary, where the coordinates have a
    kink, are held there.
    """
    old, new = model.laplace.criterion, point.criterion
    n, beta, theta = new.covariances.n, _places(new), point.x[: new.covariances.n]
    jacobian, moving = np.eye(len(point.x)), model.optimum.free.copy()
    jacobian[beta, beta] = dense.divided(old.table.transform, new.table.transform)
    here = old.own_theta(new.user_theta(theta))
    for i in range(n):
        move = np.zeros(n)
        move[i] = _STEP * max(1.0, abs(theta[i]))
        up, down = (old.own_theta(new.user_theta(theta + k * move)) - here for k in (1.0, -1.0))
        if np.max(np.abs(up + down)) < _KINK * np.max(np.abs(up)):
            jacobian[:n, i] = (up - down) / (2.0 * move[i])
        else:
            moving[i] = False
    whole = jacobian.T @ model.optimum.hessian @ jacobian
    change = jacobian[beta, beta]
    lost = change.T @ model.laplace.fixed_information() @ change - point.fixed_information()
    out = whole.copy()
    out[beta, beta] -= 2.0 * lost
    free = np.flatnonzero(moving)
    for found in (out, whole):
        if least_eigenvalue(found[np.ix_(free, free)]) > POSITIVE:
            return np.asarray(found), moving
    return None

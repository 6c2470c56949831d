"""Estimates without each group or observation: which of them the results hang on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from tqdm import tqdm

from merextras.accessors.parameters import parameter_names, parameters
from merextras.diagnostics.case_deletion.influence_by_strata import influence_by_strata
from merextras.engine.deletion.estimates import Refits
from merextras.engine.deletion.refitter import Refitter
from merextras.engine.deletion.tables import Deletions, Rows, Whole, counted
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import check_choice, check_jobs, one_of
from merextras.foundation.jobs import in_order
from merextras.model.columns.levels import grouping
from merextras.model.design.design import Design
from merextras.model.design.user_rows import expected, rows_of_fit
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import refit_start
from merextras.model.state.one_sigma import require_one_sigma
from merextras.results.estimates.influence import Influence

__all__ = ["dfbeta", "dfbetas", "influence"]

METHODS = ("full", "one-step")
# What takes two or three seconds; less needs no progress bar.
_LONG = 5e7


def influence(
    model: FittedModel,
    groups: Any = None,
    *,
    method: str = "full",
    n_jobs: int = 1,
) -> Influence:
    r"""Fit the model without each group, or each observation, lme4's ``influence``.

    Parameters
    ----------
    groups : str, Series or (n,) array, optional
        What is deleted together: the levels of a grouping factor of the model (``"school"``,
        ``"class:school"``), of a variable of the model or several (``"a:b"``), or of labels by
        array, as a column of the data that the model does not use (a Series is aligned by its
        index). By default each observation.
    method : {"full", "one-step"}
        Find the optimum of each refit by the model's own criterion, or take one Newton step from
        the theta of the fit to all data; sigma, the fixed effects and their standard errors follow
        to first order. A step's error is of second order in what the deletion changes: it finds
        the groups to look at. Where the rest of the data have less than half of the curvature of
        all, half is taken.
    n_jobs : int
        Processes (joblib); -1 for all cores. The result does not depend on it.

    Returns
    -------
    Influence
        `fixef`, `var_corr`, `change` by deleted level; `cooks_distance`, `dfbeta`, `dfbetas`,
        `measures`, `to_frame`; `merextras.plot_influence` draws it. A deletion after which the
        model can't be fitted (a fixed effect that only this group tells, a factor with one level
        left, fewer rows than fixed effects) has NaN and its reason.

    Raises
    ------
    InvalidArgumentError
        An unknown factor or method, labels of another length or index, or missing ones.

    See Also
    --------
    MerMod.cooks_distance : By leverages, without a refit, of single rows.

    Notes
    -----
    R: ``lme4::influence(m, groups)``. There a refit is a call of the optimiser at its default
    precision, some 1e-4 of theta short of the optimum; cases are of a model frame only. lme4's
    Cook's distances are (m - p) / m times ours, see `Influence.cooks_distance`.

    Cross-products are sums over rows: those of the rows that are left are the whole's less the
    group's, and are made again from the rows only where that would cancel digits. A group that is
    deleted in its own factor leaves it; in other factors, crossed or nested, the levels lose the
    rows that the group had of them. A row with a frequency loses one of its observations; rows of
    weight zero are none, and deleting them changes nothing. An offset stays.

    Cost, for m deletions and J levels of k effects: where the terms share one factor all refits
    are optimised together, each at its own theta, in O(m J k**2 p**2) (160 schools of 7185 pupils
    take 0.1 s, all pupils 2 s), and one step needs only the levels that lose rows, O((n + J) k**2
    p**2) in all: 50 000 groups take seconds. Other models are fitted one by one from the full
    fit's theta, some four factorisations each, two for one step. With residual variances by
    group each refit reads the rows, and there is no one step.

    References
    ----------
    Christensen, R., Pearson, L. M. and Johnson, W. (1992). Case-deletion diagnostics for mixed
    models. *Technometrics* 34, 38-45. Zewotir, T. and Galpin, J. S. (2005). Influence diagnostics
    for linear mixed models. *J. Data Sci.* 3, 153-177. Loy, A. and Hofmann, H. (2014). HLMdiag.
    *J. Stat. Softw.* 56(5).

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> subjects = m.influence("Subject")
    >>> subjects.cooks_distance().nlargest(2).round(3).to_dict()
    {309: 0.149, 335: 0.129}
    >>> subjects.change.loc[308].round(1).to_dict()
    {'sd_Intercept|Subject': 6.5, 'sd_Days|Subject': -6.8, 'sigma': -7.6}
    """
    method = check_choice(method, METHODS, "method")
    n_jobs = check_jobs(n_jobs)
    table = table_of(model)
    model.design.require_rows(
        "influence",
        "what is deleted has X'WX and y'Wy of its own, which are kept of all rows together only",
    )
    codes, levels, name = row_groups(model.design, groups)
    taken = table.frequencies if groups is not None else np.minimum(table.frequencies, 1.0)
    whole = Whole(model.point, table, refit_start(model), model.control.engine)
    deletions = Deletions(codes, taken, len(levels))
    if model.design.residual is not None:
        if method != "full":
            require_one_sigma(
                model, "method='one-step'", "a step is taken in theta alone", "take method='full'"
            )
        seen = np.where(table.precision > 0.0, taken, 0.0)
        sizes = counted(codes, seen, len(levels))
        return influence_by_strata(model, whole, deletions, name, levels, sizes, n_jobs)
    found = _all(Refitter(whole, deletions, method == "full"), n_jobs)
    seen = np.where(table.precision > 0.0, taken, 0.0)
    sizes = counted(codes, seen, len(levels))
    return _result(model, found, name, levels, sizes, method)


def dfbeta(influence: Influence) -> pd.DataFrame:
    """Change of each fixed effect by deletion, lme4's ``dfbeta``: `Influence.dfbeta`."""
    return _as_influence(influence).dfbeta()


def dfbetas(influence: Influence) -> pd.DataFrame:
    """Change over the standard error without the group, lme4's ``dfbetas``: `Influence.dfbetas`."""
    return _as_influence(influence).dfbetas()


def _as_influence(influence: object) -> Influence:
    if not isinstance(influence, Influence):
        raise InvalidArgumentError(
            f"influence: expected what m.influence() returned, got {type(influence).__name__}"
        )
    return influence


def table_of(model: FittedModel) -> Rows:
    """The rows that a model was fitted to."""
    design = model.design
    one = np.ones(design.n)
    return Rows(
        design.x,
        design.y if design.offset is None else design.y - design.offset,
        tuple(term.rows for term in design.terms),
        one if design.precision is None else design.precision,
        one if design.frequencies is None else design.frequencies,
    )


def row_groups(
    design: Design, groups: Any, *, argument: str = "groups"
) -> tuple[IntArray, pd.Index, str]:
    """The deletion of each row, the deletions' labels, and what they are.

    Messages speak of `argument`.
    """
    if groups is None:
        return np.arange(design.n), design.index, "case"
    if not isinstance(groups, str):
        return _given(design, groups, argument)
    for term in design.terms:
        if term.factor == groups:
            used, codes = np.unique(term.rows.codes, return_inverse=True)
            return codes.reshape(-1), pd.Index(term.levels[used]), groups
    columns = [str(c) for c in design.frame.columns]
    parts = [groups] if groups in columns else groups.split(":")
    if any(part not in columns for part in parts):
        allowed = list(dict.fromkeys([*design.factors, *columns]))
        raise InvalidArgumentError(
            f"{argument}={groups!r}: neither a factor nor a variable of the model (of others give "
            f"the column itself); {one_of(groups, allowed)}"
        )
    levels, codes = grouping(design.frame, parts)
    return codes, levels, groups


def _given(design: Design, groups: Any, argument: str) -> tuple[IntArray, pd.Index, str]:
    """Labels of the rows by array, or by a Series that is aligned by its index."""
    groups = rows_of_fit(groups, design.index, design.user_rows, argument, wider=True)
    name = getattr(groups, "name", None)
    labels = pd.Series(groups, dtype=None if hasattr(groups, "dtype") else object)
    if len(labels) != design.n or labels.isna().any():
        raise InvalidArgumentError(
            f"{argument}: expected the name of a factor, or "
            f"{expected(design.index, design.user_rows, 'labels without missing ones')}; got "
            f"{len(labels)} with {int(labels.isna().sum())} missing"
        )
    levels, codes = grouping(labels.to_frame("group"), ["group"])
    return codes, levels, "group" if name is None else str(name)


def _all(refitter: Refitter, n_jobs: int) -> Refits:
    """All deletions, block by block."""
    parts = refitter.parts()
    found: Iterable[Refits] = (refitter.refit(part) for part in parts)
    if n_jobs != 1 and len(parts) > 1:
        work = (delayed(refitter.refit)(part) for part in parts)
        found = in_order(work, n_jobs)
    out, disable = [], None if refitter.cost() > _LONG else True
    total = refitter.deletions.m
    with tqdm(total=total, desc="influence", unit="refits", disable=disable) as bar:
        for part, result in zip(parts, found, strict=True):
            out.append(result)
            bar.update(len(part))
    return Refits.stacked(out)


def _result(
    model: FittedModel, found: Refits, name: str, levels: pd.Index, sizes: Array, method: str
) -> Influence:
    solution = model.solution
    thetas = model.criterion.to_user(found.theta)
    own = parameters(model, model.theta[None], np.array([solution.sigma2]), np.empty((1, 0)))[0]
    return Influence(
        group=name,
        levels=levels,
        names=tuple(model.design.fixed.names),
        parameter_names=parameter_names(model)[: len(own)],
        beta=solution.beta,
        vcov=model.fixed_covariance,
        parameters=own,
        theta=model.theta,
        betas=found.beta,
        std_errors=found.std_error,
        parameter_values=parameters(model, thetas, found.sigma2, np.empty((len(found), 0))),
        thetas=thetas,
        cov_ratio=found.cov_ratio,
        cov_trace=found.cov_trace,
        displacement=found.displacement,
        n_deleted=sizes,
        method=method,
        reml=solution.reml,
        reasons=found.reasons,
        whitening=solution.whitening(),
        known_sigma=model.design.options.sigma,
    )

"""A model with residual variances by group fitted to a part of its rows.

Cross-products less those of some rows are cross-products, but which rows are in which group counts
here, and what is left of a group may be nothing: the strata are made again from the rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.design.design import RowDesign, Term
from merextras.model.settings.residual import ResidualBy
from merextras.model.state.fitted import Fit, FittedModel
from merextras.model.state.fitting import fit_at, fit_like, start_for_user


def fit_to_part(
    model: FittedModel, observations: Array, *, keep_levels: bool, held: bool = False
) -> tuple[Fit, IntArray] | str:
    """The model fitted to some of its observations, or why it can't be.

    Parameters
    ----------
    observations : (n,) array
        How many of each row are left.
    keep_levels : bool
        Whether levels without a row stay, with modes of zero.
    held : bool
        At the parameters of all rows, but for beta and sigma.

    Returns
    -------
    fit : Fit
    groups : (H,) integer array
        Where each group of the model's residual variances is among the fit's, -1 for none.
    """
    rows = np.flatnonzero(observations > 0.0)
    whole = model.design.require_rows("a part of the rows", "they are taken from the others")
    design, kept = _part(whole, rows, observations[rows], keep_levels)
    before = model.design.residual
    assert before is not None
    groups = np.full(len(before), -1, dtype=np.intp)
    groups[kept] = np.arange(len(kept))
    if any(np.count_nonzero(np.bincount(t.rows.codes)) < 2 for t in design.terms):
        return "a grouping factor has fewer than two levels left"
    log_omega = np.log(before.omega[kept])
    log_omega = log_omega - log_omega[0]
    user = start_for_user(model)
    theta = model.criterion.parameters.theta(user)
    try:
        if held:
            assert design.residual is not None
            design = design.with_residual(replace(design.residual, log_omega=log_omega))
            return fit_at(design, model.theta, reml=model.solution.reml), groups
        fit = fit_like(model, design, theta=np.concatenate([theta, log_omega[1:]]))
    except (InvalidArgumentError, np.linalg.LinAlgError) as err:
        return str(err)
    if fit.opt is not None and not fit.opt.converged:
        return "not converged"
    return fit, groups


def _part(
    design: RowDesign, rows: IntArray, observations: Array, keep_levels: bool
) -> tuple[RowDesign, IntArray]:
    """The design of some rows, and which of its groups are left."""
    assert design.residual is not None
    assert design.residual.codes is not None
    kept, codes = np.unique(design.residual.codes[rows], return_inverse=True)
    residual = ResidualBy.of_frame(design.frame.iloc[rows], design.residual.columns)
    residual = replace(residual, codes=codes.reshape(-1))
    made = part_of(design, rows, keep_levels=keep_levels)
    frequencies = None if design.frequencies is None else observations
    return replace(made, frequencies=frequencies, residual=residual), kept


def part_of(design: RowDesign, rows: IntArray, *, keep_levels: bool) -> RowDesign:
    """The design of some rows, but for residual variances by group."""
    return replace(
        design,
        y=design.y[rows],
        x=design.x[rows],
        terms=tuple(_term(term, rows, keep_levels) for term in design.terms),
        index=design.index[rows],
        frame=design.frame.iloc[rows],
        weights=None if design.weights is None else design.weights[rows],
        offset=None if design.offset is None else design.offset[rows],
        frequencies=None if design.frequencies is None else design.frequencies[rows],
        options=design.options.at(rows),
        user_rows=None,
    )


def _term(term: Term, rows: IntArray, keep_levels: bool) -> Term:
    codes, values = term.rows.codes[rows], term.rows.values[rows]
    if keep_levels:
        return replace(term, rows=TermRows(codes, values, term.rows.n_levels))
    there, codes = np.unique(codes, return_inverse=True)
    own = TermRows(codes.reshape(-1).astype(np.intp), values, len(there))
    return replace(term, levels=term.levels[there], rows=own)

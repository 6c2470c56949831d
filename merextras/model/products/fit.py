"""A fit from the cross-products of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from merextras.engine.products.accumulate import combined, qr_factor
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_choice
from merextras.model.design.rank import dependent_columns, without_columns
from merextras.model.design.rowless import RowlessDesign
from merextras.model.design.sanity import (
    check_effects,
    check_factors,
    check_levels,
    check_response,
    check_scales,
    check_size,
    check_twice,
)
from merextras.model.products.products import ModelProducts
from merextras.model.settings.cov_prior import check_cov_prior
from merextras.model.source.reduce import check_memory
from merextras.model.state.control import LmerControl
from merextras.model.state.fitted import Fit
from merextras.model.state.fitting import fit_design
from merextras.model.state.identified import check_told_apart


def fit_products(
    made: ModelProducts,
    *,
    reml: bool,
    control: LmerControl | None,
    stacklevel: int,
    cov_prior: Any = None,
) -> Fit:
    """Check a design without rows and find its optimum.

    Warnings point `stacklevel` calls above this function, 1 being who called it.
    """
    control = LmerControl() if control is None else control
    if not isinstance(control, LmerControl):
        raise InvalidArgumentError(f"control={control!r}: expected an LmerControl")
    if not isinstance(reml, bool):
        raise InvalidArgumentError(f"reml={reml!r}: True (REML) or False (maximum likelihood)")
    design, kept = design_of(made, control, cov_prior=cov_prior, stacklevel=stacklevel + 1)
    products = design.products
    design.check_cov_prior()
    if control.check:
        _check(made, design, kept, stacklevel + 1)
    theta = control.start_for(design.covariances.n)
    fit = fit_design(design, reml=reml, theta=theta, control=control.engine, products=products)
    if not np.all(np.isfinite([fit.solution.deviance(), *fit.solution.beta])):
        raise InvalidArgumentError(
            "products: they have no fit; no table has such cross-products, or its numbers are too "
            "large: change the unit of the response or of a predictor"
        )
    factor = fit.solution.factor
    check_told_apart(
        design.terms, factor.system.cp, factor.lams, fit.opt,
        refuse=control.check, stacklevel=stacklevel + 1,
    )  # fmt: skip
    return replace(fit, control=control, n_dropped=made.n_dropped)


def design_of(
    made: ModelProducts, control: LmerControl, *, cov_prior: Any = None, stacklevel: int
) -> tuple[RowlessDesign, list[int]]:
    """The design of full rank, and which of the columns of X it has.

    Raises
    ------
    TooLargeError
        What the fit keeps does not fit in memory.
    InvalidArgumentError
        Another engine than patsy.
    """
    check_choice(control.formula_engine, ("patsy",), "source: control.formula_engine")
    check_memory(made.structure, made.n)
    facts, fixed, products = made.facts, made.structure.fixed, made.products
    kept, strata = list(range(len(fixed.names))), made.strata
    found = dependent_columns(facts.x, fixed.column_order())
    if found:
        kept = [i for i in kept if i not in found]
        fixed = without_columns(fixed, found, control.rank_deficient, stacklevel=stacklevel + 1)
        chosen = np.eye(len(made.facts.ones))[:, kept]
        products = combined(products, chosen, made.rows)
        strata = None if strata is None else strata.combined(chosen, made.rows)
    design = RowlessDesign(
        made.structure,
        fixed,
        products,
        facts=facts,
        rows=qr_factor(made.rows[:, [*kept, -1]]),
        seen=made.seen,
        strata=strata,
        cov_prior=check_cov_prior(cov_prior),
    )
    return design, kept


def _check(
    made: ModelProducts, design: RowlessDesign, kept: Sequence[int], stacklevel: int
) -> None:
    """What `check_design` does, from the facts that were kept of the rows."""
    facts, n = made.facts, made.n
    known = made.products.scale.is_known
    if not known:
        check_response(np.array([facts.low, facts.high]))
    for term, seen, values in zip(design.terms, made.seen, facts.effects, strict=True):
        check_levels(term, int(np.count_nonzero(seen)), n, known=known)
        check_effects(term, values)
    check_twice(design.terms)
    check_factors(made.structure.fixed)
    check_size(n, len(kept))
    sd = np.sqrt(facts.squares[list(kept)] / max(facts.n, 1))
    check_scales(sd, design.fixed.names, stacklevel + 1)

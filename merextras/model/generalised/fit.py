"""From a formula, a frame and a family to the optimum; `glmer` has who calls it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from merextras.engine.elimination.plan import Plan
from merextras.engine.generalised.criterion.laplace import Laplace
from merextras.engine.generalised.criterion.quadrature import (
    MOST_EFFECTS,
    MOST_NODES,
    Quadrature,
    one_factor,
)
from merextras.engine.generalised.rows.cells import joined
from merextras.engine.generalised.rows.table import Announce, Table
from merextras.engine.generalised.searches.search import GlmmControl, optimise
from merextras.engine.generalised.searches.start import starts
from merextras.engine.products.crossprod import CrossProducts
from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    SingularFitWarning,
    UnsupportedModelError,
)
from merextras.foundation.aliases import Array
from merextras.model.design.build import build_design, response_later
from merextras.model.design.design import RowDesign, Term
from merextras.model.design.rank import full_rank
from merextras.model.design.sanity import (
    bar_of,
    check_effects,
    check_factors,
    check_levels,
    check_scales,
    check_size,
    check_twice,
    spreads,
)
from merextras.model.formula.parse import parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.generalised.families import FamilyChoice, read_family
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.response import Response, read_response
from merextras.model.generalised.separated import without_maximum
from merextras.model.generalised.whole_fit import GlmmFit
from merextras.model.settings.options import Options
from merextras.model.state.control import LmerControl
from merextras.model.state.fitted import Origin, is_singular
from merextras.model.state.identified import check_told_apart
from merextras.model.state.size import warn_of_size

# A dispersion over what the response varies that is nothing, and one that is if no search ends.
_NOTHING, _HARDLY = 1e-16, 1e-12


@dataclass(frozen=True)
class Request:
    """What is fitted besides the data: `glmer`'s arguments after they were checked."""

    choice: FamilyChoice
    control: LmerControl
    n_agq: int = 1


def read_request(
    family: object, dispersion: object, n_agq: object, reml: object, control: object
) -> Request:
    """Check `glmer`'s arguments.

    Raises
    ------
    InvalidArgumentError
    UnsupportedModelError
        REML, a quasi family, lme4's ``nAGQ=0``.
    """
    if reml is not False:
        raise UnsupportedModelError(
            f"reml={reml!r}: there is no restricted likelihood of a generalised model (no "
            "contrasts of the response are free of the fixed effects); it is fitted by maximum "
            "likelihood"
        )
    whole = isinstance(n_agq, (int, np.integer)) and not isinstance(n_agq, bool)
    if not whole or n_agq < 0:  # type: ignore[operator]
        raise InvalidArgumentError(f"n_agq={n_agq!r}: a whole number from 1")
    if n_agq == 0:
        raise UnsupportedModelError(
            "n_agq=0: lme4's faster and less exact criterion, which is no likelihood; n_agq=1 is "
            "Laplace's approximation"
        )
    check_nodes(int(n_agq))  # type: ignore[call-overload]
    control = LmerControl() if control is None else control
    if not isinstance(control, LmerControl):
        raise InvalidArgumentError(f"control={control!r}: expected an LmerControl")
    return Request(read_family(family, dispersion), control, int(n_agq))  # type: ignore[call-overload]


def check_nodes(n_agq: int) -> None:
    """Refuse more nodes than the rule has digits for."""
    if n_agq > MOST_NODES:
        raise InvalidArgumentError(
            f"n_agq={n_agq}: at most {MOST_NODES} nodes; a likelihood that needs more has a "
            "variance that the data hardly bound"
        )


def fit_options(
    formula: str, frame: pd.DataFrame, options: Options, request: Request, *, stacklevel: int
) -> GlmmFit:
    """Fit a formula on a frame, after the sanity checks."""
    control = request.control
    design, n_dropped = build_design(formula, frame, options, respond=response_later)
    design = full_rank(design, control.rank_deficient, stacklevel=stacklevel + 1)
    code = parse(written_out(formula, frame.columns)).response
    response = read_response(
        code, design.frame, design.options.scope, request.choice, design.weights
    )
    design = replace(design, y=response.observed)
    check_glmm(design, response, request.choice, control, stacklevel=stacklevel + 1)

    def announce(cp: CrossProducts, plan: Plan, n: int) -> None:
        # Through Table, criterion_of and fit_response.
        warn_of_size(design, cp, plan, generalised=True, rows=n, stacklevel=stacklevel + 5)

    fit = fit_response(design, response, request, n_dropped=n_dropped, announce=announce)
    check_left(fit)
    check_variances(fit, stacklevel=stacklevel + 1)
    return fit


def fit_response(
    design: RowDesign,
    response: Response,
    request: Request,
    *,
    n_dropped: int,
    x: Array | None = None,
    origin: Origin | None = None,
    announce: Announce | None = None,
) -> GlmmFit:
    """Find the optimum, from given parameters in the engine's coordinates or from a start."""
    control = request.control
    criterion = criterion_of(design, response, request, announce)
    theta = control.start_for(design.covariances.n)
    if theta is not None and x is None:
        x = next(starts(criterion)).x.copy()
        x[: len(theta)] = criterion.own_theta(theta)
    engine = GlmmControl(max(control.tolerance, 1e-14), control.max_iterations)
    optimum = optimise(criterion, x, control=engine)
    return GlmmFit(
        design, response, request.choice, optimum, n_dropped, control, request.n_agq, origin
    )


def criterion_of(
    design: RowDesign, response: Response, request: Request, announce: Announce | None = None
) -> Laplace:
    """Laplace's criterion, or that of quadrature.

    Raises
    ------
    UnsupportedModelError
        Quadrature for several grouping factors, or too many effects.
    """
    family, n_agq = request.choice.of(response.y, response.trials), request.n_agq
    covariances, rows = design.covariances, [term.rows for term in design.terms]
    cells, found = None, joined(design.x, rows, design.offset, family, levels=n_agq == 1)
    if found is not None:
        cells, family = found
    table = Table(design.x, rows, design.offset, cells=cells, announce=announce)
    if n_agq == 1:
        return Laplace(table, family, covariances)
    check_quadrature(design, f"n_agq={n_agq}", "; n_agq=1 is Laplace's approximation")
    return Quadrature(table, family, covariances, n_points=n_agq)


def check_quadrature(design: RowDesign, asked: str, instead: str = "") -> None:
    """Refuse quadrature where there is none; messages begin with what asked for it.

    Raises
    ------
    UnsupportedModelError
        Several grouping factors, or too many effects.
    """
    if not one_factor([term.rows.codes for term in design.terms]):
        raise UnsupportedModelError(
            f"{asked}: quadrature is for one grouping factor, and the model has "
            f"{' and '.join(design.factors)}, whose effects are integrated over together{instead}"
        )
    if design.covariances.k > MOST_EFFECTS:
        raise UnsupportedModelError(
            f"{asked}: quadrature is for up to {MOST_EFFECTS} effects of a level, and the "
            f"model has {design.covariances.k}{instead}"
        )


def check_glmm(
    design: RowDesign,
    response: Response,
    choice: FamilyChoice,
    control: LmerControl,
    *,
    stacklevel: int,
) -> None:
    """Raise what makes the fit impossible, warn of what makes it doubtful.

    An effect of each row is a model of overdispersion, for counts and for more than one trial.
    """
    if not control.check:
        return
    single = response.trials is not None and bool(np.all(response.trials == 1.0))
    for term in design.terms:
        check_term(term, len(term.levels), design.n, single, choice)
        check_effects(term, term.rows.values)
    check_twice(design.terms)
    check_factors(design.fixed)
    check_size(design.n, design.x.shape[1])
    check_scales(spreads(design), design.fixed.names, stacklevel + 1)


def check_term(term: Term, levels: int, n: int, single: bool, choice: FamilyChoice) -> None:
    """Refuse more levels than the n rows can tell of, `single` ones with one trial each."""
    dispersed = choice.name not in {"binomial", "poisson"}
    if dispersed and levels >= n:
        raise InvalidArgumentError(
            f"formula: {bar_of(term)} has an effect for each row, and family={choice.name!r} a "
            "dispersion: only the shape of the distribution tells the two apart, and the "
            "likelihood may have several maxima. Leave it out"
        )
    check_levels(term, levels, n if dispersed else levels * term.k + n + 1)
    if single and levels >= n:
        raise InvalidArgumentError(
            f"formula: {bar_of(term)} has an effect for each row of one trial; its variance is "
            "not determined by such data. Leave it out"
        )


def check_left(fit: GlmmFit) -> None:
    """Refuse a response of which the model leaves nothing to a dispersion.

    Raises
    ------
    InvalidArgumentError
    """
    criterion = fit.optimum.point.criterion
    dispersion = fit.choice.dispersion_of(criterion.split(fit.optimum.point.x)[2])
    if dispersion is None or fit.choice.name == "negative_binomial":
        return
    # Free of the response's unit.
    y = fit.response.y
    unit = {"gaussian": 1.0 / float(np.var(y)), "inverse_gaussian": float(np.mean(y))}
    share = dispersion * unit.get(fit.choice.name, 1.0)
    if not share > _NOTHING or (share < _HARDLY and not fit.optimum.converged):
        raise InvalidArgumentError(
            f"response {fit.design.response!r}: the model explains it exactly, or to all the "
            "digits there are; its dispersion would be zero, and the likelihood has no maximum"
        )


def check_variances(fit: GlmmFit, *, stacklevel: int) -> None:
    """Refuse variances that can't be told apart, or warn of them where nothing is checked.

    Where a search ends tells nothing of it: along what no data show it ends anywhere.
    Cost: nothing for one variance; else some hundredths of the fit.

    Raises
    ------
    InvalidArgumentError
    """
    terms, refuse = fit.design.terms, fit.control.check
    if len(terms) == 1 and terms[0].k == 1:
        return
    model = FittedGlmm(fit)  # type: ignore[arg-type]
    check_told_apart(
        terms, model.effects_products, model.laplace.modes.lams, None,
        refuse=refuse, stacklevel=stacklevel + 1,
    )  # fmt: skip


def warn_of(fit: GlmmFit, *, stacklevel: int) -> None:
    """Warn of a fit that is not at its optimum, singular, separated or Poisson.

    The warning points `stacklevel` calls above this function, 1 being who called it.
    """
    optimum, model = fit.optimum, FittedGlmm(fit)  # type: ignore[arg-type]
    endless = without_maximum(model)
    if endless:
        warnings.warn(endless, ConvergenceWarning, stacklevel=stacklevel + 1)
    elif not optimum.converged:
        warnings.warn(optimum.message, ConvergenceWarning, stacklevel=stacklevel + 1)
    if model.is_poisson:
        warnings.warn(
            "the size of the negative binomial goes to infinity: there is no overdispersion beyond "
            "the random effects, the fit is that of family='poisson'",
            ConvergenceWarning,
            stacklevel=stacklevel + 1,
        )
    if is_singular(model):
        warnings.warn(
            "singular fit: a variance is estimated at zero, or a correlation at its bound; "
            "see var_corr() and is_singular()",
            SingularFitWarning,
            stacklevel=stacklevel + 1,
        )

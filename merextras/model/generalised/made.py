"""A generalised model that stands at given parameters, without a search."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from merextras.engine.generalised.searches.optimum import Optimum, information
from merextras.foundation.aliases import Array
from merextras.model.columns.fixed import Scope
from merextras.model.design.design import RowDesign
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.fit import Request, criterion_of
from merextras.model.generalised.responses.response import Response, trials_of
from merextras.model.generalised.whole_fit import GlmmFit


def without_values(
    code: str, frame: pd.DataFrame, scope: Scope, choice: FamilyChoice, weights: Array | None
) -> Response:
    """A response of the rows whose values are still to come: zeros of the trials that it has."""
    trials, form, labels = trials_of(code, frame, scope, choice, weights)
    return Response(np.zeros(len(frame)), trials, form, labels)


def at_parameters(
    design: RowDesign, response: Response, request: Request, theta: Array, beta: Array, phi: Array
) -> GlmmFit:
    """The model at these parameters, with the response at which all modes are zero.

    That is the mean given random effects of zero, in the place of whole numbers too: nothing is
    known of any group.

    Parameters
    ----------
    design : RowDesign
    response : Response
        Its trials and form are taken.
    request : Request
    theta : array
        Of the user's effects.
    beta : (p,) array
    phi : array
        The dispersion as the engine has it.
    """
    eta = design.x @ beta + (0.0 if design.offset is None else design.offset)
    mean = request.choice.of(response.y, response.trials).mean(eta)
    y = mean if response.trials is None else mean * response.trials
    response = replace(response, y=y)
    design = replace(design, y=response.observed)
    shown = response.shown(y)
    if not isinstance(shown, list):
        design = replace(design, frame=design.frame.assign(**{design.response: shown}))
    criterion = criterion_of(design, response, request)
    inner = np.linalg.solve(criterion.table.transform, beta) if len(beta) else beta
    point = criterion.at(np.concatenate([criterion.own_theta(theta), inner, phi]))
    free = np.ones(criterion.m, dtype=bool)
    hessian = information(criterion, point, free)
    optimum = Optimum(
        point, hessian, free, point.gradient(), np.nan, 0, criterion.n_evaluations,
        criterion.n_steps, 0, True, (),
    )  # fmt: skip
    return GlmmFit(design, response, request.choice, optimum, 0, request.control, request.n_agq)

"""Everything that is known of a generalised model after fitting it."""

from __future__ import annotations

from dataclasses import dataclass

from merextras.engine.generalised.searches.optimum import Optimum
from merextras.model.design.design import RowDesign
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.responses.response import Response
from merextras.model.state.control import LmerControl
from merextras.model.state.fitted import Origin


@dataclass(frozen=True)
class GlmmFit:
    """Everything that is known after fitting; immutable and picklable.

    Attributes
    ----------
    design : RowDesign
        Its `y` is the response on the scale of its mean: the proportion of successes.
    response : Response
    choice : FamilyChoice
    optimum : Optimum
    n_dropped : int
    control : LmerControl
    n_agq : int
        Nodes of the quadrature in each effect; 1 is Laplace's approximation.
    origin : Origin or None
        The fit of statsmodels that the model comes from.
    """

    design: RowDesign
    response: Response
    choice: FamilyChoice
    optimum: Optimum
    n_dropped: int
    control: LmerControl
    n_agq: int = 1
    origin: Origin | None = None

"""Check that exponentiated effects are ratios, of odds or of rates."""

from __future__ import annotations

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_flag
from merextras.model.state.fitted import FittedModel
from merextras.results.ratios import RATIOS


def check_ratio(model: FittedModel, wanted: object, argument: str) -> bool:
    """Refuse exponentials of effects that are no logarithms of ratios.

    Raises
    ------
    InvalidArgumentError
        A linear model, or a link whose exponential is no ratio.
    """
    if not check_flag(wanted, argument):
        return False
    require_ratios(model, f"{argument}=True")
    return True


def require_ratios(model: FittedModel, said: str) -> None:
    """The same, for what is always of ratios; the error begins with what was said.

    Raises
    ------
    InvalidArgumentError
    """
    link = model._link.name
    if link not in RATIOS:
        raise InvalidArgumentError(
            f"{said}: with link {link!r} the exponential of an effect is no ratio; it is "
            f"one with links {', '.join(map(repr, RATIOS))}"
        )

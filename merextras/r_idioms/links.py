"""The links that R's families have by default, where ours are others."""

from __future__ import annotations

from merextras.exceptions import InvalidArgumentError
from merextras.model.generalised.families import without_link


def family_of_r(family: object) -> object:
    """A family as R reads it: ``"Gamma"`` alone has the inverse link there.

    Raises
    ------
    InvalidArgumentError
        ``"inverse.gaussian"`` alone, whose link in R, 1/mu^2, there is not here.
    """
    name = without_link(family)
    if name == "inverse_gaussian":
        raise InvalidArgumentError(
            f"family={family!r}: R's default link of it is 1/mu^2, which there is not here; give "
            "family='inverse_gaussian(log)'"
        )
    return "gamma(inverse)" if name == "gamma" else family

"""A family and its link as a user names them."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from merextras.engine.generalised.families import binomial, counts, dispersed
from merextras.engine.generalised.families.family import Family
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import one_of

#: By family: its links, the default first.
LINKS = {
    "binomial": ("logit", "probit", "cloglog"),
    "poisson": ("log",),
    "negative_binomial": ("log",),
    "gamma": ("log", "inverse"),
    "inverse_gaussian": ("log",),
    "gaussian": ("identity", "log", "inverse"),
}
#: ``binomial``, ``binomial()``, ``binomial(probit)``, ``binomial(link="probit")``.
_LINK = r"""(?:link\s*=\s*)?['"]?([\w/^]+)['"]?"""
_CALL = re.compile(rf"\s*([\w. ]+?)\s*(?:\(\s*(?:{_LINK})?\s*\))?\s*")
#: Other spellings of families: R's, glmmTMB's and statsmodels'.
_SPELLED = {
    "bernoulli": "binomial",
    "inversegaussian": "inverse_gaussian",
    "negativebinomial": "negative_binomial",
    "nbinom2": "negative_binomial",
    "nb": "negative_binomial",
    "normal": "gaussian",
}
_LINK_SPELLED = {"inversepower": "inverse", "inverse_power": "inverse"}

_MADE: dict[tuple[str, str], Callable[[Array], Family]] = {
    ("poisson", "log"): counts.Poisson,
    ("gamma", "log"): dispersed.GammaLog,
    ("gamma", "inverse"): dispersed.GammaInverse,
    ("inverse_gaussian", "log"): dispersed.InverseGaussianLog,
    ("gaussian", "identity"): dispersed.NormalIdentity,
    ("gaussian", "log"): dispersed.NormalLog,
    ("gaussian", "inverse"): dispersed.NormalInverse,
}
_BINOMIAL: dict[str, Callable[[Array, Array], Family]] = {
    "logit": binomial.Logit,
    "probit": binomial.Probit,
    "cloglog": binomial.Cloglog,
}


@dataclass(frozen=True)
class FamilyChoice:
    """A family with its link.

    Attributes
    ----------
    name, link : str
    size : float or None
        A negative binomial's size, if it is given and not estimated.
    """

    name: str
    link: str
    size: float | None = None

    @property
    def has_trials(self) -> bool:
        """Whether a response is a number of successes of some trials."""
        return self.name == "binomial"

    @property
    def text(self) -> str:
        """As it is printed: ``binomial(logit)``."""
        return f"{self.name}({self.link})"

    def of(self, y: Array, trials: Array | None) -> Family:
        """The log-density of a response."""
        if self.has_trials:
            return _BINOMIAL[self.link](y, np.ones(len(y)) if trials is None else trials)
        if self.name == "negative_binomial":
            return counts.NegativeBinomial(y, self.size)
        return _MADE[self.name, self.link](y)

    def dispersion_of(self, phi: Array) -> float | None:
        """What is reported of phi: the size, or the dispersion ``1 / k``; None if there is none."""
        if self.name == "negative_binomial":
            return float(np.exp(phi[0])) if len(phi) else self.size
        return float(np.exp(-phi[0])) if len(phi) else None

    def phi_of(self, dispersion: float) -> Array:
        """The phi of what is reported of it, (1,)."""
        log = np.log(dispersion)
        return np.array([log if self.name == "negative_binomial" else -log])


def read_family(family: object, dispersion: object = None) -> FamilyChoice:
    """The choice that a name or one of statsmodels' families says.

    Raises
    ------
    InvalidArgumentError
        An unknown family or link; a `dispersion` that is not a positive number, or is given for a
        family that has none or whose own is always estimated.
    UnsupportedModelError
        A quasi family.
    """
    name, link = _named(family)
    if dispersion is None and not isinstance(family, str):
        # What statsmodels' negative binomial has is one over the size, held where it is.
        alpha = getattr(family, "alpha", None)
        dispersion = None if alpha is None else 1.0 / float(alpha)
    bare = _plain(name)
    if bare.startswith("quasi"):
        raise UnsupportedModelError(
            f"family={name!r}: a quasi family has no likelihood, so that there is nothing to "
            "maximise. For overdispersed counts use family='negative_binomial', for overdispersed "
            "proportions or counts an effect of each row, (1 | row)"
        )
    if bare not in LINKS:
        raise InvalidArgumentError(f"family={name!r}: {one_of(name, list(LINKS))}")
    if link is None:
        link = LINKS[bare][0]
    plain = link.lower()
    plain = _LINK_SPELLED.get(plain, plain)
    if plain not in LINKS[bare]:
        raise InvalidArgumentError(
            f"family={bare!r} with link {link!r}: its links here are "
            f"{', '.join(map(repr, LINKS[bare]))}"
        )
    return FamilyChoice(bare, plain, _size(bare, dispersion))


def without_link(family: object) -> str | None:
    """The name of a family given by that alone, ``"gamma"`` of R's ``"Gamma"``; else None."""
    found = _CALL.fullmatch(family) if isinstance(family, str) else None
    return None if found is None or found[2] is not None else _plain(found[1])


def _plain(name: str) -> str:
    """A family's name as it is here, of any spelling."""
    bare = name.lower().replace(".", "_").replace(" ", "_")
    return _SPELLED.get(bare, _SPELLED.get(bare.replace("_", ""), bare))


def _size(name: str, dispersion: object) -> float | None:
    if dispersion is None:
        return None
    if name != "negative_binomial":
        raise InvalidArgumentError(
            f"dispersion={dispersion!r}: only the size of family='negative_binomial' can be given; "
            "binomial and poisson have none, that of the others is estimated"
        )
    number = np.nan
    if isinstance(dispersion, (int, float, np.integer)) and not isinstance(dispersion, bool):
        number = float(dispersion)
    if not 0.0 < number < np.inf:
        raise InvalidArgumentError(
            f"dispersion={dispersion!r}: the size of a negative binomial is a positive number"
        )
    return number


def _named(family: object) -> tuple[str, str | None]:
    """The names of a family and its link: of ``"binomial(probit)"``, or an instance's classes."""
    if isinstance(family, str):
        found = _CALL.fullmatch(family)
        if found is None:
            raise InvalidArgumentError(
                f"family={family!r}: a name such as 'poisson' or 'binomial(probit)'"
            )
        return found[1], found[2]
    kind = type(family)
    link = getattr(family, "link", None)
    if kind.__module__.startswith("statsmodels.genmod.families") and link is not None:
        return kind.__name__, type(link).__name__
    if hasattr(family, "columns"):
        raise InvalidArgumentError(
            f"family: got a {kind.__name__}: the arguments are swapped, "
            'glmer(formula, data, "binomial")'
        )
    raise InvalidArgumentError(
        f"family: expected a name such as 'binomial' or a family of statsmodels such as "
        f"sm.families.Poisson(), got {reprlib.repr(family)}"
    )

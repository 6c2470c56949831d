"""Spellings of structures in formulas: ``us diag cs ar1``, each with one keyword."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from merextras.engine.covariance.autoregressive import Autoregressive
from merextras.engine.covariance.compound_symmetry import CompoundSymmetry
from merextras.engine.covariance.diagonal import Diagonal
from merextras.engine.covariance.structure import Structure
from merextras.engine.covariance.unstructured import Unstructured


@dataclass(frozen=True)
class Kind:
    """A structure's name in formulas.

    Attributes
    ----------
    make : callable (k, hom) -> Structure
    least : int
        Effects that it needs.
    hom : bool or None
        Whether there is one standard deviation for all effects, if nothing is said; None where
        there is no such choice.
    keyword : str
        What is said for the other choice: ``hom=True``, or ``het=True``.
    ordered : bool
        Whether the effects' order has a meaning.
    """

    make: Callable[[int, bool], Structure]
    least: int = 1
    hom: bool | None = None
    keyword: str = ""
    ordered: bool = False


def _unstructured(k: int, hom: bool) -> Structure:
    del hom
    return Unstructured(k)


#: By the names in formulas, lme4's; the first is that of a term without one.
KINDS: dict[str, Kind] = {
    "us": Kind(_unstructured),
    "diag": Kind(Diagonal, hom=False, keyword="hom"),
    "cs": Kind(CompoundSymmetry, 2, hom=False, keyword="hom"),
    "ar1": Kind(Autoregressive, 2, hom=True, keyword="het", ordered=True),
}


@dataclass(frozen=True)
class Tag:
    """A structure as it is written in a formula.

    Attributes
    ----------
    name : str
        One of `KINDS`.
    hom : bool
        One standard deviation for all effects.
    """

    name: str = "us"
    hom: bool = False

    @property
    def kind(self) -> Kind:
        """What the name stands for."""
        return KINDS[self.name]

    def structure(self, k: int) -> Structure:
        """The structure of k effects; too few for a correlation have variances alone."""
        return _structure(self, k)

    def term(self, effects: Iterable[str], factor: str) -> str:
        """The term of some effects by a factor, as `around`."""
        return self.around(f"{' + '.join(effects)} | {factor}")

    def around(self, inside: str) -> str:
        """The term with these effects and factors: ``cs(0 + f | g, hom=True)``."""
        said = "" if self.kind.hom in {None, self.hom} else f", {self.kind.keyword}=True"
        name = "" if self.name == "us" else self.name
        return f"{name}({inside}{said})"


@lru_cache(maxsize=256)
def _structure(tag: Tag, k: int) -> Structure:
    return tag.kind.make(k, tag.hom) if k >= tag.kind.least else Unstructured(k)


#: A term without a name.
PLAIN = Tag()

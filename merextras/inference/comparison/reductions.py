"""What a model's random effects are without one of their terms or covariates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from merextras._checks import check_choice
from merextras.inference.variance_tests.variance_hypothesis import label_of
from merextras.model.design.design import Design


@dataclass(frozen=True)
class Reduced:
    """A design with less.

    Attributes
    ----------
    design : Design
    term : int
        The term that has less.
    whole : bool
        Whether it was left out as a whole.
    """

    design: Design
    term: int
    whole: bool

    @property
    def without(self) -> int | None:
        """The number of the term that was left out as a whole."""
        return self.term if self.whole else None


def wanted_p_values(p_values: object, added: Sequence[str]) -> set[str]:
    """The p-values that are asked for, beside that of the chi-square distribution."""
    given = [p_values] if isinstance(p_values, str) else p_values
    if not isinstance(given, Iterable):
        given = [given]
    return {check_choice(name, ("chisq", *added), "p_values") for name in given}


def reductions(design: Design, reduce_terms: bool) -> Iterator[tuple[str, Reduced]]:
    """What is left out, and the model with a term less or with one that has an effect less."""
    for t, term in enumerate(design.terms):
        smaller = list(_smaller(design, t)) if reduce_terms else []
        for name, left in smaller:
            yield f"{name} in {label_of(term)}", Reduced(left, t, whole=False)
        if not smaller:
            yield label_of(term), Reduced(design.without_term(t), t, whole=True)


def _smaller(design: Design, t: int) -> Iterator[tuple[str, Design]]:
    """The design with a term that lacks one of its covariates, for each, if something is left."""
    effects = design.term_effects(t)
    for effect in effects.marginal():
        left = [e for e in effects.effects if e is not effect]
        if left or effects.rest:
            yield effect.label, design.with_covariates(t, effects.spanned(left))

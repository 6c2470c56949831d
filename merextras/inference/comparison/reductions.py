"""Submodels with one random-effects term or one of its covariates left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from merextras.engine.covariance.tags import PLAIN
from merextras.foundation.arguments import check_choice
from merextras.inference.variance_tests.variance_hypothesis import label_of
from merextras.model.design.design import Design, Term


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


def reduced_designs(design: Design, reduce_terms: bool) -> Iterator[tuple[str, Reduced]]:
    """What is left out, and the model with a term less or with one that has an effect less."""
    for t, term in enumerate(design.terms):
        smaller = list(_restricted(design, t)) if reduce_terms else []
        for name, left in smaller:
            yield f"{name} in {label_of(term)}", Reduced(left, t, whole=False)
        if not smaller:
            yield label_of(term), Reduced(design.without_term(t), t, whole=True)


def reductions(design: Design) -> Iterator[tuple[str, str | None]]:
    """The rows of `ranova`, each with the formula that `update` takes for it.

    None where no random term would be left.
    """
    for t, term in enumerate(design.terms):
        effects = design.term_effects(t)
        one = ["1"] if effects.rest else ["0"]
        own = _bar([*one, *(e.label for e in effects.effects)], term)
        smaller = list(_restricted(design, t))
        names = [name for name, _ in smaller]
        for effect in effects.marginal():
            if effect.label in names:
                left = [e for e in effects.effects if e is not effect]
                bar = _bar([*one, *(e.label for e in left)], term, effects.spanned(left).shape[1])
                yield f"{effect.label} in {label_of(term)}", f". ~ . - {own} + {bar}"
        if not smaller:
            yield label_of(term), f". ~ . - {own}" if len(design.terms) > 1 else None


def _bar(effects: Sequence[str], term: Term, k: int | None = None) -> str:
    """A term's bar with these effects, k of them; too few for its structure are a plain term."""
    tag = term.tag if k is None or k >= term.tag.kind.least else PLAIN
    return tag.term(effects, term.factor)


def _restricted(design: Design, t: int) -> Iterator[tuple[str, Design]]:
    """The design with a term that lacks one of its covariates, for each, if something is left."""
    effects = design.term_effects(t)
    for effect in effects.marginal():
        left = [e for e in effects.effects if e is not effect]
        if left or effects.rest:
            yield effect.label, design.with_covariates(t, effects.spanned(left))

"""The variance under test in a model, and the model without it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.solution.pls import solve
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.arguments import one_of
from merextras.inference.nesting.nested import (
    AnyCandidate,
    check_same_data,
    mixed_candidate,
    ols_candidate,
    same_criterion,
    same_fixed,
    same_groups,
    same_term,
)
from merextras.model.design.design import INTERCEPT, Design, Term
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_like, refitted
from merextras.model.state.one_sigma import require_one_sigma
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model.statsmodels.ols import is_ols

_BOOTSTRAP = "compare the fits with and without it by a parametric bootstrap (pb_modcomp, ranova)"


@dataclass(frozen=True, eq=False)
class VarianceHypothesis:
    """A variance in a model.

    Attributes
    ----------
    model : FittedModel
        With all its variances.
    at : int
        The number of the term whose variance is tested.
    null : FittedModel or None
        The fit without that term, if it was given.
    """

    model: FittedModel
    at: int
    null: FittedModel | None = None

    @property
    def term(self) -> Term:
        """The tested term."""
        return self.model.design.terms[self.at]

    @property
    def others(self) -> tuple[Term, ...]:
        """The terms that both models have."""
        terms = self.model.design.terms
        return (*terms[: self.at], *terms[self.at + 1 :])

    @property
    def hypothesis(self) -> str:
        """What is tested, in words."""
        given = " + ".join(label_of(term) for term in self.others)
        return f"Var({self.term.names[0]} | {self.term.factor}) = 0" + (
            f", given {given}" if given else ""
        )

    def by_reml(self) -> VarianceHypothesis:
        """The same of fits by REML, with the null model made if it was not given."""
        model, null = self.model, self.null
        if not model.solution.reml:
            model = refitted(model, reml=True)
        if null is None and self.others:
            null = _without(model, self.at)
        elif null is not None and not null.solution.reml:
            null = refitted(null, reml=True)
        return replace(self, model=model, null=null)

    def null_deviance(self, *, reml: bool) -> float:
        """The deviance of `null`; without other terms that of least squares, in closed form."""
        if self.null is not None:
            return self.null.solution.deviance(reml=reml)
        system = self.model.solution.factor.system
        return solve(system, (np.zeros((1, 1)),), reml=reml).deviance()


def _without(model: FittedModel, at: int) -> FittedModel:
    """The fit without a term; its cross-products are some of the model's, and no row is read."""
    products = _without_blocks(model.solution.factor.system.cp, at)
    fit = fit_like(model, model.design.without_term(at), products=products)
    return FittedModel(fit)


def _without_blocks(products: CrossProducts, at: int) -> CrossProducts:
    kept = [t for t in range(len(products.own)) if t != at]
    place = {t: i for i, t in enumerate(kept)}
    return replace(
        products,
        own=tuple(products.own[t] for t in kept),
        to_xy=tuple(products.to_xy[t] for t in kept),
        cross={
            (place[s], place[t]): block
            for (s, t), block in products.cross.items()
            if at not in {s, t}
        },
        basis=products.basis.with_effects([products.basis.effects[t] for t in kept]),
    )


def check_one_sigma(model: FittedModel, verb: str) -> None:
    """Refuse residual variances by group, under which the null distribution is not known."""
    require_one_sigma(
        model,
        verb,
        "the exact null distribution is that of residuals with one variance",
        "compare two models by bootstrap(m, func) or by anova (conservative for a variance)",
    )


def label_of(term: Term) -> str:
    """The term as lme4's formula has it: ``(0 + Days | Subject)``."""
    names = ["1" if name == INTERCEPT else name for name in term.names]
    return term.tag.term(names if names[0] == "1" else ["0", *names], term.factor)


def read_hypothesis(
    model: object | None, full: object | None, null: object | None, term: str | None
) -> VarianceHypothesis:
    """Read the arguments of `exact_rlrt`."""
    if model is None and full is None:
        raise InvalidArgumentError("model: give a fitted model (or full= and null=)")
    fit = as_fitted(model if full is None else full)
    check_one_sigma(fit, "exact_rlrt")
    for other in (model, null):
        if other is not None and not is_ols(other):
            check_one_sigma(as_fitted(other), "exact_rlrt")
    if term is not None:
        if null is not None or (full is not None and model is not None):
            raise InvalidArgumentError(
                "term: the other models already say which variance is tested; give one of them"
            )
        return scalar(VarianceHypothesis(fit, _named(fit.design, term)))
    if full is not None and model is not None:
        return scalar(_of_three(as_fitted(model), fit, null))
    if null is None:
        return scalar(VarianceHypothesis(fit, _only(fit.design)))
    name = "model" if full is None else "full"
    return scalar(_of_two(fit, null, name))


def scalar(tested: VarianceHypothesis) -> VarianceHypothesis:
    """The same, or an error if its term has several effects."""
    term = tested.term
    if term.k != 1:
        raise UnsupportedModelError(
            f"the exact test is for a single variance; the term {label_of(term)} has {term.k} "
            f"effects per level, {term.k} variances and their covariances, whose likelihood ratio "
            f"has no such distribution: {_BOOTSTRAP}, or test the fit without covariances (||)"
        )
    return tested


def _only(design: Design) -> int:
    if len(design.terms) > 1:
        labels = [label_of(term) for term in design.terms]
        raise UnsupportedModelError(
            f"the model has {len(labels)} random-effects terms, {', '.join(labels)}: say which "
            f"variance is tested, by term={labels[0]!r} or by the model without it, null=..."
        )
    return 0


def _named(design: Design, text: str) -> int:
    """The term of a label, or of a factor that has no other."""
    if not isinstance(text, str):
        raise InvalidArgumentError(f"term={text!r}: give a term as {label_of(design.terms[0])!r}")
    labels = [label_of(term) for term in design.terms]
    known = {term_key(label): t for t, label in enumerate(labels)}
    for factor in design.factors:
        if len(found := design.terms_of(factor)) == 1:
            known.setdefault(term_key(factor), found[0])
    if (key := term_key(text)) not in known:
        raise InvalidArgumentError(f"term={text!r}: {one_of(text, labels)}")
    return known[key]


def term_key(label: str) -> str:
    """A label without what can be written in several ways: ``(x | g)`` is ``(1 + x | g)``."""
    text = re.sub(r"[\s`]", "", label)
    text = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    effects, bar, factor = text.rpartition("|")
    if not bar or "(" in effects.partition("+")[0].partition(")")[0]:
        return text
    parts = effects.replace("-1", "+0").split("+")
    names = sorted(part for part in parts if part not in {"0", "1"})
    return f"{'+'.join(['0' if '0' in parts else '1', *names])}|{factor}"


def _of_three(only: FittedModel, full: FittedModel, null: object | None) -> VarianceHypothesis:
    """RLRsim's form: the model of the tested effect alone says which it is."""
    if len(only.design.terms) != 1:
        raise InvalidArgumentError(
            f"model: beside full= it is the model with the tested effect alone, and this one has "
            f"{len(only.design.terms)} random-effects terms; without full= it may have several"
        )
    small, large = mixed_candidate(only), mixed_candidate(full)
    _check_alike(small, large, "model")
    tested = only.design.terms[0]
    mine = only.design.groups(0)
    every = range(len(full.design.terms))
    own = only.design.covariances.structures[0]
    at = [t for t in every if same_term(mine, full.design.groups(t))]
    at = [t for t in at if full.design.covariances.structures[t] == own]
    if not at:
        _refuse_covariances(full.design, only.design, 0, "model")
        there = ", ".join(label_of(term) for term in full.design.terms)
        raise InvalidArgumentError(
            f"full: it has no term {label_of(tested)}, which `model` says is tested; it has {there}"
        )
    if null is None:
        return VarianceHypothesis(full, at[0])
    found = _of_two(full, null, "full")
    if found.at != at[0]:
        raise InvalidArgumentError(
            f"null: it lacks {label_of(found.term)} of the full model, but `model` says that "
            f"{label_of(tested)} is tested"
        )
    return found


def _of_two(full: FittedModel, null: object, name: str) -> VarianceHypothesis:
    """The tested variance is what the null model has not."""
    large = mixed_candidate(full)
    if is_ols(null):
        small = ols_candidate(null, full.design.response, "null")
        _check_alike(small, large, "null", criterion=False)
        return VarianceHypothesis(full, _missing(full.design, None, name))
    fit = as_fitted(null)
    _check_alike(mixed_candidate(fit), large, "null")
    return VarianceHypothesis(full, _missing(full.design, fit.design, name), fit)


def _check_alike(
    small: AnyCandidate, large: AnyCandidate, name: str, *, criterion: bool = True
) -> None:
    """Hold two models to the same data and the same X."""
    check_same_data([large, small], "exact_rlrt")
    if not same_fixed(small, large):
        raise InvalidArgumentError(
            f"{name}: its fixed effects {list(small.names)} are not those of the larger model, "
            f"{list(large.names)}; restricted likelihoods of different fixed effects can't be "
            "compared (exact_lrt tests fixed effects along with the only variance)"
        )
    if criterion and not same_criterion(small, large):
        raise InvalidArgumentError(
            f"{name}: its fixed effects {list(small.names)} are those of the larger model in other "
            "units or another coding, which shifts the restricted likelihood; code them alike"
        )


def _missing(design: Design, kept: Design | None, name: str) -> int:
    """The one term of the design that is not among those of a smaller one."""
    left = list(range(len(design.terms)))
    for s in range(0 if kept is None else len(kept.terms)):
        assert kept is not None
        mine = kept.terms[s].structure
        same = [t for t in left if same_term(kept.groups(s), design.groups(t))]
        same = [t for t in same if design.terms[t].structure == mine]
        if not same:
            _refuse(design, kept, s, name)
        left.remove(same[0])
    if len(left) != 1:
        terms = ", ".join(label_of(design.terms[t]) for t in left) or "no term"
        raise InvalidArgumentError(
            f"null: the larger model has {terms} more than this one; it must be exactly one"
        )
    return left[0]


def _refuse(design: Design, null: Design, s: int, name: str) -> None:
    """Say why a term of the null model is not in the larger one."""
    _refuse_covariances(design, null, s, "null")
    there = ", ".join(label_of(other) for other in design.terms)
    hint = "; give the model with both as full=" if name == "model" else ""
    raise InvalidArgumentError(
        f"null: not nested in the larger model: its term {label_of(null.terms[s])} is not among "
        f"{there}{hint}"
    )


def _refuse_covariances(design: Design, small: Design, s: int, name: str) -> None:
    """Say so if a term of a smaller model has covariances in the larger one."""
    term, mine = small.terms[s], small.groups(s)
    for t, other in enumerate(design.terms):
        if same_groups(mine, design.groups(t)) and other.k > term.k:
            raise UnsupportedModelError(
                f"{name}: it has {label_of(term)} where the larger model has {label_of(other)}: "
                f"that is a variance with its covariances, whose likelihood ratio has no such "
                f"distribution: {_BOOTSTRAP}, or test the fit without covariances (||)"
            )

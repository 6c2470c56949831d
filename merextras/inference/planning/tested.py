"""The hypothesis of a planned test: fixed effects, a term, contrasts, or a random-effects term."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice, one_of
from merextras.inference.ddf.contrasts import read_contrasts
from merextras.inference.ddf.method import METHODS
from merextras.inference.fixed_effects.term_contrasts import by_type
from merextras.inference.functions.hypotheses import is_text, read_hypotheses
from merextras.inference.variance_tests.variance_hypothesis import label_of, term_key
from merextras.model.state.fitted import FittedModel
from merextras.model.state.penalised import refuse_penalised

#: The tests of fixed effects; of a random-effects term there is the last alone.
FIXED_METHODS = (*METHODS, "lrt")
#: Those of a generalised model.
GENERALISED_METHODS = ("asymptotic", "lrt")


@dataclass(frozen=True, eq=False)
class FixedHypothesis:
    """``L beta = rhs``.

    Attributes
    ----------
    label : str
    matrix : (r, p) array
    rhs : (r,) array
    single : bool
        A t test of one contrast rather than an F test.
    method : {"satterthwaite", "kenward-roger", "asymptotic", "lrt"}
    """

    label: str
    matrix: Array
    rhs: Array
    single: bool
    method: str


@dataclass(frozen=True, eq=False)
class TermHypothesis:
    """That a random-effects term has no variance.

    Attributes
    ----------
    label : str
    at : int
        The term's number.
    """

    label: str
    at: int
    method: str = "lrt"


Hypothesis = FixedHypothesis | TermHypothesis


def read_test(model: FittedModel, test: Any, method: object, rhs: Any) -> Hypothesis:
    """Read what is tested, and by which method.

    Raises
    ------
    InvalidArgumentError
        A name that is neither a fixed effect, a term of the fixed part nor a random-effects term;
        contrasts that `contest` would not take; a method that does not exist for it.
    """
    allowed = GENERALISED_METHODS if model.is_generalised else FIXED_METHODS
    if is_text(test) and any("=" in each for each in ([test] if isinstance(test, str) else test)):
        given = read_hypotheses(model.design, test, rhs)
        given = replace(given, rhs=given.rhs - given.offset)
        label, single = "; ".join(map(str, given.labels)), given.single
    elif isinstance(test, str):
        found = _named(model, test)
        if isinstance(found, int):
            if method is not None:
                check_choice(method, ("lrt",), "method")
            if np.any(np.asarray(rhs) != 0.0):
                raise InvalidArgumentError("rhs: a variance is tested against zero only")
            if not model.is_generalised:
                refuse_penalised("power of a test of a variance", model)
            return TermHypothesis(label_of(model.design.terms[found]), found)
        matrix, label = found, test
        given = read_contrasts(model.design.fixed, matrix, rhs)
        single = len(given.matrix) == 1
    else:
        given = read_contrasts(model.design.fixed, test, rhs)
        label, single = _label(given.matrix, model.design.fixed.names), given.single
    name = allowed[0] if method is None else method
    name = check_choice(name.lower() if isinstance(name, str) else name, FIXED_METHODS, "method")
    if model.is_generalised:
        if name not in allowed:
            raise UnsupportedModelError(
                f"method={name!r}: degrees of freedom are defined for linear models alone; of a "
                "generalised model there are method='asymptotic' (Wald's test) and 'lrt'"
            )
        return FixedHypothesis(label, given.matrix, given.rhs, single, name)
    if name in {"lrt", "kenward-roger"}:
        refuse_penalised(f"method={name!r}", model)
    if name == "kenward-roger" and not model.solution.reml:
        raise InvalidArgumentError(
            "method='kenward-roger': it is for models by REML, and this one is by ML; make or fit "
            "it with reml=True, or take method='satterthwaite'"
        )
    return FixedHypothesis(label, given.matrix, given.rhs, single, name)


def _named(model: FittedModel, test: str) -> Array | int:
    """The contrasts of a name, or the number of a random-effects term."""
    design = model.design
    names, labels = list(design.fixed.names), [label_of(term) for term in design.terms]
    if test in names:
        return np.eye(len(names))[[names.index(test)]]
    known = {term_key(label): t for t, label in enumerate(labels)}
    if term_key(test) in known:
        return known[term_key(test)]
    terms = {} if "(" in test and "|" in test else by_type(design, 3)
    if test in terms:
        return terms[test]
    allowed = list(dict.fromkeys([*names, *terms, *labels]))
    raise InvalidArgumentError(
        f"test={test!r}: neither a fixed effect, a term of the fixed part nor a random-effects "
        f"term of the model; {one_of(test, allowed)}"
    )


def _label(matrix: Array, names: tuple[str, ...]) -> str:
    """The contrasts in words."""
    rows = []
    for row in matrix:
        parts = [f"{w:g} {name}" for w, name in zip(row, names, strict=True) if w != 0.0]
        rows.append(" + ".join(parts).replace("+ -", "- "))
    return "; ".join(rows)

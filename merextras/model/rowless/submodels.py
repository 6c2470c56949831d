"""Designs with less: without a random-effects term, or with fewer effects in one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from merextras._typing import Array
from merextras.engine.products.term_rows import TermRows
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.fixed import ColumnsPart
from merextras.model.design.design import INTERCEPT, Design, Term
from merextras.model.design.effects import Effects, effects_of
from merextras.model.rowless.design import StreamedDesign
from merextras.model.rowless.effects import term_effects


def with_terms(design: Design, kept: list[int]) -> Design:
    """The design with only these of its terms, numbers in ascending order."""
    if isinstance(design, StreamedDesign):
        return design.restricted([(t, np.eye(design.terms[t].k)) for t in kept])
    return replace(design, terms=tuple(design.terms[t] for t in kept))


def without_term(design: Design, t: int) -> Design:
    """The design without one of its terms."""
    return with_terms(design, [s for s in range(len(design.terms)) if s != t])


def effects_of_term(design: Design, t: int) -> Effects:
    """The covariates of a term as effects, from its formula or from its columns."""
    if isinstance(design, StreamedDesign):
        return term_effects(design, t)
    term = design.terms[t]
    part, names = term.covariates.formula, term.names
    if part is not None and part.names == names:
        return effects_of(part, design.frame, design.observed)
    frame = pd.DataFrame(term.rows.values, columns=list(names))
    constant = INTERCEPT if INTERCEPT in names else None
    return effects_of(ColumnsPart(names, constant), frame, design.observed)


def with_columns(design: Design, t: int, columns: Array) -> Design:
    """The design with other covariates in a term.

    Parameters
    ----------
    columns : array
        What `Effects.spanned` of the term's effects makes: (n, r) values by row, or (k, r)
        combinations of the term's own columns where rows were not kept.
    """
    if isinstance(design, StreamedDesign):
        kept = [(s, columns if s == t else np.eye(k)) for s, k in enumerate(design.ks)]
        return design.restricted(kept)
    terms = list(design.terms)
    terms[t] = _with_columns(terms[t], columns)
    return replace(design, terms=tuple(terms))


def _with_columns(term: Term, columns: Array) -> Term:
    names = tuple(f"column {j}" for j in range(columns.shape[1]))
    rows = TermRows(term.rows.codes, columns, term.rows.n_levels)
    return replace(term, covariates=Covariates(names), rows=rows)

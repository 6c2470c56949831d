"""Maps a submodel's formula to the columns and effects that it keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import numpy as np
import patsy

from merextras.exceptions import InvalidArgumentError, NoRowsError
from merextras.foundation.aliases import IntArray
from merextras.model.columns.effect_levels import check_effects_of
from merextras.model.columns.part import FixedPart
from merextras.model.formula.parse import Bar, parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.formula.translate import as_code, names_used, take_offsets, unquoted
from merextras.model.structure.structure import RandomTerm, Structure

#: A term of a formula by the code of its factors; the intercept has none.
_Key = frozenset[str]


def smaller_structure(
    structure: Structure, formula: str
) -> tuple[Structure, IntArray, list[tuple[int, IntArray]]]:
    """The structure of a formula that is a part of the old one.

    Returns
    -------
    structure : Structure
    columns : integer array
        Those of the fixed part that are left.
    terms : list of (t, integer array)
        By the new terms: which of the old ones they are from, and their effects.

    Raises
    ------
    NoRowsError
        The formula has something that the old one has not, or codes what is left in another way.
    """
    formula = written_out(formula, structure.variables)
    written = parse(formula)
    there = [c for c in structure.columns if c in structure.contrasts]
    contrasts = {c: structure.contrasts[c] for c in there}
    parsed = as_code(written, list(structure.columns), contrasts)
    fixed, offsets = take_offsets(parsed.fixed)
    if unquoted(parsed.response) != structure.response_name:
        _refuse(f"the response {parsed.response!r}")
    if set(map(unquoted, offsets)) != {unquoted(value.code) for value in structure.offsets}:
        _refuse(f"other offsets: {sorted(offsets)}")
    part, columns = _subset(structure.fixed, fixed)
    terms, sources = [], []
    for bar in parsed.bars:
        for t, term, own in _terms_of(structure, bar):
            terms.append(term)
            sources.append((t, own))
    order = sorted(range(len(terms)), key=lambda i: -terms[i].shape[0])
    used = names_used(parsed, fixed, offsets, structure.columns)
    extra = set(structure.by_row.values())
    extra |= set() if structure.residual is None else set(structure.residual.columns)
    made = replace(
        structure,
        formula=formula,
        fixed=part,
        terms=tuple(terms[i] for i in order),
        columns=tuple(c for c in structure.columns if c in used | extra),
        variables=tuple(c for c in structure.variables if c in used),
        contrasts={c: how for c, how in structure.contrasts.items() if c in used},
    )
    return made, columns, [sources[i] for i in order]


def _refuse(what: str) -> NoReturn:
    raise NoRowsError(
        f"the model keeps no rows, so that terms can only be taken out of its formula; this one "
        f"has {what}. Fit it by lmer(formula, source), which goes through the data again"
    )


def _keys(code: str) -> list[_Key]:
    """The terms of a one-sided formula."""
    try:
        terms = patsy.ModelDesc.from_formula(code).rhs_termlist
    except (patsy.PatsyError, SyntaxError) as err:
        raise InvalidArgumentError(f"formula: {err}") from err
    return [frozenset(unquoted(f.name()) for f in term.factors) for term in terms]


def _parts(part: FixedPart) -> list[tuple[_Key, list[int]]]:
    """The terms of a part, and their columns."""
    terms = part.terms_written()
    return [(frozenset(map(unquoted, term.codes)), list(term.columns)) for term in terms]


def _subset(part: FixedPart, code: str) -> tuple[FixedPart, IntArray]:
    """The part with only the terms of a formula, and which of its columns those are."""
    wanted = _keys(code)
    there = _parts(part)
    known = [key for key, _ in there]
    for key in wanted:
        if key not in known:
            _refuse(f"the term {':'.join(sorted(key)) or '1'!r}")
        # A factor is coded by what the terms within its own leave to it.
        lost = [k for k in known if k < key and k not in wanted]
        if lost and any(unquoted(c) in key for term in part.terms_written() for c in term.factors):
            _refuse(
                f"{':'.join(sorted(key))!r} without {':'.join(sorted(lost[0])) or '1'!r}, which "
                "changes how it is coded"
            )
    at = [i for i, key in enumerate(known) if key in wanted]
    columns = np.array([j for i in at for j in there[i][1]], dtype=np.intp)
    return part.subset(at, columns, code), columns


def _terms_of(structure: Structure, bar: Bar) -> list[tuple[int, RandomTerm, IntArray]]:
    """The terms that a bar makes of an old one on the same factor."""
    keys = _keys(bar.effects)
    text = bar.text
    for t, old in enumerate(structure.terms):
        if set(old.coder.columns) != set(bar.factors):
            continue
        if not set(keys) <= {key for key, _ in _parts(old.part)}:
            continue
        part, columns = _subset(old.part, bar.effects)
        if not bar.independent and set(columns) <= set(old.columns):
            where = np.array([old.columns.index(j) for j in columns], dtype=np.intp)
            check_effects_of(bar.tag, part, text)
            every = tuple(range(len(columns)))
            return [(t, RandomTerm(old.coder, part, every, bar.tag), where)]
        if bar.independent:
            return _independent(structure, old, part, columns, text)
    _refuse(f"the term {text}")


def _independent(
    structure: Structure, old: RandomTerm, part: FixedPart, columns: IntArray, text: str
) -> list[tuple[int, RandomTerm, IntArray]]:
    """A term for each column, from whichever old term of the same bar has it."""
    out = []
    for i, j in enumerate(columns):
        found = [
            (t, term.columns.index(j))
            for t, term in enumerate(structure.terms)
            if term.part is old.part and term.coder is old.coder and j in term.columns
        ]
        if not found:
            _refuse(f"the term {text}")
        t, at = found[0]
        out.append((t, RandomTerm(old.coder, part, (i,)), np.array([at], dtype=np.intp)))
    return out

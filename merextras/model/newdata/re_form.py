"""Selection of the random effects that a ``re_form`` keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from merextras.exceptions import InvalidArgumentError, NoRowsError
from merextras.model.columns.fixed import FormulaPart
from merextras.model.design.design import INTERCEPT, Design
from merextras.model.formula.names import effect_key
from merextras.model.formula.parse import Bar, parse
from merextras.model.formula.rewrite import term_labels
from merextras.model.formula.translate import as_code, contrast_labels
from merextras.model.newdata.rows import NewRows

#: For each kept term, which of its effects are kept, (k,) booleans.
Kept = Mapping[int, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]


def kept_effects(design: Design, re_form: str | float | None) -> Kept:
    """Which random effects `re_form` keeps, by term."""
    if re_form is None:
        return {t: np.ones(term.k, dtype=bool) for t, term in enumerate(design.terms)}
    if _is_none_wanted(re_form):
        return {}
    if not isinstance(re_form, str):
        raise InvalidArgumentError(
            f"re_form={re_form!r}: None (all random effects), 'NA' (none) or a formula of bars "
            f"such as '~ (1 | {design.factors[0]})'"
        )
    parsed = parse(re_form, name="re_form")
    if parsed.response or parsed.fixed not in {"0", "1"} or not parsed.bars:
        raise InvalidArgumentError(
            f"re_form={re_form!r}: give bars only, such as '~ (1 | {design.factors[0]})'"
        )
    kept: dict[int, np.ndarray[tuple[int], np.dtype[np.bool_]]] = {}
    columns = design.columns
    for bar in as_code(parsed, columns, design.options.contrasts).bars:
        for name in _effects(bar, design, re_form):
            t, i = _find(design, bar.factors, name, re_form)
            kept.setdefault(t, np.zeros(design.terms[t].k, dtype=bool))[i] = True
    return kept


def _effects(bar: Bar, design: Design, re_form: str) -> tuple[str, ...]:
    """Names of the effects that stand left of a bar."""
    code = bar.effects
    if code == "1":
        return (INTERCEPT,)
    try:
        labels = contrast_labels(design.options.contrasts)
        scope = design.options.scope
        return FormulaPart.from_formula(code, design.frame, labels=labels, scope=scope).names
    except NoRowsError:
        return _named(bar, design)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"re_form={re_form!r}: {err}") from err


def _named(bar: Bar, design: Design) -> tuple[str, ...]:
    """Names of a bar's effects from those of the model's terms on its factors, without rows."""
    found: dict[tuple[str, ...], list[str]] = {}
    for term in design.terms:
        if set(term.columns) == set(bar.factors):
            for name in term.names:
                code = re.sub(r"\[.*?\](?=:|$)", "", name)
                found.setdefault(effect_key(code), []).append(name)
    labels = [label or INTERCEPT for label in term_labels(bar.effects)]
    return tuple(name for label in labels for name in found.get(effect_key(label), [label]))


def _is_none_wanted(re_form: object) -> bool:
    if isinstance(re_form, float):
        return bool(np.isnan(re_form))
    return isinstance(re_form, str) and re_form.replace(" ", "") in {"NA", "~0", "0"}


def _find(design: Design, factors: tuple[str, ...], name: str, re_form: str) -> tuple[int, int]:
    """Term and place of an effect, by the columns of its factor and its own name."""
    for t, term in enumerate(design.terms):
        names = [effect_key(own) for own in term.names]
        if set(term.columns) == set(factors) and effect_key(name) in names:
            return t, names.index(effect_key(name))
    there = [f"({' + '.join(t.names)} | {t.factor})" for t in design.terms]
    raise InvalidArgumentError(
        f"re_form={re_form!r}: there is no random effect {name!r} of {':'.join(factors)!r} in the "
        f"model; there are {', '.join(there)}"
    )


def mask_effects(rows: NewRows, kept: Kept) -> NewRows:
    """The rows with the effects that are not kept at zero."""
    values = list(rows.values)
    for t, mask in kept.items():
        if not mask.all():
            values[t] = np.where(mask, values[t], 0.0)
    return NewRows(rows.x, rows.codes, tuple(values), rows.n_levels)

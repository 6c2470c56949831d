"""A model in symbols, as MathML, which browsers draw without a library."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from merextras.reporting.words import number, signed

#: More fixed effects than this are written as a sum.
_WRITTEN = 6


def symbols(m: Any) -> str:
    """The model's equations.

    Parameters
    ----------
    m : MerMod

    Returns
    -------
    str
        A ``math`` element: the response, the distribution of each term's effects, the residual.
    """
    lines = [_response(m), *(_term(m, t) for t in range(len(m.design.terms)))]
    if not m.is_glmm():
        lines.append(_residual(m))
    rows = "".join(
        f'<mtr><mtd class="mx-left">{left}</mtd><mtd class="mx-right">{right}</mtd></mtr>'
        for left, right in lines
    )
    return f'<math display="block" class="mx-model"><mtable>{rows}</mtable></math>'


def _response(m: Any) -> tuple[str, str]:
    """The linear predictor of an observation i."""
    design = m.design
    parts = _fixed(list(design.fixed.names))
    for t, term in enumerate(design.terms):
        parts += [_effect(t, j, term, name) for j, name in enumerate(term.names)]
    if design.offset is not None:
        parts.append(_sub(_text("offset"), _I))
    left = _sub(_text(design.response), _I)
    if m.is_glmm():
        left = _row(_name("g"), _sign("("), _name("E"), left, _sign(")"))
    else:
        parts.append(_sub(_name("ε"), _I))
    return left, _row(_sign("="), _sign("+").join(parts))


def _fixed(names: list[str]) -> list[str]:
    """The fixed effects one by one, or as a sum where there are many."""
    beta = _name("β")
    if len(names) <= _WRITTEN:
        return [_times(_sub(beta, _number(k)), name) for k, name in enumerate(names)]
    first = _row(_name("k"), _sign("="), _number(0))
    total = f"<munderover>{_sign('∑')}{first}{_number(len(names) - 1)}</munderover>"
    value = _sub(_name("x"), _row(_name("k"), _I))
    return [_row(total, _sub(beta, _name("k")), value)]


def _effect(t: int, j: int, term: Any, name: str) -> str:
    """A level's effect in the predictor of observation i."""
    level = _row(_text(term.factor), _sign("["), _I, _sign("]"))
    index = level if term.k == 1 else _row(_number(j), _sign(","), level)
    return _times(_sub(_letter(t), index), name)


def _times(coefficient: str, name: str) -> str:
    """A coefficient, and what it belongs to unless that is the intercept."""
    return coefficient if name == "Intercept" else _row(coefficient, _GAP, _sub(_text(name), _I))


def _term(m: Any, t: int) -> tuple[str, str]:
    """The distribution of one level's effects: sd**2, or D R D with the sds and correlations."""
    term, covariance = m.design.terms[t], m.covariances[t]
    sd = np.sqrt(np.diag(covariance))
    left = _sub(_letter(t), _name("j"))
    if term.k == 1:
        return left, _normal(_squared(sd[0]))
    d, r = _name("D"), _name("R")
    sds = _sign(",").join(_number(value) for value in sd)
    parts = [_normal(_row(d, r, d)), _sign(","), _GAP, d, _sign("="), _text("diag")]
    parts += [_sign("("), sds, _sign(")")]
    if term.k == 2 and np.all(sd > 0):
        value = f"<mn>{signed(covariance[0, 1] / (sd[0] * sd[1]))}</mn>"
        parts += [_sign(","), _GAP, _sub(r, "<mn>12</mn>"), _sign("="), value]
    return left, _row(*parts)


def _residual(m: Any) -> tuple[str, str]:
    groups = m.design.residual
    if groups is not None:
        variance = f"<msup>{_sub(_name('σ'), _name('h'))}{_number(2)}</msup>"
    else:
        variance = _squared(m.sigma())
    if m.design.weights is not None:
        variance = _row(variance, _sign("/"), _sub(_name("w"), _I))
    return _sub(_name("ε"), _I), _normal(variance)


def _normal(variance: str) -> str:
    parts = (_sign("∼"), _name("N"), _sign("("), _number(0), _sign(","), variance, _sign(")"))
    return _row(*parts)


def _squared(sd: float) -> str:
    return f"<msup>{_number(sd)}{_number(2)}</msup>"


def _letter(t: int) -> str:
    """A letter for each term: b, c, d, ..."""
    return _name("bcdefgh"[t % 7])


def _sub(base: str, index: str) -> str:
    return f"<msub>{base}{index}</msub>"


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _name(letter: str) -> str:
    return f"<mi>{letter}</mi>"


def _sign(sign: str) -> str:
    return f'<mo stretchy="false">{sign}</mo>'


def _number(value: float) -> str:
    text = str(value) if isinstance(value, int) else number(float(value))
    return f"<mn>{text}</mn>"


def _text(text: str) -> str:
    return f"<mtext>{escape(text)}</mtext>"


_I = _name("i")
_GAP = '<mspace width="0.2em"/>'

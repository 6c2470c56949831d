"""A mixed model's formula written again, with other code for its variables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import patsy

from merextras.exceptions import InvalidArgumentError
from merextras.model.formula.parse import Bar, parse
from merextras.model.formula.r_spelling import spelled
from merextras.model.formula.translate import as_code


def rewritten(
    formula: str,
    columns: Iterable[object],
    change: Callable[[str], str],
    *,
    response: str | None = None,
) -> str:
    """Change the code of each factor of a formula, in its fixed part and left of its bars.

    Parameters
    ----------
    formula : str
        In lme4's notation.
    columns : iterable
        Names of the data's columns.
    change : callable str -> str
        Gets patsy's code of a factor: ``x``, ``np.log(x)``, ``Q("class")``. The code of an
        ``offset(...)`` is left as it is.
    response : str, optional
        Code of another response.

    Returns
    -------
    str
        With ``a * b`` written as ``a + b + a:b``.
    """
    parsed = as_code(parse(formula), [str(c) for c in columns], {})
    bars = [bar_text(replace(b, effects=expanded(b.effects, change))) for b in parsed.bars]
    parts = [expanded(parsed.fixed, change), *bars]
    return f"{parsed.response if response is None else response} ~ {' + '.join(parts)}"


def bar_text(bar: Bar) -> str:
    """``(1 + x | a:b)``, or ``cs(0 + f | g)`` where its covariance has a structure."""
    factors = [c if c.isidentifier() else f"`{c}`" for c in bar.factors]
    sign = "||" if bar.independent else "|"
    return bar.tag.around(f"{bar.effects} {sign} {':'.join(factors)}")


def expanded(text: str, change: Callable[[str], str] | None = None) -> str:
    """The terms of a one-sided formula after all additions and subtractions.

    Raises
    ------
    InvalidArgumentError
        patsy can't read it.
    """
    names = term_labels(text, change)
    return " + ".join(([] if "" in names else ["0"]) + [name for name in names if name]) or "1"


def term_labels(text: str, change: Callable[[str], str] | None = None) -> list[str]:
    """Labels of the terms of a one-sided formula, ``a * b`` as three; the intercept's is empty.

    Raises
    ------
    InvalidArgumentError
        patsy can't read it.
    """
    text = spelled(re.sub(r"`([^`]*)`", r'Q("\1")', text))
    try:
        terms = patsy.ModelDesc.from_formula(text).rhs_termlist
    except (patsy.PatsyError, SyntaxError) as err:
        raise InvalidArgumentError(f"formula {text!r}: {str(err).splitlines()[0]}") from err
    return [":".join(_code(f.name(), change) for f in term.factors) for term in terms]


def _code(code: str, change: Callable[[str], str] | None) -> str:
    return code if change is None or code.startswith("offset(") else change(code)

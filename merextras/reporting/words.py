"""A model in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np


def describe(m: Any) -> tuple[str, ...]:
    """What the model says of the data, a sentence each.

    Parameters
    ----------
    m : MerMod

    Returns
    -------
    tuple of str
        What is modelled, what it rests on, what varies by which factor, and what to be aware of.
    """
    notes = tuple(note for note in m.summary().notes if note)
    return (_kind(m), _fixed(m), *(_random(m, t) for t in range(len(m.design.terms))), *notes)


def _kind(m: Any) -> str:
    kind = "A linear mixed model"
    if m.is_glmm():
        kind = f"A generalised linear mixed model ({m.family()})"
    by = "restricted maximum likelihood" if m.is_reml() else "maximum likelihood"
    rows = f"{m.nobs():,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{kind} of {m.design.response} in {rows} observations, fitted by {by}."


def _fixed(m: Any) -> str:
    names = [name for name in m.terms() if name]
    if not names:
        return f"Nothing but a mean is expected of {m.design.response}: there are no predictors."
    return f"{m.design.response} is expected to depend on {listing(names)}."


def _random(m: Any, t: int) -> str:
    """What varies by one term's factor, and how strongly."""
    term = m.design.terms[t]
    covariance = m.covariances[t]
    sd = np.sqrt(np.diag(covariance))
    parts = [
        f"{'the intercept' if name == 'Intercept' else f'the effect of {name}'} "
        f"(standard deviation {number(value)})"
        for name, value in zip(term.names, sd, strict=True)
    ]
    verb = "varies" if len(parts) == 1 else "vary"
    text = f"{listing(parts)} {verb} between the {len(term.levels)} levels of {term.factor}"
    text = text[0].upper() + text[1:]
    if len(parts) == 2 and np.all(sd > 0):
        text += f", with a correlation of {signed(covariance[0, 1] / (sd[0] * sd[1]))}"
    elif len(parts) > 2:
        text += ", with correlations"
    return f"{text}."


def listing(words: list[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def number(value: float) -> str:
    """Four significant digits."""
    text = f"{value:#.4g}"
    return text.rstrip(".") if "e" not in text else f"{value:.4g}"


def signed(value: float) -> str:
    """Two decimals, with a minus sign that is one."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}")

"""Hypotheses as people write them: names of coefficients, and levels of factors for their means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from merextras.distributions.uncertainty import estimable
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, BoolArray
from merextras.foundation.arguments import one_of
from merextras.inference.ddf.contrasts import Contrasts, right_hand_side
from merextras.inference.functions.averages import averaged, said_of
from merextras.inference.functions.estimable import null_space
from merextras.inference.functions.grid import Grid, reference_grid
from merextras.model.design.design import Design
from merextras.model.formula.constraints import read_constraints, written

#: A variable and one of its levels.
_Level = tuple[str, Any]


@dataclass(frozen=True)
class _Cells:
    """The cells that a text names, and their means as functions of all columns of X."""

    names: tuple[str, ...]
    rows: Array
    offset: Array
    variables: tuple[tuple[str, ...], ...]
    grid: Grid | None

    def notes(self, used: BoolArray) -> tuple[str, ...]:
        """Which names are means, and of what."""
        chosen = [name for name, u in zip(self.names, used, strict=True) if u]
        if not chosen or self.grid is None:
            return ()
        sets = [v for v, u in zip(self.variables, used, strict=True) if u]
        named = tuple(dict.fromkeys(name for variables in sets for name in variables))
        return (f"Marginal means: {', '.join(chosen)}.", *said_of(self.grid, named))


def is_text(given: object) -> bool:
    """Whether hypotheses are given as text, or several."""
    if isinstance(given, (list, tuple)):
        return bool(given) and all(isinstance(each, str) for each in given)
    return isinstance(given, str)


def read_hypotheses(design: Design, given: str | Sequence[str], rhs: Any) -> Contrasts:
    """Text as contrasts of the fixed effects.

    A name of a coefficient is that coefficient. A level of a factor, ``f[a]``, or a cell of
    several, ``f[a]:g[b]``, that is no coefficient's name is its estimated marginal mean, as
    `merextras.emmeans` has it.

    Raises
    ------
    InvalidArgumentError
        Text that can't be read, names and levels that are none, a hypothesis that is not estimable,
        `rhs` beside an equals sign.
    """
    texts = [given] if isinstance(given, str) else list(given)
    coefficients = list(design.fixed.whole.names)
    none = np.ndim(rhs) == 0 and rhs == 0
    if not none and any("=" in text for text in texts):
        raise InvalidArgumentError(
            f"rhs={rhs!r}: the text has an equals sign and its right-hand side already"
        )
    try:
        (weights, right), cells = read_constraints(texts, coefficients), None
    except ValueError:
        cells = _cells(design, texts, coefficients)
        weights, right = _read_with(cells, texts, coefficients, design)
    functions, offset, names = np.eye(len(coefficients)), np.zeros(len(weights)), coefficients
    notes: tuple[str, ...] = ()
    if cells is not None:
        functions = np.vstack([functions, cells.rows])
        names, means = [*coefficients, *cells.names], weights[:, len(coefficients) :]
        notes, offset = cells.notes(np.any(means != 0.0, axis=0)), means @ cells.offset
    rows = weights @ functions
    labels = [written(*line, names) for line in zip(weights, right, strict=True)]
    kept = _kept(design, rows, labels)
    right = right + right_hand_side(rhs, len(right))
    return Contrasts(kept, right, pd.Index(labels), len(labels) == 1, offset, notes)


def _read_with(
    cells: _Cells, texts: Sequence[str], coefficients: Sequence[str], design: Design
) -> tuple[Array, Array]:
    try:
        return read_constraints(texts, [*coefficients, *cells.names])
    except ValueError as err:
        plain = [name for name in _level_names(design) if not name.startswith(("C(", "Q("))]
        known = [*coefficients, *plain]
        words = re.findall(r"[^\s=+*/,()-][^=+*/,]*", " ".join(texts))
        unknown = [w.strip() for w in words if not _is_known(w.strip(), [*known, *cells.names])]
        hint = one_of(unknown[0], known) if unknown else f"names: {known}"
        raise InvalidArgumentError(
            f"L={', '.join(texts)!r}: {err}; expected such as 'a = b' or '2 * a - b = 1, c = 0' of "
            f"coefficients or levels of factors; {hint}"
        ) from None


def _is_known(word: str, known: Sequence[str]) -> bool:
    try:
        float(word)
    except ValueError:
        return word in known
    return True


def _level_names(design: Design) -> dict[str, _Level]:
    """``f[a]`` of each level of each factor; ``C(f)[a]`` and ``Q('f')[a]`` are the same."""
    out: dict[str, _Level] = {}
    try:
        variables = design.variables()
    except UnsupportedModelError:  # of a factor that is computed: it has no levels of a column
        return out
    for form in ("{}", "C({})", "Q('{}')", 'Q("{}")', "C(Q('{}'))", 'C(Q("{}"))'):
        for variable in variables:
            for level in variable.levels or ():
                name = f"{form.format(variable.name)}[{level}]"
                out.setdefault(name, (variable.name, level))
    return out


def _cells(design: Design, texts: Sequence[str], coefficients: Sequence[str]) -> _Cells:
    """What the text has of levels and cells that are no coefficients' names."""
    levels = _level_names(design)
    one = "|".join(re.escape(name) for name in sorted(levels, key=len, reverse=True))
    found: dict[str, list[_Level]] = {}
    for text in texts if levels else ():
        for match in re.finditer(f"(?:{one})(?::(?:{one}))*", text):
            parts = re.findall(one, match[0])
            if match[0] not in coefficients:
                found[match[0]] = [levels[part] for part in parts]
    if not found:
        none = np.empty((0, len(coefficients)))
        return _Cells((), none, np.empty(0), (), None)
    grid = reference_grid(design)
    means = [_mean_of(grid, name, wanted) for name, wanted in found.items()]
    return _Cells(
        tuple(found),
        np.array([row for row, _ in means]),
        np.array([shift for _, shift in means]),
        tuple(tuple(variable for variable, _ in wanted) for wanted in found.values()),
        grid,
    )


def _mean_of(grid: Grid, name: str, wanted: Sequence[_Level]) -> tuple[Array, float]:
    variables = [variable for variable, _ in wanted]
    if len(set(variables)) < len(variables):
        raise InvalidArgumentError(f"L: {name!r} has two levels of one factor")
    labels, rows, offset = averaged(grid, variables)
    at = np.ones(len(labels), dtype=bool)
    for variable, level in wanted:
        at &= (labels[variable].astype(object) == level).to_numpy()
    if not np.any(at):
        raise InvalidArgumentError(f"L: the cell {name!r} is not in the data")
    where = int(np.flatnonzero(at)[0])
    return rows[where], float(offset[where])


def _kept(design: Design, rows: Array, labels: Sequence[str]) -> Array:
    """The functions over the columns of the fit; an error if they need those that it dropped."""
    kept, null, scale = null_space(design)
    good = estimable(rows, null, scale)
    if not np.all(good):
        raise InvalidArgumentError(
            f"L: {labels[int(np.argmin(good))]!r} is not estimable: it depends on coefficients "
            "that the data do not determine, as their columns were dropped from the fit"
        )
    if not np.all(np.any(np.abs(rows / scale) > 0.0, axis=1)):
        raise InvalidArgumentError("L: a hypothesis has no weight that is not zero")
    return np.asarray(rows[:, kept])

"""New data as rows of a fitted model: X, the rows' levels, and Z sparse, term by term."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras.engine.solution.pls import Solution
from merextras.exceptions import DataWarning, InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import check_choice, check_columns, one_of
from merextras.model.columns.levels import labels_of
from merextras.model.design.design import Design, Term
from merextras.model.frame.labels import other_kind, warn_user
from merextras.model.frame.read import given_frame
from merextras.model.state.fitted import FittedModel

#: A message names all of up to so many levels, and else only the first few.
_ALL, _FEW = 8, 5
#: Levels among which a near miss is looked for.
_SEARCHED = 200
#: What can be done about an unseen level where rows are predicted or simulated.
_ALLOW = ". Say allow_new_levels=True if such levels are meant"


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows of new data in a model's terms.

    Attributes
    ----------
    x : (m, p) array
        The fixed part.
    codes : tuple of (m,) integer arrays
        By terms, in the model's order: the row's level, -1 for one that the model does not know
        and in every row of a term that was left out.
    values : tuple of (m, k) arrays
        The covariates of the terms; zeros for a term that was left out.
    n_levels : tuple of int
        J of each term.
    """

    x: Array
    codes: tuple[IntArray, ...]
    values: tuple[Array, ...]
    n_levels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.x)

    @property
    def z(self) -> tuple[sp.csr_array, ...]:
        """Z by terms, sparse (m, J k); a row is empty where its level is unknown."""
        parts = zip(self.codes, self.values, self.n_levels, strict=True)
        return tuple(_sparse(codes, values, levels) for codes, values, levels in parts)

    def take(self, rows: slice | IntArray) -> NewRows:
        """Take some of the rows, to work in blocks."""
        return NewRows(
            self.x[rows],
            tuple(codes[rows] for codes in self.codes),
            tuple(values[rows] for values in self.values),
            self.n_levels,
        )

    def effects(self, b: Sequence[Array]) -> tuple[Array, ...]:
        """``z_i'b`` of each term, (m,); zero where the level is unknown.

        Parameters
        ----------
        b : sequence of (J, k) arrays
            Random effects by terms, such as ``model.solution.b``.
        """
        out = []
        for codes, values, effects in zip(self.codes, self.values, b, strict=True):
            known = codes >= 0
            found = np.zeros(len(codes))
            found[known] = np.einsum("mk,mk->m", values[known], effects[codes[known]])
            out.append(found)
        return tuple(out)

    def estimates(self, solution: Solution) -> Array:
        """``x'beta + z'b`` of each row, (m,), in an order that other rows do not change."""
        fixed = np.einsum("mp,p->m", self.x, solution.beta)
        return np.asarray(fixed + np.sum(self.effects(solution.b), axis=0))

    def prior(self, lams: Sequence[Array]) -> Array:
        """Variance over sigma**2 that the unknown levels' effects have before any data, (m,).

        ``z_i'Lambda Lambda'z_i`` over the terms whose level is unknown; zero for a term that was
        left out.

        Parameters
        ----------
        lams : sequence of (k, k) arrays
            Relative covariance factors by terms, such as ``model.solution.lams``.
        """
        out = np.zeros(len(self))
        for codes, values, lam in zip(self.codes, self.values, lams, strict=True):
            new = codes < 0
            out[new] += np.sum((values[new] @ lam) ** 2, axis=1)
        return out


def new_rows(
    model: FittedModel,
    data: pd.DataFrame,
    *,
    terms: Iterable[int] | None = None,
    unknown: str = "error",
    name: str = "newdata",
) -> NewRows:
    """Make X, levels and Z of new data; O(m (p + sum k)) numbers.

    Parameters
    ----------
    model : FittedModel
    data : DataFrame
        m rows; only the columns that the fixed part and the kept terms use are needed.
    terms : iterable of int, optional
        Numbers of the terms to keep, all by default (`Design.terms_of` has those of a factor).
    unknown : {'error', 'zero'}, default 'error'
        What a level that the model does not know is: an error that names it, or a level whose
        effect is expected to be zero. A missing level is an unknown one.
    name : str, default 'newdata'
        The argument that messages speak of.

    Returns
    -------
    NewRows
        Missing values in the data give NaN in `x` and `values`.

    Raises
    ------
    InvalidArgumentError
        No rows, a missing column, an unseen category in the fixed part, or an unseen level with
        ``unknown='error'``.
    UnsupportedModelError
        A covariate of a kept term can't be made from its name alone.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.model.statsmodels.mixedlm import as_fitted
    >>> from merextras.model.newdata.rows import new_rows
    >>> students = load_dataset("students")
    >>> model = as_fitted(smf.mixedlm("extro ~ open + agree", students, groups="school").fit())
    >>> rows = new_rows(model, students.head(3).assign(school=["I", "VI", "X"]), unknown="zero")
    >>> rows.x.shape, rows.codes[0].tolist(), rows.z[0].shape
    ((3, 3), [0, 5, -1], (3, 6))
    """
    data = read_new(model.design, data, name)
    check_choice(unknown, ("error", "zero"), "unknown")
    design = model.design
    kept = set(range(len(design.terms)) if terms is None else terms)
    used = [column for t in sorted(kept) for column in design.terms[t].columns]
    check_columns(data, dict.fromkeys([*design.fixed.variables, *used]), name)
    codes, values = [], []
    for t, term in enumerate(design.terms):
        if t in kept:
            codes.append(level_codes(term, data, unknown, name, _ALLOW))
            with _speaking_of(name):
                values.append(term.covariates.matrix(data, design.fixed))
        else:
            codes.append(np.full(len(data), -1, dtype=np.intp))
            values.append(np.zeros((len(data), term.k)))
    x = fixed_rows(design, data, name)
    return NewRows(x, tuple(codes), tuple(values), tuple(len(term.levels) for term in design.terms))


def read_new(design: Design, data: Any, name: str = "newdata") -> pd.DataFrame:
    """New data with the columns that a model reads in their normal form.

    Raises
    ------
    InvalidArgumentError
        No table, no rows, repeated columns.
    """
    levels = {column for term in design.terms for column in term.columns}
    return given_frame(
        data, name, {*design.columns, design.response, *design.fixed.variables, *levels}
    )


def own_rows(design: Design, terms: Iterable[int] | None = None) -> NewRows:
    """Return the model's own rows; arrays are shared with the design.

    Parameters
    ----------
    terms : iterable of int, optional
        Numbers of the terms to keep, all by default.
    """
    kept = set(range(len(design.terms)) if terms is None else terms)
    codes, values = [], []
    for t, term in enumerate(design.terms):
        known = t in kept
        codes.append(term.rows.codes if known else np.full(design.n, -1, dtype=np.intp))
        values.append(term.rows.values if known else np.zeros((design.n, term.k)))
    levels = tuple(len(term.levels) for term in design.terms)
    return NewRows(design.x, tuple(codes), tuple(values), levels)


def number_unseen(
    design: Design, data: pd.DataFrame, rows: NewRows, terms: Iterable[int]
) -> tuple[IntArray, ...]:
    """Number the levels that the model has not seen, by terms and in the order they appear.

    Parameters
    ----------
    rows : NewRows
        Made from `data` with ``unknown="zero"``.
    terms : iterable of int
        The terms that `rows` keeps.

    Returns
    -------
    tuple of (m,) integer arrays
        The row's number, -1 where the level is known. Rows whose level is missing have one number
        together.
    """
    kept, out = set(terms), []
    for t, term in enumerate(design.terms):
        numbers = np.full(len(rows), -1, dtype=np.intp)
        new = rows.codes[t] < 0
        if t in kept and np.any(new):
            labels = labels_of(data, term.columns)[new]
            numbers[new] = pd.factorize(labels, use_na_sentinel=False)[0]
        out.append(numbers)
    return tuple(out)


def fixed_rows(design: Design, data: pd.DataFrame, name: str = "newdata") -> Array:
    """Make X of new data alone, (m, p); errors as `new_rows`."""
    check_columns(data, design.fixed.variables, name)
    with _speaking_of(name):
        return design.fixed.matrix(data)


def level_codes(
    term: Term, data: pd.DataFrame, unknown: str, name: str, advice: str = ""
) -> IntArray:
    """Find the level of each row, -1 or an error for one the model does not know.

    `advice` ends the message: how such levels can be allowed, where they can.
    """
    codes = term.codes_of(data)
    new = codes < 0
    if not np.any(new):
        return codes
    given = pd.unique(labels_of(data, term.columns)[new])
    if unknown == "error":
        absent = data[list(term.columns)].isna().any(axis=1).to_numpy(dtype=bool) & new
        if np.any(absent):
            raise InvalidArgumentError(
                f"{name}: the label of {term.factor!r} is missing (NaN) in {int(absent.sum())} "
                f"row(s) of {len(data)}; give it or leave them out{advice}"
            )
        raise InvalidArgumentError(f"{name}: {unseen(given, term.levels, term.factor)}{advice}")
    word = other_kind([label for label in given if not pd.isna(label)], term.levels)
    if word:
        warn_user(
            f"{name}: levels of {term.factor!r} that the model has not seen would be its own as "
            f"text: {word}; they are taken for new ones. Give labels of the model's type",
            DataWarning,
        )
    return codes


def unseen(given: Iterable[object], known: pd.Index, factor: str) -> str:
    """Say which levels a factor does not have, and which it has: the end of a message."""
    missing = list(dict.fromkeys(given))
    names = [str(level) for level in known[:_SEARCHED]]
    text = f"levels of {factor!r} that the model has not seen: {_listed(missing)}; "
    if len(known) <= _ALL:
        text += one_of(missing[0], names)
    else:
        hint = one_of(missing[0], names).partition("; did")
        text += f"it has {len(known)} levels: {_listed(list(known))}{''.join(hint[1:])}"
    word = other_kind(missing, known)
    return f"{text} ({word})" if word else text


def _listed(levels: Sequence[object]) -> str:
    more = f", ... ({len(levels)} in all)" if len(levels) > _ALL else ""
    shown = levels[:_FEW] if more else levels
    return ", ".join(repr(str(level)) for level in shown) + more


@contextmanager
def _speaking_of(name: str) -> Iterator[None]:
    """Let errors about ``newdata`` name the caller's own argument."""
    try:
        yield
    except InvalidArgumentError as err:
        text = str(err)
        if name == "newdata" or not text.startswith("newdata:"):
            raise
        raise InvalidArgumentError(name + text.removeprefix("newdata")) from err


def _sparse(codes: IntArray, values: Array, n_levels: int) -> sp.csr_array:
    m, k = values.shape
    known = codes >= 0
    columns = codes[known, None] * k + np.arange(k)
    indptr = np.append(0, np.cumsum(known) * k)
    shape = (m, n_levels * k)
    return sp.csr_array((values[known].reshape(-1), columns.reshape(-1), indptr), shape=shape)

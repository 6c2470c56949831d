"""The frame of a statsmodels fit, held against what was fitted.

statsmodels keeps the user's own frame, not a copy. A working column that is used again, centred in
place or recoded, rows sorted or dropped: what the frame holds now is then not what was fitted. The
fit's own arrays (`endog`, `exog`, `exog_re`, `groups`) are put in place of columns that they are;
what else would not make the fitted columns again is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.model.columns.fixed import Scope
from merextras.model.columns.part import FixedPart
from merextras.model.design.design import INTERCEPT
from merextras.model.formula.translate import names_in, unquoted
from merextras.model.frame.kinds import kind_of, numbers
from merextras.model.statsmodels.vc import Groups

#: What statsmodels calls groups that it has no name for.
_UNNAMED = "Group"
#: Columns made again may differ by so much of their size.
_SAME = 1e-8


def frame_of(model: Any, names: list[str], index: pd.Index) -> pd.DataFrame:
    """The user's rows that the fit has; for arrays, the arrays by name."""
    frame = getattr(model.data, "frame", None)
    whole = None if frame is None else pd.DataFrame(frame)
    if whole is not None and whole.index.equals(index):
        return whole
    if whole is not None and index.isin(whole.index).all() and whole.index.is_unique:
        return whole.loc[index]
    if whole is not None and len(whole) == len(index):
        return whole.set_axis(index, axis=0)
    columns = {str(model.endog_names): np.asarray(model.endog)}
    columns.update({name: model.exog[:, i] for i, name in enumerate(names)})
    for i, name in enumerate(effect_names(model, columns)):
        if name != INTERCEPT:
            columns.setdefault(name, np.asarray(model.exog_re)[:, i])
    return pd.DataFrame(columns, index=index)


def effect_names(model: Any, columns: Mapping[str, Any] | pd.DataFrame) -> list[str]:
    """Names of the columns of `exog_re`; another one than that of a column with other values."""
    if not model.k_re:
        return []
    values = np.asarray(model.exog_re, dtype=float)
    names = [str(x) for x in model.data.exog_re_names]
    names = [INTERCEPT if i in constant_columns(model) else n for i, n in enumerate(names)]
    if isinstance(getattr(model, "formula", None), str):
        return names
    return [
        f"{name}_re" if name in columns and not np.array_equal(columns[name], own) else name
        for name, own in zip(names, values.T, strict=True)
    ]


def groups_of(model: Any, frame: pd.DataFrame, given: str | None) -> tuple[Groups, pd.DataFrame]:
    """The groups, under the name of the data's column that holds them if there is one.

    Parameters
    ----------
    given : str or None
        The name, where the user has said it.
    """
    values = np.asarray(model.groups)
    name = group_name(model, frame, values, given)
    if name not in frame.columns or not _same_values(frame[name], values):
        frame = frame.assign(**{name: values.copy()})
    dtype, labels = frame[name].dtype, list(model.group_labels)
    if isinstance(dtype, pd.CategoricalDtype):
        present = set(labels)
        labels = [c for c in dtype.categories if c in present]
    rows = [np.asarray(model.row_indices[label], dtype=np.intp) for label in labels]
    codes = np.full(len(values), -1, dtype=np.intp)
    codes[np.concatenate(rows)] = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
    return Groups(name, codes, pd.Index(labels), rows), frame


def group_name(model: Any, frame: pd.DataFrame, values: IntArray, given: str | None = None) -> str:
    """The name of the groups: of the column that holds them, or as statsmodels calls them."""
    if given is not None:
        return _given_name(frame, values, given)
    names = [str(x) for x in getattr(model.data, "exog_re_names", [])]
    own = getattr(model.groups, "name", None)
    # A formula puts the groups' name for "Intercept"; missing="drop" loses the column.
    constant = constant_columns(model)
    by_formula = isinstance(getattr(model, "formula", None), str) and len(constant) > 0
    said: str | None = names[int(constant[0])] if by_formula else None
    if said is not None and said in frame.columns and said != _UNNAMED:
        return said  # the fit's own values are put there, whatever the column has now
    for name in [*([] if own is None else [str(own)]), *names, *map(str, frame.columns)]:
        if name in frame.columns and _same_values(frame[name], values):
            return name
    if said is not None:
        return said
    return _UNNAMED if own is None else str(own)


def _given_name(frame: pd.DataFrame, values: IntArray, given: object) -> str:
    if not isinstance(given, str):
        raise InvalidArgumentError(
            f"groups: the name of the groups, as in MerMod(fit, groups='g'), not a "
            f"{type(given).__name__}"
        )
    if given in frame.columns and not _same_values(frame[given], values):
        raise InvalidArgumentError(
            f"groups={given!r}: that column of the data has other values than the fit's groups"
        )
    return given


def _same_values(column: pd.Series | pd.DataFrame, values: IntArray) -> bool:
    if isinstance(column, pd.DataFrame) or len(column) != len(values):  # a repeated name
        return False
    own = np.asarray(column)
    return not pd.isna(own).any() and bool(np.all(own == values))


def constant_columns(model: Any) -> IntArray:
    """Which columns of `exog_re` are ones."""
    if not model.k_re:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(np.all(np.asarray(model.exog_re) == 1.0, axis=0))


def with_own_values(model: Any, names: list[str], frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with the fit's own values of the columns that they are."""
    formula = getattr(model, "formula", None)
    if not isinstance(formula, str):
        return frame
    own: dict[str, Array] = {}
    response = unquoted(formula.split("~", 1)[0].strip())
    own[response] = np.asarray(model.endog, dtype=float)
    for name, values in zip(names, np.asarray(model.exog, dtype=float).T, strict=True):
        own.setdefault(unquoted(name), values)
    for name, values in _random_columns(model):
        own.setdefault(unquoted(name), values)
    changed = {
        name: values
        for name, values in own.items()
        if name in frame.columns and not _holds(frame[name], values)
    }
    return frame.assign(**changed) if changed else frame


def _random_columns(model: Any) -> list[tuple[str, Array]]:
    if not model.k_re:
        return []
    names = effect_names(model, {})
    return list(zip(names, np.asarray(model.exog_re, dtype=float).T, strict=True))


def _holds(column: pd.Series | pd.DataFrame, values: Array) -> bool:
    """Whether a column has these values; one that is repeated can't be told."""
    if isinstance(column, pd.DataFrame) or kind_of(column) != "numbers":
        return isinstance(column, pd.DataFrame) or column.dtype == bool
    return np.array_equal(numbers(column, column.name), values)


def check_columns_made(model: Any, fixed: FixedPart, frame: pd.DataFrame) -> None:
    """Refuse a fit whose columns the frame no longer makes.

    Raises
    ------
    UnsupportedModelError
        The frame has changed since the fit; the message names its columns.
    """
    if fixed.right_side is None:
        return
    exog = np.asarray(model.exog, dtype=float)
    differs = _differing(fixed, frame, exog)
    whole = pd.DataFrame(model.data.frame)
    if np.any(differs) and len(whole) > len(frame) and whole.index.is_unique:
        # Code that looks at the whole column (x - x.mean()) saw the rows that were left out too.
        made = _made(fixed, whole)
        if made is not None:
            at = whole.index.get_indexer(frame.index)
            differs = ~_close(made[at], exog)
    if np.any(differs):
        codes = [name for name, bad in zip(fixed.names, differs, strict=True) if bad]
        used = sorted({name for code in codes for name in names_in(code.split("[")[0])})
        raise _changed([name for name in used if name in frame.columns] or used)
    _check_response(model, frame)


def _differing(fixed: FixedPart, frame: pd.DataFrame, exog: Array) -> BoolArray:
    """Which columns the frame does not make as they were fitted."""
    made = _made(fixed, frame)
    if made is None or made.shape != exog.shape:
        # Columns that are their own variables have the fit's values.
        own = {*map(str, frame.columns), INTERCEPT}
        return np.array(["[" in name or unquoted(name) not in own for name in fixed.names])
    return ~_close(made, exog)


def _made(fixed: FixedPart, frame: pd.DataFrame) -> Array | None:
    try:
        return fixed.matrix(frame)
    except InvalidArgumentError:  # a column that is gone, a category that was not there
        return None


def _close(made: Array, exog: Array) -> BoolArray:
    allowed = _SAME * np.max(np.abs(exog), axis=0, initial=0.0)
    close: BoolArray = np.all(np.abs(made - exog) <= allowed, axis=0)
    return close


def _check_response(model: Any, frame: pd.DataFrame) -> None:
    """A response that is code, such as np.log(y), must still be what was fitted."""
    code = str(model.formula).split("~", 1)[0].strip()
    used = [str(c) for c in frame.columns if c in names_in(code)]
    if unquoted(code) in frame.columns or not used:
        return
    try:
        made = Scope().column(code, frame)
    except InvalidArgumentError:  # it uses what only the caller has
        return
    y = np.asarray(model.endog, dtype=float)
    if len(made) != len(y) or not _close(made[:, None], y[:, None])[0]:
        raise _changed(used)


def _changed(columns: list[str]) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"the data frame has changed since the fit: {columns} do not make the columns that "
        "statsmodels fitted. Fit again; a copy keeps the data of a fit as they were: "
        "mixedlm(formula, data.copy(), ...). (If nothing has changed: arithmetic on small integers "
        "wraps in statsmodels, and that on truth values is logic; convert them before the fit)"
    )

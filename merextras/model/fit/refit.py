"""Fitting a model again: to another response, by ML, with another formula or other data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from merextras.engine.covariance.tags import Tag
from merextras.exceptions import InvalidArgumentError, NoRowsError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import NOT_A_COLUMN
from merextras.model.design.design import Design
from merextras.model.design.sanity import check_response
from merextras.model.design.user_rows import expected, rows_of_fit, within
from merextras.model.fit.lmer import fit_options
from merextras.model.formula.names import effect_key
from merextras.model.formula.parse import Bar, parse
from merextras.model.formula.rewrite import bar_text, expanded, term_labels
from merextras.model.formula.translate import in_backticks
from merextras.model.frame.read import as_pandas
from merextras.model.products.fit import fit_products
from merextras.model.products.products import products_within
from merextras.model.settings.cov_prior import check_cov_prior
from merextras.model.settings.options import Keep, Options, callers_names
from merextras.model.settings.residual import residual_columns
from merextras.model.state.fitted import Fit, FittedModel
from merextras.model.state.fitting import refitted, warn_of

M = TypeVar("M", bound=FittedModel)


def refit(model: M, y: Array | pd.Series | pd.DataFrame) -> M:
    """The same model fitted to another response, lme4's ``refit``.

    Parameters
    ----------
    y : (n,) array, Series, or frame of one column
        For the rows of the fit, or for all rows of the data of which the fit left out some; of
        these only the rows of the fit are taken. A Series, and the frame that ``simulate()``
        returns, must have the index of either, in any order; it is aligned.

    Returns
    -------
    A new model; the old one does not change.

    Raises
    ------
    InvalidArgumentError
        Another length or index, values that are missing or infinite, or a response without
        variation, overall or within groups.
    """
    new = refitted(model, y=_response(model, y))
    warn_of(new._fit, stacklevel=2)
    return new


def refit_ml(model: M) -> M:
    """The model fitted by maximum likelihood, lme4's ``refitML``.

    An ML fit is returned as it is. Fits with different fixed effects can be compared after this.
    """
    if not model.solution.reml:
        return model
    new = refitted(model, reml=False)
    warn_of(new._fit, stacklevel=2)
    return new


def _response(model: FittedModel, y: Array | pd.Series | pd.DataFrame) -> Array:
    design = model.design
    if isinstance(y, pd.DataFrame):
        if y.shape[1] != 1:
            raise InvalidArgumentError(
                f"y: a frame of {y.shape[1]} columns; refit one at a time, m.refit(y.iloc[:, 0])"
            )
        y = y.iloc[:, 0]
    y = rows_of_fit(y, design.index, design.user_rows, "y")
    try:
        values = np.array(y, dtype=float)  # a copy
    except (TypeError, ValueError):
        raise InvalidArgumentError("y: the response must be numeric") from None
    if values.shape != (design.n,):
        raise InvalidArgumentError(
            f"y: expected {expected(design.index, design.user_rows)}, got shape {values.shape}"
        )
    if not np.all(np.isfinite(values)):
        raise InvalidArgumentError("y: there are missing or infinite values in rows of the fit")
    if not model.has_known_sigma:
        check_response(
            (values if design.offset is None else values - design.offset)[design.observed]
        )
    return values


def update(
    model: M,
    formula: str | None = None,
    *,
    data: pd.DataFrame | None = None,
    reml: bool | None = None,
    residual_by: str | Sequence[str] | None = None,
    cov_prior: Any = "keep",
    weights: Any = Keep.KEEP,
    freq_weights: Any = Keep.KEEP,
    offset: Any = Keep.KEEP,
) -> M:
    """The model with another formula, other data or a prior, fitted again, R's ``update``.

    Parameters
    ----------
    formula : str, optional
        In lme4's notation. ``.`` stands for what was there, as in ``". ~ . - social"``; on the
        right it is the fixed part and the random-effects terms, of which one is taken out by
        ``". ~ . - (1 | class:school)"``.
    data : DataFrame, optional
        By default the model frame of the fit, which has the variables of the model only.
    reml : bool, optional
        By default as before.
    residual_by : column name, or list of them, optional
        Groups with residual standard deviations of their own, see `lmer`; by default as before,
        ``[]`` for one of all rows. A column that the formula does not have needs `data`.
    cov_prior : as of `lmer`, optional
        A prior of the covariances; ``"keep"`` leaves what there is, None takes it away.
    weights, freq_weights, offset : as of `lmer`, optional
        By row of the fit, or of its data with the rows that it left out; with `data` by its rows.
        Without them what there is stays, None takes it away.

    Raises
    ------
    InvalidArgumentError
        A formula that can't be read, a variable that the data lack, or other data for a model with
        weights by array.
    NoRowsError
        The model was fitted from chunks: terms can be taken out, which needs no rows, not put in.

    Notes
    -----
    Contrasts, control and the names that the formula used are those of the fit, further names the
    caller's; a model that was unpickled has no names but numpy's. Weights and offset that are not
    given stay, and are taken from new data if they are columns.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> fit = smf.mixedlm("extro ~ open + agree", load_dataset("students"), groups="school").fit()
    >>> mx.MerMod(fit).update(". ~ . - agree").formula()
    'extro ~ open + (1 | school)'
    """
    text = model.design.formula if formula is None else with_dots(formula, model.design)
    reml = model.solution.reml if reml is None else reml
    if not model.design.keeps_rows:
        by_row = {"weights": weights, "freq_weights": freq_weights, "offset": offset}
        return _without_rows(model, text, data, reml, cov_prior, residual_by, by_row)
    options = model.design.options
    if not _is_kept(cov_prior):
        options = replace(options, cov_prior=check_cov_prior(cov_prior))
    # Names that the formula used before mean what they meant; new ones are the caller's.
    options = replace(options, scope=options.scope.within(callers_names(1)))
    n_dropped, frame = model.n_dropped, model.design.frame
    if data is not None:
        n_dropped, frame = 0, as_pandas(data)
    with of_model_frame(data):
        given = by_row_of(model, data, weights=weights, freq_weights=freq_weights, offset=offset)
        options = options.again(frame, data is not None, **given)
        if residual_by is not None:
            options = replace(options, residual_by=_other_groups(residual_by, frame))
        fit = _fit(model, text, frame, options, reml)
    warn_of(fit, stacklevel=2)
    if data is None:
        fit = replace(fit, design=within(fit.design, model.design.user_rows))
    return model._like(replace(fit, n_dropped=fit.n_dropped + n_dropped))


def by_row_of(model: FittedModel, data: object, **given: Any) -> dict[str, Any]:
    """Arguments of an update by row, for the rows of the fit alone if there are no other data."""
    if data is not None:
        return given
    design, out = model.design, given.copy()
    for name, values in given.items():
        if not isinstance(values, (str, Keep)) and values is not None:
            out[name] = rows_of_fit(values, design.index, design.user_rows, name)
    return out


@contextmanager
def of_model_frame(data: object) -> Iterator[None]:
    """Say where a column is to come from that an update of the fit's own rows does not have."""
    try:
        yield
    except InvalidArgumentError as err:
        if data is not None or NOT_A_COLUMN not in str(err):
            raise
        raise InvalidArgumentError(
            f"{err}. The model frame has the variables of the model only: give data= with it"
        ) from None


def _other_groups(given: Any, frame: pd.DataFrame) -> tuple[str, ...]:
    """The argument ``residual_by`` of an update."""
    if isinstance(given, (list, tuple)) and not given:
        return ()
    return residual_columns(given, frame.columns)


def _is_kept(cov_prior: object) -> bool:
    return isinstance(cov_prior, str) and cov_prior == "keep"


def _without_rows(
    model: M,
    formula: str,
    data: object,
    reml: bool,
    cov_prior: object,
    residual_by: object,
    by_row: Mapping[str, Any],
) -> M:
    """Update a model that keeps no rows: its cross-products have those of a part of its formula."""
    if data is not None:
        raise NoRowsError(
            "data: the model was fitted from chunks or cross-products and keeps no rows; fit other "
            "data by lmer(formula, source)"
        )
    if residual_by is not None:
        raise NoRowsError(
            "residual_by: the model was fitted from chunks or cross-products and keeps no rows, "
            "whose groups would be needed; fit again by lmer(formula, source, residual_by=...)"
        )
    for name, values in by_row.items():
        if values is not Keep.KEEP:
            raise NoRowsError(
                f"{name}: the model was fitted from chunks or cross-products and keeps no rows, "
                f"which it would be of; fit again by lmer(formula, source, {name}=...)"
            )
    made = products_within(model.design.sums(), formula, model.n_dropped)
    control = replace(model.control, start=None)
    prior = model.design.options.cov_prior if _is_kept(cov_prior) else cov_prior
    fit = fit_products(made, reml=reml, control=control, cov_prior=prior, stacklevel=3)
    warn_of(fit, stacklevel=3)
    return model._like(fit)


def refit_formula(model: M, formula: str, frame: pd.DataFrame) -> M:
    """The model with another formula on the same rows, whose variables `frame` has."""
    fit = _fit(model, formula, frame, model.design.options, model.solution.reml)
    design = within(fit.design, model.design.user_rows)
    return model._like(replace(fit, design=design, n_dropped=fit.n_dropped + model.n_dropped))


def _fit(
    model: FittedModel, formula: str, frame: pd.DataFrame, options: Options, reml: bool
) -> Fit:
    """Fit as before; contrasts of columns that are no longer there are not needed either."""
    there = {c: how for c, how in options.contrasts.items() if c in frame.columns}
    control = replace(model.control, start=None)
    options = replace(options, contrasts=there)
    return fit_options(formula, frame, options, reml=reml, control=control, stacklevel=3)


def with_dots(formula: str, design: Design) -> str:
    """Replace ``.`` by the old response or right-hand side, and drop what is subtracted."""
    if not isinstance(formula, str):
        raise InvalidArgumentError(
            f"formula: expected a formula as a string, got {type(formula).__name__}"
        )
    before = parse(design.formula)
    head, _, rhs = formula.rpartition("~")
    response = _undotted(head, before.response).strip() or before.response
    text = _undotted(rhs, f"({before.fixed})")
    parsed = parse(in_backticks(text, design.columns), subtract=True)
    old = parse(in_backticks(design.formula, design.columns)).bars if text != rhs else ()
    bars = {_key(bar): bar for bar in [*old, *parsed.bars]}
    for bar in parsed.dropped:
        if not any(_taken_out(bar, each) is not None for each in bars.values()):
            there = _unquoted(", ".join(map(bar_text, bars.values()))) or "none"
            raise InvalidArgumentError(
                f"formula={formula!r}: there is no term {bar_text(bar)} to take out of: {there}"
            )
        left = [(each, _taken_out(bar, each)) for each in bars.values()]
        kept = [each if rest is None else rest for each, rest in left]
        bars = {_key(each): each for each in kept if each.effects}
    parts = [expanded(parsed.fixed), *map(bar_text, bars.values())]
    as_given = {q[2]: q[0] for q in re.finditer(r"Q\((['\"])(.*?)\1\)", text)}
    return f"{response} ~ {' + '.join(_unquoted(part, as_given) for part in parts)}"


def _undotted(text: str, before: str) -> str:
    """The text with what was there before in place of its dots, those in quotes left alone."""
    return re.sub(
        r"""(?P<quoted>(?P<mark>['"`]).*?(?P=mark))|(?<![\w.)\]])\.(?![\w.])""",
        lambda m: m["quoted"] or before,
        text,
    )


def _labels(bar: Bar) -> dict[tuple[str, ...], str]:
    """The labels of a bar's effects, whatever the order of an interaction's variables."""
    return {effect_key(label): label for label in term_labels(bar.effects)}


def _key(bar: Bar) -> tuple[frozenset[tuple[str, ...]], frozenset[str], bool, Tag]:
    """What two ways to write the same term have in common; one effect is never correlated."""
    labels = frozenset(_labels(bar))
    return labels, frozenset(bar.factors), bar.independent and len(labels) > 1, bar.tag


def _taken_out(bar: Bar, of: Bar) -> Bar | None:
    """What is left of a term without another, no effects if they are the same; None if not in it.

    ``(x || g)`` is ``(1 | g) + (0 + x | g)``, each of which can be taken out.
    """
    if _key(bar) == _key(of):
        return replace(of, effects="")
    mine, theirs = _labels(of), _labels(bar)
    single = bar.independent or len(theirs) == 1
    if not (of.independent and single and set(bar.factors) == set(of.factors)):
        return None
    if not theirs.keys() <= mine.keys():
        return None
    left = [label for key, label in mine.items() if key not in theirs]
    text = " + ".join([*([] if "" in left else ["0"]), *filter(None, left)]) or "1"
    return replace(of, effects=text)


def _unquoted(code: str, as_given: Mapping[str, str] = MappingProxyType({})) -> str:
    """Patsy's ``Q("x")`` in backticks, or as the user has it."""
    return re.sub(r'Q\("([^"]*)"\)', lambda m: as_given.get(m[1], f"`{m[1]}`"), code)

"""A linear model of each group, all of them at once."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from merextras.engine.kernels import blocks
from merextras.exceptions import (
    InvalidArgumentError,
    RankDeficientWarning,
    UnsupportedModelError,
)
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.arguments import check_choice
from merextras.model.columns.fixed import Scope
from merextras.model.design.build import build_design
from merextras.model.design.design import Design
from merextras.model.frame.read import as_pandas
from merextras.model.settings.options import Options, callers_names
from merextras.results.estimates.lm_list import LmList

__all__ = ["lm_list"]

#: R's: a column that has less than this of its length left beside those before it depends on them.
_DEPENDENT = 1e-7


def lm_list(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
    family: object = None,
) -> LmList:
    """Fit a linear model to each group alone: no pooling, lme4's ``lmList``.

    Parameters
    ----------
    formula : str
        ``"y ~ x | g"``: response, coefficients and, right of the bar, the grouping factor, or two
        of them as ``a:b``. The left parts are Python formulas, as of `lmer`.
    data : DataFrame
    weights : (n,) array, Series or column name, optional
        Precision weights.
    contrasts : mapping column -> str, optional
    missing : {"drop", "raise"}
        Rows that miss a value.
    family : None
        Generalised models of each group alone are not there: refused.

    Returns
    -------
    LmList
        ``.coef()``, ``.confint()``, ``.std_error()``, ``.summary()``, ``.sigma`` (pooled),
        ``.to_frame()``; ``.shrinkage(m)`` sets a mixed model beside it, for `plot_shrinkage`, and
        ``plot_ranef(fits.confint(), level=None)`` draws the intervals.

    Raises
    ------
    InvalidArgumentError
        A formula that can't be read, an unknown column, a bad argument.
    UnsupportedModelError
        A family.

    Warns
    -----
    RankDeficientWarning
        Groups whose rows do not determine all coefficients, which are NaN there.

    Notes
    -----
    By modified Gram and Schmidt on the rows of all groups together, O(n p**2): 50 000 groups of ten
    rows and two coefficients take about a third of a second. A column that depends on those
    before it within a group is left out there, with R's tolerance, 1e-7 of its length. Categories
    are coded from all rows, so that a coefficient means the same in each group.

    **R counterpart**: ``lme4::lmList``, ``nlme::lmList``. Without ``pool = TRUE`` lme4's
    ``confint`` takes each group's own residual variance, its ``summary`` the pooled one; here both
    are pooled unless ``pooled=False``. lme4 drops a group that gives an error.

    Examples
    --------
    >>> import merextras as mx
    >>> fits = mx.lm_list("Reaction ~ Days | Subject", mx.load_dataset("sleepstudy"))
    >>> fits.coef().head(2).round(2)
             Intercept   Days
    Subject
    308         244.19  21.76
    309         205.05   2.26
    >>> round(fits.sigma, 4), int(fits.df_residual)
    (25.5918, 144)
    >>> fits.confint().iloc[:2, 2:].round(1)
            term  estimate  std_error  conf_low  conf_high
    0  Intercept     244.2       15.0     214.5      273.9
    1       Days      21.8        2.8      16.2       27.3
    """
    if family is not None:
        raise UnsupportedModelError(
            f"lm_list: family={family!r}: a group alone often has no finite estimate in a "
            "generalised model; glmer(formula, data, family=...) pools them"
        )
    frame = as_pandas(data)
    options = Options(
        missing=check_choice(missing, ("drop", "raise"), "missing"),
        contrasts=dict(contrasts or {}),
        scope=Scope(callers_names(1)),
    ).with_rows(frame, weights=weights, freq_weights=None, offset=None)
    design, _ = build_design(_as_mixed(formula), frame, options)
    found = _by_groups(design, formula.strip())
    count = int(np.sum(found.deficient))
    if count:
        first = ", ".join(map(repr, found.levels[found.deficient][:3].tolist()))
        warnings.warn(
            f"{count} of {len(found)} groups ({first}{', ...' if count > 3 else ''}) do not "
            "determine all coefficients; those that depend on others are NaN there",
            RankDeficientWarning,
            stacklevel=2,
        )
    return found


def _as_mixed(formula: object) -> str:
    """``y ~ x | g`` with the group in a bar of its own."""
    if not isinstance(formula, str):
        raise InvalidArgumentError(
            f"formula: expected a string such as 'y ~ x | g', got {type(formula).__name__}"
        )
    head, bar, group = formula.rpartition("|")
    factors = [part.strip() for part in group.split(":")]
    plain = all(re.fullmatch(r"[^\W\d]\w*|`[^`]+`", part) for part in factors)
    if not bar or "~" not in head or "|" in head or not plain:
        raise InvalidArgumentError(
            f"formula={formula!r}: expected 'y ~ x | g', the grouping factor (or 'a:b') alone "
            "right of one bar without parentheses; a mixed model, 'y ~ x + (x | g)', is lmer's"
        )
    return f"{head.strip()} + (1 | {group.strip()})"


def _by_groups(design: Design, formula: str) -> LmList:
    """Least squares in each level of the design's one term."""
    (term,) = design.terms
    used = design.observed
    x, codes = design.x[used], term.rows.codes[used]
    y = (design.y if design.offset is None else design.y - design.offset)[used]
    if design.weights is not None:
        root = np.sqrt(design.weights[used])
        x, y = x * root[:, None], y * root
    levels, p = term.rows.n_levels, x.shape[1]
    upper, known, q = _orthonormal(x, codes, levels)
    to_y, rest = np.zeros((levels, p)), y.copy()
    for j in range(p):
        to_y[:, j] = blocks.sum_by(q[j] * rest, codes, levels)
        rest -= q[j] * to_y[codes, j]
    inverse = _inverse(upper, known)
    estimates = np.einsum("jab,jb->ja", inverse, to_y)
    unscaled = np.sqrt(np.einsum("jab,jab->ja", inverse, inverse))
    estimates[~known], unscaled[~known] = np.nan, np.nan
    return LmList(
        formula=formula,
        group=term.factor,
        levels=term.levels,
        names=tuple(design.fixed.names),
        estimates=estimates,
        unscaled=unscaled,
        rss=blocks.sum_by(rest * rest, codes, levels),
        n=np.bincount(codes, minlength=levels).astype(float),
        rank=known.sum(axis=1).astype(float),
        complete=np.asarray(np.linalg.lstsq(x, y, rcond=None)[0], dtype=float),
    )


def _orthonormal(x: Array, codes: IntArray, levels: int) -> tuple[Array, BoolArray, list[Array]]:
    """R of each level, (J, p, p), which columns it has, (J, p), and the columns of Q by rows.

    Modified Gram and Schmidt, each column twice.
    """
    p, q = x.shape[1], list[Array]()
    upper, known = np.zeros((levels, p, p)), np.zeros((levels, p), dtype=bool)
    for j in range(p):
        column = x[:, j].copy()
        length = np.sqrt(blocks.sum_by(column * column, codes, levels))
        for _ in range(2):
            for i, own in enumerate(q):
                part = blocks.sum_by(own * column, codes, levels)
                column -= own * part[codes]
                upper[:, i, j] += part
        left = np.sqrt(blocks.sum_by(column * column, codes, levels))
        known[:, j] = left > _DEPENDENT * length
        upper[:, j, j] = np.where(known[:, j], left, 1.0)
        q.append(np.where(known[codes, j], column / upper[codes, j, j], 0.0))
    return upper, known, q


def _inverse(upper: Array, known: BoolArray) -> Array:
    """The inverses of R without the columns that are not known, (J, p, p)."""
    both = known[:, :, None] & known[:, None, :]
    p = upper.shape[1]
    return np.asarray(np.linalg.inv(np.where(both, upper, np.eye(p))) * both)

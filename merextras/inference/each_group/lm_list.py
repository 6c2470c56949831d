"""A linear model of each group, all of them at once."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from merextras.engine.kernels import blocks
from merextras.engine.kernels.by_level import inverse, orthonormal
from merextras.exceptions import ConvergenceWarning, InvalidArgumentError, RankDeficientWarning
from merextras.foundation.aliases import BoolArray
from merextras.foundation.arguments import check_choice
from merextras.inference.each_group import glm_list
from merextras.model.columns.fixed import Scope
from merextras.model.design.build import build_design, response_later
from merextras.model.design.design import Design
from merextras.model.formula.parse import parse
from merextras.model.formula.r_spelling import written_out
from merextras.model.frame.read import as_pandas
from merextras.model.generalised.families import FamilyChoice, read_family
from merextras.model.generalised.responses.response import read_response
from merextras.model.settings.options import Options, callers_names
from merextras.results.estimates.glm_list import GlmList
from merextras.results.estimates.lm_list import LmList

__all__ = ["lm_list"]


def lm_list(
    formula: str,
    data: Any,
    family: object = None,
    *,
    dispersion: float | None = None,
    weights: Any = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
) -> LmList:
    """Fit a model to each group alone: no pooling, lme4's ``lmList``.

    Parameters
    ----------
    formula : str
        ``"y ~ x | g"``: response, coefficients and, right of the bar, the grouping factor, or two
        of them as ``a:b``. The left parts are Python formulas, as of `lmer`.
    data : DataFrame
    family : str, or a family of statsmodels, optional
        A generalised linear model of each group: a family as `glmer` takes it, with the response in
        any of its forms there. By default least squares.
    dispersion : float, optional
        The size of a negative binomial, which must be given, here or with statsmodels' family.
    weights : (n,) array, Series or column name, optional
        Precision weights; with ``family="binomial"`` the trials of a proportion.
    contrasts : mapping column -> str, optional
    missing : {"drop", "raise"}
        Rows that miss a value.

    Returns
    -------
    LmList or GlmList
        ``.coef()``, ``.confint()``, ``.std_error()``, ``.summary()``, ``.sigma`` (pooled),
        ``.to_frame()``; ``.shrinkage(m)`` sets a mixed model beside it, for `plot_shrinkage`, and
        ``plot_ranef(fits.confint(), level=None)`` draws the intervals. Of generalised models also
        ``.separated``, ``.deviance`` and ``confint(exponentiate=True)``.

    Raises
    ------
    InvalidArgumentError
        A formula that can't be read, an unknown column, a bad argument; values that the family does
        not have; a negative binomial without a size.
    UnsupportedModelError
        A quasi family.

    Warns
    -----
    RankDeficientWarning
        Groups whose rows do not determine all coefficients, which are NaN there.
    ConvergenceWarning
        Groups in which the response is separated (all of its values are alike, say), whose
        coefficients without a finite estimate are NaN; groups whose search did not end.

    Notes
    -----
    By modified Gram and Schmidt on the rows of all groups together, O(n p**2): 50 000 groups of ten
    rows and two coefficients take about a third of a second. A column that depends on those
    before it within a group is left out there, with R's tolerance, 1e-7 of its length. Categories
    are coded from all rows, so that a coefficient means the same in each group.

    **Generalised models** are fitted to the maximum of their likelihood by Newton steps of all
    groups together. Standard errors are of the expected information, as R's and statsmodels'. The
    dispersion of gamma, inverse Gaussian and normal families is Pearson's statistic over its
    degrees of freedom. A group is separated if along some combination of its columns every
    probability only gets nearer to 0 or 1 (or means of zero counts to 0); this is decided exactly,
    by linear programming. The rows that do not move along it still determine some coefficients,
    which are given; all others are infinite, or depend on such, and are NaN. R's ``glm`` stops
    somewhere on the way there, with numbers such as -20 and standard errors of thousands.

    **R counterpart**: ``lme4::lmList``, ``nlme::lmList``. Without ``pool = TRUE`` lme4's
    ``confint`` takes each group's own residual variance, its ``summary`` the pooled one; here both
    are pooled unless ``pooled=False``. lme4 drops a group that gives an error. Of generalised
    models its ``confint`` is of profiles without pooling, and its pooled dispersion of deviance
    residuals; here intervals are Wald's, and pooled is Pearson's.

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

    The share of women who use contraception, by age, in each district:

    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")  # some districts are separated
    ...     fits = mx.lm_list(
    ...         "use ~ age | district", mx.load_dataset("contraception"), family="binomial"
    ...     )
    >>> fits.confint(exponentiate=True).iloc[:2, 1:].round(3)
      level       term  estimate  std_error  conf_low  conf_high
    0     1  Intercept     0.345      0.073     0.228      0.524
    1     1        age     0.982      0.026     0.932      1.034
    """
    choice = None if family is None and dispersion is None else _choice(family, dispersion)
    frame = as_pandas(data)
    options = Options(
        missing=check_choice(missing, ("drop", "raise"), "missing"),
        contrasts=dict(contrasts or {}),
        scope=Scope(callers_names(1)),
    ).with_rows(frame, weights=weights, freq_weights=None, offset=None)
    respond = None if choice is None else response_later
    design, _ = build_design(_as_mixed(formula), frame, options, respond=respond)
    if not design.fixed.names:
        raise InvalidArgumentError(
            f"formula={formula!r}: there is no coefficient to fit in each group"
        )
    if choice is None:
        found = _by_groups(design, formula.strip())
    else:
        code = parse(written_out(_as_mixed(formula), frame.columns)).response
        response = read_response(code, design.frame, design.options.scope, choice, design.weights)
        generalised = glm_list.by_groups(design, response, choice, formula.strip())
        _warn_of_infinite(generalised)
        found = generalised
    if found.deficient.any():
        warnings.warn(
            f"{_named(found, found.deficient)} do not determine all coefficients; those that "
            "depend on others are NaN there",
            RankDeficientWarning,
            stacklevel=2,
        )
    return found


def _choice(family: object, dispersion: object) -> FamilyChoice:
    """The family, with the size of a negative binomial."""
    choice = read_family("gaussian" if family is None else family, dispersion)
    if choice.name == "negative_binomial" and choice.size is None:
        raise InvalidArgumentError(
            f"lm_list: family={family!r}: the size of a group alone is often infinite; give one "
            "for all groups as dispersion=, such as that of a fit of glmer_nb, m.dispersion"
        )
    return choice


def _warn_of_infinite(found: GlmList) -> None:
    for groups, text in (
        (
            found.separated,
            "are separated: their likelihood rises without end along some columns, as where all of "
            "a group's responses are alike. Coefficients without a finite estimate are NaN there; "
            "glmer(formula, data, family=...) pools the groups",
        ),
        (~found.found, "did not come to a maximum of their likelihood; they are NaN"),
    ):
        if groups.any():
            warnings.warn(f"{_named(found, groups)} {text}", ConvergenceWarning, stacklevel=3)


def _named(found: LmList, groups: BoolArray) -> str:
    """``2 of 18 groups ('a', 'b')``, three of them at most by name."""
    count = int(np.sum(groups))
    first = ", ".join(map(repr, found.levels[groups][:3].tolist()))
    return f"{count} of {len(found)} groups ({first}{', ...' if count > 3 else ''})"


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
    upper, known, q = orthonormal(x, codes, levels)
    to_y, rest = np.zeros((levels, p)), y.copy()
    for j in range(p):
        to_y[:, j] = blocks.sum_by(q[j] * rest, codes, levels)
        rest -= q[j] * to_y[codes, j]
    unscaled_root = inverse(upper, known)
    estimates = np.einsum("jab,jb->ja", unscaled_root, to_y)
    unscaled = np.sqrt(np.einsum("jab,jab->ja", unscaled_root, unscaled_root))
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

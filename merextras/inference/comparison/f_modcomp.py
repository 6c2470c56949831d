"""F tests between two models that differ in their fixed effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as la

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.inference.ddf.contrasts import read_contrasts
from merextras.inference.ddf.method import method_of
from merextras.inference.functions.hypotheses import is_text, read_hypotheses
from merextras.inference.nesting.nested import (
    AnyCandidate,
    StreamedCandidate,
    check_nested,
    check_same_data,
    mixed_candidate,
    ols_candidate,
    same_terms,
)
from merextras.inference.nesting.nested_rowless import fixed_within
from merextras.model.design.design import Design
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model.statsmodels.ols import is_ols
from merextras.results.tests.f_modcomp import FModcomp

__all__ = ["kr_modcomp", "sat_modcomp"]

# A direction of this length is in the span of others.
_IN_SPAN = 1e-7


def kr_modcomp(large: object, small: Any) -> FModcomp:
    """Test the smaller of two models by Kenward and Roger's F test, pbkrtest's ``KRmodcomp``.

    Parameters
    ----------
    large : MerMod or MixedLMResults
        An ML fit is refitted by REML, with a warning.
    small : MerMod, MixedLMResults, array or str
        A model of the same data with the same random effects, its fixed part within the larger
        one's. Only its fixed part is used, whichever criterion it was fitted by. Or what `contest`
        takes for hypotheses about the larger model's fixed effects.

    Returns
    -------
    FModcomp
        ``to_frame()`` has the columns of `pb_modcomp`'s, so that the tests of two models go on one
        table.

    Raises
    ------
    InvalidArgumentError
        Models of different data, with different random effects, or not nested, or with the same
        fixed effects.

    Warns
    -----
    RefitWarning
        An ML fit is refitted by REML.

    See Also
    --------
    pb_modcomp : By the parametric bootstrap; tests variances, too.
    contest : A hypothesis about the fixed effects of one model.

    Notes
    -----
    The smaller model is that ``L beta = 0``, the rows of L being combinations of rows of X that are
    orthogonal to the columns of the smaller model (Halekoh & Højsgaard 2014). The F test is that of
    `contest`. pbkrtest compares models with different random effects without a word; a test of
    fixed effects has the same in both.

    Examples
    --------
    >>> import pandas as pd, merextras as mx
    >>> data = mx.load_dataset("sleepstudy").query("Days < 4")
    >>> large = mx.lmer("Reaction ~ Days + (1 | Subject)", data)
    >>> small = mx.lmer("Reaction ~ 1 + (1 | Subject)", data)
    >>> tests = [mx.kr_modcomp(large, small), mx.sat_modcomp(large, small)]
    >>> tests.append(mx.pb_modcomp(large, small, n_sims=500, rng=1))
    >>> pd.concat([t.to_frame() for t in tests], ignore_index=True).iloc[:4].round(4)
                         test  statistic   df   ddf  p_value
    0  Kenward-Roger's method    15.1525  1.0  53.0   0.0003
    1  Satterthwaite's method    15.1525  1.0  53.0   0.0003
    2                     LRT    13.5786  1.0   NaN   0.0002
    3                  PBtest    13.5786  NaN   NaN   0.0020
    """
    return _compared(large, small, "kenward-roger", "kr_modcomp")


def sat_modcomp(large: object, small: Any) -> FModcomp:
    """Test the smaller of two models by Satterthwaite's method, pbkrtest's ``SATmodcomp``.

    Parameters
    ----------
    large : MerMod or MixedLMResults
    small : MerMod, MixedLMResults, array or str
        As in `kr_modcomp`.

    Returns
    -------
    FModcomp

    Raises
    ------
    InvalidArgumentError
        As `kr_modcomp`.

    Notes
    -----
    Fai and Cornelius' degrees of freedom of several contrasts depend on which rows express the
    hypothesis, and so on the units of covariates. As in pbkrtest the rows are orthonormal as
    weights of coefficients, which `contest` of the coefficients that are left out gives, too. Those
    of `kr_modcomp` do not depend on units.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.sat_modcomp(m, "Days = 10").to_frame().round(4)
                         test  statistic   df   ddf  p_value
    0  Satterthwaite's method     0.0914  1.0  17.0   0.7661
    """
    return _compared(large, small, "satterthwaite", "sat_modcomp")


def _compared(large: object, small: Any, ddf: str, verb: str) -> FModcomp:
    big = as_fitted(large)
    matrix, rhs, label = _restriction(big, small, verb)
    method = method_of(big, ddf, stacklevel=4)
    gap = matrix @ method.model.solution.beta - rhs
    test = method.joint(matrix, gap)
    scale = test.statistic / test.unscaled if test.unscaled > 0.0 else 1.0
    found = method.model.design.formula
    return FModcomp(
        test.statistic, test.num_df, test.den_df, scale, matrix, method.title, found, label
    )


def _restriction(big: FittedModel, small: Any, verb: str) -> tuple[Array, Array, str]:
    """The hypothesis that the smaller model is: L, right-hand sides, and what it is called."""
    if is_text(small):
        given = read_hypotheses(big.design, small, 0.0)
        return given.matrix, given.rhs - given.offset, ", ".join(map(str, given.labels))
    if not is_ols(small) and not _is_model(small):
        try:
            given = read_contrasts(big.design.fixed, small, 0.0)
        except InvalidArgumentError as err:
            raise InvalidArgumentError(
                f"small: expected a model, text, or contrasts of the larger one's effects; {err}"
            ) from None
        return given.matrix, given.rhs, f"{len(given.matrix)} restriction(s)"
    full = mixed_candidate(big)
    candidate = _candidate(small, big)
    check_same_data([full, candidate], verb)
    if is_ols(small) or not same_terms(full, candidate):
        raise InvalidArgumentError(
            f"{verb}: the random effects of {full.label!r} and {candidate.label!r} differ; a test "
            "of fixed effects has the same in both. Variances are tested by exact_rlrt, ranova or "
            "pb_modcomp"
        )
    check_nested(candidate, full, verb)
    matrix = _outside(big.design, full, candidate)
    if len(matrix) == 0:
        raise InvalidArgumentError(
            f"{verb}: {full.label!r} and {candidate.label!r} have the same fixed effects: there is "
            "nothing to test"
        )
    return matrix, np.zeros(len(matrix)), candidate.label


def _is_model(small: object) -> bool:
    return isinstance(small, FittedModel) or hasattr(small, "model")


def _candidate(small: object, big: FittedModel) -> AnyCandidate:
    if is_ols(small):
        return ols_candidate(small, big.design.response, "small")
    return mixed_candidate(as_fitted(small))


def _outside(design: Design, full: AnyCandidate, small: AnyCandidate) -> Array:
    """Combinations of rows of X that the smaller model's columns do not see, (r, p).

    Their weights of the coefficients are orthonormal.
    """
    x = design.observed_rows()
    if isinstance(full, StreamedCandidate):
        assert isinstance(small, StreamedCandidate)
        made = fixed_within(small.design, full.design)
        assert made is not None  # they are nested
        spanned = x @ made
    else:
        assert not isinstance(small, StreamedCandidate)
        spanned = small.x[design.observed]
    q, r = la.qr(x, mode="economic")
    size = np.linalg.norm(spanned, axis=0)
    inside = q.T @ (spanned / np.where(size > 0.0, size, 1.0))
    rows = la.null_space(inside.T, rcond=_IN_SPAN).T @ r
    return np.asarray(la.qr(rows.T, mode="economic")[0].T) if len(rows) else rows

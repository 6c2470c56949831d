"""Coefficients by level without pooling, as the model has them, and with complete pooling."""

from __future__ import annotations

import numpy as np
import pandas as pd

from merextras.diagnostics.random_effects.level_equations import solved
from merextras.diagnostics.random_effects.shrinkage_generalised import complete_pooling, own_data
from merextras.engine.kernels import blocks, dense
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import one_of
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted

__all__ = ["shrinkage"]


def shrinkage(m: object, group: str | None = None) -> pd.DataFrame:
    r"""What each level's data say alone, what the model says, and what all data say together.

    Without pooling, the coefficients of level j are the least-squares fit to its rows alone, of
    the effects that vary by the factor; everything else (other fixed effects, other factors) stays
    at the model's estimate:

    .. math:: \tilde\beta_j = \hat\beta + \hat b_j + (Z_j'WZ_j)^{-1} Z_j'W (y - \hat\mu)_j.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    group : str, optional
        The grouping factor; may be left out if there is one only.

    Returns
    -------
    DataFrame
        ``group level term n no_pooling partial_pooling complete_pooling``, a row per level and
        effect: n observations; `partial_pooling` is ``coef(m)``; `complete_pooling` the
        least-squares fit of the fixed part to all rows, the same for all levels (zero for an
        effect without a fixed counterpart). `no_pooling` is NaN where the level's rows do not
        determine its coefficients; of a model of `glmer` also where its likelihood rises without
        end, as all of its responses are alike or separated. What `plot_shrinkage` draws.

    Raises
    ------
    InvalidArgumentError
        An unknown `group`, or none given where there are several.

    Notes
    -----
    Of a generalised model (`glmer`) the coefficients of a level alone are the maximum of the
    likelihood of its rows, and `complete_pooling` is the generalised linear model of all rows, on
    the scale of the linear predictor; the dispersion is the model's.

    R: ``lme4::lmList`` for `no_pooling` where all fixed effects vary by the factor, and ``lm`` for
    `complete_pooling`. Gelman, A. and Hill, J. (2007). *Data Analysis Using Regression and
    Multilevel/Hierarchical Models*, section 12.2. Cost: O(n k**2 + J k**3) for J levels.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.shrinkage(m).drop(columns="group").head(2).round(2)
      level       term   n  no_pooling  partial_pooling  complete_pooling
    0   308  Intercept  10      244.19           253.66            251.41
    1   309  Intercept  10      205.05           211.01            251.41
    """
    model = as_fitted(m, generalised=True)
    factor = _chosen(model, group)
    design = model.design
    numbers = design.terms_of(factor)
    terms = [design.terms[t] for t in numbers]
    names = [name for term in terms for name in term.names]
    modes = np.hstack([model.modes[t] for t in numbers])
    if isinstance(model, FittedGlmm):
        pooled, own = complete_pooling(model), own_data(model, numbers)
    else:
        pooled, own = _least_squares(model), _own_data(model, numbers)
    beta, complete = np.zeros(len(names)), np.zeros(len(names))
    for i, name in enumerate(names):
        target = design.fixed_name(name)
        if target is not None:
            j = list(design.fixed.names).index(target)
            beta[i], complete[i] = model.fixed_estimates[j], pooled[j]
    partial = beta + modes
    alone = partial + own
    counts = np.ones(design.n) if design.frequencies is None else design.frequencies
    used = design.observed
    n = np.bincount(terms[0].rows.codes[used], counts[used], minlength=len(modes))
    levels = np.asarray(terms[0].levels, dtype=object)
    parts = [
        {
            "group": factor,
            "level": levels,
            "term": name,
            "n": n.astype(int),
            "no_pooling": alone[:, i],
            "partial_pooling": partial[:, i],
            "complete_pooling": complete[i],
        }
        for i, name in enumerate(names)
    ]
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


def _chosen(model: FittedModel, group: str | None) -> str:
    factors = model.design.factors
    if group is None and len(factors) == 1:
        return factors[0]
    if group is None:
        raise InvalidArgumentError(f"group=None: give one of the grouping factors {factors}")
    if group not in factors:
        raise InvalidArgumentError(f"group={group!r}: {one_of(group, factors)}")
    return group


def _least_squares(model: FittedModel) -> Array:
    """Coefficients of the fixed part fitted to all rows by (weighted) least squares."""
    cp = model.solution.factor.system.cp
    low = np.asarray(dense.cholesky(cp.xy[: cp.p, : cp.p]))
    return cp.basis.coefficients(dense.solve(low, cp.xy[: cp.p, cp.p][:, None])[:, 0])


def _own_data(model: FittedModel, numbers: list[int]) -> Array:
    """How far each level's own least-squares fit is from the model's, (J, k)."""
    design = model.design
    rows = [design.terms[t].rows for t in numbers]
    z = np.hstack([term.values for term in rows])
    w = np.ones(design.n)
    for extra in (design.precision, design.frequencies):
        w = w if extra is None else w * extra
    codes, levels = rows[0].codes, rows[0].n_levels
    right = blocks.sum_by(z * (w * (design.y - model.mu))[:, None], codes, levels)
    return solved(z, w, codes, right)

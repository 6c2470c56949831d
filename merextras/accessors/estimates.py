"""The estimates: fixed effects, conditional modes, coefficients by group, covariances."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from merextras.engine.elimination import columns
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_flag, one_of
from merextras.model.state.fitted import FittedModel
from merextras.results.base import FrozenMapping
from merextras.results.estimates.ranef import Ranef
from merextras.results.estimates.var_corr import Component, Line, VarCorr


def fixef(model: FittedModel, *, add_dropped: bool = False) -> pd.Series:
    """Fixed-effects estimates, lme4's ``fixef``.

    Parameters
    ----------
    add_dropped : bool
        Also the columns that were dropped because others determine them, as NaN.

    Returns
    -------
    Series, (p,)
        Indexed by the names of the fit (``Intercept``, ``C(x)[T.b]``).

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> fit = smf.mixedlm("extro ~ open", load_dataset("students"), groups="school").fit()
    >>> m = mx.MerMod(fit)
    >>> (m.fixef() / m.sigma()).round(2)  # effect sizes
    Intercept    22.4
    open          0.0
    dtype: float64
    """
    fixed = model.design.fixed
    found = pd.Series(model.fixed_estimates.copy(), index=list(fixed.names))
    if add_dropped:
        return found.reindex(list(fixed.whole.names))
    return found


def sigma(model: FittedModel) -> float | pd.Series:
    """Residual standard deviation, lme4's ``sigma``.

    ``sqrt(pwrss / (n - p))`` for a REML fit, ``sqrt(pwrss / n)`` for an ML fit (Bates et al. 2015,
    eq. 34 and 41).

    Returns
    -------
    float, or Series by group for a model with ``residual_by=``

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> formula = "extro ~ open + agree + social + (1 | school)"
    >>> mx.lmer(formula, students, residual_by="school").sigma().round(2)
    school
    I      4.29
    II     1.37
    III    1.12
    IV     1.22
    V      1.32
    VI     4.24
    Name: sigma, dtype: float64
    """
    groups = model.design.residual
    if groups is None:
        return float(np.sqrt(model.solution.sigma2))
    return pd.Series(group_sigmas(model), index=groups.levels.rename(groups.name), name="sigma")


def group_sigmas(model: FittedModel) -> Array:
    """Residual standard deviations of a row of weight one: one, or one by group."""
    groups, first = model.design.residual, np.sqrt(model.solution.sigma2)
    return np.array([first]) if groups is None else np.asarray(first / np.sqrt(groups.omega))


def mean_sigma(model: FittedModel) -> float:
    """Root of the mean residual variance of the observations, at weight one; sigma if it is one.

    NaN for a generalised model, which has no residual standard deviation.
    """
    if model.is_generalised:
        return np.nan
    strata = model._fit.strata
    if strata is None:
        return float(np.sqrt(model.solution.sigma2))
    return float(np.sqrt(np.average(group_sigmas(model) ** 2, weights=strata.n)))


def vcov(model: FittedModel) -> pd.DataFrame:
    """Covariance matrix of the fixed effects, lme4's ``vcov``.

    ``sigma**2 (X'V^-1 X)^-1`` at the estimated theta (Bates et al. 2015, eq. 54), (p, p).
    """
    names = list(model.design.fixed.names)
    return pd.DataFrame(model.fixed_covariance.copy(), index=names, columns=names)


def ranef(
    model: FittedModel,
    *,
    cond_var: bool = True,
    groups: str | Sequence[str] | None = None,
    fixed_uncertainty: bool = False,
) -> Ranef:
    """Conditional modes of the random effects (BLUPs), lme4's ``ranef``.

    Parameters
    ----------
    cond_var : bool
        Also the conditional variances ``sigma**2 Lambda (Lambda'Z'WZ Lambda + I)^-1 Lambda'``
        (Bates et al. 2015, eq. 58). They hold theta and the fixed effects at their estimates; the
        spread of `re_sim` has the fixed effects' uncertainty in it.
    fixed_uncertainty : bool
        The variances with the part from the fixed effects, ``J S J'`` with J = db/dbeta and S the
        covariance of the fixed effects: those of `re_sim`.
    groups : str or list of str, optional
        Grouping factors wanted (lme4's `whichel`); all by default.

    Returns
    -------
    Ranef
        Mapping factor -> frame (levels by terms), with `.post_var[factor]` of shape
        (levels, k, k) and `.to_frame()`. Terms on one factor (``||``) are side by side, and their
        conditional covariance is there too, which lme4 leaves out.

    Raises
    ------
    InvalidArgumentError
        An unknown group.

    Notes
    -----
    Cost O(levels) for a leading term, O(q_tail**3) where factors cross; computed once.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> fit = smf.mixedlm("Yield ~ 1", load_dataset("dyestuff"), groups="Batch").fit()
    >>> re = mx.MerMod(fit).ranef()
    >>> re["Batch"].round(2).T
                Batch...
    >>> re.post_var["Batch"].shape
    (6, 1, 1)
    """
    wanted = pick_groups(model, groups)
    frames = {factor: _modes(model, factor) for factor in wanted}
    added = check_flag(fixed_uncertainty, "fixed_uncertainty")
    post_var = None
    if cond_var or added:
        post_var = {factor: _post_var(model, factor) for factor in wanted}
    if added and post_var is not None:
        slopes = _slopes(model)
        for factor in wanted:
            own = [slopes[t] for t in model.design.terms_of(factor)]
            post_var[factor] = post_var[factor] + _from_fixed(model, own)
    return Ranef(frames, post_var)


def pick_groups(model: FittedModel, groups: str | Sequence[str] | None) -> list[str]:
    """The grouping factors asked for, all of them for None."""
    known = model.design.factors
    if groups is None:
        return known
    wanted = [groups] if isinstance(groups, str) else list(groups)
    for group in wanted:
        if group not in known:
            raise InvalidArgumentError(f"groups={group!r}: {one_of(group, known)}")
    return wanted


def _modes(model: FittedModel, factor: str) -> pd.DataFrame:
    terms = model.design.terms_of(factor)
    names = [name for t in terms for name in model.design.terms[t].names]
    values = np.hstack([model.modes[t] for t in terms])
    index = model.design.terms[terms[0]].levels.rename(factor)
    return pd.DataFrame(values, index=index, columns=names)


def _post_var(model: FittedModel, factor: str) -> Array:
    """Covariances of a factor's effects by level given the data and the parameters, (J, k, k)."""
    terms, solution = model.design.terms_of(factor), model.working
    sizes = [model.design.terms[t].k for t in terms]
    ends = np.cumsum(sizes)
    out = np.zeros((len(model.design.terms[terms[0]].levels), ends[-1], ends[-1]))
    for a, t in enumerate(terms):
        rows = slice(ends[a] - sizes[a], ends[a])
        out[:, rows, rows] = solution.conditional(t)
        for b, s in enumerate(terms[:a]):
            between = solution.between(s, t)
            cols = slice(ends[b] - sizes[b], ends[b])
            out[:, cols, rows] = between
            out[:, rows, cols] = np.swapaxes(between, 1, 2)
    return np.asarray(solution.sigma2 * out)


def _slopes(model: FittedModel) -> list[Array]:
    """``db / dbeta`` of each term but for its sign, (J, k, p), beta in the basis."""
    solution = model.working
    found = columns.modes(solution.factor, solution.reduced)
    pairs = zip(solution.cp.basis.effects, found, strict=True)
    return [own.transform @ part[:, :, : solution.p] for own, part in pairs]


def _from_fixed(model: FittedModel, slopes: Sequence[Array]) -> Array:
    """Variances of a factor's effects that come from the fixed ones', (J, k, k)."""
    whole = np.concatenate(slopes, axis=1)
    return np.asarray(np.einsum("jap,pq,jbq->jab", whole, model.basis_covariance, whole))


def coef(model: FittedModel) -> FrozenMapping[pd.DataFrame]:
    """Coefficients of each level, fixed effects plus conditional modes, lme4's ``coef``.

    Returns
    -------
    mapping factor -> frame (levels by coefficients)
        A random effect without a fixed counterpart varies around zero and comes last.
    """
    design = model.design
    out = {}
    for factor in design.factors:
        modes = _modes(model, factor)
        frame = pd.DataFrame(
            np.tile(model.fixed_estimates, (len(modes), 1)),
            index=modes.index,
            columns=list(design.fixed.names),
        )
        for i, name in enumerate(modes.columns):
            target = design.fixed_name(name) or name
            added = modes.iloc[:, i]
            frame[target] = frame[target] + added if target in frame else added
        out[factor] = frame
    return FrozenMapping(out)


def var_corr(model: FittedModel) -> VarCorr:
    """Variances, covariances and the residual, lme4's ``VarCorr``.

    ``sigma**2 Lambda Lambda'`` for each term (Bates et al. 2015, eq. 4).

    Returns
    -------
    VarCorr
        Mapping group -> covariance matrix; `.to_frame()` is lme4's ``as.data.frame``. A further
        term on the same factor is named ``Subject.1``, as in lme4. A structure's standard deviation
        and correlation are shown once, with its name: ``0.88 (ar1)``.
    """
    seen: dict[str, int] = {}
    components = []
    for term, covariance in zip(model.design.terms, model.covariances, strict=True):
        values = term.structure.reported(covariance[None])[0].tolist()
        lines = tuple(
            Line(name, values[sd], tuple(values[place] for place in correlations))
            for name, sd, correlations in term.structure.lines(term.names)
        )
        count = seen.get(term.factor, 0)
        seen[term.factor] = count + 1
        label = term.factor if count == 0 else f"{term.factor}.{count}"
        name = "" if term.tag.name == "us" else term.tag.name
        components.append(Component(label, term.names, covariance, name, lines))
    groups = model.design.residual
    if groups is None:
        return VarCorr(components, None if model.is_generalised else mean_sigma(model))
    by_group = dict(zip(map(str, groups.levels), group_sigmas(model).tolist(), strict=True))
    return VarCorr(components, mean_sigma(model), groups.name, by_group)

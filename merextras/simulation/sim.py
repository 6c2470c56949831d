"""Draws of the parameters from their joint distribution given the data: arm's ``sim``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.accessors.estimates import group_sigmas, mean_sigma
from merextras.engine.posterior import joint
from merextras.engine.solution.pls import Solution
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray, Rng
from merextras.foundation.arguments import check_count
from merextras.foundation.rng import as_generator
from merextras.model.design.design import Design
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.replicates.simulation import SimResult

#: Random numbers made at a time (8 MB). The stream of draws depends on it.
_BLOCK = 2**20


@dataclass(frozen=True, eq=False)
class Draws:
    """Joint draws of which only some levels' effects were kept.

    Attributes
    ----------
    sigma : (n_sims,) array
    beta : (n_sims, p) array
    b : tuple of (kept levels, k, n_sims) arrays
        By terms, in the model's order.
    """

    sigma: Array
    beta: Array
    b: tuple[Array, ...]


def draw_sigma(solution: Solution, df: int, n_sims: int, rng: np.random.Generator) -> Array:
    """``r / sqrt(chi2(df))``, (n_sims,); the value itself where sigma is known."""
    if solution.cp.scale.is_known:
        return np.full(n_sims, np.sqrt(solution.sigma2))
    return np.asarray(np.sqrt(solution.pwrss / rng.chisquare(df, n_sims)))


def draw_effects(
    model: FittedModel,
    n_sims: int,
    rng: np.random.Generator,
    keep: Sequence[IntArray],
    used: Sequence[IntArray] | None = None,
) -> Draws:
    """Draw (sigma, beta, b), `keep` levels of each term; the draws do not depend on `keep`.

    Parameters
    ----------
    keep : sequence of integer arrays
        Levels by terms, sorted. Memory is n_sims times the kept effects, and some 50 MB.
    used : sequence of integer arrays, optional
        The levels to draw, all by default; those of `keep` are among them. The draws depend on
        them, their distribution does not.

    Notes
    -----
    Time is that of n_sims times the effects that are drawn: those used, and what they are drawn
    given, see `posterior.joint.needed`.
    """
    estimate, modes, solution = model.fixed_estimates, model.modes, model.joint
    model._require_information()
    sigma = draw_sigma(solution, solution.n - solution.p, n_sims, rng)
    levels = None if used is None else joint.needed(solution, used)
    beta = np.empty((n_sims, len(estimate)))
    ks = [b.shape[1] for b in modes]
    found = [np.empty((len(kept), k, n_sims)) for kept, k in zip(keep, ks, strict=True)]
    places, sizes = list(keep), [len(b) for b in modes]
    if levels is not None:
        places = [np.searchsorted(own, kept) for own, kept in zip(levels, keep, strict=True)]
        sizes = [len(own) for own in levels]
    size = len(estimate) + sum(n * k for n, k in zip(sizes, ks, strict=True))
    step = max(1, _BLOCK // size)
    for start in range(0, n_sims, step):
        at = slice(start, min(start + step, n_sims))
        scale = sigma[at]
        deviations, effects = joint.draw(solution, len(scale), rng, levels)
        beta[at] = estimate + scale[:, None] * deviations
        for t, (out, part, mode) in enumerate(zip(found, effects, modes, strict=True)):
            kept = np.moveaxis(part, 0, 2)[places[t]]
            kept *= scale
            kept += mode[keep[t]][:, :, None]
            out[:, :, at] = kept
    return Draws(sigma, beta, tuple(found))


def all_levels(design: Design) -> list[IntArray]:
    """Every level of every term, to `keep`."""
    return [np.arange(len(term.levels)) for term in design.terms]


def factor_levels(design: Design, factor: str) -> pd.Index:
    """Levels of a grouping factor, those of its terms together."""
    levels = [design.terms[t].levels for t in design.terms_of(factor)]
    out = levels[0]
    for more in levels[1:]:
        out = out.append(more[~more.isin(out)])
    return out


def sim(m: object, n_sims: int = 100, *, rng: Rng = None) -> SimResult:
    r"""Simulate the fixed effects, random effects and residual SD from their joint distribution.

    The covariance parameters theta stay at their estimate; everything else is drawn from the
    posterior under flat priors on the fixed effects and log sigma (Gelman and Hill [1]_, section
    7.2, as extended to mixed models by the R package arm).

    Parameters
    ----------
    m : MerMod, of `lmer` or `glmer`, or MixedLMResults
        A fitted model. REML and ML fits differ only in their estimates.
    n_sims : int, default 100
        Number of draws.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers. The same seed gives the same draws.

    Returns
    -------
    SimResult
        ``fixef`` (n_sims, p), ``ranef[factor]`` (n_sims, levels, terms) and ``sigma`` (n_sims,),
        the residual *standard deviation* (with residual variances by group that of the mean
        variance, and ``sigmas[group]`` each; their ratios are held). ``to_frame()`` summarises the
        random effects,
        ``coef(factor)`` adds the fixed ones to them.

    Raises
    ------
    InvalidArgumentError
        `n_sims` is not a positive whole number, or `rng` none of those above.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    re_sim : Mean, median and SD of simulated random effects.
    sim_fitted : Conditional means of the data under each draw.

    Notes
    -----
    With r² the penalised residual sum of squares at the estimate and
    :math:`C` the inverse of the penalised information (Henderson's mixed-model equations),

    .. math::

        \sigma^2 &\sim r^2 / \chi^2_{n-p}, \\
        (\beta, b) \mid \sigma &\sim N((\hat\beta, \hat b),\; \sigma^2 C), \qquad
        C = T \begin{pmatrix} X'WX & X'WZ\Lambda \\ \Lambda'Z'WX & \Lambda'Z'WZ\Lambda + I
        \end{pmatrix}^{-1} T',\quad T = \mathrm{diag}(I, \Lambda),

    so that the draws have covariance :math:`C r^2 / (n-p-2)`. The degrees of freedom are n - p for
    ML fits too. Random effects carry the uncertainty of the fixed effects: where those are drawn
    high, the random effects are low. ``ranef(cond_var=True)`` is given the fixed effects, and its
    SDs are smaller.

    Of a generalised model (`glmer`) beta is drawn from a normal distribution with the covariance
    ``m.vcov()``, from the observed information of all parameters, and b from its normal
    approximation at the mode given beta; there is no residual SD, `sigma` is NaN.

    **R counterpart**: ``arm::sim``. It means this distribution, but its code (to version 1.14-4)
    has :math:`\Lambda'` for :math:`\Lambda` and leaves out the permutation of the sparse factor.
    Its draws are right for one scalar term. They are wrong for correlated slopes (the SD of a
    slope in ``sleepstudy`` is 2.77 where 2.65 is right) and for nested, crossed or uncorrelated
    terms (SDs of fitted values off by factors up to 44). A singular fit is nothing special here.

    **Cost**: n_sims times the entries of the factor, and 8 bytes a number of the result: 1000
    draws of 100 000 effects are 0.8 GB. `re_sim` and `fe_sim` need less.

    References
    ----------
    .. [1] Gelman, A. and Hill, J. (2007). *Data Analysis Using Regression and
       Multilevel/Hierarchical Models*. Cambridge University Press.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.simulation.sim import sim
    >>> students = load_dataset("students")
    >>> fit = smf.mixedlm("extro ~ open + agree + social", students, groups="school").fit()
    >>> sims = sim(fit, 2000, rng=1)
    >>> sims.fixef.shape, sims.ranef["school"].shape, sims.sigma.shape
    ((2000, 4), (2000, 6, 1), (2000,))

    A school's effect and the intercept are uncertain, their sum is much less so:

    >>> print(f"{sims.ranef['school'][:, 0].std():.1f} {sims.coef('school')[:, 0].std():.1f}")
    4.0 0.9
    """
    model = as_fitted(m, generalised=True)
    n_sims = check_count(n_sims, "n_sims")
    design = model.design
    draws = draw_effects(model, n_sims, as_generator(rng), all_levels(design))
    levels, terms, ranef = {}, {}, {}
    for factor in design.factors:
        at = design.terms_of(factor)
        levels[factor] = factor_levels(design, factor)
        terms[factor] = tuple(name for t in at for name in design.terms[t].names)
        ranef[factor] = np.moveaxis(_joined(design, draws, at, levels[factor]), -1, 0)
    partners = {f: tuple(map(design.fixed_name, names)) for f, names in terms.items()}
    by_group: dict[str, Array] = {}
    sigma = np.full(n_sims, np.nan) if model.is_generalised else draws.sigma
    if design.residual is not None:
        ratios = group_sigmas(model) / np.sqrt(model.solution.sigma2)
        by_group = {
            str(level): sigma * ratio
            for level, ratio in zip(design.residual.levels, ratios.tolist(), strict=True)
        }
        sigma = sigma * (mean_sigma(model) / np.sqrt(model.solution.sigma2))
    return SimResult(
        draws.beta, design.fixed.names, ranef, levels, terms, partners, sigma, by_group
    )


def _joined(design: Design, draws: Draws, terms: Sequence[int], levels: pd.Index) -> Array:
    """Effects of one factor's terms side by side, (levels, terms, n_sims)."""
    if len(terms) == 1:
        return draws.b[terms[0]]
    parts = []
    for t in terms:
        at = design.terms[t].levels.get_indexer(levels)
        part = draws.b[t][at]
        part[at < 0] = np.nan
        parts.append(part)
    return np.concatenate(parts, axis=1)


def sim_fitted(m: object, sims: SimResult) -> Array:
    """Conditional means of the model's own rows under each draw: X beta + Z b + offset.

    R counterpart: ``fitted(sim(m), regression = m)`` of arm. No residual noise is added. Of a
    generalised model the inverse link is applied: probabilities, rates, means.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        The model that `sims` was drawn from.
    sims : SimResult
        From `sim`.

    Returns
    -------
    (n, n_sims) array
        Rows in the order of the data.

    Raises
    ------
    InvalidArgumentError
        `sims` has other effects than the model.

    Notes
    -----
    Cost and memory are those of the result, n times n_sims numbers.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.simulation.sim import sim, sim_fitted
    >>> dyestuff = load_dataset("dyestuff")
    >>> fit = smf.mixedlm("Yield ~ 1", dyestuff, groups="Batch").fit()
    >>> sim_fitted(fit, sim(fit, 200, rng=1)).shape
    (30, 200)
    """
    model = as_fitted(m, generalised=True)
    design = model.design
    _check_same(design, sims)
    out = np.asarray(design.x @ sims.fixef.T)
    if design.offset is not None:
        out += design.offset[:, None]
    for factor in design.factors:
        first = 0
        for t in design.terms_of(factor):
            term = design.terms[t]
            codes = sims.levels[factor].get_indexer(term.levels)[term.rows.codes]
            for j in range(term.k):
                _add_effects(
                    out, sims.ranef[factor][:, :, first + j], codes, term.rows.values[:, j]
                )
            first += term.k
    return model._link.mean(out)


def _add_effects(out: Array, effects: Array, codes: IntArray, values: Array) -> None:
    """Add one effect's part to all rows in place; `effects` is (n_sims, levels)."""
    step = max(1, _BLOCK // len(effects))
    for start in range(0, len(out), step):
        rows = slice(start, start + step)
        out[rows] += effects[:, codes[rows]].T * values[rows, None]


def _check_same(design: Design, sims: SimResult) -> None:
    terms = {
        f: tuple(name for t in design.terms_of(f) for name in design.terms[t].names)
        for f in design.factors
    }
    same = (
        sims.fixef_names == design.fixed.names
        and dict(sims.terms) == terms
        and all(sims.levels[f].equals(factor_levels(design, f)) for f in terms)
    )
    if not same:
        raise InvalidArgumentError(
            f"sims: drawn from another model, with fixed effects {list(sims.fixef_names)} and "
            f"random effects {dict(sims.terms)}; this model has {list(design.fixed.names)} and "
            f"{terms} (or other levels)"
        )

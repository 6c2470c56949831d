"""Summaries of simulated effects: merTools' ``REsim`` and ``FEsim``."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from merextras.accessors.ratios import check_ratio
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray, Rng
from merextras.foundation.arguments import check_choice, check_count
from merextras.foundation.rng import as_generator
from merextras.model.design.design import Design
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.ratios import marked
from merextras.results.replicates.simulation import effects_frame, summarise
from merextras.simulation.sim import draw_effects

#: Draws held at a time (0.5 GB); more effects take another pass with the same random numbers.
_HELD = 2**26


def re_sim(
    m: object,
    groups: str | Sequence[str] | None = None,
    *,
    n_sims: int = 1000,
    odds_ratio: bool = False,
    rng: Rng = None,
) -> pd.DataFrame:
    """Simulate the random effects and summarise each: mean, median and standard deviation.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    groups : str or sequence of str, optional
        Grouping factors, all by default.
    n_sims : int, default 1000
        Number of draws.
    odds_ratio : bool, default False
        Of a model of `glmer` with a logit or log link: the exponentials of the draws, which are
        ratios of odds or of rates.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers. The draws are those of ``sim(m, n_sims, rng=rng)``,
        whatever `groups` is.

    Returns
    -------
    DataFrame
        ``group level term mean median sd``, a row per effect: by factors, then terms, then levels
        in the model's order. `sd` is a standard deviation (divisor n_sims - 1).

    Raises
    ------
    InvalidArgumentError
        A name in `groups` is not a grouping factor of the model; `n_sims` is not a positive whole
        number; `rng` is not a seed or generator.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    sim : The draws themselves, and the formula.
    fe_sim : The same for the fixed effects.

    Notes
    -----
    The mean and median estimate the conditional mode, the SD is that of b given the data *with the
    uncertainty of the fixed effects in it*: ``sqrt(C_jj r² / (n - p - 2))`` in the notation of
    `sim`. In the model below it is 4.00 for a school, where the conditional SD of ``ranef``, with
    the intercept held at its estimate, is 0.19. The Monte Carlo error of an SD is about
    ``sd / sqrt(2 n_sims)``; the 3.87 in a well-known tutorial is 4.00 within that.

    **R counterpart**: ``merTools::REsim`` (default 200 draws), and the function of that name in
    the tutorial. It rests on ``arm::sim``, which is wrong for correlated, nested and crossed
    terms (see `sim`); here the draws are right for those too.

    **Cost**: time is n_sims times the random effects, some 0.1 s for a million draws of an
    effect. A median needs all draws of an effect, so that 0.5 GB of draws are held at a time;
    where there are more (100 000 levels with a random intercept and 1000 draws: 0.8 GB) the same
    random stream is replayed for each block of levels. Memory peaks at 0.7 GB at any number of
    levels.

    References
    ----------
    .. [1] Gelman, A. and Hill, J. (2007). *Data Analysis Using Regression and
       Multilevel/Hierarchical Models*. Cambridge University Press.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.simulation.re_sim import re_sim
    >>> students = load_dataset("students")
    >>> fit = smf.mixedlm("extro ~ open + agree + social", students, groups="school").fit()
    >>> re_sim(fit, n_sims=4000, rng=1).round(1)
        group level       term  mean  median   sd
    0  school     I  Intercept -14.0   -14.1  4.0
    1  school    II  Intercept  -6.1    -6.1  4.0
    2  school   III  Intercept  -1.9    -1.9  4.0
    3  school    IV  Intercept   2.0     2.0  4.0
    4  school     V  Intercept   6.4     6.4  4.0
    5  school    VI  Intercept  14.0    14.0  4.0
    """
    model = as_fitted(m, generalised=True)
    check_ratio(model, odds_ratio, "odds_ratio")
    factors = _factors(model.design, groups)
    n_sims = check_count(n_sims, "n_sims")
    terms = [t for factor in factors for t in model.design.terms_of(factor)]
    found = _summaries(model, terms, n_sims, as_generator(rng), ratio=odds_ratio)
    frames = [
        effects_frame(term.factor, term.levels, term.names, found[t])
        for t, term in ((t, model.design.terms[t]) for t in terms)
    ]
    out = pd.concat(frames, ignore_index=True)
    return marked(out) if odds_ratio else out


def fe_sim(
    m: object, *, n_sims: int = 1000, odds_ratio: bool = False, rng: Rng = None
) -> pd.DataFrame:
    """Simulate the fixed effects and summarise each: mean, median and standard deviation.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    n_sims : int, default 1000
        Number of draws.
    odds_ratio : bool, default False
        Of a model of `glmer` with a logit, log or complementary log-log link: the exponentials of
        the draws, ratios of odds, rates or hazards. `plot_fe_sim` draws them as such.
    rng : int, numpy.random.Generator or None
        Seed or source of the random numbers.

    Returns
    -------
    DataFrame
        ``term mean median sd``, a row per fixed effect. `sd` is a standard deviation.

    Raises
    ------
    InvalidArgumentError
        `n_sims` is not a positive whole number; `rng` is not a seed or generator; `odds_ratio` of a
        linear model, or of a link whose exponential is no ratio.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    sim : The draws themselves, and the formula.

    Notes
    -----
    The draws of beta have covariance ``(X'V⁻¹X)⁻¹ r² / (n - p - 2)`` (V over sigma²): the standard
    errors of a REML fit times ``sqrt((n - p) / (n - p - 2))``.

    **R counterpart**: ``merTools::FEsim`` (default 200 draws); the same distribution. Its
    ``oddsRatio`` has exponentials of mean and median, and no SD; here all are of the ratios.

    **Cost**: n_sims times p**2; the random effects, drawn given these, are left out.

    Examples
    --------
    >>> import statsmodels.formula.api as smf
    >>> from merextras.datasets import load_dataset
    >>> from merextras.simulation.re_sim import fe_sim
    >>> sleepstudy = load_dataset("sleepstudy")
    >>> model = smf.mixedlm("Reaction ~ Days", sleepstudy, groups="Subject", re_formula="~Days")
    >>> fe_sim(model.fit(), n_sims=4000, rng=1).round(1)
            term   mean  median   sd
    0  Intercept  251.3   251.4  6.8
    1       Days   10.4    10.4  1.5
    """
    model = as_fitted(m, generalised=True)
    ratio = check_ratio(model, odds_ratio, "odds_ratio")
    n_sims = check_count(n_sims, "n_sims")
    nothing = [np.empty(0, dtype=np.intp) for _ in model.design.terms]
    draws = draw_effects(model, n_sims, as_generator(rng), nothing, nothing)
    names = list(model.design.fixed.names)
    beta = np.exp(draws.beta.T) if ratio else draws.beta.T
    out = pd.DataFrame({"term": names, **summarise(beta)})
    return marked(out) if ratio else out


def _factors(design: Design, groups: object) -> list[str]:
    if groups is None:
        return design.factors
    if isinstance(groups, str):
        return [check_choice(groups, design.factors, "groups")]
    if not isinstance(groups, (list, tuple)) or not groups:
        raise InvalidArgumentError(
            f"groups={groups!r}: a grouping factor or a list of some, of {design.factors}"
        )
    return list(dict.fromkeys(check_choice(group, design.factors, "groups") for group in groups))


def _summaries(
    model: FittedModel,
    terms: Sequence[int],
    n_sims: int,
    rng: np.random.Generator,
    *,
    ratio: bool,
) -> dict[int, dict[str, Array]]:
    """Mean, median and sd of the wanted terms' effects, (J, k) each."""
    shapes = [b.shape for b in model.modes]
    out = {t: {s: np.empty(shapes[t]) for s in ("mean", "median", "sd")} for t in terms}
    passes = list(_passes(shapes, terms, _HELD // n_sims))
    for i, keep in enumerate(passes):
        last = i == len(passes) - 1
        _one_pass(model, n_sims, rng if last else copy.deepcopy(rng), keep, out, ratio=ratio)
    return out


def _one_pass(
    model: FittedModel,
    n_sims: int,
    rng: np.random.Generator,
    keep: list[IntArray],
    out: dict[int, dict[str, Array]],
    *,
    ratio: bool,
) -> None:
    """Summarise the effects that are kept; the draws are gone when it returns."""
    draws = draw_effects(model, n_sims, rng, keep)
    for t, levels in enumerate(keep):
        if len(levels):
            for name, values in summarise(np.exp(draws.b[t]) if ratio else draws.b[t]).items():
                out[t][name][levels] = values


def _passes(
    shapes: Sequence[tuple[int, ...]], terms: Sequence[int], size: int
) -> Iterator[list[IntArray]]:
    """Levels to keep in each pass: at most `size` effects, or one level if it has more."""
    keep: list[IntArray] = [np.empty(0, dtype=np.intp) for _ in shapes]
    room = size
    for t in terms:
        levels, k = shapes[t]
        start = 0
        while start < levels:
            if room < k and room < size:
                yield keep
                keep, room = [np.empty(0, dtype=np.intp) for _ in shapes], size
            stop = min(levels, start + max(1, room // k))
            keep[t] = np.arange(start, stop)
            room -= (stop - start) * k
            start = stop
    yield keep

"""Ranks of groups that allow for how uncertain their effects are: merTools' ``expectedRank``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import special
from tqdm import tqdm

from merextras.accessors.pick import Effect, pick_effects
from merextras.engine.posterior import differences
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_flag
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table

#: Levels in a block: its pairs with another block take 8 MB.
_BLOCK = 1024
#: Numbers that are kept between blocks (0.5 GB); more are made again for each pair of blocks.
_HELD = 2**26
#: Pairs of levels that take a second or two; fewer need no progress bar.
_LONG = 5e7

#: Variances of the differences between the effects of two blocks of levels.
Variances = Callable[[slice, slice], Array]


def expected_rank(
    m: object,
    group: str | Sequence[str] | None = None,
    term: str | Sequence[str] | None = None,
    *,
    joint: bool = True,
) -> pd.DataFrame:
    r"""Rank the levels of a factor by their random effects, allowing for their uncertainty.

    "Which school is best?" A ranking of estimates hides that many are hardly known. The expected
    rank of a level is one plus the sum of the probabilities that its effect is larger than each
    other level's: effects about which the data say little are near the middle.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model; of `glmer` its effects are on the scale of the link.
    group : str or sequence of str, optional
        Grouping factors, all by default.
    term : str or sequence of str, optional
        Names of random effects, such as ``"Days"``, all by default.
    joint : bool, default True
        Whether two effects are compared by the variance of their difference in the joint
        distribution of all effects. False takes each effect as independent of the others, with its
        conditional variance: merTools' ranks.

    Returns
    -------
    DataFrame
        ``group level term estimate std_error er pct_er``, a row per effect: by factors, then
        terms, then levels in the model's order.

        - `estimate`, `std_error`: the conditional mode and its conditional *standard deviation*, as
          ``ranef`` gives them.
        - `er`: the expected rank, from 1 for a level that is surely the smallest of J to J.
        - `pct_er`: ``100 (er - 0.5) / J``, the percentage of levels that are expected to be at or
          below the level.

    Raises
    ------
    InvalidArgumentError
        A group that is not in the model, a term that none of the groups has, `joint` not a bool.

    Warns
    -----
    SingularFitWarning, ConvergenceWarning
        When `m` is a statsmodels fit with such a problem.

    See Also
    --------
    re_impact : What the ranks mean on the scale of the response.
    merextras.plots.plot_expected_rank : A figure of them.

    Notes
    -----
    Laird and Louis [1]_, Lingsma et al. [2]_: with modes :math:`\hat b` and :math:`\Phi` the
    normal distribution function,

    .. math:: ER_i = 1 + \sum_{k \ne i} \Phi\left(
        \frac{\hat b_i - \hat b_k}{\sqrt{\mathrm{Var}(b_i - b_k \mid y)}} \right).

    Two effects whose difference is zero, and known to be, have a probability of one half: where a
    variance is estimated at zero, all J levels rank (J + 1) / 2.

    **Why joint**: the probability is about a difference. Given the fixed effects, the effects of
    one factor are independent unless another factor is nested in it, holds it or crosses it; and
    what the fixed effects are off by is in all of them. The joint variance (see `merextras.sim`)
    has both and is exact at the estimated theta. In a balanced model with one factor the two
    agree, since an error of the intercept cancels. They differ for classes within schools (those
    of one school share the error of its effect, so that they can be told apart better than
    ``joint=False`` has it), for crossed factors, and where levels differ in their means of the
    predictors, whose coefficients are uncertain.

    **R counterpart**: ``merTools::expectedRank``, which is ``joint=False`` here. Its column
    ``std.error`` holds the conditional *variance*; ``pctER`` is rounded to whole numbers; it stops
    with an error where one factor has several terms (``||``).

    **Cost**: O(J**2) normal probabilities for each effect, half of them by symmetry, in blocks of
    8 MB: half a minute for 50 000 levels. ``joint=True`` adds O(J**2 (p + q_tail)) multiplications,
    q_tail being the effects of smaller factors that cross (`block_description`), and J (p + q_tail)
    numbers up to 0.5 GB.

    References
    ----------
    .. [1] Laird, N. M. and Louis, T. A. (1989). Empirical Bayes ranking methods. *Journal of
       Educational Statistics* 14(1), 29-46.
    .. [2] Lingsma, H. F., Steyerberg, E. W., Eijkemans, M. J. C. et al. (2010). Comparing and
       ranking hospitals based on outcome. *QJM* 103(2), 99-108.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.expected_rank(m, term="Days").head(3).round(1)
         group  level  term  estimate  std_error    er  pct_er
    0  Subject    308  Days       9.2        2.3  17.2    92.7
    1  Subject    309  Days      -8.6        2.3   2.1     9.1
    2  Subject    310  Days      -5.4        2.3   4.0    19.2
    """
    model = as_fitted(m, generalised=True)
    effects = pick_effects(model.design, group, term)
    joint = check_flag(joint, "joint")
    parts = [_ranked(model, effect, joint) for effect in effects]
    return Table.of(pd.concat(parts, ignore_index=True))


def ranks_of(model: FittedModel, effect: Effect, *, joint: bool) -> Array:
    """Expected ranks of the levels of one effect, (J,)."""
    values = model.joint.b[effect.term][:, effect.place]
    variances = _joint(model, effect) if joint else _independent(model, effect)
    return _sum_of_probabilities(values, variances)


def percentiles(ranks: Array) -> Array:
    """Percentage of levels expected at or below each."""
    return 100.0 * (ranks - 0.5) / len(ranks)


def _ranked(model: FittedModel, effect: Effect, joint: bool) -> pd.DataFrame:
    ranks = ranks_of(model, effect, joint=joint)
    columns = {
        "group": effect.group,
        "level": model.design.terms[effect.term].levels,
        "term": effect.name,
        "estimate": model.joint.b[effect.term][:, effect.place],
        "std_error": np.sqrt(_conditional(model, effect)),
        "er": ranks,
        "pct_er": percentiles(ranks),
    }
    return pd.DataFrame(columns)


def _conditional(model: FittedModel, effect: Effect) -> Array:
    """Conditional variances of the modes, theta and beta held at their estimates."""
    solution = model.working
    variances = solution.conditional(effect.term)[:, effect.place, effect.place]
    return np.asarray(solution.sigma2 * variances)


def _independent(model: FittedModel, effect: Effect) -> Variances:
    variance = _conditional(model, effect)
    return lambda a, b: variance[a, None] + variance[b]


def _joint(model: FittedModel, effect: Effect) -> Variances:
    solution, levels = model.joint, np.arange(len(model.joint.b[effect.term]))

    def made(at: slice) -> differences.EffectRows:
        return differences.effects(solution, effect.term, effect.place, levels[at])

    width = solution.p + len(solution.factor.tail)
    kept = {}
    if len(levels) * width <= _HELD:
        kept = {at.start: made(at) for at in _blocks(len(levels))}

    def variances(a: slice, b: slice) -> Array:
        left, right = (kept[at.start] if kept else made(at) for at in (a, b))
        return solution.sigma2 * differences.difference_variances(left, right)

    return variances


def _sum_of_probabilities(values: Array, variances: Variances) -> Array:
    """One half, and for each level the probabilities that it exceeds each, itself by one half."""
    n = len(values)
    out = np.full(n, 0.5)
    blocks = _blocks(n)
    short = n**2 / 2 < _LONG
    with tqdm(total=n, desc="expected ranks", unit="levels", disable=short or None) as bar:
        for i, a in enumerate(blocks):
            for b in blocks[i:]:
                above = _probabilities(values[a, None] - values[b], variances(a, b))
                out[a] += above.sum(axis=1)
                if a != b:
                    out[b] += len(above) - above.sum(axis=0)
            bar.update(a.stop - a.start)
    return out


def _blocks(n: int) -> list[slice]:
    return [slice(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]


def _probabilities(difference: Array, variance: Array) -> Array:
    """Phi of the differences in standard deviations; one half where both are zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = difference / np.sqrt(variance)
    z[np.isnan(z)] = 0.0
    return np.asarray(special.ndtr(z))

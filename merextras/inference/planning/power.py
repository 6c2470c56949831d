"""The power of a test in a study that is like a model, by simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_count, check_jobs, check_level
from merextras.foundation.rng import as_generator
from merextras.inference.intervals.replicates import block_size, check_joint_refits, in_blocks
from merextras.inference.planning.rejections import PValues, test_responses
from merextras.inference.planning.rejections_generalised import Planned, test_generalised
from merextras.inference.planning.tested import FixedHypothesis, Hypothesis, read_test
from merextras.model.fit.response_draws import ResponseModel
from merextras.model.fit.response_draws_by_products import response_model_of
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.replicates.power import Power

__all__ = ["power"]

# Simulated studies worked on at a time, and how many take long enough for a progress bar.
_BLOCK, _LONG = 256, 2000
# Studies of a generalised model that take long enough for one.
_LONG_GENERALISED = 200


def power(
    m: object,
    test: Any,
    *,
    n_sims: int = 1000,
    alpha: float = 0.05,
    method: str | None = None,
    rhs: Any = 0.0,
    level: float = 0.95,
    rng: Rng = None,
    n_jobs: int = 1,
) -> Power:
    r"""How likely a test finds what is there, simr's ``powerSim``.

    Responses are drawn from the model, :math:`y^* = X\beta + Zb^* + e^*` with new random effects
    and residuals (of a generalised model from its family), the model is refitted to each by its own
    criterion, and the hypothesis is tested in each refit. The power is the share of p-values below
    `alpha`.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        The study with its true parameters: a fit, or `make_model` with what is assumed.
    test : str, mapping or array
        The name of a fixed effect (``"Days"``, a t test); of a term of the fixed part
        (``"C(dose)"``, an F test of type III); contrasts as in `contest`, hypotheses as text among
        them (``"dose[low] = dose[mid]"``); or a random-effects term as lme4 writes it (``"(1 |
        school)"``), whose variances are tested against zero.
    n_sims : int, default 1000
        Simulated studies.
    alpha : float, default 0.05
        Level of the test, two-sided.
    method : str, optional
        ``"satterthwaite"`` (the default), ``"kenward-roger"``, ``"asymptotic"`` (Wald's test) or
        ``"lrt"`` (likelihood ratio by ML, chi-square) for fixed effects, of a model of `glmer`
        ``"asymptotic"`` (the default, as simr's ``"z"``) or ``"lrt"``; ``"lrt"`` alone for
        variances, by the model's own criterion and the chi-square distribution, which is
        conservative as the hypothesis is at the boundary (`ranova`).
    rhs : float or (r,) array
        Hypothesised values of contrasts.
    level : float, default 0.95
        Of the interval of the power, Clopper and Pearson's.
    rng : int, numpy.random.Generator or None
        Each simulated study has a generator of its own (``Generator.spawn``).
    n_jobs : int, default 1
        Processes (joblib); -1 for all cores. The result does not depend on it.

    Returns
    -------
    Power
        ``.power``, ``.confint()``, the ``.p_values``; ``n_failed`` counts studies without one.

    Raises
    ------
    InvalidArgumentError
        A test that is not of the model, a method that does not exist for it, another argument that
        is not allowed.
    UnsupportedModelError
        Frequency weights; likelihood ratios of a model that keeps no rows; degrees of freedom of a
        generalised model.

    See Also
    --------
    merextras.power_curve : By the number of groups, or of rows in a group.
    merextras.make_model, merextras.extend : A study that has not been made.

    Notes
    -----
    R: ``simr::powerSim(fit, test, nsim)``. There a study whose fit fails counts as one that finds
    nothing; here it counts neither way, and is reported. simr's default for fixed effects is
    Kenward-Roger's method in linear models; ours is Satterthwaite's, as everywhere here.

    The power at the estimates of a pilot study ("observed power") says no more than its p-value.
    Take effects that matter, with `make_model`.

    All replicates are refitted together (see `bootstrap`), those of a generalised model from the
    true parameters; the tests of fixed effects then take the derivatives of the criterion at each
    replicate's own estimates. Each is tested as `summary` and `anova` test the fit to that
    response.

    References
    ----------
    Green, P. and MacLeod, C. J. (2016). SIMR: an R package for power analysis of generalized
    linear mixed models by simulation. Methods Ecol. Evol. 7, 493-498.

    Examples
    --------
    >>> import merextras as mx
    >>> sleep = mx.load_dataset("sleepstudy")
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    >>> small = mx.make_model(m, fixef={"Days": 4.0})
    >>> found = mx.power(small, "Days", n_sims=200, rng=1)
    >>> 0.6 < found.power < 0.8
    True
    """
    model = as_fitted(m, generalised=True)
    n_sims, n_jobs = check_count(n_sims, "n_sims"), check_jobs(n_jobs)
    alpha, level = check_level(alpha, "alpha"), check_level(level)
    return simulated(
        model,
        read_test(model, test, method, rhs),
        n_sims=n_sims,
        alpha=alpha,
        level=level,
        generator=as_generator(rng),
        n_jobs=n_jobs,
    )


def simulated(
    model: FittedModel,
    hypothesis: Hypothesis,
    *,
    n_sims: int,
    alpha: float,
    level: float,
    generator: np.random.Generator,
    n_jobs: int,
    bar: bool = True,
) -> Power:
    """Simulate the studies of a model; see `power`. `bar` is whether progress may be shown."""
    if isinstance(model, FittedGlmm):
        planned = Planned.of(model, hypothesis)
        found = in_blocks(
            test_generalised,
            (planned,),
            generator.spawn(n_sims),
            size=planned.block,
            n_jobs=n_jobs,
            long=bar and n_sims >= _LONG_GENERALISED,
            desc="power",
        )
    else:
        found = _linear(model, hypothesis, generator.spawn(n_sims), n_jobs, bar)
    values = np.concatenate([part.values for part in found])
    singular = np.concatenate([part.singular for part in found])
    effect: tuple[float, ...] = ()
    if isinstance(hypothesis, FixedHypothesis):
        effect = tuple((hypothesis.matrix @ model.fixed_estimates).tolist())
    return Power(
        test=hypothesis.label,
        method=hypothesis.method,
        p_values=values,
        alpha=alpha,
        effect=effect,
        n_rows=model.n_observations,
        n_levels={term.factor: len(term.levels) for term in model.design.terms},
        level=level,
        singular_share=float(np.mean(singular)),
        failures=sum((part.failures for part in found), Counter[str]()),
    )


def _linear(
    model: FittedModel,
    hypothesis: Hypothesis,
    generators: Sequence[np.random.Generator],
    n_jobs: int,
    bar: bool,
) -> list[PValues]:
    """The tests of a linear model's studies, refitted together."""
    check_joint_refits(model, "power")
    response_model = response_model_of(model, use_u=False, resampled=False)
    if hypothesis.method == "lrt" and not isinstance(response_model, ResponseModel):
        raise UnsupportedModelError(
            "method='lrt': a model that was fitted from chunks keeps no rows, which the smaller "
            "model needs; take method='satterthwaite' for fixed effects, or pb_modcomp"
        )
    return in_blocks(
        test_responses,
        (model, hypothesis, response_model),
        generators,
        size=min(block_size(model), _BLOCK),
        n_jobs=n_jobs,
        long=bar and len(generators) >= _LONG,
        desc="power",
    )

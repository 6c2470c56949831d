"""The parametric-bootstrap likelihood ratio test, pbkrtest's ``PBmodcomp``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from merextras.engine.kernels.dense import orthonormal
from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_count, check_jobs
from merextras.foundation.rng import as_generator
from merextras.inference.comparison import anova_generalised, ranova_generalised
from merextras.inference.intervals.replicates import check_joint_refits
from merextras.inference.nesting.nested import (
    AnyCandidate,
    check_nested,
    check_same_data,
    mixed_candidate,
    ols_candidate,
)
from merextras.inference.variance_tests.null_bootstrap import (
    least_squares,
    likelihood_ratio,
    null_sample,
)
from merextras.model.fit.refit import refit_ml
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.state.penalised import refuse_penalised
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model.statsmodels.ols import is_ols
from merextras.results.tests.pb_modcomp import PBModcomp

__all__ = ["pb_modcomp"]


def pb_modcomp(
    large: object, small: object, *, n_sims: int = 1000, rng: Rng = None, n_jobs: int = 1
) -> PBModcomp:
    r"""Test the smaller of two nested models by the parametric bootstrap.

    The statistic is :math:`T = 2 (\ell(\text{large}) - \ell(\text{small}))` by maximum likelihood.
    Its reference distribution is that of T for responses simulated from the smaller model at its
    estimates, to which both are refitted. From the observed t and the sample with mean E and
    variance V follow (d parameters tested; Halekoh & Højsgaard 2014 [1]_, section 4)

    - *LRT*: t against :math:`\chi^2_d`;
    - *PBtest*: :math:`p = (\#\{T^* \ge t\} + 1) / (n + 1)`;
    - *Gamma*: t against the gamma distribution with mean E and variance V;
    - *Bartlett*: :math:`t\, d / E` against :math:`\chi^2_d`;
    - *F*: :math:`t / d` against :math:`F_{d, m}` with the m that gives it the mean E / d,
      :math:`m = 2r / (r - 1)`, r = E / d.

    Parameters
    ----------
    large : MerMod or MixedLMResults
        REML fits are refitted by ML.
    small : MerMod, MixedLMResults or fit of a statsmodels OLS
        Fitted to the same data, its fixed columns in the span of the larger model's, each of its
        random-effects terms part of one of the larger model's.
    n_sims : int, default 1000
        Responses simulated. The p-value's Monte Carlo error is `p_value_se`.
    rng : int, numpy.random.Generator or None
        Each replicate has a generator of its own (``Generator.spawn``).
    n_jobs : int, default 1
        Processes (joblib); -1 for all cores. The result does not depend on it.

    Returns
    -------
    PBModcomp
        ``to_frame()`` has the five tests, ``sample`` the simulated statistics.

    Raises
    ------
    InvalidArgumentError
        Models on different data, not nested, or with as many parameters; an argument that is not
        allowed.
    UnsupportedModelError
        Frequency weights; models with a `cov_prior`.

    See Also
    --------
    merextras.exact_rlrt : The exact test of one variance, without refits.

    Notes
    -----
    R: ``pbkrtest::PBmodcomp`` (``summary`` of it has all five rows). Ours differs in three points.
    Statistics of zero, which are common when a variance is tested, count: pbkrtest (0.5.2) leaves
    them out as failures, which doubles such p-values. Its F row has m = 2E / (E - 1), which is
    meant for d = 1 only. Statistics equal to t count as extreme. The rows other than PBtest take T
    to be nearly chi-square, which it is not when a variance is tested.

    Models of `glmer` are tested alike, of one family and approximation.

    Cost: two refits a replicate, all of them together (see `bootstrap`): 1000 samples for models
    of the size of ``sleepstudy`` take a fraction of a second.

    References
    ----------
    .. [1] Halekoh, U. and Højsgaard, S. (2014). A Kenward-Roger approximation and parametric
       bootstrap methods for tests in linear mixed models: the R package pbkrtest. J. Stat. Softw.
       59(9).

    Examples
    --------
    >>> import merextras as mx
    >>> data = mx.load_dataset("sleepstudy").query("Days < 4")
    >>> large = mx.lmer("Reaction ~ Days + (1 | Subject)", data)
    >>> small = mx.lmer("Reaction ~ 1 + (1 | Subject)", data)
    >>> test = mx.pb_modcomp(large, small, n_sims=500, rng=1)
    >>> test.to_frame()["test"].tolist()
    ['LRT', 'PBtest', 'Gamma', 'Bartlett', 'F']
    >>> round(test.p_value, 3)
    0.002
    """
    n_sims, n_jobs = check_count(n_sims, "n_sims"), check_jobs(n_jobs)
    if n_sims < 2:
        raise InvalidArgumentError("n_sims=1: the reference distribution needs at least 2 samples")
    refuse_penalised("pb_modcomp", large, small)
    generators = as_generator(rng).spawn(n_sims)
    if isinstance(large, FittedGlmm) or isinstance(small, FittedGlmm):
        return _generalised(large, small, generators, n_jobs)
    check_joint_refits(as_fitted(large), "pb_modcomp")
    if not is_ols(small):
        check_joint_refits(as_fitted(small), "pb_modcomp")
    big = refit_ml(as_fitted(large))
    little, candidate = _smaller(small, big)
    full = mixed_candidate(big)
    df = _tested(full, candidate)
    sample = null_sample(big, little, generators, n_jobs)
    observed = likelihood_ratio(-2.0 * candidate.log_lik, -2.0 * full.log_lik, full.n)
    return _result(float(observed), df, sample, full, candidate)


def _generalised(
    large: object, small: object, generators: list[np.random.Generator], n_jobs: int
) -> PBModcomp:
    """The test of two models of `glmer`."""
    models = anova_generalised.comparable([large, small], "pb_modcomp")
    candidates = [anova_generalised.candidate(each) for each in models]
    df = _tested(*candidates)
    sample = ranova_generalised.null_sample(models[0], models[1], generators, n_jobs)
    observed = ranova_generalised.ratio(models[1].log_likelihood, models[0].log_likelihood)
    return _result(float(observed), df, sample, *candidates)


def _result(
    observed: float, df: int, sample: Array, large: AnyCandidate, small: AnyCandidate
) -> PBModcomp:
    """The test by a sample whose NaN are refits that did not converge."""
    used = sample[np.isfinite(sample)]
    if len(used) < 2:
        raise MerextrasError("pb_modcomp: the refits to simulated data did not converge")
    return PBModcomp(observed, df, used, large.label, small.label, len(sample) - len(used))


def _smaller(small: object, big: FittedModel) -> tuple[FittedModel, AnyCandidate]:
    """Read the smaller model, by ML."""
    if not is_ols(small):
        little = refit_ml(as_fitted(small))
        return little, mixed_candidate(little)
    if big.design.offset is not None:
        raise InvalidArgumentError(
            "small: the larger model has an offset, which an OLS fit has not; fit both to the "
            "response less the offset"
        )
    candidate = ols_candidate(small, big.design.response, "small")
    # Of other rows than the larger model's it is refused next, before it is used.
    x = orthonormal(candidate.x)
    rows = big.design.require_rows("pb_modcomp", "an OLS fit has rows")
    design = replace(rows, y=candidate.y, x=x, weights=None, frequencies=None)
    return least_squares(design, reml=False), candidate


def _tested(large: AnyCandidate, small: AnyCandidate) -> int:
    """The number of parameters tested; an error if that is no test."""
    check_same_data([large, small], "pb_modcomp")
    if small.n_parameters >= large.n_parameters:
        raise InvalidArgumentError(
            f"pb_modcomp: the smaller model {small.label!r} has {small.n_parameters} parameters"
            f", the larger {large.label!r} {large.n_parameters}; give the larger one first"
        )
    check_nested(small, large, "pb_modcomp")
    return large.n_parameters - small.n_parameters

"""The exact restricted likelihood ratio test of one variance component.

Crainiceanu & Ruppert (2004), J. R. Statist. Soc. B 66, 165-185; for one of several Greven,
Crainiceanu, Küchenhoff & Peters (2008), J. Comput. Graph. Statist. 17, 870-891; RLRsim's
``exactRLRT`` in R. The null distribution is in `rlrt_null`.
"""

from __future__ import annotations

import warnings

from merextras.distributions.null_spectrum import spectrum_of
from merextras.distributions.rlrt_null import simulate_null
from merextras.exceptions import ConvergenceWarning
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_count
from merextras.foundation.rng import as_generator
from merextras.inference.variance_tests.null_bootstrap import likelihood_ratio
from merextras.inference.variance_tests.variance_hypothesis import (
    VarianceHypothesis,
    read_hypothesis,
)
from merextras.model.state.penalised import refuse_penalised
from merextras.results.tests.exact_test import ExactTest

__all__ = ["exact_rlrt"]


def exact_rlrt(
    model: object | None = None,
    full: object | None = None,
    null: object | None = None,
    *,
    term: str | None = None,
    n_sims: int = 10_000,
    rng: Rng = None,
) -> ExactTest:
    """Exact restricted likelihood ratio test that a variance is zero.

    The statistic is::

        RLRT = 2 (l_R(model) - l_R(model without the variance)),  at least 0

    with the restricted log-likelihood l_R. Its null distribution, which is not a chi-square nor
    the half-and-half mixture with zero, is simulated (`rlrt_sim`). Of the only variance of a
    model that is exact; of one among several it is that of a model which has no other, an
    approximation (Notes).

    Parameters
    ----------
    model : MerMod or fit of a statsmodels MixedLM
        With one variance besides the residual one, which is tested: nothing else is needed. With
        several, `null` or `term` says which is tested. Beside `full` it is RLRsim's ``m``: the
        model with the *tested effect alone*, which only says what is tested; its fit is not used.
    full : the same, optional
        The model with all variances (RLRsim's ``mA``). ``exact_rlrt(full=a, null=b)`` is
        ``exact_rlrt(a, null=b)``.
    null : the same, or fit of a statsmodels OLS if no variance is left; optional
        The model without the tested variance (RLRsim's ``m0``), of the same rows and fixed
        effects. By default it is made from the full model's cross-products.
    term : str, optional
        The tested term of a model with several, as in its formula: ``"(0 + Days | Subject)"``, or
        its grouping factor if that has no other term.
    n_sims : int, default 10000
        Draws from the null distribution.
    rng : int, Generator or None

    Returns
    -------
    ExactTest
        The statistic, the simulated sample and the p-value: the share of the sample that is at
        least the statistic, shown as ``< 1/n_sims`` if there is none. For a variance estimated at
        zero the statistic is 0 and the p-value 1; the sample is drawn nevertheless. Fits by ML are
        first refitted by REML, from their estimates; the result's note says so.

    Raises
    ------
    UnsupportedModelError
        Not a mixed model; several variances and nothing that says which is tested; effects with
        covariances, as ``(Days | Subject)``, or a model that has them where `null` has less; a
        random effect in the span of the fixed ones or not distinguishable from the residual.
    InvalidArgumentError
        Models of different data or fixed effects, or that do not differ by exactly one variance;
        an unknown `term`, or one beside models that say it already; for `n_sims` or `rng`.

    Warns
    -----
    ConvergenceWarning
        A refit is not at its optimum.

    See Also
    --------
    exact_lrt : Also tests fixed effects; less powerful for the variance alone.
    merextras.ranova : This test for each term, next to the chi-square and the bootstrap.
    merextras.distributions.rlrt_null.rlrt_sim :
        The null distribution, its accuracy and its cost.

    Notes
    -----
    R: ``RLRsim::exactRLRT(m, mA, m0)``. Of a fit by ML that takes the restricted likelihood at the
    ML estimates, which is not its maximum, with a message; here it is maximised. Where RLRsim
    counts simulated values above the statistic, those equal to it count too, which matters at 0
    only. Where it warns of a null distribution with 90 % or more at zero, the result prints that as
    a note: the p-value is right, but small for any positive statistic. Weights are part of the
    design, as if rows of X and Z were multiplied by their square roots; the rows themselves are not
    needed.

    *One variance among several.* Greven et al. (2008) take the other random effects as known:
    less those, the response follows the model with the tested effect alone, whose null distribution
    is exact. How often a nominal 5 % test rejects data simulated from the null model at its
    estimates (4000 to 10 000 data sets, standard error about 0.3 %): the slope or the intercept of
    ``(Days || Subject)`` in sleepstudy 5.4 and 5.2 %; one of two crossed factors (penicillin,
    thinned) 5.1 and 5.3 %; a factor given the one it is nested in, classes in schools and casks in
    batches, 4.9 and 5.3 %; three variances in a small unbalanced design, 4.4 to 5.0 %. It is
    liberal for a factor that *contains* another, schools of classes and batches of casks, 6.7 and
    6.6 %: the effects of the inner factor are then in truth the residuals. The parametric bootstrap
    (`ranova` with ``p_values="bootstrap"``) takes none of them as known. RLRsim's distribution is
    the same.

    Cost: a fit of the null model if it is not given; the distribution's is that of `rlrt_sim`, a
    fraction of a second.

    References
    ----------
    Crainiceanu, C. M. and Ruppert, D. (2004). Likelihood ratio tests in linear mixed models with
    one variance component. J. R. Statist. Soc. B 66, 165-185. Greven, S., Crainiceanu, C. M.,
    Küchenhoff, H. and Peters, A. (2008). Restricted likelihood ratio testing for zero variance
    components in linear mixed models. J. Comput. Graph. Statist. 17, 870-891.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    >>> test = mx.exact_rlrt(m, rng=1)
    >>> print(f"{test.statistic:.3f}", 0.002 < test.p_value < 0.008)
    6.369 True

    One of two variances:

    >>> m = mx.lmer("Reaction ~ Days + (Days || Subject)", mx.load_dataset("sleepstudy"))
    >>> test = mx.exact_rlrt(m, term="(0 + Days | Subject)", rng=1)
    >>> print(f"{test.statistic:.3f}", test.p_text, test.null_hypothesis, sep="; ")
    42.796; < 1e-04; Var(Days | Subject) = 0, given (1 | Subject)
    """
    n_sims, generator = check_count(n_sims, "n_sims"), as_generator(rng)
    refuse_penalised("exact_rlrt", model, full, null)
    return rlrt(read_hypothesis(model, full, null, term), n_sims, generator)


def rlrt(tested: VarianceHypothesis, n_sims: int, rng: Rng) -> ExactTest:
    """Test a variance, once it is known which."""
    cp = tested.model.solution.factor.system.cp
    found = spectrum_of(cp, tested.at)
    sample = simulate_null(found, reml=True, q=0, lambda0=0.0, n_sims=n_sims, rng=rng)
    fits = tested.by_reml()
    _check_converged(tested, fits)
    deviance = fits.model.solution.deviance()
    statistic = likelihood_ratio(fits.null_deviance(reml=True), deviance, cp.n)
    return ExactTest("RLRT", float(statistic), sample, tested.hypothesis, _note(tested))


def _note(tested: VarianceHypothesis) -> str:
    notes = []
    if not tested.model.solution.reml:
        notes.append("the model was fitted by ML; the statistic is that of its refit by REML")
    if tested.others:
        notes.append("the other random effects are taken as known (Greven et al. 2008)")
    return "; ".join(notes)


def _check_converged(given: VarianceHypothesis, used: VarianceHypothesis) -> None:
    """Warn of a refit that is not at its optimum; of their own fits users know."""
    for before, fit in ((given.model, used.model), (given.null, used.null)):
        if fit is None or fit is before or fit.opt_summary is None or fit.opt_summary.converged:
            continue
        message = f"exact_rlrt: the refit of {fit.design.formula!r} by REML: "
        warnings.warn(message + fit.opt_summary.message, ConvergenceWarning, stacklevel=4)

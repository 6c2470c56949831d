"""Checks of overdispersion and of too many zeros, for counts and proportions."""

from __future__ import annotations

import numpy as np

from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_count
from merextras.foundation.rng import as_generator
from merextras.model.generalised.again import Refits, all_drawn, drawn
from merextras.model.generalised.fitted import FittedGlmm
from merextras.results.checks.simulated_check import SimulatedCheck

_COUNTS = frozenset({"binomial", "poisson", "negative_binomial"})


def check_overdispersion(m: object, *, n_sims: int = 250, rng: Rng = None) -> SimulatedCheck:
    """Compare Pearson's chi-square with that of responses simulated from the model.

    Parameters
    ----------
    m : model of `glmer`
        Of counts, or of more than one trial.
    n_sims : int, default 250
        Responses, each of which the model is fitted to again.
    rng : int, numpy.random.Generator or None

    Returns
    -------
    SimulatedCheck
        `ratio` is the dispersion: the sum of squared Pearson residuals given the modes over its
        expectation. `p_value` is against overdispersion.

    Raises
    ------
    InvalidArgumentError
        A linear model; single trials, which can't be overdispersed; a family with a dispersion.
    MerextrasError
        No refit converged.

    Notes
    -----
    Pearson's sum has no chi-square distribution where means are small, and the modes take an
    unknown part of its degrees of freedom: a parametric bootstrap needs neither. performance
    divides by ``n - npar``. Cost: `n_sims` refits, together as those of `bootstrap`.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> found = mx.check_overdispersion(m, n_sims=100, rng=1)
    >>> found.ratio > 1.2, found.p_value < 0.1
    (True, True)
    """
    model = _model(m, "check_overdispersion")
    trials = model.response.trials
    if trials is not None and bool(np.all(trials == 1.0)):
        raise InvalidArgumentError(
            "check_overdispersion: the response is single trials, whose variance is that of their "
            "mean; they can't be overdispersed"
        )
    refits, parts = Refits(model), []
    generators = as_generator(rng).spawn(check_count(n_sims, "n_sims"))
    for at in range(0, len(generators), refits.block):
        y = all_drawn(model, set(), generators[at : at + refits.block])
        again = refits.fit(y)
        phi = refits.estimates(again.x).phi
        found = zip(y.T, again.eta.T, phi, again.converged, strict=True)
        parts += [_pearson(model, own, eta, p) for own, eta, p, ended in found if ended]
    sample = np.array(parts)
    if not len(sample):
        raise MerextrasError("check_overdispersion: no refit to a simulated response converged")
    remedy = (
        "more variation than the model has: add an effect of each row, (1 | row), or for counts "
        "family='negative_binomial'"
    )
    own = model.laplace
    eta = own.criterion.table.by_row(own.modes.eta)
    observed = _pearson(model, model.response.y, eta, own.criterion.split(own.x)[2])
    n_failed = len(generators) - len(sample)
    return SimulatedCheck("Pearson's chi-square", observed, sample, remedy, n_failed)


def check_zero_inflation(m: object, *, n_sims: int = 1000, rng: Rng = None) -> SimulatedCheck:
    """Compare the number of zeros with that of responses simulated from the model.

    Parameters
    ----------
    m : model of `glmer`
        Of counts or of successes.
    n_sims : int, default 1000
    rng : int, numpy.random.Generator or None

    Returns
    -------
    SimulatedCheck
        `observed` zeros, the `expected` number, and `p_value` against more than that. Random
        effects are drawn anew.

    Raises
    ------
    InvalidArgumentError
        A linear model, or a family without zeros.

    Notes
    -----
    R: ``performance::check_zeroinflation``, which compares the number of zeros with the sum of
    their probabilities given the modes; DHARMa's ``testZeroInflation`` simulates as here.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.glmer("incidence ~ C(period) + (1 | herd)", mx.load_dataset("cbpp"), "poisson")
    >>> mx.check_zero_inflation(m, rng=1).observed
    22.0
    """
    model = _model(m, "check_zero_inflation")
    generators = as_generator(rng).spawn(check_count(n_sims, "n_sims"))
    sample = [float(np.sum(drawn(model, set(), g) == 0.0)) for g in generators]
    remedy = "more zeros than the model has: a predictor of them is missing, or a state without any"
    return SimulatedCheck("zeros", float(np.sum(model.response.y == 0.0)), np.array(sample), remedy)


def _model(m: object, verb: str) -> FittedGlmm:
    if not isinstance(m, FittedGlmm):
        raise InvalidArgumentError(f"{verb}: expected a model of glmer, got {type(m).__name__}")
    if m.choice.name not in _COUNTS:
        raise InvalidArgumentError(
            f"{verb}: is for counts and proportions; family={m.choice.name!r} has a dispersion of "
            "its own and no zeros"
        )
    return m


def _pearson(model: FittedGlmm, y: Array, eta: Array, phi: Array) -> float:
    """The sum of squared Pearson residuals given the modes."""
    family = model.engine_family
    trials: Array | float = 1.0 if model.response.trials is None else model.response.trials
    raw = y - trials * family.mean(eta)
    return float(np.sum(raw**2 / family.variance(eta, phi)))

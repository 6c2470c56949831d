"""Variances of a generalised model's linear predictor by source, with that of its distribution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from merextras.accessors.ratios import check_ratio
from merextras.engine.generalised.criterion.marginal import WITHOUT_MEAN
from merextras.engine.generalised.searches.search import is_infinite_size
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.rng import as_generator
from merextras.inference.intervals.bootstrap_generalised import OfResponses, blocks_of
from merextras.inference.intervals.refits import bootstrap_of
from merextras.inference.variance_shares.variance_parts import Interval
from merextras.model.generalised.again import ManyEstimates, Refits
from merextras.model.generalised.families import FamilyChoice
from merextras.model.generalised.fitted import FittedGlmm
from merextras.results.replicates.bootstrap import Bootstrap

#: The variance of the latent variable of which a binomial response is the sign, by link.
_LATENT = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}


@dataclass(frozen=True)
class LatentVariances:
    """Variances on the scale of the linear predictor.

    Attributes
    ----------
    parts : (1 + terms + 1,) array
        Of the fixed part, of each term (the mean of ``z'Gz`` over the rows), of the distribution.
    mean : float or None
        The mean lambda at which the last is taken; None where it is that of a latent variable.
    how : str
        In words.
    """

    parts: Array
    mean: float | None
    how: str


def latent_variances(model: FittedGlmm) -> LatentVariances:
    """The variances of Nakagawa, Johnson and Schielzeth (2017).

    Raises
    ------
    UnsupportedModelError
        An inverse link.
    """
    return _variances(model, model.fixed_estimates, model.covariances, model.dispersion)


def _variances(
    model: FittedGlmm, beta: Array, covariances: Sequence[Array], dispersion: float | None
) -> LatentVariances:
    """The same with other estimates in the model's rows."""
    design = model.design
    eta = design.x @ beta
    terms = [
        np.einsum("na,ab,nb->n", term.rows.values, g, term.rows.values)
        for term, g in zip(design.terms, covariances, strict=True)
    ]
    predictor = eta if design.offset is None else eta + design.offset
    own, mean, how = _of_distribution(model.choice, predictor, np.sum(terms, axis=0), dispersion)
    parts = np.array([np.var(eta, ddof=1), *(float(np.mean(part)) for part in terms), own])
    return LatentVariances(parts, mean, how)


def _of_distribution(
    choice: FamilyChoice, eta: Array, random: Array, dispersion: float | None
) -> tuple[float, float | None, str]:
    name, link = choice.name, choice.link
    if name == "binomial":
        return float(_LATENT[link]), None, f"of the latent variable of a {link} link"
    if link in WITHOUT_MEAN:
        raise UnsupportedModelError(
            f"r2, icc and variance_decomposition: with link {link!r} there is no distribution "
            "variance on the scale of the linear predictor; fit family='gamma' with its log link"
        )
    if link == "identity":
        assert dispersion is not None
        return float(dispersion), None, "the variance of the response"
    mean = float(np.mean(np.exp(eta + 0.5 * random)))
    if name == "gamma":
        assert dispersion is not None
        return float(special.polygamma(1, 1.0 / dispersion)), None, "trigamma of the shape"
    at = f"log(1 + V(lambda) / lambda**2) at the mean lambda = {mean:.4g}"
    relative = {
        "poisson": 1.0 / mean,
        "negative_binomial": 1.0 / mean + (0.0 if dispersion is None else 1.0 / dispersion),
        "inverse_gaussian": 0.0 if dispersion is None else dispersion * mean,
        "gaussian": 0.0 if dispersion is None else dispersion / mean**2,
    }[name]
    return float(np.log1p(relative)), mean, at


@dataclass(frozen=True)
class _SharesAt:
    """Shares of the variances of refits of a model."""

    shares: Callable[[Array], Array]

    def __call__(self, model: FittedGlmm, estimates: ManyEstimates) -> Array:
        has_limit = model.engine_family.has_limit and model.engine_family.n_phi
        found = []
        for r, (beta, phi) in enumerate(zip(estimates.beta, estimates.phi, strict=True)):
            size = model.choice.dispersion_of(phi)
            if has_limit and is_infinite_size(float(phi[0])):
                size = np.inf
            covariances = [g[r] for g in estimates.covariances]
            found.append(_variances(model, beta, covariances, size).parts)
        return self.shares(np.array(found).reshape(len(found), -1))


def latent_bootstrap(
    model: FittedGlmm,
    parts: Array,
    names: Sequence[str],
    shares: Callable[[Array], Array],
    interval: Interval,
) -> Bootstrap | None:
    """Replicates of a function of the variances, None if they are not wanted.

    Parameters
    ----------
    parts : (1 + terms + 1,) array
        The model's own.
    names : sequence of str
        Of the numbers of one replicate.
    shares : callable
        From (m, 1 + terms + 1) variances to (m, len(names)) numbers; picklable.
    interval : Interval
    """
    if not interval.wanted:
        return None
    refits = Refits(model)
    many = OfResponses(refits, _SharesAt(shares), len(names))
    generators = as_generator(interval.rng).spawn(interval.n_sims)
    blocks = blocks_of(many, generators, refits.block, n_jobs=1)
    return bootstrap_of(blocks, names, shares(parts[None])[0], verb="ci='bootstrap'")


def median_odds_ratio(m: object) -> pd.Series:
    r"""Median odds ratios between levels of the grouping factors.

    Of two levels drawn at random and a row that is the same but for the level, the odds of the
    higher are in the median so many times those of the lower:

    .. math:: \exp\left(\sqrt{2 s^2}\, \Phi^{-1}(0.75)\right)

    with s the standard deviation of a level's effect; with a log link the ratio is of rates.

    Parameters
    ----------
    m : model of `glmer`
        With a logit or log link.

    Returns
    -------
    Series
        By grouping factor. With slopes s**2 is the mean of ``z'Gz`` over the rows, over all terms
        of the factor.

    Raises
    ------
    InvalidArgumentError
        A linear model, or another link.

    Notes
    -----
    Larsen, K. and Merlo, J. (2005). Am. J. Epidemiol. 161, 81-88. It is 1 without variation.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> mx.median_odds_ratio(m).round(3).to_dict()
    {'herd': 1.845}
    """
    if not isinstance(m, FittedGlmm):
        raise InvalidArgumentError(
            f"median_odds_ratio: expected a model of glmer, got {type(m).__name__}"
        )
    check_ratio(m, True, "median_odds_ratio")
    found = {}
    for factor in m.design.factors:
        variance = 0.0
        for t in m.design.terms_of(factor):
            z = m.design.terms[t].rows.values
            variance += float(np.mean(np.einsum("na,ab,nb->n", z, m.covariances[t], z)))
        found[factor] = float(np.exp(np.sqrt(2.0 * variance) * special.ndtri(0.75)))
    return pd.Series(found, name="median_odds_ratio")

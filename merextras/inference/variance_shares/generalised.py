"""Variances of a generalised model's linear predictor by source, with that of its distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from merextras.accessors.ratios import check_ratio
from merextras.engine.generalised.criterion.marginal import WITHOUT_MEAN
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm

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
    design = model.design
    fixed = float(np.var(design.x @ model.fixed_estimates, ddof=1))
    terms = [
        np.einsum("na,ab,nb->n", term.rows.values, g, term.rows.values)
        for term, g in zip(design.terms, model.covariances, strict=True)
    ]
    own, mean, how = _of_distribution(model, np.sum(terms, axis=0))
    parts = np.array([fixed, *(float(np.mean(part)) for part in terms), own])
    return LatentVariances(parts, mean, how)


def _of_distribution(model: FittedGlmm, random: Array) -> tuple[float, float | None, str]:
    name, link, dispersion = model.choice.name, model.choice.link, model.dispersion
    if name == "binomial":
        return float(_LATENT[link]), None, f"of the latent variable of a {link} link"
    if link in WITHOUT_MEAN:
        raise UnsupportedModelError(
            f"r2 and icc: with link {link!r} there is no distribution variance on the scale of "
            "the linear predictor; fit family='gamma' with its log link"
        )
    if link == "identity":
        assert dispersion is not None
        return float(dispersion), None, "the variance of the response"
    eta = model.design.x @ model.fixed_estimates
    eta = eta if model.design.offset is None else eta + model.design.offset
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


def check_no_interval(ci: object) -> None:
    """Refuse intervals.

    Raises
    ------
    UnsupportedModelError
    """
    if ci is not None:
        raise UnsupportedModelError(
            f"ci={ci!r}: intervals of a generalised model's shares are not available yet; "
            "bootstrap(m, lambda m: r2(m).marginal) has the replicates"
        )


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

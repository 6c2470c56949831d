"""Variances of a generalised model's linear predictor by source, with that of its distribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from merextras.accessors.ratios import require_ratios
from merextras.engine.generalised.criterion.marginal import WITHOUT_MEAN
from merextras.engine.generalised.rows.passes import StreamedTable
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
    choice, sums = model.choice, _Sums(len(covariances))
    for rows in _rows_of(model):
        eta = rows.x @ beta
        terms = _by_term(rows, covariances)
        sums.add(eta, terms, rows.counts)
        if choice.link == "log":
            shifted = eta if rows.offset is None else eta + rows.offset
            sums.add_means(np.exp(shifted + 0.5 * np.sum(terms, axis=0)), rows.counts)
    own, mean, how = _of_distribution(choice, sums.mean_of_exp, dispersion)
    return LatentVariances(np.array([sums.variance, *sums.means_by_term, own]), mean, how)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some rows: X (n, p), covariates (n, k) by terms, offsets, how often each counts."""

    x: Array
    values: Sequence[Array]
    offset: Array | None
    counts: Array | None


def _rows_of(model: FittedGlmm) -> Iterator[_Rows]:
    """All rows of a model that keeps them; else a pass over the data."""
    table, design = model.laplace.criterion.table, model.design
    if not isinstance(table, StreamedTable):
        yield _Rows(design.x, [term.rows.values for term in design.terms], design.offset, None)
        return
    for rows in table.read():
        yield _Rows(rows.x, [term.values for term in rows.terms], rows.offset, rows.counts)


def _by_term(rows: _Rows, covariances: Sequence[Array]) -> list[Array]:
    """The variance ``z'Gz`` of each row, (n,) by terms."""
    return [
        np.einsum("na,ab,nb->n", z, g, z) for z, g in zip(rows.values, covariances, strict=True)
    ]


class _Sums:
    """A variance, means by term and a mean over rows that come part by part."""

    def __init__(self, terms: int) -> None:
        self.n = self.mean = self.squares = self.exp = 0.0
        self.by_term = np.zeros(terms)

    def add(self, eta: Array, terms: Sequence[Array], counts: Array | None) -> None:
        """Add rows (Chan, Golub and LeVeque 1983)."""
        w = np.ones(len(eta)) if counts is None else counts
        n = float(np.sum(w))
        mean = float(w @ eta) / n
        apart, total = mean - self.mean, self.n + n
        self.squares += float(w @ (eta - mean) ** 2) + apart**2 * self.n * n / total
        self.mean, self.n = self.mean + apart * n / total, total
        self.by_term += [float(w @ part) for part in terms]

    def add_means(self, means: Array, counts: Array | None) -> None:
        """Add the rows' means of the response."""
        self.exp += float(np.sum(means) if counts is None else counts @ means)

    @property
    def variance(self) -> float:
        return self.squares / (self.n - 1.0)

    @property
    def means_by_term(self) -> Array:
        return np.asarray(self.by_term / self.n)

    @property
    def mean_of_exp(self) -> float:
        return self.exp / self.n


def _of_distribution(
    choice: FamilyChoice, mean: float, dispersion: float | None
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
        return self.shares(np.array(found).reshape(len(found), 2 + len(model.covariances)))


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
    model.design.require_rows("ci='bootstrap'", "each replicate has a response by row")
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
    require_ratios(m, "median_odds_ratio")
    sums = _Sums(len(m.covariances))
    for rows in _rows_of(m):
        sums.add(np.zeros(len(rows.x)), _by_term(rows, m.covariances), rows.counts)
    found = {}
    for factor in m.design.factors:
        variance = float(np.sum(sums.means_by_term[m.design.terms_of(factor)]))
        found[factor] = float(np.exp(np.sqrt(2.0 * variance) * special.ndtri(0.75)))
    return pd.Series(found, name="median_odds_ratio")

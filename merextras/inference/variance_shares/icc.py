"""Intraclass correlations of a mixed model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.exceptions import UnsupportedModelError
from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_flag
from merextras.inference.variance_shares.exact_icc import exact_interval
from merextras.inference.variance_shares.generalised import latent_bootstrap, latent_variances
from merextras.inference.variance_shares.variance_parts import Interval, VarianceParts, by_residual
from merextras.model.design.design import Design
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.replicates.effect_size import Icc

__all__ = ["icc"]

_NAMES = ("adjusted", "unadjusted")


@dataclass(frozen=True)
class _Shares:
    """Adjusted and unadjusted, of all terms and of each factor's; `factors` has numbers of terms.

    A class, as worker processes get it.
    """

    factors: tuple[tuple[int, ...], ...]

    def __call__(self, parts: Array) -> Array:
        """(m, 2 + 2 factors) numbers, of all terms first."""
        random = parts[:, 1:-1]
        left = np.sum(parts[:, 1:], axis=1)
        total = left + parts[:, 0]
        found = []
        for terms in [tuple(range(random.shape[1])), *self.factors]:
            own = np.sum(random[:, list(terms)], axis=1)
            found += [own / left, own / total]
        return np.stack(found, axis=1)


def icc(
    m: object,
    *,
    ci: str | float | None = None,
    n_sims: int = 1000,
    level: float = 0.95,
    rng: Rng = None,
    by_group: bool = False,
) -> Icc | pd.DataFrame:
    r"""Share of the variance that is between groups: intraclass correlations.

    .. math:: \text{adjusted} = \frac{s^2_r}{s^2_r + s^2_e}, \qquad
       \text{unadjusted} = \frac{s^2_r}{s^2_f + s^2_r + s^2_e}

    of the variances that `r2` describes: with a random intercept alone the adjusted one is the
    correlation of two responses of one group, given the predictors.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    ci : {None, "bootstrap", "exact"} or float
        ``"bootstrap"``: percentiles over refits to simulated responses. ``"exact"``: from the F
        distribution, for a balanced one-way design, ``y ~ 1 + (1 | g)`` with as many rows in each
        group. A number, as in R, is the level of the bootstrap's.
    by_group : bool
        Return the frame by grouping factor, performance's ``by_group = TRUE``:
        ``group term estimate``, with the intervals if they were asked for.
    n_sims : int, default 1000
        Its replicates.
    level : float, default 0.95
    rng : int, numpy.random.Generator or None

    Returns
    -------
    Icc
        `.adjusted`, `.unadjusted`, and `.by_factor`, a frame of both by grouping factor, whose
        rows sum to the former; `.to_frame()` has all of them, with ``conf_low conf_high`` if
        intervals were asked for. With residual variances by group these are of their mean over the
        observations, and `.by_residual` has a row for each group's own.

    Raises
    ------
    InvalidArgumentError
        Another `ci`, `n_sims`, `level` or `rng`.
    UnsupportedModelError
        ``ci="bootstrap"`` of a model with frequency weights; ``ci="exact"`` of another design.

    Notes
    -----
    Of a generalised model the shares are on the scale of the linear predictor, see `r2`.

    R: ``performance::icc``; for what differs see `r2`. Its ``by_group = TRUE`` takes the variances
    of the intercepts only; here a factor's part is the mean of diag(ZGZ') over all its terms, so
    that the parts add up. Cost: as `r2`.

    References
    ----------
    Nakagawa, S., Johnson, P. C. D. and Schielzeth, H. (2017). J. R. Soc. Interface 14, 20170213;
    Johnson, P. C. D. (2014). Methods Ecol. Evol. 5, 944-946, for slopes.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("strength ~ 1 + (1 | batch / cask)", mx.load_dataset("pastes"))
    >>> mx.icc(m).adjusted.__round__(3)
    0.937
    >>> mx.icc(m).by_factor.round(3)
                adjusted  unadjusted
    group...
    cask:batch     0.783       0.783
    batch          0.154       0.154
    """
    exact = isinstance(ci, str) and ci == "exact"
    by_group = check_flag(by_group, "by_group")
    model = as_fitted(m, generalised=True)
    interval = Interval.of(None if exact else ci, n_sims, level, rng)
    shares, (groups, terms) = _shares_of(model.design), _labels(model.design)
    names = [f"{t}|{g}" if g else t for g, t in zip(groups, terms, strict=True)]
    if isinstance(model, FittedGlmm):
        _check_not_exact(exact)
        latent = latent_variances(model)
        value = shares(latent.parts[None])[0]
        boot = latent_bootstrap(model, latent.parts, names, shares, interval)
        found = Icc(groups, terms, value, boot, interval.level, distribution=latent.how)
        return _by_group(found) if by_group else found
    limits = exact_interval(model, interval.level) if exact else None
    parts = VarianceParts.of(model)
    boot = interval.bootstrap(model, parts, names, shares)
    variances = parts.at(model)
    by = by_residual(model, variances, shares, _NAMES)
    value = shares(variances[None])[0]
    found = Icc(groups, terms, value, boot, interval.level, by, limits)
    return _by_group(found) if by_group else found


def _check_not_exact(exact: bool) -> None:
    if exact:
        raise UnsupportedModelError(
            "ci='exact': the F distribution is that of a linear model's sums of squares; "
            "ci='bootstrap' refits a generalised model to its own responses"
        )


def _by_group(found: Icc) -> pd.DataFrame:
    """The rows of single factors."""
    frame = found.to_frame()
    return frame[frame["group"] != ""].reset_index(drop=True)


def _shares_of(design: Design) -> _Shares:
    return _Shares(tuple(tuple(design.terms_of(factor)) for factor in design.factors))


def _labels(design: Design) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Groups and terms of the numbers."""
    groups = tuple(group for group in ("", *design.factors) for _ in _NAMES)
    return groups, _NAMES * (1 + len(design.factors))


def adjusted(parts: Array) -> Array:
    """The adjusted one of all terms, (m,), of the variances by source."""
    return _Shares(())(parts)[:, 0]

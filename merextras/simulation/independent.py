"""Draws of fixed and random effects independently of each other, as merTools makes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from merextras.accessors.estimates import ranef
from merextras.accessors.pick import R_INTERCEPT
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.arguments import one_of
from merextras.model.design.design import INTERCEPT, Design
from merextras.model.state.fitted import FittedModel
from merextras.simulation.linear_predictor import Drawer
from merextras.simulation.sim import Draws, draw_sigma

#: Random numbers made at a time (8 MB). The stream of draws depends on it.
_BLOCK = 2**20


def independent_drawer(model: FittedModel, n_sims: int, covariance: Array) -> Drawer:
    """Draw sigma, beta and every level's effects independently.

    ``sigma**2 ~ r**2 / chi2(n - n_parameters)``, ``beta ~ N(beta^, covariance)`` and, for each
    level in use, ``b ~ N(b^, V)`` with the conditional variance V that holds beta at its estimate.
    A generalised model's sigma is one, as merTools has it.
    """
    sigmas, estimates = _sigma_drawer(model, n_sims), model.fixed_estimates
    half = _root(covariance[None])[0]
    modes = ranef(model)
    assert modes.post_var is not None
    roots = {factor: _root(variance) for factor, variance in modes.post_var.items()}

    def drawer(
        rng: np.random.Generator, keep: Sequence[IntArray], used: Sequence[IntArray]
    ) -> Draws:
        sigma = sigmas(rng)
        beta = estimates + rng.standard_normal((n_sims, len(estimates))) @ half.T
        found: dict[int, Array] = {}
        for factor, root in roots.items():
            terms = model.design.terms_of(factor)
            drawn = np.unique(np.concatenate([used[t] for t in terms]))
            kept = [keep[t] for t in terms]
            found.update(_effects(model, terms, root[drawn], drawn, kept, n_sims, rng))
        return Draws(sigma, beta, tuple(found[t] for t in range(len(keep))))

    return drawer


def _sigma_drawer(model: FittedModel, n_sims: int) -> Callable[[np.random.Generator], Array]:
    """Draws of sigma, (n_sims,).

    Raises
    ------
    InvalidArgumentError
        No degrees of freedom.
    """
    if model.is_generalised:
        return lambda _: np.ones(n_sims)
    solution = model.solution
    df = solution.n - model.n_parameters
    if df < 1 and not model.has_known_sigma:
        raise InvalidArgumentError(
            f"joint=False: {solution.n} observations and {model.n_parameters} parameters leave no "
            "degrees of freedom for sigma"
        )
    return lambda rng: draw_sigma(solution, df, n_sims, rng)


def _effects(
    model: FittedModel,
    terms: Sequence[int],
    root: Array,
    drawn: IntArray,
    keep: Sequence[IntArray],
    n_sims: int,
    rng: np.random.Generator,
) -> dict[int, Array]:
    """Draw one factor's effects at some levels, in blocks; the kept ones by terms."""
    modes = [model.modes[t] for t in terms]
    out = {
        t: np.empty((len(own), mode.shape[1], n_sims))
        for t, own, mode in zip(terms, keep, modes, strict=True)
    }
    levels, k = root.shape[:2]
    step = max(1, _BLOCK // (k * n_sims))
    for start in range(0, levels, step):
        part = root[start : start + step]
        noise = part @ rng.standard_normal((len(part), k, n_sims))
        column = 0
        for t, own, mode in zip(terms, keep, modes, strict=True):
            places = np.searchsorted(drawn, own)
            first, last = np.searchsorted(places, [start, start + step])
            mine = own[first:last]
            effects = noise[places[first:last] - start, column : column + mode.shape[1]]
            out[t][first:last] = mode[mine][:, :, None] + effects
            column += mode.shape[1]
    return out


def _root(covariances: Array) -> Array:
    """Matrices R with ``R R' = V``, (J, k, k); V may be singular."""
    values, vectors = np.linalg.eigh(covariances)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :])


def fixed_covariance(
    model: FittedModel, *, fix_intercept_variance: bool, ignore_fixed_terms: Sequence[str]
) -> Array:
    """The covariance of the fixed effects with merTools' two corrections, (p, p).

    `fix_intercept_variance` divides the intercept's precision (an element of the inverse) by the
    share of its variance that is left when, for each grouping factor,
    ``1 / sum_j 1 / (V_j + tau**2)`` is taken off, V_j being the conditional variance and tau**2 the
    variance of the random intercepts. Each term of `ignore_fixed_terms` is taken for known.

    Raises
    ------
    InvalidArgumentError
        A term that is not a fixed effect; no fixed intercept, or a factor without random ones;
        nothing is left of the intercept's variance.
    """
    names = model.design.fixed.names
    covariance = model.fixed_covariance
    if fix_intercept_variance:
        covariance = _without_groups(model, covariance)
    ignored = [_place(name, model.design) for name in ignore_fixed_terms]
    rest = [j for j in range(len(names)) if j not in ignored]
    if ignored:
        precision = np.linalg.inv(covariance)
        covariance = np.zeros_like(covariance)
        covariance[np.ix_(rest, rest)] = np.linalg.inv(precision[np.ix_(rest, rest)])
    return covariance


def _place(name: object, design: Design) -> int:
    names = design.fixed.names
    if name == R_INTERCEPT and name not in names:
        name = design.fixed_name(INTERCEPT)
    if not isinstance(name, str) or name not in names:
        raise InvalidArgumentError(f"ignore_fixed_terms: {name!r}: {one_of(name, names)}")
    return list(names).index(name)


def _without_groups(model: FittedModel, covariance: Array) -> Array:
    """Take the groups' share off the intercept's variance."""
    intercept = model.design.fixed_name(INTERCEPT)
    if intercept is None:
        raise InvalidArgumentError("fix_intercept_variance: the model has no fixed intercept")
    at = list(model.design.fixed.names).index(intercept)
    left = covariance[at, at]
    modes = ranef(model)
    assert modes.post_var is not None
    for factor in model.design.factors:
        own = [(t, model.design.terms[t].names) for t in model.design.terms_of(factor)]
        found = [(t, names.index(INTERCEPT)) for t, names in own if INTERCEPT in names]
        if not found:
            raise InvalidArgumentError(
                f"fix_intercept_variance: {factor!r} has no random intercepts"
            )
        t, j = found[0]
        place = list(modes[factor].columns).index(INTERCEPT)
        spread = modes.post_var[factor][:, place, place] + model.covariances[t][j, j]
        if np.all(spread > 0.0):  # no variance between the groups: nothing to take off
            left -= 1.0 / np.sum(1.0 / spread)
    if left <= 0.0:
        raise InvalidArgumentError(
            "fix_intercept_variance: nothing is left of the intercept's variance "
            f"({covariance[at, at]:.4g}) when the groups' shares are taken off ({left:.4g}); the "
            "correction does not fit this model, use joint=True"
        )
    precision = np.linalg.inv(covariance)
    precision[at, at] *= covariance[at, at] / left
    return np.linalg.inv(precision)

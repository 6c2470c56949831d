"""Variance of the response by source: fixed part, each random-effects term, residual."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.linalg as la

from merextras.accessors.estimates import group_sigmas
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.products.basis import Basis
from merextras.engine.products.effects import EffectBasis
from merextras.engine.replicates.iterated import Common
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, IntArray, Rng
from merextras.foundation.arguments import check_ci, check_count
from merextras.foundation.rng import as_generator
from merextras.inference.intervals.refits import Block, bootstrap_of
from merextras.inference.intervals.replicates import (
    block_size,
    check_joint_refits,
    common_of,
    in_blocks,
    is_long,
    refit_drawn,
)
from merextras.model.design.design import Design
from merextras.model.fit.response_draws import ResponseModel
from merextras.model.fit.response_draws_by_products import (
    ResponseModelByProducts,
    response_model_of,
)
from merextras.model.state.fitted import FittedModel
from merextras.results.replicates.bootstrap import Bootstrap

#: Rows whose products are held at a time.
_ROWS = 1 << 16


@dataclass(frozen=True, eq=False)
class VarianceParts:
    """Variances by source as a function of theta, sigma**2 and beta alone.

    Attributes
    ----------
    covariances : Covariances
        Of the terms.
    fixed : (p, p) array
        Sample covariance of the columns of X, divisor n - 1.
    terms : tuple of (k, k) arrays
        Mean of z z' over the rows, by terms, in the coordinates of `effects`.
    residual : float
        Mean over the rows of what sigma**2 is multiplied by: 1 / w, with residual variances by
        group 1 / (w omega).
    effects : tuple of EffectBasis
    """

    covariances: Covariances
    fixed: Array
    terms: tuple[Array, ...]
    residual: float
    effects: tuple[EffectBasis, ...]

    @classmethod
    def of(cls, model: FittedModel) -> VarianceParts:
        """Take the moments of the rows that are observations.

        Without precision weights and with a column of ones they are in the cross-products, and no
        rows are needed; otherwise one pass over them, O(n (p**2 + sum k**2)).
        """
        if model.solution.n <= 1:
            raise InvalidArgumentError("m: one observation has no variance to divide")
        if model.design.weights is None and model.design.constant is not None:
            return cls._from_products(model)
        return cls._from_rows(model.design, model.solution.cp.basis)

    @classmethod
    def _from_products(cls, model: FittedModel) -> VarianceParts:
        cp, names = model.solution.factor.system.cp, list(model.design.fixed.names)
        strata, inverse = model._fit.strata, 1.0
        if strata is not None:  # of the rows as they are, whatever their groups' precision
            assert model.design.residual is not None
            cp = strata.at(np.zeros(len(strata)))
            inverse = float(np.average(1.0 / model.design.residual.omega, weights=strata.n))
        # In the basis, whose columns are orthonormal: differences cost no digits there.
        to_basis = la.solve_triangular(cp.basis.transform, np.eye(cp.p))
        gram, one = cp.xy[: cp.p, : cp.p], names.index(str(model.design.constant))
        sums = gram @ to_basis[:, one]
        # The column of ones has none left; what would be is rounding, times its large coefficient.
        to_basis[:, one] = 0.0
        centred = to_basis.T @ (gram - np.outer(sums, sums) / cp.n) @ to_basis
        moments = tuple(np.sum(own, axis=0) / cp.n for own in cp.own)
        covariances, effects = model.design.covariances, cp.basis.effects
        return cls(covariances, centred / (cp.n - 1), moments, inverse, effects)

    @classmethod
    def _from_rows(cls, design: Design, basis: Basis) -> VarianceParts:
        used = np.arange(design.n)[design.observed]
        counts = np.ones(design.n) if design.frequencies is None else design.frequencies
        total = float(np.sum(counts[used]))
        mean = np.zeros(design.x.shape[1])
        for rows in _blocks(used):
            mean += counts[rows] @ design.x[rows] / total
        fixed = np.zeros((len(mean), len(mean)))
        terms = [np.zeros((term.k, term.k)) for term in design.terms]
        inverse, precision = 0.0, design.precision
        for rows in _blocks(used):
            count = counts[rows]
            centred = design.x[rows] - mean
            fixed += centred.T @ (centred * count[:, None]) / (total - 1.0)
            for t, term in enumerate(design.terms):
                z = basis.effects[t].rows(term.rows.values[rows])
                terms[t] += z.T @ (z * count[:, None]) / total
            w = np.ones(len(rows)) if precision is None else precision[rows]
            inverse += float(np.sum(count / w)) / total
        return cls(design.covariances, fixed, tuple(terms), inverse, basis.effects)

    def __call__(self, theta: Array, sigma2: Array, beta: Array) -> Array:
        """The variances of many fits, (m, 1 + terms + 1): fixed, each term's, residual.

        Parameters
        ----------
        theta, sigma2, beta : (m, n_theta), (m,) and (m, p) arrays
            Of the user's effects.
        """
        found, cov = [np.einsum("mi,ij,mj->m", beta, self.fixed, beta)], self.covariances
        lambdas = cov.joint(cov.from_natural(theta))
        for moment, span, own in zip(self.terms, cov.spans, self.effects, strict=True):
            lams = own.coordinates(lambdas[:, span, span])
            found.append(sigma2 * np.einsum("mac,ab,mbc->m", lams, moment, lams))
        found.append(sigma2 * self.residual)
        out: Array = np.stack(found, axis=1)
        return out

    def at(self, model: FittedModel) -> Array:
        """The variances of one model, (1 + terms + 1,)."""
        solution = model.solution
        found = self(model.theta[None], np.array([solution.sigma2]), solution.beta[None])
        return np.asarray(found[0])


def by_residual(
    model: FittedModel, variances: Array, shares: Callable[[Array], Array], names: Sequence[str]
) -> pd.DataFrame | None:
    """Shares with the residual variance of each group, if there are several.

    Parameters
    ----------
    variances : (1 + terms + 1,) array
        Of the model, the residual's the mean over the observations.
    shares : callable
        From (m, 1 + terms + 1) variances to (m, r) numbers, of which the first are `names`.
    """
    groups, design = model.design.residual, model.design
    if groups is None:
        return None
    residual = group_sigmas(model) ** 2
    if design.weights is not None:
        used, codes = design.observed, groups.codes
        assert codes is not None
        counts = np.ones(design.n) if design.frequencies is None else design.frequencies
        inverse = np.bincount(codes[used], counts[used] / design.weights[used], len(groups))
        residual = residual * inverse / np.bincount(codes[used], counts[used], len(groups))
    every = np.tile(variances, (len(groups), 1))
    every[:, -1] = residual
    index = groups.levels.rename(groups.name)
    return pd.DataFrame(shares(every)[:, : len(names)], index=index, columns=list(names))


def _blocks(rows: IntArray) -> list[IntArray]:
    return [rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS)]


@dataclass(frozen=True)
class Interval:
    """How intervals are wanted: not at all, or from a bootstrap."""

    wanted: bool
    n_sims: int
    level: float
    rng: Rng

    @classmethod
    def of(cls, ci: str | float | None, n_sims: int, level: float, rng: Rng) -> Interval:
        """Check the four arguments that the effect sizes share."""
        method, level = check_ci(ci, level, ("bootstrap",))
        return cls(method is not None, check_count(n_sims, "n_sims"), level, rng)

    def bootstrap(
        self,
        model: FittedModel,
        parts: VarianceParts,
        names: Sequence[str],
        shares: Callable[[Array], Array],
    ) -> Bootstrap | None:
        """Replicates of a function of the variances, None if they are not wanted.

        Parameters
        ----------
        names : sequence of str
            Of the numbers of one replicate.
        shares : callable
            From (m, 1 + terms + 1) variances to (m, len(names)) numbers; picklable.
        """
        if not self.wanted:
            return None
        check_joint_refits(model, "ci='bootstrap'")
        generators = as_generator(self.rng).spawn(self.n_sims)
        common = common_of(model, self.n_sims)
        given = (model, response_model_of(model), parts, shares, common)
        size, long = block_size(model), is_long(model, self.n_sims)
        blocks = in_blocks(_replicates, given, generators, size=size, n_jobs=1, long=long)
        return bootstrap_of(blocks, names, shares(parts.at(model)[None])[0], verb="ci='bootstrap'")


def _replicates(
    model: FittedModel,
    response_model: ResponseModel | ResponseModelByProducts,
    parts: VarianceParts,
    shares: Callable[[Array], Array],
    common: Common | None,
    generators: Sequence[np.random.Generator],
) -> Block:
    """Refit the model to some replicates, all together."""
    fits = refit_drawn(model, response_model, generators, common)
    return Block.of(fits, shares(parts(fits.theta, fits.sigma2, fits.beta)))

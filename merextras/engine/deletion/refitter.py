"""All refits of a set of deletions: together where the terms share their levels, else in turn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from merextras.engine.deletion import tables
from merextras.engine.deletion.criteria import DeletionProblem
from merextras.engine.deletion.estimates import Estimates, Refits, displacements, measured
from merextras.engine.deletion.levels import Levels, Pieces, level_slopes, pieces
from merextras.engine.deletion.one_by_one import refit_one_by_one, stepped
from merextras.engine.deletion.one_step import Slopes, one_step, profiled
from merextras.engine.deletion.tables import BoolArray, Deletions, Whole
from merextras.engine.kernels import blocks
from merextras.engine.kernels.blocks import Array, IntArray
from merextras.engine.replicates import descent, elsewhere, search
from merextras.engine.replicates.fits import ManyFits
from merextras.engine.replicates.problem import Point

# Numbers in an array over (deletions, levels): 8 MB.
_BLOCK = 1 << 20
# Deletions that are refitted one by one before a report.
_FEW = 8


@dataclass(frozen=True)
class Refitter:
    """Fits a model again without the rows of each deletion.

    Attributes
    ----------
    whole : Whole
    deletions : Deletions
    full : bool
        Find each refit's optimum, or take one step from the theta of all rows.
    """

    whole: Whole
    deletions: Deletions
    full: bool

    @cached_property
    def shared(self) -> Levels | None:
        """The levels that all terms share, if they do."""
        return Levels.of(self.whole)

    def parts(self) -> list[IntArray]:
        """Blocks of deletions that are worked on together, whatever the number of processes."""
        step = _FEW
        if self.shared is not None:
            (levels, k, c), size = self.shared.to_xy.shape, len(self.whole.theta)
            rows = np.bincount(self.deletions.codes, minlength=self.deletions.m)
            most = min(levels, int(np.max(rows, initial=1)))
            wide = (levels + most) * k * k if self.full else most * (k * k + size * size) * c * c
            step = max(1, _BLOCK // max(wide, k * k * c * c, int(np.mean(rows)) * (k + c) ** 2))
        every = np.arange(self.deletions.m)
        return [every[at : at + step] for at in range(0, len(every), step)]

    def cost(self) -> float:
        """About how many numbers all refits go through: a hundred million take some seconds."""
        cp = self.whole.cp
        q = sum(levels * k * k for levels, k in cp.shapes)
        if self.shared is None:
            tail = sum(levels * k for levels, k in self.whole.solution.factor.system.tail_shapes)
            return float(self.deletions.m) * (20_000 + q + tail**3 / 100.0)
        return float(self.deletions.m) * (q if self.full else 1)

    def refit(self, which: IntArray) -> Refits:
        """The refits of some deletions."""
        if self.shared is None:
            return refit_one_by_one(self.whole, self.deletions, which, full=self.full)
        found, cp = pieces(self.whole, self.shared, self.deletions, which), self.whole.cp
        reasons = dict.fromkeys(np.flatnonzero(found.levels < 2).tolist(), tables.NO_LEVELS)
        reasons.update(dict.fromkeys(np.flatnonzero(found.n <= cp.p).tolist(), tables.NO_ROWS))
        out = Refits.missing(len(self.whole.theta), cp.p, len(which), reasons)
        good = np.ones(len(which), dtype=bool)
        good[list(reasons)] = False
        alone = good & found.lost
        together = np.flatnonzero(good & ~found.lost)
        if len(together):
            if len(together) < len(which):
                found = pieces(self.whole, self.shared, self.deletions, which[together])
            with np.errstate(all="ignore"):  # what does not exist is NaN, and has a reason
                refits, converged = self._together(found, which[together])
            out = out.replaced(together, refits)
            alone[together[~converged]] = True
        if np.any(alone):
            at = np.flatnonzero(alone)
            rest = refit_one_by_one(self.whole, self.deletions, which[at], full=self.full)
            out = out.replaced(at, rest)
        return out

    def _together(self, found: Pieces, which: IntArray) -> tuple[Refits, BoolArray]:
        """Refits by levels, and which were found."""
        every = np.ones(len(found.n), dtype=bool)
        if not self.full:
            none = np.full(len(every), np.nan)
            return stepped(measured(self.whole.solution, self._step(found), none)), every
        estimates, converged = self._full(found, which)
        lost = self._displacements(estimates)
        return measured(self.whole.solution, estimates, lost), converged

    def _full(self, found: Pieces, which: IntArray) -> tuple[Estimates, BoolArray]:
        """The optimum of each refit, and which were found."""
        fits = self._search(found, self.whole.start)
        foresee, again = partial(self._foreseen, which), partial(self._again, which)
        elsewhere.keep_lower(fits, self.whole.criterion, foresee, again)
        assert self.shared is not None
        problem = DeletionProblem(self.whole.criterion, self.shared, found)
        point = problem.at(np.arange(len(fits)), fits.theta)
        half = _half_inverse(point, self.whole.cp.basis.transform)
        covariance = fits.sigma2[:, None, None] * (np.swapaxes(half, 1, 2) @ half)
        return Estimates(fits.theta, fits.beta, fits.sigma2, covariance), fits.converged

    def _search(self, found: Pieces, theta: Array) -> ManyFits:
        """The end of each refit's search from one theta, or one each."""
        assert self.shared is not None
        problem = DeletionProblem(self.whole.criterion, self.shared, found)
        point, converged = descent.search(problem, theta, self.whole.control)
        basis, covariances = self.whole.cp.basis, problem.covariances
        return ManyFits(
            point.theta,
            point.deviance,
            basis.offset + point.beta @ basis.transform.T,
            self.whole.cp.scale.sigma2(point.pwrss, problem.all_df),
            converged,
            covariances.is_singular(point.theta),
        )

    def _again(self, which: IntArray, at: IntArray, thetas: Array) -> ManyFits:
        """The refits `which[at]`, each from a theta of its own, as many at a time as before."""
        found = [self._search(*part) for part in self._parts(which, at, thetas)]
        return search.stacked(found, thetas.shape[1], self.whole.cp.p)

    def _foreseen(self, which: IntArray, at: IntArray, thetas: Array) -> tuple[Array, Array]:
        """Short searches of the same: where they were left, and the deviances of their ends."""
        assert self.shared is not None
        found = []
        for left_out, theta in self._parts(which, at, thetas):
            problem = DeletionProblem(self.whole.criterion, self.shared, left_out)
            found.append(descent.foresee(problem, theta, self.whole.control))
        left, deviance = zip(*found, strict=True)
        return np.concatenate(left), np.concatenate(deviance)

    def _parts(
        self, which: IntArray, at: IntArray, thetas: Array
    ) -> Iterator[tuple[Pieces, Array]]:
        """What the refits `which[at]` leave out, and their thetas, as many as `which` at a time."""
        assert self.shared is not None
        for i in range(0, len(at), len(which)):
            part = slice(i, i + len(which))
            yield pieces(self.whole, self.shared, self.deletions, which[at[part]]), thetas[part]

    def _displacements(self, found: Estimates) -> Array:
        """The displacement of each refit: the criterion of all rows at its theta."""
        assert self.shared is not None
        whole, m = self.whole.solution, len(found.sigma2)
        cp = self.whole.cp
        nothing = _no_pieces(self.shared, self.whole, m)
        problem = DeletionProblem(self.whole.criterion, self.shared, nothing)
        point = problem.at(np.arange(m), found.theta)
        off = (found.beta - cp.basis.offset) @ np.linalg.inv(cp.basis.transform).T - point.beta
        turned = np.einsum("mpq,mp->mq", point.low, off)
        quadratic = np.einsum("mq,mq->m", turned, turned)
        at_best = point.deviance, cp.scale.sigma2(point.pwrss, whole.df), quadratic
        return displacements(whole, found, *at_best, least=self.whole.point.value())

    @cached_property
    def _sums(self) -> tuple[Array, ...]:
        """What all levels add to the criterion of all rows, see `level_slopes`."""
        assert self.shared is not None
        levels, size = self.shared.to_xy.shape[0], len(self.whole.theta)
        step = max(1, _BLOCK // (size * self.shared.to_xy.shape[2]) ** 2)
        totals: list[Array] = []
        for at in range(0, levels, step):
            rows = slice(at, at + step)
            found = self._level_slopes(self.shared.own[rows], self.shared.to_xy[rows])
            sums = [part.sum(axis=0) for part in found]
            totals = [a + b for a, b in zip(totals, sums, strict=True)] if totals else sums
        return tuple(totals)

    @cached_property
    def _covariance_slopes(self) -> Array:
        """dG_i at the theta of all rows, (n_theta, k, k)."""
        covariances = self.whole.criterion.covariances
        return np.asarray(covariances.joint_covariance_slopes(self.whole.theta[None])[0])

    @cached_property
    def _lam(self) -> Array:
        """Lambda of all terms there, (k, k)."""
        return np.asarray(self.whole.criterion.covariances.joint(self.whole.theta[None])[0])

    def _level_slopes(self, own: Array, to_xy: Array) -> tuple[Array, ...]:
        return level_slopes(own, to_xy, self._lam, self._covariance_slopes)

    def _changed_sums(self, found: Pieces) -> list[Array]:
        """The sums over all levels with what each deletion changes."""
        assert self.shared is not None
        before = self._level_slopes(self.shared.own[found.level], self.shared.to_xy[found.level])
        after = self._level_slopes(found.own, found.to_xy)
        parts = zip(self._sums, after, before, strict=True)
        return [total + found.summed(new - old) for total, new, old in parts]

    def _slopes(self, found: Pieces) -> Slopes:
        """The criterion of each refit at the theta of all rows."""
        cov, penalty = self.whole.criterion.covariances, self.whole.criterion.penalty
        reml, p = self.whole.solution.reml, self.whole.cp.p
        drop, inner, spread, turned = self._changed_sums(found)
        gram = found.gram - drop
        low, inverse, beta = profiled(gram)
        contrast = np.concatenate([-beta, np.ones((len(beta), 1))], axis=1)
        r2 = np.einsum("mc,mcd,md->m", contrast, gram, contrast)
        df, scale = found.n - p if reml else found.n, self.whole.cp.scale
        r2 = np.where(r2 > 0.0, r2, np.nan)
        weight = scale.weight(r2, df)[:, None, None] * contrast[:, :, None] * contrast[:, None, :]
        if reml:
            weight[:, :p, :p] += inverse
        slopes = inner - np.einsum("mabcd,mcd->mab", spread, weight)
        gram_slopes = np.einsum("iab,mabcd->micd", self._covariance_slopes, spread, optimize=True)
        along = np.einsum("micd,md->mic", gram_slopes, contrast)
        half = blocks.solve_lower(low, np.swapaxes(along[:, :, :p], 1, 2))
        quadratic = np.einsum("milcd,mc,md->mil", turned, contrast, contrast, optimize=True)
        quadratic -= np.swapaxes(half, 1, 2) @ half
        q = np.einsum("mic,mc->mi", along, contrast)
        hessian = scale.information(quadratic, q, r2, df) + self.whole.gap
        theta = np.broadcast_to(self.whole.theta, (len(gram), len(self.whole.theta)))
        if penalty is not None:
            slopes = slopes + penalty.slopes(theta)
            hessian += penalty.second(theta)
        hessian += cov.joint_curvature(theta, slopes)
        gradient = cov.joint_gradient(theta, 2.0 * slopes @ self._lam)
        return Slopes(gram, gram_slopes, gradient, hessian, df)

    def _step(self, found: Pieces) -> Estimates:
        """One step of each refit."""
        whole, slopes = self.whole, self._slopes(found)
        return one_step(
            slopes, whole.theta, whole.hessian, whole.criterion.covariances, whole.cp.basis,
            whole.cp.scale,
        )  # fmt: skip


def _half_inverse(point: Point, transform: Array) -> Array:
    m, p = point.beta.shape
    return blocks.solve_lower(point.low, np.broadcast_to(transform.T, (m, p, p)))


def _no_pieces(shared: Levels, whole: Whole, m: int) -> Pieces:
    """Return m deletions of nothing."""
    none, cp = np.empty(0, dtype=np.intp), whole.cp
    return Pieces(
        none, none, none, shared.own[:0], shared.to_xy[:0],
        np.broadcast_to(cp.xy, (m, *cp.xy.shape)), np.full(m, float(cp.n)),
        np.full(m, cp.sum_log_w), np.full(m, float(len(shared.own))), np.zeros(m, dtype=bool),
    )  # fmt: skip

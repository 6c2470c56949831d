"""The optima of a generalised model's criterion for many responses of its rows.

The search of `engine.replicates.descent` for blocks of responses, all from one start; those that
do not end there are searched one by one, as are all where the layout has no levels to go by
(crossed factors), where quadrature takes the place of Laplace's approximation, and where rows or
levels are joined by their responses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from merextras.engine.generalised.criterion.laplace import Laplace, LaplacePoint
from merextras.engine.generalised.families.family import Family, Repeated
from merextras.engine.generalised.replicates.layout import Layout
from merextras.engine.generalised.replicates.modes import lams_of
from merextras.engine.generalised.replicates.nearby import BLOCK, has_layout
from merextras.engine.generalised.replicates.problem import ManyLaplace
from merextras.engine.generalised.searches.optimum import FINE, information, scales
from merextras.engine.generalised.searches.search import Again, is_infinite_size, reoptimise
from merextras.engine.kernels.blocks import Array, BoolArray, IntArray
from merextras.engine.kernels.leading import applied, product, transpose
from merextras.engine.optimum.summary import Control
from merextras.engine.replicates.descent import search
from merextras.engine.replicates.searched import differenced

# The most replicates of a block.
_MOST = 512
# The most numbers of the user's rows and replicates of a block: 64 MB.
_ROWS = 1 << 23
# The decrement that is left after the last step, judged by how fast it fell before.
_TOLERANCE = 1e-15
# Steps of a search of all; those that need more are searched by themselves.
_STEPS = 60
# Steps of differences, in standard errors.
_ROUGH = 1e-3


@dataclass(frozen=True)
class ManyAgain:
    """Where the searches for many responses ended.

    Attributes
    ----------
    x : (R, m) array
        In the coordinates of the criterion.
    deviance : (R,) array
    converged, singular : (R,) boolean arrays
    eta : (n, R) array
        Linear predictors at the modes.
    alone : (R,) boolean array
        Which were searched one by one.
    """

    x: Array
    deviance: Array
    converged: BoolArray
    singular: BoolArray
    eta: Array
    alone: BoolArray

    def taken(self, which: IntArray) -> ManyAgain:
        """Some of them."""
        return ManyAgain(
            self.x[which], self.deviance[which], self.converged[which], self.singular[which],
            self.eta[:, which], self.alone[which],
        )  # fmt: skip


class Reoptimiser:
    """The searches of one model for other responses of its rows.

    Parameters
    ----------
    criterion : Laplace
        With the model's own response.
    x : (m,) array
        The start.
    hessian : (m, m) array or None
        At the start; None to find it there for the model's own response.
    rows : Family
        The log-density of the user's rows, where the criterion's are cells of them.
    """

    def __init__(self, criterion: Laplace, x: Array, hessian: Array | None, rows: Family) -> None:
        self.criterion, self.x, self._given, self._rows = criterion, x, hessian, rows

    @cached_property
    def _at_start(self) -> LaplacePoint:
        return self.criterion.at(self.x)

    @cached_property
    def hessian(self) -> Array | None:
        """At the start; None where there is none."""
        if self._given is not None:
            return self._given
        if not np.isfinite(self._at_start.deviance()):
            return None
        free = np.ones(self.criterion.m, dtype=bool)
        found = information(self.criterion, self._at_start, free)
        return found if np.isfinite(found).all() else None

    @cached_property
    def layout(self) -> Layout | None:
        """None where responses are searched one by one."""
        criterion = self.criterion
        table = criterion.table
        joined = table.cells is not None and bool(self._rows.apart)
        if joined or not has_layout(criterion):
            return None
        return None if self.hessian is None else Layout(table, criterion.covariances)

    def _family(self, y: Array) -> Family:
        """Of the rows of the criterion's table, for responses of the user's rows."""
        cells = self.criterion.table.cells
        if cells is None:
            return self.criterion.family.many(y)
        merged, counts = self._rows.many(y).merged(cells.of_row, cells.rows)
        return merged if counts is None else Repeated(merged, counts[:, None])

    @property
    def block(self) -> int:
        """Responses of a block: of the model alone."""
        if self.layout is None:
            return 1
        m = self.criterion.m
        largest = max(self.layout.n, self.layout.q, m * m)
        cells = self.criterion.table.cells
        rows = self.layout.n if cells is None else len(cells.of_row)
        return int(np.clip(min(BLOCK // largest, _ROWS // rows), 1, _MOST))

    def search(self, y: Array, alone: Callable[[Array], Laplace]) -> ManyAgain:
        """The optima for the columns of y, (n, R).

        Parameters
        ----------
        alone : callable
            The criterion of one response, (n,).
        """
        size = self.block
        starts = range(0, max(y.shape[1], 1), size)
        parts = [self._part(y[:, at : at + size], alone) for at in starts]
        if len(parts) == 1:
            return parts[0]
        return ManyAgain(
            np.concatenate([part.x for part in parts]),
            np.concatenate([part.deviance for part in parts]),
            np.concatenate([part.converged for part in parts]),
            np.concatenate([part.singular for part in parts]),
            np.concatenate([part.eta for part in parts], axis=1),
            np.concatenate([part.alone for part in parts]),
        )

    def _part(self, y: Array, alone: Callable[[Array], Laplace]) -> ManyAgain:
        """A block of them."""
        layout, hessian = self.layout, self.hessian
        if layout is None or hessian is None or y.shape[1] == 0:
            return self._one_by_one(y, alone)
        criterion = self.criterion
        family = self._family(y)
        steps = _ROUGH * scales(criterion, self._at_start)
        problem = ManyLaplace(criterion, layout, family, hessian, steps)
        control = Control(tolerance=_TOLERANCE, max_iterations=_STEPS)
        found, converged = search(problem, self.x, control)
        n, cov = criterion.covariances.n, criterion.covariances
        x = found.theta
        if family.n_phi and family.has_limit:
            converged &= ~np.array([is_infinite_size(value) for value in x[:, -1]], dtype=bool)
        converged &= ~problem.drifted(hessian)
        x[:, :n] = cov.canonical(x[:, :n])
        out = ManyAgain(
            x, found.deviance, converged, cov.is_singular(x[:, :n]),
            self._eta(layout, x, found.v), ~converged,
        )  # fmt: skip
        left = np.flatnonzero(~converged)
        if len(left):
            _put(out, left, self._one_by_one(y[:, left], alone))
        return out

    def informations(self, y: Array, again: ManyAgain, alone: Callable[[Array], Laplace]) -> Array:
        """The Hessians of the deviances at the optima of `search`, (R, m, m).

        By central differences of the exact gradient; rows of a size that is infinite are zero.
        """
        size = self.block
        parts = [slice(at, at + size) for at in range(0, y.shape[1], size)]
        none = np.empty((0, self.criterion.m, self.criterion.m))
        return np.concatenate([none, *(self._informations(y, again, alone, at) for at in parts)])

    def _informations(
        self, y: Array, again: ManyAgain, alone: Callable[[Array], Laplace], at: slice
    ) -> Array:
        criterion, y, x, single = self.criterion, y[:, at], again.x[at], again.alone[at]
        out = np.empty((len(x), criterion.m, criterion.m))
        together = np.flatnonzero(~single)
        if len(together) and self.layout is not None and self.hessian is not None:
            family, steps = self._family(y[:, together]), scales(criterion, self._at_start)
            problem = ManyLaplace(criterion, self.layout, family, self.hessian, FINE * steps)
            every = np.arange(len(together))
            problem.at(every, x[together])  # where the modes of all differences start
            out[together] = differenced(problem, every, x[together])
        for i in np.flatnonzero(single).tolist():
            own = alone(y[:, i])
            free = np.ones(criterion.m, dtype=bool)
            if own.family.has_limit and own.family.n_phi:
                free[-1] = not is_infinite_size(x[i, -1])
            out[i] = information(own, own.at(x[i]), free)
        return out

    def _eta(self, layout: Layout, x: Array, v: Array) -> Array:
        """Linear predictors of the user's rows at the modes, (n, R)."""
        criterion, n = self.criterion, self.criterion.covariances.n
        lams = lams_of(layout, criterion.covariances.joint(x[:, :n]))
        b = [
            applied(product(lam, transpose(lam)), part)
            for lam, part in zip(lams, layout.levels(v.T), strict=True)
        ]
        table = criterion.table
        beta = x[:, n : n + table.p]
        return table.by_row(table.offset[:, None] + table.x @ beta.T + layout.rows(b))

    def _one_by_one(self, y: Array, alone: Callable[[Array], Laplace]) -> ManyAgain:
        found, covariances = [], self.criterion.covariances
        with np.errstate(all="ignore"):
            found = [reoptimise(alone(column), self.x, self.hessian) for column in y.T]
        x = np.array([again.point.x for again in found]).reshape(len(found), self.criterion.m)
        return ManyAgain(
            x,
            np.array([again.point.deviance() for again in found]),
            np.array([again.converged for again in found], dtype=bool),
            covariances.is_singular(x[:, : covariances.n]),
            _by_rows(found, len(y)),
            np.ones(len(found), dtype=bool),
        )


def _by_rows(found: list[Again], n: int) -> Array:
    """Linear predictors of the user's rows, (n, R)."""
    each = [again.point.criterion.table.by_row(again.point.modes.eta) for again in found]
    return np.array(each).T if each else np.empty((n, 0))


def _put(into: ManyAgain, which: IntArray, found: ManyAgain) -> None:
    """Some of them in their places."""
    for name in ("x", "deviance", "converged", "singular", "alone"):
        getattr(into, name)[which] = getattr(found, name)
    into.eta[:, which] = found.eta

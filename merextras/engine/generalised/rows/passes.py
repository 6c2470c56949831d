"""Sums over rows that are read again each time, part by part, and never kept.

Of a generalised model all that a step needs of the rows are sums of the size of the effects: at
given effects the log-density, ``Z'g`` and ``Z'WZ`` (`seen`), and for the derivatives ``X'WX``,
``Z'WX`` and what the weights' slopes make (`slopes`); with expected weights, the products of both
(`expected_products`). A part of the rows has the layout of all of
them; the sums of one part after the other are those of the table in memory but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from merextras.engine.elimination.conditional_variances import Selected
from merextras.engine.elimination.factor import flat
from merextras.engine.elimination.plan import System, TailKind, make_plan, prepare
from merextras.engine.generalised.families.family import Family
from merextras.engine.generalised.rows.table import Announce, Table
from merextras.engine.kernels import blocks, dense, sparse
from merextras.engine.kernels.blocks import Array
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.term_rows import TermRows


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows as the user has them.

    Attributes
    ----------
    x : (n, p) array
    terms : sequence of TermRows
        Codes among the levels of all rows.
    offset : (n,) array or None
    family : Family
        The log-density of their responses.
    counts : (n,) array or None
        How many of the user's rows each stands for; None for one.
    kept : bool
        Whether each pass has this same object.
    """

    x: Array
    terms: Sequence[TermRows]
    offset: Array | None
    family: Family
    counts: Array | None = None
    kept: bool = False


class StreamedTable(Table):
    """A table whose rows are read for each sum; it has none of the attributes by row.

    Parameters
    ----------
    read : callable
        One pass over the rows, the same ones each time.
    cp : CrossProducts
        Of X and of the terms, all rows of weight one, whose basis becomes that of the table.
    """

    def __init__(
        self,
        read: Callable[[], Iterator[Rows]],
        cp: CrossProducts,
        *,
        tail: TailKind = "auto",
        announce: Announce | None = None,
    ) -> None:
        self.read = read
        self.cells = self.copies = None
        self.n, self.p = cp.n, cp.p
        self.transform, self.effects = cp.basis.transform, cp.basis.effects
        squares = [np.einsum("jaa->a", own) / max(cp.n, 1) for own in cp.own]
        self.sizes = tuple(np.sqrt(np.where(square > 0.0, square, 1.0)) for square in squares)
        as_they_are = [EffectBasis.identity(own.k, own.freedom) for own in cp.basis.effects]
        alone = replace(
            cp, to_xy=tuple(to[:, :, -1:] for to in cp.to_xy), xy=cp.xy[-1:, -1:],
            basis=Basis.identity(0, as_they_are),
        )  # fmt: skip
        plan = make_plan(alone, tail)
        if announce is not None:
            announce(alone, plan, 0)
        self.template = prepare(alone, plan)
        self._laid: dict[int, PartOfTable] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Without rows."""
        return {**vars(self), "_laid": {}}

    def parts(self) -> Iterator[PartOfTable]:
        """One pass."""
        for rows in self.read():
            part = self._laid.get(id(rows)) if rows.kept else None
            if part is None:
                part = PartOfTable(rows, self)
            if rows.kept:
                self._laid[id(rows)] = part
            yield part


class PartOfTable(Table):
    """Some rows of a streamed table, in its coordinates and on its layout.

    Attributes
    ----------
    family : Family
        Of their responses.
    """

    def __init__(self, rows: Rows, whole: StreamedTable) -> None:
        self.cells = self.copies = None
        self.n, self.p = len(rows.x), whole.p
        self.transform, self.effects, self.sizes = whole.transform, whole.effects, whole.sizes
        self.x = dense.times_triangle([rows.x], whole.transform) if self.p else rows.x
        self.offset = np.zeros(self.n) if rows.offset is None else rows.offset
        self.counts = np.ones(self.n) if rows.counts is None else rows.counts
        pairs = zip(rows.terms, whole.effects, strict=True)
        self.terms = tuple(replace(term, values=own.rows(term.values)) for term, own in pairs)
        self.template, self.family, self.kept = whole.template, rows.family, rows.kept

    def eta(self, beta: Array, b: Sequence[Array]) -> Array:
        """The linear predictor, (n,)."""
        return np.asarray(self.offset + self.x @ beta + self.rows(b))


@dataclass(frozen=True, eq=False)
class Seen:
    """What the rows add up to at given effects.

    Attributes
    ----------
    density : float
        The log-density; minus infinity or NaN where some row has none.
    magnitude : float
        See `Family.magnitude`.
    score : tuple of (J, k, 1) arrays
        ``Z'g`` by terms.
    system : System or None
        ``Z'WZ``; None where some weight is not finite.
    """

    density: float
    magnitude: float
    score: tuple[Array, ...]
    system: System | None


def seen(
    table: StreamedTable, beta: Array, phi: Array, b: Sequence[Array], *, expected: bool = False
) -> Seen:
    """One pass at effects b, with observed weights or their expectations.

    It ends early where the log-density is not finite.
    """
    density, magnitude, system, usable = 0.0, 0.0, None, True
    score = [np.zeros((term.shape[0], term.shape[1], 1)) for term in b]
    for part in table.parts():
        eta = part.eta(beta, b)
        density += float(np.sum(part.family.log_density(eta, phi)))
        if not np.isfinite(density):
            return Seen(density, magnitude, tuple(score), None)
        magnitude += part.family.magnitude(eta)
        g, w = part.family.first(eta, phi)
        w = part.family.expected(eta, phi) if expected else w
        _add(score, part.to_terms(g))
        usable = usable and bool(np.isfinite(w).all())
        if usable:
            system = _plus(system, part.weighted(w))
    return Seen(density, magnitude, tuple(score), system if usable else None)


@dataclass(frozen=True, eq=False)
class Slopes:
    """What the rows add up to for derivatives.

    With q the variances of the rows' predictors given beta and ``s = q dw / deta``.

    Attributes
    ----------
    to_g, to_s : (p,) arrays
        ``X'g`` and ``X's``.
    gram : (p, p) array
        ``X'WX``.
    z_wx : tuple of (J, k, p) arrays
    z_s : tuple of (J, k, 1) arrays
        ``Z'WX`` and ``Z's`` by terms.
    by_phi : float
        ``-2 sum dl / dphi + q' dw / dphi``.
    z_by_phi : tuple of (J, k, 1) arrays
        ``Z' dg / dphi``; empty without dispersion.
    """

    to_g: Array
    to_s: Array
    gram: Array
    z_wx: tuple[Array, ...]
    z_s: tuple[Array, ...]
    by_phi: float
    z_by_phi: tuple[Array, ...]


def slopes(
    table: StreamedTable, beta: Array, phi: Array, b: Sequence[Array], selected: Selected
) -> Slopes:
    """One pass at effects b, whose conditional covariance has the blocks `selected`."""
    p, n_phi = table.p, len(phi)
    to_g, to_s, gram, by_phi = np.zeros(p), np.zeros(p), np.zeros((p, p)), 0.0
    z_wx = [np.zeros((term.shape[0], term.shape[1], p)) for term in b]
    z_s = [np.zeros((term.shape[0], term.shape[1], 1)) for term in b]
    z_by_phi = [np.zeros_like(part) for part in z_s] if n_phi else []
    for part in table.parts():
        eta = part.eta(beta, b)
        g, w = part.family.first(eta, phi)
        q = part.variances(selected)
        s = part.family.weight_slope(eta, phi) * q
        wx = w[:, None] * part.x
        to_g += part.x.T @ g
        to_s += part.x.T @ s
        gram += part.x.T @ wx
        _add(z_wx, part.products(wx))
        _add(z_s, part.to_terms(s))
        if n_phi:
            by = part.family.by_dispersion(eta, phi)
            by_phi += float(-2.0 * np.sum(by.log_density) + q @ by.weight)
            _add(z_by_phi, part.to_terms(by.first))
    return Slopes(to_g, to_s, gram, tuple(z_wx), tuple(z_s), by_phi, tuple(z_by_phi))


def expected_products(
    table: StreamedTable, beta: Array, phi: Array, b: Sequence[Array]
) -> tuple[System, Array, tuple[Array, ...]]:
    """``Z'WZ``, ``X'WX`` and ``Z'WX`` by terms with expected weights, of one pass at effects b."""
    system: System | None = None
    gram = np.zeros((table.p, table.p))
    z_wx = [np.zeros((term.shape[0], term.shape[1], table.p)) for term in b]
    for part in table.parts():
        w = part.family.expected(part.eta(beta, b), phi)
        wx = w[:, None] * part.x
        gram += part.x.T @ wx
        _add(z_wx, part.products(wx))
        system = _plus(system, part.weighted(w))
    assert system is not None  # a fit has rows
    return system, gram, tuple(z_wx)


def _add(totals: Sequence[Array], more: Sequence[Array]) -> None:
    for total, own in zip(totals, more, strict=True):
        np.add(total, own, out=total)


def _plus(system: System | None, more: System) -> System:
    """The sum of two systems on one layout."""
    if system is None:
        return more
    leading = system.plan.leading
    own = [
        a + b if t in leading else a
        for t, (a, b) in enumerate(zip(system.cp.own, more.cp.own, strict=True))
    ]
    return System(
        replace(system.cp, own=tuple(own)),
        system.plan,
        {key: block + more.nested[key] for key, block in system.nested.items()},
        # A sum of sparse matrices would leave out the entries that are zero.
        {
            t: sparse.with_data(block, block.data + more.to_tail[t].data)
            for t, block in system.to_tail.items()
        },
        system.tail.plus(more.tail),
    )


def product(system: System, b: Sequence[Array]) -> tuple[Array, ...]:
    """``Z'WZ b`` of columns of effects by terms, (J, k, m) of both."""
    plan, out = system.plan, [np.zeros_like(part) for part in b]
    tail = _joined([b[t] for t in plan.tail])
    to_tail = system.tail.product(tail) if plan.tail else tail
    for t in plan.leading:
        out[t] += system.cp.own[t] @ b[t]
        if plan.tail:
            block = system.to_tail[t]
            to_tail = to_tail + block @ flat(b[t])
            out[t] += (block.T @ tail).reshape(out[t].shape)
    for (t, s), parents in plan.parents.items():
        block_ts = system.nested[t, s]
        out[t] += blocks.transpose(block_ts) @ b[s][parents]
        out[s] += blocks.sum_by(block_ts @ b[t], parents, len(b[s]))
    at = 0
    for t in plan.tail:
        rows = out[t].shape[0] * out[t].shape[1]
        out[t] += to_tail[at : at + rows].reshape(out[t].shape)
        at += rows
    return tuple(out)


def _joined(by_term: Sequence[Array]) -> Array:
    if not by_term:
        return np.empty((0, 1))
    return np.concatenate([flat(part) for part in by_term])

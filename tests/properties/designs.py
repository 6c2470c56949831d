"""Hypothesis strategies of random mixed models: small, of every shape the engine knows.

Hypothesis draws the structure, a generator seeded by it the numbers, so that a failing example
shrinks to a simple structure and stays what it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import free_covariances as covpar
import numpy as np
from hypothesis import strategies as st
from oracle.dense import dense_lambda, dense_pls, dense_z

from merextras.engine.elimination.plan import make_plan, prepare
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.engine.solution.pls import solve

# A factor each: its own (crossed with the others), or the name of the factor it groups.
LAYOUTS = {
    "one": ("a",),
    "twice": ("a", "a"),
    "chain": ("a", "a>b"),
    "long chain": ("a", "a>b", "b>c"),
    "chain, each twice": ("a", "a", "a>b", "a>b"),
    "two parents": ("a", "a>b", "a>c"),
    "crossed": ("a", "b"),
    "crossed, one twice": ("a", "a", "b"),
    "all crossed": ("a", "b", "c"),
    "chain and crossed": ("a", "a>b", "c"),
    "long chain and crossed": ("a", "a>b", "b>c", "d"),
    "two chains": ("a", "a>b", "c", "c>d"),
}


@dataclass(frozen=True)
class Design:
    """A mixed model's data and a theta."""

    x: np.ndarray
    y: np.ndarray
    terms: tuple[TermRows, ...]
    weights: np.ndarray | None
    lams: tuple[np.ndarray, ...]

    @property
    def ks(self):
        return [term.k for term in self.terms]

    @property
    def theta(self):
        return covpar.pack(self.lams)

    @property
    def w(self):
        return np.ones(len(self.y)) if self.weights is None else self.weights

    def cross_products(self, basis=None):
        return CrossProducts.from_rows(self.x, self.y, self.terms, self.weights, basis)

    def system(self, tail="auto"):
        cp = self.cross_products()
        return prepare(cp, make_plan(cp, tail))

    def solution(self, *, reml, tail="auto"):
        return solve(self.system(tail), self.lams, reml=reml)

    def oracle(self, *, reml):
        """`dense_pls` of y less what X explains of it, so that a large mean costs it no digits."""
        z, lam = dense_z(self.terms), dense_lambda(self.terms, self.lams)
        offset = np.linalg.lstsq(self.x, self.y, rcond=None)[0] if self.x.size else np.zeros(0)
        found = dense_pls(self.x, self.y - self.x @ offset, z, lam, self.w, reml)
        return {**found, "beta": found["beta"] + offset}

    def rows(self, which):
        """The same model of some of the rows, or of the rows in another order."""
        terms = tuple(replace(t, codes=t.codes[which], values=t.values[which]) for t in self.terms)
        weights = None if self.weights is None else self.weights[which]
        return replace(self, x=self.x[which], y=self.y[which], terms=terms, weights=weights)


@st.composite
def designs(draw, layouts=tuple(LAYOUTS), max_k=3, min_rows=16, max_rows=60, special_theta=True):
    """Any design of the layouts; theta is singular in all ways if `special_theta`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(min_rows, max_rows))
    factors = _factors(draw, rng, n, LAYOUTS[draw(st.sampled_from(layouts))])
    terms = []
    for codes, n_levels in factors:
        k = draw(st.integers(1, max_k))
        terms.append(TermRows(codes, _covariates(draw, rng, n, k), n_levels))
    x = _fixed(draw, rng, n)
    weights = rng.uniform(0.25, 4.0, n) if draw(st.booleans()) else None
    lams = tuple(draw(factors_of(term.k, special=special_theta)) for term in terms)
    y = _response(draw, rng, x, terms, weights)
    return Design(x, y, tuple(terms), weights, lams)


@st.composite
def factors_of(draw, k, special=True):
    """A relative covariance factor, (k, k) lower triangular; singular in all ways if `special`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lam = np.tril(rng.uniform(-1.0, 1.0, (k, k)))
    lam[np.diag_indices(k)] = rng.uniform(0.2, 2.0, k)
    kinds = ["regular", "null", "zero column", "zero diagonal", "perfect correlation", "negative"]
    kind = draw(st.sampled_from(kinds)) if special else "regular"
    at = draw(st.integers(0, k - 1))
    if kind == "null":
        lam[:] = 0.0
    elif kind == "zero column":
        lam[:, at] = 0.0
    elif kind == "zero diagonal":
        lam[at, at] = 0.0
    elif kind == "perfect correlation":
        lam[:, 1:] = 0.0
    elif kind == "negative":
        lam[at, at] *= -1.0
    return lam


def _factors(draw, rng, n, layout):
    """(codes, levels) of each factor of a layout."""
    found = {}
    out = []
    for entry in layout:
        inner, _, name = entry.rpartition(">")
        if name not in found:
            found[name] = _grouped(draw, rng, *found[inner]) if inner else _crossed(draw, rng, n)
        codes, n_levels = found[name]
        out.append((codes.copy(), n_levels))
    return out


def _crossed(draw, rng, n):
    kind = draw(st.sampled_from(["some", "some", "empty levels", "a row each", "one"]))
    if kind == "one":
        return np.zeros(n, dtype=np.intp), 1
    if kind == "a row each":
        return rng.permutation(n), n
    n_levels = draw(st.integers(2, 12))
    codes = rng.integers(0, n_levels, n)
    if kind == "empty levels":
        n_levels += 2
        codes = rng.permutation(n_levels)[codes]
    return codes, n_levels


def _grouped(draw, rng, codes, n_levels):
    """A factor that the given one is nested in."""
    n_outer = draw(st.integers(1, max(1, n_levels // 2)))
    return rng.integers(0, n_outer, n_levels)[codes], n_outer


def _covariates(draw, rng, n, k):
    """Columns of Z: ones, measurements, measurements that are zero in a part of the rows."""
    kinds = ["ones", *(draw(st.sampled_from(["real", "partly zero", "dummy"])) for _ in range(k))]
    at = draw(st.integers(0, 1))
    return np.column_stack([_column(rng, n, kind) for kind in kinds[at : at + k]])


def _fixed(draw, rng, n):
    p = draw(st.integers(0, 3))
    kinds = ["ones", *(draw(st.sampled_from(["real", "partly zero"])) for _ in range(p))]
    at = draw(st.integers(0, 1))
    columns = [_column(rng, n, kind) for kind in kinds[at : at + p]]
    return np.column_stack(columns) if columns else np.empty((n, 0))


def _column(rng, n, kind):
    if kind == "ones":
        return np.ones(n)
    present = np.ones(n)
    if kind != "real":
        # At least six rows are not zero, so that the columns of X stay independent.
        present = rng.permutation(np.arange(n) < max(6, int(n * rng.uniform(0.2, 0.8)))) * 1.0
    return present if kind == "dummy" else present * rng.normal(size=n)


def _response(draw, rng, x, terms, weights):
    y = rng.normal(size=len(x)) / np.sqrt(1.0 if weights is None else weights)
    for term in terms:
        scale = draw(st.sampled_from([0.0, 0.5, 2.0]))
        effects = rng.normal(0.0, 1.0, (term.n_levels, term.k)) * scale
        y += np.einsum("nk,nk->n", term.values, effects[term.codes])
    mean = draw(st.sampled_from([0.0, 1000.0]))
    return y + x @ rng.normal(0.0, 3.0, x.shape[1]) + mean


def identified(design, levels=(8, 4)):
    """The design with levels dealt out evenly and effects as simple as its variances can bear.

    Keeps a layout of up to two factors, nested or crossed; X gets an intercept.
    """
    rng = np.random.default_rng([len(design.y), 1])
    n, nested = len(design.y), len(design.system().plan.tail) == 0
    codes = [rng.permutation(np.arange(n) % levels[0])]
    codes.append(codes[0] % levels[1] if nested else rng.permutation(np.arange(n) % levels[1]))
    terms = tuple(
        TermRows(
            codes[t], np.column_stack([np.ones(n), rng.normal(size=n)])[:, : term.k], levels[t]
        )
        for t, term in enumerate(design.terms)
    )
    kept = np.flatnonzero(np.ptp(design.x, axis=0) > 0.0)
    return replace(design, x=np.column_stack([np.ones(n), design.x[:, kept]]), terms=terms)

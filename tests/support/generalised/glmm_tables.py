"""Small tables of generalised models: families and terms by name, with random numbers of a seed."""

from __future__ import annotations

import numpy as np

from merextras.engine.generalised.criterion.laplace import Laplace
from merextras.engine.generalised.families import binomial, counts, dispersed
from merextras.engine.generalised.rows.table import Table
from merextras.engine.products.term_rows import TermRows

N = 120


def _successes(rng, n):
    trials = rng.integers(1, 9, n).astype(float)
    return np.floor(rng.random(n) * (trials + 1.0)), trials


def _counts(rng, n):
    return rng.poisson(3.0, n).astype(float)


def _positive(rng, n):
    return rng.gamma(4.0, 0.3, n) + 0.2


#: Name -> a family of n random responses.
FAMILIES = {
    "logit": lambda rng, n: binomial.Logit(*_successes(rng, n)),
    "probit": lambda rng, n: binomial.Probit(*_successes(rng, n)),
    "cloglog": lambda rng, n: binomial.Cloglog(*_successes(rng, n)),
    "poisson": lambda rng, n: counts.Poisson(_counts(rng, n)),
    "negative binomial": lambda rng, n: counts.NegativeBinomial(_counts(rng, n)),
    "negative binomial, given": lambda rng, n: counts.NegativeBinomial(_counts(rng, n), 2.5),
    "gamma log": lambda rng, n: dispersed.GammaLog(_positive(rng, n)),
    "gamma inverse": lambda rng, n: dispersed.GammaInverse(_positive(rng, n)),
    "inverse gaussian": lambda rng, n: dispersed.InverseGaussianLog(_positive(rng, n)),
    "normal": lambda rng, n: dispersed.NormalIdentity(_positive(rng, n)),
    "normal log": lambda rng, n: dispersed.NormalLog(_positive(rng, n)),
    "normal inverse": lambda rng, n: dispersed.NormalInverse(_positive(rng, n)),
}
#: Whose linear predictor must be positive.
RECIPROCAL = {"gamma inverse", "normal inverse"}


def terms_of(kind, rng, n):
    """The terms of a layout."""
    one, slope = np.ones((n, 1)), rng.normal(size=n)
    both = np.column_stack([np.ones(n), slope])
    g, h, f = (rng.integers(0, j, n) for j in (8, 5, 4))
    return {
        "one": [TermRows(g, one, 8)],
        "slope": [TermRows(g, both, 8)],
        "independent": [TermRows(g, one, 8), TermRows(g, both[:, 1:], 8)],
        "crossed": [TermRows(g, both, 8), TermRows(h, one, 5)],
        "three crossed": [TermRows(g, one, 8), TermRows(h, both, 5), TermRows(f, one, 4)],
        "nested": [TermRows(g * 5 + h, one, 40), TermRows(g, both, 8)],
        "nested and crossed": [
            TermRows(g * 5 + h, both, 40), TermRows(g, one, 8), TermRows(f, both, 4)
        ],
    }[kind]  # fmt: skip


KINDS = (
    "one", "slope", "independent", "crossed", "three crossed", "nested", "nested and crossed",
)  # fmt: skip


class Case:
    """A criterion with what it was made from, and a random vector of parameters."""

    def __init__(self, family, kind, seed, *, tail="auto", n=N):
        rng = np.random.default_rng(seed)
        self.family = FAMILIES[family](rng, n)
        self.x = np.column_stack([np.ones(n), rng.normal(size=n)])
        self.terms = terms_of(kind, rng, n)
        self.offset = 0.1 * rng.normal(size=n)
        table = Table(self.x, self.terms, self.offset, tail=tail)
        self.criterion = Laplace(table, self.family)
        spread, base = (0.1, 2.5) if family in RECIPROCAL else (0.4, 0.3)
        theta = self.criterion.own_theta(spread * rng.normal(size=self.criterion.covariances.n))
        self.beta = np.array([base, 0.1]) + 0.3 * spread * rng.normal(size=2)
        self.phi = 1.0 + 0.3 * rng.normal(size=self.family.n_phi)
        inner = np.linalg.solve(table.transform, self.beta)
        self.vector = np.concatenate([theta, inner, self.phi])

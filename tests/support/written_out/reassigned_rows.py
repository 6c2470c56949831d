"""Predictions as dense linear combinations of all effects, one row after the other."""

from __future__ import annotations

import numpy as np
from sim_models import joint_covariance


class Dense:
    """Rows of (beta, b, effects of unseen levels), for models with a formula of plain columns.

    Attributes
    ----------
    covariance : array
        Posterior covariance over sigma**2 of all of these; unseen effects have their prior one.
    centre : array
        Posterior mean.
    s : float
        sigma, with the divisor n - p.
    """

    def __init__(self, model, unseen=()):
        self.model = model
        solution = model.solution
        known, pwrss = joint_covariance(model)
        self.df = solution.n - solution.p
        self.s = np.sqrt(pwrss / self.df)
        self.unseen = list(unseen)
        blocks = [solution.lams[t] @ solution.lams[t].T for t, _ in self.unseen]
        size = len(known) + sum(map(len, blocks))
        self.covariance = np.zeros((size, size))
        self.covariance[: len(known), : len(known)] = known
        at = len(known)
        for block in blocks:
            self.covariance[at : at + len(block), at : at + len(block)] = block
            at += len(block)
        self.centre = np.zeros(size)
        self.centre[: len(known)] = np.concatenate([solution.beta, *map(np.ravel, solution.b)])

    def row(self, **values):
        """The combination that predicts a row of these columns."""
        solution, terms = self.model.solution, self.model.design.terms
        names = self.model.design.fixed.names
        out = np.zeros(len(self.centre))
        out[: len(names)] = [1.0 if name == "Intercept" else values[name] for name in names]
        known_end = len(names) + sum(b.size for b in solution.b)
        start, at_new = len(names), known_end
        places = {}
        for t, label in self.unseen:
            places[t, label] = at_new
            at_new += terms[t].k
        for t, term in enumerate(terms):
            z = [1.0 if name == "Intercept" else values[name] for name in term.names]
            labels = [values[c] for c in term.columns]
            label = labels[0] if len(labels) == 1 else ":".join(map(str, labels))
            if label in set(term.levels):
                at = start + list(term.levels).index(label) * term.k
            else:
                at = places[t, label]
            out[at : at + term.k] = z
            start += len(term.levels) * term.k
        return out

    def estimate(self, row):
        return self.centre @ row

    def se(self, row):
        return self.s * np.sqrt(row @ self.covariance @ row)

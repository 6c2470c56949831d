"""The lowest criterion of a small model by a dense search from many starts."""

from __future__ import annotations

import numpy as np
import scipy.linalg as la
from scipy import optimize


class DenseCriterion:
    """The deviance or REML criterion and its gradient through V itself, n x n.

    theta is the lower triangles of the factors, columns after each other, for covariates divided by
    their root mean squares.
    """

    def __init__(self, x, y, terms, reml):
        self.q, r = np.linalg.qr(x)
        self.log_x = 2.0 * np.log(np.abs(np.diag(r))).sum()
        self.y, self.reml = y, reml
        self.df = len(y) - x.shape[1] if reml else len(y)
        self.z = [_by_effect(term) for term in terms]
        self.places = [np.triu_indices(len(z))[::-1] for z in self.z]

    def __call__(self, theta):
        """(criterion, gradient), huge where there is none."""
        none = 1e300, np.zeros_like(theta)
        v, moved = np.eye(len(self.y)), []
        for z, lam in zip(self.z, self.factors(theta), strict=True):
            moved.append(np.einsum("anj,ab->bnj", z, lam))
            v += sum(part @ part.T for part in moved[-1])
        try:
            low = la.cholesky(v, lower=True)
            inverse = la.cho_solve((low, True), np.eye(len(v)))
            to_x = inverse @ self.q
            middle = np.linalg.inv(self.q.T @ to_x)
        except (la.LinAlgError, ValueError):
            return none
        p = inverse - to_x @ middle @ to_x.T
        py = p @ self.y
        r2 = self.y @ py
        if not r2 > 0.0:
            return none
        log_det = 2.0 * np.log(np.diag(low)).sum()
        if self.reml:
            log_det += self.log_x - np.linalg.slogdet(middle)[1]
        value = log_det + self.df * (1.0 + np.log(2.0 * np.pi * r2 / self.df))
        inner = (p if self.reml else inverse) - self.df / r2 * np.outer(py, py)
        slopes = []
        for z, part, (rows, cols) in zip(self.z, moved, self.places, strict=True):
            after = inner @ part
            slopes += [2.0 * np.sum(z[a] * after[b]) for a, b in zip(rows, cols, strict=True)]
        return float(value), np.array(slopes)

    def factors(self, theta):
        """Lambda of each term."""
        out, at = [], 0
        for z, (rows, cols) in zip(self.z, self.places, strict=True):
            lam = np.zeros((len(z), len(z)))
            lam[rows, cols] = theta[at : at + len(rows)]
            at += len(rows)
            out.append(lam)
        return out

    def lowest(self, rng, n_starts):
        """The lowest value of L-BFGS searches from random starts over three orders of magnitude."""
        diagonal = np.concatenate([rows == cols for rows, cols in self.places])
        best = np.inf
        for _ in range(n_starts):
            size = np.exp(rng.uniform(np.log(0.02), np.log(20.0), size=len(diagonal)))
            start = np.where(diagonal, size, size * rng.normal(size=len(diagonal)))
            with np.errstate(all="ignore"):
                found = optimize.minimize(
                    self, start, jac=True, method="L-BFGS-B",
                    options={"maxiter": 300, "ftol": 1e-13, "gtol": 1e-7},
                )  # fmt: skip
            best = min(best, float(found.fun))
        return best


def _by_effect(term):
    """Z of each effect, (k, n, levels), its covariate divided by its root mean square."""
    n, k = term.values.shape
    out = np.zeros((k, n, term.n_levels))
    for a in range(k):
        out[a, np.arange(n), term.codes] = term.values[:, a] / np.sqrt(
            np.mean(term.values[:, a] ** 2)
        )
    return out

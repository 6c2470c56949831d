"""Cluster-robust covariances and their tests, dense, from the papers.

Bell & McCaffrey (2002), Survey Methodology 28; Pustejovsky & Tipton (2018), J. Bus. Econ. Stat. 36.
Every matrix is n x n or of a whole cluster.
"""

from __future__ import annotations

import numpy as np


def half_inverse(b):
    """The Moore-Penrose inverse of the symmetric square root."""
    values, vectors = np.linalg.eigh(b)
    kept = values > 1e-10 * values[-1]
    return (vectors[:, kept] / np.sqrt(values[kept])) @ vectors[:, kept].T


def dense_robust(x, y, phi, clusters, kind):
    """Covariance of beta and, for each cluster, the (n, p) weights of residuals' errors.

    Parameters
    ----------
    phi : (n, n) array
        The model's covariance of the rows, which is the working one, too.
    clusters : (n,) array
    """
    n = len(y)
    w = np.linalg.inv(phi)
    m = np.linalg.inv(x.T @ w @ x)
    rest = np.eye(n) - x @ m @ x.T @ w
    e = rest @ y
    labels = np.unique(clusters)
    total, functions = np.zeros_like(m), []
    for label in labels:
        at = np.flatnonzero(clusters == label)
        phi_i = phi[np.ix_(at, at)]
        a = np.eye(len(at))
        if kind == "CR2":
            d = np.linalg.cholesky(phi_i).T
            b = d @ (rest[at] @ phi @ rest[at].T) @ d.T
            a = d.T @ half_inverse(b) @ d
        g = m @ x[at].T @ np.linalg.inv(phi_i) @ a
        total += np.outer(g @ e[at], g @ e[at])
        functions.append(rest[at].T @ g.T)
    if kind == "CR1":
        total *= len(labels) / (len(labels) - 1.0)
    return total, functions


def dense_df(functions, phi, contrast):
    """Satterthwaite's degrees of freedom of a contrast."""
    ps = np.array([f @ contrast for f in functions])
    cross = ps @ phi @ ps.T
    return np.trace(cross) ** 2 / np.sum(cross**2)


def dense_test(functions, phi, covariance, contrasts, beta):
    """F, its degrees of freedom: the approximate Hotelling test."""
    q = len(contrasts)
    cross = [[contrasts @ f.T @ phi @ g @ contrasts.T for g in functions] for f in functions]
    omega = sum(cross[i][i] for i in range(len(functions)))
    values, vectors = np.linalg.eigh(omega)
    root = (vectors / np.sqrt(values)) @ vectors.T
    spread = 0.0
    for i in range(len(functions)):
        for j in range(len(functions)):
            p = root @ cross[i][j] @ root
            for s in range(q):
                for t in range(q):
                    spread += p[s, t] * p[t, s] + p[s, s] * p[t, t]
    eta = q * (q + 1) / spread
    gap = contrasts @ beta
    wald = gap @ np.linalg.solve(contrasts @ covariance @ contrasts.T, gap)
    return (eta - q + 1) / (eta * q) * wald, q, eta - q + 1

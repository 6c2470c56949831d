"""Laplace's approximation by dense matrices: what the engine's GLMM criterion is held to."""

from __future__ import annotations

import numpy as np


def laplace_deviance(family, x, z, lam, beta, phi, offset=0.0):
    """Minus twice the log-likelihood and the mode: damped Newton on u, one dense H.

    Z Lambda is dense; the family's derivatives are tested on their own.
    """
    zl = z @ lam
    u = np.zeros(zl.shape[1])

    def h(at):
        with np.errstate(all="ignore"):
            density = family.log_density(offset + x @ beta + zl @ at, phi).sum()
        return -2.0 * density + at @ at

    value = h(u)
    for _ in range(200):
        eta = offset + x @ beta + zl @ u
        g, w = family.first(eta, phi)
        hessian = zl.T @ (w[:, None] * zl) + np.eye(len(u))
        if np.linalg.eigvalsh(hessian)[0] <= 0.0:
            w = family.expected(eta, phi)
            hessian = zl.T @ (w[:, None] * zl) + np.eye(len(u))
        score = zl.T @ g - u
        step = np.linalg.solve(hessian, score)
        length = 1.0
        while not h(u + length * step) <= value + 1e-12 * abs(value) and length > 1e-12:
            length *= 0.5
        u = u + length * step
        value = h(u)
        if step @ score < 1e-22:
            break
    w = family.first(offset + x @ beta + zl @ u, phi)[1]
    hessian = zl.T @ (w[:, None] * zl) + np.eye(len(u))
    return value + np.linalg.slogdet(hessian)[1], u

"""V, P and their derivatives as dense matrices: what gradient and curvature are held to."""

from __future__ import annotations

import free_covariances as covpar
import numpy as np
from oracle.dense import dense_lambda, dense_z


def projections(design):
    """(Z, V^-1, P, P y) with ``P = V^-1 - V^-1 X (X'V^-1 X)^-1 X'V^-1``; y less what X explains."""
    z, lam = dense_z(design.terms), dense_lambda(design.terms, design.lams)
    zl = z @ lam
    v_inv = np.linalg.inv(np.diag(1.0 / design.w) + zl @ zl.T)
    x, proj = design.x, v_inv
    y = design.y
    if x.size:
        y = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        vx = v_inv @ x
        proj = v_inv - vx @ np.linalg.solve(x.T @ vx, vx.T)
    return z, v_inv, proj, proj @ y, float(y @ proj @ y)


def deviance_slopes(design, *, reml):
    """D_t: the derivative of the deviance in the covariance of term t."""
    z, v_inv, proj, py, r2 = projections(design)
    df = len(py) - design.x.shape[1] if reml else len(py)
    m = (proj if reml else v_inv) - df / r2 * np.outer(py, py)
    out, at = [], 0
    for term in design.terms:
        part = z[:, at : at + term.q]
        whole = (part.T @ m @ part).reshape(term.n_levels, term.k, term.n_levels, term.k)
        out.append(np.einsum("jajb->ab", whole))
        at += term.q
    return out


def average_information(design, *, reml):
    """``df (a_ij / r**2 - q_i q_j / r**4)`` with the V_i written out."""
    z, _, proj, py, r2 = projections(design)
    df = len(py) - design.x.shape[1] if reml else len(py)
    working, at = [], 0
    for term, lam in zip(design.terms, design.lams, strict=True):
        part = z[:, at : at + term.q]
        for a, b in zip(*covpar.triangle(term.k), strict=True):
            unit = np.zeros_like(lam)
            unit[a, b] = 1.0
            change = np.kron(np.eye(term.n_levels), unit @ lam.T + lam @ unit.T)
            working.append(part @ change @ part.T @ py)
        at += term.q
    columns = np.column_stack(working)
    q = columns.T @ py
    return df * (columns.T @ proj @ columns / r2 - np.outer(q, q) / r2**2)


def central_differences(function, theta, step=1e-3):
    """The gradient by fourth-order central differences."""
    out = np.empty(len(theta))
    for i in range(len(theta)):
        h = step * (np.arange(len(theta)) == i)
        near = function(theta + h) - function(theta - h)
        far = function(theta + 2 * h) - function(theta - 2 * h)
        out[i] = (8.0 * near - far) / (12.0 * step)
    return out

"""A dense penalised least squares, straight from Bates et al. (2015): what the engine is held to.

Nothing here is fast or clever; Z, Lambda and V are ordinary dense matrices.
"""

from __future__ import annotations

import numpy as np


def dense_z(terms):
    """Z with the terms side by side, level by level."""
    parts = []
    for term in terms:
        z = np.zeros((len(term.codes), term.n_levels, term.k))
        z[np.arange(len(z)), term.codes] = term.values
        parts.append(z.reshape(len(z), -1))
    return np.concatenate(parts, axis=1)


def dense_lambda(terms, lams):
    """Block-diagonal Lambda with each term's factor repeated over its levels."""
    size = sum(term.q for term in terms)
    out, at = np.zeros((size, size)), 0
    for term, lam in zip(terms, lams, strict=True):
        for _ in range(term.n_levels):
            out[at : at + term.k, at : at + term.k] = lam
            at += term.k
    return out


def dense_pls(x, y, z, lam, weights, reml):
    """Deviance (eq. 35 or 42), beta, u, b, sigma**2 and the joint covariance over sigma**2."""
    n, p = x.shape
    root = np.sqrt(weights)[:, None]
    zl, wx, wy = root * (z @ lam), root * x, root[:, 0] * y
    q = z.shape[1]
    top = np.hstack([zl, wx])
    penalised = np.vstack([top, np.hstack([np.eye(q), np.zeros((q, p))])])
    gram = penalised.T @ penalised
    coef, *_ = np.linalg.lstsq(penalised, np.append(wy, np.zeros(q)), rcond=None)
    u, beta = coef[:q], coef[q:]
    resid = wy - top @ coef
    pwrss = resid @ resid + u @ u
    log_det = np.linalg.slogdet(gram[:q, :q])[1]
    log_all = np.linalg.slogdet(gram)[1]
    df = n - p if reml else n
    dev = (log_all if reml else log_det) + df * (1 + np.log(2 * np.pi * pwrss / df))
    wide = np.block([[lam, np.zeros((q, p))], [np.zeros((p, q)), np.eye(p)]])
    joint = wide @ np.linalg.inv(gram) @ wide.T
    return {
        "deviance": dev - np.sum(np.log(weights)),
        "beta": beta,
        "u": u,
        "b": lam @ u,
        "sigma2": pwrss / df,
        "pwrss": pwrss,
        "log_det": log_det,
        "log_det_fixed": log_all - log_det,
        "given_beta": lam @ np.linalg.inv(gram[:q, :q]) @ lam.T,
        "joint": joint,
    }

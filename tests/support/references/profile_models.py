"""Models that are profiled, and their ML deviance written out with V as a dense matrix."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import scipy.optimize as so
from lme4_fits import data_of, expected

import merextras as mx
from merextras.exceptions import SingularFitWarning


def quiet_lmer(*args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return mx.lmer(*args, **kwargs)


def data_for(name):
    if name == "dyestuff2":
        return data_of("singular", "dyestuff2")
    known = {"students": "students", "nested": "students", "penicillin": "penicillin"}
    return mx.load_dataset({"pastes": "pastes", **known}.get(name, "sleepstudy"))


@functools.cache
def model_for(name):
    lme4 = expected("profile")[name]
    return quiet_lmer(lme4["formula"], data_for(name), reml=lme4["REML"])


@functools.cache
def profile_for(name):
    return model_for(name).profile(scale="varcov" if name == "varcov" else "sdcor")


def no_group_variance(sleep):
    """Days and reactions without any variation between subjects."""
    rng = np.random.default_rng(7)
    y = rng.normal(size=len(sleep)) * 30.0
    for rows in sleep.groupby("Subject").indices.values():
        x = np.column_stack([np.ones(len(rows)), sleep["Days"].to_numpy()[rows]])
        y[rows] -= x @ np.linalg.lstsq(x, y[rows], rcond=None)[0]
    return sleep.assign(y=250.0 + 10.0 * sleep["Days"] + y)


def unpacked(m, values):
    """(G of each term, sigma**2, beta) of parameters in the order of the profile's, sdcor."""
    values, at, covariances = np.nan_to_num(np.asarray(values, dtype=float)), 0, []
    for term in m.design.terms:
        k = term.k
        corr = np.eye(k)
        for j in range(k):
            corr[j:, j] = corr[j, j:] = values[at : at + k - j]
            at += k - j
        sd = np.diag(corr).copy()
        corr[np.diag_indices(k)] = 1.0
        covariances.append(corr * np.outer(sd, sd))
    return covariances, values[at] ** 2, values[at + 1 :]


def marginal_covariance(m, covariances, sigma2):
    design = m.design
    w = np.ones(design.n) if design.weights is None else design.weights
    v = np.diag(sigma2 / w)
    for term, g in zip(design.terms, covariances, strict=True):
        rows = term.rows
        same = rows.codes[:, None] == rows.codes
        v += same * (rows.values @ g @ rows.values.T)
    return v


def deviance_at(m, values):
    """Minus twice the log-likelihood of all parameters, fixed effects included."""
    covariances, sigma2, beta = unpacked(m, values)
    v = marginal_covariance(m, covariances, sigma2)
    resid = m.design.y - m.design.x @ beta
    sign, log_det = np.linalg.slogdet(v)
    assert sign > 0
    return log_det + resid @ np.linalg.solve(v, resid) + len(resid) * np.log(2.0 * np.pi)


def brute_force(m, names, name, value, starts):
    """The least deviance with a parameter at a value, by L-BFGS-B over the others."""
    p = m.solution.p
    n_cov = len(names) - p
    fixed = list(names).index(name)
    free = [i for i in range(n_cov) if i != fixed]
    bounds = [(-1.0, 1.0) if names[i].startswith("cor_") else (0.0, None) for i in free]
    unit = m.sigma()
    scale = np.array([1.0 if names[i].startswith("cor_") else unit for i in free])
    bounds = [(1e-3, None) if names[i] == "sigma" else b for i, b in zip(free, bounds, strict=True)]
    x, y = m.design.x, m.design.y
    if fixed >= n_cov:
        y, x = y - x[:, fixed - n_cov] * value, np.delete(x, fixed - n_cov, axis=1)

    def objective(z):
        values = np.zeros(len(names))
        values[free] = z * scale
        if fixed < n_cov:
            values[fixed] = value
        covariances, sigma2, _ = unpacked(m, values)
        v = marginal_covariance(m, covariances, sigma2)
        low = np.linalg.cholesky(v)
        half = np.linalg.solve(low, np.column_stack([x, y]))
        resid = half[:, -1]
        if x.shape[1]:
            resid = resid - half[:, :-1] @ np.linalg.lstsq(half[:, :-1], resid, rcond=None)[0]
        return 2.0 * np.log(np.diag(low)).sum() + resid @ resid + len(y) * np.log(2.0 * np.pi)

    options = {"ftol": 1e-14, "gtol": 1e-8, "maxfun": 10_000}
    found = [
        so.minimize(
            objective, np.asarray(start)[free] / scale, method="L-BFGS-B", bounds=bounds,
            jac="3-point", options=options,
        ).fun
        for start in starts
    ]  # fmt: skip
    return min(found)

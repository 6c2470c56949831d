"""Fits, designs and brute force for the tests of exact tests."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.optimize
import scipy.sparse as sp
import statsmodels.formula.api as smf
from free_covariances import minimise
from tolerances import MONTE_CARLO

import merextras as mx
from merextras.datasets import load_dataset
from merextras.distributions.null_spectrum import Spectrum
from merextras.engine.elimination.plan import prepare
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.term_rows import TermRows
from merextras.model.statsmodels.mixedlm import as_fitted

ROOT = Path(__file__).parents[3]
EXPECTED = json.loads((ROOT / "tests/reference/exact_tests/expected.json").read_text())
LMM_DATA = ROOT.parent / "shared" / "data" / "lmm_data.csv"

MODELS = {
    "students": ("extro ~ open + agree + social", "school"),
    "sleepstudy": ("Reaction ~ Days", "Subject"),
    "dyestuff": ("Yield ~ 1", "Batch"),
}
NULLS = {
    ("students", "lrt_q0"): "extro ~ open + agree + social",
    ("students", "lrt_q1"): "extro ~ open + agree",
    ("sleepstudy", "lrt_q0"): "Reaction ~ Days",
    ("sleepstudy", "lrt_q1"): "Reaction ~ 1",
    ("dyestuff", "lrt_q0"): "Yield ~ 1",
}
N_SIMS = 100_000

#: Unbalanced groups, two of them single rows.
SIZES = [1, 1, 2, 3, 5, 8, 4]


def quietly(fit, *args, **kwargs):
    """A fit without the warnings, which are tested elsewhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit(*args, **kwargs)


def as_fitted_quietly(fit):
    return quietly(as_fitted, fit)


@functools.cache
def fitted(name, reml=True):
    formula, group = MODELS[name]
    model = smf.mixedlm(formula, data_of(name), groups=group)
    return as_fitted_quietly(quietly(model.fit, reml=reml))


def data_of(name):
    if name == "thinned":  # penicillin, without the rows that make.R leaves out
        data = load_dataset("penicillin")
        at = np.arange(1, len(data) + 1)
        return data[~((at % 7 == 3) | (at % 11 == 5))]
    return pd.read_csv(LMM_DATA) if name == "lmm_data" else load_dataset(name)


@functools.cache
def given(name, which="full", reml=True):
    """A model of one variance given others: "full", "null", or "tested", that alone."""
    reference = EXPECTED["given"][name]
    data = data_of(reference["data"]["name"])
    return quietly(mx.lmer, reference[f"formula_{which}"], data, reml=reml)


def ols(name, key):
    return smf.ols(NULLS[name, key], load_dataset(name)).fit()


def indicators(sizes, slope=None):
    """Z of groups of these sizes: indicators, or a covariate's values."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    values = np.ones(len(groups)) if slope is None else slope
    shape = (len(groups), len(sizes))
    return sp.csr_array((values, (np.arange(len(groups)), groups)), shape=shape)


def covariates(n, p, seed=0):
    x = np.random.default_rng(seed).normal(size=(n, p))
    x[:, :1] = 1.0
    return x


@functools.cache
def unbalanced():
    """Unbalanced groups, two of them single rows, and a covariate."""
    groups = np.repeat(np.arange(len(SIZES)), SIZES)
    x = covariates(len(groups), 2, seed=3)
    return x, TermRows(groups, np.ones((len(groups), 1)), len(SIZES)), indicators(SIZES)


def engine_statistics(x, y, term, kept):
    """RLRT and LRT of a response by refits, the latter also of the fixed effects not kept."""
    products = CrossProducts.from_rows(x, y, [term])
    system = prepare(products)
    out = []
    for reml in (True, False):
        solution, _ = minimise(system, np.ones(1), reml=reml)
        x0 = x if reml else x[:, :kept]
        q, r = np.linalg.qr(x0)
        df = len(y) - x0.shape[1] if reml else len(y)
        rss = np.sum((y - q @ (q.T @ y)) ** 2)
        null = df * (1 + np.log(2 * np.pi * rss / df))
        if reml:
            null += 2 * np.sum(np.log(np.abs(np.diag(r))))
        out.append(max(0.0, null - solution.deviance()))
    return out


def brute_supremum(found, reml, lambda0, w, rest):
    """max over lambda by a fine grid and scipy, for one draw; ratios straight from the paper."""
    mu = np.repeat(found.mu, found.mu_counts)
    xi = mu if reml else np.repeat(found.xi, found.xi_counts)
    df = found.n - found.p if reml else found.n

    def ratio(lam):
        lam = np.asarray(lam)[..., None]
        numerator = np.sum((lam - lambda0) * mu / (1 + lam * mu) * w, axis=-1)
        denominator = np.sum((1 + lambda0 * mu) / (1 + lam * mu) * w, axis=-1) + rest
        log_det = np.sum(np.log1p(lam * xi), axis=-1) - np.sum(np.log1p(lambda0 * xi))
        return df * np.log1p(numerator / denominator) - log_det

    logs = np.linspace(-12, 30, 1500) - np.log(mu.max())
    values = ratio(np.exp(logs))
    # The end of the grid stands for infinity, where the maximum is if there is no residual left.
    best = max(0.0, ratio(0.0), values[-1])
    for i in np.flatnonzero((values[1:-1] >= values[:-2]) & (values[1:-1] >= values[2:])) + 1:
        found_max = scipy.optimize.minimize_scalar(
            lambda t: -ratio(np.exp(t)),
            bounds=(logs[i - 1], logs[i + 1]),
            method="bounded",
            options={"xatol": 1e-9},
        )
        best = max(best, -found_max.fun)
    return best


def wide_spectrum(seed, rest):
    """Eigenvalues over many orders of magnitude, as splines have: several local maxima occur."""
    rng = np.random.default_rng(seed)
    mu = np.sort(10.0 ** rng.uniform(-7, 3, 12))
    xi = np.sort(np.append(mu * rng.uniform(1, 3, 12), 10.0 ** rng.uniform(-2, 3, 2)))
    counts = rng.integers(1, 4, 12)
    n = int(counts.sum()) + 2 + rest
    return Spectrum(n, 2, mu, counts, xi, np.append(counts, [1, 1]))


def assert_same_null(sample, null):
    """Quantiles, mass at zero and mean agree within the Monte Carlo error of both samples."""
    widen = np.sqrt(1.0 + null["n_sims"] / len(sample))
    found = np.quantile(sample, null["probs"])
    errors = (found - null["quantiles"]) / (widen * np.array(null["quantiles_se"]))
    assert np.all(np.abs(errors) < MONTE_CARLO)
    assert abs(np.mean(sample == 0) - null["p_zero"]) <= MONTE_CARLO * widen * null["p_zero_se"]
    assert abs(np.mean(sample) - null["mean"]) < MONTE_CARLO * widen * null["mean_se"]

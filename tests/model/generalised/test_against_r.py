"""Fits of `glmer` against glmmTMB at a zero gradient, and against lme4."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tolerances import (
    GLMM_AGAINST_LME4,
    GLMM_COVARIANCE,
    GLMM_ESTIMATE,
    GLMM_LOG_LIK,
)

import merextras as mx
from merextras.exceptions import MerextrasWarning

FOLDER = Path(__file__).resolve().parents[2] / "reference" / "glmer"
#: Name -> formula, family, and how glmmTMB's dispersion is ours.
MODELS = {
    "cbpp": ("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", "binomial"),
    "cbpp_probit": (
        "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", "binomial(probit)",
    ),
    "cbpp_cloglog": (
        "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", "binomial(cloglog)",
    ),
    "cbpp_rows": (
        "cbind(incidence, size - incidence) ~ C(period) + (1 | row) + (1 | herd)", "binomial",
    ),
    "contraception": ("use ~ age + I(age ** 2) + urban + livch + (1 | district)", "binomial"),
    "contraception_slopes": (
        "use ~ age + I(age ** 2) + urban + livch + (1 + urban | district)", "binomial",
    ),
    "contraception_probit": ("use ~ age + urban + (1 | district)", "binomial(probit)"),
    "verb_agg": ("r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)", "binomial"),
    "grouseticks": (
        "TICKS ~ C(YEAR) + I((HEIGHT - 462) / 100) + (1 | INDEX) + (1 | BROOD) + (1 | LOCATION)",
        "poisson",
    ),
    "epil_rows": (
        "y ~ np.log(base / 4) * trt + np.log(age) + V4 + (1 | row) + (1 | subject)", "poisson",
    ),
    "epil_nb": (
        "y ~ np.log(base / 4) * trt + np.log(age) + V4 + (1 | subject)", "negative_binomial",
    ),
    "accidents": (
        "accidents ~ x + offset(np.log(exposure)) + (1 | site) + (1 | region)",
        "negative_binomial",
    ),
    "accidents_poisson": (
        "accidents ~ x + offset(np.log(exposure)) + (1 + x || site)", "poisson",
    ),
    "cost": ("cost ~ x + (1 + x | site)", "gamma"),
    "rate": ("rate ~ x + (1 | site)", "gamma(inverse)"),
    "length": ("length ~ x + (1 | site)", "gaussian(log)"),
}  # fmt: skip


@functools.cache
def expected():
    return json.loads((FOLDER / "expected.json").read_text())


@functools.cache
def data(name):
    if name in mx.datasets.dataset_names():
        frame = mx.load_dataset(name)
    else:
        frame = pd.read_csv(FOLDER / f"{name}.csv")
    return frame.assign(row=np.arange(len(frame)))


@functools.cache
def model(name):
    formula, family = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.glmer(formula, data(expected()["models"][name]["data"]), family)


@pytest.mark.parametrize("name", MODELS)
def test_likelihood_and_estimates(name):
    m, r = model(name), expected()["models"][name]
    assert m.opt_summary.converged
    assert abs(m.log_lik() - r["log_lik"]) <= GLMM_LOG_LIK * abs(r["log_lik"])
    assert m.log_lik() >= r["log_lik"] - 1e-8
    vcov = np.array(r["vcov"])
    se = np.sqrt(np.diag(vcov))
    at = _permutation(m.fixef().to_numpy(), np.array(r["beta"]))
    assert np.max(np.abs(m.fixef().to_numpy()[at] - r["beta"]) / se) < GLMM_ESTIMATE
    ours = m.vcov().to_numpy()[np.ix_(at, at)]
    np.testing.assert_allclose(
        ours / np.outer(se, se), vcov / np.outer(se, se), atol=GLMM_COVARIANCE
    )


def _permutation(ours, theirs):
    """R puts interactions after main effects, patsy after the factors; values tell them apart."""
    return np.array([int(np.argmin(np.abs(ours - value))) for value in theirs])


@pytest.mark.parametrize("name", MODELS)
def test_covariances(name):
    m, r = model(name), expected()["models"][name]
    found = {}
    for component in m.var_corr().components:
        found.setdefault(component.group.split(".")[0], []).append(component.covariance)
    for term in r["terms"]:
        covariance = np.array(term["covariance"], dtype=float)
        group = term["group"].split(".")[0]
        own = found[group].pop(0)
        sd = np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(np.sqrt(np.diag(own)), sd, rtol=GLMM_COVARIANCE)
        scaled = np.outer(sd, sd)
        np.testing.assert_allclose(own / scaled, covariance / scaled, atol=3 * GLMM_COVARIANCE)


@pytest.mark.parametrize("name", ["epil_nb", "accidents", "cost", "rate", "length"])
def test_dispersion(name):
    m, (logarithm,) = model(name), expected()["models"][name]["dispersion"]
    # glmmTMB 1.1.5 has the logarithm of the size, of gamma's shape, of the variance.
    sign = -1.0 if "gamma" in MODELS[name][1] else 1.0
    np.testing.assert_allclose(m.dispersion, np.exp(sign * logarithm), rtol=GLMM_COVARIANCE)


def test_rows_of_lme4():
    m, r = model("cbpp"), expected()["lme4"]
    close = functools.partial(np.testing.assert_allclose, rtol=GLMM_AGAINST_LME4, atol=1e-6)
    close(m.log_lik(), r["log_lik"])
    close(m.aic(), r["aic"])
    close(m.bic(), r["bic"])
    for kind, values in r["residuals"].items():
        close(m.residuals(kind), values, err_msg=kind)
    ranef = m.ranef()
    close(ranef["herd"]["Intercept"], r["ranef"])
    close(np.sqrt(ranef.post_var["herd"][:, 0, 0]), r["cond_sd"])
    close(m.predict(type="link"), r["link"])
    close(m.predict(), r["response"])
    close(m.fitted(), r["response"])
    close(m.predict(re_form="NA"), r["population"])

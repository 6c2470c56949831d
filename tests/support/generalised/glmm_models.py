"""Generalised models of the bundled data and of generated ones, fitted once."""

from __future__ import annotations

import functools
import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import merextras as mx
from merextras.exceptions import MerextrasWarning

EXPECTED = Path(__file__).resolve().parents[2] / "reference" / "glmer_verbs" / "expected.json"
HERDS = "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)"


@functools.cache
def expected():
    return json.loads(EXPECTED.read_text(encoding="utf-8"))


@functools.cache
def cbpp(family="binomial", formula=HERDS, n_agq=1):
    return mx.glmer(formula, mx.load_dataset("cbpp"), family, n_agq=n_agq)


@functools.cache
def women(slopes=True):
    """Contraception."""
    term = "1 + urban" if slopes else "1"
    formula = f"use ~ age + I(age ** 2) + urban + livch + ({term} | district)"
    return mx.glmer(formula, mx.load_dataset("contraception"))


def rows(n=240, seed=5):
    """A covariate, a factor, two crossed factors and responses of all families."""
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(0, 16, n), rng.integers(0, 6, n), rng.normal(size=n)
    c = np.array(["a", "b", "c"])[rng.integers(0, 3, n)]
    eta = 0.4 + 0.5 * x + 0.6 * rng.normal(size=16)[g] + 0.4 * rng.normal(size=6)[h]
    eta = eta + 0.3 * rng.normal(size=16)[g] * x - 0.4 * (c == "b")
    mu = np.exp(eta)
    return pd.DataFrame(
        {
            "yes": (rng.random(n) < mu / (1.0 + mu)).astype(int),
            "count": rng.poisson(mu),
            "spread": rng.negative_binomial(2.0, 2.0 / (2.0 + mu)),
            "size": rng.gamma(4.0, mu / 4.0),
            "time": rng.wald(mu, 3.0),
            "number": mu + 0.3 * rng.normal(size=n),
            "x": x, "c": c, "g": g, "h": h,
        }
    )  # fmt: skip


FAMILIES = {
    "yes": "binomial", "count": "poisson", "spread": "negative_binomial", "size": "gamma",
    "time": "inverse_gaussian", "number": "gaussian",
}  # fmt: skip


@functools.cache
def generated(response, effects="(1 + x | g) + (1 | h)", family=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        family = FAMILIES[response] if family is None else family
        return mx.glmer(f"{response} ~ x + c + {effects}", rows(), family)


def moved(model, x):
    """The model at other parameters, in the engine's coordinates."""
    fit = model._fit
    point = model.laplace.criterion.at(x)
    return model._like(replace(fit, optimum=replace(fit.optimum, point=point)))


def differences(model, value, step=1e-4):
    """Derivatives of a function of the model in all parameters, by fourth-order differences."""
    x, out = model.laplace.x, []
    for i in range(len(x)):
        at = []
        for k in (1.0, -1.0, 2.0, -2.0):
            y = x.copy()
            y[i] += k * step
            at.append(np.asarray(value(moved(model, y)), dtype=float))
        out.append((8.0 * (at[0] - at[1]) - (at[2] - at[3])) / (12.0 * step))
    return np.stack(out, axis=-1)

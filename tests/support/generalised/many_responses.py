"""Generalised models of all kinds that are refitted to many responses, with some responses."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pandas as pd
import statsmodels.api as sm

import merextras as mx
from merextras.exceptions import MerextrasWarning
from merextras.model.generalised.again import Refits, all_drawn

_LINKS = sm.families.links
SIZE = 12


@functools.cache
def _rows(sd=0.7, slopes=0.3):
    """Groups and rooms in them, a covariate, a factor of three and responses of all families."""
    rng, n = np.random.default_rng(4), 360
    g = rng.integers(0, 18, n)
    room, x = g * 4 + rng.integers(0, 4, n), rng.standard_normal(n)
    own = sd * rng.standard_normal(18)[g] + slopes * rng.standard_normal(18)[g] * x
    eta = 0.3 + 0.4 * x + own + 0.7 * sd * rng.standard_normal(72)[room]
    exposure = rng.uniform(0.5, 2.0, n)
    mu, p, trials = np.exp(eta), 1.0 / (1.0 + np.exp(-eta)), rng.integers(1, 9, n)
    return pd.DataFrame(
        {
            "x": x, "g": g, "room": room, "k": rng.integers(0, 3, n), "h": rng.integers(0, 7, n),
            "exposure": exposure, "trials": trials, "won": rng.binomial(trials, p),
            "yes": rng.binomial(1, p), "count": rng.poisson(exposure * mu),
            "spread": rng.negative_binomial(2.0, 2.0 / (2.0 + mu)),
            "size": rng.gamma(4.0, mu / 4.0), "time": rng.wald(mu, 3.0),
            "number": mu + 0.3 * rng.standard_normal(n),
            "wait": rng.gamma(4.0, 0.25 / (3.0 + 0.3 * rng.standard_normal(18)[g])),
        }
    )  # fmt: skip


@functools.cache
def _alike():
    """Rows of few kinds in groups that are all different."""
    rng, n = np.random.default_rng(8), 3000
    g, x = rng.integers(0, 30, n), rng.integers(0, 3, n)
    eta = -0.5 + 0.3 * x + 0.6 * rng.standard_normal(30)[g]
    yes = rng.binomial(1, 1.0 / (1.0 + np.exp(-eta)))
    return pd.DataFrame({"x": x, "g": g, "yes": yes, "count": rng.poisson(np.exp(eta))})


def _contraception():
    return mx.load_dataset("contraception").iloc[::2].reset_index(drop=True)


MODELS = {
    "cbpp": (
        "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)",
        lambda: mx.load_dataset("cbpp"), "binomial",
    ),
    "contraception": ("use ~ age + urban + (1 | district)", _contraception, "binomial"),
    "slopes": ("use ~ age + urban + (1 + urban | district)", _contraception, "binomial"),
    "two terms": ("yes ~ x + (1 | g) + (0 + x | g)", _rows, "binomial"),
    "three effects": ("won / trials ~ x + (1 + x + I(x ** 2) | g)", _rows, "binomial"),
    "nested": ("cbind(won, trials - won) ~ x + (1 | g / room)", _rows, "binomial"),
    "nested slopes": ("count ~ x + (1 + x | g) + (1 | room)", _rows, "poisson"),
    "offset": ("count ~ x + offset(np.log(exposure)) + (1 + x | g)", _rows, "poisson"),
    "three factors": ("count ~ x + (1 | k) + (1 | k:g) + (1 | k:room)", _rows, "poisson"),
    "probit": ("yes ~ x + (1 | g)", _rows, sm.families.Binomial(_LINKS.Probit())),
    "cloglog": ("yes ~ x + (1 | g)", _rows, sm.families.Binomial(_LINKS.CLogLog())),
    "negative binomial": ("spread ~ x + (1 | g)", _rows, "negative_binomial"),
    "gamma": ("size ~ x + (1 + x | g)", _rows, "gamma"),
    "gamma inverse": ("wait ~ 1 + (1 | g)", _rows, sm.families.Gamma(_LINKS.InversePower())),
    "inverse Gaussian": ("time ~ x + (1 | g / room)", _rows, "inverse_gaussian"),
    "normal": ("number ~ x + (1 | g)", _rows, sm.families.Gaussian(_LINKS.Log())),
    "normal identity": ("number ~ x + (1 | g)", _rows, sm.families.Gaussian(_LINKS.Identity())),
    "structure": ("won / trials ~ x + cs(0 + C(k) | g)", _rows, "binomial"),
    "cells": ("yes ~ x + (1 + x | g)", _alike, "binomial"),
    "cells of counts": ("count ~ x + (1 | g)", _alike, "poisson"),
    "singular": ("yes ~ x + (1 + x | g)", lambda: _rows(0.0, 0.0), "binomial"),
    "no variance": ("spread ~ x + (1 | g)", lambda: _rows(0.0, 0.0), "negative_binomial"),
}  # fmt: skip


@functools.cache
def model(name):
    """A model of `MODELS`."""
    formula, data, family = MODELS[name]
    frame = data()
    weights = "trials" if "won / trials" in formula else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.glmer(formula, frame, family, weights=weights)


@functools.cache
def refits(name):
    """Its refits."""
    return Refits(model(name))


def responses(name, size=SIZE, seed=1):
    """Responses of it, (n, size)."""
    return all_drawn(model(name), set(), np.random.default_rng(seed).spawn(size))

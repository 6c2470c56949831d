"""Estimated marginal means, trends and their contrasts against emmeans."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from emmeans_models import FORMULAS, data_of, expected, fit
from tolerances import DDF, EMMEANS, EMMEANS_ADJUSTED, EMMEANS_TAIL, RANGE_QUANTILE

import merextras as mx
from merextras.distributions.simultaneous import range_sf
from merextras.exceptions import (
    RefitWarning,
)

NUMBERS = {"estimate": EMMEANS, "std_error": EMMEANS, "df": DDF}

MEANS = {
    ("intercept", "phase"): {"specs": "phase"},
    ("intercept", "by"): {"specs": "phase", "by": "grp"},
    ("intercept", "both"): {"specs": ["phase", "grp"]},
    ("intercept", "proportional"): {"specs": "phase", "weights": "proportional"},
    ("intercept", "overall"): {"specs": ()},
    ("intercept", "satterthwaite"): {"specs": "phase", "ddf": "satterthwaite"},
    ("intercept", "asymptotic"): {"specs": "phase", "ddf": "asymptotic"},
    ("slopes", "grp"): {"specs": "grp"},
    ("slopes", "at"): {"specs": ["grp", "Days"], "at": {"Days": [0, 9]}},
    ("slopes", "trends"): {"specs": "grp", "var": "Days"},
    ("curved", "grp"): {"specs": "grp"},
    ("curved", "two"): {"specs": "two"},
    ("offset", "grp"): {"specs": "grp"},
    ("logged", "grp"): {"specs": "grp"},
    ("nested", "cask"): {"specs": "cask"},
    ("crossed", "half"): {"specs": "half"},
    ("singular", "kind"): {"specs": "kind"},
    ("covariates", "class"): {"specs": "class"},
    ("covariates", "trends"): {"specs": "class", "var": "open"},
    ("missing_cell", "phase"): {"specs": "phase"},
    ("missing_cell", "by"): {"specs": "phase", "by": "grp"},
}
NOT_COMPARED = {"proportional", "overall", "at", "two"}
FAMILIES = [
    k for k in MEANS if k[1] not in NOT_COMPARED and k[0] not in {"curved", "offset", "logged"}
]


def means_of(key, m=None):
    m = fit(key[0]) if m is None else m
    options = MEANS[key]
    return mx.emtrends(m, **options) if "var" in options else mx.emmeans(m, **options)


def gap(found, wanted):
    """The largest difference relative to each number; missing ones must be missing in both."""
    found, wanted = found.to_numpy(dtype=float), wanted.to_numpy(dtype=float)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted))
    np.testing.assert_array_equal(np.isinf(found), np.isinf(wanted))
    known = np.isfinite(wanted)
    return np.max(np.abs(found[known] / wanted[known] - 1.0), initial=0.0)


def aligned(found, wanted, by):
    """Emmeans' rows in our order, differences the other way round turned."""
    wanted, turned = wanted.copy(), []
    keys = ["contrast", *by]
    known = {tuple(map(str, row)): i for i, row in enumerate(wanted[keys].to_numpy())}
    order = []
    for contrast, *rest in found[keys].astype(str).to_numpy():
        if (contrast, *rest) in known:
            order.append(known[(contrast, *rest)])
            turned.append(1.0)
        else:
            left, right = contrast.split(" - ")
            order.append(known[(f"{right} - {left}", *rest)])
            turned.append(-1.0)
    wanted, turned = wanted.iloc[order].reset_index(drop=True), np.array(turned)
    low, high = wanted["conf_low"].copy(), wanted["conf_high"].copy()
    for column in ("estimate", "statistic"):
        wanted[column] *= turned
    wanted["conf_low"] = np.where(turned > 0, low, -high)
    wanted["conf_high"] = np.where(turned > 0, high, -low)
    return wanted


@pytest.mark.parametrize("key", list(MEANS), ids="-".join)
def test_means_as_emmeans(key):
    found, wanted = means_of(key).to_frame(), expected(*key, "means")
    names = [c for c in found.columns if c in wanted.columns and c not in NUMBERS]
    names = [c for c in names if not c.startswith("conf_")]
    if names:  # rows by their levels, whatever their order
        sort = {"by": names, "key": lambda c: c.astype(str) if c.dtype == object else c}
        for name in names:
            wanted[name] = wanted[name].astype(found[name].dtype)
        found, wanted = found.sort_values(**sort), wanted.sort_values(**sort)
        assert found[names].astype(str).to_numpy().tolist() == (
            wanted[names].astype(str).to_numpy().tolist()
        )
    assert len(found) == len(wanted)
    for column, tolerance in NUMBERS.items():
        assert gap(found[column], wanted[column]) < tolerance, column
    assert gap(found["conf_low"], wanted["conf_low"]) < DDF
    assert gap(found["conf_high"], wanted["conf_high"]) < DDF


@pytest.mark.parametrize("adjust", ["tukey", "holm", "bonferroni", "sidak", "fdr", "none"])
@pytest.mark.parametrize("key", FAMILIES, ids="-".join)
def test_pairs_as_emmeans(key, adjust):
    means = means_of(key)
    found = means.contrasts(adjust=adjust).to_frame()
    wanted = aligned(found, expected(*key, adjust), means.by)
    if key[0] == "missing_cell" and adjust == "tukey":
        rounded_by_emmeans(found, wanted)
    for column, tolerance in {**NUMBERS, "statistic": EMMEANS}.items():
        assert gap(found[column], wanted[column]) < 10 * tolerance, column
    p, theirs = found["p_value"].to_numpy(), wanted["p_value"].to_numpy()
    np.testing.assert_allclose(p, theirs, rtol=EMMEANS_ADJUSTED, atol=EMMEANS_TAIL)
    width = (wanted["conf_high"] - wanted["conf_low"]).to_numpy()
    tolerance = RANGE_QUANTILE if adjust == "tukey" else 10 * DDF
    for column in ("conf_low", "conf_high"):
        off = np.abs(found[column] - wanted[column]).to_numpy()
        assert np.nanmax(off / width, initial=0.0) < tolerance, column


def rounded_by_emmeans(found, wanted):
    """Where something is not estimable, emmeans rounds the degrees of freedom for Tukey's."""
    known = wanted["p_value"].notna()
    q, df = np.sqrt(2.0) * wanted["statistic"][known].abs(), wanted["df"][known]
    p = range_sf(q.to_numpy(), 3, df.round().to_numpy())
    np.testing.assert_allclose(wanted["p_value"][known], p, rtol=EMMEANS_ADJUSTED, atol=1e-12)
    p = range_sf(q.to_numpy(), 3, df.to_numpy())
    np.testing.assert_allclose(found["p_value"][known], p, rtol=EMMEANS_ADJUSTED)
    wanted.loc[known, "p_value"] = p
    wanted["conf_low"], wanted["conf_high"] = found["conf_low"], found["conf_high"]


@pytest.mark.parametrize(
    ("method", "key"), [("control", "control"), ("consec", "consec"), ("eff", "eff")]
)
@pytest.mark.parametrize("family", FAMILIES, ids="-".join)
def test_other_sets_as_emmeans(family, method, key):
    means = means_of(family)
    adjust = "fdr" if method == "eff" else "none"
    found = means.contrasts(method, adjust=adjust).to_frame()
    if family == ("intercept", "both"):  # emmeans has another order of the nine cells
        found = found[found["contrast"].isin(expected(*family, key)["contrast"])]
    wanted = aligned(found, expected(*family, key), means.by)
    for column, tolerance in {**NUMBERS, "statistic": EMMEANS}.items():
        assert gap(found[column], wanted[column]) < 50 * tolerance, column
    if family != ("intercept", "both") or method == "control":
        p, theirs = found["p_value"].to_numpy(), wanted["p_value"].to_numpy()
        np.testing.assert_allclose(p, theirs, rtol=EMMEANS_ADJUSTED, atol=EMMEANS_TAIL)


def test_dunnett_and_emmeans_approximation():
    """Exact p-values lie near emmeans' default, and are not it."""
    means = mx.emmeans(fit("singular"), "kind")
    exact = means.contrasts("control").to_frame()["p_value"]
    theirs = expected("singular", "kind", "dunnettx")["p_value"]
    off = np.abs(exact / theirs - 1)
    assert np.all(off < 0.05)
    assert np.any(off > 1e-4)


def test_ml_is_refitted_by_reml():
    """emmeans keeps the ML estimates and mixes both fits' covariances into degrees of freedom."""
    m, reml = fit("intercept", reml=False), fit("intercept")
    with pytest.warns(RefitWarning, match="refitted by REML"):
        found = mx.emmeans(m, "phase").to_frame()
    pd.testing.assert_frame_equal(found, mx.emmeans(reml, "phase").to_frame(), rtol=1e-6)
    theirs = expected("ml", "kenward_roger", "means")
    assert np.all(theirs["df"] > 1.4 * found["df"])  # 31 for 21
    ml = mx.emmeans(m, "phase", ddf="satterthwaite").to_frame()
    wanted = expected("ml", "satterthwaite", "means")
    for column, tolerance in NUMBERS.items():
        assert gap(ml[column], wanted[column]) < tolerance, column


@pytest.mark.parametrize(
    ("name", "options"),
    [("curved", {"specs": ["Days", "grp"], "at": {"Days": [1, 8]}}), ("logged", {"specs": "grp"})],
)
def test_trends_are_derivatives_and_those_of_emmeans_one_sided(name, options):
    """emmeans takes (f(x + d) - f(x)) / d with d a thousandth of the range: 0.3 % off at most."""
    m, options = fit(name), {**options, "ddf": "asymptotic"}
    found = mx.emtrends(m, var="Days", **options).to_frame()
    theirs = expected(name, "trends", "means")
    theirs["Days"] = theirs["Days"].astype(float) if "Days" in theirs else 0.0
    theirs = theirs.sort_values(["Days", "grp"])
    at, step = options.get("at", {"Days": [data_of("thinned")["Days"].mean()]})["Days"], 0.009
    here, there, left, right = (
        mx.emmeans(m, ["Days", "grp"], at={"Days": [x + d for x in at]}, ddf="asymptotic")
        .to_frame()["estimate"]
        .to_numpy()
        for d in (0.0, step, -1e-4, 1e-4)
    )
    np.testing.assert_allclose(theirs["estimate"], (there - here) / step, rtol=EMMEANS)
    np.testing.assert_allclose(found["estimate"], (right - left) / 2e-4, rtol=EMMEANS)
    np.testing.assert_allclose(found["estimate"], theirs["estimate"], rtol=4e-3)
    assert np.max(np.abs(found["estimate"] / theirs["estimate"].to_numpy() - 1)) > 1e-4


def test_all_models_are_used():
    assert {key[0] for key in MEANS} == set(FORMULAS)

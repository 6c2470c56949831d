"""Tidy tables against broom.mixed, column by column."""

from __future__ import annotations

import functools
import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.linalg as la
import statsmodels.formula.api as smf
from scipy import stats
from tolerances import DDF, P_VALUE, TIDY

import merextras as mx
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError, RefitWarning, SingularFitWarning

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
EXPECTED = json.loads((REFERENCE / "broom" / "expected.json").read_text())["models"]
SINGULAR = json.loads((REFERENCE / "ddf" / "expected.json").read_text())["dyestuff2"]

FORMULAS = {
    "intercept": ("students", "extro ~ open + agree + social + (1 | school)"),
    "slopes": ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    "uncorrelated": ("sleepstudy", "Reaction ~ Days + (Days || Subject)"),
    "nested": ("pastes", "strength ~ 1 + (1 | batch / cask)"),
    "crossed": ("penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    "singular": (None, "Yield ~ 1 + (1 | Batch)"),
    "weighted": ("sleepstudy", "Reaction ~ Days + offset(off) + (Days | Subject)"),
}
NAMES = {
    "std.error": "std_error", "p.value": "p_value", "conf.low": "conf_low",
    "conf.high": "conf_high", "logLik": "log_lik", "AIC": "aic", "BIC": "bic",
    "REMLcrit": "reml_crit", "df.residual": "df_residual",
}  # fmt: skip


@functools.cache
def model(name):
    data, formula = FORMULAS[name]
    frame = pd.DataFrame(SINGULAR) if data is None else load_dataset(data)
    options = {"reml": name != "uncorrelated"}
    if name == "weighted":
        n = np.arange(1, len(frame) + 1)
        frame, options["weights"] = frame.assign(off=n / 10), 1.0 + n % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return mx.lmer(formula, frame, **options)


def expected(name, key):
    """A table of broom.mixed as a frame, in our names."""
    frame = pd.DataFrame(EXPECTED[name][key]).rename(columns=NAMES)
    if "term" in frame:
        frame["term"] = [term.replace("(Intercept)", "Intercept") for term in frame["term"]]
    return frame


def close(found, wanted, tolerance=TIDY):
    """Relative to the largest of the column; missing where the other is."""
    found, wanted = np.asarray(found, dtype=float), np.asarray(wanted, dtype=float)
    size = np.nanmax(np.abs(wanted), initial=0.0) or 1.0
    np.testing.assert_allclose(found, wanted, rtol=0.0, atol=tolerance * size)


def same(found, wanted, tolerances=None):
    """Hold the rows of two tables to be the same up to their order, all columns."""
    keys = [k for k in ("effect", "group", "level", "term") if k in found]
    found, wanted = (
        frame.assign(**{k: frame[k].astype(object).fillna("").astype(str) for k in keys})
        .sort_values(keys)
        .reset_index(drop=True)
        for frame in (found, wanted.reindex(columns=found.columns))
    )
    pd.testing.assert_frame_equal(
        found[keys].astype(object), wanted[keys].astype(object), check_dtype=False
    )
    for column in found.columns.difference(keys):
        close(found[column], wanted[column], (tolerances or {}).get(column, TIDY))


@pytest.mark.parametrize("name", list(FORMULAS))
def test_as_broom(name):
    m = model(name)
    found = mx.tidy(m, ci="wald")
    assert set(found["effect"]) == {"fixed", "ran_pars"}
    same(found, expected(name, "tidy"))
    same(mx.tidy(m, "ran_pars", scales="vcov"), expected(name, "vcov"))
    found = mx.tidy(m, "ran_vals", ci="wald")
    same(found.drop(columns="effect"), expected(name, "ran_vals").drop(columns="effect"))
    found = mx.tidy(m, "ran_coefs")
    same(found[["group", "level", "term", "estimate"]], expected(name, "ran_coefs"))


@pytest.mark.parametrize("name", [n for n in FORMULAS if "satterthwaite" in EXPECTED[n]])
def test_degrees_of_freedom_as_broom(name):
    tolerances = {"df": DDF, "p_value": P_VALUE, "conf_low": DDF, "conf_high": DDF}
    for ddf in ("satterthwaite", "kenward-roger"):
        key = ddf.replace("-", "_")
        if key in EXPECTED[name]:
            found = mx.tidy(model(name), "fixed", ci="wald", ddf=ddf)
            same(found.drop(columns=["group"]), expected(name, key), tolerances)


@pytest.mark.parametrize("name", list(FORMULAS))
def test_errors_of_coefficients(name):
    """Against Henderson's equations inverted in full, by R."""
    found = mx.tidy(model(name), "ran_coefs")
    for group, wanted in EXPECTED[name]["coefficient_errors"].items():
        terms = [t.replace("(Intercept)", "Intercept") for t in wanted["terms"]]
        rows = found[found["group"] == group]
        table = rows.assign(level=rows["level"].astype(str)).pivot(
            index="level", columns="term", values="std_error"
        )
        close(table.loc[wanted["levels"], terms], wanted["values"])


def test_errors_of_coefficients_densely():
    """An effect without a fixed counterpart, a fixed one that does not vary, `||`, weights."""
    frame = load_dataset("sleepstudy").assign(x=lambda d: np.sin(np.arange(len(d))))
    n = np.arange(len(frame))
    m = mx.lmer("Reaction ~ Days + (1 + x || Subject)", frame, weights=1.0 + n % 2)
    x, z = m.design.x, m.design.z().toarray()
    blocks = [
        la.block_diag(*[c] * len(t.levels))
        for c, t in zip(m.covariances, m.design.terms, strict=True)
    ]
    g = la.block_diag(*blocks)
    w = m.design.weights / m.solution.sigma2
    both = np.hstack([x, z])
    precision = both.T @ (w[:, None] * both)
    precision[2:, 2:] += np.linalg.inv(g)
    joint = np.linalg.inv(precision)
    found = mx.tidy(m, "ran_coefs").pivot(index="level", columns="term", values="std_error")
    j = len(found)
    at = {t.names[0]: 2 + s * j for s, t in enumerate(m.design.terms)}
    for i in range(j):
        intercept = np.zeros(len(joint))
        intercept[[0, at["Intercept"] + i]] = 1.0
        assert found["Intercept"].iloc[i] == pytest.approx(np.sqrt(intercept @ joint @ intercept))
        assert found["x"].iloc[i] == pytest.approx(np.sqrt(joint[at["x"] + i, at["x"] + i]))
        assert found["Days"].iloc[i] == pytest.approx(np.sqrt(joint[1, 1]))


def test_errors_of_coefficients_in_blocks(monkeypatch):
    from merextras.tables import ran_coefs

    whole = mx.tidy(model("crossed"), "ran_coefs")
    monkeypatch.setattr(ran_coefs, "_BLOCK", 20)
    pd.testing.assert_frame_equal(mx.tidy(model("crossed"), "ran_coefs"), whole, rtol=1e-12)


def test_order_and_columns():
    m = model("slopes")
    found = mx.tidy(m, ("ran_coefs", "ran_vals", "fixed", "ran_pars"), ci="wald", ddf="asymptotic")
    assert list(found.columns) == [
        "effect", "group", "level", "term", "estimate", "std_error", "statistic", "df", "p_value",
        "conf_low", "conf_high",
    ]  # fmt: skip
    assert found["effect"].drop_duplicates().tolist() == [
        "fixed", "ran_pars", "ran_vals", "ran_coefs",
    ]  # fmt: skip
    assert np.isinf(found["df"].iloc[:2]).all()
    values = found[found["effect"] == "ran_vals"]
    assert values["level"].iloc[0] == 308
    assert isinstance(values["level"].iloc[0], (int, np.integer))
    assert list(mx.tidy(m).columns) == [
        "effect", "group", "term", "estimate", "std_error", "statistic",
    ]  # fmt: skip


def test_profile_and_bootstrap_intervals():
    m = model("slopes")
    pd.testing.assert_frame_equal(mx.tidy(m, ci="Wald"), mx.tidy(m, ci="wald"))
    found = mx.tidy(m, ci="profile", level=0.9).set_index("term")
    wanted = m.confint(level=0.9)
    pairs = {
        "Days": "Days", "sd__Days": "sd_Days|Subject", "sd__Observation": "sigma",
        "cor__Intercept.Days": "cor_Days.Intercept|Subject",
    }  # fmt: skip
    for term, parameter in pairs.items():
        ends = found.loc[term, ["conf_low", "conf_high"]].to_numpy(dtype=float)
        np.testing.assert_allclose(ends, wanted.loc[parameter], rtol=1e-9)
    boot = mx.tidy(m, ci="boot", n_sims=40, rng=1).set_index("term")
    wanted = m.confint(method="boot", n_sims=40, rng=1)
    for term, parameter in pairs.items():
        ends = boot.loc[term, ["conf_low", "conf_high"]].to_numpy(dtype=float)
        np.testing.assert_allclose(ends, wanted.loc[parameter], rtol=1e-9)


def test_intervals_of_variances_are_of_variances():
    """broom.mixed puts those of standard deviations beside them: 14.5 to 37.8 for 612."""
    m = model("slopes")
    for method in ({"ci": "profile"}, {"ci": "bootstrap", "n_sims": 40, "rng": 1}):
        sd = mx.tidy(m, "ran_pars", **method)
        variance = mx.tidy(m, "ran_pars", scales="vcov", **method)
        squared = [0, 2, 3]
        ends = ["conf_low", "conf_high"]
        np.testing.assert_allclose(
            variance.loc[squared, ends], sd.loc[squared, ends] ** 2,
            rtol=1e-5 if method["ci"] == "profile" else 2e-2,
        )  # fmt: skip
        low, high = variance.loc[1, ends]
        assert low < variance.loc[1, "estimate"] < high
        assert variance.loc[1, "term"] == "cov__Intercept.Days"


def test_kenward_roger_of_ml_is_the_refit():
    with pytest.warns(RefitWarning):
        found = mx.tidy(model("uncorrelated"), ddf="kenward-roger")
    reml = mx.lmer(FORMULAS["uncorrelated"][1], load_dataset("sleepstudy"))
    pd.testing.assert_frame_equal(found, mx.tidy(reml, ddf="kenward-roger"), rtol=1e-5)


def test_raw_fits():
    fit = smf.mixedlm(
        "Reaction ~ Days", load_dataset("sleepstudy"), groups="Subject", re_formula="~Days"
    ).fit()
    pd.testing.assert_frame_equal(mx.tidy(fit), mx.tidy(model("slopes")), rtol=1e-5)
    assert mx.glance(fit)["nobs"].iloc[0] == 180


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effects": "random"}, "effects: 'random': allowed: 'fixed', 'ran_pars'"),
        ({"effects": ()}, "effects: give one or more of fixed"),
        ({"ci": "Wald "}, "ci='Wald '"),
        ({"scales": "sd"}, "scales='sd': allowed: 'sdcor', 'vcov'"),
        ({"ddf": "kw"}, "ddf='kw'"),
        ({"level": 2}, "level=2: a level is"),
    ],
)
def test_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.tidy(model("slopes"), **options)


@pytest.mark.parametrize("name", list(FORMULAS))
def test_glance_as_broom(name):
    found, wanted = mx.glance(model(name)), expected(name, "glance")
    assert list(found.columns) == list(wanted.columns)
    for column in found:
        close(found[column], wanted[column])


AUGMENT = {
    "fitted": [".fitted", ".mu"],
    "resid": [".resid"],
    "hat": [".hat"],
    "cooks_distance": [".cooksd"],
    "fixed": [".fixed"],
    "offset": [".offset"],
    "weights": [".weights"],
    "weighted_resid": [".wtres"],
}


@pytest.mark.parametrize("name", list(FORMULAS))
def test_augment_as_broom(name):
    found, wanted = mx.augment(model(name)), expected(name, "augment")
    found = found.iloc[: len(wanted)]
    for ours, theirs in AUGMENT.items():
        for column in theirs:
            close(found[ours], wanted[column])
    close(np.sqrt(found["weights"]), wanted[".sqrtXwt"])
    close(np.sqrt(found["weights"]), wanted[".sqrtrwt"])


def test_offset_by_argument_is_in_fixed_and_fitted():
    """lme4 1.1-31 leaves it out of ``predict(re.form = NA)``, so out of broom.mixed's .fixed."""
    frame = load_dataset("sleepstudy").assign(off=lambda d: np.arange(len(d)) / 10)
    a = mx.augment(mx.lmer("Reaction ~ Days + (1 | Subject)", frame, offset="off"))
    b = mx.augment(mx.lmer("Reaction ~ Days + offset(off) + (1 | Subject)", frame))
    np.testing.assert_allclose(a["fixed"], b["fixed"], rtol=1e-9)
    np.testing.assert_allclose(a["offset"], frame["off"])


def test_augment_keeps_all_rows_of_the_data():
    frame = load_dataset("sleepstudy").assign(extra=1).set_index(np.arange(180)[::-1] * 2)
    frame.loc[[4, 300], "Reaction"] = np.nan
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", frame)
    found = mx.augment(m, frame)
    assert found.index.equals(frame.index)
    assert found["extra"].eq(1).all()
    assert found.index[found["fitted"].isna()].tolist() == [300, 4]
    pd.testing.assert_series_equal(found["fitted"].dropna(), m.fitted(), check_names=False)
    assert "extra" not in mx.augment(m)


def test_augment_with_a_repeated_index():
    frame = load_dataset("sleepstudy")
    twice = frame.set_index(pd.Index(np.arange(180) // 2))
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", twice)
    found = mx.augment(m, twice)
    np.testing.assert_allclose(found["fitted"], m.fitted())
    with pytest.raises(InvalidArgumentError, match=r"its 90 rows are not those of the fit \(180\)"):
        mx.augment(m, twice.iloc[:90])


def test_augment_refused():
    m, frame = model("slopes"), load_dataset("sleepstudy")
    with pytest.raises(
        InvalidArgumentError, match=r"data: there are columns \['fixed', 'weights'\]"
    ):
        mx.augment(m, frame.assign(fixed=0, weights=1))
    kept = mx.augment(m, frame.assign(fixed=0), prefix="fit_")
    assert {"fixed", "fit_fixed"} <= set(kept.columns)
    with pytest.raises(InvalidArgumentError, match="'Reaction' is not the response of the fit"):
        mx.augment(m, frame.assign(Reaction=1.0))
    with pytest.raises(InvalidArgumentError, match="data: expected a pandas DataFrame"):
        mx.augment(m, frame.to_numpy())


def test_wald_intervals_by_student():
    found = mx.tidy(model("slopes"), "fixed", ci="wald", ddf="satterthwaite").iloc[1]
    half = stats.t.isf(0.025, found["df"]) * found["std_error"]
    assert found["conf_high"] - found["estimate"] == pytest.approx(half)

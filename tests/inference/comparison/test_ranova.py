"""Tests of random-effects terms: the chi-square as lmerTest, the exact one, the bootstrap."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from ddf_models import CASES, IDS, as_r, data_of, expected, fit, frame_of, gap, quietly
from tolerances import LIKELIHOOD_RATIO, MONTE_CARLO, P_VALUE

import merextras as mx
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError, SingularFitWarning, UnsupportedModelError
from merextras.inference.intervals import replicates

RANOVA = {
    "npar": "npar",
    "log_lik": "logLik",
    "aic": "AIC",
    "statistic": "LRT",
    "df": "Df",
    "p_value": "Pr(>Chisq)",
}
DYESTUFF = "Yield ~ 1 + (1 | Batch)"


def assert_same(table, wanted, columns, tolerance, rows=None):
    wanted = frame_of(wanted)
    assert list(table.columns) == list(columns)
    rows = [as_r(label) for label in table.index] if rows is None else rows
    for name, theirs in columns.items():
        limit = P_VALUE if name == "p_value" else tolerance
        assert gap(table[name], wanted.loc[rows, theirs]) < limit, name


@pytest.mark.parametrize(("name", "reml"), CASES, ids=IDS)
def test_ranova(name, reml):
    m, wanted = fit(name, reml), expected(name, reml)
    for key, options in (("ranova", {}), ("ranova_whole", {"reduce_terms": False})):
        rows = wanted[key]["rows"]
        found = mx.ranova(m, **options)
        assert len(found) == len(rows)
        assert_same(found, wanted[key], RANOVA, LIKELIHOOD_RATIO, rows=rows)


def labels(formula, **options):
    m = quietly(f"Reaction ~ Days + {formula}", "thinned", True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return mx.ranova(m, **options)


def test_reductions():
    found = labels("(Days | Subject)")
    assert found.index.tolist() == ["<none>", "Days in (1 + Days | Subject)"]
    found = labels("(0 + Days | Subject) + (1 | Subject)")
    assert found.index.tolist() == ["<none>", "(0 + Days | Subject)", "(1 | Subject)"]
    found = labels("(phase | Subject)")
    assert found.index.tolist()[1].startswith("phase in (1 + phase[T.b]")
    assert found["npar"].tolist() == [9, 4]
    found = labels("(0 + phase | Subject)")
    assert found["npar"].tolist() == [9, 3]
    found = labels("(0 + phase + Days | Subject)")
    assert found["npar"].tolist() == [13, 4, 9]
    found = labels("(Days + I(Days**2) | Subject)", reduce_terms=False)
    assert found["npar"].tolist() == [9, 3]


def test_a_term_of_statsmodels():
    raw = smf.mixedlm(
        "Reaction ~ Days", data_of("thinned"), groups="Subject", re_formula="~Days"
    ).fit()
    wanted = mx.ranova(fit("unbalanced_slopes"))
    np.testing.assert_allclose(mx.ranova(raw), wanted, rtol=P_VALUE)


def test_weights_and_offset_stay():
    data = data_of("thinned")
    weights = 1.0 + np.arange(len(data)) % 3
    options = {"weights": weights, "offset": data["Days"].to_numpy(dtype=float)}
    m = mx.lmer("Reaction ~ Days + (Days || Subject)", data, **options)
    small = mx.lmer("Reaction ~ Days + (1 | Subject)", data, **options)
    found = mx.ranova(m, p_values=["exact", "bootstrap"], n_sims=50, rng=1)
    row = found.loc["(0 + Days | Subject)"]
    assert row["statistic"] == pytest.approx(2.0 * (m.log_lik() - small.log_lik()), rel=1e-8)
    assert row["p_exact"] == mx.exact_rlrt(m, null=small, n_sims=50, rng=1).p_value
    assert row["p_bootstrap"] >= 1.0 / 51.0


# --- exact p-values ------------------------------------------------------------------------------


def test_exact_p_values():
    m = mx.lmer(DYESTUFF, load_dataset("dyestuff"))
    found = mx.ranova(m, p_values="exact", rng=1)
    assert list(found.columns) == [*RANOVA, "p_exact"]
    assert found["p_exact"].iloc[1] == mx.exact_rlrt(m, rng=1).p_value < found["p_value"].iloc[1]
    assert np.isnan(found["p_exact"].iloc[0])
    assert found.attrs["notes"] == {}
    pd.testing.assert_frame_equal(found[list(RANOVA)], mx.ranova(m))


def test_exact_p_values_of_several_variances():
    m = fit("crossed")
    found = mx.ranova(m, p_values=("chisq", "exact"), n_sims=500, rng=3)
    for label in ("(1 | plate)", "(1 | sample)"):
        test = mx.exact_rlrt(m, term=label, n_sims=500, rng=3)
        assert found.loc[label, "p_exact"] == test.p_value
        assert found.loc[label, "statistic"] == pytest.approx(test.statistic, abs=1e-8)
        assert found.attrs["notes"][label].startswith("p_exact: < 0.002, no simulated value")
    by_ml = mx.ranova(m.refit_ml(), p_values="exact", n_sims=500, rng=3)
    np.testing.assert_array_equal(by_ml["p_exact"], found["p_exact"])


def test_why_there_is_no_exact_test():
    found = labels("(Days | Subject)", p_values="exact")
    assert found["p_exact"].isna().all()
    assert found.attrs["notes"] == {
        "Days in (1 + Days | Subject)": "p_exact: a variance with its covariances has no exact test"
    }
    found = labels("(Days | Subject)", reduce_terms=False, p_values="exact")
    (note,) = found.attrs["notes"].values()
    assert note == "p_exact: several variances and their covariances have no exact test"
    data = data_of("thinned").assign(one=lambda d: pd.factorize(d["Subject"])[0] % 2)
    # A fit that is refused unless the checks are left out.
    control = mx.LmerControl(check=False)
    m = quietly_of("Reaction ~ C(Subject) + (1 | Subject) + (1 | Days)", data, control=control)
    found = mx.ranova(m, p_values="exact", n_sims=50, rng=1)
    assert "lie in the span of the fixed effects" in found.attrs["notes"]["(1 | Subject)"]
    assert found["p_exact"].notna().tolist() == [False, False, True]


def quietly_of(formula, data, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mx.exceptions.MerextrasWarning)
        return mx.lmer(formula, data, **kwargs)


# --- the bootstrap -------------------------------------------------------------------------------


def test_bootstrap_of_the_only_variance_is_the_exact_test():
    """Two simulations of one distribution; by ML too, where the exact one is exact_lrt."""
    data = load_dataset("dyestuff")
    for reml, exact in ((True, mx.exact_rlrt), (False, mx.exact_lrt)):
        m = mx.lmer(DYESTUFF, data, reml=reml)
        p = exact(m, n_sims=100_000, rng=1).p_value
        found = mx.ranova(m, p_values="bootstrap", n_sims=10_000, rng=2)
        assert list(found.columns) == [*RANOVA, "p_bootstrap"]
        error = np.sqrt(p * (1.0 - p) * 1.1e-4)
        assert abs(found["p_bootstrap"].iloc[1] - p) < MONTE_CARLO * error + 1e-4


def test_bootstrap_by_ml_is_pb_modcomp():
    m = fit("unbalanced_slopes", reml=False)
    small = quietly("Reaction ~ Days + (1 | Subject)", "thinned", False)
    found = mx.ranova(m, p_values="bootstrap", n_sims=40, rng=5)
    test = mx.pb_modcomp(m, small, n_sims=40, rng=5)
    assert found["p_bootstrap"].iloc[1] == pytest.approx(test.p_value, abs=1e-12)
    data = load_dataset("dyestuff")
    m = mx.lmer(DYESTUFF, data, reml=False)
    test = mx.pb_modcomp(m, smf.ols("Yield ~ 1", data).fit(), n_sims=500, rng=5)
    found = mx.ranova(m, p_values="bootstrap", n_sims=500, rng=5)
    assert found["p_bootstrap"].iloc[1] == pytest.approx(test.p_value, abs=1e-12)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_bootstrap_by_refits_one_by_one():
    """The restricted likelihood, with weights, an offset and a model without random effects."""
    rng = np.random.default_rng(7)
    data = load_dataset("dyestuff").assign(w=rng.uniform(0.5, 2.0, 30), known=rng.normal(size=30))
    data["Yield"] += 80.0 * rng.normal(size=30)
    m = mx.lmer(DYESTUFF, data, weights="w", offset="known")
    y = data["Yield"] - data["known"]
    beta, w = np.average(y, weights=data["w"]), data["w"].to_numpy()
    sigma = np.sqrt(np.sum(w * (y - beta) ** 2) / 29)
    observed = mx.ranova(m)["statistic"].iloc[1]
    count = 0
    for generator in np.random.default_rng(8).spawn(60):
        new = beta + sigma / np.sqrt(w) * generator.standard_normal(30)
        refit = mx.lmer(DYESTUFF, data.assign(Yield=new), weights="w")
        rss = np.sum(w * (new - np.average(new, weights=w)) ** 2)
        null = 29 * (1 + np.log(2 * np.pi * rss / 29)) + np.log(np.sum(w)) - np.sum(np.log(w))
        count += null - refit.reml_crit() >= observed
    found = mx.ranova(m, p_values="bootstrap", n_sims=60, rng=8)
    assert found["p_bootstrap"].iloc[1] == (count + 1) / 61
    assert 0 < count < 60


def test_deterministic_and_independent_of_the_processes(monkeypatch):
    m = fit("crossed")
    one = mx.ranova(m, p_values=["exact", "bootstrap"], n_sims=20, rng=4)
    monkeypatch.setattr(replicates, "_BLOCK", 1000)
    two = mx.ranova(m, p_values=["exact", "bootstrap"], n_sims=20, rng=4, n_jobs=2)
    pd.testing.assert_frame_equal(one, two)
    generator = np.random.default_rng(4)
    three = mx.ranova(m, p_values="bootstrap", n_sims=20, rng=generator)
    again = mx.ranova(m, p_values="bootstrap", n_sims=20, rng=np.random.default_rng(4))
    pd.testing.assert_frame_equal(three, again)


def test_defaults():
    m = mx.lmer(DYESTUFF, load_dataset("dyestuff"))
    found = mx.ranova(m, p_values=["bootstrap", "exact"], rng=1).iloc[1]
    assert found["p_exact"] == mx.exact_rlrt(m, n_sims=10_000, rng=1).p_value
    wanted = mx.ranova(m, p_values="bootstrap", n_sims=1000, rng=1).iloc[1]
    assert found["p_bootstrap"] == wanted["p_bootstrap"]


def test_failed_replicates_are_said(monkeypatch):
    m = mx.lmer(DYESTUFF, load_dataset("dyestuff"))
    sample = np.array([np.nan, 0.0, 50.0, np.nan])
    monkeypatch.setitem(mx.ranova.__globals__, "null_sample", lambda *_: sample)
    found = mx.ranova(m, p_values="bootstrap", n_sims=4, rng=1)
    assert found["p_bootstrap"].iloc[1] == 2 / 3
    assert found.attrs["notes"] == {"(1 | Batch)": "p_bootstrap: 2 of 4 replicates failed"}
    monkeypatch.setitem(mx.ranova.__globals__, "null_sample", lambda *_: sample[[0, 3]])
    found = mx.ranova(m, p_values="bootstrap", n_sims=2, rng=1)
    assert np.isnan(found["p_bootstrap"].iloc[1])
    assert "2 of 2 replicates failed" in found.attrs["notes"]["(1 | Batch)"]


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p_values": "both"}, "p_values='both': allowed: 'chisq', 'exact', 'bootstrap'"),
        ({"p_values": ["exact", "boot"]}, "p_values='boot': .*did you mean 'bootstrap'"),
        ({"p_values": None}, "p_values=None"),
        ({"n_sims": 0}, "n_sims=0"),
        ({"rng": "x"}, "rng='x'"),
        ({"n_jobs": 0}, "n_jobs=0"),
    ],
)
def test_what_ranova_refuses(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.ranova(fit("crossed"), **options)


def test_models_that_ranova_refuses():
    with pytest.raises(UnsupportedModelError, match="OLS"):
        mx.ranova(smf.ols("Reaction ~ Days", data_of("thinned")).fit())
    data = load_dataset("dyestuff").assign(k=2)
    m = mx.lmer(DYESTUFF, data, freq_weights="k")
    assert mx.ranova(m, p_values="exact", n_sims=20, rng=1)["p_exact"].iloc[1] < 0.2
    with pytest.raises(UnsupportedModelError, match="Repeat the rows"):
        mx.ranova(m, p_values="bootstrap", n_sims=20, rng=1)

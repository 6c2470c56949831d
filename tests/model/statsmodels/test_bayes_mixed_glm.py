"""Fits of statsmodels' Bayesian mixed GLMs, taken to the maximum of the likelihood."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from statsmodels.genmod import bayes_mixed_glm as bayes

import merextras as mx
from merextras.exceptions import InvalidArgumentError, SingularFitWarning, UnsupportedModelError


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    n = 400
    g, h, x = rng.integers(0, 20, n), rng.integers(0, 8, n), rng.normal(size=n)
    eta = 0.3 + 0.5 * x + rng.normal(0.0, 0.8, 20)[g] + rng.normal(0.0, 0.6, 8)[h]
    eta += x * rng.normal(0.0, 0.6, 20)[g]
    y = (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))).astype(int)
    kind = np.where(rng.random(n) < 0.5, "a", "b")
    frame = pd.DataFrame({"y": y, "x": x, "kind": kind, "school": [f"s{k:02d}" for k in g], "h": h})
    return frame.assign(count=rng.poisson(np.exp(0.4 * eta)))


def _quiet(model, how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(model, how)()


COMPONENTS = {"school": "0 + C(school)", "h": "0 + C(h)"}


@pytest.mark.parametrize("how", ["fit_vb", "fit_map"])
@pytest.mark.parametrize(
    ("kind", "response", "family"),
    [
        (bayes.BinomialBayesMixedGLM, "y", "binomial"),
        (bayes.PoissonBayesMixedGLM, "count", "poisson"),
    ],
)
def test_goes_on_to_the_fit_of_glmer(table, kind, response, family, how):
    fit = _quiet(kind.from_formula(f"{response} ~ x + kind", COMPONENTS, table), how)
    m = mx.MerMod(fit)
    direct = mx.glmer(f"{response} ~ x + kind + (1 | school) + (1 | h)", table, family)
    assert isinstance(m, mx.GlmerMod)
    assert m.family() == direct.family()
    np.testing.assert_allclose(m.log_lik(), direct.log_lik(), rtol=1e-10)
    names = direct.fixef().index
    np.testing.assert_allclose(m.fixef()[names], direct.fixef(), atol=1e-7)
    np.testing.assert_allclose(m.vcov().loc[names, names], direct.vcov(), atol=1e-7)
    for factor in ("school", "h"):
        found, expected = m.ranef()[factor], direct.ranef()[factor]
        np.testing.assert_allclose(found, expected.loc[found.index], atol=1e-6)
    np.testing.assert_allclose(m.predict(table.head(9)), direct.predict(table.head(9)), atol=1e-7)


def test_origin_has_both(table):
    fit = _quiet(bayes.BinomialBayesMixedGLM.from_formula("y ~ x", COMPONENTS, table), "fit_vb")
    m = mx.MerMod(fit)
    np.testing.assert_allclose(m.origin.theta, np.exp(fit.vcp_mean))
    np.testing.assert_array_equal(m.opt_summary.initial, m.origin.theta)
    np.testing.assert_allclose(m.opt_summary.theta, m.theta)
    assert m.origin.log_lik < m.log_lik()
    assert m.call().startswith('BinomialBayesMixedGLM.from_formula("y ~ x", {"school": ...')
    assert m.call().endswith(".fit_vb()")
    again = pickle.loads(pickle.dumps(m))
    assert again.origin == m.origin
    assert type(again) is mx.GlmerMod


def test_slopes_by_formula(table):
    parts = {"school": "0 + C(school)", "slope": "0 + C(school):x"}
    fit = _quiet(bayes.BinomialBayesMixedGLM.from_formula("y ~ x", parts, table), "fit_vb")
    direct = mx.glmer("y ~ x + (1 + x || school)", table)
    np.testing.assert_allclose(mx.MerMod(fit).log_lik(), direct.log_lik(), rtol=1e-10)


def test_arrays_without_names(table):
    x = np.column_stack([np.ones(len(table)), table["x"]])
    codes = pd.factorize(table["school"], sort=True)[0]
    z = np.zeros((len(table), 20))
    z[np.arange(len(table)), codes] = 1.0
    both = np.hstack([z, z * table["x"].to_numpy()[:, None]])
    model = bayes.BinomialBayesMixedGLM(table["y"].to_numpy(), x, both, np.repeat([0, 1], 20))
    m = mx.MerMod(_quiet(model, "fit_vb"))
    direct = mx.glmer("y ~ x + (1 + x || school)", table)
    np.testing.assert_allclose(m.log_lik(), direct.log_lik(), rtol=1e-10)
    assert list(m.fixef().index) == ["FE_1", "FE_2"]
    # A slope is not called an intercept: new rows need its covariate.
    assert [term.names for term in m.design.terms] == [("Intercept",), ("VC_2_values",)]
    np.testing.assert_allclose(m.predict(m.model_frame().head(5)), m.fitted().head(5))
    assert m.origin.call == "BinomialBayesMixedGLM(endog, exog, exog_vc, ident).fit_vb()"


def test_verbs_take_the_fit_itself(table):
    fit = _quiet(bayes.BinomialBayesMixedGLM.from_formula("y ~ x", COMPONENTS, table), "fit_vb")
    found, expected = mx.tidy(fit), mx.tidy(mx.MerMod(fit))
    pd.testing.assert_frame_equal(found, expected)


def test_singular_fit_is_said(table):
    frame = table.assign(y=np.random.default_rng(8).permutation(table["y"]))
    frame = frame.assign(odd=np.arange(len(frame)) % 7)
    model = bayes.BinomialBayesMixedGLM.from_formula("y ~ x", {"odd": "0 + C(odd)"}, frame)
    fit = _quiet(model, "fit_vb")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        m = mx.MerMod(fit)
    said = [w for w in caught if issubclass(w.category, SingularFitWarning)]
    assert m.is_singular() == bool(said)
    assert all(w.filename == __file__ for w in said)


def test_refusals(table):
    model = bayes.BinomialBayesMixedGLM.from_formula("y ~ x", COMPONENTS, table)
    with pytest.raises(UnsupportedModelError, match=r"not been fitted; call .fit_vb\(\)"):
        mx.MerMod(model)
    fit = _quiet(model, "fit_vb")
    with pytest.raises(UnsupportedModelError, match="polish=False"):
        mx.MerMod(fit, polish=False)
    with pytest.raises(InvalidArgumentError, match="re_formula='x'.*vc_formula="):
        mx.MerMod(fit, re_formula="x")
    with pytest.raises(InvalidArgumentError, match="'site' is no component of the fit"):
        mx.MerMod(fit, vc_formula={"site": "1"})
    several = bayes.BinomialBayesMixedGLM(
        table["y"].to_numpy(), np.ones((len(table), 1)), np.ones((len(table), 3)), np.zeros(3, int)
    )
    with pytest.raises(UnsupportedModelError, match="a row has several columns"):
        mx.MerMod(_quiet(several, "fit_vb"))
    one = bayes.BinomialBayesMixedGLM(
        table["y"].to_numpy(), np.ones((len(table), 1)), table[["x"]].to_numpy(), np.zeros(1, int)
    )
    with pytest.raises(UnsupportedModelError, match="'VC_1' has 1 column"):
        mx.MerMod(_quiet(one, "fit_vb"))
    with pytest.raises(UnsupportedModelError, match="linear models alone"):
        mx.kr_modcomp(fit, "x")


def test_other_families_are_refused(table):
    codes = pd.get_dummies(table["h"]).to_numpy(float)
    model = bayes._VariationalBayesMixedGLM.__new__(bayes._BayesMixedGLM)
    bayes._BayesMixedGLM.__init__(
        model, table["count"].to_numpy(float), np.ones((len(table), 1)), codes,
        np.zeros(8, int), family=sm.families.Gamma(sm.families.links.Log()),
    )  # fmt: skip
    fit = bayes.BayesMixedGLMResults(model, np.zeros(10), np.ones(10))
    with pytest.raises(UnsupportedModelError, match="BinomialBayesMixedGLM and PoissonBayes"):
        mx.MerMod(fit)


def test_a_count_that_is_no_count(table):
    codes = pd.get_dummies(table["h"]).to_numpy(float)
    model = bayes.PoissonBayesMixedGLM(
        table["count"].to_numpy() + 0.5, np.ones((len(table), 1)), codes, np.zeros(8, int)
    )
    with pytest.raises(InvalidArgumentError, match="takes counts, whole numbers"):
        mx.MerMod(_quiet(model, "fit_vb"))


def test_a_frame_that_was_changed(table):
    frame = table.copy()
    model = bayes.BinomialBayesMixedGLM.from_formula("y ~ kind", COMPONENTS, frame)
    fit = _quiet(model, "fit_vb")
    frame["kind"] = frame["kind"].map({"a": "b", "b": "a"})
    with pytest.raises(UnsupportedModelError, match="changed since the fit"):
        mx.MerMod(fit)


def test_verbs_take_the_raw_fit():
    rng, groups = np.random.default_rng(1), np.repeat(np.arange(12), 6)
    x = rng.normal(size=72)
    y = rng.poisson(np.exp(0.3 * x + rng.normal(0, 0.5, 12)[groups]))
    data = pd.DataFrame({"y": y, "x": x, "g": groups})
    model = bayes.PoissonBayesMixedGLM.from_formula("y ~ x", {"g": "0 + C(g)"}, data)
    fit = _quiet(model, "fit_map")
    own = mx.MerMod(fit)
    assert mx.icc(fit).adjusted == mx.icc(own).adjusted
    assert mx.r2(fit).marginal == mx.r2(own).marginal
    np.testing.assert_array_equal(mx.ranova(fit)["aic"], mx.ranova(own)["aic"])
    drawn = (mx.bootstrap(each, n_sims=2, rng=1).replicates for each in (fit, own))
    np.testing.assert_array_equal(*drawn)

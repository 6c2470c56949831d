"""Ranks, impacts, margins and averages of generalised models against draws and plain formulas."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from scipy import special, stats

import merextras as mx
from merextras.exceptions import UnsupportedModelError


def _cases(n=3):
    return mx.load_dataset("cbpp").head(n)


def _joint(m, rows):
    """Covariance of the linear predictors of rows in a model with one intercept by herd."""
    design = m.design
    x = design.fixed.matrix(rows)
    g, w = m.covariances[0][0, 0], m.laplace.modes.w
    codes = design.terms[0].rows.codes
    at = design.terms[0].codes_of(rows)
    precision = np.bincount(codes, w) + 1.0 / g
    slope = np.stack([np.bincount(codes, w * c) for c in design.x.T], axis=1) / precision[:, None]
    shifted = x - slope[at]
    own = (at[:, None] == at) / precision[at][:, None]
    return shifted @ m.vcov().to_numpy() @ shifted.T + own


def test_ranks_are_probabilities_of_the_joint_distribution():
    m = models.cbpp()
    found = mx.expected_rank(m)
    frame = _cases(1).loc[[0] * 15].assign(herd=m.ranef()["herd"].index)
    covariance, b = _joint(m, frame), m.ranef()["herd"]["Intercept"].to_numpy()
    variance = covariance.diagonal()[:, None] + covariance.diagonal() - 2.0 * covariance
    np.fill_diagonal(variance, 1.0)
    ranks = 0.5 + special.ndtr((b[:, None] - b) / np.sqrt(variance)).sum(axis=1)
    np.testing.assert_allclose(found["er"], ranks, rtol=1e-9)
    np.testing.assert_allclose(found["estimate"], b)
    np.testing.assert_allclose(found["std_error"], mx.se_ranef(m)["herd"]["Intercept"])
    plain = mx.expected_rank(m, joint=False)
    own = found["std_error"].to_numpy() ** 2
    alone = 0.5 + special.ndtr((b[:, None] - b) / np.sqrt(own[:, None] + own)).sum(axis=1)
    np.testing.assert_allclose(plain["er"], alone, rtol=1e-9)


@pytest.mark.parametrize("weights", ["equal", "precision"])
def test_impacts_are_averages_of_means(weights):
    m, cases = models.cbpp(), _cases(2)
    found = mx.re_impact(m, cases, weights=weights)
    ranks = mx.expected_rank(m)
    edges = np.linspace(ranks["pct_er"].min(), ranks["pct_er"].max(), 4)
    bins = np.clip(np.searchsorted(edges[1:-1], ranks["pct_er"], side="left"), 0, 2)
    for i in range(2):
        frame = cases.iloc[[i] * 15].assign(herd=m.ranef()["herd"].index)
        mean = m.predict(frame, se_fit=True).reset_index(drop=True)
        slope = mean["fit"] * (1.0 - mean["fit"])
        covariance = _joint(m, frame) * np.outer(slope, slope)
        np.testing.assert_allclose(np.sqrt(covariance.diagonal()), mean["std_error"], rtol=1e-8)
        for b in range(3):
            w = (bins == b) / (1.0 if weights == "equal" else covariance.diagonal())
            w = w / w.sum()
            row = found[(found["case"] == i) & (found["bin"] == b + 1)].iloc[0]
            np.testing.assert_allclose(row["fit"], w @ mean["fit"], rtol=1e-9)
            np.testing.assert_allclose(row["std_error"], np.sqrt(w @ covariance @ w), rtol=1e-7)
            half = 1.959963984540054 * row["std_error"] / (row["fit"] * (1.0 - row["fit"]))
            ends = special.expit(special.logit(row["fit"]) + np.array([-half, half]))
            np.testing.assert_allclose(row[["lower", "upper"]].astype(float), ends, rtol=1e-8)
    with pytest.raises(UnsupportedModelError, match="weights='interval'"):
        mx.re_impact(m, cases, weights="interval")


def test_an_offset_is_inside_of_the_link():
    data = models.rows(n=200).assign(exposure=np.linspace(1.0, 9.0, 200))
    m = mx.glmer("count ~ x + (1 | g)", data, "poisson", offset=np.log(data["exposure"]))
    plain = mx.glmer("count ~ x + offset(np.log(exposure)) + (1 | g)", data, "poisson")
    cases = data.head(2)
    found = mx.re_impact(plain, cases, breaks=2, weights="equal")
    doubled = mx.re_impact(
        plain, cases.assign(exposure=2.0 * cases["exposure"]), breaks=2, weights="equal"
    )
    np.testing.assert_allclose(doubled["fit"], 2.0 * found["fit"], rtol=1e-10)
    np.testing.assert_allclose(m.fixef(), plain.fixef(), rtol=1e-6)
    margins = mx.re_margins(plain, cases, breaks=2)
    combined = margins[margins["effect"] == "combined"]
    moved = cases.loc[combined["case"]].assign(g=combined["level"].to_numpy())
    exact = plain.predict(moved, se_fit=True)
    for name in ("fit", "std_error", "lower", "upper"):
        np.testing.assert_allclose(combined[name], exact[name], rtol=1e-8)
    parts = margins[margins["case"] == 0].set_index("effect")
    fixed, own, whole = (parts.loc[part, "fit"].to_numpy() for part in ("fixed", "g", "combined"))
    np.testing.assert_allclose(np.exp(fixed + own), whole, rtol=1e-10)
    with pytest.raises(UnsupportedModelError, match="include_resid_var"):
        mx.re_margins(plain, cases, include_resid_var=True)


def test_moves_in_closed_form():
    m, cases = models.cbpp(), _cases(3)
    found = mx.what_if(m, cases, "herd", [3, 14], n_sims=None)
    moved = cases.loc[found["case"]].assign(herd=found["level"].to_numpy())
    exact = m.predict(moved, se_fit=True)
    for name in ("fit", "lower", "upper"):
        np.testing.assert_allclose(found[name], exact[name], rtol=1e-9)
    drawn = mx.what_if(m, cases, "herd", [3, 14], n_sims=40_000, rng=1)
    np.testing.assert_array_equal(found["shift"], drawn["shift"])
    # p_better does not depend on the scale, and is exact.
    p = found["p_better"]
    assert np.all(np.abs(p - drawn["p_better"]) < 4.0 * np.sqrt(p * (1 - p) / 40_000.0) + 1e-4)
    # The delta method's error is of second order.
    np.testing.assert_allclose(found["shift_std_error"], drawn["shift_std_error"], rtol=0.1)


def test_averages_over_cases():
    m, cases = models.cbpp(), _cases(4)
    found = mx.what_if_average(m, cases, "herd", [3, 5])
    frames = [cases.assign(herd=level) for level in (3, 5)]
    means = [m.predict(frame) for frame in frames]
    np.testing.assert_allclose(found["fit"], [mean.mean() for mean in means], rtol=1e-10)
    own = m.predict(cases).mean()
    np.testing.assert_allclose(found["shift"], found["fit"] - own, rtol=1e-9)
    slope = means[0] * (1.0 - means[0]) / 4.0
    variance = slope.to_numpy() @ _joint(m, frames[0]) @ slope.to_numpy()
    np.testing.assert_allclose(found["std_error"].iloc[0], np.sqrt(variance), rtol=1e-8)
    drawn = mx.what_if_average(m, cases, "herd", [3, 5], n_sims=20_000, rng=1)
    np.testing.assert_allclose(found["std_error"], drawn["std_error"], rtol=0.1)
    np.testing.assert_allclose(found["p_better"], drawn["p_better"], atol=0.03)
    np.testing.assert_allclose(found[["lower", "upper"]], drawn[["lower", "upper"]], rtol=0.06)


def test_the_spread_of_means():
    m, cases = models.cbpp(), mx.load_dataset("cbpp")
    found = mx.what_if_spread(m, cases, "herd", weights="equal", n_sims=None).set_index("source")
    levels = m.ranef()["herd"].index
    means = np.array([m.predict(cases.assign(herd=level)) for level in levels])
    # The means alone vary too little: what is uncertain in them is added, to first order.
    assert means.var(axis=0).mean() < found.loc["levels", "variance"]
    noise = means * (1.0 - means)
    residual = noise.mean() * np.mean(1.0 / cases["size"])
    np.testing.assert_allclose(found.loc["residual", "variance"], residual, rtol=1e-10)
    share = cases["incidence"] / cases["size"]
    np.testing.assert_allclose(found.loc["outcome", "variance"], share.var(ddof=0), rtol=1e-12)
    drawn = mx.what_if_spread(m, cases, "herd", weights="equal", n_sims=4000, rng=1)
    drawn = drawn.set_index("source")
    np.testing.assert_array_equal(drawn["variance"], found["variance"])
    inside = (drawn["lower"] < drawn["share"]) & (drawn["share"] < drawn["upper"])
    assert inside[["levels", "cases", "residual"]].all()


def test_spread_under_draws_is_that_of_every_draw():
    """By hand from the draws' own means."""
    from merextras.prediction.combinations.uncertainty import Draws
    from merextras.prediction.counterfactual.counterfactual_cases import counterfactual_cases_of
    from merextras.prediction.counterfactual.spread_of_means import drawn_sources

    m, cases = models.cbpp(), _cases(5)
    made = counterfactual_cases_of(m, cases, "herd", [1, 2, 3], None, ())
    draws = Draws.of(m, [made.combined], 7, np.random.default_rng(1))
    weights = np.array([0.5, 0.3, 0.2])
    found = drawn_sources(m, made.combined, draws, weights, 0.1)
    means = special.expit(draws.values(made.combined)).reshape(5, 3, 7)
    between = means - np.einsum("l,kls->ks", weights, means)[:, None]
    np.testing.assert_allclose(
        found[0], np.einsum("l,kls->s", weights, between**2) / 5.0, rtol=1e-9
    )
    within = means - means.mean(axis=0)
    np.testing.assert_allclose(found[1], np.einsum("l,kls->s", weights, within**2) / 5.0, rtol=1e-9)


def test_an_inverse_link_turns_the_order():
    data = models.rows(n=200).assign(size=lambda d: 1.0 / (2.0 + d["size"] / d["size"].max()))
    m = mx.glmer("size ~ x + (1 | g)", data, "gamma(inverse)")
    found = mx.what_if(m, data.head(2), "g", [1, 4], n_sims=None)
    drawn = mx.what_if(m, data.head(2), "g", [1, 4], n_sims=8000, rng=1)
    np.testing.assert_allclose(found["p_better"], drawn["p_better"], atol=0.03)
    assert np.all((found["p_better"] > 0.5) == (found["shift"] > 0.0))
    assert stats.pearsonr(found["lower"], drawn["lower"]).statistic > 0.99

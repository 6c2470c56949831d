"""`glmer`: forms of the response, what is refused, what is said, and the methods of the model."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from glmer_trials import CBPP
from scipy import stats
from tolerances import MONTE_CARLO, SAME_DRAWS

import merextras as mx
from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    SingularFitWarning,
    UnsupportedModelError,
)

# --- Forms of the response ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "form"),
    [
        ("I(y == 1)", "booleans"), ("(y > 0)", "booleans"), ("np.where(y > 0, 'b', 'a')", "labels"),
        ("C(y)", "labels"), ("pd.Categorical(y)", "labels"), ("cbind(y == 1, y == 0)", "cbind"),
        ("y + 0.0", "numbers"),
    ],
)  # fmt: skip
def test_code_of_single_trials(trials, code, form):
    """As a column of what the code gives."""
    expected = mx.glmer("y ~ x + (1 | g)", trials)
    found = mx.glmer(f"{code} ~ x + (1 | g)", trials)
    assert found.response.form == form
    assert found.log_lik() == pytest.approx(expected.log_lik(), abs=1e-9)
    np.testing.assert_allclose(found.fixef(), expected.fixef(), atol=1e-7)
    new = found.simulate(1, rng=1)
    again = found.refit(new)
    if form != "cbind":  # whose two columns the model frame has in other variables
        assert again.update().log_lik() == pytest.approx(again.log_lik(), abs=1e-7)
    same = expected.refit(expected.simulate(1, rng=1))
    assert again.log_lik() == pytest.approx(same.log_lik(), abs=1e-7)


def test_code_of_a_response_that_is_refused(trials):
    for code, says in (("I(y < 5)", "no failures at all"), ("I(y > 5)", "no successes at all")):
        with pytest.raises(InvalidArgumentError, match=says):
            mx.glmer(f"{code} ~ x + (1 | g)", trials)
    three = trials.assign(a=np.resize(list("abc"), len(trials)))
    with pytest.raises(InvalidArgumentError, match="takes two levels, got 3"):
        mx.glmer("C(a) ~ x + (1 | g)", three)
    with pytest.raises(InvalidArgumentError, match="must be numeric for family='poisson', not cat"):
        mx.glmer("C(y) ~ x + (1 | g)", trials, "poisson")
    with pytest.raises(InvalidArgumentError, match="must be one numeric column"):
        mx.lmer("C(y) ~ x + (1 | g)", trials)


def test_forms_of_single_trials(trials):
    expected = mx.glmer("y ~ x + (1 | g)", trials)
    labels = np.where(trials["y"] == 1, "yes", "no")
    for values in (
        trials["y"].astype(bool), trials["y"].astype(float), labels,
        pd.Categorical(labels, ["no", "unused", "yes"]), pd.array(trials["y"], dtype="Int64"),
    ):  # fmt: skip
        found = mx.glmer("y ~ x + (1 | g)", trials.assign(y=values))
        assert found.log_lik() == expected.log_lik()
        new = found.simulate(2, rng=1)["sim_1"]
        if not isinstance(values, pd.Categorical):
            assert set(new.unique()) <= set(np.asarray(values).tolist())
        again = found.refit(new)
        np.testing.assert_allclose(
            again.fixef(), expected.refit(expected.simulate(2, rng=1)["sim_1"]).fixef()
        )
    turned = mx.glmer("y ~ x + (1 | g)", trials.assign(y=pd.Categorical(labels, ["yes", "no"])))
    np.testing.assert_allclose(turned.fixef(), -expected.fixef(), atol=1e-8)


def test_proportions_with_trials(cbpp, herds):
    share = cbpp.assign(share=cbpp["incidence"] / cbpp["size"])
    for weights in ("size", share["size"], share["size"].to_numpy()):
        found = mx.glmer("share ~ C(period) + (1 | herd)", share, weights=weights)
        assert found.log_lik() == herds.log_lik()
    code = mx.glmer("I(incidence / size) ~ C(period) + (1 | herd)", cbpp, weights="size")
    assert code.log_lik() == herds.log_lik()
    assert (found.weights() == cbpp["size"]).all()
    new = code.simulate(1, rng=2)["sim_1"]
    assert ((new * cbpp["size"]).round(6) % 1 == 0).all()
    refitted = code.refit(new)
    np.testing.assert_allclose(refitted.update().fixef(), refitted.fixef(), atol=1e-7)


def test_successes_and_failures_again(cbpp, herds):
    new = herds.simulate(2, rng=4)
    assert (new["sim_2"].sum(axis=1) == cbpp["size"]).all()
    pair = herds.refit(new["sim_2"])
    successes = herds.refit(new["sim_2"].iloc[:, 0])
    assert pair.log_lik() == successes.log_lik()
    with pytest.raises(UnsupportedModelError, match=r"replaced by refit.*data="):
        pair.update(". ~ . - C(period)")
    with pytest.raises(InvalidArgumentError, match=r"expected \(56, 2\)"):
        herds.refit(np.zeros((56, 3)))


def test_families_of_statsmodels(cbpp, trials):
    logit = mx.glmer(CBPP, cbpp, sm.families.Binomial())
    assert logit.family() == "binomial(logit)"
    probit = mx.glmer(CBPP, cbpp, sm.families.Binomial(sm.families.links.Probit()))
    assert probit.log_lik() == mx.glmer(CBPP, cbpp, 'binomial(link="probit")').log_lik()
    names = {
        "poisson": sm.families.Poisson(),
        "gamma(log)": sm.families.Gamma(sm.families.links.Log()),
        "gamma(inverse)": sm.families.Gamma(),
        "inverse_gaussian(log)": sm.families.InverseGaussian(sm.families.links.Log()),
    }
    data = trials.assign(y=1.0 + trials["y"] + 3.0 * (trials["x"] > 0))
    for name, family in names.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            m = mx.glmer("y ~ x + (1 | g)", data, family)
        assert m.family() == (f"{name}(log)" if name == "poisson" else name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = mx.glmer("y ~ x + (1 | g)", data, sm.families.NegativeBinomial(alpha=0.5))
    # Statsmodels' families hold their alpha, which is one over the size.
    assert given.dispersion == 2.0
    assert given.choice.size == 2.0


# --- Numbers that are known otherwise -------------------------------------------------------------


def test_normal_responses_are_those_of_lmer(sleep):
    formula = "Reaction ~ Days + (Days | Subject)"
    linear, m = mx.lmer(formula, sleep, reml=False), mx.glmer(formula, sleep, "gaussian")
    np.testing.assert_allclose(m.log_lik(), linear.log_lik(), rtol=1e-10)
    np.testing.assert_allclose(m.fixef(), linear.fixef(), rtol=1e-7)
    np.testing.assert_allclose(np.sqrt(m.dispersion), linear.sigma(), rtol=1e-6)
    np.testing.assert_allclose(m.var_corr()["Subject"], linear.var_corr()["Subject"], rtol=1e-5)
    ours, theirs = m.ranef(), linear.ranef()
    np.testing.assert_allclose(ours["Subject"], theirs["Subject"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(ours.post_var["Subject"], theirs.post_var["Subject"], rtol=1e-4)
    found = m.predict(sleep.head(5), se_fit=True)
    expected = linear.predict(sleep.head(5), se_fit=True, ddf="asymptotic")
    # The fixed effects' covariance has the estimation of theta in it.
    np.testing.assert_allclose(found["fit"], expected["fit"], rtol=1e-7)
    np.testing.assert_allclose(found["std_error"], expected["std_error"], rtol=1e-2)


def test_intercept_of_exchangeable_clusters_is_integrated():
    # Pairs with a huge number of trials: Laplace's approximation is exact to their size.
    rng = np.random.default_rng(2)
    p = 1.0 / (1.0 + np.exp(-rng.normal(0.3, 0.5, 12)))
    y = np.round(1e6 * p)
    data = pd.DataFrame({"y": y, "n": 1_000_000 - y, "g": np.arange(12)})
    m = mx.glmer("cbind(y, n) ~ 1 + (1 | g)", data)
    logits = np.log(y / (1e6 - y))
    np.testing.assert_allclose(m.fixef()["Intercept"], logits.mean(), atol=1e-5)
    np.testing.assert_allclose(m.theta[0], logits.std(), rtol=1e-4)
    density = stats.norm.logpdf(logits, logits.mean(), logits.std()).sum()
    # P(y) = density of the logit at y / n, times dlogit / dy.
    exact = density - np.sum(np.log(y * (1e6 - y) / 1e6))
    np.testing.assert_allclose(m.log_lik(), exact, atol=1e-3)


def test_offset_by_argument_and_formula_is_part_of_the_model(trials):
    rng = np.random.default_rng(5)
    exposure = rng.uniform(0.5, 4.0, 400)
    mean = exposure * np.exp(0.2 + 0.3 * trials["x"] + 0.3 * rng.normal(size=20)[trials["g"]])
    data = trials.assign(y=rng.poisson(mean), e=exposure, log_e=np.log(exposure))
    inside = mx.glmer("y ~ x + offset(np.log(e)) + (1 | g)", data, "poisson")
    column = mx.glmer("y ~ x + (1 | g)", data, "poisson", offset="log_e")
    assert inside.log_lik() == column.log_lik()
    twice = data.head(3).assign(e=2.0 * data["e"].head(3))
    np.testing.assert_allclose(inside.predict(twice), 2.0 * inside.predict(data.head(3)))
    with pytest.raises(InvalidArgumentError):
        mx.glmer("y ~ x + (1 | g)", data, "poisson", offset=data["log_e"].to_numpy()).predict(twice)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "gamma", "inverse_gaussian"])
def test_simulated_moments(trials, family):
    rng = np.random.default_rng(6)
    mean = np.exp(0.5 + 0.2 * trials["x"] + 0.4 * rng.normal(size=20)[trials["g"]])
    y = rng.poisson(rng.gamma(2.0, mean / 2.0)) if "o" in family[:8] or "b" in family else mean
    y = rng.gamma(3.0, mean / 3.0) + 0.01 if family in {"gamma", "inverse_gaussian"} else y
    m = mx.glmer("y ~ x + (1 | g)", trials.assign(y=y), family)
    new = m.simulate(2000, use_u=True, rng=7).to_numpy()
    mu = m.fitted().to_numpy()
    variance = {
        "poisson": mu,
        "negative_binomial": mu + mu**2 / (m.dispersion or 1.0),
        "gamma": mu**2 * (m.dispersion or 1.0),
        "inverse_gaussian": mu**3 * (m.dispersion or 1.0),
    }[family]
    z = (new.mean(axis=1) - mu) / np.sqrt(variance / 2000)
    assert np.max(np.abs(z)) < MONTE_CARLO
    ratio = new.var(axis=1) / variance
    assert abs(np.mean(ratio) - 1.0) < 0.03
    anew = m.simulate(3000, rng=8).to_numpy()
    # E exp(eta) = exp(x'beta + sd**2 / 2).
    expected = np.exp(m.predict(re_form="NA", type="link") + 0.5 * m.theta[0] ** 2)
    error = anew.std(axis=1) / np.sqrt(3000)
    assert np.max(np.abs(anew.mean(axis=1) - expected) / error) < MONTE_CARLO + 1.0


def test_same_generator_same_responses(crossed):
    one, more = crossed.simulate(1, rng=3), crossed.simulate(4, rng=3)
    assert one["sim_1"].equals(more["sim_1"])


# --- Prediction -----------------------------------------------------------------------------------


def test_standard_errors_are_those_of_the_joint_covariance(crossed, trials):
    rows = trials.head(7)
    found = crossed.predict(rows, se_fit=True, type="link")
    # Dense: [Z'WZ + G^-1]^-1, J = -W Z'W X and the fixed effects' covariance.
    x = crossed.model_matrix().to_numpy()
    z = crossed.model_matrix("random").toarray()
    w = crossed.fitted().to_numpy() * (1.0 - crossed.fitted().to_numpy())
    blocks = [
        np.kron(np.eye(len(term.levels)), g)
        for term, g in zip(crossed.design.terms, crossed.covariances, strict=True)
    ]
    size = [len(b) for b in blocks]
    g = np.zeros((sum(size), sum(size)))
    g[: size[0], : size[0]], g[size[0] :, size[0] :] = blocks
    middle = np.linalg.inv(z.T @ (w[:, None] * z) + np.linalg.inv(g))
    jacobian = -middle @ z.T @ (w[:, None] * x)
    reach = x[:7] + z[:7] @ jacobian
    variance = np.einsum("iq,qr,ir->i", z[:7], middle, z[:7])
    variance += np.einsum("ip,pq,iq->i", reach, crossed.vcov().to_numpy(), reach)
    np.testing.assert_allclose(found["std_error"], np.sqrt(variance), rtol=1e-7)
    ends = crossed.predict(rows, se_fit=True)
    for end in ("lower", "upper"):
        np.testing.assert_allclose(ends[end], 1 / (1 + np.exp(-found[end])), rtol=SAME_DRAWS)
    blocks_of = np.sqrt(np.diagonal(middle[: size[0], : size[0]]).reshape(20, 2))
    np.testing.assert_allclose(
        np.sqrt(np.diagonal(crossed.ranef().post_var["g"], axis1=1, axis2=2)), blocks_of, rtol=1e-8
    )


def test_new_levels(crossed, trials):
    new = trials.head(3).assign(g=99)
    with pytest.raises(InvalidArgumentError, match="99"):
        crossed.predict(new)
    zero = crossed.predict(new, allow_new_levels=True, se_fit=True, type="link")
    drawn = crossed.predict(new, allow_new_levels="draw", se_fit=True, type="link")
    np.testing.assert_allclose(zero["fit"], drawn["fit"])
    z = np.column_stack([np.ones(3), new["x"]])
    g = crossed.var_corr()["g"].to_numpy()
    added = np.einsum("ia,ab,ib->i", z, g, z)
    np.testing.assert_allclose(drawn["std_error"] ** 2, zero["std_error"] ** 2 + added)


def test_missing_values(crossed, trials):
    rows = trials.head(4).astype({"x": float})
    rows.loc[1, "x"] = np.nan
    found = crossed.predict(rows, se_fit=True)
    assert found.isna().any(axis=1).tolist() == [False, True, False, False]
    with_gap = mx.glmer("y ~ x + (1 | g)", pd.concat([trials, rows.iloc[[1]]]))
    assert with_gap.n_dropped == 1


# --- Comparison -----------------------------------------------------------------------------------


def test_likelihood_ratios(trials, crossed):
    small = mx.glmer("y ~ x + (1 | g)", trials)
    table = small.anova(crossed, names=["small", "large"])
    assert table["npar"].tolist() == [3, 6]
    np.testing.assert_allclose(
        table["statistic"].iloc[1], 2.0 * (crossed.log_lik() - small.log_lik()), rtol=1e-9
    )
    np.testing.assert_allclose(
        table["p_value"].iloc[1], stats.chi2.sf(table["statistic"].iloc[1], 3), rtol=1e-9
    )
    for other, message in (
        (mx.glmer("y ~ x + (1 | g)", trials, "binomial(probit)"), "different families"),
        (mx.glmer("y ~ x + (1 | g)", trials.iloc[:-1]), "different data"),
        (mx.glmer("y ~ x + (1 | h)", trials), "not nested"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            small.anova(other)


def test_wald_table(herds):
    beta, v = herds.fixef().to_numpy()[1:], herds.vcov().to_numpy()[1:, 1:]
    table = herds.anova(type=2)
    np.testing.assert_allclose(table.loc["C(period)", "statistic"], beta @ np.linalg.solve(v, beta))
    assert table.loc["C(period)", "df"] == 3
    np.testing.assert_allclose(herds.anova(type=3), table)


# --- The model ------------------------------------------------------------------------------------


def test_it_is_a_mermod_that_pickles(crossed):
    assert isinstance(crossed, mx.MerMod)
    assert crossed.is_glmm()
    assert not crossed.is_lmm()
    assert not crossed.is_reml()
    again = pickle.loads(pickle.dumps(crossed))
    assert again.log_lik() == crossed.log_lik()
    assert repr(again) == repr(crossed)
    assert again.ranef().to_frame().equals(crossed.ranef().to_frame())
    assert again.refit(crossed.simulate(1, rng=1)["sim_1"]).is_glmm()


def test_update_goes_on_with_the_family(herds, cbpp):
    small = herds.update(". ~ . - C(period)")
    assert small.family() == herds.family()
    assert small.formula() == "cbind(incidence, size - incidence) ~ 1 + (1 | herd)"
    probit = herds.update(family="binomial(probit)")
    assert probit.log_lik() == mx.glmer(CBPP, cbpp, "binomial(probit)").log_lik()
    half = herds.update(data=cbpp.head(40))
    assert half.nobs() == 40
    assert herds.call() == f'glmer("{CBPP}", data, family="binomial(logit)")'


def test_summary(herds):
    summary = herds.summary()
    text = str(summary)
    assert "z value" in text
    assert "Residual" not in text
    z = summary.coefficients["statistic"]
    np.testing.assert_allclose(summary.coefficients["p_value"], 2 * stats.norm.sf(np.abs(z)))
    np.testing.assert_allclose(summary.coefficients["std_error"] ** 2, np.diag(herds.vcov()))


def test_start_is_obeyed(trials):
    control = mx.LmerControl(start=[2.0])
    m = mx.glmer("y ~ x + (1 | g)", trials, control=control)
    other = mx.glmer("y ~ x + (1 | g)", trials)
    np.testing.assert_allclose(m.log_lik(), other.log_lik(), rtol=1e-12)
    with pytest.raises(InvalidArgumentError, match=r"control\.start"):
        mx.glmer("y ~ x + (1 | g)", trials, control=mx.LmerControl(start=[1.0, 2.0]))


def test_a_search_that_is_cut_short_says_so(trials):
    control = mx.LmerControl(max_iterations=1, start=[2.0, 0.5, 2.0, 2.0])
    with pytest.warns(ConvergenceWarning, match="log-likelihood could still rise by about"):
        mx.glmer("y ~ x + (1 + x | g) + (1 | h)", trials, control=control)


def test_given_size_of_a_negative_binomial(trials):
    rng = np.random.default_rng(9)
    data = trials.assign(y=rng.negative_binomial(2.0, 0.3, 400))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        free = mx.glmer("y ~ x + (1 | g)", data, "negative_binomial")
        given = mx.glmer("y ~ x + (1 | g)", data, "negative_binomial", dispersion=free.dispersion)
    np.testing.assert_allclose(given.log_lik(), free.log_lik(), rtol=1e-10)
    assert given.n_parameters == free.n_parameters - 1


def test_the_information_is_made_when_it_is_asked_for(cbpp):
    fit = mx.glmer(CBPP, cbpp)
    assert "hessian" not in vars(fit.optimum)
    assert np.isfinite(fit.vcov().to_numpy()).all()
    assert "hessian" in vars(fit.optimum)


def test_where_laplaces_approximation_has_no_maximum():
    """What is said there leads to the fit by quadrature, which here has one."""
    rng, n, levels = np.random.default_rng(129), 80, 8
    g, x = np.arange(n) % levels, rng.normal(size=n)
    eta = 0.5 * x + rng.normal(size=levels)[g] + rng.normal(size=levels)[g] * x
    data = pd.DataFrame({"y": np.exp(eta + 0.8 * rng.normal(size=n)), "x": x, "g": g})
    with pytest.warns(ConvergenceWarning, match="a conditional mode splits in two.*n_agq=5"):
        mx.glmer("y ~ x + (1 + x || g)", data, "gaussian(log)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        m = mx.glmer("y ~ x + (1 + x || g)", data, "gaussian(log)", n_agq=5)
    assert m.opt_summary.converged

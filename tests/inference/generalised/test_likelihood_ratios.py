"""`anova`, `drop1`, `ranova` and `pb_modcomp` of generalised models, against R and closed forms."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from tolerances import GLMM_AGAINST_GLMMTMB, GLMM_LOG_LIK

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


def test_anova_of_models_is_glmmtmbs():
    large = models.cbpp()
    small = large.update(". ~ . - C(period)")
    found = large.anova(small)
    expected = models.expected()["ratios"]["anova"]["log_lik"]
    np.testing.assert_allclose(found["log_lik"], expected, rtol=GLMM_AGAINST_GLMMTMB)
    assert found["statistic"].iloc[1] == pytest.approx(2.0 * np.diff(found["log_lik"])[0])
    assert found["p_value"].iloc[1] == pytest.approx(stats.chi2.sf(found["statistic"].iloc[1], 3))


@pytest.mark.parametrize("name", ["cbpp", "contraception"])
def test_drop1_is_glmmtmbs(name):
    found = (models.cbpp() if name == "cbpp" else models.women()).drop1()
    expected = models.expected()["ratios"][f"drop1_{name}"]
    assert len(found) == len(expected["terms"]) + 1
    np.testing.assert_allclose(found["aic"], expected["aic"], rtol=GLMM_AGAINST_GLMMTMB)
    for column in ("df", "statistic", "p_value"):
        np.testing.assert_allclose(
            found[column].iloc[1:], expected[column], rtol=1e-4, atol=GLMM_AGAINST_GLMMTMB
        )


def test_drop1_says_what_was_given():
    for test in ("F", "f"):
        with pytest.raises(UnsupportedModelError, match=f"test='{test}': F tests are for linear"):
            models.cbpp().drop1(test=test)


def test_drop1_is_an_anova_with_the_smaller_model():
    m = models.generated("spread", "(1 | g)")
    found = m.drop1()
    for term in ("x", "c"):
        table = m.anova(m.update(f". ~ . - {term}"))
        assert found.loc[term, "statistic"] == pytest.approx(table["statistic"].iloc[1], abs=1e-7)
    assert list(m.drop1(test=None).columns) == ["df", "aic"]
    assert list(m.drop1(scope=["x"]).index) == ["<none>", "x"]
    with pytest.raises(UnsupportedModelError, match="F tests are for linear models; test='chisq'"):
        m.drop1(test="f")
    with pytest.raises(InvalidArgumentError, match="scope='y'"):
        m.drop1(scope=["y"])


def test_ranova_of_one_variance():
    m = models.cbpp()
    found = mx.ranova(m, p_values="mixture")
    plain = sm.GLM(
        np.column_stack([m.response.y, m.response.trials - m.response.y]), m.design.x,
        family=sm.families.Binomial(),
    ).fit()  # fmt: skip
    assert found["log_lik"].iloc[1] == pytest.approx(plain.llf, rel=GLMM_LOG_LIK)
    expected = models.expected()["ratios"]["no_herds"]
    assert found["log_lik"].iloc[1] == pytest.approx(expected, rel=GLMM_LOG_LIK)
    t = 2.0 * (m.log_lik() - plain.llf)
    assert found["p_value"].iloc[1] == pytest.approx(stats.chi2.sf(t, 1), rel=1e-6)
    assert found["p_mixture"].iloc[1] == pytest.approx(0.5 * stats.chi2.sf(t, 1), rel=1e-6)


def test_ranova_of_a_slope():
    m = models.women()
    found = mx.ranova(m, p_values="mixture").iloc[1]
    expected = models.expected()["ratios"]
    assert found["log_lik"] == pytest.approx(expected["no_slope"], rel=GLMM_AGAINST_GLMMTMB)
    t = found["statistic"]
    assert t == pytest.approx(2.0 * (expected["slopes"] - expected["no_slope"]), rel=1e-5)
    mixture = 0.5 * stats.chi2.sf(t, 1) + 0.5 * stats.chi2.sf(t, 2)
    assert found["p_mixture"] == pytest.approx(mixture, rel=1e-12)
    whole = mx.ranova(m, reduce_terms=False, p_values="mixture")
    assert np.isnan(whole["p_mixture"].iloc[1])
    assert "several variances" in whole.attrs["notes"][whole.index[1]]


def test_ranova_of_a_structure_has_no_mixture():
    m = models.generated("count", "diag(1 + x | g)")
    found = mx.ranova(m, reduce_terms=False, p_values="mixture")
    assert np.isnan(found["p_mixture"].iloc[1])
    with pytest.raises(UnsupportedModelError, match=r"p_values=\['mixture', 'bootstrap'\]"):
        mx.ranova(m, p_values="exact")


def test_the_bootstrap_of_a_variance_is_near_its_mixture():
    data = models.rows(120, seed=2)
    m = mx.glmer("count ~ x + (1 | h)", data, "poisson")
    found = mx.ranova(m, p_values=["mixture", "bootstrap"], n_sims=150, rng=4).iloc[1]
    error = np.sqrt(found["p_mixture"] * (1 - found["p_mixture"]) / 150) + 1.0 / 151
    assert found["p_bootstrap"] == pytest.approx(found["p_mixture"], abs=4.0 * error)


def test_pb_modcomp():
    large = models.cbpp()
    small = large.update(". ~ . - C(period)")
    found = mx.pb_modcomp(large, small, n_sims=60, rng=1)
    again = mx.pb_modcomp(large, small, n_sims=60, rng=1)
    np.testing.assert_array_equal(found.sample, again.sample)
    assert (found.df, found.n_failed) == (3, 0)
    assert found.statistic == pytest.approx(2.0 * (large.log_lik() - small.log_lik()), rel=1e-9)
    # A likelihood ratio of three parameters has about that mean.
    assert found.mean == pytest.approx(3.0, abs=4.0 * np.sqrt(6.0 / 60) + 0.3)
    # Its replicates are the ratios of whole fits.
    y = small.simulate(60, rng=1)["sim_7"]
    ratio = 2.0 * (large.refit(y).log_lik() - small.refit(y).log_lik())
    assert found.sample[6] == pytest.approx(ratio, abs=1e-7)


def test_models_that_are_not_compared():
    large = models.cbpp()
    with pytest.raises(InvalidArgumentError, match="pb_modcomp: a generalised model is compared"):
        mx.pb_modcomp(large, mx.lmer("number ~ x + (1 | g)", models.rows()))
    with pytest.raises(InvalidArgumentError, match="pb_modcomp: the models have different famil"):
        mx.pb_modcomp(large, models.cbpp("binomial(probit)"))
    with pytest.raises(InvalidArgumentError, match="give the larger one first"):
        mx.pb_modcomp(large.update(". ~ . - C(period)"), large)

"""Single deletions of fixed terms and of random-effects terms."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import statsmodels.formula.api as smf
from ddf_models import CASES, IDS, as_r, data_of, expected, fit, frame_of, gap, quietly
from scipy import stats
from tolerances import DDF, LIKELIHOOD_RATIO, P_VALUE, TEST_STATISTIC

import merextras as mx
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError, SingularFitWarning, UnsupportedModelError

RATIO = {"df": "npar", "aic": "AIC", "statistic": "LRT", "p_value": "Pr(Chi)"}
F = {
    "sum_sq": "Sum Sq",
    "mean_sq": "Mean Sq",
    "num_df": "NumDF",
    "den_df": "DenDF",
    "statistic": "F value",
    "p_value": "Pr(>F)",
}
RANOVA = {
    "npar": "npar",
    "log_lik": "logLik",
    "aic": "AIC",
    "statistic": "LRT",
    "df": "Df",
    "p_value": "Pr(>Chisq)",
}


def assert_same(table, wanted, columns, tolerance, rows=None):
    wanted = frame_of(wanted)
    assert list(table.columns) == list(columns)
    rows = [as_r(label) for label in table.index] if rows is None else rows
    for name, theirs in columns.items():
        limit = {"p_value": P_VALUE, "den_df": DDF}.get(name, tolerance)
        assert gap(table[name], wanted.loc[rows, theirs]) < limit, name


@pytest.mark.parametrize(("name", "reml"), CASES, ids=IDS)
def test_drop1(name, reml):
    m, wanted = fit(name, reml), expected(name, reml)
    assert_same(m.drop1(test="F"), wanted["drop1_f"], F, TEST_STATISTIC)
    if reml:
        found = m.drop1(test="f", ddf="kenward-roger")
        assert_same(found, wanted["drop1_f_kenward_roger"], F, TEST_STATISTIC)
    if "drop1_chisq" in wanted:
        assert_same(m.drop1(), wanted["drop1_chisq"], RATIO, LIKELIHOOD_RATIO)
        plain = m.drop1(test=None)
        assert_same(plain, wanted["drop1_chisq"], {"df": "npar", "aic": "AIC"}, LIKELIHOOD_RATIO)


def test_drop1_is_anova_of_the_smaller_model():
    m = fit("missing_cell", reml=False)
    small = quietly("Reaction ~ phase + grp + (1 | Subject)", "holed", False)
    found, wanted = m.drop1().loc["phase:grp"], small.anova(m).iloc[1]
    assert found["df"] == wanted["df"] == 3.0
    assert found["statistic"] == pytest.approx(wanted["statistic"], rel=LIKELIHOOD_RATIO)


def test_a_term_that_changes_the_coding_of_others():
    """``0 + a + b`` without a is ``0 + b``, whose columns are not those of b before."""
    m = quietly("Reaction ~ 0 + phase + grp + (1 | Subject)", "thinned", False)
    found = m.drop1()
    for term, left in (("phase", "grp"), ("grp", "phase")):
        small = quietly(f"Reaction ~ 0 + {left} + (1 | Subject)", "thinned", False)
        wanted = small.anova(m).iloc[1]
        assert found.loc[term, "df"] == wanted["df"] == 2.0
        assert found.loc[term, "statistic"] == pytest.approx(wanted["statistic"], rel=P_VALUE)
    same = quietly("Reaction ~ phase + grp + (1 | Subject)", "thinned", False)
    by_f = m.drop1(test="f", ddf="asymptotic")
    columns = ["num_df", "statistic"]
    np.testing.assert_allclose(by_f[columns], same.drop1(test="f", ddf="asymptotic")[columns])


def test_scope():
    m = fit("covariate_by_factor")
    assert m.drop1(test="f").index.tolist() == ["agree", "open:class"]
    assert m.drop1(test="f", scope="agree").index.tolist() == ["agree"]
    assert m.drop1(scope=["agree"]).index.tolist() == ["<none>", "agree"]
    for label in ("open", "nothing"):
        with pytest.raises(InvalidArgumentError, match=r"allowed: 'agree', 'open:class'"):
            m.drop1(scope=[label])


def test_weights_and_offset_stay():
    data = data_of("thinned")
    weights = 1.0 + np.arange(len(data)) % 3
    options = {"weights": weights, "offset": data["Days"].to_numpy(dtype=float), "reml": False}
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", data, **options)
    small = mx.lmer("Reaction ~ 1 + (1 | Subject)", data, **options)
    wanted = small.anova(m).iloc[1]
    assert m.drop1().loc["Days", "statistic"] == pytest.approx(wanted["statistic"], rel=1e-8)
    assert mx.ranova(m)["npar"].tolist() == [4, 3]


def test_what_drop1_refuses():
    for test in ("wald", 1, True):
        with pytest.raises(InvalidArgumentError, match=f"test={test!r}: allowed"):
            fit("two_factors").drop1(test=test)
    with pytest.raises(InvalidArgumentError, match="ddf='exact'"):
        fit("two_factors").drop1(test="f", ddf="exact")


# --- ranova --------------------------------------------------------------------------------------


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


def test_exact_p_values():
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", load_dataset("dyestuff"))
    both = mx.ranova(m, p_values="both", rng=1)
    assert list(both.columns) == [*RANOVA, "p_exact"]
    assert both["p_exact"].iloc[1] == mx.exact_rlrt(m, rng=1).p_value < both["p_value"].iloc[1]
    exact = mx.ranova(m, p_values="exact", rng=1)
    assert exact["p_value"].iloc[1] == both["p_exact"].iloc[1]
    assert np.isnan(both["p_exact"].iloc[0])
    many = mx.ranova(fit("crossed"), p_values="both")
    assert many["p_exact"].isna().all()
    assert many["p_value"].iloc[1] == pytest.approx(stats.chi2.sf(many["statistic"].iloc[1], 1))


def test_what_ranova_refuses():
    with pytest.raises(InvalidArgumentError, match="p_values='bootstrap': allowed: 'chisq'"):
        mx.ranova(fit("crossed"), p_values="bootstrap")
    with pytest.raises(UnsupportedModelError, match="OLS"):
        mx.ranova(smf.ols("Reaction ~ Days", data_of("thinned")).fit())

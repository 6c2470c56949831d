"""Tests by term and between models, against lme4 and lmerTest."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from ddf_models import (
    CASES,
    EXPECTED,
    F_COLUMNS,
    IDS,
    as_r,
    data_of,
    expected,
    fit,
    frame_of,
    gap,
    quietly,
)
from tolerances import LIKELIHOOD_RATIO, P_VALUE, TEST_STATISTIC

import merextras as mx
from merextras.exceptions import InvalidArgumentError, RefitWarning, UnsupportedModelError

PLAIN = {
    "sum_sq": ("Sum Sq", TEST_STATISTIC),
    "mean_sq": ("Mean Sq", TEST_STATISTIC),
    "num_df": ("npar", TEST_STATISTIC),
    "statistic": ("F value", TEST_STATISTIC),
}
RATIO = {
    "npar": ("npar", LIKELIHOOD_RATIO),
    "aic": ("AIC", LIKELIHOOD_RATIO),
    "bic": ("BIC", LIKELIHOOD_RATIO),
    "log_lik": ("logLik", LIKELIHOOD_RATIO),
    "deviance": ("deviance", LIKELIHOOD_RATIO),
    "statistic": ("Chisq", LIKELIHOOD_RATIO),
    "df": ("Df", LIKELIHOOD_RATIO),
    "p_value": ("Pr(>Chisq)", P_VALUE),
}


def assert_same(table, wanted, columns, rows=None):
    wanted = frame_of(wanted)
    assert list(table.columns) == list(columns)
    rows = [as_r(label) for label in table.index] if rows is None else rows
    assert sorted(rows) == sorted(wanted.index)
    for name, (theirs, tolerance) in columns.items():
        assert gap(table[name], wanted.loc[rows, theirs]) < tolerance, name


WITH_TERMS = pytest.mark.parametrize(("name", "reml"), CASES, ids=IDS)


@WITH_TERMS
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_by_term_as_lmertest(name, reml, kind):
    wanted = expected(name, reml)
    m = fit(name, reml)
    found = m.anova(ddf="satterthwaite", type=kind)
    assert_same(found, wanted[f"satterthwaite_{kind}"], F_COLUMNS)
    if reml:
        found = m.anova(ddf="kenward-roger", type=kind)
        assert_same(found, wanted[f"kenward_roger_{kind}"], F_COLUMNS)


@WITH_TERMS
def test_plain_table_as_lme4(name, reml):
    assert_same(fit(name, reml).anova(), expected(name, reml)["plain"], PLAIN)


def test_type_3_does_not_depend_on_the_coding():
    wanted = EXPECTED["models"]["two_factors"]["sum_type_3"]
    assert_same(fit("two_factors").anova(ddf="satterthwaite"), wanted, F_COLUMNS)
    for coding in ("Sum", "Helmert", "Treatment('b')", "Poly"):
        other = "Sum" if "(" in coding else coding
        coded = fit("two_factors", phase=coding, grp=other)
        for kind in (2, 3):
            a = fit("two_factors").anova(ddf="kenward-roger", type=kind)
            b = coded.anova(ddf="kenward-roger", type=kind)
            assert a.index.tolist() == b.index.tolist()
            np.testing.assert_allclose(a, b, rtol=P_VALUE)


def test_both_formula_engines_and_the_adapter():
    data = data_of("thinned")
    wanted = fit("two_factors").anova(ddf="satterthwaite")
    control = mx.LmerControl(formula_engine="formulaic")
    other = quietly("Reaction ~ phase * grp + (1 | Subject)", "thinned", True, control=control)
    np.testing.assert_allclose(other.anova(ddf="satterthwaite"), wanted, rtol=P_VALUE)
    raw = smf.mixedlm("Reaction ~ phase * grp", data, groups="Subject").fit()
    adapted = mx.MerMod(raw).anova(ddf="satterthwaite")
    np.testing.assert_allclose(adapted, wanted, rtol=P_VALUE)
    assert adapted.index.tolist() == wanted.index.tolist()


def test_order_is_that_of_the_formula():
    """patsy puts categorical columns first; R goes by the formula, main effects first."""
    m = quietly("Reaction ~ Days:grp + Days + grp + (1 | Subject)", "thinned", True)
    assert m.anova(ddf="asymptotic", type=1).index.tolist() == ["Days", "grp", "Days:grp"]
    other = quietly("Reaction ~ Days * grp + (1 | Subject)", "thinned", True)
    np.testing.assert_allclose(m.anova(), other.anova(), rtol=TEST_STATISTIC)


def test_terms_of_arrays_and_transforms():
    data = data_of("thinned")
    x = np.column_stack([np.ones(len(data)), data["Days"], data["Days"] ** 2])
    raw = sm.MixedLM(data["Reaction"].to_numpy(), x, groups=data["Subject"].to_numpy()).fit()
    found = mx.MerMod(raw).anova(ddf="satterthwaite")
    assert found.index.tolist() == ["x1", "x2"]
    same = quietly("Reaction ~ Days + I(Days ** 2) + (1 | Subject)", "thinned", True)
    wanted = same.anova(ddf="satterthwaite")
    assert wanted.index.tolist() == ["Days", "I(Days ** 2)"]
    np.testing.assert_allclose(found, wanted, rtol=P_VALUE)
    spline = quietly("Reaction ~ bs(Days, df=4) + (1 | Subject)", "thinned", True)
    assert spline.anova(ddf="asymptotic")["num_df"].tolist() == [4]


def test_r_spellings_of_arguments():
    m = fit("two_factors")
    found = m.anova(ddf="Kenward-Roger", type="II")
    pd.testing.assert_frame_equal(found, m.anova(ddf="kenward-roger", type=2))


def test_without_terms():
    m = quietly("Reaction ~ 1 + (1 | Subject)", "thinned", True)
    assert m.anova(ddf="satterthwaite").empty
    assert m.anova().empty
    assert m.drop1(test="f").empty
    assert m.drop1().index.tolist() == ["<none>"]


# --- between models ------------------------------------------------------------------------------


@functools.cache
def chain(reml=True):
    formulas = ["1 + (1 | Subject)", "Days + (1 | Subject)", "Days + (Days || Subject)"]
    formulas.append("Days + (Days | Subject)")
    return [quietly(f"Reaction ~ {f}", "thinned", reml) for f in formulas]


def least_squares(formula="Reaction ~ 1", data="thinned"):
    return smf.ols(formula, data_of(data)).fit()


def test_refitted_by_ml():
    a, b, d, e = chain()
    with pytest.warns(RefitWarning, match=r"refitting 4 model\(s\) by ML \(instead") as caught:
        found = b.anova(e, a, d)
    assert caught[0].filename == __file__
    wanted = EXPECTED["comparisons"]["refitted"]
    assert_same(found, wanted, RATIO, rows=["a", "b", "d", "e"])
    assert found.index.tolist() == [m.formula() for m in (a, b, d, e)]


def test_models_by_ml_are_taken_as_they_are():
    wanted = EXPECTED["comparisons"]["refitted"]
    a, b, d, e = chain(reml=False)
    assert_same(a.anova(b, d, e), wanted, RATIO, rows=["a", "b", "d", "e"])


def test_by_reml():
    _, b, d, e = chain()
    found = b.anova(d, e, refit=False)
    assert_same(found, EXPECTED["comparisons"]["by_reml"], RATIO, rows=["b", "d", "e"])


def test_least_squares_is_the_smallest():
    a, b, *_ = chain(reml=False)
    found = b.anova(a, least_squares())
    assert_same(found, EXPECTED["comparisons"]["with_ols"], RATIO, rows=["ols", "a", "b"])
    assert found.index[0] == "Reaction ~ 1"
    raw = smf.mixedlm("Reaction ~ 1", data_of("thinned"), groups="Subject").fit(reml=False)
    again = b.anova(raw, least_squares())
    np.testing.assert_allclose(again, found, rtol=P_VALUE)


def test_names():
    _, b, d, _ = chain(reml=False)
    assert d.anova(b, names=["large", "small"]).index.tolist() == ["small", "large"]
    for names in (["one"], "ab", ["a", "b", "c"]):
        with pytest.raises(InvalidArgumentError, match="expected 2 names"):
            d.anova(b, names=names)


def test_the_same_model_twice():
    _, b, *_ = chain(reml=False)
    found = b.anova(b)
    assert found["statistic"].iloc[1] == found["df"].iloc[1] == 0.0
    assert np.isnan(found["p_value"].iloc[1])


def test_columns_that_span_the_same_are_nested():
    small = quietly("Reaction ~ I(Days / 7) + (1 | Subject)", "thinned", False)
    large = quietly("Reaction ~ Days + I(Days ** 2) + (1 | Subject)", "thinned", False)
    assert small.anova(large)["df"].tolist()[1] == 1.0


def test_compound_symmetry_is_within_an_unstructured_term():
    data = data_of("thinned")
    small = quietly("Reaction ~ Days + (1 | Subject) + (1 | Subject:phase)", "thinned", False)
    large = quietly("Reaction ~ Days + (0 + phase | Subject)", "thinned", False)
    found = small.anova(large)
    assert found["df"].tolist()[1] == 4.0
    assert found["statistic"].iloc[1] > 0.0
    other = quietly("Reaction ~ Days + (1 | Subject) + (1 | Days)", "thinned", False)
    with pytest.raises(InvalidArgumentError, match="no random-effects term of it contains"):
        other.anova(large)
    # A factor that cuts across the cells is not a partition of them.
    cut = data.assign(cut=np.arange(len(data)) % 2)
    crossing = mx.lmer("Reaction ~ Days + (1 | Subject:cut)", cut, reml=False)
    with pytest.raises(InvalidArgumentError, match="not nested"):
        crossing.anova(large)


@pytest.mark.parametrize(
    ("small", "large", "message"),
    [
        ("grp + (1 | Subject)", "Days + (Days | Subject)", r"its fixed effects \['grp\[T.y\]'"),
        ("Days + (Days | Subject)", "Days + I(Days**2) + (1 | Subject)", "not nested"),
        ("Days + (Days | Subject)", "Days*grp + (1 | Subject) + (0 + Days | Subject)", "2 effect"),
        ("Days + (1 | grp)", "Days + (Days | Subject)", "no random-effects term"),
    ],
)
def test_not_nested(small, large, message):
    models = [quietly(f"Reaction ~ {f}", "thinned", False) for f in (small, large)]
    with pytest.raises(InvalidArgumentError, match=message):
        models[0].anova(models[1])


def test_least_squares_that_is_not_nested():
    _, b, *_ = chain(reml=False)
    with pytest.raises(InvalidArgumentError, match="not nested"):
        b.anova(least_squares("Reaction ~ grp"))
    with pytest.raises(InvalidArgumentError, match=r"not nested|no random-effects term"):
        b.anova(least_squares("Reaction ~ Days * grp + I(Days**2)"))


def test_different_data():
    _, b, *_ = chain(reml=False)
    data = data_of("thinned")
    formula = "Reaction ~ Days + (Days | Subject)"
    with pytest.raises(InvalidArgumentError, match=r"different data.* 140 observations, .* to 139"):
        b.anova(mx.lmer(formula, data.iloc[1:], reml=False))
    with pytest.raises(InvalidArgumentError, match="different data: the responses"):
        b.anova(mx.lmer(formula, data.assign(Reaction=data["Reaction"] + 1), reml=False))
    with pytest.raises(InvalidArgumentError, match="rows in the same order"):
        b.anova(mx.lmer(formula, data.iloc[::-1], reml=False))
    weights = 1.0 + np.arange(len(data)) % 2
    with pytest.raises(InvalidArgumentError, match="the weights of"):
        b.anova(mx.lmer(formula, data, reml=False, weights=weights))
    with pytest.raises(InvalidArgumentError, match="different data"):
        b.anova(least_squares(data="sleep"))


def test_refit_false_needs_comparable_criteria():
    a, b, *_ = chain()
    with pytest.raises(InvalidArgumentError, match="different fixed effects can't be compared"):
        a.anova(b, refit=False)
    with pytest.raises(InvalidArgumentError, match="some models were fitted by REML"):
        a.anova(chain(reml=False)[1], refit=False)
    with pytest.raises(InvalidArgumentError, match="some models were fitted by REML"):
        a.anova(least_squares(), refit=False)
    # Weeks for days: by REML the log of their ratio would be taken for evidence.
    weeks = quietly("Reaction ~ I(Days / 7) + (Days | Subject)", "thinned", True)
    with pytest.raises(InvalidArgumentError, match="code the same fixed effects differently"):
        b.anova(weeks, refit=False)
    swapped = quietly("Reaction ~ 0 + Days + I(Days * 0 + 1) + (Days | Subject)", "thinned", True)
    wanted = b.anova(chain()[3], refit=False)["statistic"].iloc[1]
    assert b.anova(swapped, refit=False)["statistic"].iloc[1] == pytest.approx(wanted, rel=1e-8)


def test_what_anova_refuses():
    a, b, *_ = chain(reml=False)
    with pytest.raises(InvalidArgumentError, match="more than one OLS"):
        b.anova(least_squares(), least_squares("Reaction ~ Days"))
    with pytest.raises(InvalidArgumentError, match="anova: this OLS model has not been fitted"):
        b.anova(smf.ols("Reaction ~ 1", data_of("thinned")))
    with pytest.raises(InvalidArgumentError, match="ddf is for the terms of one model"):
        a.anova(b, ddf="satterthwaite")
    with pytest.raises(UnsupportedModelError, match="GLM"):
        b.anova(smf.glm("Reaction ~ 1", data_of("thinned")).fit())
    for kind in (4, "IV", True, None):
        with pytest.raises(InvalidArgumentError, match=r"allowed: 1, 2, 3"):
            b.anova(ddf="satterthwaite", type=kind)
    with pytest.raises(InvalidArgumentError, match="ddf='lme4'"):
        b.anova(ddf="lme4")


def test_an_ml_fit_by_kenward_roger_points_at_the_caller():
    m = fit("two_factors", False)
    for verb in (m.anova, functools.partial(m.drop1, test="f")):
        with pytest.warns(RefitWarning, match="refitted by REML") as caught:
            found = verb(ddf="kenward-roger")
        assert caught[0].filename in {__file__, functools.__file__}
        assert np.all(found["den_df"] > 0)


def test_nothing_is_changed():
    _, b, d, _ = chain()
    before = (b.theta.copy(), b.solution.deviance())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefitWarning)
        b.anova(d)
    assert before == (b.theta, b.solution.deviance())
    assert b.is_reml()

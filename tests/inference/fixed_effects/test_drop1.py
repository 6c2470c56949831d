"""Single deletions of fixed terms."""

from __future__ import annotations

import numpy as np
import pytest
from ddf_models import CASES, IDS, as_r, data_of, expected, fit, frame_of, gap, quietly
from tolerances import DDF, LIKELIHOOD_RATIO, P_VALUE, TEST_STATISTIC

import merextras as mx
from merextras.exceptions import InvalidArgumentError

RATIO = {"df": "npar", "aic": "AIC", "statistic": "LRT", "p_value": "Pr(Chi)"}
F = {
    "sum_sq": "Sum Sq",
    "mean_sq": "Mean Sq",
    "num_df": "NumDF",
    "den_df": "DenDF",
    "statistic": "F value",
    "p_value": "Pr(>F)",
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
    for scope in (["open"], "nothing", 3):
        with pytest.raises(InvalidArgumentError, match=r"scope=.*allowed: 'agree', 'open:class'"):
            m.drop1(scope=scope)


def test_weights_and_offset_stay():
    data = data_of("thinned")
    weights = 1.0 + np.arange(len(data)) % 3
    options = {"weights": weights, "offset": data["Days"].to_numpy(dtype=float), "reml": False}
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", data, **options)
    small = mx.lmer("Reaction ~ 1 + (1 | Subject)", data, **options)
    wanted = small.anova(m).iloc[1]
    assert m.drop1().loc["Days", "statistic"] == pytest.approx(wanted["statistic"], rel=1e-8)


def test_what_drop1_refuses():
    for test in ("wald", 1, True):
        with pytest.raises(InvalidArgumentError, match=f"test={test!r}: allowed"):
            fit("two_factors").drop1(test=test)
    with pytest.raises(InvalidArgumentError, match="ddf='exact'"):
        fit("two_factors").drop1(test="f", ddf="exact")

"""Which of dependent columns goes follows the formula; drop1 knows what replaces a term: R's."""

from __future__ import annotations

import warnings

import formula_models as fm
import numpy as np
import pytest
import tolerances as tol

from merextras.exceptions import InvalidArgumentError, MerextrasWarning
from merextras.model.columns.fixed import FormulaPart, Scope

F_NAMES = {"sum_sq": "Sum Sq", "num_df": "NumDF", "den_df": "DenDF", "statistic": "F value"}


def quietly(way, formula, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return fm.fit(way, formula, data)


def same_tests(found, wanted):
    """Rows that R leaves out or has as NA are terms of 0 df here, or not there."""
    wanted = wanted.dropna(how="all")
    for name, theirs in F_NAMES.items():
        mine = found.loc[wanted.index, name].to_numpy(dtype=float)
        np.testing.assert_allclose(mine, wanted[theirs], rtol=tol.FORMULA_TESTS)
    others = found.drop(index=wanted.index)
    assert (others["num_df"] == 0).all()
    assert others[["statistic", "p_value"]].isna().all(axis=None)


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize("case", ["cake_tests", "cake_other_order"])
def test_the_first_of_dependent_terms_stays(way, case):
    wanted = fm.EXPECTED[case]
    m = quietly(way, wanted["formula"], fm.CAKE)
    values = sorted(wanted["beta"]["values"])
    np.testing.assert_allclose(np.sort(m.fixef()), values, rtol=tol.FORMULA_IN_R)
    assert ("temp" in m.fixef().index) == (case == "cake_tests")
    for kind in (1, 2, 3):
        same_tests(m.anova(ddf="satterthwaite", type=kind), fm.numbers(wanted[f"type_{kind}"]))


@pytest.mark.parametrize("way", fm.WAYS)
def test_a_covariate_and_its_factor(way):
    """One degree of freedom and four; with the covariate dropped it was one row of five."""
    m = quietly(way, fm.EXPECTED["cake_tests"]["formula"], fm.CAKE)
    table = m.anova(ddf="satterthwaite", type=1)
    assert table["num_df"].to_dict() == {"temp": 1, "temperature": 4, "recipe": 2}
    assert table["statistic"].round(2).to_dict() == {
        "temp": 96.05,
        "temperature": 1.63,
        "recipe": 0.25,
    }


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize("case", ["cake_tests", "hours"])
def test_drop1_of_terms_that_others_replace(way, case):
    wanted = fm.EXPECTED[case]
    m = quietly(way, wanted["formula"], fm.CAKE if case == "cake_tests" else fm.sleep_data())
    same_tests(m.drop1(test="f"), fm.numbers(wanted["drop1_f"]))
    same_tests(m.drop1(ddf="kenward-roger"), fm.numbers(wanted["drop1_f_kenward_roger"]))
    ratio, theirs = m.drop1(), fm.numbers(wanted["drop1_chisq"])
    assert sorted(ratio.index) == sorted(theirs.index)
    theirs = theirs.loc[ratio.index]
    np.testing.assert_array_equal(ratio["df"], theirs["npar"])
    np.testing.assert_allclose(ratio["aic"], theirs["AIC"], rtol=tol.FORMULA_IN_R)
    np.testing.assert_allclose(ratio["statistic"], theirs["LRT"], rtol=1e-5, atol=1e-7)
    assert ratio["p_value"].isna().equals(~(ratio["df"] > 0))


@pytest.mark.parametrize("way", fm.WAYS)
def test_drop1_of_a_factor_that_leaves_its_covariate(way):
    """lmerTest tests all five columns against zero; without the factor the covariate is there."""
    m = quietly(way, fm.EXPECTED["cake_other_order"]["formula"], fm.CAKE)
    same = quietly(way, fm.EXPECTED["cake_tests"]["formula"], fm.CAKE)
    found, wanted = m.drop1(test="f"), same.drop1(test="f")
    columns = ["num_df", "statistic", "sum_sq"]
    a, b = found.loc["temperature", columns], wanted.loc["temperature", columns]
    np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=tol.FORMULA_TESTS)
    assert found.loc["temp", "num_df"] == 0


def test_drop1s_arguments():
    m = fm.fit("patsy", "Reaction ~ Days + z + (Days | Subject)", fm.sleep_data())
    found = m.drop1(ddf="kenward-roger")
    assert found.equals(m.drop1(test="f", ddf="kenward-roger"))
    assert "den_df" in found.columns
    assert m.drop1().equals(m.drop1(test="chisq"))
    for test in ("chisq", None):
        with pytest.raises(InvalidArgumentError, match="degrees of freedom are those of F tests"):
            m.drop1(test=test, ddf="kenward-roger")
    with pytest.raises(InvalidArgumentError, match="ddf='exact'"):
        m.drop1(ddf="exact")


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
@pytest.mark.parametrize(
    ("formula", "order"),
    [
        ("z + C(Days > 4) + hours", ["Intercept", "z", "C(Days > 4)[T.True]", "hours"]),
        ("0 + z:C(Days > 4) + hours + z", ["hours", "z"]),
        ("I(z**2) + scale(Days) + z", ["Intercept", "I(z ** 2)", "scale(Days)", "z"]),
    ],
)
def test_columns_in_the_order_of_the_terms(engine, formula, order):
    part = FormulaPart.from_formula(formula, fm.sleep_data(), scope=Scope(engine=engine))
    found = [part.names[j].replace("**", " ** ").replace("  ", " ") for j in part.column_order()]
    assert found[: len(order)] == order

"""One effect under several names, and names that formulas must not change."""

from __future__ import annotations

import formula_models as fm
import numpy as np
import pytest
import tolerances as tol

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.model.formula.names import effect_key

pytestmark = pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    sleep = fm.sleep_data()
    slope = rng.normal(0.0, 1.5, 18)[np.unique(sleep["Subject"], return_inverse=True)[1]]
    reaction = sleep["Reaction"] + slope * sleep["z"] * sleep["Days"]
    return sleep.assign(Reaction=reaction, **{"a  b": sleep["Days"]})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("x:z", "z:x", True),
        ("C(f)[T.b]:x", "x:C(f)[T.b]", True),
        ("f[T.a:b]:x", "x:f[T.a:b]", True),
        ("f[T.a:b]", "f[T.b:a]", False),
        ("I(x ** 2):z", "z:I(x**2)", True),
        ("np.where(x > 3, 'a:b', 'c')", "np.where(x > 3, 'a:b', 'c')", True),
        ("x:z", "x:w", False),
        ("x", "x:x", False),
    ],
)
def test_names_of_one_effect(one, other, same):
    assert (effect_key(one) == effect_key(other)) is same


@pytest.mark.parametrize("way", fm.WAYS)
def test_an_interaction_in_another_order(way, data):
    """The coefficient is the fixed effect plus the group's, however the two are written."""
    m = fm.fit(way, "Reaction ~ Days * z + (1 + z:Days || Subject)", data)
    same = fm.fit(way, "Reaction ~ Days * z + (1 + Days:z || Subject)", data)
    fixed = m.fixef()["Days:z"]
    right = fixed + m.ranef()["Subject"].iloc[:, 1]
    assert right.abs().max() > 2.0 * abs(fixed)
    coef = m.coef()["Subject"]
    assert coef.columns.tolist() == ["Intercept", "Days", "z", "Days:z"]
    np.testing.assert_allclose(coef["Days:z"], right, rtol=tol.INVARIANCE)
    np.testing.assert_allclose(coef, same.coef()["Subject"], rtol=1e-6)
    tidy = mx.tidy(m, "ran_coefs")
    np.testing.assert_allclose(tidy[tidy["term"] == "Days:z"]["estimate"], right, rtol=1e-9)
    theirs = mx.tidy(same, "ran_coefs")
    np.testing.assert_allclose(tidy["std_error"], theirs["std_error"], rtol=1e-5)
    sims = mx.sim(m, 400, rng=1)
    np.testing.assert_allclose(
        sims.coef("Subject")[:, :, 1].mean(axis=0),
        right,
        atol=6 * tidy["std_error"].max() / np.sqrt(400),
    )
    if way != "chunks":
        shrunk = mx.shrinkage(m)
        found = shrunk[shrunk["term"] == "z:Days"]["partial_pooling"]
        np.testing.assert_allclose(found, right, rtol=1e-9)
        kept = m.predict(re_form="~ (0 + Days:z | Subject)")
        np.testing.assert_array_equal(kept, m.predict(re_form="~ (0 + z:Days | Subject)"))


@pytest.mark.parametrize("way", fm.WAYS)
def test_an_interaction_twice(way, data):
    with pytest.raises(InvalidArgumentError, match="the effect 'Days:z' of 'Subject' is in two"):
        fm.fit(way, "Reaction ~ z + (0 + z:Days | Subject) + (0 + Days:z | Subject)", data)


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize(
    ("change", "bars"),
    [
        (". ~ . - (1 | Subject)", "(0 + Days + z:Days || Subject)"),
        (". ~ . - (0 + Days | Subject)", "(z:Days || Subject)"),
        (". ~ . - (0 + Days:z | Subject)", "(Days || Subject)"),
        (". ~ . - (Days || Subject)", "(0 + z:Days || Subject)"),
        (". ~ . - (1 + Days:z + Days || Subject) + (1 | Subject)", "(1 | Subject)"),
    ],
)
def test_update_takes_out_parts(way, change, bars, data):
    m = fm.fit(way, "Reaction ~ Days + (1 + Days + z:Days || Subject)", data)
    if way == "chunks" and change.endswith("+ (1 | Subject)"):
        change = ". ~ . - (Days + Days:z || Subject) + (1 | Subject)"
    found = m.update(change)
    assert found.formula() == f"Reaction ~ Days + {bars}"
    same = fm.fit("patsy", f"Reaction ~ Days + {bars}", data)
    assert found.reml_crit() == pytest.approx(same.reml_crit(), rel=1e-8)


def test_update_refuses_what_is_no_part(data):
    m = fm.fit("patsy", "Reaction ~ Days + (1 + Days || Subject)", data)
    for bar in ("(1 + Days | Subject)", "(0 + z | Subject)", "(1 | z)"):
        with pytest.raises(InvalidArgumentError, match="there is no term"):
            m.update(f". ~ . - {bar}")
    m = fm.fit("patsy", "Reaction ~ Days + (1 + Days | Subject)", data)
    with pytest.raises(InvalidArgumentError, match="there is no term"):
        m.update(". ~ . - (1 | Subject)")


@pytest.mark.parametrize("way", fm.WAYS)
def test_a_name_with_two_spaces(way, data):
    m = fm.fit(way, "Reaction ~  `a  b`  + z + (`a  b` | Subject)", data)
    assert m.formula() == "Reaction ~ `a  b` + z + (`a  b` | Subject)"
    assert m.fixef().index.tolist() == ["Intercept", "a  b", "z"]
    smaller = m.update(". ~ . - z")
    assert smaller.fixef().index.tolist() == ["Intercept", "a  b"]
    if way == "chunks":
        return
    scaled = mx.standardize(m)
    assert scaled.fixef().index.tolist() == ["Intercept", "z.a  b", "z.z"]
    assert scaled.fixef()["z.a  b"] == pytest.approx(
        m.fixef()["a  b"] * 2.0 * data["Days"].std(), rel=1e-6
    )
    assert scaled.update(". ~ . - `z.z`").fixef().index.tolist() == ["Intercept", "z.a  b"]


def test_update_with_rs_spellings(data):
    m = fm.fit("patsy", "Reaction ~ Days + I(Days^2) + (I(Days^2) || Subject)", data)
    assert m.update(". ~ . - I(Days ** 2)").fixef().index.tolist() == ["Intercept", "Days"]
    found = m.update(". ~ . - (0 + I(Days^2) | Subject)")
    assert found.formula() == "Reaction ~ Days + I(Days ** 2) + (1 || Subject)"
    assert (
        m.update(". ~ (Days + z)^2 + (1 | Subject)", data=data).fixef().index.tolist()[-1]
        == "Days:z"
    )

"""Formula code as R's users write it, by each way in, against R."""

from __future__ import annotations

import formula_models as fm
import numpy as np
import pytest
import tolerances as tol

import merextras as mx
from merextras import lmer
from merextras.exceptions import InvalidArgumentError

FORMULAS = fm.EXPECTED["formulas"]


@pytest.fixture(scope="module")
def data():
    return fm.sleep_data()


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize("name", FORMULAS)
def test_estimates_criterion_and_predictions(name, way, data):
    wanted = FORMULAS[name]
    m = fm.fit(way, wanted["formula"], data)
    # Engines order columns of numbers and of factors in their own ways.
    found = m.fixef().to_numpy()
    order = [np.argmin(np.abs(found - b)) for b in wanted["beta"]]
    assert sorted(order) == list(range(len(found)))
    np.testing.assert_allclose(found[order], wanted["beta"], rtol=tol.FORMULA_IN_R)
    assert m.reml_crit() == pytest.approx(wanted["criterion"], rel=tol.FORMULA_IN_R)
    assert m.sigma() == pytest.approx(wanted["sigma"], rel=tol.FORMULA_IN_R)
    if "predicted" in wanted:
        made = m.predict(fm.NEW, re_form="NA")
        np.testing.assert_allclose(made, wanted["predicted"], rtol=tol.FORMULA_IN_R)


@pytest.mark.parametrize("way", fm.WAYS)
def test_a_power_is_none_of_bits(way, data):
    """The exclusive or of bits would give 250.79, 8.93 and 1.536."""
    m = fm.fit(way, "Reaction ~ Days + I(Days^2) + (1 | Subject)", data)
    assert m.fixef().round(3).to_dict() == {
        "Intercept": 255.449,
        "Days": 7.434,
        "I(Days ** 2)": 0.337,
    }
    same = fm.fit(way, "Reaction ~ Days + I(Days**2) + (1 | Subject)", data)
    assert same.fixef().equals(m.fixef())


@pytest.mark.parametrize("way", fm.WAYS)
def test_a_power_in_quotes_is_a_name(way, data):
    named = data.rename(columns={"z": "z^2"})
    m = fm.fit(way, "Reaction ~ `z^2` + (1 | Subject)", named)
    assert m.fixef().index.tolist() == ["Intercept", "z^2"]


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "int64"])
def test_powers_of_whole_numbers_do_not_wrap(way, kind, data):
    """63**12 is beyond 2**63; a small type wraps at once."""
    data = data.assign(k=(7 * data["Days"]).astype(kind))
    wanted = fm.fit(way, "Reaction ~ I(k^12 / 1e20) + (1 | Subject)", data.astype({"k": float}))
    m = fm.fit(way, "Reaction ~ I(k^12 / 1e20) + (1 | Subject)", data)
    np.testing.assert_allclose(m.fixef(), wanted.fixef(), rtol=tol.INVARIANCE)
    rows = data.head(4)
    np.testing.assert_allclose(m.predict(rows), wanted.predict(rows.astype({"k": float})))


@pytest.mark.parametrize("way", fm.WAYS)
def test_a_dot_is_all_other_columns(way, data):
    m = fm.fit(way, "Reaction ~ . - hours + (1 | Subject)", data)
    same = fm.fit(way, "Reaction ~ Days + z + (1 | Subject)", data)
    assert m.fixef().equals(same.fixef())
    assert "Reaction" not in m.fixef().index
    assert m.formula() == "Reaction ~ (Days + z + hours) - hours + (1 | Subject)"


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize(
    ("dotted", "plain"),
    [
        ("log(Reaction) ~ .", "log(Reaction) ~ Days + z"),
        ("Reaction ~ (.)^2", "Reaction ~ (Days + z)^2"),
        ("Reaction ~ . - 1", "Reaction ~ Days + z - 1"),
        ("Reaction ~ . - Subject", "Reaction ~ Days + z"),
        ("Reaction ~ z:.", "Reaction ~ z:Days + z"),
        ("Reaction ~ . + I(z**2 * .5)", "Reaction ~ Days + z + I(z**2 * .5)"),
    ],
)
def test_a_dot_in_other_places(way, dotted, plain, data):
    own = data.drop(columns="hours")
    m = fm.fit(way, f"{dotted} + (1 | Subject)", own)
    same = fm.fit(way, f"{plain} + (1 | Subject)", own)
    assert m.fixef().equals(same.fixef())


@pytest.mark.parametrize("way", fm.WAYS)
def test_a_dot_takes_names_that_need_quotes(way, data):
    own = data[["Reaction", "Days", "z", "Subject"]]
    own = own.set_axis(["Reaction", "the  days", "class", "Subject"], axis=1)
    m = fm.fit(way, "Reaction ~ . + (1 | Subject)", own)
    assert m.fixef().index.tolist() == ["Intercept", "the  days", "class"]
    assert m.update(". ~ . - class").fixef().index.tolist() == ["Intercept", "the  days"]


@pytest.mark.parametrize("way", fm.WAYS)
def test_a_dot_that_stands_for_nothing_or_in_a_function(way, data):
    with pytest.raises(InvalidArgumentError, match="'.' stands for no column"):
        fm.fit(way, "Reaction ~ . + (1 | Subject)", data[["Reaction", "Subject"]])
    with pytest.raises(InvalidArgumentError, match="'.' stands for columns, which a function"):
        fm.fit(way, "Reaction ~ I(.) + (1 | Subject)", data)


@pytest.mark.parametrize("way", fm.WAYS)
def test_names_with_dots(way, data):
    named = data.rename(columns={"Days": "My.Days", "Subject": "the.subject"})
    m = fm.fit(way, "Reaction ~ My.Days + I(My.Days^2) + (1 | the.subject)", named)
    wanted = FORMULAS["power"]["beta"]
    np.testing.assert_allclose(m.fixef(), wanted, rtol=tol.FORMULA_IN_R)


@pytest.mark.parametrize("way", fm.WAYS)
def test_a_bar_alone(way, data):
    m = fm.fit(way, "Reaction ~ 1 | Subject", data)
    assert m.ranef()["Subject"].columns.tolist() == ["Intercept"]
    m = fm.fit(way, "Reaction ~ Days + (Days | Subject)", data)
    for bare in ("~1|Subject", "~ Days + 1 | Subject", "~ 0 + Days|Subject"):
        left, _, right = bare.removeprefix("~").partition("|")
        rows = data.head(20)
        wanted = m.predict(rows, re_form=f"~ ({left} | {right})")
        np.testing.assert_array_equal(m.predict(rows, re_form=bare), wanted)


@pytest.mark.parametrize("way", fm.WAYS)
def test_factor_is_a_categorical(way, data):
    m = fm.fit(way, "Reaction ~ factor(Days) + (1 | Subject)", data)
    same = fm.fit(way, "Reaction ~ C(Days) + (1 | Subject)", data)
    assert m.fixef().equals(same.fixef())
    assert m.fixef().index[1] == "C(Days)[T.1]"
    with pytest.raises(InvalidArgumentError, match=r"give levels by name, as in C\(Days, levels="):
        fm.fit(way, "Reaction ~ factor(Days, [3, 1]) + (1 | Subject)", data)


@pytest.mark.parametrize("way", fm.WAYS)
def test_names_of_the_caller_go_before(way, data):
    """A function of that name, not a number, as in R; math's take no columns."""
    from math import exp  # noqa: F401 (the formula finds it here)

    scale = 3.0  # noqa: F841
    m = fm.fit(way, "Reaction ~ scale(Days) + (1 | Subject)", data)
    np.testing.assert_allclose(m.fixef(), FORMULAS["scale"]["beta"], rtol=tol.FORMULA_IN_R)
    m = lmer("Reaction ~ I(Days * scale) + (1 | Subject)", data)
    assert m.fixef()["I(Days * scale)"] == pytest.approx(10.467285959596 / 3.0)
    m = lmer("Reaction ~ exp(-Days / 4) + sqrt(Days) + (1 | Subject)", data)
    np.testing.assert_allclose(m.fixef(), FORMULAS["exp_and_sqrt"]["beta"], rtol=tol.FORMULA_IN_R)

    def log(x):
        return 2.0 * x

    assert log(1.0) == 2.0
    m = lmer("Reaction ~ log(Days) + (1 | Subject)", data)
    assert m.fixef()["log(Days)"] == pytest.approx(10.467285959596 / 2.0)


def test_scale_of_a_constant_and_poly_of_few_values(data):
    for way in ("patsy", "chunks"):
        with pytest.raises(InvalidArgumentError, match=r"scale\(\): the column has one value only"):
            fm.fit(way, "Reaction ~ scale(c) + (1 | Subject)", data.assign(c=4.0))
        with pytest.raises(InvalidArgumentError, match=r"the degree 10 must be less than"):
            fm.fit(way, "Reaction ~ poly(Days, 10) + (1 | Subject)", data)
        with pytest.raises(InvalidArgumentError, match=r"poly\(degree=0\)"):
            fm.fit(way, "Reaction ~ poly(Days, 0) + (1 | Subject)", data)


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("2x", r"'2x' is not a column of the data.*2 times x is I\(2 \* x\)"),
        ("class", "'class' is not a column of the data"),
        ("Dayz", "'Dayz' is not a column of the data; did you mean 'Days'"),
        ("as.numeric(Days)", "for R's as.numeric"),
        ("ifelse(Days > 3, 1, 0)", r"for R's ifelse\(\) write np.where"),
        ("ns(Days, 3)", r"for R's ns\(\) write cr\("),
        ("Days %in% z", "operators between '%' are R's"),
        ("I(Days %% 2)", "x % 2 for x %% 2"),
        ("nothing(Days)", "'nothing' is not defined where the formula is written"),
        ("I(Days +)", "invalid syntax"),
    ],
)
def test_what_is_no_code_is_said(way, code, message, data):
    for formula in (f"Reaction ~ {code} + (1 | Subject)", f"Reaction ~ z + (0 + {code} | Subject)"):
        with pytest.raises(InvalidArgumentError, match=message):
            fm.fit(way, formula, data)


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize("code", ["2x", "class", "z +"])
def test_what_is_no_code_in_offset_and_response(way, code, data):
    for formula in (
        f"Reaction ~ z + offset({code}) + (1 | Subject)",
        f"{code} ~ z + (1 | Subject)",
    ):
        with pytest.raises(InvalidArgumentError, match="formula"):
            fm.fit(way, formula, data)


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize("right", ["Reaction + Days", "Days * Reaction", "Days"])
def test_the_response_among_the_predictors(way, right, data):
    bar = "(Reaction | Subject)" if right == "Days" else "(1 | Subject)"
    with pytest.raises(InvalidArgumentError, match="the response 'Reaction' is among"):
        fm.fit(way, f"Reaction ~ {right} + {bar}", data)


def test_truth_values_are_numbers(data):
    made = data.assign(high=(data["z"] > data["z"].mean()).astype(float))
    one, other = (
        mx.lmer(f"Reaction ~ Days + offset({code}) + (1 | Subject)", made).log_lik()
        for code in ("z > z.mean()", "high")
    )
    assert one == pytest.approx(other, rel=1e-12)


@pytest.mark.parametrize(
    ("way", "code"),
    [
        ("patsy", "C(Days)"),
        ("patsy", "poly(Days, 2)"),
        ("chunks", "C(Days)"),
        ("chunks", "poly(Days, 2)"),
        ("chunks", "z > 3"),
    ],
)
def test_an_offset_or_response_that_is_not_one_number(way, code, data):
    for formula in (
        f"Reaction ~ z + offset({code}) + (1 | Subject)",
        f"{code} ~ z + (1 | Subject)",
    ):
        with pytest.raises(InvalidArgumentError, match="must be one numeric column"):
            fm.fit(way, formula, data)


@pytest.mark.parametrize("written", ["factor(Subject)", "as.factor(Subject)", "C( `Subject` )"])
def test_a_grouping_factor_that_is_said_to_be_one(written):
    data = mx.load_dataset("sleepstudy")
    expected = mx.lmer("Reaction ~ Days + (Days | Subject)", data)
    for options in ({}, {"chunk_size": 50}):
        made = mx.lmer(f"Reaction ~ Days + (Days | {written})", data, **options)
        assert made.deviance() == pytest.approx(expected.deviance(), rel=1e-9)
        assert list(made.ranef()) == ["Subject"]


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("interaction(Subject, Days)", "write a:b"),
        ("Subject % 2", "is not a column"),
        ("I(Subject * 2)", "make a column of it"),
    ],
)
def test_code_right_of_a_bar_is_refused_with_what_to_write(written, instead):
    for options in ({}, {"chunk_size": 50}):
        with pytest.raises(InvalidArgumentError, match=instead):
            mx.lmer(f"Reaction ~ Days + (1 | {written})", mx.load_dataset("sleepstudy"), **options)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_code_without_a_value_is_ours_to_tell(engine):
    """Warnings are errors here: numpy's own would be seen."""
    data, control = mx.load_dataset("sleepstudy"), mx.LmerControl(formula_engine=engine)
    with pytest.raises(InvalidArgumentError, match="no value in some rows"):
        mx.lmer("Reaction ~ log(Days - 1) + (1 | Subject)", data, control=control)
    with pytest.raises(InvalidArgumentError, match="infinite or undefined"):
        mx.lmer("Reaction ~ log(Days) + (1 | Subject)", data, control=control)
    with pytest.raises(InvalidArgumentError, match="no value in some rows"):
        mx.lmer("log(Reaction - 300) ~ Days + (1 | Subject)", data, control=control)

"""Variance components: their columns' names taken apart, and the terms they become."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lme4_fits import PLATES, adapted, model_of, statsmodels_fit
from properties.compare import close
from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec
from tolerances import ADAPTER_ESTIMATE

from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.statsmodels.vc import Label, parse_label


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Intercept", Label((), (), "Intercept")),
        ("Days", Label((), (), "Days")),
        ("np.log(x + 1)", Label((), (), "np.log(x + 1)")),
        ("x:z", Label((), (), "x:z")),
        ("C(cls)[a]", Label(("cls",), ("a",), "Intercept")),
        ("cls[a]", Label(("cls",), ("a",), "Intercept")),
        ("cls[T.a]", Label(("cls",), ("a",), "Intercept")),
        ("C(cls)[1]:Days", Label(("cls",), ("1",), "Days")),
        ("Days:C(cls)[1]", Label(("cls",), ("1",), "Days")),
        ("C(a)[x]:C(b)[y]", Label(("a", "b"), ("x", "y"), "Intercept")),
        ("C(a)[x]:C(b)[y]:z", Label(("a", "b"), ("x", "y"), "z")),
        ("C(Q('class'))[a]", Label(("class",), ("a",), "Intercept")),
        ("Q('my class')[a b]", Label(("my class",), ("a b",), "Intercept")),
        ('C(Q("my:class"), Treatment)[a]', Label(("my:class",), ("a",), "Intercept")),
        ("C(`my class`)[T.a]", Label(("my class",), ("a",), "Intercept")),
        ("C(cls, contr.treatment)[T.a]", Label(("cls",), ("a",), "Intercept")),
        ("C(s)[A:a]", Label(("s",), ("A:a",), "Intercept")),
        ("C(s)[A:a]:x", Label(("s",), ("A:a",), "x")),
        ("C(s)[(1, 2]]", Label(("s",), ("(1, 2]",), "Intercept")),
        ("C(s)[a[1]]:x", Label(("s",), ("a[1]",), "x")),
        ("C(s)[a:x(1)]", Label(("s",), ("a:x(1)",), "Intercept")),
        ("np.log(x):C(s)[a]", Label(("s",), ("a",), "np.log(x)")),
    ],
)
def test_parse_label(name, label):
    assert parse_label(name) == label


@pytest.mark.parametrize(
    ("name", "level"),
    [("C(s)[A]:A]", "A]:A"), ("C(s)[T.a]", "T.a"), ("C(s)[T.b]", "b"), ("C(s)[a]", "a")],
)
def test_known_values_settle_what_the_name_leaves_open(name, level):
    known = {"s": {"A]:A", "T.a", "b", "a"}}
    assert parse_label(name, lambda variable: known[variable]).levels == (level,)


# --- Crossed factors in one constant group -------------------------------------------------------


def _plates(kind):
    data = _penicillin().assign(one=1)
    if kind == "category":
        order = sorted(data["plate"].unique())[::-1]
        plate = pd.Categorical(data["plate"], [*order, "unused"])
        return data.assign(plate=plate, sample=pd.Categorical(data["sample"]))
    if kind == "int":
        codes = {c: pd.factorize(data[c], sort=True)[0] * 7 for c in ("plate", "sample")}
        return data.assign(**codes)
    if kind == "brackets":
        return data.assign(
            plate=data["plate"].map(lambda s: f"T.{s}:[x] (1"),
            sample=data["sample"].map(lambda s: f"{s}]:{s}"),
        )
    if kind == "dates":
        days = pd.to_timedelta(pd.factorize(data["plate"], sort=True)[0], unit="D")
        return data.assign(plate=pd.Timestamp("2020-01-01") + days)
    return data


def _penicillin():
    return load_dataset("penicillin")


KINDS = ["text", "category", "int", "brackets", "dates"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", ["name", "ones"])
def test_crossed(crossed, kind, groups):
    data = _plates(kind)
    group = "one" if groups == "name" else np.ones(len(data))
    m = adapted(statsmodels_fit("diameter ~ 1", data, groups=group, vc_formula=PLATES))
    assert m.formula() == crossed.formula()
    assert list(m.model_frame()) == ["diameter", "plate", "sample"]
    close(m.theta, crossed.theta, ADAPTER_ESTIMATE)
    close(m.fitted(), crossed.fitted(), ADAPTER_ESTIMATE)
    close(m.predict(data), m.fitted(), 1e-14)
    assert set(m.ranef()["plate"].index) == set(data["plate"])
    first = {"category": "x", "int": 0, "brackets": "T.a:[x] (1", "dates": pd.Timestamp(2020, 1, 1)}
    assert m.ranef()["plate"].index[0] == first.get(kind, "a")


@pytest.mark.parametrize("column", ["my plate", "pl:ate", "class", "a.b"])
def test_columns_with_odd_names(crossed, column):
    data = _penicillin().rename(columns={"plate": column}).assign(one=1)
    components = {"p": f"0 + C(Q('{column}'))", "s": "0 + C(sample)"}
    m = adapted(statsmodels_fit("diameter ~ 1", data, groups="one", vc_formula=components))
    close(m.theta, crossed.theta, ADAPTER_ESTIMATE)
    close(m.predict(data), m.fitted(), 1e-14)
    assert list(m.ranef()) == [column, "sample"]
    if column.isidentifier() or ":" not in column:
        close(m.update().theta, m.theta, ADAPTER_ESTIMATE)


def test_sparse_columns(crossed):
    data = _plates("text")
    results = statsmodels_fit(
        "diameter ~ 1", data, groups="one", vc_formula=PLATES, use_sparse=True
    )
    close(adapted(results).theta, crossed.theta, ADAPTER_ESTIMATE)


def test_an_interaction_of_two_factors(nested, students):
    data = students.rename(columns={"class": "cls"}).assign(one=1)
    components = {"a": "0 + C(school)", "b": "0 + C(cls):C(school)"}
    formula = "extro ~ open + agree + social"
    m = adapted(statsmodels_fit(formula, data, groups="one", vc_formula=components))
    assert list(m.ngrps().items()) == [("cls:school", 24), ("school", 6)]
    close(m.theta, nested.theta, ADAPTER_ESTIMATE)
    close(m.predict(data), m.fitted(), 1e-14)


# --- Factors within groups -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("text", "0 + C(cls)"),
        ("text", "0 + cls"),
        ("category", "0 + C(cls)"),
        ("category", "0 + cls"),
        ("int", "0 + C(cls)"),  # without C() an integer is a covariate to the formula
    ],
)
def test_nested(nested, students, kind, code):
    data = students.rename(columns={"class": "cls"})
    if kind == "category":
        data["cls"] = pd.Categorical(data["cls"], ["b", "a", "unused", "c", "d"])
    elif kind == "int":
        data["cls"] = data["cls"].map({"a": 1, "b": 2, "c": 3, "d": 4})
    formula, components = "extro ~ open + agree + social", {"c": code}
    results = statsmodels_fit(formula, data, groups="school", re_formula="1", vc_formula=components)
    m = adapted(results)
    assert list(m.ngrps().items()) == [("cls:school", 24), ("school", 6)]
    close(m.theta, nested.theta, ADAPTER_ESTIMATE)
    close(m.predict(data), m.fitted(), 1e-14)
    first = {"text": "a:I", "category": "b:I", "int": "1:I"}[kind]
    assert m.ranef()["cls:school"].index[0] == first
    assert "unused:I" not in m.ranef()["cls:school"].index


def test_nested_when_rows_are_dropped(students):
    data = students.rename(columns={"class": "cls"})
    data.loc[data["id"] == 5, "extro"] = np.nan
    results = statsmodels_fit(
        "extro ~ open",
        data,
        groups="school",
        re_formula="1",
        vc_formula={"c": "0 + C(cls)"},
        missing="drop",
    )
    m = adapted(results)
    assert m.nobs() == 1199
    assert m.formula() == "extro ~ open + (1 | cls:school) + (1 | school)"
    close(m.predict(data)[m.fitted().index], m.fitted(), 1e-14)


def test_a_slope_by_level_within_group():
    """Rows whose covariate is zero belong to their level all the same."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame(
        {"g": np.repeat(list("abcdef"), 40), "h": np.tile(np.repeat(list("uvwx"), 10), 6)}
    )
    data["x"] = np.tile(np.arange(10.0), 24)  # zero at the start of each level
    slopes = rng.normal(size=24)[pd.factorize(data["g"] + data["h"])[0]]
    data["y"] = slopes * data["x"] + rng.normal(size=240)
    results = statsmodels_fit(
        "y ~ x", data, groups="g", re_formula="1", vc_formula={"s": "0 + C(h):x"}
    )
    m = adapted(results)
    assert ("h:g", ("x",)) in m.get_me("cnms")
    assert m.get_me("flist")["h:g"].astype(str).tolist() == (data["h"] + ":" + data["g"]).tolist()
    close(m.predict(data), m.fitted(), 1e-13)


def test_columns_without_levels_are_levels_themselves(crossed):
    """exog_vc made by hand, whose columns have any names."""
    data = _penicillin()
    names, mats = [], []
    for factor in ("plate", "sample"):
        levels = sorted(data[factor].unique())
        names.append([[f"{factor}{level}" for level in levels]])
        mats.append([(data[factor].to_numpy()[:, None] == levels).astype(float)])
    results = MixedLM(
        data["diameter"],
        np.ones((144, 1)),
        np.ones(144),
        exog_vc=VCSpec(["plate", "sample"], names, mats),
    ).fit()
    m = adapted(results)
    close(m.theta, crossed.theta, ADAPTER_ESTIMATE)
    assert m.ranef()["plate"].index[0] == "platea"
    with pytest.raises(InvalidArgumentError, match=r"needs the column\(s\) \['plate', 'sample'\]"):
        m.predict(data[["diameter"]])


def test_a_slope_by_group(sleep):
    results = statsmodels_fit(
        "Reaction ~ Days", sleep, groups="Subject", vc_formula={"i": "1", "d": "0 + Days"}
    )
    formula = "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"
    assert adapted(results).formula() == formula


def test_a_transformed_slope_needs_its_formula(sleep):
    components = {"i": "1", "d": "0 + np.sqrt(Days)"}
    results = statsmodels_fit("Reaction ~ Days", sleep, groups="Subject", vc_formula=components)
    m = adapted(results)
    with pytest.raises(UnsupportedModelError, match="vc_formula="):
        m.predict(sleep)
    close(adapted(results, vc_formula=components).predict(sleep), m.fitted(), 1e-14)


def test_several_columns_in_a_row(students):
    data = students.rename(columns={"class": "cls"})
    results = statsmodels_fit("extro ~ 1", data, groups="school", vc_formula={"c": "C(cls)"})
    message = r"variance component 'c': a row has several columns that are not zero.*0 \+ C\(factor"
    with pytest.raises(UnsupportedModelError, match=message):
        adapted(results)


def test_columns_of_different_kinds():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat(np.arange(30), 4), "h": np.tile(list("abab"), 30)})
    data["x"] = rng.normal(size=120) * (data["h"] == "zz")
    data["y"] = rng.normal(size=120) + rng.normal(size=30)[data["g"]]
    results = statsmodels_fit(
        "y ~ 1", data, groups="g", vc_formula={"c": "0 + C(h) + x"}, fit={"reml": True}
    )
    with pytest.raises(UnsupportedModelError, match="'c' mixes columns of different kinds"):
        adapted(results)


def test_reference_models_have_lme4s_names():
    assert list(model_of("nested", "pastes").ngrps().items()) == [("cask:batch", 30), ("batch", 10)]


def test_a_slope_by_level_needs_its_formula():
    """The whole vc_formula of the fit may be given: only covariates are taken from it."""
    data = _penicillin().assign(one=1)
    data["load"] = 1.0 + np.arange(144) % 5
    components = {"plate": "0 + C(plate)", "slope": "0 + C(plate):np.log(load)"}
    results = statsmodels_fit("diameter ~ 1", data, groups="one", vc_formula=components)
    with pytest.raises(UnsupportedModelError, match="vc_formula="):
        adapted(results).predict(data)
    m = adapted(results, vc_formula=components)
    close(m.predict(data), m.fitted(), 1e-13)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vc_formula": {"plates": "0 + C(plate)"}}, "'plates' is no component of the fit; .*'pla"),
        ({"vc_formula": {"plate": "0 + C(sample)"}}, "does not make the columns of the fit's term"),
        ({"re_formula": "~ 1"}, r"re_formula='~ 1': .* only the variance components \['plate'\]"),
    ],
)
def test_formulas_that_the_fit_does_not_have(given, message):
    components = {"plate": "0 + C(plate)"}
    data = _penicillin().assign(one=1)
    results = statsmodels_fit("diameter ~ 1", data, groups="one", vc_formula=components)
    with pytest.raises(InvalidArgumentError, match=message):
        adapted(results, **given)

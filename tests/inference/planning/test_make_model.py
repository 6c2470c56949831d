"""Models from assumed parameters stand at them exactly; tables are extended as they should be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tolerances import MADE_MODEL, MONTE_CARLO

import merextras as mx
from merextras.exceptions import InvalidArgumentError, NoRowsError

COVARIANCE = np.array([[4.0, 1.0], [1.0, 2.0]])


def plan(groups=10, items=6):
    """Groups crossed with items, a covariate and no response."""
    g, i = np.divmod(np.arange(groups * items * 2), items * 2)
    frame = pd.DataFrame({"g": g, "item": i % items, "x": np.linspace(-1.0, 1.0, len(g)) ** 3})
    return frame.assign(x=frame["x"] + 0.3 * frame["item"], w=1.0 + frame["item"])


def made(data=None, **changes):
    given = {
        "fixef": {"Intercept": 10.0, "x": -2.0},
        "var_corr": {"(1 + x | g)": COVARIANCE, "item": 0.5},
        "sigma": 3.0,
    }
    formula = "y ~ x + (1 + x | g) + (1 | item)"
    return mx.make_model(formula, plan() if data is None else data, **{**given, **changes})


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weights", [None, "w"])
def test_the_parameters_are_those_that_were_given(reml, weights):
    m = made(reml=reml, weights=weights)
    np.testing.assert_allclose(m.fixef(), [10.0, -2.0], atol=3.0 * MADE_MODEL)
    assert abs(m.sigma() - 3.0) < 3.0 * MADE_MODEL
    found = dict(zip(m.design.factors, m.covariances, strict=True))
    np.testing.assert_allclose(found["g"], COVARIANCE, atol=3.0 * MADE_MODEL)
    np.testing.assert_allclose(found["item"], [[0.25]], atol=3.0 * MADE_MODEL)
    assert max(np.abs(b).max() for b in m.solution.b) < 3.0 * MADE_MODEL
    assert m.is_reml() is reml


def test_it_simulates_predicts_and_can_be_asked_what_if():
    m = made()
    y = m.simulate(n_sims=4000, rng=1).to_numpy()
    z = np.column_stack([m.design.x, np.ones(m.design.n)])
    prior = np.zeros((3, 3))
    prior[:2, :2], prior[2, 2] = COVARIANCE, 0.25
    variance = np.einsum("ij,jk,ik->i", z, prior, z) + 9.0
    error = variance * np.sqrt(2.0 / 4000)
    assert np.all(np.abs(y.var(axis=1) - variance) < MONTE_CARLO * error)
    np.testing.assert_allclose(m.predict(), m.design.x @ [10.0, -2.0], atol=1e-7)
    assert len(mx.what_if(m, cases=plan().head(2), group="g")) > 0


def test_from_a_model_it_changes_what_is_given_and_keeps_the_rest():
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    new = mx.make_model(m, fixef={"Days": 1.0}, sigma=20.0)
    assert new.fixef().round(8).to_dict() == {
        "Intercept": round(float(m.fixef()["Intercept"]), 8),
        "Days": 1.0,
    }
    np.testing.assert_allclose(new.covariances[0], m.covariances[0], rtol=1e-9)
    assert abs(new.sigma() - 20.0) < 1e-9
    more = mx.make_model(m, mx.extend(m, along="Subject", n=40))
    assert more.ngrps()["Subject"] == 40
    np.testing.assert_allclose(more.fixef(), m.fixef(), rtol=1e-9)


def test_the_response_of_the_data_is_not_read():
    data = plan()
    one = made(data)
    for y in (np.nan, 0.0, np.arange(len(data)) * 1.0):
        other = made(data.assign(y=y))
        np.testing.assert_array_equal(one.solution.beta, other.solution.beta)
        pd.testing.assert_frame_equal(
            one.simulate(n_sims=2, rng=1), other.simulate(n_sims=2, rng=1)
        )


def test_standard_deviations_and_a_variance_of_zero():
    m = made(var_corr={"g": [2.0, 0.0], "item": 0.0})
    found = dict(zip(m.design.factors, m.covariances, strict=True))
    np.testing.assert_allclose(found["g"], np.diag([4.0, 0.0]), atol=1e-9)
    assert m.is_singular()
    assert mx.power(m, "x", n_sims=20, rng=1).n_failed == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fixef": [1.0]}, r"fixef: expected 2 finite numbers.*\['Intercept', 'x'\]"),
        ({"fixef": {"x": 1.0}}, r"fixef.*no value for \['Intercept'\]"),
        ({"fixef": {"Intercept": 1.0, "X": 1.0}}, "'X' is no fixed effect.*'x'"),
        ({"fixef": {"Intercept": 1.0, "x": np.nan}}, "not a finite number"),
        ({"sigma": 0.0}, "sigma=0.0: .*positive"),
        ({"sigma": "1"}, "sigma='1'"),
        ({"sigma": None}, "needs data=, fixef=, var_corr= and sigma="),
        ({"var_corr": 1.0}, "var_corr=1.0: expected a mapping"),
        ({"var_corr": {"item": 1.0}}, r"no value for \['\(1 \+ x \| g\)'\]"),
        ({"var_corr": {"g": 1.0, "item": 1.0}}, r"needs 2 standard deviation.*\(2, 2\)"),
        ({"var_corr": {"g": COVARIANCE, "items": 1.0}}, "'items' is no term"),
        ({"var_corr": {"g": [[1.0, 2.0], [2.0, 1.0]], "item": 1.0}}, "is no covariance"),
        ({"var_corr": {"g": [1.0, -1.0], "item": 1.0}}, "not negative"),
        ({"reml": "yes"}, "reml='yes'"),
    ],
)
def test_bad_parameters_say_what_is_wrong(changes, message):
    with pytest.raises(InvalidArgumentError, match=message):
        made(**changes)


def test_other_things_that_can_not_be_made():
    with pytest.raises(InvalidArgumentError, match="lack the variables of the response"):
        mx.make_model("log(y) ~ x + (1 | g)", plan(), fixef=[0, 1], var_corr={"g": 1}, sigma=1)
    with pytest.raises(InvalidArgumentError, match="those of the model"):
        mx.make_model(made(), weights="w")
    free = np.random.default_rng(1).standard_normal((8, 4))
    saturated = pd.DataFrame(free, columns=list("abcd")).assign(g=np.arange(8) // 2)
    with pytest.raises(InvalidArgumentError, match="as many fixed and random effects as rows"):
        mx.make_model(
            "y ~ a + b + c + d + (1 | g)",
            saturated,
            fixef=np.zeros(5),
            var_corr={"g": 1},
            sigma=1,
        )
    rowless = mx.lmer("Reaction ~ 1 + (1 | Subject)", mx.load_dataset("sleepstudy"), chunk_size=90)
    with pytest.raises(NoRowsError, match="give data="):
        mx.make_model(rowless)
    again = mx.make_model(rowless, mx.load_dataset("sleepstudy").assign(Reaction=0.0))
    np.testing.assert_allclose(again.fixef(), rowless.fixef(), rtol=1e-9)


def test_more_levels_are_copies_under_new_labels():
    data = pd.DataFrame(
        {
            "school": pd.Categorical(list("aabbb")),
            "room": ["a1", "a2", "b1", "b1", "b2"],
            "arm": ["t", "c", "t", "c", "t"],
            "x": [1.0, 2.0, 3.0, 4.0, 5.0],
        },
        index=[9, 8, 7, 6, 5],
    )
    more = mx.extend(data, along="school", n=5)
    assert more["school"].tolist() == list("aabbb") + ["a.2"] * 2 + ["b.2"] * 3 + ["a.3"] * 2
    assert more["room"].tolist()[5:8] == ["a1.2", "a2.2", "b1.2"]
    assert more["arm"].tolist()[5:] == ["t", "c", "t", "c", "t", "t", "c"]
    assert more.index.equals(pd.RangeIndex(12))
    assert mx.extend(data, along="school", n=1)["room"].tolist() == ["a1", "a2"]
    kept = mx.extend(data, along="school", n=3, nested=[])
    assert kept["room"].tolist()[5:] == ["a1", "a2"]
    rows = mx.extend(data, within="school", n=4)
    assert rows["x"].tolist() == [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 5.0, 3.0]
    numbered = mx.extend(data.assign(id=[4, 4, 7, 7, 7]), along="id", n=4)
    assert numbered["id"].tolist() == [4, 4, 7, 7, 7, 8, 8, 11, 11, 11]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 3}, "give one of along="),
        ({"n": 3, "along": "g", "within": "g"}, "give one of along="),
        ({"n": 0, "along": "g"}, "n=0"),
        ({"n": 3, "along": "h"}, "along: 'h' is not a column"),
        ({"n": 3, "along": "gap"}, "missing values"),
        ({"n": 30, "along": "g", "nested": "h"}, "nested: 'h' is not a column"),
        ({"n": 3, "within": "g", "nested": "item"}, "nested: it is for along="),
    ],
)
def test_bad_arguments_of_extend(arguments, message):
    data = plan().assign(gap=np.nan)
    with pytest.raises(InvalidArgumentError, match=message):
        mx.extend(data, **arguments)
    with pytest.raises(InvalidArgumentError, match="expected a pandas"):
        mx.extend([1, 2], along="g", n=3)

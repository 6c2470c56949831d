"""`update` with arguments by row, a dispersion, and columns that the model frame does not have."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError, NoRowsError


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=200), "g": np.repeat(np.arange(20), 10)})
    effect = rng.normal(size=20)[data["g"]]
    data["h"] = np.tile(np.arange(10), 20)
    data["w"], data["off"] = rng.uniform(0.5, 2.0, 200), rng.normal(size=200)
    data["y"] = data["x"] + effect + rng.normal(size=200)
    mean = np.exp(1.0 + 0.3 * data["x"] + 0.5 * effect)
    data["count"] = rng.negative_binomial(3, 3.0 / (3.0 + mean))
    data["gap"] = data["x"].where(data["h"] != 3)
    return data


@pytest.fixture(scope="module")
def linear(rows):
    return mx.lmer("y ~ x + (1 | g)", rows)


@pytest.fixture(scope="module")
def counts(rows):
    return mx.glmer_nb("count ~ x + (1 | g)", rows)


def test_a_size_is_held_or_let_free(rows, counts):
    held = counts.update(dispersion=2.0)
    assert held.log_lik() == mx.glmer_nb("count ~ x + (1 | g)", rows, dispersion=2.0).log_lik()
    assert held.update(". ~ . - x").dispersion == 2.0
    assert held.update(dispersion=None).log_lik() == pytest.approx(counts.log_lik(), abs=1e-9)
    poisson = held.update(family="poisson")
    assert poisson.family() == "poisson(log)"
    again = poisson.update(family="negative_binomial", dispersion=2.0)
    assert again.log_lik() == pytest.approx(held.log_lik(), abs=1e-9)
    with pytest.raises(InvalidArgumentError, match=r"dispersion=2.0: only the size of family"):
        poisson.update(dispersion=2.0)


@pytest.mark.parametrize("name", ["weights", "freq_weights", "offset"])
def test_by_row_of_a_linear_model(rows, linear, name):
    given = np.round(rows["w"]) if name == "freq_weights" else rows["w"]
    expected = mx.lmer("y ~ x + (1 | g)", rows, **{name: given}).log_lik()
    for values in (given, given.to_numpy(), given.iloc[::-1]):
        found = linear.update(**{name: values})
        assert found.log_lik() == pytest.approx(expected, abs=1e-9)
    assert found.update(**{name: None}).log_lik() == pytest.approx(linear.log_lik(), abs=1e-9)
    larger = found.update(". ~ . + I(x**2)")
    assert larger.update(". ~ . - I(x**2)").log_lik() == pytest.approx(expected, abs=1e-9)
    column = linear.update(data=rows.assign(w=given), **{name: "w"})
    assert column.log_lik() == pytest.approx(expected, abs=1e-9)
    assert column.update(". ~ . - x").design.options.columns == {name: "w"}
    chunks = mx.lmer("y ~ x + (1 | g)", rows, chunk_size=50)
    with pytest.raises(NoRowsError, match=f"{name}: the model was fitted from chunks"):
        chunks.update(**{name: given})


def test_what_is_not_given_stays(rows):
    m = mx.lmer("y ~ x + (1 | g)", rows, weights="w", offset="off")
    both = mx.lmer("y ~ x + (1 | g)", rows, weights=rows["w"] + 1.0, offset="off")
    found = m.update(weights=rows["w"] + 1.0)
    assert found.log_lik() == both.log_lik()
    assert found.design.options.columns == {"offset": "off"}
    # An array of other data is not asked for where it is replaced.
    assert both.update(data=rows, weights="w").log_lik() == m.log_lik()


def test_by_row_of_a_generalised_model(rows, counts):
    expected = mx.glmer_nb("count ~ x + (1 | g)", rows, offset="off").log_lik()
    for options in ({"offset": rows["off"]}, {"offset": "off", "data": rows}):
        found = counts.update(**options)
        assert found.log_lik() == pytest.approx(expected, abs=1e-9)
    assert found.update(offset=None).log_lik() == pytest.approx(counts.log_lik(), abs=1e-9)
    with pytest.raises(InvalidArgumentError, match="weights: for family='negative_binomial' they"):
        counts.update(weights=np.ones(200))


def test_by_row_of_data_with_gaps(rows):
    """By row of the fit, or of the data of which the fit left some out."""
    m = mx.lmer("y ~ gap + (1 | g)", rows)
    expected = mx.lmer("y ~ gap + (1 | g)", rows, offset="off").log_lik()
    for values in (rows["off"], rows["off"].to_numpy(), rows["off"][rows["gap"].notna()]):
        assert m.update(offset=values).log_lik() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "formula", [". ~ . + (1 | h)", ". ~ . + h", ". ~ . + np.log(w)", ". ~ . + (h | g)", "h ~ ."]
)
@pytest.mark.parametrize("kind", ["linear", "counts"])
def test_a_column_that_the_model_does_not_keep(request, formula, kind):
    m = request.getfixturevalue(kind)
    says = r"is not a column of the data.*variables of the model only: give data= with it"
    with pytest.raises(InvalidArgumentError, match=says):
        m.update(formula)
    with pytest.raises(InvalidArgumentError, match=f"offset: 'off' {says}"):
        m.update(offset="off")
    with pytest.raises(InvalidArgumentError, match="its columns") as caught:
        m.update(". ~ . + (1 | h)", data=m.model_frame())
    assert "model frame" not in str(caught.value)

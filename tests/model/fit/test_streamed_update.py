"""Models without rows updated: terms are taken out of their formulas, nothing is put in."""

from __future__ import annotations

import numpy as np
import pytest
from chunk_models import assert_same, table

import merextras as mx
from merextras.exceptions import MerextrasWarning, NoRowsError

pytestmark = pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")


@pytest.fixture(scope="module")
def data():
    return table()


UPDATES = {
    "interaction": ("y ~ x * c + (1 | g) + (1 | h)", ". ~ . - x:c"),
    "a variable": ("y ~ x * c + (1 | g) + (1 | h)", ". ~ . - x - x:c"),
    "a factor": ("y ~ x * c + (1 | g) + (1 | h)", ". ~ . - (1 | h)"),
    "slopes": ("y ~ x + c + (1 + x | g) + (1 | h/k)", ". ~ x + (1 | g) + (1 | h)"),
    "intercepts": ("y ~ x + c + (1 + x | g)", "y ~ c + (0 + x | g)"),
    "covariances": ("y ~ x + c + (1 + I(x-50) | g)", ". ~ x + (1 + I(x-50) || g)"),
    "one of two": ("y ~ x + c + (1 + I(x-50) || g)", ". ~ x + (0 + I(x-50) | g)"),
    "a column that was dropped": ("y ~ c + x + I(2*x) + (1 | g)", ". ~ . - x"),
    "the intercept": ("y ~ x + t + (1 | g)", "y ~ 0 + x + (1 | g)"),
    "the same": ("y ~ x + (1 | g)", None),
}


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("reml", [None, False])
def test_as_in_memory(data, name, reml):
    formula, change = UPDATES[name]
    found = mx.lmer(formula, data, chunk_size=300).update(change, reml=reml)
    expected = mx.lmer(formula, data).update(change, reml=reml)
    assert_same(found, expected)
    assert found.formula() == expected.formula()
    assert sorted(found.design.columns) == sorted(expected.design.columns)
    rows = data.dropna()[list(dict.fromkeys([*expected.design.columns]))]
    np.testing.assert_allclose(found.predict(rows), expected.predict(rows), rtol=1e-8)


def test_weights_and_offset_stay(data):
    formula = "y ~ x + c + offset(t / 1e5) + (1 + x | g)"
    given = {"weights": "w", "freq_weights": "f"}
    found = mx.lmer(formula, data, chunk_size=300, **given).update(". ~ . - c")
    assert_same(found, mx.lmer(formula, data, **given).update(". ~ . - c"))


def test_an_update_of_an_update(data):
    first = mx.lmer("y ~ x * c + (1 + x | g) + (1 | h)", [data]).update(". ~ . - x:c - (1 | h)")
    assert_same(first.update(". ~ . - c - (1 + x | g) + (1 | g)"), mx.lmer("y ~ x + (1 | g)", data))


REFUSED = {
    "another coding": ("y ~ x + c + (1 | g)", ". ~ . - 1", "'c' without '1', which changes how"),
    "a margin": ("y ~ x * c + (1 | g)", ". ~ . - c", "'c:x' without 'c'"),
    "a new variable": ("y ~ x + (1 | g)", ". ~ . + c", "the term 'c'"),
    "a new factor": ("y ~ x + (1 | g)", ". ~ . + (1 | h)", r"the term \(1 \| h\)"),
    "a response": ("y ~ x + (1 | g)", "np.log(y) ~ .", "the response"),
    "an offset": ("y ~ x + (1 | g)", ". ~ . + offset(w)", "other offsets"),
    "a covariance": ("y ~ x + (1 + x || g)", "y ~ x + (1 + x | g)", "the term"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(data, name):
    formula, change, message = REFUSED[name]
    with pytest.raises(NoRowsError, match=f"only be taken out.*{message}.*goes through the data"):
        mx.lmer(formula, [data]).update(change)


def test_other_data(data):
    with pytest.raises(NoRowsError, match="fit other data by lmer"):
        mx.lmer("y ~ x + (1 | g)", [data]).update(data=data)


def test_what_is_left_is_checked(data):
    scaled = data.assign(x=data["x"] * 1e8)
    with pytest.warns(MerextrasWarning, match="scale"):
        mx.lmer("y ~ x + c + (1 | g)", [scaled]).update(". ~ . - c")

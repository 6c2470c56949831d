import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merextras.reporting.script import Named, Script, literal

SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)


@given(st.recursive(SCALARS, lambda s: st.lists(s) | st.dictionaries(st.text(), s) | st.tuples(s)))
def test_a_literal_is_the_value_again(value):
    assert eval(literal(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.int64(3), "3"),
        (np.float64(0.5), "0.5"),
        (np.str_("a"), '"a"'),
        ("it's", '"it\'s"'),
        ('"', "'\"'"),
        (float("inf"), 'float("inf")'),
        ((1,), "(1,)"),
        (pd.Timestamp("2020-01-02"), "pd.Timestamp('2020-01-02 00:00:00')"),
        (datetime.date(2020, 1, 2), "datetime.date(2020, 1, 2)"),
        (Named("m", object()), "m"),
        ([Named("cases", 1), "x"], '[cases, "x"]'),
    ],
)
def test_literals(value, text):
    assert literal(value) == text


def test_what_is_written_is_what_was_run():
    script = Script()
    numbers = script.let("numbers", "[3, 1, 2]", [3, 1, 2])
    ordered = script.call("ordered", Named("sorted", sorted), numbers, reverse=True)
    assert ordered.value == [3, 2, 1]
    assert script.text == "numbers = [3, 1, 2]\nordered = sorted(numbers, reverse=True)"


def test_a_call_that_fails_is_not_written():
    script = Script()
    with pytest.raises(ZeroDivisionError):
        script.call("x", Named("divmod", divmod), 1, 0)
    assert script.text == ""


def test_a_figure_is_drawn_when_it_is_wanted():
    script, drawn = Script(), []
    draw = script.figure(Named("drawn.append", drawn.append), Named("one", 1))
    assert script.text == "drawn.append(one)"
    assert drawn == []
    draw()
    assert drawn == [1]


def test_long_calls_are_broken():
    script = Script()
    script.call("x", Named("dict", dict), **{f"key_{i}": "value" * 3 for i in range(5)})
    assert max(map(len, script.text.splitlines())) < 88
    assert script.text.startswith("x = dict(\n    key_0=")

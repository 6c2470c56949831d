import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.reporting.cases import Cases, numeric, rows_of, take
from merextras.reporting.script import Named, Script


@pytest.fixture(scope="module")
def m():
    return mx.lmer("extro ~ open + agree + (1 | school)", mx.load_dataset("students"))


def taken(m, cases, data=None):
    """The cases, after the code has made the same."""
    script = Script()
    found = take(script, Named("m", m), data, cases).value
    names = {"mx": mx, "m": m, "data": data}
    exec(script.text, names)
    pd.testing.assert_frame_equal(names["cases"], found)
    return found


def test_random_cases_are_of_the_seed_and_the_subset(m):
    frame = m.model_frame()
    pd.testing.assert_frame_equal(taken(m, Cases()), frame.sample(6, random_state=1))
    found = taken(m, Cases(count=4, seed=3, subset={"school": ["II", "V"]}))
    assert set(found["school"]) <= {"II", "V"}
    assert len(found) == 4
    small = frame.head(3)
    assert sorted(taken(m, Cases(count=50), small).index) == [0, 1, 2]


def test_the_average_case_is_average_obs(m):
    pd.testing.assert_frame_equal(taken(m, Cases("average")), mx.average_obs(m))
    found = taken(m, Cases("average", subset={"school": ["VI"]}))
    pd.testing.assert_frame_equal(found, mx.average_obs(m, {"school": "VI"}))


def test_chosen_cases_in_the_order_chosen(m):
    assert taken(m, Cases("chosen", chosen=[9, 2])).index.tolist() == [9, 2]
    labels = np.array([4, 7])
    assert taken(m, Cases("chosen", chosen=labels)).index.tolist() == [4, 7]


def test_rows_of_the_user_that_miss_something_are_left_out(m, students):
    data = students.head(5).assign(note="x")
    data.loc[1, "open"] = np.nan
    assert rows_of(m, data).index.tolist() == [0, 2, 3, 4]
    assert "note" in taken(m, Cases(count=2), data)


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        (Cases("other"), "kind='other': allowed: 'average', 'random', 'chosen'"),
        (Cases("chosen"), "choose at least one row"),
        (Cases("chosen", chosen=[10**6]), r"rows \[1000000\] are not among"),
        (Cases(subset={"school": ["XX"]}), r"no row has 'school' among \['XX'\]"),
        (Cases(count=0), "count=0"),
    ],
)
def test_cases_that_are_not_there(m, cases, message):
    with pytest.raises(InvalidArgumentError, match=message):
        take(Script(), Named("m", m), None, cases)


def test_data_that_can_not_be_used(m, students):
    with pytest.raises(InvalidArgumentError, match="needs the column"):
        rows_of(m, students[["extro"]])
    with pytest.raises(InvalidArgumentError, match="no row has a value in each of"):
        rows_of(m, students.head(2).assign(open=np.nan))


def test_what_counts_as_a_number():
    assert numeric(pd.Series([1.0, 2.5, 3.0]))
    assert not numeric(pd.Series([0, 1, 1]))
    assert not numeric(pd.Series(["a", "b", "c"]))
    assert not numeric(pd.Series([True, False, True]))

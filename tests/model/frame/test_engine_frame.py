"""What a formula engine sees: arithmetic of numbers, labels as categoricals."""

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.model.frame.engine_frame import for_engine, like_fit, uses_of

FRAME = pd.DataFrame(
    {
        "b": [True, False, True],
        "c": [True, True, False],
        "i": [3, 1, 2],
        "big": [10**7, 2, 3],
        "s": ["b", "a", "b"],
        "d": pd.to_datetime(["2024-01-01", "2024-01-03", "2024-01-02"]),
        "t": pd.to_timedelta([1, 2, 3], unit="D"),
    }
)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("b + c", [2, 1, 1]),
        ("b - c", [0, -1, 1]),
        ("1 - b", [0, 1, 0]),
        ("-b", [-1, 0, -1]),
        ("b * 2.5", [2.5, 0, 2.5]),
        ("(i > 1) + (i > 2)", [2, 0, 1]),
        ("b & c", [True, False, False]),
        ("np.where(~b, 1, 2)", [2, 1, 2]),
        ("np.add(b, c)", [2, 1, 1]),
        ("big**3", [1e21, 8, 27]),
        ("big * big * big", [1e21, 8, 27]),
        ("2**big", [np.inf, 4, 8]),
        ("i**-1", [1 / 3, 1, 1 / 2]),
        ("i**2", [9, 1, 4]),
        ("i % 2", [1, 1, 0]),
        ("i / 0", [np.inf] * 3),
        ("i - i.mean()", [1, -1, 0]),
        ("d - 19723", [0, 2, 1]),
        ("s + 'x'", ["bx", "ax", "bx"]),
    ],
)
def test_arithmetic(code, expected):
    """Truth values add up as R's, and integers do not wrap."""
    seen = for_engine(FRAME, [f"I({code})"])
    with np.errstate(over="ignore"):
        made = eval(code, {"np": np}, dict(seen.items()))
    assert list(made) == expected


def test_labels_are_categoricals_unless_code_reads_them():
    seen = for_engine(FRAME, ["s", "C(i)", "b"])
    assert seen["s"].cat.categories.tolist() == ["a", "b"]
    assert seen["i"].cat.categories.tolist() == [1, 2, 3]
    assert seen["b"].dtype == bool
    seen = for_engine(FRAME, ["s", "s.str.upper()", "i", "C(i)", "C(s, levels=['b', 'a'])"])
    assert seen["s"].tolist() == FRAME["s"].tolist()
    assert seen["i"].dtype == np.int64


def test_truth_values_alone_are_categories_for_an_engine_that_takes_them_for_numbers():
    seen = for_engine(FRAME.iloc[[0]], ["b", "i:c", "c", "I(c + c)"], bools=True)
    assert seen["b"].cat.categories.tolist() == [False, True]
    assert list(seen["c"] + seen["c"]) == [2]


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["i**2"], "f"),
        (["np.where(i > 1, i, 0)**-1"], "f"),
        (['Q("i")**2', "i"], "f"),
        (["i + 2"], "i"),
        (["C(i)", "i**2"], "i"),
        (["C(i**2)"], "i"),
        (["C(i % 2)", "i**2"], "i"),
    ],
)
def test_whole_numbers_under_a_power_are_floats_unless_they_are_labels(codes, kind):
    """numpy's powers of integers wrap, also of arrays that are no columns any more."""
    assert for_engine(FRAME, codes)["i"].dtype.kind == kind
    assert like_fit(FRAME, codes, {}, {"i": "numbers"})["i"].dtype.kind == kind


def test_truth_values_of_new_rows_that_were_numbers_in_the_fit():
    """Of a fit whose engine took them so: not categories, whatever their dtype."""
    new = pd.DataFrame({"b": pd.array([True, None], dtype="boolean"), "c": [True, False]})
    seen = like_fit(new, ["b", "c"], {}, {})
    np.testing.assert_array_equal(seen["b"], [1.0, np.nan])
    assert seen["c"].dtype == bool


def test_columns_no_code_can_use():
    with pytest.raises(InvalidArgumentError, match="column 't' holds durations, .*total_seconds"):
        for_engine(FRAME, ["t"])
    assert for_engine(FRAME, ["t.dt.days"])["t"].dtype == FRAME["t"].dtype
    mixture = FRAME.assign(s=["n/a", 1, 2])
    with pytest.raises(InvalidArgumentError, match=r"'s' holds numbers and text \(\['n/a'\]\)"):
        for_engine(mixture, ["s"])


def test_new_rows():
    new = pd.DataFrame({"s": pd.Categorical(["b", None]), "i": pd.array([1, None], dtype="Int64")})
    seen = like_fit(new, ["s", "i"], {"s": ("a", "b")}, {"i": "numbers"})
    assert seen["s"].cat.codes.tolist() == [1, -1]
    assert seen["s"].cat.categories.tolist() == ["a", "b"]
    np.testing.assert_array_equal(seen["i"], [1.0, np.nan])
    with pytest.raises(InvalidArgumentError, match=r"newdata: column 's' has .* not seen: \['z'\]"):
        like_fit(new.assign(s="z"), ["s"], {"s": ("a", "b")}, {})
    with pytest.raises(InvalidArgumentError, match="they are of type int, not str"):
        like_fit(new.assign(s="1"), ["s"], {"s": (1, 2)}, {})
    dates = pd.DataFrame({"i": FRAME["d"]})
    with pytest.raises(InvalidArgumentError, match="column 'i' must be numeric, not datetime64"):
        like_fit(dates, ["np.log(i)"], {}, {"i": "numbers"})
    np.testing.assert_array_equal(like_fit(dates, ["i"], {}, {"i": "dates"})["i"][0], 19723.0)


@pytest.mark.parametrize(
    ("code", "use"),
    [
        ("x", {"alone"}),
        ('Q("x")', {"alone"}),
        ("`x`", {"alone"}),
        ("C(x)", {"category"}),
        ("C(Q('x'), Treatment('b'))", {"category"}),
        ("C(x, levels=['a'])", {"code"}),
        ("C(x.str[0])", {"method"}),
        ("np.log(x)", {"code"}),
        ("I(x - x.mean())", {"code", "method"}),
        ("x(1)", set()),
    ],
)
def test_uses(code, use):
    assert uses_of([code]).get("x", frozenset()) == use

"""Sums and products of categorical and numeric columns without patsy's evaluation, against it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer
from merextras.model.columns.fixed import FormulaPart
from merextras.model.columns.plain_factors import TextAsCategories, treatment_part


def _frame():
    rng, n = np.random.default_rng(0), 60
    return pd.DataFrame(
        {
            "a": pd.Categorical(rng.choice(list("xyz"), n)),
            "o": pd.Categorical(rng.choice(list("xyz"), n), categories=list("zyx"), ordered=True),
            "b": pd.Categorical(rng.integers(1, 4, n)),
            "f": pd.Categorical(rng.choice([1.0, 2.5], n)),
            "t": pd.Categorical(rng.choice([True, False], n)),
            "n": rng.normal(size=n),
            "i": rng.integers(0, 4, n),
            "s": rng.choice(["B", "a", "\u00e4", "10", "9"], n),
            "w": np.array(rng.choice(["v", "u"], n), dtype=object),
        }
    )


FRAME = _frame()
COLUMNS = TextAsCategories({str(name): column for name, column in FRAME.items()})


@pytest.mark.parametrize(
    "rhs",
    ["a", "n + a", "1 + a + n + b", "C(i) + i + n", "C(a)+b + a", "o + C(b)+n", "f + t + n",
     "i + C( i )", "a + n + i + b + n", "n + C(f)", "s", "n + C(s) + w + a",
     "0 + a", "a - 1", "0 + n", "-1 + C(i) + a", "a:b", "a * n", "n * i", "a * b * n", "n + a:n",
     "(a + b + n) ** 2", "a / n", "a / b", "n / a", "b:a + n", "0 + C(i):a", "s * a + w:n",
     "f * t - f:t + n", "C( i )*n + o:n", "a*n - n", "n:i:a", "a*b - a - b", "0 + n:a + b"],
)  # fmt: skip
def test_columns_and_terms_are_patsys(rhs):
    ours, theirs = treatment_part(rhs, COLUMNS), FormulaPart.from_formula(rhs, FRAME)
    assert ours is not None
    assert ours.names == theirs.names
    np.testing.assert_array_equal(ours.matrix(FRAME), theirs.matrix(FRAME))
    assert ours.terms_written() == theirs.terms_written()
    assert ours.terms_in_order() == theirs.terms_in_order()
    assert ours.column_order() == theirs.column_order()
    assert ours.variables == theirs.variables
    for term in theirs.terms_written():
        for code in term.codes:
            assert ours.categories(code) == theirs.categories(code)
            np.testing.assert_array_equal(
                ours.full_columns(code, FRAME), theirs.full_columns(code, FRAME)
            )


@pytest.mark.parametrize(
    "rhs",
    [
        "np.log(i)",
        "a * np.log(i)",
        "C(a, Sum)",
        "C(a, Sum) * n",
        "I(n ** 2) * a",
        "C(n)+unknown",
        "unknown * a",
        "cut",
        "cut * a",
        "m",
        "m:a",
        "center(n) * a",
        "a * ",
    ],
)
def test_anything_else_is_left_to_the_engine(rhs):
    columns = {**COLUMNS, "cut": pd.Series(pd.cut(FRAME["n"], 3))}
    columns["m"] = pd.Series(["a", 1] * 30, dtype=object)
    assert treatment_part(rhs, columns) is None


def test_new_rows():
    part = treatment_part("a + n", COLUMNS)
    new = pd.DataFrame({"a": ["z", None, "x"], "n": [1.0, 2.0, np.nan]})
    expected = [[1.0, 0.0, 1.0, 1.0], [np.nan] * 4, [np.nan] * 4]
    np.testing.assert_array_equal(part.matrix(new), expected)
    with pytest.raises(InvalidArgumentError, match="categories the model has not seen"):
        part.matrix(pd.DataFrame({"a": ["w"], "n": [1.0]}))


@pytest.mark.filterwarnings("ignore:singular fit")
def test_text_is_made_categories_once_and_stays_text_in_the_frame():
    assert COLUMNS["s"] is COLUMNS["s"]
    assert COLUMNS["n"] is FRAME["n"] or COLUMNS["n"].equals(FRAME["n"])
    assert (len(COLUMNS), list(COLUMNS)) == (len(FRAME.columns), list(FRAME.columns))
    data = FRAME.assign(y=FRAME["n"] ** 2)
    for formula in ("y ~ s + n + (1 | i)", "y ~ w + n + (1 | s)", "y ~ s + n + w + (w | i)"):
        text, other = (
            lmer(formula, data.astype({"s": kind})) for kind in (data["s"].dtype, "category")
        )
        assert text.fixef().index.equals(other.fixef().index)
        np.testing.assert_array_equal(text.fixef(), other.fixef())
        assert text.design.frame["s"].dtype == data["s"].dtype
        np.testing.assert_array_equal(text.predict(data.head(9)), other.predict(data.head(9)))


@pytest.mark.filterwarnings("ignore:singular fit", "ignore:the dates in")
@pytest.mark.parametrize("rhs", ["a + d", "d + n + a", "a * d", "0 + d:a"])
def test_dates_beside_categories_are_numbers_of_days(rhs):
    rng = np.random.default_rng(2)
    days = rng.integers(0, 900, len(FRAME))
    dates = FRAME.assign(y=rng.normal(size=len(FRAME)), d=np.datetime64("1970-01-01") + days)
    dated, plain = (lmer(f"y ~ {rhs} + (1 | i)", t) for t in (dates, dates.assign(d=1.0 * days)))
    pd.testing.assert_series_equal(dated.fixef(), plain.fixef(), rtol=1e-10)
    np.testing.assert_allclose(dated.predict(dates.head(7)), plain.fitted().head(7), rtol=1e-9)


@pytest.mark.parametrize("size", [None, 25])
@pytest.mark.parametrize(
    ("formula", "large", "message"),
    [
        ("y ~ a * n + (1 | i)", np.inf, r"infinite or undefined values in \['n', 'a\[T.y\]:n'"),
        ("y ~ i + (a:n | g)", np.inf, r"infinite or undefined values in \['a\[x\]:n'"),
        ("y ~ n:w2 + (1 | i)", 1e200, r"infinite or undefined values in \['n:w2'"),
        ("y ~ a + n + (1 | i)", 1e156, r"values beyond 1e\+150 in \['n'\], whose squares"),
        ("y ~ a:n + (1 | i)", -1e156, r"values beyond 1e\+150 in \['a\[x\]:n', 'a\[y\]:n'"),
        ("y ~ a + (n | i)", 1e156, r"values beyond 1e\+150 in \['n'\], whose squares"),
        ("n ~ a + (1 | i)", 1e156, r"response: values beyond 1e\+150 in \['n'\], whose squares"),
    ],
)
def test_what_has_no_square_is_refused_without_numpys_warnings(formula, large, message, size):
    data = FRAME.assign(y=FRAME["n"] ** 2, n=large, w2=1e200, g=np.arange(len(FRAME)) // 6)
    with pytest.raises(InvalidArgumentError, match=message):
        lmer(formula, data, chunk_size=size)


@pytest.mark.filterwarnings("ignore:singular fit")
def test_new_rows_with_infinite_numbers_are_predicted_without_numpys_warnings():
    fit = lmer("y ~ a * n + (1 | i)", FRAME.assign(y=FRAME["n"] ** 2))
    new = FRAME.head(2).assign(a=["x", "y"])
    assert np.isfinite(fit.predict(new)).all()
    assert not np.isfinite(fit.predict(new.assign(n=np.inf))).any()


@pytest.mark.parametrize("size", [None, 25])
@pytest.mark.parametrize("how", ["sum", "max", "str", "helmert"])
def test_what_makes_no_contrasts_is_told(how, size):
    data = FRAME.assign(y=FRAME["n"] ** 2)
    for formula, contrasts in (("y ~ a * n + (1 | i)", {"a": how}), (f"y ~ C(a, {how})+(1|i)", {})):
        with pytest.raises(InvalidArgumentError, match=f"there are no contrasts '{how}'"):
            lmer(formula, data, contrasts=contrasts, chunk_size=size)


@pytest.mark.filterwarnings("ignore:singular fit")
@pytest.mark.parametrize("size", [None, 25])
@pytest.mark.parametrize("kind", ["n", "a"])
def test_no_column_has_the_name_of_the_constant_beside_it(kind, size):
    data = FRAME.assign(y=FRAME["n"] ** 2, Intercept=FRAME[kind], h=np.arange(len(FRAME)) // 6)
    for rhs in ("Intercept * b", "b + Intercept", "`Intercept`:b", "b + (Intercept | h)"):
        with pytest.raises(InvalidArgumentError, match="'Intercept' has the name of the constant"):
            lmer(f"y ~ {rhs} + (1 | i)", data, chunk_size=size)
    alone = lmer("y ~ 0 + Intercept + (1 | i)", data, chunk_size=size).fixef()
    assert alone.index.is_unique
    np.testing.assert_array_equal(
        alone, lmer(f"y ~ 0 + {kind} + (1 | i)", data, chunk_size=size).fixef()
    )


@pytest.mark.parametrize("rhs", ["a * np.exp(n)", "a + np.log(n)"])
def test_infinite_results_of_functions_are_told_without_numpys_warnings(rhs):
    data = FRAME.assign(y=FRAME["n"] ** 2, n=1000.0 * (FRAME.index % 2))
    with pytest.raises(InvalidArgumentError, match="infinite or undefined values in"):
        lmer(f"y ~ {rhs} + (1 | i)", data)

"""`glmer` on the tables that people bring: the numbers of the plain one, or a sentence of ours."""

from __future__ import annotations

import decimal
import warnings

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError

N = 120


@pytest.fixture(scope="module")
def plain():
    rng = np.random.default_rng(5)
    g, x, age = rng.integers(0, 10, N), rng.normal(size=N), rng.integers(20, 90, N)
    eta = 0.3 + 0.4 * x + 0.6 * rng.normal(size=10)[g] - 0.01 * (age - 50)
    probability = 1.0 / (1.0 + np.exp(-eta))
    return pd.DataFrame({
        "g": g, "x": x, "age": age, "e": rng.integers(1, 9, N), "f": rng.choice(list("abc"), N),
        "c": rng.poisson(np.exp(eta)), "s": 50 + rng.binomial(150, probability),
        "l": 50 + rng.binomial(150, 1.0 - probability), "k": rng.binomial(1, probability),
    })  # fmt: skip


def decimals(column):
    return [decimal.Decimal(repr(float(value))) for value in column]


def missing(column, dtype, at=3):
    made = column.astype(dtype)
    made[at] = pd.NA
    return made


def arrow(column):
    pa = pytest.importorskip("pyarrow")
    return column.astype(pd.ArrowDtype(pa.from_numpy_dtype(column.dtype)))


#: A change of the table, the formula and family with it, those that say the same of the plain one
#: less its fourth row where that has no value.
TABLES = {
    "uint8 counts and ages": (
        lambda d: d.astype({"c": "uint8", "age": "uint8", "g": "uint8"}),
        "c ~ I(age - 50) + I(age^2 / 1000) + (1 | g)", "poisson",
        "c ~ I(age - 50.0) + I(age ** 2.0 / 1000) + (1 | g)", False,
    ),
    "uint8 successes, whose sums wrap": (
        lambda d: d.astype({"s": "uint8", "l": "uint8"}),
        "cbind(s, l) ~ x + (1 | g)", "binomial", "cbind(s, l) ~ x + (1 | g)", False,
    ),
    "decimals": (
        lambda d: d.assign(c=decimals(d["c"]), x=decimals(d["x"])),
        "c ~ x + (1 | g)", "poisson", "c ~ x + (1 | g)", False,
    ),
    "a response without a value": (
        lambda d: d.assign(k=missing(d["k"], "boolean")),
        "k ~ x + (1 | g)", "binomial", "k ~ x + (1 | g)", True,
    ),
    "arrow's truth values": (
        lambda d: d.assign(k=arrow(d["k"].astype(bool))),
        "k ~ x + (1 | g)", "binomial", "k ~ x + (1 | g)", False,
    ),
    "labels with one that is not used": (
        lambda d: d.assign(
            k=pd.Categorical(np.where(d["k"] == 1, "yes", "no"), ["maybe", "no", "yes"])
        ),
        "k ~ x + (1 | g)", "binomial", "k ~ x + (1 | g)", False,
    ),
    "large ids, one of them missing": (
        lambda d: d.assign(g=missing(2**53 + 1 + 2 * (d["g"] // 2) + d["g"] % 2, "Int64")),
        "c ~ x + (1 | g)", "poisson", "c ~ x + (1 | g)", True,
    ),
    "levels that are not used": (
        lambda d: d.assign(
            f=pd.Categorical(d["f"], list("zabcq")), g=pd.Categorical(d["g"], range(20))
        ),
        "c ~ f + (1 | g)", "poisson", "c ~ f + (1 | g)", False,
    ),
    "an offset without a value": (
        lambda d: d.assign(e=missing(d["e"], "Int64")),
        "c ~ x + offset(log(e)) + (1 | g)", "poisson", "c ~ x + offset(np.log(e)) + (1 | g)", True,
    ),
    "a power in a bar and an offset": (
        lambda d: d,
        "c ~ x + offset(x^2) + (1 | g)", "poisson", "c ~ x + offset(x ** 2) + (1 | g)", False,
    ),
    "a factor that is said to be one": (
        lambda d: d,
        "c ~ x + (1 | factor(g))", "poisson", "c ~ x + (1 | g)", False,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TABLES)
def test_same_as_the_plain_table(plain, case):
    change, formula, family, same, drops = TABLES[case]
    made = mx.glmer(formula, change(plain), family)
    expected = mx.glmer(same, plain.drop(index=3) if drops else plain, family)
    np.testing.assert_allclose(made.fixef(), expected.fixef(), rtol=1e-6, atol=1e-8)
    assert made.deviance() == pytest.approx(expected.deviance(), rel=1e-9)
    assert len(made.ranef()["g"]) == len(expected.ranef()["g"])


def test_tables_of_arrow_and_polars(plain):
    pa, pl = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    expected = mx.glmer("c ~ x + f + (1 | g)", plain, "poisson")
    for table in (pa.Table.from_pandas(plain), pl.from_pandas(plain)):
        made = mx.glmer("c ~ x + f + (1 | g)", table, "poisson")
        np.testing.assert_allclose(made.fixef(), expected.fixef(), rtol=1e-8)
        np.testing.assert_allclose(made.predict(table), expected.fitted(), rtol=1e-7)


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_predictions_of_other_types(plain, backend):
    if backend == "pyarrow":
        pytest.importorskip("pyarrow")
    made = mx.glmer("c ~ I(age - 50) + x + f + (1 | g)", plain, "poisson")
    new = plain.convert_dtypes(dtype_backend=backend)
    np.testing.assert_allclose(made.predict(new), made.fitted(), rtol=1e-9)
    np.testing.assert_allclose(made.predict(plain.astype({"age": "uint8"})), made.fitted())


def test_a_frame_that_changes_after_the_fit(plain):
    data = plain.copy()
    made = mx.glmer("c ~ x + f + (1 | g)", data, "poisson")
    data["x"], data["c"] = 0.0, 1
    expected = mx.glmer("c ~ x + (1 | g)", plain, "poisson")
    assert made.update(". ~ . - f").deviance() == pytest.approx(expected.deviance(), rel=1e-9)


@pytest.mark.parametrize(
    "formula",
    [
        "c ~ x + (1 | g) + (1 | g2)",
        "c ~ x + (1 | g) + (0 + f | g)",
        "c ~ (0 + x | g) + (0 + x2 | g)",
    ],
)
def test_variances_that_cannot_be_told_apart(plain, formula):
    data = plain.assign(g2=plain["g"], x2=2.0 * plain["x"], f=np.where(plain["x"] > 0, "a", "b"))
    with pytest.raises(InvalidArgumentError, match="can't be told apart"):
        mx.glmer(formula, data, "poisson")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        mx.glmer(formula, data, "poisson", control=mx.LmerControl(check=False))
    assert any("can't be told apart" in str(each.message) for each in said)


def test_an_effect_of_each_row_is_no_residual_variance(plain):
    """Overdispersed counts: there is no residual variance that it could be taken for."""
    data = plain.assign(row=np.arange(N))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mx.exceptions.SingularFitWarning)
        made = mx.glmer("c ~ x + (1 | g) + (1 | row)", data, "poisson")
    assert len(made.ranef()) == 2


def test_swapped_family_and_data(plain):
    with pytest.raises(
        InvalidArgumentError, match="got a DataFrame: the arguments are swapped"
    ) as e:
        mx.glmer("y ~ x + (1 | g)", "binomial", plain)
    assert len(str(e.value)) < 200
    with pytest.raises(InvalidArgumentError, match="family: expected a name") as e:
        mx.glmer("y ~ x + (1 | g)", plain, list(range(1000)))
    assert len(str(e.value)) < 200


def test_swapped_arguments(plain):
    with pytest.raises(InvalidArgumentError, match=r"swapped: glmer\(formula, data\)"):
        mx.glmer(plain, "c ~ x + (1 | g)")

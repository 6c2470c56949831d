"""Whatever dtypes a table has: every verb gives what it gives for plain numbers and text."""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import merextras as mx
from merextras.exceptions import MerextrasError, MerextrasWarning

FORMULA = "y ~ n + I((n - 50)**2) + z + f + b + center(z):f + (z | g) + (1 | h)"
N = 240


def plain():
    """Integers, floats, text, truth values; ids above 2**53 and text ids."""
    rng = np.random.default_rng(7)
    g, h = np.repeat(np.arange(24), 10), rng.integers(0, 6, N)
    data = pd.DataFrame(
        {
            "g": g + 2**53,
            "h": np.array(list("uvwxyz"))[h],
            "n": rng.integers(0, 100, N),
            "z": np.round(rng.normal(size=N), 3),
            "f": rng.choice(list("abc"), N),
            "b": rng.random(N) < 0.5,
        }
    )
    effects = rng.normal(size=24)[g] + rng.normal(size=6)[h] + rng.normal(size=24)[g] * data["z"]
    return data.assign(y=data["n"] * 0.1 + (data["f"] == "b") + effects + rng.normal(size=N))


DTYPES = {
    "objects": lambda d: d.astype(object),
    "nullable": lambda d: d.convert_dtypes(),
    "arrow": lambda d: d.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.from_pandas,
    "arrow table": lambda d: pa.Table.from_pandas(d, preserve_index=False),
    "int8": lambda d: d.astype({"n": "int8"}),
    "uint8": lambda d: d.astype({"n": "uint8"}),
    "UInt8": lambda d: d.astype({"n": "UInt8"}),
    "uint64": lambda d: d.astype({"n": "uint64", "g": "uint64"}),
    "float": lambda d: d.astype({"n": float}),
    "string": lambda d: d.astype({"f": "string", "h": "string[pyarrow]"}),
    "category": lambda d: d.astype({"f": "category", "h": "category", "g": "category"}),
    "wide categories": lambda d: d.assign(
        f=pd.Categorical(d["f"], categories=list("abcd")),
        h=pd.Categorical(d["h"], categories=list("tuvwxyz")),
    ),
    "decimals": lambda d: d.assign(z=[Decimal(str(v)) for v in d["z"]]),
    "sparse": lambda d: d.astype({"z": "Sparse[float64]"}),
}


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return call()


def numbers(result):
    """All numbers of a frame or series, by column."""
    frame = pd.DataFrame(result).reset_index(drop=True)
    return frame.select_dtypes("number").astype(float)


VERBS = {
    "predict": lambda m, d: m.predict(d, se_fit=True),
    "predict_interval": lambda m, d: mx.predict_interval(m, d, n_sims=20, rng=1),
    "what_if": lambda m, d: mx.what_if(m, d, "h", n_sims=None),
    "what_if changes": lambda m, d: mx.what_if(m, d, changes={"n": [1, 99]}, n_sims=None),
    "re_impact": lambda m, d: mx.re_impact(m, d, group="h"),
    "re_margins": lambda m, d: mx.re_margins(m, d, group="h", breaks=3),
    "simulate": lambda m, d: m.simulate(newdata=d, n_sims=2, rng=1),
    "average_obs": lambda m, d: mx.average_obs(m, data=d),
}


@pytest.fixture(scope="module")
def data():
    return plain()


@pytest.fixture(scope="module", params=["memory", "chunks"])
def model(request, data):
    given = data if request.param == "memory" else [data.iloc[:100], data.iloc[100:]]
    return quietly(lambda: mx.lmer(FORMULA, given))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("verb", VERBS)
def test_verbs(model, data, dtype, verb):
    rows = data.iloc[5:13].reset_index(drop=True)
    try:
        expected = numbers(quietly(lambda: VERBS[verb](model, rows)))
    except MerextrasError as err:  # a model without rows has not all verbs
        with pytest.raises(type(err)):
            VERBS[verb](model, DTYPES[dtype](rows))
        return
    made = numbers(quietly(lambda: VERBS[verb](model, DTYPES[dtype](rows))))
    common = [c for c in expected if c in made]
    assert len(common) >= 1
    np.testing.assert_allclose(made[common], expected[common], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_fits(data, dtype, engine):
    control = mx.LmerControl(formula_engine=engine)
    given = DTYPES[dtype](data)
    if isinstance(given, pa.Table) and engine == "formulaic":
        given = [given.to_pandas()]
        control = mx.LmerControl()
    m = quietly(lambda: mx.lmer(FORMULA, given, control=control))
    ref = quietly(lambda: mx.lmer(FORMULA, data))
    made = m.fixef().rename({"b": "b[T.True]"})  # formulaic takes a truth value as a number
    assert set(made.index) == set(ref.fixef().index)
    np.testing.assert_allclose(made[ref.fixef().index], ref.fixef(), rtol=1e-7, atol=1e-9)
    assert m.log_lik() == pytest.approx(ref.log_lik(), rel=1e-10)
    chunks = given if isinstance(given, list) else [given]
    streamed = quietly(lambda: mx.lmer(FORMULA, chunks))
    assert streamed.log_lik() == pytest.approx(ref.log_lik(), rel=1e-10)


@pytest.mark.parametrize("seed", range(60))
def test_random_dtypes_of_columns(data, seed):
    """Any mixture of dtypes, with missing values: predictions of plain columns, or NaN."""
    rng = np.random.default_rng(seed)
    m = quietly(lambda: mx.lmer(FORMULA, data))
    rows = data.iloc[rng.integers(0, N, 12)].reset_index(drop=True)
    given = rows.copy()
    allowed = {
        "n": ["int8", "uint16", "Int64", "UInt8", "Float32", "float64", object, "int32[pyarrow]"],
        "z": ["float64", "Float64", object, "double[pyarrow]"],
        "f": ["category", "string", object, "str", "string[pyarrow]"],
        "b": ["bool", "boolean", object, "bool[pyarrow]"],
        "g": ["uint64", "Int64", object, "UInt64", "int64[pyarrow]", "category"],
        "h": ["category", "string", object, "string[pyarrow]"],
    }
    missing = np.zeros(12, dtype=bool)
    for column, dtypes in allowed.items():
        dtype = dtypes[rng.integers(len(dtypes))]
        given[column] = given[column].astype(dtype)
        can_miss = dtype not in {"int8", "uint16", "bool", "uint64"}
        if can_miss and column not in {"g", "h"} and rng.random() < 0.4:
            at = int(rng.integers(12))
            given.loc[at, column] = None
            missing[at] = True
    made, expected = m.predict(given), m.predict(rows)
    assert made.isna().tolist() == missing.tolist()
    np.testing.assert_allclose(made[~missing], expected[~missing], rtol=1e-12)

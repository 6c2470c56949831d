"""Fits from chunks are the fits in memory."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from chunk_models import MODELS, assert_same, table

import merextras as mx
from merextras.exceptions import (
    InvalidArgumentError,
    RankDeficientWarning,
    TooLargeError,
    UnsupportedModelError,
)
from merextras.model.source import reduce

FORMULA = "y ~ x + c + (1 | g) + (1 | h)"


@pytest.fixture(scope="module")
def data():
    return table()


@pytest.fixture(scope="module")
def whole(data):
    return mx.lmer(FORMULA, data)


@pytest.mark.parametrize("name", MODELS)
def test_any_chunk_size(data, name):
    formula, kwargs = MODELS[name]
    expected = mx.lmer(formula, data, **kwargs)
    for size in (11, 400, 10**6):
        assert_same(mx.lmer(formula, data, chunk_size=size, **kwargs), expected)


def _files(data, folder):
    data.iloc[:500].to_parquet(folder / "a.parquet")
    data.iloc[500:].to_parquet(folder / "b.parquet")
    data.to_csv(folder / "rows.csv", index=False)


@pytest.mark.parametrize(
    "kind",
    ["table", "dataset", "glob", "folder", "path", "csv", "list", "function", "polars", "paths"],
)
def test_every_source(data, whole, tmp_path, kind):
    _files(data, tmp_path)
    data.to_parquet(tmp_path / "whole.pq", row_group_size=200)
    source = {
        "table": lambda: pa.Table.from_pandas(data),
        "dataset": lambda: ds.dataset([str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")]),
        "glob": lambda: str(tmp_path / "*.parquet"),
        "folder": lambda: tmp_path,
        "path": lambda: tmp_path / "whole.pq",
        "csv": lambda: tmp_path / "rows.csv",
        "list": lambda: [data.iloc[:10], data.iloc[10:10], data.iloc[10:]],
        "function": lambda: lambda: (data.iloc[i : i + 70] for i in range(0, len(data), 70)),
        "polars": lambda: pl.from_pandas(data),
        "paths": lambda: [tmp_path / "a.parquet", tmp_path / "b.parquet"],
    }[kind]()
    assert_same(mx.lmer(FORMULA, source, chunk_size=300), whole)


def test_chunks_of_one_level_and_of_one_row(data, whole):
    by_level = data.sort_values(["g", "h"], kind="stable")
    expected = mx.lmer(FORMULA, by_level)
    found = mx.lmer(FORMULA, lambda: (rows for _, rows in by_level.groupby("g")))
    assert_same(found, expected)
    few = data.iloc[:150]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = mx.lmer("y ~ x + (1 | h)", few, chunk_size=1)
    assert_same(found, mx.lmer("y ~ x + (1 | h)", few))


def test_categories_that_differ_by_chunk(data, whole):
    chunks = [data.iloc[i : i + 100] for i in range(0, len(data), 100)]
    chunks = [c.assign(h=c["h"].astype("category"), c=c["c"].astype("category")) for c in chunks]
    assert_same(mx.lmer(FORMULA, chunks), whole)


def test_categories_in_their_own_order(data):
    h = pd.Categorical(data["h"], categories=list("hgfedcbaz"))
    c = pd.Categorical(data["c"], categories=["w", "u", "v"])
    ordered = data.assign(h=h, c=c)
    found = mx.lmer(FORMULA, ordered, chunk_size=100)
    assert_same(found, mx.lmer(FORMULA, ordered))
    assert "c[T.u]" in found.fixef().index


def test_a_basis_that_the_first_chunk_does_not_know(data):
    later = data.dropna().assign(t=lambda d: np.where(np.arange(len(d)) < 700, 0.0, d["x"] ** 3))
    later["y"] += np.where(np.arange(len(later)) < 700, 0.0, 1e6)
    formula = "y ~ x + t + c + (1 | g)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(mx.lmer(formula, later, chunk_size=50), mx.lmer(formula, later))


def test_dependent_columns_are_dropped_as_in_memory(data):
    formula = "y ~ x + I(2 * x) + c + (1 | g)"
    with pytest.warns(RankDeficientWarning, match="dropped 1 column"):
        found = mx.lmer(formula, data, chunk_size=200)
    with pytest.warns(RankDeficientWarning):
        assert_same(found, mx.lmer(formula, data))
    assert found.fixef(add_dropped=True).isna().sum() == 1


def test_zero_weights_are_no_observations(data):
    zero = data.assign(w=np.where(np.arange(len(data)) < 800, 0.0, data["w"]))
    assert_same(
        mx.lmer("y ~ x + (1 | g)", zero, weights="w", chunk_size=100),
        mx.lmer("y ~ x + (1 | g)", zero, weights="w"),
    )


def test_names_of_the_caller(data):
    def half(x):
        return x / 2.0

    assert_same(
        mx.lmer("y ~ half(x) + (1 | g)", data, chunk_size=100),
        mx.lmer("y ~ half(x) + (1 | g)", data),
    )


def test_a_model_pickles_and_predicts(data):
    formula = "y ~ bs(t, df=4) + np.log(x) + C(c, Sum) + (1 | h/k)"
    found = mx.lmer(formula, data, chunk_size=100)
    again = pickle.loads(pickle.dumps(found))
    rows = data.dropna()
    expected = mx.lmer(formula, data).predict(rows)
    np.testing.assert_allclose(found.predict(rows), expected, rtol=1e-9)
    np.testing.assert_array_equal(again.predict(rows), found.predict(rows))


REFUSED = {
    "generator": (lambda d: (d for _ in range(2)), {}, "gone through only once"),
    "one frame": (lambda d: lambda: d, {}, "must give an iterable of frames, not one frame"),
    "nothing": (lambda d: [], {}, "there are no chunks"),
    "kind": (lambda d: 3.5, {"chunk_size": 10}, "expected a pandas or polars frame.*got float"),
    "no file": (lambda d: "nowhere/*.parquet", {}, "there is no file"),
    "size": (lambda d: d, {"chunk_size": 0}, "chunk_size=0"),
    "progress": (lambda d: [d], {"progress": "yes"}, "progress='yes'"),
    "array": (lambda d: [d], {"weights": np.ones(3)}, "weights: .*need the name of a column"),
    "column": (lambda d: [d], {"weights": "ww"}, "weights: 'ww' is not a column"),
    "raise": (lambda d: [d], {"missing": "raise"}, "missing='raise': 16 of 1500 rows"),
    "types": (lambda d: [d, d.assign(g="a")], {}, "'g' has .* in some chunks"),
    "numbers": (lambda d: [d, d.assign(x="a")], {}, "'x' has numbers in some chunks"),
    "lacking": (
        lambda d: [d, d[["y", "g"]]],
        {},
        r"a chunk lacks the column\(s\) \['h', 'x', 'c'\]",
    ),
    "infinite": (lambda d: [d.assign(x=np.inf)], {}, r"infinite or undefined values in \['x'\]"),
    "negative": (lambda d: [d.assign(w=-1.0)], {"weights": "w"}, "weights: .*not negative"),
    "counts": (lambda d: [d], {"freq_weights": "w"}, "freq_weights: .*whole numbers"),
    "no rows": (lambda d: [d.iloc[:0]], {}, "there are no rows"),
    "all missing": (lambda d: [d.assign(y=np.nan)], {}, "no row has a value"),
    "one level": (lambda d: [d.assign(h="a")], {}, "has one level"),
    "constant": (lambda d: [d.assign(y=1.0)], {}, "all values are 1"),
    "one category": (lambda d: [d.assign(c="a")], {}, "the factor 'c' has one level"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(data, name):
    source, kwargs, message = REFUSED[name]
    with pytest.raises(InvalidArgumentError, match=message):
        mx.lmer(FORMULA, source(data), **kwargs)


def test_formulaic_is_refused(data):
    control = mx.LmerControl(formula_engine="formulaic")
    with pytest.raises(InvalidArgumentError, match="formula_engine='formulaic'"):
        mx.lmer(FORMULA, [data], control=control)


def test_a_source_that_changes(data):
    two_passes = FORMULA.replace("x", "center(x)")
    times = iter([data, data, data.iloc[:-5]])
    with pytest.raises(
        InvalidArgumentError, match="1500 rows were counted in the first pass, 1495"
    ):
        mx.lmer(two_passes, lambda: [next(times)])
    times = iter([data.iloc[:-2], data.iloc[:-2], data.iloc[2:]])
    with pytest.raises(InvalidArgumentError, match="'g' has levels in the second pass"):
        mx.lmer(two_passes, lambda: [next(times)])


def _reads(chunks):
    """The chunks, and how often they have been gone through to the end."""
    ends = []

    def made():
        yield from chunks
        ends.append(None)

    return made, ends


def test_one_pass_where_the_first_rows_tell_the_columns(data):
    by_level = data.sort_values("g", kind="stable")
    chunks = [by_level.iloc[i : i + 300] for i in range(0, len(data), 300)]
    made, ends = _reads(chunks)
    for formula in (FORMULA, "y ~ x + (0 + b | h) + (1 | g:k)"):
        ends.clear()
        assert_same(mx.lmer(formula, made), mx.lmer(formula, by_level))
        assert len(ends) == 1


def test_two_passes_where_a_category_comes_later(data):
    by_category = data.sort_values("c", kind="stable")
    chunks = [by_category.iloc[i : i + 300] for i in range(0, len(data), 300)]
    made, ends = _reads(chunks)
    assert_same(mx.lmer(FORMULA, made), mx.lmer(FORMULA, by_category))
    assert len(ends) == 2
    # The same categories, of which the last chunk has none of its own order.
    agreed = pd.CategoricalDtype(["w", "u", "v"])
    made, ends = _reads([data.iloc[:900].astype({"c": agreed}), data.iloc[900:]])
    assert_same(mx.lmer(FORMULA, made), mx.lmer(FORMULA, data))
    assert len(ends) == 2


def test_one_pass_by_groups_with_residual_variances(data):
    rows = data.dropna(subset=["h"])
    chunks = [rows.iloc[i : i + 200] for i in range(0, len(rows), 200)]
    made, ends = _reads(chunks[::-1])
    formula = "y ~ x + (1 | g) + (1 | k)"
    found = mx.lmer(formula, made, residual_by="h")
    assert len(ends) == 1
    expected = mx.lmer(formula, rows, residual_by="h")
    assert_same(found, expected)


def test_ordered_categories_must_agree(data):
    kind = pd.CategoricalDtype(["u", "v", "w"], ordered=True)
    other = pd.CategoricalDtype(["w", "v", "u"], ordered=True)
    chunks = [data.assign(c=data["c"].astype(kind)), data.assign(c=data["c"].astype(other))]
    with pytest.raises(InvalidArgumentError, match="ordered categorical 'c'"):
        mx.lmer(FORMULA, chunks)


def test_what_would_not_fit_is_said_before(data, monkeypatch):
    monkeypatch.setattr(reduce, "available_memory", lambda: 1e4)
    with pytest.raises(
        TooLargeError, match=r"GB for 61 levels of g.*pairs of g and h|pairs.*levels"
    ):
        mx.lmer(FORMULA, [data])


def test_categories_by_code_with_a_memory_are_refused(data):
    with pytest.raises(UnsupportedModelError, match="add it to the data as a column"):
        mx.lmer("y ~ C(center(t) > 0) + (1 | g)", [data])

"""Generalised models of data in chunks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    n = 600
    g = rng.integers(0, 30, n)
    time, x = rng.uniform(0.5, 2.0, n), rng.normal(size=n)
    count = rng.poisson(time * np.exp(0.3 * x + rng.normal(0.0, 0.5, 30)[g]))
    frame = pd.DataFrame({"count": count, "x": x, "g": [f"g{k}" for k in g], "time": time})
    return frame.assign(kind=pd.Categorical(np.where(rng.random(n) < 0.4, "b", "a")), unused="text")


FORMULA = "count ~ x + kind + offset(np.log(time)) + (1 | g)"


def _same(found, expected):
    np.testing.assert_allclose(found.log_lik(), expected.log_lik(), rtol=1e-12)
    np.testing.assert_allclose(found.vcov(), expected.vcov(), rtol=1e-7)
    np.testing.assert_allclose(found.fitted(), expected.fitted(), rtol=1e-9)


def test_lists_of_frames_and_files(table, tmp_path):
    expected = mx.glmer(FORMULA, table, "poisson")
    parts = [table.iloc[:250], table.iloc[250:300], table.iloc[300:]]
    _same(mx.glmer(FORMULA, parts, "poisson"), expected)
    _same(mx.glmer(FORMULA, lambda: iter(parts), "poisson"), expected)
    for i, part in enumerate(parts):
        part.to_parquet(tmp_path / f"part{i}.parquet")
        part.to_csv(tmp_path / f"part{i}.csv", index=False)
    _same(mx.glmer(FORMULA, tmp_path / "*.parquet", "poisson"), expected)
    m = mx.glmer(FORMULA, tmp_path / "*.csv", "poisson")
    _same(m, expected)
    assert "unused" not in m.model_frame()


def test_dask(table):
    dd = pytest.importorskip("dask.dataframe")
    data = dd.from_pandas(table, npartitions=3)
    _same(mx.glmer(FORMULA, data, "poisson"), mx.glmer(FORMULA, table, "poisson"))


def test_categories_that_differ_between_chunks(table):
    parts = [table[table["kind"] == kind].assign(kind=kind) for kind in ("a", "b")]
    parts = [part.assign(kind=part["kind"].astype("category")) for part in parts]
    expected = mx.glmer(FORMULA, pd.concat(parts), "poisson")
    _same(mx.glmer(FORMULA, parts, "poisson"), expected)


def test_weights_and_offset_are_columns(table):
    share = table.assign(m=8, p=np.minimum(table["count"], 8) / 8)
    parts = [share.iloc[:300], share.iloc[300:]]
    expected = mx.glmer("p ~ x + (1 | g)", share, weights="m")
    np.testing.assert_allclose(
        mx.glmer("p ~ x + (1 | g)", parts, weights="m").log_lik(), expected.log_lik(), rtol=1e-12
    )
    with pytest.raises(InvalidArgumentError, match="weights: of data in chunks give the name"):
        mx.glmer("p ~ x + (1 | g)", parts, weights=share["m"])


def test_cross_products_are_refused(table):
    products = mx.cross_products("count ~ x + (1 | g)", [table])
    with pytest.raises(UnsupportedModelError, match="weights change with every step"):
        mx.glmer("count ~ x + (1 | g)", products, "poisson")


def test_a_column_that_is_missing(table):
    with pytest.raises(InvalidArgumentError, match="nothing"):
        mx.glmer("count ~ nothing + (1 | g)", [table, table], "poisson")

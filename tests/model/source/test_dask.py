"""Dask DataFrames: the same fit, whichever worker did what."""

from __future__ import annotations

import os
import signal
import threading
import time

import dask
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from chunk_models import MODELS, assert_same, table
from dask.distributed import Client, LocalCluster

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError

FORMULA = "y ~ x + c + (1 | g) + (1 | h)"


@pytest.fixture(scope="module")
def data():
    return table()


@pytest.fixture(autouse=True)
def _one_thread():
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("partitions", [1, 5])
def test_partitions(data, name, partitions):
    formula, kwargs = MODELS[name]
    source = dd.from_pandas(data, npartitions=partitions)
    assert_same(mx.lmer(formula, source, **kwargs), mx.lmer(formula, data, **kwargs))


def test_empty_partitions_and_threads(data):
    source = dd.from_pandas(data, npartitions=6)
    source = source[(source["t"] < 100100) | (source["t"] > 100900)]
    expected = mx.lmer(FORMULA, data[(data["t"] < 100100) | (data["t"] > 100900)])
    with dask.config.set(scheduler="threads"):
        found = mx.lmer(FORMULA, source)
    assert_same(found, expected)


@pytest.mark.parametrize("column", ["y", "x", "c", "g"])
def test_a_partition_without_a_column(data, column):
    parts = [dask.delayed(data), dask.delayed(data.drop(columns=column))]
    for formula in (FORMULA, "y ~ center(x) + c + (1 | g)"):
        source = dd.from_delayed(parts, verify_meta=False)
        with pytest.raises(
            InvalidArgumentError, match=rf"partition 1 lacks .*\['{column}'\]; it h"
        ):
            mx.lmer(formula, source)
        source = dd.from_delayed(parts, meta=data.iloc[:0])
        with pytest.raises(InvalidArgumentError, match=rf"partition 1 can't be had: .*{column}"):
            mx.lmer(formula, source)


def test_a_partition_that_is_lost_or_comes_twice(data, monkeypatch):
    source = dd.from_pandas(data, npartitions=4)
    from merextras.model.source import dask

    tree = dask._tree
    calls = []

    def wrong(made):
        calls.append(made)
        return tree(made if len(calls) % 2 else [*made, made[0]])

    monkeypatch.setattr(dask, "_tree", wrong)
    with pytest.raises(InvalidArgumentError, match="1500 rows were counted in the first pass, 187"):
        mx.lmer(FORMULA, source)


def test_rows_of_a_dask_frame_are_asked_for_by_partition(data):
    source = dd.from_pandas(data, npartitions=4)
    found = mx.lmer(FORMULA, source)
    with pytest.raises(UnsupportedModelError, match="give the partitions"):
        mx.stream_rows(found, source)
    parts = mx.stream_rows(found, lambda: (part.compute() for part in source.to_delayed()))
    assert sum(map(len, parts)) == found.nobs()


def _slow(frame, wait):
    time.sleep(wait)
    return frame


@pytest.fixture(scope="module")
def cluster():
    """Two workers, which all tests that need some share."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        yield made


@pytest.fixture
def client(cluster):
    with dask.config.set(scheduler=None), Client(cluster) as made:
        yield made


@pytest.mark.slow
def test_two_workers_and_crossed_factors(client):
    """The form of InstEval (students, instructors, departments), reduced by two workers."""
    rng = np.random.default_rng(2)
    n = 6000
    data = pd.DataFrame(
        {
            "s": rng.integers(0, 300, n),
            "d": rng.integers(0, 110, n),
            "dept": rng.integers(0, 14, n),
            "service": rng.integers(0, 2, n),
        }
    )
    data["y"] = (
        3.0
        + rng.normal(0.0, 0.3, 300)[data["s"]]
        + rng.normal(0.0, 0.5, 110)[data["d"]]
        + rng.normal(0.0, 0.5, 28)[14 * data["service"] + data["dept"]]
        + rng.normal(0.0, 1.2, n)
        - 0.1 * data["service"]
    )
    formula = "y ~ service + (1 | s) + (1 | d) + (1 | dept:service)"
    assert_same(mx.lmer(formula, dd.from_pandas(data, npartitions=7)), mx.lmer(formula, data))


@pytest.mark.slow
def test_a_worker_that_is_killed(data, client):
    """Its partitions are reduced again by the other; the fit is that of all rows."""
    source = dd.from_pandas(data, npartitions=8)
    slow = source.map_partitions(_slow, 0.2, meta=source._meta)
    pids = list(client.run(os.getpid).values())
    timer = threading.Timer(0.6, os.kill, (pids[0], signal.SIGKILL))
    timer.start()
    found = mx.lmer(FORMULA, slow)
    timer.join()
    assert_same(found, mx.lmer(FORMULA, data))

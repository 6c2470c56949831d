"""joblib's Dask backend: the same results, whoever does the work."""

from __future__ import annotations

import dask
import joblib
import numpy as np
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster

import merextras as mx


@pytest.fixture(scope="module")
def client():
    """A scheduler and two workers in this process."""
    with (
        dask.config.set({"distributed.worker.memory.terminate": False}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def students():
    return mx.load_dataset("students")


FORMULA = "extro ~ open + (1 | school)"

WORK = {
    "bootstrap": lambda d, n: (
        mx.bootstrap(mx.lmer(FORMULA, d), n_sims=1030, rng=1, n_jobs=n).estimates
    ),
    "bootstrap, one by one": lambda d, n: (
        mx.bootstrap(mx.lmer(FORMULA, d), mx.theta_extract, n_sims=10, rng=1, n_jobs=n).estimates
    ),
    "bootstrap without rows": lambda d, n: (
        mx.bootstrap(mx.lmer(FORMULA, [d]), n_sims=1030, rng=1, n_jobs=n).estimates
    ),
    "ranova": lambda d, n: mx.ranova(
        mx.lmer(FORMULA, d), p_values="bootstrap", n_sims=20, rng=1, n_jobs=n
    ),
    "all_fit": lambda d, n: mx.all_fit(mx.lmer(FORMULA, d), rng=1, n_jobs=n).to_frame()[
        ["optimizer", "criterion", "n_evaluations"]
    ],
    "lmer_list": lambda d, n: mx.lmer_list(FORMULA, [d.iloc[::2], d.iloc[1::2]], n_jobs=n).fixef(),
}


@pytest.mark.parametrize("name", WORK)
def test_the_same_on_a_cluster(name, students, client):
    expected = WORK[name](students, 1)
    with joblib.parallel_config(backend="dask"):
        found = WORK[name](students, 2)
    pd.testing.assert_frame_equal(pd.DataFrame(found), pd.DataFrame(expected))
    assert np.isfinite(np.asarray(pd.DataFrame(found).select_dtypes("number"))).any()

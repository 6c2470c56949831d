"""Residual variances by group in chunks, of sites, without rows; and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from chunk_models import table
from properties.compare import close
from residual_by_school import CROSSED, STUDENTS, assert_same, crossed, model, students

import merextras as mx
from merextras.exceptions import (
    DataWarning,
    InvalidArgumentError,
    NoRowsError,
    RefitWarning,
    UnsupportedModelError,
)


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", (RefitWarning,))
        yield


@pytest.mark.parametrize("reml", [True, False])
def test_chunks(reml):
    chunks = [students().iloc[i::7] for i in range(7)]
    assert_same(mx.lmer(STUDENTS, chunks, residual_by="school", reml=reml), model(reml))


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
@pytest.mark.parametrize("by", ["c", "cb"])
def test_chunks_of_crossed_factors(by):
    rows = table()
    chunks = [rows.iloc[at : at + 400] for at in range(0, len(rows), 400)]
    assert_same(mx.lmer(CROSSED, chunks, residual_by=list(by)), crossed(by))


@pytest.mark.parametrize("split", ["by group", "across groups"])
def test_two_sites(split, tmp_path):
    first = students().school <= "III" if split == "by group" else np.arange(1200) % 3 > 0
    one, other = (
        mx.cross_products(STUDENTS, students()[rows], residual_by="school")
        for rows in (first, ~first)
    )
    assert_same(mx.MerMod.from_cross_products(one + other), model())
    assert_same(mx.MerMod.from_cross_products(other + one), model())
    (one + other).save(tmp_path / "both.npz")
    both = mx.load_cross_products(tmp_path / "both.npz")
    assert_same(mx.MerMod.from_cross_products(both), model())


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
def test_two_sites_of_crossed_factors(tmp_path):
    half = table().index % 2 == 0
    sites = [mx.cross_products(CROSSED, table()[rows], residual_by="c", levels={"c": "uvw"})
             for rows in (half, ~half)]  # fmt: skip
    sum(sites).save(tmp_path / "both.npz")
    read = mx.load_cross_products(tmp_path / "both.npz", trust_formula=True)
    assert_same(mx.MerMod.from_cross_products(read), crossed())


def test_dask():
    dd = pytest.importorskip("dask.dataframe")
    data = dd.from_pandas(students(), npartitions=5)
    assert_same(mx.lmer(STUDENTS, data, residual_by="school"), model())


def test_other_products_are_not_added():
    one = mx.cross_products(STUDENTS, students(), residual_by="school")
    with pytest.raises(InvalidArgumentError, match="residual_by is"):
        one + mx.cross_products(STUDENTS, students())


def test_without_rows_as_with_them():
    streamed = mx.lmer(STUDENTS, [students()], residual_by="school")
    assert_same(streamed.update(". ~ . - agree"), model().update(". ~ . - agree"))
    assert_same(streamed.refit_ml(), model().refit_ml())
    close(streamed.drop1()["statistic"][1:], model().drop1()["statistic"][1:], 1e-6)
    for verb in (mx.rmse, lambda m: mx.r2(m).conditional, lambda m: mx.icc(m).adjusted):
        assert verb(streamed) == pytest.approx(verb(model()), rel=1e-8)
    assert streamed.predict(students().head(5), interval="prediction").to_numpy() == pytest.approx(
        model().predict(students().head(5), interval="prediction").to_numpy(), rel=1e-8
    )
    again = pd.concat(list(mx.stream_rows(streamed, [students()], what=["hatvalues"])))
    close(again["hatvalues"], model().hatvalues(), 1e-8)
    with pytest.raises(NoRowsError, match="residual_by"):
        streamed.update(residual_by="class")


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("scool", r"residual_by: .*'scool'.*school"),
        (7, "residual_by=7: expected the name of a column"),
        (["school", "school"], "named twice"),
        ([], "expected the name of a column"),
        ("single", r"residual_by='single': a residual variance needs two observations.*'lonely'"),
        ("same", "there is one group, 'all', and one residual variance"),
        ("gaps", r"residual_by='gaps': 3 row\(s\) miss its value"),
    ],
)
def test_bad_arguments(by, message, streamed):
    data = students().assign(same="all", single="others", gaps="there")
    data.loc[data.index[5], "single"] = "lonely"
    data.loc[data.index[:3], "gaps"] = None
    with pytest.raises(InvalidArgumentError, match=message):
        mx.lmer(STUDENTS, [data] if streamed else data, residual_by=by)


def test_a_column_that_the_frame_of_the_model_lacks():
    plain = mx.lmer(STUDENTS, students())
    with pytest.raises(InvalidArgumentError, match=r"residual_by: .*'class'.*give data="):
        plain.update(residual_by="class")
    assert len(plain.update(residual_by="class", data=students()).sigma()) == 4


def test_dates_stay_groups():
    data = students().assign(
        day=pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(1200) % 2, "D")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        m = mx.lmer(STUDENTS, data, residual_by="day")
    assert len(m.sigma()) == 2


def test_replicates_of_a_model_without_rows_are_refused():
    m = mx.lmer("extro ~ open + (1 | school)", [mx.load_dataset("students")], residual_by="school")
    with pytest.raises(UnsupportedModelError, match="bootstrap: .* no rows are kept"):
        mx.bootstrap(m, n_sims=2, rng=1)

"""Generalised models whose rows are read for each step of the fit, and not kept."""

from __future__ import annotations

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from streamed_glmm import MODELS, assert_same, pieces, table

import merextras as mx
from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    LargeModelWarning,
    MerextrasWarning,
    NoRowsError,
    UnsupportedModelError,
)
from merextras.model.generalised.chunks import fit_chunks, gathered, kept_cells
from merextras.model.state import size


@pytest.fixture(autouse=True)
def _read_again(monkeypatch):
    """Tables as small as these would be kept."""
    monkeypatch.setattr(fit_chunks, "_most_cells", lambda _: -1)


@pytest.fixture
def _kept(monkeypatch):
    monkeypatch.setattr(fit_chunks, "_most_cells", lambda _: np.inf)


@functools.cache
def data():
    return table()


@functools.cache
def in_memory(name):
    formula, family, given = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.glmer(formula, data(), family, **given)


def streamed(name, source=None):
    if source is None:
        return _of_chunks(name, fit_chunks._most_cells(None))
    return _streamed(name, source)


@functools.cache
def _of_chunks(name, most_cells):
    """Fitted once for those that read again, once for those that are kept."""
    return _streamed(name, data())


def _streamed(name, source):
    formula, family, given = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.glmer(formula, source, family, chunk_size=300, **given)


@pytest.mark.parametrize("name", MODELS)
def test_as_in_memory(name):
    found = streamed(name)
    assert not found.design.keeps_rows
    assert not found.laplace.criterion.table.read.keeps
    assert_same(found, in_memory(name))


@pytest.mark.usefixtures("_kept")
@pytest.mark.parametrize("name", MODELS)
def test_few_rows_are_kept(name):
    found = streamed(name)
    assert found.laplace.criterion.table.read.keeps
    assert_same(found, in_memory(name))


def test_lists_functions_and_files(tmp_path):
    expected, rng = in_memory("crossed"), np.random.default_rng(3)
    parts = pieces(data(), rng)
    assert_same(streamed("crossed", parts), expected)
    assert_same(streamed("crossed", lambda: iter(parts)), expected)
    for i, part in enumerate(parts):
        part.to_parquet(tmp_path / f"part{i}.parquet")
    assert_same(streamed("crossed", tmp_path / "*.parquet"), expected)


def test_dask():
    dd = pytest.importorskip("dask.dataframe")
    assert_same(streamed("crossed", dd.from_pandas(data(), npartitions=3)), in_memory("crossed"))


def test_what_does_not_fit_is_streamed(monkeypatch):
    parts = pieces(data(), np.random.default_rng(4))
    formula, family, given = MODELS["crossed"]
    assert mx.glmer(formula, parts, family, **given).design.keeps_rows
    monkeypatch.setattr(gathered, "available_memory", lambda: 1e5)
    found = mx.glmer(formula, parts, family, **given)
    assert not found.design.keeps_rows
    assert_same(found, in_memory("crossed"))


def test_an_error_names_its_chunk():
    bad = data().copy()
    bad.loc[bad.index[700], "count"] = -1
    with pytest.raises(InvalidArgumentError, match=r"got -1 \(chunk 5, rows 601 to 750 of the"):
        mx.glmer("count ~ x + (1 | g)", bad, "poisson", chunk_size=150)
    bad = data().assign(m=data()["m"].where(data().index != 320, 0))
    with pytest.raises(InvalidArgumentError, match=r"positive.*\(chunk 3, rows 301 to 450"):
        mx.glmer("share ~ x + (1 | g)", bad, weights="m", chunk_size=150)


def test_a_source_that_gives_other_rows():
    calls = [0]

    def changing():
        calls[0] += 1
        yield data() if calls[0] < 8 else data().iloc[:-10]

    with pytest.raises(InvalidArgumentError, match="same rows each time"):
        mx.glmer("count ~ x + (1 | g)", changing, "poisson", chunk_size=150)
    once = iter([data()])
    with pytest.raises(InvalidArgumentError, match="gone through only once"):
        mx.glmer("count ~ x + (1 | g)", once, "poisson")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"formula": "word3 ~ x + (1 | g)"}, "two levels, got 3"),
        ({"formula": "zero ~ x + (1 | g)"}, "no successes at all"),
        ({"formula": "zero ~ x + (1 | g)", "family": "poisson"}, "all counts are zero"),
        ({"formula": "word ~ x + (1 | g)", "weights": "m"}, "labels, one trial a row"),
        ({"formula": "count ~ x + (1 | g)", "family": "poisson", "weights": "m"}, "trials"),
        ({"formula": "cbind(s, f, m) ~ x + (1 | g)"}, "cbind takes"),
        ({"formula": "one ~ x + (1 | g)", "family": "gamma"}, "no variation"),
        ({"formula": "yes ~ x + (1 | row)"}, "an effect for each row of one trial"),
        ({"formula": "yes ~ nothing + (1 | g)"}, "nothing"),
        ({"formula": "yes ~ x + (1 | g)", "missing": "keep"}, "keeps no rows"),
        ({"formula": "yes ~ x + (1 | g)", "missing": "raise"}, "10 of 900 rows miss"),
        ({"formula": "yes ~ x + (1 | g)", "weights": np.ones(900)}, "name of a column"),
        ({"formula": "yes ~ x + (1 | g)", "chunk_size": 0}, "chunk_size"),
        ({"formula": "yes ~ x + (1 | g)", "progress": 3}, "progress"),
    ],
)
def test_bad_input(given, text):
    rows = data().assign(word3=np.resize(["a", "b", "c"], 900), zero=0, one=1.0, row=np.arange(900))
    with pytest.raises(InvalidArgumentError, match=text):
        mx.glmer(given.pop("formula"), rows, **{"chunk_size": 150, **given})


def test_quadrature_is_refused():
    with pytest.raises(UnsupportedModelError, match=r"n_agq=7.*not kept; n_agq=1"):
        mx.glmer("yes ~ x + (1 | g)", data(), n_agq=7, chunk_size=150)


@pytest.mark.parametrize("kept", [False, True])
def test_separation_is_named(kept, monkeypatch):
    monkeypatch.setattr(fit_chunks, "_most_cells", lambda _: np.inf if kept else -1)
    rows = data().iloc[600:]
    rows = rows.assign(sure=(rows["yes"] == 1) & (rows["c"] == "v"))
    with pytest.warns(ConvergenceWarning, match=r"separated by \['sure\[T.True\]'\]"):
        mx.glmer("yes ~ sure + (1 | g)", pieces(rows, np.random.default_rng(5)), chunk_size=200)


def test_a_variance_of_zero():
    rng = np.random.default_rng(6)
    rows = data().assign(k=rng.integers(0, 12, 900), count=rng.poisson(2.0, 900))
    with pytest.warns(MerextrasWarning, match="singular"):
        expected = mx.glmer("count ~ x + (1 | k)", rows, "poisson")
    with pytest.warns(MerextrasWarning, match="singular"):
        found = mx.glmer("count ~ x + (1 | k)", rows, "poisson", chunk_size=200)
    assert_same(found, expected)


def test_size_that_goes_to_infinity():
    rng = np.random.default_rng(7)
    rows = data().assign(count=rng.poisson(2.0 * np.exp(0.5 * rng.normal(size=900))))
    rows["count"] = rng.binomial(6, 0.4, 900)
    with pytest.warns(MerextrasWarning) as said:
        found = mx.glmer_nb("count ~ x + (1 | g)", rows, chunk_size=200)
    assert any("goes to infinity" in str(w.message) for w in said)
    assert found.is_poisson


def test_rows_are_gone():
    m = streamed("crossed")
    own = (m.fitted, m.residuals, m.simulate, m.predict, m.model_frame, m.weights)
    for ask in (*own, lambda: mx.rmse(m), lambda: mx.all_fit(m), lambda: mx.augment(m)):
        with pytest.raises(NoRowsError, match="keeps no rows"):
            ask()
    with pytest.raises(NoRowsError, match="keeps no rows"):
        m.refit(np.zeros(900))


def test_what_needs_no_rows_is_as_in_memory():
    m, expected = streamed("crossed"), in_memory("crossed")
    rows = data().dropna().iloc[:8]
    for what in (
        lambda m: m.predict(rows, type="response"),
        lambda m: m.predict(rows, se_fit=True),
        lambda m: m.predict(rows, re_form="population", type="response"),
        lambda m: m.ranef(cond_var=True).to_frame(),
        lambda m: mx.emmeans(m, "c", type="response").to_frame(),
        lambda m: m.confint(method="wald"),
        lambda m: m.summary().coefficients,
        mx.tidy,
        lambda m: mx.what_if(m, rows, group="h", rng=1),
        lambda m: mx.sim(m, n_sims=20, rng=1).fixef,
    ):
        found, right = what(m), what(expected)
        found = found if isinstance(found, pd.DataFrame | pd.Series) else pd.DataFrame(found)
        right = right if isinstance(right, pd.DataFrame | pd.Series) else pd.DataFrame(right)
        kinds = ["number"]
        mine = found.select_dtypes(kinds) if isinstance(found, pd.DataFrame) else found
        theirs = right.select_dtypes(kinds) if isinstance(right, pd.DataFrame) else right
        assert np.size(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=1e-6)


def test_fitted_values_by_another_pass():
    for name in ("crossed", "labels", "proportions", "cbind", "gamma"):
        m, expected = streamed(name), in_memory(name)
        what = ["fitted", "residuals", "fixed"]
        found = pd.concat(list(mx.stream_rows(m, [data()], what)))
        for column, right in (
            ("fitted", expected.fitted()),
            ("residuals", expected.residuals("response")),
            ("fixed", expected.predict(re_form="NA", type="response")),
        ):
            np.testing.assert_allclose(found[column], right, rtol=1e-5, atol=1e-7)
    with pytest.raises(UnsupportedModelError, match=r"hatvalues.*m\.hatvalues\(\)"):
        list(mx.stream_rows(m, [data()], "hatvalues"))


@pytest.mark.parametrize(
    "name",
    ["cbind", "proportions", "crossed", "spread", "known size", "gamma", "inverse Gaussian",
     "normal, log"],
)  # fmt: skip
def test_the_trace_of_the_hat_matrix(name):
    """That of expected weights, of a pass of its own where the link is not the canonical one."""
    m, expected = streamed(name), in_memory(name)
    np.testing.assert_allclose(m.hat_trace(), expected.hat_trace(), rtol=1e-4)
    np.testing.assert_allclose(m.hat_trace(), expected.hatvalues().sum(), rtol=1e-4)


def test_a_profile_reads_the_rows_again():
    found = streamed("crossed").confint(parm=["x"], method="profile")
    np.testing.assert_allclose(
        found, in_memory("crossed").confint(parm=["x"], method="profile"), rtol=1e-5
    )


def test_pickles():
    m = streamed("crossed")
    asked = pickle.loads(pickle.dumps(m))
    assert_same(asked, in_memory("crossed"))
    np.testing.assert_allclose(
        asked.ranef(cond_var=True).to_frame()["std_error"],
        m.ranef(cond_var=True).to_frame()["std_error"],
    )
    with pytest.raises(NoRowsError, match="its source is not with it"):
        asked.confint(parm=["x"], method="profile")


def test_progress_and_control():
    m = mx.glmer("yes ~ x + (1 | g)", data(), chunk_size=200, progress=False,
                 control=mx.LmerControl(start=[0.3]))  # fmt: skip
    np.testing.assert_allclose(m.log_lik(), mx.glmer("yes ~ x + (1 | g)", data()).log_lik())


def alike(n=60_000):
    """Rows of which many are alike, in pieces."""
    rng = np.random.default_rng(9)
    g, x = rng.integers(0, 40, n), rng.integers(0, 3, n)
    eta = -0.4 + 0.3 * x + 0.6 * rng.normal(size=40)[g]
    data = pd.DataFrame({"yes": rng.random(n) < 1.0 / (1.0 + np.exp(-eta)), "x": x, "g": g})
    data["count"] = rng.poisson(np.exp(eta))
    return data


class Counted:
    """Chunks that count how often they are read."""

    def __init__(self, parts):
        self.parts, self.passes = parts, 0

    def __call__(self):
        self.passes += 1
        return iter(self.parts)


@pytest.mark.usefixtures("_kept")
@pytest.mark.parametrize(
    ("formula", "family"), [("yes ~ x + (1 | g)", "binomial"), ("count ~ x + (1 | g)", "poisson")]
)
def test_rows_that_are_alike_are_kept_as_cells(formula, family):
    data = alike()
    source = Counted(pieces(data, np.random.default_rng(10)))
    found = mx.glmer(formula, source, family, chunk_size=15_000)
    # Columns, levels, products, and one that finds the cells.
    assert source.passes == 4
    assert_same(found, mx.glmer(formula, data, family))
    kept = found.laplace.criterion.table.read
    assert kept.keeps
    assert sum(len(rows.x) for rows in kept()) == 120
    found.confint(parm=["x"], method="profile")
    assert source.passes == 4
    with pytest.raises(NoRowsError, match="its source is not with it"):
        pickle.loads(pickle.dumps(found)).confint(parm=["x"], method="profile")


def test_cells_that_are_too_many_are_not_kept(monkeypatch):
    data = alike()
    monkeypatch.setattr(kept_cells, "_AT_ONCE", 20_000)
    monkeypatch.setattr(fit_chunks, "_most_cells", lambda _: 200)
    source = Counted([data.iloc[:30_000], data.iloc[30_000:]])
    found = mx.glmer("yes ~ x + (1 | g)", source, chunk_size=15_000)
    assert not found.laplace.criterion.table.read.keeps
    assert source.passes > 20
    assert_same(found, mx.glmer("yes ~ x + (1 | g)", data))


@pytest.mark.usefixtures("_kept")
def test_several_sets_of_cells(monkeypatch):
    monkeypatch.setattr(kept_cells, "_AT_ONCE", 20_000)
    data = alike().assign(t=np.log(1.0 + np.arange(60_000) % 2))
    found = mx.glmer("count ~ x + (1 | g)", data, "poisson", offset="t", chunk_size=15_000)
    kept = found.laplace.criterion.table.read
    assert [len(rows.x) for rows in kept()] == [240, 240]
    assert_same(found, mx.glmer("count ~ x + (1 | g)", data, "poisson", offset="t"))


def test_what_fills_memory_is_said(monkeypatch):
    monkeypatch.setattr(size, "ALWAYS", 0.0)
    monkeypatch.setattr(size, "available_memory", lambda: 3e5)
    with pytest.warns(LargeModelWarning, match=r"0\.00\d+ GB more.*With chunk_size=") as said:
        mx.glmer("count ~ x + (1 | g)", data(), "poisson")
    assert said[0].filename == __file__
    monkeypatch.setattr(size, "available_memory", lambda: 4e3)
    with pytest.warns(LargeModelWarning, match=r"of which 4e-06 GB are free, .*levels of") as said:
        mx.glmer("count ~ x + (1 | g)", data(), "poisson", chunk_size=300)
    assert said[0].filename == __file__
    assert "With chunk_size" not in str(said[0].message)

"""What is asked beside the main verbs: parts of predictions, quantiles, intervals, files."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.results.replicates.bootstrap import Bootstrap, shortest


@pytest.fixture(scope="module")
def sleep():
    return mx.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def m(sleep):
    return mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)


@pytest.fixture(scope="module")
def one_way():
    return mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))


# --- predict(random_only=) ---


def test_the_random_part_is_what_the_rest_leaves(m, sleep):
    expected = m.predict(sleep) - m.predict(sleep, re_form="NA")
    np.testing.assert_allclose(m.predict(sleep, random_only=True), expected, atol=1e-10)
    one = m.predict(sleep, random_only=True, re_form="~ (1 | Subject)")
    intercepts = m.ranef()["Subject"]["Intercept"]
    np.testing.assert_allclose(one, intercepts.loc[sleep["Subject"]], rtol=1e-10)


def test_its_standard_error_is_that_of_the_effects(m, sleep):
    rows = sleep[sleep["Days"] == 0]
    found = m.predict(rows, random_only=True, se_fit=True)
    joint = m.predict(rows.assign(Days=0), se_fit=True)
    assert (found["std_error"] > 0).all()
    assert not np.allclose(found["std_error"], joint["std_error"])
    # b^ - b has the covariance of the joint equations: exactly that of Henderson's lower block.
    x, z = m.design.x, m.design.z().toarray()
    lam = np.kron(np.eye(18), m.solution.lams[0])
    penalty = np.linalg.inv(lam @ lam.T)
    whole = np.block([[x.T @ x, x.T @ z], [z.T @ x, z.T @ z + penalty]])
    lower = m.sigma() ** 2 * np.linalg.inv(whole)[2:, 2:]
    np.testing.assert_allclose(found["std_error"], np.sqrt(np.diag(lower)[::2]), rtol=1e-8)


def test_an_offset_is_no_random_part(sleep):
    with_offset = mx.lmer("Reaction ~ Days + offset(Days * 2.0) + (1 | Subject)", sleep)
    effects = with_offset.ranef()["Subject"]["Intercept"].loc[sleep["Subject"]]
    np.testing.assert_allclose(with_offset.predict(random_only=True), effects, rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"re_form": "NA"}, "leave nothing to predict"),
        ({"interval": "prediction"}, "take interval='confidence'"),
    ],
)
def test_random_only_without_a_meaning(m, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        m.predict(random_only=True, **options)
    with pytest.raises(InvalidArgumentError, match="random_only=2"):
        m.predict(random_only=2)


# --- refit ---


def test_refit_takes_a_simulated_frame(m):
    drawn = m.simulate(rng=1)
    expected = m.refit(drawn.iloc[:, 0].to_numpy())
    assert m.refit(drawn).deviance() == expected.deviance()
    with pytest.raises(InvalidArgumentError, match="a frame of 2 columns; refit one at a time"):
        m.refit(m.simulate(2, rng=1))


def test_refit_takes_the_whole_series_where_rows_were_dropped(sleep):
    holes = sleep.assign(Days=sleep["Days"].where(sleep.index % 7 != 3))
    fitted = mx.lmer("Reaction ~ Days + (1 | Subject)", holes)
    assert fitted.n_dropped > 0
    whole = pd.Series(np.arange(180.0) ** 1.5, index=sleep.index)
    found = fitted.refit(whole.sample(frac=1.0, random_state=1))
    expected = fitted.refit(whole.loc[fitted.model_frame().index].to_numpy())
    assert found.deviance() == pytest.approx(expected.deviance(), rel=1e-12)
    with pytest.raises(InvalidArgumentError, match="another index than the rows of the fit"):
        fitted.refit(whole.iloc[:-1])
    with pytest.raises(InvalidArgumentError, match="another index than the rows of the fit"):
        fitted.refit(whole.set_axis(whole.index + 1000))


# --- re_quantile ---


def test_several_quantiles(m):
    found = mx.re_quantile(m, [0, 0.5, 1])
    assert found.tolist() == [mx.re_quantile(m, q) for q in (0, 0.5, 1)]
    assert found.index.tolist() == [0.0, 0.5, 1.0]
    assert len(mx.re_quantile(m, np.array([]))) == 0
    with pytest.raises(InvalidArgumentError, match="quantile=2"):
        mx.re_quantile(m, [0.5, 2])


# --- icc ---


def test_the_exact_interval_covers(one_way):
    found = mx.icc(one_way, ci="exact").to_frame()
    assert found["conf_low"].iloc[0] < found["estimate"].iloc[0] < found["conf_high"].iloc[0]
    assert "exact, by the F distribution" in repr(mx.icc(one_way, ci="exact"))
    y = one_way.design.y.reshape(6, 5)
    ratio = 5 * y.mean(axis=1).var(ddof=1) / y.var(axis=1, ddof=1).mean()
    for end, tail in (("conf_low", 0.025), ("conf_high", 0.975)):
        rho = found[end].iloc[0]
        # At an end of the interval the ratio observed is at a tail of its distribution.
        share = stats.f.sf(ratio / (1.0 + 5 * rho / (1.0 - rho)), 5, 24)
        assert share == pytest.approx(tail, rel=1e-8)


def test_icc_by_group(m):
    paste = mx.lmer("strength ~ 1 + (1 | batch / cask)", mx.load_dataset("pastes"))
    found = mx.icc(paste, by_group=True)
    assert found["group"].tolist() == ["cask:batch", "cask:batch", "batch", "batch"]
    expected = mx.icc(paste).by_factor.to_numpy().reshape(-1)
    np.testing.assert_array_equal(found["estimate"], expected)


def test_no_exact_interval_of_another_design(m):
    with pytest.raises(UnsupportedModelError, match=r"must be y ~ 1 \+ \(1 \| g\)"):
        mx.icc(m, ci="exact")
    data = mx.load_dataset("dyestuff").iloc[:-1]
    with pytest.raises(UnsupportedModelError, match="the groups have 4 to 5 rows"):
        mx.icc(mx.lmer("Yield ~ 1 + (1 | Batch)", data), ci="exact")
    with pytest.raises(InvalidArgumentError, match="by_group=1"):
        mx.icc(m, by_group=1)


# --- rmse ---


def test_an_interval_of_the_rmse(m):
    found = mx.rmse(m, ci=0.9)
    assert found["rmse"] == mx.rmse(m)
    low, high = 178.0 / stats.chi2.ppf([0.95, 0.05], 178)
    expected = mx.rmse(m) * np.sqrt([low, high])
    np.testing.assert_allclose(found[["conf_low", "conf_high"]], expected, rtol=1e-12)
    with pytest.raises(InvalidArgumentError, match="ci"):
        mx.rmse(m, ci=2)


# --- bootstrap ---


def test_the_shortest_interval():
    values = np.array([0.0, 1.0, 1.1, 1.2, 1.3, 9.0, np.nan])
    assert shortest(values, 0.5) == (1.0, 1.2)
    assert shortest(values, 1.0 - 1e-12) == (0.0, 9.0)
    assert all(np.isnan(shortest(np.array([np.nan]), 0.5)))
    draws = np.random.default_rng(1).exponential(size=(20_000, 1))
    boot = Bootstrap(("x",), np.ones(1), draws, 0.0, "parametric", False)
    low, high = boot.confint(0.9, "shortest").iloc[0]
    assert low == pytest.approx(0.0, abs=0.01)
    assert high == pytest.approx(-np.log(0.1), abs=0.08)  # the highest density of an exponential


def test_saved_and_loaded(one_way, tmp_path):
    boot = mx.bootstrap(one_way, n_sims=30, rng=1)
    boot.save(tmp_path / "b.parquet")
    again = mx.load_bootstrap(tmp_path / "b.parquet")
    np.testing.assert_array_equal(again.replicates, boot.replicates)
    np.testing.assert_array_equal(again.values, boot.values)
    for name in ("names", "singular_share", "kind", "use_u", "failures"):
        assert getattr(again, name) == getattr(boot, name)
    pd.testing.assert_frame_equal(again.confint(), boot.confint())


def test_failures_and_values_that_do_not_exist_are_kept(tmp_path):
    draws = np.array([[1.0, np.nan], [np.nan, np.nan], [2.0, 3.0]])
    boot = Bootstrap(("a", "b"), np.array([1.0, np.nan]), draws, 0.5, "cases", True, {"why": 1})
    boot.save(tmp_path / "b.parquet")
    again = mx.load_bootstrap(tmp_path / "b.parquet")
    np.testing.assert_array_equal(again.replicates, draws)
    assert again.failures == {"why": 1}
    assert repr(again) == repr(boot)


def _changed(path, **changes):
    """The file with other fields in its header."""
    table = pq.read_table(path)
    said = json.loads(table.schema.metadata[b"merextras_bootstrap"]) | changes
    text = json.dumps(said).encode()
    pq.write_table(table.replace_schema_metadata({b"merextras_bootstrap": text}), path)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"names": ["a"]},
        {"names": ["a", "a", "b"]},
        {"names": "abc"},
        {"values": [1.0, 2.0, "3"]},
        {"values": [1.0, 2.0, float("inf")]},
        {"singular_share": 1.5},
        {"singular_share": float("nan")},
        {"kind": "__import__('os')"},
        {"use_u": 1},
        {"failures": {"x": -1}},
        {"failures": {"x": 10_000}},
        {"more": 1},
    ],
)
def test_files_that_can_not_be(one_way, tmp_path, changes):
    path = tmp_path / "b.parquet"
    mx.bootstrap(one_way, n_sims=5, rng=1).save(path)
    _changed(path, **changes)
    with pytest.raises(InvalidArgumentError, match="is no bootstrap that Bootstrap.save wrote"):
        mx.load_bootstrap(path)


def test_other_files(tmp_path):
    with pytest.raises(InvalidArgumentError, match="there is no file"):
        mx.load_bootstrap(tmp_path / "none.parquet")
    (tmp_path / "text").write_text("x")
    table = pa.table({"p0": [1.0]})
    pq.write_table(table, tmp_path / "plain.parquet")
    for name in ("text", "plain.parquet"):
        with pytest.raises(InvalidArgumentError, match="is no bootstrap"):
            mx.load_bootstrap(tmp_path / name)


# --- several fits, figures ---


def test_fast_display_of_several_fits(sleep):
    rng = np.random.default_rng(1)
    imputed = [sleep.assign(Reaction=sleep.Reaction + rng.normal(0, 5, 180)) for _ in range(3)]
    fits = mx.lmer_list("Reaction ~ Days + (Days | Subject)", imputed)
    found = mx.fast_display(fits, detail=True)
    pooled = fits.pool().table.set_index("term")
    np.testing.assert_array_equal(found.coefficients["coef_est"], pooled["estimate"])
    np.testing.assert_array_equal(found.coefficients["coef_se"], pooled["std_error"])
    assert found.aic == pytest.approx(np.mean([one.aic() for one in fits]))
    assert repr(found).startswith("3 fits: lmer(")


def test_xyplot_on_given_axes():
    students = mx.load_dataset("students")
    one = students[students["school"] == "III"]
    _, ax = plt.subplots()
    assert mx.xyplot(one, "extro", ["open", "social"], "school", ax=ax) is ax
    assert ax.get_title() == "school III"
    assert len(ax.collections) == 2
    assert len(ax.collections[0].get_offsets()) == len(one)
    with pytest.raises(InvalidArgumentError, match="ax: the figure has 6 panels; pass the rows"):
        mx.xyplot(students, "extro", "open", "school", ax=ax)
    with pytest.raises(InvalidArgumentError, match="ax is of type int"):
        mx.xyplot(one, "extro", "open", "school", ax=3)
    plt.close("all")

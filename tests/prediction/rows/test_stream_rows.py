"""Row by row, from another pass; and what a model without rows can and can't do."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from chunk_models import table

import merextras as mx
from merextras.exceptions import (
    InvalidArgumentError,
    MerextrasWarning,
    NoRowsError,
    RankDeficientWarning,
    UnsupportedModelError,
)

FORMULA = "y ~ x * c + offset(w) + (1 + I(x - 50) | g) + (1 | h:k)"


@pytest.fixture(scope="module")
def data():
    return table()


@pytest.fixture(scope="module")
def whole(data):
    return mx.lmer(FORMULA, data, weights="f")


@pytest.fixture(scope="module")
def streamed(data):
    return mx.lmer(FORMULA, data, weights="f", chunk_size=200)


def test_rows_are_those_of_the_fit_in_memory(data, whole, streamed):
    parts = list(mx.stream_rows(streamed, data, ["fitted", "residuals", "fixed"], chunk_size=170))
    assert len(parts) == 9
    found = pd.concat(parts)
    assert found.index.equals(whole.fitted().index)
    np.testing.assert_allclose(found["fitted"], whole.fitted(), rtol=1e-9)
    np.testing.assert_allclose(found["residuals"], whole.residuals(), atol=1e-6)
    np.testing.assert_allclose(found["fixed"], whole.predict(re_form="NA"), rtol=1e-9)


@pytest.mark.parametrize(
    ("formula", "kwargs"),
    [
        (FORMULA, {"weights": "f"}),
        ("y ~ x + c + (1 | g) + (1 | h)", {"weights": "w", "freq_weights": "f"}),
        ("y ~ x + I(2 * x) + (1 | h/k)", {}),
    ],
)
@pytest.mark.filterwarnings("ignore::merextras.exceptions.RankDeficientWarning")
def test_leverages(data, formula, kwargs):
    model = mx.lmer(formula, [data], **kwargs)
    found = pd.concat(mx.stream_rows(model, data, "hatvalues", chunk_size=300))["hatvalues"]
    expected = mx.lmer(formula, data, **kwargs).hatvalues()
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    other = data.assign(g=data["g"].where(data["g"] != 10, -5), h=data["h"].replace({"a": "z"}))
    there = pd.concat(mx.stream_rows(model, other, "hatvalues", unknown="zero"))["hatvalues"]
    assert 0 < there.isna().sum() < len(there)
    np.testing.assert_allclose(there.dropna(), expected[there.notna()], rtol=1e-7)


def test_one_column_and_dropped_columns(data):
    with pytest.warns(RankDeficientWarning, match="dropped 1"):
        found = mx.lmer("y ~ x + I(2 * x) + c + (1 | g)", [data])
    parts = pd.concat(mx.stream_rows(found, [data], "fitted"))
    expected = mx.lmer("y ~ x + c + (1 | g)", data).fitted()
    assert list(parts.columns) == ["fitted"]
    np.testing.assert_allclose(parts["fitted"], expected, rtol=1e-9)


def test_into_a_file_whole_or_not_at_all(data, streamed, tmp_path):
    path = tmp_path / "rows.parquet"
    assert mx.stream_rows(streamed, data, to=path, chunk_size=300) is None
    expected = pd.concat(mx.stream_rows(streamed, data))
    pd.testing.assert_frame_equal(pd.read_parquet(path), expected.reset_index(drop=True))
    before = path.read_bytes()

    def broken():
        yield data
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        mx.stream_rows(streamed, broken, to=path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_levels_that_are_new(data, streamed):
    new = data.assign(g=data["g"].where(data["g"] != 10, -5))
    with pytest.raises(InvalidArgumentError, match="'g' has levels that the model has not seen"):
        list(mx.stream_rows(streamed, new))
    found = pd.concat(mx.stream_rows(streamed, new, unknown="zero"))
    expected = streamed.predict(new.dropna(), allow_new_levels=True)
    np.testing.assert_allclose(found["fitted"], expected, rtol=1e-12)


REFUSED = {
    "what": ({"what": "hat"}, InvalidArgumentError, "what='hat'"),
    "unknown": ({"unknown": "drop"}, InvalidArgumentError, "unknown='drop'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(data, streamed, name):
    kwargs, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        mx.stream_rows(streamed, data, **kwargs)


def test_a_model_with_rows_has_them(data, whole):
    with pytest.raises(UnsupportedModelError, match=r"m.fitted\(\) and m.residuals\(\)"):
        mx.stream_rows(whole, data)


#: What needs no rows, as numbers.
SAME = {
    "vcov": lambda m: m.vcov(),
    "var_corr": lambda m: m.var_corr().to_frame()["vcov"],
    "confint": lambda m: m.confint(method="wald"),
    "profile": lambda m: m.confint(method="profile", parm="theta_"),
    "ranef": lambda m: m.ranef(cond_var=True).to_frame()[["estimate", "std_error"]],
    "log_lik": lambda m: [m.log_lik(), m.aic(), m.bic(), m.df_residual()],
    "refit_ml": lambda m: [m.refit_ml().deviance()],
    "anova 1": lambda m: m.anova(type=1, ddf="satterthwaite"),
    "anova 2": lambda m: m.anova(type=2, ddf="satterthwaite"),
    "anova 3": lambda m: m.anova(type=3, ddf="satterthwaite"),
    "anova kr": lambda m: m.anova(type=3, ddf="kenward-roger"),
    "drop1": lambda m: m.drop1(),
    "drop1 F": lambda m: m.drop1(test="F"),
    "contest": lambda m: mx.contest(m, np.eye(6)[1:3]),
    "summary": lambda m: m.summary().coefficients,
    "fe_sim": lambda m: mx.fe_sim(m, n_sims=50, rng=1)[["mean", "median", "sd"]],
    "re_sim": lambda m: mx.re_sim(m, n_sims=50, rng=1)[["mean", "median", "sd"]],
    "expected_rank": lambda m: mx.expected_rank(m).select_dtypes("number"),
    "as_function": lambda m: [m.as_function()(m.theta * 1.1)],
    "se_ranef": lambda m: pd.concat(mx.se_ranef(m).values()),
    "terms": lambda m: [m.terms() == ["x", "c", "x:c"]],
}


@pytest.mark.parametrize("name", SAME)
def test_what_needs_no_rows(data, name):
    formula = "y ~ x * c + (1 | g) + (1 | h)"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        found = SAME[name](mx.lmer(formula, data, chunk_size=200))
        expected = SAME[name](mx.lmer(formula, data))
    if isinstance(found, (pd.Series, pd.DataFrame)):
        assert list(map(str, found.index)) == list(map(str, expected.index))
    found, expected = (np.asarray(each, dtype=float) for each in (found, expected))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


NEEDS_ROWS = {
    "fitted": lambda m: m.fitted(),
    "residuals": lambda m: m.residuals(),
    "predict": lambda m: m.predict(),
    "simulate": lambda m: m.simulate(rng=1),
    "model_frame": lambda m: m.model_frame(),
    "model_matrix": lambda m: m.model_matrix(),
    "random matrix": lambda m: m.model_matrix("random"),
    "weights": lambda m: m.weights(),
    "refit": lambda m: m.refit(np.zeros(3)),
    "y": lambda m: m.get_me("y"),
    "X": lambda m: m.get_me("X"),
    "Zt": lambda m: m.get_me("Zt"),
    "hatvalues": lambda m: m.hatvalues(),
    "influence": lambda m: m.influence(),
    "to_statsmodels": lambda m: m.to_statsmodels(),
    "offset": lambda m: m.design.offset,
    "frequencies": lambda m: m.design.observed,
}


@pytest.mark.parametrize("name", NEEDS_ROWS)
def test_what_needs_rows_says_so(streamed, name):
    with pytest.raises(NoRowsError, match=r"keeps no rows.*stream_rows\(m, source\)"):
        NEEDS_ROWS[name](streamed)


def test_summary_says_why_there_are_no_residuals(streamed):
    found = streamed.summary()
    assert np.isnan(found.scaled_residuals).all()
    assert "the model keeps no rows" in str(found)


def test_terms_that_columns_do_not_tell(data):
    holes = data[(data["c"] != "v") | (data["k"] != "k10")]
    with pytest.warns(RankDeficientWarning):
        found = mx.lmer("y ~ c * k + (1 | g)", [holes])
    with pytest.raises(NoRowsError, match="its terms can't be told from its columns"):
        found.anova(type=3, ddf="satterthwaite")

import numpy as np
import pandas as pd
import pytest
from lmer_models import csv, quiet
from performance_models import REFERENCE, data_of, model_of
from tolerances import ORACLE

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


def wide(frame, column):
    return frame.pivot(index="level", columns="term", values=column)


def test_lm_list_and_lm_of_r():
    theirs = REFERENCE["no_pooling"]
    frame = mx.shrinkage(model_of("slopes"))
    ours = wide(frame, "no_pooling")[["Intercept", "Days"]]
    assert [str(level) for level in ours.index] == theirs["lm_list"]["rows"]
    np.testing.assert_allclose(ours, np.array(theirs["lm_list"]["values"]), rtol=ORACLE)
    complete = frame.groupby("term", sort=False)["complete_pooling"].unique()
    np.testing.assert_allclose(complete.str[0], theirs["lm"]["values"], rtol=ORACLE)
    assert complete.str.len().eq(1).all()


@pytest.mark.parametrize("name", ["slopes", "double_bar", "slope_and_crossed"])
def test_partial_pooling_is_coef(name):
    m = model_of(name)
    for factor, coef in m.coef().items():
        frame = wide(mx.shrinkage(m, factor), "partial_pooling")
        np.testing.assert_allclose(frame, coef.loc[frame.index, frame.columns], rtol=1e-12)


def test_two_terms_on_one_factor_are_fitted_together():
    one, two = (mx.shrinkage(model_of(name)) for name in ("slopes", "double_bar"))
    np.testing.assert_allclose(one["no_pooling"], two["no_pooling"], rtol=1e-9)


@pytest.mark.parametrize("keywords", [{}, {"weights": "w"}, {"freq_weights": "k"}])
def test_least_squares_by_level(keywords):
    """Everything else at the model's estimate: fixed effects, offset, the other factor."""
    frame = csv("forms")
    m = quiet("y_x ~ x + z + f + offset(off / 100) + (x | g) + (1 | h)", frame, **keywords)
    found = mx.shrinkage(m, "g")
    root = np.sqrt([frame[name] for name in keywords.values()] or [np.ones(len(frame))])[0]
    fixed, ranef = m.fixef(), m.ranef()
    x = m.model_matrix().to_numpy() * 1.0
    own = [list(m.fixef().index).index(name) for name in ("Intercept", "x")]
    others = np.setdiff1d(np.arange(x.shape[1]), own)
    h = ranef["h"]["Intercept"].reindex(frame["h"]).to_numpy()
    left = frame["y_x"] - frame["off"] / 100 - x[:, others] @ fixed.to_numpy()[others] - h
    ours = wide(found, "no_pooling")
    for level in ours.index:
        rows = (frame["g"] == level).to_numpy()
        z = np.column_stack([np.ones(rows.sum()), frame["x"][rows]]) * root[rows, None]
        y = left[rows].to_numpy() * root[rows]
        expected = np.linalg.lstsq(z, y, rcond=None)[0]
        np.testing.assert_allclose(ours.loc[level, ["Intercept", "x"]], expected, rtol=1e-8)


def test_complete_pooling_is_weighted_least_squares():
    frame = csv("forms")
    m = mx.lmer("y ~ x + z + (1 | g)", frame, weights="w")
    root = np.sqrt(frame["w"].to_numpy())
    x = m.model_matrix().to_numpy()
    expected = np.linalg.lstsq(x * root[:, None], frame["y"] * root, rcond=None)[0]
    assert mx.shrinkage(m)["complete_pooling"][0] == pytest.approx(expected[0], rel=ORACLE)


def test_partial_lies_between_for_random_intercepts():
    frame = mx.shrinkage(model_of("nested"), "batch")
    low = frame[["no_pooling", "complete_pooling"]].min(axis=1) - 1e-9
    high = frame[["no_pooling", "complete_pooling"]].max(axis=1) + 1e-9
    assert frame["partial_pooling"].between(low, high).all()


def test_levels_that_do_not_determine_a_slope():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(12), [1, 2, *[8] * 10])
    frame = pd.DataFrame({"x": rng.normal(size=len(group)), "g": group})
    frame.loc[1:2, "x"] = 0.5
    frame["y"] = frame["x"] + rng.normal(size=12)[group] + rng.normal(size=len(group))
    found = mx.shrinkage(quiet("y ~ x + (x | g)", frame))
    missing = found[found["no_pooling"].isna()]
    assert sorted(missing["level"].unique()) == [0, 1]
    assert found["partial_pooling"].notna().all()
    assert found.loc[found["level"] == 1, "n"].tolist() == [2, 2]


def test_an_effect_without_fixed_part_and_zero_weights():
    frame = csv("forms").assign(w0=lambda d: (d.index % 4 > 0).astype(float))
    m = quiet("y ~ 1 + (0 + x | g)", frame, weights="w0")
    found = mx.shrinkage(m)
    assert (found["complete_pooling"] == 0).all()
    counts = frame[frame["w0"] > 0].groupby("g").size()
    assert found["n"].tolist() == counts[found["level"]].tolist()


def test_singular_fits_pool_completely():
    found = mx.shrinkage(model_of("singular"))
    np.testing.assert_allclose(found["partial_pooling"], found["complete_pooling"], rtol=1e-12)
    means = data_of("Dyestuff2").groupby("Batch")["Yield"].mean()
    np.testing.assert_allclose(found["no_pooling"], means[found["level"]], rtol=1e-12)


def test_refused():
    with pytest.raises(InvalidArgumentError, match="group=None: give one of .*'plate', 'sample'"):
        mx.shrinkage(model_of("crossed"))
    with pytest.raises(InvalidArgumentError, match="group='plat'.* did you mean 'plate'"):
        mx.shrinkage(model_of("crossed"), "plat")
    with pytest.raises(UnsupportedModelError):
        mx.shrinkage([])

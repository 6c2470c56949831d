"""The result of `sim` as an object."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

from merextras.results.replicates.simulation import SimResult, effects_frame, summarise


@pytest.fixture
def result():
    rng = np.random.default_rng(1)
    return SimResult(
        fixef=rng.normal(size=(9, 2)),
        fixef_names=("Intercept", "x"),
        ranef={"g": rng.normal(size=(9, 3, 2))},
        levels={"g": pd.Index([10, 20, 30])},
        terms={"g": ("Intercept", "z")},
        partners={"g": ("Intercept", None)},
        sigma=rng.uniform(1, 2, size=9),
    )


def test_arrays_are_read_only(result):
    assert result.n_sims == 9
    for array in (result.fixef, result.ranef["g"], result.sigma):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    with pytest.raises(FrozenInstanceError):
        result.sigma = None
    with pytest.raises(TypeError):
        result.ranef["h"] = None
    with pytest.raises(KeyError, match=r"'h'; there are \['g'\]"):
        result.ranef["h"]


def test_coef_adds_the_fixed_effects(result):
    coef = result.coef("g")
    np.testing.assert_array_equal(coef[:, :, 0], result.ranef["g"][:, :, 0] + result.fixef[:, :1])
    np.testing.assert_array_equal(coef[:, :, 1], result.ranef["g"][:, :, 1])
    coef[:] = 0.0  # a fresh array
    assert np.all(result.ranef["g"] != 0.0)


def test_frames(result):
    frame = result.to_frame()
    assert list(frame.columns) == ["group", "level", "term", "mean", "median", "sd"]
    assert frame["level"].tolist() == [10, 20, 30] * 2
    assert frame["level"].dtype.kind == "i"
    draws = result.ranef["g"][:, 1, 1]
    assert frame.loc[4, ["level", "term"]].tolist() == [20, "z"]
    np.testing.assert_allclose(
        frame.loc[4, ["mean", "median", "sd"]].astype(float),
        [draws.mean(), np.median(draws), draws.std(ddof=1)],
    )
    fixef = result.fixef_frame()
    assert fixef["term"].tolist() == ["Intercept", "x"]
    np.testing.assert_allclose(fixef["median"], np.median(result.fixef, axis=0))


def test_text(result):
    text = repr(result)
    assert text == repr(pickle.loads(pickle.dumps(result)))
    assert text.splitlines()[0] == "9 draws of the parameters"
    assert "sigma" in text
    assert text.endswith("g: 3 levels x (Intercept, z)")
    assert result._repr_html_().startswith("<pre>9 draws")


def test_summarise_in_blocks(monkeypatch):
    draws = np.random.default_rng(2).normal(size=(10, 3, 7))
    whole = summarise(draws)
    assert whole["sd"].shape == (10, 3)
    monkeypatch.setattr("merextras.results.replicates.simulation._BLOCK", 45)
    for name, values in summarise(draws).items():
        np.testing.assert_array_equal(values, whole[name])


def test_levels_keep_their_type():
    summary = {"mean": np.zeros((2, 1))}
    for levels in (pd.Index(["a", "b"]), pd.Index(["a", "b"], dtype=object), pd.Index([1, 2])):
        frame = effects_frame("g", levels, ["Intercept"], summary)
        assert frame["level"].tolist() == levels.tolist()
    mixed = effects_frame("g", pd.Index([1, "b"], dtype=object), ["Intercept"], summary)
    assert mixed["level"].tolist() == [1, "b"]

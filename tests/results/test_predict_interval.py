"""The result of `predict_interval` with its draws as an object."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest

from merextras.results.replicates.predict_interval import PredictIntervalResult


def result(which="full", n=7):
    rng = np.random.default_rng(1)
    effects = ["combined", "g", "fixed"] if which == "all" else [which]
    tables = {effect: rng.normal(size=(n, 3)) for effect in effects}
    sims = {effect: rng.normal(size=(n, 11)) for effect in effects}
    return PredictIntervalResult(which, 0.8, pd.Index([f"row {i}" for i in range(n)]), tables, sims)


def test_arrays_are_read_only():
    made = result()
    assert made.n_sims == 11
    for array in (made.sims["full"], made.tables["full"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    with pytest.raises(FrozenInstanceError):
        made.level = 0.9
    with pytest.raises(TypeError):
        made.sims["fixed"] = None
    with pytest.raises(KeyError, match=r"'fixed'; there are \['full'\]"):
        made.sims["fixed"]


@pytest.mark.parametrize("which", ["full", "random", "all"])
def test_pickles(which):
    made = result(which)
    again = pickle.loads(pickle.dumps(made))
    pd.testing.assert_frame_equal(again.to_frame(), made.to_frame())
    for effect, draws in made.sims.items():
        np.testing.assert_array_equal(again.sims[effect], draws)
        assert not again.sims[effect].flags.writeable
    assert repr(again) == repr(made)


def test_frames():
    made = result()
    frame = made.to_frame()
    assert frame.index[0] == "row 0"
    np.testing.assert_array_equal(frame[["fit", "lower", "upper"]], made.tables["full"])
    frame[:] = 0.0
    assert made.to_frame().abs().to_numpy().min() > 0.0
    every = result("all").to_frame()
    assert list(every) == ["effect", "case", "fit", "lower", "upper"]
    assert every.shape == (21, 5)


def test_text():
    text = repr(result())
    assert text.startswith("0.8 intervals of 7 rows from 11 draws (full)")
    assert text.endswith("... and 2 more")
    assert "more" not in repr(result(n=5))
    assert "combined" in repr(result("all"))
    assert result()._repr_html_().startswith("<pre>0.8 intervals")

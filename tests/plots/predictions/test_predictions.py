"""Predictions with their intervals, case by case."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_predictions
from merextras.plots.drawing import style


def predicted(n=4):
    fit = 50.0 + np.arange(n) % 7
    labels = [f"case {i}" for i in range(n)]
    return pd.DataFrame({"fit": fit, "lower": fit - 2.0, "upper": fit + 3.0}, index=labels)


def parted(n=4):
    """As of ``predict_interval(which="all")``."""
    whole = predicted(n)
    frames = [
        (whole - shift).rename_axis("case").reset_index().assign(effect=effect)
        for effect, shift in (("combined", 0.0), ("school", 52.0), ("fixed", 1.0))
    ]
    return pd.concat(frames, ignore_index=True)


def marks(ax):
    """Points, crosses and segments, those that there are."""
    found = {"lines": None}
    for layer in ax.collections:
        if hasattr(layer, "get_segments"):
            found["lines"] = np.asarray(layer.get_segments())
        elif to_hex(layer.get_facecolors()[0]).upper() == style.observed():
            found["crosses"] = np.asarray(layer.get_offsets())
        else:
            found["points"] = np.asarray(layer.get_offsets())
    return found


def names(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def test_points_intervals_and_observations_in_the_order_of_the_rows():
    frame = predicted()
    grid = plot_predictions(frame, observed=[51.0, np.nan, 40.0, 60.0])
    found = marks(grid.ax)
    np.testing.assert_array_equal(found["points"], np.column_stack([range(4), frame["fit"]]))
    np.testing.assert_array_equal(found["lines"][:, :, 0], np.repeat([[0], [1], [2], [3]], 2, 1))
    np.testing.assert_array_equal(found["lines"][:, :, 1], frame[["lower", "upper"]])
    np.testing.assert_array_equal(found["crosses"], [[0, 51], [2, 40], [3, 60]])
    assert names(grid.ax) == list(frame.index)
    assert [text.get_text() for text in grid.legend.get_texts()] == ["prediction", "observed"]
    assert (grid.ax.get_xlabel(), grid.ax.get_ylabel()) == ("case", "prediction")


def test_a_panel_for_each_effect_with_an_axis_of_its_own():
    grid = plot_predictions(parted(), observed=[51.0, 52.0, 53.0, 75.0], y_label="extro")
    assert list(grid.axes_dict) == ["combined", "school", "fixed"]
    assert "crosses" in marks(grid.axes_dict["combined"])
    for effect, shift in (("school", 52.0), ("fixed", 1.0)):
        found = marks(grid.axes_dict[effect])
        assert "crosses" not in found
        np.testing.assert_array_equal(found["points"][:, 1], predicted()["fit"] - shift)
    for ax in grid.axes.flat:
        low, high = ax.get_ylim()
        found = marks(ax)
        heights = [found["lines"][:, :, 1].ravel()]
        if "crosses" in found:
            heights.append(found["crosses"][:, 1])
        drawn = np.concatenate(heights)
        assert low <= drawn.min()
        assert drawn.max() <= high
        assert np.ptp(drawn) > 0.8 * (high - low)
        assert any(label.get_visible() for label in ax.get_yticklabels())
    assert {ax.get_ylabel() for ax in grid.axes.flat} == {"extro", ""}


def test_what_the_functions_return():
    sleep = mx.load_dataset("sleepstudy")
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    cases = sleep.iloc[[0, 9, 40]]
    for frame in (
        m.predict(cases, interval="confidence"),
        mx.predict_interval(m, cases, n_sims=50, rng=1),
        mx.predict_interval(m, cases, which="random", n_sims=50, rng=1),
    ):
        found = marks(plot_predictions(frame, observed=cases["Reaction"]).ax)
        np.testing.assert_array_equal(found["points"][:, 1], frame["fit"])
        np.testing.assert_array_equal(found["lines"][:, :, 1], frame[["lower", "upper"]])
        np.testing.assert_array_equal(found["crosses"][:, 1], cases["Reaction"])
    result = mx.predict_interval(m, cases, which="all", n_sims=50, return_sims=True, rng=1)
    grid = plot_predictions(result)
    for effect, part in result.to_frame().groupby("effect"):
        found = marks(grid.axes_dict[effect])
        np.testing.assert_array_equal(found["points"][:, 1], part["fit"])
    without = marks(plot_predictions(m.predict(cases, se_fit=True)[["fit"]]).ax)
    assert without["lines"] is None


def test_a_missing_prediction_keeps_its_place():
    frame = predicted()
    frame.iloc[1] = np.nan
    ax = plot_predictions(frame).ax
    np.testing.assert_array_equal(marks(ax)["lines"][:, 0, 0], [0, 2, 3])
    assert names(ax) == list(frame.index)


def test_three_thousand_cases():
    grid = plot_predictions(predicted(3000), observed=np.full(3000, 52.0))
    assert all(layer.get_rasterized() for layer in grid.ax.collections)
    assert list(grid.ax.get_xticks()) == []
    assert grid.ax.get_xlabel() == f"{style.thousands(3000)} cases"


def test_input_is_unchanged_and_sizes_are_kept():
    frame = parted()
    before = frame.copy()
    grid = plot_predictions(frame, col_wrap=2, height=2, aspect=1, title="Predictions")
    pd.testing.assert_frame_equal(frame, before)
    assert len({round(ax.get_position().y0, 6) for ax in grid.axes.flat}) == 2
    assert grid.figure._suptitle.get_text() == "Predictions"


@pytest.mark.parametrize(
    ("change", "keywords", "message"),
    [
        (lambda f: f.drop(columns="fit"), {}, "fit"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: f["fit"].tolist(), {}, "predictions"),
        (lambda f: f.drop(columns="upper"), {}, "only one of the columns 'lower', 'upper'"),
        (lambda f: f.assign(fit=np.nan), {}, "missing values only"),
        (lambda f: f.assign(lower="a"), {}, r"predictions\['lower'\] has dtype"),
        (lambda f: parted().iloc[:-1], {}, "not of the same cases"),
        (lambda f: f, {"observed": [1.0]}, "observed has 1 values for 4 cases"),
        (lambda f: f, {"observed": list("abcd")}, "observed is not numeric"),
        (lambda f: f, {"observed": pd.Series(range(4))}, "observed is a Series whose index"),
        (lambda f: f, {"height": 0}, "height=0"),
        (lambda f: f, {"aspect": -1}, "aspect=-1"),
        (lambda f: f, {"col_wrap": 0}, "col_wrap=0"),
    ],
)
def test_errors(change, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_predictions(change(predicted()), **keywords)

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_qq, plot_qqmath


def qq(n):
    x = stats.norm.ppf((np.arange(n) + 0.5) / n)
    columns = {"theoretical": x, "sample": 1.1 * x, "conf_low": x - 0.5, "conf_high": x + 0.5}
    return pd.DataFrame(columns)


def effects(n, terms=("Intercept", "x"), group="g", seed=1):
    rng = np.random.default_rng(seed)
    parts = [
        pd.DataFrame(
            {
                "group": group,
                "level": range(n),
                "term": term,
                "estimate": rng.normal(size=n),
                "std_error": 0.3,
            }
        )
        for term in terms
    ]
    return pd.concat(parts, ignore_index=True)


def test_residuals_on_normal_quantiles():
    ax = plot_qq(qq(50), title="T")
    band, dots = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), qq(50)[["theoretical", "sample"]])
    assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(qq(50)["conf_high"].max())
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xdata(), line.get_ydata())
    assert ax.get_title() == "T"


def test_on_a_given_axis():
    _, given = plt.subplots()
    assert plot_qq(qq(5), ax=given) is given


@pytest.mark.parametrize("n", [6, 60, 3000])
def test_each_term_is_sorted_on_its_own(n):
    frame = effects(n)
    grid = plot_qqmath(frame, level=0.9)
    assert list(grid.axes_dict) == [("g", "Intercept"), ("g", "x")]
    for (_, term), ax in grid.axes_dict.items():
        segments, dots = ax.collections
        offsets = np.asarray(dots.get_offsets())
        own = frame[frame["term"] == term]["estimate"]
        np.testing.assert_allclose(offsets[:, 0], np.sort(own))
        np.testing.assert_allclose(stats.norm.cdf(offsets[:, 1]), (np.arange(n) + 0.5) / n)
        ends = np.asarray(segments.get_segments())
        np.testing.assert_allclose(ends[:, 1, 0] - ends[:, 0, 0], 2 * 1.644854 * 0.3, rtol=1e-6)
        assert dots.get_rasterized() is (n > 500)
        assert "90% interval" in ax.get_xlabel()
    assert max(grid.figure.get_size_inches()) < 10


def test_factors_are_rows_and_missing_panels_hidden():
    frame = pd.concat([effects(6), effects(4, ("Intercept",), "h")])
    grid = plot_qqmath(frame)
    assert grid.axes.shape == (2, 2)
    assert not grid.axes_dict["h", "x"].get_visible()
    for ax in grid.axes.flat:
        if ax.get_visible():
            assert ax.xaxis.get_major_ticks()[0].label1.get_visible()


def test_tick_labels_do_not_overlap():
    frame = effects(160)
    grid = plot_qqmath(frame.assign(estimate=frame["estimate"] / 10.0, std_error=0.25))
    grid.figure.canvas.draw()
    for ax in grid.axes.flat:
        low, high = ax.get_xlim()
        at = [label for label in ax.get_xticklabels() if low <= label.get_position()[0] <= high]
        boxes = [label.get_window_extent() for label in at]
        assert len(boxes) >= 3
        assert all(a.x1 + 3 < b.x0 for a, b in pairwise(boxes))


def test_missing_standard_errors_have_no_segment():
    frame = effects(6, ("Intercept",))
    frame.loc[2, "std_error"] = np.nan
    segments, dots = plot_qqmath(frame).axes_dict["g", "Intercept"].collections
    assert (len(segments.get_segments()), len(dots.get_offsets())) == (5, 6)


def test_saved(tmp_path):
    plot_qqmath(effects(3000), title="many").savefig(tmp_path / "q.pdf")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_qq(qq(5).drop(columns="sample")), "sample"),
        (lambda: plot_qq(qq(0)), "qq: the frame has no rows"),
        (lambda: plot_qq({"sample": 1}), "qq: expected a pandas DataFrame, got dict"),
        (lambda: plot_qqmath(effects(3), level=95), "level=95"),
        (lambda: plot_qqmath(effects(3), width=0), "width=0"),
        (lambda: plot_qqmath(effects(3), height=0), "height=0"),
        (lambda: plot_qqmath(effects(3).drop(columns="std_error")), "std_error"),
        (lambda: plot_qqmath(pd.concat([effects(3)] * 2)), "more than one row"),
        (lambda: plot_qqmath(effects(3).assign(estimate=np.inf)), "missing or infinite"),
        (
            lambda: plot_qqmath(effects(201, ("a",)).assign(group=range(201))),
            "would give 201 panels",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(InvalidArgumentError, match=message):
        call()

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_re_impact


def impact(n_cases, n_bins=3, shift=0.0):
    case = np.repeat(np.arange(100, 100 + n_cases), n_bins)
    bins = np.tile(np.arange(1, n_bins + 1), n_cases)
    fit = bins + 0.01 * case + shift
    columns = {"case": case, "bin": bins, "fit": fit, "lower": fit - 0.3, "upper": fit + 0.2}
    return pd.DataFrame(columns)


def test_a_panel_for_each_case():
    frame = impact(3)
    grid = plot_re_impact(frame)
    assert list(grid.axes_dict) == [100, 101, 102]
    assert [ax.get_title() for ax in grid.axes.flat] == ["case 100", "case 101", "case 102"]
    for case, part in frame.groupby("case"):
        lines, dots = grid.axes_dict[case].collections
        np.testing.assert_allclose(dots.get_offsets(), np.column_stack([[0, 1, 2], part["fit"]]))
        segments = np.asarray(lines.get_segments())
        np.testing.assert_allclose(segments[:, 0, 1], part["lower"])
        np.testing.assert_allclose(segments[:, 1, 1], part["upper"])
    last = grid.axes.flat[0]
    assert [label.get_text() for label in last.get_xticklabels()] == ["1", "2", "3"]
    assert last.get_xlabel() == "bin of expected rank"
    assert grid.legend is None


def test_many_panels_make_a_square():
    grid = plot_re_impact(impact(16), facet=True)
    assert len(grid.axes.flat) == 16
    assert grid.figure.get_figwidth() / grid.figure.get_figheight() == pytest.approx(1.1, rel=0.1)
    assert len(plot_re_impact(impact(7)).axes.flat) == 7
    assert len(plot_re_impact(impact(5), col_wrap=9).axes.flat) == 5


@pytest.mark.parametrize("n", [13, 60, 3000])
def test_more_cases_are_lines_in_one_panel(n):
    grid = plot_re_impact(impact(n))
    assert len(grid.ax.lines) == n
    np.testing.assert_allclose(grid.ax.lines[0].get_ydata(), impact(1)["fit"])
    assert grid.ax.lines[0].get_rasterized() == (n > 500)
    assert grid.ax.get_title().endswith("cases")
    assert grid.ax.lines[0].get_alpha() < 1
    assert grid.figure.get_figwidth() < 6


def test_one_panel_if_asked_for():
    assert len(plot_re_impact(impact(2), facet=False).ax.lines) == 2


def test_frames_beside_each_other():
    grid = plot_re_impact({"one": impact(2), "other": impact(2, shift=1.0)})
    first, second = (dots.get_offsets() for dots in grid.axes_dict[100].collections[1::2])
    np.testing.assert_allclose(second[:, 0] - first[:, 0], 0.4)
    np.testing.assert_allclose(second[:, 1] - first[:, 1], 1.0)
    assert [text.get_text() for text in grid.legend.texts] == ["one", "other"]
    lines = plot_re_impact({"one": impact(40), "other": impact(40, shift=1.0)})
    assert len(lines.ax.lines) == 80
    assert len(lines.legend.legend_handles) == 2
    assert lines.legend.legend_handles[0].get_alpha() is None


def test_cases_that_only_one_frame_has():
    grid = plot_re_impact({"one": impact(1), "other": impact(2)})
    assert list(grid.axes_dict) == [100, 101]


def test_an_empty_bin_has_no_point():
    frame = impact(1)
    frame.loc[1, ["fit", "lower", "upper"]] = np.nan
    dots = plot_re_impact(frame).axes_dict[100].collections[1]
    drawn = np.ma.masked_invalid(np.ma.getdata(dots.get_offsets()))
    assert (~drawn.mask[:, 1] if drawn.mask.ndim else [True] * 3).tolist() == [True, False, True]


def test_title_and_unchanged_input():
    frame = impact(2)
    before = frame.copy()
    assert plot_re_impact(frame, title="impact").figure._suptitle.get_text() == "impact"
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("change", "keywords", "message"),
    [
        (lambda f: f.drop(columns="lower"), {}, "lower"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: pd.concat([f, f]), {}, "more than one row"),
        (lambda f: f.assign(fit=np.nan), {}, r"impact\['fit'\] has missing values only"),
        (lambda f: {}, {}, "a mapping of 0 frames"),
        (lambda f: dict.fromkeys(range(7), f), {}, "a mapping of 7 frames"),
        (lambda f: {"one": f.drop(columns="bin")}, {}, r"impact\['one'\]"),
        (lambda f: f, {"facet": "case"}, "facet='case'"),
        (lambda f: f, {"height": 0}, "height=0"),
        (lambda f: f, {"aspect": "wide"}, "aspect='wide'"),
        (lambda f: f, {"col_wrap": 0}, "col_wrap=0"),
        (lambda f: impact(201), {"facet": True}, "201 panels"),
    ],
)
def test_errors(change, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_re_impact(change(impact(2)), **keywords)

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_what_if
from merextras.plots.drawing import style

ROMAN = ["I", "II", "III", "IV", "V", "VI"]
OWN = {11: "VI", 4: "I", 7: "III"}


def what_if(levels=tuple(ROMAN), own=None):
    own = OWN if own is None else own
    rows = [
        {
            "case": case,
            "level": level,
            "fixed": 60.0 + k,
            "effect": 3.0 * j,
            "fit": 60.0 + k + 3.0 * j,
            "lower": 59.0 + k + 3.0 * j,
            "upper": 62.0 + k + 3.0 * j,
            "own_level": own[case],
            "observed": 58.0 + k,
            "shift": 0.0,
            "distance": 0.0,
        }
        for k, case in enumerate(own)
        for j, level in enumerate(levels)
    ]
    return pd.DataFrame(rows)


def marks(ax):
    """Scatter layers of a panel: hollow, filled and crosses, each (n, 2)."""
    found = {"hollow": [], "filled": [], "cross": [], "pale": []}
    for layer in ax.collections:
        if (
            not hasattr(layer, "get_sizes")
            or not len(layer.get_offsets())
            or hasattr(layer, "get_segments")
        ):
            continue
        face = to_hex(layer.get_facecolor()[0])
        if face == to_hex(style.VERMILION):
            name = "cross" if layer.get_alpha() == 1 else "pale"
        else:
            name = "hollow" if face == "#ffffff" else "filled"
        found[name] = np.asarray(layer.get_offsets()).tolist()
    return found


def segments(ax):
    lines = [layer for layer in ax.collections if hasattr(layer, "get_segments")]
    return np.asarray(lines[0].get_segments()) if lines else np.empty((0, 2, 2))


def x_names(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def test_a_panel_per_case_in_their_order():
    grid = plot_what_if(what_if())
    assert list(grid.axes_dict) == [11, 4, 7]
    assert [ax.get_title() for ax in grid.axes.flat] == ["case 11", "case 4", "case 7"]
    assert x_names(grid.axes.flat[0]) == ROMAN


def test_predictions_intervals_and_the_own_level():
    ax = plot_what_if(what_if()).axes_dict[4]
    found = marks(ax)
    assert found["filled"] == [[0, 61.0]]
    assert found["hollow"] == [[j, 61.0 + 3 * j] for j in range(1, 6)]
    drawn = segments(ax)
    assert drawn.shape == (6, 2, 2)
    np.testing.assert_allclose(drawn[:, :, 1], [[60 + 3 * j, 63 + 3 * j] for j in range(6)])
    np.testing.assert_allclose(drawn[:, 0, 0], range(6))


def test_the_observed_value_is_at_the_own_level_and_carried_across():
    ax = plot_what_if(what_if()).axes_dict[7]
    assert marks(ax)["cross"] == [[2, 60.0]]
    assert [list(line.get_ydata()) for line in ax.lines] == [[60.0, 60.0]]


def test_a_panel_per_level():
    grid = plot_what_if(what_if(), by="level")
    assert list(grid.axes_dict) == ROMAN
    found = marks(grid.axes_dict["III"])
    assert x_names(grid.axes.flat[-1]) == ["11", "4", "7"]
    assert found["filled"] == [[2, 68.0]]
    assert found["hollow"] == [[0, 66.0], [1, 67.0]]
    assert found["cross"] == [[2, 60.0]]
    assert found["pale"] == [[0, 58.0], [1, 59.0]]
    assert not grid.axes_dict["III"].lines


def test_the_band_is_the_spread_of_the_outcome():
    outcome = pd.Series([50.0, 60.0, 70.0, np.nan])
    grid = plot_what_if(what_if(), outcome=outcome)
    for ax in grid.axes.flat:
        extents = [patch.get_window_extent() for patch in ax.patches]
        ends = [
            sorted(ax.transData.inverted().transform([(0, box.y0), (0, box.y1)])[:, 1])
            for box in extents
        ]
        np.testing.assert_allclose(ends, [[40, 80], [50, 70]])
        assert [60.0, 60.0] in [list(line.get_ydata()) for line in ax.lines]
        wide, narrow = (patch.get_facecolor()[0] for patch in ax.patches)
        assert narrow < wide
    legend = [text.get_text() for text in grid.legend.get_texts()]
    assert legend[-3:] == ["outcome: mean", "mean ± 1 sd", "mean ± 2 sd"]


def test_legend_without_a_band():
    grid = plot_what_if(what_if())
    assert {text.get_text() for text in grid.legend.get_texts()} == {
        "other level",
        "own level",
        "observed",
    }


def test_optional_columns_may_be_absent():
    frame = what_if()[["case", "level", "fit"]]
    grid = plot_what_if(frame)
    for ax in grid.axes.flat:
        assert len(marks(ax)["hollow"]) == 6
        assert not len(segments(ax))
        assert not ax.lines
    assert grid.legend is None


def test_new_cases_without_own_level_or_outcome():
    frame = what_if()
    new = frame["case"] == 4
    frame["own_level"] = frame["own_level"].astype(object).mask(new, np.nan)
    frame["observed"] = frame["observed"].mask(new)
    ax = plot_what_if(frame).axes_dict[4]
    assert not marks(ax)["filled"]
    assert not marks(ax)["cross"]
    assert not ax.lines


def test_integer_and_categorical_levels():
    own = {1: 30, 2: 10}
    frame = what_if(levels=(10, 20, 30), own=own)
    assert marks(plot_what_if(frame).axes_dict[1])["filled"] == [[2, 66.0]]
    frame["level"] = pd.Categorical(frame["level"], [30, 10, 20])
    frame["own_level"] = pd.Categorical(frame["own_level"], [10, 30])
    grid = plot_what_if(frame)
    assert x_names(grid.axes.flat[0]) == ["30", "10", "20"]
    assert marks(grid.axes_dict[1])["filled"] == [[0, 66.0]]


def test_only_the_lowest_panels_name_the_levels():
    own = dict.fromkeys(range(12), "I")
    grid = plot_what_if(what_if(own=own))
    grid.figure.canvas.draw()
    shown = [bool(ax.get_xticklabels()) for ax in grid.axes.flat]
    assert shown == [False] * 8 + [True] * 4


@pytest.mark.parametrize(("n", "rotation"), [(6, 0), (14, 90)])
def test_names_turn_upright_when_they_do_not_fit(n, rotation):
    levels = [f"Lv{i}" for i in range(n)]
    ax = plot_what_if(what_if(levels=levels, own={1: "Lv0"})).axes.flat[0]
    assert x_names(ax) == levels
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {rotation}


@pytest.mark.parametrize(
    ("n", "label"), [(60, "60 levels"), (3000, "3\N{NARROW NO-BREAK SPACE}000 levels")]
)
def test_many_levels_have_no_names(n, label):
    levels = [f"L{i}" for i in range(n)]
    ax = plot_what_if(what_if(levels=levels, own={1: "L5", 2: "L7"})).axes_dict[1]
    assert list(ax.get_xticks()) == []
    assert ax.get_xlabel() == label
    assert len(marks(ax)["filled"]) == 1
    assert len(segments(ax)) == n
    assert bool(ax.collections[0].get_rasterized()) == (n == 3000)


def test_input_is_unchanged():
    frame = what_if()
    before = frame.copy()
    plot_what_if(frame, outcome=[1.0, 2.0])
    pd.testing.assert_frame_equal(frame, before)


def test_layout_keywords():
    grid = plot_what_if(what_if(), col_wrap=2, height=2, aspect=1, title="What if")
    rows = {round(ax.get_position().y0, 6) for ax in grid.axes.flat}
    assert len(rows) == 2
    assert grid.figure._suptitle.get_text() == "What if"


@pytest.mark.parametrize(
    ("change", "keywords", "message"),
    [
        (lambda f: f, {"by": "school"}, "by='school'.*'case', 'level'"),
        (lambda f: f.drop(columns="fit"), {}, "fit"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: f.drop(columns="upper"), {}, "only one of the columns 'lower', 'upper'"),
        (lambda f: pd.concat([f, f]), {}, r"more than one row for \(case, level\)"),
        (lambda f: f.assign(observed="a"), {}, r"frame\['observed'\] has dtype"),
        (lambda f: f, {"outcome": [1.0]}, "outcome has 1 finite values"),
        (lambda f: f, {"outcome": ["a", "b"]}, "outcome is not numeric"),
        (lambda f: f, {"col_wrap": -1}, "col_wrap=-1"),
        (lambda f: f, {"height": 0}, "height=0"),
    ],
)
def test_errors(change, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_what_if(change(what_if()), **keywords)


def test_too_many_panels():
    with pytest.raises(InvalidArgumentError, match="by='case' would give 300 panels"):
        plot_what_if(what_if(own=dict.fromkeys(range(300), "I")))

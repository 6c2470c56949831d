import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError
from merextras.plots import xyplot

XS = ["open", "social", "agree"]


@pytest.fixture
def students():
    return load_dataset("students")


def test_by_class_has_a_panel_per_level_in_order_and_one_row(students):
    grid = xyplot(students, "extro", XS, "class")
    assert list(grid.axes_dict) == ["a", "b", "c", "d"]
    assert [ax.get_title() for ax in grid.axes.flat] == ["class a", "class b", "class c", "class d"]
    assert grid.axes.shape == (1, 4)


def test_six_schools_are_three_by_two_as_in_the_tutorial(students):
    grid = xyplot(students, "extro", XS, "school")
    boxes = [ax.get_position() for ax in grid.axes.flat]
    assert len({round(box.x0, 6) for box in boxes}) == 3
    assert len({round(box.y0, 6) for box in boxes}) == 2


def test_each_panel_holds_its_own_points_for_each_predictor(students):
    grid = xyplot(students, "extro", XS, "class")
    for level, ax in grid.axes_dict.items():
        rows = students[students["class"] == level]
        assert [points.get_label() for points in ax.collections] == XS
        for points, x in zip(ax.collections, XS, strict=True):
            drawn = np.asarray(points.get_offsets())
            np.testing.assert_array_equal(drawn, rows[[x, "extro"]].to_numpy())


def test_grid_of_both_has_the_first_across_and_the_second_down(students):
    students = students.query("school in ['I', 'II', 'VI'] and `class` in ['a', 'b']")
    grid = xyplot(students, "extro", XS, "school", "class", height=1.5)
    assert grid.axes.shape == (2, 3)
    ax = grid.axes_dict["b", "VI"]
    assert ax is grid.axes[1, 2]
    rows = students.query("school == 'VI' and `class` == 'b'")
    assert len(ax.collections[0].get_offsets()) == len(rows) == 50
    assert grid.axes[0, 2].get_title() == "school VI"


def test_predictors_have_distinct_colours_and_a_shared_legend(students):
    grid = xyplot(students, "extro", XS, "class", title="Extroversion by Class")
    assert [text.get_text() for text in grid.legend.get_texts()] == XS
    per_panel = [
        [to_hex(points.get_edgecolors()[0]) for points in ax.collections] for ax in grid.axes.flat
    ]
    assert len(set(per_panel[0])) == 3
    assert all(colours == per_panel[0] for colours in per_panel)
    assert grid.figure._suptitle.get_text() == "Extroversion by Class"
    assert grid.figure._supxlabel.get_text() == "open + social + agree"
    assert grid.figure._supylabel.get_text() == "extro"


def test_axes_are_shared(students):
    grid = xyplot(students, "extro", XS, "class")
    assert len({ax.get_xlim() for ax in grid.axes.flat}) == 1
    assert len({ax.get_ylim() for ax in grid.axes.flat}) == 1


def test_one_predictor_may_be_a_string(students):
    grid = xyplot(students, "extro", "open", "class")
    assert len(grid.axes_dict["a"].collections) == 1


def test_categories_keep_their_order_and_integers_are_sorted(students):
    students["class"] = pd.Categorical(students["class"], ["d", "a", "z", "c", "b"])
    assert list(xyplot(students, "extro", "open", "class").axes_dict) == ["d", "a", "c", "b"]
    students["year"] = np.tile([10, 9, 11], 400)
    assert list(xyplot(students, "extro", "open", "year").axes_dict) == [9, 10, 11]


def test_mixed_levels_come_as_first_seen():
    frame = pd.DataFrame(
        {"y": [1.0, 2, 3], "x": [1, 2, 3], "g": pd.Series(["b", 1, "a"], dtype=object)}
    )
    assert list(xyplot(frame, "y", "x", "g").axes_dict) == ["b", 1, "a"]


def test_missing_values_are_left_out():
    frame = pd.DataFrame(
        {
            "y": pd.array([1.0, None, 3.0, 4.0], dtype="Float64"),
            "x": [1.0, 2.0, np.nan, 4.0],
            "g": ["a", "a", "b", None],
        }
    )
    grid = xyplot(frame, "y", "x", "g")
    assert list(grid.axes_dict) == ["a", "b"]
    offsets = grid.axes_dict["a"].collections[0].get_offsets()
    assert np.ma.count(offsets[:, 1]) == 1


def test_column_names_of_the_plot_itself_do_not_collide():
    frame = pd.DataFrame({"x": [1.0, 2], "y": [3.0, 4], "variable": ["a", "b"], "value": [1.0, 2]})
    grid = xyplot(frame, "y", ["x", "value"], "variable")
    assert len(grid.axes_dict["b"].collections) == 2


def test_the_frame_is_unchanged(students):
    students = students.query("school in ['I', 'VI'] and `class` in ['a', 'd']")
    before = students.copy()
    xyplot(students, "extro", XS, "school", "class", height=1.5)
    pd.testing.assert_frame_equal(students, before)


def test_many_points_are_stored_as_pixels(students):
    few = xyplot(students, "extro", "open", "class")
    assert not few.axes.flat[0].collections[0].get_rasterized()
    many = xyplot(pd.concat([students] * 20), "extro", "open", "class")
    assert many.axes.flat[0].collections[0].get_rasterized()


def test_it_can_be_saved_without_a_warning(students, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        xyplot(students, "extro", XS, "school", col_wrap=9).savefig(tmp_path / "x.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("extro", XS, "klass"), "klass"),
        (("extra", XS, "class"), "extra"),
        (("extro", ["open", "sociable"], "class"), "sociable"),
        (("class", XS, "school"), r"data\['class'\] has dtype .*numbers are needed"),
        (("extro", ["school"], "class"), r"data\['school'\] has dtype"),
        (("extro", [], "class"), r"xs=\[\] names no predictor"),
        (("extro", ["open", "open"], "class"), "names a column twice"),
        (("extro", XS, "class", "class"), "and_by='class' is the column of `by`"),
        (("extro", XS, "id"), r"by='id' would give 1200 panels .*at most 200"),
        (("extro", XS, "school", "id"), "would give 7200 panels"),
    ],
)
def test_wrong_columns(students, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        xyplot(students, *arguments)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"col_wrap": 0}, "col_wrap=0"),
        ({"col_wrap": 2.5}, "col_wrap=2.5"),
        ({"and_by": "school", "col_wrap": 2}, "col_wrap=2 is not allowed with and_by='school'"),
        ({"height": -1}, "height=-1 is not allowed"),
        ({"aspect": True}, "aspect=True is not allowed"),
        ({"size": float("inf")}, "size=inf"),
    ],
)
def test_wrong_keywords(students, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        xyplot(students, "extro", XS, "class", **keywords)


def test_empty_or_not_a_frame(students):
    with pytest.raises(InvalidArgumentError, match="no rows"):
        xyplot(students.iloc[:0], "extro", XS, "class")
    with pytest.raises(InvalidArgumentError, match="data: expected a pandas DataFrame, got list"):
        xyplot([1, 2], "extro", XS, "class")
    with pytest.raises(InvalidArgumentError, match="holds missing values only"):
        xyplot(students.assign(g=None), "extro", XS, "g")

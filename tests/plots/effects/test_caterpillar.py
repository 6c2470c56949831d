import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_ranef


def effects(n, group="school", terms=("Intercept",), seed=1):
    rng = np.random.default_rng(seed)
    parts = [
        pd.DataFrame(
            {
                "group": group,
                "level": [f"L{i}" for i in range(n)],
                "term": term,
                "estimate": rng.normal(size=n),
                "std_error": rng.uniform(0.1, 0.5, size=n),
            }
        )
        for term in terms
    ]
    return pd.concat(parts, ignore_index=True)


def drawn(ax):
    """Segments (n, 2, 2) and dots (n, 2) of a panel."""
    segments, dots = ax.collections
    return np.asarray(segments.get_segments()), np.asarray(dots.get_offsets())


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize("n", [6, 60])
def test_levels_ascend_from_the_bottom_and_are_named(n):
    frame = effects(n)
    ax = plot_ranef(frame).axes_dict["school", "Intercept"]
    ranked = frame.sort_values("estimate")
    assert names(ax) == list(ranked["level"])
    dots = drawn(ax)[1]
    assert sorted(dots[:, 1]) == list(range(n))
    np.testing.assert_allclose(dots[np.argsort(dots[:, 1]), 0], ranked["estimate"])
    low, high = ax.get_ylim()
    assert low < 0 < n - 1 < high
    assert ax.get_ylabel() == "school"
    assert ax.get_title() == "Intercept"


@pytest.mark.parametrize(("level", "z"), [(0.95, 1.959964), (0.5, 0.6744898)])
def test_segments_are_z_standard_errors(level, z):
    frame = effects(6)
    segments, dots = drawn(plot_ranef(frame, level=level).ax)
    assert segments.shape == (6, 2, 2)
    np.testing.assert_allclose(segments[:, 0, 0], frame["estimate"] - z * frame["std_error"], 1e-6)
    np.testing.assert_allclose(segments[:, 1, 0], frame["estimate"] + z * frame["std_error"], 1e-6)
    np.testing.assert_array_equal(segments[:, 0, 1], dots[:, 1])


def test_level_none_draws_the_intervals_of_the_frame():
    frame = effects(6).drop(columns="std_error").assign(conf_low=-3.0, conf_high=5.0)
    ax = plot_ranef(frame, level=None).ax
    np.testing.assert_array_equal(drawn(ax)[0][:, :, 0], [[-3.0, 5.0]] * 6)
    assert ax.get_xlabel() == "estimate, conf_low to conf_high"


def test_a_line_at_zero_in_every_panel():
    grid = plot_ranef(effects(6, terms=("Intercept", "Days")))
    for ax in grid.axes.flat:
        (line,) = ax.lines
        assert list(line.get_xdata()) == [0, 0]


def test_other_terms_keep_the_order_of_the_first():
    frame = effects(6, terms=("Intercept", "Days"))
    grid = plot_ranef(frame)
    days = frame[frame["term"] == "Days"].set_index("level")["estimate"]
    order = names(grid.axes_dict["school", "Intercept"])
    dots = drawn(grid.axes_dict["school", "Days"])[1]
    np.testing.assert_allclose(dots[np.argsort(dots[:, 1]), 0], days[order])


def test_factors_are_rows_with_axes_of_their_own_and_missing_panels_are_hidden():
    frame = pd.concat(
        [effects(24, "plate", ("Intercept", "open")), effects(6, "sample", ("Intercept", "agree"))]
    )
    grid = plot_ranef(frame, title="Two factors")
    assert grid.axes.shape == (2, 3)
    assert not grid.axes_dict["plate", "agree"].get_visible()
    assert not grid.axes_dict["sample", "open"].get_visible()
    assert len(names(grid.axes_dict["plate", "Intercept"])) == 24
    assert len(names(grid.axes_dict["sample", "Intercept"])) == 6
    # The panel below is hidden, so this one has the labels of the x axis.
    assert grid.axes_dict["plate", "open"].xaxis.label.get_visible()
    assert grid.axes_dict["plate", "open"].xaxis.get_ticklabels()[0].get_visible()
    assert not grid.axes_dict["plate", "Intercept"].xaxis.label.get_visible()
    assert not grid.axes_dict["sample", "agree"].yaxis.label.get_visible()
    tall, short = (
        grid.axes_dict[g, "Intercept"].get_position().height for g in ("plate", "sample")
    )
    assert tall > 2 * short


def test_groups_selects_and_orders():
    frame = pd.concat([effects(3, "a"), effects(4, "b"), effects(5, "c")])
    grid = plot_ranef(frame, groups=["c", "a"])
    assert list(grid.axes_dict) == [("c", "Intercept"), ("a", "Intercept")]
    categorical = frame.assign(group=pd.Categorical(frame["group"]))
    assert list(plot_ranef(categorical, groups=["c", "a"]).axes_dict) == list(grid.axes_dict)
    assert list(plot_ranef(frame, groups="b").axes_dict) == [("b", "Intercept")]


def test_three_thousand_levels_have_no_names_thin_pixels_and_a_page_of_height():
    grid = plot_ranef(effects(3000))
    assert list(grid.ax.get_yticks()) == []
    assert "3\N{NARROW NO-BREAK SPACE}000 levels" in grid.ax.get_ylabel()
    segments, dots = grid.ax.collections
    assert segments.get_rasterized()
    assert dots.get_rasterized()
    assert segments.get_linewidths()[0] < 0.5
    assert len(segments.get_segments()) == len(dots.get_offsets()) == 3000
    assert 6 < grid.figure.get_figheight() < 9


def test_few_levels_are_vectors():
    assert not any(marks.get_rasterized() for marks in plot_ranef(effects(60)).ax.collections)


def test_height_and_width_are_inches():
    grid = plot_ranef(effects(60), height=5)
    assert grid.figure.get_figheight() == pytest.approx(5)
    wide = plot_ranef(effects(6), width=9).figure.get_figwidth()
    assert wide - plot_ranef(effects(6), width=4).figure.get_figwidth() == pytest.approx(5)


def test_integer_and_categorical_levels():
    frame = effects(6).assign(level=[308, 309, 310, 330, 331, 332])
    expected = [str(level) for level in frame.sort_values("estimate")["level"]]
    assert names(plot_ranef(frame).ax) == expected
    frame["level"] = pd.Categorical(frame["level"])
    assert names(plot_ranef(frame).ax) == expected


def test_long_names_lose_their_middle():
    frame = effects(2).assign(level=[f"{'a hospital ' * 6}{i}" for i in range(2)])
    (first, second) = names(plot_ranef(frame).ax)
    assert len(first) <= 40
    assert "…" in first
    assert {first[-1], second[-1]} == {"0", "1"}


def test_missing_standard_errors_have_no_segment():
    frame = effects(6)
    frame.loc[2, "std_error"] = np.nan
    segments, dots = drawn(plot_ranef(frame).ax)
    assert len(segments) == 5
    assert len(dots) == 6
    ax = plot_ranef(frame.assign(std_error=np.nan)).ax
    assert len(drawn(ax)[0]) == 0
    assert ax.get_xlabel() == "estimate"


def test_a_result_object_is_asked_for_its_frame():
    class Result:
        def to_frame(self):
            return effects(6)

    assert len(names(plot_ranef(Result()).ax)) == 6


def test_input_is_unchanged():
    frame = effects(6, terms=("Intercept", "Days")).iloc[::-1]
    before = frame.copy()
    plot_ranef(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_many_levels_save_without_a_warning(tmp_path):
    frame = pd.concat([effects(3000, "student"), effects(60, "school", ("Intercept", "open"))])
    plot_ranef(frame, title="Random effects").savefig(tmp_path / "caterpillar.pdf")


@pytest.mark.parametrize(
    ("change", "keywords", "message"),
    [
        (lambda f: f.drop(columns="std_error"), {}, "std_error"),
        (lambda f: f.drop(columns=["group", "term"]), {}, "'group', 'term'"),
        (lambda f: f, {"level": None}, "'conf_low', 'conf_high'"),
        (lambda f: f.iloc[:0], {}, "ranef: the frame has no rows"),
        (lambda f: pd.concat([f, f]), {}, r"more than one row for \(group, level, term\)"),
        (lambda f: f.assign(level=None), {}, r"ranef\['level'\] has missing values"),
        (lambda f: f.assign(estimate="a"), {}, r"ranef\['estimate'\] has dtype"),
        (lambda f: f, {"level": 95}, "level=95"),
        (lambda f: f, {"groups": "scool"}, r"groups=\['scool'\] .* are 'school'"),
        (lambda f: f, {"groups": []}, r"groups=\[\]"),
        (lambda f: f, {"width": 0}, "width=0"),
        (lambda f: f, {"height": "tall"}, "height='tall'"),
        (lambda f: f.assign(group=f["level"] + "g"), {}, "would give 201 panels"),
    ],
)
def test_errors(change, keywords, message):
    n = 201 if "panels" in message else 6
    with pytest.raises(InvalidArgumentError, match=message):
        plot_ranef(change(effects(n)), **keywords)


def test_neither_frame_nor_result():
    with pytest.raises(InvalidArgumentError, match="ranef: expected a pandas DataFrame, got dict"):
        plot_ranef({"school": 1})

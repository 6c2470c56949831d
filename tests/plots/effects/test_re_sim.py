import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_fe_sim, plot_re_sim
from merextras.plots.drawing import style

GREY = "#9e9e9e"
#: The tutorial's REsim(MLexamp1, whichel = "school", nsims = 1000).
MEANS = [-14.133834, -6.230981, -2.011822, 1.915608, 6.282461, 13.901818]


def schools():
    return pd.DataFrame(
        {
            "group": "school",
            "level": ["I", "II", "III", "IV", "V", "VI"],
            "term": "Intercept",
            "mean": MEANS,
            "median": np.add(MEANS, 0.02),
            "sd": 3.87,
        }
    )


def simulated(n, group="school", terms=("Intercept",), seed=1):
    rng = np.random.default_rng(seed)
    levels = [f"L{i}" for i in range(n)]
    parts = [
        pd.DataFrame({"group": group, "level": levels, "term": term, "mean": rng.normal(size=n)})
        for term in terms
    ]
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(median=frame["mean"] + 0.01, sd=0.5)


def layers(ax):
    """Ranges and points of the grey and of the black effects."""
    grey_lines, grey, black_lines, black = ax.collections
    return (
        (np.asarray(grey_lines.get_segments()), np.asarray(grey.get_offsets())),
        (np.asarray(black_lines.get_segments()), np.asarray(black.get_offsets())),
    )


def points(ax):
    (_, grey), (_, black) = layers(ax)
    both = np.vstack([grey, black])
    return both[np.argsort(both[:, 0])]


def x_names(ax):
    return [label.get_text() for label in ax.get_xticklabels()]


def test_the_tutorials_plot():
    grid = plot_re_sim(schools(), scale=1.2, stat="mean")
    (grey_lines, grey), (black_lines, black) = layers(grid.ax)
    np.testing.assert_allclose(points(grid.ax), np.column_stack([range(6), MEANS]))
    np.testing.assert_allclose(grey[:, 1], [-2.011822, 1.915608])
    np.testing.assert_allclose(np.diff(black_lines[:, :, 1]), 2 * 1.2 * 3.87)
    np.testing.assert_allclose(np.diff(grey_lines[:, :, 1]), 2 * 1.2 * 3.87)
    assert len(black) == 4
    assert grid.ax.get_ylabel() == "Intercept\nmean ± 1.2 sd"
    assert list(grid.ax.get_xticks()) == []


def test_black_and_larger_if_the_interval_excludes_zero():
    grid = plot_re_sim(schools())
    frame = schools()
    z = 1.959964
    excludes = (frame["median"].abs() > z * frame["sd"]).sum()
    _, grey, _, black = grid.ax.collections
    assert len(black.get_offsets()) == excludes == 2
    assert {to_hex(colour) for colour in black.get_facecolors()} == {"#000000"}
    assert {to_hex(colour) for colour in grey.get_facecolors()} == {GREY}
    assert black.get_sizes()[0] > grey.get_sizes()[0]


def test_a_lower_level_marks_more():
    assert len(layers(plot_re_sim(schools(), level=0.5).ax)[1][1]) == 4


def test_a_red_line_at_zero_in_every_panel():
    grid = plot_re_sim(simulated(6, terms=("Intercept", "open")))
    for ax in grid.axes.flat:
        (line,) = ax.lines
        assert list(line.get_ydata()) == [0, 0]
        assert to_hex(line.get_color()) == style.VERMILION.lower()


def test_without_ranges_the_marks_stay():
    ax = plot_re_sim(schools(), sd=False).ax
    grey, black = ax.collections
    assert len(grey.get_offsets()) == 4
    assert len(black.get_offsets()) == 2
    assert ax.get_ylabel() == "Intercept\nmedian"


def test_effects_in_units_of_sigma():
    plain, scaled = plot_re_sim(schools()).ax, plot_re_sim(schools(), sigma_scale=2.67).ax
    np.testing.assert_allclose(points(scaled)[:, 1], points(plain)[:, 1] / 2.67)
    for one, other in zip(layers(plain), layers(scaled), strict=True):
        np.testing.assert_allclose(other[0][:, :, 1], one[0][:, :, 1] / 2.67)
        assert len(one[1]) == len(other[1])
    assert scaled.get_ylabel() == "Intercept\n(median ± 1.96 sd) / 2.67"


def test_labels_are_upright_and_in_the_order_of_the_points():
    frame = schools().sample(frac=1, random_state=2)
    ax = plot_re_sim(frame, labels=True).ax
    assert x_names(ax) == ["I", "II", "III", "IV", "V", "VI"]
    assert {label.get_rotation() for label in ax.get_xticklabels()} == {90}


def test_sixty_labels_get_a_wide_figure():
    frame = simulated(60)
    grid = plot_re_sim(frame, labels=True)
    assert x_names(grid.ax) == list(frame.sort_values("median")["level"])
    assert grid.figure.get_figwidth() > 60 * 0.15


def test_panels_by_group_and_term_share_the_order_of_the_first_term():
    frame = pd.concat([simulated(8, "a", ("Intercept", "open")), simulated(3, "b")])
    grid = plot_re_sim(frame)
    assert grid.axes.shape == (2, 2)
    assert not grid.axes_dict["open", "b"].get_visible()
    assert grid.axes_dict["Intercept", "b"].get_title() == "b"
    slopes = frame.query("group == 'a' and term == 'open'").set_index("level")["median"]
    order = frame.query("group == 'a' and term == 'Intercept'").sort_values("median")["level"]
    np.testing.assert_allclose(points(grid.axes_dict["open", "a"])[:, 1], slopes[order])
    assert grid.axes_dict["open", "a"].yaxis.label.get_visible()


def test_the_leftmost_visible_panel_names_the_term():
    frame = pd.concat([simulated(3, "a"), simulated(3, "b", ("Intercept", "open"))])
    grid = plot_re_sim(frame)
    assert not grid.axes_dict["open", "a"].get_visible()
    assert grid.axes_dict["open", "b"].yaxis.label.get_visible()
    assert not grid.axes_dict["Intercept", "b"].yaxis.label.get_visible()


def test_unfacetted_is_sorted_by_group_term_and_value():
    frame = pd.concat([simulated(4, "a", ("Intercept", "open")), simulated(3, "b")])
    grid = plot_re_sim(
        frame.sample(frac=1, random_state=0).sort_values(["group", "term"]),
        facet=False,
        labels=True,
    )
    ranked = frame.sort_values(["group", "term", "median"])
    np.testing.assert_allclose(points(grid.ax)[:, 1], ranked["median"])
    expected = [" ".join(row) for row in ranked[["group", "term", "level"]].itertuples(index=False)]
    assert x_names(grid.ax) == expected
    assert x_names(plot_re_sim(schools(), facet=False, labels=True).ax)[0] == "I"


def test_a_mapping_picks_a_panel():
    frame = pd.concat([simulated(8, "a", ("Intercept", "open")), simulated(3, "b")])
    grid = plot_re_sim(frame, facet={"group": "a", "term": "open"})
    assert list(grid.axes_dict) == [("open", "a")]
    picked = frame.query("group == 'a' and term == 'open'").sort_values("median")
    np.testing.assert_allclose(points(grid.ax)[:, 1], picked["median"])
    assert list(plot_re_sim(frame, facet={"group": "b"}).axes_dict) == [("Intercept", "b")]


def test_three_thousand_levels():
    frame = simulated(3000)
    grid = plot_re_sim(frame)
    assert all(marks.get_rasterized() for marks in grid.ax.collections)
    assert len(points(grid.ax)) == 3000
    labelled = plot_re_sim(frame, labels=True)
    assert len(x_names(labelled.ax)) == 150
    assert labelled.figure.get_figwidth() < 30


def test_integer_and_categorical_columns():
    frame = schools().assign(level=range(6), group=pd.Categorical(["school"] * 6, ["x", "school"]))
    assert x_names(plot_re_sim(frame, labels=True).ax) == list("012345")
    frame["level"] = pd.Categorical(frame["level"])
    assert x_names(plot_re_sim(frame, labels=True).ax) == list("012345")


def test_input_is_unchanged():
    frame, fixed = schools().iloc[::-1], fixed_effects()
    before, fixed_before = frame.copy(), fixed.copy()
    plot_re_sim(frame)
    plot_fe_sim(fixed)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(fixed, fixed_before)


def test_title():
    assert plot_re_sim(schools()).figure._suptitle.get_text() == "Effect Ranges"
    assert plot_re_sim(schools(), title=None).figure._suptitle is None


@pytest.mark.parametrize(
    ("change", "keywords", "message"),
    [
        (lambda f: f.drop(columns="median"), {}, "median"),
        (lambda f: f.drop(columns="sd"), {"stat": "mean"}, "sd"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: pd.concat([f, f]), {}, "more than one row"),
        (lambda f: f, {"stat": "mode"}, "stat='mode'.*'mean', 'median'"),
        (lambda f: f, {"level": 1.0}, "level=1.0"),
        (lambda f: f, {"scale": 0}, "scale=0"),
        (lambda f: f, {"scale": True}, "scale=True"),
        (lambda f: f, {"sigma_scale": -1}, "sigma_scale=-1"),
        (lambda f: f, {"facet": "school"}, "facet='school' .*True, False or a mapping"),
        (lambda f: f, {"facet": {"factor": "school"}}, "facet='factor'.*'group', 'term'"),
        (lambda f: f, {"facet": {"group": "class"}}, r"facet=\{'group': 'class'\} .*'school'"),
    ],
)
def test_errors(change, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_re_sim(change(schools()), **keywords)


def fixed_effects():
    return pd.DataFrame(
        {
            "term": ["Intercept", "open", "agree", "social"],
            "mean": [59.1, 0.010, -0.006, 0.003],
            "median": [59.2, 0.011, -0.005, 0.002],
            "sd": [4.1, 0.004, 0.004, 0.002],
        }
    )


def y_names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_fixed_effects_ascend_without_the_intercept():
    ax = plot_fe_sim(fixed_effects())
    assert y_names(ax) == ["agree", "social", "open"]
    segments, dots = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), [[-0.005, 0], [0.002, 1], [0.011, 2]])
    widths = np.diff(np.asarray(segments.get_segments())[:, :, 0])[:, 0]
    np.testing.assert_allclose(widths, 2 * 1.959964 * np.array([0.004, 0.002, 0.004]), 1e-6)
    assert [to_hex(colour) for colour in dots.get_facecolors()] == [GREY, GREY, "#000000"]
    assert list(ax.lines[0].get_xdata()) == [0, 0]
    assert to_hex(ax.lines[0].get_color()) == style.VERMILION.lower()


def test_fixed_effects_with_the_intercept_scale_and_mean():
    ax = plot_fe_sim(fixed_effects(), intercept=True, stat="mean", scale=1)
    assert y_names(ax) == ["agree", "social", "open", "Intercept"]
    segments = np.asarray(ax.collections[0].get_segments())
    np.testing.assert_allclose(segments[3, :, 0], [55.0, 63.2])
    assert ax.get_xlabel() == "mean ± 1 sd"


def test_fixed_effects_in_units_of_sigma():
    ax = plot_fe_sim(fixed_effects(), sigma_scale=0.5)
    np.testing.assert_allclose(ax.collections[1].get_offsets()[:, 0], [-0.01, 0.004, 0.022])
    assert ax.get_xlabel() == "(median ± 1.96 sd) / 0.5"
    with pytest.raises(InvalidArgumentError, match="sigma_scale=0"):
        plot_fe_sim(fixed_effects(), sigma_scale=0)


def test_fixed_effects_without_ranges():
    ax = plot_fe_sim(fixed_effects(), sd=False)
    assert len(ax.collections) == 1


def test_r_spelling_of_the_intercept_is_left_out_too():
    frame = fixed_effects().replace({"term": {"Intercept": "(Intercept)"}})
    assert "(Intercept)" not in y_names(plot_fe_sim(frame))


def test_fixed_effects_in_given_axes():
    _, ax = plt.subplots()
    assert plot_fe_sim(fixed_effects(), ax=ax) is ax
    assert len(plt.get_fignums()) == 1


def test_fixed_effects_errors():
    with pytest.raises(InvalidArgumentError, match="leaves no term to draw; use intercept=True"):
        plot_fe_sim(fixed_effects().iloc[:1])
    with pytest.raises(InvalidArgumentError, match="term"):
        plot_fe_sim(fixed_effects().drop(columns="term"))
    with pytest.raises(InvalidArgumentError, match="more than one row"):
        plot_fe_sim(fixed_effects().iloc[[1, 1]])


def test_ratios_are_drawn_around_one():
    frame = schools().assign(
        mean=lambda d: d["mean"] / 10, median=lambda d: d["median"] / 10, sd=0.4
    )
    plain = plot_re_sim(frame).ax
    ratios = plot_re_sim(frame, odds_ratio=True).ax
    (line,) = ratios.lines
    assert list(line.get_ydata()) == [1, 1]
    assert ratios.get_yscale() == "log"
    np.testing.assert_allclose(points(ratios)[:, 1], np.exp(points(plain)[:, 1]))
    for one, other in zip(layers(plain), layers(ratios), strict=True):
        np.testing.assert_allclose(other[0][:, :, 1], np.exp(one[0][:, :, 1]))
        assert len(one[1]) == len(other[1])
    assert ratios.get_ylabel() == "Intercept\nratio, exp(median ± 1.96 sd)"
    pooled = plot_re_sim(frame, odds_ratio=True, facet=False).ax
    assert pooled.get_yscale() == "log"
    with pytest.raises(InvalidArgumentError, match="sigma_scale"):
        plot_re_sim(frame, odds_ratio=True, sigma_scale=2.0)


def test_ratios_that_were_simulated_are_told_by_themselves():
    # Draws whose logarithms are normal with means and standard deviations of a table.
    log, sd = np.array([-0.8, 0.1, 0.9]), 0.3
    data = pd.DataFrame(
        {
            "group": "g", "level": list("abc"), "term": "Intercept",
            "mean": np.exp(log + sd**2 / 2), "median": np.exp(log),
            "sd": np.exp(log + sd**2 / 2) * np.sqrt(np.expm1(sd**2)),
        }
    )  # fmt: skip
    data.attrs["odds_ratio"] = True
    ax = plot_re_sim(data).ax
    (grey, _), (black, _) = layers(ax)
    ends = np.sort(np.concatenate([grey[:, :, 1], black[:, :, 1]]), axis=0)
    np.testing.assert_allclose(ends[:, 0], np.exp(log - 1.959964 * sd), rtol=1e-6)
    assert list(ax.lines[0].get_ydata()) == [1, 1]
    assert len(grey) == 1


def test_fixed_effects_as_ratios():
    frame = pd.DataFrame(
        {"term": ["a", "b"], "mean": [0.5, -0.1], "median": [0.5, -0.1], "sd": 0.2}
    )
    ax = plot_fe_sim(frame, odds_ratio=True)
    assert ax.get_xscale() == "log"
    assert list(ax.lines[0].get_xdata()) == [1, 1]
    drawn = ax.collections[-1].get_offsets()
    np.testing.assert_allclose(drawn[:, 0], np.exp([-0.1, 0.5]))

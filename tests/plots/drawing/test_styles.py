"""Figures under other styles: a dark page, large letters, a palette; and on the caller's axes."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
import statsmodels.formula.api as smf
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb

import merextras as mx
from merextras import plots
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.hints import PLOTS
from merextras.plots.drawing import style

NAMES = list(plots.__all__)


def effects(n, terms=("Intercept",), seed=1):
    rng = np.random.default_rng(seed)
    frames = [
        pd.DataFrame(
            {
                "group": "school",
                "level": [f"school {i:04d}" for i in range(n)],
                "term": term,
                "estimate": (at := rng.normal(size=n)),
                "std_error": 0.1,
                "mean": at,
                "median": at,
                "sd": 0.1,
            }
        )
        for term in terms
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(params=["light", "dark", "talk"])
def in_style(request):
    """Each of the three styles, and what was before after it."""
    with mpl.rc_context():
        if request.param == "dark":
            plt.style.use("dark_background")
        elif request.param == "talk":
            sns.set_theme(context="talk", style="white", palette="Set2")
        yield request.param


@pytest.fixture(scope="module")
def small():
    """Every figure's argument, from a model of six schools."""
    students = mx.load_dataset("students")
    m = mx.lmer("extro ~ open + Q('class') + (1 | school)", students)
    two = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    profile = m.profile(["sd_Intercept|school", "sigma", "open"])
    cases = students.head(2)
    residuals = mx.residual_table(m)
    null = SimpleNamespace(
        sample=np.maximum(np.random.default_rng(1).normal(size=500), 0.0) ** 2,
        statistic=0.05, p_value=0.4, n_sims=500, name="RLRT",
    )  # fmt: skip
    return {
        "plot_coef": m.summary().coefficients,
        "plot_emmeans": mx.emmeans(m, "class", ddf="asymptotic"),
        "plot_exact_test": null,
        "plot_expected_rank": mx.expected_rank(m),
        "plot_fe_sim": mx.fe_sim(m, n_sims=50, rng=1),
        "plot_fitted": residuals,
        "plot_influence": m.influence("school"),
        "plot_model_check": mx.model_checks(m, rng=1),
        "plot_power_curve": mx.power_curve(
            two, "Days", along="Subject", values=[9, 18], n_sims=8, rng=1
        ),
        "plot_predictions": m.predict(cases, interval="prediction"),
        "plot_profile_density": profile,
        "plot_profile_pairs": profile,
        "plot_profile_zeta": profile,
        "plot_qq": mx.qq_residuals(m),
        "plot_qqmath": m.ranef(),
        "plot_ranef": m.ranef(),
        "plot_re_correlation": two.ranef(),
        "plot_re_impact": mx.re_impact(m, cases),
        "plot_re_sim": mx.re_sim(m, n_sims=50, rng=1),
        "plot_residuals": residuals,
        "plot_shrinkage": mx.shrinkage(m),
        "plot_what_if": mx.what_if(m, cases, "school", n_sims=None),
    }


def contrast(first, second):
    """WCAG's contrast of two colours, 1 to 21."""

    def light(colour):
        c = np.array(to_rgb(colour))
        return np.dot(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4),
                      (0.2126, 0.7152, 0.0722))  # fmt: skip

    a, b = sorted((light(first), light(second)))
    return (b + 0.05) / (a + 0.05)


def marks(ax):
    """Colours of all that is drawn as data or text on an axes."""
    for collection in ax.collections:
        for colour in [*collection.get_edgecolors(), *collection.get_facecolors()]:
            yield to_hex(colour)
    for line in ax.lines:
        yield to_hex(line.get_color())
    for text in ax.texts:
        yield to_hex(text.get_color())


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"xyplot"}))
def test_nothing_has_the_colour_of_the_page(name, small):
    """Every figure has marks that stand out on black, and none of them is black on black."""
    with mpl.rc_context():
        plt.style.use("dark_background")
        made = getattr(plots, name)(small[name])
        figure = getattr(made, "figure", made)
        found = {colour for ax in figure.axes for colour in marks(ax)}
    hollow = {"#000000"}  # faces of hollow marks, whose edges are drawn
    assert max(contrast(c, "#000000") for c in found) > 7
    lines = {to_hex(line.get_color()) for ax in figure.axes for line in ax.lines}
    texts = {to_hex(text.get_color()) for ax in figure.axes for text in ax.texts}
    assert not hollow & (lines | texts)


def test_effects_that_differ_from_zero_stand_out(in_style):
    grid = mx.plot_re_sim(effects(6))
    pale_lines, pale, lines, dots = grid.ax.collections
    page = to_hex(mpl.rcParams["axes.facecolor"])
    if in_style == "dark":
        assert page == "#000000"
    (strong,), (weak,) = ({to_hex(c) for c in part.get_facecolors()} for part in (dots, pale))
    assert contrast(strong, page) > 12
    assert 2 < contrast(weak, page) < contrast(strong, page)
    assert {to_hex(c) for c in lines.get_colors()} == {strong}
    assert {to_hex(c) for c in pale_lines.get_colors()} == {weak}


@pytest.mark.parametrize("draw", [mx.plot_ranef, mx.plot_qqmath])
def test_many_levels_on_a_dark_page(draw):
    with mpl.rc_context():
        plt.style.use("dark_background")
        ax = draw(effects(100)).axes.flat[0]
    assert to_hex(ax.collections[1].get_facecolors()[0]) == "#ffffff"


@pytest.mark.parametrize("n", [6, 60])
def test_names_do_not_overlap(in_style, n):
    del in_style
    for grid in (mx.plot_ranef(effects(n)), mx.plot_re_sim(effects(n), labels=True)):
        grid.figure.canvas.draw()
        for axis, side in ((grid.ax.yaxis, "y"), (grid.ax.xaxis, "x")):
            boxes = [t.get_window_extent() for t in axis.get_ticklabels() if t.get_text()]
            ends = sorted((getattr(b, f"{side}0"), getattr(b, f"{side}1")) for b in boxes)
            tops, bottoms = [e[1] for e in ends[:-1]], [e[0] for e in ends[1:]]
            # Boxes are of the tallest letters; a pixel of them may meet.
            assert all(top <= bottom + 2.0 for top, bottom in zip(tops, bottoms, strict=True))


def test_the_axis_label_is_within_the_figure(in_style, small):
    del in_style
    names = ("plot_ranef", "plot_qqmath", "plot_emmeans", "plot_re_impact", "plot_what_if",
             "plot_predictions")  # fmt: skip
    for name in names:
        grid = getattr(plots, name)(small[name])
        grid.figure.canvas.draw()
        whole = grid.figure.bbox
        for ax in grid.axes.flat:
            for label in (ax.xaxis.label, ax.yaxis.label, ax.title):
                box = label.get_window_extent()
                if label.get_visible() and label.get_text():
                    assert box.x0 >= whole.x0 - 1, (name, label.get_text())
                    assert box.x1 <= whole.x1 + 1, (name, label.get_text())


def test_panels_grow_with_the_letters_and_not_when_a_size_is_given():
    sizes = {}
    for context in ("notebook", "talk"):
        with mpl.rc_context():
            sns.set_theme(context=context)
            free, given = mx.plot_ranef(effects(6)), mx.plot_ranef(effects(6), width=3, height=2)
            sizes[context] = (*free.figure.get_size_inches(), given.figure.get_figheight())
    assert sizes["talk"][0] > 1.2 * sizes["notebook"][0]
    assert sizes["talk"][2] == sizes["notebook"][2]


def test_the_palette_in_force():
    with mpl.rc_context():
        assert style.palette(4) == ["#0173B2", "#DE8F05", "#029E73", "#D55E00"]
        sns.set_palette(["#102030", "#405060", "#708090"])
        assert style.palette(2) == ["#102030", "#405060"]
        assert style.observed() == "#708090"
        assert len(set(style.palette(5))) == 5
        ax = mx.plot_ranef(effects(6)).ax
        assert to_hex(ax.collections[1].get_facecolors()[0]) == "#102030"
        students = mx.load_dataset("students")
        grid = mx.xyplot(students, "extro", ["open", "agree"], "school")
        drawn = [to_hex(c.get_edgecolors()[0]) for c in grid.axes.flat[0].collections]
        assert drawn == ["#102030", "#405060"]
        sns.set_palette(["#102030"])
        assert style.estimated() == "#0173B2"


def test_greys_on_white_are_matplotlibs():
    for level in (0.0, 0.4, 0.92, 1.0):
        assert style.gray(level) == to_hex(str(level))
    with mpl.rc_context({"axes.facecolor": "none", "figure.facecolor": "none"}):
        assert style.paper() == "#ffffff"
        mpl.rcParams["text.color"] = "white"
        assert style.paper() == "#000000"
    assert style.shades() == "crest"


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_answered_with_the_call(name, intercepts):
    students = mx.load_dataset("students")
    fit = smf.mixedlm("extro ~ open", students, groups="school").fit()
    required = [
        p.name
        for p in inspect.signature(getattr(plots, name)).parameters.values()
        if p.default is p.empty
    ]
    others = ["a"] * (len(required) - 1)
    for model in (intercepts, fit):
        with pytest.raises(InvalidArgumentError) as caught:
            getattr(plots, name)(model, *others)
        assert f"a model was given; write mx.{PLOTS[name]}" in str(caught.value)
    assert set(PLOTS) == set(NAMES)


ONE_PANEL = [
    "plot_emmeans", "plot_expected_rank", "plot_predictions", "plot_qqmath", "plot_ranef",
    "plot_re_sim", "plot_shrinkage",
]  # fmt: skip


@pytest.mark.parametrize("name", ONE_PANEL)
def test_on_the_callers_axes(name, small):
    figure, (left, right) = plt.subplots(1, 2)
    made = getattr(plots, name)(small[name], ax=right, title="A title")
    assert made is right
    assert len(plt.get_fignums()) == 1
    assert right.get_title() == "A title"
    assert right.has_data()
    assert not left.has_data()
    assert right.get_xlabel()
    alone = getattr(plots, name)(small[name])
    ours = [np.asarray(c.get_offsets()) for c in right.collections]
    theirs = [np.asarray(c.get_offsets()) for c in alone.axes.flat[0].collections]
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    plt.close(figure)


def test_other_figures_on_the_callers_axes(small):
    what_if, impact = small["plot_what_if"], small["plot_re_impact"]
    figure, axes = plt.subplots(2, 3)
    one = what_if[what_if["case"] == 0]
    one.attrs = what_if.attrs
    assert mx.plot_what_if(one, ax=axes[0, 0]) is axes[0, 0]
    assert axes[0, 0].get_xlabel() == "school"
    assert mx.plot_re_impact(impact, facet=False, ax=axes[0, 1]) is axes[0, 1]
    assert isinstance(
        mx.plot_profile_zeta(small["plot_profile_zeta"], "sigma", ax=axes[0, 2]), Axes
    )
    mx.plot_profile_density(small["plot_profile_zeta"], "sigma", ax=axes[1, 0])
    mx.plot_influence(small["plot_influence"], terms=[], ax=axes[1, 1])
    mx.plot_re_sim(effects(5, ("a", "b")), facet=False, ax=axes[1, 2])
    assert all(ax.has_data() for ax in axes.flat)
    with pytest.raises(InvalidArgumentError, match="ax: the figure has 2 panels"):
        mx.plot_what_if(what_if, ax=axes[0, 0])
    with pytest.raises(InvalidArgumentError, match="ax is of type Figure"):
        mx.plot_ranef(effects(3), ax=figure)
    plt.close(figure)


def test_many_levels_on_the_callers_axes():
    frame = effects(100).assign(
        n=3, no_pooling=lambda d: 2 * d["estimate"], partial_pooling=lambda d: d["estimate"],
        complete_pooling=0.0,
    )  # fmt: skip
    figure, ax = plt.subplots()
    assert mx.plot_shrinkage(frame, ax=ax) is ax
    assert len(figure.axes) == 2  # with the colour bar
    plt.close(figure)


def test_sorted_by_each_term():
    frame = effects(8, ("Intercept", "x"))
    for sort, same in (("first", True), ("each", False)):
        grid = mx.plot_ranef(frame, sort=sort)
        names = []
        for term in ("Intercept", "x"):
            ax = grid.axes_dict["school", term]
            shown = ax if sort == "each" else grid.axes.flat[0]  # they share the axis
            names.append([label.get_text() for label in shown.get_yticklabels()])
            rows = frame[frame["term"] == term].set_index("level")["estimate"]
            dots = np.asarray(ax.collections[1].get_offsets())
            at = dict(zip(dots[:, 1].round(), dots[:, 0], strict=True))
            assert [at[i] for i in range(8)] == rows[names[-1]].tolist()
            if sort == "each" or term == "Intercept":
                assert rows[names[-1]].is_monotonic_increasing
        assert (names[0] == names[1]) is same
    grid = mx.plot_ranef(frame, sort="none")
    labels = [label.get_text() for label in grid.axes.flat[0].get_yticklabels()]
    assert labels == frame["level"].unique().tolist()
    with pytest.raises(
        InvalidArgumentError, match="sort='value': allowed: 'first', 'each', 'none'"
    ):
        mx.plot_ranef(frame, sort="value")


def test_what_if_names_its_axes_and_keeps_the_cases_order(small):
    frame = small["plot_what_if"]
    assert frame.attrs == {"group": "school", "response": "extro"}
    by_level = mx.plot_what_if(frame, by="level")
    own = mx.plot_what_if(frame, x_label="Schule", y_label="Punkte")
    for grid, across, up in (
        (mx.plot_what_if(frame), "school", "extro"),
        (by_level, "case", "extro"),
        (own, "Schule", "Punkte"),
    ):
        assert {ax.get_xlabel() for ax in grid.axes.flat} - {""} == {across}
        assert {ax.get_ylabel() for ax in grid.axes.flat} - {""} == {up}
    students = mx.load_dataset("students")
    m = mx.lmer("extro ~ open + (1 | school)", students)
    moved = mx.what_if(m, students.loc[[700, 3, 41]], "school", n_sims=None)
    titles = [ax.get_title() for ax in mx.plot_what_if(moved).axes.flat]
    assert titles == ["case 700", "case 3", "case 41"]
    ticks = mx.plot_what_if(moved, by="level").axes.flat[-1].get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["700", "3", "41"]


def test_the_zeros_label_is_over_the_observed_line(in_style, small):
    del in_style
    ax = mx.plot_exact_test(small["plot_exact_test"])
    (label,) = [text for text in ax.texts if "at zero" in text.get_text()]
    (line,) = [line for line in ax.lines if len(set(line.get_xdata())) == 1]
    box = label.get_bbox_patch()
    assert label.get_zorder() > line.get_zorder()
    assert to_hex(box.get_facecolor()) == style.paper()
    assert box.get_alpha() in (None, 1.0)


def test_influence_labels_end_within_their_panels(in_style):
    del in_style
    rng = np.random.default_rng(2)
    n = 3000
    data = pd.DataFrame({"g": np.repeat([f"level {i:04d}" for i in range(n)], 2)})
    data["x"] = rng.normal(size=2 * n)
    data["y"] = data["x"] + np.repeat(rng.normal(size=n), 2) + rng.normal(size=2 * n)
    m = mx.lmer("y ~ x + (1 | g)", data)
    grid = mx.plot_influence(m.influence("g", method="one-step"))
    grid.figure.canvas.draw()
    for ax in grid.axes.flat:
        assert len(ax.texts) == 5
        for text in ax.texts:
            box, panel = text.get_window_extent(), ax.get_window_extent()
            assert box.x0 >= panel.x0
            assert box.x1 <= panel.x1

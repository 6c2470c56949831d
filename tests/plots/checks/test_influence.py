from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_influence
from merextras.results.estimates.influence import Influence


def made(n, names=("Intercept", "x"), missing=(), group="school", seed=1):
    rng = np.random.default_rng(seed)
    p = len(names)
    betas = rng.normal(size=(n, p))
    betas[list(missing)] = np.nan
    return Influence(
        group=group,
        levels=pd.Index([f"L{i}" for i in range(n)]),
        names=names,
        parameter_names=("sigma",),
        beta=np.zeros(p),
        vcov=np.eye(p),
        parameters=np.ones(1),
        theta=np.empty(0),
        betas=betas,
        std_errors=np.full((n, p), 2.0),
        parameter_values=np.ones((n, 1)),
        thetas=np.empty((n, 0)),
        cov_ratio=np.ones(n),
        cov_trace=np.zeros(n),
        displacement=np.zeros(n),
        n_deleted=np.ones(n),
        method="full",
        reml=True,
    )


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def ends(ax):
    """Where the lines end, by place."""
    dots = [
        np.asarray(c.get_offsets())
        for c in ax.collections
        if len(c.get_offsets()) and hasattr(c, "get_sizes")
    ]
    points = np.concatenate([d for d in dots if d.shape[1] == 2])
    return dict(zip(points[:, 1].astype(int), points[:, 0], strict=True))


@pytest.mark.parametrize("n", [6, 60])
def test_few_are_named_the_most_influential_on_top(n):
    found = made(n)
    grid = plot_influence(found)
    assert [ax.get_title() for ax in grid.axes.flat] == [
        "Cook's distance", "DFBETAS: Intercept", "DFBETAS: x",
    ]  # fmt: skip
    cook = found.cooks_distance().sort_values(kind="stable")
    first = grid.axes_dict["school", "Cook's distance"]
    assert names(first) == list(cook.index)
    assert first.get_ylabel() == "school"
    for term in found.names:
        ax = grid.axes_dict["school", term]
        expected = found.dfbetas()[term].loc[cook.index]
        drawn = ends(ax)
        np.testing.assert_allclose([drawn[i] for i in range(n)], expected)


def test_limits_and_colours():
    found = made(60)
    grid = plot_influence(found)
    ax = grid.axes_dict["school", "x"]
    at = sorted(line.get_xdata()[0] for line in ax.lines)
    np.testing.assert_allclose(at, [-2 / np.sqrt(60), 0.0, 2 / np.sqrt(60)])
    beyond = np.sum(found.dfbetas()["x"].abs() > 2 / np.sqrt(60))
    red = [
        c
        for c in ax.collections
        if hasattr(c, "get_segments") and to_hex(c.get_color()[0]) == "#d55e00"
    ]
    assert sum(len(c.get_segments()) for c in red) == beyond


def test_thousands_have_their_own_order_and_few_names():
    found = made(3000)
    grid = plot_influence(found, n_labels=4)
    first = grid.axes_dict["school", "Cook's distance"]
    assert first.get_ylabel() == "3\N{NARROW NO-BREAK SPACE}000 levels of school"
    assert names(first) == []
    assert {text.get_text() for text in first.texts} == set(
        found.cooks_distance().nlargest(4).index
    )
    np.testing.assert_allclose(ends(first)[17], found.cooks_distance().iloc[17])
    assert 6 < grid.figure.get_figheight() < 9
    assert all(c.get_rasterized() for c in first.collections)
    places = sorted(text.xyann[1] for text in first.texts)
    assert np.all(np.diff(places) >= 0.023 * 3000)
    assert places[-1] < 3000
    assert len(plot_influence(found, n_labels=0).axes.flat[0].texts) == 0


def test_a_name_is_beyond_the_longer_line_next_to_its_own():
    found = made(200)
    betas = np.array(found.betas) / 100.0
    betas[[100, 101], 1] = [-4.0, -8.0]
    ax = plot_influence(replace(found, betas=betas), n_labels=2).axes_dict["school", "x"]
    place = {text.get_text(): text.xyann[0] for text in ax.texts}
    assert place == {"L100": -4.0, "L101": -4.0}
    assert {text.get_text(): text.xy[0] for text in ax.texts} == {"L100": -2.0, "L101": -4.0}


def test_cases():
    ax = plot_influence(made(200, group="case")).axes.flat[0]
    assert ax.get_ylabel() == "200 cases"


def test_terms_are_chosen():
    found = made(6, names=("Intercept", "x", "z"))
    assert list(plot_influence(found, terms="z").axes_dict) == [
        ("school", "Cook's distance"), ("school", "z"),
    ]  # fmt: skip
    assert list(plot_influence(found, terms=[]).axes_dict) == [("school", "Cook's distance")]


def test_titles_of_long_terms_do_not_overlap():
    terms = ["Intercept", "x", "minority[T.yes]", "sector[T.public]", "x:sector[T.public]"]
    terms += ["minority[T.yes]:sector[T.public]", "C(a_factor_of_a_long_name)[T.and_a_long_level]"]
    grid = plot_influence(made(160, names=tuple(terms)))
    titles = [ax.title for ax in grid.axes.flat]
    assert titles[2].get_text() == "DFBETAS: x"
    assert titles[6].get_text() == "DFBETAS:\nminority[T.yes]:\nsector[T.public]"
    assert len({title.get_fontsize() for title in titles}) == 1
    boxes = [title.get_window_extent() for title in titles[:-1]]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


def test_a_deletion_without_estimates_has_a_name_and_no_mark():
    grid = plot_influence(made(6, missing=[2]))
    first = grid.axes.flat[0]
    assert names(first)[0] == "L2"
    assert sorted(ends(first)) == [1, 2, 3, 4, 5]


def test_sizes_title_and_many_panels(tmp_path):
    grid = plot_influence(made(20), width=2.0, height=5.0, title="Schools")
    assert grid.figure.get_figheight() == pytest.approx(5.0)
    assert grid.figure.get_suptitle() == "Schools"
    many = plot_influence(made(6, names=tuple(f"x{i}" for i in range(9))))
    assert many.figure.get_figwidth() < 18
    grid.savefig(tmp_path / "influence.pdf")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"terms": "y"}, r"terms='y': allowed: 'Intercept', 'x'"),
        ({"n_labels": -1}, "n_labels=-1: a whole number"),
        ({"n_labels": True}, "n_labels=True"),
        ({"width": 0}, "width=0"),
        ({"height": "tall"}, "height='tall'"),
    ],
)
def test_errors(keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_influence(made(6), **keywords)


def test_other_things():
    with pytest.raises(
        InvalidArgumentError, match=r"expected what m.influence\(\) returned, got dict"
    ):
        plot_influence({})
    with pytest.raises(InvalidArgumentError, match="no deletion has estimates"):
        plot_influence(made(3, missing=[0, 1, 2]))
    with pytest.raises(InvalidArgumentError, match="the model has no fixed effects"):
        plot_influence(
            mx.lmer("Yield ~ 0 + (1 | Batch)", mx.load_dataset("dyestuff")).influence("Batch")
        )

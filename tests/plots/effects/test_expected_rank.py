import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_expected_rank
from merextras.plots.drawing import style


def ranks(n, group="school", terms=("Intercept",), seed=1):
    rng = np.random.default_rng(seed)
    parts = []
    for term in terms:
        estimate = rng.normal(size=n)
        place = pd.Series(estimate).rank().to_numpy()
        er = (n + 1) / 2 + 0.8 * (place - (n + 1) / 2)
        columns = {"group": group, "level": [f"L{i}" for i in range(n)], "term": term}
        parts.append(pd.DataFrame({**columns, "estimate": estimate, "er": er}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(std_error=1.0, pct_er=100 * (frame["er"] - 0.5) / n)


def marks(ax):
    """Segments, ranks of the estimates, expected ranks."""
    lines, own, expected = ax.collections
    return (
        np.asarray(lines.get_segments()),
        np.asarray(own.get_offsets()),
        np.asarray(expected.get_offsets()),
    )


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


@pytest.mark.parametrize("n", [1, 6, 60])
def test_levels_ascend_and_are_named(n):
    frame = ranks(n)
    grid = plot_expected_rank(frame)
    ax = grid.axes_dict["school", "Intercept"]
    ordered = frame.sort_values("er")
    segments, own, expected = marks(ax)
    assert names(ax) == ordered["level"].tolist()
    np.testing.assert_allclose(
        expected, np.column_stack([ordered["pct_er"], range(n)])[np.argsort(ordered.index)]
    )
    by_level = own[np.argsort(own[:, 1])]
    np.testing.assert_allclose(by_level[:, 0], 100 * (np.arange(1, n + 1) - 0.5) / n)
    np.testing.assert_allclose(segments[:, 0, 0], own[:, 0])
    np.testing.assert_allclose(segments[:, 1, 0], expected[:, 0])
    assert grid.figure.get_figheight() > 0.17 * n
    (middle,) = ax.lines
    assert list(middle.get_xdata()) == [50, 50]
    assert ax.get_xlim() == (-3, 103)


def test_ranks_instead_of_percentiles():
    frame = ranks(6)
    ax = plot_expected_rank(frame, value="er").axes_dict["school", "Intercept"]
    _, own, expected = marks(ax)
    assert sorted(own[:, 0]) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(np.sort(expected[:, 0]), np.sort(frame["er"]))
    assert list(ax.lines[0].get_xdata()) == [3.5, 3.5]
    assert ax.get_xlabel() == "expected rank"


def test_equal_estimates_share_a_rank():
    frame = ranks(4).assign(estimate=0.0, er=2.5, pct_er=50.0)
    _, own, expected = marks(plot_expected_rank(frame, value="er").axes_dict["school", "Intercept"])
    assert own[:, 0].tolist() == [2.5] * 4 == expected[:, 0].tolist()


def test_other_terms_keep_the_order_of_the_first():
    frame = ranks(8, terms=("Intercept", "x"))
    grid = plot_expected_rank(frame)
    order = frame.query("term == 'Intercept'").sort_values("er")["level"]
    assert names(grid.axes_dict["school", "Intercept"]) == order.tolist()
    _, _, expected = marks(grid.axes_dict["school", "x"])
    slopes = frame.query("term == 'x'").set_index("level")["pct_er"]
    np.testing.assert_allclose(expected[np.argsort(expected[:, 1]), 0], slopes[order])


def test_factors_are_rows_and_missing_panels_are_hidden():
    frame = pd.concat([ranks(8, "a", ("Intercept", "x")), ranks(3, "b")])
    grid = plot_expected_rank(frame)
    assert grid.axes.shape == (2, 2)
    assert not grid.axes_dict["b", "x"].get_visible()
    assert grid.axes_dict["b", "Intercept"].get_ylabel() == "b"


def test_three_thousand_levels():
    grid = plot_expected_rank(ranks(3000))
    ax = grid.axes_dict["school", "Intercept"]
    assert all(mark.get_rasterized() for mark in ax.collections)
    assert list(ax.get_yticks()) == []
    assert ax.get_ylabel() == f"school: {style.thousands(3000)} levels"
    assert grid.figure.get_figheight() < 9


def test_the_legend_can_be_seen_at_any_size():
    for n in (6, 3000):
        handles = plot_expected_rank(ranks(n)).legend.legend_handles
        assert [handle.get_markersize() for handle in handles] == [5, 5]
        assert to_hex(handles[1].get_markerfacecolor()).upper() == style.BLUE


def test_height_width_and_title():
    grid = plot_expected_rank(ranks(6), height=5, width=3, title="schools")
    assert grid.figure.get_figheight() == pytest.approx(5)
    assert grid.figure._suptitle.get_text() == "schools"


def test_integer_and_categorical_levels_and_unchanged_input():
    frame = ranks(4).assign(level=pd.Categorical([4, 3, 2, 1]))
    before = frame.copy()
    assert set(names(plot_expected_rank(frame).axes_dict["school", "Intercept"])) == set("1234")
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("change", "keywords", "message"),
    [
        (lambda f: f.drop(columns="er"), {}, "er"),
        (lambda f: f.iloc[:0], {}, "no rows"),
        (lambda f: pd.concat([f, f]), {}, "more than one row"),
        (lambda f: f.assign(er="first"), {}, r"ranks\['er'\] has dtype"),
        (lambda f: f, {"value": "rank"}, "value='rank': allowed: 'pct_er', 'er'"),
        (lambda f: f, {"width": 0}, "width=0"),
        (lambda f: f, {"height": -1}, "height=-1"),
        (lambda f: 3, {}, "ranks"),
    ],
)
def test_errors(change, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_expected_rank(change(ranks(6)), **keywords)

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_shrinkage


def pooled(n, terms=("Intercept", "x"), seed=1):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 30, n)
    parts = []
    for term in terms:
        own = rng.normal(size=n)
        parts.append(
            pd.DataFrame(
                {
                    "group": "g",
                    "level": [f"L{i}" for i in range(n)],
                    "term": term,
                    "n": size,
                    "no_pooling": own,
                    "partial_pooling": own * size / (size + 3),
                    "complete_pooling": 0.1,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("n", [1, 6, 60])
def test_levels_by_their_number_of_observations(n):
    frame = pooled(n)
    grid = plot_shrinkage(frame)
    first = frame[frame["term"] == "Intercept"].sort_values(["n", "partial_pooling"])
    names = [label.get_text() for label in grid.axes.flat[0].get_yticklabels()]
    assert names == first["level"].tolist()
    for term, ax in grid.axes_dict.items():
        part = frame[frame["term"] == term].set_index("level").loc[names]
        lines, hollow, filled = ax.collections
        order = np.argsort(np.asarray(hollow.get_offsets())[:, 1])
        own, model = (np.asarray(c.get_offsets())[order, 0] for c in (hollow, filled))
        np.testing.assert_allclose(own, part["no_pooling"])
        np.testing.assert_allclose(model, part["partial_pooling"])
        assert len(lines.get_segments()) == n
        assert ax.lines[0].get_xdata()[0] == 0.1
    legend = [text.get_text() for text in grid.figure.legends[0].get_texts()]
    assert legend == ["complete pooling", "no pooling", "partial pooling"]


def test_many_levels_are_points():
    frame = pooled(3000)
    grid = plot_shrinkage(frame, title="T")
    for term, ax in grid.axes_dict.items():
        part = frame[frame["term"] == term]
        (dots,) = ax.collections
        low, high = part["no_pooling"].quantile([0.005, 0.995])
        inside = part[part["no_pooling"].between(low, high)]
        expected = inside[["no_pooling", "partial_pooling"]]
        np.testing.assert_allclose(dots.get_offsets(), expected)
        np.testing.assert_allclose(dots.get_array(), inside["n"])
        assert f"({3000 - len(inside)} beyond)" in ax.get_xlabel()
        assert dots.get_rasterized()
    bar = grid.figure.axes[-1]
    assert bar.get_ylabel() == "observations"
    shown = [int(label.get_text()) for label in bar.get_yticklabels()]
    assert (shown[0], shown[-1]) == (frame["n"].min(), frame["n"].max())
    assert [label.get_text() for label in bar.get_yticklabels(minor=True)] == []
    assert max(grid.figure.get_size_inches()) < 10


def test_many_levels_of_one_size():
    grid = plot_shrinkage(pooled(100).assign(n=7))
    assert [label.get_text() for label in grid.figure.axes[-1].get_yticklabels()] == ["7"]


@pytest.mark.parametrize("n", [6, 100])
def test_missing_values_have_no_mark(n, tmp_path):
    frame = pooled(n)
    frame.loc[2, "no_pooling"] = np.nan
    plot_shrinkage(frame).savefig(tmp_path / "s.png")


def test_sizes_and_panels():
    grid = plot_shrinkage(pooled(6), height=5, width=3)
    assert grid.figure.get_figheight() == pytest.approx(5)
    assert list(plot_shrinkage(pooled(4, ("a", "b", "c"))).axes_dict) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("change", "keywords", "message"),
    [
        (lambda f: f.drop(columns="n"), {}, "'n'"),
        (lambda f: f.iloc[:0], {}, "shrinkage: the frame has no rows"),
        (lambda f: pd.concat([f, f]), {}, "more than one row"),
        (lambda f: f.assign(group=f["level"]), {}, "has the grouping factors 'L0'"),
        (lambda f: f, {"width": 0}, "width=0"),
        (lambda f: f, {"height": "x"}, "height='x'"),
    ],
)
def test_errors(change, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_shrinkage(change(pooled(6)), **keywords)

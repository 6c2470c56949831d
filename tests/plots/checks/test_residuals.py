import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_fitted, plot_residuals
from merextras.results.checks.residual_table import ResidualTable


def table(n_levels, per=5, seed=1, curve=50):
    rng = np.random.default_rng(seed)
    n = n_levels * per
    fitted = rng.normal(50, 5, n)
    standardized = rng.standard_t(4, n)
    frame = pd.DataFrame(
        {
            "observed": fitted + 2 * standardized,
            "fitted": fitted,
            "residual": 2 * standardized,
            "standardized": standardized,
            "leverage": rng.uniform(0.02, 0.3, n),
            "cooks_distance": rng.exponential(0.1, n),
        },
        index=[f"row {i}" for i in range(n)],
    )
    groups = pd.DataFrame({"g": np.repeat(np.arange(n_levels), per)}, index=frame.index)
    at = np.linspace(40, 60, curve)
    trends = pd.concat(
        [
            pd.DataFrame({"of": of, "fitted": x, "value": 0.5})
            for of, x in (("residual", at), ("scale", at), ("leverage", at / 300))
        ]
    )
    return ResidualTable("y", frame, groups, trends, 3)


def dots(ax):
    """Points of the cloud, (n, 2)."""
    return np.asarray(ax.collections[0].get_offsets())


def test_residuals_and_scale():
    result = table(6)
    left, right = plot_residuals(result, title="A title").axes
    frame = result.table
    np.testing.assert_allclose(dots(left), frame[["fitted", "residual"]])
    np.testing.assert_allclose(dots(right)[:, 1], np.sqrt(frame["standardized"].abs()))
    assert [line.get_color() for line in left.lines][-1] == "#D55E00"
    np.testing.assert_allclose(left.lines[-1].get_ydata(), 0.5)
    largest = set(frame["standardized"].abs().nlargest(3).index)
    assert {text.get_text() for text in left.texts} <= largest
    assert left.figure.get_suptitle() == "A title"


def test_no_trend_is_no_line():
    left, _ = plot_residuals(table(6, curve=0)).axes
    assert len(left.lines) == 1


def test_names_do_not_lie_over_one_another():
    result = table(6)
    frame = result.table.copy()
    frame.iloc[:3, :4] = [[200, 50, 150, 75.0]] * 3
    same = ResidualTable("y", frame, result.groups, result.trends, 3)
    left, _ = plot_residuals(same).axes
    assert len(left.texts) == 1


@pytest.mark.parametrize(("n", "raster"), [(6, False), (60, False), (3000, True)])
def test_sizes_follow_the_number_of_rows(n, raster):
    left, _ = plot_residuals(table(n)).axes
    cloud = left.collections[0]
    assert cloud.get_rasterized() is raster
    assert cloud.get_sizes()[0] == pytest.approx(np.clip(9000 / (5 * n), 3, 18))
    assert 0.15 <= cloud.get_alpha() <= 0.75


@pytest.mark.parametrize("n", [1, 6, 64])
def test_a_panel_for_each_level(n):
    result = table(n)
    figure = plot_fitted(result)
    assert [ax.get_title() for ax in figure.axes] == [str(i) for i in range(n)]
    limits = {(ax.get_xlim(), ax.get_ylim()) for ax in figure.axes}
    assert len(limits) == 1
    first = result.with_group("g").query("level == 0")
    np.testing.assert_allclose(dots(figure.axes[0]), first[["fitted", "observed"]])
    assert max(figure.get_size_inches()) < 16
    shown = [ax.xaxis.get_major_ticks()[0].label1.get_visible() for ax in figure.axes]
    columns = len({ax.get_subplotspec().colspan.start for ax in figure.axes})
    assert sum(shown) == columns


@pytest.mark.parametrize("n", [65, 3000])
def test_many_levels_are_means(n):
    result = table(n)
    (ax,) = plot_fitted(result).axes
    means = result.group_means("g")
    np.testing.assert_allclose(dots(ax), means[["fitted", "observed"]])
    assert "levels" in ax.get_title()
    assert max(ax.figure.get_size_inches()) < 7


def test_the_factor_with_the_fewest_levels_is_the_default():
    result = table(6)
    groups = result.groups.assign(few=lambda d: d["g"] % 2)
    both = ResidualTable("y", result.table, groups, result.trends, 3)
    assert len(plot_fitted(both).axes) == 2
    assert len(plot_fitted(both, "g", col_wrap=3, height=1.5).axes) == 6


@pytest.mark.parametrize("function", [plot_residuals, plot_fitted])
def test_saved_in_every_format(function, tmp_path):
    figure = function(table(9))
    for kind in ("png", "pdf", "svg"):
        figure.savefig(tmp_path / f"figure.{kind}")
    plt.close(figure)


@pytest.mark.parametrize(
    ("function", "keywords", "message"),
    [
        (plot_residuals, {"height": 0}, "height=0"),
        (plot_fitted, {"height": -1}, "height=-1"),
        (plot_fitted, {"group": "x"}, "group='x': the grouping factors are"),
        (plot_fitted, {"col_wrap": 0}, "col_wrap=0"),
    ],
)
def test_errors(function, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        function(table(6), **keywords)


@pytest.mark.parametrize("function", [plot_residuals, plot_fitted])
def test_another_object(function):
    with pytest.raises(InvalidArgumentError, match="of type DataFrame; the result of residual_tab"):
        function(table(6).to_frame())

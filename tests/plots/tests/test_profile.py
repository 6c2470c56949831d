"""Plots of profiles draw what the profile says."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure
from profile_models import no_group_variance, profile_for, quiet_lmer

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_profile_density, plot_profile_pairs, plot_profile_zeta

PLOTS = [plot_profile_density, plot_profile_pairs, plot_profile_zeta]


@pytest.fixture(scope="module")
def profile():
    return profile_for("sleepstudy")


def lines(ax):
    return [np.column_stack(line.get_data()) for line in ax.get_lines()]


class TestZeta:
    def test_a_panel_each(self, profile):
        grid = plot_profile_zeta(profile, title="all")
        assert [ax.get_title() for ax in grid.axes.flat] == list(profile.names)
        assert grid.figure.get_suptitle() == "all"

    def test_the_curve_and_its_points(self, profile):
        ax = plot_profile_zeta(profile, "sigma").axes.flat[0]
        *_, curve, points = lines(ax)
        np.testing.assert_allclose(profile.zeta("sigma", curve[:, 0]), curve[:, 1])
        np.testing.assert_allclose(points[:, 1], profile.curves["sigma"].zeta)

    def test_intervals(self, profile):
        ax = plot_profile_zeta(profile, "Days", levels=[0.95]).axes.flat[0]
        ends = sorted(x[0, 0] for x in lines(ax) if len(x) == 2 and x[0, 0] == x[1, 0])
        np.testing.assert_allclose(ends, profile.confint().loc["Days"])

    def test_absolute(self, profile):
        ax = plot_profile_zeta(profile, "Days", absolute=True).axes.flat[0]
        assert min(line[:, 1].min() for line in lines(ax)) >= 0.0
        assert ax.get_ylabel() == "|ζ|"

    def test_a_level_beyond_is_left_out(self, profile):
        few = plot_profile_zeta(profile, "Days", levels=[0.5]).axes.flat[0]
        more = plot_profile_zeta(profile, "Days", levels=[0.5, 0.999]).axes.flat[0]
        assert len(lines(few)) == len(lines(more))

    def test_wrap(self, profile):
        grid = plot_profile_zeta(profile, col_wrap=2)
        assert len({round(ax.get_position().x0, 3) for ax in grid.axes.flat}) == 2


class TestDensity:
    def test_the_interval_is_filled(self, profile):
        ax = plot_profile_density(profile, "Days", level=0.9).axes.flat[0]
        (fill,) = ax.collections
        x = fill.get_paths()[0].vertices[:, 0]
        step = np.ptp(profile.curves["Days"].values) / 200
        np.testing.assert_allclose([x.min(), x.max()], profile.confint(0.9).loc["Days"], atol=step)

    def test_a_level_beyond(self, profile):
        with pytest.raises(InvalidArgumentError, match="followed to level_max"):
            plot_profile_density(profile, level=0.999)


class TestPairs:
    def test_both_halves(self, profile):
        figure = plot_profile_pairs(profile, ["sigma", "Days", "Intercept"], title="pairs")
        assert isinstance(figure, Figure)
        assert len(figure.axes) == 9
        below, above = figure.axes[3], figure.axes[1]
        assert len(lines(below)) == len(lines(above)) == 4 + 2
        low, high = profile.curves["sigma"].values[[0, -1]]
        assert low < min(line[:, 0].min() for line in lines(below)[:4]) < high
        assert figure.get_suptitle() == "pairs"

    def test_regions_that_are_not_closed(self):
        figure = plot_profile_pairs(profile_for("dyestuff2"), "theta_")
        assert [len(lines(ax)) for ax in figure.axes[1:3]] == [2, 2]

    def test_one_parameter(self, profile):
        with pytest.raises(InvalidArgumentError, match="pairs need two parameters"):
            plot_profile_pairs(profile, "Days")

    @pytest.mark.parametrize("size", [0, -1, "a"])
    def test_size(self, profile, size):
        with pytest.raises(InvalidArgumentError, match="size="):
            plot_profile_pairs(profile, size=size)


@pytest.mark.parametrize("plot", PLOTS)
class TestArguments:
    def test_not_a_profile(self, plot, profile):
        with pytest.raises(InvalidArgumentError, match=r"the result of m\.profile\(\) is needed"):
            plot(profile.to_frame())

    def test_an_unknown_parameter(self, plot, profile):
        with pytest.raises(InvalidArgumentError, match="did you mean 'Days'"):
            plot(profile, "days")

    def test_nothing_to_draw(self, plot, sleep):
        m = quiet_lmer("y ~ Days + (Days | Subject)", no_group_variance(sleep))
        with pytest.raises(InvalidArgumentError, match="none of them has a curve"):
            plot(m.profile("cor_Days.Intercept|Subject"))


@pytest.mark.parametrize("plot", [plot_profile_pairs, plot_profile_zeta])
def test_a_level_that_is_none(plot, profile):
    with pytest.raises(InvalidArgumentError, match="levels=2"):
        plot(profile, levels=[0.5, 2])

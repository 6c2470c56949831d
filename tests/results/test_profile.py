"""The curve of a parameter, the profile and its regions, on curves that are known exactly."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from profile_models import profile_for
from scipy import stats

from merextras.distributions.curve import Curve
from merextras.exceptions import InvalidArgumentError
from merextras.results.profiles.contour import contour, trace
from merextras.results.profiles.profile import Profile

U = np.linspace(-3.0, 3.0, 13)


def curve(kind="identity", u=U, zeta=None, slope=None, **kwargs):
    """zeta = u by default."""
    zeta = u if zeta is None else zeta
    slope = np.ones(len(u)) if slope is None else slope
    given = {"bounds": (-np.inf, np.inf), "reasons": ("", ""), **kwargs}
    return Curve(0.0, kind, u, zeta, slope, **given)


def linear(correlation=0.6, level_max=0.99):
    """A profile of two fixed effects of a linear model with a known correlation."""
    points = {
        "a": np.column_stack([U, correlation * U]),
        "b": np.column_stack([correlation * U, U]),
    }
    curves = {"a": curve(), "b": curve()}
    return Profile(curves, points, ("a", "b"), 0, level_max, "sdcor", False)


class TestCurve:
    def test_a_cubic_is_exact(self):
        smooth = curve(zeta=U + 0.05 * U**3, slope=1.0 + 0.15 * U**2)
        at = np.linspace(-3.0, 3.0, 50)
        np.testing.assert_allclose(smooth.zeta_at(at), at + 0.05 * at**3, atol=1e-13)

    @pytest.mark.parametrize(
        ("kind", "u"),
        [
            ("identity", U),
            ("square", np.linspace(0.0, 3.0, 7)),
            ("sine", np.linspace(-0.5 * np.pi, 0.5 * np.pi, 9)),
            ("exp", U),
            ("exp_square", U),
        ],
    )
    def test_there_and_back(self, kind, u):
        bounds = (-1.0, 1.0) if kind == "sine" else (-np.inf, np.inf)
        found = curve(kind, u, zeta=u - 0.3, slope=np.ones(len(u)), bounds=bounds)
        zeta = np.linspace(found.zeta[0], found.zeta[-1], 31)
        values = found.value_at(zeta)
        assert np.all(np.diff(values) > 0)
        np.testing.assert_allclose(found.zeta_at(values), zeta, atol=1e-7)
        np.testing.assert_allclose(found.zeta_at(found.values), found.zeta, atol=1e-12)

    def test_off_the_points(self):
        assert np.isnan(curve().zeta_at(np.array([-3.1, 3.1]))).all()
        assert np.isnan(curve().value_at(np.array([-3.1, 3.1]))).all()
        assert np.isnan(curve("exp").zeta_at(np.array(-1.0)))

    def test_ends(self):
        assert curve().ends(1.5)[2] == ""
        np.testing.assert_allclose(curve().ends(1.5)[:2], (-1.5, 1.5))
        short = curve(u=np.linspace(-0.5, 3.0, 8), bounds=(-0.5, np.inf), reasons=("a wall", ""))
        low, high, note = short.ends(1.5)
        assert (low, note) == (-0.5, "lower end: a wall")
        assert high == pytest.approx(1.5)

    def test_both_ends_open(self):
        nothing = np.empty(0)
        empty = curve(u=nothing, bounds=(-1.0, 1.0), reasons=("why", "why"))
        assert empty.ends(1.0) == (-1.0, 1.0, "lower end: why; upper end: why")
        assert np.isnan(empty.zeta_at(np.array([0.0]))).all()

    def test_ceiling(self):
        low = curve(ceiling=1.2, bounds=(-9.0, 9.0), reasons=("flat", "flat"))
        assert low.ends(1.5)[:2] == (-9.0, 9.0)
        np.testing.assert_allclose(low.ends(1.0)[:2], (-1.0, 1.0))
        assert low.zeta_at(np.array(2.0)) == 1.2

    def test_the_first_crossing_counts(self):
        u = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
        bumpy = curve(u=u, zeta=np.array([0.0, 2.0, 1.0, 2.0, 4.0]), slope=np.zeros(5))
        assert bumpy.value_at(np.array(1.5)) < 1.0

    def test_density(self):
        dense = curve().dense(401)
        np.testing.assert_allclose(dense["density"], stats.norm.pdf(dense["value"]), atol=1e-12)
        skewed = curve("exp").dense(4001)
        area = np.trapezoid if hasattr(np, "trapezoid") else np.trapz  # noqa: NPY201
        mass = area(skewed["density"], skewed["value"])
        np.testing.assert_allclose(mass, stats.norm.cdf(3) - stats.norm.cdf(-3), atol=2e-3)

    def test_read_only(self):
        with pytest.raises(ValueError, match="read-only"):
            curve().u[0] = 1.0


class TestProfile:
    def test_confint(self):
        ci = linear().confint(0.95)
        np.testing.assert_allclose(ci.to_numpy(), [[-1.959964, 1.959964]] * 2, atol=1e-6)
        assert ci.attrs["notes"] == {}

    @pytest.mark.parametrize("level", [0.0, 1.0, 95, "a"])
    def test_a_level_that_is_none(self, level):
        with pytest.raises(InvalidArgumentError, match="strictly between 0 and 1"):
            linear().confint(level)

    def test_a_level_beyond(self):
        with pytest.raises(InvalidArgumentError, match=r"followed to level_max=0\.9 only"):
            linear(level_max=0.9).confint(0.95)

    def test_an_unknown_parameter(self):
        for ask in (
            lambda: linear().zeta("c", 0.0),
            lambda: linear().value("c", 0.0),
            lambda: linear().curve("c"),
            lambda: linear().confint(parm=["a", "c"]),
        ):
            with pytest.raises(InvalidArgumentError, match="parm='c': allowed: 'a', 'b'"):
                ask()

    def test_shapes(self):
        profile = linear()
        assert profile.zeta("a", 1.0).shape == ()
        assert profile.value("a", [0.5, 1.0]).shape == (2,)
        assert profile.zeta("a", np.zeros((2, 3))).shape == (2, 3)

    def test_frame(self):
        frame = linear(0.5).to_frame()
        assert list(frame.columns) == ["parameter", "value", "zeta", "a", "b"]
        assert len(frame) == 2 * len(U)
        second = frame[frame["parameter"] == "b"]
        np.testing.assert_allclose(second["a"], 0.5 * second["value"])
        frame.loc[0, "zeta"] = 99.0
        assert linear(0.5).to_frame().loc[0, "zeta"] == -3.0

    def test_dense(self):
        dense = linear().dense(11)
        assert list(dense.columns) == ["parameter", "value", "zeta", "density"]
        assert len(dense) == 22

    def test_pickle(self):
        profile = profile_for("pastes")
        copy = pickle.loads(pickle.dumps(profile))
        assert repr(copy) == repr(profile)
        np.testing.assert_array_equal(copy.to_frame()["zeta"], profile.to_frame()["zeta"])

    def test_text(self):
        text = repr(profile_for("pastes")).splitlines()
        assert text[0] == "Profile of the ML deviance, 99 % intervals"
        assert text[1].split() == ["estimate", "conf_low", "conf_high"]
        assert text[-1] == ("sd_Intercept|batch: lower end: zeta is only -0.638 at the boundary 0")
        assert "fitted by REML" in repr(profile_for("sleepstudy_reml"))
        assert profile_for("pastes")._repr_html_().startswith("<pre>Profile of")


class TestContour:
    @pytest.mark.parametrize("correlation", [-0.9, 0.0, 0.6])
    def test_an_ellipse_is_exact(self, correlation):
        region = contour(linear(correlation), "a", "b", 0.9)
        x, y = region["x"], region["y"]
        form = (x**2 - 2.0 * correlation * x * y + y**2) / (1.0 - correlation**2)
        np.testing.assert_allclose(form, stats.chi2.ppf(0.9, 2), rtol=1e-6)

    def test_it_goes_around(self):
        region = contour(linear(), "a", "b", 0.5, n=61)
        assert len(region) == 61
        np.testing.assert_allclose(region.iloc[0], region.iloc[-1], atol=1e-9)

    def test_not_closed(self):
        with pytest.raises(InvalidArgumentError, match="needs zeta from -3.26 to 3.26"):
            contour(linear(), "a", "b", 0.995)
        with pytest.raises(InvalidArgumentError, match="which end before"):
            contour(profile_for("dyestuff2"), "sd_Intercept|Batch", "sigma", 0.5)

    def test_wrong_arguments(self):
        with pytest.raises(InvalidArgumentError, match="a region has two parameters"):
            contour(linear(), "a", "a")
        with pytest.raises(InvalidArgumentError, match="strictly between 0 and 1"):
            contour(linear(), "a", "b", 2)
        with pytest.raises(InvalidArgumentError, match="parm='c'"):
            contour(linear(), "a", "c")

    def test_trace(self):
        np.testing.assert_allclose(trace(linear(0.3), "a", "b", np.array([1.0])), [0.3])
        assert np.isnan(trace(linear(0.3), "a", "b", np.array([4.0]))).all()

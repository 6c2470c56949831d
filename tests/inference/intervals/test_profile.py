"""Likelihood profiles against lme4's, against brute force, and at the boundary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lme4_fits import REAL, adapted, expected, ours, results_of
from profile_models import (
    brute_force,
    data_for,
    deviance_at,
    model_for,
    no_group_variance,
    profile_for,
    quiet_lmer,
)
from tolerances import (
    PROFILE_BRUTE_FORCE,
    PROFILE_DEVIANCE,
    PROFILE_INTERVAL,
    PROFILE_KINK,
    PROFILE_PUBLISHED,
    PROFILE_ZETA,
)

from merextras.engine.profile import constrained, trace
from merextras.exceptions import InvalidArgumentError, ProfileError
from merextras.inference.intervals import profiling

MODELS = list(expected("profile"))


def widths(table):
    width = table[:, 1] - table[:, 0]
    return np.where(np.isfinite(width), width, 1.0)[:, None]


def close_intervals(mine, theirs, tolerance):
    theirs = np.asarray(theirs, dtype=float)
    np.testing.assert_array_less(np.abs(mine.to_numpy() - theirs) / widths(theirs), tolerance)


class TestAgainstLme4:
    @pytest.mark.parametrize("name", MODELS)
    def test_names(self, name):
        theirs = ours(expected("profile")[name]["parameters"])
        if name == "varcov":  # lme4 calls sigma**2 sigma there
            theirs = ["sigma2" if parameter == "sigma" else parameter for parameter in theirs]
        assert list(profile_for(name).names) == theirs

    @pytest.mark.parametrize("name", MODELS)
    def test_intervals(self, name):
        tolerance = PROFILE_KINK if name == "dyestuff2" else PROFILE_INTERVAL
        for theirs in expected("profile")[name]["intervals"][1:]:
            mine = profile_for(name).confint(theirs["level"])
            close_intervals(mine, theirs["values"], tolerance)

    @pytest.mark.parametrize("name", MODELS)
    def test_a_low_level(self, name):
        theirs = expected("profile")[name]["intervals"][0]
        close_intervals(profile_for(name).confint(0.5), theirs["values"], PROFILE_PUBLISHED)

    @pytest.mark.parametrize("name", MODELS)
    def test_zeta(self, name):
        profile = profile_for(name)
        for parameter, theirs in zip(
            profile.names, expected("profile")[name]["zeta"].values(), strict=True
        ):
            mine = profile.zeta(parameter, theirs["value"])
            np.testing.assert_allclose(mine, theirs["zeta"], atol=PROFILE_ZETA)

    def test_reml_and_ml_are_the_same(self):
        reml, ml = profile_for("sleepstudy_reml"), profile_for("sleepstudy")
        assert (reml.reml, ml.reml) == (True, False)
        close_intervals(reml.confint(0.99), ml.confint(0.99), PROFILE_INTERVAL)


class TestPublished:
    TUTORIAL = (
        ("sd_Intercept|school", 4.918403, 23.887577),
        ("sigma", 2.532866, 2.814560),
        ("Intercept", 46.2775, 71.9561),
        ("open", -0.0246451, 0.0441492),
        ("agree", -0.0116370, 0.0672135),
        ("social", -0.0149269, 0.0106251),
    )

    @pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.skipif(
        not REAL.exists(), reason="the tutorial's data are not here"))])  # fmt: skip
    def test_the_tutorial(self, real):
        data = pd.read_csv(REAL) if real else data_for("students")
        m = quiet_lmer("extro ~ open + agree + social + (1 | school)", data)
        names, *ends = zip(*self.TUTORIAL, strict=True)
        mine = m.profile().confint(0.99)
        assert tuple(mine.index) == names
        close_intervals(mine, np.column_stack(ends), PROFILE_PUBLISHED)

    def test_sleepstudy(self):
        names = ["sd_Intercept|Subject", "sigma", "cor_Days.Intercept|Subject"]
        mine = profile_for("sleepstudy_reml").confint().loc[names]
        published = [[14.38, 37.72], [22.90, 28.86], [-0.482, 0.685]]
        # As far as it is printed, or lme4's default profile is that good.
        error = np.abs(mine.to_numpy() - np.array(published))
        assert np.all(error < [[5.1e-3], [5.1e-3], [6e-4]])


class TestAgainstTheLikelihood:
    @pytest.mark.parametrize("name", ["sleepstudy", "uncorrelated", "pastes", "dyestuff2"])
    def test_every_point_has_its_deviance(self, name):
        """The parameters at a point of a profile have the deviance that zeta says."""
        m, profile = model_for(name), profile_for(name)
        frame = profile.to_frame()
        values = frame[list(profile.parameters)].to_numpy()
        least = min(deviance_at(m, row) for row in values)
        for zeta, row in zip(frame["zeta"], values, strict=True):
            rise = deviance_at(m, row) - least
            np.testing.assert_allclose(rise, zeta**2, atol=PROFILE_DEVIANCE)

    @pytest.mark.parametrize("name", ["sleepstudy", "uncorrelated", "pastes", "dyestuff2"])
    def test_brute_force(self, name):
        m, profile = model_for(name), profile_for(name)
        frame = profile.to_frame()
        values = frame[list(profile.parameters)].to_numpy()
        least = min(deviance_at(m, row) for row in values)
        centre = np.nan_to_num(values[np.argmin(np.abs(frame["zeta"]))])
        inside = centre.copy()
        spread = [i for i, parameter in enumerate(profile.parameters) if parameter[:3] == "sd_"]
        inside[spread] += 0.5 * m.sigma()
        for parameter, curve in profile.curves.items():
            for at in (0, 2, len(curve.u) - 1):
                starts = [values[(frame["parameter"] == parameter).to_numpy()][at], inside]
                found = brute_force(m, profile.parameters, parameter, curve.values[at], starts)
                zeta = np.sign(curve.zeta[at]) * np.sqrt(max(found - least, 0.0))
                np.testing.assert_allclose(curve.zeta[at], zeta, atol=PROFILE_BRUTE_FORCE)

    def test_weights(self, sleep):
        w = np.random.default_rng(5).uniform(0.5, 2.0, len(sleep))
        m = quiet_lmer("Reaction ~ Days + (Days | Subject)", sleep, weights=w, reml=False)
        profile = m.profile("beta_")
        value = profile.confint().loc["Days", "conf_low"]
        estimate = profile.points["Days"][profile.curves["Days"].zeta == 0.0][0]
        found = brute_force(m, profile.parameters, "Days", value, [estimate])
        least = deviance_at(m, estimate)
        np.testing.assert_allclose(found - least, 1.959964**2, atol=1e-4)

    def test_perfect_correlation(self, sleep):
        """One side of the correlation's profile, and the other parameters along the boundary."""
        y = expected("singular")["perfect_correlation"]["data"]["y"]
        m = quiet_lmer("y ~ Days + (Days | Subject)", sleep.assign(y=y), reml=False)
        profile = m.profile()
        ci = profile.confint()
        name = "cor_Days.Intercept|Subject"
        assert ci.loc[name, "conf_high"] == 1.0
        assert "upper end: the estimate is at the boundary 1" in ci.attrs["notes"][name]
        estimate = profile.points[name][-1]
        least = deviance_at_singular(m, profile)
        for parameter in (name, "sd_Days|Subject"):
            value = ci.loc[parameter, "conf_low"]
            found = brute_force(m, profile.parameters, parameter, value, [estimate * 0.99])
            np.testing.assert_allclose(np.sqrt(found - least), 1.959964, atol=1e-4)


def deviance_at_singular(m, profile):
    frame = profile.to_frame()
    at = frame.index[frame["zeta"].abs() == 0.0][0]
    return deviance_at(m, frame.loc[at, list(profile.parameters)])


class TestScales:
    def test_variances_are_squares(self):
        squares, roots = (
            profile_for("varcov").confint(0.99),
            profile_for("sleepstudy").confint(0.99),
        )
        for own in ("Intercept", "Days"):
            theirs = roots.loc[f"sd_{own}|Subject"].to_numpy() ** 2
            np.testing.assert_allclose(squares.loc[f"var_{own}|Subject"], theirs, rtol=1e-9)
        np.testing.assert_allclose(squares.loc["sigma2"], roots.loc["sigma"] ** 2, rtol=1e-9)

    def test_units(self, sleep):
        m = quiet_lmer(
            "y ~ D + (D | Subject)",
            sleep.assign(y=sleep["Reaction"] * 1e4 + 1e8, D=sleep["Days"] / 1000),
        )
        mine = m.profile().confint(0.95).to_numpy()
        plain = profile_for("sleepstudy").confint(0.95).to_numpy()
        factor = np.array([1e4, 1.0, 1e7, 1e4, 1e4, 1e7])[:, None]
        shift = np.array([0, 0, 0, 0, 1e8, 0])[:, None]
        np.testing.assert_allclose((mine - shift) / factor, plain, rtol=1e-5)

    def test_levels_between(self):
        m, profile = model_for("students"), profile_for("students")
        exact = m.profile(level_max=0.97).confint(0.97)
        close_intervals(profile.confint(0.97), exact, PROFILE_ZETA)

    def test_far_out(self):
        profile = model_for("sleepstudy").profile("beta_", level_max=0.99999)
        assert np.all(np.isfinite(profile.confint(0.99999)))
        gaps = np.diff(profile.curves["Days"].zeta)
        assert gaps.min() > 0.0
        assert gaps.max() < 1.0


class TestBoundary:
    def test_a_variance_that_can_be_zero(self):
        ci = profile_for("pastes").confint(0.95)
        assert ci.loc["sd_Intercept|batch", "conf_low"] == 0.0
        assert list(ci.attrs["notes"]) == ["sd_Intercept|batch"]
        assert "zeta is only -0.638 at the boundary 0" in ci.attrs["notes"]["sd_Intercept|batch"]

    def test_a_closed_interval_has_no_note(self):
        assert profile_for("pastes").confint(0.4).attrs["notes"] == {}
        assert profile_for("pastes").confint(0.4).loc["sd_Intercept|batch", "conf_low"] > 0.0

    def test_a_variance_estimated_at_zero(self):
        profile = profile_for("dyestuff2")
        curve = profile.curves["sd_Intercept|Batch"]
        assert curve.estimate == 0.0
        assert curve.zeta[0] == 0.0
        assert np.all(np.diff(curve.zeta) > 0)
        ci = profile.confint()
        assert "the estimate is at the boundary 0" in ci.attrs["notes"]["sd_Intercept|Batch"]

    def test_a_variance_that_leaves_zero_on_the_way(self):
        """Far from its estimate the intercept needs batches: they come back."""
        points = profile_for("dyestuff2").points["Intercept"]
        assert points[5, 0] == 0.0
        assert points[0, 0] > 1.0
        assert points[-1, 0] > 1.0

    def test_no_variance_no_correlation(self, sleep):
        m = quiet_lmer("y ~ Days + (Days | Subject)", no_group_variance(sleep))
        profile = m.profile()
        ci = profile.confint()
        name = "cor_Days.Intercept|Subject"
        assert ci.loc[name].tolist() == [-1.0, 1.0]
        assert "every correlation fits as well" in ci.attrs["notes"][name]
        assert np.isnan(profile.curves[name].estimate)
        assert np.isnan(profile.zeta(name, 0.0))
        assert ci["conf_low"].iloc[[0, 2]].tolist() == [0.0, 0.0]
        other = m.profile("cov_Days.Intercept|Subject", scale="varcov").confint()
        assert other.isna().all().all()
        assert "has no start" in next(iter(other.attrs["notes"].values()))

    def test_a_correlation_that_does_not_matter(self, sleep):
        rng = np.random.default_rng(3)
        b = 20.0 * rng.normal(size=18)[sleep["Subject"].astype("category").cat.codes]
        y = 250.0 + 10.0 * sleep["Days"] + b + rng.normal(0, 30, len(sleep))
        m = quiet_lmer("y ~ Days + (Days | Subject)", sleep.assign(y=y))
        name = "cor_Days.Intercept|Subject"
        alone, all_of_them = m.profile(name), m.profile()
        for profile in (alone, all_of_them):
            ci = profile.confint()
            assert ci.loc[name].tolist() == [-1.0, 1.0]
            assert ci.attrs["notes"][name].count("end: ") == 2
            # No correlation can be worse than no slopes.
            ceiling = all_of_them.curves["sd_Days|Subject"].zeta[0]
            assert np.nanmax(np.abs(profile.curves[name].zeta)) <= abs(ceiling) + 1e-4

    def test_few_groups(self, sleep):
        few = sleep[sleep["Subject"].isin(sleep["Subject"].unique()[:2])]
        ci = quiet_lmer("Reaction ~ Days + (1 | Subject)", few).profile().confint(0.99)
        assert np.all(np.isfinite(ci))
        assert ci.loc["sd_Intercept|Subject", "conf_high"] > 300.0


class TestWhatIsAsked:
    def test_which(self):
        m = model_for("sleepstudy")
        assert m.profile("beta_").names == ("Intercept", "Days")
        assert m.profile("theta_", level_max=0.5).names[-1] == "sigma"
        assert m.profile(["Days", "sigma"], level_max=0.5).names == ("sigma", "Days")

    @pytest.mark.parametrize("which", ["Day", ["Days", "sgima"], "theta", 3.5, [3.5]])
    def test_unknown(self, which):
        with pytest.raises(InvalidArgumentError, match=r"which=.*: allowed: 'sd_Intercept"):
            model_for("sleepstudy").profile(which)

    def test_nothing(self):
        with pytest.raises(InvalidArgumentError, match=r"which=\[\]: no parameter is named"):
            model_for("sleepstudy").profile([])

    @pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, "0.9", None, np.nan])
    def test_a_level_that_is_none(self, level):
        with pytest.raises(InvalidArgumentError, match=r"level_max=.* strictly between 0 and 1"):
            model_for("sleepstudy").profile(level_max=level)

    def test_a_scale_that_is_none(self):
        with pytest.raises(InvalidArgumentError, match=r"scale='varcor': .*did you mean 'varcov'"):
            model_for("sleepstudy").profile(scale="varcor")

    def test_the_model_does_not_change(self, sleep):
        m = quiet_lmer("Reaction ~ Days + (Days | Subject)", sleep)
        before = (m.theta.copy(), m.deviance(), m.fixef().copy(), m.is_reml())
        m.profile()
        after = (m.theta, m.deviance(), m.fixef(), m.is_reml())
        for old, new in zip(before, after, strict=True):
            np.testing.assert_array_equal(old, new)

    def test_statsmodels_own_estimate(self, slopes):
        """It starts from the optimum, even where the model is not at it."""
        kept = adapted(results_of("accessors", "sleepstudy"), polish=False)
        close_intervals(kept.profile().confint(), slopes.profile().confint(), PROFILE_INTERVAL)


class TestWhatCanNotBeFollowed:
    def test_no_optimum(self, monkeypatch):
        def failing(*args, **kwargs):
            solution, opt = minimise(*args, **kwargs)
            return solution, replace(opt, converged=False, message="not converged: nonsense")

        minimise = profiling.minimise
        monkeypatch.setattr(profiling, "minimise", failing)
        with pytest.raises(ProfileError, match="was not found .not converged: nonsense"):
            model_for("sleepstudy").profile()

    def test_a_better_optimum_on_the_way(self, monkeypatch):
        def elsewhere(criterion, theta, *, control):
            solution, opt = minimise(criterion, theta, control=control)
            return criterion.at(0.5 * criterion.reached(solution).theta).solution, opt

        minimise = profiling.minimise
        monkeypatch.setattr(profiling, "minimise", elsewhere)
        with pytest.raises(ProfileError, match=r"sd_Intercept\|Subject: .* lower than at the ML"):
            model_for("sleepstudy").profile("sd_Intercept|Subject")

    def test_no_minimum_at_the_start(self, monkeypatch):
        monkeypatch.setattr(constrained, "_MAX_ITERATIONS", 0)
        with pytest.raises(ProfileError, match="sigma: the ML estimate is not a minimum"):
            model_for("sleepstudy").profile("sigma")

    def test_no_minimum_on_the_way(self, monkeypatch):
        monkeypatch.setattr(constrained, "_MAX_ITERATIONS", 1)
        # With shorter steps it would still get there.
        monkeypatch.setattr(trace, "_MAX_RETRIES", 1)
        with pytest.raises(ProfileError, match="no minimum of the deviance was found"):
            model_for("sleepstudy").profile("sd_Days|Subject")

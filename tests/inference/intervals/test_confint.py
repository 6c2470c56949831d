"""Confidence intervals by all three methods."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lme4_fits import ours
from properties.compare import close
from tolerances import ADAPTER_ESTIMATE

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.inference.intervals.confint import confint, covariance_names

ALL = [
    "sd_Intercept|Subject",
    "cor_Days.Intercept|Subject",
    "sd_Days|Subject",
    "sigma",
    "Intercept",
    "Days",
]


class TestWald:
    def test_against_lme4(self, accessors):
        m, lme4 = accessors
        for theirs in lme4["confint_wald"]:
            ci = m.confint(level=theirs["level"], method="wald")
            assert list(ci.columns) == ["conf_low", "conf_high"]
            values = np.array(theirs["values"], dtype=float)
            np.testing.assert_array_equal(np.isnan(ci), np.isnan(values))
            fixed = ~np.isnan(values[:, 0])
            assert list(ci.index[fixed]) == ours(np.array(theirs["rows"])[fixed])
            close(ci[fixed], values[fixed], ADAPTER_ESTIMATE)

    def test_wider_with_the_level(self, slopes):
        tables = [slopes.confint(level=level, method="wald") for level in (0.5, 0.95, 0.999999)]
        widths = [np.ptp(table.loc["Days"]) for table in tables]
        assert widths == sorted(widths)
        low, high = tables[1].loc["Days"]
        assert (low + high) / 2 == pytest.approx(slopes.fixef()["Days"])

    def test_as_r_spells_it(self, slopes):
        mine = slopes.confint(method="Wald")
        pd.testing.assert_frame_equal(mine, slopes.confint(method="wald"))


class TestProfile:
    def test_it_is_the_default(self, slopes):
        mine = slopes.confint()
        pd.testing.assert_frame_equal(mine, slopes.confint(method="profile", level=0.95))
        assert mine.attrs["notes"] == {}
        assert not mine.isna().any().any()

    def test_it_is_that_of_a_profile(self, slopes):
        exact, wider = slopes.confint(level=0.9), slopes.profile().confint(0.9)
        assert list(exact.index) == ALL
        np.testing.assert_allclose(exact, wider, rtol=1e-5)

    def test_notes(self, nested):
        one_school = nested.confint(level=0.99)
        assert one_school.attrs["notes"] == {}
        pastes = mx.lmer("strength ~ 1 + (1 | batch / cask)", mx.load_dataset("pastes"))
        ci = pastes.confint(parm="sd_Intercept|batch")
        assert ci["conf_low"].tolist() == [0.0]
        assert "boundary 0" in ci.attrs["notes"]["sd_Intercept|batch"]


class TestBoot:
    def test_it_is_that_of_a_bootstrap(self, slopes):
        boot = mx.bootstrap(slopes, n_sims=50, rng=3)
        for boot_type in ("percentile", "basic", "normal"):
            mine = slopes.confint(method="boot", n_sims=50, rng=3, boot_type=boot_type)
            pd.testing.assert_frame_equal(mine, boot.confint(0.95, boot_type))

    def test_some(self, slopes):
        mine = slopes.confint(method="boot", n_sims=20, rng=1, parm="beta_", level=0.5)
        assert list(mine.index) == ["Intercept", "Days"]

    def test_processes(self, slopes):
        one, two = (slopes.confint(method="boot", n_sims=9, rng=1, n_jobs=n) for n in (1, 2))
        pd.testing.assert_frame_equal(one, two)
        for option in ({"n_jobs": 0}, {"n_sims": 0}, {"rng": "x"}):
            with pytest.raises(InvalidArgumentError, match=f"{next(iter(option))}="):
                slopes.confint(method="boot", **option)

    def test_an_unknown_type(self, slopes):
        with pytest.raises(InvalidArgumentError, match=r"boot_type='perc': .*'percentile'"):
            slopes.confint(method="boot", n_sims=5, boot_type="perc")


@pytest.mark.parametrize("method", ["profile", "wald", "boot"])
@pytest.mark.parametrize(
    ("parm", "names"),
    [
        (None, ALL),
        ("theta_", ALL[:4]),
        ("beta_", ALL[4:]),
        ("Days", ["Days"]),
        (["Days", "sigma"], ["sigma", "Days"]),
    ],
)
def test_parm(slopes, method, parm, names):
    mine = slopes.confint(level=0.5, method=method, parm=parm, n_sims=5, rng=1)
    assert list(mine.index) == names
    assert list(mine.columns) == ["conf_low", "conf_high"]


def test_names(slopes, nested, uncorrelated):
    assert covariance_names(nested) == ["sd_Intercept|class:school", "sd_Intercept|school"]
    assert covariance_names(uncorrelated) == ["sd_Intercept|Subject", "sd_Days|Subject"]
    assert len(covariance_names(slopes)) == len(slopes.theta)


@pytest.mark.parametrize("method", ["profile", "wald", "boot"])
@pytest.mark.parametrize("level", [95, 0, 1, -0.5, 1.5, "0.95", None, True, np.nan])
def test_a_level_that_is_none(slopes, level, method):
    with pytest.raises(InvalidArgumentError, match=r"level=.* strictly between 0 and 1"):
        slopes.confint(level=level, method=method)


def test_per_cent(slopes):
    with pytest.raises(InvalidArgumentError, match=r"for 95 % write level=0\.95"):
        slopes.confint(level=95)


def test_an_unknown_method(slopes):
    with pytest.raises(InvalidArgumentError, match=r"method='walt': .* did you mean 'wald'"):
        confint(slopes, method="walt")


def test_an_unknown_parameter(slopes):
    with pytest.raises(InvalidArgumentError, match=r"parm='days': .* did you mean 'Days'"):
        slopes.confint(parm="days")

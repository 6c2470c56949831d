"""Wald intervals against lme4's."""

from __future__ import annotations

import numpy as np
import pytest
from lme4_fits import ours
from properties.compare import close
from tolerances import ADAPTER_ESTIMATE

from merextras.exceptions import InvalidArgumentError
from merextras.inference.confint import confint, covariance_names


def test_against_lme4(accessors):
    m, lme4 = accessors
    for theirs in lme4["confint_wald"]:
        ci = m.confint(level=theirs["level"])
        assert list(ci.columns) == ["conf_low", "conf_high"]
        values = np.array(theirs["values"], dtype=float)
        np.testing.assert_array_equal(np.isnan(ci), np.isnan(values))
        fixed = ~np.isnan(values[:, 0])
        assert list(ci.index[fixed]) == ours(np.array(theirs["rows"])[fixed])
        close(ci[fixed], values[fixed], ADAPTER_ESTIMATE)


def test_names(slopes, nested, uncorrelated):
    assert list(slopes.confint().index[:4]) == [
        "sd_Intercept|Subject",
        "cor_Days.Intercept|Subject",
        "sd_Days|Subject",
        "sigma",
    ]
    assert covariance_names(nested) == ["sd_Intercept|class:school", "sd_Intercept|school"]
    assert covariance_names(uncorrelated) == ["sd_Intercept|Subject", "sd_Days|Subject"]
    assert len(covariance_names(slopes)) == len(slopes.theta)


def test_wider_with_the_level(slopes):
    widths = [np.ptp(slopes.confint(level=level).loc["Days"]) for level in (0.5, 0.95, 0.999999)]
    assert widths == sorted(widths)
    low, high = slopes.confint().loc["Days"]
    assert (low + high) / 2 == pytest.approx(slopes.fixef()["Days"])


@pytest.mark.parametrize("level", [95, 0, 1, -0.5, 1.5, "0.95", None, True, np.nan])
def test_a_level_that_is_none(slopes, level):
    with pytest.raises(InvalidArgumentError, match=r"level=.* strictly between 0 and 1"):
        slopes.confint(level=level)


def test_per_cent(slopes):
    with pytest.raises(InvalidArgumentError, match=r"for 95 % write level=0\.95"):
        slopes.confint(level=95)


def test_an_unknown_method(slopes):
    with pytest.raises(InvalidArgumentError, match=r"method='walt': .* did you mean 'wald'"):
        confint(slopes, method="walt")

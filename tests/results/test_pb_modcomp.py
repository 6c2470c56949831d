"""The result of a bootstrap test: its five rows."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.results.tests.pb_modcomp import PBModcomp


def made(statistic=3.0, df=1, sample=(0.5, 1.0, 3.0, 4.0), n_failed=0):
    return PBModcomp(
        statistic, df, np.array(sample), "y ~ x + (1 | g)", "y ~ 1 + (1 | g)", n_failed
    )


def test_the_p_value_counts_ties_and_is_never_zero():
    test = made()
    assert (test.n_exceeding, test.p_value) == (2, 3.0 / 5.0)
    assert made(9.0).p_value == 1.0 / 5.0
    assert made(0.0).p_value == 1.0
    assert np.isclose(test.p_value_se, np.sqrt(0.6 * 0.4 / 4))


def test_the_rows():
    test = made(3.0, 2, (1.0, 2.0, 4.0, 7.0))
    frame = test.to_frame().set_index("test")
    mean, variance = 3.5, np.var([1, 2, 4, 7], ddof=1)
    assert (test.mean, test.variance) == (mean, variance)
    assert np.isclose(frame.loc["LRT", "p_value"], stats.chi2.sf(3.0, 2))
    gamma = stats.gamma.sf(3.0, mean**2 / variance, scale=variance / mean)
    assert np.isclose(frame.loc["Gamma", "p_value"], gamma)
    assert np.isclose(frame.loc["Bartlett", "statistic"], 3.0 * 2.0 / mean)
    assert np.isclose(frame.loc["F", "ddf"], 2.0 * 1.75 / 0.75)
    assert np.isclose(frame.loc["F", "p_value"], stats.f.sf(1.5, 2, 2.0 * 1.75 / 0.75))


def test_no_f_where_the_mean_is_too_small_and_no_gamma_without_variance():
    frame = made(sample=(0.0, 0.0, 0.0)).to_frame().set_index("test")
    assert np.isnan(frame.loc[["Gamma", "Bartlett", "F"], "p_value"]).all()
    assert made(sample=(0.5, 1.0)).to_frame()["ddf"].isna().all()


def test_it_prints():
    text = repr(made(sample=(0.5, 1.0, 3.0, 4.0), n_failed=2))
    assert text.splitlines()[:3] == [
        "Parametric bootstrap test; 6 samples, 2 at least as extreme, 2 failed",
        "large: y ~ x + (1 | g)",
        "small: y ~ 1 + (1 | g)",
    ]
    assert "nan" not in text.lower()


@pytest.mark.parametrize("sample", [(), (1.0,), (1.0, np.nan), np.eye(2)])
def test_a_sample_that_is_none(sample):
    with pytest.raises(InvalidArgumentError, match="at least two finite values"):
        made(sample=sample)


def test_it_is_frozen_and_pickles():
    again = pickle.loads(pickle.dumps(made()))
    assert repr(again) == repr(made())
    with pytest.raises(ValueError, match="read-only"):
        again.sample[0] = 1.0

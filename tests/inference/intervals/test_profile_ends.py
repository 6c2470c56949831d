"""Ends of profile intervals of tiny designs: roots of the deviance at its lowest minimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from profile_models import deviance_at, quiet_lmer
from scipy import optimize, stats
from tolerances import PROFILE_DEVIANCE, PROFILE_INTERVAL

import merextras as mx
from merextras.accessors.parameters import parameter_names
from merextras.engine.profile.constrained import Reached
from merextras.engine.profile.lowest import Lowest
from merextras.engine.profile.trace import Side
from merextras.exceptions import ApproximationWarning, SingularFitWarning
from merextras.inference.intervals.profile_checks import warn_unless_one_curve
from merextras.inference.intervals.profiling import LinearProfiler

RANDOM = (
    "x + (1 | g)",
    "x + (1 + x | g)",
    "x + (1 | g) + (1 | h)",
    "x + (1 | g) + (0 + x | g)",
    "t + (1 + t | g) + (1 | h)",
)
CUT = float(stats.norm.isf(0.025))


def tiny(seed):
    """An unbalanced design of 14 to 70 rows, and a model of it by ML."""
    rng = np.random.default_rng([7, seed])
    n = int(rng.integers(14, 71))
    groups, others = int(rng.integers(3, 9)), int(rng.integers(3, 7))
    data = pd.DataFrame({"x": rng.normal(size=n)})
    data["g"] = rng.choice(groups, n, p=rng.dirichlet(2 * np.ones(groups)))
    data["h"] = rng.integers(0, others, n)
    data["t"] = rng.integers(0, 4, n).astype(float)
    kind, size = seed % 5, rng.choice([0.3, 0.7, 1.0, 2.0], 4)
    y = 1 + 0.5 * data["x"] + size[0] * rng.normal(size=groups)[data["g"]]
    slopes = size[1] * rng.normal(size=groups)[data["g"]]
    y += slopes * {1: data["x"], 3: data["x"], 4: data["t"]}.get(kind, 0.0)
    if kind in (2, 4):
        y += size[2] * rng.normal(size=others)[data["h"]]
    data = data.assign(y=y + rng.normal(size=n), g=data["g"].astype(str), h=data["h"].astype(str))
    return quiet_lmer("y ~ " + RANDOM[kind], data, reml=False)


@pytest.mark.parametrize("seed", [66, 68, 110, 118])
def test_both_ways_of_asking_have_one_answer(seed):
    m = tiny(seed)
    one, other = m.confint().to_numpy(), m.profile().confint().to_numpy()
    width = np.where(np.isfinite(one), one[:, 1:] - one[:, :1], 1.0)
    np.testing.assert_array_less(np.abs(one - other) / width, PROFILE_INTERVAL)


@pytest.mark.parametrize("seed", [66, 110])
def test_an_end_is_a_root_of_the_deviance(seed):
    m = tiny(seed)
    found = m.confint()
    profiler = LinearProfiler.of(m, parameter_names(m, "sdcor"), "sdcor", (0.95,))
    for name in ("Intercept", "x", "sd_Intercept|g"):
        problem, u, z = profiler._problem(profiler.targets[name], name)
        start = problem.minimum(u, z)
        for end in found.loc[name]:
            if end == 0.0:
                continue

            def rise(at, problem=problem, start=start):
                problem.curvature_correction = 0.0
                return problem.minimum(at, start.z).deviance - start.deviance - CUT**2

            inner = end + 1e-2 * (u - end)
            root = optimize.brentq(rise, inner, end + 1e-2 * (end - u), xtol=1e-12)
            width = found.loc[name, "conf_high"] - found.loc[name, "conf_low"]
            assert abs(root - end) < PROFILE_INTERVAL * width


def test_the_lowest_of_several_minima_is_followed():
    """Another minimum, of other groups' variances, is lower from 0.3 standard errors on."""
    m = tiny(31)
    profile = m.profile("x")
    points, curve = profile.points["x"], profile.curves["x"]
    least = deviance_at(m, points[curve.zeta == 0.0][0])
    for zeta, row in zip(curve.zeta, points, strict=True):
        assert deviance_at(m, row) - least == pytest.approx(zeta**2, abs=PROFILE_DEVIANCE)
    assert np.all(np.diff(curve.zeta) > 0.0)
    # The minimum that the optimum's leads to ends at 0.28.
    assert profile.confint().loc["x", "conf_high"] == pytest.approx(1.2531, abs=1e-4)


def test_a_correlation_stays_below_the_model_without_it():
    m = tiny(81)
    found = m.confint(parm="cor_x.Intercept|g")
    assert found.iloc[0].tolist() == [-1.0, 1.0]
    assert "no worse than that" in found.attrs["notes"]["cor_x.Intercept|g"]


def test_the_lowest_minimum_of_a_generalised_model():
    """At the end the correlation is 1, at the estimate it is -1."""
    rng = np.random.default_rng([11, 19])
    n, groups, others = (int(rng.integers(*span)) for span in ((20, 61), (3, 8), (3, 6)))
    data = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, groups, n)})
    rng.integers(0, others, n)
    eta = 0.3 + 0.4 * data["x"]
    eta += rng.choice([0.0, 0.3, 0.8]) * rng.normal(size=groups)[data["g"]]
    eta += rng.choice([0.0, 0.4]) * rng.normal(size=(groups, 3))[data["g"], np.arange(n) % 3]
    data["y"] = rng.binomial(1, 1 / (1 + np.exp(-eta)))
    with pytest.warns(SingularFitWarning):
        m = mx.glmer("y ~ x + (1 + x | g)", data, "binomial")
    profile = m.profile("sd_x|g", level_max=0.95)
    ends = profile.points["sd_x|g"][[0, -1]]
    at = list(profile.parameters).index("cor_x.Intercept|g")
    assert ends[1, at] == pytest.approx(1.0, abs=1e-6)
    assert profile.confint().iloc[0, 1] > 3.7


def test_what_is_no_rising_curve_is_told():
    def reached(u, zeta, slope):
        return Reached(u, np.zeros(1), zeta**2, 2.0 * zeta * slope, 1.0, np.zeros(1), None, True)

    start = reached(0.0, 0.0, 1.0)
    rising = Side([reached(0.5, 0.5, 1.0), reached(1.0, 1.0, 1.0)], "reached")
    warn_unless_one_curve("b", [rising], start, lambda point: point.u)
    jumping = replace(rising, points=[*rising.points, reached(1.1, 1.9, 1.0)])
    with pytest.warns(ApproximationWarning, match="^b: the profile jumps between 1 and 1.1"):
        warn_unless_one_curve("b", [jumping], start, lambda point: point.u)
    turning = replace(rising, points=[*rising.points, reached(2.0, 0.9, -1.0)])
    with pytest.warns(ApproximationWarning, match="^b: the profile turns back between 1 and 2"):
        warn_unless_one_curve("b", [turning], start, lambda point: point.u)


def test_of_many_rows_no_other_minimum_is_searched_for(monkeypatch):
    searched = []
    lowest = Lowest._lowest
    monkeypatch.setattr(Lowest, "_lowest", lambda *given: searched.append(1) or lowest(*given))
    m = next(m for m in map(tiny, range(32, 80)) if m.is_singular())
    few = m.confint(parm="Intercept")
    assert searched
    searched.clear()
    monkeypatch.setattr("merextras.inference.intervals.profiler._FEW", 13)
    many = m.confint(parm="Intercept")
    assert not searched
    assert few.shape == many.shape

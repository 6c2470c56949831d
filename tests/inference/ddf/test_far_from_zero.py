"""Years, unix seconds and other covariates far from zero: the numbers are those of days."""

from __future__ import annotations

import numpy as np
import pytest
from properties.compare import close
from tolerances import SHIFTED_CRITERION, SHIFTED_DF, SHIFTED_ESTIMATES, TWO_DIGITS

import merextras as mx
from merextras import LmerControl
from merextras.exceptions import ConvergenceWarning

# pbkrtest and lmerTest on Days: 17 degrees of freedom, F 45.853.
DF, P_VALUE = 17.0, 3.2638e-06


@pytest.fixture(scope="module")
def sleep():
    data = mx.load_dataset("sleepstudy")
    return data.assign(year=data["Days"] + 1000.0, unix=1.6e9 + 86400.0 * data["Days"])


@pytest.mark.parametrize("ddf", ["kenward-roger", "satterthwaite"])
@pytest.mark.parametrize("far", [0.0, 300.0, 1000.0, 1e6, 2.9e6])
def test_a_slope_on_years(sleep, ddf, far):
    m = mx.lmer("Reaction ~ x + (x | Subject)", sleep.assign(x=sleep["Days"] + far))
    test = mx.contest(m, [0, 1], ddf=ddf)
    close(test["df"].iloc[0], DF, SHIFTED_DF)
    close(test["p_value"].iloc[0], P_VALUE, 1e-4)


@pytest.mark.parametrize("far", [0.0, 55.0, 1000.0])
def test_a_quadratic_slope(sleep, far):
    """From mean / sd 19 on it was 141 for 17."""
    data = sleep.assign(a=sleep["Days"] + far)
    m = mx.lmer("Reaction ~ a + I(a**2) + (a + I(a**2) | Subject)", data)
    close(mx.contest(m, [0, 0, 1], ddf="kenward-roger")["df"].iloc[0], DF, SHIFTED_DF)


def test_the_verbs_that_take_it_by_default(sleep):
    near = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    far = mx.lmer("Reaction ~ year + (year | Subject)", sleep)
    tests = [mx.joint_tests(m) for m in (near, far)]
    close(tests[1]["den_df"].iloc[0], DF, SHIFTED_DF)
    close(tests[1]["statistic"].iloc[0], tests[0]["statistic"].iloc[0], SHIFTED_ESTIMATES)
    trends = [mx.emtrends(m, [], v).to_frame() for m, v in ((near, "Days"), (far, "year"))]
    means = [
        mx.emmeans(m, v, at={v: [a + 2.0, a + 9.0]}).to_frame()
        for m, v, a in ((near, "Days", 0.0), (far, "year", 1000.0))
    ]
    for one, other in (trends, means):
        for name in ("estimate", "std_error", "df"):
            close(other[name], one[name], SHIFTED_ESTIMATES)


def test_unix_seconds(sleep):
    near = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep, reml=False)
    far = mx.lmer("Reaction ~ unix + (unix | Subject)", sleep, reml=False)
    assert far.opt_summary.converged
    assert not far.is_singular()
    close(far.solution.deviance(), near.solution.deviance(), SHIFTED_CRITERION)
    close(np.sqrt(far.vcov().iloc[1, 1]) * 86400.0, np.sqrt(near.vcov().iloc[1, 1]), 1e-7)
    sd = [np.sqrt(m.var_corr()["Subject"].iloc[1, 1]) for m in (near, far)]
    close(sd[1] * 86400.0, sd[0], SHIFTED_ESTIMATES)
    assert mx.check_convergence(far).converged


@pytest.mark.parametrize("name", ["Days", "unix"])
@pytest.mark.parametrize("n", [1, 2])
def test_what_could_still_be_gained(sleep, name, n):
    """The figure of the warning is the difference to the optimum."""
    formula, sleep = f"Reaction ~ {name} + ({name} | Subject)", sleep.sample(120, random_state=1)
    best = mx.lmer(formula, sleep).reml_crit()
    with pytest.warns(ConvergenceWarning, match="could still fall by about") as caught:
        stopped = mx.lmer(formula, sleep, control=LmerControl(max_iterations=n))
    figure = float(str(caught[0].message).rsplit(" ", 1)[1])
    close(figure, stopped.reml_crit() - best, TWO_DIGITS)

"""Profiles of generalised models against R, models with the parameter given, and SLSQP."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from scipy import optimize, stats
from tolerances import PROFILE_END, PROFILE_RISE

import merextras as mx
from merextras.accessors.parameters import parameter_names
from merextras.engine.generalised.replicates.nearby import gradients
from merextras.engine.generalised.searches.held import of_covariance
from merextras.exceptions import InvalidArgumentError
from merextras.inference.intervals.profiling_generalised import GeneralisedProfiler

RISE = float(stats.chi2.isf(0.05, 1))


@pytest.mark.parametrize("name", ["cbpp", "nb"])
def test_intervals_are_those_of_tmbs_profile(name):
    m = models.cbpp()
    if name == "nb":
        m = models.cbpp("negative_binomial", "size ~ C(period) + (1 | herd)")
    expected = models.expected()["profiles"][name]
    found = m.confint(method="profile")
    own = found.drop(index="dispersion", errors="ignore")
    for column, end in (("conf_low", "low"), ("conf_high", "high")):
        theirs = np.array(expected[end], dtype=float)
        theirs = np.append(np.exp(theirs[-1]), theirs[:-1])
        np.testing.assert_allclose(own[column], theirs, rtol=PROFILE_END)


def test_a_fixed_effect_held_is_an_offset():
    m, data = models.generated("spread", "(1 + x | g)"), models.rows()
    for end in m.confint(parm="x").loc["x"]:
        held = mx.glmer(
            "spread ~ c + offset(b) + (1 + x | g)",
            data.assign(b=end * data["x"]),
            "negative_binomial",
        )
        assert m.deviance() + RISE == pytest.approx(held.deviance(), abs=PROFILE_RISE)


def test_a_size_held_is_a_size_given():
    m, data = models.generated("spread", "(1 + x | g)"), models.rows()
    for end in m.confint(parm="dispersion").loc["dispersion"]:
        held = mx.glmer("spread ~ x + c + (1 + x | g)", data, "negative_binomial", dispersion=end)
        assert m.deviance() + RISE == pytest.approx(held.deviance(), abs=PROFILE_RISE)


@pytest.mark.parametrize("parameter", ["sd_Intercept|g", "sd_x|g", "cor_x.Intercept|g"])
@pytest.mark.parametrize("response", ["count", "size"])
def test_a_covariance_held(parameter, response):
    m = models.generated(response, "(1 + x | g)")
    criterion, start = m.laplace.criterion, m.laplace

    def value(x):
        lam = criterion.covariances.factors(criterion.split(x)[0])[0]
        g = criterion.table.effects[0].covariance(lam @ lam.T)
        if parameter.startswith("cor"):
            return g[0, 1] / np.sqrt(g[0, 0] * g[1, 1])
        at = 0 if "Intercept" in parameter else 1
        return np.sqrt(g[at, at])

    def both(x):
        point = criterion.at(x, start)
        if not np.isfinite(point.deviance()):
            return 1e8, np.zeros(len(x))
        return point.deviance(), point.gradient()

    limits = m.confint(parm=parameter)
    ends = [end for end in limits.loc[parameter] if end not in {0.0, -1.0, 1.0}]
    assert ends or limits.attrs["notes"]
    for end in ends:
        held = {"type": "eq", "fun": lambda x, end=end: value(x) - end}
        with np.errstate(all="ignore"):
            found = optimize.minimize(
                both, start.x, jac=True, method="SLSQP", constraints=[held],
                options={"ftol": 1e-12, "maxiter": 300},
            )  # fmt: skip
        assert found.fun - m.deviance() == pytest.approx(RISE, abs=1e-4)


def test_the_slope_of_the_curve_is_that_of_its_points():
    m = models.women()
    found = m.profile(["sd_Intercept|district", "urban[T.Y]"])
    for name in found.names:
        curve = found.curve(name)
        step = 1e-3 * (curve.values[-1] - curve.values[0])
        middle = 0.5 * (curve.values[3] + curve.values[4])
        low, high = found.zeta(name, [middle - step, middle + step])
        assert low < high
        exact = m.profile([name], level_max=0.9).zeta(name, [middle])
        assert found.zeta(name, [middle])[0] == pytest.approx(exact[0], abs=2e-3)


def test_a_variance_at_zero_and_one_of_a_structure():
    m = models.generated("count", "diag(1 + x | g)")
    found = m.profile("theta_").confint()
    assert (found["conf_low"] > 0.0).all()
    data = models.rows()
    groups = np.random.default_rng(5).integers(0, 12, len(data))
    with pytest.warns(mx.exceptions.SingularFitWarning):
        zero = mx.glmer("count ~ x + (1 | g) + (1 | k)", data.assign(k=groups), "poisson")
    assert zero.is_singular()
    found = zero.confint()
    notes = found.attrs["notes"]
    assert "boundary" in notes["sd_Intercept|k"]
    assert found.loc["sd_Intercept|k", "conf_low"] == 0.0
    assert found.loc["sd_Intercept|k", "conf_high"] > 0.0


def test_poisson_has_no_size():
    data = models.rows()
    even = np.round(np.exp(1.0 + 0.3 * np.sin(data["g"]) + 0.1 * data["x"]))
    with pytest.warns(mx.exceptions.ConvergenceWarning, match="size"):
        m = mx.glmer("even ~ x + (1 | g)", data.assign(even=even), "negative_binomial")
    assert m.is_poisson
    found = m.profile(["dispersion", "x"])
    assert "infinite" in found.confint().attrs["notes"]["dispersion"]
    assert np.isfinite(found.confint().loc["x"]).all()


def test_by_quadrature():
    m = models.cbpp(n_agq=9)
    found = m.confint()
    laplace = models.cbpp().confint()
    assert np.max(np.abs(found - laplace).to_numpy()) < 0.05
    assert np.max(np.abs(found - laplace).to_numpy()) > 1e-4


def test_what_is_refused():
    with pytest.raises(InvalidArgumentError, match="which='sigma'"):
        models.cbpp().profile("sigma")
    found = models.cbpp().profile("theta_", scale="varcov")
    sd = models.cbpp().profile("theta_").confint()
    np.testing.assert_allclose(found.confint().iloc[0], sd.iloc[0] ** 2, rtol=1e-6)


@pytest.mark.parametrize("parameter", ["sd_Intercept|g", "sd_x|g", "cor_x.Intercept|g"])
def test_in_a_chart_gradients_of_many_points_are_those_of_each(parameter):
    m = models.generated("count", "(1 + x | g)")
    targets = GeneralisedProfiler.of(m, parameter_names(m, "sdcor"), "sdcor", (0.99,)).targets
    point, free = m.laplace, m.optimum.free
    start = of_covariance(point.criterion, point, targets[parameter], free)[0]._origin
    x = start.x * (1.0 + 1e-3 * np.random.default_rng(1).standard_normal((12, len(start.x))))
    one_by_one = [start.criterion.at(at, start).gradient() for at in x]
    found = gradients(start, x)
    np.testing.assert_allclose(found, one_by_one, rtol=0, atol=1e-9 * np.max(np.abs(one_by_one)))

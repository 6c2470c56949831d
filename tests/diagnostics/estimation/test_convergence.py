"""`check_convergence`: optima pass, whatever they are; what falls short is told, with advice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lme4_fits import adapted, statsmodels_fit
from properties.compare import close
from tolerances import SECOND_DERIVATIVE

import merextras as mx
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at


def at(model, theta):
    """The model's design at another theta."""
    return FittedModel(fit_at(model.design, np.asarray(theta), reml=model.solution.reml))


@pytest.mark.parametrize("name", ["slopes", "nested", "crossed", "uncorrelated"])
def test_an_optimum(name, request):
    model = request.getfixturevalue(name)
    check = mx.check_convergence(model)
    assert check.converged
    assert check.is_minimum
    assert (check.singular, check.pushes_inside, check.at_bound, check.advice) == (
        False, False, (), (),
    )  # fmt: skip
    assert check.max_gradient < 1e-4
    assert 0.0 <= check.still_to_gain < 1e-8
    assert len(check.eigenvalues) == len(model.theta)
    assert repr(check).startswith("converged\nlargest scaled gradient")


def test_names_are_lme4s(slopes):
    frame = mx.check_convergence(slopes).to_frame()
    assert frame["term"].tolist() == [
        "Subject.Intercept", "Subject.Days.Intercept", "Subject.Days",
    ]  # fmt: skip
    assert list(frame) == ["term", "theta", "gradient", "scaled_gradient", "at_bound"]
    close(frame["theta"], slopes.theta, 1e-15)


def test_one_standard_error_away(slopes):
    """Half a unit of the criterion, where it is quadratic."""
    check = mx.check_convergence(slopes)
    step = np.array([1e-3, 0.0, 0.0])
    moved = mx.check_convergence(at(slopes, slopes.theta + step))
    assert not moved.converged
    gain = at(slopes, slopes.theta + step).solution.deviance() - slopes.solution.deviance()
    close(moved.still_to_gain, gain, 1e-2)
    close(2.0 * moved.still_to_gain, np.sum(moved.scaled_gradient**2), 1e-10)
    close(check.eigenvalues, moved.eigenvalues, 1e-1)
    assert "all_fit" in moved.advice[0] or "polish" in moved.advice[0]


def test_the_hessian_is_lme4s_by_differences_of_the_criterion(slopes):
    """Eigenvalues do not depend on how the second derivatives were made."""
    # Theta of an intercept and a slope whose covariates are orthonormal.
    h = 1e-3
    eye = np.eye(3) * h

    def value(step):
        theta = slopes.criterion.to_user(slopes.point.theta + step)
        return at(slopes, theta).solution.deviance()

    hessian = np.array(
        [
            [
                (value(a + b) - value(a - b) - value(b - a) + value(-a - b)) / (4 * h * h)
                for b in eye
            ]
            for a in eye
        ]
    )
    expected = np.linalg.eigvalsh(hessian)
    close(mx.check_convergence(slopes).eigenvalues, expected, 10 * SECOND_DERIVATIVE)


def test_units_do_not_matter(sleep):
    one = mx.check_convergence(mx.lmer("Reaction ~ Days + (Days | Subject)", sleep))
    data = sleep.assign(Days=sleep["Days"] / 86_400_000.0)
    other = mx.check_convergence(mx.lmer("Reaction ~ Days + (Days | Subject)", data))
    assert other.converged
    close(other.eigenvalues, one.eigenvalues, 1e-5)


@pytest.fixture(scope="module")
def no_batches():
    data = mx.load_dataset("dyestuff")
    y = data["Yield"] - data.groupby("Batch")["Yield"].transform("mean")
    with pytest.warns(mx.exceptions.SingularFitWarning):
        return mx.lmer("y ~ 1 + (1 | Batch)", data.assign(y=y))


def test_a_singular_optimum_is_an_optimum(no_batches):
    check = mx.check_convergence(no_batches)
    assert (check.converged, check.singular) == (True, True)
    assert check.at_bound == ("Batch.Intercept",)
    assert len(check.eigenvalues) == 0
    assert "the data do not support this variance" in check.advice[0]
    assert "at the bound: Batch.Intercept\nsingular\n- singular (Batch.Intercept)" in repr(check)


def test_a_zero_that_should_not_be(slopes):
    """Zero is a stationary point: only the derivative in the covariance tells."""
    check = mx.check_convergence(at(slopes, [0.0, 0.0, 0.0]))
    assert check.max_gradient == 0.0
    assert check.pushes_inside
    assert not check.converged
    assert repr(check).startswith("not converged")


def test_statsmodels_own_estimate(students):
    fit = statsmodels_fit("extro ~ open + agree + social", students, groups="school")
    check = mx.check_convergence(adapted(fit, polish=False))
    assert not check.converged
    assert check.advice == (
        "the estimate is statsmodels' own, which stopped short of the optimum: leave out "
        "polish=False",
    )
    assert mx.check_convergence(fit).converged


def test_too_few_iterations(sleep):
    control = mx.LmerControl(max_iterations=1)
    with pytest.warns(mx.exceptions.ConvergenceWarning):
        m = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep.iloc[7:], control=control)
    check = mx.check_convergence(m)
    assert not check.converged
    assert "LmerControl(max_iterations=...)" in check.advice[0]


def test_variances_that_cannot_be_told_apart(sleep):
    """Two terms on copies of one factor: only the sum of their variances has an estimate."""
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    term = m.design.terms[0]
    twice = replace(m.design, terms=(term, replace(term, factor="copy")))
    half = m.theta[0] / np.sqrt(2.0)
    check = mx.check_convergence(FittedModel(fit_at(twice, np.array([half, half]), reml=True)))
    assert check.max_gradient < 1e-3
    assert not check.is_minimum
    assert any("not identified" in text for text in check.advice)

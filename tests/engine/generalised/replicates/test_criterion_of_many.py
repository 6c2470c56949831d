"""The criterion of many responses at once against that of each by itself."""

from __future__ import annotations

import many_responses as many
import numpy as np
import pytest
from tolerances import CRITERION_OF_MANY

from merextras.engine.generalised.replicates.problem import ManyLaplace
from merextras.engine.kernels import leading


def _problem(name, y):
    search = many.refits(name)._search
    steps = np.full(search.criterion.m, 1e-4)
    family = search._family(y)
    return ManyLaplace(search.criterion, search.layout, family, search.hessian, steps)


@pytest.mark.parametrize("name", many.MODELS)
def test_value_gradient_and_slopes_are_those_of_one(name):
    refits, y = many.refits(name), many.responses(name, 5)
    x = refits._search.x + 0.05 * np.random.default_rng(3).standard_normal(
        (5, len(refits._start[0]))
    )
    problem = _problem(name, y)
    every = np.arange(5)
    point = problem.at(every, x)
    # Again from the modes that it found, and of some of them.
    again = problem.at(every[[3, 1]], x[[3, 1]])
    np.testing.assert_allclose(again.deviance, point.deviance[[3, 1]], rtol=CRITERION_OF_MANY)
    for i in every:
        one = refits._criterion_for(y[:, i]).at(x[i])
        gradient, slopes = one.gradient(), one.deviance_slopes()
        assert point.deviance[i] == pytest.approx(one.deviance(), rel=CRITERION_OF_MANY)
        size = CRITERION_OF_MANY * np.max(np.abs(gradient))
        np.testing.assert_allclose(point.gradient[i], gradient, rtol=0, atol=size)
        for span, own in zip(problem.covariances.spans, slopes, strict=True):
            size = CRITERION_OF_MANY * np.max(np.abs(own))
            np.testing.assert_allclose(point.slopes[i][span, span], own, rtol=0, atol=size)


@pytest.mark.parametrize("name", many.MODELS)
def test_families_of_many_responses_are_those_of_each(name):
    refits, y = many.refits(name), many.responses(name, 3)
    family, rng = refits.criterion.family, np.random.default_rng(2)
    # Negative, for the inverse link positive.
    guess = family.guess()[:, None]
    eta = np.abs(guess + 0.1 * rng.standard_normal((len(guess), 3)))
    phi = rng.uniform(0.5, 5.0, (family.n_phi, 3))
    together = refits._search._family(y)
    for which in (np.arange(3), np.array([2, 0])):
        own = together.columns(which)
        at = eta[:, which], phi[:, which]
        for j, i in enumerate(which):
            one = refits._criterion_for(y[:, i]).family
            alone = eta[:, i], phi[:, i]
            pairs = [*zip(own.kernel(*at), one.kernel(*alone), strict=True)]
            pairs += [(getattr(own, name)(*at), getattr(one, name)(*alone))
                      for name in ("weight_slope", "expected")]  # fmt: skip
            pairs.append(
                (np.broadcast_to(own.constants(at[1]), at[0].shape), one.constants(alone[1]))
            )
            if family.n_phi:
                by, alike = own.by_dispersion(*at), one.by_dispersion(*alone)
                for part in ("log_density", "first", "weight"):
                    pairs.append((getattr(by, part), getattr(alike, part)))
            for many_of, one_of in pairs:
                np.testing.assert_allclose(many_of[:, j], one_of, rtol=1e-12, atol=1e-12)


def test_a_response_without_a_mode_has_no_deviance():
    problem = _problem("cbpp", many.responses("cbpp", 2))
    x = np.tile(many.refits("cbpp")._search.x, (2, 1))
    x[1, 1] = np.nan
    found = problem.at(np.arange(2), x).deviance
    assert np.isfinite(found[0])
    assert found[1] == np.inf


@pytest.mark.parametrize("k", [1, 2, 3])
def test_blocks_whose_elements_lead(k):
    rng = np.random.default_rng(k)
    square = rng.standard_normal((5, 7, k, k))
    positive = square @ square.swapaxes(-1, -2) + np.eye(k)
    vector = rng.standard_normal((5, 7, k))

    def led(array, axes=(-2, -1)):
        return np.moveaxis(array, axes, range(len(axes)))

    low = leading.cholesky(led(positive))
    np.testing.assert_allclose(low, led(np.linalg.cholesky(positive)), atol=1e-12)
    np.testing.assert_allclose(
        leading.solve_lower(low, led(square)),
        led(np.linalg.solve(np.linalg.cholesky(positive), square)), atol=1e-10,
    )  # fmt: skip
    np.testing.assert_allclose(
        leading.inverse(led(positive)), led(np.linalg.inv(positive)), atol=1e-10
    )
    np.testing.assert_allclose(leading.product(led(square), led(positive)), led(square @ positive))
    one = leading.applied(led(square), led(vector, (-1,)))
    np.testing.assert_allclose(one, led((square @ vector[..., None])[..., 0], (-1,)))
    positive[2, 3] = np.nan
    found = leading.inverse(led(positive))
    assert np.isnan(found[..., 2, 3]).all()
    assert np.isfinite(np.delete(found.reshape(k, k, -1), 2 * 7 + 3, axis=-1)).all()

"""`simulate` against the moments of the model, and that what it draws can be refitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties.compare import close
from tolerances import MONTE_CARLO, SAME_DRAWS

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError

N_SIMS = 20_000


def dense_v(model, weights=None):
    """Covariance of the response, (n, n)."""
    design, solution = model.design, model.solution
    v = np.diag(np.ones(design.n) if weights is None else 1.0 / weights)
    for term, lam in zip(design.terms, solution.lams, strict=True):
        z = term.rows.sparse().toarray()
        v += z @ np.kron(np.eye(len(term.levels)), lam @ lam.T) @ z.T
    return solution.sigma2 * v


def check_moments(draws, mean, v):
    """First and second moments of (n, n_sims) normal draws, in their standard errors."""
    n_sims = draws.shape[1]
    sd = np.sqrt(np.diag(v))
    z = (draws.mean(axis=1) - mean) / (sd / np.sqrt(n_sims))
    assert np.max(np.abs(z)) < MONTE_CARLO
    off = draws - mean[:, None]
    se = np.sqrt((np.outer(sd**2, sd**2) + v**2) / n_sims)
    assert np.max(np.abs((off @ off.T / n_sims - v) / se)) < MONTE_CARLO


@pytest.fixture(scope="module")
def weighted():
    """The slopes of ten subjects, with weights and an offset."""
    data = mx.load_dataset("sleepstudy").iloc[:100]
    rng = np.random.default_rng(1)
    data = data.assign(w=rng.uniform(0.3, 3.0, 100), known=rng.normal(size=100) * 20)
    return mx.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w", offset="known")


def test_new_effects_and_residuals(weighted):
    draws = weighted.simulate(N_SIMS, rng=1).to_numpy()
    design = weighted.design
    mean = design.x @ weighted.solution.beta + design.offset
    check_moments(draws, mean, dense_v(weighted, design.weights))


def test_given_the_modes(weighted):
    draws = weighted.simulate(N_SIMS, use_u=True, rng=2).to_numpy()
    check_moments(
        draws, weighted.mu, weighted.solution.sigma2 * np.diag(1.0 / weighted.design.weights)
    )


@pytest.mark.parametrize("name", ["nested", "crossed", "uncorrelated"])
def test_every_shape(name, request):
    model = request.getfixturevalue(name)
    v = dense_v(model)
    some = np.random.default_rng(3).permutation(model.design.n)[:40]
    draws = model.simulate(4000, rng=3).to_numpy()[some]
    check_moments(draws, (model.design.x @ model.solution.beta)[some], v[np.ix_(some, some)])


def test_one_factor_kept(nested):
    """Schools at their modes, classes drawn."""
    draws = nested.simulate(4000, re_form="~ (1 | school)", rng=4).to_numpy()[::60]
    mean = nested.predict(re_form="~ (1 | school)").to_numpy()[::60]
    classes = nested.design.terms[0]
    codes, lam = classes.rows.codes[::60], nested.solution.lams[0][0, 0]
    same = (codes[:, None] == codes).astype(float) * lam**2 + np.eye(len(codes))
    check_moments(draws, mean, nested.solution.sigma2 * same)


def test_a_zero_weight_has_its_expectation():
    data = mx.load_dataset("dyestuff").assign(w=np.r_[0.0, np.ones(29)])
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", data, weights="w")
    draws = m.simulate(3, use_u=True, rng=1)
    assert np.allclose(draws.iloc[0], m.mu[0], rtol=1e-12)
    assert np.all(np.isfinite(draws))
    assert m.refit(draws["sim_1"]).nobs() == 29


def test_the_frame(sleep):
    data = sleep.set_index(pd.Index([f"row {i}" for i in range(len(sleep))]))
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", data)
    draws = m.simulate(12, rng=5)
    assert draws.index.equals(data.index)
    assert list(draws)[::11] == ["sim_1", "sim_12"]
    assert m.simulate(12, rng=5).equals(draws)
    # The first responses do not depend on how many there are.
    assert m.simulate(3, rng=5).equals(draws.iloc[:, :3])
    assert not m.simulate(12, rng=6).equals(draws)
    generator = np.random.default_rng(5)
    first, second = m.simulate(rng=generator), m.simulate(rng=generator)
    assert first["sim_1"].equals(draws["sim_1"])
    assert not first.equals(second)
    assert m.simulate().shape == (180, 1)


def test_blocks_do_not_matter(slopes, monkeypatch):
    from merextras.model.fit import response_draws

    draws = slopes.simulate(5, rng=5)
    monkeypatch.setattr(response_draws, "_TOGETHER", 360)
    pd.testing.assert_frame_equal(slopes.simulate(5, rng=5), draws, rtol=SAME_DRAWS)


def new_data():
    """Two rows of a known subject, two of a new one, one of another."""
    return pd.DataFrame(
        {"Days": [0, 5, 0, 5, 2], "Subject": [308, 308, "new", "new", "other"]}, index=list("abcde")
    )


@pytest.mark.parametrize("use_u", [False, True])
def test_new_data_with_new_levels(slopes, use_u):
    data = new_data()
    draws = slopes.simulate(N_SIMS, newdata=data, allow_new_levels=True, use_u=use_u, rng=6)
    assert draws.index.equals(data.index)
    lam, x = slopes.solution.lams[0], np.column_stack([np.ones(5), data["Days"]])
    mean = x @ slopes.solution.beta
    drawn = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0]])
    drawn = np.vstack([drawn, [0, 0, 0, 0, 1]]).astype(float)
    if use_u:
        mean[:2] = slopes.predict(data.iloc[:2])
        drawn[:2] = 0.0
    v = slopes.solution.sigma2 * (np.eye(5) + drawn * (x @ lam @ lam.T @ x.T))
    check_moments(draws.to_numpy(), mean, v)


def test_new_data_like_the_old(slopes, sleep):
    again = slopes.simulate(2, newdata=sleep, rng=7)
    close(again, slopes.simulate(2, rng=7), SAME_DRAWS)


def test_new_data_with_a_missing_predictor_and_an_offset(sleep):
    data = sleep.assign(known=1.0 * sleep["Days"])
    m = mx.lmer("Reaction ~ offset(known) + Days + (1 | Subject)", data)
    rows = data.head(3).assign(known=[1000.0, 2000.0, 3000.0], Days=[0.0, np.nan, 1.0])
    draws = m.simulate(5, newdata=rows, rng=1)
    assert np.array_equal(np.isnan(draws).any(axis=1), [False, True, False])
    assert np.all(draws.iloc[2] - draws.iloc[0] > 1500.0)


def test_errors(slopes, nested, sleep):
    for n_sims in (0, 1.5, True):
        with pytest.raises(InvalidArgumentError, match="n_sims"):
            slopes.simulate(n_sims)
    with pytest.raises(InvalidArgumentError, match="rng="):
        slopes.simulate(rng="1")
    with pytest.raises(InvalidArgumentError, match="not seen: 'new'"):
        slopes.simulate(newdata=new_data())
    with pytest.raises(InvalidArgumentError, match="needs the column"):
        slopes.simulate(newdata=new_data()[["Subject"]])
    with pytest.raises(InvalidArgumentError, match="one or the other"):
        slopes.simulate(use_u=True, re_form="NA")
    with pytest.raises(InvalidArgumentError, match="drawn together; keep the whole term"):
        slopes.simulate(re_form="~ (1 | Subject)")
    with pytest.raises(InvalidArgumentError, match="there is no random effect"):
        nested.simulate(re_form="~ (1 | pupil)")


def test_none_kept_is_the_default(slopes):
    assert slopes.simulate(2, re_form="NA", rng=1).equals(slopes.simulate(2, rng=1))
    assert slopes.simulate(2, re_form="~ (Days | Subject)", rng=1).equals(
        slopes.simulate(2, use_u=True, rng=1)
    )


def test_frequency_weights_are_refused(sleep):
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep.assign(f=2), freq_weights="f")
    for newdata in (None, sleep):
        with pytest.raises(UnsupportedModelError, match="Repeat the rows"):
            m.simulate(newdata=newdata)

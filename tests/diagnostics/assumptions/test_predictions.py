import numpy as np
import pandas as pd
import pytest
from lmer_models import quiet
from performance_models import model_of
from scipy import stats

import merextras as mx


def test_predictions_are_simulated_responses():
    m = model_of("slopes")
    check = mx.check_predictions(m, n_sims=40, rng=5)
    drawn = m.simulate(40, rng=5).to_numpy()
    y = m.design.y
    found = {"mean": np.mean, "sd": lambda v: np.std(v, ddof=1), "min": np.min, "max": np.max,
             "skewness": stats.skew}  # fmt: skip
    table = check.to_frame().set_index("statistic")
    for name, function in found.items():
        simulated, observed = np.array([function(c) for c in drawn.T]), function(y)
        row = table.loc[name]
        assert row["observed"] == pytest.approx(observed)
        np.testing.assert_allclose(row[["lower", "upper"]].astype(float),
                                   np.quantile(simulated, [0.025, 0.975]))  # fmt: skip
        tail = min(np.sum(simulated >= observed), np.sum(simulated <= observed))
        assert row["p_value"] == pytest.approx(min(1, 2 * (tail + 1) / 41))


def test_densities_are_densities():
    check = mx.check_predictions(model_of("slopes"), n_sims=60, rng=1)
    step = np.diff(check.grid)[0]
    assert check.simulated.shape == (50, len(check.grid))
    assert np.sum(check.observed) * step == pytest.approx(1, abs=1e-6)
    assert (np.sum(check.simulated, axis=1) * step > 0.95).all()
    y = model_of("slopes").design.y
    size = min(np.std(y, ddof=1), stats.iqr(y) / (2 * stats.norm.ppf(0.75)))
    width = 0.9 * size * len(y) ** -0.2
    exact = np.mean(stats.norm.pdf(check.grid[:, None], y, width), axis=1)
    np.testing.assert_allclose(check.observed, exact, atol=0.02 * exact.max())


def test_a_wrong_distribution_is_found():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(20), 20)
    frame = pd.DataFrame({"y": rng.exponential(size=400) ** 1.5, "g": group})
    check = mx.check_predictions(quiet("y ~ 1 + (1 | g)", frame), rng=1)
    assert check.ok is False
    assert "skewness" in check.verdict
    assert "min" in check.verdict


def test_given_the_modes_replicates_are_closer():
    m = model_of("slopes")
    kept, new = (
        mx.check_predictions(m, use_u=u, rng=1).to_frame().set_index("statistic").loc["mean"]
        for u in (True, False)
    )
    assert kept["upper"] - kept["lower"] < 0.5 * (new["upper"] - new["lower"])


def test_a_constant_response_has_a_density():
    frame = pd.DataFrame({"y": np.r_[np.zeros(40), 1e-3], "g": np.arange(41) % 5})
    check = mx.check_predictions(quiet("y ~ 1 + (1 | g)", frame), n_sims=5, rng=1)
    assert np.isfinite(check.observed).all()

"""`what_if` of generalised models: moved cases on the scale of the mean."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pytest
from tolerances import MONTE_CARLO

import merextras as mx

N = 4000


def test_a_probability_in_another_herd():
    m, data = models.cbpp(), mx.load_dataset("cbpp")
    cases = data.head(2)
    found = mx.what_if(m, cases, "herd", n_sims=N, rng=1)
    for case, part in found.groupby("case"):
        moved = cases.loc[[case]].iloc[[0] * len(part)].assign(herd=part["level"].to_numpy())
        exact = m.predict(moved, se_fit=True)
        np.testing.assert_allclose(part["fit"], exact["fit"], rtol=1e-12)
        own = m.predict(cases.loc[[case]]).iloc[0]
        np.testing.assert_allclose(part["shift"], exact["fit"] - own, atol=1e-12)
        # Quantiles of the draws are those of the linear predictor, transformed.
        link = m.predict(moved, type="link", interval="confidence")
        lower = np.log(part["lower"] / (1.0 - part["lower"])).to_numpy()
        error = link["std_error"] * np.sqrt(0.025 * 0.975 / N) / 0.0584
        assert np.max(np.abs(lower - link["lower"]) / error) < MONTE_CARLO
    same = found["level"].astype(str) == found["own_level"].astype(str)
    assert (found.loc[same, "shift"] == 0.0).all()
    assert found.loc[same, "p_better"].isna().all()
    others = found[~same]
    assert ((others["p_better"] > 0.5) == (others["shift"] > 0.0)).mean() > 0.9


def test_the_shift_is_more_certain_than_its_ends():
    # Both share the intercept: the spread of the difference is that of joint draws.
    m, data = models.cbpp(), mx.load_dataset("cbpp")
    levels = data["herd"].unique()[:3].tolist()
    found = mx.what_if(m, data.head(1), "herd", levels, n_sims=N, rng=2)
    sims = mx.sim(m, N, rng=2)
    at = [list(sims.levels["herd"]).index(level) for level in levels]
    eta = sims.fixef[:, [0]] + sims.ranef["herd"][:, at, 0]
    p = 1.0 / (1.0 + np.exp(-eta))
    own = levels.index(data["herd"].iloc[0])
    shifts = p - p[:, [own]]
    sd = shifts.std(axis=0, ddof=1)
    np.testing.assert_allclose(found["shift_std_error"], sd, rtol=5.0 / np.sqrt(N), atol=1e-12)


def test_a_rate_with_another_value_and_responses_of_labels():
    m, data = models.generated("count"), models.rows()
    found = mx.what_if(m, data.head(2), changes={"x": [0.0, 1.0]}, n_sims=50, rng=1)
    exact = m.predict(data.head(1).assign(x=1.0)).iloc[0]
    assert found["fit"].iloc[1] == pytest.approx(exact, rel=1e-12)
    np.testing.assert_array_equal(found["observed"], data["count"].head(2).repeat(2))
    word = data.assign(word=np.where(data["yes"] == 1, "yes", "no"))
    labels = mx.glmer("word ~ x + (1 | h)", word)
    found = mx.what_if(labels, word.head(2), "h", n_sims=50, rng=1)
    assert set(found["observed"]) <= {0.0, 1.0}


def test_the_closed_form_draws_nothing():
    found = mx.what_if(models.cbpp(), mx.load_dataset("cbpp").head(1), "herd", n_sims=None)
    again = mx.what_if(models.cbpp(), mx.load_dataset("cbpp").head(1), "herd", n_sims=None)
    assert found.equals(again)
    assert np.isfinite(found["shift_std_error"]).all()

"""New responses of a generalised model for other rows: trials, unseen levels, exact moments."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.model.generalised.again import drawn


def test_own_rows_as_new_ones_have_the_same_draws():
    m, data = models.cbpp(), mx.load_dataset("cbpp")
    own = m.simulate(3, rng=1)
    pd.testing.assert_frame_equal(m.simulate(3, newdata=data, rng=1), own)
    generators = np.random.default_rng(1).spawn(3)
    np.testing.assert_array_equal(own["sim_2"].iloc[:, 0], drawn(m, set(), generators[1]))
    kept = m.simulate(1, newdata=data, use_u=True, rng=1)
    pd.testing.assert_frame_equal(kept, m.simulate(1, use_u=True, rng=1))


def test_moments_of_new_levels_are_the_populations():
    m, n = models.cbpp(), 20_000
    new = pd.DataFrame({"period": [1, 1, 1], "herd": [99, 99, 98]}, index=["a", "b", "c"])
    made = m.simulate(n, newdata=new, weights=10, allow_new_levels=True, rng=2)
    assert list(made.index) == ["a", "b", "c"]
    y = made.xs("incidence", axis=1, level=1).to_numpy()
    rest = made.xs("size - incidence", axis=1, level=1).to_numpy()
    np.testing.assert_array_equal(y + rest, 10.0)
    mean = m.predict(new, re_form="population").to_numpy()
    error = 4.0 * np.sqrt(y.var() / n) / 10.0
    assert np.all(np.abs(y.mean(axis=1) / 10.0 - mean) < error)
    # Two rows of one new level share its effect, those of two levels do not.
    correlation = np.corrcoef(y)
    assert correlation[0, 1] > 0.3
    assert abs(correlation[0, 2]) < 4.0 / np.sqrt(n)


def test_trials_of_new_rows():
    m, data = models.cbpp(), mx.load_dataset("cbpp")
    bare = data.head(2)[["period", "herd"]]
    with pytest.raises(InvalidArgumentError, match="give them as weights="):
        m.simulate(1, newdata=bare, rng=1)
    for weights in (0, 2.5, [3.0, np.nan]):
        with pytest.raises(InvalidArgumentError, match="whole numbers from 1"):
            m.simulate(1, newdata=bare, weights=weights, rng=1)
    by_column = m.simulate(1, newdata=bare.assign(k=[4, 6]), weights="k", rng=1)
    assert by_column.sum(axis=1).tolist() == [4.0, 6.0]
    share = data.assign(share=data["incidence"] / data["size"])
    own = mx.glmer("share ~ C(period) + (1 | herd)", share, weights="size")
    found = own.simulate(1, newdata=share.head(4), rng=1)["sim_1"]
    pd.testing.assert_series_equal(found, own.simulate(1, rng=1)["sim_1"].head(4))
    count = models.generated("count")
    with pytest.raises(InvalidArgumentError, match="no precision weights and no trials"):
        count.simulate(1, weights=3, rng=1)
    interval = mx.predict_interval(m, bare, weights=10, n_sims=400, rng=1)
    assert np.all(np.round(interval * 20) == interval * 20)


def test_unseen_levels_and_missing_predictors():
    data = models.rows(n=200)
    m = mx.glmer("count ~ x + (1 + x | g)", data, "poisson")
    new = data.head(4).assign(g=[0, 77, 1, 2])
    with pytest.raises(InvalidArgumentError, match="77"):
        m.simulate(1, newdata=new, rng=1)
    new.loc[2, "x"] = np.nan
    made = m.simulate(2, newdata=new, allow_new_levels=True, rng=1)
    assert made.loc[2].isna().all()
    assert made.drop(index=2).notna().all(axis=None)
    labels = data.assign(yes=np.where(data["yes"] == 1, "y", "n"))
    text = mx.glmer("yes ~ x + (1 | g)", labels)
    found = text.simulate(1, newdata=new.assign(g=0), rng=1)["sim_1"]
    assert pd.isna(found[2])
    assert set(found.drop(index=2)) <= {"y", "n"}

"""The pass over the rows in blocks, and what a fit's summary makes later."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from merextras.datasets import load_dataset
from merextras.engine.kernels import dense
from merextras.fit_lmer import lmer
from tests.tolerances import CHUNKS_DEVIANCE, CHUNKS_ESTIMATES


def table(levels, rows=3_000):
    rng = np.random.default_rng(4)
    g, h = rng.integers(0, levels, rows), rng.integers(0, 7, rows)
    x, z = rng.normal(size=(2, rows))
    slopes, own = rng.normal(size=(2, levels)), rng.normal(size=7)
    y = x + slopes[0][g] + slopes[1][g] * z + own[h] + rng.normal(size=rows)
    weights = rng.integers(1, 4, rows).astype(float)
    dummy = pd.Categorical(rng.integers(0, 5, rows))
    return pd.DataFrame({"y": y, "x": x, "z": z, "f": dummy, "g": g, "h": h, "w": weights})


@pytest.mark.parametrize("formula", ["y ~ x + f + (1 + z | g)", "y ~ x + (1 + z | g) + (1 | h)"])
@pytest.mark.parametrize("weights", [None, "w"])
def test_blocks_of_rows_are_all_rows(monkeypatch, formula, weights):
    """Blocks of a hundred rows, and no fewer than a factor has levels."""
    data = table(40)
    whole = lmer(formula, data, weights=weights)
    monkeypatch.setattr(dense, "TOGETHER", 800)
    sizes = [rows.stop - rows.start for rows in dense.row_blocks(3_000, 8, 40)]
    assert (len(sizes), sizes[0]) == (30, 100)
    assert next(iter(dense.row_blocks(3_000, 8, 400))).stop == 400
    parts = lmer(formula, data, weights=weights)
    # Other sums, in their last digits.
    assert not np.array_equal(parts.solution.cp.xy, whole.solution.cp.xy)
    np.testing.assert_allclose(parts.log_lik(), whole.log_lik(), rtol=CHUNKS_DEVIANCE)
    np.testing.assert_allclose(parts.theta, whole.theta, rtol=CHUNKS_ESTIMATES)
    np.testing.assert_allclose(parts.fixef(), whole.fixef(), rtol=CHUNKS_ESTIMATES)


def test_a_summary_is_the_same_whenever_it_is_asked():
    sleep = load_dataset("sleepstudy")
    fit = lambda: lmer("Reaction ~ Days + (Days | Subject)", sleep)  # noqa: E731
    asked, other = fit().opt_summary, fit()
    assert asked.converged
    assert len(asked.log) == asked.n_iterations
    assert asked.theta == pytest.approx(tuple(other.theta), rel=CHUNKS_ESTIMATES)
    assert max(map(abs, asked.gradient)) < 1e-3
    again = pickle.loads(pickle.dumps(other)).opt_summary
    assert again == asked == other.opt_summary
    assert repr(again) == repr(asked)
    with pytest.raises(AttributeError, match="no attribute 'steps'"):
        _ = again.steps

"""The result of a bootstrap: what it makes of its replicates."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy import stats

from merextras.exceptions import InvalidArgumentError
from merextras.results.replicates.bootstrap import Bootstrap

DRAWS = np.array([[1.0, 10.0], [2.0, np.nan], [np.nan, np.nan], [4.0, 30.0], [5.0, 20.0]])


def made(draws=DRAWS, failures=None, use_u=False):
    failures = {"not converged": 1} if failures is None else failures
    return Bootstrap(("a", "b"), np.array([2.5, 21.0]), draws, 0.25, "parametric", use_u, failures)


def test_the_moments_are_of_what_there_is():
    boot = made()
    assert boot.bias.tolist() == [0.5, -1.0]
    assert np.allclose(boot.std_error, [np.std([1, 2, 4, 5], ddof=1), 10.0])
    assert boot.n_used.tolist() == [4, 3]
    assert (boot.n_sims, boot.n_failed) == (5, 1)
    assert boot.observed.to_dict() == {"a": 2.5, "b": 21.0}
    assert boot.estimates.index.tolist() == [1, 2, 3, 4, 5]


def test_quantiles():
    found = made().quantiles([0.0, 0.5, 1.0])
    assert found.to_numpy().tolist() == [[1.0, 3.0, 5.0], [10.0, 20.0, 30.0]]
    assert list(found) == [0.0, 0.5, 1.0]
    assert made().quantiles(0.5)[0.5].tolist() == [3.0, 20.0]
    for probs in (1.5, [-0.1], [[0.5]], np.nan):
        with pytest.raises(InvalidArgumentError, match="probs="):
            made().quantiles(probs)


def test_confidence_intervals():
    boot = made()
    low, high = np.quantile([1.0, 2.0, 4.0, 5.0], [0.1, 0.9])
    assert np.allclose(boot.confint(0.8).loc["a"], [low, high])
    assert np.allclose(boot.confint(0.8, "basic").loc["a"], [5.0 - high, 5.0 - low])
    half = stats.norm.isf(0.1) * boot.std_error["a"]
    assert np.allclose(boot.confint(0.8, type="normal").loc["a"], [2.0 - half, 2.0 + half])
    with pytest.raises(InvalidArgumentError, match="did you mean 'percentile'"):
        boot.confint(0.9, "percent")
    with pytest.raises(InvalidArgumentError, match="level"):
        boot.confint(95)


def test_a_parameter_without_replicates():
    boot = made(np.column_stack([DRAWS[:, 0], np.full(5, np.nan)]))
    assert np.all(np.isnan(boot.confint().loc["b"]))
    assert np.isnan(boot.bias["b"])
    assert "b: does not exist in 4 of the replicates" in repr(boot)


def test_it_prints():
    text = repr(made(use_u=True))
    assert text.splitlines()[0] == (
        "Parametric bootstrap given the random effects' modes: 5 replicates, 1 failed, 25.0 % "
        "singular"
    )
    assert text.endswith("b: does not exist in 1 of the replicates\nfailed, 1 times: not converged")
    assert made()._repr_html_().startswith("<pre>Parametric")


def test_the_frame():
    frame = made().to_frame(level=0.5, type="basic")
    assert list(frame) == [
        "term", "estimate", "bias", "std_error", "conf_low", "conf_high", "n_used",
    ]  # fmt: skip
    assert frame["conf_low"].tolist() == made().confint(0.5, "basic")["conf_low"].tolist()


def test_it_cannot_be_changed():
    boot = made()
    frame, observed = boot.estimates, boot.observed
    frame.iloc[0, 0] = observed["a"] = 99.0
    assert (boot.replicates[0, 0], boot.values[0]) == (1.0, 2.5)
    with pytest.raises(ValueError, match="read-only"):
        boot.replicates[0, 0] = 0.0
    with pytest.raises(AttributeError):
        boot.kind = "cases"


def test_it_pickles():
    boot = made()
    again = pickle.loads(pickle.dumps(boot))
    assert repr(again) == repr(boot)
    with pytest.raises(ValueError, match="read-only"):
        again.replicates[0, 0] = 0.0

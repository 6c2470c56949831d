"""The result of an exact test: what it counts, how it prints, that it can't be changed."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.results.tests.exact_test import ExactTest

HYPOTHESIS = "Var(Intercept | school) = 0"


def made(statistic, sample=(0.0, 0.0, 1.0, 2.0), name="LRT", note=""):
    return ExactTest(name, statistic, np.array(sample), HYPOTHESIS, note)


@pytest.mark.parametrize(
    ("statistic", "exceeding", "p", "text"),
    [(0.0, 4, 1.0, "1"), (1.0, 2, 0.5, "0.5"), (1.5, 1, 0.25, "0.25"), (9.0, 0, 0.0, "< 0.25")],
)
def test_the_p_value_counts_what_is_at_least_the_statistic(statistic, exceeding, p, text):
    test = made(statistic)
    assert (test.n_exceeding, test.p_value, test.p_text) == (exceeding, p, text)
    assert (test.n_sims, test.p_zero) == (4, 0.5)


@pytest.mark.parametrize(
    ("n_sims", "text"), [(10_000, "< 1e-04"), (1000, "< 0.001"), (3000, "< 3.333e-04")]
)
def test_none_in_n_is_below_one_in_n(n_sims, text):
    assert made(9.0, np.zeros(n_sims)).p_text == text


def test_small_p_values_print_as_in_r():
    sample = np.zeros(100_000)
    sample[:25] = 2.0
    assert made(1.0, sample).p_text == "2.5e-04"


def test_monte_carlo_error_of_the_p_value():
    assert made(1.0).p_value_se == pytest.approx(0.25)
    assert np.isnan(made(9.0).p_value_se)


def test_prints_like_an_htest():
    test = made(2957.77, np.arange(10_000.0) % 2.0)
    assert repr(test) == (
        "simulated finite sample distribution of LRT. "
        "(p-value based on 10000 simulated values)\n\n"
        f"null hypothesis: {HYPOTHESIS}\n"
        "LRT = 2957.8, p-value < 1e-04"
    )
    assert test._repr_html_() == f"<pre>{repr(test).replace('<', '&lt;')}</pre>"
    assert repr(made(1.0, name="RLRT")).endswith("RLRT = 1, p-value = 0.5")


def test_the_note_is_printed_last():
    assert repr(made(1.0, note="of the refit")).endswith("\n\nnote: of the refit")


def test_a_distribution_that_is_mostly_zero_is_noted():
    """RLRsim warns; the p-value is right nevertheless."""
    sample = np.append(np.zeros(97), [0.1, 0.2, 3.0])
    text = "97 % of the simulated values are zero: any positive statistic has a p-value of at most"
    assert repr(made(0.15, sample)).endswith(f"p-value = 0.02\n\nnote: {text} 0.03")
    assert f"note: of the refit; {text}" in repr(made(0.15, sample, note="of the refit"))
    assert "note" not in repr(made(0.15, sample[80:]))


def test_frame_is_one_tidy_row_and_fresh():
    test = made(1.0)
    frame = test.to_frame()
    assert frame.to_dict("records") == [
        {
            "test": "LRT",
            "null_hypothesis": HYPOTHESIS,
            "statistic": 1.0,
            "p_value": 0.5,
            "p_text": "0.5",
            "n_exceeding": 2,
            "n_sims": 4,
        }
    ]
    frame.loc[0, "p_value"] = 0.0
    assert test.to_frame().loc[0, "p_value"] == 0.5


def test_quantiles_keep_the_shape_of_the_probabilities():
    test = made(1.0, np.arange(101.0))
    assert test.quantile(0.95) == pytest.approx(95.0)
    np.testing.assert_allclose(test.quantile([[0.0, 0.5], [0.9, 1.0]]), [[0, 50], [90, 100]])


@pytest.mark.parametrize("probs", [-0.1, [0.5, 1.5], np.nan])
def test_quantile_of_no_probability(probs):
    with pytest.raises(InvalidArgumentError, match="probabilities are between 0 and 1"):
        made(1.0).quantile(probs)


def test_the_sample_is_a_read_only_copy():
    sample = np.array([0.0, 1.0])
    test = made(1.0, sample)
    sample[0] = 5.0
    assert test.sample[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        test.sample[0] = 5.0
    with pytest.raises(AttributeError, match="cannot assign"):
        test.statistic = 3.0


def test_survives_pickling_read_only():
    test = made(1.0, note="n")
    again = pickle.loads(pickle.dumps(test))
    assert repr(again) == repr(test)
    np.testing.assert_array_equal(again.sample, test.sample)
    assert not again.sample.flags.writeable


@pytest.mark.parametrize("sample", [[], [[1.0]], 1.0])
def test_sample_of_another_shape(sample):
    with pytest.raises(InvalidArgumentError, match="one-dimensional"):
        made(1.0, sample)


@pytest.mark.parametrize(
    ("statistic", "sample"), [(-1.0, [1.0]), (np.nan, [1.0]), (1.0, [-1e-9]), (1.0, [np.inf])]
)
def test_values_that_no_statistic_has(statistic, sample):
    with pytest.raises(InvalidArgumentError, match="finite and at least 0"):
        made(statistic, sample)

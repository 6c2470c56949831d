from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_exact_test


def exact_test(statistic=3.1, p_value=0.04, sample=None, name="LRT"):
    if sample is None:
        sample = np.maximum(np.random.default_rng(1).normal(size=2000), 0) ** 2
    sample = np.asarray(sample, dtype=float)
    return SimpleNamespace(
        sample=sample, statistic=statistic, p_value=p_value, n_sims=sample.size, name=name
    )


def texts(ax):
    return " ".join(text.get_text() for text in ax.texts)


def bars(ax):
    """Left ends, right ends and heights of the bars."""
    found = [(b.get_x(), b.get_x() + b.get_width(), b.get_height()) for b in ax.patches]
    return np.array([bar for bar in found if bar[2] > 0])


def test_bars_are_proportions_and_zero_has_its_own():
    test = exact_test()
    ax = plot_exact_test(test)
    found = bars(ax)
    assert found[:, 2].sum() == pytest.approx(1)
    zeros = found[found[:, 1] <= 1e-12]
    assert len(zeros) == 1
    assert zeros[0, 2] == pytest.approx(np.mean(test.sample == 0))
    assert f"{np.mean(test.sample == 0):.3g} at zero" in texts(ax)
    assert ax.get_ylabel() == "proportion of simulations"
    assert ax.get_xlabel() == "LRT"
    assert ax.get_title() == "null distribution, 2\N{NARROW NO-BREAK SPACE}000 simulations"


def test_an_observed_value_within_reach_is_a_line():
    ax = plot_exact_test(exact_test(statistic=3.1))
    (line,) = ax.lines
    assert list(line.get_xdata()) == [3.1, 3.1]
    assert "observed 3.1" in texts(ax)
    assert "p = 0.04" in texts(ax)


@pytest.mark.parametrize("factor", [1.2, 1.7])
def test_a_little_beyond_the_sample_is_still_a_line_inside_the_axes(factor):
    test = exact_test()
    test.statistic = factor * test.sample.max()
    ax = plot_exact_test(test)
    assert ax.lines[0].get_xdata()[0] < ax.get_xlim()[1]


def test_an_observed_value_far_outside_is_an_arrow_and_leaves_the_histogram_its_width():
    test = exact_test(statistic=2957.8, p_value=0.0)
    ax = plot_exact_test(test)
    assert not ax.lines
    assert ax.get_xlim()[1] < 1.5 * test.sample.max()
    assert any(getattr(text, "arrow_patch", None) is not None for text in ax.texts)
    assert "observed 2957.8" in texts(ax)
    assert f"{2957.8 / test.sample.max():.0f} times the" in texts(ax)


def test_a_simulated_p_of_zero_is_below_one_in_n():
    assert "p < 1/2000" in texts(plot_exact_test(exact_test(statistic=30.0, p_value=0.0)))


def test_no_mass_at_zero_has_no_bar_for_it():
    ax = plot_exact_test(exact_test(sample=np.linspace(1, 5, 100)))
    assert "at zero" not in texts(ax)
    assert bars(ax)[:, 0].min() >= 0


@pytest.mark.parametrize("statistic", [0.0, 0.4, 2957.0])
def test_all_mass_at_zero(statistic):
    ax = plot_exact_test(exact_test(statistic=statistic, sample=np.zeros(50)))
    assert "1 at zero" in texts(ax)
    assert ax.get_xlim()[0] < 0 <= statistic < ax.get_xlim()[1]


def test_bins_title_and_axes():
    _, ax = plt.subplots()
    test = exact_test()
    assert plot_exact_test(test, ax=ax, bins=10, title="Exact test") is ax
    assert len(plt.get_fignums()) == 1
    assert ax.get_title() == "Exact test"
    assert len(ax.patches) == 11


def test_the_sample_is_unchanged():
    test = exact_test()
    test.sample.flags.writeable = False
    plot_exact_test(test)


@pytest.mark.parametrize(
    ("test", "keywords", "message"),
    [
        (exact_test(sample=[]), {}, "test.sample is empty.*p = 1 without a simulation"),
        (exact_test(sample=[0.0, np.nan]), {}, "a value that is not allowed"),
        (exact_test(sample=[-1.0, 2.0]), {}, "a value that is not allowed"),
        (exact_test(statistic=np.inf), {}, "a value that is not allowed"),
        (exact_test(), {"bins": 0}, "bins=0"),
        (SimpleNamespace(sample=[1.0]), {}, "lacks 'statistic', 'p_value', 'n_sims', 'name'"),
    ],
)
def test_errors(test, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_exact_test(test, **keywords)

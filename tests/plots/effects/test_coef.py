import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_coef


def coefs(n=3, shift=0.0):
    return pd.DataFrame(
        {"estimate": np.arange(n + 1.0) + shift, "std_error": 0.5},
        index=["Intercept", *(f"x{i}" for i in range(n))],
    )


def names(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_thick_and_thin_lines():
    ax = plot_coef(coefs(), title="T")
    assert names(ax) == ["x0", "x1", "x2"]
    thin, thick, dots = ax.collections
    np.testing.assert_allclose(dots.get_offsets(), [[1, 0], [2, 1], [3, 2]])
    np.testing.assert_allclose([s[:, 0] for s in thin.get_segments()], [[0, 2], [1, 3], [2, 4]])
    ends = [s[:, 0] for s in thick.get_segments()]
    np.testing.assert_allclose(ends, [[0.5, 1.5], [1.5, 2.5], [2.5, 3.5]])
    assert thick.get_linewidths()[0] > thin.get_linewidths()[0]
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first effect is on top
    assert ax.get_xlabel() == "estimate, ±1 and ±2 standard errors"


def test_intercept_and_term_column():
    frame = coefs().rename_axis("term").reset_index()
    assert names(plot_coef(frame, intercept=True)) == ["Intercept", "x0", "x1", "x2"]


def test_intervals():
    frame = coefs().assign(conf_low=-1.0, conf_high=9.0).drop(columns="std_error")
    ax = plot_coef(frame)
    np.testing.assert_allclose(ax.collections[0].get_segments()[0][:, 0], [-1, 9])
    assert ax.get_xlabel() == "estimate and its interval"


def test_several_models():
    ax = plot_coef({"small": coefs(1), "large": coefs(3, 0.2)})
    assert names(ax) == ["x0", "x1", "x2"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["small", "large"]
    one, two = (np.asarray(ax.collections[i].get_offsets())[0, 1] for i in (2, 5))
    assert one < 0 < two


@pytest.mark.parametrize("n", [1, 6, 60])
def test_height_follows_the_effects(n, tmp_path):
    ax = plot_coef(coefs(n))
    assert ax.figure.get_figheight() == pytest.approx(0.9 + 0.32 * n)
    ax.figure.savefig(tmp_path / "c.png")


def test_on_a_given_axis():
    _, given = plt.subplots()
    assert plot_coef(coefs(), ax=given) is given


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_coef(coefs(0)), "only the intercept is there; give intercept=True"),
        (lambda: plot_coef(coefs().drop(columns="std_error")), "std_error"),
        (lambda: plot_coef(coefs().drop(columns="estimate")), "estimate"),
        (lambda: plot_coef(pd.concat([coefs(), coefs()])), "more than one row"),
        (lambda: plot_coef({}), "coefs has 0 models"),
        (lambda: plot_coef(dict.fromkeys(range(9), coefs())), "coefs has 9 models"),
        (lambda: plot_coef(coefs(), width=0), "width=0"),
        (lambda: plot_coef(coefs(), height=0), "height=0"),
        (lambda: plot_coef([1.0]), "coefs: expected a pandas DataFrame, got list"),
    ],
)
def test_errors(call, message):
    with pytest.raises(InvalidArgumentError, match=message):
        call()

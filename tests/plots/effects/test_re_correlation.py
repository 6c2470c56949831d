import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_re_correlation
from merextras.results.estimates.var_corr import Component, VarCorr


def effects(n, terms=("Intercept", "x"), group="g", seed=1):
    rng = np.random.default_rng(seed)
    parts = [
        pd.DataFrame(
            {
                "group": group,
                "level": [f"L{i}" for i in range(n)],
                "term": term,
                "estimate": rng.normal(size=n),
                "std_error": 0.3,
            }
        )
        for term in terms
    ]
    return pd.concat(parts, ignore_index=True)


COVARIANCE = np.array([[4.0, 1.0], [1.0, 1.0]])
VAR_CORR = VarCorr([Component("g", ("Intercept", "x"), COVARIANCE)], 1.0)


@pytest.mark.parametrize("n", [6, 60, 3000])
def test_two_effects(n):
    frame = effects(n)
    figure = plot_re_correlation(frame, VAR_CORR)
    _, upper, lower, _ = figure.axes
    assert [text.get_text() for text in upper.texts] == ["r = 0.50"]
    wide = frame.pivot(index="level", columns="term", values="estimate")
    found = np.asarray(lower.collections[0].get_offsets())
    np.testing.assert_allclose(np.sort(found[:, 0]), np.sort(wide["Intercept"]))
    np.testing.assert_allclose(np.sort(found[:, 1]), np.sort(wide["x"]))
    assert bool(lower.texts) is (n <= 20)
    # The 95 % region: x'C^-1 x is the chi-square quantile everywhere on its edge.
    ellipse = np.column_stack(lower.lines[-1].get_data())
    size = np.einsum("ni,ij,nj->n", ellipse, np.linalg.inv(COVARIANCE), ellipse)
    np.testing.assert_allclose(size, 5.991465, rtol=1e-6)


def test_three_effects_without_a_model():
    figure = plot_re_correlation(effects(30, ("a", "b", "c")), title="T")
    assert len(figure.axes) == 9
    assert not figure.axes[1].texts
    assert figure.get_suptitle() == "T"


def test_terms_without_correlation():
    """``(x || g)``: two components of one factor, the second with a number."""
    parts = [Component("g", ("Intercept",), np.eye(1)), Component("g.1", ("x",), np.eye(1) * 0)]
    figure = plot_re_correlation(effects(10), VarCorr(parts, 1.0))
    assert figure.axes[1].texts[0].get_text() == "r does not exist"
    parts[1] = Component("g.1", ("x",), np.eye(1))
    figure = plot_re_correlation(effects(10), VarCorr(parts, 1.0))
    assert figure.axes[1].texts[0].get_text() == "r = 0.00"


def test_the_first_factor_with_several_effects():
    frame = pd.concat([effects(9, ("Intercept",), "h"), effects(5)])
    assert plot_re_correlation(frame).get_suptitle() == "g: 5 levels"
    assert plot_re_correlation(frame, group="g").get_suptitle() == "g: 5 levels"


def test_saved(tmp_path):
    plot_re_correlation(effects(3000, ("a", "b", "c"))).savefig(tmp_path / "r.png")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_re_correlation(effects(5, ("a",))), "every grouping factor has a single eff"),
        (lambda: plot_re_correlation(effects(5, ("a",)), group="g"), "'g' has a single effect"),
        (lambda: plot_re_correlation(effects(5), group="h"), "group='h' is not allowed.* are 'g'"),
        (lambda: plot_re_correlation(effects(5), {"g": 1}), "var_corr is of type dict"),
        (lambda: plot_re_correlation(effects(5, ("a", "b")), VAR_CORR), "both must be of one mode"),
        (lambda: plot_re_correlation(effects(5), size=0), "size=0"),
        (lambda: plot_re_correlation(effects(5).iloc[:0]), "ranef: the frame has no rows"),
        (lambda: plot_re_correlation(effects(2, [f"t{i}" for i in range(15)])), "225 panels"),
    ],
)
def test_errors(call, message):
    with pytest.raises(InvalidArgumentError, match=message):
        call()

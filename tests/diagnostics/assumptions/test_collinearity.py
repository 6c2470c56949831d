import numpy as np
import pytest
from lmer_models import csv, quiet
from performance_models import MODELS, PLAIN, model_of
from tolerances import VIF

import merextras as mx


@pytest.mark.parametrize(("name", "how"), PLAIN)
def test_vif_of_performance(name, how):
    theirs = MODELS[name][how]["collinearity"]
    table = mx.check_collinearity(model_of(name, how)).to_frame()
    if theirs is None:
        assert len(table) < 2
        return
    # R writes x before f where the formula does; terms are matched by name.
    ours = table.set_index("term").loc[theirs["term"]]
    np.testing.assert_allclose(ours["vif"], theirs["vif"], rtol=VIF)
    np.testing.assert_allclose(ours["tolerance"], 1 / np.array(theirs["vif"]), rtol=VIF)
    # R's factor is the root of a GVIF of several columns too: ours is the 2 df-th root.
    np.testing.assert_allclose(ours["se_factor"], ours["vif"] ** (0.5 / ours["df"]), rtol=1e-14)
    one = ours["df"] == 1
    np.testing.assert_allclose(ours["se_factor"][one], np.array(theirs["se_factor"])[one], rtol=VIF)


def test_vif_is_that_of_a_regression():
    """Of one column: 1 / (1 - R squared) of it on the others, in the metric of V."""
    m = model_of("slope_and_crossed")
    x = m.design.x
    z = m.design.z().toarray() @ m.get_me("Lambda").toarray()
    v = np.eye(len(x)) + z @ z.T
    root = np.linalg.inv(np.linalg.cholesky(v))
    one, a, b = (root @ x).T
    a, b = (c - one * (one @ c) / (one @ one) for c in (a, b))
    expected = 1 / (1 - (a @ b) ** 2 / (a @ a) / (b @ b))
    np.testing.assert_allclose(mx.check_collinearity(m).vif, expected, rtol=1e-9)


def test_collinear_predictors():
    rng = np.random.default_rng(1)
    frame = csv("forms").assign(x2=lambda d: d["x"] + 0.1 * rng.normal(size=len(d)))
    check = mx.check_collinearity(mx.lmer("y ~ x + x2 + z + (1 | g)", frame))
    assert check.ok is False
    assert check.verdict.startswith("high collinearity: x (")
    assert "z" not in check.verdict.split(": ")[1].replace("x2", "")
    assert "centre the predictors" in " ".join(check.advice)
    some = frame.assign(x2=lambda d: d["x"] + 0.3 * rng.normal(size=len(d)))
    assert mx.check_collinearity(mx.lmer("y ~ x + x2 + (1 | g)", some)).verdict.startswith("modera")


def test_collinearity_without_intercept_or_terms():
    m = quiet("y_x ~ 0 + x + z + (1 | g)", csv("forms"))
    shifted = quiet("y_x ~ 0 + I(x + 50) + I(z + 50) + (1 | g)", csv("forms"))
    assert mx.check_collinearity(m).ok
    check = mx.check_collinearity(shifted)
    assert check.ok is False
    assert "there is no intercept" in check.advice[-1]
    assert "fewer than two terms" in mx.check_collinearity(model_of("nested")).verdict


def test_dropped_columns_are_in_no_term():
    frame = csv("forms").assign(twice=lambda d: 2 * d["x"])
    table = mx.check_collinearity(quiet("y ~ x + twice + z + (1 | g)", frame)).to_frame()
    assert table["term"].tolist() == ["x", "z"]

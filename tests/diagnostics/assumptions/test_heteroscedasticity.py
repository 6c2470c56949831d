import numpy as np
import pytest
from hat_matrix import spread_frame, standardised
from lmer_models import csv
from performance_models import MODELS, PLAIN, model_of
from scipy import stats
from tolerances import SCORE_STATISTIC

import merextras as mx

#: The bundled students are a twin: their residuals are not the original's.
OF_ROWS = [(name, how) for name, how in PLAIN if "students" not in name]


@pytest.mark.parametrize(("name", "how"), [*OF_ROWS, ("double_bar", "REML"), ("weights", "REML")])
def test_score_statistics_of_r(name, how):
    m, theirs = model_of(name, how), MODELS[name][how]["heteroscedasticity"]
    if name == "singular":
        check = mx.check_heteroscedasticity(m)
        assert (check.ok, np.isnan(check.statistic), np.isnan(check.p_value)) == (None, True, True)
        assert "there is nothing to test" in check.verdict
        return
    ours = mx.check_heteroscedasticity(m)
    assert ours.statistic == pytest.approx(theirs["score"], rel=SCORE_STATISTIC)
    assert ours.p_value == pytest.approx(stats.chi2.sf(theirs["score"], 1), rel=1e-5)
    robust = mx.check_heteroscedasticity(m, robust=True)
    assert robust.statistic == pytest.approx(theirs["koenker"], rel=SCORE_STATISTIC)


def test_performance_divides_by_a_likelihood():
    """Its p-value is zero where the statistic with the residual variance is not."""
    theirs = MODELS["intercept"]["REML"]["heteroscedasticity"]
    assert theirs["performance_p"] == 0.0
    assert mx.check_heteroscedasticity(model_of("intercept")).p_value > 1e-3


@pytest.mark.parametrize("name", ["slopes", "weights"])
def test_score_statistic_by_least_squares(name):
    m = model_of(name)
    u = standardised(m) ** 2
    u = u / u.mean()
    x = np.column_stack([np.ones_like(u), m.mu])
    fit = x @ np.linalg.lstsq(x, u, rcond=None)[0]
    expected = np.sum((fit - 1) ** 2)
    assert mx.check_heteroscedasticity(m).statistic == pytest.approx(expected / 2, rel=1e-9)
    koenker = len(u) * expected / np.sum((u - 1) ** 2)
    robust = mx.check_heteroscedasticity(m, robust=True)
    assert robust.statistic == pytest.approx(koenker, rel=1e-9)


def test_a_growing_variance_is_found_and_a_constant_one_is_not():
    growing = mx.check_heteroscedasticity(mx.lmer("y ~ x + (1 | g)", spread_frame(1)))
    assert growing.ok is False
    assert growing.p_value < 1e-10
    assert "precision weights" in " ".join(growing.advice)
    assert "changes with the fitted value" in repr(growing)
    constant = mx.check_heteroscedasticity(mx.lmer("y ~ x + (1 | g)", spread_frame(0)))
    assert constant.ok
    assert constant.advice == ()


def test_weights_take_it_away():
    frame = spread_frame(1).assign(w=lambda d: d["x"] ** -2)
    assert mx.check_heteroscedasticity(mx.lmer("y ~ x + (1 | g)", frame, weights="w")).ok


def test_frequencies_count_as_rows():
    frame = csv("forms")
    one = mx.lmer("y_x ~ x + f + (1 | g)", frame, freq_weights="k")
    many = mx.lmer("y_x ~ x + f + (1 | g)", frame.loc[frame.index.repeat(frame["k"])])
    left, right = (mx.check_heteroscedasticity(m) for m in (one, many))
    # The leverage of a row is that of its repetitions together.
    assert left.statistic == pytest.approx(right.statistic, rel=0.05)

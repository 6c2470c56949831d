import numpy as np
import pytest
from hat_matrix import hat, spread_frame, standardised
from lmer_models import csv, quiet
from performance_models import MODELS, PLAIN, model_of
from scipy import stats
from tolerances import ORACLE

import merextras as mx


@pytest.mark.parametrize("name", ["slopes", "weights", "crossed"])
def test_outliers_by_the_dense_formula(name):
    m = model_of(name)
    table, h = mx.check_outliers(m).to_frame(), np.diag(hat(m))
    s = standardised(m)
    np.testing.assert_allclose(table["leverage"], h, rtol=1e-8)
    cook = s**2 * h / (1 - h) / m.solution.p
    np.testing.assert_allclose(table["cooks_distance"], cook, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(table["cooks_distance"], m.cooks_distance(), rtol=1e-8)
    np.testing.assert_allclose(table["leverage"], m.hatvalues(), rtol=1e-10)
    df = m.solution.n - m.solution.p - 1
    t = s * np.sqrt(df / (df + 1 - s**2))
    np.testing.assert_allclose(table["residual"], t, rtol=1e-7)
    p = np.minimum(2 * stats.t.sf(np.abs(t), df) * len(t), 1)
    np.testing.assert_allclose(table["p_value"], p, rtol=1e-5)


def test_studentised_residual_is_that_of_a_model_without_the_row():
    """Given theta, leaving a row out: its prediction error over its standard deviation."""
    from merextras.model.state.fitting import fit_at

    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    frame = mx.load_dataset("sleepstudy")
    left = mx.lmer("Reaction ~ Days + (Days | Subject)", frame.drop(index=56))
    fit = m._like(fit_at(left.design, m.theta, reml=True))
    error = frame.loc[56, "Reaction"] - fit.predict(frame.loc[[56]]).item()
    h = m.hatvalues()[56]
    expected = error * np.sqrt(1 - h) / fit.sigma()
    assert mx.check_outliers(m).to_frame().loc[56, "residual"] == pytest.approx(
        expected, rel=ORACLE
    )


@pytest.mark.parametrize(("name", "how"), PLAIN)
def test_threshold_of_performance(name, how):
    check = mx.check_outliers(model_of(name, how))
    assert check.threshold == pytest.approx(MODELS[name][how]["cook_threshold"], rel=1e-12)


def test_a_planted_outlier_is_found_under_the_users_index():
    frame = spread_frame(0)
    frame.index = [f"row {i}" for i in range(len(frame))]
    frame.loc["row 77", "y"] += 12
    check = mx.check_outliers(mx.lmer("y ~ x + (1 | g)", frame))
    assert check.rows.tolist() == ["row 77"]
    assert check.to_frame()["outlier"].sum() == 1
    assert "row 77" in repr(check)
    clean = mx.check_outliers(mx.lmer("y ~ x + (1 | g)", spread_frame(0)))
    assert clean.ok
    assert "row" not in repr(clean)


def test_a_row_of_weight_zero_is_no_outlier():
    frame = spread_frame(0).assign(w=1.0)
    frame.loc[5, ["w", "y"]] = 0.0, 1e3
    table = mx.check_outliers(mx.lmer("y ~ x + (1 | g)", frame, weights="w")).to_frame()
    assert len(table) == len(frame)
    assert table.loc[5].isna().sum() == 4
    assert not table.loc[5, ["outlier", "influential"]].any()


def test_no_fixed_effects_have_no_cooks_distance():
    check = mx.check_outliers(quiet("y_x ~ 0 + (1 | g)", csv("forms")))
    assert check.to_frame()["cooks_distance"].isna().all()
    assert np.isnan(check.threshold)


def test_many_outliers_are_not_all_printed():
    check = mx.check_outliers(model_of("slopes"), threshold=1e-3)
    assert "more in to_frame()" in repr(check)
    assert len(check.rows) > 50

import numpy as np
import pandas as pd
import pytest
from hat_matrix import standardised
from lmer_models import csv, quiet
from performance_models import MODELS, PLAIN, model_of
from scipy import stats
from tolerances import SHAPIRO

import merextras as mx

#: The bundled students are a twin: their residuals are not the original's.
OF_ROWS = [(name, how) for name, how in PLAIN if "students" not in name]


@pytest.mark.parametrize(("name", "how"), [*OF_ROWS, ("double_bar", "REML"), ("weights", "REML")])
def test_shapiro_of_residuals_in_performance(name, how):
    ours = mx.check_normality(model_of(name, how), what="residuals")
    expected = MODELS[name][how]["normality"]["residuals"]
    assert ours.p_values["residuals"] == pytest.approx(expected, rel=SHAPIRO)


@pytest.mark.parametrize(
    ("name", "how"),
    [(n, h) for n in ("intercept", "slopes", "nested", "crossed") for h in ("REML", "ML")],
)
def test_shapiro_of_modes_in_performance(name, how):
    """Balanced data: standardising changes nothing."""
    theirs = MODELS[name][how]["normality"]["random"]["p_value"]
    ours = mx.check_normality(model_of(name, how), what="random")
    np.testing.assert_allclose(ours.p_values, theirs, rtol=1e-4)


def test_modes_of_unbalanced_data_are_standardised():
    m = model_of("categories")
    table = mx.check_normality(m, what="random").to_frame()
    theirs = MODELS["categories"]["REML"]["normality"]["random"]["p_value"]
    ranef = m.ranef()
    prior = np.diag(m.covariances[0])
    for k in range(3):
        raw = ranef["g"].to_numpy()[:, k]
        assert stats.shapiro(raw).pvalue == pytest.approx(theirs[k], rel=1e-4)
        values = raw / np.sqrt(prior[k] - ranef.post_var["g"][:, k, k])
        assert table["p_value"][k] == pytest.approx(stats.shapiro(values).pvalue, rel=1e-6)
        assert abs(table["p_value"][k] - theirs[k]) > 1e-3


def test_standardised_modes_have_variance_one():
    """What they are divided by is their standard deviation over new data of the design."""
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(40), rng.integers(1, 12, 40))
    frame = pd.DataFrame({"g": group, "y": 0.0})
    scaled = []
    for _ in range(30):
        frame["y"] = 1.5 * rng.normal(size=40)[group] + rng.normal(size=len(group))
        m = quiet("y ~ 1 + (1 | g)", frame)
        ranef = m.ranef()
        spread = m.covariances[0][0, 0] - ranef.post_var["g"][:, 0, 0]
        scaled.append(ranef["g"].to_numpy()[:, 0] / np.sqrt(spread))
    # 1200 squares, of which 30 means are taken out: a standard error of 4 %.
    assert np.mean(np.square(scaled)) == pytest.approx(1 - 1 / 40, abs=0.15)


def test_normality_table():
    check = mx.check_normality(model_of("nested"))
    table = check.to_frame()
    assert list(check.p_values.index) == [
        "residuals", "Intercept | cask:batch", "Intercept | batch"
    ]  # fmt: skip
    assert table["n"].tolist() == [60, 30, 10]
    assert (table["test"] == "Shapiro-Wilk").all()
    values = standardised(model_of("nested"))
    assert table["skewness"][0] == pytest.approx(stats.skew(values), rel=1e-8)
    assert table["kurtosis"][0] == pytest.approx(stats.kurtosis(values), rel=1e-8)


def test_a_large_table_has_another_test():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(50), 110)
    y = rng.normal(size=50)[group] + rng.exponential(size=5500)
    m = mx.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": group}))
    check = mx.check_normality(m)
    table = check.to_frame()
    assert table["test"].tolist() == ["D'Agostino-Pearson", "Shapiro-Wilk"]
    assert check.ok is False
    text = " ".join(check.advice)
    assert "skewed" in text
    assert "departures that do no harm" in text


def test_nothing_to_test_has_a_reason():
    table = mx.check_normality(model_of("singular")).to_frame()
    assert np.isnan(table["p_value"][1])
    assert table["note"][1] == "its variance is zero"
    two = quiet("y ~ x + (1 | pair)", csv("forms"))
    row = mx.check_normality(two, what="random").to_frame().iloc[0]
    assert (row["n"], row["note"]) in {(2, "fewer than three values"), (0, "its variance is zero")}
    assert "undecided" in repr(mx.check_normality(model_of("singular"), what="random"))


@pytest.mark.parametrize(
    ("shape", "said"), [("uniform", "light tails"), ("laplace", "heavy tails")]
)
def test_advice_by_the_shape_of_the_residuals(shape, said):
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(40), 20)
    y = rng.normal(size=40)[group] + getattr(rng, shape)(size=800)
    check = mx.check_normality(mx.lmer("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": group})))
    assert check.ok is False
    assert check.advice[1].startswith(said)

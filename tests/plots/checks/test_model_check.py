import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_model_check

TITLES = [
    "Predictive check", "Residuals and fitted values", "Scale and location",
    "Influence (Cook's distance)", "Collinearity", "Normality of residuals",
    "Normality of random effects", "Normality of random effects",
]  # fmt: skip


@pytest.fixture(scope="module")
def check():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.normal(size=300), "g": np.arange(300) % 30})
    frame["x2"] = frame["x"] + 0.2 * rng.normal(size=300)
    u = rng.normal(size=(2, 30))[:, frame["g"]]
    frame["y"] = frame["x"] + u[0] + u[1] * frame["x"] + rng.normal(size=300)
    return mx.model_checks(mx.lmer("y ~ x + x2 + (x | g)", frame), rng=1)


def test_the_panels(check):
    figure = plot_model_check(check)
    assert [ax.get_title() for ax in figure.axes] == TITLES
    assert figure.get_suptitle() == "y ~ x + x2 + (x | g)"
    predictive, residuals, scale, influence, vif, qq, *_ = figure.axes
    assert len(predictive.lines) == 51
    np.testing.assert_allclose(predictive.lines[-1].get_ydata(), check.predictions.observed)
    np.testing.assert_allclose(residuals.collections[0].get_offsets()[:, 1],
                               check.residuals.table["residual"])  # fmt: skip
    assert scale.get_ylim()[0] == 0
    np.testing.assert_allclose(influence.collections[0].get_offsets()[:, 0],
                               check.residuals.table["leverage"])  # fmt: skip
    size = np.sort(check.collinearity.table["se_factor"] ** 2)
    np.testing.assert_allclose(np.sort(vif.collections[1].get_offsets()[:, 0]), size)
    assert vif.get_xlim()[1] > size[-1]
    np.testing.assert_allclose(qq.collections[1].get_offsets()[:, 1], check.qq["sample"])


def test_contours_of_cooks_distance(check):
    influence = plot_model_check(check).axes[3]
    found = []
    for line in influence.lines:
        if line.get_linestyle() == ":":
            h, s = line.get_data()
            distance = s**2 * h / (1 - h) / check.residuals.p
            np.testing.assert_allclose(distance, distance[0], rtol=1e-12)
            found.append(distance[0])
    np.testing.assert_allclose(found, [0.5, 0.5, 1, 1], rtol=1e-12)  # each above and below
    assert {"0.5", "1"} <= {text.get_text() for text in influence.texts}


def test_layout(check, tmp_path):
    figure = plot_model_check(check, columns=3, size=2.5, title="T")
    assert figure.get_suptitle() == "T"
    np.testing.assert_allclose(figure.get_size_inches(), [1.45 * 2.5 * 3, 2.5 * 3 + 0.3])
    figure.savefig(tmp_path / "m.png")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [({"columns": 0}, "columns=0"), ({"columns": 1.5}, "columns=1.5"), ({"size": 0}, "size=0")],
)
def test_arguments(check, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_model_check(check, **keywords)


def test_another_object():
    with pytest.raises(InvalidArgumentError, match="of type dict; the result of model_checks"):
        plot_model_check({})

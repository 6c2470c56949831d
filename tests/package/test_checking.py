import pickle

import pytest
from lmer_models import csv
from performance_models import data_of, model_of

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError

pytestmark = pytest.mark.usefixtures("figures_closed")


def test_the_verdicts_are_those_of_the_checks():
    m = model_of("slopes")
    found = mx.model_checks(m, rng=1)
    frame = found.to_frame()
    assert frame["check"].tolist() == [
        "convergence", "singularity", "collinearity", "normality", "heteroscedasticity",
        "outliers", "predictions",
    ]  # fmt: skip
    assert frame["verdict"][3] == mx.check_normality(m).verdict
    assert frame["verdict"][5] == mx.check_outliers(m).verdict
    assert frame["ok"].tolist()[:3] == [True, True, True]
    text = repr(found)
    assert text.startswith("Checks of Reaction ~ Days + (Days | Subject)\n")
    assert f"normality: not ok: {frame['verdict'][3]}\n  - " in text
    assert repr(pickle.loads(pickle.dumps(found))) == text


def test_a_raw_fit_and_the_panel():
    import statsmodels.formula.api as smf

    fit = smf.mixedlm("Reaction ~ Days", data_of("sleepstudy"), groups="Subject").fit()
    figure = mx.check_model(fit, rng=1, columns=3)
    assert [ax.get_title() for ax in figure.axes] == [
        "Predictive check", "Residuals and fitted values", "Scale and location",
        "Influence (Cook's distance)", "Collinearity", "Normality of residuals",
        "Normality of random effects",
    ]  # fmt: skip


def test_a_singular_fit_is_drawn():
    found = mx.model_checks(model_of("singular"), rng=1)
    assert found.to_frame().set_index("check")["ok"]["heteroscedasticity"] is None
    assert "heteroscedasticity: undecided: all fitted values are the same" in repr(found)
    mx.check_model(model_of("singular"), rng=1)


def test_frequencies_leave_two_checks_out():
    m = mx.lmer("y_x ~ x + f + (x | g)", csv("forms"), freq_weights="k")
    found = mx.model_checks(m)
    assert found.predictions is None
    assert set(found.checks) == {"singularity", "collinearity", "normality", "heteroscedasticity"}
    assert mx.check_model(m).axes[0].get_title() == "Residuals and fitted values"


def test_methods_of_the_model():
    m = model_of("slopes")
    figure = m.plot(title="sleep", height=3)
    assert figure.get_size_inches()[1] == 3
    assert figure.get_suptitle() == "sleep"
    ax = m.qqmath(level=0.5, title="q")
    assert ax.get_title() == "q"


def test_refused():
    with pytest.raises(UnsupportedModelError):
        mx.model_checks("a model")
    with pytest.raises(InvalidArgumentError, match="n_sims=0"):
        mx.check_model(model_of("slopes"), n_sims=0)
    with pytest.raises(InvalidArgumentError, match="columns=0"):
        mx.check_model(model_of("slopes"), columns=0)

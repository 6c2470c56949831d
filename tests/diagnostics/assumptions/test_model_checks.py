import copy
import pickle

import numpy as np
import pytest
from lmer_models import csv, quiet
from performance_models import data_of, model_of
from tolerances import LMER_ESTIMATE

import merextras as mx
from merextras.exceptions import InvalidArgumentError, NoRowsError, UnsupportedModelError

CHECKS = [
    mx.check_collinearity,
    mx.check_heteroscedasticity,
    mx.check_normality,
    mx.check_outliers,
    mx.check_singularity,
]


def test_singularity():
    fine = mx.check_singularity(model_of("slopes"))
    assert (fine.ok, fine.singular, fine.advice) == (True, False, ())
    zero = mx.check_singularity(model_of("singular"))
    assert zero.verdict == "the variance of Intercept by Batch is zero"
    assert (zero.ok, zero.singular) == (False, True)
    one = mx.check_singularity(quiet("y_one ~ x + (x | g)", csv("forms")))
    assert one.verdict == "x by g is a combination of the term's other effects"
    np.testing.assert_allclose(one.to_frame()["given_others"][1], 0, atol=1e-6)
    assert mx.check_singularity(model_of("slopes"), tol=0.5).singular
    relative = mx.check_singularity(model_of("slopes")).to_frame()["relative_sd"]
    expected = np.sqrt(np.diag(model_of("slopes").covariances[0])) / model_of("slopes").sigma()
    np.testing.assert_allclose(relative, expected, rtol=1e-12)


@pytest.mark.parametrize("function", [*CHECKS, mx.check_predictions])
def test_results_are_frozen_and_print(function):
    check = function(model_of("slopes"))
    with pytest.raises(AttributeError):
        check.ok = True
    frame = check.to_frame()
    frame["a column"] = 0
    assert not check.to_frame().equals(frame)
    for one in (pickle.loads(pickle.dumps(check)), copy.deepcopy(check)):
        assert repr(one) == repr(check)
    mark = "ok: " if check.ok else "not ok: "
    assert repr(check).startswith(mark + check.verdict)
    assert all(f"- {text}" in repr(check) for text in check.advice)
    assert check._repr_html_().startswith("<pre>")


def test_densities_stay_read_only():
    check = pickle.loads(pickle.dumps(mx.check_predictions(model_of("slopes"), n_sims=5, rng=1)))
    with pytest.raises(ValueError, match="read-only"):
        check.simulated[0, 0] = 1


@pytest.mark.parametrize(
    ("function", "keywords", "message"),
    [
        (mx.check_normality, {"what": "fixed"}, "what='fixed': allowed: 'all', 'residuals'"),
        (mx.check_normality, {"alpha": 5}, "alpha=5"),
        (mx.check_heteroscedasticity, {"robust": "yes"}, "robust='yes': True or False"),
        (mx.check_heteroscedasticity, {"alpha": 0}, "alpha=0"),
        (mx.check_outliers, {"threshold": 0}, "threshold=0: a positive number"),
        (mx.check_outliers, {"threshold": "4/n"}, "threshold='4/n'"),
        (mx.check_outliers, {"alpha": 1}, "alpha=1"),
        (mx.check_singularity, {"tol": -1}, "tol=-1"),
        (mx.check_singularity, {"tol": True}, "tol=True"),
        (mx.check_predictions, {"n_sims": 0}, "n_sims=0"),
        (mx.check_predictions, {"rng": -1}, "rng=-1"),
        (mx.check_predictions, {"alpha": 95}, "alpha=95"),
    ],
)
def test_arguments(function, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        function(model_of("slopes"), **keywords)


@pytest.mark.parametrize("function", [*CHECKS, mx.check_predictions])
def test_another_model(function):
    with pytest.raises(UnsupportedModelError):
        function("a model")


def test_frequencies():
    m = mx.lmer("y_x ~ x + f + (x | g)", csv("forms"), freq_weights="k")
    with pytest.raises(InvalidArgumentError, match="frequency weights.*repeat the rows"):
        mx.check_outliers(m)
    with pytest.raises(UnsupportedModelError, match="frequency weights"):
        mx.check_predictions(m)
    assert mx.check_normality(m).to_frame()["n"][0] > 0


def test_models_without_rows_say_so():
    frame = data_of("sleepstudy")
    streamed = mx.lmer("Reaction ~ Days + (Days | Subject)", lambda: iter([frame]))
    assert mx.check_singularity(streamed).ok
    assert streamed.re_pca()["Subject"].sdev[0] == pytest.approx(0.96686, abs=1e-4)
    normal = mx.check_normality(streamed, what="random")
    expected = mx.check_normality(model_of("slopes"), what="random")
    np.testing.assert_allclose(normal.p_values, expected.p_values, rtol=100 * LMER_ESTIMATE)
    for function in (mx.check_normality, mx.check_outliers, mx.check_heteroscedasticity):
        with pytest.raises(NoRowsError):
            function(streamed)

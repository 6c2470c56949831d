"""Standard errors of a generalised model's predictions that hold no parameter at its estimate."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tolerances import PREDICTIONS_OF_TMB

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError

EXPECTED = json.loads(
    (Path(__file__).parents[2] / "reference" / "glmer_predict" / "expected.json")
    .read_text(encoding="utf-8")
)["models"]  # fmt: skip
CASES = {
    "cbpp": ("cbpp", "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", "binomial"),
    "slopes": ("contraception", "use ~ age + urban + (1 + urban | district)", "binomial"),
    "nb": ("cbpp", "size ~ C(period) + (1 | herd)", "negative_binomial"),
    "gamma": ("sleepstudy", "Reaction ~ Days + (Days | Subject)", "gamma(log)"),
}


def model(name, **options):
    data, formula, family = CASES[name]
    return mx.glmer(formula, mx.load_dataset(data), family, **options)


@pytest.mark.parametrize("name", CASES)
def test_they_are_glmmTMBs(name):
    m, expected = model(name), EXPECTED[name]
    rows = mx.load_dataset(CASES[name][0]).iloc[np.array(expected["rows"]) - 1]
    assert m.log_lik() == pytest.approx(expected["log_lik"], rel=1e-9)
    link = m.predict(rows, type="link", se_fit=True, adjust=True)
    np.testing.assert_allclose(link["fit"], expected["fit"], rtol=PREDICTIONS_OF_TMB)
    np.testing.assert_allclose(link["std_error"], expected["std_error"], rtol=PREDICTIONS_OF_TMB)
    mean = m.predict(rows, se_fit=True, adjust=True)
    np.testing.assert_allclose(
        mean["std_error"], expected["response_std_error"], rtol=PREDICTIONS_OF_TMB
    )
    plain = m.predict(rows, type="link", se_fit=True)
    assert np.max(np.abs(plain["std_error"] / link["std_error"] - 1.0)) > 1e-4


def test_they_are_those_of_rows_read_again():
    data = mx.load_dataset("contraception")
    formula = "use ~ age + (1 | district)"
    whole, again = mx.glmer(formula, data), mx.glmer(formula, data, chunk_size=500)
    found, expected = (
        m.predict(data.head(5), type="link", se_fit=True, adjust=True) for m in (again, whole)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_of_quadrature_they_change_little_and_are_there():
    laplace, nodes = (model("cbpp", n_agq=n) for n in (1, 9))
    found, near = (m.predict(type="link", se_fit=True, adjust=True) for m in (nodes, laplace))
    np.testing.assert_allclose(found["std_error"], near["std_error"], rtol=0.02)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
def test_at_a_boundary_and_with_intervals():
    data = mx.load_dataset("cbpp").assign(half=lambda d: d["size"] // 2)
    m = mx.glmer("cbind(half, size - half) ~ C(period) + (1 | herd)", data)
    assert m.is_singular()
    plain, adjusted = (m.predict(type="link", se_fit=True, adjust=a) for a in (False, True))
    np.testing.assert_allclose(adjusted, plain, rtol=1e-6)
    anew = m.predict(interval="prediction", adjust=True)
    assert anew["lower"].le(anew["upper"]).all()
    part = m.predict(type="link", random_only=True, se_fit=True, adjust=True)
    assert np.isfinite(part).all(axis=None)


def test_population_means_have_it_already():
    m = model("cbpp")
    plain, adjusted = (
        m.predict(re_form="population", se_fit=True, adjust=a) for a in (False, True)
    )
    assert plain.equals(adjusted)


def test_bad_arguments():
    m = model("cbpp")
    assert m.predict(se_fit=True, ddf="asymptotic").equals(m.predict(se_fit=True))
    with pytest.raises(UnsupportedModelError, match="ddf='satterthwaite'.*ddf='asymptotic'"):
        m.predict(se_fit=True, ddf="satterthwaite")
    with pytest.raises(InvalidArgumentError, match="adjust=2"):
        m.predict(se_fit=True, adjust=2)

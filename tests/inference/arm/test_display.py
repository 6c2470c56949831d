"""arm's short printed form."""

from __future__ import annotations

import pickle
import re

import mertools_models
import numpy as np
import pytest
from arm_models import CASES, MODELS, data_of, model, raw_fit
from tolerances import ARM, ARM_DEVIANCE

from merextras import lmer
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.inference.arm.display import display, fast_display
from merextras.results.estimates.var_corr import VarCorr


def words(lines, start):
    """The lines from one that starts so, without alignment; R's intercept as ours."""
    lines = [line.replace("(Intercept)", "Intercept").split() for line in lines]
    at = next(i for i, line in enumerate(lines) if " ".join(line).startswith(start))
    return lines[at:]


def numbers(lines):
    """Every number of the text, in order."""
    return [float(x) for x in re.findall(r"-?\d+\.\d+|-?\d+", " ".join(lines))]


@pytest.mark.parametrize(("name", "how"), CASES)
@pytest.mark.parametrize(
    ("key", "options"),
    [("display", {}), ("display_digits3_detail", {"digits": 3, "detail": True})],
)
def test_text_is_arms(name, how, key, options):
    """Word for word from the coefficients on, but for the call and the zeros after a point."""
    want = MODELS[name][how][key]
    have = display(model(name, how), **options).to_text().splitlines()
    assert words(have, "Error terms:")[:-2] == words(want, "Error terms:")[:-2]
    # R drops the .0 of an AIC, and prints an intercept alone as a vector.
    assert numbers(have[-2:]) == numbers(want[-2:])
    if name == "pastes" and not options:
        numeric = want[want.index("Error terms:") - 2]
        assert words(have, "Intercept")[0][1:] == numeric.split()
    else:
        n = 1 + len(model(name, how).fixef())
        assert words(have, "coef.est")[:n] == words(want, "coef.est")[:n]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_parts(name, how):
    want = MODELS[name][how]
    m = model(name, how)
    have = display(m)
    assert have.coefficients.columns.tolist() == ["coef_est", "coef_se"]
    np.testing.assert_array_equal(have.coefficients["coef_est"], m.fixef())
    np.testing.assert_allclose(have.coefficients["coef_se"], want["se_fixef"]["values"], rtol=ARM)
    np.testing.assert_allclose(have.dic, want["dic"], rtol=ARM_DEVIANCE)
    np.testing.assert_allclose(have.deviance, want["deviance_ml"], rtol=ARM_DEVIANCE)
    assert have.aic == m.aic()
    assert have.n == m.nobs()
    assert have.ngrps.equals(m.ngrps())
    assert isinstance(have.var_corr, VarCorr)


def test_detail_adds_the_ratio():
    have = display(model("sleepstudy"), detail=True).coefficients
    assert have.columns.tolist() == ["coef_est", "coef_se", "statistic"]
    np.testing.assert_allclose(have["statistic"], [36.838, 6.771], atol=5e-4)


@pytest.mark.parametrize(("digits", "text"), [(0, "0"), (1, "0.0"), (3, "-0.002")])
def test_rounded_to_zero_has_no_sign(digits, text):
    have = display(model("students"), digits=digits).to_text()
    line = next(line for line in have.splitlines() if line.startswith("social"))
    assert line.split()[1] == text


def test_call_of_a_raw_fit():
    first = display(raw_fit("sleepstudy")).to_text().splitlines()[0]
    call = 'mixedlm("Reaction ~ Days", data, groups="Subject", re_formula="1 + Days").fit()'
    assert first == call


def test_no_fixed_effects():
    m = lmer("strength ~ 0 + (1 | batch)", data_of("pastes"))
    assert "No fixed effects" in display(m).to_text()


def test_prints_and_pickles():
    have = display(model("pastes"))
    assert repr(have) == have.to_text()
    assert have._repr_html_().startswith("<pre>")
    assert repr(pickle.loads(pickle.dumps(have))) == repr(have)


@pytest.mark.parametrize("digits", [-1, 16, 2.0, True, "2", None])
def test_digits_are_checked(digits):
    with pytest.raises(InvalidArgumentError, match=r"digits=.*a whole number from 0 to 15"):
        display(model("students"), digits=digits)


def test_other_fits_are_refused():
    with pytest.raises(UnsupportedModelError, match="expected the fit"):
        display("a model")


@pytest.mark.parametrize("name", mertools_models.NAMES)
def test_without_the_refit(name):
    """merTools' fastdisp: as it is printed there, but for the call."""
    want = mertools_models.MODELS[name]["fastdisp"]
    have = fast_display(mertools_models.model(name))
    assert (have.dic, have.deviance) == (None, None)
    lines = have.to_text().splitlines()
    assert words(lines, "Error terms:")[:-1] == words(want, "Error terms:")[:-1]
    assert numbers(lines[-1:]) == numbers(want[-1:])
    assert lines[-1].startswith("AIC = ")


def test_without_the_refit_is_the_rest_of_it():
    m = model("sleepstudy", "REML")
    long, short = display(m, digits=4, detail=True), fast_display(m, digits=4, detail=True)
    assert long.to_text().startswith(short.to_text())
    assert short.coefficients.equals(long.coefficients)
    assert pickle.loads(pickle.dumps(short)).to_text() == short.to_text()
    with pytest.raises(InvalidArgumentError, match="digits=-1"):
        fast_display(m, digits=-1)

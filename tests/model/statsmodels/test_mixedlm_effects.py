"""Random effects: formulas, arrays, and patterns of free covariances."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import statsmodels.api as sm
from lme4_fits import (
    adapted,
    array_fit,
    diagonal,
    fitted,
    same_fit,
    statsmodels_fit,
)
from properties.compare import close
from statsmodels.regression.mixed_linear_model import MixedLMParams
from tolerances import ADAPTER_ESTIMATE

from merextras.exceptions import (
    InvalidArgumentError,
    UnsupportedModelError,
)
from merextras.mermod import MerMod

DAYS = {"groups": "Subject", "re_formula": "~Days"}


# --- Random effects ------------------------------------------------------------------------------


@pytest.mark.parametrize("re_formula", [None, "1", "~1", "~Days", "0+Days", "Days - 1", "Days"])
def test_re_formula(sleep, re_formula):
    m = fitted("Reaction ~ Days", sleep, groups="Subject", re_formula=re_formula)
    names = {
        "~Days": ("Intercept", "Days"),
        "Days": ("Intercept", "Days"),
        "0+Days": ("Days",),
        "Days - 1": ("Days",),
    }.get(re_formula, ("Intercept",))
    assert m.get_me("cnms") == [("Subject", names)]
    close(m.predict(sleep), m.fitted(), 1e-14)


def test_a_slope_only_in_the_random_part(sleep):
    m = fitted("Reaction ~ 1", sleep, **DAYS)
    assert list(m.coef()["Subject"]) == ["Intercept", "Days"]
    close(m.predict(sleep), m.fitted(), 1e-14)
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column\(s\) \['Days'\]"):
        m.predict(sleep[["Subject"]])


def test_no_intercept_at_all(sleep):
    m = fitted("Reaction ~ 0 + Days", sleep, groups="Subject", re_formula="0 + Days")
    assert m.formula() == "Reaction ~ 0 + Days + (0 + Days | Subject)"
    close(m.predict(sleep), m.fitted(), 1e-14)


def test_a_covariate_that_the_name_does_not_give_away(sleep):
    new = sleep.head(3)
    results = statsmodels_fit(
        "Reaction ~ Days", sleep, groups="Subject", re_formula="~np.sqrt(Days)"
    )
    m = adapted(results)
    assert "Days" in m.model_frame()
    with pytest.raises(
        UnsupportedModelError, match=r"'np\.sqrt\(Days\)' can't be made .*re_formul"
    ):
        m.predict(new)
    m.predict(new, re_form="NA")  # does not need it
    with_formula = adapted(results, re_formula="~np.sqrt(Days)")
    close(with_formula.predict(new), m.fitted().head(3), 1e-14)
    with pytest.raises(InvalidArgumentError, match="does not make the columns of the fit's term"):
        adapted(results, re_formula="~Days")


def test_a_transform_that_is_also_a_fixed_effect(sleep):
    m = fitted("Reaction ~ np.sqrt(Days)", sleep, groups="Subject", re_formula="~np.sqrt(Days)")
    close(m.predict(sleep), m.fitted(), 1e-14)


def test_a_categorical_random_effect(sleep):
    data = sleep.assign(half=np.where(sleep["Days"] > 4, "late", "early"))
    m = fitted("Reaction ~ half", data, groups="Subject", re_formula="~half")
    assert m.formula() == "Reaction ~ half + (1 + half | Subject)"
    close(m.predict(data), m.fitted(), 1e-14)
    close(m.update().fixef(), m.fixef(), ADAPTER_ESTIMATE)


# --- exog_re and plain arrays --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["numpy", "frame"])
@pytest.mark.parametrize("slope", [False, True])
def test_arrays(sleep, slopes, intercepts, kind, slope):
    x = sm.add_constant(sleep[["Days"]].astype(float))
    y, groups = sleep["Reaction"], sleep["Subject"]
    if kind == "numpy":
        x, y, groups = x.to_numpy(), y.to_numpy(), groups.to_numpy()
    m = array_fit(y, x, groups, exog_re=x if slope else None)
    same_fit(m, slopes if slope else intercepts)
    text = {
        ("numpy", False): "y ~ 1 + x1 + (1 | Group)",
        ("numpy", True): "y ~ 1 + x1 + (1 + x_re2 | Group)",
        ("frame", False): "Reaction ~ 1 + Days + (1 | Subject)",
        ("frame", True): "Reaction ~ 1 + Days + (1 + Days | Subject)",
    }[kind, slope]
    assert m.formula() == text
    close(m.predict(m.model_frame()), m.fitted(), 1e-14)
    close(m.update().get_me("b"), m.get_me("b"), ADAPTER_ESTIMATE)
    close(pickle.loads(pickle.dumps(m)).predict(m.model_frame()), m.fitted(), 1e-14)


def test_one_column_of_exog_re(sleep):
    x = np.column_stack([np.ones(180), sleep["Days"]])
    m = array_fit(sleep["Reaction"], x, sleep["Subject"], exog_re=sleep["Days"])
    assert m.get_me("cnms") == [("Subject", ("Days",))]
    with pytest.raises(InvalidArgumentError, match=r"needs the column\(s\) \['x1'\]"):
        m.predict(sleep)


def test_a_column_of_exog_re_with_the_name_of_another_column(sleep):
    """`Days` centred in one and not in the other: the name must not stand for both."""
    x = sm.add_constant(sleep[["Days"]].astype(float))
    centred = x.assign(Days=x["Days"] - 4.5)
    m = array_fit(sleep["Reaction"], x, sleep["Subject"], exog_re=centred)
    assert m.get_me("cnms") == [("Subject", ("Intercept", "Days_re"))]
    close(m.predict(m.model_frame()), m.fitted(), 1e-14)
    close(m.model_frame()["Days_re"], centred["Days"], 0)


def test_no_constant_among_arrays(sleep):
    m = array_fit(sleep["Reaction"], sleep[["Days"]].astype(float), sleep["Subject"])
    assert m.formula() == "Reaction ~ 0 + Days + (1 | Subject)"


# --- free= ---------------------------------------------------------------------------------------


def _free(cov_re, vcomp=None):
    k = len(cov_re)
    return MixedLMParams.from_components(
        fe_params=np.ones(k), cov_re=np.array(cov_re, dtype=float), vcomp=vcomp
    )


QUADRATIC = {"groups": "Subject", "re_formula": "~Days + I(Days**2)"}


def test_free_diagonal(uncorrelated):
    assert uncorrelated.get_me("cnms") == [("Subject", ("Intercept", "Days"))]
    assert uncorrelated.formula() == "Reaction ~ Days + diag(1 + Days | Subject)"
    assert list(uncorrelated.var_corr()) == ["Subject"]
    assert uncorrelated.var_corr()["Subject"].loc["Intercept", "Days"] == 0.0


def test_the_same_by_variance_components(sleep, uncorrelated):
    components = {"z": "1", "d": "0 + Days"}  # statsmodels sorts them by name
    m = fitted("Reaction ~ Days", sleep, groups="Subject", vc_formula=components)
    assert m.formula() == "Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)"
    same_fit(m, uncorrelated)
    m = fitted(
        "Reaction ~ Days", sleep, groups="Subject", re_formula="1", vc_formula={"d": "0 + Days"}
    )
    same_fit(m, uncorrelated)


def test_free_block(sleep):
    free = _free([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    m = fitted("Reaction ~ Days + I(Days**2)", sleep, fit={"free": free}, **QUADRATIC)
    assert m.get_me("cnms") == [
        ("Subject", ("Intercept", "I(Days ** 2)")),
        ("Subject", ("Days",)),
    ]


def test_free_without_blocks(sleep):
    results = statsmodels_fit(
        "Reaction ~ Days + I(Days**2)",
        sleep,
        fit={"free": _free([[1, 1, 0], [1, 1, 1], [0, 1, 1]])},
        **QUADRATIC,
    )
    with pytest.raises(UnsupportedModelError, match=r"free=: .* does not fall into blocks"):
        MerMod(results)


def test_free_with_something_held(sleep):
    held = statsmodels_fit("Reaction ~ Days", sleep, fit={"free": _free([[1, 0], [0, 0]])}, **DAYS)
    with pytest.raises(UnsupportedModelError, match="free=: a variance held at a fixed value"):
        MerMod(held)
    free = MixedLMParams.from_components(fe_params=np.ones(2), cov_re=np.eye(1), vcomp=np.zeros(1))
    held = statsmodels_fit(
        "Reaction ~ Days",
        sleep,
        groups="Subject",
        re_formula="1",
        vc_formula={"d": "0 + Days"},
        fit={"free": free},
    )
    with pytest.raises(UnsupportedModelError, match="free=: a variance component held fixed"):
        MerMod(held)


def test_free_everything(sleep, slopes):
    free = _free([[1, 1], [1, 1]])
    same_fit(fitted("Reaction ~ Days", sleep, fit={"free": free}, **DAYS), slopes)
    assert diagonal(2).cov_re.tolist() == [[1, 0], [0, 1]]

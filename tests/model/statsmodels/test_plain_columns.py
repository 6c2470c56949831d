"""A statsmodels fit on plain columns is read without a formula engine, as `lmer` reads it."""

from __future__ import annotations

import numpy as np
import patsy
import pytest
import statsmodels.formula.api as smf

import merextras as mx
from merextras.model.columns.plain_columns import PlainPart

pytestmark = pytest.mark.filterwarnings("ignore::merextras.exceptions.ConvergenceWarning")


def test_no_engine_is_asked(monkeypatch):
    fit = smf.mixedlm(
        "extro ~ open + agree", students := mx.load_dataset("students"), groups="school"
    ).fit()
    monkeypatch.setattr(patsy, "build_design_matrices", None)
    model = mx.MerMod(fit)
    assert isinstance(model.design.fixed, PlainPart)
    assert np.array_equal(model.design.x, fit.model.exog)
    new = students.head(3)
    assert np.array_equal(model.design.fixed.matrix(new), fit.model.exog[:3])


def test_other_columns_are_the_engines():
    fit = smf.mixedlm("extro ~ np.log(open) + agree", mx.load_dataset("students"), groups="school")
    model = mx.MerMod(fit.fit())
    assert not isinstance(model.design.fixed, PlainPart)
    assert list(model.fixef().index) == ["Intercept", "np.log(open)", "agree"]

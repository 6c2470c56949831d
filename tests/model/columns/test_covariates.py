"""Random-effects covariates for new data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.columns.covariates import Covariates
from merextras.model.columns.fixed import FormulaPart

FRAME = pd.DataFrame({"x": [1.0, 2.0, 3.0], "g": ["a", "b", "a"]})
FIXED = FormulaPart.from_formula("np.log(x) + g", FRAME)


def test_from_names():
    made = Covariates(("Intercept", "x", "np.log(x)", "g[T.b]")).matrix(FRAME, FIXED)
    np.testing.assert_allclose(
        made, np.column_stack([np.ones(3), FRAME["x"], np.log(FRAME["x"]), [0, 1, 0]])
    )


def test_from_a_formula():
    part = FormulaPart.from_formula("1 + np.sqrt(x)", FRAME)
    made = Covariates(part.names, part).matrix(FRAME, FIXED)
    np.testing.assert_allclose(made[:, 1], np.sqrt(FRAME["x"]))
    only = Covariates(("np.sqrt(x)",), part).matrix(FRAME, FIXED)
    np.testing.assert_allclose(only, made[:, [1]])


def test_a_name_that_says_too_little():
    with pytest.raises(UnsupportedModelError, match=r"'np\.sqrt\(x\)' can't be made for new data"):
        Covariates(("np.sqrt(x)",)).matrix(FRAME, FIXED)


def test_a_missing_column():
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column\(s\) \['z'\]"):
        Covariates(("z",)).matrix(FRAME, FIXED)


def test_text():
    with pytest.raises(InvalidArgumentError, match="newdata: column 'g' must be numeric"):
        Covariates(("g",)).matrix(FRAME, FIXED)


def test_nan_stays():
    made = Covariates(("x",)).matrix(FRAME.assign(x=[1.0, np.nan, 2.0]), FIXED)
    assert np.isnan(made[:, 0]).tolist() == [False, True, False]

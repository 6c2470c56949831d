"""Fitted values and residuals against lme4's."""

from __future__ import annotations

import numpy as np
import pytest
from lme4_fits import REAL, expected, model_of
from properties.compare import close
from tolerances import ADAPTER_ESTIMATE, ADAPTER_SQUARES

from merextras.exceptions import InvalidArgumentError


def test_fitted(case):
    m, lme4 = case
    close(np.sum(m.fitted() ** 2), lme4["fitted_sumsq"], ADAPTER_SQUARES)
    close(np.sum(m.residuals() ** 2), lme4["resid_sumsq"], ADAPTER_SQUARES)
    if "school" not in lme4["ngrps"]:  # rows of the bundled students are not the published ones
        close(m.fitted().head(10), lme4["fitted_head"], ADAPTER_ESTIMATE)


@pytest.mark.parametrize("name", ["students", "sleepstudy", "pastes"])
def test_residuals(name):
    if name == "students" and not REAL.exists():
        pytest.skip("the tutorial's own data are not here")
    m = model_of("accessors", name, real=name == "students")
    lme4 = expected("accessors")[name]["residuals"]
    rows = np.array(lme4["rows_1based"]) - 1
    size = float(np.max(np.abs(m.get_me("y"))))
    for kind in ("response", "pearson"):
        close(m.residuals(kind).iloc[rows], lme4[kind], ADAPTER_ESTIMATE, scale=size)
        scaled = m.residuals(kind, scaled=True).iloc[rows]
        close(scaled, lme4[f"{kind}_scaled"], ADAPTER_ESTIMATE, scale=size / m.sigma())
    close(np.sum(m.residuals() ** 2), lme4["sumsq"], ADAPTER_SQUARES)
    close(m.summary().scaled_residuals, lme4["scaled_quantiles"], 1e-6)


def test_without_weights_all_residuals_are_the_same(slopes):
    response = slopes.residuals("response")
    for kind in ("pearson", "working", "deviance"):
        np.testing.assert_array_equal(slopes.residuals(kind), response)
    close(response + slopes.fitted(), slopes.get_me("y"), 1e-15)


def test_an_unknown_kind(slopes):
    with pytest.raises(InvalidArgumentError, match=r"type='pearsn': .* did you mean 'pearson'"):
        slopes.residuals("pearsn")


def test_series_are_fresh_and_named(slopes):
    made = slopes.fitted()
    made[:] = 0.0
    assert slopes.fitted().abs().min() > 0
    assert (slopes.fitted().name, slopes.residuals().name) == ("fitted", "residuals")

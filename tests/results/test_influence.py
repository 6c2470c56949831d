"""The influence object: frames, definitions, text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import InvalidArgumentError
from merextras.results.estimates.influence import Influence


def made(**changes):
    """Three deletions by hand, the last without a fit."""
    nan = np.nan
    parts = {
        "group": "g",
        "levels": pd.Index(["a", "b", "c"]),
        "names": ("Intercept", "x"),
        "parameter_names": ("sd_Intercept|g", "cor_x.Intercept|g", "sd_x|g", "sigma"),
        "beta": np.array([10.0, 1.0]),
        "vcov": np.array([[4.0, 0.0], [0.0, 0.25]]),
        "parameters": np.array([2.0, 0.5, 0.0, 4.0]),
        "theta": np.array([0.5, 0.0, 0.0]),
        "betas": np.array([[12.0, 1.0], [10.0, 0.5], [nan, nan]]),
        "std_errors": np.array([[1.0, 0.5], [2.0, 0.25], [nan, nan]]),
        "parameter_values": np.array(
            [[3.0, 0.5, 1.0, 4.0], [1.0, 1.0, 0.0, 5.0], [nan, nan, nan, nan]]
        ),
        "thetas": np.full((3, 3), 0.5),
        "cov_ratio": np.array([0.9, 1.1, nan]),
        "cov_trace": np.array([0.1, 0.2, nan]),
        "displacement": np.array([1.0, 2.0, nan]),
        "n_deleted": np.array([5.0, 6.0, 7.0]),
        "method": "full",
        "reml": True,
        "reasons": {2: "there are no more rows left than fixed effects"},
    }
    return Influence(**{**parts, **changes})


def test_differences_are_without_less_with():
    found = made()
    assert found.dfbeta().loc["a"].tolist() == [2.0, 0.0]
    assert found.dfbetas().loc["b"].tolist() == [0.0, -2.0]
    assert found.dfbeta().loc["c"].isna().all()
    assert found.fixef.index.name == "g"


def test_cooks_distance():
    found = made()
    np.testing.assert_allclose(found.cooks_distance()[:2], [0.5, 0.5])
    np.testing.assert_allclose(found.cooks_distance("lme4")[:2], [0.5 / 3, 0.5 / 3])
    assert np.isnan(found.cooks_distance()["c"])
    with pytest.raises(InvalidArgumentError, match="definition='lm4': .* did you mean 'lme4'"):
        found.cooks_distance("lm4")


def test_changes_in_percent():
    """Of a standard deviation that is zero there is no share, of a correlation no sense in one."""
    found = made().change
    assert list(found.columns) == ["sd_Intercept|g", "sd_x|g", "sigma"]
    assert found.loc["a", "sd_Intercept|g"] == 50.0
    assert found.loc["b", "sigma"] == 25.0
    assert found["sd_x|g"].isna().all()


def test_measures():
    found = made().measures()
    assert list(found.columns) == [
        "n_deleted", "cooks_distance", "cov_ratio", "cov_trace", "displacement", "singular",
    ]  # fmt: skip
    assert found["n_deleted"].tolist() == [5, 6, 7]
    assert found["singular"].tolist() == [False, True, False]


def test_to_frame():
    frame = made().to_frame()
    assert list(frame.columns) == [
        "group", "level", "term", "estimate", "std_error", "change", "dfbetas", "percent",
    ]  # fmt: skip
    assert len(frame) == 3 * 6
    rows = frame.set_index(["level", "term"])
    columns = ["estimate", "std_error", "change", "dfbetas"]
    assert rows.loc[("a", "Intercept"), columns].tolist() == [12.0, 1.0, 2.0, 2.0]
    assert rows.loc[("b", "sigma"), ["estimate", "change", "percent"]].tolist() == [5.0, 1.0, 25.0]
    assert np.isnan(rows.loc[("b", "sigma"), "std_error"])
    frame.loc[:, "estimate"] = 0.0
    assert made().to_frame()["estimate"].iloc[0] == 12.0


def test_text():
    assert repr(made()) == (
        "Influence of 3 levels of g (refits, REML)\n"
        "the 2 largest Cook's distances:\n"
        "   n_deleted cooks_distance cov_ratio cov_trace displacement\n"
        "g                                                           \n"
        "a          5         0.5000    0.9000    0.1000        1.000\n"
        "b          6         0.5000    1.1000    0.2000        2.000\n"
        "no estimates without c: there are no more rows left than fixed effects"
    )
    one = repr(made(method="one-step", displacement=np.full(3, np.nan), reml=False, group="case"))
    assert one.startswith("Influence of 3 cases (one step in theta each, ML)")
    assert "displacement" not in one
    assert made()._repr_html_().startswith("<pre>Influence of 3")


def test_without_fixed_effects():
    found = made(
        names=(), beta=np.empty(0), vcov=np.empty((0, 0)), betas=np.empty((3, 0)),
        std_errors=np.empty((3, 0)),
    )  # fmt: skip
    assert found.cooks_distance().isna().all()
    assert "Influence of 3 levels of g" in repr(found)


def test_arrays_are_read_only():
    found = made()
    with pytest.raises(ValueError, match="read-only"):
        found.betas[0, 0] = 1.0
    assert len(found) == 3

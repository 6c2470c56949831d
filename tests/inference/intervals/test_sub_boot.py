"""Refits to resampled rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mertools_models import model
from properties.compare import close
from tolerances import SAME_ROWS

import merextras as mx
from merextras.exceptions import ApproximationWarning, InvalidArgumentError, MerextrasError
from merextras.model.design.resample_rows import sampled


def test_the_fit_itself_and_then_the_refits():
    m = model("students")
    frame = mx.sub_boot(m, n_sims=5, rng=1)
    assert frame["replicate"].tolist() == list(range(6))
    assert {"Intercept", "open", "agree", "social"} <= set(frame.columns)
    np.testing.assert_allclose(frame.loc[0, "open"], m.fixef()["open"])
    assert frame["open"].nunique() == 6
    assert frame.equals(mx.sub_boot(m, n_sims=5, rng=1))


def test_a_refit_is_the_fit_of_the_rows():
    """By `lmer` on the frame of the rows that were drawn."""
    m = model("sleepstudy")
    generator = np.random.default_rng(3).spawn(1)[0]
    rows = sampled(m.design, 150, generator).frame
    own = mx.lmer("Reaction ~ Days + (Days | Subject)", rows)
    frame = mx.sub_boot(m, mx.theta_extract, n=150, n_sims=1, rng=np.random.default_rng(3))
    close(frame.iloc[1, 1:], own.theta, SAME_ROWS)


def test_functions_of_all_kinds():
    m = model("students")
    frame = mx.sub_boot(m, lambda r: {"sigma": r.sigma(), "rmse": mx.rmse(r)}, n=200, n_sims=2)
    assert list(frame.columns) == ["replicate", "sigma", "rmse"]
    frame = mx.sub_boot(m, lambda r: r.nobs(), n=200, n_sims=2)
    assert frame["t1"].tolist() == [1200, 200, 200]
    frame = mx.sub_boot(m, mx.re_sd_extract, n_sims=1, rng=1)
    assert list(frame.columns) == ["replicate", "school.Intercept"]


def test_fewer_rows_spread_wider():
    m = model("students")
    few, all_ = (mx.sub_boot(m, n=n, n_sims=60, rng=1)["open"][1:].std() for n in (150, None))
    assert 1.7 < few / all_ < 4.5  # the square root of eight is 2.8


def test_levels_that_were_not_drawn_are_not_there():
    m = model("hsb")
    design = sampled(m.design, 200, np.random.default_rng(0))
    (term,) = design.terms
    assert len(term.levels) < 160
    assert len(term.levels) == term.rows.n_levels == design.frame["schid"].nunique()
    np.testing.assert_array_equal(term.levels[term.rows.codes], design.frame["schid"])


def test_rows_of_weight_zero_are_not_drawn_and_weights_go_along(sleep):
    weights = np.where(sleep["Days"] < 8, 1.0 + sleep["Days"], 0.0)
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=weights)
    design = sampled(m.design, 500, np.random.default_rng(0))
    np.testing.assert_array_equal(design.weights, 1.0 + design.frame["Days"])
    assert m.nobs() == 144
    assert mx.sub_boot(m, lambda r: r.nobs(), n_sims=1)["t1"].tolist() == [144, 144]


def test_a_row_that_counts_twice_is_drawn_twice_as_often(sleep):
    counts = np.where(sleep["Days"] == 9, 4, 1)
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep, freq_weights=counts)
    design = sampled(m.design, 20_000, np.random.default_rng(0))
    assert design.frequencies is None
    share = np.mean(design.frame["Days"] == 9)
    assert abs(share - 4 / 13) < 5 * np.sqrt(4 / 13 * 9 / 13 / 20_000)
    assert mx.sub_boot(m, lambda r: r.nobs(), n_sims=1)["t1"].tolist() == [234, 234]


def test_failures_are_counted_and_missing():
    calls = []

    def sometimes(m):
        calls.append(m)
        if len(calls) == 3:
            raise ZeroDivisionError("by design")
        return m.sigma()

    with pytest.warns(ApproximationWarning, match="1 of 3 refits failed.*ZeroDivisionError: by"):
        frame = mx.sub_boot(model("sleepstudy"), sometimes, n_sims=3, rng=1)
    assert frame["t1"].isna().tolist() == [False, False, True, False]


def test_rows_that_do_not_determine_the_model():
    data = mx.load_dataset("students").assign(rare=lambda d: (np.arange(len(d)) == 5).astype(float))
    m = mx.lmer("extro ~ rare + (1 | school)", data)
    with pytest.raises(MerextrasError, match="all 2 refits failed.*do not determine.*'rare'"):
        mx.sub_boot(m, n=20, n_sims=2, rng=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"func": 100}, "func=100: expected a function of a model"),
        ({"func": lambda _: "word"}, "func: must return a number"),
        ({"n": 0}, "n=0: must be a positive whole number"),
        ({"n": 10.5}, "n=10.5"),
        ({"n_sims": -1}, "n_sims=-1"),
        ({"rng": "seed"}, "rng='seed'"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.sub_boot(model("sleepstudy"), **arguments)


def test_another_number_of_values():
    m = model("sleepstudy")
    with pytest.raises(InvalidArgumentError, match="func: returned"):
        mx.sub_boot(m, lambda r: np.ones(1 if r is m else 2), n_sims=2)


def test_a_raw_fit():
    import statsmodels.formula.api as smf

    fit = smf.mixedlm("extro ~ open", mx.load_dataset("students"), groups="school").fit()
    frame = mx.sub_boot(fit, n=300, n_sims=2, rng=1)
    assert isinstance(frame, pd.DataFrame)
    assert frame.notna().all(axis=None)

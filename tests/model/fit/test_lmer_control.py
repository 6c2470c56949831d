"""`lmer`: control, warnings, the call, pickles."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from lmer_models import SLOPES, csv, quiet, same
from properties.compare import close

from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    RankDeficientWarning,
    SingularFitWarning,
    UnsupportedModelError,
)
from merextras.fit_lmer import lmer
from merextras.mermod import MerMod
from merextras.model.state.control import LmerControl


@pytest.fixture(scope="module")
def forms():
    return csv("forms")


@pytest.fixture(scope="module")
def plain(sleep):
    return lmer(SLOPES, sleep)


# --- control --------------------------------------------------------------------------------------


def test_a_given_start(sleep, plain):
    m = lmer(SLOPES, sleep, control=LmerControl(start=plain.theta))
    assert m.opt_summary.initial == tuple(plain.theta)
    assert m.opt_summary.n_iterations <= 2
    same(m, plain)
    same(lmer(SLOPES, sleep, control=LmerControl(start=(5.0, -3.0, 0.001))), plain)
    same(lmer(SLOPES, sleep, control=LmerControl(start=[0, 0, 0])), plain)
    assert "z" not in m.update("Reaction ~ Days + (1 | Subject)").fixef()  # another length
    one = lmer("Reaction ~ Days + (1 | Subject)", sleep, control=LmerControl(start=1.5))
    assert one.opt_summary.initial == (1.5,)


def test_an_unfinished_fit_warns(sleep):
    control = LmerControl(max_iterations=1)
    with pytest.warns(ConvergenceWarning, match="not converged: the deviance could still fall"):
        m = lmer(SLOPES, sleep.iloc[7:], control=control)
    assert not m.opt_summary.converged
    with pytest.warns(ConvergenceWarning):
        m.update(". ~ . + I(Days**2)")


def test_a_looser_tolerance_stops_earlier(sleep):
    some = sleep.iloc[7:]  # of all, which are balanced, the start is the optimum
    plain, loose = lmer(SLOPES, some), lmer(SLOPES, some, control=LmerControl(tolerance=1e-2))
    assert loose.opt_summary.n_iterations < plain.opt_summary.n_iterations
    close(loose.theta, plain.theta, 0.1)


def test_checks_can_be_left_out(forms):
    formula = "y ~ x + (1 | g) + (x | g)"
    with pytest.raises(InvalidArgumentError, match="the effect 'Intercept' of 'g' is in two terms"):
        lmer(formula, forms)
    with pytest.warns(ConvergenceWarning, match="can't be told apart"):
        m = quiet(formula, forms, control=LmerControl(check=False))
    told = pytest.warns(ConvergenceWarning, match="can't be told apart")
    with told, pytest.warns(SingularFitWarning):
        m.update("y_null ~ . + z", data=forms)
    close(m.reml_crit(), quiet("y ~ x + (x | g)", forms).reml_crit(), 1e-9)


def test_rank_deficient_designs(forms):
    data = forms.assign(x2=2 * forms["x"])
    with pytest.warns(RankDeficientWarning, match=r"dropped 1 column\(s\): x2") as caught:
        m = lmer("y ~ x + x2 + (1 | g)", data)
    assert caught[0].filename == __file__
    same(m, lmer("y ~ x + (1 | g)", forms))
    assert m.fixef(add_dropped=True).isna().to_dict() == {
        "Intercept": False,
        "x": False,
        "x2": True,
    }
    close(m.predict(data), m.fitted(), 1e-12)
    strict = LmerControl(rank_deficient="raise")
    with pytest.raises(InvalidArgumentError, match=r"column\(s\) \['x2'\] are determined by"):
        lmer("y ~ x + x2 + (1 | g)", data, control=strict)
    with pytest.raises(InvalidArgumentError, match=r"\['x2'\]"):
        lmer("y ~ x + (1 | g)", data, control=strict).update(". ~ . + x2", data=data)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"start": (1.0,)}, r"control.start=\(1.0,\): expected 3 finite number"),
        ({"start": (1.0, np.nan, 1.0)}, "control.start"),
        ({"start": 1.0}, r"control.start=1.0: expected 3 finite number"),
        ({"start": "abc"}, "control.start='abc'"),
    ],
)
def test_bad_starts(sleep, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        lmer(SLOPES, sleep, control=LmerControl(**keywords))


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"rank_deficient": "keep"}, "rank_deficient='keep': allowed: 'drop', 'raise'"),
        ({"formula_engine": "r"}, "formula_engine='r': allowed: 'patsy', 'formulaic'"),
        ({"max_iterations": 0}, "max_iterations=0: must be a positive whole number"),
        ({"tolerance": -1.0}, "tolerance=-1.0: a number between 0 and 1"),
        ({"tolerance": "small"}, "tolerance='small'"),
    ],
)
def test_bad_controls(keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        LmerControl(**keywords)


# --- warnings, calls, pickles ---------------------------------------------------------------------


def test_singular_fits_warn_wherever_they_are_made(forms):
    with pytest.warns(SingularFitWarning, match="singular fit") as caught:
        m = lmer("y_null ~ x + (1 | g) + (1 | h)", forms)
    regular = lmer("y ~ x + (1 | g)", forms)
    again = [
        m.refit_ml,
        lambda: m.refit(forms["y_null"] + 1),
        lambda: m.update(". ~ . + z", data=forms),
        lambda: regular.update("y_null ~ x + (1 | g) + (1 | h)", data=forms),
    ]
    assert caught[0].filename == __file__
    for fit in again:
        with pytest.warns(SingularFitWarning) as caught:
            fit()
        assert [w.filename for w in caught] == [__file__]


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({}, 'lmer("y ~ x + (1 | g)", data)'),
        ({"reml": False}, 'lmer("y ~ x + (1 | g)", data, reml=False)'),
        ({"weights": "w"}, 'lmer("y ~ x + (1 | g)", data, weights="w")'),
        ({"freq_weights": "k", "offset": np.ones(360)}, ', data, freq_weights="k", offset=offset)'),
        ({"contrasts": {"e": "Sum"}}, 'lmer("y ~ x + (1 | g)", data)'),
    ],
)
def test_the_call(forms, keywords, text):
    m = lmer("y ~ x + (1 | g)", forms, **keywords)
    assert m.call().endswith(text)
    assert m.get_me("call") == m.call()


def test_the_call_has_contrasts_that_are_used(forms):
    m = lmer("y ~ e + (1 | g)", forms, contrasts={"e": "Sum"}, reml=False)
    assert m.call() == """lmer("y ~ e + (1 | g)", data, reml=False, contrasts={'e': 'Sum'})"""
    assert m.update(". ~ . + x", data=forms, reml=True).call().startswith('lmer("y ~ e + x')


def test_a_pickled_model_is_the_model(forms):
    formula = "y ~ f + np.log(x) + offset(z) + (x | g) + (1 | h)"
    m = quiet(formula, forms, weights="w", contrasts={"f": "Sum"})
    again = pickle.loads(pickle.dumps(m))
    assert isinstance(again, MerMod)
    assert repr(again) == repr(m)
    close(again.predict(forms), m.predict(forms), 1e-14)
    up, there = again.update(". ~ . + e", data=forms), m.update(". ~ . + e", data=forms)
    assert up.fixef().index.tolist() == there.fixef().index.tolist()
    close(up.fixef(), there.fixef(), 1e-9)


def test_a_pickle_leaves_the_callers_names(forms):
    def local(values):
        return values + 1

    m = lmer("y ~ local(x) + (1 | g)", forms)
    again = pickle.loads(pickle.dumps(m))
    close(again.fitted(), m.fitted(), 0)
    close(again.refit_ml().fixef(), m.refit_ml().fixef(), 1e-9)
    with pytest.raises(UnsupportedModelError, match="can't be evaluated again after unpickling"):
        again.predict(forms.head())

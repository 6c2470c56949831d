"""Verbs of a generalised model whose rows are read again: as in memory, or an error that helps."""

from __future__ import annotations

import functools
import pickle

import glmm_models as models
import numpy as np
import pytest

import merextras as mx
from merextras.exceptions import NoRowsError

FITS = {
    "yes": "yes ~ x + (1 + x | g)",
    "count": "count ~ x + offset(0.1 * x) + (1 | g) + (1 | h)",
    "size": "size ~ x + (1 | g)",
    "spread": "spread ~ x + (1 | g)",
}


@functools.cache
def fitted(response, streamed):
    family = models.FAMILIES[response]
    return mx.glmer(FITS[response], models.rows(), family, chunk_size=70 if streamed else None)


def _numbers(found):
    frame = found if hasattr(found, "select_dtypes") else found.to_frame()
    return frame.select_dtypes("number").to_numpy()


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("response", FITS)
@pytest.mark.parametrize("verb", [mx.r2, mx.icc, mx.variance_decomposition])
def test_shares_of_variance_are_those_of_rows_in_memory(response, verb):
    again, whole = (_numbers(verb(fitted(response, streamed))) for streamed in (True, False))
    np.testing.assert_allclose(again, whole, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_median_odds_ratios():
    for response in ("yes", "count"):
        again, whole = (mx.median_odds_ratio(fitted(response, s)) for s in (True, False))
        np.testing.assert_allclose(again, whole, rtol=1e-6)


def _double(values):
    return 2.0 * values


#: By response: a change of the formula, and what else is given.
UPDATES = {
    "less": ("count ~ x + z + (1 | g) + (1 | h)", ". ~ . - z - (1 | h)", "poisson", {}),
    "more": ("count ~ x + (1 | g)", ". ~ . + x:f + (1 | h)", "poisson", {}),
    "offset": ("count ~ f + offset(0.1 * x) + (1 | g)", ". ~ . - f", "poisson", {}),
    "names": ("count ~ _double(x) + f + (1 | g)", ". ~ . - f", "poisson", {}),
    "contrasts": ("count ~ x + f + (1 | g)", ". ~ . - x", "poisson", {"contrasts": {"f": "Sum"}}),
    "response": ("count ~ x + (1 | g)", "yes ~ .", "binomial", {}),
    "pair": ("cbind(k, s - k) ~ x + f + (1 | g)", ". ~ . - f", "binomial", {}),
    "weights": ("share ~ x + f + (1 | g)", ". ~ . - f", "binomial", {"weights": "s"}),
    "nothing": ("count ~ x + (1 | g)", None, "poisson", {}),
}


def _data():
    data, rng = models.rows(), np.random.default_rng(7)
    n = len(data)
    data = data.assign(z=rng.normal(size=n), f=rng.choice(list("abc"), n))
    data = data.assign(s=rng.integers(2, 9, n))
    data = data.assign(k=rng.binomial(data["s"], 0.4))
    return data.assign(share=data["k"] / data["s"])


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("name", UPDATES)
def test_an_update_reads_the_source_again(name):
    formula, change, family, given = UPDATES[name]
    first = "poisson" if formula.startswith("count") else family
    m = mx.glmer(formula, _data(), first, chunk_size=70, **given)
    again = m.update(change, family=None if first == family else family)
    whole = mx.glmer(again.formula(), _data(), family, **given)
    assert not again.design.keeps_rows
    assert again.log_lik() == pytest.approx(whole.log_lik(), rel=1e-9)
    assert list(again.fixef().index) == list(whole.fixef().index)
    np.testing.assert_allclose(again.fixef(), whole.fixef(), rtol=1e-5, atol=1e-7)
    assert again.call() == whole.call()


def test_an_update_without_its_source():
    with pytest.raises(NoRowsError, match="pickled since, and its source is not with it"):
        pickle.loads(pickle.dumps(fitted("yes", True))).update(". ~ 1 + (1 | g)")


@pytest.mark.parametrize(
    "verb",
    [
        mx.rmse,
        mx.all_fit,
        lambda m: mx.bootstrap(m, n_sims=2),
        lambda m: mx.bootstrap(m, kind="cases", n_sims=2),
        lambda m: mx.bootstrap(m, lambda f: f.fixef(), n_sims=2),
        lambda m: mx.icc(m, ci="bootstrap", n_sims=2),
        lambda m: m.confint(method="boot", n_sims=2),
        mx.shrinkage,
        lambda m: mx.power(m, "x", n_sims=2),
        lambda m: m.update(data=models.rows()),
        lambda m: m.update(weights=np.ones(len(models.rows()))),
        lambda m: m.update(offset="x"),
        lambda m: m.update(offset=None),
        lambda m: m.refit(models.rows()["yes"]),
        mx.step,
        mx.ranova,
        lambda m: m.drop1(),
        lambda m: m.anova(fitted("yes", False)),
        lambda m: mx.cross_validate(m, by="g"),
        lambda m: m.simulate(),
    ],
)
def test_what_needs_rows_says_so(verb):
    with pytest.raises(NoRowsError, match=r"keeps no rows"):
        verb(fitted("yes", True))

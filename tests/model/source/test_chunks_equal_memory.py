"""Whatever the formula and the frame: chunks give what memory gives, and both engines the same.

X, codes, names, the criterion at one theta, the estimates there and predictions are compared; or
both refuse.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from fuzz_share import examples, part
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.formulas import formulas, frames
from tolerances import CHUNKS_COLUMNS, CHUNKS_DEVIANCE, CHUNKS_ESTIMATES

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MerextrasError, MerextrasWarning
from merextras.model.state.fitting import fit_at


def fitted(formula, data, **options):
    """The model, or the error that it is refused with."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        try:
            return mx.lmer(formula, data, reml=False, **options)
        except MerextrasError as err:
            return err


def at(model, theta):
    """The model at a theta, where no search has ended."""
    return mx.MerMod._of(fit_at(model.design, theta, reml=False))


def compare(formula, data, size, rows):
    whole, parts = fitted(formula, data), fitted(formula, data, chunk_size=size)
    if isinstance(whole, MerextrasError) or isinstance(parts, MerextrasError):
        assert isinstance(whole, MerextrasError), f"{formula}: only chunks: {parts}"
        assert isinstance(parts, MerextrasError), f"{formula}: only memory: {whole}"
        return
    _same_design(whole, parts, data)
    theta = np.where(whole.theta == 0.0, 0.0, np.maximum(whole.theta, 0.3))
    one, other = at(whole, theta), at(parts, theta)
    assert other.deviance() == pytest.approx(one.deviance(), rel=CHUNKS_DEVIANCE)
    assert parts.deviance() == pytest.approx(whole.deviance(), rel=1e-6)
    apart = (other.fixef() - one.fixef()) / np.sqrt(np.diag(one.vcov()))
    assert np.all(np.abs(apart) < CHUNKS_ESTIMATES)
    new = data.iloc[rows].reset_index(drop=True)
    for re_form in (None, "NA"):
        wanted = one.predict(new, re_form=re_form)
        scale = CHUNKS_ESTIMATES * one.sigma() + 1e-9 * np.abs(wanted)
        gap = np.abs(other.predict(new, re_form=re_form) - wanted)
        assert gap.isna().equals(wanted.isna())
        assert np.all(gap.isna() | (gap <= scale))


def _same_design(whole, parts, data):
    """Names, X and codes, row by row."""
    assert parts.fixef().index.tolist() == whole.fixef().index.tolist()
    assert parts.n_dropped == whole.n_dropped
    structure = parts.design.structure
    rows = structure.rows(data.reset_index(drop=True))
    kept = [structure.fixed.names.index(name) for name in parts.design.fixed.names]
    x = whole.design.x
    size = np.maximum(np.max(np.abs(x), axis=0, initial=0.0), 1.0)
    assert np.max(np.abs(rows.x[:, kept] - x) / size, initial=0.0) < CHUNKS_COLUMNS
    np.testing.assert_allclose(rows.y, whole.design.y, rtol=CHUNKS_COLUMNS)
    for mine, theirs, own in zip(parts.design.terms, whole.design.terms, rows.terms, strict=True):
        assert (mine.factor, mine.names) == (theirs.factor, theirs.names)
        assert list(mine.levels) == list(theirs.levels)
        np.testing.assert_array_equal(own.codes, theirs.rows.codes)
        np.testing.assert_allclose(own.values, theirs.rows.values, rtol=1e-8, atol=1e-9)


@settings(max_examples=examples(25))
@given(formulas(), frames(), st.sampled_from([7, 31, 1000]), st.integers(0, 2**32 - 1))
def test_chunks_are_memory(formula, data, size, seed):
    rows = np.random.default_rng(seed).choice(len(data), 6)
    compare(formula, data, size, rows)


@pytest.mark.slow
@settings(max_examples=part(500))
@given(formulas(), frames(), st.sampled_from([1, 7, 31, 50, 1000]), st.integers(0, 2**32 - 1))
def test_chunks_are_memory_at_length(formula, data, size, seed):
    rows = np.random.default_rng(seed).choice(len(data), 6)
    compare(formula, data, size, rows)


def compare_engines(formula, data):
    control = mx.LmerControl(formula_engine="formulaic")
    one, other = fitted(formula, data), fitted(formula, data, control=control)
    if isinstance(one, MerextrasError) or isinstance(other, MerextrasError):
        assert isinstance(one, MerextrasError), f"{formula}: only formulaic: {other}"
        assert isinstance(other, MerextrasError), f"{formula}: only patsy: {one}"
        return
    assert len(other.fixef()) == len(one.fixef())
    theta = np.maximum(one.theta, 0.3)
    mine, theirs = at(one, theta), at(other, theta)
    if [t.names for t in one.design.terms] == [t.names for t in other.design.terms]:
        assert theirs.deviance() == pytest.approx(mine.deviance(), rel=CHUNKS_DEVIANCE)
        new = data.head(5).reset_index(drop=True)
        wanted, found = mine.predict(new, re_form="NA"), theirs.predict(new, re_form="NA")
        assert np.all(found.isna() == wanted.isna())
        known = wanted.notna()
        np.testing.assert_allclose(found[known], wanted[known], rtol=1e-6, atol=1e-6)


@settings(max_examples=examples(25))
@given(formulas(), frames())
def test_engines_agree(formula, data):
    compare_engines(formula, data)


@pytest.mark.slow
@settings(max_examples=part(400))
@given(formulas(), frames())
def test_engines_agree_at_length(formula, data):
    compare_engines(formula, data)


def _numbers():
    rng = np.random.default_rng(4)
    n = 120
    data = pd.DataFrame({"x": rng.normal(size=n), "z": rng.normal(size=n), "g": np.arange(n) % 8})
    noise = rng.normal(size=n) + rng.normal(size=8)[data["g"]]
    return data.assign(y=data["x"] + noise, c=rng.poisson(2.0, n))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("np.exp(1e3 * x)", "infinite or undefined values in"),
        ("np.log(x)", "there is no value in some rows, such as the logarithm"),
        ("scale(np.exp(1e3 * x))", "there is no value in some rows, such as the logarithm"),
        ("I(1 / (x - x))", "infinite or undefined values in"),
        ("z + offset(np.log(x))", "there is no value in some rows, such as the logarithm"),
        ("z + offset(np.exp(1e3 * x))", "infinite or undefined values in"),
    ],
)
def test_what_code_makes_of_numbers_without_it(code, said):
    """Told by ours, in the same words; numpy's own warnings would be errors here."""
    for size in (None, 30):
        for random in (f"{code} + (1 | g)", f"1 + (0 + {code} | g)"):
            if "offset" in code and "(0" in random:
                continue
            with pytest.raises(InvalidArgumentError, match=said):
                mx.lmer(f"y ~ {random}", _numbers(), chunk_size=size)
        with pytest.raises(InvalidArgumentError, match=said):
            mx.glmer(f"c ~ {code} + (1 | g)", _numbers(), "poisson", chunk_size=size)
    for size in (None, 30):
        with pytest.raises(InvalidArgumentError, match="there is no value in some rows"):
            mx.lmer("np.log(x) ~ z + (1 | g)", _numbers(), chunk_size=size)


@pytest.mark.parametrize("size", [None, 30])
def test_rows_to_predict_may_have_no_value(size):
    data = _numbers().assign(u=lambda d: np.abs(d["x"]) + 1.0)
    m = mx.lmer("y ~ np.log(u) + (1 | g)", data, chunk_size=size)
    found = m.predict(data[:3].assign(u=[-1.0, 0.0, 2.0]))
    assert np.isnan(found[0])
    assert np.isinf(found[1])
    assert np.isfinite(found[2])


@pytest.mark.filterwarnings("ignore::merextras.exceptions.RankDeficientWarning")
@pytest.mark.parametrize("power", [150, 154, 158, 165, 200, 310, 320])
@pytest.mark.parametrize("formula", ["y ~ z + I(x * {}) + (1 | g)", "y ~ I(x * {}) + (1 + z | g)"])
def test_columns_whose_squares_vanish(formula, power):
    """A column is of use, or left out, in chunks as in memory."""
    formula = formula.format(f"1e-{power}")
    whole, parts = fitted(formula, _numbers()), fitted(formula, _numbers(), chunk_size=30)
    assert list(whole.fixef().index) == list(parts.fixef().index)
    assert len(whole.fixef()) == 2 + ("z +" in formula) - (power > 162)
    assert parts.deviance() == pytest.approx(whole.deviance(), rel=1e-8)
    count, kept = formula.replace("y", "c", 1), list(whole.fixef().index)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        streamed = mx.glmer(count, _numbers(), "poisson", chunk_size=30)
    assert list(streamed.fixef().index) == kept

"""Whatever the formula and the frame: chunks give what memory gives, and both engines the same.

X, codes, names, the criterion at one theta, the estimates there and predictions are compared; or
both refuse.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from fuzz_share import examples, part
from hypothesis import given, settings
from hypothesis import strategies as st
from properties.formulas import formulas, frames
from tolerances import CHUNKS_COLUMNS, CHUNKS_DEVIANCE, CHUNKS_ESTIMATES

import merextras as mx
from merextras.exceptions import MerextrasError, MerextrasWarning
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

"""Fixed-effects columns that others determine: those that R's lm and lme4 drop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lmer_models import csv, expected, in_r, model_of
from properties.compare import close

from merextras.exceptions import InvalidArgumentError, RankDeficientWarning
from merextras.model.design.build import build_design
from merextras.model.design.rank import KeptColumns, dependent_columns, full_rank


@st.composite
def designs(draw):
    """A matrix with columns that are sums of earlier ones, and which these are."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n, p = draw(st.integers(1, 30)), draw(st.integers(1, 8))
    columns, dependent, independent = [], [], []
    for j in range(p):
        if draw(st.booleans()) or len(independent) == n:
            weights = rng.normal(size=len(columns))
            column = np.column_stack([np.zeros(n), *columns]) @ np.r_[0.0, weights]
            dependent.append(j)
        else:
            column = rng.normal(size=n)
            independent.append(j)
        columns.append(column)
    return np.column_stack(columns), dependent


@given(designs())
def test_columns_that_earlier_ones_determine(design):
    x, dependent = design
    assert dependent_columns(x) == dependent


@given(designs(), st.integers(0, 1000))
def test_units_do_not_matter(design, seed):
    x, dependent = design
    units = 10.0 ** np.random.default_rng(seed).integers(-12, 12, x.shape[1])
    assert dependent_columns(x * units) == dependent


def test_what_is_nearly_determined():
    """lme4's tolerance: a column of which less than 1e-7 is new."""
    rng = np.random.default_rng(1)
    x, e = rng.normal(size=(2, 200))
    assert dependent_columns(np.column_stack([x, x + 1e-9 * e])) == [1]
    assert dependent_columns(np.column_stack([x, x + 1e-5 * e])) == []


@pytest.mark.parametrize(
    ("x", "dependent"),
    [
        (np.empty((5, 0)), []),
        (np.zeros((5, 2)), [0, 1]),
        (np.ones((5, 3)), [1, 2]),
        (np.eye(2, 4), [2, 3]),
        (np.array([[1.0, 2.0, 3.0]]), [1, 2]),
    ],
)
def test_edges(x, dependent):
    assert dependent_columns(x) == dependent


def test_the_columns_that_lme4_keeps():
    m = model_of("deficient")
    assert sorted(map(in_r, m.fixef().index)) == sorted(
        expected("deficient")["REML"]["beta"]["names"]
    )
    part = m.design.fixed
    assert isinstance(part, KeptColumns)
    assert set(part.dropped) == {"x2", "same"}
    assert part.names == part.kept
    data = csv("forms").assign(x2=0.0, same=0.0)
    close(part.matrix(data), m.design.x, 0)
    assert {"x", "x2", "f", "z", "same"} == set(part.variables)
    with pytest.raises(InvalidArgumentError, match="x2"):
        part.matrix(data.drop(columns="x2"))


def test_empty_cells_of_an_interaction():
    forms = csv("forms")
    some = forms[(forms["f"] != "c") | (forms["e"] != "v")]
    design, _ = build_design("y ~ f * e + (1 | g)", some)
    with pytest.warns(RankDeficientWarning, match=r"dropped 1 column\(s\): f\[T.c\]:e\[T.v\]"):
        kept = full_rank(design)
    assert np.linalg.matrix_rank(kept.x) == kept.x.shape[1] == 5


def test_a_design_of_full_rank_is_itself():
    design, _ = build_design("y ~ x + (1 | g)", csv("forms"))
    assert full_rank(design) is design


def test_raise():
    design, _ = build_design("y ~ x + I(2 * x) + (1 | g)", csv("forms"))
    with pytest.raises(
        InvalidArgumentError, match=r"\['I\(2 \* x\)'\] are determined by the others"
    ):
        full_rank(design, "raise")

"""New data as rows of a model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from properties.compare import close
from sim_models import SHAPES, fitted
from tolerances import SAME_DRAWS

import merextras as mx
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError
from merextras.model.newdata.rows import fixed_rows, new_rows, number_unseen, own_rows
from merextras.model.statsmodels.mixedlm import as_fitted

STUDENTS = load_dataset("students")


def own_data(model):
    """The model's own frame, in an order and with an index of its own."""
    order = np.random.default_rng(1).permutation(model.design.n)
    frame = model.design.frame.iloc[order]
    return order, frame.set_axis([f"row {i}" for i in order], axis=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_own_data_gives_the_design(shape):
    model = fitted(shape)
    order, data = own_data(model)
    rows = new_rows(model, data)
    np.testing.assert_array_equal(rows.x, model.design.x[order])
    np.testing.assert_array_equal(fixed_rows(model.design, data), rows.x)
    for t, term in enumerate(model.design.terms):
        np.testing.assert_array_equal(rows.codes[t], term.rows.codes[order])
        np.testing.assert_array_equal(rows.values[t], term.rows.values[order])
        exact = term.rows.sparse()[order]
        assert rows.z[t].shape == exact.shape
        assert abs(rows.z[t] - exact).max() == 0.0
    mu = rows.x @ model.solution.beta + sum(rows.effects(model.solution.b))
    close(mu, model.mu[order], SAME_DRAWS)
    np.testing.assert_array_equal(rows.prior(model.solution.lams), 0.0)


def test_take():
    rows = new_rows(fitted("nested"), STUDENTS)
    part = rows.take(slice(5, 9))
    assert (len(rows), len(part)) == (1200, 4)
    for whole, some in zip(rows.z, part.z, strict=True):
        assert abs(whole[5:9] - some).max() == 0.0


def test_unknown_levels_as_zero():
    model = fitted("slopes")
    data = pd.DataFrame({"Days": [2, 3, 4], "Subject": [308, 1, np.nan]})
    rows = new_rows(model, data, unknown="zero")
    assert rows.codes[0].tolist() == [0, -1, -1]
    assert np.diff(rows.z[0].indptr).tolist() == [2, 0, 0]
    assert rows.effects(model.solution.b)[0][1:].tolist() == [0.0, 0.0]
    covariance = model.covariances[0] / model.solution.sigma2
    z = np.column_stack([np.ones(3), [2, 3, 4]])
    exact = np.einsum("mk,kl,ml->m", z, covariance, z)
    prior = rows.prior(model.solution.lams)
    assert prior[0] == 0.0
    np.testing.assert_allclose(prior[1:], exact[1:])


def test_unknown_levels_as_an_error():
    data = pd.DataFrame({"Days": [2, 3], "Subject": [308, 1]})
    with pytest.raises(InvalidArgumentError, match=r"newdata: levels of 'Subject'.*: '1'; allowed"):
        new_rows(fitted("slopes"), data)


def test_unknown_levels_of_the_wrong_type():
    data = pd.DataFrame({"Days": [2], "Subject": ["308"]})
    with pytest.raises(InvalidArgumentError, match=r"they are of type int, not str"):
        new_rows(fitted("slopes"), data)


def test_unknown_levels_of_a_factor_with_many():
    data = STUDENTS.head(2).assign(school="I", **{"class": ["a", "e"]})
    with pytest.raises(
        InvalidArgumentError, match=r"'e:I'; it has 24 levels: 'a:I', .*\(24 in all\); did you mean"
    ):
        new_rows(fitted("nested"), data)


def test_terms_that_are_left_out_need_no_columns():
    model = fitted("nested")
    rows = new_rows(model, STUDENTS.drop(columns="class"), terms=model.design.terms_of("school"))
    assert np.all(rows.codes[0] == -1)
    assert rows.z[0].nnz == 0
    assert rows.z[1].nnz == 1200
    assert rows.effects(model.solution.b)[0].tolist() == [0.0] * 1200
    np.testing.assert_array_equal(rows.prior(model.solution.lams), 0.0)
    rows = new_rows(model, STUDENTS.drop(columns=["class", "school"]), terms=[])
    assert rows.x.shape == (1200, 4)


def test_missing_predictors_are_nan():
    rows = new_rows(fitted("slopes"), pd.DataFrame({"Days": [np.nan, 1], "Subject": [308, 308]}))
    assert np.isnan(rows.x).any(axis=1).tolist() == [True, False]
    assert np.isnan(rows.values[0][0]).tolist() == [False, True]


def test_refuses_what_is_no_data():
    model = fitted("nested")
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column\(s\) \['open'\]"):
        new_rows(model, STUDENTS.drop(columns="open"))
    with pytest.raises(InvalidArgumentError, match=r"cases: needs the column\(s\) \['class'\]"):
        new_rows(model, STUDENTS.drop(columns="class"), name="cases")
    with pytest.raises(InvalidArgumentError, match="newdata: the frame has no rows"):
        new_rows(model, STUDENTS.head(0))
    with pytest.raises(
        InvalidArgumentError, match="newdata: expected a pandas DataFrame, got list"
    ):
        new_rows(model, [1.0])
    with pytest.raises(InvalidArgumentError, match="unknown='drop': allowed: 'error', 'zero'"):
        new_rows(model, STUDENTS, unknown="drop")
    data = pd.DataFrame({"Days": ["x"], "Subject": [308]})
    with pytest.raises(InvalidArgumentError, match="cases: column 'Days' must be numeric"):
        new_rows(fitted("slopes"), data, name="cases")


def test_categories_are_named_after_the_argument():
    model = as_fitted(smf.mixedlm("extro ~ Q('class')", STUDENTS, groups="school").fit())
    data = STUDENTS.head(1).assign(**{"class": "z"})
    with pytest.raises(InvalidArgumentError, match=r"^cases: "):
        new_rows(model, data, name="cases")
    with pytest.raises(InvalidArgumentError, match=r"^newdata: "):
        new_rows(model, data)


@pytest.mark.parametrize("shape", SHAPES)
def test_own_rows_are_those_of_the_design(shape):
    model = fitted(shape)
    rows, again = own_rows(model.design), new_rows(model, model.design.frame)
    np.testing.assert_array_equal(rows.x, again.x)
    for one, other in zip(rows.z, again.z, strict=True):
        assert abs(one - other).max() == 0.0
    some = own_rows(model.design, [0])
    assert all(z.nnz == 0 for z in some.z[1:])
    assert all(not values.any() for values in some.values[1:])


def test_numbers_of_unseen_levels():
    model = fitted("nested")
    data = STUDENTS.head(5).assign(
        school=["I", "X", "Y", "X", None], **{"class": ["a", "a", "a", "b", "a"]}
    )
    rows = new_rows(model, data, unknown="zero")
    inner, outer = number_unseen(model.design, data, rows, range(2))
    assert inner.tolist() == [-1, 0, 1, 2, 3]
    assert outer.tolist() == [-1, 0, 1, 0, 2]
    outer_only = model.design.terms_of("school")
    inner, outer = number_unseen(model.design, data, rows, outer_only)
    assert set(inner) == {-1}
    assert outer.tolist() == [-1, 0, 1, 0, 2]


def test_take_by_numbers():
    rows = new_rows(fitted("nested"), STUDENTS)
    part = rows.take(np.array([7, 3]))
    np.testing.assert_array_equal(part.x, rows.x[[7, 3]])
    np.testing.assert_array_equal(part.codes[0], rows.codes[0][[7, 3]])


@pytest.mark.parametrize("code", ["c", "C(c)", "C(c, Sum)"])
def test_other_categories_than_the_fits(students, code):
    """Categories are a column's own affair; its values count."""
    data = students.assign(c=pd.Categorical(students["class"]))
    model = mx.lmer(f"extro ~ {code} + (1 | school)", data)
    same = data.head(6)
    other = same.assign(c=pd.Categorical(list(same["c"]), categories=["e", "d", "c", "b", "a"]))
    np.testing.assert_array_equal(model.predict(other), model.predict(same))
    np.testing.assert_array_equal(
        model.predict(same.assign(c=same["c"].cat.remove_unused_categories())), model.predict(same)
    )
    with pytest.raises(InvalidArgumentError, match="'e' does not match any of the expected levels"):
        model.predict(same.assign(c=pd.Categorical(["e"] * 6)))

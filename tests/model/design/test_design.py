"""Designs: levels of new data, order of terms, what is kept."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from properties.compare import close

from merextras.model.columns.levels import labels_of
from merextras.model.design.design import in_order


def test_labels_of_one_column_are_its_values():
    for values in ([1, 2], ["a", "b"], [1.5, 2.0], [True, False]):
        frame = pd.DataFrame({"g": values})
        assert labels_of(frame, ["g"]).tolist() == values
        assert labels_of(frame.astype("category"), ["g"]).tolist() == values


def test_labels_of_several_columns_are_joined():
    frame = pd.DataFrame({"a": [1, 2], "b": pd.Categorical(["x", "y"]), "c": [1.0, 2.5]})
    assert labels_of(frame, ["a", "b"]).tolist() == ["1:x", "2:y"]
    assert labels_of(frame, ["b", "a", "c"]).tolist() == ["x:1:1", "y:2:2.5"]


def test_labels_do_not_depend_on_the_index():
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]}, index=[7, 7])
    assert labels_of(frame, ["a", "b"]).tolist() == ["1:3", "2:4"]


def test_codes_of_new_data(slopes, nested):
    (term,) = slopes.design.terms
    new = pd.DataFrame({"Subject": [372, 1, 308]})
    assert term.codes_of(new).tolist() == [17, -1, 0]
    assert term.codes_of(new.astype(float)).tolist() == [17, -1, 0]
    assert term.codes_of(new.astype(str)).tolist() == [-1, -1, -1]
    new = pd.DataFrame({"class": ["a", "e"], "school": ["II", "I"]})
    assert nested.design.terms[0].codes_of(new).tolist() == [1, -1]
    missing = pd.DataFrame({"class": ["a", None], "school": [np.nan, "I"]})
    assert nested.design.terms[0].codes_of(missing).tolist() == [-1, -1]


def test_terms_are_in_lme4s_order(nested, crossed):
    terms = nested.design.terms
    assert [term.factor for term in in_order(terms[::-1])] == ["class:school", "school"]
    assert crossed.design.factors == ["plate", "sample"]


def test_terms_of(uncorrelated):
    assert uncorrelated.design.factors == ["Subject"]
    assert uncorrelated.design.terms_of("Subject") == [0]


def test_z_times_b_is_the_random_part(nested):
    design = nested.design
    b = nested.get_me("b")
    close(design.x @ nested.get_me("beta") + design.z() @ b, nested.fitted(), 1e-13)


def test_fixed_counterparts(slopes):
    design = slopes.design
    assert design.constant == "Intercept"
    assert design.fixed_name("Days") == "Days"
    assert design.fixed_name("Intercept") == "Intercept"
    assert design.fixed_name("x") is None


def test_cross_products_of_another_response(slopes):
    design = slopes.design
    close(design.cross_products(design.y * 2).xy[-1, -1], 4 * design.cross_products().xy[-1, -1], 0)


def test_designs_are_compared_by_identity(slopes):
    design = slopes.design
    assert design == design  # noqa: PLR0124
    assert design != copy.copy(design)
    assert len({design, design.terms[0]}) == 2


def test_designs_pickle(slopes):
    design = pickle.loads(pickle.dumps(slopes.design))
    np.testing.assert_array_equal(design.x, slopes.design.x)
    pd.testing.assert_frame_equal(design.frame, slopes.design.frame)


def test_designs_are_frozen(slopes):
    with pytest.raises(AttributeError, match="cannot assign to field 'y'"):
        slopes.design.y = np.zeros(180)

"""Files of the format's first version, which the first revisions wrote: they are read.

Those beside this file were written at commit 6be9141, of ``table()``: products with the effects
as the user counts them. A site may have kept such a file and not its rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from chunk_models import MODELS, assert_same, table
from mutated_products import opened
from tolerances import OLD_FILE

import merextras as mx
from merextras.model.products.described import VERSION

FILES = {path.stem: path for path in (Path(__file__).parent / "version_1").glob("*.npz")}


@pytest.fixture(scope="module")
def data():
    return table()


def loaded(name):
    return mx.load_cross_products(FILES[name], trust_formula=True)


def test_there_are_some():
    assert sorted(FILES) == ["crossed", "slope", "transforms", "weights"]
    assert {opened(path)[0]["version"] for path in FILES.values()} == {1}


@pytest.mark.parametrize("name", FILES)
def test_the_fit_is_that_of_the_rows(data, name):
    formula, kwargs = MODELS[name]
    found, expected = mx.MerMod.from_cross_products(loaded(name)), mx.lmer(formula, data, **kwargs)
    assert_same(found, expected)
    assert found.log_lik() == pytest.approx(expected.log_lik(), rel=OLD_FILE)
    np.testing.assert_allclose(found.fixef(), expected.fixef(), rtol=OLD_FILE)
    np.testing.assert_allclose(found.sigma(), expected.sigma(), rtol=OLD_FILE)
    rows = data.dropna()
    np.testing.assert_allclose(found.predict(rows), expected.predict(rows), rtol=OLD_FILE)


@pytest.mark.parametrize("name", FILES)
def test_it_is_written_again_in_the_present_format(data, tmp_path, name):
    made = loaded(name)
    made.save(tmp_path / "new.npz")
    assert opened(tmp_path / "new.npz")[0]["version"] == VERSION
    again = mx.load_cross_products(tmp_path / "new.npz", trust_formula=True)
    one, other = map(mx.MerMod.from_cross_products, (made, again))
    assert one.log_lik() == other.log_lik()


def test_what_is_zero_does_not_depend_on_the_file(data):
    """The effects have the coordinates that they have in a new file."""
    made, new = loaded("slope"), mx.cross_products(MODELS["slope"][0], data)
    own, expected = made.products.basis.effects[0], new.products.basis.effects[0]
    np.testing.assert_allclose(own.transform, expected.transform, rtol=1e-5)


def test_an_old_and_a_new_file_add_up(data):
    formula = MODELS["slope"][0]
    other = table(2000).iloc[1500:]
    both = loaded("slope") + mx.cross_products(formula, other)
    expected = mx.cross_products(formula, data) + mx.cross_products(formula, other)
    found, expected = map(mx.MerMod.from_cross_products, (both, expected))
    assert found.log_lik() == pytest.approx(expected.log_lik(), rel=OLD_FILE)
    np.testing.assert_allclose(found.fixef(), expected.fixef(), rtol=OLD_FILE)

"""Influence: how groups are named, what is refused, R's names, pickling."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from influence_models import brute, model_of, same_as_a_fit, ten_groups
from lme4_fits import fitted
from properties.compare import close
from tolerances import SAME_DELETION

import merextras as mx
from merextras import r
from merextras.exceptions import InvalidArgumentError
from merextras.results.estimates.influence import Influence


@pytest.fixture(scope="module")
def subjects():
    return model_of("slopes").influence("Subject")


@pytest.fixture(scope="module")
def table():
    return ten_groups()


def test_labels(table):
    """Categorical labels, unused categories, a column called class, the user's index."""
    frame = table.rename(columns={"g": "class"})
    frame["class"] = pd.Categorical([f"c{i}" for i in frame["class"]], [f"c{i}" for i in range(12)])
    frame.index = [f"row{i}" for i in range(80)]
    m = mx.lmer("y ~ x + (1 | class)", frame)
    found = m.influence("class")
    assert list(found.levels) == [f"c{i}" for i in range(10)]
    assert found.fixef.index.name == "class"
    assert m.influence().fixef.index.tolist() == list(frame.index)
    by_column = m.influence(frame["class"].sample(frac=1.0, random_state=1))
    assert by_column.group == "class"
    np.testing.assert_array_equal(by_column.betas, found.betas)
    np.testing.assert_array_equal(m.influence(np.array(frame["class"])).betas, found.betas)


def test_missing_values_and_labels_by_column(table):
    frame = table.copy()
    frame.loc[[3, 40], "x"] = np.nan
    m = mx.lmer("y ~ x + (1 | g)", frame)
    found = m.influence(frame["rare"])
    assert found.group == "rare"
    same_as_a_fit(found, 1, brute("y ~ x + (1 | g)", frame, frame["rare"] != "b"))
    assert found.n_deleted.tolist() == [70, 8]


def test_of_a_statsmodels_fit(sleep):
    m = fitted("Reaction ~ Days", sleep, groups="Subject", re_formula="~Days")
    found = m.influence("Subject")
    close(found.betas, model_of("slopes").influence("Subject").betas, SAME_DELETION)
    kept = mx.MerMod.influence(m, "Subject", method="one-step")
    assert kept.reml


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"groups": "Subjct"}, r"groups='Subjct': neither a factor .* did you mean 'Subject'"),
        ({"groups": "Subject", "method": "two"}, r"method='two': allowed: 'full', 'one-step'"),
        ({"groups": "Subject", "n_jobs": 0}, "n_jobs=0"),
        (
            {"groups": [1, 2]},
            "expected the name of a factor, or 180 labels .* got 2 with 0 missing",
        ),
        ({"groups": [None] * 180}, "got 180 with 180 missing"),
        ({"groups": pd.Series(1, index=range(5))}, "the Series has another index than the rows"),
    ],
)
def test_errors(keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        model_of("slopes").influence(**keywords)


def test_functions_by_rs_names(subjects):
    m = model_of("slopes")
    np.testing.assert_array_equal(r.influence(m, "Subject").betas, subjects.betas)
    assert r.dfbeta(subjects).equals(subjects.dfbeta())
    assert r.dfbetas(model=subjects).equals(subjects.dfbetas())
    assert r.cooks_distance(subjects).equals(subjects.cooks_distance())
    assert r.cooks_distance(m).equals(m.cooks_distance())
    with pytest.raises(InvalidArgumentError, match=r"expected what m.influence\(\) returned"):
        r.dfbeta(m)


def test_a_result_pickles_and_knows_no_model(subjects):
    again = pickle.loads(pickle.dumps(subjects))
    assert isinstance(again, Influence)
    assert repr(again) == repr(subjects)
    assert not again.betas.flags.writeable
    assert len(pickle.dumps(subjects)) < 20_000

"""Standard errors of predictions: weights, offsets, missing values, kinds of labels."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from interval_models import dense_covariance, sd
from oracle.dense import dense_lambda, dense_pls, dense_z
from properties.compare import close
from scipy import stats
from tolerances import DENSE_STANDARD_ERROR

from merextras import lmer
from merextras.datasets import load_dataset
from merextras.engine.products.term_rows import TermRows
from merextras.exceptions import InvalidArgumentError
from merextras.model.newdata.rows import own_rows
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at
from merextras.prediction.rows.predict import predict

# --- Weights, offsets, missing values ------------------------------------------------------------


@pytest.fixture(scope="module")
def weighted(sleep):
    data = sleep.assign(w=np.tile([1.0, 2.0, 0.5, 0.0, 4.0], 36), far=sleep["Days"] * 3.0)
    m = lmer("Reaction ~ Days + (Days | Subject)", data, weights="w", offset="far")
    return m, data


def test_weights_and_offset(weighted):
    m, data = weighted
    made = m.predict(interval="prediction", ddf="asymptotic", level=0.5)
    rows = [term.rows for term in m.design.terms]
    z, lam = dense_z(rows), dense_lambda(rows, m.solution.lams)
    used = data["w"].to_numpy() > 0
    y = (data["Reaction"] - data["far"]).to_numpy()
    found = dense_pls(
        m.design.x[used], y[used], z[used], lam, data["w"].to_numpy()[used], reml=True
    )
    a = np.hstack([z, m.design.x])
    variance = np.einsum("mi,ij,mj->m", a, found["joint"], a)
    sigma2 = found["sigma2"]
    close(made["std_error"], np.sqrt(sigma2 * variance), DENSE_STANDARD_ERROR)
    half = np.sqrt(sigma2 * (variance[used] + 1 / data["w"][used])) * stats.norm.ppf(0.75)
    close((made["upper"] - made["fit"])[used], half, DENSE_STANDARD_ERROR)
    assert made[["lower", "upper"]][~used].isna().all(axis=None)  # no observation
    assert made[["fit", "std_error"]].notna().all(axis=None)
    again = m.predict(data, interval="prediction", ddf="asymptotic", level=0.5)
    pd.testing.assert_frame_equal(again, made)


@pytest.mark.parametrize("weights", [2.0, 2, [2.0, 2.0, 2.0], "twos", pd.Series([2.0] * 3)])
def test_weights_of_new_data(weighted, weights):
    m, data = weighted
    new = data.head(3).drop(columns="w").assign(twos=2.0)
    with pytest.raises(InvalidArgumentError, match="weights: 'w' is not a column of the data"):
        m.predict(new, interval="prediction")
    made = m.predict(new, interval="prediction", weights=weights)
    close(made, m.predict(new.assign(w=2.0), interval="prediction"), 1e-15)
    plain = m.predict(new, interval="prediction", weights=1)
    assert np.all(plain["upper"] > made["upper"])
    assert m.predict(new, se_fit=True).notna().all(axis=None)  # needs none


def test_weights_by_array(sleep):
    m = lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=np.full(180, 2.0))
    with pytest.raises(InvalidArgumentError, match="by array, whose values for newdata are not"):
        m.predict(sleep.head(2), interval="prediction")
    made = m.predict(sleep.head(2), interval="prediction", weights=2)
    close(made, m.predict(interval="prediction").head(2), 1e-13)


def test_missing_values_give_nan(weighted):
    m, data = weighted
    new = data.head(5).assign(w=[1.0, 1.0, 1.0, np.nan, 1.0], far=[0, np.nan, 0, 0, 0])
    new.loc[0, "Days"] = np.nan
    made = m.predict(new, interval="prediction", ddf="satterthwaite")
    assert made.isna().all(axis=1).tolist() == [True, True, False, False, False]
    assert made["upper"].isna().tolist() == [True, True, False, True, False]
    assert made["std_error"].notna().tolist() == [False, False, True, True, True]


def test_left_out_covariates_are_needed_for_predictions_only(sleep):
    m = lmer("Reaction ~ 1 + (Days | Subject)", sleep)
    new = pd.DataFrame({"other": [1.0, 2.0]}, index=["a", "a"])
    made = m.predict(new, re_form="NA", se_fit=True)
    assert made.index.tolist() == ["a", "a"]
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column\(s\) \['Days'\]"):
        m.predict(new, re_form="NA", interval="prediction")
    wide = m.predict(new.assign(Days=[0.0, 9.0]), re_form="NA", interval="prediction")
    assert (wide["upper"] - wide["lower"]).is_monotonic_increasing
    assert made["fit"].tolist() == wide["fit"].tolist()


def test_rows_are_independent_of_one_another(crossed):
    """A missing row, or another order, changes nothing."""
    data = crossed.model_frame()
    whole = crossed.predict(data, se_fit=True)
    some = data.iloc[[100, 3]]
    close(crossed.predict(some, se_fit=True), whole.iloc[[100, 3]], 1e-13)


def test_after_pickling(nested, students):
    again = pickle.loads(pickle.dumps(nested))
    close(again.predict(students, se_fit=True), nested.predict(students, se_fit=True), 1e-13)


@pytest.mark.parametrize("groups", [["b", "a"], pd.Categorical(["b", "a"], ["c", "b", "a"])])
def test_kinds_of_labels(groups):
    data = pd.DataFrame({"g": np.repeat(["a", "b", "c", "d"], 5), "class": np.arange(20.0) % 5})
    rng = np.random.default_rng(1)
    data["y"] = data["class"] + rng.standard_normal(20) + np.repeat([0, 3, -2, 5], 5)
    m = lmer("y ~ class + (1 | g)", data)
    new = pd.DataFrame({"g": groups, "class": [1.0, 2.0]})
    close(m.predict(new, se_fit=True), m.predict(data.iloc[[6, 2]], se_fit=True), 1e-14)


def test_one_level_and_one_row_per_level():
    data = load_dataset("dyestuff").assign(row=np.arange(30), one=1)
    model = lmer("Yield ~ 1 + (1 | Batch)", data)
    design = model.design
    for column, codes in (("row", np.arange(30)), ("one", np.zeros(30, dtype=np.intp))):
        levels = pd.Index(np.unique(data[column]), dtype=object)
        rows = TermRows(codes, np.ones((30, 1)), len(levels))
        term = replace(design.terms[0], factor=column, columns=(column,), levels=levels, rows=rows)
        made = FittedModel(fit_at(replace(design, terms=(term,)), np.array([0.7]), reml=True))
        exact, _ = dense_covariance(made, own_rows(made.design))
        close(predict(made, se_fit=True)["std_error"], sd(made, exact), DENSE_STANDARD_ERROR)

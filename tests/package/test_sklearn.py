"""The scikit-learn estimator: its conventions, pipelines, grids, and the same numbers as lmer."""

from __future__ import annotations

import numpy as np
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from merextras.sklearn import MixedModelRegressor

SLEEP = mx.load_dataset("sleepstudy")
X, Y = SLEEP[["Days", "Subject"]], SLEEP["Reaction"]
FORMULA = "~ Days + (Days | Subject)"


CHECKS = list(estimator_checks_generator(MixedModelRegressor()))


@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=range(len(CHECKS)))
def test_it_keeps_the_conventions(estimator, check):
    check(estimator)


def test_it_is_the_model_of_lmer():
    found = MixedModelRegressor(FORMULA).fit(X, Y)
    m = mx.lmer("Reaction" + FORMULA, SLEEP)
    np.testing.assert_allclose(found.predict(X), m.predict(), rtol=1e-9)
    np.testing.assert_allclose([found.intercept_, *found.coef_], m.fixef(), rtol=1e-9)
    fixed = MixedModelRegressor(FORMULA, re_form="NA").fit(X, Y).predict(X)
    np.testing.assert_allclose(fixed, m.predict(re_form="NA"), rtol=1e-9)
    new = X.head(2).assign(Subject=1)
    np.testing.assert_allclose(found.predict(new), m.predict(new, re_form="NA"), rtol=1e-9)
    with pytest.raises(InvalidArgumentError, match="has not seen"):
        MixedModelRegressor(FORMULA, new_levels="error").fit(X, Y).predict(new)


def test_the_default_formula_and_arrays():
    by_name = MixedModelRegressor(group_columns="Subject").fit(X, Y)
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    np.testing.assert_allclose(by_name.predict(X), m.predict(), rtol=1e-9)
    array = MixedModelRegressor("~ x0 + (1 | x1)").fit(X.to_numpy(float), Y.to_numpy())
    np.testing.assert_allclose(array.predict(X.to_numpy(float)), m.predict(), rtol=1e-9)


def test_cross_validation_of_both_is_the_same():
    folds = cross_val_predict(
        MixedModelRegressor(FORMULA), X, Y, groups=X["Subject"], cv=GroupKFold(18)
    )
    ours = mx.cross_validate(mx.lmer("Reaction" + FORMULA, SLEEP), by="Subject")
    np.testing.assert_allclose(folds, ours.rows["fit"], rtol=1e-6)


def test_in_a_pipeline_and_a_grid():
    scaled = ColumnTransformer(
        [("days", StandardScaler(), ["Days"])],
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipe = make_pipeline(scaled, MixedModelRegressor(FORMULA))
    formulas = ["~ Days + (1 | Subject)", FORMULA]
    grid = GridSearchCV(
        pipe,
        {"mixedmodelregressor__formula": formulas},
        scoring="neg_root_mean_squared_error",
    )
    order = np.random.default_rng(1).permutation(len(X))
    grid.fit(X.iloc[order], Y.iloc[order])
    assert grid.best_params_["mixedmodelregressor__formula"] == FORMULA
    assert clone(pipe[-1]).get_params()["formula"] == FORMULA


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formula": FORMULA, "group_columns": "Subject"}, "group_columns"),
        ({"group_columns": "School"}, "group_columns='School'.*Days"),
        ({"group_columns": []}, "group_columns"),
        ({"formula": 3}, "formula=3"),
        ({"formula": FORMULA, "re_form": "all"}, "re_form='all'"),
        ({"formula": FORMULA, "new_levels": "draw"}, "new_levels='draw'"),
        ({"formula": "~ Days"}, "no random-effects term"),
    ],
)
def test_bad_arguments_say_what_is_allowed(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        MixedModelRegressor(**arguments).fit(X, Y)


def test_missing_values_are_refused():
    with pytest.raises(InvalidArgumentError, match="X: there are missing"):
        MixedModelRegressor(FORMULA).fit(X.assign(Days=np.nan), Y)
    with pytest.raises(InvalidArgumentError, match="y: there are missing"):
        MixedModelRegressor(FORMULA).fit(X, Y.where(Y > 250.0))

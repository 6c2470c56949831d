"""Groups of any kind and any index, and either formula engine."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from lme4_fits import (
    adapted,
    fitted,
    same_fit,
    statsmodels_fit,
)
from properties.compare import close
from tolerances import ADAPTER_ESTIMATE

DAYS = {"groups": "Subject", "re_formula": "~Days"}


# --- Groups --------------------------------------------------------------------------------------

CATEGORIES = ["350", "308", "unused", "372"]  # not in alphabetical order


def _variants(sleep):
    subject = sleep["Subject"]
    text = subject.astype(str)
    rest = [c for c in sorted(text.unique()) if c not in CATEGORIES]
    return {
        "int": subject,
        "text": text,
        "object": text.astype(object),
        "float": subject / 2,
        "category": pd.Series(pd.Categorical(text, [*CATEGORIES, *rest])),
        "ordered": pd.Series(pd.Categorical(text, [*CATEGORIES, *rest], ordered=True)),
        "Int64": subject.astype("Int64"),
        "datetime": pd.Timestamp("2020-01-01") + pd.to_timedelta(subject, unit="D"),
        "string": text.astype("string"),
    }


VARIANTS = ["int", "text", "object", "float", "category", "ordered", "Int64", "datetime", "string"]


@pytest.mark.parametrize("kind", VARIANTS)
@pytest.mark.parametrize("how", ["name", "series", "array", "list"])
def test_groups_of_any_kind(sleep, intercepts, kind, how):
    groups = _variants(sleep)[kind]
    data = sleep.drop(columns="Subject")
    if how == "name":
        m = fitted("Reaction ~ Days", data.assign(g=groups), groups="g")
    else:
        given = {"series": groups, "array": np.asarray(groups), "list": list(groups)}[how]
        m = fitted("Reaction ~ Days", data, groups=given)
    name = "g" if how == "name" else "Group"
    assert list(m.ngrps().items()) == [(name, 18)]
    close(m.fitted(), intercepts.fitted(), ADAPTER_ESTIMATE)
    newdata = data.assign(**{name: groups})
    close(m.predict(newdata), m.fitted(), 1e-14)
    assert set(m.ranef()[name].index) == set(groups)
    if kind in {"category", "ordered"} and how == "name":
        assert list(m.ranef()["g"].index[:3]) == ["350", "308", "372"]
    close(pickle.loads(pickle.dumps(m)).predict(newdata), m.fitted(), 1e-14)


def test_two_groups_of_booleans(sleep):
    m = fitted("Reaction ~ Days", sleep.assign(late=sleep["Subject"] > 340), groups="late")
    assert m.ranef()["late"].index.tolist() == [False, True]
    close(m.predict(sleep.assign(late=sleep["Subject"] > 340)), m.fitted(), 1e-14)


def test_groups_given_as_an_array_take_the_name_of_their_column(sleep, intercepts):
    for groups in (sleep["Subject"].to_numpy(), sleep["Subject"]):
        m = fitted("Reaction ~ Days", sleep, groups=groups)
        assert m.formula() == "Reaction ~ Days + (1 | Subject)"
        same_fit(m, intercepts)


def test_a_column_named_group_that_is_not_the_groups(sleep, intercepts):
    data = sleep.assign(Group=1.0)
    m = fitted("Reaction ~ Days", data, groups=sleep["Subject"] * 2)
    assert m.formula() == "Reaction ~ Days + (1 | Group)"
    close(m.model_frame()["Group"], sleep["Subject"] * 2, 0)
    same_fit(m, intercepts)


def test_columns_that_are_no_use_do_not_disturb(sleep, intercepts):
    data = pd.concat(
        [
            pd.DataFrame({"na": pd.array([pd.NA] * 180, dtype="Int64"), "list": [[1, 2]] * 180}),
            pd.DataFrame(np.zeros((180, 2)), columns=["twice", "twice"]),
            sleep,
        ],
        axis=1,
    )
    m = fitted("Reaction ~ Days", data, groups=sleep["Subject"].to_numpy())
    assert list(m.model_frame()) == ["Reaction", "Days", "Subject"]
    same_fit(m, intercepts)


def test_shuffled_rows(sleep, slopes):
    shuffled = sleep.sample(frac=1, random_state=3)
    m = fitted("Reaction ~ Days", shuffled, **DAYS)
    same_fit(m, slopes)
    assert m.fitted().index.equals(shuffled.index)
    close(m.fitted().sort_index(), slopes.fitted(), ADAPTER_ESTIMATE)


INDEXES = {
    "text": [f"r{i}" for i in range(180)],
    "duplicates": [0, 1] * 90,
    "reversed": list(range(180))[::-1],
    "multi": pd.MultiIndex.from_product([range(18), range(10)], names=["s", "d"]),
    "dates": pd.date_range("2020-01-01", periods=180),
    "categories": pd.CategoricalIndex(["a", "b"] * 90),
}


@pytest.mark.parametrize("kind", INDEXES)
@pytest.mark.parametrize("dropped", [False, True])
def test_the_users_index_is_kept(sleep, slopes, kind, dropped):
    data = sleep.astype({"Days": float}).set_axis(INDEXES[kind], axis=0)
    if dropped:
        data.iloc[[3, 50], 0] = np.nan
        data.iloc[60, 1] = np.nan
    m = fitted("Reaction ~ Days", data, **DAYS, **({"missing": "drop"} if dropped else {}))
    index = data.dropna().index
    for series in (m.fitted(), m.residuals(), m.predict(), m.weights(), m.model_frame()):
        assert series.index.equals(index)
    assert m.predict(data).index.equals(data.index)
    assert m.nobs() == len(index)
    assert m.predict(data).isna().sum() == (1 if dropped else 0)
    if not dropped:
        same_fit(m, slopes)


# --- Formula engines -----------------------------------------------------------------------------


@pytest.fixture
def formulaic():
    """statsmodels' formulas by formulaic, where it has the choice (0.15)."""
    options = pytest.importorskip("statsmodels.formula", reason="no options").__dict__.get(
        "options"
    )
    if options is None:
        pytest.skip("statsmodels before 0.15 has patsy only")
    engine, ordering = options.formula_engine, options.ordering
    options.formula_engine = "formulaic"
    yield options
    options.formula_engine, options.ordering = engine, ordering


HALVES = {"groups": "Subject", "re_formula": "1"}
FORMULAIC = [
    ("Reaction ~ Days", DAYS),
    ("np.log(Reaction) ~ np.sqrt(Days + 1)", {"groups": "Subject"}),
    ("Reaction ~ center(Days)", {"groups": "Subject"}),
    ("Reaction ~ C(half) * Days", {"groups": "Subject"}),
    ("Reaction ~ half:Days + Days", {"groups": "Subject", "re_formula": "1"}),
    ("Reaction ~ 0 + half", {"groups": "Subject"}),
    ("Reaction ~ Days", {**HALVES, "vc_formula": {"h": "0 + C(half)"}}),
    ("Reaction ~ Days", {**HALVES, "vc_formula": {"h": "0 + half"}}),
]


@pytest.mark.parametrize("ordering", ["degree", "legacy"])
@pytest.mark.parametrize(("formula", "keywords"), FORMULAIC)
def test_formulaic(sleep, formulaic, formula, keywords, ordering):
    data = sleep.assign(half=np.where(sleep["Days"] % 4 > 1, "late", "early"))
    formulaic.ordering = ordering
    results = statsmodels_fit(formula, data, **keywords)
    m = adapted(results)
    close(adapted(results, polish=False).fitted(), results.fittedvalues, 1e-10)
    close(m.predict(data), m.fitted(), 1e-14)
    # In another order of terms the columns made again would be other ones.
    formulaic.ordering = "none"
    again = pickle.loads(pickle.dumps(m))
    close(again.predict(data.iloc[::-1]), m.fitted()[::-1], 1e-14)
    formulaic.formula_engine = "patsy"
    same = fitted(formula, data, **keywords)
    close(same.reml_crit(), m.reml_crit(), 1e-10)
    assert same.get_me("cnms") == m.get_me("cnms")
    assert [t.levels.tolist() for t in same.design.terms] == [
        t.levels.tolist() for t in m.design.terms
    ]

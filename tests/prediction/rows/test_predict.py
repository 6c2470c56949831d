"""Predictions against lme4's, for the fit's rows and for new ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from lme4_fits import REAL, adapted, data_of, expected, model_of, statsmodels_fit
from properties.compare import close
from tolerances import ADAPTER_ESTIMATE

from merextras import LmerControl
from merextras.exceptions import InvalidArgumentError
from merextras.fit_lmer import lmer

FORMS = {"NULL": None, "NA": "NA"}


@pytest.mark.parametrize("name", ["students", "sleepstudy", "pastes"])
@pytest.mark.parametrize("new", [False, True])
def test_against_lme4(name, new):
    real = name == "students"
    if real and not REAL.exists():
        pytest.skip("the tutorial's own data are not here")
    m = model_of("accessors", name, real=real)
    head = data_of("accessors", name, real=real).head(10)
    for form, theirs in expected("accessors")[name]["predict"].items():
        re_form = FORMS.get(form, form)
        made = m.predict(head, re_form=re_form) if new else m.predict(re_form=re_form).head(10)
        close(made, theirs, ADAPTER_ESTIMATE)


def test_the_data_of_the_fit(case):
    m, _ = case
    close(m.predict(), m.fitted(), 1e-15)
    close(m.predict(m.model_frame()), m.fitted(), 1e-13)
    close(m.predict(re_form="NA"), m.get_me("X") @ m.get_me("beta"), 1e-14)


def test_parts_add_up(nested):
    population = nested.predict(re_form="NA")
    school = nested.predict(re_form="~ (1 | school)") - population
    cls = nested.predict(re_form="~ (1 | school:class)") - population
    close(population + school + cls, nested.predict(), 1e-13)
    close(nested.predict(re_form="~ (1 | school/class)"), nested.predict(), 1e-13)
    close(nested.predict(re_form="~ (1 | school) + (1 | class:school)"), nested.predict(), 1e-13)


def test_one_effect_of_a_term(slopes, sleep):
    population = slopes.predict(re_form="NA")
    intercept = slopes.predict(re_form="~ (1 | Subject)") - population
    slope = slopes.predict(re_form="~ (0 + Days | Subject)") - population
    close(population + intercept + slope, slopes.fitted(), 1e-13)
    close(slopes.predict(re_form="~ (Days | Subject)"), slopes.fitted(), 1e-14)
    close(slopes.predict(sleep, re_form="~ (0 + Days | Subject)") - population, slope, 1e-11)


def test_effects_in_two_terms(uncorrelated):
    close(uncorrelated.predict(re_form="~ (Days | Subject)"), uncorrelated.fitted(), 1e-14)


@pytest.mark.parametrize("re_form", ["NA", "~0", "~ 0", "0", float("nan")])
def test_no_random_effects(slopes, sleep, re_form):
    close(slopes.predict(re_form=re_form), slopes.predict(re_form="NA"), 0)
    close(slopes.predict(sleep[["Days"]], re_form=re_form), slopes.predict(re_form="NA"), 1e-14)


def test_effects_with_odd_names(students):
    quoted = adapted(
        statsmodels_fit("extro ~ Q('class')", students, groups="school", re_formula="~Q('class')")
    )
    for re_form in ("~ (1 + Q('class') | school)", "~ (class | school)", "~ (`class` | school)"):
        close(quoted.predict(re_form=re_form), quoted.fitted(), 1e-14)


def test_effects_of_lmer_with_odd_names(sleep):
    data = sleep.rename(columns={"Days": "my days"})
    m = lmer("Reaction ~ `my days` + (`my days` | Subject)", data)
    close(m.predict(re_form="~ (`my days` | Subject)"), m.fitted(), 1e-14)


# --- New data ------------------------------------------------------------------------------------


def test_only_the_columns_that_are_needed(nested, students):
    need = students[["open", "agree", "social", "school"]]
    close(
        nested.predict(need, re_form="~ (1 | school)"),
        nested.predict(re_form="~ (1 | school)"),
        1e-13,
    )
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column\(s\) \['class'\]"):
        nested.predict(need)


def test_the_index_and_order_of_new_data(slopes, sleep):
    new = sleep.iloc[[5, 100, 7]].set_axis(["a", "b", "b"], axis=0)
    made = slopes.predict(new)
    assert made.index.tolist() == ["a", "b", "b"]
    close(made, slopes.fitted().iloc[[5, 100, 7]], 1e-14)


def test_a_new_level(slopes, sleep):
    new = sleep.head(3).assign(Subject=[308, 999, 309])
    with pytest.raises(InvalidArgumentError, match=r"levels of 'Subject' that .* not seen: '999'"):
        slopes.predict(new)
    made = slopes.predict(new, allow_new_levels=True)
    close(made.iloc[1], slopes.predict(new, re_form="NA").iloc[1], 1e-15)
    close(made.iloc[0], slopes.fitted().iloc[0], 1e-14)
    close(slopes.predict(new, re_form="NA"), slopes.predict(re_form="NA").head(3), 1e-14)


def test_a_level_of_another_type(slopes, sleep):
    new = sleep.head(2).astype({"Subject": str})
    with pytest.raises(InvalidArgumentError, match="they are of type int, not str"):
        slopes.predict(new)


def test_a_missing_level(slopes, sleep):
    new = sleep.head(2).assign(Subject=[308, np.nan])
    with pytest.raises(InvalidArgumentError, match=r"label of 'Subject' is missing \(NaN\) in 1"):
        slopes.predict(new)
    made = slopes.predict(new, allow_new_levels=True)
    close(made, [slopes.fitted().iloc[0], slopes.predict(re_form="NA").iloc[1]], 1e-14)


def test_categories_as_new_data(slopes, sleep):
    new = sleep.assign(Subject=pd.Categorical(sleep["Subject"])).iloc[::7]
    close(slopes.predict(new), slopes.fitted().iloc[::7], 1e-14)


def test_missing_predictors_give_nan(slopes, sleep):
    new = sleep.head(3).assign(Days=[0.0, np.nan, 2.0])
    assert slopes.predict(new).isna().tolist() == [False, True, False]
    assert slopes.predict(new, re_form="NA").isna().tolist() == [False, True, False]
    close(slopes.predict(new)[[0, 2]], slopes.fitted()[[0, 2]], 1e-14)


def test_a_missing_category_gives_nan(students):
    m = adapted(statsmodels_fit("extro ~ Q('class')", students, groups="school"))
    new = students.head(3).astype({"class": object})
    new.loc[1, "class"] = None
    assert m.predict(new).isna().tolist() == [False, True, False]
    close(m.predict(new)[[0, 2]], m.fitted()[[0, 2]], 1e-14)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_an_unseen_category(students, engine):
    if engine == "formulaic":
        pytest.importorskip("formulaic")
    data = students.rename(columns={"class": "cls"})
    control = LmerControl(formula_engine=engine)
    m = lmer("extro ~ cls + (1 | school)", data, control=control)
    with pytest.raises(InvalidArgumentError, match=r"newdata: .*'?z'?"):
        m.predict(data.head(2).assign(cls="z"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[["Subject"]], r"newdata: needs the column\(s\) \['Days'\]"),
        (lambda d: d[["Days"]], r"newdata: needs the column\(s\) \['Subject'\]"),
        (lambda d: d.head(0), "newdata: the frame has no rows"),
        (lambda d: pd.concat([d, d[["Days"]]], axis=1), "names must be unique; .* \\['Days'\\]"),
        (lambda d: d.assign(Days="a"), "newdata: column 'Days' must be numeric"),
        (lambda d: d.assign(Days="1"), "newdata: column 'Days' must be numeric"),
        (lambda d: d.assign(Days=pd.Timestamp(2020, 1, 1)), "newdata: column 'Days' must be num"),
        (lambda d: d.assign(Days=True), "newdata: column 'Days' must be numeric, not bool"),
        (lambda d: d.assign(Days=["a", *d["Days"][1:]]), "'Days' must be numeric, not a mixture"),
        (lambda d: d.to_dict(), "newdata: expected a pandas DataFrame, got dict"),
        (lambda d: d.to_numpy(), "newdata: expected a pandas DataFrame, got ndarray"),
    ],
)
def test_bad_data(slopes, sleep, change, message):
    with pytest.raises(InvalidArgumentError, match=message):
        slopes.predict(change(sleep))


def test_a_lone_bar_needs_no_parentheses(slopes):
    """As in R, where ``re.form = ~ 1 | Subject`` gives what that in parentheses does."""
    for bare in ("1 | Subject", "0 + Days | Subject", "1 + Days | Subject"):
        expected = slopes.predict(re_form=f"~ ({bare})")
        np.testing.assert_array_equal(slopes.predict(re_form=f"~ {bare}"), expected)


@pytest.mark.parametrize(
    ("re_form", "message"),
    [
        ("~ (1 | subject)", "there is no random effect 'Intercept' of 'subject' in the model"),
        ("~ (0 + x | Subject)", "re_form='.*'x' is not a column of the data"),
        ("~ (0 + I(Days**2) | Subject)", r"no random effect 'I\(Days \*\* 2\)' of 'Subject'"),
        ("~ Days", r"give bars only, such as '~ \(1 \| Subject\)'"),
        ("~ Days + (1 | Subject)", "give bars only"),
        ("y ~ (1 | Subject)", "give bars only"),
        ("", "give bars only"),
        ("~ (1 | Subject", "re_form: '\\(' is never closed"),
        (
            "~ (1 | Subject) + Days | Subject",
            "re_form: a random-effects term must be added, by '.'",
        ),
        ("~ 0 + (Days | Subject) | Subject", "re_form: a random-effects term must be added"),
        (3, "re_form=3: None .all random effects."),
        (False, "re_form=False: None"),
    ],
)
def test_bad_re_form(slopes, re_form, message):
    with pytest.raises(InvalidArgumentError, match=message):
        slopes.predict(re_form=re_form)


def test_the_series(slopes, sleep):
    assert slopes.predict().name == "fit"
    made = slopes.predict()
    made[:] = 0
    assert slopes.fitted().min() > 0


def test_an_intercept_alone():
    m = model_of("intercept", "dyestuff")
    new = pd.DataFrame({"Batch": ["A", "Z"]})
    made = m.predict(new, allow_new_levels=True)
    close(made, [m.coef()["Batch"].loc["A", "Intercept"], m.fixef()["Intercept"]], 1e-14)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_numbers_within_a_function(sleep, engine):
    """What the engines themselves would stop at with an error of numpy's, or take as it is."""
    if engine == "formulaic":
        pytest.importorskip("formulaic")
    control = LmerControl(formula_engine=engine)
    m = lmer("Reaction ~ np.log(Days + 1) + (1 | Subject)", sleep, control=control)
    rows = sleep.head(3)
    made = m.predict(rows.assign(Days=pd.array([0, None, 2], dtype="Int64")), se_fit=True)
    assert made["fit"].isna().tolist() == [False, True, False]
    close(made["fit"][[0, 2]], m.fitted()[[0, 2]], 1e-13)
    for given, kind in (("1", "(object|str)"), (True, "bool"), (pd.Timestamp(0), "datetime64")):
        with pytest.raises(
            InvalidArgumentError, match=f"column 'Days' must be numeric, not {kind}"
        ):
            m.predict(rows.assign(Days=given))


def test_a_random_slope_of_text_is_no_number(sleep):
    """Made from the effect's name alone, without an engine."""
    m = adapted(statsmodels_fit("Reaction ~ 1", sleep, groups="Subject", re_formula="~ Days"))
    with pytest.raises(InvalidArgumentError, match="newdata: column 'Days' must be numeric"):
        m.predict(sleep.assign(Days=sleep["Days"].astype(str)))
    missing = sleep.head(2).assign(Days=pd.array([1, None], dtype="Int64"))
    assert m.predict(missing).isna().tolist() == [False, True]


def test_a_polars_frame(slopes, sleep):
    close(slopes.predict(pl.from_pandas(sleep)), slopes.predict(sleep), 0.0)


@pytest.mark.parametrize("name", ["se_fit", "adjust"])
def test_a_word_is_no_flag(slopes, name):
    with pytest.raises(InvalidArgumentError, match=f"{name}='no': True or False"):
        slopes.predict(**{name: "no"})


@pytest.mark.parametrize("late", ["fit", "newdata"])
def test_integers_beside_a_missing_one_are_the_same_levels(students, late):
    """pandas makes them floats: ``2.0:I`` is the level ``2:I``, not one that was never seen."""
    data = students.assign(year=np.arange(len(students)) % 3)
    gap = data.assign(year=data["year"].astype(float).mask(data.index == 1))
    fitted, given = (gap, data) if late == "fit" else (data, gap)
    m = lmer("extro ~ open + (1 | school:year)", fitted)
    assert m.ranef()["school:year"].index[0] == "I:0"
    made = m.predict(given.head(4), allow_new_levels="zero")
    close(made[[0, 2, 3]], m.fitted()[[0, 2, 3]], 1e-13)

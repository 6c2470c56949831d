"""One word for one thing: intervals, degrees of freedom, families, renamed arguments."""

from __future__ import annotations

import inspect
import warnings

import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.arguments import check_ci
from merextras.foundation.renamed import new_names

#: What `ddf` is where it is not said; all others take Satterthwaite's.
NONE = {"summary", "anova", "confint", "drop1", "tidy", "pool"}
EMMEANS = {"emmeans", "emtrends", "joint_tests"}


def verbs():
    """Every public function and method with a signature."""
    owners = [(name, getattr(mx, name)) for name in mx.__all__]
    for holder in (mx.MerMod, mx.ModelList):
        owners += [(n, getattr(holder, n)) for n in dir(holder) if not n.startswith("_")]
    for name, thing in owners:
        if inspect.isfunction(thing):
            yield name, inspect.signature(thing).parameters


def test_degrees_of_freedom_follow_the_verbs_package():
    found = {name: p["ddf"].default for name, p in verbs() if "ddf" in p}
    assert len(found) > 9
    wanted = {
        name: None
        if name in NONE
        else "kenward-roger"
        if name in EMMEANS
        else "residual"
        if name == "predict"
        else "satterthwaite"
        for name in found
    }
    assert found == wanted


def test_level_is_ninety_five_percent_but_in_mertools_intervals():
    found = {name: p["level"].default for name, p in verbs() if "level" in p}
    assert len(found) > 20
    other = {name: level for name, level in found.items() if level not in (0.95, None)}
    assert set(other) - {"predictInterval"} == {"predict_interval"}
    assert set(other.values()) == {0.8}


def test_intervals_are_asked_for_by_one_word():
    spellings = {"conf_int", "conf_level", "confint", "conf_method", "ci_level", "ci_method"}
    assert [(name, spellings & set(p)) for name, p in verbs() if spellings & set(p)] == []
    asked = [name for name, p in verbs() if "ci" in p]
    assert {"icc", "r2", "tidy", "variance_decomposition"} <= set(asked)
    for name, p in verbs():
        assert "ci" not in p or p["ci"].default is None, name


@pytest.mark.parametrize(
    ("ci", "level", "wanted"),
    [
        (None, 0.9, (None, 0.9)),
        ("boot", 0.9, ("bootstrap", 0.9)),
        ("Wald", 0.95, ("wald", 0.95)),
        (0.8, 0.95, ("wald", 0.8)),
        (0.8, 0.8, ("wald", 0.8)),
    ],
)
def test_how_intervals_are_asked_for(ci, level, wanted):
    assert check_ci(ci, level, ("wald", "bootstrap")) == wanted


@pytest.mark.parametrize(
    ("ci", "level", "message"),
    [
        (True, 0.95, "ci=True: allowed: 'wald'"),
        ("walt", 0.95, "ci='walt': allowed: 'wald'"),
        (1.2, 0.95, r"ci=1\.2: a level is"),
        (0.9, 0.8, r"ci=0\.9, level=0\.8: two levels"),
        ("wald", 2.0, "level=2"),
    ],
)
def test_what_is_no_interval(ci, level, message):
    with pytest.raises(InvalidArgumentError, match=message):
        check_ci(ci, level, ("wald", "bootstrap"))


@pytest.mark.parametrize("name", ["arm", "mertools"])
def test_families_hold_the_functions_of_the_top_level(name):
    family = getattr(mx, name)
    assert len(family.__all__) > 10
    assert dir(family) == family.__all__ == sorted(family.__all__)
    for each in family.__all__:
        assert getattr(family, each) is getattr(mx, each)
        assert f"`{each}`" in family.__doc__
    with pytest.raises(AttributeError, match=f"merextras.{name}.*no attribute 'nonsense'"):
        family.nonsense  # noqa: B018


def renamed(new=None, **old):
    if old:
        new = new_names("verb", old, {"former": "new"}, {} if new is None else {"new": new},
                        until="9.9")["new"]  # fmt: skip
    return new


def test_an_old_name_works_and_says_the_new_one():
    with pytest.warns(DeprecationWarning, match="former=") as caught:
        assert renamed(former=3) == 3
    assert str(caught[0].message) == (
        "verb: former= is called new= now; the old name ends with release 9.9"
    )
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert renamed(new=4) == 4


def test_both_names_or_another_are_errors():
    with pytest.raises(InvalidArgumentError, match="former= is the old name of new="):
        renamed(new=1, former=2)
    with pytest.raises(TypeError, match=r"verb\(\) got an unexpected keyword argument 'other'"):
        renamed(other=2)


def test_the_old_names_of_tidy():
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    with pytest.warns(DeprecationWarning, match="conf_int= is called ci= now") as caught:
        old = mx.tidy(m, "fixed", conf_int=True, level=0.9)
    assert caught[0].filename == __file__
    pd.testing.assert_frame_equal(old, mx.tidy(m, "fixed", ci="wald", level=0.9))
    pd.testing.assert_frame_equal(old, mx.tidy(m, "fixed", ci=0.9))
    with (
        pytest.warns(DeprecationWarning, match="conf_int= is called ci="),
        pytest.warns(DeprecationWarning, match="conf_method= is called ci="),
    ):
        old = mx.tidy(m, "fixed", conf_int=True, conf_method="profile")
    pd.testing.assert_frame_equal(old, mx.tidy(m, "fixed", ci="profile"))
    with pytest.warns(DeprecationWarning, match="conf_int="):
        assert "conf_low" not in mx.tidy(m, conf_int=False)
    with pytest.raises(TypeError, match="confint"):
        mx.tidy(m, confint=True)


def test_broom_s_own_names_are_not_old():
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    found = mx.r.tidy(m, "fixed", conf_int=True, conf_level=0.9)
    pd.testing.assert_frame_equal(found, mx.tidy(m, "fixed", ci=0.9))
    assert "conf_low" not in mx.r.tidy(m, "fixed")


def test_an_old_column_answers_under_its_new_name():
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    table = mx.check_predictions(m, n_sims=20, rng=1).table
    assert list(table.columns) == ["statistic", "observed", "lower", "upper", "p_value"]
    with pytest.warns(DeprecationWarning, match="column 'low' is called 'lower' now") as caught:
        old = table.head(2)["low"]
    assert caught[0].filename == __file__
    pd.testing.assert_series_equal(old, table["lower"].head(2))
    with pytest.raises(KeyError, match="lowest"):
        table["lowest"]


def test_a_grouping_factor_is_a_group_to_simulated_coefficients():
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    sims = mx.sim(m, n_sims=5, rng=1)
    with pytest.warns(DeprecationWarning, match="factor= is called group= now") as caught:
        old = sims.coef(factor="Subject")
    assert caught[0].filename == __file__
    assert (old == sims.coef("Subject")).all()
    with pytest.raises(TypeError, match="'group'"):
        sims.coef()


#: Ends of intervals by other names than those of CONTRIBUTING.
OTHER_ENDS = {"low", "high", "lwr", "upr", "ci_low", "ci_high", "lower_cl", "upper_cl", "ll", "ul"}


def tables():
    """Tables with intervals, of each kind, by what makes them."""
    sleep = mx.load_dataset("sleepstudy")
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    k = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    cases = sleep.head(3)
    boot = mx.bootstrap(k, n_sims=20, rng=1)
    return {
        "augment": mx.augment(m),
        "bootstrap": boot.to_frame(),
        "bootstrap.confint": boot.confint(),
        "check_predictions": mx.check_predictions(m, n_sims=20, rng=1).table,
        "confint": m.confint(method="wald"),
        "contest": mx.contest(m, "Days = 10", joint=False),
        "cross_validate": mx.cross_validate(m, rng=1).rows,
        "emmeans": mx.emmeans(m, "Days").to_frame(),
        "emtrends": mx.emtrends(m, None, "Days").to_frame(),
        "expected_rank": mx.expected_rank(m),
        "icc": mx.icc(k, ci="bootstrap", n_sims=20, rng=1).to_frame(),
        "lm_list": mx.lm_list("Reaction ~ Days | Subject", sleep).confint(),
        "predict": m.predict(sleep, interval="prediction"),
        "predict_interval": mx.predict_interval(m, cases, n_sims=20, rng=1),
        "profile.confint": k.profile().confint(),
        "r2": mx.r2(k, ci="bootstrap", n_sims=20, rng=1).to_frame(),
        "re_impact": mx.re_impact(m, cases),
        "re_margins": mx.re_margins(m, cases),
        "tidy": mx.tidy(m, ci="wald"),
        "variance_decomposition": mx.variance_decomposition(k, ci="bootstrap", n_sims=20, rng=1),
        "what_if": mx.what_if(m, cases, "Subject"),
        "what_if_average": mx.what_if_average(m, cases, "Subject"),
        "what_if_spread": mx.what_if_spread(m, cases, "Subject"),
    }


def test_ends_of_intervals_have_one_name_in_predictions_and_one_elsewhere():
    predictions = {"predict", "predict_interval", "what_if", "what_if_average", "what_if_spread"}
    predictions |= {"re_impact", "re_margins", "cross_validate", "check_predictions"}
    for name, table in tables().items():
        columns = {str(column) for column in table.columns}
        assert not OTHER_ENDS & {column.lower() for column in columns}, name
        assert ({"lower", "upper"} <= columns) == (name in predictions), name
        assert not (name in predictions and {"conf_low", "conf_high", "estimate"} & columns), name

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

"""What someone from statsmodels, lme4 or merTools tries first: it works, or says what to write."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras import r
from merextras.exceptions import InvalidArgumentError, RefitWarning
from merextras.foundation import hints

pytestmark = pytest.mark.usefixtures("figures_closed")


@pytest.fixture(scope="module")
def names():
    """What the hints' code speaks of."""
    students = mx.load_dataset("students")
    m = mx.lmer("extro ~ open + Q('class') + (1 | school)", students)
    return {
        "m": m,
        "mx": mx,
        "pickle": pickle,
        "file": io.BytesIO(),
        "students": students,
        "other": mx.lmer("extro ~ open + (1 | school)", students),
        "newdata": students.head(2),
        "cases": students.head(2),
        "y": students["extro"] + 1.0,
        "L": np.eye(5)[1:3],
        "a": m,
        "b": m,
        "formula": "extro ~ open + (1 | school)",
        "data": students,
        "xs": ["open"],
        "by": "school",
    }


#: Asked of a model: what the message must say to write.
ATTRIBUTES = {
    # statsmodels
    "params": "m.fixef()",
    "fe_params": "m.fixef()",
    "bse": "mx.se_fixef(m)",
    "bse_fe": "mx.se_fixef(m)",
    "tvalues": "m.summary().coefficients['statistic']",
    "pvalues": "m.summary(ddf='satterthwaite').coefficients['p_value']",
    "conf_int": "m.confint(method='wald')",
    "llf": "m.log_lik()",
    "resid": "m.residuals()",
    "fittedvalues": "m.fitted()",
    "random_effects": "m.ranef()",
    "random_effects_cov": "m.ranef().post_var",
    "cov_params": "m.vcov()",
    "cov_re": "m.var_corr()",
    "scale": "m.sigma() ** 2",
    "df_resid": "m.df_residual()",
    "t_test": "mx.contest(m, {'Days': 1})",
    "wald_test": "mx.contest(m, L)",
    "converged": "m.opt_summary.converged",
    "get_prediction": "m.predict(newdata, se_fit=True)",
    # lme4 and its helpers
    "beta": "m.fixef()",
    "VarCorr": "m.var_corr()",
    "getME": "m.get_me()",
    "logLik": "m.log_lik()",
    "isSingular": "m.is_singular()",
    "refitML": "m.refit_ml()",
    "frame": "m.model_frame()",
    "emmeans": "mx.emmeans(m, specs)",
    "icc": "mx.icc(m)",
    "exact_lrt": "mx.exact_lrt(m)",
    # arm and merTools
    "sim": "mx.sim(m)",
    "re_sim": "mx.re_sim(m)",
    "expectedRank": "mx.expected_rank(...)",
    "predictInterval": "mx.predictInterval(m)",
    "plot_ranef": "mx.plot_ranef(m.ranef())",
    "fixeff": "m.fixef()",
}

#: Asked of the package.
MODULE = {
    "fixef": "m.fixef()",
    "ranef": "m.ranef()",
    "VarCorr": "merextras.r.VarCorr",
    "anova": "m.anova()",
    "predict": "m.predict()",
    "summary": "m.summary()",
    "bootMer": "mx.bootstrap(...)",
    "REmargins": "merextras.r.REmargins",
    "mixedlm": "mx.MerMod(smf.mixedlm(...).fit())",
    "Lmer": "mx.lmer(formula, data)",
    "summary_col": "mx.compare_table(a, b)",
    "plot_caterpillar": "mx.plot_ranef(m.ranef())",
    "random_effects": "m.ranef()",
    "check_singular": "mx.check_singularity(m)",
    "shinyMer": "mx.explore(m)",
    "re_sims": "mx.re_sim",
}


@pytest.mark.parametrize("name", list(ATTRIBUTES))
def test_asked_of_a_model(names, name):
    with pytest.raises(AttributeError) as caught:
        getattr(names["m"], name)
    start, _, hint = str(caught.value).partition("; write ")
    assert start == f"'MerMod' object has no attribute {name!r}"
    assert f"`{ATTRIBUTES[name]}`" in hint
    assert not hasattr(names["m"], name)


@pytest.mark.parametrize("name", list(MODULE))
def test_asked_of_the_package(name):
    with pytest.raises(AttributeError) as caught:
        getattr(mx, name)
    start, _, hint = str(caught.value).partition("; write ")
    assert start == f"module 'merextras' has no attribute {name!r}"
    assert f"`{MODULE[name]}`" in hint
    assert not hasattr(mx, name)


def test_what_is_like_nothing_gets_no_hint(names):
    for owner in (names["m"], mx):
        with pytest.raises(AttributeError, match=r"no attribute 'zzzz'$"):
            _ = owner.zzzz


#: Calls that work as they are guessed, and what they are the same as.
CALLS = {
    'm.summary(ddf="KR")': 'm.summary(ddf="kenward-roger")',
    'm.summary(ddf="Satterthwaite")': 'm.summary(ddf="satterthwaite")',
    'r.summary(m, ddf="lme4")': "m.summary()",
    'm.anova(ddf="kenward_roger")': 'm.anova(ddf="kenward-roger")',
    'm.predict(newdata, se_fit=True, ddf="Satt")': (
        'm.predict(newdata, se_fit=True, ddf="satterthwaite")'
    ),
    "mx.compare_table([m, other])": "mx.compare_table(m, other)",
    "mx.icc(m, ci=0.9, n_sims=9, rng=1)": ('mx.icc(m, ci="bootstrap", level=0.9, n_sims=9, rng=1)'),
    "mx.r2(m, ci=0.9, n_sims=9, rng=1)": 'mx.r2(m, ci="bootstrap", level=0.9, n_sims=9, rng=1)',
    'mx.emmeans(m, "~ class")': 'mx.emmeans(m, "class")',
    'mx.emmeans(m, "pairwise ~ class").to_frame()': 'mx.emmeans(m, "class").to_frame()',
    'r.emmeans(m, "pairwise ~ class")["contrasts"]': 'mx.emmeans(m, "class").contrasts()',
    'm.confint(method="Wald")': 'm.confint(method="wald")',
    'mx.expected_rank(m, term="(Intercept)")': "mx.expected_rank(m)",
}


@pytest.mark.parametrize("guess", list(CALLS))
def test_calls_that_work(names, guess):
    scope = {**names, "r": r}
    assert repr(eval(guess, scope)) == repr(eval(CALLS[guess], scope))


#: Calls that do not, and what is said.
REFUSED = {
    'm.predict(newdata.assign(school="XX"))': "Say allow_new_levels=True if such levels are meant",
    "mx.plot_ranef(m)": r"a model was given; write mx\.plot_ranef\(m\.ranef\(\)\)",
    "mx.plot_what_if(m)": r"write mx\.plot_what_if\(mx\.what_if\(m, cases, 'group'\)\)",
    "mx.icc(m, ci=1.5)": r"ci=1\.5: a level is a number strictly between 0 and 1",
    "mx.icc(m, ci=0.9, level=0.8)": r"ci=0\.9, level=0\.8: two levels",
    'm.summary(ddf="pb")': "ddf='pb': allowed: 'satterthwaite', 'kenward-roger', 'asymptotic'",
}


@pytest.mark.parametrize("guess", list(REFUSED))
def test_calls_that_say_how(names, guess):
    with pytest.raises(InvalidArgumentError, match=REFUSED[guess]):
        eval(guess, dict(names))


def test_forty_guesses():
    assert len(ATTRIBUTES) + len(MODULE) + len(CALLS) + len(REFUSED) >= 40


def test_unseen_levels_of_many():
    """Five of them and no more, the nearest name, and the way to allow them."""
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat([f"level {i:03d}" for i in range(200)], 3)})
    data["y"] = rng.normal(size=600) + np.repeat(rng.normal(size=200), 3)
    m = mx.lmer("y ~ 1 + (1 | g)", data)
    new = pd.DataFrame({"g": [f"Level {i:03d}" for i in range(100)]})
    with pytest.raises(InvalidArgumentError) as caught:
        m.predict(new)
    message = str(caught.value)
    assert message.count("'Level ") == 5
    assert "'Level 004', ... (100 in all)" in message
    assert "it has 200 levels: 'level 000', " in message
    assert message.count("'level ") == 6
    assert "did you mean 'level 000'?" in message
    assert message.endswith("Say allow_new_levels=True if such levels are meant")
    assert len(message) < 400
    assert len(m.predict(new, allow_new_levels=True)) == 100


CODE = re.compile(r"`([^`]*)`")


def codes():
    """All code that the tables tell people to write."""
    for table in (hints.MODEL, hints.PACKAGE):
        for name, hint in table.items():
            assert hint.count("`") % 2 == 0, name
            assert CODE.search(hint), name
            yield from CODE.findall(hint)
    yield from (f"mx.{call}" for call in hints.PLOTS.values())


@pytest.mark.parametrize("code", sorted(set(codes())))
def test_every_hint_runs(names, code):
    """But those with dots for what only the user knows."""
    for word in re.findall(r"\bmx\.(\w+)", code):
        assert word in mx.__all__
    for word in re.findall(r"\bm\.(\w+)", code):
        assert word in dir(mx.MerMod)
    if "..." in code or "fit)" in code:
        return
    given = {"'factor'": "'class'", "'group'": "'school'", "{'Days'": "{'open'",
             "['group']": "['school']"}  # fmt: skip
    for old, new in given.items():
        code = code.replace(old, new)
    if "explore" in code:  # waits and opens a window, unless told not to
        pytest.importorskip("shiny", reason="shiny is not installed: the extra [app]")
        code = code.replace("(m)", "(m, browser=False, wait=False).stop() is None")
    if "plot_re_correlation" in code:
        sleep = mx.load_dataset("sleepstudy")
        names = {**names, "m": mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)}
    if "xyplot" in code:
        code = code.replace("y, xs", "'extro', xs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RefitWarning)  # m.anova(other) of REML fits
        assert eval(code, dict(names)) is not None or code.startswith("pickle.dump")


def test_no_hint_hides_what_is_there():
    assert not set(hints.MODEL) & set(dir(mx.MerMod))
    assert not set(hints.PACKAGE) & set(mx.__all__)
    assert not set(hints.MODEL) & set(mx.__all__)


def test_a_model_is_still_an_ordinary_object(names):
    m = names["m"]
    for made in (copy.copy(m), copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert made.fixef().equals(m.fixef())
    assert getattr(m, "params", 3) == 3
    assert not hasattr(m, "__array__")
    assert not hasattr(m, "_repr_latex_")
    with pytest.raises(AttributeError, match="_fit"):
        _ = object.__new__(mx.MerMod).design
    assert "fixef" in dir(m)
    assert inspect.ismethod(m.fixef)
    with pytest.raises(AttributeError, match="no attribute '_nothing'"):
        _ = m._nothing


def test_a_property_that_fails_says_why():
    class Broken(mx.MerMod):
        @property
        def half(self):
            return self.quarter

    broken = object.__new__(Broken)
    with pytest.raises(AttributeError, match="'Broken' object has no attribute 'quarter'"):
        _ = broken.half


def test_comparisons_take_one_list(names):
    m, other = names["m"].refit_ml(), names["other"].refit_ml()
    assert mx.compare([other, m]).equals(mx.compare(other, m))
    assert mx.compare({"small": other, "large": m}).index.tolist() == ["small", "large"]
    assert other.anova([m]).equals(other.anova(m))

"""R's spellings: each resolves, is documented, and does what its counterpart does."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from arm_models import data_of, model, raw_fit

import merextras as mx
from merextras import r
from merextras.exceptions import InvalidArgumentError, NotAvailableError, UnsupportedModelError

pytestmark = pytest.mark.usefixtures("figures_closed")

mpl.use("Agg")

#: What the tutorial, lme4, arm, RLRsim and merTools call it, and R's own.
WANTED = """
    VarCorr getME refitML fixef ranef coef sigma vcov confint logLik deviance REMLcrit AIC BIC
    extractAIC df.residual nobs ngrps fitted residuals resid predict formula terms model.frame
    model.matrix isREML isLMM isGLMM isNLMM isSingular family weights as.function getL refit update
    summary REsim FEsim predictInterval plotREsim plotFEsim exactLRT exactRLRT LRTSim RLRTSim sim
    display se.fixef
    se.ranef se.coef sigma.hat extractDIC standardize mcsamp dotplot xyplot anova drop1 contest
    ranova rand step lmList
    vcovAdj tidy glance augment emmeans emtrends joint_tests contrast pairs emmip
    profile densityplot splom
    rePCA plot qqmath coefplot r2_nakagawa icc get_variance model_performance compare_performance
    check_collinearity check_convergence check_heteroscedasticity check_model check_normality
    check_outliers check_predictions check_singularity
    expectedRank REimpact REmargins REquantile REextract thetaExtract REsdExtract REcorrExtract
    modelInfo averageObs randomObs draw findFormFuns wiggle superFactor RMSE ICC subBoot fastdisp
    vcovCR KRmodcomp SATmodcomp PBmodcomp ls_means test cld
    plotREimpact shinyMer powerSim powerCurve extend makeLmer lmerModList glmerModList blmerModList
""".split()  # noqa: SIM905 (a screen of names, not of lines)


@pytest.fixture
def students():
    return data_of("students")


def same(a, b):
    if isinstance(a, (pd.Series, pd.DataFrame)):
        return a.equals(b)
    if hasattr(a, "items"):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return bool(np.all(np.asarray(a) == np.asarray(b)))


def test_nothing_is_missing():
    assert set(WANTED) <= set(r.TABLE)


@pytest.mark.parametrize("r_name", list(r.TABLE))
def test_resolves_and_is_documented(r_name):
    name = r_name.replace(".", "_")
    function = getattr(r, name)
    spelling = r.TABLE[r_name]
    assert inspect.isfunction(function)
    assert (function.__name__, function.__module__) == (name, "merextras.r")
    assert pickle.loads(pickle.dumps(function)) is function
    target = spelling.find()
    first = function.__doc__.splitlines()[0]
    assert first.startswith(f"R's ``{r_name}``: ``{spelling.ours}``")
    assert inspect.getdoc(target) in function.__doc__
    parameters = inspect.signature(function).parameters
    for theirs, ours in spelling.keywords.items():
        assert theirs in parameters
        assert ours in inspect.signature(target).parameters
        assert f"``{theirs}`` is `{ours}`" in first
    row = [f"``{r_name}``", f"``{name}``", f"``{spelling.ours}``"]
    assert row in [line.split() for line in r.__doc__.splitlines()]


def test_a_dot_becomes_an_underscore():
    assert r.__all__ == sorted(name.replace(".", "_") for name in r.TABLE)
    assert {"se_fixef", "model_frame", "df_residual", "as_function"} <= set(dir(r))


def test_every_method_and_function_has_a_spelling():
    """What lme4 has is in the table; a new method of MerMod needs a row."""
    public = {name for name in vars(mx.MerMod) if not name.startswith("_")}
    spelt = {s.ours[2:-2] for s in r.TABLE.values() if s.ours.startswith("m.")}
    # R has none of these.
    assert public - spelt == {
        "block_description",
        "from_cross_products",
        "hat_trace",
        "to_statsmodels",
    }


def test_unknown_name():
    with pytest.raises(AttributeError, match=r"no attribute 'varCorr'; did you mean 'VarCorr'\?"):
        _ = r.varCorr
    with pytest.raises(ImportError, match="cannot import name"):
        exec("from merextras.r import nothing_of_this_kind")


METHODS = {
    "fixef": lambda m: m.fixef(),
    "coef": lambda m: m.coef(),
    "sigma": lambda m: m.sigma(),
    "vcov": lambda m: m.vcov(),
    "VarCorr": lambda m: m.var_corr(),
    "logLik": lambda m: m.log_lik(),
    "deviance": lambda m: m.deviance(),
    "REMLcrit": lambda m: m.reml_crit(),
    "AIC": lambda m: m.aic(),
    "BIC": lambda m: m.bic(),
    "extractAIC": lambda m: m.extract_aic(),
    "df_residual": lambda m: m.df_residual(),
    "nobs": lambda m: m.nobs(),
    "ngrps": lambda m: m.ngrps(),
    "fitted": lambda m: m.fitted(),
    "residuals": lambda m: m.residuals(),
    "resid": lambda m: m.residuals(),
    "predict": lambda m: m.predict(),
    "formula": lambda m: m.formula(),
    "terms": lambda m: m.terms(),
    "model_frame": lambda m: m.model_frame(),
    "model_matrix": lambda m: m.model_matrix(),
    "family": lambda m: m.family(),
    "weights": lambda m: m.weights(),
    "isREML": lambda m: m.is_reml(),
    "isLMM": lambda m: m.is_lmm(),
    "isGLMM": lambda m: m.is_glmm(),
    "isNLMM": lambda m: m.is_nlmm(),
    "isSingular": lambda m: m.is_singular(),
    "se_fixef": mx.se_fixef,
    "se_ranef": mx.se_ranef,
    "se_coef": mx.se_coef,
    "extractDIC": mx.extract_dic,
}


@pytest.mark.parametrize("name", list(METHODS))
def test_on_a_model_and_on_a_raw_fit(name):
    fit = raw_fit("sleepstudy")
    m = mx.MerMod(fit)
    want = METHODS[name](m)
    assert same(getattr(r, name)(m), want)
    assert same(getattr(r, name)(fit), want)


def test_results_that_are_objects():
    m = model("sleepstudy")
    assert repr(r.summary(m)) == repr(m.summary())
    assert repr(r.display(m, digits=3)) == repr(mx.display(m, digits=3))
    assert repr(r.sigma_hat(m)) == repr(mx.sigma_hat(m))
    assert r.getCall(m) == m.call()
    np.testing.assert_array_equal(r.getME(m, "theta"), m.get_me("theta"))
    assert (r.getL(m) != m.get_l()).nnz == 0
    assert r.as_function(m)(m.get_me("theta")) == pytest.approx(m.deviance())
    assert r.model_matrix(m, type="random").shape == (180, 36)
    assert r.formula(m, fixed_only=True) == m.formula(fixed_only=True)
    assert r.standardize(m, unchanged="Days").fixef().equals(r.update(m).fixef())
    with pytest.raises(NotAvailableError):
        r.mcsamp(m)


def test_keywords_of_r():
    m = model("sleepstudy")
    assert r.logLik(m, REML=False) == m.log_lik(reml=False)
    assert r.deviance(m, REML=False) == m.deviance(reml=False)
    assert not r.isREML(r.update(m, REML=False))
    y = m.get_me("y") + 1.0
    assert r.refit(m, newresp=y).fixef().equals(m.refit(y).fixef())
    population = r.predict(m, re_form="NA")
    assert population.equals(m.predict(re_form="NA"))
    draws = r.sim(m, n_sims=3, seed=1)
    np.testing.assert_array_equal(draws.fixef, mx.sim(m, 3, rng=1).fixef)
    assert r.FEsim(m, n_sims=5, seed=2).equals(mx.fe_sim(m, n_sims=5, rng=2))
    made = r.predictInterval(merMod=m, n_sims=5, seed=2, returnSims=True)
    ours = mx.predict_interval(m, n_sims=5, rng=2)
    assert made.to_frame().equals(ours)
    assert mx.predictInterval(m, n_sims=5, seed=2).equals(ours)


def test_intervals_of_results():
    """lme4's confint takes what its profile and bootMer return."""
    m = model("sleepstudy")
    profile = r.profile(m, which="sigma")
    assert r.confint(profile, level=0.9).equals(profile.confint(0.9))
    boot = r.bootMer(m, nsim=9, seed=1)
    assert r.confint(boot, level=0.5, type="basic").equals(boot.confint(0.5, "basic"))


def test_ours_work_too():
    m = model("sleepstudy")
    assert r.ranef(m, cond_var=False).post_var is None
    assert r.REsim(m, groups="Subject", n_sims=5, rng=1).equals(
        r.REsim(m, whichel="Subject", nsims=5, seed=1)
    )


def test_both_are_one_too_many():
    with pytest.raises(InvalidArgumentError, match="ranef: an argument is given by R's name and"):
        r.ranef(model("sleepstudy"), condVar=True, cond_var=False)


def test_other_fits_are_refused(students):
    with pytest.raises(UnsupportedModelError, match="OLS"):
        r.VarCorr(smf.ols("extro ~ open", students).fit())


class TestTutorial:
    """The calls of the tutorial as they are typed there, but for Python's own syntax."""

    @pytest.fixture(params=["MerMod", "raw"])
    def MLexamp1(self, request):
        fit = raw_fit("students")
        return mx.MerMod(fit) if request.param == "MerMod" else fit

    def test_xyplot(self, students):
        grid = r.xyplot(
            "extro ~ open + social + agree | class",
            data=students,
            auto_key={"x": 0.85, "y": 0.035, "corner": (0, 0)},
            layout=(4, 1),
            main="Extroversion by Class",
        )
        assert len(grid.axes.ravel()) == 4
        grid = r.xyplot("extro ~ open + social + agree | school", students, layout=(3, 2))
        assert len(grid.axes.ravel()) == 6
        two = students.query("school in ['I', 'VI']")
        grid = r.xyplot("extro ~ open + social + agree | school + class", data=two)
        assert grid.axes.shape == (4, 2)

    @pytest.mark.parametrize(
        "formula", ["extro ~ open", "~ open | class", "a ~ b | c + d + e", "", 3]
    )
    def test_xyplot_of_another_form(self, students, formula):
        with pytest.raises(InvalidArgumentError, match=r"expected 'y ~ x1 \+ x2 \| g'"):
            r.xyplot(formula, students)

    def test_numbers(self, MLexamp1):
        published = [59.116514199, 0.009750941, 0.027788360, -0.002151446]
        np.testing.assert_allclose(r.fixef(MLexamp1), published, rtol=1e-5)
        np.testing.assert_allclose(r.sigma(MLexamp1), 2.670886, rtol=1e-6)
        effects = r.fixef(MLexamp1) / r.sigma(MLexamp1)
        np.testing.assert_allclose(effects["Intercept"], 22.1336707437, rtol=1e-7)

    def test_confint(self, MLexamp1):
        table = r.confint(MLexamp1, level=0.99)
        assert {"Intercept", "open", "agree", "social"} <= set(table.index)

    def test_ranef_and_dotplot(self, MLexamp1):
        re1 = r.ranef(MLexamp1, condVar=True, whichel="school")
        published = [-14.090991, -6.183368, -1.970700, 1.965938, 6.330710, 13.948412]
        np.testing.assert_allclose(re1["school"]["Intercept"], published, atol=2e-6)
        np.testing.assert_allclose(re1.post_var["school"].ravel(), 0.0356549, atol=1e-7)
        assert r.dotplot(re1).axes.size == 1

    def test_REsim_and_plotREsim(self, MLexamp1):
        simulated = r.REsim(MLexamp1, whichel="school", nsims=1000)
        assert simulated["level"].tolist() == ["I", "II", "III", "IV", "V", "VI"]
        grid = r.plotREsim(simulated, scale=1.2, var="mean", sd="sd")
        ours = mx.plot_re_sim(simulated, scale=1.2, stat="mean", sd=True)
        heights = [
            [line.get_segments() for ax in g.axes.ravel() for line in ax.collections[:1]]
            for g in (grid, ours)
        ]
        assert str(heights[0]) == str(heights[1])
        positional = r.REsim(MLexamp1, "school", nsims=5)
        assert len(positional) == 6

    def test_exactLRT(self, MLexamp1, students):
        m0 = smf.ols("extro ~ agree + open + social", students).fit()
        mA = r.refitML(MLexamp1)
        test = r.exactLRT(m=mA, m0=m0)
        np.testing.assert_allclose(test.statistic, 2957.8, atol=0.05)
        again = r.exactLRT(m=mA, m0=m0, nsim=200, seed=1)
        assert again.statistic == test.statistic
        assert r.exactRLRT(mA, nsim=100, seed=1).statistic > 2000

    def test_null_distributions(self, MLexamp1):
        m = r.getME(MLexamp1, "X"), r.getME(MLexamp1, "Z")
        assert len(r.RLRTSim(X=m[0], Z=m[1], nsim=7, seed=1)) == 7
        assert len(r.LRTSim(X=m[0], Z=m[1], q=1, nsim=7, seed=1)) == 7


def test_star_import_hides_nothing():
    """The functions of the table, not those of ours that they call."""
    names = {}
    exec("from merextras.r import *", names)
    assert all(names[name].__module__ == "merextras.r" for name in r.__all__)


def test_no_plotting_library_until_one_is_asked_for():
    code = (
        "import sys, json, merextras.r as r; r.REsim, r.fixef, r.exactLRT; "
        "a = 'matplotlib' in sys.modules; r.plotREsim; "
        "print(json.dumps([a, 'matplotlib' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, True]

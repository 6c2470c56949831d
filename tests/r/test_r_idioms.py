"""R's calls that are more than another name, as they are typed there; numbers from R."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from properties.compare import close
from tolerances import GLMM_AGAINST_LME4, LMER_CRITERION, LMER_THETA, PROFILE_INTERVAL

import merextras as mx
from merextras import r
from merextras.exceptions import InvalidArgumentError, RankDeficientWarning, RefitWarning

pytestmark = pytest.mark.usefixtures("figures_closed")

EXPECTED = json.loads((Path(__file__).parents[1] / "reference/r_idioms/expected.json").read_text())


@pytest.fixture(scope="module")
def models():
    """The three of the reference; terms stand as in R."""
    sleep, pastes = mx.load_dataset("sleepstudy"), mx.load_dataset("pastes")
    return {
        "correlated": r.lmer("Reaction ~ Days + (Days | Subject)", data=sleep),
        "apart": r.lmer("Reaction ~ Days + (Days || Subject)", data=sleep),
        "nested": r.lmer("strength ~ 1 + (1 | batch / cask)", data=pastes),
    }


class TestFitting:
    def test_by_maximum_likelihood(self, sleep):
        m = r.lmer("Reaction ~ Days + (1 | Subject)", sleep, REML=False)
        assert not m.is_reml()
        assert r.lmer("Reaction ~ Days + (1 | Subject)", sleep, False).aic() == m.aic()
        assert r.lmer("Reaction ~ Days + (1 | Subject)", sleep).is_reml()

    def test_the_callers_names(self, sleep):
        """What a formula uses is the user's, however many functions pass the call on."""

        def centred(x):
            return x - 4.5

        m = r.lmer("Reaction ~ centred(Days) + (1 | Subject)", sleep)
        assert list(m.fixef().index) == ["Intercept", "centred(Days)"]
        half = 0.5  # noqa: F841 (the formula's)
        again = r.update(m, ". ~ . + I(half * Days ** 2)")
        assert list(again.fixef().index)[-1] == "I(half * Days ** 2)"
        assert list(r.lmerModList("Reaction ~ centred(Days) + (1 | Subject)", [sleep, sleep]))

    def test_rows_and_start(self, sleep):
        whole = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep[sleep["Days"] > 2])
        part = r.lmer("Reaction ~ Days + (1 | Subject)", sleep, subset=sleep["Days"] > 2)
        assert part.fixef().equals(whole.fixef())
        for start in ([0.7], {"theta": [0.7]}):
            m = r.lmer("Reaction ~ Days + (1 | Subject)", sleep, start=start, verbose=1)
            close(m.reml_crit(), r.lmer("Reaction ~ Days + (1 | Subject)", sleep).reml_crit(), 1e-9)
        with pytest.raises(InvalidArgumentError, match="subset: an array of True and False"):
            r.lmer("Reaction ~ Days + (1 | Subject)", sleep, subset="Days > 2")

    def test_missing_values(self, sleep):
        gap = sleep.assign(Days=sleep["Days"].where(sleep["Days"] != 3))
        m = r.lmer("Reaction ~ Days + (1 | Subject)", gap, na_action="na.exclude")
        assert m.n_dropped == 18
        with pytest.raises(InvalidArgumentError, match="missing"):
            r.lmer("Reaction ~ Days + (1 | Subject)", gap, na_action="na.fail")
        with pytest.raises(InvalidArgumentError, match="na_action='na.pass': allowed: 'na.omit'"):
            r.lmer("Reaction ~ Days + (1 | Subject)", gap, na_action="na.pass")

    def test_control(self, sleep):
        control = r.lmerControl(
            optimizer="bobyqa", optCtrl={"maxfun": 2e5}, calc_derivs=False,
            check_conv_singular="ignore",
        )  # fmt: skip
        assert control == mx.LmerControl(max_iterations=200_000)
        assert r.lmerControl("Nelder_Mead") == mx.LmerControl()
        assert r.lmerControl(check_rankX="stop.deficient").rank_deficient == "raise"
        assert not r.lmerControl(check_nobs_vs_nRE="ignore").check
        assert r.lmerControl(tolerance=1e-9).tolerance == 1e-9
        m = r.lmer("Reaction ~ Days + (1 | Subject)", sleep, control=control)
        assert m.aic() == r.lmer("Reaction ~ Days + (1 | Subject)", sleep).aic()
        for wrong, message in (
            ({"optimizer": "adam"}, "optimizer='adam': allowed: 'nloptwrap', 'bobyqa'"),
            ({"calc_deriv": 1}, "lmerControl has no 'calc_deriv'.*did you mean 'calc_derivs'"),
            ({"check_rankX": "ignore"}, "check_rankX='ignore': columns are dropped"),
            ({"optCtrl": {"maxfun": 0}}, "max_iterations=0: must be a positive"),
        ):
            with pytest.raises(InvalidArgumentError, match=message):
                r.lmerControl(**wrong)

    def test_every_option_of_rs_control_is_known(self):
        defaults = {"optimizer": "nloptwrap", "check_rankX": "message+drop.cols", "optCtrl": None}
        for name in EXPECTED["lmer_control"]:
            kept = defaults.get(name, "stop")
            assert r.lmerControl(**{name: kept}) == mx.LmerControl()

    def test_dropped_columns(self, sleep):
        twice = sleep.assign(again=2 * sleep["Days"])
        with pytest.warns(RankDeficientWarning):
            m = r.lmer("Reaction ~ Days + again + (1 | Subject)", twice, control=r.lmerControl())
        assert len(m.fixef()) == 2


class TestPieces:
    @pytest.mark.parametrize("name", list(EXPECTED["getME"]))
    def test_as_in_R(self, models, name):
        m, lme4 = models[name], EXPECTED["getME"][name]
        for piece in ("k", "m", "N", "REML"):
            assert r.getME(m, piece) == lme4[piece], piece
        assert r.getME(m, "p_i") == lme4["p_i"]
        assert r.getME(m, "m_i") == lme4["m_i"]
        # R's l_i, which its q_i is made of, is by factor: the same here, once for each term.
        assert r.getME(m, "q_i") == lme4["q_i"]
        for ours, theirs in zip(r.getME(m, "ST"), lme4["ST"], strict=True):
            close(ours, theirs, LMER_THETA)
        for ours, theirs in zip(r.getME(m, "mmList"), lme4["mmList"], strict=True):
            np.testing.assert_array_equal(ours.to_numpy()[:5], theirs)
        a = r.getME(m, "A")
        close(a.sum(axis=1), lme4["A_rows"], LMER_THETA)
        close(a.sum(axis=0)[:20], lme4["A_columns"], LMER_THETA)
        ones = np.ones(len(r.getME(m, "theta")))
        close(r.getME(m, "devfun")(ones), lme4["devfun_at_1"], LMER_CRITERION)

    def test_several_and_all(self, models):
        m = models["correlated"]
        several = r.getME(m, ["theta", "beta"])
        assert list(several) == ["theta", "beta"]
        np.testing.assert_array_equal(several["theta"], m.get_me("theta"))
        everything = m.get_me("ALL")
        assert {"X", "Zt", "ST", "devfun", "pp", "k"} <= set(everything)
        assert everything["k"] == 1
        with pytest.raises(InvalidArgumentError, match="name='thta': .*did you mean 'theta'"):
            m.get_me(["theta", "thta"])

    def test_all_of_a_model_without_rows(self, sleep):
        m = mx.lmer("Reaction ~ Days + (1 | Subject)", [sleep])
        everything = m.get_me("ALL")
        assert "theta" in everything
        assert "X" not in everything

    def test_a_factor_that_is_singular(self):
        """S of zero below which the factor is not: T S S T' has no such T."""
        rng = np.random.default_rng(1)
        data = pd.DataFrame({"g": np.repeat(np.arange(8), 5), "x": np.tile(np.arange(5.0), 8)})
        data["y"] = rng.normal(size=40)
        with pytest.warns(mx.exceptions.SingularFitWarning):
            m = mx.lmer("y ~ x + (x | g)", data)
        low, (st,) = m.get_me("Tlist")[0], m.get_me("ST")
        zero = np.flatnonzero(np.diag(low) == 0.0)
        assert len(zero)
        np.testing.assert_array_equal(np.diag(st), np.diag(low))
        for j in zero:
            below = low[j + 1 :, j]
            assert np.array_equal(np.isnan(st[j + 1 :, j]), below != 0.0)

    def test_slots(self, models):
        m = models["correlated"]
        assert r.slotNames(m) == EXPECTED["slots"]
        assert all(r.getME(m, name) is not None for name in r.slotNames(m))

    def test_data(self, models):
        assert list(r.getData(models["nested"]).columns) == ["strength", "batch", "cask"]
        pd.testing.assert_frame_equal(r.as_data_frame(r.VarCorr(models["nested"])),
                                      models["nested"].var_corr().to_frame())  # fmt: skip
        assert r.as_data_frame(models["nested"].ranef()).shape == (40, 5)
        with pytest.raises(InvalidArgumentError, match="x: int has no to_frame"):
            r.as_data_frame(3)


class TestComparing:
    def test_criteria_of_several(self, models):
        a, b = models["correlated"], models["apart"]
        for name in ("AIC", "BIC"):
            table = getattr(r, name)(a, b)
            assert list(table.columns) == ["df", name]
            for row, theirs in zip(table.to_dict("records"), EXPECTED[name], strict=True):
                assert row["df"] == theirs["df"]
                close(row[name], theirs[name], LMER_CRITERION)
            assert getattr(r, name)(a) == table[name].iloc[0]
        close(r.AIC(a, k=3), EXPECTED["AIC_k3"], LMER_CRITERION)
        assert r.AIC(a, a).index.tolist() == [f"{i}: {a.formula()}" for i in (1, 2)]
        assert r.AIC(a) == a.aic()
        assert r.BIC(a) == a.bic()

    def test_anova(self, models):
        a, b = models["correlated"].refit_ml(), models["apart"].refit_ml()
        for test in (None, "LRT", "Chisq"):
            assert r.anova(b, a, test=test).equals(b.anova(a))
        assert r.anova(b, a, model_names=["b", "a"]).index.tolist() == ["b", "a"]
        assert r.anova(models["apart"], test="F", ddf="KR").equals(
            models["apart"].anova(ddf="kenward-roger")
        )
        assert r.anova(a, ddf="lme4").equals(a.anova())
        with pytest.raises(InvalidArgumentError, match="test='F': for several models, allowed"):
            r.anova(b, a, test="F")
        with pytest.raises(InvalidArgumentError, match="test='Chisq': for the terms of one model"):
            r.anova(a, test="Chisq")

    def test_one_list(self, models):
        a, b = models["correlated"].refit_ml(), models["apart"].refit_ml()
        assert b.anova([a]).equals(b.anova(a))


class TestIntervals:
    def test_names_of_R(self, models):
        m = models["correlated"]
        ours = m.confint(method="wald")
        theirs = r.confint(m, method="Wald", oldNames=True)
        assert theirs.index.tolist() == EXPECTED["old_names"]
        np.testing.assert_array_equal(theirs, ours)
        assert r.confint(m, method="Wald").equals(ours)
        assert r.confint(m, "beta_", 0.9, "Wald").equals(
            m.confint(parm="beta_", level=0.9, method="wald")
        )

    def test_parameters_by_Rs_names(self, models):
        m = models["nested"]
        one = r.confint(m, parm=[".sig02", ".sigma"])
        assert one.index.tolist() == ["sd_Intercept|batch", "sigma"]
        profile = r.profile(m)
        same = r.confint(profile, ".sig02", oldNames=True)
        assert same.index.tolist() == [".sig02"]
        np.testing.assert_allclose(same.to_numpy()[0], one.to_numpy()[0], rtol=PROFILE_INTERVAL)

    def test_bootstrap(self, models):
        m = models["nested"]
        given = r.confint(m, method="boot", nsim=9, seed=1, boot_type="perc", level=0.5)
        assert given.equals(
            m.confint(method="boot", n_sims=9, rng=1, boot_type="percentile", level=0.5)
        )
        boot = r.bootMer(m, nsim=9, seed=1)
        part = r.confint(boot, ".sigma", 0.5, oldNames=True)
        assert part.index.tolist() == [".sigma"]


@pytest.fixture(scope="module")
def classes():
    """A factor in the fixed part."""
    return mx.lmer("extro ~ open + Q('class') + (1 | school)", mx.load_dataset("students"))


class TestVerbs:
    def test_emmeans_formulas(self, classes):
        plain = mx.emmeans(classes, "class")
        for specs in ("~ class", "~class", "class"):
            assert r.emmeans(classes, specs).to_frame().equals(plain.to_frame())
        both = r.emmeans(classes, "pairwise ~ class", lmer_df="satterthwaite", adjust="holm")
        assert list(both) == ["emmeans", "contrasts"]
        want = mx.emmeans(classes, "class", ddf="satterthwaite").contrasts(adjust="holm")
        assert both["contrasts"].to_frame().equals(want.to_frame())
        assert "emmeans:\n" in repr(both)
        control = r.emmeans(classes, "trt.vs.ctrl ~ class")["contrasts"]
        assert control.adjust == "dunnett"
        with pytest.raises(InvalidArgumentError, match="adjust='holm': for contrasts"):
            r.emmeans(classes, "~ class", adjust="holm")

    def test_by_right_of_the_bar(self):
        students = mx.load_dataset("students")
        students = students.assign(high=np.where(students["agree"] > 40, "yes", "no"))
        m = mx.lmer("extro ~ high * Q('class') + (1 | school)", students)
        want = mx.emmeans(m, "class", "high", ddf="asymptotic")
        for verb in (mx.emmeans, r.emmeans):
            got = verb(m, "~ class | high", ddf="asymptotic")
            assert got.to_frame().equals(want.to_frame())
            assert verb(m, "~ class + high", ddf="asymptotic").to_frame().shape[0] == 8
            with pytest.raises(InvalidArgumentError, match="by='high': the formula of specs has a"):
                verb(m, "~ class | high", by="high")
            with pytest.raises(InvalidArgumentError, match="specs='~ a | b | c'|specs="):
                verb(m, "~ class | high | high")
        both = r.emmeans(m, "pairwise ~ class | high", ddf="asymptotic")
        assert both["contrasts"].to_frame().equals(want.contrasts().to_frame())
        assert mx.emmeans(m, "~ 1", ddf="asymptotic").to_frame().shape[0] == 1

    def test_ours_compares_with_the_formula_too(self, classes):
        means = mx.emmeans(classes, "revpairwise ~ class")
        want = mx.emmeans(classes, "class").contrasts("revpairwise")
        assert means.contrasts().to_frame().equals(want.to_frame())
        assert "b - a" in repr(means)
        with pytest.raises(InvalidArgumentError, match="method='pairs': allowed: 'pairwise'"):
            mx.emmeans(classes, "pairs ~ class")

    def test_emtrends(self):
        m = mx.lmer("extro ~ open * Q('class') + (1 | school)", mx.load_dataset("students"))
        both = r.emtrends(m, "pairwise ~ class", var="open", lmer_df="asymptotic")
        want = mx.emtrends(m, "class", "open", ddf="asymptotic")
        assert both["emtrends"].to_frame().equals(want.to_frame())
        assert both["contrasts"].to_frame().equals(want.contrasts().to_frame())

    def test_merTools(self, models, sleep):
        m, rows = models["correlated"], sleep.head(3)
        given = r.REsim(merMod=m, n_sims=9, seed=1)
        for other in (r.REsim(x=m, nsims=9, seed=1), mx.re_sim(m, n_sims=9, rng=1)):
            assert given.equals(other)
        assert r.FEsim(merMod=m, n_sims=9, seed=1).equals(mx.fe_sim(m, n_sims=9, rng=1))
        simulated = r.predictInterval(m, rows, type="linear.prediction", n_sims=9, seed=1)
        assert simulated.equals(mx.predict_interval(m, rows, n_sims=9, rng=1))
        with pytest.raises(InvalidArgumentError, match="type='probability': a linear mixed model"):
            r.predictInterval(m, rows, type="probability")
        impact = r.REimpact(m, rows, groupFctr="Subject", n_sims=500, seed=2)
        assert impact.equals(mx.re_impact(m, rows, "Subject"))
        with pytest.raises(InvalidArgumentError, match="n_sims=0"):
            r.REimpact(m, rows, n_sims=0)

    def test_several_impacts_in_one_figure(self, models, sleep):
        m, rows = models["correlated"], sleep.head(2)
        impacts = {
            "by intercept": r.REimpact(m, rows, term="Intercept"),
            "by slope": r.REimpact(m, rows, term="Days"),
        }
        grid = r.plotREimpact(impacts)
        assert [t.get_text() for t in grid.legend.get_texts()] == list(impacts)

    def test_printing(self, models, capsys):
        m = models["nested"]
        r.print(m)
        r.show(m)
        r.print("a", 1, sep="-", end="")
        assert capsys.readouterr().out == f"{m}\n{m}\na-1"


class TestFigures:
    def test_of_random_effects(self, models):
        one, two = models["nested"].ranef(), models["correlated"].ranef()
        assert len(r.qqmath(two).axes_dict) == 2
        assert r.qqmath(models["nested"]).get_xlabel() == "normal quantile"
        assert len(r.plot(two).axes) == 4
        assert list(r.plot(one).axes_dict) == [("cask:batch", "Intercept"), ("batch", "Intercept")]

    def test_of_other_results(self, models):
        m = models["nested"]
        profile = r.profile(m, which="theta_")
        for grid in (r.plot(profile), r.xyplot(profile, layout=(1, 3))):
            assert [ax.get_title() for ax in grid.axes.flat] == list(profile.curves)
        assert r.plot(r.influence(m, "batch")).axes.shape == (1, 2)
        assert len(r.plot(m).axes) == 2
        means = mx.emmeans(models["correlated"], "Days", at={"Days": [0, 9]}, ddf="asymptotic")
        assert r.plot(means).axes.flat[0].get_xlabel() == "Days"


def test_no_statistics_in_the_idioms():
    """Each ends in a function of ours; what is drawn is imported no earlier."""
    from merextras import r_idioms

    for name in ("fitting", "estimates", "verbs", "figures"):
        module = __import__(f"merextras.r_idioms.{name}", fromlist=[name])
        assert "scipy" not in inspect.getsource(module)
    assert r_idioms.__doc__


def test_ml_fit_by_kenward_roger_warns(models):
    with pytest.warns(RefitWarning):
        models["correlated"].refit_ml().summary(ddf="KR")


def test_glmer_as_r_spells_it():
    cbpp = mx.load_dataset("cbpp")
    formula = "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)"
    m = r.glmer(formula, cbpp, "binomial", nAGQ=5, subset=cbpp["herd"] != cbpp["herd"].iloc[0])
    same = mx.glmer(formula, cbpp[cbpp["herd"] != cbpp["herd"].iloc[0]], "binomial", n_agq=5)
    assert m.log_lik() == same.log_lik()
    nb = r.glmer_nb("size ~ C(period) + (1 | herd)", cbpp)
    assert nb.family() == "negative_binomial(log)"
    assert r.REsim(m, nsims=50, oddsRatio=True, seed=1)["mean"].gt(0.0).all()


@pytest.fixture(scope="module")
def spread():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(15), 10), "x": rng.normal(size=150)})
    mean = 1.0 / (2.0 + 0.2 * data["x"] + 0.1 * rng.normal(size=15)[data["g"]])
    return data.assign(y=rng.gamma(5.0, mean / 5.0))


class TestDefaultLinks:
    """A family's name alone has R's link; with a link, and in ours, nothing changes."""

    @pytest.mark.parametrize("family", ["Gamma", "gamma", "Gamma()", " Gamma"])
    def test_the_inverse_of_a_gamma(self, spread, family):
        formula = "y ~ x + (1 | g)"
        m = r.glmer(formula, spread, family)
        assert m.family() == "gamma(inverse)"
        assert m.log_lik() == mx.glmer(formula, spread, "gamma(inverse)").log_lik()
        assert r.glmer(formula, spread, family=family).family() == "gamma(inverse)"

    def test_wherever_r_takes_a_family(self, spread):
        formula = "y ~ x + (1 | g)"
        assert mx.glmer(formula, spread, "Gamma").family() == "gamma(log)"
        m = r.glmer(formula, spread, family="Gamma(link='log')")
        assert m.family() == "gamma(log)"
        assert r.update(m, family="Gamma").family() == "gamma(inverse)"
        assert r.glmerModList(formula, [spread, spread], "Gamma")[0].family() == "gamma(inverse)"
        assert r.lmList("y ~ x | g", spread, family="Gamma").family == "gamma(inverse)"
        assert r.glmer(formula, spread, "gaussian").family() == "gaussian(identity)"

    @pytest.mark.parametrize("family", ["inverse.gaussian", "inverse_gaussian", "InverseGaussian"])
    def test_a_link_that_there_is_not(self, spread, family):
        with pytest.raises(InvalidArgumentError, match=r"1/mu\^2.*'inverse_gaussian\(log\)'"):
            r.glmer("y ~ x + (1 | g)", spread, family)
        with pytest.raises(InvalidArgumentError, match=r"link '1/mu\^2': its links here are 'log'"):
            r.glmer("y ~ x + (1 | g)", spread, f"{family}(link = '1/mu^2')")
        m = r.glmer("y ~ x + (1 | g)", spread, f"{family}(log)")
        assert m.family() == "inverse_gaussian(log)"


@pytest.fixture(scope="module")
def herds():
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    cbpp = mx.load_dataset("cbpp")
    return r.glmer(formula, cbpp.assign(period=cbpp["period"].astype(str)), "binomial")


class TestGeneralised:
    """R's scales: the methods of ours answer on others."""

    def test_as_in_R(self, herds):
        lme4 = EXPECTED["glmer"]
        close(r.deviance(herds), lme4["deviance"], GLMM_AGAINST_LME4)
        close(r.predict(herds)[:6], lme4["link"], GLMM_AGAINST_LME4)
        close(r.predict(herds, re_form="NA")[:6], lme4["zero"], GLMM_AGAINST_LME4)
        close(r.predict(herds, type="response")[:6], lme4["response"], GLMM_AGAINST_LME4)
        assert r.predict(herds, type="response").equals(herds.predict())
        assert r.deviance(herds) < herds.deviance() == -2.0 * r.logLik(herds)
        population = herds.predict(re_form="population")
        assert r.predict(herds, re_form="population").equals(population)

    def test_of_a_linear_model_there_is_one_scale(self, models):
        m = models["correlated"]
        for scale in (None, "link", "response"):
            assert r.predict(m, type=scale).equals(m.predict())
        with pytest.raises(InvalidArgumentError, match="type='odds': allowed: 'link', 'response'"):
            r.predict(m, type="odds")
        assert r.deviance(m.refit_ml()) == m.refit_ml().deviance()

    def test_predictInterval(self, herds, models):
        ours = mx.predict_interval(herds, n_sims=50, rng=1)
        for said in ({}, {"type": "probability"}):
            assert r.predictInterval(herds, n_sims=50, seed=1, **said).equals(ours)
        said = {"type": "linear.prediction", "include_resid_var": False, "seed": 1}
        link = mx.predict_interval(herds, type="link", include_resid_var=False, rng=1)
        assert r.predictInterval(herds, **said).equals(link)
        with pytest.raises(InvalidArgumentError, match="a new response is on its own scale"):
            r.predictInterval(herds, type="linear.prediction")
        linear = r.predictInterval(models["nested"], type="linear.prediction", seed=1)
        assert linear.equals(mx.predict_interval(models["nested"], rng=1))

    def test_control(self, herds):
        assert r.glmerControl() == mx.LmerControl()
        control = r.glmerControl("bobyqa", tolPwrss=1e-9, optCtrl={"maxfun": 2e5}, calc_derivs=0)
        assert control == mx.LmerControl(max_iterations=200_000)
        again = r.glmer(herds.formula(), herds.model_frame(), "binomial", control=control)
        assert again.log_lik() == herds.log_lik()
        with pytest.raises(InvalidArgumentError, match="glmerControl has no 'tolPwrs'.*'tolPwrss'"):
            r.glmerControl(tolPwrs=1)

    def test_every_option_of_rs_control_is_known(self):
        defaults = {"check_rankX": "message+drop.cols", "optCtrl": None, "optimizer": "bobyqa"}
        for name in EXPECTED["glmer_control"]:
            assert r.glmerControl(**{name: defaults.get(name, "stop")}) == mx.LmerControl()

    def test_tidy(self, herds):
        """broom's arguments are all taken, and are those of ours."""
        ratios = r.tidy(herds, "fixed", exponentiate=True, conf_int=True, conf_level=0.9)
        ours = mx.tidy(herds, "fixed", exponentiate=True, ci="wald", level=0.9)
        pd.testing.assert_frame_equal(ratios, ours)
        robust = r.tidy(herds, "fixed", ddf="CR0", cluster="herd")
        pd.testing.assert_frame_equal(robust, mx.tidy(herds, "fixed", ddf="CR0", cluster="herd"))

    def test_emmeans(self, herds):
        """emmeans' adjustment is an approximation, and what it approximates is here."""
        sigma = float(herds.var_corr().to_frame()["sdcor"].iloc[0])
        for verb, more in ((r.emmeans, ()), (r.emtrends, ("period",))):
            with pytest.raises(InvalidArgumentError, match="bias_adjust=True.*re_form=.population"):
                verb(herds, "period", *more, type="response", bias_adjust=True, sigma=sigma)
        plain = r.emmeans(herds, "period", type="response", bias_adjust=False, sigma=sigma)
        ours = mx.emmeans(herds, "period", type="response").to_frame()
        pd.testing.assert_frame_equal(plain.to_frame(), ours)
        held = r.emmeans(herds, "1", offset=1).to_frame()["estimate"]
        np.testing.assert_allclose(held - mx.emmeans(herds, "1").to_frame()["estimate"], 1.0)

    def test_intervals_of_means(self, herds):
        means = r.emmeans(herds, "period")
        found = r.confint(means, level=0.9)
        pd.testing.assert_frame_equal(found, means.to_frame(level=0.9))
        for options in ({"parm": "period"}, {"method": "boot"}):
            with pytest.raises(InvalidArgumentError, match="marginal means have one kind of inter"):
                r.confint(means, **options)

    def test_checks(self, herds):
        found = r.check_overdispersion(x=herds, n_sims=20, rng=1)
        assert found.ratio == mx.check_overdispersion(herds, n_sims=20, rng=1).ratio
        zeros = r.check_zeroinflation(herds, n_sims=20, rng=1)
        assert zeros.observed == mx.check_zero_inflation(herds, n_sims=20, rng=1).observed

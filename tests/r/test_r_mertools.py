"""merTools' functions as they are called in R, and its simulated tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mertools_models import MODELS, data_of, model, plain, table
from tolerances import BOTH_SIMULATED

import merextras as mx
from merextras import r

pytestmark = pytest.mark.usefixtures("figures_closed")


def test_by_R_keywords():
    m, data = model("sleepstudy"), data_of("sleepstudy")
    case = data.head(2)
    pairs = [
        (
            r.expectedRank(m, groupFctr="Subject", term="(Intercept)"),
            mx.expected_rank(m, "Subject", "Intercept"),
        ),
        (
            r.REimpact(m, newdata=case, groupFctr="Subject", term="Days", breaks=2),
            mx.re_impact(m, case, "Subject", "Days", 2),
        ),
        (
            r.REmargins(merMod=m, newdata=case, groupFctr="Subject", breaks=3),
            mx.re_margins(m, case, breaks=3),
        ),
        (r.REextract(m), mx.re_extract(m)),
        (r.REsdExtract(model=m), mx.re_sd_extract(m)),
        (r.REcorrExtract(m), mx.re_corr_extract(m)),
        (r.modelInfo(object=m), mx.model_info(m)),
        (r.averageObs(m, varList={"Days": 3}), mx.average_obs(m, {"Days": 3})),
        (r.averageObs(m, origData=data.head(9)), mx.average_obs(m, data=data.head(9))),
        (r.randomObs(m, varList={"Days": 3}, seed=1), mx.random_obs(m, {"Days": 3}, rng=1)),
        (r.draw(object=m, type="random", seed=2), mx.draw(m, rng=2)),
        (r.findFormFuns(merMod=m), mx.find_form_funs(m)),
        (
            r.wiggle(case, varlist="Days", valueslist=[1, 2]),
            mx.wiggle(case, "Days", [1, 2]),
        ),
        (
            r.subBoot(m, n=100, FUN=r.thetaExtract, R=2, seed=1),
            mx.sub_boot(m, mx.theta_extract, 100, n_sims=2, rng=1),
        ),
    ]
    for theirs, ours in pairs:
        assert theirs.equals(ours)
    assert r.REquantile(m, quantile=0.5, groupFctr="Subject", term="(Intercept)") == 308
    assert list(r.superFactor(["a"], fullLev=["b"]).categories) == ["b", "a"]
    assert r.RMSE(m, scale=True) == mx.rmse(m, scale=True)
    assert r.ICC(outcome="Reaction", group="Subject", data=data) == mx.icc_from_data(
        "Reaction", "Subject", data
    )
    assert repr(r.fastdisp(m)) == repr(mx.fast_display(m))


def test_figures_by_R_keywords():
    m = model("students")
    sims = r.REsim(m, nsims=20, seed=1)
    grid = r.plotREsim(sims, level=0.9, stat="mean", labs=True, sigmaScale=2.67)
    assert grid.ax.get_ylabel().startswith("Intercept\n(mean ± 1.64 sd)")
    assert r.plotFEsim(r.FEsim(m, nsims=20, seed=1), sigmaScale=2.67).get_xlabel()
    impact = r.REimpact(m, data_of("students").head(2))
    assert len(r.plotREimpact(impact).axes.flat) == 2


def test_simulated_effects_where_R_simulates_them_rightly():
    """One scalar term; both have 20 000 draws."""
    given, m = MODELS["students"]["sims"], model("students")
    n = given["n_sims"]
    fixed = mx.fe_sim(m, n_sims=n, rng=1)
    for ours, rows in ((mx.re_sim(m, n_sims=n, rng=1), given["re"]), (fixed, given["fe"])):
        theirs = table(rows)
        assert ours["term"].tolist() == [plain(term) for term in theirs["term"]]
        error = BOTH_SIMULATED * np.sqrt(2 / n)
        assert np.all(np.abs(ours["mean"] - theirs["mean"]) < error * ours["sd"])
        assert np.all(np.abs(ours["median"] - theirs["median"]) < 1.26 * error * ours["sd"])
        np.testing.assert_allclose(ours["sd"], theirs["sd"], rtol=error / np.sqrt(2))


def test_simulated_slopes_where_R_does_not():
    """arm takes the transpose of Lambda: its slopes have 2.78 for the SD 2.65 of the model."""
    given, m = MODELS["sleepstudy"]["sims"], model("sleepstudy")
    n = given["n_sims"]
    sd = mx.re_sim(m, n_sims=n, rng=1).groupby("term")["sd"].mean()
    theirs = table(given["re"]).groupby("term")["sd"].mean()
    assert theirs["Days"] - sd["Days"] > 20 * sd["Days"] / np.sqrt(2 * n * 18)
    fixed, fixed_r = mx.fe_sim(m, n_sims=n, rng=1), table(given["fe"])
    np.testing.assert_allclose(fixed["sd"], fixed_r["sd"], rtol=BOTH_SIMULATED / np.sqrt(n))


def test_on_a_statsmodels_fit():
    import statsmodels.formula.api as smf

    students = mx.load_dataset("students")
    fit = smf.mixedlm("extro ~ open", students, groups="school").fit()
    assert isinstance(r.expectedRank(fit), pd.DataFrame)
    assert isinstance(r.REimpact(fit, students.head(1)), pd.DataFrame)
    assert r.RMSE(fit) == mx.rmse(mx.MerMod(fit))


def test_several_fits():
    data = mx.load_dataset("sleepstudy")
    fits = r.lmerModList("Reaction ~ Days + (1 | Subject)", [data, data[data["Days"] > 0]])
    pd.testing.assert_series_equal(r.fixef(fits), fits.fixef())
    pd.testing.assert_frame_equal(r.ranef(fits)["Subject"], fits.ranef()["Subject"])
    assert str(r.VarCorr(fits)) == str(fits.var_corr())

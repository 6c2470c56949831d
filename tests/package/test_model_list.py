"""Several fits of one model: Rubin's rules against mice and against the formulas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from tolerances import LMER_ESTIMATE, POOLED

import merextras as mx
from merextras.exceptions import InvalidArgumentError, SingularFitWarning, UnsupportedModelError
from merextras.inference.fixed_effects.pooling import barnard_rubin

EXPECTED = json.loads(
    (Path(__file__).parents[1] / "reference" / "pooling" / "expected.json").read_text()
)
CASES = {
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", "Reaction"),
    "penicillin": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "diameter"),
}


def waves(name):
    """The data sets that the R script makes."""
    data, y = mx.load_dataset(name), CASES[name][1]
    rows = np.arange(1, len(data) + 1)
    size = EXPECTED[name]["size"]
    return [data.assign(**{y: data[y] + size * np.sin(j * rows / 25)}) for j in range(1, 6)]


@pytest.fixture(scope="module")
def sleeps():
    return mx.lmer_list(CASES["sleepstudy"][0], waves("sleepstudy"))


@pytest.mark.parametrize("ddf", [None, "asymptotic"])
@pytest.mark.parametrize("name", CASES)
def test_mice(name, ddf):
    pooled = mx.lmer_list(CASES[name][0], waves(name)).pool(ddf=ddf)
    expected = EXPECTED[name]["residual" if ddf is None else "asymptotic"]
    table = pooled.table
    np.testing.assert_allclose(table["estimate"], expected["estimate"], rtol=LMER_ESTIMATE)
    np.testing.assert_allclose(np.diag(pooled.within), expected["ubar"], rtol=POOLED)
    np.testing.assert_allclose(np.diag(pooled.between), expected["b"], rtol=POOLED)
    np.testing.assert_allclose(np.diag(pooled.total), expected["t"], rtol=POOLED)
    np.testing.assert_allclose(table["std_error"] ** 2, expected["t"], rtol=POOLED)
    for name_of in ("df", "riv", "fmi"):
        np.testing.assert_allclose(table[name_of], expected[name_of], rtol=POOLED)


def test_intervals_and_tests_are_of_t(sleeps):
    from scipy import stats

    table = sleeps.pool(level=0.9).table
    half = stats.t.isf(0.05, table["df"]) * table["std_error"]
    np.testing.assert_allclose(table["conf_low"], table["estimate"] - half)
    np.testing.assert_allclose(table["conf_high"], table["estimate"] + half)
    np.testing.assert_allclose(
        table["p_value"], 2 * stats.t.sf(np.abs(table["statistic"]), table["df"])
    )


def test_small_sample_degrees_of_freedom_are_smaller(sleeps):
    kr = sleeps.pool(ddf="kenward-roger").table["df"]
    assert (kr < 17.0).all()
    assert (kr < sleeps.pool().table["df"]).all()


def test_barnard_and_rubin_at_the_ends():
    share = np.array([0.0, 0.3, 1.0])
    infinite = barnard_rubin(share, np.full(3, np.inf), 5)
    np.testing.assert_allclose(infinite, [np.inf, 4 / 0.09, 4.0])
    finite = barnard_rubin(share, np.full(3, 20.0), 5)
    np.testing.assert_allclose(finite[0], 21 / 23 * 20)
    assert finite[2] == 0.0


def test_identical_fits_pool_to_one(sleep):
    fits = mx.lmer_list(CASES["sleepstudy"][0], [sleep] * 3)
    one, pooled = fits[0], fits.pool()
    np.testing.assert_allclose(pooled.table["estimate"], one.fixef(), rtol=1e-14)
    np.testing.assert_allclose(pooled.total, one.vcov(), rtol=1e-14)
    np.testing.assert_allclose(pooled.between, 0.0, atol=1e-20)
    pd.testing.assert_frame_equal(fits.ranef().to_frame(), one.ranef().to_frame())
    np.testing.assert_allclose(fits.var_corr()["Subject"], one.var_corr()["Subject"], rtol=1e-14)
    np.testing.assert_allclose(fits.re_stats()["sd"], 0.0, atol=1e-12)


def test_means_and_spread(sleeps):
    np.testing.assert_allclose(sleeps.fixef(), np.mean([m.fixef() for m in sleeps], axis=0))
    covariances = [m.var_corr()["Subject"] for m in sleeps]
    np.testing.assert_allclose(sleeps.var_corr()["Subject"], np.mean(covariances, axis=0))
    sigmas = np.array([m.sigma() for m in sleeps])
    np.testing.assert_allclose(sleeps.var_corr().sigma, np.sqrt(np.mean(sigmas**2)))
    stats = sleeps.re_stats().set_index(["group", "term"])
    np.testing.assert_allclose(stats.loc["Residual", "sd_Observation"]["mean"], sigmas.mean())
    np.testing.assert_allclose(stats.loc["Residual", "sd_Observation"]["sd"], sigmas.std(ddof=1))
    assert ("Subject", "cor_Intercept.Days") in stats.index


def test_random_effects_by_rubin(sleeps):
    """Not the first fit's over m, which is what merTools gives."""
    modes = np.array([m.ranef()["Subject"] for m in sleeps])
    within = np.mean([m.ranef().post_var["Subject"] for m in sleeps], axis=0)
    between = np.array([np.cov(modes[:, j].T) for j in range(18)])
    found = sleeps.ranef()
    np.testing.assert_allclose(found["Subject"], modes.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.post_var["Subject"], within + 1.2 * between, rtol=1e-10)


def test_levels_that_only_some_fits_have(sleep):
    without = sleep[~sleep["Subject"].isin([308, 372])]
    fits = mx.lmer_list("Reaction ~ Days + (1 | Subject)", {"all": sleep, "part": without})
    found = fits.ranef()
    assert list(found["Subject"].index) == sorted(sleep["Subject"].unique())
    alone = fits["all"].ranef()["Subject"]
    np.testing.assert_allclose(found["Subject"].loc[[308, 372]], alone.loc[[308, 372]])
    errors = found.to_frame().set_index("level")["std_error"]
    assert errors.loc[[308, 372]].isna().all()
    assert errors.drop([308, 372]).notna().all()


def test_from_fits_of_statsmodels(students):
    fits = [
        smf.mixedlm("extro ~ open", part, groups="school").fit()
        for _, part in students.groupby("class")
    ]
    found = mx.ModelList(fits)
    assert found.names == ("0", "1", "2", "3")
    assert all(isinstance(m, mx.MerMod) for m in found)
    same = mx.lmer_list("extro ~ open + (1 | school)", [p for _, p in students.groupby("class")])
    np.testing.assert_allclose(found.fixef(), same.fixef(), rtol=LMER_ESTIMATE)


def test_is_a_sequence(sleeps):
    assert len(sleeps) == 5
    assert sleeps["2"] is sleeps[2]
    assert sleeps[-1] is list(sleeps)[4]
    assert len(sleeps[1:3]) == 2
    assert repr(sleeps).startswith("5 fits of Reaction ~ Days + (Days | Subject)")
    assert "Pooled over 5 fits" in repr(sleeps.pool())
    with pytest.raises(KeyError, match="'9'"):
        sleeps["9"]


def test_jobs_do_not_matter(sleeps):
    other = mx.lmer_list(CASES["sleepstudy"][0], waves("sleepstudy"), n_jobs=2)
    pd.testing.assert_frame_equal(other.pool().table, sleeps.pool().table)


def test_names_of_the_caller(sleep):
    def double(x):
        return 2 * x

    fits = mx.lmer_list("Reaction ~ double(Days) + (1 | Subject)", [sleep, sleep])
    np.testing.assert_allclose(fits.fixef()["double(Days)"], 10.467285959596 / 2, rtol=1e-9)


def test_weights_by_column(sleep):
    data = sleep.assign(w=1.0 + sleep["Days"])
    fits = mx.lmer_list("Reaction ~ Days + (1 | Subject)", [data, data], weights="w")
    one = mx.lmer("Reaction ~ Days + (1 | Subject)", data, weights="w")
    np.testing.assert_allclose(fits.fixef(), one.fixef(), rtol=1e-12)


def test_singular_fits_are_named_once(sleep):
    rng = np.random.default_rng(1)
    noise = {c: sleep.assign(Reaction=rng.normal(size=180) - 0.1 * rng.normal()) for c in "abcd"}
    with pytest.warns(SingularFitWarning, match=r"^\d of 4 fits \([abcd, ]+\): singular") as caught:
        mx.lmer_list("Reaction ~ Days + (Days | Subject)", noise)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda s: mx.ModelList([]), r"models: 0 fit\(s\); two or more"),
        (lambda s: mx.lmer_list("Reaction ~ 1 + (1 | Subject)", [s]), r"1 fit\(s\)"),
        (lambda s: mx.lmer_list("Reaction ~ 1 + (1 | Subject)", s), "is one data set"),
        (lambda s: mx.lmer_list("Reaction ~ x + (1 | Subject)", {"a": s, "b": s}), "data set 'a'"),
        (lambda s: mx.lmer_list("Reaction ~ 1 + (1 | Subject)", [s, s], n_jobs=0), "n_jobs=0"),
        (
            lambda s: mx.lmer_list("Reaction ~ 1 + (1 | Subject)", [s, s], weights=s["Days"]),
            "weights=Series: the name of a column",
        ),
        (
            lambda s: mx.ModelList(
                [
                    mx.lmer("Reaction ~ 1 + (1 | Subject)", s),
                    mx.lmer("Reaction ~ Days + (1 | Subject)", s),
                ]
            ),
            "fixed effects of '0' and '1' differ: Intercept and Intercept, Days",
        ),
        (
            lambda s: mx.ModelList(
                [
                    mx.lmer("Reaction ~ 1 + (1 | Subject)", s),
                    mx.lmer("Reaction ~ 1 + (1 | Subject)", s, reml=False),
                ]
            ),
            "criterion of '0' and '1' differ: REML and ML",
        ),
    ],
)
def test_bad_input(sleep, given, message):
    with pytest.raises(InvalidArgumentError, match=message):
        given(sleep)


def test_pool_wants_a_level(sleeps):
    with pytest.raises(InvalidArgumentError, match="level=95"):
        sleeps.pool(level=95)
    with pytest.raises(InvalidArgumentError, match="ddf="):
        sleeps.pool(ddf="none")


def test_other_fits_are_refused(sleep):
    with pytest.raises(UnsupportedModelError):
        mx.ModelList([smf.ols("Reaction ~ Days", sleep).fit()] * 2)


def test_spread_without_correlations():
    """Random intercepts alone."""
    fits = mx.lmer_list(CASES["penicillin"][0], waves("penicillin"))
    table = fits.re_stats()
    assert table["term"].tolist() == ["sd_Intercept", "sd_Intercept", "sd_Observation"]
    sigmas = [m.sigma() for m in fits]
    np.testing.assert_allclose(table["mean"].iloc[-1], np.mean(sigmas))
    np.testing.assert_allclose(table["sd"].iloc[-1], np.std(sigmas, ddof=1))


def _herds():
    """The data sets that the R script makes."""
    from glmer_pieces import EXPECTED as PIECES

    cbpp = mx.load_dataset("cbpp").assign(period=lambda d: d["period"].astype(str))
    return [cbpp.assign(x=x) for x in PIECES["list"]["x"]], PIECES["list"]


HERDS = "cbind(incidence, size - incidence) ~ x + period + (1 | herd)"


def test_generalised_fits_are_mertools():
    data, expected = _herds()
    fits = mx.glmer_list(HERDS, data)
    assert all(m.is_glmm() for m in fits)
    order = ["Intercept", "x", "period[T.2]", "period[T.3]", "period[T.4]"]
    for m, one in zip(fits, expected["each"], strict=True):
        np.testing.assert_allclose(m.fixef()[order], one["fixef"], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(m.vcov().loc[order, order], one["vcov"], rtol=5e-3, atol=1e-4)
        sd = m.var_corr().to_frame()["sdcor"].iloc[0]
        assert sd == pytest.approx(one["sd"], rel=1e-4)
    pooled = fits.pool()
    # merTools sorts terms by name.
    means = pooled.table.set_index("term")["estimate"]
    terms = ["Intercept", "period[T.2]", "period[T.3]", "period[T.4]", "x"]
    np.testing.assert_allclose(means[terms], expected["estimate"], rtol=1e-4)
    within = np.mean([m.vcov().to_numpy() for m in fits], axis=0)
    between = np.cov(np.array([m.fixef() for m in fits]).T)
    np.testing.assert_allclose(pooled.total, within + 4.0 / 3.0 * between, rtol=1e-9)
    by_r = mx.r.glmerModList(HERDS, data=data, family="binomial")
    assert by_r.fixef().equals(fits.fixef())


def test_generalised_options_warnings_and_errors():
    data, _ = _herds()
    same = mx.glmer_list(HERDS, dict(zip("abc", data, strict=True)), n_jobs=2)
    assert same.names == ("a", "b", "c")
    np.testing.assert_array_equal(same.fixef(), mx.glmer_list(HERDS, data).fixef())
    counts = mx.glmer_list(
        "incidence ~ x + (1 | herd)",
        [d.assign(logs=np.log(d["size"])) for d in data],
        "poisson", offset="logs",
    )  # fmt: skip
    assert counts[0].family() == "poisson(log)"
    assert counts[0].design.offset is not None
    shares = [d.assign(share=d["incidence"] / d["size"]) for d in data]
    weighted = mx.glmer_list("share ~ x + period + (1 | herd)", shares, weights="size", n_agq=3)
    assert weighted[0].n_agq == 3

    def double(x):
        return 2.0 * x

    named = mx.glmer_list("incidence ~ double(x) + (1 | herd)", data, "poisson")
    assert double(1) == 2.0
    assert "double(x)" in named.fixef().index
    none = [d.assign(incidence=(d["x"] > d["x"].median()).astype(int)) for d in data]
    with pytest.warns(Warning, match=r"3 of 3 fits \(0, 1, 2\)"):
        mx.glmer_list(
            "incidence ~ 1 + (1 | herd)",
            [
                d.assign(incidence=1 - i["incidence"] * 0 + (np.arange(56) % 2))
                for d, i in zip(data, none, strict=True)
            ],
            "poisson",
        )
    with pytest.raises(InvalidArgumentError, match="data set '1'"):
        mx.glmer_list(HERDS, [data[0], data[1].drop(columns="x")])
    with pytest.raises(InvalidArgumentError, match="name of a column"):
        mx.glmer_list(HERDS, data, offset=np.zeros(56))
    with pytest.raises(InvalidArgumentError, match="is one data set"):
        mx.glmer_list(HERDS, data[0])
    with pytest.raises(UnsupportedModelError, match="quasi"):
        mx.glmer_list(HERDS, data, "quasipoisson")


def test_blme_lists_have_its_prior():
    sleep = mx.load_dataset("sleepstudy")
    found = mx.r.blmerModList("Reaction ~ Days + (Days | Subject)", data=[sleep, sleep])
    one = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep, cov_prior="wishart")
    np.testing.assert_allclose(found[0].theta, one.theta)

"""Every function and method on a generalised model: its own, or an error that says what to do."""

from __future__ import annotations

import functools
import inspect
import re
import warnings

import numpy as np
import pytest
import statsmodels.formula.api as smf
from chunk_models import table
from every_verb import test_streamed_verbs as linear

import merextras as mx
from merextras.exceptions import MerextrasError, MerextrasWarning, UnsupportedModelError
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel

pytestmark = pytest.mark.usefixtures("quiet")

#: Methods that are a generalised model's own, or right for it as they are.
SUPPORTED = {
    "aic", "anova", "as_function", "bic", "block_description", "call", "coef", "confint",
    "cooks_distance", "deviance", "df_residual", "drop1", "extract_aic", "family", "fitted",
    "fixef", "formula", "get_l", "get_me", "hat_trace", "hatvalues", "influence", "is_glmm",
    "is_lmm", "is_nlmm", "is_reml", "is_singular", "log_lik", "model_frame", "model_matrix",
    "ngrps", "nobs", "plot", "predict", "profile", "qqmath", "ranef", "re_pca", "refit",
    "refit_ml", "residuals", "rstudent", "simulate", "summary", "terms", "update", "var_corr",
    "vcov", "weights",
}  # fmt: skip
#: Functions that are there, asked as of a linear model: numbers.
FUNCTIONS = {
    "augment", "average_obs", "bootstrap", "check_collinearity", "check_convergence",
    "check_heteroscedasticity", "check_normality", "check_outliers", "check_predictions",
    "check_singularity", "contest: text", "cross_validate", "draw", "emmeans", "emmeans: at",
    "emmeans: weights", "emtrends", "expected_rank", "fe_sim", "find_form_funs", "glance",
    "icc", "icc: intervals", "joint_tests", "model_info", "pb_modcomp", "performance", "power",
    "predict_interval", "qq_residuals", "r2", "random_obs", "ranova", "ranova: bootstrap",
    "ranova: terms", "re_extract", "re_impact", "re_margins", "re_sd_extract", "re_sim",
    "residual_table", "rmse", "se_fixef", "se_ranef", "shrinkage", "sim", "sim_fitted", "step",
    "sub_boot", "theta_extract", "tidy", "variance_decomposition", "what_if",
    "what_if: changes", "what_if_average", "what_if_spread",
}  # fmt: skip
#: Functions that are there, whose results are not numbers alone; asked below.
OTHER_RESULTS = {
    "all_fit", "check_model", "compare", "compare_table", "contest", "display", "fast_display",
    "model_checks", "se_coef", "standardize",
}  # fmt: skip
#: Likewise: a level, and correlations that this model has none of.
WITHOUT_NUMBERS = {"re_corr_extract", "re_quantile"}
#: Calls of a linear model's that are another one's for a generalised model; asked below.
OTHERWISE = {"exact_lrt", "exact_rlrt: null"}

PROPERTIES = (property, functools.cached_property)
EVERY = {**linear.SAME, **linear.TEXT, **linear.RANDOM, **linear.NEEDS_ROWS}
FURTHER = {
    "exact_lrt": lambda m: mx.exact_lrt(m, n_sims=9),
    "exact_rlrt: with a null": lambda m: mx.exact_rlrt(m, null=m, n_sims=9),
    "m.vcov: robust": lambda m: m.vcov(kind="CR2"),
    "m.update: reml": lambda m: m.update(reml=True),
    "m.summary: ddf": lambda m: m.summary(ddf="satterthwaite"),
    "m.confint: ddf": lambda m: m.confint(method="wald", ddf="CR2"),
    "m.drop1: cluster": lambda m: m.drop1(cluster="g"),
    "m.anova: ddf": lambda m: m.anova(ddf="kenward-roger"),
    "m.log_lik: reml": lambda m: m.log_lik(reml=True),
    "m.deviance: reml": lambda m: m.deviance(reml=True),
    "rlrt_sim": lambda m: mx.exact_rlrt(m, n_sims=9),
    "ls_means": mx.ls_means,
    "kr_modcomp": lambda m: mx.kr_modcomp(m, "x"),
    "sat_modcomp": lambda m: mx.sat_modcomp(m, "x"),
    "stream_rows": lambda m: mx.stream_rows(m, [_data()]),
    "MerMod": mx.MerMod,
}
#: Functions without a model of their own above, that a generalised one has.
MORE = {"explore", "for_summary_col", "glmer_list", "lmer_list", "report"}


@functools.cache
def _data():
    data = table().dropna().reset_index(drop=True)
    return data.assign(z=(data["y"] + 3 * np.sin(7.0 * data["y"]) > data["y"].median()).astype(int))


@functools.cache
def _model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return mx.glmer("z ~ x + c + (1 | g) + (1 | h)", _data())


def _method(name):
    return name.split(":")[0].removeprefix("m.") if name.startswith("m.") else None


REFUSED = [
    n
    for n in EVERY
    if _method(n) not in SUPPORTED
    and n not in OTHERWISE
    and n not in FUNCTIONS | WITHOUT_NUMBERS | OTHER_RESULTS
]


@pytest.mark.parametrize("name", [*REFUSED, *FURTHER])
def test_what_is_for_linear_models_says_what_to_do(name):
    ask = {**EVERY, **FURTHER}[name]
    with pytest.raises(UnsupportedModelError) as refused:
        ask(_model())
    # What to do instead: a method, an argument or a function.
    assert re.search(r"m\.\w+\(|m\.\w+ is|=|maximum likelihood", str(refused.value))


@pytest.mark.parametrize("name", sorted(FUNCTIONS - {"pb_modcomp"}))
def test_functions_that_are_there_have_numbers(name):
    found = EVERY[name](_model())
    numbers = linear._numbers(found)
    assert numbers.size
    assert np.isfinite(numbers).any()


def test_functions_that_are_there_without_numbers():
    model = _model()
    assert mx.re_quantile(model, 1.0, group="h") == model.ranef()["h"].iloc[:, 0].idxmax()
    assert len(mx.re_corr_extract(model)) == 0
    found = mx.re_sd_extract(model)
    np.testing.assert_allclose(found, [np.sqrt(g[0, 0]) for g in model.covariances])


def test_other_results():
    m = _model()
    small = mx.glmer("z ~ x + (1 | g) + (1 | h)", _data())
    compared = mx.compare(m, small)
    np.testing.assert_allclose(compared["aic"], [m.aic(), small.aic()])
    assert compared["sigma"].isna().all()
    assert compared["r2_marginal"].iloc[0] == mx.r2(m).marginal
    performance = mx.performance(m).iloc[0]
    n, k = m.nobs(), len(m.fixef()) + len(m.theta)
    np.testing.assert_allclose(performance["aicc"], m.aic() + 2 * k * (k + 1) / (n - k - 1))
    residuals = m.residuals("response")
    np.testing.assert_allclose(performance["rmse"], np.sqrt(np.mean(residuals**2)))
    assert "binomial(logit)" in repr(mx.compare_table(m, small))
    assert "deviance" in repr(mx.display(m))
    assert "DIC" not in repr(mx.display(m))
    np.testing.assert_allclose(mx.se_coef(m)["fixef"], np.sqrt(np.diag(m.vcov())))
    assert mx.standardize(m).log_lik() == pytest.approx(m.log_lik())
    small_effects = mx.contest(m, np.eye(4)[1:3])
    np.testing.assert_allclose(small_effects.iloc[0], m.anova().loc["c"], rtol=1e-9)


def test_summary_col_reads_it():
    from statsmodels.iolib.summary2 import summary_col

    m = _model()
    table = summary_col([mx.for_summary_col(m)], model_names=["glmm"]).tables[0]
    assert float(table.loc["x", "glmm"].strip("*")) == round(m.fixef()["x"], 4)
    with pytest.raises(UnsupportedModelError, match="ddf='asymptotic'"):
        mx.for_summary_col(m, ddf="kenward-roger")


def test_lists_of_imputed_data_are_pooled():
    rng, data = np.random.default_rng(1), _data()
    fits = [
        mx.glmer("z ~ x + (1 | g)", data.assign(x=data["x"] + rng.normal(0, 2, len(data))))
        for _ in range(3)
    ]
    found = mx.ModelList(fits)
    pooled = found.pool()
    estimates = np.array([m.fixef() for m in fits])
    within = np.mean([m.vcov().to_numpy() for m in fits], axis=0)
    total = within + (4.0 / 3.0) * np.cov(estimates.T)
    np.testing.assert_allclose(pooled.table["estimate"], estimates.mean(axis=0))
    np.testing.assert_allclose(pooled.table["std_error"], np.sqrt(np.diag(total)))
    np.testing.assert_allclose(found.fixef(), estimates.mean(axis=0))
    sds = [m.var_corr().to_frame()["sdcor"].iloc[0] for m in fits]
    np.testing.assert_allclose(found.re_stats()["mean"], np.mean(sds))
    assert "fits of z ~ x" in repr(found)
    assert np.isfinite(found.ranef().to_frame()["std_error"]).all()
    probit = mx.glmer("z ~ x + (1 | g)", data, "binomial(probit)")
    with pytest.raises(MerextrasError, match="family"):
        mx.ModelList([fits[0], probit])


@pytest.mark.usefixtures("figures_unseen")
def test_the_report_has_all_parts(tmp_path):
    made = mx.report(_model(), tmp_path / "report.html").read_text(encoding="utf-8")
    for text in ("binomial(logit)", "overdispersion", "what_if_average", "expected_rank"):
        assert (text in made) == (text != "overdispersion")  # of single trials there is none


def test_augmented_rows():
    m, data = _model(), _data()
    found = mx.augment(m, data)
    np.testing.assert_array_equal(found["fitted"], m.fitted())
    np.testing.assert_array_equal(found["resid"], m.residuals())
    np.testing.assert_allclose(found["fixed"], m.predict(re_form="NA"), rtol=1e-12)
    eta = m.predict(type="link")
    np.testing.assert_allclose(found["linear_predictor"], eta, rtol=1e-12)
    with pytest.raises(MerextrasError, match="not the response"):
        mx.augment(m, data.assign(z=1 - data["z"]))
    text = mx.glmer("w ~ x + (1 | g)", data.assign(w=np.where(data["z"] == 1, "yes", "no")))
    assert mx.augment(text)["fitted"].between(0, 1).all()


@pytest.mark.parametrize("name", [n for n in REFUSED if n.startswith("m.")])
def test_methods_name_themselves(name):
    with pytest.raises(UnsupportedModelError, match=rf"^{_method(name)}: "):
        EVERY[name](_model())


def test_every_method_is_decided():
    methods = {n for n in dir(mx.MerMod) if not n.startswith("_")}
    methods = {n for n in methods if callable(getattr(mx.MerMod, n))} - {"adapter"}
    asked = {_method(name) for name in EVERY if name.startswith("m.")}
    assert methods - asked - {"from_cross_products"} == set()
    own = {n for n in methods if getattr(mx.GlmerMod, n).__doc__.startswith("Not available")}
    assert methods - own == SUPPORTED


def test_it_is_not_made_from_cross_products():
    products = mx.cross_products("y ~ x + (1 | g)", [_data()])
    with pytest.raises(UnsupportedModelError, match="from_cross_products"):
        mx.GlmerMod.from_cross_products(products)


def test_every_function_is_decided():
    functions = {n for n in mx.__all__ if n == n.lower()}
    plots_of_results = {n for n in functions if n.startswith("plot_")}
    asked = {name.split(":")[0] for name in [*EVERY, *FURTHER]}
    # Take no model, or make one.
    others = {
        "cross_products", "glmer", "glmer_nb", "icc_from_data", "lmer", "load_cross_products",
        "load_dataset", "median_odds_ratio", "check_laplace", "check_overdispersion",
        "check_zero_inflation", "lm_list", "load_bootstrap", "lrt_sim", "make_model",
        "super_factor", "wiggle", "xyplot", "mcsamp",
        "extend",  # the variables of a model alone
        "power_curve",  # the rows, to have more of them: with the tests of planning
    }  # fmt: skip
    assert functions - plots_of_results - asked - others - MORE == set()


@pytest.mark.parametrize("name", ["solution", "criterion", "point", "information"])
def test_there_is_no_linear_solution(name):
    with pytest.raises(UnsupportedModelError):
        getattr(_model(), name)


def test_no_property_has_a_linear_models_number():
    names = [n for n in dir(FittedModel) if isinstance(getattr(FittedModel, n), PROPERTIES)]
    for name in names:
        if name.startswith("_") or name in vars(FittedGlmm):
            continue
        with pytest.raises(UnsupportedModelError):
            getattr(_model(), name)


def test_arguments_of_linear_models_alone_are_refused_in_words():
    m = _model()
    for given, match in (
        ({"cov_prior": "wishart"}, "cov_prior='wishart'.*m.update"),
        ({"freq_weights": [1.0]}, "freq_weights: for linear models alone"),
        ({"residual_by": "c"}, "residual_by='c'.*row"),
    ):
        with pytest.raises(UnsupportedModelError, match=match):
            m.update(**given)
    small = m.update(". ~ . - c")
    assert m.anova(small, refit=False).equals(m.anova(small))
    with pytest.raises(MerextrasError, match="refit=2"):
        m.anova(small, refit=2)
    with pytest.raises(UnsupportedModelError, match="ddf='residual'"):
        m.predict(se_fit=True, ddf="residual")


def test_every_argument_of_a_linear_method_is_known():
    """A call that is right for a linear model ends in an error of ours, if in any."""
    for name in SUPPORTED - {"adapter"}:
        linear_one = inspect.signature(getattr(mx.MerMod, name)).parameters
        assert set(linear_one) <= set(inspect.signature(getattr(mx.GlmerMod, name)).parameters)


def test_ratios_of_simulated_fixed_effects():
    m = _model()
    plain = mx.sim(m, n_sims=400, rng=5).fixef
    found = mx.fe_sim(m, n_sims=400, rng=5, odds_ratio=True)
    logs = mx.fe_sim(m, n_sims=400, rng=5)
    np.testing.assert_allclose(found["median"], np.exp(logs["median"]), rtol=1e-3)
    assert found["mean"].gt(np.exp(logs["mean"])).all()  # Jensen's inequality
    np.testing.assert_allclose(found["sd"], np.exp(plain).std(axis=0, ddof=1), rtol=0.2)
    assert mx.plot_fe_sim(found).get_xscale() == "log"
    assert mx.r.FEsim(m, n_sims=400, seed=5, oddsRatio=True).equals(found)
    with pytest.raises(MerextrasError, match="odds_ratio=True: with link 'identity'"):
        mx.fe_sim(mx.lmer("y ~ x + (1 | g)", _data()), odds_ratio=True)


def test_ratios_are_drawn_on_a_logarithmic_axis_about_one():
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    m = _model()
    frame = mx.tidy(m, "fixed", exponentiate=True)
    ax = mx.plot_coef(frame, intercept=True)
    assert ax.get_xscale() == "log"
    assert ax.lines[0].get_xdata() == [1.0, 1.0]
    assert "ratio" in ax.get_xlabel()
    thin = [s[:, 0] for s in ax.collections[0].get_segments()]
    plain = mx.tidy(m, "fixed")
    low = np.exp(plain["estimate"] - 2 * plain["std_error"])
    np.testing.assert_allclose([s[0] for s in thin], low)
    with pytest.raises(MerextrasError, match="some models have ratios"):
        mx.plot_coef({"a": frame, "b": plain})
    fits = mx.lm_list("size ~ period | herd", mx.load_dataset("cbpp"), family="poisson")
    for level, frame in ((None, fits.confint(exponentiate=True)), (0.95, fits.confint())):
        panel = mx.plot_ranef(frame, level=level).axes_dict["herd", "period"]
        assert (panel.get_xscale() == "log") == (level is None)
    plt.close("all")


def test_pooled_ratios():
    m = _model()
    found = mx.ModelList([m, m.refit(_data()["z"].to_numpy()[::-1].copy())])
    plain, ratios = found.pool(), found.pool(exponentiate=True)
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratios.table[name], np.exp(plain.table[name]))
    expected = plain.table["std_error"] * ratios.table["estimate"]
    np.testing.assert_allclose(ratios.table["std_error"], expected)
    assert ratios.table["p_value"].equals(plain.table["p_value"])
    one = mx.lmer("y ~ x + (1 | g)", _data())
    pair = mx.ModelList([one, one])
    with pytest.raises(MerextrasError, match="exponentiate=True: with link 'identity'"):
        pair.pool(exponentiate=True)


def test_ratios_of_contrasts():
    m = _model()
    L = np.eye(len(m.fixef()))
    ratios = mx.contest(m, L, joint=False, level=0.9, exponentiate=True)
    tidy = mx.tidy(m, "fixed", ci="wald", level=0.9, exponentiate=True)
    for name in ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high"):
        np.testing.assert_allclose(ratios[name], tidy[name])
    text = mx.contest(m, "2 * x = 1", exponentiate=True)
    plain = mx.contest(m, "2 * x = 1")
    np.testing.assert_allclose(text["estimate"], np.exp(plain["estimate"]))
    np.testing.assert_allclose(text["estimate"], np.exp(2.0 * m.fixef()["x"]))
    assert text["p_value"].equals(plain["p_value"])
    assert text.attrs["notes"] == plain.attrs["notes"]
    with pytest.raises(MerextrasError, match="a joint test has no estimates; joint=False"):
        mx.contest(m, L, exponentiate=True)
    with pytest.raises(MerextrasError, match="exponentiate=True: with link 'identity'"):
        mx.contest(mx.lmer("y ~ x + (1 | g)", _data()), "x = 0", exponentiate=True)
    with pytest.raises(MerextrasError, match="exponentiate='yes'"):
        mx.contest(m, "x = 0", exponentiate="yes")


def test_ratios_side_by_side():
    m = _model()
    table = mx.compare_table(m, exponentiate=True, stars=True, digits=6)
    cells, ratios = table.to_frame(), mx.tidy(m, "fixed", exponentiate=True).set_index("term")
    for term in ratios.index:
        at = list(cells.index).index(term)
        assert float(cells.iloc[at, 0].strip("*")) == round(ratios.loc[term, "estimate"], 6)
        assert cells.iloc[at + 1, 0] == f"({ratios.loc[term, 'std_error']:.6f})"
    assert "ratios of odds, rates or hazards" in repr(table)
    with pytest.raises(MerextrasError, match="exponentiate=True: with link 'identity'"):
        mx.compare_table(m, mx.lmer("y ~ x + (1 | g)", _data()), exponentiate=True)
    ols = smf.ols("z ~ x", _data()).fit()
    with pytest.raises(MerextrasError, match="an OLS fit are no ratios"):
        mx.compare_table(ols, exponentiate=True)


def test_mixed_lists_of_models():
    linear_model = mx.lmer("y ~ x + (1 | g)", _data())
    with pytest.raises(MerextrasError):
        mx.compare(linear_model, _model())
    with pytest.raises(MerextrasError):
        linear_model.anova(_model())
    with pytest.raises(MerextrasError, match="models of glmer"):
        _model().anova(linear_model)
    with pytest.raises(MerextrasError):
        mx.ModelList([linear_model, _model()])


def test_results_of_the_model_plot():
    import matplotlib as mpl

    mpl.use("Agg")
    assert mx.plot_ranef(_model().ranef()) is not None
    assert np.isfinite(_model().summary().coefficients.to_numpy()).all()


def _drawn():
    m, cases = _model(), _data().head(3)
    return {
        "plot_coef": lambda: mx.plot_coef(mx.tidy(m, "fixed", ci="wald")),
        "plot_emmeans": lambda: mx.plot_emmeans(mx.emmeans(m, "c", type="response")),
        "plot_expected_rank": lambda: mx.plot_expected_rank(mx.expected_rank(m, "h")),
        "plot_fe_sim": lambda: mx.plot_fe_sim(mx.fe_sim(m, n_sims=20, rng=1)),
        "plot_fitted": lambda: mx.plot_fitted(mx.residual_table(m, rng=1), "h"),
        "plot_influence": lambda: mx.plot_influence(m.influence("h", method="one-step")),
        "plot_predictions": lambda: mx.plot_predictions(m.predict(cases, se_fit=True)),
        "plot_profile_zeta": lambda: mx.plot_profile_zeta(m.profile(["sd_Intercept|h"])),
        "plot_profile_density": lambda: mx.plot_profile_density(m.profile(["x"])),
        "plot_qq": lambda: mx.plot_qq(mx.qq_residuals(m, rng=1)),
        "plot_qqmath": lambda: mx.plot_qqmath(m.ranef(cond_var=True)),
        "plot_ranef": lambda: mx.plot_ranef(m.ranef(cond_var=True)),
        "plot_re_impact": lambda: mx.plot_re_impact(mx.re_impact(m, cases, "h")),
        "plot_re_sim": lambda: mx.plot_re_sim(mx.re_sim(m, n_sims=20, rng=1, odds_ratio=True)),
        "plot_residuals": lambda: mx.plot_residuals(mx.residual_table(m, rng=1)),
        "plot_what_if": lambda: mx.plot_what_if(mx.what_if(m, cases, "h", n_sims=None)),
    }


def test_every_result_draws():
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    for draw in _drawn().values():
        assert draw() is not None
        plt.close("all")


def test_what_draws_only_linear_models_says_so():
    for name in ("plot_shrinkage", "plot_model_check", "plot_re_sim"):
        with pytest.raises(MerextrasError):
            getattr(mx, name)(_model())


def test_r_spellings():
    from merextras import r

    m = _model()
    small = m.update(". ~ . - c")
    assert r.AIC(m) == m.aic()
    assert r.AIC(m, small)["AIC"].tolist() == [m.aic(), small.aic()]
    assert r.fixef(m).equals(m.fixef())
    np.testing.assert_array_equal(r.hatvalues(m), m.hatvalues())
    assert r.summary(m).coefficients.equals(m.summary().coefficients)
    assert r.anova(m, small).equals(m.anova(small))
    assert r.confint(m, method="Wald").equals(m.confint(method="wald"))
    found = r.influence(m, "h", method="one-step")
    np.testing.assert_allclose(r.cooks_distance(found), found.cooks_distance())
    with pytest.raises(UnsupportedModelError, match="dispersion"):
        r.sigma(m)


def test_the_explorer_has_its_tabs():
    pytest.importorskip("shiny")
    from merextras.app.explore import application

    assert application(_model()) is not None

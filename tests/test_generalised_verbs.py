"""Every function and method on a generalised model: its own, or an error that says what to do."""

from __future__ import annotations

import functools
import re
import warnings

import numpy as np
import pytest
import test_streamed_verbs as linear
from chunk_models import table

import merextras as mx
from merextras.exceptions import MerextrasError, MerextrasWarning, UnsupportedModelError
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel

#: Methods that are a generalised model's own, or right for it as they are.
SUPPORTED = {
    "aic", "anova", "bic", "call", "coef", "confint", "deviance", "df_residual", "drop1",
    "extract_aic",
    "family", "fitted", "fixef", "formula", "is_glmm", "is_lmm", "is_nlmm", "is_reml",
    "is_singular", "log_lik", "model_frame", "model_matrix", "ngrps", "nobs", "predict",
    "profile", "ranef", "refit", "residuals", "simulate", "summary", "terms", "update", "var_corr",
    "vcov", "weights",
}  # fmt: skip
#: Functions that are there, asked as of a linear model: numbers.
FUNCTIONS = {
    "bootstrap", "emmeans", "emmeans: at", "emmeans: weights", "fe_sim", "glance", "icc",
    "pb_modcomp", "power", "re_extract", "re_sd_extract", "theta_extract",
    "predict_interval", "r2", "ranova",
    "ranova: bootstrap", "ranova: terms", "re_sim", "sim", "sim_fitted", "tidy", "what_if",
    "what_if: changes",
}  # fmt: skip
#: Likewise: a level, and correlations that this model has none of.
WITHOUT_NUMBERS = {"re_corr_extract", "re_quantile"}
#: Calls of a linear model's that are another one's for a generalised model; asked below.
OTHERWISE = {"exact_lrt", "exact_rlrt: null"}
#: Methods that are there, with arguments that are refused.
REFUSED_ARGUMENTS = {
    "m.vcov: robust",
    "m.summary: ddf", "m.anova: ddf", "m.log_lik: reml", "m.deviance: reml", "m.update: reml",
    "m.predict: prediction", "m.simulate: newdata",
}  # fmt: skip

PROPERTIES = (property, functools.cached_property)
EVERY = {**linear.SAME, **linear.TEXT, **linear.RANDOM, **linear.NEEDS_ROWS}
FURTHER = {
    "lmer_list": lambda m: mx.ModelList([m]),
    "exact_lrt": lambda m: mx.exact_lrt(m, n_sims=9),
    "exact_rlrt: with a null": lambda m: mx.exact_rlrt(m, null=m, n_sims=9),
    "m.vcov: robust": lambda m: m.vcov(kind="CR2"),
    "m.update: reml": lambda m: m.update(reml=True),
    "m.summary: ddf": lambda m: m.summary(ddf="satterthwaite"),
    "m.anova: ddf": lambda m: m.anova(ddf="kenward-roger"),
    "m.log_lik: reml": lambda m: m.log_lik(reml=True),
    "m.deviance: reml": lambda m: m.deviance(reml=True),
    "m.predict: prediction": lambda m: m.predict(interval="prediction"),
    "m.simulate: newdata": lambda m: m.simulate(newdata=_data()),
    "for_summary_col": mx.for_summary_col,
    "report": lambda m: mx.report(m, "/nonexistent/report.html"),
    "rlrt_sim": lambda m: mx.exact_rlrt(m, n_sims=9),
    "ls_means": mx.ls_means,
    "kr_modcomp": lambda m: mx.kr_modcomp(m, "x"),
    "sat_modcomp": lambda m: mx.sat_modcomp(m, "x"),
    "stream_rows": lambda m: mx.stream_rows(m, [_data()]),
    "MerMod": mx.MerMod,
    "explore": mx.explore,
}


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
    if _method(n) not in SUPPORTED and n not in OTHERWISE and n not in FUNCTIONS | WITHOUT_NUMBERS
]


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        yield


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
    assert functions - plots_of_results - asked - others == set()


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

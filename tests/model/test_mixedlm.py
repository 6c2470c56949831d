"""Reading statsmodels' fits: every way to specify a model, and nothing else."""

from __future__ import annotations

import copy
import gc
import pickle
import warnings
import weakref

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from lme4_fits import CASES, adapted, diagonal, model_of, results_of, statsmodels_fit
from properties.compare import close
from statsmodels.regression.mixed_linear_model import (
    MixedLM,
    MixedLMParams,
    MixedLMResults,
)
from tolerances import ADAPTER_ESTIMATE, KEPT_ESTIMATE, KEPT_NORMAL_EQUATIONS

from merextras.exceptions import (
    ConvergenceWarning,
    InvalidArgumentError,
    SingularFitWarning,
    UnsupportedModelError,
)
from merextras.mermod import MerMod
from merextras.model.fitted import FittedModel
from merextras.model.mixedlm import as_fitted

DAYS = {"groups": "Subject", "re_formula": "~Days"}


def fitted(*args, keep=None, **kwargs):
    return adapted(statsmodels_fit(*args, **kwargs), **(keep or {}))


def array_fit(*args, fit=None, **kwargs):
    """Adapter of a model made from arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return adapted(MixedLM(*args, **kwargs).fit(**(fit or {})))


def same_fit(a, b):
    """The same model up to names: estimates, and effects by level in the same order."""
    close(a.theta, b.theta, ADAPTER_ESTIMATE)
    close(a.fixef(), b.fixef(), ADAPTER_ESTIMATE)
    close(a.get_me("b"), b.get_me("b"), ADAPTER_ESTIMATE)
    close(a.reml_crit(), b.reml_crit(), 1e-11)


@pytest.fixture(scope="module")
def intercepts():
    return model_of("intercept", "sleepstudy")


# --- polish=False: statsmodels' own estimate -----------------------------------------------------

REGULAR = [case for case in CASES if case[0] != "singular"]


@pytest.mark.parametrize(("topic", "name", "criterion"), REGULAR)
def test_the_estimate_is_kept(topic, name, criterion):
    results = results_of(topic, name, reml=criterion == "REML")
    m = MerMod(results, polish=False)
    assert m.opt_summary is None
    tolerance = KEPT_NORMAL_EQUATIONS if name == "students" else KEPT_ESTIMATE
    close(m.fixef(), results.fe_params, tolerance)
    close(m.sigma() ** 2, results.scale, KEPT_ESTIMATE)
    close(m.log_lik(), results.llf, KEPT_ESTIMATE)
    close(m.fitted(), results.fittedvalues, tolerance)
    assert m.fitted().index.equals(results.fittedvalues.index)


@pytest.mark.parametrize(("topic", "name", "criterion"), REGULAR)
def test_covariance_of_the_fixed_effects(topic, name, criterion):
    """Ours is lme4's, at a known theta: the inverse of the fixed block of statsmodels' Hessian."""
    results = results_of(topic, name, reml=criterion == "REML")
    model, reml = results.model, results.model.reml
    model.reml = results.reml
    hessian, _ = model.hessian(results.params_object)
    model.reml = reml
    p = results.k_fe
    theirs = np.linalg.inv(-hessian[:p, :p])
    vcov = MerMod(results, polish=False).vcov()
    close(vcov, theirs, KEPT_NORMAL_EQUATIONS)


@pytest.mark.parametrize(
    ("topic", "name"),
    [("intercept", "sleepstudy"), ("slopes", "correlated"), ("intercept", "dyestuff")],
)
def test_standard_errors_are_kept_where_the_design_is_balanced(topic, name):
    """Elsewhere statsmodels' `bse_fe` has theta's uncertainty in it (sleepstudy, ||: 0.2 %)."""
    results = results_of(topic, name)
    se = np.sqrt(np.diag(MerMod(results, polish=False).vcov()))
    close(se, results.bse_fe, KEPT_NORMAL_EQUATIONS)


@pytest.mark.parametrize("name", ["correlated", "uncorrelated", "thinned_correlated"])
def test_random_effects_are_kept(name):
    results = results_of("slopes", name)
    m = MerMod(results, polish=False)
    re = m.ranef()
    theirs = np.array([results.random_effects[g] for g in re["Subject"].index])
    close(re["Subject"], theirs, KEPT_ESTIMATE)
    covariances = np.array([results.random_effects_cov[g] for g in re["Subject"].index])
    close(re.post_var["Subject"], covariances, KEPT_ESTIMATE)
    close(m.var_corr()["Subject"], np.asarray(results.cov_re)[: len(m.var_corr()["Subject"])][
        :, : len(m.var_corr()["Subject"])
    ], KEPT_ESTIMATE)  # fmt: skip


def test_nested_random_effects_are_kept():
    results = results_of("nested", "students")
    re = MerMod(results, polish=False).ranef()
    for school, effects in results.random_effects.items():
        own = re["school"].loc[school, "Intercept"]
        close(own, effects["school"], KEPT_NORMAL_EQUATIONS)
        for label in "abcd":
            theirs = effects[f"c[C(Q('class'))[{label}]]"]
            own = re["class:school"].loc[f"{label}:{school}", "Intercept"]
            close(own, theirs, KEPT_NORMAL_EQUATIONS)


def test_crossed_random_effects_are_kept():
    results = results_of("crossed", "penicillin")
    re = MerMod(results, polish=False).ranef()
    (effects,), (covariance,) = (
        results.random_effects.values(),
        results.random_effects_cov.values(),
    )
    for factor in ("plate", "sample"):
        names = [f"{factor}[C({factor})[{level}]]" for level in re[factor].index]
        close(re[factor]["Intercept"], effects[names], KEPT_ESTIMATE)
        variances = np.diag(covariance.loc[names, names])
        close(re.post_var[factor][:, 0, 0], variances, 1e-10)  # they invert a 30 x 30 matrix


# --- polish=True ---------------------------------------------------------------------------------


def test_origin_shows_where_statsmodels_was(students):
    results = results_of("intercept", "students")
    m = MerMod(results)
    assert m.origin.package == "statsmodels"
    assert m.origin.converged is True
    assert m.origin.log_lik == results.llf
    close(m.origin.theta[0] ** 2, results.cov_re.iloc[0, 0] / results.scale, 1e-14)
    assert m.theta[0] > m.origin.theta[0] * 1.003  # 95.87 for 95.09
    assert m.opt_summary.converged
    assert m.opt_summary.initial_deviance >= m.opt_summary.deviance
    assert m.opt_summary.initial == m.origin.theta
    assert m.log_lik() > results.llf


def test_a_fit_that_stopped_short_warns(sleep):
    results = statsmodels_fit(
        "Reaction ~ D", sleep.assign(D=sleep["Days"] * 1000), groups="Subject", re_formula="~D"
    )
    assert results.converged
    message = r"stopped short of the optimum: the log-likelihood is 0\.0\d+ higher"
    with pytest.warns(ConvergenceWarning, match=message) as caught:
        m = MerMod(results)
    assert caught[0].filename == __file__
    assert MerMod(results, polish=False).log_lik() == pytest.approx(results.llf, rel=1e-12)
    assert m.log_lik() - results.llf > 1e-3


def test_a_singular_fit_warns():
    with pytest.warns(SingularFitWarning, match="singular fit: a variance is estimated") as caught:
        m = MerMod(results_of("singular", "dyestuff2"))
    assert caught[0].filename == __file__
    assert m.is_singular()
    assert m.theta.tolist() == [0.0]


def test_a_good_fit_does_not_warn():
    MerMod(results_of("slopes", "correlated"))  # warnings are errors


def test_as_fitted():
    results = results_of("intercept", "dyestuff")
    assert isinstance(as_fitted(results), MerMod)
    m = FittedModel(MerMod(results)._fit)
    assert as_fitted(m) is m


# --- The results object is lazy and the model under it mutable -----------------------------------


def test_a_reml_fit_whose_model_was_refitted_by_ml(sleep):
    model = smf.mixedlm("Reaction ~ Days", sleep, **DAYS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = model.fit()
        second = model.fit(reml=False)
    m, ml = adapted(first), adapted(second)
    assert (m.is_reml(), ml.is_reml()) == (True, False)
    close(m.reml_crit(), model_of("slopes", "correlated").reml_crit(), 1e-11)
    close(ml.deviance(), model_of("slopes", "correlated", reml=False).deviance(), 1e-11)
    assert np.isnan(m.origin.log_lik)  # it would be that of the other criterion
    close(MerMod(first, polish=False).theta, m.origin.theta, 1e-15)


def test_nothing_of_the_fit_is_kept(sleep):
    results = statsmodels_fit("Reaction ~ Days", sleep.copy(), **DAYS)
    m = adapted(results)
    alive = [weakref.ref(results._results), weakref.ref(results.model)]
    del results
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert m.ranef()["Subject"].shape == (18, 2)


def test_changing_the_data_or_the_fit_afterwards_changes_nothing(sleep):
    data = sleep.copy()
    results = statsmodels_fit("Reaction ~ Days", data, **DAYS)
    m = adapted(results)
    before = pickle.dumps((m.model_frame(), m.fitted(), m.fixef(), m.predict(sleep)))
    data.loc[:, "Days"] = 0
    data.loc[:, "Reaction"] = 0.0
    for array in (results.model.endog, results.model.exog, results.model.exog_re):
        if array.flags.writeable:
            array[:] = 0.0
    results.model.groups = results.model.groups * 0
    results._results.fe_params[:] = 0.0
    results.model.data.frame.loc[:, "Days"] = 0
    assert pickle.dumps((m.model_frame(), m.fitted(), m.fixef(), m.predict(sleep))) == before
    close(m.update().fixef(), m.fixef(), ADAPTER_ESTIMATE)
    close(m.refit_ml().refit(m.get_me("y")).fixef(), m.fixef(), 1e-3)
    close(pickle.loads(pickle.dumps(m)).predict(sleep), m.fitted(), 1e-14)


def test_arrays_of_the_fit_are_not_shared():
    x = np.column_stack([np.ones(40), np.arange(40.0)])
    groups = np.repeat(np.arange(8), 5)
    y = np.sin(np.arange(40.0)) + groups
    m = array_fit(y, x, groups, exog_re=x[:, :1])
    mu = m.fitted()
    for array in (x, y, groups):
        array[:] = 0
    close(m.residuals() + m.fitted(), m.get_me("y"), 1e-15)
    np.testing.assert_array_equal(m.fitted(), mu)
    assert m.get_me("X")[:, 1].max() == 39


# --- Groups --------------------------------------------------------------------------------------

CATEGORIES = ["350", "308", "unused", "372"]  # not in alphabetical order


def _variants(sleep):
    subject = sleep["Subject"]
    text = subject.astype(str)
    rest = [c for c in sorted(text.unique()) if c not in CATEGORIES]
    return {
        "int": subject,
        "text": text,
        "object": text.astype(object),
        "float": subject / 2,
        "category": pd.Series(pd.Categorical(text, [*CATEGORIES, *rest])),
        "ordered": pd.Series(pd.Categorical(text, [*CATEGORIES, *rest], ordered=True)),
        "Int64": subject.astype("Int64"),
        "datetime": pd.Timestamp("2020-01-01") + pd.to_timedelta(subject, unit="D"),
        "string": text.astype("string"),
    }


VARIANTS = ["int", "text", "object", "float", "category", "ordered", "Int64", "datetime", "string"]


@pytest.mark.parametrize("kind", VARIANTS)
@pytest.mark.parametrize("how", ["name", "series", "array", "list"])
def test_groups_of_any_kind(sleep, intercepts, kind, how):
    groups = _variants(sleep)[kind]
    data = sleep.drop(columns="Subject")
    if how == "name":
        m = fitted("Reaction ~ Days", data.assign(g=groups), groups="g")
    else:
        given = {"series": groups, "array": np.asarray(groups), "list": list(groups)}[how]
        m = fitted("Reaction ~ Days", data, groups=given)
    name = "g" if how == "name" else "Group"
    assert list(m.ngrps().items()) == [(name, 18)]
    close(m.fitted(), intercepts.fitted(), ADAPTER_ESTIMATE)
    newdata = data.assign(**{name: groups})
    close(m.predict(newdata), m.fitted(), 1e-14)
    assert set(m.ranef()[name].index) == set(groups)
    if kind in {"category", "ordered"} and how == "name":
        assert list(m.ranef()["g"].index[:3]) == ["350", "308", "372"]
    close(pickle.loads(pickle.dumps(m)).predict(newdata), m.fitted(), 1e-14)


def test_two_groups_of_booleans(sleep):
    m = fitted("Reaction ~ Days", sleep.assign(late=sleep["Subject"] > 340), groups="late")
    assert m.ranef()["late"].index.tolist() == [False, True]
    close(m.predict(sleep.assign(late=sleep["Subject"] > 340)), m.fitted(), 1e-14)


def test_groups_given_as_an_array_take_the_name_of_their_column(sleep, intercepts):
    for groups in (sleep["Subject"].to_numpy(), sleep["Subject"]):
        m = fitted("Reaction ~ Days", sleep, groups=groups)
        assert m.formula() == "Reaction ~ Days + (1 | Subject)"
        same_fit(m, intercepts)


def test_a_column_named_group_that_is_not_the_groups(sleep, intercepts):
    data = sleep.assign(Group=1.0)
    m = fitted("Reaction ~ Days", data, groups=sleep["Subject"] * 2)
    assert m.formula() == "Reaction ~ Days + (1 | Group)"
    close(m.model_frame()["Group"], sleep["Subject"] * 2, 0)
    same_fit(m, intercepts)


def test_columns_that_are_no_use_do_not_disturb(sleep, intercepts):
    data = pd.concat(
        [
            pd.DataFrame({"na": pd.array([pd.NA] * 180, dtype="Int64"), "list": [[1, 2]] * 180}),
            pd.DataFrame(np.zeros((180, 2)), columns=["twice", "twice"]),
            sleep,
        ],
        axis=1,
    )
    m = fitted("Reaction ~ Days", data, groups=sleep["Subject"].to_numpy())
    assert list(m.model_frame()) == ["Reaction", "Days", "Subject"]
    same_fit(m, intercepts)


def test_shuffled_rows(sleep, slopes):
    shuffled = sleep.sample(frac=1, random_state=3)
    m = fitted("Reaction ~ Days", shuffled, **DAYS)
    same_fit(m, slopes)
    assert m.fitted().index.equals(shuffled.index)
    close(m.fitted().sort_index(), slopes.fitted(), ADAPTER_ESTIMATE)


INDEXES = {
    "text": [f"r{i}" for i in range(180)],
    "duplicates": [0, 1] * 90,
    "reversed": list(range(180))[::-1],
    "multi": pd.MultiIndex.from_product([range(18), range(10)], names=["s", "d"]),
    "dates": pd.date_range("2020-01-01", periods=180),
    "categories": pd.CategoricalIndex(["a", "b"] * 90),
}


@pytest.mark.parametrize("kind", INDEXES)
@pytest.mark.parametrize("dropped", [False, True])
def test_the_users_index_is_kept(sleep, slopes, kind, dropped):
    data = sleep.astype({"Days": float}).set_axis(INDEXES[kind], axis=0)
    if dropped:
        data.iloc[[3, 50], 0] = np.nan
        data.iloc[60, 1] = np.nan
    m = fitted("Reaction ~ Days", data, **DAYS, **({"missing": "drop"} if dropped else {}))
    index = data.dropna().index
    for series in (m.fitted(), m.residuals(), m.predict(), m.weights(), m.model_frame()):
        assert series.index.equals(index)
    assert m.predict(data).index.equals(data.index)
    assert m.nobs() == len(index)
    assert m.predict(data).isna().sum() == (1 if dropped else 0)
    if not dropped:
        same_fit(m, slopes)


# --- Random effects ------------------------------------------------------------------------------


@pytest.mark.parametrize("re_formula", [None, "1", "~1", "~Days", "0+Days", "Days - 1", "Days"])
def test_re_formula(sleep, re_formula):
    m = fitted("Reaction ~ Days", sleep, groups="Subject", re_formula=re_formula)
    names = {
        "~Days": ("Intercept", "Days"),
        "Days": ("Intercept", "Days"),
        "0+Days": ("Days",),
        "Days - 1": ("Days",),
    }.get(re_formula, ("Intercept",))
    assert m.get_me("cnms") == [("Subject", names)]
    close(m.predict(sleep), m.fitted(), 1e-14)


def test_a_slope_only_in_the_random_part(sleep):
    m = fitted("Reaction ~ 1", sleep, **DAYS)
    assert list(m.coef()["Subject"]) == ["Intercept", "Days"]
    close(m.predict(sleep), m.fitted(), 1e-14)
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column\(s\) \['Days'\]"):
        m.predict(sleep[["Subject"]])


def test_no_intercept_at_all(sleep):
    m = fitted("Reaction ~ 0 + Days", sleep, groups="Subject", re_formula="0 + Days")
    assert m.formula() == "Reaction ~ 0 + Days + (0 + Days | Subject)"
    close(m.predict(sleep), m.fitted(), 1e-14)


def test_a_covariate_that_the_name_does_not_give_away(sleep):
    new = sleep.head(3)
    results = statsmodels_fit(
        "Reaction ~ Days", sleep, groups="Subject", re_formula="~np.sqrt(Days)"
    )
    m = adapted(results)
    assert "Days" in m.model_frame()
    with pytest.raises(UnsupportedModelError, match=r"'np\.sqrt\(Days\)' can't be made .*re_formul"):
        m.predict(new)
    m.predict(new, re_form="NA")  # does not need it
    with_formula = adapted(results, re_formula="~np.sqrt(Days)")
    close(with_formula.predict(new), m.fitted().head(3), 1e-14)
    with pytest.raises(InvalidArgumentError, match="does not make the columns of the fit's term"):
        adapted(results, re_formula="~Days")


def test_a_transform_that_is_also_a_fixed_effect(sleep):
    m = fitted(
        "Reaction ~ np.sqrt(Days)", sleep, groups="Subject", re_formula="~np.sqrt(Days)"
    )
    close(m.predict(sleep), m.fitted(), 1e-14)


def test_a_categorical_random_effect(sleep):
    data = sleep.assign(half=np.where(sleep["Days"] > 4, "late", "early"))
    m = fitted("Reaction ~ half", data, groups="Subject", re_formula="~half")
    assert m.formula() == "Reaction ~ half + (1 + half | Subject)"
    close(m.predict(data), m.fitted(), 1e-14)
    close(m.update().fixef(), m.fixef(), ADAPTER_ESTIMATE)


# --- exog_re and plain arrays --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["numpy", "frame"])
@pytest.mark.parametrize("slope", [False, True])
def test_arrays(sleep, slopes, intercepts, kind, slope):
    x = sm.add_constant(sleep[["Days"]].astype(float))
    y, groups = sleep["Reaction"], sleep["Subject"]
    if kind == "numpy":
        x, y, groups = x.to_numpy(), y.to_numpy(), groups.to_numpy()
    m = array_fit(y, x, groups, exog_re=x if slope else None)
    same_fit(m, slopes if slope else intercepts)
    text = {
        ("numpy", False): "y ~ 1 + x1 + (1 | Group)",
        ("numpy", True): "y ~ 1 + x1 + (1 + x_re2 | Group)",
        ("frame", False): "Reaction ~ 1 + Days + (1 | Subject)",
        ("frame", True): "Reaction ~ 1 + Days + (1 + Days | Subject)",
    }[kind, slope]
    assert m.formula() == text
    close(m.predict(m.model_frame()), m.fitted(), 1e-14)
    close(m.update().get_me("b"), m.get_me("b"), ADAPTER_ESTIMATE)
    close(pickle.loads(pickle.dumps(m)).predict(m.model_frame()), m.fitted(), 1e-14)


def test_one_column_of_exog_re(sleep):
    x = np.column_stack([np.ones(180), sleep["Days"]])
    m = array_fit(sleep["Reaction"], x, sleep["Subject"], exog_re=sleep["Days"])
    assert m.get_me("cnms") == [("Subject", ("Days",))]
    with pytest.raises(InvalidArgumentError, match=r"needs the column\(s\) \['x1'\]"):
        m.predict(sleep)


def test_a_column_of_exog_re_with_the_name_of_another_column(sleep):
    """`Days` centred in one and not in the other: the name must not stand for both."""
    x = sm.add_constant(sleep[["Days"]].astype(float))
    centred = x.assign(Days=x["Days"] - 4.5)
    m = array_fit(sleep["Reaction"], x, sleep["Subject"], exog_re=centred)
    assert m.get_me("cnms") == [("Subject", ("Intercept", "Days_re"))]
    close(m.predict(m.model_frame()), m.fitted(), 1e-14)
    close(m.model_frame()["Days_re"], centred["Days"], 0)


def test_no_constant_among_arrays(sleep):
    m = array_fit(sleep["Reaction"], sleep[["Days"]].astype(float), sleep["Subject"])
    assert m.formula() == "Reaction ~ 0 + Days + (1 | Subject)"


# --- free= ---------------------------------------------------------------------------------------


def _free(cov_re, vcomp=None):
    k = len(cov_re)
    return MixedLMParams.from_components(
        fe_params=np.ones(k), cov_re=np.array(cov_re, dtype=float), vcomp=vcomp
    )


QUADRATIC = {"groups": "Subject", "re_formula": "~Days + I(Days**2)"}


def test_free_diagonal(uncorrelated):
    assert uncorrelated.get_me("cnms") == [("Subject", ("Intercept",)), ("Subject", ("Days",))]
    assert list(uncorrelated.var_corr()) == ["Subject", "Subject.1"]


def test_the_same_by_variance_components(sleep, uncorrelated):
    components = {"z": "1", "d": "0 + Days"}  # statsmodels sorts them by name
    m = fitted("Reaction ~ Days", sleep, groups="Subject", vc_formula=components)
    assert m.formula() == uncorrelated.formula()
    same_fit(m, uncorrelated)
    m = fitted(
        "Reaction ~ Days", sleep, groups="Subject", re_formula="1", vc_formula={"d": "0 + Days"}
    )
    same_fit(m, uncorrelated)


def test_free_block(sleep):
    free = _free([[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    m = fitted("Reaction ~ Days + I(Days**2)", sleep, fit={"free": free}, **QUADRATIC)
    assert m.get_me("cnms") == [
        ("Subject", ("Intercept", "I(Days ** 2)")),
        ("Subject", ("Days",)),
    ]


def test_free_without_blocks(sleep):
    results = statsmodels_fit(
        "Reaction ~ Days + I(Days**2)",
        sleep,
        fit={"free": _free([[1, 1, 0], [1, 1, 1], [0, 1, 1]])},
        **QUADRATIC,
    )
    with pytest.raises(UnsupportedModelError, match="free=: .* does not fall into blocks"):
        MerMod(results)


def test_free_with_something_held(sleep):
    held = statsmodels_fit("Reaction ~ Days", sleep, fit={"free": _free([[1, 0], [0, 0]])}, **DAYS)
    with pytest.raises(UnsupportedModelError, match="free=: a variance held at a fixed value"):
        MerMod(held)
    free = MixedLMParams.from_components(
        fe_params=np.ones(2), cov_re=np.eye(1), vcomp=np.zeros(1)
    )
    held = statsmodels_fit(
        "Reaction ~ Days",
        sleep,
        groups="Subject",
        re_formula="1",
        vc_formula={"d": "0 + Days"},
        fit={"free": free},
    )
    with pytest.raises(UnsupportedModelError, match="free=: a variance component held fixed"):
        MerMod(held)


def test_free_everything(sleep, slopes):
    free = _free([[1, 1], [1, 1]])
    same_fit(fitted("Reaction ~ Days", sleep, fit={"free": free}, **DAYS), slopes)
    assert diagonal(2).cov_re.tolist() == [[1, 0], [0, 1]]


# --- What is refused -----------------------------------------------------------------------------


def _penalised(sleep):
    x = np.column_stack([np.ones(180), sleep["Days"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixedLM(sleep["Reaction"].to_numpy(), x, sleep["Subject"].to_numpy())
        return model.fit_regularized(method="l1", alpha=1.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: smf.ols("Reaction ~ Days", d).fit(), r"got RegressionResultsWrapper \(of OLS\)"),
        (lambda d: smf.glm("Reaction ~ Days", d).fit(), r"got GLMResultsWrapper \(of GLM\)"),
        (lambda d: smf.mixedlm("Reaction ~ Days", d, groups="Subject"), "has not been fitted"),
        (lambda d: "Reaction ~ Days", "expected the fit of a statsmodels MixedLM, got str;"),
        (lambda d: None, "got NoneType;"),
        (lambda d: MixedLM, "got type;"),
        (lambda d: d, "got DataFrame;"),
        (_penalised, r"a penalised fit \(fit_regularized\)"),
    ],
)
def test_what_is_not_a_fit(sleep, make, message):
    with pytest.raises(UnsupportedModelError, match=message):
        MerMod(make(sleep))
    with pytest.raises(UnsupportedModelError, match=message):
        as_fitted(make(sleep))


def test_a_penalty_on_the_covariance(sleep):
    results = copy.copy(statsmodels_fit("Reaction ~ Days", sleep, **DAYS)._results)
    results.cov_pen = object()
    with pytest.raises(UnsupportedModelError, match="fe_pen or cov_pen"):
        MerMod(results)


def test_an_estimate_that_is_no_covariance(sleep):
    """use_sqrt=False searches without bounds, and stops at negative variances."""
    x = np.column_stack([np.ones(180), sleep["Days"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixedLM(
            sleep["Reaction"].to_numpy(), x, sleep["Subject"].to_numpy(), x, use_sqrt=False
        )
        results = model.fit(method="lbfgs")
    with pytest.raises(UnsupportedModelError, match="a variance is negative.*use_sqrt=True"):
        MerMod(results)


def test_use_sqrt_false_at_a_good_estimate(sleep, intercepts):
    x = np.column_stack([np.ones(180), sleep["Days"]])
    m = array_fit(
        sleep["Reaction"].to_numpy(), x, sleep["Subject"].to_numpy(), use_sqrt=False
    )
    same_fit(m, intercepts)


def test_a_fit_that_failed(sleep):
    results = copy.copy(statsmodels_fit("Reaction ~ Days", sleep, **DAYS)._results)
    results.cov_re = results.cov_re * np.nan
    with pytest.raises(UnsupportedModelError, match="its covariance estimates are not finite"):
        MerMod(results)


def test_a_likelihood_that_is_not_statsmodels(sleep):
    results = copy.copy(statsmodels_fit("Reaction ~ Days", sleep, **DAYS)._results)
    results._cache = {}
    results.cov_re = results.cov_re * 2
    with pytest.raises(UnsupportedModelError, match="the model was not understood: log-likelihoo"):
        MerMod(results)


# --- Formula engines -----------------------------------------------------------------------------


@pytest.fixture
def formulaic():
    """statsmodels' formulas by formulaic, where it has the choice (0.15)."""
    options = pytest.importorskip("statsmodels.formula", reason="no options").__dict__.get("options")
    if options is None:
        pytest.skip("statsmodels before 0.15 has patsy only")
    engine, ordering = options.formula_engine, options.ordering
    options.formula_engine = "formulaic"
    yield options
    options.formula_engine, options.ordering = engine, ordering


FORMULAIC = [
    ("Reaction ~ Days", DAYS),
    ("np.log(Reaction) ~ np.sqrt(Days + 1)", {"groups": "Subject"}),
    ("Reaction ~ center(Days)", {"groups": "Subject"}),
    ("Reaction ~ C(half) * Days", {"groups": "Subject"}),
    ("Reaction ~ half:Days + Days", {"groups": "Subject", "re_formula": "1"}),
    ("Reaction ~ 0 + half", {"groups": "Subject"}),
    ("Reaction ~ Days", {"groups": "Subject", "re_formula": "1", "vc_formula": {"h": "0 + C(half)"}}),
    ("Reaction ~ Days", {"groups": "Subject", "re_formula": "1", "vc_formula": {"h": "0 + half"}}),
]  # fmt: skip


@pytest.mark.parametrize("ordering", ["degree", "legacy"])
@pytest.mark.parametrize(("formula", "keywords"), FORMULAIC)
def test_formulaic(sleep, formulaic, formula, keywords, ordering):
    data = sleep.assign(half=np.where(sleep["Days"] % 4 > 1, "late", "early"))
    formulaic.ordering = ordering
    results = statsmodels_fit(formula, data, **keywords)
    m = adapted(results)
    close(adapted(results, polish=False).fitted(), results.fittedvalues, 1e-10)
    close(m.predict(data), m.fitted(), 1e-14)
    # In another order of terms the columns made again would be other ones.
    formulaic.ordering = "none"
    again = pickle.loads(pickle.dumps(m))
    close(again.predict(data.iloc[::-1]), m.fitted()[::-1], 1e-14)
    formulaic.formula_engine = "patsy"
    same = fitted(formula, data, **keywords)
    close(same.reml_crit(), m.reml_crit(), 1e-10)
    assert same.get_me("cnms") == m.get_me("cnms")
    assert [t.levels.tolist() for t in same.design.terms] == [
        t.levels.tolist() for t in m.design.terms
    ]

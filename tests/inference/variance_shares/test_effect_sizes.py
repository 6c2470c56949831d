import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.linalg as la
from lmer_models import csv, quiet
from performance_models import CASES, MODELS, PLAIN, data_of, model_of
from tolerances import (
    ORACLE,
    SAME_MODEL,
    SAME_REPLICATES,
    SAME_ROWS,
    VARIANCE_PART,
    VARIANCE_SHARE,
)

import merextras as mx
from merextras.exceptions import (
    InvalidArgumentError,
    UnsupportedModelError,
)
from merextras.inference.variance_shares.variance_parts import VarianceParts

SLOPES = "Reaction ~ Days + (Days | Subject)"


def dense(m):
    """Variances from Z G Z', formed."""
    design = m.design
    g = la.block_diag(
        *(
            np.kron(np.eye(len(t.levels)), c)
            for t, c in zip(design.terms, m.covariances, strict=True)
        )
    )
    by_row = np.diag(design.z().toarray() @ g @ design.z().toarray().T)
    w = np.ones(design.n) if design.weights is None else design.weights
    f = np.ones(design.n, int) if design.frequencies is None else design.frequencies.astype(int)
    rows = np.repeat(np.arange(design.n), np.where(w > 0, f, 0))
    fixed = np.var((design.x @ m.solution.beta)[rows], ddof=1)
    return fixed, np.mean(by_row[rows]), m.sigma() ** 2 * np.mean(1 / w[rows])


def parts_of(m):
    variances = VarianceParts.of(m).at(m)
    return variances[0], np.sum(variances[1:-1]), variances[-1]


@pytest.mark.parametrize(("name", "how"), CASES)
def test_the_dense_formula(name, how):
    m = model_of(name, how)
    np.testing.assert_allclose(parts_of(m), dense(m), rtol=ORACLE, atol=1e-14)


FORMS = "y_x ~ x + f + (x | g)"


@pytest.mark.parametrize(
    ("formula", "keywords"),
    [
        (FORMS, {"freq_weights": "k"}),
        (FORMS, {"weights": "w"}),
        (FORMS, {"weights": "w", "freq_weights": "k"}),
        (FORMS, {"weights": "zeros"}),
        ("y_x ~ 0 + f + x + (x | g)", {}),
        ("y_x ~ 0 + f + x + (x | g)", {"freq_weights": "k"}),
        ("y_x ~ x + offset(off) + (1 | g) + (1 | h)", {}),
        ("y_x ~ 0 + (1 | g)", {}),
    ],
)
def test_the_dense_formula_with_weights_offset_and_other_codings(formula, keywords):
    frame = csv("forms")
    frame = frame.assign(zeros=np.where(np.arange(len(frame)) % 7 == 0, 0.0, frame["w"]))
    m = quiet(formula, frame, **keywords)
    np.testing.assert_allclose(parts_of(m), dense(m), rtol=ORACLE, atol=1e-14)


def test_rows_and_cross_products_agree():
    m = model_of("slope_and_crossed")
    by_rows, by_products = (
        VarianceParts._from_rows(m.design, m.solution.cp.basis),
        VarianceParts.of(m),
    )
    np.testing.assert_allclose(by_rows.at(m), by_products.at(m), rtol=1e-12)


@pytest.mark.parametrize(("name", "how"), PLAIN)
def test_insight(name, how):
    m, entry = model_of(name, how), MODELS[name][how]
    theirs = entry["variances"]
    ours = dict(zip(("fixed", "random", "residual"), parts_of(m), strict=True))
    for key, value in theirs.items():
        # An intercept has no variance; R leaves rounding or nothing there.
        assert ours[key] == pytest.approx(value, rel=VARIANCE_PART, abs=1e-12)
    r2, icc = mx.r2(m), mx.icc(m)
    for key, value in (
        ("marginal", r2.marginal),
        ("conditional", r2.conditional),
        ("adjusted", icc.adjusted),
        ("unadjusted", icc.unadjusted),
    ):
        assert value == pytest.approx(entry["r2"][key], abs=VARIANCE_SHARE)


@pytest.mark.parametrize("name", ["intercept", "nested", "crossed", "nested_students"])
def test_icc_by_factor(name):
    theirs = MODELS[name]["REML"]["r2"]["by_group"]
    ours = mx.icc(model_of(name)).by_factor["adjusted"]
    assert list(ours.index) == theirs["group"]
    np.testing.assert_allclose(ours, theirs["icc"], rtol=0, atol=VARIANCE_SHARE)


def test_insight_leaves_the_slope_out_under_a_double_bar():
    """Its variance is the intercept's alone; ours is the mean of diag(ZGZ')."""
    m, theirs = model_of("double_bar"), MODELS["double_bar"]["REML"]
    intercept, slope = (c[0, 0] for c in m.covariances)
    assert theirs["variances"]["random"] == pytest.approx(intercept, rel=VARIANCE_PART)
    days = m.model_frame()["Days"]
    random = intercept + slope * np.mean(days**2)
    assert parts_of(m)[1] == pytest.approx(random, rel=ORACLE)
    total = random + sum(theirs["variances"][k] for k in ("fixed", "residual"))
    assert mx.r2(m).marginal == pytest.approx(theirs["variances"]["fixed"] / total, rel=1e-6)
    # The same effects in one term, whose correlation is 0.07, have hardly another R squared.
    assert mx.r2(m).conditional == pytest.approx(mx.r2(model_of("slopes")).conditional, abs=0.02)
    assert theirs["r2"]["conditional"] < mx.r2(m).conditional - 0.09


def test_insight_takes_slopes_of_one_factor_for_its_intercept_by_group():
    icc = mx.icc(model_of("slopes"))
    assert icc.by_factor["adjusted"].item() == pytest.approx(icc.adjusted, rel=1e-12)
    assert MODELS["slopes"]["REML"]["r2"]["by_group"]["icc"][0] < 0.5 * icc.adjusted


def test_insight_does_not_weight_the_residual_variance():
    m, theirs = model_of("weights"), MODELS["weights"]["REML"]["variances"]
    fixed, random, residual = parts_of(m)
    assert fixed == pytest.approx(theirs["fixed"], rel=VARIANCE_PART)
    assert random == pytest.approx(theirs["random"], rel=VARIANCE_PART)
    inverse = np.mean(1 / data_of("forms")["w"])
    assert residual == pytest.approx(theirs["residual"] * inverse, rel=VARIANCE_PART)
    assert abs(inverse - 1) > 0.01


def test_the_scale_of_the_weights_does_not_matter():
    frame = csv("forms").assign(w9=lambda d: 9 * d["w"])
    one, nine = (mx.lmer("y ~ x + (1 | g)", frame, weights=w) for w in ("w", "w9"))
    assert mx.r2(one).marginal == pytest.approx(mx.r2(nine).marginal, rel=SAME_MODEL)
    assert mx.icc(one).adjusted == pytest.approx(mx.icc(nine).adjusted, rel=SAME_MODEL)


def test_frequencies_are_repeated_rows():
    frame = csv("forms")
    repeated = frame.loc[frame.index.repeat(frame["k"])]
    one, many = mx.lmer(FORMS, frame, freq_weights="k"), mx.lmer(FORMS, repeated)
    ours, theirs = (mx.variance_decomposition(m) for m in (one, many))
    np.testing.assert_allclose(ours["variance"], theirs["variance"], rtol=SAME_ROWS)
    left, right = mx.performance(one), mx.performance(many)
    np.testing.assert_allclose(left, right, rtol=SAME_ROWS)


def test_a_singular_fit_has_shares_of_zero():
    m = model_of("singular")
    assert (mx.r2(m).marginal, mx.r2(m).conditional, mx.icc(m).adjusted) == (0, 0, 0)


def test_the_parts_add_up():
    m = model_of("slope_and_crossed")
    frame, r2, icc = mx.variance_decomposition(m), mx.r2(m), mx.icc(m)
    assert frame["component"].tolist() == ["fixed", "random", "random", "residual"]
    assert frame["group"].tolist() == ["", "g", "h", ""]
    assert frame["term"].tolist() == ["", "Intercept, x", "Intercept", ""]
    assert frame["share"].sum() == pytest.approx(1, rel=1e-14)
    assert r2.marginal == pytest.approx(frame["share"][0], rel=1e-14)
    assert r2.conditional == pytest.approx(1 - frame["share"][3], rel=1e-12)
    assert icc.unadjusted == pytest.approx(frame["share"][1:3].sum(), rel=1e-12)
    np.testing.assert_allclose(icc.by_factor.sum(), [icc.adjusted, icc.unadjusted], rtol=1e-12)


def test_a_raw_fit_and_both_engines():
    import statsmodels.formula.api as smf
    from lmer_models import FORMULAIC

    sleep = mx.load_dataset("sleepstudy")
    raw = smf.mixedlm("Reaction ~ Days", sleep, groups="Subject", re_formula="~Days").fit()
    expected = mx.r2(model_of("slopes")).conditional
    assert mx.r2(raw).conditional == pytest.approx(expected, abs=SAME_MODEL)
    assert mx.icc(mx.MerMod(raw)).adjusted == pytest.approx(0.7216585, abs=SAME_MODEL)
    other = mx.lmer(SLOPES, sleep, control=FORMULAIC)
    assert mx.r2(other).conditional == pytest.approx(expected, abs=SAME_MODEL)


# --- Bootstrap -----------------------------------------------------------------------------------


def test_the_bootstrap_is_that_of_refits():
    """The same replicates as `bootstrap` with a function of the refitted model."""
    m = model_of("slopes")
    slow = mx.bootstrap(m, lambda fit: [mx.r2(fit).marginal, mx.r2(fit).conditional],
                        n_sims=12, rng=3)  # fmt: skip
    fast = mx.r2(m, ci="bootstrap", n_sims=12, rng=3).bootstrap
    np.testing.assert_allclose(fast.replicates, slow.replicates, atol=1e-6)
    np.testing.assert_allclose(fast.values, slow.values, rtol=1e-12)


def test_intervals():
    m = model_of("nested")
    r2 = mx.r2(m, ci="bootstrap", n_sims=200, level=0.9, rng=1)
    frame = r2.to_frame()
    assert list(frame) == ["term", "estimate", "conf_low", "conf_high"]
    assert frame["conf_low"][1] < frame["estimate"][1] < frame["conf_high"][1]
    limits = np.quantile(r2.bootstrap.replicates[:, 1], [0.05, 0.95])
    np.testing.assert_allclose(frame.loc[1, ["conf_low", "conf_high"]].astype(float), limits)
    assert "90 % percentile intervals, parametric bootstrap: 200 replicates" in repr(r2)
    icc = mx.icc(m, ci="bootstrap", n_sims=200, level=0.9, rng=1)
    np.testing.assert_allclose(  # no predictors: the same share
        icc.bootstrap.replicates[:, 0], r2.bootstrap.replicates[:, 1], rtol=SAME_REPLICATES
    )
    assert list(icc.to_frame()) == ["group", "term", "estimate", "conf_low", "conf_high"]
    parts = mx.variance_decomposition(m, ci="bootstrap", n_sims=200, level=0.9, rng=1)
    assert parts["conf_low"].between(0, parts["share"]).all()
    assert parts["conf_high"].between(parts["share"], 1).all()


def test_coverage_of_the_spread():
    """Many groups: the replicates' spread is that of the estimate's over new data."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(60), 5)
    found = []
    for _ in range(60):
        y = rng.normal(size=60)[group] + rng.normal(size=300)
        found.append(mx.icc(quiet("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": group}))).adjusted)
    frame = pd.DataFrame({"y": rng.normal(size=60)[group] + rng.normal(size=300), "g": group})
    boot = mx.icc(mx.lmer("y ~ 1 + (1 | g)", frame), ci="bootstrap", n_sims=400, rng=2).bootstrap
    spread, expected = boot.std_error.iloc[0], np.std(found, ddof=1)
    # The standard error of a standard deviation of 60 is 9 %; the plug-in ICC moves it too.
    assert spread == pytest.approx(expected, rel=0.4)


# --- What is given back --------------------------------------------------------------------------


@pytest.mark.parametrize("function", [mx.r2, mx.icc])
def test_results_are_frozen(function):
    result = function(model_of("slopes"), ci="bootstrap", n_sims=20, rng=1)
    with pytest.raises(AttributeError):
        result.level = 0.5
    for one in (result, pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        with pytest.raises(ValueError, match="read-only"):
            one.values[0] = 1
        assert repr(one) == repr(result)
    frame = result.to_frame()
    frame["estimate"] = 0.0
    assert (result.to_frame()["estimate"] > 0).all()
    assert result._repr_html_().startswith("<pre>")


def test_text():
    assert repr(mx.icc(model_of("slopes"))).splitlines() == [
        "Intraclass correlation",
        "           estimate",
        "adjusted     0.7217",
        "unadjusted   0.5206",
    ]
    assert "adjusted, cask:batch" in repr(mx.icc(model_of("nested")))


@pytest.mark.parametrize("function", [mx.r2, mx.icc, mx.variance_decomposition])
@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"ci": "profile"}, "ci='profile': allowed: 'bootstrap'"),
        ({"ci": True}, "ci=True"),
        ({"ci": "bootstrap", "n_sims": 0}, "n_sims=0"),
        ({"level": 95}, "level=95.* write level=0.95"),
        ({"ci": "bootstrap", "rng": "a"}, "rng='a'"),
    ],
)
def test_arguments(function, keywords, message):
    with pytest.raises(InvalidArgumentError, match=message):
        function(model_of("slopes"), **keywords)


@pytest.mark.parametrize("function", [mx.r2, mx.icc, mx.variance_decomposition, mx.performance])
def test_another_model(function):
    with pytest.raises(UnsupportedModelError):
        function(pd.DataFrame({"y": [1.0]}))


def test_no_bootstrap_of_frequencies():
    m = mx.lmer(FORMS, csv("forms"), freq_weights="k")
    assert 0 < mx.r2(m).marginal < 1
    with pytest.raises(UnsupportedModelError, match="frequency weights"):
        mx.r2(m, ci="bootstrap", n_sims=5)


def test_fitted_from_chunks():
    frame = csv("forms")
    whole = mx.lmer(FORMS, frame)
    streamed = mx.lmer(FORMS, lambda: (frame.iloc[i : i + 50] for i in range(0, len(frame), 50)))
    ours, theirs = mx.variance_decomposition(streamed), mx.variance_decomposition(whole)
    np.testing.assert_allclose(ours["variance"], theirs["variance"], rtol=SAME_MODEL)
    np.testing.assert_allclose(mx.performance(streamed), mx.performance(whole), rtol=SAME_MODEL)
    found = mx.r2(streamed, ci="bootstrap", n_sims=200, rng=1).to_frame()
    assert (found["conf_low"] < found["estimate"]).all()
    assert (found["estimate"] < found["conf_high"]).all()

"""Degrees of freedom against lmerTest and pbkrtest, and against the formulas on dense matrices."""

from __future__ import annotations

import warnings

import free_covariances as covpar
import numpy as np
import pytest
from ddf_models import CASES, IDS, as_r, expected, fit, frame_of, gap
from small_models import case_of
from tolerances import DDF, KR_COVARIANCE, P_VALUE, SECOND_DERIVATIVE, TEST_STATISTIC

import merextras as mx
from merextras.datasets import load_dataset
from merextras.engine.solution.pls import solve
from merextras.exceptions import (
    ApproximationWarning,
    ConvergenceWarning,
    InvalidArgumentError,
    NotPositiveDefiniteError,
    RefitWarning,
    SingularFitWarning,
)
from merextras.inference.ddf.kenward_roger import KenwardRoger, kenward_roger
from merextras.inference.ddf.satterthwaite import Satterthwaite, inverse_of, satterthwaite
from merextras.model.state.fitting import fit_at

T_COLUMNS = {
    "estimate": ("Estimate", TEST_STATISTIC),
    "std_error": ("Std. Error", TEST_STATISTIC),
    "df": ("df", DDF),
    "statistic": ("t value", TEST_STATISTIC),
    "p_value": ("Pr(>|t|)", P_VALUE),
}


@pytest.fixture(params=CASES, ids=IDS)
def case(request):
    return fit(*request.param), expected(*request.param)


@pytest.fixture(params=[name for name, reml in CASES if reml])
def by_reml(request):
    return fit(request.param), expected(request.param, True)


def assert_t_tests(table, wanted):
    wanted = frame_of(wanted)
    assert list(table.columns) == list(T_COLUMNS)
    for name, (theirs, tolerance) in T_COLUMNS.items():
        rows = [as_r(label) for label in table.index]
        assert gap(table[name], wanted.loc[rows, theirs]) < tolerance, name


def test_satterthwaite_as_lmertest(case):
    m, wanted = case
    assert_t_tests(m.summary(ddf="satterthwaite").coefficients, wanted["satterthwaite"])


def test_kenward_roger_as_pbkrtest(by_reml):
    m, wanted = by_reml
    assert_t_tests(m.summary(ddf="kenward-roger").coefficients, wanted["kenward_roger"])


def test_adjusted_covariance_as_pbkrtest(by_reml):
    m, wanted = by_reml
    found = mx.vcov_adj(m)
    order = [wanted["beta"]["names"].index(as_r(name)) for name in found.index]
    theirs = np.array(wanted["vcov_adj"]).reshape(len(order), -1)[np.ix_(order, order)]
    assert list(found.columns) == list(m.design.fixed.names)
    np.testing.assert_allclose(found, theirs, rtol=0, atol=KR_COVARIANCE * np.max(np.abs(theirs)))
    np.testing.assert_allclose(np.diag(found), np.diag(theirs), rtol=KR_COVARIANCE)


# --- the formulas on dense matrices --------------------------------------------------------------


def unbalanced_model(seed=0, n=40):
    """A small model with correlated slopes, a crossed term, weights and three fixed effects."""
    rng = np.random.default_rng(seed)
    frame = {
        "g": rng.integers(0, 6, n),
        "h": rng.integers(0, 4, n),
        "x": rng.normal(size=n),
        "z": rng.normal(size=n),
        "w": rng.uniform(0.5, 2.0, n),
    }
    frame["y"] = (
        1.0
        + frame["x"]
        + rng.normal(size=n)
        + 2 * rng.normal(size=6)[frame["g"]]
        + rng.normal(size=6)[frame["g"]] * frame["x"]
        + rng.normal(size=4)[frame["h"]]
    )
    return mx.lmer("y ~ x + z + (x | g) + (1 | h)", frame, weights="w")


def dense_kenward_roger(m):
    """Kenward & Roger's (1997) quantities for all covariances and sigma**2, matrices of n x n."""
    design, sigma2 = m.design, m.solution.sigma2
    changes, v = [], sigma2 * np.diag(1.0 / design.weights)
    for term, covariance in zip(design.terms, m.covariances, strict=True):
        z = term.rows.sparse().toarray()
        for a, b in zip(*covpar.triangle(term.k), strict=True):
            unit = np.zeros((term.k, term.k))
            unit[a, b] = unit[b, a] = 1.0
            changes.append(z @ np.kron(np.eye(term.rows.n_levels), unit) @ z.T)
            v = v + covariance[a, b] * changes[-1]
    changes.append(np.diag(1.0 / design.weights))
    v_inv = np.linalg.inv(v)
    phi = np.linalg.inv(design.x.T @ v_inv @ design.x)
    p = [-design.x.T @ v_inv @ c @ v_inv @ design.x for c in changes]
    q = [[design.x.T @ v_inv @ a @ v_inv @ b @ v_inv @ design.x for b in changes] for a in changes]
    m_range = range(len(changes))
    information = np.array(
        [
            [
                np.trace(v_inv @ changes[i] @ v_inv @ changes[j])
                - 2 * np.trace(phi @ q[i][j])
                + np.trace(phi @ p[i] @ phi @ p[j])
                for j in m_range
            ]
            for i in m_range
        ]
    )
    w = 2.0 * np.linalg.inv(information)
    inner = sum(w[i, j] * (q[i][j] - p[i] @ phi @ p[j]) for i in m_range for j in m_range)
    return phi, phi + 2.0 * phi @ inner @ phi, p, w


def dense_f_test(m, rows):
    """The scaled F and its degrees of freedom, formula by formula."""
    phi, adjusted, p, w = dense_kenward_roger(m)
    q, gaps = len(rows), rows @ m.solution.beta
    theta = rows.T @ np.linalg.inv(rows @ phi @ rows.T) @ rows
    turned = [theta @ phi @ change @ phi for change in p]
    m_range = range(len(p))
    a1 = sum(w[i, j] * np.trace(turned[i]) * np.trace(turned[j]) for i in m_range for j in m_range)
    a2 = sum(w[i, j] * np.trace(turned[i] @ turned[j]) for i in m_range for j in m_range)
    b = (a1 + 6 * a2) / (2 * q)
    g = ((q + 1) * a1 - (q + 4) * a2) / ((q + 2) * a2)
    below = 3 * q + 2 * (1 - g)
    c1, c2, c3 = g / below, (q - g) / below, (q + 2 - g) / below
    mean = 1 / (1 - a2 / q)
    variance = 2 / q * (1 + c1 * b) / ((1 - c2 * b) ** 2 * (1 - c3 * b))
    rho = variance / (2 * mean**2)
    den_df = 4 + (q + 2) / (q * rho - 1)
    statistic = gaps @ np.linalg.inv(rows @ adjusted @ rows.T) @ gaps / q
    return den_df / (mean * (den_df - 2)) * statistic, den_df


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_kenward_roger_is_the_papers(seed):
    m = unbalanced_model(seed)
    phi, adjusted, _, _ = dense_kenward_roger(m)
    found = kenward_roger(m)
    np.testing.assert_allclose(found.plain, phi, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, adjusted, rtol=1e-8)
    for rows in (np.eye(3), np.eye(3)[1:], np.array([[1.0, 2.0, -1.0]])):
        test = found.joint(rows, rows @ m.solution.beta)
        statistic, den_df = dense_f_test(m, rows)
        assert test.num_df == len(rows)
        assert test.statistic == pytest.approx(statistic, rel=1e-8)
        assert test.den_df == pytest.approx(den_df, rel=1e-8)
    assert found.df(np.eye(3)[1]) == pytest.approx(dense_f_test(m, np.eye(3)[1:2])[1], rel=1e-8)


@pytest.mark.parametrize("reml", [True, False])
def test_satterthwaite_is_its_definition(reml):
    """2 v**2 / (g'A g) with all derivatives by differences of the engine's criterion."""
    m = unbalanced_model(1)
    m = m if reml else m.refit_ml()
    system, ks, df = m.solution.factor.system, m.design.ks, m.solution.df

    def deviance(at):
        s = solve(system, covpar.unpack(at[:-1], ks), reml=reml)
        log_det = s.factor.log_det + (s.log_det_fixed if reml else 0.0)
        return log_det + df * np.log(at[-1] ** 2) + s.pwrss / at[-1] ** 2

    def covariance(at):
        return at[-1] ** 2 * solve(system, covpar.unpack(at[:-1], ks), reml=reml).fixed_covariance()

    at = np.append(m.point.theta, m.sigma())
    steps = 1e-3 * np.eye(len(at))
    hessian = [
        [
            (
                deviance(at + a + b)
                - deviance(at + a - b)
                - deviance(at - a + b)
                + deviance(at - a - b)
            )
            / 4e-6
            for b in steps
        ]
        for a in steps
    ]
    contrast = np.array([1.0, -2.0, 0.5])
    slope = [contrast @ (covariance(at + a) - covariance(at - a)) @ contrast / 2e-3 for a in steps]
    v = contrast @ covariance(at) @ contrast
    wanted = 2 * v**2 / (slope @ np.linalg.solve(hessian, slope) * 2)
    assert satterthwaite(m).df(contrast) == pytest.approx(wanted, rel=100 * SECOND_DERIVATIVE)


# --- special cases -------------------------------------------------------------------------------


def test_balanced_designs_are_exact():
    """Days varies within subjects: 17 degrees of freedom, and the F of an analysis of variance."""
    m = fit("balanced_slopes")
    for method in (satterthwaite(m), kenward_roger(m)):
        assert method.df(np.array([0.0, 1.0])) == pytest.approx(17.0, rel=DDF)


def test_a_variance_of_zero_leaves_least_squares():
    m = fit("singular")
    assert m.theta == [0.0]
    np.testing.assert_allclose(m.summary(ddf="satterthwaite").coefficients["df"], 28.0, rtol=1e-12)


def test_a_perfect_correlation():
    """Satterthwaite's directions that V does not depend on are left out, without a warning."""
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(12), 6)
    x = np.tile(np.arange(6.0), 12)
    b = rng.normal(size=12)
    frame = {"g": g, "x": x, "y": 3 + x + b[g] * (2 + x) + 0.5 * rng.normal(size=72)}
    with pytest.warns(SingularFitWarning):
        m = mx.lmer("y ~ x + (x | g)", frame)
    assert m.theta[2] == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        df = [satterthwaite(m).df(row) for row in np.eye(2)]
        adjusted = mx.vcov_adj(m)
    assert np.all((np.array(df) > 5) & (np.array(df) < 70))
    assert np.all(np.isfinite(adjusted))


def test_units_of_a_covariate_do_not_matter():
    sleep = load_dataset("sleepstudy").iloc[5:150]
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    long = mx.lmer("Reaction ~ D + (D | Subject)", sleep.assign(D=sleep["Days"] * 1e3))
    for ddf in ("satterthwaite", "kenward-roger"):
        a, b = (model.summary(ddf=ddf).coefficients for model in (m, long))
        np.testing.assert_allclose(a["df"], b["df"], rtol=DDF)
        np.testing.assert_allclose(a["statistic"], b["statistic"], rtol=TEST_STATISTIC)


def test_unit_of_the_weights_does_not_matter():
    """Pbkrtest's adjusted covariance and degrees of freedom change with it; lmerTest's do not."""
    sleep = load_dataset("sleepstudy")
    w = 1.0 + sleep["Days"].to_numpy()
    found, wanted = (
        mx.tidy(
            mx.lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=w * unit),
            "fixed",
            ddf="kenward-roger",
        )[["std_error", "df"]]
        for unit in (100.0, 1.0)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-8)


def test_wide_groups_have_no_columns_of_their_own():
    """Kenward-Roger on 20 000 groups: cost and memory are linear in them."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(20_000), 3)
    x = rng.normal(size=60_000)
    y = x + rng.normal(size=20_000)[g] + rng.normal(size=60_000)
    m = mx.lmer("y ~ x + (1 | g)", {"g": g, "x": x, "y": y})
    np.testing.assert_allclose(mx.vcov_adj(m), m.vcov(), rtol=1e-3)
    assert np.all(m.summary(ddf="kenward-roger").coefficients["df"] > 10_000)


def test_an_ml_fit_is_refitted_by_reml():
    m, reml = fit("two_factors", False), fit("two_factors")
    with pytest.warns(RefitWarning, match="fitted by ML and is refitted by REML") as caught:
        found = mx.vcov_adj(m)
    assert caught[0].filename == __file__
    np.testing.assert_allclose(found, mx.vcov_adj(reml), rtol=1e-5)
    with pytest.warns(RefitWarning) as caught:
        summary = m.summary(ddf="kenward-roger")
    assert caught[0].filename == __file__
    assert "fit by REML; t-tests use Kenward-Roger's method" in summary.title
    np.testing.assert_allclose(summary.var_corr.sigma, reml.sigma(), rtol=1e-5)


def test_an_estimate_that_is_no_optimum_warns():
    m = fit("two_factors")
    saddle = m._like(fit_at(m.design, np.array([5.0]), reml=True))
    with pytest.warns(ApproximationWarning, match="not positive definite in 1 direction") as caught:
        mx.contest(saddle, {"Intercept": 1})
    assert caught[0].filename == __file__


def test_inverse_of_a_flat_matrix():
    inverse, n_flat = inverse_of(np.array([[1.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_allclose(inverse, np.full((2, 2), 0.25))
    assert n_flat == 1
    inverse, n_flat = inverse_of(np.array([[1e-20, 0.0], [0.0, 1e20]]))
    np.testing.assert_allclose(np.diag(inverse), [1e20, 1e-20])
    assert n_flat == 0


def test_pooled_degrees_of_freedom():
    m = fit("balanced_slopes")
    # The identity where the columns of X are orthonormal, which the matrices are of.
    contrasts = np.linalg.inv(m.solution.cp.basis.transform)
    # Of different sizes: the directions are then those of the columns, and no others as good.
    covariance, slopes = np.diag([1.0, 2.0]), np.zeros((2, 2, 2))
    slopes[0, 0, 0], slopes[1, 1, 1] = 1.0, 2.0

    def den_df(first, second):
        parameters = np.diag([2.0 / first, 2.0 / second])
        method = Satterthwaite(m, covariance, slopes, parameters)
        return method.joint(contrasts, np.ones(2)).den_df

    assert den_df(10.0, 10.0) == pytest.approx(10.0)
    e = 10 / 8 + 6 / 4
    assert den_df(10.0, 6.0) == pytest.approx(2 * e / (e - 2))
    assert den_df(10.0, 1.5) == 2.0


def test_no_uncertainty_of_the_variances():
    """Without it Kenward and Roger's test is Wald's."""
    m = fit("balanced_slopes")
    known = KenwardRoger(m, np.eye(2), np.eye(2), np.zeros((3, 2, 2)), np.eye(3))
    test = known.joint(np.linalg.inv(m.solution.cp.basis.transform), np.ones(2))
    assert (test.statistic, test.den_df) == (pytest.approx(1.0), np.inf)


# --- summary -------------------------------------------------------------------------------------


def test_summary_prints_both():
    m = fit("balanced_slopes")
    text = repr(m.summary(ddf="Satterthwaite"))
    assert "fit by REML; t-tests use Satterthwaite's method" in text
    assert "Estimate Std. Error     df t value  Pr(>|t|)" in text
    assert "3.26e-06" in text
    assert "<2e-16" in text
    plain = m.summary()
    assert list(plain.coefficients) == ["estimate", "std_error", "statistic"]
    assert "Pr(>|t|)" not in repr(plain)
    normal = m.summary(ddf="asymptotic").coefficients
    assert np.all(np.isinf(normal["df"]))
    with pytest.raises(InvalidArgumentError, match=r"ddf='satterthwait': .*did you mean"):
        m.summary(ddf="satterthwait")


def test_model_without_fixed_effects():
    m = mx.lmer("Reaction ~ 0 + (1 | Subject)", load_dataset("sleepstudy"))
    assert len(m.summary(ddf="satterthwaite").coefficients) == 0
    assert mx.vcov_adj(m).shape == (0, 0)
    assert len(m.anova(ddf="kenward-roger")) == len(m.anova()) == 0


def test_kenward_roger_without_residual_variance():
    """The adjustment has no negative variance in exact numbers; here the digits are lost."""
    case = case_of(165)
    with pytest.warns(ConvergenceWarning, match="no maximum"):
        m = mx.lmer(case.formula, case.data, **{**case.kwargs, "reml": True})
    with pytest.raises(NotPositiveDefiniteError, match="digits are lost.*ddf='satterthwaite'"):
        m.summary(ddf="kenward-roger")
    with pytest.raises(NotPositiveDefiniteError, match="digits are lost"):
        mx.vcov_adj(m)

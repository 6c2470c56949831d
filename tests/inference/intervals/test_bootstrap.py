"""The bootstrap: R's numbers, exact moments, each replicate a refit, failures counted."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from bootstrap_models import expected, model_of
from lme4_fits import statsmodels_fit
from properties.compare import close
from tolerances import BOTH_SIMULATED, MANY_THETA, MONTE_CARLO

import merextras as mx
from merextras.accessors.parameters import parameters_of
from merextras.exceptions import InvalidArgumentError, MerextrasError, UnsupportedModelError
from merextras.inference.intervals import replicates

N_SIMS = {"students": 10_000, "sleepstudy": 10_000, "pastes": 4000}


def sd_error(values):
    """Standard error of a standard deviation, from the fourth moment."""
    square = (values - values.mean()) ** 2
    return np.sqrt(square.var() / len(values)) / (2.0 * values.std())


@pytest.mark.parametrize("name", N_SIMS)
def test_means_and_standard_deviations_of_boot_mer(name):
    reference = expected()["models"][name]
    boot = mx.bootstrap(model_of(name), n_sims=N_SIMS[name], rng=1)
    assert list(boot.names) == reference["names"]
    assert boot.n_failed == 0
    assert abs(boot.singular_share - reference["singular"]) < 0.05  # lme4 stops short of a zero
    for j, (_, column) in enumerate(boot.estimates.items()):
        values = column.dropna().to_numpy()
        error = np.hypot(values.std() / np.sqrt(len(values)), reference["mean_se"][j])
        assert abs(values.mean() - reference["mean"][j]) < BOTH_SIMULATED * error
        error = np.hypot(sd_error(values), reference["sd_se"][j])
        assert abs(values.std() - reference["sd"][j]) < BOTH_SIMULATED * error


def test_quantiles_of_boot_mer():
    reference = expected()["models"]["students"]
    boot = mx.bootstrap(model_of("students"), n_sims=10_000, rng=2)
    found = boot.quantiles([0.05, 0.95])
    # The standard error of a normal's 5 % quantile is 2.1 standard deviations over sqrt(n).
    error = BOTH_SIMULATED * 2.1 * np.sqrt(2.0 / 10_000) * boot.std_error.to_numpy()
    assert np.all(np.abs(found[0.05] - reference["low"]) < error)
    assert np.all(np.abs(found[0.95] - reference["high"]) < error)


def test_balanced_fixed_effects_have_their_exact_moments():
    """Least squares is the estimate whatever theta: beta's covariance is known."""
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    boot = mx.bootstrap(m, n_sims=10_000, rng=3)
    draws = boot.estimates[["Intercept", "Days"]].to_numpy()
    exact = m.fixed_covariance
    sd = np.sqrt(np.diag(exact))
    assert np.all(np.abs(draws.mean(axis=0) - m.fixef()) < MONTE_CARLO * sd / 100.0)
    se = np.sqrt((np.outer(sd**2, sd**2) + exact**2) / 10_000)
    assert np.all(np.abs(np.cov(draws.T) - exact) < MONTE_CARLO * se)


@pytest.mark.parametrize("options", [{}, {"use_u": True}, {"kind": "semiparametric"}], ids=str)
@pytest.mark.parametrize("reml", [True, False])
def test_a_replicate_is_a_refit(options, reml):
    data = mx.load_dataset("sleepstudy")
    rng = np.random.default_rng(5)
    data = data.assign(w=rng.uniform(0.5, 2.0, 180), known=rng.normal(size=180) * 9)
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", data, weights="w", offset="known", reml=reml)
    boot = mx.bootstrap(m, n_sims=5, rng=4, **options)
    alone = mx.bootstrap(m, parameters_of, n_sims=5, rng=4, **options)
    close(boot.replicates, alone.replicates, MANY_THETA)
    close(boot.values, alone.values, MANY_THETA)
    if options.get("kind") is None:
        responses = m.simulate(5, rng=4, use_u=options.get("use_u", False))
        close(boot.replicates[3], parameters_of(m.refit(responses["sim_4"])), MANY_THETA)


def test_semiparametric_residuals_are_the_fits_own():
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    kept = []
    mx.bootstrap(
        m, lambda fit: kept.append(fit.get_me("y")) or 0.0, n_sims=20, kind="semiparametric",
        use_u=True, rng=1,
    )  # fmt: skip
    residuals = m.residuals().to_numpy() - m.residuals().mean()
    for y in kept[1:]:
        drawn = y - m.fitted().to_numpy()
        assert np.all(np.min(np.abs(drawn[:, None] - residuals), axis=1) < 1e-9)
        assert len(np.unique(np.round(drawn, 6))) < 30


def resampled_by_hand(data, outer, generator):
    """Whole groups drawn with replacement, numbered."""
    groups = list(data.groupby(outer, sort=True).groups)
    drawn = generator.integers(len(groups), size=len(groups))
    parts = [data[data[outer] == groups[g]].assign(**{outer: i}) for i, g in enumerate(drawn)]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize(
    ("name", "outer", "formula"),
    [
        ("sleepstudy", "Subject", "Reaction ~ Days + (Days | Subject)"),
        ("pastes", "batch", "strength ~ 1 + (1 | batch/cask)"),
    ],
)
@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_cases_are_whole_groups(name, outer, formula):
    data = mx.load_dataset(name)
    m = mx.lmer(formula, data)
    boot = mx.bootstrap(m, n_sims=4, kind="cases", rng=6)
    for r, generator in enumerate(np.random.default_rng(6).spawn(4)):
        own = mx.lmer(formula, resampled_by_hand(data, outer, generator))
        close(boot.replicates[r], parameters_of(own), MANY_THETA)


def test_the_models_of_cases_are_whole():
    m = mx.lmer("strength ~ 1 + (1 | batch/cask)", mx.load_dataset("pastes"))

    def sizes(fit):
        frame = fit.model_frame()
        assert fit.nobs() == len(frame) == 60
        assert np.max(np.abs(fit.predict(frame) - fit.fitted())) < 1e-9
        return fit.ngrps()

    boot = mx.bootstrap(m, sizes, n_sims=5, kind="cases", rng=1)
    assert boot.names == ("cask:batch", "batch")
    assert np.all(boot.replicates == [30, 10])
    assert boot.n_failed == 0


def test_cases_of_crossed_factors(crossed):
    with pytest.raises(UnsupportedModelError, match="crossed: no whole groups"):
        mx.bootstrap(crossed, kind="cases")


@pytest.mark.parametrize("func", [None, lambda m: m.theta], ids=["together", "func"])
def test_the_result_does_not_depend_on_the_processes(func, monkeypatch):
    monkeypatch.setattr(replicates, "_BLOCK", 2000)
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    one = mx.bootstrap(m, func, n_sims=30, rng=7)
    two = mx.bootstrap(m, func, n_sims=30, rng=7, n_jobs=2)
    assert np.array_equal(one.replicates, two.replicates)
    assert one.singular_share == two.singular_share
    fewer = mx.bootstrap(m, func, n_sims=9, rng=7)
    assert np.array_equal(fewer.replicates, one.replicates[:9])


def test_what_a_function_may_return():
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))

    def names(func):
        return mx.bootstrap(m, func, n_sims=2, rng=1).names

    assert names(lambda m: m.sigma()) == ("t1",)
    assert names(lambda m: [1.0, 2.0]) == ("t1", "t2")
    assert names(lambda m: {"sigma": m.sigma()}) == ("sigma",)
    assert names(lambda m: m.fixef()) == ("Intercept",)
    assert names(lambda m: np.array(3)) == ("t1",)


@pytest.mark.parametrize(
    ("func", "message"),
    [
        (lambda m: "text", "a Series of numbers, got str"),
        (lambda m: m.summary(), "a Series of numbers, got Summary"),
        (lambda m: np.eye(2), r"got shape \(2, 2\)"),
        (lambda m: [], r"got shape \(0,\)"),
        (lambda m: None, "func: must return"),
        (lambda m: np.zeros(int(m.sigma() > 49.6) + 1), r"returned \['t1', 't2'\] for a replicate"),
        (3.0, "expected a function"),
    ],
)
def test_what_it_may_not(func, message):
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    with pytest.raises(InvalidArgumentError, match=message):
        mx.bootstrap(m, func, n_sims=20, rng=1)


def test_failures_are_counted():
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    limit = 1.0001 * m.sigma()

    def fussy(fit):
        if fit.sigma() > limit:
            raise RuntimeError("too large")
        return fit.sigma()

    boot = mx.bootstrap(m, fussy, n_sims=40, rng=2)
    every = mx.bootstrap(m, n_sims=40, rng=2).estimates["sigma"]
    assert boot.n_failed == np.sum(every > limit) > 5
    assert boot.failures == {"RuntimeError: too large": boot.n_failed}
    assert np.array_equal(np.isnan(boot.replicates[:, 0]), every > limit)
    assert boot.n_used["t1"] == 40 - boot.n_failed
    assert f"failed, {boot.n_failed} times: RuntimeError: too large" in repr(boot)
    close(boot.std_error["t1"], every[every <= limit].std(), MANY_THETA)


def test_failing_at_the_fit_itself_is_an_error():
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    with pytest.raises(ZeroDivisionError):
        mx.bootstrap(m, lambda m: 1 / 0, n_sims=2)
    original = m.sigma()
    with pytest.raises(MerextrasError, match="all 3 replicates failed; the first: ZeroDivision"):
        mx.bootstrap(m, lambda m: 1 / (m.sigma() == original), n_sims=3, rng=1)


def test_a_replicate_without_an_optimum_is_a_failure(monkeypatch):
    from merextras.inference.intervals import replicates as module

    m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    refit_all = module.refit_all

    def spoiled(model, y, *args):
        y[:, 3] = model.design.x @ model.solution.beta  # an exact fit
        return refit_all(model, y, *args)

    monkeypatch.setattr(module, "refit_all", spoiled)
    boot = mx.bootstrap(m, n_sims=10, rng=1)
    assert boot.failures == {"not converged": 1}
    assert np.all(np.isnan(boot.replicates[3]))
    assert np.all(np.isfinite(np.delete(boot.replicates, 3, axis=0)))


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_a_singular_fit():
    """No variance between batches: half of the replicates are singular as well."""
    data = mx.load_dataset("sleepstudy").assign(x=np.tile(np.arange(10.0), 18))
    y = np.random.default_rng(4).normal(size=180)
    m = mx.lmer(
        "y ~ x + (x | Subject)", data.assign(y=y - y.reshape(18, 10).mean(axis=1).repeat(10))
    )
    assert m.is_singular()
    boot = mx.bootstrap(m, n_sims=300, rng=1)
    assert boot.singular_share > 0.5
    # One in a thousand creeps along the ridge of an intercept with hardly any variance.
    assert boot.n_failed <= 1
    correlation = "cor_x.Intercept|Subject"
    missing = int(boot.estimates[correlation].isna().sum())
    assert boot.n_used[correlation] == 300 - missing < 300
    without = missing - boot.n_failed
    assert f"{correlation}: does not exist in {without} of the replicates" in repr(boot)


def test_a_statsmodels_fit():
    fit = statsmodels_fit("Yield ~ 1", mx.load_dataset("dyestuff"), groups="Batch")
    found = mx.bootstrap(fit, n_sims=3, rng=1)
    own = mx.bootstrap(
        mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff")), n_sims=3, rng=1
    )
    close(found.replicates, own.replicates, 1e-6)


def test_no_fixed_effects_and_two_sims():
    m = mx.lmer("Yield ~ 0 + (1 | Batch)", mx.load_dataset("dyestuff"))
    assert mx.bootstrap(m, n_sims=2, rng=1).replicates.shape == (2, 2)
    one = mx.bootstrap(m, n_sims=1, rng=1)
    assert np.all(np.isnan(one.std_error))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sims": 0}, "n_sims=0"),
        ({"n_jobs": 0}, "n_jobs=0: the number of processes, or -1"),
        ({"n_jobs": 1.5}, "n_jobs=1.5"),
        ({"n_jobs": True}, "n_jobs=True"),
        ({"kind": "parametrik"}, "did you mean 'parametric'"),
        ({"kind": None}, "kind=None"),
        ({"kind": "cases", "use_u": True}, "bring their own random effects"),
        ({"rng": -1}, "rng=-1"),
    ],
)
def test_errors(options, message):
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    with pytest.raises(InvalidArgumentError, match=message):
        mx.bootstrap(m, **options)


def test_other_objects_are_refused():
    with pytest.raises(UnsupportedModelError):
        mx.bootstrap(smf.ols("Yield ~ 1", mx.load_dataset("dyestuff")).fit())


def test_frequency_weights_are_refused_but_for_cases():
    data = mx.load_dataset("dyestuff").assign(f=2)
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", data, freq_weights="f")
    with pytest.raises(UnsupportedModelError, match="Repeat the rows"):
        mx.bootstrap(m)
    assert mx.bootstrap(m, n_sims=3, kind="cases", rng=1).n_failed == 0


def test_the_model_does_not_change():
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", mx.load_dataset("dyestuff"))
    before = pickle.dumps(m.design.y)
    mx.bootstrap(m, n_sims=10, rng=1)
    mx.bootstrap(m, n_sims=2, kind="cases", rng=1)
    assert pickle.dumps(m.design.y) == before


def unbalanced(rng, truth):
    """Twelve groups of 2 to 13 rows."""
    codes = np.repeat(np.arange(12), np.arange(2, 14))
    x = np.sin(np.arange(len(codes)))
    y = truth[2] + truth[3] * x + truth[0] * rng.normal(size=12)[codes]
    return pd.DataFrame({"y": y + truth[1] * rng.normal(size=len(codes)), "x": x, "g": codes})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_coverage_and_bias_on_an_unbalanced_design():
    truth, rng, n = np.array([1.0, 1.0, 5.0, 0.5]), np.random.default_rng(2024), 250
    hits, bias, estimates = [], [], []
    for child in rng.spawn(n):
        m = mx.lmer("y ~ x + (1 | g)", unbalanced(child, truth))
        boot = mx.bootstrap(m, n_sims=300, rng=child)
        limits = boot.confint(0.9, "basic").to_numpy()
        hits.append((limits[:, 0] <= truth) & (truth <= limits[:, 1]))
        bias.append(boot.bias)
        estimates.append(boot.values)
    # sigma and the slope have many degrees of freedom; the others' intervals are too short.
    share, se = np.mean(hits, axis=0), np.sqrt(0.9 * 0.1 / n)
    assert np.all(np.abs(share[[1, 3]] - 0.9) < 3.5 * se)
    assert np.all(share > 0.8)
    # The bootstrap's estimate of the bias against the bias.
    real = np.array(estimates) - truth
    error = np.sqrt(real.var(axis=0) / n + np.var(bias, axis=0) / n)
    assert np.all(np.abs(real.mean(axis=0) - np.mean(bias, axis=0)) < MONTE_CARLO * error)


def test_an_update_of_weighted_cases_has_their_weights(sleep):
    """The options that an update evaluates with are resampled like the rows."""
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=np.linspace(1.0, 2.0, len(sleep)))
    found = mx.bootstrap(
        m, lambda r: r.update(". ~ . + I(Days**2)").fixef(), n_sims=3, kind="cases", rng=1
    )
    assert found.n_failed == 0
    assert list(found.estimates.columns) == ["Intercept", "Days", "I(Days ** 2)"]
    assert np.all(np.isfinite(found.estimates))

"""The bootstrap test against pbkrtest, exact distributions and its own refits."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.formula.api as smf
from bootstrap_models import expected, few
from properties.compare import close
from scipy import stats
from tolerances import BOTH_SIMULATED, LIKELIHOOD_RATIO, MONTE_CARLO

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.inference.intervals import replicates

DAYS = "Reaction ~ Days + (1 | Subject)"
NONE = "Reaction ~ 1 + (1 | Subject)"


@pytest.fixture(scope="module")
def pair():
    return mx.lmer(DAYS, few()), mx.lmer(NONE, few(), reml=False)


@pytest.mark.parametrize("name", ["days", "factor"])
def test_pbkrtest(name):
    reference = expected()["tests"][name]
    formulas = [reference[m].replace("factor(", "C(") for m in ("large", "small")]
    large, small = (mx.lmer(formula, few()) for formula in formulas)
    test = mx.pb_modcomp(large, small, n_sims=10_000, rng=1)
    frame = test.to_frame().set_index("test")
    close(test.statistic, reference["stat"][0], LIKELIHOOD_RATIO)
    assert (test.df, test.n_failed) == (reference["df"][0], 0)
    p = dict(zip(reference["rows"], reference["p_value"], strict=True))
    close(frame.loc["LRT", "p_value"], p["LRT"], LIKELIHOOD_RATIO)
    # Both samples of 10 000: errors of a share, of a mean, and of what depends on them smoothly.
    se = np.sqrt(2.0 * p["PBtest"] * (1.0 - p["PBtest"]) / 10_000)
    assert abs(test.p_value - p["PBtest"]) < BOTH_SIMULATED * se
    mean_se = np.sqrt(2.0) * reference["mean_se"]
    assert abs(test.mean - reference["mean"]) < BOTH_SIMULATED * mean_se
    for row in ("Gamma", "Bartlett"):
        assert abs(frame.loc[row, "p_value"] - p[row]) < BOTH_SIMULATED * se
    if test.df == 1:  # pbkrtest's m is for one degree of freedom
        assert abs(frame.loc["F", "p_value"] - p["F"]) < BOTH_SIMULATED * se


def test_the_f_row_has_the_mean_of_the_sample():
    large, small = (mx.lmer(f"Reaction ~ {x} + (1 | Subject)", few()) for x in ("C(Days)", "Days"))
    test = mx.pb_modcomp(large, small, n_sims=4000, rng=1)
    row = test.to_frame().set_index("test").loc["F"]
    close(stats.f.mean(row["df"], row["ddf"]), test.mean / 2.0, 1e-12)
    close(row["statistic"], test.statistic / 2.0, 1e-12)


def test_the_sample_is_what_refits_give(pair):
    large, small = (m.refit_ml() for m in pair)
    test = mx.pb_modcomp(*pair, n_sims=5, rng=3)
    responses = small.simulate(5, rng=3)
    for r, (_, y) in enumerate(responses.items()):
        gain = small.refit(y).deviance() - large.refit(y).deviance()
        close(test.sample[r], gain, LIKELIHOOD_RATIO, scale=1.0)
    close(test.statistic, small.deviance() - large.deviance(), LIKELIHOOD_RATIO)


def test_a_variance_against_the_exact_test():
    """An OLS fit as the small model; statistics of zero count."""
    data = mx.load_dataset("dyestuff")
    m, null = mx.lmer("Yield ~ 1 + (1 | Batch)", data), smf.ols("Yield ~ 1", data).fit()
    test = mx.pb_modcomp(m, null, n_sims=10_000, rng=1)
    exact = mx.exact_lrt(m.refit_ml(), null, n_sims=100_000, rng=1)
    close(test.statistic, exact.statistic, LIKELIHOOD_RATIO)
    assert test.small == "Yield ~ 1"
    for share, own in ((exact.p_value, test.p_value), (exact.p_zero, np.mean(test.sample == 0.0))):
        assert abs(own - share) < MONTE_CARLO * np.sqrt(share * (1.0 - share) * 1.1e-4)
    assert np.isnan(test.to_frame()["ddf"]).all()


def test_a_random_slope(sleep):
    large = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    small = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    test = mx.pb_modcomp(large, small, n_sims=300, rng=2)
    assert (test.df, test.n_exceeding, test.n_failed) == (2, 0, 0)
    close(test.statistic, 42.1393, 1e-5)
    assert test.p_value == 1.0 / 301.0


def test_weights_and_offset(sleep):
    rng = np.random.default_rng(1)
    data = sleep.assign(w=rng.uniform(0.5, 2.0, 180), known=100.0 * rng.normal(size=180))
    large, small = (
        mx.lmer(f"Reaction ~ {x} + (1 | Subject)", data, weights="w", offset="known")
        for x in ("Days", "1")
    )
    test = mx.pb_modcomp(large, small, n_sims=4, rng=1)
    large, small = large.refit_ml(), small.refit_ml()
    y = small.simulate(4, rng=1)["sim_2"]
    gain = small.refit(y).deviance() - large.refit(y).deviance()
    close(test.sample[1], gain, LIKELIHOOD_RATIO, scale=1.0)


def test_the_result_does_not_depend_on_the_processes(pair, monkeypatch):
    monkeypatch.setattr(replicates, "_BLOCK", 200)
    one, two = (mx.pb_modcomp(*pair, n_sims=20, rng=4, n_jobs=n) for n in (1, 2))
    assert np.array_equal(one.sample, two.sample)


def test_statsmodels_fits():
    fits = [smf.mixedlm(f"Reaction ~ {x}", few(), groups="Subject").fit() for x in ("Days", "1")]
    test = mx.pb_modcomp(*fits, n_sims=10, rng=1)
    own = mx.pb_modcomp(mx.lmer(DAYS, few()), mx.lmer(NONE, few()), n_sims=10, rng=1)
    close(test.statistic, own.statistic, LIKELIHOOD_RATIO)
    close(test.sample, own.sample, 1e-6)


@pytest.mark.parametrize(
    ("large", "small", "message"),
    [
        (NONE, DAYS, "give the larger one first"),
        (DAYS, DAYS, "give the larger one first"),
        (
            "Reaction ~ np.sqrt(Days) + Days + (1 | Subject)",
            "Reaction ~ np.exp(Days) + (1 | Subject)",
            "not nested",
        ),
        (
            "Reaction ~ Days + np.exp(Days) + (1 | Subject)",
            "Reaction ~ 1 + (0 + Days | Subject)",
            "not nested",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_models_that_cant_be_compared(large, small, message):
    with pytest.raises(InvalidArgumentError, match=f"pb_modcomp: .*{message}"):
        mx.pb_modcomp(mx.lmer(large, few()), mx.lmer(small, few()), n_sims=5)


def test_other_data(pair, sleep):
    large = pair[0]
    with pytest.raises(InvalidArgumentError, match="pb_modcomp: the models are of different data"):
        mx.pb_modcomp(large, mx.lmer(NONE, sleep))
    shuffled = few().assign(Reaction=few()["Reaction"].to_numpy()[::-1])
    with pytest.raises(InvalidArgumentError, match="the responses of .* differ"):
        mx.pb_modcomp(large, mx.lmer(NONE, shuffled))
    with pytest.raises(InvalidArgumentError, match="weights of .* differ"):
        mx.pb_modcomp(large, mx.lmer(NONE, few(), weights=np.full(24, 2.0)))
    moved = mx.lmer(DAYS, few(), offset=np.ones(24))
    with pytest.raises(InvalidArgumentError, match="an offset, which an OLS fit has not"):
        mx.pb_modcomp(moved, smf.ols("Reaction ~ 1", few()).fit())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_sims": 1}, "at least 2 samples"),
        ({"n_sims": 0}, "n_sims=0"),
        ({"n_jobs": 0}, "n_jobs=0"),
        ({"rng": "x"}, "rng='x'"),
    ],
)
def test_errors(pair, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.pb_modcomp(*pair, **options)


def test_frequency_weights_are_refused():
    large, small = (mx.lmer(f, few(), freq_weights=np.full(24, 2)) for f in (DAYS, NONE))
    with pytest.raises(UnsupportedModelError, match="Repeat the rows"):
        mx.pb_modcomp(large, small)

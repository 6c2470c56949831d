"""The bootstrap of generalised models: its replicates are whole fits to simulated responses."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pandas as pd
import pytest
from tolerances import REFIT_OF_A_REPLICATE

import merextras as mx
from merextras.accessors.parameters import parameters_of
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
@pytest.mark.parametrize("response", ["yes", "count", "spread", "size"])
def test_replicates_are_fits_to_simulated_responses(response):
    m = models.generated(response, "(1 + x | g)")
    found = mx.bootstrap(m, n_sims=6, rng=2)
    sims = m.simulate(6, rng=2)
    for i in range(6):
        whole = m.refit(sims[f"sim_{i + 1}"])
        np.testing.assert_allclose(
            found.replicates[i], parameters_of(whole), rtol=0, atol=REFIT_OF_A_REPLICATE
        )
    np.testing.assert_allclose(found.values, parameters_of(m))


def test_names_and_a_function():
    m = models.generated("spread", "(1 | g)")
    found = mx.bootstrap(m, n_sims=3, rng=1)
    assert found.names == (
        "sd_Intercept|g", "dispersion", "Intercept", "c[T.b]", "c[T.c]", "x",
    )  # fmt: skip
    by_function = mx.bootstrap(m, lambda m: m.fixef(), n_sims=3, rng=1)
    np.testing.assert_allclose(
        by_function.replicates, found.replicates[:, 2:], atol=REFIT_OF_A_REPLICATE
    )


def test_modes_can_be_kept():
    m = models.cbpp()
    found = mx.bootstrap(m, n_sims=40, use_u=True, rng=1)
    free = mx.bootstrap(m, n_sims=40, rng=1)
    assert found.std_error["Intercept"] < free.std_error["Intercept"]


def test_processes_change_nothing():
    m = models.cbpp()
    one, two = (mx.bootstrap(m, n_sims=10, rng=1, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one.replicates, two.replicates)


def test_confint_by_bootstrap():
    m = models.cbpp()
    found = m.confint(method="boot", n_sims=60, rng=1)
    boot = mx.bootstrap(m, n_sims=60, rng=1).confint()
    np.testing.assert_array_equal(found, boot)
    # Normal limits are near Wald's, of this sample within its error.
    normal = m.confint(method="boot", n_sims=60, rng=1, boot_type="normal", parm="beta_")
    wald = m.confint(method="wald", parm="beta_")
    width = (normal["conf_high"] - normal["conf_low"]) / (wald["conf_high"] - wald["conf_low"])
    assert ((width > 0.7) & (width < 1.4)).all()


def test_failures_are_counted():
    calls = []

    def sometimes(m):
        calls.append(1)
        if len(calls) in {3, 5}:
            raise ValueError("no")
        return m.fixef()

    found = mx.bootstrap(models.cbpp(), sometimes, n_sims=6, rng=1)
    assert found.failures == {"ValueError: no": 2}


def test_groups_are_resampled_with_their_rows():
    m = models.cbpp()
    found = mx.bootstrap(m, kind="cases", n_sims=4, rng=5)
    data = mx.load_dataset("cbpp")
    herds = [part for _, part in data.groupby("herd")]
    for i, generator in enumerate(np.random.default_rng(5).spawn(4)):
        drawn = generator.integers(15, size=15)
        parts = [herds[j].assign(herd=k) for k, j in enumerate(drawn)]
        whole = mx.glmer(models.HERDS, pd.concat(parts, ignore_index=True))
        np.testing.assert_allclose(
            found.replicates[i], parameters_of(whole), rtol=0, atol=REFIT_OF_A_REPLICATE
        )
    by_function = mx.bootstrap(m, lambda m: m.log_lik(), kind="cases", n_sims=2, rng=5)
    assert np.isfinite(by_function.replicates).all()
    assert found.kind == "cases"


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
def test_nested_groups_and_other_families_are_resampled():
    data = models.rows(400).assign(room=lambda d: d["g"] * 10 + d["h"])
    for response in ("count", "spread", "size", "yes"):
        m = mx.glmer(f"{response} ~ x + (1 | g / room)", data, models.FAMILIES[response])
        found = mx.bootstrap(m, kind="cases", n_sims=3, rng=1)
        assert found.n_failed == 0
        assert np.all(np.isfinite(found.replicates[:, -2:]))


def test_where_the_model_is_right_groups_spread_as_responses_do():
    m = models.women(slopes=False)
    cases = mx.bootstrap(m, kind="cases", n_sims=60, rng=1)
    error = np.sqrt(m.vcov(kind="CR0").loc["age", "age"])
    # Of 60 draws a standard deviation is within a quarter.
    assert cases.std_error["age"] == pytest.approx(error, rel=0.35)


def test_rows_are_resampled():
    m, data = models.cbpp(), mx.load_dataset("cbpp")
    found = mx.sub_boot(m, lambda m: m.fixef(), n_sims=2, rng=3)
    for i, generator in enumerate(np.random.default_rng(3).spawn(2)):
        rows = generator.choice(np.arange(56), size=56)
        whole = mx.glmer(models.HERDS, data.iloc[rows].reset_index(drop=True))
        np.testing.assert_allclose(
            found.iloc[i + 1, 1:].to_numpy(float), whole.fixef(), atol=REFIT_OF_A_REPLICATE
        )
    np.testing.assert_allclose(found.iloc[0, 1:].to_numpy(float), m.fixef())


def test_what_is_refused():
    m = models.cbpp()
    with pytest.raises(UnsupportedModelError, match="kind='parametric' draws"):
        mx.bootstrap(m, kind="semiparametric", n_sims=2)
    with pytest.raises(InvalidArgumentError, match="use_u"):
        mx.bootstrap(m, kind="cases", use_u=True, n_sims=2)
    with pytest.raises(UnsupportedModelError, match="crossed"):
        mx.bootstrap(models.generated("yes"), kind="cases", n_sims=2)
    with pytest.raises(InvalidArgumentError, match="func"):
        mx.bootstrap(m, lambda m: "word", n_sims=2)

"""Cross-validation of generalised models: each fold against a fit of its own."""

from __future__ import annotations

import warnings

import glmm_models as models
import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats
from tolerances import NEW_RESPONSES, REFIT_OF_A_REPLICATE

import merextras as mx
from merextras.exceptions import (
    ApproximationWarning,
    InvalidArgumentError,
    MerextrasError,
    SingularFitWarning,
)

BINARY = "yes ~ x + c + (1 + x | g) + (1 | h)"  # as models.generated("yes")


def _mean_of(model, eta, s):
    density = stats.norm(eta, s).pdf
    return integrate.quad(
        lambda e: float(model.engine_family.mean(np.array([e]))[0]) * density(e),
        eta - 9.0 * s, eta + 9.0 * s, epsabs=1e-13,
    )[0]  # fmt: skip


@pytest.mark.parametrize("by", ["g", "row"])
def test_a_fold_is_predicted_from_a_fit_without_it(by):
    data, m = models.rows(), models.generated("yes")
    found = mx.cross_validate(m, by=by, folds=4, rng=1)
    for fold in (1, 3):
        there = found.rows["fold"] == fold
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SingularFitWarning)
            rest = mx.glmer(BINARY, data[~there])
        link = rest.predict(
            data[there], type="link", se_fit=True, allow_new_levels="draw"
        )  # fmt: skip
        for i in link.index[:4]:
            p = _mean_of(m, link.loc[i, "fit"], link.loc[i, "std_error"])
            row = found.rows.loc[i]
            assert row["fit"] == pytest.approx(p, abs=1e-5)
            y = data.loc[i, "yes"]
            assert row["log_score"] == pytest.approx(np.log(p if y else 1.0 - p), abs=1e-4)
            assert row["brier"] == pytest.approx((y - p) ** 2, abs=1e-4)
            assert row["deviance"] == pytest.approx(-2.0 * row["log_score"], abs=1e-9)
            assert row["std_error"] == pytest.approx(np.sqrt(p * (1.0 - p)), abs=1e-5)
    assert bool(found.rows["new"].all()) is (by == "g")


def test_summaries():
    found = mx.cross_validate(models.cbpp(), by="herd")
    rows, data = found.rows, mx.load_dataset("cbpp")
    assert found.n_folds == 15
    assert list(found.to_frame().columns) == [
        "n", "rmse", "mae", "deviance", "brier", "log_score", "coverage",
    ]  # fmt: skip
    y, size = data["incidence"], data["size"]
    share = rows["fit"]
    total = (y * (1.0 - share) ** 2 + (size - y) * share**2).sum() / size.sum()
    assert found.brier == pytest.approx(total)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((y / size - share) ** 2)))
    assert found.log_score == pytest.approx(rows["log_score"].mean())
    assert found.deviance == pytest.approx(rows["deviance"].mean())
    assert found.coverage >= 0.9
    assert found.by_fold().index.name == "fold"
    assert "deviance" in repr(found)
    assert "brier" in found.by_fold()
    linear = mx.lmer("incidence ~ size + (1 | herd)", data)
    assert np.isnan(mx.cross_validate(linear, by="herd").brier)


@pytest.mark.parametrize("response", ["count", "spread", "size", "time", "number"])
def test_other_families(response):
    m = models.generated(response, "(1 | g)")
    found = mx.cross_validate(m, by=models.rows()["h"], folds=3, rng=2)
    assert found.scores == ("deviance",)
    rows = found.rows
    assert np.isfinite(rows[["fit", "std_error", "lower", "upper", "log_score"]]).all().all()
    assert ((rows["lower"] <= rows["fit"]) & (rows["fit"] <= rows["upper"])).all()
    assert 0.85 < found.coverage <= 1.0
    there = found.rows["fold"] == 2
    rest = mx.glmer(
        f"{response} ~ x + c + (1 | g)", models.rows()[~there], models.FAMILIES[response]
    )
    ends = rest.predict(models.rows()[there], interval="prediction", allow_new_levels="draw")
    np.testing.assert_allclose(rows.loc[there, "upper"], ends["upper"], rtol=1e-3)
    np.testing.assert_allclose(rows.loc[there, "lower"], ends["lower"], rtol=1e-3, atol=1e-3)


def test_held_covariances_are_those_of_all_rows():
    data = models.rows()
    m = models.generated("count", "(1 + x | g)")
    found = mx.cross_validate(m, by=models.rows()["h"], folds=2, theta="held", rng=1)
    there = (found.rows["fold"] == 1).to_numpy()
    from merextras.model.generalised.other_rows import fit_part

    part = fit_part(m, np.flatnonzero(~there), held=True)
    np.testing.assert_allclose(part.covariances[0], m.covariances[0], rtol=1e-10)
    # Where the fixed effects alone are free: no direction of them raises the likelihood.
    gradient = part.laplace.gradient()[part.of_fixed]
    error = np.sqrt(np.diag(part.fixed_covariance))
    assert np.all(np.abs(gradient) < 1e-4)
    assert np.all(error > 0.0)
    free = mx.glmer("count ~ x + c + (1 + x | g)", data[~there], "poisson")
    assert part.log_likelihood <= free.log_likelihood + 1e-8
    np.testing.assert_allclose(part.fixed_estimates, free.fixef(), atol=0.1)
    refit = mx.cross_validate(m, by=models.rows()["h"], folds=2, rng=1)
    assert found.log_score == pytest.approx(refit.log_score, abs=0.05)
    assert "covariances of all rows" in repr(found)


def test_folds_without_a_fit_are_counted():
    data = models.rows().assign(only=lambda d: (d["h"] == 2).astype(float))
    m = mx.glmer("yes ~ x + only + (1 | g)", data)
    with pytest.warns(ApproximationWarning, match=r"1 of 6 folds have no fit"):
        found = mx.cross_validate(m, by=models.rows()["h"])
    assert found.n_failed == 1
    assert found.rows.loc[data["h"] == 2, "fit"].isna().all()
    assert found.to_frame()["n"].iloc[0] == (data["h"] != 2).sum()


def test_processes_change_nothing():
    m = models.cbpp()
    one, two = (mx.cross_validate(m, folds=20, rng=1, n_jobs=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one.rows, two.rows)


def test_a_measure_of_the_users():
    found = mx.cross_validate(
        models.cbpp(), by="herd", metrics={"bias": lambda y, fit: float(np.mean(fit - y))}
    )
    assert found.to_frame()["bias"].iloc[0] == pytest.approx(
        (found.rows["fit"] - found.rows["observed"]).mean()
    )


def test_an_offset_is_in_the_prediction():
    data = mx.load_dataset("cbpp")
    m = mx.glmer("incidence ~ period + (1 | herd)", data, "poisson", offset=np.log(data["size"]))
    found = mx.cross_validate(m, by="herd", folds=5, rng=1)
    there = found.rows["fold"] == 1
    rest = mx.glmer(
        "incidence ~ period + offset(np.log(size)) + (1 | herd)", data[~there], "poisson"
    )
    eta = rest.predict(data[there], type="link", se_fit=True, allow_new_levels="draw")
    mean = np.exp(eta["fit"] + 0.5 * eta["std_error"] ** 2)
    np.testing.assert_allclose(
        found.rows.loc[there, "fit"], mean, rtol=max(NEW_RESPONSES, REFIT_OF_A_REPLICATE)
    )


def test_what_is_refused():
    m = models.cbpp()
    with pytest.raises(InvalidArgumentError, match="by="):
        mx.cross_validate(m, by="cow")
    with pytest.raises(InvalidArgumentError, match="folds="):
        mx.cross_validate(m, by="herd", folds=99)
    with pytest.raises(MerextrasError, match="theta"):
        mx.cross_validate(m, theta="other")

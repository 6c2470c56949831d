"""Rows that miss values: left out of the fit, and by `missing` of results by row or not."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tolerances import LME4_PREDICT, LMER_ESTIMATE, REPLICATE_P_VALUE

import merextras as mx
from merextras import r
from merextras.exceptions import InvalidArgumentError

EXPECTED = json.loads(
    (
        Path(__file__).resolve().parents[2] / "reference" / "missing_rows" / "expected.json"
    ).read_text()
)
FORMULA = "Reaction ~ Days + (Days | Subject)"
PAIR = "cbind(incidence, size - incidence) ~ C(period) + (1 | herd)"


def holes():
    data = mx.load_dataset("sleepstudy").assign(w=1.0 + np.arange(180) % 3)
    data.loc[2, "Reaction"] = np.nan
    data.loc[9, "Days"] = np.nan
    data["Subject"] = data["Subject"].astype("Int64")
    data.loc[19, "Subject"] = pd.NA
    data.loc[29, "w"] = np.nan
    return data


@pytest.fixture(scope="module")
def data():
    return holes()


@pytest.fixture(scope="module")
def kept(data):
    return mx.lmer(FORMULA, data, weights="w", missing="keep")


@pytest.fixture(scope="module")
def dropped(data):
    return mx.lmer(FORMULA, data, weights="w")


BY_ROW = {
    "fitted": lambda m: m.fitted(),
    "residuals": lambda m: m.residuals(),
    "pearson": lambda m: m.residuals("pearson", scaled=True),
    "population": lambda m: m.predict(re_form="NA"),
    "hatvalues": lambda m: m.hatvalues(),
    "rstudent": lambda m: m.rstudent(),
    "cooks_distance": lambda m: m.cooks_distance(),
    "weights": lambda m: m.weights(),
    "predict": lambda m: m.predict(),
    "predict: interval": lambda m: m.predict(interval="prediction"),
    "simulate": lambda m: m.simulate(2, rng=1),
    "simulate: use_u": lambda m: m.simulate(2, rng=1, use_u=True),
    "predict_interval": lambda m: mx.predict_interval(m, n_sims=20, rng=1),
    "predict_interval: sims": lambda m: mx.predict_interval(
        m, n_sims=20, rng=1, return_sims=True
    ).to_frame(),
    "augment": mx.augment,
    "check_outliers": lambda m: mx.check_outliers(m).to_frame(),
    "cross_validate": lambda m: mx.cross_validate(m, theta="held").rows.drop(columns="fold"),
}


@pytest.mark.parametrize("name", list(EXPECTED["by_row"]))
def test_rows_are_those_of_na_exclude(name, kept):
    found = BY_ROW[name](kept).to_numpy()
    expected = np.array(EXPECTED["by_row"][name], dtype=float)
    assert np.flatnonzero(np.isnan(found)).tolist() == EXPECTED["left_out"]
    np.testing.assert_allclose(
        found, expected, rtol=LMER_ESTIMATE, atol=LMER_ESTIMATE * np.nanmax(np.abs(expected))
    )


def test_what_is_padded_is_what_lme4_pads(kept):
    sizes = EXPECTED["sizes"]
    found = {name: len(BY_ROW[name](kept)) for name in ("hatvalues", "rstudent", "simulate")}
    assert found == {name: sizes[name] for name in found}
    assert len(kept.model_frame()) == sizes["model_frame"] == kept.nobs()
    assert len(kept.model_matrix()) == sizes["model_matrix"]
    assert len(kept.get_me("mu")) == len(kept.get_me("weights")) == sizes["get_me_mu"]
    # lme4 leaves the rows out of weights, and R's lm does not.
    assert len(kept.weights()) == 180 == sizes["weights"] + 4


@pytest.mark.parametrize("name", list(BY_ROW))
def test_the_rows_of_the_fit_are_what_they_are_without(name, kept, dropped, data):
    wide, narrow = BY_ROW[name](kept), BY_ROW[name](dropped)
    assert wide.index.equals(data.index)
    places = np.setdiff1d(np.arange(180), EXPECTED["left_out"])
    own, rest = wide.iloc[places], wide.iloc[EXPECTED["left_out"]]
    np.testing.assert_array_equal(own.to_numpy(dtype=object), narrow.to_numpy(dtype=object))
    rest = rest.drop(columns=["outlier", "influential"], errors="ignore")
    assert rest.isna().to_numpy().all()


def test_estimates_do_not_depend_on_it(kept, dropped, data):
    assert kept.log_lik() == dropped.log_lik()
    assert kept.n_dropped == dropped.n_dropped == 4
    assert 'missing="keep"' in kept.call()
    assert "missing" not in dropped.call()
    with pytest.raises(InvalidArgumentError, match=r"missing='raise': 4 of 180 rows"):
        mx.lmer(FORMULA, data, weights="w", missing="raise")
    with pytest.raises(InvalidArgumentError, match="missing='exclude': allowed"):
        mx.lmer(FORMULA, data, missing="exclude")


def test_whole_numbers_and_truth_values_stay_what_they_are(kept):
    found = mx.augment(kept)
    assert str(found["Subject"].dtype) == "Int64"
    assert found["Subject"].isna().sum() == 4
    outliers = mx.check_outliers(kept).to_frame()
    assert outliers["outlier"].dtype == bool
    assert not outliers["outlier"].iloc[EXPECTED["left_out"]].any()


def test_data_of_the_fit_with_repeated_labels(data):
    data = data.set_axis(np.repeat(np.arange(90), 2), axis=0)
    found = mx.lmer(FORMULA, data, weights="w", missing="keep")
    assert found.fitted().index.equals(data.index)
    wide = mx.augment(mx.lmer(FORMULA, data, weights="w"), data)
    assert wide.index.equals(data.index)
    np.testing.assert_array_equal(wide["fitted"].to_numpy(), found.fitted().to_numpy())


@pytest.mark.parametrize(
    "again",
    [
        lambda m: m.update(". ~ . - (Days | Subject) + (1 | Subject)"),
        lambda m: m.update(". ~ . - Days").update(". ~ . + Days"),
        lambda m: m.refit_ml(),
        lambda m: m.refit(m.simulate(rng=1)),
        lambda m: pickle.loads(pickle.dumps(m)),
        lambda m: m.update(data=holes()),
        lambda m: mx.make_model(m, fixef={"Days": 1.0}),
    ],
)
def test_later_fits_keep_the_rows(again, kept):
    found = again(kept).fitted()
    assert np.flatnonzero(found.isna()).tolist() == EXPECTED["left_out"]


def test_an_update_that_leaves_out_more(data):
    data = data.assign(x=np.where(np.arange(180) % 50 == 5, np.nan, np.arange(180.0)))
    small = mx.lmer("Reaction ~ Days + (1 | Subject)", data[data["x"].notna()], missing="keep")
    assert len(small.fitted()) == 176
    whole = mx.lmer("Reaction ~ Days + x + (1 | Subject)", data, missing="keep")
    left = np.flatnonzero(whole.update(". ~ . - x").fitted().isna()).tolist()
    assert left == [2, 5, 9, 19, 55, 105, 155]


def test_samples_of_its_rows_have_rows_of_their_own(kept):
    found = mx.bootstrap(kept, lambda m: float(len(m.fitted())), n_sims=3, kind="cases", rng=1)
    assert np.isfinite(found.replicates).all()
    assert np.isnan(kept.update(data=holes()).fitted()).sum() == 4


def test_refit_takes_all_rows_or_those_of_the_fit(kept, dropped):
    whole = np.arange(180.0) ** 1.5
    at = np.setdiff1d(np.arange(180), EXPECTED["left_out"])
    for model in (kept, dropped):
        expected = model.refit(whole[at]).deviance()
        assert model.refit(whole).deviance() == expected
        assert model.refit(whole.tolist()).deviance() == expected
        assert model.refit(pd.Series(whole)).deviance() == expected
        shuffled = pd.Series(whole).sample(frac=1.0, random_state=1)
        assert model.refit(shuffled).deviance() == expected
        with pytest.raises(
            InvalidArgumentError, match=r"expected 176 values, .* \(or 180, one per row of its data"
        ):
            model.refit(whole[:-1])
        with pytest.raises(InvalidArgumentError, match=r"the fit 176 of the 180 of its data"):
            model.refit(pd.Series(whole[:-1]))
        with pytest.raises(InvalidArgumentError, match="missing or infinite values in rows of"):
            model.refit(np.where(np.arange(180) == 0, np.nan, whole))
    assert kept.refit(kept.simulate(rng=2)).deviance() == pytest.approx(
        dropped.refit(dropped.simulate(rng=2)).deviance(), rel=1e-14
    )


def test_values_by_row_of_the_data_where_those_of_the_fit_are_asked(dropped, data):
    at = np.setdiff1d(np.arange(180), EXPECTED["left_out"])
    group = np.arange(180) // 30
    wide, narrow = dropped.influence(group), dropped.influence(group[at])
    np.testing.assert_array_equal(wide.betas, narrow.betas)
    cluster = data["Subject"].astype(float).fillna(0.0)
    robust = dropped.vcov(kind="CR2", cluster="Subject")
    for given in (cluster, cluster.sample(frac=1.0, random_state=3), cluster.to_numpy()):
        np.testing.assert_array_equal(dropped.vcov(kind="CR2", cluster=given), robust)
    w = data["w"].fillna(1.0).to_numpy()
    one = dropped.predict(interval="prediction", weights=w)
    np.testing.assert_array_equal(one, dropped.predict(interval="prediction", weights=w[at]))
    with pytest.raises(InvalidArgumentError, match=r"cluster: expected a name or 176 values"):
        dropped.vcov(kind="CR2", cluster=group[:100])


def test_sources_of_chunks_keep_no_rows(data):
    for ask in (
        lambda: mx.lmer(FORMULA, data, missing="keep", chunk_size=50),
        lambda: mx.cross_products(FORMULA, data, missing="keep"),
    ):
        with pytest.raises(InvalidArgumentError, match="missing='keep': a fit from chunks"):
            ask()


def test_other_ways_to_it(data):
    found = r.lmer(FORMULA, data, weights="w", na_action="na.exclude")
    assert found.fitted().isna().sum() == 4
    assert r.lmer(FORMULA, data, weights="w", na_action="na.omit").fitted().notna().all()
    several = mx.lmer_list("Reaction ~ Days + (1 | Subject)", [data, data], missing="keep")
    assert [len(m.fitted()) for m in several] == [180, 180]


def test_to_statsmodels_and_back_has_the_rows_of_the_fit(data):
    kept = mx.lmer("Reaction ~ Days + (1 | Subject)", data, missing="keep")
    plain = kept.to_statsmodels()
    assert len(plain.fittedvalues) == len(mx.MerMod(plain).fitted()) == kept.nobs() == 177


# --- generalised models ---


@pytest.fixture(scope="module")
def herds():
    data = mx.load_dataset("cbpp")
    data = data.assign(period=data["period"].astype("Int64"), incidence=data["incidence"] * 1.0)
    data.loc[6, "period"] = pd.NA
    data.loc[2, "incidence"] = np.nan
    return data


GENERALISED = {
    "fitted": lambda m: m.fitted(),
    "residuals": lambda m: m.residuals(),
    "quantile": lambda m: m.residuals("quantile", rng=1),
    "predict": lambda m: m.predict(se_fit=True),
    "population": lambda m: m.predict(re_form="population", se_fit=True),
    "weights": lambda m: m.weights(),
    "simulate": lambda m: m.simulate(2, rng=1),
    "predict_interval": lambda m: mx.predict_interval(m, n_sims=20, rng=1),
}


def test_rows_of_generalised_models(herds):
    kept, dropped = mx.glmer(PAIR, herds, missing="keep"), mx.glmer(PAIR, herds)
    for ask in GENERALISED.values():
        wide, narrow = ask(kept), ask(dropped)
        assert wide.index.equals(herds.index)
        np.testing.assert_array_equal(wide.drop(index=[2, 6]), narrow)
        assert wide.loc[[2, 6]].isna().to_numpy().all()
    assert 'missing="keep"' in kept.call()
    assert len(kept.update(". ~ . - C(period)").fitted()) == 56


def test_refits_of_generalised_models(herds):
    kept, dropped = mx.glmer(PAIR, herds, missing="keep"), mx.glmer(PAIR, herds)
    y, narrow = kept.simulate(rng=4), dropped.simulate(rng=4)
    expected = dropped.refit(narrow["sim_1"]).log_lik()
    for model in (kept, dropped):
        for given in (y, y["sim_1"], y["sim_1"].iloc[::-1], narrow, y["sim_1"].to_numpy()):
            assert model.refit(given).log_lik() == pytest.approx(expected, rel=LME4_PREDICT)
        successes = y["sim_1"].iloc[:, 0]
        assert model.refit(successes).log_lik() == pytest.approx(expected, rel=LME4_PREDICT)
        with pytest.raises(InvalidArgumentError, match=r"54 values, .*\(or 56, one per row"):
            model.refit(np.ones(11))
    assert np.flatnonzero(kept.refit(y).fitted().isna()).tolist() == [2, 6]


@pytest.mark.filterwarnings("ignore:singular fit")
@pytest.mark.parametrize("form", ["labels", "booleans", "numbers"])
def test_refits_of_single_trials(form, herds):
    sick = herds["incidence"] > 0
    made = {
        "labels": pd.Series(np.where(sick, "yes", "no"), dtype=object),
        "booleans": sick.astype("boolean"),
        "numbers": sick.astype("Int64"),
    }[form]
    made = made.where(herds["incidence"].notna())
    model = mx.glmer("z ~ size + (1 | herd)", herds.assign(z=made), missing="keep")
    y = model.simulate(rng=3)
    assert np.flatnonzero(y.isna().any(axis=1)).tolist() == [2]
    found = model.refit(y)
    again = model.refit(y["sim_1"].to_numpy())
    assert abs(found.log_lik() - again.log_lik()) < REPLICATE_P_VALUE
    assert np.flatnonzero(found.fitted().isna()).tolist() == [2]

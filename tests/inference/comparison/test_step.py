"""Backward elimination, against lmerTest's."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tolerances import STEP_TABLE

import merextras as mx
from merextras.exceptions import (
    ApproximationWarning,
    InvalidArgumentError,
    UnsupportedModelError,
)
from merextras.inference.comparison.reductions import reductions

FOLDER = Path(__file__).parents[2] / "reference" / "step"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())["models"]
HAM = "Liking ~ Product * Information * Gender + (1 | Consumer) + (1 | Consumer:Product)"
MODELS = {
    "sleep": ("Reaction ~ Days + (Days | Subject)", None, {}),
    "ham": (HAM, "ham", {}),
    "carrots": ("Preference ~ sens2 + Homesize + (1 + sens2 + sens1 | Consumer)", "carrots", {}),
    "tvbo": (
        "Coloursaturation ~ TVset * Picture + (1 | Assessor) + (1 | Assessor:TVset) + "
        "(1 | Assessor:Picture)",
        "tvbo",
        {},
    ),
    "pastes": ("strength ~ 1 + (1 | batch / cask)", None, {}),
    "kept": (HAM, "ham", {"keep": "Gender", "ddf": "kenward-roger"}),
}
NUMERIC = {"Liking", "Preference", "sens1", "sens2", "Coloursaturation"}


def model_of(name):
    formula, file, _ = MODELS[name]
    if file is None:
        data = mx.load_dataset({"sleep": "sleepstudy", "pastes": "pastes"}[name])
        return mx.lmer(formula, data)
    data = pd.read_csv(FOLDER / f"{file}.csv")
    data = data.assign(**{c: data[c].astype(str) for c in data.columns if c not in NUMERIC})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mx.exceptions.SingularFitWarning)
        return mx.lmer(formula, data)


def found_of(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ApproximationWarning)
        return mx.step(model_of(name), **MODELS[name][2])


@pytest.mark.parametrize("name", MODELS)
def test_against_lmertest(name):
    expected, found = EXPECTED[name], found_of(name)
    for table, columns in (
        ("random", ["eliminated", "npar", "log_lik", "aic", "statistic", "df", "p_value"]),
        ("fixed", ["eliminated", *mx.step.__globals__["drop1"](found.model, test="f").columns]),
    ):
        ours, theirs = getattr(found, table), expected[table]
        assert list(ours.columns) == columns
        assert len(ours) == len(theirs["rows"])
        if not len(ours):
            continue
        values = np.array(theirs["values"], dtype=float)
        taken = ours["eliminated"].to_numpy() > 0
        np.testing.assert_array_equal(ours["eliminated"], np.nan_to_num(values[:, 0]))
        # What is left is in our order of terms, not in the formula's.
        key = list(columns).index("statistic")
        left = ~taken
        order = np.argsort(np.nan_to_num(values[left, key]))
        mine = np.argsort(np.nan_to_num(ours["statistic"].to_numpy()[left]))
        for a, b in (
            (ours.to_numpy(float)[taken], values[taken]),
            (ours.to_numpy(float)[left][mine], values[left][order]),
        ):
            np.testing.assert_allclose(a[:, 1:], b[:, 1:], rtol=STEP_TABLE, atol=1e-6)
    assert found.model.log_lik() == pytest.approx(expected["log_lik"], rel=1e-7)
    assert found.model.n_parameters == expected["npar"]


def test_what_is_left_and_the_warning():
    with pytest.warns(ApproximationWarning, match="5 term.s. were taken out.*take no notice"):
        found = mx.step(model_of("ham"))
    kept = "Liking ~ Product + Information + (1 | Consumer) + (1 | Consumer:Product)"
    assert found.formula == kept
    assert found.model.formula() == kept
    assert found.n_eliminated == 5
    assert "p-values and intervals take no notice of the selection" in repr(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mx.step(model_of("sleep")).n_eliminated == 0


def test_the_last_random_term_stays():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"y": rng.normal(size=60), "g": np.repeat(np.arange(12), 5)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mx.exceptions.SingularFitWarning)
        found = mx.step(mx.lmer("y ~ 1 + (1 | g)", data))
    assert found.formula == "y ~ 1 + (1 | g)"
    assert "the last random term, stays" in found.note
    assert found.note in repr(found)


def test_levels_and_kinds():
    m = model_of("ham")
    none = mx.step(m, reduce_random=False, reduce_fixed=False)
    assert none.n_eliminated == 0
    assert none.formula == m.formula()
    with pytest.warns(ApproximationWarning):
        assert "(1 | Consumer)" not in mx.step(m, alpha_random=0.05, reduce_fixed=False).formula


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha_random": 2}, "alpha_random=2: a level"),
        ({"alpha_fixed": "x"}, "alpha_fixed='x': a level"),
        ({"keep": "Nobody"}, "keep='Nobody'"),
        ({"ddf": "best"}, "ddf"),
        ({"reduce_fixed": 3}, "reduce_fixed=3"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.step(model_of("sleep"), **options)


def _table():
    rng = np.random.default_rng(1)
    g, t = np.repeat(np.arange(40), 12), np.tile(np.arange(4), 120)
    x, z, own = rng.normal(size=480), rng.normal(size=480), rng.normal(size=(40, 3))
    y = 1.0 + x + own[g, 0] + 0.3 * own[g, 1] * x + rng.normal(size=480) * np.where(t > 1, 2.0, 1.0)
    return pd.DataFrame(
        {"y": y, "x": x, "z": z, "g": g, "f": np.array(list("abcd"))[t], "late": t > 1}
    )


@pytest.mark.parametrize(
    "formula",
    [
        "y ~ x + diag(1 + x + z | g)",
        "y ~ x + diag(1 + x | g, hom=True)",
        "y ~ x + cs(1 + x + z | g)",
        "y ~ x + cs(1 + x | g)",
        "y ~ x + ar1(0 + f | g, het=True) + (0 + x | g)",
        "y ~ x + cs(0 + f | g, hom=True) + diag(0 + x + z | g)",
    ],
)
def test_formulas_of_reductions_keep_the_structure(formula):
    """Each is the model that `ranova` has in its place."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m = mx.lmer(formula, _table())
        table = mx.ranova(m)
        found = list(reductions(m.design))
        assert [label for label, _ in found] == list(table.index[1:])
        for (_, smaller), (npar, log_lik) in zip(
            found, table[["npar", "log_lik"]].iloc[1:].to_numpy(), strict=True
        ):
            again = m.update(smaller)
            assert again.n_parameters == npar
            assert again.log_lik() == pytest.approx(log_lik, abs=1e-6)


def test_residual_variances_stay_through_the_steps():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m = mx.lmer("y ~ x + z + (1 + z | g)", _table(), residual_by="late")
        found = mx.step(m)
        again = mx.lmer("y ~ x + (1 | g)", _table(), residual_by="late")
    assert found.formula == "y ~ x + (1 | g)"
    assert len(found.model.sigma()) == 2
    assert found.model.log_lik() == pytest.approx(again.log_lik(), abs=1e-7)


def _counts():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"g": np.repeat(np.arange(20), 12), "h": np.tile(np.arange(12), 20)})
    data["x"], data["noise"] = rng.normal(size=(2, 240))
    eta = 0.5 + 0.5 * data["x"] + 0.7 * rng.normal(size=20)[data["g"]]
    return data.assign(y=rng.poisson(np.exp(eta)))


def test_a_generalised_model_loses_terms_by_likelihood_ratios():
    data = _counts()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        m = mx.glmer("y ~ x + noise + (1 | g) + (1 | h)", data, "poisson")
        found = mx.step(m)
    assert found.formula == "y ~ x + (1 | g)"
    assert found.random["eliminated"].tolist() == [0, 1, 0]
    assert found.ddf == "likelihood"
    assert "likelihood ratio tests" in repr(found)
    with_noise = mx.glmer("y ~ x + noise + (1 | g)", data, "poisson")
    tests = with_noise.drop1()
    removed = found.fixed.loc["noise"]
    np.testing.assert_allclose(removed["statistic"], tests.loc["noise", "statistic"], atol=1e-6)
    np.testing.assert_allclose(removed["p_value"], tests.loc["noise", "p_value"], atol=1e-6)
    assert found.model.log_lik() == pytest.approx(
        mx.glmer("y ~ x + (1 | g)", data, "poisson").log_lik(), abs=1e-7
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = mx.step(m, keep="noise", reduce_random=False)
    assert "noise" in kept.formula
    assert "(1 | h)" in kept.formula
    with pytest.raises(UnsupportedModelError, match="ddf='asymptotic'"):
        mx.step(m, ddf="kenward-roger")

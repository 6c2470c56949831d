"""F tests of two models, marginal tests, least-squares means: pbkrtest, nlme, lmerTest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from emmeans_models import data_of
from tolerances import DDF, MODCOMP, NLME, P_VALUE

import merextras as mx
from merextras import r
from merextras.exceptions import InvalidArgumentError, RefitWarning, UnsupportedModelError

EXPECTED = json.loads(
    (Path(__file__).resolve().parents[2] / "reference" / "hypotheses" / "expected.json").read_text()
)

PAIRS = {
    "interaction": ("thinned", "phase * grp + (1 | Subject)", "phase + grp + (1 | Subject)"),
    "slopes": ("thinned", "Days * grp + (Days || Subject)", "Days + (Days || Subject)"),
    "nested": ("pastes", "cask + (1 | batch / cask)", "1 + (1 | batch / cask)"),
    "one": (
        "students",
        "agree + open + Q('class') + (1 | school)",
        "open + Q('class') + (1 | school)",
    ),
    "coding": ("thinned", "poly(Days, 3) + (1 | Subject)", "Days + (1 | Subject)"),
}
RESPONSE = {"thinned": "Reaction", "pastes": "strength", "students": "extro"}


def fitted(data, right, **options):
    return mx.lmer(f"{RESPONSE[data]} ~ {right}", data_of(data), **options)


def pair_of(name):
    data, large, small = PAIRS[name]
    return fitted(data, large), fitted(data, small)


@pytest.mark.parametrize("name", list(PAIRS))
def test_kenward_roger_as_pbkrtest(name):
    large, small = pair_of(name)
    found, wanted = mx.kr_modcomp(large, small), EXPECTED["modcomp"][name]["kr"]
    assert found.statistic == pytest.approx(wanted["stat"][0], rel=MODCOMP)
    assert found.df == wanted["ndf"][0]
    assert found.ddf == pytest.approx(wanted["ddf"][0], rel=DDF)
    assert found.scale == pytest.approx(wanted["F.scaling"][0], rel=MODCOMP)
    assert found.p_value == pytest.approx(wanted["p.value"][0], rel=P_VALUE)
    if found.scale != 1.0:
        plain = found.to_frame().iloc[1]
        assert plain["statistic"] == pytest.approx(wanted["stat"][1], rel=MODCOMP)
        assert plain["p_value"] == pytest.approx(wanted["p.value"][1], rel=P_VALUE)


@pytest.mark.parametrize("name", list(PAIRS))
def test_satterthwaite_as_pbkrtest(name):
    large, small = pair_of(name)
    theirs = EXPECTED["modcomp"][name]["satterthwaite"]
    found = mx.sat_modcomp(large, small)
    assert found.statistic == pytest.approx(theirs["F value"][0], rel=MODCOMP)
    assert found.df == theirs["NumDF"][0]
    assert found.ddf == pytest.approx(theirs["DenDF"][0], rel=MODCOMP)
    assert found.p_value == pytest.approx(theirs["Pr(>F)"][0], rel=10 * P_VALUE)


def test_units_change_nothing_of_kenward_roger():
    data, large, small = PAIRS["slopes"]
    a = mx.kr_modcomp(*pair_of("slopes"))
    frame = data_of(data).assign(Days=lambda d: d["Days"] * 1000.0)
    b = mx.kr_modcomp(*(mx.lmer(f"Reaction ~ {right}", frame) for right in (large, small)))
    assert b.ddf == pytest.approx(a.ddf, rel=1e-6)
    assert b.statistic == pytest.approx(a.statistic, rel=1e-6)


def test_satterthwaite_is_that_of_the_coefficients():
    large, small = pair_of("slopes")
    names = [n for n in large.fixef().index if n not in small.fixef().index]
    wanted = mx.contest(large, pd.DataFrame(np.eye(4), columns=names)).iloc[0]
    found = mx.sat_modcomp(large, small)
    assert found.ddf == pytest.approx(wanted["den_df"], rel=1e-8)


def test_it_is_the_restriction():
    large, small = pair_of("interaction")
    found = mx.kr_modcomp(large, small)
    beta = large.fixef().to_numpy()
    inside = np.linalg.lstsq(large.design.x, small.design.x @ small.fixef().to_numpy(), rcond=None)[
        0
    ]
    assert np.max(np.abs(found.restriction @ inside)) < 1e-8
    assert np.max(np.abs(found.restriction @ beta)) > 1.0
    same = mx.contest(large, found.restriction, ddf="kenward-roger").iloc[0]
    assert (same["statistic"], same["den_df"]) == (found.statistic, found.ddf)
    text = (
        "phase[T.b]:grp[T.y] = phase[T.b]:grp[T.z] = phase[T.c]:grp[T.y] = phase[T.c]:grp[T.z] = 0"
    )
    assert mx.kr_modcomp(large, text).statistic == pytest.approx(found.statistic, rel=1e-8)


def test_one_table():
    large, small = pair_of("interaction")
    tests = [mx.kr_modcomp(large, small), mx.sat_modcomp(large, small)]
    tests.append(mx.pb_modcomp(large, small, n_sims=50, rng=1))
    table = pd.concat([t.to_frame() for t in tests], ignore_index=True)
    assert list(table.columns) == ["test", "statistic", "df", "ddf", "p_value"]
    assert len(table) == 2 + 1 + 5
    assert "small: Reaction ~ phase + grp + (1 | Subject)" in repr(tests[0])
    assert r.KRmodcomp(largeModel=large, smallModel=small).statistic == tests[0].statistic
    assert r.SATmodcomp(large, small).ddf == tests[1].ddf


def test_ml_fits():
    data, right, less = PAIRS["interaction"]
    large, small = fitted(data, right, reml=False), fitted(data, less, reml=False)
    with pytest.warns(RefitWarning, match="refitted by REML"):
        found = mx.kr_modcomp(large, small)
    assert found.statistic == pytest.approx(
        mx.kr_modcomp(*pair_of("interaction")).statistic, rel=1e-6
    )
    assert mx.sat_modcomp(large, small).ddf > found.ddf


def test_without_rows():
    data, right, less = PAIRS["interaction"]
    frame = data_of(data)
    parts = [frame.iloc[:60], frame.iloc[60:]]
    large, small = (mx.lmer(f"Reaction ~ {x}", lambda: iter(parts)) for x in (right, less))
    wanted = mx.kr_modcomp(*pair_of("interaction"))
    found = mx.kr_modcomp(large, small)
    assert found.statistic == pytest.approx(wanted.statistic, rel=1e-6)
    assert found.ddf == pytest.approx(wanted.ddf, rel=1e-6)


def test_refused():
    large, small = pair_of("interaction")
    with pytest.raises(InvalidArgumentError, match="kr_modcomp: .* is not nested in"):
        mx.kr_modcomp(small, large)
    with pytest.raises(InvalidArgumentError, match="sat_modcomp: .* have the same fixed effects"):
        mx.sat_modcomp(large, large)
    slopes = fitted("thinned", "phase + grp + (Days | Subject)")
    with pytest.raises(InvalidArgumentError, match="kr_modcomp: the random effects of"):
        mx.kr_modcomp(large, slopes)
    ols = smf.ols("Reaction ~ phase", data_of("thinned")).fit()
    with pytest.raises(InvalidArgumentError, match="a test of fixed effects has the same in both"):
        mx.kr_modcomp(large, ols)
    with pytest.raises(UnsupportedModelError, match="OLS"):
        mx.kr_modcomp(ols, small)
    with pytest.raises(InvalidArgumentError, match="small: expected a model, text, or contrasts"):
        mx.kr_modcomp(large, None)
    other = mx.lmer("Reaction ~ phase + (1 | Subject)", data_of("thinned").iloc[1:])
    with pytest.raises(InvalidArgumentError, match="kr_modcomp: the models are of different data"):
        mx.kr_modcomp(large, other)


MARGINAL = {
    "interaction": "phase * grp + (1 | Subject)",
    "slopes": "Days * grp + (Days || Subject)",
    "two": "phase * grp + two + (1 | Subject)",
}


@pytest.mark.parametrize("name", list(MARGINAL))
def test_marginal_anova(name):
    m, wanted = fitted("thinned", MARGINAL[name]), EXPECTED["marginal"][name]
    found = m.anova(type="marginal", ddf="asymptotic")
    assert found.index.tolist() == wanted["term"]
    assert found["num_df"].tolist() == wanted["df1"]
    np.testing.assert_allclose(found["statistic"], wanted["F"], rtol=MODCOMP)
    if name in EXPECTED["nlme"]:
        np.testing.assert_allclose(found["statistic"], EXPECTED["nlme"][name]["F"], rtol=NLME)
    plain = m.anova(type="marginal")
    assert list(plain.columns) == ["sum_sq", "mean_sq", "num_df", "statistic"]
    np.testing.assert_allclose(plain["statistic"], found["statistic"])
    one = m.anova(type="marginal", ddf="satterthwaite").loc["phase" if name != "slopes" else "Days"]
    names = [n for n in m.fixef().index if n.startswith(("phase", "Days")) and ":" not in n]
    joint = mx.contest(m, pd.DataFrame(np.eye(len(names)), columns=names)).iloc[0]
    np.testing.assert_allclose(one, joint, rtol=1e-10)


def test_other_types_are_refused():
    with pytest.raises(InvalidArgumentError, match="type='partial': allowed: 1, 2, 3, 'marginal'"):
        fitted("thinned", MARGINAL["two"]).anova(type="partial", ddf="satterthwaite")


LS_MEANS = {
    "interaction": ("thinned", "phase * grp + two + (1 | Subject)"),
    "covariates": ("students", "agree + open * Q('class') + (1 | school)"),
    "nested": ("pastes", "cask + (1 | batch / cask)"),
}
COLUMNS = {
    "estimate": ("Estimate", 1e-6),
    "std_error": ("Std. Error", 1e-6),
    "df": ("df", DDF),
    "statistic": ("t value", 1e-5),
    "p_value": ("Pr(>|t|)", P_VALUE),
    "conf_low": ("lower", DDF),
    "conf_high": ("upper", DDF),
}


@pytest.mark.parametrize("key", ["means", "differences", "kenward_roger"])
@pytest.mark.parametrize("name", list(LS_MEANS))
def test_ls_means_as_lmertest(name, key):
    m = fitted(*LS_MEANS[name])
    ddf = "kenward-roger" if key == "kenward_roger" else "satterthwaite"
    found = mx.ls_means(m, ddf=ddf, differences=key == "differences")
    wanted = pd.DataFrame(EXPECTED["ls_means"][name][key])
    rows = []
    for term, level in zip(found["term"], found["level"], strict=True):
        sides = [
            ":".join(a + b for a, b in zip(term.split(":"), side.split(":"), strict=True))
            for side in level.split(" - ")
        ]
        rows.append(sides)
    known = {row: i for i, row in enumerate(wanted["row"])}
    at = [known.get(" - ".join(s), known.get(" - ".join(s[::-1]))) for s in rows]
    turned = np.array([" - ".join(s) not in known for s in rows])
    wanted = wanted.iloc[at].reset_index(drop=True)
    wanted.loc[turned, ["Estimate", "t value"]] *= -1.0
    low, high = wanted["lower"].copy(), wanted["upper"].copy()
    wanted["lower"], wanted["upper"] = low.where(~turned, -high), high.where(~turned, -low)
    assert len(found) == len(known)
    for column, (theirs, tolerance) in COLUMNS.items():
        scale = found["std_error"] if column.startswith("conf") else 0.0
        off = np.abs(found[column] - wanted[theirs])
        assert np.all(off <= tolerance * np.maximum(np.abs(wanted[theirs]), scale)), column


def test_terms_of_ls_means():
    m = fitted(*LS_MEANS["interaction"])
    whole = mx.ls_means(m)
    assert whole["term"].unique().tolist() == ["phase", "grp", "phase:grp"]
    some = mx.ls_means(m, ["grp:phase", "phase"])
    assert some["term"].unique().tolist() == ["phase:grp", "phase"]
    assert r.ls_means(m, pairwise=True).equals(mx.ls_means(m, differences=True))
    with pytest.raises(InvalidArgumentError, match="which='two': allowed: 'phase', 'grp'"):
        mx.ls_means(m, "two")
    none = mx.ls_means(mx.lmer("Reaction ~ Days + (1 | Subject)", data_of("thinned")))
    assert none.shape == (0, 9)

"""Further sets of contrasts, kinds of tests and trends against emmeans, on ten models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from emmeans_models import EXPECTED, FORMULAS, fit, frame_of
from scipy import stats
from tolerances import DDF, EMMEANS, EMMEANS_ADJUSTED, EMMEANS_TAIL

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.results.means.contrast_sets import METHODS, contrast_set

#: By model and entry of the reference: how the means are asked for, and what does not matter.
MEANS = {
    ("intercept", "phase"): ({"specs": "phase"}, 10.0),
    ("intercept", "by"): ({"specs": "phase", "by": "grp"}, 10.0),
    ("slopes", "grp"): ({"specs": "grp"}, 10.0),
    ("slopes", "trends"): ({"specs": "grp", "var": "Days"}, 2.0),
    ("curved", "grp"): ({"specs": "grp"}, 10.0),
    ("offset", "grp"): ({"specs": "grp"}, 10.0),
    ("logged", "grp"): ({"specs": "grp"}, 10.0),
    ("nested", "cask"): ({"specs": "cask"}, 1.0),
    ("crossed", "half"): ({"specs": "half"}, 1.0),
    ("singular", "kind"): ({"specs": "kind"}, 1.0),
    ("covariates", "class"): ({"specs": "class"}, 0.5),
    ("covariates", "trends"): ({"specs": "class", "var": "open"}, 0.02),
    ("missing_cell", "by"): ({"specs": "phase", "by": "grp"}, 10.0),
}
SETS = {
    "poly": {},
    "revpairwise": {},
    "trt.vs.ctrlk": {"adjust": "none"},
    "consec": {"adjust": "none"},
    "eff": {},
    "del.eff": {},
    "mean_chg": {"adjust": "none"},
}
KEYS = pytest.mark.parametrize("key", list(MEANS), ids="-".join)


def means_of(key):
    options, _ = MEANS[key]
    verb = mx.emtrends if "var" in options else mx.emmeans
    return verb(fit(key[0]), **options)


def assert_as_emmeans(found, wanted, labels=("contrast",)):
    """The same rows, whatever their order, with the same numbers."""
    labels = [name for name in labels if name in found.columns]
    index = found[labels].astype(str).apply("/".join, axis=1)
    wanted = wanted.set_axis(wanted[labels].astype(str).apply("/".join, axis=1)).loc[index]
    for column, tolerance in {"estimate": EMMEANS, "std_error": EMMEANS, "df": DDF}.items():
        np.testing.assert_allclose(
            found[column], wanted[column], rtol=tolerance, atol=1e-9, err_msg=column
        )
    np.testing.assert_allclose(found["statistic"], wanted["statistic"], rtol=EMMEANS, atol=1e-7)
    np.testing.assert_allclose(
        found["p_value"], wanted["p_value"], rtol=EMMEANS_ADJUSTED, atol=EMMEANS_TAIL
    )


@KEYS
@pytest.mark.parametrize("name", list(SETS))
def test_sets_as_emmeans(key, name):
    found = means_of(key).contrasts(name, **SETS[name]).to_frame()
    wanted = frame_of(EXPECTED["extra"], *key, name)
    if key[0] == "missing_cell" and name == "revpairwise":
        # emmeans rounds degrees of freedom for Tukey's there, see test_emmeans.
        p, theirs = found["p_value"].to_numpy(), wanted["p_value"].to_numpy()
        np.testing.assert_allclose(p, theirs, rtol=0.01, atol=EMMEANS_TAIL)
        wanted["p_value"] = found["p_value"]
    assert_as_emmeans(found, wanted, ("contrast", "grp"))


@KEYS
def test_scheffe_as_emmeans(key):
    found = means_of(key).contrasts(adjust="scheffe").to_frame()
    wanted = frame_of(EXPECTED["extra"], *key, "scheffe")
    if key[0] == "missing_cell":
        # Of the last family one contrast is estimable; emmeans takes the rank of all three.
        single = means_of(key).contrasts(adjust="none").to_frame()
        assert found["p_value"][6] == pytest.approx(single["p_value"][6], rel=1e-12)
        found, wanted = found.head(6), wanted.head(6)
    assert_as_emmeans(found, wanted, ("contrast", "grp"))
    np.testing.assert_allclose(found["conf_low"], wanted["conf_low"], rtol=1e-5)


@KEYS
@pytest.mark.parametrize("side", ["equivalence", "noninferiority", "nonsuperiority"])
def test_thresholds_as_emmeans(key, side):
    delta = MEANS[key][1]
    means = means_of(key)
    found = means.contrasts("revpairwise", side=side, delta=delta).to_frame()
    wanted = frame_of(EXPECTED["extra"], *key, side)
    assert_as_emmeans(found, wanted, ("contrast", "grp"))
    if side != "equivalence":
        known = found["estimate"].notna()
        one = "conf_high" if side == "noninferiority" else "conf_low"
        assert np.all(np.isinf(found[one][known]))


@KEYS
def test_means_above_a_value_as_emmeans(key):
    delta = MEANS[key][1]
    found = means_of(key).test(delta, side="greater", adjust="holm").to_frame()
    wanted = frame_of(EXPECTED["extra"], *key, "above")
    assert_as_emmeans(found, wanted, ("phase", "grp", "cask", "half", "kind", "class"))


def test_all_models_are_used():
    assert {key[0] for key in MEANS} == set(FORMULAS) == set(EXPECTED["extra"])


@pytest.mark.parametrize(
    ("key", "specs", "by", "interaction"),
    [
        ("consec", ["phase", "grp"], None, "consec"),
        ("mixed", ["phase", "grp"], None, ["poly", "revpairwise"]),
        ("one", "phase", "grp", "eff"),
    ],
)
def test_interaction_contrasts_as_emmeans(key, specs, by, interaction):
    found = mx.emmeans(fit("intercept"), specs, by).contrasts(interaction=interaction).to_frame()
    wanted = frame_of(EXPECTED["extra"]["intercept"]["interactions"], key)
    labels = [c for c in found.columns if c.startswith(("phase", "grp"))]
    assert set(labels) <= set(wanted.columns)
    assert_as_emmeans(found, wanted, labels)


def test_interaction_of_everything_by_the_method():
    means = mx.emmeans(fit("intercept"), ["phase", "grp"])
    a = means.contrasts("consec", interaction=True).to_frame()
    pd.testing.assert_frame_equal(a, means.contrasts(interaction="consec").to_frame())


@pytest.mark.parametrize("how", ["holm", "bonferroni", "sidak", "fdr"])
def test_adjusted_across_families_as_emmeans(how):
    means = mx.emmeans(fit("intercept"), "phase", "grp")
    found = means.contrasts("revpairwise", adjust="none", cross_adjust=how)
    wanted = frame_of(EXPECTED["extra"]["intercept"]["interactions"], "cross", how)
    assert_as_emmeans(found.to_frame(), wanted, ("contrast", "grp"))
    assert f"adjusted across 3 families, too: {how}" in repr(found)


def test_trends_of_a_function_as_emmeans():
    found = mx.emtrends(fit("logged"), "grp", "np.log(Days + 1)").to_frame()
    wanted = frame_of(EXPECTED["extra"]["logged"], "function_of")
    for column, tolerance in {"estimate": EMMEANS, "std_error": EMMEANS, "df": DDF}.items():
        np.testing.assert_allclose(found[column], wanted[column], rtol=tolerance)


def test_trends_of_second_degree():
    """emmeans' linear trend is a backward difference, which is off by a step of the quadratic."""
    found = mx.emtrends(fit("curved"), "grp", "Days", max_degree=2).to_frame()
    wanted = frame_of(EXPECTED["extra"]["curved"], "degrees")
    assert found["degree"].tolist() == ["linear"] * 3 + ["quadratic"] * 3 == list(wanted["degree"])
    theirs, ours = wanted["estimate"].to_numpy(), found["estimate"].to_numpy()
    np.testing.assert_allclose(ours[3:], theirs[3:], rtol=EMMEANS)
    np.testing.assert_allclose(ours[:3] - 0.009 * ours[3:], theirs[:3], rtol=EMMEANS)
    np.testing.assert_allclose(found["std_error"][3:], wanted["std_error"][3:], rtol=EMMEANS)


def test_second_degree_of_a_function():
    """y = a + b f + c f**2 has the coefficients b + 2 c f and c."""
    frame = mx.load_dataset("sleepstudy").assign(z=lambda d: np.log(d["Days"] + 1.0))
    m = mx.lmer("Reaction ~ np.log(Days + 1) + I(np.log(Days + 1)**2) + (1 | Subject)", frame)
    found = mx.emtrends(m, (), "np.log(Days + 1)", max_degree=2, at={"Days": 3}).to_frame()
    b, c = m.fixef().to_numpy()[1:]
    np.testing.assert_allclose(found["estimate"], [b + 2 * c * np.log(4.0), c], rtol=1e-6)


def test_sets_by_hand():
    labels = list("abcd")
    kind, names, weights = contrast_set("helmert", labels)
    assert (kind, names[0]) == ("helmert", "b vs. earlier")
    np.testing.assert_allclose(weights[2], [-1 / 3, -1 / 3, -1 / 3, 1.0])
    for method in METHODS:
        _, names, weights = contrast_set(method, labels)
        assert len(names) == len(weights)
        total = 1.0 if method == "identity" else 0.0
        np.testing.assert_allclose(weights.sum(axis=1), total, atol=1e-15)
    for k in range(2, 12):
        _, _, poly = contrast_set("poly", [str(i) for i in range(k)])
        gram = poly @ poly.T
        assert np.all(gram - np.diag(np.diag(gram)) == 0.0)
        powers = np.vander(np.arange(k), increasing=True)[:, : len(poly)]
        assert np.all(np.triu(powers.T @ poly.T, 1) == 0.0) or k < 2
    np.testing.assert_array_equal(contrast_set("poly", list("abcde"))[2][3], [1, -4, 6, -4, 1])


def test_equivalence_is_two_one_sided_tests():
    means = mx.emmeans(fit("intercept"), "phase")
    found = means.contrasts("pairwise", adjust="none", delta=30.0).to_frame()
    below = means.contrasts("pairwise", adjust="none", null=30.0, side="less").to_frame()
    above = means.contrasts("pairwise", adjust="none", null=-30.0, side="greater").to_frame()
    larger = np.maximum(below["p_value"], above["p_value"])
    np.testing.assert_allclose(found["p_value"], larger, rtol=1e-12)


def test_dunnett_by_default_has_no_one_sided_form():
    means = mx.emmeans(fit("intercept"), "phase")
    found = means.contrasts("control", side="greater")
    assert found.adjust == "sidak"
    single = means.contrasts("control", side="greater", adjust="none").to_frame()["p_value"]
    np.testing.assert_allclose(found.to_frame()["p_value"], single * (2.0 - single), rtol=1e-12)


def letters_tell(frame, pairs, alpha=0.05):
    """Two means share a letter just if they are not told apart."""
    letters = frame.set_index(frame.columns[0])["letters"]
    for name, p in zip(pairs["contrast"], pairs["p_value"], strict=True):
        a, b = name.split(" - ")
        assert bool(set(letters[a]) & set(letters[b])) == (not p < alpha)


@KEYS
@pytest.mark.parametrize("alpha", [0.05, 0.5, 0.97])
def test_letters(key, alpha):
    means = means_of(key)
    frame, pairs = means.cld(alpha=alpha), means.contrasts().to_frame()
    if not means.by:
        letters_tell(frame, pairs, alpha)
        assert np.all(np.diff(frame["estimate"]) >= 0.0)
        return
    for level in pairs[means.by[0]].unique():
        part = frame[frame[means.by[0]] == level]
        of = pairs[(pairs[means.by[0]] == level) & pairs["p_value"].notna()]
        assert np.all((part["letters"] == "") == part["estimate"].isna())
        letters_tell(part, of, alpha)


def test_letters_of_many_means_are_cliques():
    """A random pattern: every set is one that can't be enlarged, and all pairs are right."""
    from merextras.results.means.letters import letters_of

    rng = np.random.default_rng(5)
    for k in (2, 5, 9):
        upper = np.triu(rng.uniform(size=(k, k)) < 0.4, 1)
        apart = upper | upper.T
        found = letters_of(apart, list(range(k)))
        for i in range(k):
            for j in range(i):
                assert bool(set(found[i]) & set(found[j])) == (not apart[i, j])
        for letter in set("".join(found)):
            members = [i for i in range(k) if letter in found[i]]
            others = [i for i in range(k) if i not in members]
            assert all(any(apart[i, j] for j in members) for i in others)


def test_letters_of_equivalence():
    means = mx.emmeans(fit("intercept"), "phase")
    none, all_of_them = means.cld(delta=1e-9), means.cld(delta=1e9)
    assert none["letters"].tolist() == ["a", "b", "c"]
    assert all_of_them["letters"].tolist() == ["a", "a", "a"]
    assert "are equivalent" in none.attrs["notes"][-1]


def test_points_of_a_plot():
    means = mx.emmeans(fit("intercept"), ["phase", "grp"])
    found = means.as_frame()
    assert list(found.columns[:4]) == ["x", "trace", "panel", "estimate"]
    assert found["x"].tolist() == means.labels["phase"].tolist()
    assert (found["panel"] == "").all()
    turned = means.as_frame(x="grp")
    assert turned["trace"].tolist() == means.labels["phase"].tolist()
    three = mx.emmeans(fit("curved"), ["grp", "two", "Days"], at={"Days": [1, 2]}).as_frame(
        x="Days"
    )
    assert three["panel"].tolist() == [0.0, 0.0, 1.0, 1.0] * 3
    with pytest.raises(InvalidArgumentError, match="x='no': each factor once; allowed: 'phase'"):
        means.as_frame(x="no")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"side": "up"}, "side='up': allowed: 'two-sided'"),
        ({"side": "equivalence"}, "side='equivalence': needs a threshold"),
        ({"delta": -1}, "delta=-1: a threshold is not below zero"),
        ({"delta": "x"}, "delta='x': expected a finite number"),
        ({"null": np.nan}, "null=nan: expected a finite number"),
        ({"delta": 1, "adjust": "tukey"}, "adjust='tukey': is for two-sided tests"),
        ({"cross_adjust": "tukey"}, "cross_adjust='tukey': allowed: 'sidak'"),
        ({"interaction": ["poly", "eff", "eff"]}, r"expected one method for each of \['phase'\]"),
    ],
)
def test_refused(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.emmeans(fit("intercept"), "phase").contrasts(**options)


def test_refused_trends():
    m = fit("logged")
    with pytest.raises(InvalidArgumentError, match="max_degree=6: expected 1 to 5"):
        mx.emtrends(m, "grp", "Days", max_degree=6)
    with pytest.raises(InvalidArgumentError, match="max_degree=3: of a function of a variable 2"):
        mx.emtrends(m, "grp", "np.log(Days + 1)", max_degree=3)
    with pytest.raises(InvalidArgumentError, match="var: 'np.log.no.' is no variable"):
        mx.emtrends(m, "grp", "np.log(no)")
    with pytest.raises(InvalidArgumentError, match="a function of one variable, not of"):
        mx.emtrends(fit("curved"), "grp", "Days * two")
    with pytest.raises(InvalidArgumentError, match="its slope in 'Days' is zero or not finite"):
        mx.emtrends(m, "grp", "0 * Days")


def test_one_sided_intervals():
    found = mx.emmeans(fit("singular"), "kind").test(1.0, side="less").to_frame()
    assert np.all(np.isneginf(found["conf_low"]))
    half = stats.t.isf(0.05, found["df"]) * found["std_error"]
    np.testing.assert_allclose(found["conf_high"], found["estimate"] + half, rtol=1e-12)

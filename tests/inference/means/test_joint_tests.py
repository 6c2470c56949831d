"""Joint tests of marginal means against emmeans and lmerTest."""

from __future__ import annotations

import numpy as np
import pytest
from emmeans_models import EXPECTED, data_of, fit
from tolerances import DDF, EMMEANS, P_VALUE

import merextras as mx
from merextras.exceptions import ApproximationWarning, InvalidArgumentError

#: emmeans' table has F to three decimals and degrees of freedom to two; p-values are not rounded.
ROUNDED_F, ROUNDED_DF = 5.1e-4, 5.1e-3
TESTED = ["intercept", "slopes", "nested", "crossed", "singular", "covariates"]


def numbers(values):
    return np.array([np.nan if v is None else float(v) for v in values])


@pytest.mark.parametrize("name", [*TESTED, "missing_cell"])
def test_hypotheses_are_those_of_emmeans(name):
    """With the variances taken for known nothing but the hypothesis is left."""
    wanted = EXPECTED["models"][name]["joint"]["asymptotic"]["emmeans"]
    found = mx.joint_tests(fit(name), ddf="asymptotic").set_index("term")
    rows = [i for i, term in enumerate(wanted["term"]) if "confounded" not in term]
    assert sorted(found.index) == sorted(wanted["term"][i] for i in rows)
    for i in rows:
        row = found.loc[wanted["term"][i]]
        assert row["num_df"] == wanted["df1"][i]
        assert row["statistic"] == pytest.approx(wanted["F"][i], abs=ROUNDED_F)
        assert row["p_value"] == pytest.approx(wanted["p"][i], rel=P_VALUE)


@pytest.mark.parametrize("ddf", ["kenward-roger", "satterthwaite"])
@pytest.mark.parametrize("name", TESTED)
def test_tests_are_those_of_lmertest(name, ddf):
    found = mx.joint_tests(fit(name), ddf=ddf).set_index("term")
    for term, wanted in EXPECTED["models"][name]["joint"][ddf]["contest"].items():
        row = found.loc[term]
        assert row["num_df"] == wanted["NumDF"]
        assert row["den_df"] == pytest.approx(wanted["DenDF"], rel=10 * DDF)
        assert row["statistic"] == pytest.approx(wanted["F value"], rel=10 * EMMEANS)
        assert row["p_value"] == pytest.approx(wanted["Pr(>F)"], rel=P_VALUE)


def test_emmeans_has_other_degrees_of_freedom_for_several_contrasts():
    """And no scale factor: with one contrast it has the same, with several it has not."""
    wanted = EXPECTED["models"]["intercept"]["joint"]["kenward-roger"]["emmeans"]
    found = mx.joint_tests(fit("intercept")).set_index("term")
    theirs = dict(zip(wanted["term"], numbers(wanted["df2"]), strict=True))
    assert abs(found.loc["phase", "den_df"] - theirs["phase"]) > 0.1
    wanted = EXPECTED["models"]["slopes"]["joint"]["kenward-roger"]["emmeans"]
    row = mx.joint_tests(fit("slopes")).set_index("term").loc["Days"]
    i = wanted["term"].index("Days")
    assert row["den_df"] == pytest.approx(wanted["df2"][i], abs=ROUNDED_DF)
    assert row["p_value"] == pytest.approx(wanted["p"][i], rel=P_VALUE)
    assert row["statistic"] == pytest.approx(wanted["F"][i], abs=ROUNDED_F)


def test_by():
    wanted = EXPECTED["models"]["intercept"]["joint_by"]
    found = mx.joint_tests(fit("intercept"), by="grp", ddf="asymptotic")
    assert list(found.columns) == [
        "term", "grp", "num_df", "den_df", "statistic", "p_value", "note",
    ]  # fmt: skip
    assert found["grp"].tolist() == wanted["grp"]
    np.testing.assert_allclose(found["statistic"], wanted["F"], rtol=0, atol=ROUNDED_F)
    np.testing.assert_allclose(found["p_value"], wanted["p"], rtol=P_VALUE)


def test_coding_and_origin_do_not_matter():
    frame = data_of("thinned")
    plain = mx.joint_tests(fit("slopes"), ddf="asymptotic")
    coded = mx.lmer(
        "Reaction ~ D * C(grp, Sum) + (Days || Subject)", frame.assign(D=frame["Days"] - 100)
    )
    moved = mx.joint_tests(coded, ddf="asymptotic")
    np.testing.assert_allclose(np.sort(moved["statistic"]), np.sort(plain["statistic"]), rtol=1e-5)
    cells = mx.joint_tests(
        mx.lmer("Reaction ~ 0 + phase:grp + (1 | Subject)", frame), ddf="asymptotic"
    )
    wanted = mx.joint_tests(fit("intercept"), ddf="asymptotic")
    assert cells["term"].tolist() == wanted["term"].tolist() == ["phase", "grp", "phase:grp"]
    np.testing.assert_allclose(cells["statistic"], wanted["statistic"], rtol=1e-5)


def test_type_3_where_they_are_the_same():
    m = fit("intercept")
    found = mx.joint_tests(m, ddf="satterthwaite").set_index("term")
    wanted = m.anova(ddf="satterthwaite")
    np.testing.assert_allclose(found.loc[wanted.index, "statistic"], wanted["statistic"], rtol=1e-8)


def test_interaction_of_covariates():
    """Its derivative is by both: in a model of products it is the coefficient of the product."""
    students = mx.load_dataset("students").iloc[::4]
    m = mx.lmer("extro ~ open * agree * social + (1 | school)", students)
    found = mx.joint_tests(m).set_index("term")
    mean = students["social"].mean()
    for term, weights in {
        "open:agree:social": {"open:agree:social": 1.0},
        "open:agree": {"open:agree": 1.0, "open:agree:social": mean},
    }.items():
        wanted = mx.contest(m, weights, ddf="kenward-roger").iloc[0]
        assert found.loc[term, "den_df"] == pytest.approx(wanted["df"], rel=1e-6)
        assert found.loc[term, "p_value"] == pytest.approx(wanted["p_value"], rel=1e-6)
    assert found.loc["open:agree", "p_value"] != pytest.approx(found.loc["agree", "p_value"])


def test_what_is_left_out_is_said():
    found = mx.joint_tests(fit("missing_cell"))
    assert found["num_df"].tolist() == [1, 1, 3]
    assert found["note"].iloc[0] == "1 of 2 contrasts are not estimable"
    (note,) = found.attrs["notes"]
    assert note.startswith("2 of the 7 degrees of freedom")
    assert mx.joint_tests(fit("intercept")).attrs["notes"] == ()
    (note,) = mx.joint_tests(fit("curved"), ddf="asymptotic").attrs["notes"]
    assert note.startswith("3 of the 9 degrees")
    frame = data_of("thinned")
    with pytest.warns(ApproximationWarning, match="very different scales"):
        far = mx.lmer(
            "Reaction ~ D * grp + (1 | Subject)", frame.assign(D=86400 * frame["Days"] + 1.7e9)
        )
    assert mx.joint_tests(far, ddf="asymptotic").attrs["notes"] == ()
    held = mx.joint_tests(fit("intercept"), at={"phase": "a"}, ddf="asymptotic")
    assert held["term"].tolist() == ["grp"]


def test_constant_and_refused():
    m = mx.lmer("Reaction ~ 1 + (1 | Subject)", data_of("thinned"))
    assert mx.joint_tests(m).empty
    with pytest.raises(
        InvalidArgumentError, match="by: 'Subject' is no variable of the fixed part"
    ):
        mx.joint_tests(fit("intercept"), by="Subject")

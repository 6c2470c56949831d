"""The estimates against lme4's, and the frames that hold them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from lme4_fits import REAL, adapted, expected, model_of, ours, statsmodels_fit
from properties.compare import close
from tolerances import ADAPTER_ESTIMATE

from merextras.exceptions import InvalidArgumentError


def as_written_with_two_bars(terms, m):
    """Independent effects of one factor, which statsmodels' ``free=`` makes, as lme4's ``||``."""
    each = zip(terms, m.design.terms, strict=True)
    return [
        part
        for (factor, names), term in each
        for part in (
            [(factor, (n,)) for n in names] if term.tag.name == "diag" else [(factor, names)]
        )
    ]


def test_theta_and_dimensions(case):
    m, lme4 = case
    close(m.theta, lme4["theta"]["values"], ADAPTER_ESTIMATE)
    assert (m.nobs(), len(m.fixef()), m.get_me("q")) == (lme4["n"], lme4["p"], lme4["q"])
    assert m.n_parameters == lme4["npar"]
    assert m.ngrps().to_dict() == lme4["ngrps"]
    names = [(term["factor"], tuple(ours(term["columns"]))) for term in lme4["terms"]]
    assert as_written_with_two_bars(m.get_me("cnms"), m) == names


def test_fixed_effects(case):
    m, lme4 = case
    assert list(m.fixef().index) == ours(lme4["beta"]["names"])
    close(m.fixef(), lme4["beta"]["values"], ADAPTER_ESTIMATE)
    close(m.vcov(), lme4["vcov"], ADAPTER_ESTIMATE)
    assert list(m.vcov().index) == list(m.vcov().columns) == list(m.fixef().index)
    close(m.sigma(), lme4["sigma"], ADAPTER_ESTIMATE)


def test_var_corr(case):
    m, lme4 = case
    frame, rows = m.var_corr().to_frame(), lme4["var_corr"]
    groups = [row["grp"] for row in rows]
    if any(term.tag.name == "diag" for term in m.design.terms):  # one term, two of lme4's ``||``
        groups = [group.removesuffix(".1") for group in groups]
    assert frame["grp"].tolist() == groups
    for column in ("var1", "var2"):
        theirs = [row[column] and ours([row[column]])[0] for row in rows]
        assert [None if pd.isna(v) else v for v in frame[column]] == theirs
    close(frame["vcov"], [row["vcov"] for row in rows], ADAPTER_ESTIMATE)
    close(frame["sdcor"], [row["sdcor"] for row in rows], ADAPTER_ESTIMATE)


def test_ranef(case):
    m, lme4 = case
    re = m.ranef()
    assert list(re) == list(lme4["ranef"])
    for factor, theirs in lme4["ranef"].items():
        assert list(map(str, re[factor].index)) == theirs["levels"]
        assert re[factor].index.name == factor
        assert list(re[factor].columns) == ours(theirs["columns"])
        close(re[factor], theirs["values"], ADAPTER_ESTIMATE)


def test_conditional_variances(case):
    m, lme4 = case
    re = m.ranef()
    for factor, theirs in lme4["ranef"].items():
        start = 0
        for block in theirs["cond_var"]:  # one for each term on the factor
            end = start + len(block["columns"])
            close(re.post_var[factor][:, start:end, start:end], block["array"], ADAPTER_ESTIMATE)
            start = end
        assert start == len(theirs["columns"])


def test_the_whole_fit_of_the_published_data():
    if not REAL.exists():
        pytest.skip("the tutorial's own data are not here")
    for topic in ("intercept", "nested"):
        real, twin = model_of(topic, "students", real=True), model_of(topic, "students")
        theirs = expected(topic)["students"]["REML"]
        close(real.theta, theirs["theta"]["values"], ADAPTER_ESTIMATE)
        close(real.fitted().head(10), theirs["fitted_head"], ADAPTER_ESTIMATE)
        close(twin.fixef(), real.fixef(), ADAPTER_ESTIMATE)
        close(twin.ranef()["school"], real.ranef()["school"], ADAPTER_ESTIMATE)


def test_ranef_frame(accessors):
    m, lme4 = accessors
    frame = m.ranef().to_frame()
    assert list(frame.columns) == ["group", "level", "term", "estimate", "std_error"]
    assert len(frame) == lme4["ranef_frame"]["n_rows"]
    rows = lme4["ranef_frame"]["rows"]
    head = frame.head(len(rows))
    assert head["group"].tolist() == [row["grpvar"] for row in rows]
    assert head["term"].tolist() == ours([row["term"] for row in rows])
    assert head["level"].astype(str).tolist() == [row["grp"] for row in rows]
    close(head["estimate"], [row["condval"] for row in rows], ADAPTER_ESTIMATE)
    close(head["std_error"], [row["condsd"] for row in rows], ADAPTER_ESTIMATE)


def test_coef(accessors):
    m, lme4 = accessors
    coef = m.coef()
    assert list(coef) == list(lme4["coef"])
    for factor, theirs in lme4["coef"].items():
        assert list(map(str, coef[factor].index)) == theirs["rows"]
        assert list(coef[factor].columns) == ours(theirs["columns"])
        close(coef[factor], theirs["values"], ADAPTER_ESTIMATE)


def test_vcov_correlation(accessors):
    m, lme4 = accessors
    close(m.summary().correlation, lme4["vcov_correlation"], ADAPTER_ESTIMATE)


# --- Forms ---------------------------------------------------------------------------------------


def test_ranef_has_the_covariance_between_two_terms_on_a_factor(uncorrelated):
    post = uncorrelated.ranef().post_var["Subject"]
    assert post.shape == (18, 2, 2)
    assert np.all(post[:, 0, 1] < 0)  # the data tie what the prior does not
    np.testing.assert_array_equal(post, np.swapaxes(post, 1, 2))


def test_ranef_without_variances(slopes):
    re = slopes.ranef(cond_var=False)
    assert re.post_var is None
    assert re.to_frame()["std_error"].isna().all()


def test_ranef_of_some_groups(nested):
    assert list(nested.ranef(groups="school")) == ["school"]
    assert list(nested.ranef(groups=["school", "class:school"])) == ["school", "class:school"]


def test_ranef_of_an_unknown_group(nested):
    with pytest.raises(InvalidArgumentError, match=r"groups='scool': allowed: .* mean 'school'\?"):
        nested.ranef(groups="scool")


def test_a_missing_key_says_what_there_is(nested):
    with pytest.raises(KeyError, match=r"'class'; there are \['class:school', 'school'\]"):
        nested.ranef()["class"]


def test_a_random_effect_without_a_fixed_one_varies_around_zero(sleep):
    m = _no_intercept(sleep)
    coef = m.coef()["Subject"]
    assert list(coef.columns) == ["Days", "Intercept"]
    close(coef["Intercept"], m.ranef()["Subject"]["Intercept"], 1e-15)


def _no_intercept(sleep):
    return adapted(statsmodels_fit("Reaction ~ 0 + Days", sleep, groups="Subject"))


def test_frames_are_fresh(slopes):
    for make in (
        slopes.fixef,
        slopes.vcov,
        lambda: slopes.ranef()["Subject"],
        lambda: slopes.coef()["Subject"],
        lambda: slopes.var_corr()["Subject"],
    ):
        made = make()
        made.iloc[0] = np.pi
        assert not np.any(make().to_numpy() == np.pi)
    with pytest.raises(ValueError, match="read-only"):
        slopes.ranef().post_var["Subject"][0, 0, 0] = 1.0

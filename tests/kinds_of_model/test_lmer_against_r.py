"""`lmer` against lme4, over every form of its formula."""

from __future__ import annotations

import numpy as np
import pytest
from lmer_models import NAMES, csv, expected, in_lme4s_order, in_r, model_of, packed
from properties.compare import close
from tolerances import (
    LMER_CRITERION,
    LMER_ESTIMATE,
    LMER_FIXED,
    LMER_SIGMA,
    LMER_THETA,
)

CASES = [(name, criterion) for name in NAMES for criterion in ("REML", "ML")]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def case(request):
    """Ours and lme4's."""
    name, criterion = request.param
    return model_of(name, reml=criterion == "REML"), expected(name)[criterion]


def test_dimensions(case):
    model, lme4 = case
    assert model.nobs() == lme4["n"]
    assert model.solution.p == lme4["p"]
    assert model.design.q == lme4["q"]
    assert model.n_parameters == lme4["npar"]
    assert model.ngrps().to_dict() == lme4["ngrps"]
    assert model.df_residual() == lme4["df_residual"]
    assert model.is_singular() == lme4["is_singular"]
    assert model.is_reml() == lme4["REML"]
    assert model.opt_summary.converged


def test_the_criterion_is_not_above_lme4s(case):
    model, lme4 = case
    assert model.reml_crit() <= lme4["criterion"] + LMER_CRITERION * abs(lme4["criterion"])


def test_the_criterion_is_lme4s(case):
    """Nor below it: the references are at the exact optimum."""
    model, lme4 = case
    for name in ("criterion", "log_lik", "aic", "bic"):
        ours = {"criterion": "reml_crit"}.get(name, name)
        close(getattr(model, ours)(), lme4[name], LMER_CRITERION)


def test_theta(case):
    model, lme4 = case
    close(packed(model, in_lme4s_order(model, lme4)), lme4["theta"]["values"], LMER_THETA)


def test_fixed_effects(case):
    model, lme4 = case
    names = [in_r(name) for name in model.fixef().index]
    assert sorted(names) == sorted(lme4["beta"]["names"])
    order = [names.index(name) for name in lme4["beta"]["names"]]  # patsy has categories first
    close(model.fixef().to_numpy()[order], lme4["beta"]["values"], LMER_FIXED)
    close(model.vcov().to_numpy()[np.ix_(order, order)], lme4["vcov"], LMER_ESTIMATE)


def test_variances(case):
    model, lme4 = case
    close(model.sigma(), lme4["sigma"], LMER_SIGMA)
    theirs = [row for row in lme4["var_corr"] if row["var2"] is None]
    order = in_lme4s_order(model, lme4)
    found = np.concatenate([np.diag(model.covariances[t]) for t in order])
    close(found, [row["vcov"] for row in theirs[:-1]], LMER_ESTIMATE)
    close(np.sqrt(found), [row["sdcor"] for row in theirs[:-1]], LMER_THETA)


def test_random_effects_and_their_conditional_variances(case):
    model, lme4 = case
    ours = model.ranef(cond_var=True)
    assert set(ours) == set(lme4["ranef"])
    for factor, theirs in lme4["ranef"].items():
        frame = ours[factor]
        assert [str(level) for level in frame.index] == theirs["levels"]
        names = [in_r(name) for name in frame.columns]
        at = [names.index(name) for name in theirs["columns"]]
        close(frame.to_numpy()[:, at], theirs["values"], LMER_ESTIMATE, scale=0.01)
        for block in theirs["cond_var"]:
            own = [names.index(name) for name in block["columns"]]
            post = ours.post_var[factor][:, own][:, :, own]
            close(post, block["array"], LMER_ESTIMATE, scale=1e-4)


def test_fitted_values(case):
    model, lme4 = case
    rows = slice(0, 6)
    if len(model.fitted()) != model.nobs():  # R's rows are repeated
        rows = np.repeat(np.arange(len(model.fitted())), csv("forms")["k"])[:6]
    close(model.fitted().to_numpy()[rows], lme4["fitted_head"], LMER_FIXED)


def test_every_form_is_there():
    assert len(NAMES) >= 25
    singular = [n for n in NAMES if expected(n)["REML"]["is_singular"]]
    assert {"zeros", "correlation_one"} <= set(singular)
    assert sum(v == 0 for v in expected("zeros")["REML"]["theta"]["values"]) > 1

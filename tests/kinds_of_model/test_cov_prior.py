"""`cov_prior`: against blme, in all the ways to a fit, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from prior_models import CASES, data_of, model_of
from properties.compare import close
from tolerances import BLME_CRITERION, BLME_SD, PRIOR

import merextras as mx
from merextras.exceptions import InvalidArgumentError, SingularFitWarning

SLEEP = "Reaction ~ Days + (Days | Subject)"


@pytest.mark.parametrize("name", CASES)
def test_against_blme(name):
    case = CASES[name]
    m = model_of(case)
    assert m.opt_summary.converged
    # Never above blme's own optimum, which is often short of it, nor above where that was driven.
    assert m.opt_summary.deviance <= case["blme"] + BLME_CRITERION
    close(m.opt_summary.deviance, case["criterion"], BLME_CRITERION / case["criterion"])
    close(m.sigma(), case["sigma"], BLME_SD)
    close(m.fixef().to_numpy(), case["beta"], BLME_SD)
    cov = m.design.covariances
    for ours, theirs in zip(m.covariances, cov.factors(np.array(case["theta"])), strict=True):
        expected = case["sigma"] ** 2 * theirs @ theirs.T
        close(np.sqrt(np.diag(ours)), np.sqrt(np.diag(expected)), BLME_SD)
        close(ours, expected, 10.0 * BLME_SD)


@pytest.mark.parametrize("name", CASES)
def test_prior_and_likelihood_apart(name):
    case = CASES[name]
    m, apart = model_of(case), case["apart"]
    close(m.as_function()(apart["theta"]), apart["criterion"], PRIOR)
    penalty = m.design.penalty.value(np.array([apart["theta"]]))[0]
    close(penalty, apart["criterion"] - apart["deviance"], PRIOR, scale=apart["criterion"])
    close(m.opt_summary.deviance - m.opt_summary.penalty, m.deviance(), 1e-12)
    close(m.deviance(), -2.0 * m.log_lik(), 1e-14)


def test_a_singular_fit_names_the_remedy_and_the_remedy_works():
    with pytest.warns(SingularFitWarning, match="cov_prior='wishart'.*Psychometrika 78"):
        m = mx.lmer("Yield ~ 1 + (1 | Batch)", data_of("dyestuff2"))
    assert m.theta.tolist() == [0.0]
    inside = m.update(cov_prior="wishart")
    assert not inside.is_singular()
    assert inside.theta[0] > 0.1
    assert "update(cov_prior='wishart')" in " ".join(mx.check_convergence(m).advice)


def test_all_the_ways_to_a_fit(sleep, tmp_path):
    m = mx.lmer(SLEEP, sleep, cov_prior="wishart")
    halves = [sleep[sleep.Subject <= 335], sleep[sleep.Subject > 335]]
    products = sum(mx.cross_products(SLEEP, part) for part in halves)
    products.save(tmp_path / "sleep.npz")
    others = {
        "chunks": mx.lmer(SLEEP, sleep, chunk_size=50, cov_prior="wishart"),
        "sites": mx.MerMod.from_cross_products(products, cov_prior="wishart"),
        "file": mx.MerMod.from_cross_products(
            mx.load_cross_products(tmp_path / "sleep.npz"), cov_prior="wishart"
        ),
        "update of chunks": mx.lmer(SLEEP, sleep, chunk_size=50).update(cov_prior="wishart"),
        "statsmodels": mx.MerMod(
            smf.mixedlm("Reaction ~ Days", sleep, groups="Subject", re_formula="~ Days").fit()
        ).update(cov_prior="wishart"),
        "pickled": pickle.loads(pickle.dumps(m)),
        "refit": m.refit(sleep["Reaction"].to_numpy()),
        "refit of a pickled one": pickle.loads(pickle.dumps(m)).refit(sleep["Reaction"].to_numpy()),
        "update": m.update("Reaction ~ 1 + Days + (Days | Subject)"),
        "R's spelling": mx.r.lmer(SLEEP, sleep, cov_prior="wishart"),
        "list": mx.lmer_list(SLEEP, [sleep, sleep], cov_prior="wishart")[0],
        "object": mx.lmer(SLEEP, sleep, cov_prior=mx.Wishart(4.5)),
        "class": mx.lmer(SLEEP, sleep, cov_prior=mx.Wishart),
        "factor": mx.lmer(SLEEP, sleep, cov_prior={"Subject": "wishart"}),
        "term": mx.lmer(SLEEP, sleep, cov_prior={"1 + Days|Subject": "wishart"}),
    }
    for name, other in others.items():
        close(other.theta, m.theta, 1e-6), name
        close(other.log_lik(), m.log_lik(), 1e-9), name
        assert other.opt_summary.penalty == pytest.approx(m.opt_summary.penalty, rel=1e-6), name
    plain = mx.lmer(SLEEP, sleep)
    close(m.update(cov_prior=None).theta, plain.theta, 1e-6)
    close(others["chunks"].update(cov_prior=None).theta, plain.theta, 1e-6)
    close(mx.lmer(SLEEP, sleep, cov_prior={}).theta, plain.theta, 1e-12)
    assert m.refit_ml().opt_summary.penalty != 0.0


def test_by_term_and_factor():
    data = data_of("penicillin")
    formula = "diameter ~ 1 + (1 | plate) + (1 | sample)"
    m = mx.lmer(formula, data, cov_prior={"(1 | sample)": mx.Wishart(6.0), "plate": None})
    assert m.design.cov_priors == [None, mx.Wishart(6.0)]
    assert m.call() == (
        f"lmer(\"{formula}\", data, cov_prior={{'(1 | sample)': mx.Wishart(df=6.0)}})"
    )
    with pytest.raises(InvalidArgumentError, match="'sample' is neither a grouping factor"):
        mx.lmer(formula, data, cov_prior={"sample": "wishart"}).update(". ~ . - (1 | sample)")


def test_the_summary_says_so(sleep):
    m = mx.lmer(SLEEP, sleep, cov_prior="wishart")
    note = (
        "Penalised fit, with a prior of covariances over sigma**2: (1 + Days | Subject) ~ "
        "Wishart(df=4.5, scale=inf); -2 log prior: 3.9362."
    )
    assert note in m.summary().notes
    assert note in repr(m)
    ml = m.refit_ml().summary()
    assert list(ml.criteria) == ["log_lik", "deviance", "df_residual"]
    assert "Penalised" in str(ml)
    assert "Penalised" not in repr(m.update(cov_prior=None))


def test_units_play_no_part_with_an_infinite_scale(sleep):
    """Shifted and rescaled, the same model: the mode moves with its effects."""
    m = mx.lmer(SLEEP, sleep, cov_prior="wishart")
    other = mx.lmer(
        "Reaction ~ t + (t | Subject)", sleep.assign(t=1e3 * sleep.Days + 1e6), cov_prior="wishart"
    )
    close(other.log_lik(), m.log_lik() - np.log(1e3), 1e-7)
    close(other.predict(), m.predict(), 1e-7)


def test_a_scale_is_in_the_users_units(sleep):
    """A covariate in other units with the prior's scale in those: the same fit."""
    m = mx.lmer(SLEEP, sleep, cov_prior=mx.Wishart(5.0, [[2.0, 0.5], [0.5, 1.0]]))
    scaled = sleep.assign(Days=sleep.Days / 10.0)
    other = mx.lmer(SLEEP, scaled, cov_prior=mx.Wishart(5.0, [[2.0, 5.0], [5.0, 100.0]]))
    close(other.predict().to_numpy(), m.predict().to_numpy(), 1e-7)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ("wishert", "cov_prior='wishert': 'wishart', 'gamma', 'invwishart', Wishart"),
        (3.5, "cov_prior=3.5: 'wishart'"),
        ({"Subjekt": "wishart"}, "'Subjekt' is neither a grouping factor nor a term.*'Subject'"),
        ({"Subject": "flat"}, r"cov_prior\['Subject'\]='flat'"),
        ({1: "wishart"}, "1 is no grouping factor's"),
        ("gamma", "Gamma is of one standard deviation, and .* has 2 correlated effects"),
        (mx.Wishart(2.0), r"k = 2 effect\(s\): df must be at least k \+ 1 = 3"),
        (mx.Wishart(3.0), "an infinite scale it is flat"),
        (mx.InverseWishart(1.0), r"df must be above k - 1 = 1"),
        (mx.Wishart(scale=np.eye(3)), r"is 3 x 3, and \(1 \+ Days \| Subject\) has 2 effect"),
    ],
)
def test_bad_priors(sleep, prior, message):
    for data in (sleep, [sleep]):
        with pytest.raises(InvalidArgumentError, match=message):
            mx.lmer(SLEEP, data, cov_prior=prior)
    with pytest.raises(InvalidArgumentError, match=message):
        mx.lmer(SLEEP, sleep).update(cov_prior=prior)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mx.Wishart(df="4"), r"Wishart\(df=\) got '4'"),
        (lambda: mx.Wishart(df=np.nan), "a finite number above 0"),
        (lambda: mx.Wishart(df=True), "a finite number above 0"),
        (lambda: mx.Wishart(scale=-1.0), "a finite number above 0"),
        (lambda: mx.Wishart(scale=[[1.0, 2.0], [2.0, 1.0]]), "not positive definite"),
        (lambda: mx.Wishart(scale=[[1.0, 0.2], [0.3, 1.0]]), r"symmetric \(k, k\)"),
        (lambda: mx.Wishart(scale=[1.0, 2.0]), r"symmetric \(k, k\)"),
        (lambda: mx.InverseWishart(scale="x"), "a finite number above 0"),
        (lambda: mx.InverseWishart(scale=[[0.0]]), "not positive definite"),
        (lambda: mx.Gamma(shape=0.5), "the shape must be above one"),
        (lambda: mx.Gamma(shape=1.0, rate=1.0), "the shape must be above one"),
        (lambda: mx.Gamma(shape=1.0, on="variance"), "it would be flat"),
        (lambda: mx.Gamma(rate=-1.0), "a finite number above 0"),
        (lambda: mx.Gamma(shape=None), "neither is None"),
        (lambda: mx.Gamma(on="cov"), "'sd', 'variance'"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(InvalidArgumentError, match=message):
        make()


def test_priors_compare_and_pickle():
    assert mx.Wishart(5, [[2, 0.5], [0.5, 1]]) == mx.Wishart(5.0, np.array([[2, 0.5], [0.5, 1.0]]))
    assert mx.Wishart(scale=np.inf) == mx.Wishart()
    for prior in (mx.Wishart(scale=np.eye(2)), mx.Gamma(3, 0.5), mx.InverseWishart(3)):
        assert pickle.loads(pickle.dumps(prior)) == prior
        assert hash(prior) == hash(pickle.loads(pickle.dumps(prior)))


def test_a_prior_is_weak_where_the_data_speak():
    """With many levels the estimate moves by less than a tenth of its standard error."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(400), 5)
    data = pd.DataFrame({"y": rng.normal(size=400)[g] + rng.normal(size=2000), "g": g})
    with_prior = mx.lmer("y ~ 1 + (1 | g)", data, cov_prior="wishart")
    plain = with_prior.update(cov_prior=None)
    assert 0.0 < with_prior.theta[0] - plain.theta[0] < 0.005

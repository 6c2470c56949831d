"""The class: lme4's methods, how it prints, that it does not change."""

from __future__ import annotations

import inspect
import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from lme4_fits import adapted, statsmodels_fit
from properties.compare import close
from statsmodels.regression.mixed_linear_model import MixedLMParams, MixedLMResults

import merextras as mx
from merextras.mermod import MerMod
from merextras.model.state.fitted import FittedModel


def test_repr(slopes):
    assert repr(slopes) == str(slopes)
    text = repr(slopes)
    assert text.startswith("Linear mixed model fit by REML\nFormula: Reaction ~ Days + (1 + Days")
    assert "REML criterion at convergence: 1743.6283" in text
    assert "Number of obs: 180, groups: Subject, 18" in text
    ml = repr(slopes.refit_ml())
    assert "maximum likelihood" in ml
    assert "log_lik: -875.9697" in ml


def test_every_shape_prints(case):
    m, _ = case
    for text in (repr(m), m.summary().to_text(), m.var_corr().to_text(), m.ranef().to_text()):
        assert text.strip() == text.strip("\n ")
        assert "nan" not in text.lower().replace("covariances", "")


def test_methods_are_documented():
    for name, member in inspect.getmembers(MerMod, inspect.isfunction):
        if not name.startswith("_"):
            assert inspect.getdoc(member), name
            assert inspect.signature(member).return_annotation is not inspect.Signature.empty, name


def test_methods_give_models_of_the_same_class(slopes):
    class Mine(MerMod):
        pass

    m = Mine._of(slopes._fit)
    for new in (m.refit_ml(), m.refit(m.get_me("y")), m.update(". ~ . - Days")):
        assert type(new) is Mine
    assert FittedModel.adapter is MerMod


def test_a_model_does_not_change_when_it_is_used(slopes, sleep):
    before = pickle.dumps(slopes)
    slopes.ranef()
    slopes.summary()
    slopes.predict(sleep)
    slopes.refit_ml()
    slopes.update(". ~ . - Days")
    for name in ("L", "RZX", "RX", "devcomp"):
        slopes.get_me(name)
    assert pickle.dumps(slopes) == before


def test_the_same_from_the_top_level(students):
    fit = statsmodels_fit("extro ~ open", students, groups="school")
    assert repr(mx.MerMod(fit, polish=False)) == repr(adapted(fit, polish=False))


def test_pickles_of_what_it_returns(slopes):
    wald = slopes.confint(method="wald")
    for made in (slopes.ranef(), slopes.var_corr(), slopes.summary(), wald):
        assert repr(pickle.loads(pickle.dumps(made))) == repr(made)


# --- Size ----------------------------------------------------------------------------------------


def _large(n, n_groups, *, slope):
    """statsmodels' results at a rough estimate, put together without its optimiser and Hessian."""
    rng = np.random.default_rng(1)
    g = rng.permutation(np.arange(n) % n_groups)
    b, x = rng.normal(size=(n_groups, 2)), rng.normal(size=n)
    y = 1 + 2 * x + b[g, 0] + (b[g, 1] * x if slope else 0) + rng.normal(size=n)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    model = smf.mixedlm("y ~ x", data, groups="g", re_formula="~x" if slope else None)
    model.reml, model.fe_pen, model.cov_pen, model._freepat, model._cov_sing = (
        True,
        None,
        None,
        None,
        0,
    )
    relative = np.eye(model.k_re)
    beta, _ = model.get_fe_params(relative, np.zeros(0))
    scale = model.get_scale(beta, relative, np.zeros(0))
    packed = np.concatenate([beta, relative[np.tril_indices(model.k_re)]])
    results = MixedLMResults(model, packed, np.eye(len(packed)))
    results.params_object = MixedLMParams.from_components(fe_params=beta, cov_re=relative)
    own = {"fe_params": beta, "cov_re": scale * relative, "vcomp": np.zeros(0), "scale": scale}
    own |= {"method": "REML", "reml": True, "converged": True, "freepat": None, "cov_pen": None}
    results.__dict__.update(own, k_fe=2, k_re=model.k_re, k_re2=model.k_re2, k_vc=0, use_sqrt=True)
    return data, results


@pytest.mark.slow
@pytest.mark.parametrize(("n_groups", "slope"), [(50_000, False), (20_000, True)])
def test_many_groups_take_memory_of_the_size_of_the_data(n_groups, slope):
    n = 100_000
    data, results = _large(n, n_groups, slope=slope)
    assert np.isfinite(results.llf)
    tracemalloc.start()
    m = adapted(results)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = data.memory_usage().sum() + m.get_me("X").nbytes
    assert peak < 8 * size
    assert kept < 4 * size
    close(m.log_lik() > results.llf, True, 0)
    close(m.fixef(), [1, 2], 0.02)
    close(m.sigma(), 1, 0.02)
    tracemalloc.start()
    assert len(m.ranef()["g"]) == n_groups
    assert m.predict(data).index.equals(data.index)
    assert tracemalloc.get_traced_memory()[1] < 12 * size
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("formula", "theta"),
    [
        ("Reaction ~ 0 + Days + (1 + Days | Subject)", [9.867500, -0.3029987, 0.2352672]),
        ("Reaction ~ 1 + (1 + Days | Subject)", [0.9974583, -0.0849282, 0.4582321]),
    ],
)
def test_random_effects_with_a_mean_of_their_own(sleep, formula, theta):
    """The average information is a poor Hessian here; theta from lme4 1.1-31, REML, bobyqa."""
    m = mx.lmer(formula, sleep)
    assert m.opt_summary.converged
    assert m.opt_summary.n_iterations < 30
    np.testing.assert_allclose(m.theta, theta, rtol=2e-6)


def test_of_a_model_is_the_model(sleep):
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    assert mx.MerMod(m).solution is m.solution

"""Fits of every shape of model, and the exact covariance of what is simulated from them."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import statsmodels.formula.api as smf
from oracle.dense import dense_lambda, dense_pls, dense_z
from statsmodels.regression.mixed_linear_model import MixedLMParams

from merextras.datasets import load_dataset
from merextras.exceptions import SingularFitWarning
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_at
from merextras.model.statsmodels.mixedlm import as_fitted

STUDENTS = "extro ~ open + agree + social"


def quietly(fit):
    """The adapter on a fit whose own warnings are statsmodels' business."""
    with warnings.catch_warnings():
        # ConvergenceWarning and SingularMatrixWarning, the latter a plain UserWarning in 0.14.
        warnings.simplefilter("ignore", UserWarning)
        done = fit()
    return as_fitted(done)


def intercept(reml=True):
    model = smf.mixedlm(STUDENTS, load_dataset("students"), groups="school")
    return quietly(lambda: model.fit(reml=reml))


def slopes():
    data = load_dataset("sleepstudy")
    model = smf.mixedlm("Reaction ~ Days", data, groups="Subject", re_formula="~Days")
    return quietly(model.fit)


def uncorrelated():
    data = load_dataset("sleepstudy")
    model = smf.mixedlm("Reaction ~ Days", data, groups="Subject", re_formula="~Days")
    free = MixedLMParams.from_components(fe_params=np.ones(2), cov_re=np.eye(2))
    return quietly(lambda: model.fit(free=free))


def nested():
    """School and class:school."""
    model = smf.mixedlm(
        STUDENTS,
        load_dataset("students"),
        groups="school",
        re_formula="1",
        vc_formula={"cls": "0 + C(Q('class'))"},
    )
    return quietly(model.fit)


def nested_pastes():
    model = smf.mixedlm(
        "strength ~ 1",
        load_dataset("pastes"),
        groups="batch",
        re_formula="1",
        vc_formula={"cask": "0 + C(cask)"},
    )
    return quietly(model.fit)


def crossed():
    """Plate and sample."""
    data = load_dataset("penicillin")
    model = smf.mixedlm(
        "diameter ~ 1",
        data,
        groups=np.ones(len(data)),
        vc_formula={"plate": "0 + C(plate)", "sample": "0 + C(sample)"},
    )
    return quietly(model.fit)


def singular():
    """No variance between batches."""
    data = load_dataset("dyestuff")
    within = np.tile([1500.0, 1520.0, 1540.0, 1560.0, 1580.0], 6)
    data["Yield"] = within + np.repeat([0.0, 1.0, -1.0, 2.0, -2.0, 0.0], 5)
    model = smf.mixedlm("Yield ~ 1", data, groups="Batch")
    with pytest.warns(SingularFitWarning, match="singular fit"):
        return quietly(model.fit)


def singular_slopes():
    """Intercepts and slopes with a correlation of one."""
    return FittedModel(fit_at(slopes().design, np.array([1.0, 0.2, 0.0]), reml=True))


SHAPES = {
    "intercept": intercept,
    "slopes": slopes,
    "uncorrelated": uncorrelated,
    "nested": nested,
    "crossed": crossed,
    "singular": singular,
    "singular_slopes": singular_slopes,
}


@functools.cache
def fitted(shape):
    return SHAPES[shape]()


def joint_covariance(model):
    """Covariance of (beta, b) over sigma**2, b term after term, level by level; dense."""
    design = model.design
    rows = [term.rows for term in design.terms]
    z, lam = dense_z(rows), dense_lambda(rows, model.solution.lams)
    found = dense_pls(design.x, design.y, z, lam, np.ones(design.n), model.solution.reml)
    q = z.shape[1]
    order = np.append(np.arange(q, q + design.x.shape[1]), np.arange(q))
    return found["joint"][np.ix_(order, order)], found["pwrss"]


def errors_of_covariance(draws, centre, exact, df):
    """Errors of the second moments about the centre, in their own standard errors.

    The draws are multivariate t with `df` degrees of freedom, covariance `exact`:
    E[x**2 y**2] = (c_xx c_yy + 2 c_xy**2) (df - 2) / (df - 4).
    """
    off = draws - centre
    found = off.T @ off / len(draws)
    sizes = np.diag(exact)
    fourth = (np.outer(sizes, sizes) + 2 * exact**2) * (df - 2) / (df - 4)
    se = np.sqrt((fourth - exact**2) / len(draws))
    tiny = 1e-12 * sizes.max()
    return (found - exact) / np.maximum(se, tiny)

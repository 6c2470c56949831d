"""Dense variances of linear predictors, and the models of tests/reference/predict_interval."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
from oracle.dense import dense_z
from properties.compare import close
from sim_models import joint_covariance
from tolerances import LMER_THETA

from merextras import lmer
from merextras.datasets import load_dataset
from merextras.engine.products.term_rows import TermRows
from merextras.mermod import MerMod
from merextras.model.newdata.rows import NewRows
from merextras.model.state.fitting import fit_at

EXPECTED = json.loads(
    (Path(__file__).parents[2] / "reference" / "predict_interval" / "expected.json").read_text()
)


def dense_rows(rows: NewRows):
    """(x, z) of rows side by side, dense; an unknown level's part is zero."""
    terms = [
        TermRows(np.maximum(codes, 0), values * (codes >= 0)[:, None], levels)
        for codes, values, levels in zip(rows.codes, rows.values, rows.n_levels, strict=True)
    ]
    return np.hstack([rows.x, dense_z(terms)])


def sd(model, covariance):
    """Standard deviations from a covariance over sigma**2."""
    return np.sqrt(model.solution.sigma2 * np.diag(covariance))


def dense_covariance(model, rows):
    """Covariance over sigma**2 of the rows' linear predictors, and pwrss."""
    joint, pwrss = joint_covariance(model)
    a = dense_rows(rows)
    return a @ joint @ a.T, pwrss


def dense_prior(model, rows, *, own_draw):
    """Covariance over sigma**2 of what unknown levels add: rows of one `own_draw` label share it.

    Parameters
    ----------
    own_draw : list of (m,) sequences, one per term
        Labels of the rows' unknown levels; None where the level is known.
    """
    out = np.zeros((len(rows), len(rows)))
    for values, lam, labels in zip(rows.values, model.solution.lams, own_draw, strict=True):
        for i, one in enumerate(labels):
            for j, other in enumerate(labels):
                if one is not None and one == other:
                    out[i, j] += values[i] @ lam @ lam.T @ values[j]
    return out


def data_of(name):
    """The rows that R's `name` was fitted to."""
    data = load_dataset(name.lower())
    if name == "sleepstudy":
        data = data.assign(load=data["Days"] % 3 + 1.0)
    return data


@functools.cache
def at_r_theta(formula, data):
    """Our model at R's estimate of theta, so that only closed forms are compared."""
    m = lmer(formula.replace("log(", "np.log(").replace("^", "**"), data_of(data))
    theta = next(
        e["theta"]["values"]
        for part in ("models", "corrections", "predict")
        for e in EXPECTED[part].values()
        if (e["formula"], e["data"]) == (formula, data)
    )
    close(m.theta, theta, LMER_THETA)
    return MerMod._of(fit_at(m.design, np.array(theta), reml=True))


def new_rows_of(entry, part="new"):
    """R's new rows, levels as the bundled data have them."""
    frame = pd.DataFrame(entry[part])
    known = data_of(entry["data"])
    for column in frame:
        if pd.api.types.is_integer_dtype(known[column]) and column in {"Subject", "schid"}:
            frame[column] = frame[column].map(lambda v: int(v) if str(v).isdigit() else v)
    return frame

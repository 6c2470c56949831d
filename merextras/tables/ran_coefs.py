"""The levels' coefficients, fixed plus random, with their standard errors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras.accessors.estimates import coef
from merextras.engine.posterior import joint
from merextras.foundation.aliases import Array
from merextras.model.state.fitted import FittedModel

# Numbers held at a time (32 MB).
_BLOCK = 2**22


def ran_coefs(model: FittedModel) -> pd.DataFrame:
    """Coefficients of each level: ``group level term estimate std_error``.

    The standard error is that of ``(beta^ + b^) - (beta + b)`` from the joint distribution at the
    estimated theta, Henderson's: estimates of beta and b are correlated, mostly negatively, so that
    it is neither that of beta nor the sum of two variances. A coefficient that no random effect is
    part of has that of beta.
    """
    parts = []
    for factor, frame in coef(model).items():
        for column, term in enumerate(frame.columns):
            parts.append(
                pd.DataFrame(
                    {
                        "group": factor,
                        "level": frame.index,
                        "term": term,
                        "estimate": frame.iloc[:, column].to_numpy(),
                        "std_error": _std_errors(model, factor, str(term)),
                    }
                )
            )
    columns = ["group", "level", "term", "estimate", "std_error"]
    return pd.concat(parts, ignore_index=True)[columns]


def _std_errors(model: FittedModel, factor: str, name: str) -> Array:
    """Standard errors of one coefficient at all levels of a factor, (J,), in blocks of levels."""
    solution, design = model.joint, model.design
    x_row = np.array([float(own == name) for own in design.fixed.names])
    terms = design.terms_of(factor)
    varying = [
        (t, k)
        for t in terms
        for k, effect in enumerate(design.terms[t].names)
        if (design.fixed_name(effect) or effect) == name
    ]
    levels = len(design.terms[terms[0]].levels)
    if not varying:
        x = solution.cp.basis.columns(x_row[None])[0]
        return np.full(levels, np.sqrt(solution.sigma2 * (x @ solution.basis_covariance() @ x)))
    step = max(1, _BLOCK // (len(solution.factor.tail) + solution.p + 1))
    out = np.empty(levels)
    for block in _blocks(levels, step):
        at = np.arange(levels)[block]
        z = []
        for t, term in enumerate(design.terms):
            mine = [at * term.k + k for s, k in varying if s == t]
            columns = np.concatenate(mine) if mine else np.empty(0, dtype=np.intp)
            rows = np.tile(np.arange(len(at)), len(mine))
            shape = (len(at), len(term.levels) * term.k)
            z.append(sp.csr_array((np.ones(len(columns)), (rows, columns)), shape=shape))
        x = np.broadcast_to(x_row, (len(at), len(x_row)))
        out[block] = np.sqrt(solution.sigma2 * joint.variances(solution, z, x))
    return out


def _blocks(count: int, step: int) -> Iterator[slice]:
    for start in range(0, count, step):
        yield slice(start, min(count, start + step))

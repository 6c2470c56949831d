"""Estimates of a generalised model without pooling (each level alone) and with complete pooling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from merextras.diagnostics.random_effects.level_equations import solved
from merextras.engine.kernels import blocks
from merextras.foundation.aliases import Array, BoolArray
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.refit import with_design

# Newton steps, halvings of one, and the change of a linear predictor that ends them.
_STEPS, _HALVINGS, _DONE = 60, 30, 1e-8


def complete_pooling(model: FittedGlmm) -> Array:
    """Coefficients of the model without random effects, a generalised linear model, (p,)."""
    none = model.design.restricted_to([])
    return with_design(model, none, "shrinkage: without random effects").fixed_estimates


def own_data(model: FittedGlmm, numbers: list[int]) -> Array:
    """How far each level's own maximum of the likelihood is from the model's effects, (J, k).

    By Newton steps of all levels together with expected weights, the rest of the linear predictor
    and the dispersion held. NaN where a level's rows do not determine the effects, and where the
    likelihood rises without end: all of its responses are alike, or separated by a covariate.
    """
    rows = [model.design.terms[t].rows for t in numbers]
    z = np.hstack([term.values for term in rows])
    codes, levels, k = rows[0].codes, rows[0].n_levels, z.shape[1]
    family, phi, moved = model.engine_family, model.phi, np.zeros((levels, k))
    left = np.ones(levels, dtype=bool)

    def eta(at: Array) -> Array:
        return np.asarray(model.eta + np.einsum("nk,nk->n", z, at[codes]))

    def likelihoods(at: Array) -> Array:
        found = blocks.sum_by(family.log_density(eta(at), phi), codes, levels)
        return np.where(np.isfinite(found), found, -np.inf)

    with np.errstate(all="ignore"):
        before = likelihoods(moved)
        for _ in range(_STEPS):
            at = eta(moved)
            right = blocks.sum_by(z * family.first(at, phi)[0][:, None], codes, levels)
            step = solved(z, family.expected(at, phi), codes, right)
            step = np.where(left[:, None], step, 0.0)
            step, before = _uphill(likelihoods, moved, step, before)
            moved = moved + step
            change = np.zeros(levels)
            np.maximum.at(change, codes, np.abs(np.einsum("nk,nk->n", z, step[codes])))
            left = ~(change <= _DONE)
            if not np.any(left & np.isfinite(moved).all(axis=1)):
                break
    moved[left] = np.nan
    return moved


def _uphill(
    likelihoods: Callable[[Array], Array], moved: Array, step: Array, before: Array
) -> tuple[Array, Array]:
    """Steps halved in the levels whose likelihood would fall, and the likelihoods after them."""
    noise = 1e-12 * (1.0 + np.abs(before))
    after = likelihoods(moved + step)
    for _ in range(_HALVINGS):
        falls: BoolArray = after < before - noise
        if not np.any(falls):
            break
        step = np.where(falls[:, None], 0.5 * step, step)
        after = likelihoods(moved + step)
    return step, after

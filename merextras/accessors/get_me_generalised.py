"""lme4's ``getME`` of a generalised model, and its criterion as a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from merextras.accessors.generalised import call, residual_values, unit_of
from merextras.accessors.get_me import GETTERS, PREDICTOR, asked
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.linear_only import linear_only


def get_me(model: FittedGlmm, name: str | Sequence[str]) -> Any:
    """A piece of the model, lme4's ``getME``; of several names a dict of them.

    Parameters
    ----------
    name : str, or sequence of str
        As of a linear model, see `MerMod.get_me`. ``Lambda``, ``theta``, ``Tlist``, ``ST`` are on
        the scale of the linear predictor, which no residual variance divides. ``L``, ``RZX`` and
        ``RX`` are of the working model, W the observed weights at the modes. Otherwise:

        =====================  ==================================================================
        ``y``, ``mu``          response, of successes the proportion, and conditional mean
        ``resp``               a frame of both with ``eta``, ``offset``, ``weights`` (trials) and
                               ``wtres``, Pearson's residuals
        ``weights``            trials by row, else ones
        ``devcomp``            ``cmp`` has ``drsum``, the sum of the squared deviance residuals,
                               and ``dev``, minus twice the log-likelihood
        ``REML``, ``is_REML``  0 and False
        ``devfun``             the criterion, see `as_function`
        ``dispersion``         what the family has besides the mean, as ``m.dispersion``
        ``glmer.nb.theta``     a negative binomial's size
        =====================  ==================================================================

    Raises
    ------
    InvalidArgumentError
        An unknown name; the message suggests the nearest.
    UnsupportedModelError
        ``"sigma"``: there is none; ``"glmer.nb.theta"`` of another family.

    Notes
    -----
    lme4 takes the expected weights, which are the observed ones where the link is canonical, so
    that ``L`` and what is made of it are the same numbers there. ``lower`` are the bounds of theta;
    lme4 appends ``-Inf`` for each fixed effect.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> m.get_me("theta").round(4), m.get_me("Z").shape
    (array([0.6423]), (56, 15))
    """
    return asked(model, name, _OWN)


def as_function(model: FittedGlmm) -> Callable[[ArrayLike], float]:
    """Minus twice the log-likelihood as a function of all parameters, lme4's ``as.function``.

    Returns
    -------
    callable parameters -> float
        Of one vector: theta as ``get_me("theta")`` has it, the fixed effects, and the dispersion as
        ``m.dispersion`` has it, if it is estimated; lme4's function of a ``glmer`` fit has theta
        and the fixed effects. A call finds the modes anew: some factorisations.

    Examples
    --------
    >>> import merextras as mx, numpy as np
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> f, at = m.as_function(), np.concatenate([m.theta, m.fixef()])
    >>> round(f(at), 4), round(f(np.concatenate([[0.0], m.fixef()])), 4)
    (184.0526, 198.9361)
    """
    criterion, n = model.laplace.criterion, len(model.theta)
    size, p = criterion.m, len(model.fixed_estimates)

    def function(parameters: ArrayLike) -> float:
        values = np.asarray(parameters, dtype=float).reshape(-1)
        if len(values) != size or not np.all(np.isfinite(values)):
            raise InvalidArgumentError(
                f"parameters={parameters!r}: expected {size} finite numbers, {n} of theta, {p} "
                f"fixed effects{'' if size == n + p else ' and the dispersion'}"
            )
        theta, beta, own = values[:n], values[n : n + p], values[n + p :]
        if np.any(own <= 0.0):
            raise InvalidArgumentError(f"parameters: the dispersion is positive, got {own[0]:g}")
        inner = np.linalg.solve(criterion.table.transform, beta) if p else beta
        phi = model.choice.phi_of(float(own[0])) if len(own) else own
        x = np.concatenate([criterion.own_theta(theta), inner, phi])
        return float(criterion.at(x).deviance())

    return function


def _resp(model: FittedGlmm) -> pd.DataFrame:
    design = model.design
    columns = {
        "y": design.y,
        "mu": model.mu,
        "eta": model.eta,
        "offset": np.zeros(design.n) if design.offset is None else design.offset,
        "weights": _weights(model),
        "wtres": residual_values(model, "pearson"),
    }
    return pd.DataFrame(columns, index=design.index)


def _weights(model: FittedGlmm) -> Array:
    trials = model.response.trials
    return np.ones(model.design.n) if trials is None else trials.copy()


def _devcomp(model: FittedGlmm) -> dict[str, dict[str, float] | dict[str, int]]:
    design, working = model.design, model.working
    ussq = float(sum(np.sum(u**2) for u in model.spherical_modes))
    wrss = float(np.sum(residual_values(model, "pearson") ** 2))
    has_scale = model.engine_family.n_phi > 0 and model.choice.name != "negative_binomial"
    cmp = {
        "ldL2": working.factor.log_det,
        "ldRX2": working.log_det_fixed,
        "wrss": wrss,
        "ussq": ussq,
        "pwrss": wrss + ussq,
        "drsum": float(np.sum(residual_values(model, "deviance") ** 2)),
        "REML": np.nan,
        "dev": -2.0 * model.log_likelihood,
        "sigmaML": float(np.sqrt(unit_of(model))) if has_scale else np.nan,
        "sigmaREML": np.nan,
    }
    p = len(model.fixed_estimates)
    dims = {
        "N": design.n,
        "n": design.n,
        "p": p,
        "nmp": design.n - p,
        "q": design.q,
        "nth": len(model.theta),
        "nAGQ": model.n_agq,
        "useSc": int(has_scale),
        "reTrms": len(design.terms),
        "spFe": 0,
        "REML": 0,
        "GLMM": 1,
        "NLMM": 0,
    }
    return {"cmp": cmp, "dims": dims}


def _no_sigma(model: FittedGlmm) -> NoReturn:
    del model
    raise linear_only("sigma")


def _size(model: FittedGlmm) -> float | None:
    if model.choice.name != "negative_binomial":
        raise UnsupportedModelError(
            f"glmer.nb.theta: is a negative binomial's size, and the family is "
            f"{model.choice.text}; get_me('dispersion') has what it has"
        )
    return model.dispersion


_OWN: dict[str, Callable[[FittedGlmm], Any]] = {
    **GETTERS,
    "devcomp": _devcomp,
    "resp": _resp,
    "sigma": _no_sigma,
    "REML": lambda m: 0,  # noqa: ARG005
    "is_REML": lambda m: False,  # noqa: ARG005
    "n": lambda m: m.design.n,
    "N": lambda m: m.design.n,
    "weights": _weights,
    "offset": lambda m: _resp(m)["offset"].to_numpy(),
    "call": call,
    "devfun": as_function,
    "dispersion": lambda m: m.dispersion,
    "glmer.nb.theta": _size,
    "pp": lambda m: asked(m, PREDICTOR, _OWN),
}

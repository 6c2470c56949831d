"""lme4's ``getME``: the model's pieces by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import scipy.linalg as la
import scipy.sparse as sp

from merextras.accessors.description import call, formula, model_frame, weight_values
from merextras.accessors.estimates import fixef, sigma
from merextras.accessors.likelihood import as_function
from merextras.engine.solution.lme4_factor import as_given, random_factor, random_fixed_factor
from merextras.exceptions import NoRowsError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice
from merextras.model.state.fitted import FittedModel

M = TypeVar("M", bound=FittedModel)


def get_me(model: FittedModel, name: str | Sequence[str]) -> Any:
    """A piece of the model, lme4's ``getME``; of several names a dict of them.

    Parameters
    ----------
    name : str, or sequence of str
        ``"ALL"`` is all of these, but for what needs rows in a model that keeps none:

        ==================  =====================================================================
        ``X``               fixed-effects matrix, (n, p) array
        ``Z``, ``Zt``       random-effects matrix, (n, q) sparse, and its transpose
        ``Ztlist``          one (J, n) sparse block of Zt for each random effect
        ``Lambda``          relative covariance factor, (q, q) sparse lower triangular
        ``Lambdat``         its transpose
        ``Lind``            which element of theta each stored element of Lambdat is, from 0
        ``L``               Cholesky factor of Lambda'Z'WZ Lambda + I, in the order ``perm``
        ``perm``            the order in which the random effects are eliminated, (q,)
        ``RZX``             L^-1 Lambda'Z'WX, (q, p), rows in the order ``perm``
        ``RX``              upper triangular, (p, p): RX'RX = X'V^-1 X
        ``Tp``, ``Tlist``   starts of the terms in theta; the terms' factors, (k, k) each
        ``theta, lower``    covariance parameters (relative, on the SD scale) and their bounds;
                            of ``diag cs ar1`` the standard deviations over sigma and rho,
                            lme4's ``par``, which is another name of it
        ``beta, fixef``     fixed effects, as an array or a named Series
        ``A``               Lambda'Z', (q, n) sparse; ``mmList``: effects' columns by term
        ``ST``              the terms' factors as T S S T': S on the diagonal, T below, NaN where
                            S is zero and the factor is not
        ``b``, ``u``        random effects and spherical random effects, (q,): b = Lambda u
        ``Gp``              starts of the terms in b and u
        ``cnms``            effects by term; ``flist``: grouping factors, a categorical frame
        ``devcomp``         dict of the deviance's components (``cmp``) and dimensions (``dims``)
        ``y, mu``           response and conditional mean; ``resp``: a frame of both and more
        ``sigma``           residual standard deviation; ``REML``: p or 0, as the slot has it
        ``n, N, p, q``      dimensions: rows (twice), columns of X, of Z
        ``p_i, l_i, q_i``   by term: effects per level, levels, both multiplied
        ``m_i``, ``m``      covariance parameters by term, and of all terms
        ``n_rtrms``, ``k``  number of random-effects terms; ``n_rfacs``: of grouping factors
        ``is_REML``         bool; ``weights, offset``: by row
        ``call, formula``   text; ``frame``: the model frame; ``optinfo``: the optimiser's report
        ``pp``              dict of the predictor module's matrices; ``devfun``: the criterion as
                            a function of theta
        ==================  =====================================================================

    Raises
    ------
    InvalidArgumentError
        An unknown name; the message suggests the nearest.

    Notes
    -----
    What is by row is of the rows of the fit, whatever `lmer`'s `missing`, as in R.
    ``"L"`` and ``"RZX"`` are made on demand and can be large where factors cross. In R ``l_i`` is
    by factor, which differs where a factor has several terms.

    Examples
    --------
    >>> from merextras.datasets import load_dataset
    >>> import merextras as mx, statsmodels.formula.api as smf
    >>> fit = smf.mixedlm("Yield ~ 1", load_dataset("dyestuff"), groups="Batch").fit()
    >>> mx.MerMod(fit).get_me("theta").round(4)
    array([0.8483])
    """
    return asked(model, name, GETTERS)


def asked(model: M, name: str | Sequence[str], getters: Mapping[str, Callable[[M], Any]]) -> Any:
    """The pieces of these names, made by a table of getters."""
    names = tuple(sorted(getters))
    if isinstance(name, str) and name == "ALL":
        return _all(model, getters)
    if isinstance(name, (list, tuple)):
        wanted = [check_choice(one, names, "name") for one in name]
        return {one: getters[one](model) for one in wanted}
    return getters[check_choice(name, names, "name")](model)


def _all(model: M, getters: Mapping[str, Callable[[M], Any]]) -> dict[str, Any]:
    """All that the model can give."""
    out = {}
    for name, getter in getters.items():
        with suppress(NoRowsError, UnsupportedModelError):
            out[name] = getter(model)
    return out


def _lambda(model: FittedModel) -> sp.csr_array:
    """Lambda with all of its blocks stored that may be other than zero, zeros of theta among it."""
    values, rows, cols, start = [], [], [], 0
    for term, lam in zip(model.design.terms, model.lams, strict=True):
        row, col, _ = term.structure.elements
        at = start + term.k * np.arange(len(term.levels))[:, None]
        rows.append((at + row).reshape(-1))
        cols.append((at + col).reshape(-1))
        values.append(np.tile(lam[row, col], len(term.levels)))
        start += len(term.levels) * term.k
    place = (np.concatenate(rows), np.concatenate(cols))
    return sp.csr_array(sp.coo_array((np.concatenate(values), place), shape=(start, start)))


def _lind(model: FittedModel) -> Array:
    """Element of theta behind each element of Lambdat, by its columns."""
    parts, start = [], 0
    for term in model.design.terms:
        rows, cols, places = term.structure.elements
        if places is None:
            raise UnsupportedModelError(
                f"Lind: the factor of {term.label} has functions of theta for its elements, not "
                "theta's own; get_me('Tlist') has the factors"
            )
        order = np.lexsort((cols, rows))  # Lambdat by columns is Lambda by rows
        parts.append(np.tile(start + places[order], len(term.levels)))
        start += term.structure.n
    return np.concatenate(parts)


def _st(model: FittedModel) -> list[Array]:
    """The factors with their columns divided by the diagonal, which stays."""
    out = []
    for lam in model.lams:
        scale = np.diag(lam)
        divided = np.where(lam == 0.0, 0.0, np.nan)
        np.divide(lam, scale, out=divided, where=np.broadcast_to(scale > 0.0, lam.shape))
        np.fill_diagonal(divided, scale)
        out.append(divided)
    return out


def _mm_list(model: FittedModel) -> list[pd.DataFrame]:
    terms, index = model.design.terms, model.design.index
    return [pd.DataFrame(t.rows.values.copy(), index=index, columns=list(t.names)) for t in terms]


def _flat(parts: tuple[Array, ...]) -> Array:
    return np.concatenate([part.reshape(-1) for part in parts])


def _starts(sizes: list[int]) -> Array:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp)


def _ztlist(model: FittedModel) -> dict[str, sp.csr_array]:
    out = {}
    for term in model.design.terms:
        zt = sp.csr_array(term.rows.sparse().T)
        for i, effect in enumerate(term.names):
            out[f"{term.factor}.{effect}"] = sp.csr_array(zt[i :: term.k])
    return out


def _flist(model: FittedModel) -> pd.DataFrame:
    factors = {}
    for term in model.design.terms:
        values = pd.Categorical.from_codes(term.rows.codes, categories=term.levels)
        factors[term.factor] = pd.Series(values, index=model.design.index)
    return pd.DataFrame(factors)


def _devcomp(model: FittedModel) -> dict[str, dict[str, float] | dict[str, int]]:
    solution, design = model.solution, model.design
    ussq = float(sum(np.sum(u**2) for u in solution.u))
    own = solution.deviance()
    cmp = {
        "ldL2": solution.factor.log_det,
        "ldRX2": solution.log_det_fixed,
        "wrss": solution.pwrss - ussq,
        "ussq": ussq,
        "pwrss": solution.pwrss,
        "REML": own if solution.reml else np.nan,
        "dev": np.nan if solution.reml else own,
        "sigmaML": float(np.sqrt(solution.pwrss / solution.n)),
        "sigmaREML": float(np.sqrt(solution.pwrss / (solution.n - solution.p))),
    }
    dims = {
        "N": solution.n,
        "n": solution.n,
        "p": solution.p,
        "nmp": solution.n - solution.p,
        "q": design.q,
        "nth": len(model.theta),
        "useSc": 0 if model.has_known_sigma else 1,
        "reTrms": len(design.terms),
        "spFe": 0,
        "REML": solution.p if solution.reml else 0,
        "GLMM": 0,
        "NLMM": 0,
    }
    return {"cmp": cmp, "dims": dims}


def _resp(model: FittedModel) -> pd.DataFrame:
    design = model.design
    columns = {
        "y": design.y,
        "mu": model.mu,
        "offset": np.zeros(design.n) if design.offset is None else design.offset,
        "weights": weight_values(model),
    }
    columns["wtres"] = (design.y - model.mu) * np.sqrt(columns["weights"])
    return pd.DataFrame(columns, index=design.index)


def _rx(model: FittedModel) -> Array:
    solution = model.working
    transform = solution.factor.system.cp.basis.transform
    return np.asarray(solution.fixed_low.T @ la.inv(transform)) if solution.p else np.empty((0, 0))


def _optinfo(model: FittedModel) -> dict[str, Any]:
    opt = model.opt_summary
    return {} if opt is None else {name: getattr(opt, name) for name in opt.__dataclass_fields__}


#: The pieces of the predictor module.
PREDICTOR = ("X", "Zt", "Lambdat", "theta", "RZX", "RX")

#: How each piece is made; those of a linear model that are a generalised one's too ask nothing of
#: its solution.
GETTERS: dict[str, Callable[[FittedModel], Any]] = {
    "X": lambda m: m.design.x.copy(),
    "Z": lambda m: m.design.z(),
    "Zt": lambda m: sp.csr_array(m.design.z().T),
    "Ztlist": _ztlist,
    "Lambda": _lambda,
    "Lambdat": lambda m: sp.csr_array(_lambda(m).T),
    "Lind": _lind,
    "A": lambda m: sp.csr_array(_lambda(m).T @ m.design.z().T),
    "ST": _st,
    "mmList": _mm_list,
    "L": lambda m: random_factor(as_given(m.working).factor)[0],
    "perm": lambda m: random_factor(as_given(m.working).factor)[1],
    "RZX": lambda m: random_fixed_factor(as_given(m.working)),
    "RX": _rx,
    "Tp": lambda m: _starts([s.n for s in m.design.covariances.structures]),
    "Tlist": lambda m: [lam.copy() for lam in m.lams],
    "theta": lambda m: m.theta,
    "par": lambda m: m.theta,
    "lower": lambda m: m.design.covariances.natural_lower,
    "beta": lambda m: m.fixed_estimates.copy(),
    "fixef": fixef,
    "b": lambda m: _flat(m.modes),
    "u": lambda m: _flat(m.spherical_modes),
    "Gp": lambda m: _starts([len(term.levels) * term.k for term in m.design.terms]),
    "cnms": lambda m: [(term.factor, term.names) for term in m.design.terms],
    "flist": _flist,
    "devcomp": _devcomp,
    "y": lambda m: m.design.y.copy(),
    "mu": lambda m: m.mu.copy(),
    "resp": _resp,
    "sigma": sigma,
    "REML": lambda m: m.solution.p if m.solution.reml else 0,
    "is_REML": lambda m: m.solution.reml,
    "n": lambda m: m.solution.n,
    "N": lambda m: m.solution.n,
    "p": lambda m: len(m.fixed_estimates),
    "q": lambda m: m.design.q,
    "k": lambda m: len(m.design.terms),
    "p_i": lambda m: list(m.design.ks),
    "q_i": lambda m: [len(term.levels) * term.k for term in m.design.terms],
    "m_i": lambda m: [s.n for s in m.design.covariances.structures],
    "m": lambda m: len(m.theta),
    "l_i": lambda m: [len(term.levels) for term in m.design.terms],
    "n_rtrms": lambda m: len(m.design.terms),
    "n_rfacs": lambda m: len(m.design.factors),
    "weights": weight_values,
    "offset": lambda m: _resp(m)["offset"].to_numpy(),
    "call": call,
    "formula": formula,
    "frame": model_frame,
    "optinfo": _optinfo,
    "devfun": as_function,
    "pp": lambda m: asked(m, PREDICTOR, GETTERS),
}


def get_l(model: FittedModel) -> sp.csc_array:
    """The Cholesky factor L, (q, q) sparse lower triangular, lme4's ``getL``.

    ``L L' = (Lambda'Z'WZ Lambda + I)[perm][:, perm]`` with ``perm = get_me("perm")`` (Bates et al.
    2015, eq. 18). Of a generalised model W are the observed weights at the mode.
    """
    return random_factor(as_given(model.working).factor)[0]

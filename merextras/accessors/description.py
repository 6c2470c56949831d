"""What the model is: its formula, frame, matrices and kind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras._checks import check_choice
from merextras.model.fitted import FittedModel


def formula(model: FittedModel, *, fixed_only: bool = False, random_only: bool = False) -> str:
    """The model in lme4's notation, lme4's ``formula``.

    Parameters
    ----------
    fixed_only, random_only : bool
        Only that part (both False: all of it).
    """
    text = model.design.formula
    head, bars = _split(text)
    if fixed_only:
        return head
    if random_only:
        return f"{head.split('~', 1)[0].strip()} ~ {bars}"
    return text


def _split(text: str) -> tuple[str, str]:
    """The fixed part and the bars, which stand at the end."""
    at = len(text)
    depth = 0
    for i in range(len(text) - 1, -1, -1):
        depth += (text[i] == ")") - (text[i] == "(")
        if depth == 0 and text[i] == "(" and "|" in text[i:at]:
            at = i
        elif depth == 0 and text[i] not in " +(":
            break
    return text[:at].rstrip(" +"), text[at:]


def terms(model: FittedModel, *, fixed_only: bool = True) -> list[str]:
    """Labels of the formula's terms, R's ``terms``.

    Parameters
    ----------
    fixed_only : bool
        False adds the random-effects terms as bars.
    """
    from_fixed = [t.strip() for t in formula(model, fixed_only=True).split("~", 1)[1].split("+")]
    if fixed_only:
        return from_fixed
    return from_fixed + [f"({', '.join(t.names)} | {t.factor})" for t in model.design.terms]


def model_frame(model: FittedModel) -> pd.DataFrame:
    """The variables of the model, one row per observation in the fit, R's ``model.frame``.

    A fresh copy, under the user's index; rows that the fit dropped are not in it.
    """
    return model.design.frame.copy()


def model_matrix(model: FittedModel, which: str = "fixed") -> pd.DataFrame | sp.csr_array:
    """The design matrix, R's ``model.matrix``.

    Parameters
    ----------
    which : {"fixed", "random"}

    Returns
    -------
    DataFrame (n, p) for ``"fixed"``; sparse (n, q) array for ``"random"``: Z, terms side by side,
    level by level.
    """
    which = check_choice(which, ("fixed", "random"), "which")
    design = model.design
    if which == "random":
        return design.z()
    return pd.DataFrame(design.x.copy(), index=design.index, columns=list(design.fixed.names))


def family(model: FittedModel) -> str:
    """Always gaussian with identity link: the only family of a linear mixed model."""
    del model
    return "gaussian(identity)"


def weights(model: FittedModel) -> pd.Series:
    """Prior weights by row; ones for a fit without."""
    own = model.design.weights
    values = np.ones(model.design.n) if own is None else own.copy()
    return pd.Series(values, index=model.design.index, name="weights")


def is_reml(model: FittedModel) -> bool:
    """Whether the fit is by restricted maximum likelihood."""
    return model.solution.reml


def is_lmm(model: FittedModel) -> bool:
    """True: a linear mixed model."""
    return isinstance(model, FittedModel)


def is_glmm(model: FittedModel) -> bool:
    """False: not a generalised one."""
    return not is_lmm(model)


def is_nlmm(model: FittedModel) -> bool:
    """False: not a nonlinear one."""
    return not is_lmm(model)


def call(model: FittedModel) -> str:
    """The call that made the fit, as far as it is known, R's ``getCall``."""
    return model.origin.call if model.origin is not None else model.design.formula

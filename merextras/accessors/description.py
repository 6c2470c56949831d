"""Formula, model frame, design matrices and kind of a fitted model."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras.accessors.rows import by_row
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice
from merextras.model.formula import translate
from merextras.model.formula.parse import parse
from merextras.model.formula.rewrite import bar_text, term_labels
from merextras.model.formula.translate import unquoted
from merextras.model.settings.cov_prior import as_code
from merextras.model.state.fitted import FittedModel


def formula(model: FittedModel, *, fixed_only: bool = False, random_only: bool = False) -> str:
    """The model in lme4's notation, lme4's ``formula``.

    Parameters
    ----------
    fixed_only, random_only : bool
        Only that part; all of it by default.
    """
    text = model.design.formula
    if not (fixed_only or random_only) or (fixed_only and random_only):
        return text
    parsed = parse(text)
    if fixed_only:
        return f"{parsed.response} ~ {parsed.fixed}"
    return f"{parsed.response} ~ {' + '.join(bar_text(bar) for bar in parsed.bars)}"


def terms(model: FittedModel, *, fixed_only: bool = True) -> list[str]:
    """Labels of the formula's terms, R's ``attr(terms(m), "term.labels")``.

    Parameters
    ----------
    fixed_only : bool
        False adds the random-effects terms as bars.

    Returns
    -------
    list of str
        Without the intercept; ``a * b`` is ``a``, ``b`` and ``a:b``.
    """
    parsed = translate.as_code(parse(model.design.formula), model.design.columns, {})
    found = [unquoted(label) for label in term_labels(parsed.fixed) if label]
    return found if fixed_only else found + [bar_text(bar) for bar in parsed.bars]


def model_frame(model: FittedModel) -> pd.DataFrame:
    """The variables of the model, one row per observation in the fit, R's ``model.frame``.

    A fresh copy, under the user's index; rows that the fit left out are not in it, with
    ``missing="keep"`` either, as in R.
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
    """Prior weights by row; ones for a fit without.

    With ``missing="keep"`` by row of the data, as R's ``weights`` of an ``lm`` fit has it; lme4's
    leaves the rows out.
    """
    return by_row(model, weight_values(model), "weights")


def weight_values(model: FittedModel) -> Array:
    """The same of the rows of the fit, (n,)."""
    own = model.design.weights
    return np.ones(model.design.n) if own is None else own.copy()


def is_reml(model: FittedModel) -> bool:
    """Whether the fit is by restricted maximum likelihood; not of a generalised model."""
    return model.reml


def is_lmm(model: FittedModel) -> bool:
    """Whether it is a linear mixed model."""
    return not model.is_generalised


def is_glmm(model: FittedModel) -> bool:
    """Whether it is a generalised linear mixed model."""
    return model.is_generalised


def is_nlmm(model: FittedModel) -> bool:
    """False: not a nonlinear one."""
    del model
    return False


def call(model: FittedModel) -> str:
    """The call that makes the fit, R's ``getCall``: `lmer`'s or statsmodels'."""
    if model.origin is not None:
        return model.origin.call
    design, options = model.design, model.design.options
    parts = [json.dumps(design.formula, ensure_ascii=False), "data"]
    parts += [] if model.solution.reml else ["reml=False"]
    given = set(options.columns) | (design.by_row - {"offset"})
    given |= {"offset"} if options.offset is not None else set()
    for name in ("weights", "freq_weights", "offset"):
        if name in given:
            column = options.columns.get(name)
            parts.append(f"{name}={name if column is None else json.dumps(column)}")
    if design.residual is not None:
        by = design.residual.columns
        parts.append(f"residual_by={json.dumps(by[0] if len(by) == 1 else list(by))}")
    parts += [f"contrasts={dict(options.contrasts)}"] if options.contrasts else []
    parts += [] if options.missing == "drop" else [f"missing={json.dumps(options.missing)}"]
    parts += [] if options.sigma is None else [f"sigma={options.sigma!r}"]
    prior = options.cov_prior
    parts += [f"cov_prior={as_code(prior)}"] if prior is not None else []
    return f"lmer({', '.join(parts)})"

"""A model of ours as a statsmodels `MixedLMResults`, where statsmodels can express it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

from merextras.engine.elimination.plan import nested_in
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array, IntArray
from merextras.model.columns.fixed import FormulaPart
from merextras.model.design.design import Design, Term
from merextras.model.formula.names import in_code
from merextras.model.state.fitted import FittedModel, is_singular
from merextras.model.state.one_sigma import require_one_sigma
from merextras.model.state.penalised import refuse_penalised

# statsmodels keeps variance components as dense matrices, rows by levels.
_LARGEST = 2e8


def to_statsmodels(model: FittedModel) -> Any:
    """The same fit as a statsmodels `MixedLMResults`, to go on with statsmodels.

    statsmodels fits the model from our optimum (its `start_params`) and stays there to within its
    own convergence criterion. The terms on one factor become `exog_re` (with `free=` where they are
    independent), scalar terms nested in it variance components; crossed scalar terms become
    variance components of one constant group.

    Returns
    -------
    MixedLMResults

    Raises
    ------
    UnsupportedModelError
        What statsmodels has not: weights or an offset, vector-valued terms on several factors, a
        singular covariance, more than 2e8 numbers in its dense matrices. The message says which.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> fit = m.to_statsmodels()
    >>> bool(abs(fit.llf - m.log_lik()) < 1e-6)
    True
    """
    design = model.design
    _check_expressible(model)
    top = _top_factor(design)
    codes = np.zeros(design.n, dtype=np.intp) if top is None else design.terms[top[0]].rows.codes
    groups = np.zeros(design.n) if top is None else _labels(design.terms[top[0]])
    inner = [t for t in range(len(design.terms)) if top is None or t not in top]
    known = () if top is None else design.terms[top[0]].columns
    spec = _components(design, inner, codes, known)
    rhs = design.fixed.right_side
    makes, order = _makes(design, rhs)
    own = top or []
    made = MixedLM(
        pd.Series(design.y, index=design.index, name=design.response),
        pd.DataFrame(design.x, index=design.index, columns=list(design.fixed.names)).iloc[:, order],
        pd.Series(
            groups, index=design.index, name=None if top is None else design.terms[top[0]].factor
        ),
        exog_re=_random_columns(design, own),
        exog_vc=spec,
    )
    _give_formula(made, design, rhs, makes)
    params, free = _parameters(model, own, inner, order)
    return made.fit(start_params=params, reml=model.solution.reml, free=free)


def _give_formula(made: MixedLM, design: Design, rhs: str | None, makes: Any) -> None:
    """Let the model know its formula and what makes X, so that it predicts from a data frame.

    Without, statsmodels would multiply the columns of a frame by the coefficients in their order;
    where nothing makes X (None) it raises.
    """
    if rhs is None:  # it was made from arrays
        return
    is_column = design.response in design.frame.columns
    made.formula = f"{in_code(design.response) if is_column else design.response} ~ {rhs}"
    made.data.frame = design.frame
    made.data.model_spec = made.data.design_info = makes


def _makes(design: Design, rhs: str | None) -> tuple[Any, list[int]]:
    """What makes X in statsmodels' own formula engine, and our columns in its order.

    The first is None where nothing there makes the columns that are left.
    """
    every = list(range(design.x.shape[1]))
    if rhs is None:
        return None, every
    engine = _engine()
    try:
        whole = FormulaPart.from_formula(rhs, design.frame, scope=design.options.scope.by(engine))
    except InvalidArgumentError:
        return None, every
    x = whole.matrix(design.frame)
    order = [_place(column, design.x) for column in x.T]
    terms = [
        term
        for term, own in whole.spec.term_slices.items()
        if own.start == own.stop or all(at is not None for at in order[own])
    ]
    found = [at for at in order if at is not None]
    makes = whole.spec
    if len(terms) < len(whole.spec.term_slices):
        makes = whole.spec.subset(terms if engine == "patsy" else [str(t) for t in terms])
    if sorted(found) != every or len(makes.column_names) != len(every):
        return None, every
    return makes, found


def _place(column: Array, x: Array) -> int | None:
    """Which column of X it is."""
    same = np.flatnonzero(np.all(np.isclose(x, column[:, None], rtol=1e-12, atol=0.0), axis=0))
    return int(same[0]) if len(same) else None


def _engine() -> str:
    """The formula engine that statsmodels uses; patsy before it had a choice."""
    try:
        from statsmodels.formula._manager import FormulaManager  # noqa: PLC0415 (from 0.15 on)
    except ImportError:
        return "patsy"
    return str(FormulaManager().engine)


def _check_expressible(model: FittedModel) -> None:
    design = model.design
    if model.has_known_sigma:
        raise UnsupportedModelError(
            "statsmodels' MixedLM estimates the residual variance; this model has a known one"
        )
    require_one_sigma(model, "to_statsmodels", "statsmodels' MixedLM has one")
    refuse_penalised("to_statsmodels", model)
    if design.weights is not None or design.frequencies is not None:
        raise UnsupportedModelError("statsmodels' MixedLM has no weights")
    if design.offset is not None:
        raise UnsupportedModelError(
            "statsmodels' MixedLM has no offset; subtract it from the response and fit that"
        )
    if is_singular(model):
        raise UnsupportedModelError(
            "the fit is singular, and statsmodels can't evaluate a singular covariance; drop the "
            "random effects that have no variance (see var_corr())"
        )


def _labels(term: Term) -> Array:
    return np.asarray(term.levels, dtype=object)[term.rows.codes]


def _top_factor(design: Design) -> list[int] | None:
    """Terms on the factor that all others nest in; None for crossed scalar terms."""
    for factor in reversed(design.factors):
        own = design.terms_of(factor)
        codes = design.terms[own[0]].rows.codes
        others = [t for t in range(len(design.terms)) if t not in own]
        if all(nested_in(design.terms[t].rows.codes, codes) for t in others):
            _check_scalar(design, others)
            return own
    _check_scalar(design, list(range(len(design.terms))))
    return None


def _check_scalar(design: Design, terms: list[int]) -> None:
    size = sum(design.n * len(design.terms[t].levels) for t in terms)
    for t in terms:
        if design.terms[t].k > 1:
            raise UnsupportedModelError(
                f"({' + '.join(design.terms[t].names)} | {design.terms[t].factor}): statsmodels "
                "has correlated effects on its top-level groups only"
            )
    if size > _LARGEST:
        raise UnsupportedModelError(
            f"statsmodels would need dense matrices of {size:.2g} numbers for "
            f"{', '.join(design.terms[t].factor for t in terms)}"
        )


def _random_columns(design: Design, own: list[int]) -> pd.DataFrame | None:
    if not own:
        return None
    names = [name for t in own for name in design.terms[t].names]
    values = np.hstack([design.terms[t].rows.values for t in own])
    return pd.DataFrame(values, index=design.index, columns=names)


def _components(
    design: Design, terms: list[int], codes: IntArray, known: tuple[str, ...]
) -> VCSpec | None:
    """Indicator columns of each term's levels, times its covariate, group by group.

    Columns are named as a formula would name them, ``C(class)[a]``, without the group's own.
    """
    if not terms:
        return None
    rows = [np.flatnonzero(codes == group) for group in range(int(codes.max()) + 1)]
    names, colnames, mats = [], [], []
    for t in terms:
        term = design.terms[t]
        names.append(f"{term.names[0]}|{term.factor}")
        labels = _column_labels(design, term, known)
        found = [_indicators(term, labels, own) for own in rows]
        colnames.append([columns for columns, _ in found])
        mats.append([mat for _, mat in found])
    return VCSpec(names, colnames, mats)


def _column_labels(design: Design, term: Term, known: tuple[str, ...]) -> Array:
    """Names of the term's columns, by level."""
    own = [column for column in term.columns if column not in known] or list(term.columns)
    first = np.unique(term.rows.codes, return_index=True)[1]
    parts = [
        np.array(
            [f"C({column})[{value}]" for value in design.frame[column].iloc[first]], dtype=object
        )
        for column in own
    ]
    if term.names != ("Intercept",):
        parts.append(np.full(len(first), term.names[0], dtype=object))
    return np.array([":".join(pieces) for pieces in zip(*parts, strict=True)], dtype=object)


def _indicators(term: Term, labels: Array, rows: IntArray) -> tuple[list[str], Array]:
    present, place = np.unique(term.rows.codes[rows], return_inverse=True)
    mat = np.zeros((len(rows), len(present)))
    mat[np.arange(len(rows)), place.reshape(-1)] = term.rows.values[rows, 0]
    return [str(label) for label in labels[present]], mat


def _free(term: Term) -> Array:
    """Which elements of a term's covariance are free, statsmodels' ``free=``."""
    rows, cols, places = term.structure.elements
    if places is None or len(set(places.tolist())) < len(places):
        raise UnsupportedModelError(
            f"{term.label}: statsmodels has free covariances and none; effects that share a "
            "standard deviation or a correlation can't be represented"
        )
    root = np.zeros((term.k, term.k))
    root[rows, cols] = 1.0
    return np.asarray(root @ root.T > 0.0, dtype=float)


def _parameters(
    model: FittedModel, own: list[int], inner: list[int], order: list[int]
) -> tuple[MixedLMParams, MixedLMParams | None]:
    """Our estimate in statsmodels' parameters, and the pattern of the free ones."""
    relative = [lam @ lam.T for lam in model.solution.lams]
    sizes = [model.design.terms[t].k for t in own]
    cov, free = np.zeros((sum(sizes), sum(sizes))), np.zeros((sum(sizes), sum(sizes)))
    at = 0
    for t, k in zip(own, sizes, strict=True):
        cov[at : at + k, at : at + k] = relative[t]
        free[at : at + k, at : at + k] = _free(model.design.terms[t])
        at += k
    vcomp = np.array([relative[t][0, 0] for t in inner])
    beta = model.solution.beta[order]
    params = MixedLMParams.from_components(fe_params=beta, cov_re=cov, vcomp=vcomp)
    if np.all(free == 1.0):
        return params, None
    ones = MixedLMParams.from_components(np.ones_like(beta), free, vcomp=np.ones_like(vcomp))
    return params, ones

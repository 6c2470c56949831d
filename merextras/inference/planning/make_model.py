"""A model from assumed parameters, lme4's ``simulate`` from a formula and simr's ``makeLmer``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse import linalg as spla

from merextras._checks import check_flag, one_of
from merextras._typing import Array
from merextras.exceptions import InvalidArgumentError
from merextras.inference.variance_tests.variance_hypothesis import label_of
from merextras.model.columns.fixed import Scope
from merextras.model.design.build import build_design
from merextras.model.design.design import Design, RowDesign
from merextras.model.design.options import Options, callers_names
from merextras.model.design.rank import full_rank
from merextras.model.design.sanity import check_design
from merextras.model.formula.parse import parse
from merextras.model.formula.translate import names_in, unquoted
from merextras.model.frame.read import as_pandas
from merextras.model.state.fitted import Fit, FittedModel, fit_at
from merextras.model.state.one_sigma import require_one_sigma
from merextras.model.statsmodels.mixedlm import as_fitted

__all__ = ["make_model"]

# What may be left of the response in the span of X and Z, relative to sigma.
_LEFT = 1e-7


def make_model(
    formula: Any,
    data: Any = None,
    *,
    fixef: Any = None,
    var_corr: Mapping[str, Any] | None = None,
    sigma: float | None = None,
    reml: bool | None = None,
    weights: Any = None,
    offset: Any = None,
    contrasts: Mapping[str, str] | None = None,
) -> FittedModel:
    """A model with given parameters instead of estimates, simr's ``makeLmer``.

    Parameters
    ----------
    formula : str, MerMod or MixedLMResults
        lme4's formula; or a model whose formula, data and parameters are taken where the other
        arguments give none.
    data : DataFrame, optional
        The design: predictors and groups. The response may be missing, as a column or in rows; its
        values are not used. Needed with a formula.
    fixef : sequence or mapping
        Fixed effects: p numbers in the order of the columns, or by name. Of a model the mapping
        may have some names only, and the others stay.
    var_corr : mapping
        By term (``"(1 + x | g)"``) or by factor if it has one term: the standard deviation of a
        term with one effect, k standard deviations of uncorrelated effects, or a (k, k) covariance
        matrix. Of a model it may have some terms only.
    sigma : float
        Residual standard deviation (at weight one).
    reml : bool, optional
        The criterion by which refits are made; the model's own, or REML.
    weights, offset, contrasts : as `lmer`
        With a formula; of a model they are those of its columns.

    Returns
    -------
    MerMod
        For `power`, `power_curve`, ``simulate``, ``predict``, `what_if`, `bootstrap`: what depends
        on the parameters and the design.

    Raises
    ------
    InvalidArgumentError
        Parameters of another number, unknown names or terms, a matrix that is no covariance, a
        sigma that is not positive, a design with no more rows than effects; errors of `lmer` about
        formula and data.
    NoRowsError
        A model that was fitted from chunks, without other data.

    See Also
    --------
    merextras.extend : More groups, or more rows in each.
    merextras.power : What the study can find.

    Notes
    -----
    R: ``simr::makeLmer(formula, fixef, VarCorr, sigma, data)``. The model stands at the given
    parameters exactly, with random effects whose conditional modes are zero: nothing is known of
    any group. For that it has a made-up response, ``X beta`` plus residuals that neither X nor Z
    explain. What asks how well *data* agree with a model (likelihoods, residuals, profiles,
    influence, p-values of its estimates) asks it of that response and means nothing here: `refit`
    it to a simulated one first.

    Examples
    --------
    A trial in 20 schools of 15 students, half of them treated; an effect of 0.4 standard
    deviations of a student:

    >>> import numpy as np, pandas as pd, merextras as mx
    >>> school = np.repeat(np.arange(20), 15)
    >>> plan = pd.DataFrame({"school": school, "treated": (school % 2).astype(float)})
    >>> m = mx.make_model(
    ...     "score ~ treated + (1 | school)", plan,
    ...     fixef={"Intercept": 0, "treated": 0.4}, var_corr={"school": 0.3}, sigma=1,
    ... )
    >>> m.fixef().round(6).to_dict(), round(m.sigma(), 6)
    ({'Intercept': 0.0, 'treated': 0.4}, 1.0)
    >>> m.simulate(n_sims=2, rng=1).shape
    (300, 2)
    """
    if reml is not None:
        reml = check_flag(reml, "reml")
    if isinstance(formula, str):
        if data is None or fixef is None or var_corr is None or sigma is None:
            raise InvalidArgumentError(
                "make_model: a formula needs data=, fixef=, var_corr= and sigma=; a fitted model "
                "in its place has them"
            )
        options = Options(contrasts=dict(contrasts or {}), scope=Scope(callers_names(1)))
        frame = _with_response(formula, as_pandas(data))
        design = _design(formula, frame, options.with_rows(frame, weights=weights, offset=offset))
        old = None
    else:
        if any(given is not None for given in (weights, offset, contrasts)):
            raise InvalidArgumentError(
                "make_model: weights, offset and contrasts are those of the model; give a formula "
                "to change them"
            )
        old = as_fitted(formula)
        require_one_sigma(
            old, "make_model", "a model is made with one of given size", "give it a formula"
        )
        design = _design_of(old, data)
    beta = _fixed_effects(design, fixef, old)
    scale = _sigma(sigma, old)
    if old is not None and old.has_known_sigma and scale != old.design.options.sigma:
        raise InvalidArgumentError(
            f"sigma={sigma!r}: the model has a known residual standard deviation, "
            f"{old.design.options.sigma:g}; fit it with another sigma= to change that"
        )
    gs = _covariances(design, var_corr, old)
    reml = (True if old is None else old.solution.reml) if reml is None else reml
    fit = made_fit(design, beta, gs, scale, reml=reml)
    return FittedModel.adapter._of(fit)


def with_data(model: FittedModel, data: pd.DataFrame) -> FittedModel:
    """The model with its parameters on other data, see `make_model`."""
    gs = list(model.covariances)
    design = _design_of(model, data)
    beta = _fixed_effects(design, None, model)
    scale = float(np.sqrt(model.solution.sigma2))
    return model._like(made_fit(design, beta, gs, scale, reml=model.solution.reml))


def made_fit(
    design: RowDesign, beta: Array, gs: Sequence[Array], sigma: float, *, reml: bool
) -> Fit:
    """The fit that has these estimates, with a response of which they are the estimates."""
    theta = design.covariances.natural_of([g / sigma**2 for g in gs])
    mean = design.x @ beta + (0.0 if design.offset is None else design.offset)
    if design.options.sigma is not None:  # nothing is to be estimated from residuals
        frame = design.frame.assign(**{design.response: mean})
        return fit_at(replace(design, y=mean, frame=frame), theta, reml=reml)
    rest = _unexplained(design)
    first = fit_at(replace(design, y=mean + rest), theta, reml=reml)
    scale = sigma / np.sqrt(first.solution.sigma2)
    y = mean + scale * rest
    frame = design.frame.assign(**{design.response: y})
    return fit_at(replace(design, y=y, frame=frame), theta, reml=reml)


def _unexplained(design: Design) -> Array:
    """Residuals with nothing in the span of X and Z, (n,), for their weights.

    Raises
    ------
    InvalidArgumentError
        There are none: as many effects as rows.
    """
    w = np.ones(design.n) if design.precision is None else design.precision
    root = np.sqrt(w)
    columns = sp.csr_array(sp.hstack([sp.csr_array(design.x), design.z()], format="csr"))
    columns = sp.csr_array(columns.multiply(root[:, None]))
    size = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0)).reshape(-1))
    scaled = sp.csr_array(columns @ sp.diags_array(1.0 / np.where(size > 0.0, size, 1.0)))
    rest = np.where(w > 0.0, np.random.default_rng(0).standard_normal(design.n), 0.0)
    for _ in range(3):
        rest = rest - scaled @ spla.lsmr(scaled, rest, atol=1e-15, btol=1e-15, maxiter=5000)[0]
        norm = np.linalg.norm(rest) / np.sqrt(np.sum(w > 0.0))
        if norm < _LEFT:
            raise InvalidArgumentError(
                "make_model: the design has as many fixed and random effects as rows, so that "
                "residuals can't be told from effects; give it more rows in each group, or take "
                "effects out"
            )
        rest = rest / norm
    return np.asarray(np.where(w > 0.0, rest / np.where(w > 0.0, root, 1.0), 0.0))


def _design(formula: str, frame: pd.DataFrame, options: Options) -> RowDesign:
    design, _ = build_design(formula, frame, options)
    design = full_rank(design, "warn", stacklevel=4)
    # The response's own values are not used, so that nothing is asked of them.
    design = replace(design, y=np.random.default_rng(0).standard_normal(design.n))
    check_design(design, design.cross_products().n, stacklevel=4)
    return design


def _design_of(model: FittedModel, data: Any) -> RowDesign:
    """The model's design, on other data if there are some."""
    if data is None:
        return model.design.require_rows("make_model", "the study has rows; give data=")
    frame = _with_response(model.design.formula, as_pandas(data))
    options = model.design.options.for_data(frame)
    return _design(model.design.formula, frame, options)


def _with_response(formula: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with some value of the response in every row."""
    response = unquoted(parse(formula).response)
    if response in frame.columns:
        if not frame[response].isna().any():
            return frame
        return frame.assign(**{response: frame[response].astype(float).fillna(0.0)})
    used = [c for c in frame.columns if c in names_in(parse(formula).response)]
    if used:
        return frame
    if not response.replace("_", "a").replace(".", "a").isalnum():
        raise InvalidArgumentError(
            f"formula={formula!r}: the data lack the variables of the response {response!r}; "
            "without them write a plain name left of the '~'"
        )
    return frame.assign(**{response: 0.0})


def _sigma(sigma: object, old: FittedModel | None) -> float:
    if sigma is None:
        assert old is not None
        return float(np.sqrt(old.solution.sigma2))
    is_number = isinstance(sigma, (int, float, np.number)) and not isinstance(sigma, bool)
    if not is_number or not 0.0 < float(sigma) < np.inf:  # type: ignore[arg-type]
        raise InvalidArgumentError(f"sigma={sigma!r}: a standard deviation, a positive number")
    return float(sigma)  # type: ignore[arg-type]


def _fixed_effects(design: Design, given: Any, old: FittedModel | None) -> Array:
    names = list(design.fixed.names)
    known: dict[str, float] = {}
    if old is not None:
        known = dict(zip(old.design.fixed.names, old.solution.beta.tolist(), strict=True))
    if given is None or isinstance(given, (Mapping, pd.Series)):
        known |= _by_name(dict(given) if given is not None else {}, names)
        missing = [name for name in names if name not in known]
        if missing:
            raise InvalidArgumentError(
                f"fixef: the design has the fixed effects {names}; there is no value for {missing}"
            )
        lost = [name for name in known if name not in names]
        if lost:
            raise InvalidArgumentError(
                f"data: the fixed effects {lost} of the model can't be made from them: they are "
                "not columns of the new design, or others determine them"
            )
        return np.array([known[name] for name in names], dtype=float)
    try:
        beta = np.array(given, dtype=float)
    except (TypeError, ValueError):
        beta = np.empty(0)
    if beta.shape != (len(names),) or not np.all(np.isfinite(beta)):
        raise InvalidArgumentError(
            f"fixef: expected {len(names)} finite numbers, one for each of {names}, or a mapping "
            f"of names to numbers; got {given!r}"
        )
    return beta


def _by_name(given: Mapping[Any, Any], names: list[str]) -> dict[str, float]:
    out = {}
    for name, value in given.items():
        if name not in names:
            raise InvalidArgumentError(f"fixef: {name!r} is no fixed effect; {one_of(name, names)}")
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not is_number or not np.isfinite(value):
            raise InvalidArgumentError(f"fixef: {name!r} is {value!r}, not a finite number")
        out[str(name)] = float(value)
    return out


def _covariances(
    design: Design, given: Mapping[str, Any] | None, old: FittedModel | None
) -> list[Array]:
    """The covariance matrix of each term."""
    if given is not None and not isinstance(given, Mapping):
        raise InvalidArgumentError(
            f'var_corr={given!r}: expected a mapping such as {{"school": 0.5}} of terms to '
            "standard deviations or covariance matrices"
        )
    labels = [label_of(term) for term in design.terms]
    keys = {label.replace(" ", ""): t for t, label in enumerate(labels)}
    for factor in design.factors:
        if len(found := design.terms_of(factor)) == 1:
            keys.setdefault(factor.replace(" ", ""), found[0])
    out: dict[int, Array] = {} if old is None else dict(enumerate(old.covariances))
    for key, value in (given or {}).items():
        t = keys.get(key.replace(" ", "")) if isinstance(key, str) else None
        if t is None:
            raise InvalidArgumentError(
                f"var_corr: {key!r} is no term of the model; {one_of(key, labels)}"
            )
        out[t] = _covariance(value, design.terms[t].names, labels[t])
    missing = [label for t, label in enumerate(labels) if t not in out]
    if missing:
        raise InvalidArgumentError(f"var_corr: there is no value for {missing}")
    return [out[t] for t in range(len(labels))]


def _covariance(value: Any, names: tuple[str, ...], label: str) -> Array:
    k = len(names)
    try:
        found = np.array(value, dtype=float)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape == () and k == 1:
        found = found.reshape(1)
    if found.shape == (k,) and np.all(found >= 0.0) and np.all(np.isfinite(found)):
        return np.diag(found**2)
    if found.shape != (k, k) or not np.all(np.isfinite(found)):
        raise InvalidArgumentError(
            f"var_corr: {label} needs {k} standard deviation(s), not negative, or a ({k}, {k}) "
            f"covariance matrix of {list(names)}; got {value!r}"
        )
    size = np.sqrt(np.abs(np.diag(found)))
    unit = np.outer(*[np.where(size > 0.0, size, 1.0)] * 2)
    values = np.linalg.eigvalsh(0.5 * (found + found.T) / unit)
    if np.any(np.abs(found - found.T) > 1e-8 * unit) or np.any(values < -1e-8):
        raise InvalidArgumentError(
            f"var_corr: the matrix of {label} is no covariance: it must be symmetric, without "
            f"negative eigenvalues (correlations within -1 to 1); got {value!r}"
        )
    return np.asarray(0.5 * (found + found.T))

"""A model from assumed parameters, lme4's ``simulate`` from a formula and simr's ``makeLmer``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.sparse import linalg as spla

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_flag
from merextras.inference.planning.assumed import covariances_of, fixed_effects, with_response
from merextras.inference.planning.made_generalised import made_from_formula, made_from_model
from merextras.model.columns.fixed import Scope
from merextras.model.design.build import build_design
from merextras.model.design.design import Design, RowDesign
from merextras.model.design.rank import full_rank
from merextras.model.design.sanity import check_design
from merextras.model.frame.read import as_pandas
from merextras.model.generalised.families import read_family
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.settings.options import Options, callers_names
from merextras.model.state.fitted import Fit, FittedModel
from merextras.model.state.fitting import fit_at
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
    family: object = None,
    dispersion: float | None = None,
) -> FittedModel:
    """A model with given parameters instead of estimates, simr's ``makeLmer``.

    Parameters
    ----------
    formula : str, MerMod or MixedLMResults
        lme4's formula; or a model (of `glmer`, too) whose formula, data and parameters are taken
        where the other arguments give none.
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
    family : as of `glmer`, optional
        With a formula: a generalised model, of a family without a dispersion to estimate. A
        binomial response has one trial in each row, `weights` of them, or is
        ``cbind(successes, failures)`` of columns whose sum is their number.
    dispersion : float, optional
        The size of a negative binomial.

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
    it to a simulated one first. Of a generalised model it is the mean given random effects of zero,
    no whole numbers, and the information there is not that of an optimum: `simulate`, `power`,
    `predict` without standard errors and `refit` are what such a model is for.

    Examples
    --------
    A trial in 20 schools of 15 students, half of them treated; an effect of 0.4 standard
    deviations of a student:

    >>> import numpy as np, pandas as pd, merextras as mx
    >>> school = np.repeat(np.arange(20), 15)
    >>> plan = pd.DataFrame({"school": school, "treated": (school % 2).astype(float)})
    >>> m = mx.make_model(
    ...     "score ~ treated + (1 | school)", plan,
    ...     fixef={"Intercept": 50, "treated": 0.4}, var_corr={"school": 0.3}, sigma=1,
    ... )
    >>> m.fixef().round(6).to_dict(), round(m.sigma(), 6)
    ({'Intercept': 50.0, 'treated': 0.4}, 1.0)
    >>> m.simulate(n_sims=2, rng=1).shape
    (300, 2)
    """
    if family is not None or isinstance(formula, FittedGlmm):
        by_row = {"weights": weights, "offset": offset}
        _refuse_linear(sigma=sigma, reml=reml)
        if isinstance(formula, FittedGlmm):
            _refuse_beside(**by_row, contrasts=contrasts, family=family, dispersion=dispersion)
            return made_from_model(formula, data, fixef, var_corr)
        if not isinstance(formula, str) or data is None or fixef is None or var_corr is None:
            raise InvalidArgumentError(
                "make_model: with family= give a formula, data=, fixef= and var_corr="
            )
        choice = read_family(family, dispersion)
        options = Options(contrasts=dict(contrasts or {}), scope=Scope(callers_names(1)))
        return made_from_formula(
            formula, data, choice, options, by_row=by_row, fixef=fixef, var_corr=var_corr
        )
    if dispersion is not None:
        raise InvalidArgumentError("dispersion: is for family='negative_binomial'; see sigma=")
    if reml is not None:
        reml = check_flag(reml, "reml")
    if isinstance(formula, str):
        if data is None or fixef is None or var_corr is None or sigma is None:
            raise InvalidArgumentError(
                "make_model: a formula needs data=, fixef=, var_corr= and sigma=; a fitted model "
                "in its place has them"
            )
        options = Options(contrasts=dict(contrasts or {}), scope=Scope(callers_names(1)))
        frame = with_response(formula, as_pandas(data))
        design = _design(formula, frame, options.with_rows(frame, weights=weights, offset=offset))
        old = None
    else:
        _refuse_beside(weights=weights, offset=offset, contrasts=contrasts)
        old = as_fitted(formula)
        require_one_sigma(
            old, "make_model", "a model is made with one of given size", "give it a formula"
        )
        design = _design_of(old, data)
    beta = fixed_effects(design, fixef, old)
    scale = _sigma(sigma, old)
    gs = covariances_of(design, var_corr, old)
    reml = (True if old is None else old.reml) if reml is None else reml
    return FittedModel.adapter._of(made_fit(design, beta, gs, scale, reml=reml))


def _refuse_linear(**given: Any) -> None:
    """Refuse what only a linear model has."""
    if any(value is not None for value in given.values()):
        raise InvalidArgumentError(
            "make_model: sigma= and reml= are of linear models; a generalised model has its "
            "family's variance and is fitted by maximum likelihood"
        )


def _refuse_beside(**given: Any) -> None:
    """Refuse what a model that is given in the formula's place has."""
    if any(value is not None for value in given.values()):
        raise InvalidArgumentError(
            "make_model: weights, offset and contrasts are those of the model, and so is the "
            "family; give a formula to change them"
        )


def with_data(model: FittedModel, data: pd.DataFrame) -> FittedModel:
    """The model with its parameters on other data, see `make_model`."""
    if isinstance(model, FittedGlmm):
        return made_from_model(model, data, None, None)
    gs = list(model.covariances)
    design = _design_of(model, data)
    beta = fixed_effects(design, None, model)
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
    frame = with_response(model.design.formula, as_pandas(data))
    options = model.design.options.for_data(frame)
    return _design(model.design.formula, frame, options)


def _sigma(sigma: object, old: FittedModel | None) -> float:
    if sigma is None:
        assert old is not None
        return float(np.sqrt(old.solution.sigma2))
    is_number = isinstance(sigma, (int, float, np.number)) and not isinstance(sigma, bool)
    if not is_number or not 0.0 < float(sigma) < np.inf:  # type: ignore[arg-type]
        raise InvalidArgumentError(f"sigma={sigma!r}: a standard deviation, a positive number")
    known = None if old is None else old.design.options.sigma
    if known is not None and float(sigma) != known:  # type: ignore[arg-type]
        raise InvalidArgumentError(
            f"sigma={sigma!r}: the model has a known residual standard deviation, "
            f"{known:g}; fit it with another sigma= to change that"
        )
    return float(sigma)  # type: ignore[arg-type]

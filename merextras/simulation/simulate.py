"""New responses from a fitted model, lme4's ``simulate``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, Rng
from merextras.foundation.arguments import check_count
from merextras.foundation.rng import as_generator
from merextras.model.columns.levels import labels_of
from merextras.model.design.design import Term
from merextras.model.design.offset import offset_of
from merextras.model.design.user_rows import in_user_rows
from merextras.model.fit.response_draws import (
    ResponseModel,
    check_rows,
    own_response_model,
    residual_sd,
    scaled_effects,
)
from merextras.model.newdata.re_form import kept_effects
from merextras.model.newdata.rows import new_rows, read_new
from merextras.model.state.fitted import FittedModel


def simulate(
    model: FittedModel,
    n_sims: int = 1,
    *,
    use_u: bool = False,
    newdata: Any = None,
    re_form: str | float | None = None,
    allow_new_levels: bool = False,
    rng: Rng = None,
) -> pd.DataFrame:
    r"""Draw new responses from the model, lme4's ``simulate``.

    .. math:: y^* = X\hat\beta + Z b^* + e^*, \quad b^* \sim N(0, \hat\sigma^2 \Lambda\Lambda'),
       \quad e^*_i \sim N(0, \hat\sigma^2 / w_i),

    at the estimates (Bates et al. 2015 [1]_, eq. 2-4); the parameters' own uncertainty is not in
    it (`sim` draws parameters).

    Parameters
    ----------
    n_sims : int, default 1
        Number of responses.
    use_u : bool, default False
        False: new random effects for every response. True: all at their conditional modes, so that
        only the residuals are new.
    newdata : DataFrame (pandas or polars), optional
        By default the rows of the fit. Their precision weights are taken to be one; offsets that
        the formula names are read from `newdata`.
    re_form : None, "NA" or a formula, optional
        Which terms stay at their modes, as in `predict`: ``"~ (1 | school)"`` keeps the schools and
        draws the others anew. ``"NA"``, the default, keeps none; for all, say ``use_u=True``.
    allow_new_levels : bool, default False
        Whether `newdata` may have levels that the model has not seen. Each gets its own effect,
        drawn from the normal distribution, also when the known ones are at their modes.
    rng : int, numpy.random.Generator or None
        Each response has a generator of its own (``Generator.spawn``): of 1000 responses the
        first ten are those of ``n_sims=10``.

    Returns
    -------
    DataFrame
        Columns ``sim_1 sim_2 ...`` under the index of the data (after ``missing="keep"`` all of
        their rows, NaN in those that miss a value). A column is a response that
        `refit` takes. A row of weight zero, which is not an observation, has its expectation; a row
        of `newdata` with a missing predictor is NaN.

    Raises
    ------
    InvalidArgumentError
        `n_sims` or `rng`; a missing column or unseen level in `newdata`; `re_form` together with
        ``use_u=True``, or one that keeps part of a term.
    UnsupportedModelError
        The model has frequency weights, whose rows stand for several observations.

    See Also
    --------
    merextras.bootstrap : Refits to such responses, without the rows in between.
    merextras.sim : Draws of the parameters.

    Notes
    -----
    R: ``simulate(m, nsim, use.u, re.form, newdata, allow.new.levels, seed)``. lme4 leaves the
    effects of new levels at zero; here they are drawn, as the model has it. Cost: n_sims times
    (rows + random effects) normal numbers, and 8 bytes a number of the result.

    References
    ----------
    .. [1] Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear mixed-effects
       models using lme4. J. Stat. Softw. 67(1).

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> new = m.simulate(3, rng=1)
    >>> new.shape, list(new)
    ((180, 3), ['sim_1', 'sim_2', 'sim_3'])
    >>> m.refit(new["sim_1"]).is_singular()
    False
    """
    n_sims, generators = check_count(n_sims, "n_sims"), as_generator(rng).spawn(n_sims)
    kept = kept_terms(model, use_u, re_form)
    newdata = None if newdata is None else read_new(model.design, newdata)
    response_model = _response_model(model, kept, newdata, allow_new_levels)
    index = model.design.index if newdata is None else newdata.index
    names = [f"sim_{i + 1}" for i in range(n_sims)]
    made = pd.DataFrame(
        response_model.draw_each(generators).T, index=index, columns=names, copy=False
    )
    return made if newdata is not None else in_user_rows(made, model.design.user_rows)


def kept_terms(model: FittedModel, use_u: bool, re_form: str | float | None) -> set[int]:
    """Find the terms that stay at their modes."""
    if use_u:
        if re_form is not None:
            raise InvalidArgumentError(
                "re_form: use_u=True keeps all random effects; give one or the other"
            )
        return set(range(len(model.design.terms)))
    if re_form is None:
        return set()
    kept = kept_effects(model.design, re_form)
    for t, mask in kept.items():
        term = model.design.terms[t]
        if not np.all(mask):
            raise InvalidArgumentError(
                f"re_form={re_form!r}: keeps some effects of ({' + '.join(term.names)} | "
                f"{term.factor}), which are drawn together; keep the whole term or none of it"
            )
    return set(kept)


def _response_model(
    model: FittedModel, kept: set[int], newdata: pd.DataFrame | None, allow_new_levels: bool
) -> ResponseModel:
    if newdata is None:
        return _own_rows(model, kept)
    check_rows(model)
    unknown = "zero" if allow_new_levels else "error"
    rows = new_rows(model, newdata, unknown=unknown)
    solution, sigma = model.solution, np.sqrt(model.solution.sigma2)
    mean = rows.x @ solution.beta
    offset = offset_of(model.design, newdata)
    if offset is not None:
        mean = mean + offset
    effects = []
    modes, z = rows.effects(solution.b), rows.z
    for t, term in enumerate(model.design.terms):
        if t in kept:
            mean = mean + modes[t]
        else:
            lam = sigma * solution.lams[t]
            effects.append(scaled_effects(z[t], lam, len(term.levels)))
        if np.any(rows.codes[t] < 0):
            new = _new_levels(term, newdata, rows.codes[t] < 0, rows.values[t])
            lam = sigma * solution.lams[t]
            effects.append(scaled_effects(new, lam, new.shape[1] // term.k))
    groups = model.design.residual
    noise = sigma if groups is None else sigma / np.sqrt(groups.of_data(newdata))
    return ResponseModel(mean, tuple(effects), np.broadcast_to(noise, len(mean)))


def _own_rows(model: FittedModel, kept: set[int]) -> ResponseModel:
    terms = model.design.terms
    if len(kept) in {0, len(terms)}:
        return own_response_model(model, use_u=bool(kept))
    drawn = own_response_model(model)
    mean = drawn.mean
    for t in kept:
        rows = terms[t].rows
        mean = mean + np.einsum("nk,nk->n", rows.values, model.solution.b[t][rows.codes])
    effects = tuple(part for t, part in enumerate(drawn.effects) if t not in kept)
    return ResponseModel(mean, effects, residual_sd(model))


def _new_levels(term: Term, data: pd.DataFrame, new: BoolArray, values: Array) -> sp.csr_array:
    """Z of the levels that the model does not know, in the order in which they appear."""
    labels = labels_of(data, term.columns)[new]
    codes, levels = pd.factorize(labels, use_na_sentinel=False)
    rows, k = np.flatnonzero(new), term.k
    columns = codes[:, None] * k + np.arange(k)
    entries = (values[rows].reshape(-1), (np.repeat(rows, k), columns.reshape(-1)))
    return sp.csr_array(sp.coo_array(entries, shape=(len(data), len(levels) * k)))

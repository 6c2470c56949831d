"""New responses from a generalised model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from merextras.foundation.aliases import Array, IntArray, Rng
from merextras.foundation.arguments import check_count, check_flag
from merextras.foundation.rng import as_generator
from merextras.model.design.user_rows import in_user_rows
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.draws import effects_anew, of_means
from merextras.model.newdata.rows import NewRows, read_new
from merextras.model.newdata.target import target_rows
from merextras.model.newdata.trials import trials_of
from merextras.simulation.simulate import kept_terms


def simulate(
    model: FittedGlmm,
    n_sims: int = 1,
    *,
    use_u: bool = False,
    newdata: Any = None,
    re_form: str | float | None = None,
    allow_new_levels: bool = False,
    weights: Any = None,
    rng: Rng = None,
) -> pd.DataFrame:
    """Draw new responses from the model, lme4's ``simulate``.

    Random effects from their normal distribution, then responses from the family at the estimates,
    with the model's trials, offset and dispersion. The parameters' own uncertainty is not in it.

    Parameters
    ----------
    n_sims : int, default 1
        Number of responses.
    use_u : bool, default False
        False: new random effects for every response. True: all at their conditional modes.
    newdata : DataFrame (pandas or polars), optional
        Rows to simulate instead of those of the fit, with their predictors, grouping columns and
        offset.
    re_form : None, "NA" or a formula, optional
        Which terms stay at their modes, as in `predict`; ``"NA"``, the default, keeps none.
    allow_new_levels : bool, default False
        Whether `newdata` may have levels that the model has not seen. Each gets its own effect,
        drawn from the normal distribution, also when the known ones are at their modes.
    weights : number, (m,) array, Series or column name, optional
        Numbers of trials of a binomial response; by default the fit's, and of `newdata` one where
        all of the fit's are, else what its columns of the fit's formula or `weights` say.
    rng : int, numpy.random.Generator or None
        Each response has a generator of its own (``Generator.spawn``).

    Returns
    -------
    DataFrame
        Columns ``sim_1 sim_2 ...`` under the index of the data, in the form of the fit's response:
        0 and 1, truth values, labels, proportions, counts, numbers. Of ``cbind(successes,
        failures)`` there are two levels of columns, so that ``sims["sim_1"]`` is the frame of both.
        After ``missing="keep"`` by row of the data, NaN (or NA) in those that miss a value.
        Each is a response that `refit` takes. Rows of `newdata` with a missing predictor are NaN.

    Raises
    ------
    InvalidArgumentError
        `n_sims` or `rng`; `re_form` together with ``use_u=True``, or one that keeps part of a term;
        a missing column or unseen level in `newdata`; numbers of trials that are not known.

    Examples
    --------
    >>> import merextras as mx
    >>> cbpp = mx.load_dataset("cbpp")
    >>> m = mx.glmer("cbind(incidence, size - incidence) ~ C(period) + (1 | herd)", cbpp)
    >>> new = m.simulate(2, rng=1)
    >>> new["sim_1"].sum(axis=1).equals(cbpp["size"].astype(float))
    True
    >>> m.refit(new["sim_1"]).is_glmm()
    True
    >>> m.simulate(2, newdata=cbpp.head(3)[["period", "herd"]], weights=10, rng=1).shape
    (3, 4)
    """
    n_sims, generators = check_count(n_sims, "n_sims"), as_generator(rng).spawn(n_sims)
    kept = kept_terms(model, use_u, re_form)
    newdata = None if newdata is None else read_new(model.design, newdata)
    unknown = "zero" if check_flag(allow_new_levels, "allow_new_levels") else "error"
    columns, index = _columns(model, newdata, kept, unknown, weights, generators)
    names = [f"sim_{i + 1}" for i in range(n_sims)]
    if model.response.form != "cbind":
        made = pd.DataFrame(dict(zip(names, columns, strict=True)), index=index)
        return in_user_rows(made, model.design.user_rows) if newdata is None else made
    parts = [str(label) for label in model.response.labels]
    pairs = pd.MultiIndex.from_product([names, parts])
    made = pd.DataFrame(np.column_stack([c for pair in columns for c in pair]), index, pairs)
    return in_user_rows(made, model.design.user_rows) if newdata is None else made


def _columns(
    model: FittedGlmm,
    newdata: pd.DataFrame | None,
    kept: set[int],
    unknown: str,
    weights: Any,
    generators: Sequence[np.random.Generator],
) -> tuple[list[Any], pd.Index]:
    """A response, or the pair of a ``cbind``, of each generator, and the rows' index."""
    every = {t: np.ones(term.k, dtype=bool) for t, term in enumerate(model.design.terms)}
    target = target_rows(model, newdata, kept=every, unknown=unknown)
    sizes, known = trials_of(model, newdata, weights), target.complete()
    sizes = None if sizes is None else sizes[known]
    response = replace(model.response, trials=sizes)
    rows, offset = target.rows.take(known), target.offset
    unseen = [numbers[known] for numbers in target.unseen]
    eta = rows.x @ model.fixed_estimates + (0.0 if offset is None else offset[known])
    out = []
    for generator in generators:
        drawn = eta + _effects(model, rows, unseen, kept, generator)
        y = of_means(model, model.engine_family.mean(drawn), sizes, generator)
        shown = response.shown(y)
        made = [_spread(part, known, len(target)) for part in _parts(shown)]
        out.append(made if isinstance(shown, list) else made[0])
    return out, target.index


def _parts(shown: Any) -> list[Any]:
    return shown if isinstance(shown, list) else [shown]


def _spread(values: Any, known: IntArray, m: int) -> Any:
    """The values in their places among m rows, NaN in the others."""
    if len(known) == m:
        return values
    is_number = values.dtype.kind == "f"
    out = np.full(m, np.nan, dtype=float if is_number else object)
    out[known] = values
    return out


def _effects(
    model: FittedGlmm,
    rows: NewRows,
    unseen: Sequence[IntArray],
    kept: set[int],
    generator: np.random.Generator,
) -> Array:
    """``Z b`` with the effects of `kept` terms at their modes and those of others drawn."""
    out = np.zeros(len(rows))
    for t, (codes, values) in enumerate(zip(rows.codes, rows.values, strict=True)):
        b = model.modes[t] if t in kept else effects_anew(model, t, generator)
        known = codes >= 0
        out[known] += np.einsum("mk,mk->m", values[known], b[codes[known]])
        new = unseen[t] >= 0
        if np.any(new):
            b = effects_anew(model, t, generator, int(unseen[t].max()) + 1)
            out[new] += np.einsum("mk,mk->m", values[new], b[unseen[t][new]])
    return out

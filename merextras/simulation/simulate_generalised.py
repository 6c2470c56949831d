"""New responses from a generalised model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from merextras._checks import check_count
from merextras._rng import as_generator
from merextras._typing import Rng
from merextras.exceptions import UnsupportedModelError
from merextras.model.design.user_rows import in_user_rows
from merextras.model.generalised.again import drawn
from merextras.model.generalised.fitted import FittedGlmm
from merextras.simulation.simulate import kept_terms


def simulate(
    model: FittedGlmm,
    n_sims: int = 1,
    *,
    use_u: bool = False,
    newdata: Any = None,
    re_form: str | float | None = None,
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
    newdata
        Not available yet: an error.
    re_form : None, "NA" or a formula, optional
        Which terms stay at their modes, as in `predict`; ``"NA"``, the default, keeps none.
    rng : int, numpy.random.Generator or None
        Each response has a generator of its own (``Generator.spawn``).

    Returns
    -------
    DataFrame
        Columns ``sim_1 sim_2 ...`` under the index of the data, in the form of the fit's response:
        0 and 1, truth values, labels, proportions, counts, numbers. Of ``cbind(successes,
        failures)`` there are two levels of columns, so that ``sims["sim_1"]`` is the frame of both.
        After ``missing="keep"`` by row of the data, NaN (or NA) in those that miss a value.
        Each is a response that `refit` takes.

    Raises
    ------
    InvalidArgumentError
        `n_sims` or `rng`; `re_form` together with ``use_u=True``, or one that keeps part of a term.
    UnsupportedModelError
        `newdata`.

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
    """
    n_sims, generators = check_count(n_sims, "n_sims"), as_generator(rng).spawn(n_sims)
    kept = kept_terms(model, use_u, re_form)
    if newdata is not None:
        raise UnsupportedModelError(
            "newdata: responses of other rows are not simulated for a generalised model yet; "
            "m.predict(newdata) has their means"
        )
    columns = [model.response.shown(drawn(model, kept, g)) for g in generators]
    names, index = [f"sim_{i + 1}" for i in range(n_sims)], model.design.index
    if model.response.form != "cbind":
        made = pd.DataFrame(dict(zip(names, columns, strict=True)), index=index)
        return in_user_rows(made, model.design.user_rows)
    parts = [str(label) for label in model.response.labels]
    pairs = pd.MultiIndex.from_product([names, parts])
    made = pd.DataFrame(np.column_stack([c for pair in columns for c in pair]), index, pairs)
    return in_user_rows(made, model.design.user_rows)

"""A bootstrap of single rows, or of part of them: merTools' ``subBoot``."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from merextras.exceptions import ApproximationWarning, InvalidArgumentError, MerextrasError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_count
from merextras.foundation.rng import as_generator
from merextras.inference.intervals.refits import Statistic
from merextras.model.design.design import RowDesign
from merextras.model.design.resample_rows import draw_rows, of_rows, sampled
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.other_rows import refitted_to
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import fit_like, start_for_user
from merextras.model.statsmodels.mixedlm import as_fitted

#: Refits times rows that take a second or two; fewer need no progress bar.
_LONG = 1e6


def sub_boot(
    m: object,
    func: Callable[[Any], Any] | None = None,
    n: int | None = None,
    *,
    n_sims: int = 100,
    rng: Rng = None,
) -> pd.DataFrame:
    """Refit a model to rows drawn with replacement, all of them or fewer.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        A fitted model.
    func : callable model -> number, array, dict or Series, optional
        What is taken from every refit, by default all parameters: standard deviations,
        correlations, sigma and fixed effects.
    n : int, optional
        Rows to draw, by default as many as the fit has. Fewer make refits of a large model quick,
        and spread out as those of a table of that size.
    n_sims : int, default 100
        Number of refits.
    rng : int, numpy.random.Generator or None
        Each refit has a generator of its own (``Generator.spawn``).

    Returns
    -------
    DataFrame
        ``replicate`` and a column for each number, those of an array called ``t1``, ``t2``, ...
        Replicate 0 is the fit itself, 1 to `n_sims` the refits; a refit that failed is NaN.

    Raises
    ------
    InvalidArgumentError
        `func` is not callable, or returns no numbers or not always as many; `n` or `n_sims` is not
        a positive whole number.
    MerextrasError
        All refits failed; the message says how the first did.

    Warns
    -----
    ApproximationWarning
        Some refits failed: did not converge, or drew rows that do not determine the model.

    See Also
    --------
    bootstrap : Parametric, by residuals, or by whole groups.

    Notes
    -----
    Rows are drawn whatever their group. A row drawn twice looks like two that agree, so that the
    residual variance comes out too small, and groups are not drawn at all: the spread of the
    refits is not the sampling error of the variances between groups. For that use
    ``bootstrap(kind="cases")`` or the parametric one.

    **R counterpart**: ``merTools::subBoot(merMod, n, FUN, R)``.

    **Cost**: a refit each, some milliseconds and one pass over the rows drawn.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> mx.sub_boot(m, mx.theta_extract, n=160, n_sims=2, rng=1).shape
    (3, 4)
    """
    model = as_fitted(m, generalised=True)
    if func is not None and not callable(func):
        raise InvalidArgumentError(f"func={func!r}: expected a function of a model, or None")
    n_sims = check_count(n_sims, "n_sims")
    design = model.design.require_rows("sub_boot", "rows are drawn")
    n = round(float(np.sum(design.counts()))) if n is None else check_count(n, "n")
    statistic = Statistic.of(func, model)
    values = np.full((n_sims + 1, len(statistic.names)), np.nan)
    values[0] = statistic.observed
    failures: Counter[str] = Counter()
    generators = as_generator(rng).spawn(n_sims)
    disable = None if n * n_sims > _LONG else True
    for i, generator in enumerate(tqdm(generators, "bootstrap", unit="refits", disable=disable)):
        try:
            values[i + 1] = statistic(_refit(model, design, n, generator))
        except Exception as err:  # any error of the caller's function is counted
            if isinstance(err, InvalidArgumentError) and str(err).startswith("func:"):
                raise
            failures[f"{type(err).__name__}: {err}"] += 1
    _report(failures, n_sims)
    out = pd.DataFrame(values, columns=list(statistic.names))
    out.insert(0, "replicate", np.arange(n_sims + 1))
    return out


def _refit(
    model: FittedModel, rows: RowDesign, n: int, generator: np.random.Generator
) -> FittedModel:
    if isinstance(model, FittedGlmm):
        drawn = draw_rows(rows, n, generator)
        refit = refitted_to(model, of_rows(rows, drawn), drawn)
        if not refit.optimum.converged:
            raise MerextrasError("not converged")
        return refit
    design = sampled(rows, n, generator)
    fit = fit_like(model, design, theta=start_for_user(model))
    if fit.opt is not None and not fit.opt.converged:
        raise MerextrasError("not converged")
    return model._like(fit)


def _report(failures: Counter[str], n_sims: int) -> None:
    failed = failures.total()
    if failed == 0:
        return
    reason, count = failures.most_common(1)[0]
    if failed == n_sims:
        raise MerextrasError(f"sub_boot: all {n_sims} refits failed; {count} of them: {reason}")
    warnings.warn(
        f"sub_boot: {failed} of {n_sims} refits failed and are NaN; {count} of them: {reason}",
        ApproximationWarning,
        stacklevel=3,
    )

"""Predictive check: whether the model makes data like those that it was fitted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from scipy.ndimage import gaussian_filter1d

from merextras.foundation.aliases import Array, Rng
from merextras.foundation.arguments import check_count, check_level
from merextras.foundation.rng import as_generator
from merextras.model.fit.response_draws import own_response_model
from merextras.model.generalised.again import drawn
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.base import Table
from merextras.results.checks.prediction_check import PredictionCheck

__all__ = ["check_predictions"]

#: Numbers drawn at a time (32 MB); densities that are kept; points of a density.
_DRAWN, _KEPT, _GRID = 1 << 22, 50, 256
_STATISTICS = ("mean", "sd", "min", "max", "skewness")


def check_predictions(
    m: object,
    *,
    n_sims: int = 200,
    use_u: bool = False,
    alpha: float = 0.05,
    rng: Rng = None,
) -> PredictionCheck:
    """Compare the response with responses simulated from the model.

    Parameters
    ----------
    m : MerMod or MixedLMResults
    n_sims : int, default 200
        Number of simulated responses.
    use_u : bool, default False
        Keep the random effects at their conditional modes instead of drawing new ones.
    alpha : float, default 0.05
        A p-value below it speaks against the model.
    rng : int, numpy.random.Generator or None

    Returns
    -------
    PredictionCheck
        The table has mean, standard deviation, smallest and largest value and skewness of the
        response: `observed`, the interval `lower` to `upper` of the simulated ones (level
        ``1 - alpha``) and a two-sided `p_value`, at least 1 / (n_sims + 1). `grid`, `observed` and
        `simulated` are densities, which `plot_model_check` draws.

    Raises
    ------
    InvalidArgumentError
        An argument that is not allowed.
    UnsupportedModelError
        Frequency weights: a simulated response needs one row per observation.

    See Also
    --------
    MerMod.simulate : The responses.

    Notes
    -----
    R: ``performance::check_predictions``, which draws densities. Parameters stay at their
    estimates. Mean and standard deviation are fitted, so that only a wrong model of the variance
    moves them; skewness and extremes show more. Of a model of `glmer` responses are on the scale of
    their means, proportions of the trials. Densities have Gaussian kernels on bins, with
    Silverman's bandwidth for the observed response. Gelman, A., Meng, X.-L. and Stern, H. (1996).
    Statistica Sinica 6, 733-760. Cost: n normal numbers per simulated response; by blocks.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> check = mx.check_predictions(m, rng=1)
    >>> check.ok, check.table["statistic"].tolist()
    (True, ['mean', 'sd', 'min', 'max', 'skewness'])
    """
    model = as_fitted(m, generalised=True)
    n_sims, alpha = check_count(n_sims, "n_sims"), check_level(alpha, "alpha")
    draw, used = _drawer(model, use_u), model.design.observed
    y = model.design.y[used]
    generators = as_generator(rng).spawn(n_sims)
    edges, width = _edges(y)
    size = max(1, _DRAWN // (model.design.n + model.design.q))
    found, densities = [], []
    for at in range(0, n_sims, size):
        made = draw(generators[at : at + size])[used]
        found.append(_statistics(made))
        kept = max(0, min(_KEPT - at, made.shape[1]))
        densities += [_density(column, edges, width) for column in made.T[:kept]]
    table = _table(_statistics(y[:, None])[0], np.concatenate(found), alpha)
    grid = 0.5 * (edges[1:] + edges[:-1])
    low = table[table["p_value"] < alpha]
    return PredictionCheck(
        len(low) == 0, *_judged(low, alpha), table, model.design.response, n_sims, grid,
        _density(y, edges, width), np.array(densities),
    )  # fmt: skip


def _drawer(model: FittedModel, use_u: bool) -> Callable[[Sequence[np.random.Generator]], Array]:
    """What makes responses, (n, m), on the scale of their means."""
    if not isinstance(model, FittedGlmm):
        return own_response_model(model, use_u=use_u).draw
    kept = set(range(len(model.design.terms))) if use_u else set()
    trials = model.response.trials
    size = np.ones(model.design.n) if trials is None else trials
    return lambda generators: np.column_stack([drawn(model, kept, g) / size for g in generators])


def _statistics(y: Array) -> Array:
    """The statistics of the columns of y, (m, 5)."""
    mean, sd = np.mean(y, axis=0), np.std(y, axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        skewness = np.mean((y - mean) ** 3, axis=0) / np.std(y, axis=0) ** 3
    found = [mean, sd, np.min(y, axis=0), np.max(y, axis=0), skewness]
    return np.asarray(np.stack(found, axis=1))


def _table(observed: Array, drawn: Array, alpha: float) -> pd.DataFrame:
    n_sims = len(drawn)
    above, below = np.sum(drawn >= observed, axis=0), np.sum(drawn <= observed, axis=0)
    p = np.minimum(2.0 * (np.minimum(above, below) + 1.0) / (n_sims + 1.0), 1.0)
    limits = np.quantile(drawn, [0.5 * alpha, 1.0 - 0.5 * alpha], axis=0)
    columns = {"statistic": _STATISTICS, "observed": observed}
    columns |= {"lower": limits[0], "upper": limits[1]}
    columns["p_value"] = np.where(np.isfinite(observed), p, np.nan)
    return Table(columns).renamed({"low": "lower", "high": "upper"}, until="0.2")


def _edges(y: Array) -> tuple[Array, float]:
    """Edges of the bins, half a range wider than y, and the kernel's standard deviation."""
    sd, quarters = float(np.std(y, ddof=1)), stats.iqr(y) / stats.norm.ppf(0.75) / 2.0
    size = min(sd, quarters) if quarters > 0.0 else sd
    size = size if size > 0.0 else 1.0
    margin = max(0.25 * float(np.ptp(y)), 3.0 * size)
    edges = np.linspace(float(np.min(y)) - margin, float(np.max(y)) + margin, _GRID + 1)
    return edges, 0.9 * size * len(y) ** -0.2


def _density(y: Array, edges: Array, width: float) -> Array:
    step = edges[1] - edges[0]
    counts = np.histogram(y, edges)[0].astype(float)
    smooth = gaussian_filter1d(counts, width / step, mode="constant")
    return np.asarray(smooth / (len(y) * step))


def _judged(low: pd.DataFrame, alpha: float) -> tuple[str, tuple[str, ...]]:
    if len(low) == 0:
        return f"the response looks like those that the model makes (p >= {alpha:g})", ()
    names = ", ".join(low["statistic"])
    advice = (
        "look at both: plot_model_check or check_model(m)",
        "skewed or bounded responses: a transformation; heavier tails or several modes: a missing "
        "predictor or grouping factor",
    )
    return f"simulated responses differ from the observed one in: {names}", advice

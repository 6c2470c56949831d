"""The power of a test by the size of the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Rng
from merextras.foundation.arguments import check_count, check_jobs, check_level
from merextras.foundation.rng import as_generator
from merextras.inference.planning.extend import extend
from merextras.inference.planning.make_model import with_data
from merextras.inference.planning.power import simulated
from merextras.inference.planning.tested import read_test
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.results.replicates.power import PowerCurve

__all__ = ["power_curve"]

# Simulated studies in all that take long enough for a progress bar.
_LONG = 2000


def power_curve(
    m: object,
    test: Any,
    *,
    values: Sequence[int],
    along: str | None = None,
    within: str | None = None,
    n_sims: int = 1000,
    alpha: float = 0.05,
    method: str | None = None,
    rhs: Any = 0.0,
    level: float = 0.95,
    rng: Rng = None,
    n_jobs: int = 1,
) -> PowerCurve:
    """Power by the number of groups, or of rows in each, simr's ``powerCurve``.

    Parameters
    ----------
    m : MerMod or MixedLMResults
        As for `power`: the study with its true parameters.
    test : str, mapping or array
        As for `power`.
    values : sequence of int
        Numbers of levels of `along`, or of rows in each level of `within`; more than the model's
        data have are made by `extend`.
    along, within : str
        The grouping column, one of the two.
    n_sims, alpha, method, rhs, level, rng, n_jobs
        As for `power`; each value has generators of its own.

    Returns
    -------
    PowerCurve
        For `plot_power_curve`; ``.to_frame()``, and ``.smallest(0.8)``, the smallest of the values
        at which the power is at least 0.8.

    Raises
    ------
    InvalidArgumentError
        As `power` and `extend`; values that are not positive whole numbers; a study so small that
        the fixed effects can't be estimated.
    NoRowsError
        A model that was fitted from chunks.

    Notes
    -----
    R: ``simr::powerCurve(fit, test, along, within, breaks, nsim)``, which simulates once and cuts
    the data; here each value is a study of its own, so that the points are independent.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> small = mx.make_model(m, fixef={"Days": 4.0})
    >>> curve = mx.power_curve(small, "Days", along="Subject", values=[10, 20, 40], n_sims=100,
    ...                        rng=1)
    >>> curve.to_frame()["power"].is_monotonic_increasing
    True
    """
    model = as_fitted(m, generalised=True)
    sizes = _sizes(values)
    n_sims, n_jobs = check_count(n_sims, "n_sims"), check_jobs(n_jobs)
    alpha, level = check_level(alpha, "alpha"), check_level(level)
    read_test(model, test, method, rhs)
    model.design.require_rows("power_curve", "rows are copied and left out")
    studies = [_study(model, along, within, size) for size in sizes]
    generators = as_generator(rng).spawn(len(sizes))
    found, disable = [], None if n_sims * len(sizes) >= _LONG else True
    for study, generator in zip(
        tqdm(studies, "power curve", unit="studies", disable=disable), generators, strict=True
    ):
        found.append(
            simulated(
                study,
                read_test(study, test, method, rhs),
                n_sims=n_sims,
                alpha=alpha,
                level=level,
                generator=generator,
                n_jobs=n_jobs,
                bar=False,
            )
        )
    name = along if along is not None else f"rows within {within}"
    return PowerCurve(name, sizes, tuple(found))


def _sizes(values: Any) -> tuple[int, ...]:
    if isinstance(values, str) or not np.iterable(values):
        raise InvalidArgumentError(f"values={values!r}: expected a sequence of whole numbers")
    sizes = tuple(check_count(value, "values") for value in values)
    if not sizes or len(set(sizes)) < len(sizes):
        raise InvalidArgumentError(f"values={values!r}: expected whole numbers, each once")
    return sizes


def _study(model: FittedModel, along: str | None, within: str | None, size: int) -> FittedModel:
    """The model with its parameters on a study of that size."""
    return with_data(model, extend(model, along=along, within=within, n=size))

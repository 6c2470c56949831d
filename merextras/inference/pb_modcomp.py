"""The parametric-bootstrap likelihood ratio test, pbkrtest's ``PBmodcomp``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from merextras._checks import check_count, check_jobs
from merextras._rng import as_generator
from merextras._typing import Array, Rng
from merextras.engine.many import minimise_many
from merextras.engine.responses import Responses
from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.inference.null_spectrum import orthonormal
from merextras.model.design import Design
from merextras.model.draws import Source, own_source
from merextras.model.fitted import FittedModel, refit_start
from merextras.model.mixedlm import as_fitted
from merextras.model.ols import NullModel, read_ols
from merextras.model.refit import refit_ml
from merextras.results.pb_modcomp import PBModcomp

__all__ = ["pb_modcomp"]

# How far a column may be from the span of others, or a response from another, relatively.
_SAME = 1e-7
# A statistic below this share of the deviance is the rounding of two equal likelihoods.
_ROUNDING = 1e-12
# Numbers drawn at a time (8 MB), and the most replicates.
_BLOCK, _MOST = 2**20, 1024
# Numbers drawn that take two or three seconds; less needs no progress bar.
_LONG = 1e8


@dataclass(frozen=True, eq=False)
class _LeastSquares:
    """The small model without random effects."""

    design: Design
    x: Array
    names: tuple[str, ...]
    log_lik: float

    def deviances(self, y: Array) -> Array:
        """ML deviance of each response, (m,)."""
        basis = orthonormal(self.x)
        rest = y - basis @ (basis.T @ y)
        n = len(y)
        rss = np.einsum("nm,nm->m", rest, rest)
        return np.asarray(n * (1.0 + np.log(2.0 * np.pi * rss / n)))

    def source(self) -> Source:
        """The model at its ML estimate."""
        basis = orthonormal(self.x)
        mean = basis @ (basis.T @ self.design.y)
        n = len(mean)
        sd = np.sqrt(np.sum((self.design.y - mean) ** 2) / n)
        return Source(mean, (), np.full(n, sd))


def pb_modcomp(
    large: object, small: object, *, n_sims: int = 1000, rng: Rng = None, n_jobs: int = 1
) -> PBModcomp:
    r"""Test the smaller of two nested models by the parametric bootstrap.

    The statistic is :math:`T = 2 (\ell(\text{large}) - \ell(\text{small}))` by maximum likelihood.
    Its reference distribution is that of T for responses simulated from the smaller model at its
    estimates, to which both are refitted. From the observed t and the sample with mean E and
    variance V follow (d parameters tested; Halekoh & Højsgaard 2014 [1]_, section 4)

    - *LRT*: t against :math:`\chi^2_d`;
    - *PBtest*: :math:`p = (\#\{T^* \ge t\} + 1) / (n + 1)`;
    - *Gamma*: t against the gamma distribution with mean E and variance V;
    - *Bartlett*: :math:`t\, d / E` against :math:`\chi^2_d`;
    - *F*: :math:`t / d` against :math:`F_{d, m}` with the m that gives it the mean E / d,
      :math:`m = 2r / (r - 1)`, r = E / d.

    Parameters
    ----------
    large : MerMod or MixedLMResults
        REML fits are refitted by ML.
    small : MerMod, MixedLMResults or fit of a statsmodels OLS
        Fitted to the same data, its fixed columns in the span of the larger model's, each of its
        random-effects terms part of one of the larger model's.
    n_sims : int, default 1000
        Responses simulated. The p-value's Monte Carlo error is `p_value_se`.
    rng : int, numpy.random.Generator or None
        Each replicate has a generator of its own (``Generator.spawn``).
    n_jobs : int, default 1
        Processes (joblib); -1 for all cores. The result does not depend on it.

    Returns
    -------
    PBModcomp
        ``to_frame()`` has the five tests, ``sample`` the simulated statistics.

    Raises
    ------
    InvalidArgumentError
        Models on different data, not nested, or with as many parameters; an argument that is not
        allowed.
    UnsupportedModelError
        Frequency weights.

    See Also
    --------
    merextras.exact_rlrt : The exact test of one variance, without refits.

    Notes
    -----
    R: ``pbkrtest::PBmodcomp`` (``summary`` of it has all five rows). Ours differs in three points.
    Statistics of zero, which are common when a variance is tested, count: pbkrtest (0.5.2) leaves
    them out as failures, which doubles such p-values. Its F row has m = 2E / (E - 1), which is
    meant for d = 1 only. Statistics equal to t count as extreme.

    Cost: two refits a replicate, all of them together (see `bootstrap`): 1000 samples for models
    of the size of ``sleepstudy`` take a fraction of a second.

    References
    ----------
    .. [1] Halekoh, U. and Højsgaard, S. (2014). A Kenward-Roger approximation and parametric
       bootstrap methods for tests in linear mixed models: the R package pbkrtest. J. Stat. Softw.
       59(9).

    Examples
    --------
    >>> import merextras as mx
    >>> data = mx.load_dataset("sleepstudy").query("Days < 4")
    >>> large = mx.lmer("Reaction ~ Days + (1 | Subject)", data)
    >>> small = mx.lmer("Reaction ~ 1 + (1 | Subject)", data)
    >>> test = mx.pb_modcomp(large, small, n_sims=500, rng=1)
    >>> test.to_frame()["test"].tolist()
    ['LRT', 'PBtest', 'Gamma', 'Bartlett', 'F']
    >>> round(test.p_value, 3)
    0.002
    """
    n_sims, n_jobs = check_count(n_sims, "n_sims"), check_jobs(n_jobs)
    if n_sims < 2:
        raise InvalidArgumentError("n_sims=1: the reference distribution needs at least 2 samples")
    generators = as_generator(rng).spawn(n_sims)
    big = refit_ml(as_fitted(large))
    little = _small_model(small, big)
    df = _tested(big, little)
    source = little.source() if isinstance(little, _LeastSquares) else own_source(little)
    statistic = _observed(big, little)
    sample = _reference(big, little, source, generators, n_jobs)
    used = np.isfinite(sample)
    if np.sum(used) < 2:
        raise MerextrasError("pb_modcomp: the refits to simulated data did not converge")
    name = little.design.formula
    if isinstance(little, _LeastSquares):
        name = f"{little.design.response} ~ {' + '.join(little.names)}"
    failed = int(np.sum(~used))
    return PBModcomp(statistic, df, sample[used], big.design.formula, name, failed)


def _small_model(small: object, big: FittedModel) -> FittedModel | _LeastSquares:
    """Read the smaller model, by ML, and check that it is of the same data and nested."""
    from_ols = not isinstance(small, FittedModel) and hasattr(small, "rsquared")
    if from_ols:
        null: NullModel = read_ols(small)
        if big.design.weights is not None or big.design.offset is not None:
            raise InvalidArgumentError(
                "small: the larger model has weights or an offset, which an OLS fit has not"
            )
        _same_data(big.design, null.y, None, None)
        _nested_columns(big.design, null.x, null.names)
        return _LeastSquares(big.design, null.x, null.names, null.log_lik)
    found = refit_ml(as_fitted(small))
    design = found.design
    _same_data(big.design, design.y, design.weights, design.offset)
    _nested_columns(big.design, design.x, design.fixed.names)
    _nested_terms(big.design, design)
    return found


def _same_data(design: Design, y: Array, weights: Array | None, offset: Array | None) -> None:
    if len(y) != design.n:
        raise InvalidArgumentError(
            f"small: fitted to {len(y)} rows, the larger model to {design.n}; fit both to the same "
            "data"
        )
    if np.max(np.abs(y - design.y)) > _SAME * np.std(design.y):
        raise InvalidArgumentError(
            "small: its response differs from the larger model's; fit both to the same data, with "
            "the rows in the same order"
        )
    for name, one, other in (("weights", design.weights, weights), ("offset", design.offset, offset)):
        if (one is None) != (other is None) or not np.array_equal(one, other):  # type: ignore[arg-type]
            raise InvalidArgumentError(f"small: its {name} differ from the larger model's")


def _nested_columns(design: Design, x: Array, names: Sequence[str]) -> None:
    basis, reduced = orthonormal(design.x), orthonormal(x)
    outside = np.linalg.norm(reduced - basis @ (basis.T @ reduced), axis=0)
    if np.any(outside > _SAME):
        raise InvalidArgumentError(
            f"small: not nested in the larger model: its columns {list(names)} are not all in the "
            f"span of the larger model's {list(design.fixed.names)}"
        )


def _nested_terms(large: Design, small: Design) -> None:
    for term in small.terms:
        if not any(
            other.factor == term.factor and set(term.names) <= set(other.names)
            for other in large.terms
        ):
            raise InvalidArgumentError(
                f"small: not nested in the larger model, which has no term with the effects of "
                f"({' + '.join(term.names)} | {term.factor})"
            )


def _tested(big: FittedModel, little: FittedModel | _LeastSquares) -> int:
    if isinstance(little, _LeastSquares):
        fewer = orthonormal(little.x).shape[1] + 1
    else:
        fewer = little.n_parameters
    df = big.n_parameters - fewer
    if df < 1:
        raise InvalidArgumentError(
            f"small: has {fewer} parameters, the larger model {big.n_parameters}; give the larger "
            "model first"
        )
    return df


def _observed(big: FittedModel, little: FittedModel | _LeastSquares) -> float:
    deviance = big.solution.deviance()
    if isinstance(little, _LeastSquares):
        gain = -2.0 * little.log_lik - deviance
    else:
        gain = little.solution.deviance() - deviance
    return gain if gain > _ROUNDING * (abs(deviance) + big.design.n) else 0.0


def _reference(
    big: FittedModel,
    little: FittedModel | _LeastSquares,
    source: Source,
    generators: Sequence[np.random.Generator],
    n_jobs: int,
) -> Array:
    """The statistic of each simulated response; NaN where a fit failed."""
    size = int(np.clip(_BLOCK // (big.design.n + big.design.q), 1, _MOST))
    parts = [generators[at : at + size] for at in range(0, len(generators), size)]
    found: Any = (_statistics(big, little, source, part) for part in parts)
    if n_jobs != 1:
        work = (delayed(_statistics)(big, little, source, part) for part in parts)
        found = Parallel(n_jobs=n_jobs, return_as="generator")(work)
    disable = None if len(generators) * (big.design.n + big.design.q) > _LONG else True
    done = []
    with tqdm(total=len(generators), desc="bootstrap", unit="samples", disable=disable) as bar:
        for part in found:
            done.append(part)
            bar.update(len(part))
    return np.concatenate(done)


def _statistics(
    big: FittedModel,
    little: FittedModel | _LeastSquares,
    source: Source,
    generators: Sequence[np.random.Generator],
) -> Array:
    y = source.draw(generators)
    if isinstance(little, _LeastSquares):
        null = little.deviances(y)
    else:
        null = _deviances(little, y)
    deviance = _deviances(big, y)
    gain = null - deviance
    noise = _ROUNDING * (np.abs(deviance) + len(y))
    return np.where(gain <= noise, 0.0, gain)  # NaN stays NaN


def _deviances(model: FittedModel, y: Array) -> Array:
    """ML deviances of the model's refits; NaN where one did not converge."""
    design, system = model.design, model.solution.factor.system
    if design.offset is not None:
        y = y - design.offset[:, None]
    rows = [term.rows for term in design.terms]
    responses = Responses.from_rows(system.cp, design.x, y, rows, design.weights)
    fits = minimise_many(system, responses, refit_start(model), reml=False)
    return np.where(fits.converged, fits.deviance, np.nan)

"""Priors on the covariances of the random effects: what a user gives, and what the engine needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.special import gammaln, multigammaln

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.diagonal import Diagonal
from merextras.engine.covariance.priors import DeviationPrior, MatrixPrior, Penalty, Prior
from merextras.engine.covariance.structure import Structure
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_choice, one_of

__all__ = ["CovPrior", "Gamma", "InverseWishart", "Wishart"]

#: A scale matrix as a number times the identity, or by rows.
Scale = float | tuple[tuple[float, ...], ...]


class CovPrior(ABC):
    """A prior distribution of the covariance of a random-effects term."""

    @abstractmethod
    def of(self, structure: Structure, where: str) -> Prior:
        """What it adds to the criterion of a term; `where` is the term, for messages."""

    @abstractmethod
    def label(self, k: int) -> str:
        """The distribution with its parameters, for a term of k effects."""


@dataclass(frozen=True)
class Wishart(CovPrior):
    """A Wishart distribution of a term's covariance over sigma**2, blme's default prior.

    Density proportional to ``|G|**((df - k - 1) / 2) exp(-tr(scale^-1 G) / 2)`` for the covariance
    ``sigma**2 G`` of k effects. It is zero where G is singular, so that the mode is inside: no
    variance at zero, no correlation at one.

    Parameters
    ----------
    df : float, optional
        ``k + 2.5`` by default, at least ``k + 1``.
    scale : float or (k, k) array, optional
        On the variances' scale, relative to sigma**2; a number times the identity. Infinite by
        default: an improper prior, in which the unit of a covariate plays no part.

    See Also
    --------
    merextras.lmer : Its argument ``cov_prior``.

    Examples
    --------
    >>> import merextras as mx
    >>> dyestuff = mx.load_dataset("dyestuff")
    >>> m = mx.lmer("Yield ~ 1 + (1 | Batch)", dyestuff, cov_prior=mx.Wishart(df=3.5))
    >>> round(m.opt_summary.penalty, 4)
    -0.4019
    """

    df: float | None = None
    scale: float | Sequence[Sequence[float]] | Array | None = None

    def __post_init__(self) -> None:
        _set(self, "df", _number(self.df, "Wishart(df=)", least=0.0))
        _set(self, "scale", _scale(self.scale, "Wishart(scale=)"))

    def of(self, structure: Structure, where: str) -> MatrixPrior:
        """``-(df - k - 1) log|G| + tr(scale^-1 G)``, and the constant of a proper prior."""
        k = structure.k
        df = k + 2.5 if self.df is None else self.df
        scale = _matrix(self.scale, k, "Wishart(scale=)", where)
        if df < k + 1 or (df == k + 1 and scale is None):
            less = "" if scale is not None else "; of k + 1 and an infinite scale it is flat"
            raise InvalidArgumentError(
                f"cov_prior: Wishart(df={df:g}) of {where}, which has k = {k} effect(s): df must "
                f"be at least k + 1 = {k + 1}, below which it would pull variances to zero{less}"
            )
        none = np.zeros((k, k))
        if scale is None:
            return MatrixPrior(-(df - k - 1.0), none, none, 0.0)
        constant = df * (k * np.log(2.0) + _log_det(scale)) + 2.0 * multigammaln(0.5 * df, k)
        linear = np.asarray(np.linalg.inv(scale))
        return MatrixPrior(-(df - k - 1.0), linear, none, float(constant))

    def label(self, k: int) -> str:
        """``Wishart(df=3.5, scale=inf)``."""
        df = k + 2.5 if self.df is None else self.df
        return f"Wishart(df={df:g}, scale={_text(self.scale, 'inf')})"


@dataclass(frozen=True)
class InverseWishart(CovPrior):
    """An inverse Wishart distribution of a term's covariance over sigma**2.

    Density proportional to ``|G|**(-(df + k + 1) / 2) exp(-tr(scale G^-1) / 2)`` for the
    covariance ``sigma**2 G`` of k effects, zero where G is singular.

    Parameters
    ----------
    df : float, optional
        ``k - 0.998`` by default, above ``k - 1``.
    scale : float or (k, k) array, optional
        On the variances' scale, relative to sigma**2; a number times the identity. By default
        ``df + 0.1``: how much that is depends on the units of the covariates.

    See Also
    --------
    merextras.Wishart : A prior whose default does not.

    Notes
    -----
    The defaults are those that blme (1.0-5) computes with; its help page has others.
    """

    df: float | None = None
    scale: float | Sequence[Sequence[float]] | Array | None = None

    def __post_init__(self) -> None:
        _set(self, "df", _number(self.df, "InverseWishart(df=)", least=0.0))
        _set(self, "scale", _scale(self.scale, "InverseWishart(scale=)"))

    def _df(self, k: int) -> float:
        return k - 0.998 if self.df is None else self.df

    def of(self, structure: Structure, where: str) -> MatrixPrior:
        """``(df + k + 1) log|G| + tr(scale G^-1)``, and the constant."""
        k = structure.k
        df = self._df(k)
        if not df > k - 1:
            raise InvalidArgumentError(
                f"cov_prior: InverseWishart(df={df:g}) of {where}, which has k = {k} effect(s): df "
                f"must be above k - 1 = {k - 1}"
            )
        given = df + 0.1 if self.scale is None else self.scale
        scale = _matrix(given, k, "InverseWishart(scale=)", where)
        assert scale is not None
        constant = df * (k * np.log(2.0) - _log_det(scale)) + 2.0 * multigammaln(0.5 * df, k)
        return MatrixPrior(df + k + 1.0, np.zeros((k, k)), scale, float(constant))

    def label(self, k: int) -> str:
        """``InverseWishart(df=0.002, scale=0.102)``."""
        df = self._df(k)
        default = f"{df + 0.1:g}"
        return f"InverseWishart(df={df:g}, scale={_text(self.scale, default)})"


@dataclass(frozen=True)
class Gamma(CovPrior):
    """A gamma distribution of the standard deviation of independent effects over sigma.

    Density proportional to ``x**(shape - 1) exp(-rate x)`` of each ``x = sd / sigma``, or of
    ``x = sd**2 / sigma**2``. For terms of one effect, or of independent ones.

    Parameters
    ----------
    shape : float
        Above one on standard deviations, so that zero is not the mode; at least one on variances.
    rate : float
        Zero for an improper prior, in which the unit of a covariate plays no part.
    on : {"sd", "variance"}

    See Also
    --------
    merextras.Wishart : The same default for one effect, and for correlated ones.

    Notes
    -----
    blme's default for a single effect: ``Gamma(2.5)`` has the mode that ``Wishart()`` has.
    """

    shape: float = 2.5
    rate: float = 0.0
    on: str = "sd"

    def __post_init__(self) -> None:
        check_choice(self.on, ("sd", "variance"), "Gamma(on=)")
        shape = _number(self.shape, "Gamma(shape=)", least=0.0)
        rate = 0.0 if self.rate == 0.0 else _number(self.rate, "Gamma(rate=)", least=0.0)
        if shape is None or rate is None:
            raise InvalidArgumentError("Gamma(shape=, rate=): two numbers, neither is None")
        if shape < 1.0 or (shape == 1.0 and (self.on == "sd" or rate == 0.0)):
            raise InvalidArgumentError(
                f"Gamma(shape={shape:g}, rate={rate:g}, on={self.on!r}): the shape must be above "
                "one; the mode of the prior would be at zero, or it would be flat"
            )
        _set(self, "shape", shape)
        _set(self, "rate", rate)

    def of(self, structure: Structure, where: str) -> DeviationPrior:
        """``-2 (shape - 1) log x + 2 rate x`` of each standard deviation."""
        k = structure.k
        if k > 1 and not isinstance(structure, Diagonal):
            raise InvalidArgumentError(
                f"cov_prior: Gamma is of one standard deviation, and {where} has {k} correlated "
                "effects: take Wishart or InverseWishart, or make them independent by '||'"
            )
        constant = 0.0
        if self.rate > 0.0:
            constant = -2.0 * (self.shape * np.log(self.rate) - float(gammaln(self.shape)))
        power = 1.0 if self.on == "sd" else 2.0
        return DeviationPrior(
            self.shape, self.rate, power, np.ones(k), structure.n / k, structure.n * constant
        )

    def label(self, k: int) -> str:
        """``Gamma(shape=2.5, rate=0) of the SD``."""
        del k
        what = "SD" if self.on == "sd" else "variance"
        return f"Gamma(shape={self.shape:g}, rate={self.rate:g}) of the {what}"


#: What `cov_prior` may be: by name, an object, by grouping factor or term, or none.
Given = str | CovPrior | Mapping[str, "str | CovPrior | None"] | None

_BY_NAME = {"wishart": Wishart, "gamma": Gamma, "invwishart": InverseWishart}


def check_cov_prior(given: object) -> CovPrior | dict[str, CovPrior] | None:
    """The argument `cov_prior` with objects in place of names.

    Raises
    ------
    InvalidArgumentError
        An unknown name, or something that is no prior.
    """
    if not isinstance(given, Mapping):
        return _one(given, "cov_prior")
    found = {key: _one(each, f"cov_prior[{key!r}]") for key, each in given.items()}
    bad = [key for key in found if not isinstance(key, str)]
    if bad:
        raise InvalidArgumentError(
            f"cov_prior: {bad[0]!r} is no grouping factor's or term's name, such as 'school'"
        )
    return {key: prior for key, prior in found.items() if prior is not None} or None


def _one(given: object, what: str) -> CovPrior | None:
    if given is None or isinstance(given, CovPrior):
        return given
    if isinstance(given, type) and issubclass(given, CovPrior):
        return given()
    allowed = ", ".join(map(repr, _BY_NAME))
    name = given.lower() if isinstance(given, str) else None
    if name not in _BY_NAME:
        raise InvalidArgumentError(
            f"{what}={given!r}: {allowed}, Wishart(...), Gamma(...), InverseWishart(...), a "
            "mapping of these by grouping factor or term, or None"
        )
    made: CovPrior = _BY_NAME[name]()
    return made


def as_code(given: CovPrior | Mapping[str, CovPrior]) -> str:
    """The argument as code, for a call."""
    if isinstance(given, Mapping):
        return f"{{{', '.join(f'{key!r}: {as_code(prior)}' for key, prior in given.items())}}}"
    for name, kind in _BY_NAME.items():
        if given == kind():
            return repr(name)
    pairs = [(f.name, getattr(given, f.name), f.default) for f in fields(given)]  # type: ignore[arg-type]
    parts = [f"{name}={value!r}" for name, value, default in pairs if value != default]
    return f"mx.{type(given).__name__}({', '.join(parts)})"


def priors_of(given: object, factors: Sequence[str], names: Sequence[str]) -> list[CovPrior | None]:
    """The prior of each term, from what `check_cov_prior` returned.

    Parameters
    ----------
    factors, names : sequences of str
        Of the terms: the grouping factor, and the term as a formula has it, ``(1 + x | g)``.
    """
    if not isinstance(given, Mapping):
        return [given if isinstance(given, CovPrior) else None for _ in factors]
    by_name = {_spaceless(key): prior for key, prior in given.items()}
    pairs = zip(factors, names, strict=True)
    return [by_name.get(_spaceless(name), by_name.get(factor)) for factor, name in pairs]


def check_keys(given: object, factors: Sequence[str], names: Sequence[str]) -> None:
    """Raise if a key of a mapping is neither a grouping factor nor a term."""
    if not isinstance(given, Mapping):
        return
    allowed = list(dict.fromkeys([*factors, *names]))
    known = {_spaceless(name) for name in allowed}
    for key in given:
        if _spaceless(key) not in known:
            raise InvalidArgumentError(
                f"cov_prior: {key!r} is neither a grouping factor nor a term of the model; "
                f"{one_of(key, allowed)}"
            )


def penalty_of(
    priors: Sequence[CovPrior | None], covariances: Covariances, names: Sequence[str]
) -> Penalty | None:
    """What the priors of the terms add to the criterion, for the user's effects; None for none."""
    if all(prior is None for prior in priors):
        return None
    rows = zip(priors, covariances.structures, names, strict=True)
    made = tuple(None if prior is None else prior.of(s, name) for prior, s, name in rows)
    return Penalty(covariances, made)


def _spaceless(name: object) -> object:
    """A term's name without brackets and spaces."""
    return name.replace(" ", "").strip("()") if isinstance(name, str) else name


def _set(of: object, name: str, value: object) -> None:
    object.__setattr__(of, name, value)


def _number(given: object, what: str, *, least: float) -> float | None:
    """A finite number above `least`, or None."""
    if given is None:
        return None
    number = isinstance(given, (int, float, np.number)) and not isinstance(given, bool)
    if not number or not np.isfinite(value := float(given)) or not value > least:  # type: ignore[arg-type]
        raise InvalidArgumentError(f"{what} got {given!r}: a finite number above {least:g}")
    return value


def _scale(given: Any, what: str) -> Scale | None:
    """A positive number or a positive definite matrix, as tuples; None for an infinite one."""
    if given is None or (np.ndim(given) == 0 and given == np.inf):
        return None
    if np.ndim(given) == 0:
        return _number(given, what, least=0.0)
    try:
        matrix = np.array(given, dtype=float)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0
    if not square or not np.all(np.isfinite(matrix)) or not np.array_equal(matrix, matrix.T):
        raise InvalidArgumentError(
            f"{what} got {given!r}: a positive number or a symmetric (k, k) matrix"
        )
    size = np.sqrt(np.abs(np.diag(matrix)))
    least = np.linalg.eigvalsh(matrix / np.outer(size, size))[0] if np.all(size > 0.0) else -1.0
    if not (np.all(np.diag(matrix) > 0.0) and least > 1e-12):
        raise InvalidArgumentError(f"{what} got {given!r}: the matrix is not positive definite")
    return tuple(tuple(row) for row in matrix.tolist())


def _matrix(scale: Any, k: int, what: str, where: str) -> Array | None:
    """The scale as a (k, k) matrix; None for an infinite one."""
    if scale is None:
        return None
    matrix = np.array(scale, dtype=float)
    if matrix.ndim == 0:
        return np.asarray(float(matrix) * np.eye(k))
    if len(matrix) != k:
        raise InvalidArgumentError(
            f"cov_prior: {what} is {len(matrix)} x {len(matrix)}, and {where} has {k} effect(s)"
        )
    return matrix


def _log_det(matrix: Array) -> float:
    return float(np.linalg.slogdet(matrix)[1])


def _text(scale: object, otherwise: str) -> str:
    """A scale in a few characters."""
    if scale is None:
        return otherwise
    return f"{scale:g}" if isinstance(scale, float) else str([list(row) for row in scale])  # type: ignore[attr-defined]

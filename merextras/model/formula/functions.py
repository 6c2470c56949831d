"""Functions that formula code may call as R's users write them: ``log(x)``, ``scale(x)``.

Names of the caller go before them if they are functions, as in R, where a variable ``scale`` does
not hide the function.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import patsy
import scipy.linalg as la

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array

#: A polynomial of this relative size is zero on the data: there are too few distinct values.
_NOTHING = 1e-10


def log(x: Any, base: float | None = None) -> Any:
    """The natural logarithm, or that to a base: R's ``log(x, 2)``."""
    return np.log(x) if base is None else np.log(x) / np.log(base)


class Scale:
    """R's ``scale``: less the mean, over the standard deviation with divisor n - 1.

    Without centring it is over ``sqrt(sum x**2 / (n - 1))``. patsy's own divides by n.
    """

    def __init__(self) -> None:
        self.n = 0
        self.mean = 0.0
        self.squares = 0.0

    def memorize_chunk(
        self,
        x: Any,
        center: bool = True,
        scale: bool = True,
        *,
        rescale: bool | None = None,
        ddof: float = 1,
    ) -> None:
        """Take in rows: their number, mean and sum of squares about it."""
        del center, scale, rescale, ddof
        values = _one_column(x, "scale")
        n, mean = len(values), float(np.mean(values)) if len(values) else 0.0
        total = self.n + n
        gap = mean - self.mean
        self.squares += float(np.sum((values - mean) ** 2)) + gap**2 * self.n * n / max(total, 1)
        self.mean += gap * n / max(total, 1)
        self.n = total

    def memorize_finish(self) -> None:
        """Nothing is left to do."""

    def transform(
        self,
        x: Any,
        center: bool = True,
        scale: bool = True,
        *,
        rescale: bool | None = None,
        ddof: float = 1,
    ) -> Any:
        """Rows on the scale of those that were taken in."""
        divide = scale if rescale is None else rescale
        squares = self.squares if center else self.squares + self.n * self.mean**2
        sd = np.sqrt(squares / (self.n - ddof)) if divide and self.n > ddof else 1.0
        if sd == 0.0:
            raise InvalidArgumentError("formula: scale(): the column has one value only")
        return (np.asarray(x, dtype=float) - (self.mean if center else 0.0)) / sd


class OrthogonalPolynomials:
    """R's ``poly(x, degree)``: orthonormal polynomials on the data, without the constant.

    Of a triangular factor of the powers of ``t = (x - shift) / size``, which adds up over rows.
    """

    def __init__(self) -> None:
        self.shift: float | None = None
        self.size = 1.0
        self.powers: Array = np.empty((0, 0))
        self.coefficients: Array = np.empty((0, 0))

    def memorize_chunk(self, x: Any, degree: int = 1, raw: bool = False) -> None:
        """Take in rows: the triangular factor of their powers."""
        values = _one_column(x, "poly")
        degree = _checked_degree(degree)
        if raw or not len(values):
            return
        if self.shift is None:
            self.shift = float(np.mean(values))
            self.size = float(np.max(np.abs(values - self.shift))) or 1.0
            self.powers = np.empty((0, degree + 1))
        new = self._vandermonde(values, degree)
        self.powers = la.qr(np.vstack([self.powers, new]), mode="r")[0][: degree + 1]

    def memorize_finish(self) -> None:
        """Find the polynomials: the inverse of the factor, leading coefficients positive."""
        if self.shift is None:
            return
        r = self.powers * np.where(np.diag(self.powers) < 0, -1.0, 1.0)[: len(self.powers), None]
        size = np.linalg.norm(r, axis=0)
        if len(r) < r.shape[1] or np.any(np.abs(np.diag(r)) <= _NOTHING * size):
            raise InvalidArgumentError(
                f"formula: poly(): the degree {r.shape[1] - 1} must be less than the number of "
                "different values"
            )
        self.coefficients = la.solve_triangular(r, np.eye(len(r)))

    def transform(self, x: Any, degree: int = 1, raw: bool = False) -> Array:
        """The polynomials of rows, (m, degree)."""
        values = np.asarray(x, dtype=float).reshape(-1)
        degree = _checked_degree(degree)
        if raw:
            return np.asarray(values[:, None] ** np.arange(1, degree + 1))
        return np.asarray((self._vandermonde(values, degree) @ self.coefficients)[:, 1:])

    def _vandermonde(self, values: Array, degree: int) -> Array:
        assert self.shift is not None
        return np.vander((values - self.shift) / self.size, degree + 1, increasing=True)


def _one_column(x: Any, name: str) -> Array:
    values = np.asarray(x, dtype=float)
    if values.ndim != 1:
        raise InvalidArgumentError(f"formula: {name}() takes one column")
    return values


def _checked_degree(degree: Any) -> int:
    if not isinstance(degree, (int, np.integer)) or isinstance(degree, bool) or degree < 1:
        raise InvalidArgumentError(f"formula: poly(degree={degree!r}): a whole number from 1 on")
    return int(degree)


#: Functions of one row's values alone.
ELEMENTWISE: Mapping[str, Any] = {
    "log": log,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "expm1": np.expm1,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "floor": np.floor,
    "ceiling": np.ceil,
}
#: Functions that remember the rows of the fit; formulaic has no ``te``.
STATEFUL = frozenset({"bs", "cc", "center", "cr", "poly", "scale", "standardize", "te"})
#: What patsy has otherwise or not at all; formulaic's own are R's.
_FOR_PATSY: Mapping[str, Any] = {
    "scale": patsy.stateful_transform(Scale),
    "poly": patsy.stateful_transform(OrthogonalPolynomials),
}


def formula_names(own: Mapping[str, Any], code: str, engine: str = "patsy") -> dict[str, Any]:
    """The names that a piece of formula code sees besides the data.

    Parameters
    ----------
    own : mapping
        Names of the caller. Those of `math` take no columns: numpy's are meant.
    code : str
        In which a name that is called is a function.
    engine : {"patsy", "formulaic"}
    """
    ours = {"np": np, **ELEMENTWISE, **(_FOR_PATSY if engine == "patsy" else {})}
    called = set(re.findall(r"(?<![\w.])(\w+)\s*\(", code))
    known = {*ours, *STATEFUL} & called & set(own)
    hidden = {name for name in known if not _is_for_columns(own[name])}
    return {**ours, **{name: value for name, value in own.items() if name not in hidden}}


def _is_for_columns(value: Any) -> bool:
    return callable(value) and getattr(value, "__module__", None) != "math"

"""The profile of one parameter as a smooth function, and its inverse.

Each point of a profile comes with its value of zeta and, by the envelope theorem, its exact slope.
Between two points the curve is the cubic with these values and slopes (Hermite's), in a coordinate
u in which the deviance is smooth up to the boundary: the parameter itself, the arc sine of a
correlation, the logarithm of sigma.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from merextras.engine.kernels.cubic import hermite, place_of
from merextras.foundation.aliases import Array, IntArray
from merextras.foundation.frozen import FrozenArrays

#: How a parameter is made of u, u of the parameter, and the parameter's derivative in u.
_FORWARD: dict[str, Callable[[Any], Any]] = {
    "identity": lambda u: u,
    "square": np.square,
    "fourth": lambda u: np.square(np.square(u)),
    "sine": np.sin,
    "exp": np.exp,
    "exp_square": lambda u: np.exp(2.0 * u),
}
_BACKWARD: dict[str, Callable[[Any], Any]] = {
    "identity": lambda v: v,
    "square": np.sqrt,
    "fourth": lambda v: np.sqrt(np.sqrt(v)),
    "sine": np.arcsin,
    "exp": np.log,
    "exp_square": lambda v: 0.5 * np.log(v),
}
_SLOPE: dict[str, Callable[[Any], Any]] = {
    "identity": np.ones_like,
    "square": lambda u: 2.0 * u,
    "fourth": lambda u: 4.0 * np.square(u) * u,
    "sine": np.cos,
    "exp": np.exp,
    "exp_square": lambda u: 2.0 * np.exp(2.0 * u),
}


def _drawn_out(kind: str, bounds: tuple[float, float]) -> tuple[float, float]:
    """Middle and half width of the values that a sine is drawn out to; none of other kinds."""
    low, high = bounds
    return (0.5 * (low + high), 0.5 * (high - low)) if kind == "sine" else (0.0, 1.0)


def value_of(kind: str, u: Any, bounds: tuple[float, float]) -> Any:
    """The parameter at u."""
    middle, half = _drawn_out(kind, bounds)
    return middle + half * _FORWARD[kind](u)


def coordinate_of(kind: str, value: Any, bounds: tuple[float, float]) -> Any:
    """The u of a parameter."""
    middle, half = _drawn_out(kind, bounds)
    return _BACKWARD[kind]((value - middle) / half)


@dataclass(frozen=True, eq=False)
class Curve(FrozenArrays):
    """zeta as a function of one parameter.

    Attributes
    ----------
    estimate : float
        The ML estimate; NaN where it does not exist.
    kind : str
        How the parameter is made of u.
    u, zeta, slope : (points,) arrays
        Ascending in u; the slopes are dzeta / du. Without a point the curve says nothing but its
        `reasons`.
    bounds : tuple of float
        The boundary of the parameter's space.
    reasons : tuple of str
        Why the lower and the upper side end where they do; empty where zeta got as far as asked.
    ceiling : float
        What ``|zeta|`` never exceeds: that of a model in which the parameter does not matter.
    """

    estimate: float
    kind: str
    u: Array
    zeta: Array
    slope: Array
    bounds: tuple[float, float]
    reasons: tuple[str, str]
    ceiling: float = np.inf

    _arrays = ("u", "zeta", "slope")

    @property
    def values(self) -> Array:
        """The parameter at the points."""
        return np.asarray(value_of(self.kind, self.u, self.bounds))

    def zeta_at(self, value: Array) -> Array:
        """Interpolate zeta; NaN outside the points."""
        with np.errstate(invalid="ignore", divide="ignore"):
            u = np.asarray(coordinate_of(self.kind, value, self.bounds), dtype=float)
        if len(self.u) < 2:
            return np.full(u.shape, np.nan)
        # The end of the curve itself, back and forth, may be off by rounding.
        nearest: Array = np.clip(u, self.u[0], self.u[-1])
        inside = np.abs(u - nearest) <= 1e-12 * (1.0 + np.abs(nearest))
        nearest = np.where(inside, nearest, self.u[0])
        at = np.clip(np.searchsorted(self.u, nearest, side="right") - 1, 0, len(self.u) - 2)
        t = (nearest - self.u[at]) / (self.u[at + 1] - self.u[at])
        zeta = np.clip(self._cubic(at, t), -self.ceiling, self.ceiling)
        return np.where(inside, zeta, np.nan)

    def value_at(self, zeta: Array) -> Array:
        """The parameter at which the curve first has this zeta, going out from the estimate."""
        flat = np.atleast_1d(zeta).astype(float)
        out = np.full(flat.shape, np.nan)
        for i, wanted in np.ndenumerate(flat):
            at = self.segment(float(wanted))
            if at is not None:
                out[i] = value_of(self.kind, self.crossing(at, float(wanted)), self.bounds)
        return out.reshape(np.shape(zeta))

    def segment(self, wanted: float) -> int | None:
        """The first segment, going out from the estimate, that crosses this zeta."""
        low, high = self.zeta[:-1], self.zeta[1:]
        crossing = (np.minimum(low, high) <= wanted) & (wanted <= np.maximum(low, high))
        places = np.flatnonzero(crossing)
        if len(places) == 0 or abs(wanted) > self.ceiling:
            return None
        return int(places[0] if wanted >= 0.0 else places[-1])

    def crossing(self, at: int, wanted: float) -> float:
        """The u at which a segment has this zeta."""
        span = float(self.u[at + 1] - self.u[at])
        start, end = self.zeta[at : at + 2].tolist()
        first, last = (span * self.slope[at : at + 2]).tolist()
        return float(self.u[at]) + span * place_of(wanted, (start, end), (first, last))

    def ends(self, cut: float) -> tuple[float, float, str]:
        """Interval where ``|zeta| < cut``, and why an end of it is open."""
        low, high = (float(v) for v in self.value_at(np.array([-cut, cut])))
        notes = []
        if np.isnan(low):
            low = self.bounds[0] if self.reasons[0] else low
            notes.append(f"lower end: {self.reasons[0]}" if self.reasons[0] else "")
        if np.isnan(high):
            high = self.bounds[1] if self.reasons[1] else high
            notes.append(f"upper end: {self.reasons[1]}" if self.reasons[1] else "")
        return low, high, "; ".join(note for note in notes if note)

    def dense(self, n: int) -> dict[str, Array]:
        """Evenly spaced values over the range of the points, with zeta and the density."""
        values = np.linspace(self.values[0], self.values[-1], n)
        zeta = self.zeta_at(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = np.clip(coordinate_of(self.kind, values, self.bounds), self.u[0], self.u[-1])
            half = _drawn_out(self.kind, self.bounds)[1]
            rate = self._rate(u) / (half * _SLOPE[self.kind](u))
        density = np.exp(-0.5 * zeta**2) / np.sqrt(2.0 * np.pi) * rate
        density = np.where(np.isfinite(density), density, np.nan)
        return {"value": values, "zeta": zeta, "density": density}

    def _cubic(self, at: IntArray, t: Array) -> Array:
        span = self.u[at + 1] - self.u[at]
        ends = hermite(t)
        return np.asarray(
            ends[0] * self.zeta[at]
            + ends[1] * self.zeta[at + 1]
            + span * (ends[2] * self.slope[at] + ends[3] * self.slope[at + 1])
        )

    def _rate(self, u: Array) -> Array:
        at = np.clip(np.searchsorted(self.u, u, side="right") - 1, 0, len(self.u) - 2)
        span = self.u[at + 1] - self.u[at]
        t = (u - self.u[at]) / span
        rise = (self.zeta[at + 1] - self.zeta[at]) / span
        return np.asarray(
            6.0 * t * (1.0 - t) * rise
            + (1.0 - t) * (1.0 - 3.0 * t) * self.slope[at]
            + t * (3.0 * t - 2.0) * self.slope[at + 1]
        )

"""Joint regions of two parameters, from their profiles."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline, PchipInterpolator

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_level
from merextras.results.profiles.profile import Profile


def contour(profile: Profile, x: str, y: str, level: float = 0.95, n: int = 201) -> pd.DataFrame:
    """Interpolate the boundary of the joint region of two parameters.

    Parameters
    ----------
    profile : Profile
        With both parameters profiled, far enough: a region of level L needs ``zeta`` up to
        ``sqrt(-2 log(1 - L))``, so that a profile of 99 % gives regions of up to 96 %.
    x, y : str
    level : float
        The region is where the deviance rises by less than the chi-squared quantile of this level
        with two degrees of freedom.
    n : int
        Points.

    Returns
    -------
    DataFrame
        ``x y zeta_x zeta_y``, going once around.

    Raises
    ------
    InvalidArgumentError
        Parameters that were not profiled, or are the same; a level that is none; a region that is
        not closed within the profiles, because they end before or the parameter space does.

    Notes
    -----
    Nothing is minimised: the region touches each parameter's own profile at ``zeta = +-c``, where
    the other parameter has its best value. Between these four points the curve is interpolated in
    angles, ``zeta_x = c cos(a + d/2)`` and ``zeta_y = c cos(a - d/2)`` with d a periodic spline of
    a, as Bates and Watts do [1]_; an ellipse is exact.

    **R counterpart**: the curves in ``lattice::splom(profile(m))``.

    References
    ----------
    .. [1] Bates, D. M. and Watts, D. G. (1988). *Nonlinear Regression Analysis and Its
       Applications*. Wiley. Chapter 6.

    Examples
    --------
    >>> import merextras as mx
    >>> from merextras.results.profiles.contour import contour
    >>> m = mx.lmer("Reaction ~ Days + (Days | Subject)", mx.load_dataset("sleepstudy"))
    >>> region = contour(m.profile(), "Intercept", "Days", level=0.9)
    >>> region[["x", "y"]].agg(["min", "max"]).round(1)
             x     y
    min  236.2   7.0
    max  266.6  13.9
    """
    level = check_level(level)
    for name in (x, y):
        profile.curve(name)
    if x == y:
        raise InvalidArgumentError(f"x={x!r} and y={y!r}: a region has two parameters")
    cut = float(np.sqrt(-2.0 * np.log1p(-level)))
    ends = np.array([cut, -cut])
    across, up = trace(profile, x, y, ends), trace(profile, y, x, ends)
    touching = np.array([across[0], up[0], -across[1], -up[1]])
    if not np.all(np.isfinite(touching)):
        raise InvalidArgumentError(
            f"level={level}: the region of {x!r} and {y!r} needs zeta from {-cut:.3g} to "
            f"{cut:.3g} on both profiles, which end before; profile the model with a higher "
            "level_max, or ask for a lower level"
        )
    between = np.arccos(np.clip(touching / cut, -1.0, 1.0))
    # The four angles a at which the region touches a profile, ascending, and once more around.
    at = np.array([-0.5, 0.5, -0.5, 0.5]) * between + np.array([0.0, 0.0, np.pi, np.pi])
    at, between = np.append(at, at[0] + 2.0 * np.pi), np.append(between, between[0])
    keep = np.append(True, np.diff(at) > 1e-9)
    spline = CubicSpline(at[keep], between[keep], bc_type="periodic")
    angle = np.linspace(at[0], at[-1], n)
    half = 0.5 * spline(angle)
    zeta_x, zeta_y = cut * np.cos(angle + half), cut * np.cos(angle - half)
    return pd.DataFrame(
        {
            "x": profile.value(x, zeta_x),
            "y": profile.value(y, zeta_y),
            "zeta_x": zeta_x,
            "zeta_y": zeta_y,
        }
    )


def trace(profile: Profile, along: str, other: str, zeta: Array) -> Array:
    """The other parameter's best value where the first has the given zeta, as zeta; NaN outside.

    The best values between the points are interpolated without overshooting (Fritsch and Carlson's
    cubics): a variance that has become zero stays zero.
    """
    knots = profile.curve(along).zeta
    best = profile.points[along][:, profile.parameters.index(other)]
    usable = np.isfinite(best) & np.append(True, np.diff(knots) > 0.0)
    if np.sum(usable) < 2:
        return np.full(len(zeta), np.nan)
    curve = PchipInterpolator(knots[usable], best[usable], extrapolate=False)
    return profile.zeta(other, curve(zeta))

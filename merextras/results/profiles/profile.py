"""A likelihood profile: signed-root deviances of the parameters, and what is read off them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from merextras.distributions.curve import Curve
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import check_level, one_of
from merextras.foundation.frozen import FrozenArrays, freeze
from merextras.results.base import FrozenMapping, Parts, TextResult, format_numbers

#: What `parm` and `which` call the groups of parameters, as lme4 does.
GROUPS = ("theta_", "beta_")


@dataclass(frozen=True, eq=False, repr=False)
class Profile(FrozenArrays, TextResult):
    """Profiles of a model's parameters, as `MerMod.profile` makes them; arrays are read-only.

    Attributes
    ----------
    curves : mapping parameter -> Curve
        ``zeta`` as a function of the parameter, and back.
    points : mapping parameter -> (points, parameters) array
        The best values of all `parameters` at each point of the parameter's profile.
    parameters : tuple of str
        All of the model's: standard deviations and correlations, sigma, fixed effects.
    n_covariance : int
        How many of them are not fixed effects.
    level_max : float
        The highest level at which there are intervals.
    scale : str
        ``"sdcor"`` or ``"varcov"``.
    reml : bool
        Whether the model was fitted by REML; the profile is of the ML deviance all the same.

    See Also
    --------
    merextras.results.profiles.contour.contour : Regions of two parameters.
    """

    curves: Mapping[str, Curve]
    points: Mapping[str, Array]
    parameters: tuple[str, ...]
    n_covariance: int
    level_max: float
    scale: str
    reml: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "curves", FrozenMapping(self.curves))
        points = {name: freeze(array) for name, array in self.points.items()}
        object.__setattr__(self, "points", FrozenMapping(points))

    @property
    def names(self) -> tuple[str, ...]:
        """The profiled parameters."""
        return tuple(self.curves)

    def curve(self, parameter: str) -> Curve:
        """The curve of a parameter.

        Raises
        ------
        InvalidArgumentError
            It was not profiled.
        """
        return self.curves[self._select([parameter])[0]]

    def zeta(self, parameter: str, value: ArrayLike) -> Array:
        """``sign(value - estimate) sqrt(deviance - least deviance)``; NaN off the profile."""
        return self.curve(parameter).zeta_at(np.asarray(value, dtype=float))

    def value(self, parameter: str, zeta: ArrayLike) -> Array:
        """The value of the parameter with a given zeta; NaN off the profile."""
        return self.curve(parameter).value_at(np.asarray(zeta, dtype=float))

    def confint(
        self, level: float = 0.95, *, parm: str | Sequence[str] | None = None
    ) -> pd.DataFrame:
        """Profile-likelihood intervals: where ``|zeta|`` is below the normal quantile.

        Parameters
        ----------
        level : float
            At most `level_max`.
        parm : str or sequence of str, optional
            Names, or ``"theta_"`` (all but the fixed effects) or ``"beta_"``.

        Returns
        -------
        DataFrame
            ``conf_low conf_high``, indexed by parameter. An end that the likelihood leaves open is
            the boundary of the parameter space, or infinite; ``attrs["notes"]`` says why, by
            parameter.

        Raises
        ------
        InvalidArgumentError
            A level that is none, or above `level_max`; an unknown parameter.
        """
        level = check_level(level)
        if level > self.level_max + 1e-12:
            raise InvalidArgumentError(
                f"level={level}: the profile was followed to level_max={self.level_max} only; "
                f"profile the model with level_max={level}"
            )
        names = self._select(parm)
        cut = NormalDist().inv_cdf(0.5 + 0.5 * level)
        ends = {name: self.curves[name].ends(cut) for name in names}
        out = pd.DataFrame(
            [[low, high] for low, high, _ in ends.values()],
            index=names,
            columns=["conf_low", "conf_high"],
            dtype=float,
        )
        out.attrs["notes"] = {name: note for name, (_, _, note) in ends.items() if note}
        return out

    def to_frame(self) -> pd.DataFrame:
        """The points: ``parameter value zeta``, then the best value of every parameter there."""
        parts = []
        for name, curve in self.curves.items():
            head = {"parameter": name, "value": curve.values, "zeta": curve.zeta}
            part = pd.DataFrame(self.points[name], columns=list(self.parameters))
            parts.append(pd.concat([pd.DataFrame(head), part], axis=1))
        return pd.concat(parts, ignore_index=True)

    def dense(self, n: int = 101) -> pd.DataFrame:
        """The curves at n values each, for drawing: ``parameter value zeta density``.

        The density is that of the value when zeta is standard normal, lme4's ``densityplot`` of a
        profile: ``phi(zeta) dzeta / dvalue``.
        """
        parts = [
            pd.DataFrame({"parameter": name, **curve.dense(n)})
            for name, curve in self.curves.items()
            if len(curve.u) > 1
        ]
        columns = ["parameter", "value", "zeta", "density"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def _select(self, parm: str | Sequence[str] | None) -> list[str]:
        return select(parm, self.names, self.parameters[: self.n_covariance])

    def _parts(self) -> Parts:
        """Estimates and the widest intervals, with what is to be said of them."""
        table = self.confint(self.level_max)
        table.insert(0, "estimate", [curve.estimate for curve in self.curves.values()])
        criterion = "ML deviance" + (" (of a model that was fitted by REML)" if self.reml else "")
        notes = [f"{name}: {note}" for name, note in table.attrs["notes"].items()]
        head = f"Profile of the {criterion}, {100 * self.level_max:g} % intervals"
        for column in table:
            table[column] = table[column].astype(object)
        for name, row in table.iterrows():
            table.loc[name] = format_numbers(row.to_numpy(dtype=float), 4)
        return [head, table, *notes]


def select(
    parm: str | Sequence[str] | None,
    names: Sequence[str],
    covariance: Sequence[str],
    argument: str = "parm",
) -> list[str]:
    """The parameters that `parm` names, in the order of the model.

    Raises
    ------
    InvalidArgumentError
    """
    if parm is None:
        return list(names)
    wanted = list(parm) if isinstance(parm, Iterable) and not isinstance(parm, str) else [parm]
    chosen = set()
    for name in wanted:
        if name in names:
            chosen.add(name)
        elif name == "theta_":
            chosen.update(n for n in names if n in covariance)
        elif name == "beta_":
            chosen.update(n for n in names if n not in covariance)
        else:
            raise InvalidArgumentError(f"{argument}={name!r}: {one_of(name, [*names, *GROUPS])}")
    if not chosen:
        raise InvalidArgumentError(f"{argument}={parm!r}: no parameter is named")
    return [name for name in names if name in chosen]

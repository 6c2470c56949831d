"""The optimum of one criterion as several optimisers find it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from merextras.results.base import TextResult

__all__ = ["AllFit", "OneFit"]

# Criteria closer than this are the same optimum: a hundredth of what changes a test's third digit.
_SAME = 1e-4


@dataclass(frozen=True)
class OneFit:
    """Where one optimiser ended.

    Attributes
    ----------
    optimizer : str
    criterion : float
        REML criterion or deviance; NaN where there is none.
    theta : tuple of float
    converged : bool
        By its own account.
    singular : bool
    n_evaluations : int
        Of the criterion.
    seconds : float
    message : str
    """

    optimizer: str
    criterion: float
    theta: tuple[float, ...]
    converged: bool
    singular: bool
    n_evaluations: int
    seconds: float
    message: str


@dataclass(frozen=True, repr=False)
class AllFit(TextResult):
    """What `all_fit` returns: one criterion, several optimisers.

    Attributes
    ----------
    fits : tuple of OneFit
    theta_names : tuple of str
    current : float
        The criterion at the model's own estimate.

    Examples
    --------
    >>> from merextras.results.estimates.all_fit import AllFit, OneFit
    >>> one = OneFit("newton", 1743.628, (0.97, 0.02, 0.23), True, False, 8, 0.002, "converged")
    >>> names = ("Subject.Intercept", "Subject.Days.Intercept", "Subject.Days")
    >>> AllFit((one,), names, 1743.628).best
    1743.628
    """

    fits: tuple[OneFit, ...]
    theta_names: tuple[str, ...]
    current: float

    @property
    def best(self) -> float:
        """The lowest criterion that was found."""
        found = np.array([fit.criterion for fit in self.fits])
        return float(np.nanmin(found)) if np.any(np.isfinite(found)) else np.nan

    @property
    def theta(self) -> pd.DataFrame:
        """Theta by optimiser."""
        rows = np.array([fit.theta for fit in self.fits]).reshape(len(self.fits), -1)
        index = pd.Index([fit.optimizer for fit in self.fits], name="optimizer")
        return pd.DataFrame(rows, index=index, columns=list(self.theta_names))

    @property
    def agree(self) -> bool:
        """Whether all that say they converged are within 1e-4 of the best, the model's own too."""
        found = [fit.criterion for fit in self.fits if fit.converged]
        return bool(np.all(np.array([*found, self.current]) - self.best <= _SAME))

    def to_frame(self) -> pd.DataFrame:
        """A row per optimiser.

        Returns
        -------
        DataFrame
            ``optimizer criterion above_best converged singular n_evaluations seconds message``.
        """
        best = self.best
        columns: dict[str, Sequence[object]] = {
            "optimizer": [fit.optimizer for fit in self.fits],
            "criterion": [fit.criterion for fit in self.fits],
            "above_best": [fit.criterion - best for fit in self.fits],
            "converged": [fit.converged for fit in self.fits],
            "singular": [fit.singular for fit in self.fits],
            "n_evaluations": [fit.n_evaluations for fit in self.fits],
            "seconds": [fit.seconds for fit in self.fits],
            "message": [fit.message for fit in self.fits],
        }
        return pd.DataFrame(columns)

    def to_text(self) -> str:
        """Write the table without its timings, and the verdict."""
        frame = self.to_frame().set_index("optimizer").rename_axis(None)
        frame = frame[["criterion", "above_best", "converged", "singular", "n_evaluations"]]
        frame["criterion"] = [f"{v:.4f}" for v in frame["criterion"]]
        frame["above_best"] = [f"{v:.1e}" for v in frame["above_best"]]
        gap = self.current - self.best
        if self.agree:
            verdict = "All that converged agree with the model's estimate."
        elif gap > _SAME:
            verdict = (
                f"The model's own estimate is {gap:.2g} above the best: fit it again from the best "
                "theta, LmerControl(start=...), or let MerMod polish it."
            )
        else:
            verdict = "The model's estimate is the best found; some optimisers stopped short of it."
        return f"{frame.to_string()}\n{verdict}"

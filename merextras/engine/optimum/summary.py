"""When a search stops, and what is told of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Control:
    """When to stop.

    Attributes
    ----------
    tolerance : float
        On the Newton decrement ``g'H^-1 g``, twice the deviance still to be gained, that is left
        after the last step, judged by how fast it fell before: the distance to the optimum is
        then below sqrt(tolerance) standard errors.
    max_iterations, max_restarts : int
    """

    tolerance: float = 1e-13
    max_iterations: int = 100
    max_restarts: int = 5


@dataclass(frozen=True)
class Iteration:
    """A line of the optimiser's log."""

    theta: tuple[float, ...]
    deviance: float
    decrement: float
    step: float

    def at(self, theta: tuple[float, ...]) -> Iteration:
        """The same line with its theta in other coordinates."""
        return Iteration(theta, self.deviance, self.decrement, self.step)


@dataclass(frozen=True)
class OptSummary:
    """What the optimiser did.

    Attributes
    ----------
    initial, theta : tuples of float
    initial_deviance, deviance : float
        The criterion: with a prior of the covariances, `penalty` is a part of it.
    gradient : tuple of float
        d deviance / d theta at the end.
    decrement : float
        ``g'H^-1 g`` that is left: twice the deviance still to be gained, by the model of it.
    n_evaluations : int
        Of all searches.
    n_iterations, n_restarts : int
        Of the search that ended here, as the log.
    converged : bool
    message : str
    log : tuple of Iteration
    n_ends : int
        Different minima that were seen, where the search was repeated from other starts because
        its end was singular or its way long; this is the lowest.
    unbounded : bool
        Whether the criterion has no minimum but falls, or stays, as the residual variance goes to
        zero: the random effects can explain the response exactly.
    regular : bool
        Whether the end is inside, the way to it short, and the curvature there that of a minimum in
        every direction.
    penalty : float
        Of the prior of the covariances, at the end: -2 log prior.
    """

    initial: tuple[float, ...]
    theta: tuple[float, ...]
    initial_deviance: float
    deviance: float
    gradient: tuple[float, ...]
    decrement: float
    n_evaluations: int
    n_iterations: int
    n_restarts: int
    converged: bool
    message: str
    log: tuple[Iteration, ...]
    n_ends: int = 1
    unbounded: bool = False
    regular: bool = True
    penalty: float = 0.0

    @classmethod
    def late(cls, rest: Callable[[], Mapping[str, Any]], **known: Any) -> OptSummary:
        """A summary of what is known; `rest` makes the other fields when one of them is asked for.

        They are of the user's effects, which the search is not.
        """
        new = object.__new__(cls)
        vars(new).update(known, _rest=rest)
        return new

    def __getattr__(self, name: str) -> Any:
        # Called for what is not there yet.
        rest = vars(self).pop("_rest", None)
        if rest is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        vars(self).update({**rest(), **vars(self)})
        return getattr(self, name)

    def __getstate__(self) -> dict[str, Any]:
        """With all of it."""
        _ = self.log
        return dict(vars(self))

    def begun_at(self, initial: tuple[float, ...]) -> OptSummary:
        """The same search, of a start that the user gave."""
        new = object.__new__(type(self))
        vars(new).update(vars(self), initial=initial)
        return new

"""Formula engines' specs of a learnt formula behind one interface.

`read_spec` alone tells patsy's ``DesignInfo`` and formulaic's ``ModelSpec`` apart.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import patsy
from patsy.categorical import categorical_to_int

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.model.formula.translate import names_in


@dataclass(frozen=True, eq=False)
class Spec(ABC):
    """An engine's own object, and what is asked of it.

    Attributes
    ----------
    own : patsy.DesignInfo or formulaic.ModelSpec
    engine : {"patsy", "formulaic"}
    """

    own: Any
    engine: ClassVar[str]

    @abstractmethod
    def codes(self) -> list[str]:
        """The code of its factors."""

    @abstractmethod
    def categorical(self) -> list[str]:
        """The code of those of its factors that are categorical."""

    @abstractmethod
    def categories(self) -> dict[str, Any]:
        """The categories of each of its factors by its code; None of numbers."""

    @abstractmethod
    def terms(self) -> list[tuple[tuple[str, ...], slice]]:
        """The code of each term's factors and the term's columns; the intercept has no code."""

    def codings(self) -> list[Array]:
        """The contrast matrices of its categories, as far as it keeps them."""
        return []

    @abstractmethod
    def names_kept(self) -> dict[str, Any]:
        """What its code sees besides the data, as far as it keeps that itself."""

    @abstractmethod
    def names_wanted(self) -> set[str]:
        """Names that it must be given with new data."""

    @abstractmethod
    def full_columns(self, code: str, frame: pd.DataFrame, context: Mapping[str, Any]) -> Array:
        """The numbers of a factor on rows, or an indicator for each of its levels."""

    def variables(self, columns: Iterable[str]) -> list[str]:
        """Columns of the data that are read, in the data's order."""
        used = {name for code in self.codes() for name in names_in(code)}
        used |= self._further()
        return [str(column) for column in columns if column in used]

    def _further(self) -> set[str]:
        """Variables that are not in the code of a factor."""
        return set()


class PatsySpec(Spec):
    """patsy's."""

    engine = "patsy"

    def codes(self) -> list[str]:
        """In patsy's order."""
        return [factor.name() for factor in self.own.factor_infos]

    def categorical(self) -> list[str]:
        """By the type that was found."""
        infos = self.own.factor_infos.items()
        return [f.name() for f, info in infos if info.type == "categorical"]

    def categories(self) -> dict[str, Any]:
        """As they were found."""
        return {f.name(): info.categories for f, info in self.own.factor_infos.items()}

    def terms(self) -> list[tuple[tuple[str, ...], slice]]:
        """In patsy's order, all factors before the numbers."""
        slices = self.own.term_slices.items()
        return [(tuple(f.name() for f in term.factors), where) for term, where in slices]

    def codings(self) -> list[Array]:
        """Of each term's factors."""
        subterms = [each for found in self.own.term_codings.values() for each in found]
        return [m.matrix for each in subterms for m in each.contrast_matrices.values()]

    def names_kept(self) -> dict[str, Any]:
        """Those of the call."""
        infos = self.own.factor_infos.values()
        spaces = [each.state["eval_env"].namespace for each in infos]
        used = {name for code in self.codes() for name in names_in(code)}
        return {name: space[name] for space in spaces for name in used if name in space}

    def names_wanted(self) -> set[str]:
        """None: it keeps its own."""
        return set()

    def full_columns(self, code: str, frame: pd.DataFrame, context: Mapping[str, Any]) -> Array:  # noqa: ARG002
        """By the factor's own evaluation."""
        factor, info = next((f, i) for f, i in self.own.factor_infos.items() if f.name() == code)
        try:
            values = factor.eval(info.state, frame)
        except patsy.PatsyError as err:
            raise InvalidArgumentError(f"{code!r}: {str(err).splitlines()[0]}") from err
        if info.type != "categorical":
            return np.asarray(values, dtype=float).reshape(len(frame), -1)
        codes = np.asarray(categorical_to_int(values, info.categories, patsy.NAAction()))
        return indicators(codes, len(info.categories))


class FormulaicSpec(Spec):
    """formulaic's."""

    engine = "formulaic"

    def codes(self) -> list[str]:
        """In formulaic's order."""
        return [str(factor.expr) for factor in self.own.factors]

    def categorical(self) -> list[str]:
        """By the kind that was encoded."""
        states = self.own.encoder_state.items()
        return [str(code) for code, (found, _) in states if found.value == "categorical"]

    def categories(self) -> dict[str, Any]:
        """As they were encoded."""
        states = self.own.encoder_state.items()
        return {str(code): state.get("categories") for code, (_, state) in states}

    def terms(self) -> list[tuple[tuple[str, ...], slice]]:
        """In formulaic's order; its intercept is the factor 1."""
        found = []
        for term, where in self.own.term_slices.items():
            codes = tuple(str(factor.expr) for factor in term.factors)
            found.append((tuple(code for code in codes if code != "1"), where))
        return found

    def names_kept(self) -> dict[str, Any]:
        """None: it is given them with each frame."""
        return {}

    def names_wanted(self) -> set[str]:
        """Its variables, and the modules that their names begin with."""
        names = [str(variable) for variable in self.own.variables]
        return {*names, *(name.split(".")[0] for name in names)}

    def full_columns(self, code: str, frame: pd.DataFrame, context: Mapping[str, Any]) -> Array:
        """By a formula of this factor alone."""
        from formulaic import model_matrix  # noqa: PLC0415 (only if the fit used it)

        made = np.asarray(
            model_matrix(f"0 + {code}", frame, context=context, materializer="pandas"), dtype=float
        )
        if code not in self.categorical():
            return made
        _, codes = np.unique(-made, axis=0, return_inverse=True)
        return indicators(codes.reshape(-1), int(codes.max()) + 1)

    def _further(self) -> set[str]:
        return {str(variable).strip("`") for variable in self.own.variables}


def read_spec(own: Any) -> Spec:
    """A spec by its engine."""
    return PatsySpec(own) if isinstance(own, patsy.DesignInfo) else FormulaicSpec(own)


def indicators(codes: Any, n_levels: int) -> Array:
    """One column per level, the first level's last."""
    return np.asarray(codes[:, None] == np.roll(np.arange(n_levels), -1), dtype=float)

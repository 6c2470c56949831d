"""A factor of a formula that is code, evaluated chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import patsy

from merextras.model.evaluation.boxes import boxed
from merextras.model.evaluation.explained import explained
from merextras.model.evaluation.transforms import restored, stored
from merextras.model.formula.functions import formula_names
from merextras.model.formula.trust import check_trusted
from merextras.model.frame.engine_frame import date_numbers, for_engine
from merextras.model.frame.kinds import not_numeric


class Computed:
    """A factor that is code: ``np.log(x)``, ``center(x)``, ``bs(x, df=4)``.

    Parameters
    ----------
    code : str
    names : mapping
        Functions and constants it may use besides the data and patsy's own.
    """

    def __init__(self, code: str, names: Mapping[str, Any] | None = None) -> None:
        self.code = code
        self._names = formula_names(names or {}, code)
        self._learnt: dict[str, Any] | None = None
        self._dates: frozenset[str] | None = None
        self.trusted = True
        self._begin()

    def _begin(self) -> None:
        check_trusted([self.code], (), trusted=self.trusted)
        self._factor = patsy.EvalFactor(self.code)
        self._state: dict[str, Any] = {}
        space = patsy.EvalEnvironment([{**self._names, "C": boxed}])
        try:
            self.passes: int = self._factor.memorize_passes_needed(self._state, space)
        except patsy.PatsyError as err:
            raise explained(err, self.code, pd.DataFrame()) from err

    @classmethod
    def from_stored(cls, code: str, learnt: dict[str, Any], *, trusted: bool) -> Computed:
        """One that has learnt all it needs; nothing is evaluated, nor compiled if not trusted."""
        new = object.__new__(cls)
        new.__setstate__({"code": code, "learnt": learnt, "trusted": trusted, "dates": frozenset()})
        return new

    def learn(self, which: int, data: pd.DataFrame) -> None:
        """Take rows in for one pass."""
        shown = self._for_engine(data, "source")
        try:
            with np.errstate(all="ignore"):  # told by ours: log(0), log(-1), exp(1000)
                self._factor.memorize_chunk(self._state, which, shown)
        except patsy.PatsyError as err:
            raise explained(err, self.code, data) from err

    def finish(self, which: int) -> None:
        """End a pass."""
        with np.errstate(all="ignore"):
            self._factor.memorize_finish(self._state, which)

    def stored(self) -> dict[str, Any]:
        """What the transforms remember, as plain data."""
        if self._learnt is not None:
            return self._learnt
        return {name: stored(each, self.code) for name, each in self._state["transforms"].items()}

    def __getstate__(self) -> dict[str, Any]:
        # The caller's functions may not pickle; see Scope.
        return {
            "code": self.code,
            "learnt": self.stored(),
            "trusted": self.trusted,
            "dates": self._dates,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.code, self._learnt, self.trusted = state["code"], state["learnt"], state["trusted"]
        self._dates = state["dates"]
        self._names = formula_names({}, self.code)

    def _for_engine(self, data: pd.DataFrame, what: str) -> pd.DataFrame:
        """The columns that the code reads; dates where those that came first were dates."""
        dates = frozenset(date_numbers(data, [self.code]))
        self._dates = dates if self._dates is None else self._dates
        for name in sorted(dates - self._dates):
            raise not_numeric(data[name], name, what)
        return for_engine(data, [self.code], what)

    def with_names(self, names: Mapping[str, Any]) -> None:
        """Give back the names that pickling has lost."""
        self._names = formula_names(names, self.code)

    def values(self, data: pd.DataFrame) -> Any:
        """Evaluate the code on rows.

        Raises
        ------
        UnsupportedModelError
            The code comes from a file, and was not trusted when that was read.
        """
        check_trusted([self.code], (), trusted=self.trusted)
        if self._learnt is not None:
            self._begin()
            for name, what in self._learnt.items():
                restored(self._state["transforms"][name], what, self.code)
            self._learnt = None
        shown = self._for_engine(data, "newdata")
        try:
            with np.errstate(all="ignore"):
                return self._factor.eval(self._state, shown)
        except patsy.PatsyError as err:
            raise explained(err, self.code, data) from err

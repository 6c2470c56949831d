"""The questions that every design answers, with rows or without."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import pandas as pd

from merextras.engine.covariance.covariances import Covariances
from merextras.engine.covariance.priors import Penalty
from merextras.engine.products.crossprod import CrossProducts
from merextras.exceptions import NoRowsError
from merextras.foundation.aliases import Array
from merextras.model.columns.part import FixedPart
from merextras.model.design.effects import Effects
from merextras.model.design.user_rows import UserRows
from merextras.model.design.variables import Variable
from merextras.model.formula.names import INTERCEPT, effect_key
from merextras.model.formula.translate import names_in
from merextras.model.settings.cov_prior import CovPrior, check_keys, penalty_of, priors_of
from merextras.model.settings.options import Options
from merextras.model.settings.residual import ResidualBy

if TYPE_CHECKING:
    import scipy.sparse as sp

    from merextras.engine.products.strata import Strata
    from merextras.engine.products.term_rows import TermRows
    from merextras.foundation.aliases import BoolArray
    from merextras.model.design.design import RowDesign, Term
    from merextras.model.design.rowless import RowlessDesign
    from merextras.model.structure.structure import RandomTerm


class ByRow:
    """Attributes that only rows have: one mechanism refuses them where none are kept."""

    #: What an error calls each of them.
    of_rows: ClassVar[Mapping[str, str]]

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            if name in type(self).of_rows:
                raise NoRowsError(
                    "the model was fitted from chunks or cross-products and keeps no rows: it has "
                    f"no {self.of_rows[name]}. Values by row come from another pass over the "
                    "data: stream_rows(m, source), or newdata= where there is one; other models of "
                    "these data from lmer or glmer(formula, source)"
                )
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")


class Design(ByRow, ABC):
    """What a model is of: names, terms, cross-products, and the answers that verbs ask for.

    A `RowDesign` has its rows, a `RowlessDesign` kept sums of them. No verb asks which; one that
    needs rows says so by `require_rows`, or asks for an attribute that only rows have, which is a
    `NoRowsError` where there are none.

    Attributes
    ----------
    response : str
    fixed : FixedPart
        Names of the columns of X, and how to make them from new data.
    terms : tuple of Term
        In lme4's order: by their number of levels, the largest first.
    formula : str
        As lme4 would write it.
    options : Options
        What the formula was evaluated with; updates go on from it.
    residual : ResidualBy or None
        The groups of rows with residual variances of their own; one for all rows if None.
    y, x, index, frame, weights, offset, frequencies, precision
        By row, as of `RowDesign`; of the last four, None if the model has none.
    user_rows : UserRows or None
        The user's table, if the fit has not all of its rows; None if there are no rows at all.
    """

    of_rows: ClassVar[Mapping[str, str]] = {
        "x": "X by row",
        "y": "response by row",
        "z": "Z by row",
        "index": "index",
        "frame": "model frame",
        "weights": "weights by row",
        "precision": "residual variances by row",
        "frequencies": "frequencies by row",
        "offset": "offset by row",
        "observed": "observations by row",
    }
    #: Whether values by row can be asked for.
    keeps_rows: ClassVar[bool]

    response: str
    fixed: FixedPart
    terms: tuple[Term, ...]
    formula: str
    options: Options
    y: Array
    x: Array
    index: pd.Index
    frame: pd.DataFrame
    weights: Array | None
    residual: ResidualBy | None
    offset: Array | None
    frequencies: Array | None
    user_rows: UserRows | None = None
    if TYPE_CHECKING:

        @property
        def observed(self) -> BoolArray | slice:
            """The rows that are observations: those whose weights are not zero."""

        @property
        def precision(self) -> Array | None:
            """What a row's residual variance is sigma**2 over, (n,); None if all are one."""

        def z(self) -> sp.csr_array:
            """Z, (n, q) sparse: the terms side by side, level by level."""

    @property
    @abstractmethod
    def n(self) -> int:
        """Rows, those of weight zero too."""

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """Names of the variables of the model."""

    @property
    @abstractmethod
    def by_row(self) -> frozenset[str]:
        """Which of ``weights``, ``freq_weights`` and ``offset`` the model has."""

    @property
    @abstractmethod
    def constant(self) -> str | None:
        """The fixed-effects column of ones, whatever its name."""

    @property
    @abstractmethod
    def draw_size(self) -> int:
        """Numbers that drawing one response takes."""

    @abstractmethod
    def require_rows(self, verb: str, why: str) -> RowDesign:
        """The design, if it has its rows.

        Raises
        ------
        NoRowsError
            It keeps none; the message says what `verb` would need them for.
        """

    @abstractmethod
    def sums(self) -> RowlessDesign:
        """The design, if it is one of sums of rows.

        Raises
        ------
        UnsupportedModelError
            It has the rows themselves.
        """

    @abstractmethod
    def cross_products(self, y: Array | None = None) -> CrossProducts:
        """What the engine needs. `y` replaces the response, which takes rows."""

    @abstractmethod
    def strata(self) -> Strata | None:
        """Cross-products by groups with residual variances of their own, if there are such."""

    @abstractmethod
    def with_residual(self, residual: ResidualBy) -> Design:
        """The design with residual variances by group that are estimated."""

    @abstractmethod
    def with_fixed_columns(self, columns: Array) -> Design:
        """The design of other fixed-effects columns, within the span of those there are.

        Its products and no more: the names are still those of the columns before.

        Parameters
        ----------
        columns : array
            What `Effects.spanned` of the effects makes.
        """

    @abstractmethod
    def observed_rows(self, *, as_written: bool = False) -> Array:
        """X of the observations, or rows with the same X'X where those of the fit were not kept.

        Parameters
        ----------
        as_written : bool
            With all columns that the formula makes, the dropped ones too.
        """

    @abstractmethod
    def counted_rows(self) -> Array:
        """The `observed_rows`, each times the root of its frequency."""

    @abstractmethod
    def root_mean_squares(self) -> Array:
        """Of the columns of X over the rows, (p,)."""

    @abstractmethod
    def span(self) -> Array:
        """Columns that depend on each other, and on a constant, as those of X do."""

    @abstractmethod
    def effects(self, *, as_written: bool = False) -> Effects:
        """The effects of the fixed part, by the terms of its formula.

        Parameters
        ----------
        as_written : bool
            Of all columns that the formula makes, the dropped ones too: a term that others
            determine has columns then, and what is left without another term is known.
        """

    @abstractmethod
    def term_effects(self, t: int) -> Effects:
        """The covariates of a random-effects term as effects."""

    @abstractmethod
    def groups(self, t: int) -> TermRows | RandomTerm:
        """What is compared of a term: its rows, or its levels and columns."""

    @abstractmethod
    def restricted_to(self, kept: Sequence[int]) -> Design:
        """The design with only these of its terms, numbers in ascending order."""

    @abstractmethod
    def with_covariates(self, t: int, columns: Array) -> Design:
        """The design with other covariates in a term.

        Parameters
        ----------
        columns : array
            What `Effects.spanned` of the term's effects makes.
        """

    @abstractmethod
    def level_labels(self, t: int) -> pd.DataFrame:
        """The values of a term's columns in each of its levels, indexed by the levels."""

    @abstractmethod
    def labels_seen(self, column: str) -> pd.Series:
        """The values of a grouping column that occur, perhaps several times."""

    @abstractmethod
    def variables(self) -> tuple[Variable, ...]:
        """The variables of the fixed part and of the offset, in the order of the data.

        Raises
        ------
        UnsupportedModelError
            A categorical variable that the formula computes, as in ``C(x > 3)``: its levels are no
            column's.
        """

    @abstractmethod
    def offset_variables(self) -> list[str]:
        """Columns that ``offset(...)`` in the formula uses."""

    @abstractmethod
    def offset_at(self, frame: pd.DataFrame) -> Array:
        """The formula's offset on other rows."""

    @abstractmethod
    def offset_mean(self) -> float | None:
        """The mean of the offset by argument over the observations, if there is one."""

    @abstractmethod
    def typical(self, variable: Variable) -> tuple[Any, ...]:
        """What a variable is held at: its levels, two values that it has only, or its mean.

        Raises
        ------
        NoRowsError
            The model keeps no rows, and not what is needed of this variable.
        """

    @abstractmethod
    def mean(self, name: str) -> float:
        """The mean of a numeric variable over the observations.

        Raises
        ------
        NoRowsError
            The model keeps no rows, and not what is needed of this variable.
        """

    @abstractmethod
    def spread(self, name: str) -> float:
        """The range of a numeric variable over the observations."""

    @abstractmethod
    def dtype_of(self, variable: Variable) -> Any:
        """The dtype of a variable in the data; where no rows are kept, one that does as well."""

    def term_variables(self) -> list[frozenset[str]]:
        """The columns of the data that each term of the fixed part uses, dropped ones too."""
        known = frozenset(self.fixed.whole.variables)
        effects = self.effects(as_written=True).effects
        return [known & frozenset().union(*map(names_in, each.variables)) for each in effects]

    def without_term(self, t: int) -> Design:
        """The design without one of its terms."""
        return self.restricted_to([s for s in range(len(self.terms)) if s != t])

    @property
    def ks(self) -> list[int]:
        """Effects per level, by term."""
        return [term.k for term in self.terms]

    @property
    def covariances(self) -> Covariances:
        """The covariances of the terms as functions of theta."""
        return Covariances.of([term.structure for term in self.terms])

    @property
    def cov_priors(self) -> list[CovPrior | None]:
        """The prior of each term's covariance."""
        return priors_of(self.options.cov_prior, *self._keys)

    @property
    def penalty(self) -> Penalty | None:
        """What the priors add to the criterion, as a function of the user's theta.

        Raises
        ------
        InvalidArgumentError
            A prior that does not fit its term.
        """
        if self.options.cov_prior is None:
            return None
        return penalty_of(self.cov_priors, self.covariances, self._keys[1])

    def check_cov_prior(self) -> None:
        """Raise if a prior is of no term, or does not fit its term."""
        if self.options.cov_prior is not None:
            check_keys(self.options.cov_prior, *self._keys)
            _ = self.penalty

    @property
    def _keys(self) -> tuple[list[str], list[str]]:
        """The grouping factor of each term, and the term as a formula has it."""
        return [term.factor for term in self.terms], [bar_text(term) for term in self.terms]

    @property
    def q(self) -> int:
        """Random effects in all."""
        return sum(len(term.levels) * term.k for term in self.terms)

    @property
    def factors(self) -> list[str]:
        """The grouping factors, each once."""
        return list(dict.fromkeys(term.factor for term in self.terms))

    def terms_of(self, factor: str) -> list[int]:
        """Numbers of the terms on a factor."""
        return [t for t, term in enumerate(self.terms) if term.factor == factor]

    def fixed_name(self, effect: str) -> str | None:
        """The fixed effect that a random effect varies around, if there is one.

        An interaction is the same in any order of its variables: ``z:x`` is ``x:z``.
        """
        if effect in self.fixed.names:
            return effect
        return self.constant if effect == INTERCEPT else self._fixed_names.get(effect_key(effect))

    @cached_property
    def _fixed_names(self) -> dict[tuple[str, ...], str]:
        return {effect_key(name): name for name in self.fixed.names}


def bar_text(term: Term) -> str:
    """``(1 + Days | Subject)``; a categorical's columns ``C(x)[T.b]``, ... are its code, once."""
    codes = [re.sub(r"\[[^\[\]]*\]", "", name) for name in term.names]
    names = list(dict.fromkeys("1" if code == INTERCEPT else code for code in codes))
    if "1" not in names:
        names.insert(0, "0")
    columns = [name if name.isidentifier() else f"`{name}`" for name in term.columns]
    return term.tag.term(names, ":".join(columns))

"""The design of a model that keeps no rows: names, levels and cross-products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import pandas as pd
import scipy.linalg as la
import scipy.sparse as sp

from merextras._typing import Array, BoolArray
from merextras.engine.accumulate import combined
from merextras.engine.crossprod import CrossProducts, TermRows
from merextras.exceptions import NoRowsError
from merextras.model.chunks_rows import Structure
from merextras.model.covariates import Covariates
from merextras.model.design import Design, Term
from merextras.model.fixed import FixedPart
from merextras.model.options import Options


def _no_rows(what: str) -> NoReturn:
    raise NoRowsError(
        f"the model was fitted from chunks or cross-products and keeps no rows: it has no {what}. "
        "Values by row come from another pass over the data: stream_rows(m, source), or "
        "newdata= where there is one; other models of these data from lmer(formula, source)"
    )


class StreamedTerm(Term):
    """A random-effects term without its rows."""

    def __init__(
        self, factor: str, columns: Sequence[str], levels: pd.Index, covariates: Covariates
    ) -> None:
        values = {
            "factor": factor,
            "columns": tuple(columns),
            "levels": levels,
            "covariates": covariates,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def k(self) -> int:
        """Effects per level."""
        return len(self.covariates.names)

    @property
    def rows(self) -> TermRows:
        """Not kept."""
        _no_rows("codes and covariates by row")


class StreamedDesign(Design):
    """A design whose rows are gone; what needs none of them works as on any other.

    Parameters
    ----------
    structure : Structure
    fixed : FixedPart
        Of the columns that are left.
    products : CrossProducts
    n_rows : int
        Rows that were reduced, those of weight zero too.
    constant : str or None
        The fixed-effects column of ones.
    square : (up to p, p) array
        Triangular factor of X, unweighted: rows with the same X'X.
    rows : (up to p + 1, p + 1) array
        Triangular factor of the weighted ``[X y]``.
    """

    def __init__(
        self,
        structure: Structure,
        fixed: FixedPart,
        products: CrossProducts,
        *,
        n_rows: int,
        constant: str | None,
        square: Array,
        rows: Array,
    ) -> None:
        values: dict[str, Any] = {
            "response": structure.response_name,
            "fixed": fixed,
            "terms": tuple(
                StreamedTerm(
                    term.factor,
                    term.coder.columns,
                    term.coder.levels,
                    Covariates(term.names, term.part),
                )
                for term in structure.terms
            ),
            "formula": structure.formula,
            "options": Options(contrasts=structure.contrasts, columns=structure.by_row),
            "structure": structure,
            "products": products,
            "_n_rows": n_rows,
            "_constant": constant,
            "square": square,
            "rows": rows,
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    structure: Structure
    products: CrossProducts
    square: Array
    rows: Array
    _n_rows: int
    _constant: str | None

    @property
    def n(self) -> int:
        """Rows that were reduced."""
        return self._n_rows

    @property
    def constant(self) -> str | None:
        """The fixed-effects column of ones, whatever its name."""
        return self._constant

    @property
    def columns(self) -> list[str]:
        """Names of the variables of the model."""
        return list(self.structure.variables)

    @property
    def by_row(self) -> frozenset[str]:
        """Which of ``weights``, ``freq_weights`` and ``offset`` the model has."""
        return frozenset(self.structure.by_row) | ({"offset"} if self.structure.offsets else set())

    def cross_products(self, y: Array | None = None) -> CrossProducts:
        """What was kept."""
        return self.products if y is None else _no_rows("rows for another response")

    def with_combined(self, columns: Array) -> CrossProducts:
        """The cross-products with X C in place of X; ``columns`` is R C, R being `square`."""
        coefficients = la.lstsq(self.square, columns)[0]
        return combined(self.products, coefficients, self.rows)

    def z(self) -> sp.csr_array:
        """Not kept."""
        _no_rows("Z by row")

    @property
    def x(self) -> Array:
        """Not kept."""
        _no_rows("X by row")

    @property
    def y(self) -> Array:
        """Not kept."""
        _no_rows("response by row")

    @property
    def index(self) -> pd.Index:
        """Not kept."""
        _no_rows("index")

    @property
    def frame(self) -> pd.DataFrame:
        """Not kept."""
        _no_rows("model frame")

    @property
    def weights(self) -> Array | None:
        """None if there were none; otherwise not kept."""
        return _no_rows("weights by row") if "weights" in self.structure.by_row else None

    @property
    def frequencies(self) -> Array | None:
        """None if there were none; otherwise not kept."""
        given = "freq_weights" in self.structure.by_row
        return _no_rows("frequencies by row") if given else None

    @property
    def offset(self) -> Array | None:
        """None if there was none; otherwise not kept."""
        given = self.structure.offsets or "offset" in self.structure.by_row
        return _no_rows("offset by row") if given else None

    @property
    def observed(self) -> BoolArray | slice:
        """Not kept."""
        _no_rows("rows")

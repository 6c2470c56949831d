"""Cross-products of a model: what a fit needs of the data, to be kept, sent, added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg as la

from merextras.engine.products.accumulate import basis_of, combined, permuted, spread, triangle
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.restrict import restricted
from merextras.engine.products.strata import Strata
from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.model.design.rowless import RowlessDesign
from merextras.model.products import file
from merextras.model.products.compatible import check_same
from merextras.model.products.submodel import smaller_structure
from merextras.model.settings.options import callers_names
from merextras.model.source.dask import reduce_dask
from merextras.model.source.one_pass import learn_and_reduce
from merextras.model.source.request import ModelRequest
from merextras.model.source.source import as_source, is_dask
from merextras.model.structure.column_summaries import ColumnSummaries
from merextras.model.structure.structure import Structure


@dataclass(frozen=True, eq=False)
class ModelProducts:
    """All that a mixed model's fit needs of the data, without a row of them.

    Made by `cross_products` and `load_cross_products`; ``a + b`` is that of both tables together,
    and `MerMod.from_cross_products` fits it.

    Attributes
    ----------
    structure : Structure
        Formula, columns, levels.
    products : CrossProducts
        By blocks, of all fixed-effects columns.
    rows : (up to p + 1, p + 1) array
        Triangular factor of the weighted ``[X y]``: no row of the data, only their products.
    facts : ColumnSummaries
        What the checks of a design need.
    seen : tuple of (J,) boolean arrays
        Levels with an observation, by terms.
    n_dropped : int
        Rows left out for missing values.
    strata : Strata or None
        By groups with residual variances of their own, under ``residual_by``.

    Notes
    -----
    What leaves a site are sums over rows. A level with one row has the sums of that row, from which
    its values can be had: that is no anonymous data.
    """

    structure: Structure
    products: CrossProducts
    rows: Array
    facts: ColumnSummaries
    seen: tuple[BoolArray, ...]
    n_dropped: int
    strata: Strata | None = None

    @property
    def formula(self) -> str:
        """As lme4 would write it."""
        return self.structure.formula

    @property
    def n(self) -> int:
        """Observations; with frequency weights their sum."""
        return self.products.n

    def __repr__(self) -> str:
        groups = ", ".join(f"{t.factor} {t.shape[0]}" for t in self.structure.terms)
        return (
            f"<ModelProducts of {self.formula!r}: {self.n} observations, levels: {groups}; "
            f"{self.n_dropped} rows dropped>"
        )

    def __add__(self, other: object) -> ModelProducts:
        if not isinstance(other, ModelProducts):
            return NotImplemented
        check_same(self.structure, other.structure)
        if other.structure.trusted and not self.structure.trusted:
            return other + self  # of the same formula, that whose code may be evaluated
        pairs = list(zip(self.structure.terms, self._matching(other), strict=True))
        coders = [a.coder.union(b.coder) for a, b in pairs]
        sizes = [len(coder.levels) for coder in coders]
        order = [self._term_of(other, t) for t in range(len(pairs))]
        theirs = permuted(other.products, order)
        made = basis_of(triangle(other.rows, self.rows))
        basis = made.with_effects(self.products.joint_effects(theirs))
        parts, seen = [], [np.zeros(size, dtype=bool) for size in sizes]
        placed = []
        for cp, terms, flags in (
            (self.products, self.structure.terms, self.seen),
            (
                theirs,
                [b for _, b in pairs],
                [other.seen[t] for t in order],
            ),
        ):
            at = [coder.codes(t.coder.frame()) for coder, t in zip(coders, terms, strict=True)]
            parts.append(spread(cp.in_basis(basis), at, sizes))
            placed.append(at)
            for mine, places, new in zip(seen, at, flags, strict=True):
                mine[places[new]] = True
        facts = replace(other.facts, effects=tuple(other.facts.effects[t] for t in order))
        total = ModelProducts(
            self.structure.with_levels(coders),
            parts[0] + parts[1],
            triangle(other.rows, self.rows),
            self.facts + facts,
            tuple(seen),
            self.n_dropped + other.n_dropped,
        )
        if self.strata is not None and other.strata is not None:
            ours = self.strata, other.strata.permuted(order)
            total = _with_strata(total, (self.structure, other.structure), ours, placed, sizes)
        return total._in_order()

    def __radd__(self, other: object) -> ModelProducts:
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def _term_of(self, other: ModelProducts, t: int) -> int:
        mine = self.structure.terms[t]
        return [term.key for term in other.structure.terms].index(mine.key)

    def _matching(self, other: ModelProducts) -> list[Any]:
        every = range(len(self.structure.terms))
        return [other.structure.terms[self._term_of(other, t)] for t in every]

    def _in_order(self) -> ModelProducts:
        """The terms by their number of levels, the largest first."""
        terms = self.structure.terms
        order = sorted(range(len(terms)), key=lambda t: -terms[t].shape[0])
        return replace(
            self,
            structure=replace(self.structure, terms=tuple(terms[t] for t in order)),
            products=permuted(self.products, order),
            strata=None if self.strata is None else self.strata.permuted(order),
            facts=replace(self.facts, effects=tuple(self.facts.effects[t] for t in order)),
            seen=tuple(self.seen[t] for t in order),
        )

    def at_sigma(self, sigma: float | None) -> ModelProducts:
        """The same for a known residual standard deviation; it is no part of what is saved."""
        return replace(self, products=self.products.at_sigma2(None if sigma is None else sigma**2))

    def save(self, path: str | Path) -> None:
        """Write it to a file, whole or not at all; `load_cross_products` reads it.

        Parameters
        ----------
        path : path
            ``.npz``: numpy arrays and a JSON header with their checksums. Nothing in it is code
            that reading would run; the formula is text.

        Raises
        ------
        UnsupportedModelError
            Levels that are neither numbers nor strings, or a transform with other things to
            remember.
        """
        file.write(self, Path(path))


def load_cross_products(path: str | Path, *, trust_formula: bool = False) -> ModelProducts:
    """Read what `ModelProducts.save` wrote; nothing is executed.

    Parameters
    ----------
    path : path
    trust_formula : bool
        Whether ``predict(newdata)`` of a fit may run the formula's code, such as ``np.log(x)`` or
        ``bs(x, df=4)``. Columns and their contrasts need none. Read the formula before you say so:
        it is Python, and can do anything.

    Raises
    ------
    InvalidArgumentError
        Not such a file, a truncated one, or one whose contents are not those that were written. The
        checksums find accidents; they are no signature.
    TooLargeError
        Its labels would not fit in memory.

    Notes
    -----
    Made for files from elsewhere: what a file says of its sizes is compared with its own size
    before anything is read, and every value and array with the formula, so that what `formula`
    shows is all the code there is. Numbers that are false but could be true can't be known as such.
    """
    made = file.read(Path(path), ModelProducts, trust_formula=trust_formula)
    assert isinstance(made, ModelProducts)
    return made


def products_of(
    asked: ModelRequest, source: Any, chunk_size: int | None, progress: Any
) -> ModelProducts:
    """Makes the products in this process, or on Dask's workers."""
    progress = check_progress(progress)
    if is_dask(source):
        learnt, reduced = reduce_dask(source, asked, progress=progress)
    else:
        read = as_source(source, chunk_size)
        learnt, reduced = learn_and_reduce(read, asked, progress=progress)
    if reduced.products.n == 0:
        names = ", ".join(name for name in asked.by_row if name != "offset")
        raise InvalidArgumentError(f"{names}: no row has a positive weight")
    return ModelProducts(
        learnt.structure,
        reduced.products,
        reduced.rows,
        reduced.facts,
        reduced.seen,
        learnt.n_dropped,
        reduced.strata,
    )


def _with_strata(
    total: ModelProducts,
    structures: tuple[Structure, Structure],
    strata: tuple[Strata, Strata],
    places: Sequence[Sequence[IntArray]],
    sizes: Sequence[int],
) -> ModelProducts:
    """The sum with the strata of both; `places` are those of their levels."""
    mine, theirs = (structure.residual for structure in structures)
    assert mine is not None
    assert theirs is not None
    coder = mine.union(theirs)
    basis, made = total.products.basis, []
    for own, each, at in zip((mine, theirs), strata, places, strict=True):
        where = coder.codes(own.frame())
        made.append(each.in_basis(basis).spread(at, sizes, where, len(coder.levels)))
    structure = replace(total.structure, residual=coder)
    return replace(total, structure=structure, strata=made[0] + made[1])


def check_progress(progress: Any) -> bool | None:
    """The bar is shown, is not, or (None) is shown on a terminal only."""
    if progress is None or isinstance(progress, bool):
        return progress
    raise InvalidArgumentError(f"progress={progress!r}: True, False or None")


def cross_products(
    formula: str,
    source: Any,
    *,
    weights: str | None = None,
    freq_weights: str | None = None,
    offset: str | None = None,
    residual_by: str | Sequence[str] | None = None,
    contrasts: Mapping[str, str] | None = None,
    missing: str = "drop",
    levels: Mapping[str, Sequence[Any]] | None = None,
    chunk_size: int | None = None,
    progress: bool | None = None,
) -> ModelProducts:
    """Reduce data to all that a mixed model's fit needs of them, to be saved, sent and added up.

    Parameters
    ----------
    formula, weights, freq_weights, offset, residual_by, contrasts, missing
        As in `lmer`; arguments by row are names of columns. With `residual_by` the cross-products
        are kept by its groups, at every site.
    source : DataFrame, pyarrow Table or Dataset, path, list of frames, callable, Dask DataFrame
        As in `lmer`.
    levels : mapping column -> sequence, optional
        The categories of a column of the fixed part, so that sites that have not all of them code
        it in the same way.
    chunk_size : int, optional
        Rows at a time, 100 000 by default.
    progress : bool, optional
        A progress bar; by default where someone is watching.

    Returns
    -------
    ModelProducts

    Raises
    ------
    InvalidArgumentError
        As `lmer`; a column whose type differs by chunk, a source that gives other rows when it is
        read again.
    TooLargeError
        What would be kept does not fit in memory.

    Notes
    -----
    Lossless: the fit of the sum is the fit of all rows (Luo, C. and others (2022). DLMM as a
    lossless one-shot algorithm for collaborative multi-site distributed linear mixed models. Nature
    Communications 13, 1678). One pass where the first chunk has all categories of the fixed part
    and of the random effects' covariates (levels of grouping factors may come later), else two; two
    where a transform learns from all rows, and one more for each transform of a transform. In
    memory are one chunk, the levels, and for a term of k effects with J levels J k (k + p + 1)
    numbers.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> sites = [students[students.school <= "III"], students[students.school > "III"]]
    >>> formula = "extro ~ open + agree + social + (1 | school)"
    >>> both = sum(mx.cross_products(formula, site) for site in sites)
    >>> both
    <ModelProducts of 'extro ~ open + agree + social + (1 | school)': 1200 observations,
    levels: school 6; 0 rows dropped>
    >>> round(mx.MerMod.from_cross_products(both).reml_crit(), 4)
    5824.0999
    """
    asked = ModelRequest.checked(
        formula,
        contrasts=contrasts,
        missing=missing,
        names=callers_names(1),
        levels=levels,
        residual_by=residual_by,
        weights=weights,
        freq_weights=freq_weights,
        offset=offset,
    )
    return products_of(asked, source, chunk_size, progress)


def products_within(design: RowlessDesign, formula: str, n_dropped: int) -> ModelProducts:
    """The cross-products of a formula that is a part of the design's.

    Raises
    ------
    NoRowsError
        The formula has something that the design's has not.
    """
    structure, columns, terms = smaller_structure(design.structure, formula)
    facts, strata = design.facts, design.strata()
    # Columns that were dropped are combinations of those that were not.
    left = [design.structure.fixed.names.index(name) for name in design.fixed.names]
    chosen = np.zeros((len(left), len(columns)))
    if left and len(columns):
        chosen = la.lstsq(facts.x[:, left], facts.x[:, columns])[0]
    kept = [(t, np.eye(design.terms[t].k)[:, own]) for t, own in terms]
    freedoms = [term.structure.freedom for term in structure.terms]
    rows = np.column_stack([design.rows[:, :-1] @ chosen, design.rows[:, -1]])
    return ModelProducts(
        structure,
        restricted(combined(design.products, chosen, design.rows), kept, freedoms),
        triangle(rows),
        replace(
            facts,
            x=triangle(facts.x[:, columns]),
            mean=facts.mean[columns],
            squares=facts.squares[columns],
            ones=facts.ones[columns],
            effects=tuple(triangle(facts.effects[t][:, own]) for t, own in terms),
        ),
        tuple(design.seen[t] for t, _ in terms),
        n_dropped,
        None if strata is None else strata.combined(chosen, design.rows).restricted(kept),
    )

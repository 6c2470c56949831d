"""The fit of a generalised model whose rows are read for each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from merextras.engine.elimination.plan import Plan
from merextras.engine.generalised.criterion.streamed import StreamedLaplace
from merextras.engine.generalised.rows.passes import StreamedTable
from merextras.engine.generalised.searches.search import GlmmControl, optimise
from merextras.engine.generalised.searches.streamed_start import streamed_starts
from merextras.engine.products.crossprod import CrossProducts
from merextras.exceptions import UnsupportedModelError
from merextras.foundation.memory import available_memory
from merextras.model.columns.fixed import Scope
from merextras.model.design.rowless import RowlessDesign
from merextras.model.design.sanity import (
    check_effects,
    check_factors,
    check_scales,
    check_size,
    check_twice,
)
from merextras.model.generalised.chunks.kept_cells import KeptCells
from merextras.model.generalised.chunks.streamed import Learnt, SourceRows, learn_glmm
from merextras.model.generalised.fit import Request, check_term, check_variances
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.whole_fit import GlmmFit
from merextras.model.products.fit import design_of
from merextras.model.source.chunks import Source
from merextras.model.state.size import bytes_of_row, warn_of_size

#: The part of the free memory that cells may take.
_PART = 0.25


def fit_chunks(
    formula: str,
    source: Source,
    request: Request,
    *,
    names: Mapping[str, Any],
    progress: bool | None,
    stacklevel: int,
    **given: Any,
) -> GlmmFit:
    """Fit a formula on a source, a pass for each step; see `merextras.glmer`.

    The information is made at once: later the source may be gone.

    Raises
    ------
    UnsupportedModelError
        Quadrature.
    """
    control, choice = request.control, request.choice
    if request.n_agq != 1:
        raise UnsupportedModelError(
            f"n_agq={request.n_agq}: quadrature goes through the rows of each level at each node, "
            "and the rows are read in chunks and not kept; n_agq=1 is Laplace's approximation"
        )
    scope = Scope(names, control.formula_engine)
    found = learn_glmm(source, formula, choice, scope, names=names, progress=progress, **given)
    made = found.products
    design, kept = design_of(made, control, stacklevel=stacklevel + 1)
    if control.check:
        _check(found, design, kept, request, stacklevel=stacklevel + 1)
    counted = found.n_rows, found.n_rows - made.n_dropped
    read = SourceRows(source, found.reader, kept, counted, progress)

    def announce(cp: CrossProducts, plan: Plan, n: int) -> None:
        del n
        warn_of_size(design, cp, plan, generalised=True, stacklevel=stacklevel + 3)

    read_cells = KeptCells(read, choice, _most_cells(design))
    table = StreamedTable(read_cells, design.products, announce=announce)
    none = np.empty(0)
    criterion = StreamedLaplace(table, choice.of(none, none), design.covariances)
    points = streamed_starts(criterion)
    theta = control.start_for(design.covariances.n)
    if theta is not None:
        x = next(points).x.copy()
        x[: len(theta)] = criterion.own_theta(theta)
        points = iter([criterion.at(x)])
    engine = GlmmControl(max(control.tolerance, 1e-14), control.max_iterations)
    optimum = optimise(criterion, points, control=engine)
    if np.isfinite(optimum.point.deviance()):
        _ = optimum.hessian, optimum.point.fixed_information()
    fit = GlmmFit(design, found.response, choice, optimum, made.n_dropped, control)  # type: ignore[arg-type]
    check_variances(fit, stacklevel=stacklevel + 1)
    return fit


def fit_again(
    model: FittedGlmm,
    formula: str,
    request: Request,
    *,
    names: Mapping[str, Any],
    stacklevel: int,
) -> GlmmFit:
    """Fit another formula on the source of a model that keeps no rows.

    Parameters
    ----------
    names : mapping
        What the formula may use beside the names that the model's has used.

    Raises
    ------
    NoRowsError
        The source is gone.
    """
    table = model.laplace.criterion.table
    assert isinstance(table, StreamedTable)
    assert isinstance(table.read, KeptCells)
    read = table.read.read
    source, structure = read.source, read.reader.structure
    return fit_chunks(
        formula,
        source,
        request,
        names=read.reader.scope.within(names).names,
        progress=read.progress,
        stacklevel=stacklevel + 1,
        contrasts=structure.contrasts,
        missing="drop",
        weights=structure.by_row.get("weights"),
        offset=structure.by_row.get("offset"),
    )


def _most_cells(design: RowlessDesign) -> float:
    """Cells that may be kept in memory."""
    available = available_memory()
    each = bytes_of_row(len(design.fixed.names), design.ks)
    return np.inf if available is None else _PART * available / each


def _check(
    found: Learnt, design: RowlessDesign, kept: Sequence[int], request: Request, *, stacklevel: int
) -> None:
    """What `check_glmm` does, from the facts that were kept of the rows."""
    facts, n = design.facts, design.n
    for term, seen, values in zip(design.terms, design.seen, facts.effects, strict=True):
        check_term(
            term, int(np.count_nonzero(seen)), n, found.response.facts.single, request.choice
        )
        check_effects(term, values)
    check_twice(design.terms)
    check_factors(design.structure.fixed)
    check_size(n, len(kept))
    sd = np.sqrt(facts.squares[list(kept)] / max(n, 1))
    check_scales(sd, design.fixed.names, stacklevel + 1)

"""The fit behind `merextras.glmer`: of rows in memory, or of a source of chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.arguments import check_choice
from merextras.model.columns.fixed import Scope
from merextras.model.formula.parse import check_order
from merextras.model.frame.read import as_pandas, is_arrow
from merextras.model.generalised.chunks.fit_chunks import fit_chunks
from merextras.model.generalised.chunks.gathered import gathered
from merextras.model.generalised.fit import Request, fit_options, warn_of
from merextras.model.generalised.whole_fit import GlmmFit
from merextras.model.products.products import ModelProducts, check_progress
from merextras.model.settings.options import MISSING, Options, callers_names
from merextras.model.source.source import is_dask, is_source, read_source


def fit_glmm(
    formula: str,
    data: Any,
    request: Request,
    *,
    weights: Any,
    offset: Any,
    contrasts: Mapping[str, str] | None,
    missing: str,
    chunk_size: int | None,
    progress: bool | None,
    depth: int,
) -> GlmmFit:
    """Build the design, check it and find the optimum; see `merextras.glmer`.

    Called by the function that the user called; `depth` is 1 then, more with calls between.
    """
    check_order(formula, data, "glmer")
    if not isinstance(contrasts, Mapping | None):
        raise InvalidArgumentError(
            f'contrasts={contrasts!r}: expected a mapping such as {{"group": "Sum"}}'
        )
    if isinstance(data, ModelProducts):
        raise UnsupportedModelError(
            "data: cross-products are sums over the rows at one set of weights, those of a linear "
            "model; a generalised model's weights change with every step, so that it needs the "
            "rows (chunks are taken). Sites that share no rows can't fit one together"
        )
    missing = check_choice(missing, MISSING, "missing")
    names, by_row = callers_names(depth + 1), {"weights": weights, "offset": offset}
    in_chunks = is_dask(data) or (is_source(data) and not is_arrow(data))
    frame = None
    if in_chunks or chunk_size is not None:
        source, shown = read_source(data, chunk_size), check_progress(progress)
        if chunk_size is None:
            frame = gathered(formula, source, by_row, shown)
        if frame is None:
            fit = fit_chunks(
                formula, source, request, names=names, progress=shown, stacklevel=depth + 2,
                contrasts=contrasts, missing=missing, **by_row,
            )  # fmt: skip
            warn_of(fit, stacklevel=depth + 2)
            return fit
    else:
        frame = as_pandas(data)
    options = Options(
        missing=missing,
        contrasts=dict(contrasts or {}),
        scope=Scope(names, request.control.formula_engine),
    ).with_rows(frame, weights=weights, offset=offset)
    fit = fit_options(formula, frame, options, request, stacklevel=depth + 2)
    warn_of(fit, stacklevel=depth + 2)
    return fit

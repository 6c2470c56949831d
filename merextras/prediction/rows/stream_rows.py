"""Row-wise values of a model without rows, by another pass over the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from merextras.engine.posterior.leverage import hat_values
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.foundation.aliases import Array
from merextras.foundation.arguments import one_of
from merextras.foundation.files import atomically
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.responses.rowless_response import RowlessResponse
from merextras.model.source.chunks import Source
from merextras.model.source.learn import watched
from merextras.model.source.source import as_source, is_dask
from merextras.model.state.fitted import FittedModel
from merextras.model.statsmodels.mixedlm import as_fitted
from merextras.model.structure.structure import ChunkRows, Structure


def _kept(model: FittedModel, rows: ChunkRows) -> Array:
    """X without the columns that were dropped."""
    design = model.design.sums()
    every = design.structure.fixed.names
    if len(design.fixed.names) == len(every):
        return rows.x
    return rows.x[:, [every.index(name) for name in design.fixed.names]]


def _linear(model: FittedModel, rows: ChunkRows) -> Array:
    """X beta and the offset."""
    out = np.asarray(_kept(model, rows) @ model.fixed_estimates)
    return out if rows.offset is None else out + rows.offset


def _fixed(model: FittedModel, rows: ChunkRows) -> Array:
    """The mean where all random effects are zero."""
    return model._link.mean(_linear(model, rows))


def _fitted(model: FittedModel, rows: ChunkRows) -> Array:
    """The conditional mean; a level that the model does not know has an effect of zero."""
    out = _linear(model, rows)
    for term, b in zip(rows.terms, model.modes, strict=True):
        known = term.codes >= 0
        out[known] += np.einsum("nk,nk->n", term.values[known], b[term.codes[known]])
    return model._link.mean(out)


def _residuals(model: FittedModel, rows: ChunkRows) -> Array:
    return rows.y - _fitted(model, rows)


def _group_precisions(model: FittedModel, rows: ChunkRows) -> Array:
    """What the rows' groups of residual variances multiply their precision by, (n,)."""
    residual = model.design.residual
    assert residual is not None
    assert rows.strata is not None
    if np.any(rows.strata < 0):
        raise InvalidArgumentError(
            f"source: {residual.argument} has no residual standard deviation of some rows' groups"
        )
    return np.asarray(residual.omega[rows.strata])


def _hatvalues(model: FittedModel, rows: ChunkRows) -> Array:
    """The leverages; a row of a level that the model does not know had none."""
    if model.is_generalised:
        raise UnsupportedModelError(
            "what='hatvalues': of a generalised model they are those of weighted rows in memory, "
            "m.hatvalues(); fit it to some of the rows"
        )
    known = np.all([term.codes >= 0 for term in rows.terms], axis=0)
    out = np.full(len(rows.y), np.nan)
    terms = [replace(t, codes=t.codes[known], values=t.values[known]) for t in rows.terms]
    weights = np.ones(len(out)) if rows.weights is None else rows.weights.copy()
    if model.design.residual is not None:
        weights *= _group_precisions(model, rows)
    if rows.frequencies is not None:
        weights[rows.frequencies == 0.0] = 0.0
    out[known] = hat_values(model.solution, _kept(model, rows)[known], terms, weights[known])
    return out


#: What there is by row, and how it is made.
_MADE: dict[str, Callable[[FittedModel, ChunkRows], Array]] = {
    "fitted": _fitted,
    "residuals": _residuals,
    "fixed": _fixed,
    "hatvalues": _hatvalues,
}


def stream_rows(
    m: object,
    source: Any,
    what: str | Sequence[str] = ("fitted", "residuals"),
    *,
    to: str | Path | None = None,
    unknown: str = "error",
    chunk_size: int | None = None,
    progress: bool | None = None,
) -> Iterator[pd.DataFrame] | None:
    """Fitted values and residuals of a model that keeps no rows, chunk by chunk.

    Parameters
    ----------
    m : MerMod
        Fitted from chunks or cross-products.
    source : as in `lmer`, but for a Dask DataFrame
        The rows of the fit or others; its columns must be those of the fit, the response too.
    what : str or sequence of {"fitted", "residuals", "fixed", "hatvalues"}
        The conditional mean ``x'beta + z'b + offset``, `fitted` of other models; the response less
        that, `residuals`; ``x'beta + offset``, ``predict(re_form="NA")``. On the response's scale,
        of a generalised model probabilities, rates and means, and proportions less these.
        The leverage of a row of the fit of a linear model, `hatvalues` of other models; NaN where a
        level is not known.
    to : path, optional
        A parquet file for all of it, written whole or not at all; needs pyarrow.
    unknown : {"error", "zero"}
        What to do with a level that the model does not know: an error, or an effect of zero.
    chunk_size, progress
        As in `lmer`.

    Returns
    -------
    iterator of DataFrame, or None with `to`
        By chunk the columns asked for, under the chunk's own index. Rows that miss a value are left
        out, as they are in the fit.

    Raises
    ------
    InvalidArgumentError
        An unknown `what`, levels that are not known.
    UnsupportedModelError
        The model keeps its rows: ``m.fitted()`` and ``m.residuals()`` have them. Leverages of a
        generalised model.

    Notes
    -----
    One pass; in memory is one chunk. With a formula that came from a file and has code in it, see
    `load_cross_products`.

    Examples
    --------
    >>> import merextras as mx
    >>> students = mx.load_dataset("students")
    >>> chunks = lambda: (rows for _, rows in students.groupby("school"))
    >>> m = mx.lmer("extro ~ open + (1 | school)", chunks)
    >>> for part in mx.stream_rows(m, chunks):
    ...     print(len(part), part.columns.tolist())
    ...     break
    200 ['fitted', 'residuals']
    """
    model = as_fitted(m, generalised=True)
    names = [what] if isinstance(what, str) else list(what)
    for name in names:
        if name not in _MADE:
            raise InvalidArgumentError(f"what={name!r}: {one_of(name, list(_MADE))}")
    if unknown not in ("error", "zero"):
        raise InvalidArgumentError(f"unknown={unknown!r}: {one_of(unknown, ['error', 'zero'])}")
    structure = model.design.sums().structure
    if is_dask(source):
        raise UnsupportedModelError(
            "source: rows come back in order from files or frames; of a Dask DataFrame give the "
            "partitions: lambda: (part.compute() for part in ddf.to_delayed())"
        )
    parts = _parts(model, structure, as_source(source, chunk_size), names, unknown, progress)
    if to is None:
        return parts
    write = _parquet_writer(names)
    atomically(Path(to), lambda place: write(parts, place))
    return None


def _parts(
    model: FittedModel,
    structure: Structure,
    source: Source,
    names: Sequence[str],
    unknown: str,
    progress: bool | None,
) -> Iterator[pd.DataFrame]:
    for frame in watched(source.chunks(structure.columns), source, "rows", progress):
        rows = structure.rows(frame)
        for term, made in zip(structure.terms, rows.terms, strict=True):
            new = made.codes < 0
            if unknown == "error" and np.any(new):
                labels = frame.loc[rows.kept, list(term.coder.columns)][new].iloc[0]
                raise InvalidArgumentError(
                    f"source: {term.factor!r} has levels that the model has not seen, such as "
                    f"{':'.join(map(str, labels))!r}; unknown='zero' takes their effects as zero"
                )
        if isinstance(model, FittedGlmm) and "residuals" in names:
            assert isinstance(model.response, RowlessResponse)
            rows = replace(rows, y=model.response.observed_in(frame, rows))
        made_of = {name: _MADE[name](model, rows) for name in names}
        yield pd.DataFrame(made_of, index=frame.index[rows.kept])


def _parquet_writer(names: Sequence[str]) -> Callable[[Iterator[pd.DataFrame], Path], None]:
    """What writes frames with these columns of floats into a file, which may be of no rows."""
    try:
        import pyarrow as pa  # noqa: PLC0415 (an extra)
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise InvalidArgumentError(
            "to: parquet files are written by pyarrow: pip install merextras[arrow]"
        ) from None
    schema = pa.schema([(name, pa.float64()) for name in names])

    def write(parts: Iterator[pd.DataFrame], place: Path) -> None:
        with pq.ParquetWriter(place, schema) as writer:
            for part in parts:
                writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))

    return write

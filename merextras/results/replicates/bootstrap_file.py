"""Bootstrap replicates in a parquet file, read without trust in what it says of itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from merextras.exceptions import InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.foundation.extras import need
from merextras.foundation.files import atomically

if TYPE_CHECKING:
    from merextras.results.replicates.bootstrap import Bootstrap

#: What the metadata are under, and their version.
_KEY, _VERSION = b"merextras_bootstrap", 1
_KINDS = ("parametric", "semiparametric", "cases")
_FIELDS = {"version", "names", "values", "singular_share", "kind", "use_u", "failures"}
#: Columns of a file and letters of a name at most: no model has more.
_MOST_NAMES, _LONGEST = 100_000, 10_000


def write(boot: Bootstrap, path: Path) -> None:
    """Write it, whole or not at all."""
    need("pyarrow", "arrow", "Bootstrap.save")
    import pyarrow as pa  # noqa: PLC0415 (an extra)
    import pyarrow.parquet as pq  # noqa: PLC0415

    said = {
        "version": _VERSION,
        "names": list(boot.names),
        # JSON has no NaN: a value that does not exist is null.
        "values": [None if math.isnan(v) else v for v in boot.values.tolist()],
        "singular_share": boot.singular_share,
        "kind": boot.kind,
        "use_u": boot.use_u,
        "failures": dict(boot.failures or {}),
    }
    text = json.dumps(said, allow_nan=False).encode()
    columns = [pa.array(np.array(column)) for column in boot.replicates.T]
    table = pa.Table.from_arrays(columns, names=[f"p{i}" for i in range(len(columns))])
    table = table.replace_schema_metadata({_KEY: text})
    atomically(path, lambda temporary: pq.write_table(table, temporary))


def read(path: Path) -> dict[str, Any]:
    """The fields of a `Bootstrap` from a file.

    Raises
    ------
    InvalidArgumentError
        No such file, or not what `write` makes.
    """
    need("pyarrow", "arrow", "load_bootstrap")
    import pyarrow as pa  # noqa: PLC0415 (an extra)
    import pyarrow.parquet as pq  # noqa: PLC0415

    if not path.is_file():
        raise InvalidArgumentError(f"path: there is no file {str(path)!r}")
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            said = _said((schema.metadata or {}).get(_KEY))
            count = len(said["names"])
            expected = [pa.field(f"p{i}", pa.float64()) for i in range(count)]
            if list(schema) != expected:
                raise ValueError("its columns are not those that its header names")
            rows = file.metadata.num_rows
            if rows < 1:
                raise ValueError("it has no replicates")
            table = file.read()
        columns = [column.to_numpy(zero_copy_only=False) for column in table.columns]
        return {**said, "replicates": _replicates_in(columns, rows, said)}
    except (ValueError, OSError, pa.ArrowException, RecursionError) as err:
        raise InvalidArgumentError(
            f"path: {str(path)!r} is no bootstrap that Bootstrap.save wrote: {err}"
        ) from err


def _said(text: bytes | None) -> dict[str, Any]:
    """The header, every field of its kind."""
    if text is None:
        raise ValueError("it has no header")
    said = json.loads(text)
    if not isinstance(said, dict) or set(said) != _FIELDS or said["version"] != _VERSION:
        raise ValueError("its header is of another version")
    names, values, failures = said["names"], said["values"], said["failures"]
    good = (
        isinstance(names, list)
        and 0 < len(names) <= _MOST_NAMES
        and all(isinstance(name, str) and len(name) <= _LONGEST for name in names)
        and len(set(names)) == len(names)
        and isinstance(values, list)
        and len(values) == len(names)
        and all(v is None or _is_number(v) for v in values)
        and _is_number(said["singular_share"])
        and 0.0 <= said["singular_share"] <= 1.0
        and said["kind"] in _KINDS
        and isinstance(said["use_u"], bool)
        and isinstance(failures, dict)
        and all(type(count) is int and count > 0 for count in failures.values())
    )
    if not good:
        raise ValueError("its header has a value that can't be")
    found = {k: v for k, v in said.items() if k != "version"}
    numbers = np.array([np.nan if v is None else v for v in values], dtype=float)
    return {**found, "names": tuple(names), "values": numbers}


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _replicates_in(columns: list[Any], rows: int, said: dict[str, Any]) -> Array:
    """The replicates, (n_sims, k): numbers or NaN, and as many empty rows as failed at least."""
    out = np.column_stack([np.asarray(column, dtype=float) for column in columns])
    if out.shape != (rows, len(said["names"])) or np.any(np.isinf(out)):
        raise ValueError("its replicates are not finite")
    failed = sum(said["failures"].values())
    if failed > int(np.sum(np.all(np.isnan(out), axis=1))):
        raise ValueError("its header counts more failures than there are replicates without values")
    return out

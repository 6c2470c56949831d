"""``python -m benchmarks.streaming``: fits from parquet files that are larger than a chunk.

Each size is fitted in a process of its own, whose peak memory is what the system says of it
(``VmHWM``: before, after the passes, after the fit); the file is written by another. Rows are in
random order, so that every chunk touches every part of the levels.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import merextras as mx

_BLOCK = 1_000_000


def write(path: Path, n: int, groups: int, *, strings: bool = False, seed: int = 1) -> int:
    """Write n rows (g, x, z, y); return their size in memory as a frame.

    With `strings` the labels of the groups are text such as ``k0001234``.
    """
    rng = np.random.default_rng(seed)
    b = rng.normal(0.0, [2.0, 0.5], (groups, 2))
    size, writer = 0, None
    for at in range(0, n, _BLOCK):
        m = min(_BLOCK, n - at)
        g, x = rng.integers(0, groups, m), rng.normal(0.0, 1.0, m)
        z = rng.normal(50.0, 10.0, m)
        y = 10.0 + 0.7 * x - 0.02 * z + b[g, 0] + b[g, 1] * x + rng.normal(0.0, 3.0, m)
        labels = np.char.add("k", np.char.zfill(g.astype(str), 7)) if strings else 7 * g + 1000
        frame = pd.DataFrame({"g": labels, "x": x, "z": z, "y": y})
        size += int(frame.memory_usage(index=False, deep=True).sum())
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = pq.ParquetWriter(path, table.schema) if writer is None else writer
        writer.write_table(table, row_group_size=250_000)
    if writer is not None:
        writer.close()
    return size


def peak() -> int:
    """Most memory that this process has had, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not say how much memory a process has had")


def fit(path: str, chunk_size: int) -> dict[str, float]:
    """Fit the file; time and memory."""
    before, start = peak(), time.perf_counter()
    products = mx.cross_products("y ~ x + z + (1 + x | g)", path, chunk_size=chunk_size)
    reduced, held = time.perf_counter(), peak()
    model = mx.MerMod.from_cross_products(products)
    done = time.perf_counter()
    return {
        "n": model.nobs(),
        "before": before,
        "held": held,
        "peak": peak(),
        "reduce": reduced - start,
        "fit": done - reduced,
        "reml_crit": model.reml_crit(),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6, 3e6, 1e7])
    parser.add_argument("--groups", type=int, default=200_000)
    parser.add_argument("--chunk-size", type=int, default=100_000)
    parser.add_argument("--strings", action="store_true", help="labels of groups as text")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        print(json.dumps(fit(args.child, args.chunk_size)))
        return 0
    heads = [
        "rows",
        "rows in memory",
        "libraries",
        "passes' peak over them",
        "fit's peak over them",
    ]
    print(f"| {' | '.join([*heads, 'passes', 'fit', 'per million rows'])} |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for n in map(int, args.rows):
            path = Path(folder) / "rows.parquet"
            size = write(path, n, args.groups, strings=args.strings)
            command = [sys.executable, "-m", "benchmarks.streaming", "--child", str(path)]
            command += ["--chunk-size", str(args.chunk_size)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            total = found["reduce"] + found["fit"]
            print(
                f"| {n:,} | {size / 1e6:.0f} MB | {found['before'] / 1e6:.0f} MB "
                f"| {(found['held'] - found['before']) / 1e6:.0f} MB "
                f"| {(found['peak'] - found['before']) / 1e6:.0f} MB "
                f"| {found['reduce']:.1f} s | {found['fit']:.1f} s "
                f"| {1e6 * total / n:.2f} s |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())

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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import merextras as mx

FORMULA = "y ~ x + z + (1 + x | g)"
CHUNKS = [
    *("rows", "rows in memory", "libraries", "passes' peak over them", "fit's peak over them"),
    *("pyarrow's scan", "passes", "fit", "CPU a million rows"),
]
WORKERS = [
    *("rows", "workers", "passes", "CPU of the workers", "of this process"),
    "the clock of one worker over theirs",
]
_BLOCK = 1_000_000


LABELS = ("integers", "text", "dictionary")


def write(path: Path, n: int, groups: int, labels: str = "integers", seed: int = 1) -> int:
    """Write n rows (g, x, z, y); return their size in memory as a frame.

    Labels of the groups are whole numbers, text such as ``k0001234``, or arrow's dictionary of
    such text (a categorical).
    """
    rng = np.random.default_rng(seed)
    b = rng.normal(0.0, [2.0, 0.5], (groups, 2))
    texts = np.char.add("k", np.char.zfill(np.arange(groups).astype(str), 7))
    size, writer = 0, None
    for at in range(0, n, _BLOCK):
        m = min(_BLOCK, n - at)
        g, x = rng.integers(0, groups, m), rng.normal(0.0, 1.0, m)
        z = rng.normal(50.0, 10.0, m)
        y = 10.0 + 0.7 * x - 0.02 * z + b[g, 0] + b[g, 1] * x + rng.normal(0.0, 3.0, m)
        made = {
            "integers": lambda: 7 * g + 1000,  # noqa: B023 - called here
            "text": lambda: texts[g],  # noqa: B023
            "dictionary": lambda: pd.Categorical.from_codes(g, texts),  # noqa: B023
        }[labels]()
        frame = pd.DataFrame({"g": made, "x": x, "z": z, "y": y})
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


def scan(path: str) -> int:
    """Read the file in the least that this takes: pyarrow's batches, with one thread."""
    with pq.ParquetFile(path) as file:
        return sum(len(batch) for batch in file.iter_batches(100_000, use_threads=False))


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives; seconds by the clock, and of this process' work."""
    clock, work_done = time.perf_counter(), time.process_time()
    made = work()
    return made, time.perf_counter() - clock, time.process_time() - work_done


def fit(path: str, chunk_size: int) -> dict[str, float]:
    """Fit the file; time and memory."""
    import pyarrow.parquet  # noqa: F401, PLC0415 - counted as a library

    before = peak()
    products, reduce, reduce_cpu = timed(
        lambda: mx.cross_products(FORMULA, path, chunk_size=chunk_size)
    )
    held = peak()
    model, fit_seconds, fit_cpu = timed(lambda: mx.MerMod.from_cross_products(products))
    most = peak()
    # Last, as it holds all rows: the peaks are those of what came before.
    _, scan_seconds, scan_cpu = timed(lambda: scan(path))
    return {
        "n": model.nobs(),
        "before": before,
        "held": held,
        "peak": most,
        "scan": scan_seconds,
        "scan_cpu": scan_cpu,
        "reduce": reduce,
        "reduce_cpu": reduce_cpu,
        "fit": fit_seconds,
        "fit_cpu": fit_cpu,
        "reml_crit": model.reml_crit(),
    }


def by_workers(path: Path, n: int, workers: Sequence[int]) -> list[str]:
    """Lines of the table for Dask: the passes on some workers of one thread each."""
    import dask  # noqa: PLC0415 - an extra
    import dask.dataframe as dd  # noqa: PLC0415
    from dask.distributed import Client, LocalCluster  # noqa: PLC0415

    lines, first = [], 0.0
    for count in workers:
        with (
            dask.config.set({"dataframe.convert-string": False}),
            LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            client.run(lambda: __import__("merextras"))
            rows = dd.read_parquet(str(path), split_row_groups=2)
            before = sum(client.run(time.process_time).values())
            _, clock, own = timed(lambda data=rows: mx.cross_products(FORMULA, data))
            spent = sum(client.run(time.process_time).values()) - before
        first = first or clock
        cells = [f"{n:,}", str(count), f"{clock:.2f} s", f"{spent:.2f} s", f"{own:.2f} s"]
        lines.append(f"| {' | '.join([*cells, f'{first / clock:.2f}'])} |")
    return lines


def line(n: int, size: int, found: dict[str, float]) -> str:
    """A line of the table."""
    before, total = found["before"], found["reduce_cpu"] + found["fit_cpu"]
    cells = [
        f"{n:,}",
        f"{size / 1e6:.0f} MB",
        f"{before / 1e6:.0f} MB",
        f"{(found['held'] - before) / 1e6:.0f} MB",
        f"{(found['peak'] - before) / 1e6:.0f} MB",
        *(
            f"{found[what]:.2f} s ({found[what + '_cpu']:.2f})"
            for what in ("scan", "reduce", "fit")
        ),
        f"{1e6 * total / n:.2f} s",
    ]
    return f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=float, nargs="+", default=[1e6, 3e6, 1e7])
    parser.add_argument("--groups", type=int, default=200_000)
    parser.add_argument("--chunk-size", type=int, default=100_000)
    parser.add_argument("--labels", choices=LABELS, default="integers", help="of the groups")
    parser.add_argument("--workers", type=int, nargs="+", help="Dask's workers, in place of chunks")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        print(json.dumps(fit(args.child, args.chunk_size)))
        return 0
    print("Seconds, and in brackets those of the processor.\n" if not args.workers else "")
    heads = WORKERS if args.workers else CHUNKS
    print(f"| {' | '.join(heads)} |\n|{' --- |' * len(heads)}")
    with tempfile.TemporaryDirectory() as folder:
        for n in map(int, args.rows):
            path = Path(folder) / "rows.parquet"
            size = write(path, n, args.groups, args.labels)
            if args.workers:
                lines = by_workers(path, n, args.workers)
            else:
                command = [sys.executable, "-m", "benchmarks.streaming", "--child", str(path)]
                command += ["--chunk-size", str(args.chunk_size)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                lines = [line(n, size, json.loads(done.stdout))]
            print("\n".join(lines), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The cases: a name, a model, and how to make the data."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.columns import Factor, Numbers, Table
from benchmarks.models import Bar, Model

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "merextras" / "datasets"
SHARED = ROOT.parent / "shared" / "data"
SEED = 20150731


@dataclass(frozen=True)
class Built:
    """The data of a case, and where they come from."""

    table: Table
    source: str


@dataclass(frozen=True)
class Case:
    """A model and its data; `make` takes a factor that shrinks generated data."""

    name: str
    model: Model
    make: Callable[[float], Built]
    ours_only: bool = False
    for_tasks: bool = False  # left out of the fits when no case is named


def _table(rows: Iterable[dict[str, str]], numbers: set[str], factors: set[str]) -> Table:
    kept = list(rows)
    table: Table = {name: np.array([float(row[name]) for row in kept]) for name in sorted(numbers)}
    return table | {name: Factor.of([row[name] for row in kept]) for name in sorted(factors)}


def _bundled(name: str, numbers: set[str], factors: set[str], _scale: float) -> Built:
    with (BUNDLED / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return Built(_table(csv.DictReader(file), numbers, factors), "bundled with merextras")


# InstEval -----------------------------------------------------------------------------------------


def _insteval(scale: float) -> Built:
    if scale != 1:
        return Built(_insteval_twin(scale), "generated twin, scaled")
    path = SHARED / "InstEval.csv.gz"
    if path.exists():
        return Built(_insteval_table(gzip.decompress(path.read_bytes())), "lme4's, from a file")
    raw = _insteval_from_r()
    if raw is not None:
        return Built(_insteval_table(raw), "lme4's, from R")
    return Built(_insteval_twin(1), "generated twin: lme4's own is not here")


def _insteval_table(raw: bytes) -> Table:
    rows = csv.DictReader(io.StringIO(raw.decode()))
    return _table(rows, {"y"}, {"s", "d", "dept", "service"})


def _insteval_from_r() -> bytes | None:
    rscript = shutil.which("Rscript")
    if rscript is None:
        return None
    code = "write.csv(lme4::InstEval, row.names = FALSE)"
    done = subprocess.run([rscript, "-e", code], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def _insteval_twin(scale: float) -> Table:
    """2972 students rate 1128 lecturers of 14 departments, in 73421 ratings."""
    rng = np.random.default_rng(SEED)
    n, n_s, n_d = _scaled(scale, 73_421, 2_972, 1_128)
    s, d = _codes(rng, n, n_s), _codes(rng, n, n_d)
    home = rng.integers(0, 14, n_d)
    service = (rng.random(n) < 0.43).astype(np.int32)
    mean = 3.28 - 0.07 * service
    mean += _effects(rng, s, n_s, 0.33) + _effects(rng, d, n_d, 0.51)
    mean += _effects(rng, home[d], 14, 0.09) + _effects(rng, home[d] * 2 + service, 28, 0.15)
    return {
        "y": np.clip(np.rint(mean + 1.17 * rng.standard_normal(n)), 1, 5),
        "s": Factor.numbered(s, n_s, "s"),
        "d": Factor.numbered(d, n_d, "d"),
        "dept": Factor.numbered(home[d], 14, "dept"),
        "service": Factor(service, ["0", "1"]),
    }


# Generated ----------------------------------------------------------------------------------------


def _scaled(scale: float, *sizes: int) -> list[int]:
    return [max(min(size, 3), round(size * scale)) for size in sizes]


def _codes(rng: np.random.Generator, n: int, q: int) -> NDArray[np.int32]:
    """Every level at least once, the rest of the rows at random, in no order."""
    codes = np.concatenate([np.arange(q), rng.integers(0, q, n - q)]).astype(np.int32)
    rng.shuffle(codes)
    return codes


def _effects(rng: np.random.Generator, codes: NDArray[np.integer], q: int, sd: float) -> Numbers:
    rows: Numbers = np.take(sd * rng.standard_normal(q), codes)
    return rows


def _one_factor(rows: int, groups: int, slope: bool, scale: float) -> Built:
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    g, x = _codes(rng, n, q), rng.standard_normal(n)
    y = 1 + 0.5 * x + _effects(rng, g, q, 0.8) + rng.standard_normal(n)
    if slope:
        y += x * _effects(rng, g, q, 0.4)
    return Built({"y": y, "x": x, "g": Factor.numbered(g, q, "g")}, "generated")


def _nested(rows: int, a: int, b: int, c: int, scale: float) -> Built:
    """Make `a` units, `b` in each and `c` in each of those, the labels of b and c used again."""
    rng = np.random.default_rng(SEED)
    n, a = _scaled(scale, rows, a)
    leaf = _codes(rng, n, a * b * c)
    x = rng.standard_normal(n)
    y = 1 + 0.5 * x + rng.standard_normal(n)
    for width, units, sd in ((b * c, a, 0.7), (c, a * b, 0.5), (1, a * b * c, 0.6)):
        y += _effects(rng, leaf // width, units, sd)
    table: Table = {
        "y": y,
        "x": x,
        "a": Factor.numbered(leaf // (b * c), a, "a"),
        "b": Factor.numbered(leaf // c % b, b, "b"),
        "c": Factor.numbered(leaf % c, c, "c"),
    }
    return Built(table, "generated")


def _crossed(rows: int, levels: tuple[int, int, int], scale: float) -> Built:
    """Three crossed factors, and a fixed factor besides a covariate."""
    rng = np.random.default_rng(SEED)
    n = _scaled(scale, rows)[0]
    x, kind = rng.standard_normal(n), rng.integers(0, 3, n).astype(np.int32)
    y = 1 + 0.3 * x + 0.2 * kind + rng.standard_normal(n)
    table: Table = {"x": x, "kind": Factor.numbered(kind, 3, "k")}
    for name, q in zip("abc", levels, strict=True):
        codes = _codes(rng, n, q)
        y += _effects(rng, codes, q, 0.5)
        table[name] = Factor.numbered(codes, q, name)
    return Built({"y": y, **table}, "generated")


# The list -----------------------------------------------------------------------------------------


def _model(response: str, fixed: str, *bars: tuple[str, str]) -> Model:
    return Model(response, fixed, tuple(Bar(*bar) for bar in bars))


_SLOPES = _model("y", "x", ("1 + x", "g"))
_CROSSED = (("1", "s"), ("1", "d"))
_STUDENTS = partial(_bundled, "students", {"extro", "open", "agree", "social"}, {"school", "class"})

CASES: tuple[Case, ...] = (
    Case(
        "sleepstudy",
        _model("Reaction", "Days", ("1 + Days", "Subject")),
        partial(_bundled, "sleepstudy", {"Reaction", "Days"}, {"Subject"}),
    ),
    Case(
        "penicillin",
        _model("diameter", "1", ("1", "plate"), ("1", "sample")),
        partial(_bundled, "penicillin", {"diameter"}, {"plate", "sample"}),
    ),
    Case(
        "pastes",
        _model("strength", "1", ("1", "batch"), ("1", "sample")),
        partial(_bundled, "pastes", {"strength"}, {"batch", "sample"}),
    ),
    Case(
        "students",
        _model("extro", "open + agree + social", ("1", "school")),
        _STUDENTS,
    ),
    Case(
        "students-nested",
        _model("extro", "open + agree + social", ("1", "school/class")),
        _STUDENTS,
    ),
    Case("insteval-dept", _model("y", "service", *_CROSSED, ("1", "dept")), _insteval),
    Case(
        "insteval-dept:service",
        _model("y", "service", *_CROSSED, ("1", "dept:service")),
        _insteval,
    ),
    Case(
        "groups-5e4",
        _model("y", "x", ("1", "g")),
        partial(_one_factor, 100_000, 50_000, False),
    ),
    Case("slopes-1e5", _SLOPES, partial(_one_factor, 1_000_000, 100_000, True)),
    Case(
        "nested-3",
        _model("y", "x", ("1", "a/b/c")),
        partial(_nested, 100_000, 100, 10, 10),
    ),
    Case(
        "hsb",
        _model("mathach", "ses + meanses", ("1 + ses", "schid")),
        partial(_bundled, "hsb", {"mathach", "ses", "meanses"}, {"schid"}),
        for_tasks=True,
    ),
    Case(
        "crossed-1500",
        _model("y", "x + kind", ("1", "a"), ("1", "b"), ("1", "c")),
        partial(_crossed, 1_500, (60, 30, 12)),
        for_tasks=True,
    ),
    *(
        Case(f"scaling-1e{k}", _SLOPES, partial(_one_factor, 10**k, 10**k // 10, True), True)
        for k in (4, 5, 6, 7)
    ),
)

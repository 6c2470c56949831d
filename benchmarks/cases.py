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

from benchmarks.columns import Factor, Numbers, Table, factor, numbers
from benchmarks.models import GAUSSIAN, Bar, Model

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


# Yes or no as 1 and 0, and what packages write each in its own way as a column of its own.


def _yes(table: Table, name: str) -> Numbers:
    yes: Numbers = (factor(table, name).labels() == "Y").astype(np.float64)
    return yes


def _cbpp(scale: float) -> Built:
    built = _bundled("cbpp", {"incidence", "size"}, {"herd", "period"}, scale)
    healthy = numbers(built.table, "size") - numbers(built.table, "incidence")
    return Built(built.table | {"healthy": healthy}, built.source)


def _contraception(scale: float) -> Built:
    factors = {"use", "livch", "urban", "district"}
    built = _bundled("contraception", {"age"}, factors, scale)
    made: Table = {"use": _yes(built.table, "use"), "age2": numbers(built.table, "age") ** 2}
    return Built(built.table | made, built.source)


def _verb_agg(scale: float) -> Built:
    factors = {"r2", "Gender", "btype", "situ", "id", "item"}
    built = _bundled("verb_agg", {"Anger"}, factors, scale)
    return Built(built.table | {"r2": _yes(built.table, "r2")}, built.source)


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


def _repeated(rows: int, groups: int, cov: NDArray[np.float64], scale: float) -> Built:
    """Groups seen at times, several rows at each: effects of the times with covariance `cov`."""
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    times = len(cov)
    g, t, x = _codes(rng, n, q), _codes(rng, n, times), rng.standard_normal(n)
    effects = rng.standard_normal((q, times)) @ np.linalg.cholesky(cov).T
    y = 1 + 0.5 * x + effects[g, t] + rng.standard_normal(n)
    table: Table = {"y": y, "x": x, "t": Factor.numbered(t, times, "t")}
    return Built(table | {"g": Factor.numbered(g, q, "g")}, "generated")


def _cs(times: int) -> NDArray[np.float64]:
    """A correlation of a half between any two effects; standard deviations from .6 to 1.4."""
    sd = np.linspace(0.6, 1.4, times)
    return np.outer(sd, sd) * (0.5 + 0.5 * np.eye(times))


def _ar1(times: int) -> NDArray[np.float64]:
    """A correlation of .7 from one time to the next, and a standard deviation of .8."""
    steps = np.arange(times)
    cov: NDArray[np.float64] = 0.64 * 0.7 ** np.abs(steps[:, None] - steps)
    return cov


def _binary(rows: int, groups: int, scale: float) -> Built:
    """Yes or no, by a continuous covariate and a group."""
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    g, x = _codes(rng, n, q), rng.standard_normal(n)
    logit = -0.5 + 0.5 * x + _effects(rng, g, q, 0.8)
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return Built({"y": y, "x": x, "g": Factor.numbered(g, q, "g")}, "generated")


def _plan(_scale: float) -> Built:
    """A study to plan, the shape of simr's tutorial: ten values of x in each of three groups."""
    rng = np.random.default_rng(SEED)
    x, g = np.tile(np.arange(1.0, 11.0), 3), np.repeat(np.arange(3), 10)
    y = 10 - 0.1 * x + _effects(rng, g, 3, 2.5) + 1.1 * rng.standard_normal(30)
    return Built({"y": y, "x": x, "g": Factor.numbered(g, 3, "g")}, "generated")


# The list -----------------------------------------------------------------------------------------


def _model(
    response: str,
    fixed: str,
    *bars: tuple[str, str] | tuple[str, str, str],
    family: str = GAUSSIAN,
    residual_by: str = "",
) -> Model:
    return Model(response, fixed, tuple(Bar(*bar) for bar in bars), family, residual_by)


_SLOPES = _model("y", "x", ("1 + x", "g"))
_CROSSED = (("1", "s"), ("1", "d"))
_HSB = partial(_bundled, "hsb", {"mathach", "ses", "meanses"}, {"schid"})
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
        "us-4",
        _model("y", "x", ("0 + t", "g")),
        partial(_repeated, 4_000, 200, _cs(4)),
    ),
    Case(
        "cs-10",
        _model("y", "x", ("0 + t", "g", "cs")),
        partial(_repeated, 100_000, 2_000, _cs(10)),
    ),
    Case(
        "ar1-10",
        _model("y", "x", ("0 + t", "g", "ar1")),
        partial(_repeated, 100_000, 2_000, _ar1(10)),
    ),
    Case(
        "hsb-residuals",
        _model("mathach", "ses + meanses", ("1 + ses", "schid"), residual_by="schid"),
        _HSB,
    ),
    Case(
        "cbpp",
        _model("cbind(incidence, healthy)", "period", ("1", "herd"), family="binomial"),
        _cbpp,
    ),
    Case(
        "contraception-slopes",
        _model("use", "age + age2 + urban + livch", ("1 + urban", "district"), family="binomial"),
        _contraception,
    ),
    Case(
        "verb-agg",
        _model(
            "r2",
            "Anger + Gender + btype + situ",
            ("1", "id"),
            ("1", "item"),
            family="binomial",
        ),
        _verb_agg,
    ),
    Case(
        "binary-1e5",
        _model("y", "x", ("1", "g"), family="binomial"),
        partial(_binary, 100_000, 10_000),
    ),
    Case(
        "hsb",
        _model("mathach", "ses + meanses", ("1 + ses", "schid")),
        _HSB,
        for_tasks=True,
    ),
    Case(
        "crossed-1500",
        _model("y", "x + kind", ("1", "a"), ("1", "b"), ("1", "c")),
        partial(_crossed, 1_500, (60, 30, 12)),
        for_tasks=True,
    ),
    Case("plan", _model("y", "x", ("1", "g")), _plan, for_tasks=True),
    *(
        Case(f"scaling-1e{k}", _SLOPES, partial(_one_factor, 10**k, 10**k // 10, True), True)
        for k in (4, 5, 6, 7)
    ),
)

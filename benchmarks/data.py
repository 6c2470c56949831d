"""The data of the cases: bundled, R's, or generated with a fixed seed."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.columns import Factor, Numbers, Table, factor, n_rows, numbers

ROOT = Path(__file__).resolve().parents[1]
BUNDLED = ROOT / "merextras" / "datasets"
REFERENCE = ROOT / "tests" / "reference" / "glmer"
SHARED = ROOT.parent / "shared" / "data"
SEED = 20150731


@dataclass(frozen=True)
class Built:
    """The data of a case, and where they come from."""

    table: Table
    source: str


def _table(rows: Iterable[dict[str, str]], numbers: set[str], factors: set[str]) -> Table:
    kept = list(rows)
    table: Table = {name: np.array([float(row[name]) for row in kept]) for name in sorted(numbers)}
    return table | {name: Factor.of([row[name] for row in kept]) for name in sorted(factors)}


def _of_file(path: Path, numbers: set[str], factors: set[str]) -> Table:
    with path.open(newline="", encoding="utf-8") as file:
        return _table(csv.DictReader(file), numbers, factors)


def bundled(name: str, numbers: set[str], factors: set[str], _scale: float) -> Built:
    return Built(_of_file(BUNDLED / f"{name}.csv", numbers, factors), "bundled with merextras")


def reference(name: str, numbers: set[str], factors: set[str], _scale: float) -> Built:
    """A data set that the tests hold against R, with a factor of its rows."""
    table = _of_file(REFERENCE / f"{name}.csv", numbers, factors)
    rows = np.arange(n_rows(table))
    return Built(table | {"row": Factor.numbered(rows, len(rows), "r")}, "R's, from the tests")


# Yes or no as 1 and 0, and what packages write each in its own way as a column of its own.


def _yes(table: Table, name: str) -> Numbers:
    yes: Numbers = (factor(table, name).labels() == "Y").astype(np.float64)
    return yes


def cbpp(scale: float) -> Built:
    built = bundled("cbpp", {"incidence", "size"}, {"herd", "period"}, scale)
    healthy = numbers(built.table, "size") - numbers(built.table, "incidence")
    return Built(built.table | {"healthy": healthy}, built.source)


def cbpp_rows(scale: float) -> Built:
    """An animal a row: those of a herd and period that fell ill, then the others."""
    table = cbpp(scale).table
    sick, well = numbers(table, "incidence"), numbers(table, "healthy")
    counts = np.column_stack([sick, well]).astype(int).reshape(-1)
    of = np.repeat(np.arange(len(sick)), 2)
    made: Table = {"y": np.repeat(np.tile([1.0, 0.0], len(sick)), counts)}
    for name in ("herd", "period"):
        column = factor(table, name)
        made[name] = Factor(np.repeat(column.codes[of], counts), column.levels)
    return Built(made, "bundled with merextras, a row for each animal")


def contraception(scale: float) -> Built:
    factors = {"use", "livch", "urban", "district"}
    built = bundled("contraception", {"age"}, factors, scale)
    made: Table = {"use": _yes(built.table, "use"), "age2": numbers(built.table, "age") ** 2}
    return Built(built.table | made, built.source)


def verb_agg(scale: float) -> Built:
    factors = {"r2", "Gender", "btype", "situ", "id", "item"}
    built = bundled("verb_agg", {"Anger"}, factors, scale)
    return Built(built.table | {"r2": _yes(built.table, "r2")}, built.source)


# InstEval -----------------------------------------------------------------------------------------


def insteval(scale: float) -> Built:
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


def one_factor(rows: int, groups: int, slope: bool, scale: float) -> Built:
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    g, x = _codes(rng, n, q), rng.standard_normal(n)
    y = 1 + 0.5 * x + _effects(rng, g, q, 0.8) + rng.standard_normal(n)
    if slope:
        y += x * _effects(rng, g, q, 0.4)
    return Built({"y": y, "x": x, "g": Factor.numbered(g, q, "g")}, "generated")


def nested(rows: int, a: int, b: int, c: int, scale: float) -> Built:
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


def crossed(rows: int, levels: tuple[int, int, int], scale: float) -> Built:
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


def repeated(rows: int, groups: int, cov: NDArray[np.float64], scale: float) -> Built:
    """Groups seen at times, several rows at each: effects of the times with covariance `cov`."""
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    times = len(cov)
    g, t, x = _codes(rng, n, q), _codes(rng, n, times), rng.standard_normal(n)
    effects = rng.standard_normal((q, times)) @ np.linalg.cholesky(cov).T
    y = 1 + 0.5 * x + effects[g, t] + rng.standard_normal(n)
    table: Table = {"y": y, "x": x, "t": Factor.numbered(t, times, "t")}
    return Built(table | {"g": Factor.numbered(g, q, "g")}, "generated")


def cs(times: int) -> NDArray[np.float64]:
    """A correlation of a half between any two effects; standard deviations from .6 to 1.4."""
    sd = np.linspace(0.6, 1.4, times)
    return np.outer(sd, sd) * (0.5 + 0.5 * np.eye(times))


def ar1(times: int) -> NDArray[np.float64]:
    """A correlation of .7 from one time to the next, and a standard deviation of .8."""
    steps = np.arange(times)
    cov: NDArray[np.float64] = 0.64 * 0.7 ** np.abs(steps[:, None] - steps)
    return cov


def binary(rows: int, groups: int, scale: float) -> Built:
    """Yes or no, by a continuous covariate and a group."""
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    g, x = _codes(rng, n, q), rng.standard_normal(n)
    logit = -0.5 + 0.5 * x + _effects(rng, g, q, 0.8)
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return Built({"y": y, "x": x, "g": Factor.numbered(g, q, "g")}, "generated")


def discrete(rows: int, groups: int, scale: float) -> Built:
    """Yes or no, by a covariate of two values and a group."""
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    g, x = _codes(rng, n, q), rng.integers(0, 2, n).astype(np.float64)
    logit = -0.5 + 0.5 * x + _effects(rng, g, q, 0.8)
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    return Built({"y": y, "x": x, "g": Factor.numbered(g, q, "g")}, "generated")


def sites(rows: int, groups: int, regions: int, scale: float) -> Built:
    """Sites in regions: accidents in an exposure, accidents with spread, and costs."""
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    site, x = _codes(rng, n, q), rng.standard_normal(n)
    region, exposure = rng.integers(0, regions, q)[site], rng.gamma(4.0, 0.5, n)
    mean = 0.3 + 0.4 * x + _effects(rng, site, q, 0.6) + _effects(rng, region, regions, 0.4)
    rate = np.exp(mean)
    table: Table = {
        "accidents": rng.poisson(rate * exposure).astype(np.float64),
        "spread": rng.negative_binomial(2.0, 2.0 / (2.0 + rate)).astype(np.float64),
        "cost": rate * rng.gamma(3.0, 1.0 / 3.0, n),
        "x": x,
        "log_exposure": np.log(exposure),
        "site": Factor.numbered(site, q, "s"),
        "region": Factor.numbered(region, regions, "r"),
    }
    return Built(table, "generated")


def plan(_scale: float) -> Built:
    """A study to plan, the shape of simr's tutorial: ten values of x in each of three groups."""
    rng = np.random.default_rng(SEED)
    x, g = np.tile(np.arange(1.0, 11.0), 3), np.repeat(np.arange(3), 10)
    y = 10 - 0.1 * x + _effects(rng, g, 3, 2.5) + 1.1 * rng.standard_normal(30)
    return Built({"y": y, "x": x, "g": Factor.numbered(g, 3, "g")}, "generated")


def kinds(rows: int, groups: int, scale: float) -> Built:
    """One group and a covariate, and the same five kinds as a number, a factor and text."""
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    g, x, kind = _codes(rng, n, q), rng.standard_normal(n), _codes(rng, n, 5)
    y = 1 + 0.5 * x + 0.2 * kind + _effects(rng, g, q, 0.8) + rng.standard_normal(n)
    labelled = Factor.numbered(kind, 5, "kind")
    table: Table = {"y": y, "x": x, "number": kind.astype(np.float64), "category": labelled}
    return Built(
        table | {"text": replace(labelled, text=True), "g": Factor.numbered(g, q, "g")},
        "generated",
    )


def wide(rows: int, groups: int, columns: int, scale: float) -> Built:
    """One group and many covariates, each with something of the one before it."""
    rng = np.random.default_rng(SEED)
    n, q = _scaled(scale, rows, groups)
    g, before = _codes(rng, n, q), np.zeros(n)
    table: Table = {"g": Factor.numbered(g, q, "g")}
    y = 1 + _effects(rng, g, q, 0.8) + rng.standard_normal(n)
    for name in names(columns):
        before = 0.5 * before + rng.standard_normal(n)
        table[name] = before
        y += 0.05 * before
    return Built({"y": y, **table}, "generated")


def names(columns: int) -> list[str]:
    """The covariates of `wide`."""
    return [f"x{i + 1}" for i in range(columns)]


def ratings(rows: int, users: int, items: int, skewed: bool, scale: float) -> Built:
    """Ratings of items by users, two crossed factors.

    Where they are skewed some items have most of the ratings, as in MovieLens' tables.
    """
    rng = np.random.default_rng(SEED)
    n, q_users, q_items = _scaled(scale, rows, users, items)
    user = _codes(rng, n, q_users)
    item = _codes(rng, n, q_items)
    if skewed:
        drawn = np.minimum(rng.pareto(1.2, n) * 0.01 * q_items, q_items - 1).astype(np.int32)
        item = np.where(rng.random(n) < 0.9, drawn, item).astype(np.int32)
        item[:q_items] = np.arange(q_items)
    x = rng.standard_normal(n)
    y = 3.5 + 0.1 * x + _effects(rng, user, q_users, 0.4) + _effects(rng, item, q_items, 0.5)
    table: Table = {
        "y": y + rng.standard_normal(n),
        "x": x,
        "user": Factor.numbered(user, q_users, "u"),
        "item": Factor.numbered(item, q_items, "i"),
    }
    return Built(table, "generated")

"""The memory that is told of before a fit, against the bytes that Python counts in it."""

from __future__ import annotations

import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.engine.elimination.blocks_of_plan import tail_cost
from merextras.engine.elimination.plan import make_plan
from merextras.exceptions import LargeModelWarning, TooLargeError
from merextras.model.design import room
from merextras.model.source import reduce
from merextras.model.state import size

# How far what is told may be from what is true.
WITHIN = 1.5


def table(n, *levels, columns=1, seed=1):
    """Rows with factors `g0`, `g1`, ... and covariates `x0`, `x1`, ..."""
    rng = np.random.default_rng(seed)
    made = {f"x{i}": rng.normal(size=n) for i in range(columns)}
    eta = 0.3 * made["x0"]
    for i, count in enumerate(levels):
        made[f"g{i}"] = rng.integers(0, count, n)
        intercepts, slopes = rng.normal(size=(2, count))[:, made[f"g{i}"]]
        eta = eta + intercepts + slopes * made["x0"]
    return pd.DataFrame(
        {**made, "y": eta + rng.normal(size=n), "yes": rng.random(n) < 0.5 + eta / 9}
    )


def local(n, users, items, near):
    """Two factors that cross where their levels are near."""
    data, rng = table(n, users), np.random.default_rng(2)
    item = (data["g0"] * items // users + rng.integers(0, near, n)) % items
    return data.assign(g1=item, y=data["y"] + rng.normal(size=items)[item])


class Asked:
    """In the place of the free memory: next to none; the bytes that there are when it is asked."""

    bytes: int = 0

    def __call__(self):
        if not self.bytes:
            self.bytes = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
        return 1e3


def told_and_counted(monkeypatch, module, fit):
    """Gigabytes of the warning and those that the rest of the fit took."""
    asked = Asked()
    monkeypatch.setattr(module, "available_memory", asked)
    monkeypatch.setattr(module, "ALWAYS", 0.0)
    tracemalloc.start()
    try:
        with pytest.warns(LargeModelWarning) as said:
            fit()
        taken = tracemalloc.get_traced_memory()[1] - asked.bytes
    finally:
        tracemalloc.stop()
    assert len(said) == 1
    found = re.search(r"take about ([\d.e-]+) GB", str(said[0].message))
    assert found is not None
    return float(found[1]), 1e-9 * taken


def check(pair):
    told, counted = pair
    assert counted / WITHIN < told < counted * WITHIN, pair


CROSSED = "(1 | g0) + (1 | g1)"
WIDE = " + ".join(f"x{i}" for i in range(60))


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        (f"y ~ {WIDE} + (1 | g0)", lambda: table(40_000, 50, columns=60)),
        (f"y ~ {WIDE} + (1 | g0)", lambda: table(20_000, 3_000, columns=60)),
        ("y ~ x0 + (1 + x0 | g0)", lambda: table(300_000, 30_000)),
        ("y ~ x0 + (1 | g0)", lambda: table(200_000, 50_000)),
    ],
)
def test_before_x_is_made(monkeypatch, formula, data):
    """All of a fit with one factor."""
    data = data()
    check(told_and_counted(monkeypatch, room, lambda: mx.lmer(formula, data)))


@pytest.mark.parametrize(
    "data",
    [
        lambda: table(40_000, 3_000, 1_200),
        lambda: table(60_000, 20_000, 800),
        lambda: table(60_000, 6_000, 3_000),
        lambda: local(100_000, 20_000, 8_000, 20),
    ],
)
def test_before_a_tail_is_made(monkeypatch, data):
    data = data()
    check(told_and_counted(monkeypatch, size, lambda: mx.lmer(f"y ~ x0 + {CROSSED}", data)))


@pytest.mark.parametrize(
    ("formula", "data"),
    [
        ("yes ~ x0 + (1 | g0)", lambda: table(100_000, 8_000)),
        (f"yes ~ x0 + {CROSSED}", lambda: table(40_000, 3_000, 1_200)),
        (f"yes ~ x0 + {CROSSED} + (1 | g2)", lambda: table(20_000, 3_000, 500, 400)),
        (f"yes ~ {WIDE} + (1 | g0)", lambda: table(10_000, 200, columns=60)),
    ],
)
def test_before_the_rows_of_a_generalised_model_are_laid_out(monkeypatch, formula, data):
    data = data()
    check(told_and_counted(monkeypatch, size, lambda: mx.glmer(formula, data, "binomial")))


def test_what_is_told_names_the_sizes_and_what_to_do(monkeypatch):
    monkeypatch.setattr(size, "available_memory", lambda: 1e6)
    monkeypatch.setattr(size, "ALWAYS", 0.0)
    crossed = table(40_000, 3_000, 1_200)
    told = (
        "about 0.0[0-9]+ GB more memory, of which 0.001 GB are free, most of it for 1200 crossed "
        "effects of g1, with 2 columns of the fixed part. Rows of levels with few of them can be"
    )
    with pytest.warns(LargeModelWarning, match=told):
        mx.lmer(f"y ~ x0 + {CROSSED}", crossed)
    told = r"for 50000 levels of \(Intercept \| g0\), with 2 columns of the fixed part. Fewer colu"
    with pytest.warns(LargeModelWarning, match=told):
        mx.lmer("y ~ x0 + (1 | g0)", table(200_000, 50_000).assign(g0=np.arange(200_000) % 50_000))


@pytest.mark.parametrize(
    ("data", "right", "chunk"),
    [
        (lambda: table(60_000, 50, columns=60), f"{WIDE} + (1 | g0)", 20_000),
        (lambda: table(40_000, 50, columns=60), f"{WIDE} + (1 | g0)", 100_000),
        (lambda: table(60_000, 50, columns=60), f"{WIDE} + (1 + x0 | g0)", 20_000),
        (lambda: table(60_000, 20_000, columns=60), f"{WIDE} + (1 | g0)", 20_000),
        (lambda: table(60_000, 60, 40, columns=60), f"{WIDE} + {CROSSED}", 20_000),
        # A transform that learns from all rows: a pass for it, and another for the products.
        (lambda: table(60_000, 50, columns=60), f"center({WIDE[:2]}){WIDE[2:]} + (1 | g0)", 20_000),
    ],
)
def test_before_wide_chunks_are_reduced(monkeypatch, data, right, chunk):
    data, formula = data(), f"y ~ {right}"
    monkeypatch.setattr(reduce, "available_memory", lambda: 1e3)
    with pytest.raises(TooLargeError, match=f"{min(chunk, len(data))} rows of 61 col") as said:
        mx.cross_products(formula, data, chunk_size=chunk)
    found = re.search(r"take about ([\d.e-]+) GB", str(said.value))
    assert found is not None
    monkeypatch.undo()
    tracemalloc.start()
    try:
        mx.cross_products(formula, data, chunk_size=chunk)
        check((float(found[1]), 1e-9 * tracemalloc.get_traced_memory()[1]))
    finally:
        tracemalloc.stop()


def test_a_dense_tail_takes_one_matrix():
    """C with its factor in one; each further point has its own, and the inverse is never whole."""
    data = table(40_000, 8_000, 3_000)
    cp = mx.lmer(f"y ~ x0 + {CROSSED}", data).solution.cp
    plan = make_plan(cp, "dense")
    one, four = (tail_cost(cp, plan, points).gigabytes for points in (1, 4))
    matrix = 8e-9 * 3_000**2
    assert four - one == pytest.approx(3 * matrix)
    assert one < 1.3 * matrix

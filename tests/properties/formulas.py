"""Hypothesis strategies of formulas and of frames that they are for: what people bring.

Hypothesis draws the pieces of the formula and what is odd about the frame, a generator seeded by it
the numbers.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import strategies as st

NUMBERS = [
    "x",
    "z",
    "k",
    "`a b`",
    "class",
    "I(x^2)",
    "I(k^2 / 10)",
    "I(k * x)",
    "log(k + 1)",
    "np.log(z)",
    "sqrt(k)",
    "np.where(x > 0, x, 0)",
    "center(z)",
    "scale(z)",
    "standardize(x)",
    "poly(x, 2)",
    "bs(x, df=4)",
]
FACTORS = ["c", "d", "b", "C(k)", "factor(c)", "C(c, Sum)", "C(x > 0)", "`the factor`"]
RESPONSES = ["y", "log(y)", "np.sqrt(y)", "I(y^2 / 100)", "`the y`"]
OFFSETS = ["", "", "", " + offset(x)", " + offset(log(z))", " + offset(k^2)"]
BARS = [
    "(1 | g)",
    "(x | g)",
    "(x || g)",
    "(0 + x | g)",
    "(center(z) | g)",
    "(I(x^2) || g)",
    "(0 + c | g)",
    "(1 | g/h)",
    "(1 | h:g)",
    "(1 | g) + (1 | h)",
    "(x + `a b` || g)",
    "(1 | `the group`)",
]


@st.composite
def formulas(draw):
    """A formula in lme4's notation, whose terms some frame may not determine."""
    atoms = st.sampled_from(NUMBERS) | st.sampled_from(FACTORS)
    terms = []
    for _ in range(draw(st.integers(0, 3))):
        pieces = draw(st.lists(atoms, min_size=1, max_size=2, unique=True))
        terms.append(draw(st.sampled_from([":", " * ", " + "])).join(pieces))
    if draw(st.integers(0, 5)) == 0:
        terms = [f"({draw(st.sampled_from(FACTORS))} + {draw(st.sampled_from(NUMBERS))})^2"]
    intercept = draw(st.sampled_from(["", "", "", "0", "1"]))
    order = draw(st.permutations([t for t in [intercept, *terms] if t] or ["1"]))
    fixed = " + ".join(order) + draw(st.sampled_from(OFFSETS))
    return f"{draw(st.sampled_from(RESPONSES))} ~ {fixed} + {draw(st.sampled_from(BARS))}"


@st.composite
def frames(draw):
    """A frame with all columns that `formulas` has, odd in index, types and missing values."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(60, 140))
    g, h = rng.integers(0, 7, n), rng.integers(0, 3, n)
    data = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "z": rng.normal(50.0, 3.0, size=n),
            "k": rng.integers(0, 5, n).astype(draw(st.sampled_from(["int64", "int16", "float64"]))),
            "a b": rng.uniform(size=n),
            "class": rng.normal(size=n),
            "c": np.array(["v", "u", "w"])[rng.integers(0, 3, n)],
            "d": pd.Categorical(
                np.array(["low", "high"])[rng.integers(0, 2, n)],
                categories=["low", "mid", "high"],
                ordered=False,
            ),
            "b": rng.random(n) < 0.5,
            "the factor": np.array(["p", "q"])[rng.integers(0, 2, n)],
            "g": g if draw(st.booleans()) else np.array(list("gabcdef"))[g],
            "h": np.array(["h1", "h2", "h3"])[h],
            "the group": rng.integers(0, 9, n),
        }
    )
    effects = rng.normal(size=7)[g] + rng.normal(size=(7, 3))[g, h]
    data["y"] = 30.0 + effects + data["x"] + (data["c"] == "v") + rng.normal(size=n)
    data["the y"] = data["y"] + rng.normal(size=9)[data["the group"]]
    for column in draw(st.lists(st.sampled_from(["x", "c", "y", "d"]), max_size=2, unique=True)):
        data.loc[rng.random(n) < 0.05, column] = None if column in "cd" else np.nan
    index = {"default": data.index, "odd": rng.permutation(n) * 3 + 7, "same": np.zeros(n, int)}
    return data.set_axis(index[draw(st.sampled_from(list(index)))], axis=0)

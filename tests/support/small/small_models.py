"""Small mixed models of every sort that people bring, one for each seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

#: Random parts, and whether a shift of x leaves the model what it is.
RANDOM = {
    "(1 | g)": True,
    "(x | g)": True,
    "(x || g)": False,
    "(1 | g) + (0 + x | g)": False,
    "(1 | g) + (1 | h)": True,
    "(1 | g/k)": True,
    "(f | g)": True,
    "(x | g) + (1 | h)": True,
    "(1 | g) + (1 | k)": True,
}
FIXED = ["1", "x", "x + w", "x * f", "f + i", "x + i + f"]


@dataclass(frozen=True)
class Case:
    """A formula, its data, and arguments of `lmer`."""

    formula: str
    data: pd.DataFrame
    kwargs: dict[str, Any] = field(default_factory=dict)
    shiftable: bool = True


def case_of(seed: int) -> Case:
    """The design of a seed: unbalanced, with groups of one row, effects from none to large."""
    rng = np.random.default_rng([seed, 2024])
    n = int(rng.integers(8, 81))
    g = _groups(rng, n, int(rng.integers(2, 13)))
    h, k = _groups(rng, n, int(rng.integers(2, 7))), rng.integers(0, 3, n)
    data = pd.DataFrame({
        "g": _labels(rng, g, "g"),
        "h": _labels(rng, h, "h"),
        "k": _labels(rng, k, "k"),
        "x": rng.normal(size=n) * 10.0 ** rng.integers(-2, 3) + rng.choice([0.0, 0.0, 50.0]),
        "w": rng.exponential(size=n),
        "i": rng.integers(0, 5, n),
        "f": rng.choice(["a", "b", "c"][: int(rng.integers(2, 4))], n),
        "o": rng.normal(size=n),
        "weight": rng.uniform(0.5, 2.0, n),
        "count": rng.integers(1, 4, n),
    })  # fmt: skip
    sd = rng.choice([0.0, 0.3, 1.0, 5.0], 4)
    z = (data["x"] - data["x"].mean()) / (data["x"].std() + 1e-12)
    y = rng.normal(size=n) + 0.5 * z + sd[0] * rng.normal(size=g.max() + 1)[g]
    y += sd[1] * rng.normal(size=g.max() + 1)[g] * z + sd[2] * rng.normal(size=h.max() + 1)[h]
    data["y"] = y * 10.0 ** rng.integers(-3, 4) + rng.choice([0.0, 0.0, 100.0])
    if rng.random() < 0.2:
        data.loc[rng.random(n) < 0.1, "x"] = np.nan
    random = str(rng.choice(list(RANDOM)))
    kwargs: dict[str, Any] = {"reml": bool(rng.random() < 0.6)}
    for argument, column, share in (
        ("weights", "weight", 0.15),
        ("freq_weights", "count", 0.1),
        ("offset", "o", 0.15),
    ):
        if rng.random() < share:
            kwargs[argument] = column
    return Case(f"y ~ {rng.choice(FIXED)} + {random}", data, kwargs, RANDOM[random])


def _groups(rng: np.random.Generator, n: int, levels: int) -> np.ndarray:
    """Codes of groups whose sizes differ, each level there."""
    share = rng.dirichlet(np.full(levels, rng.choice([0.5, 2.0, 50.0])))
    return pd.factorize(rng.choice(levels, n, p=share))[0]


def _labels(rng: np.random.Generator, codes: np.ndarray, name: str) -> Any:
    kind = rng.choice(["text", "number", "category"])
    if kind == "number":
        return codes * 7 + 3
    texts = np.array([f"{name}{code:02d}" for code in range(codes.max() + 1)])[codes]
    return pd.Categorical(texts) if kind == "category" else texts


# The same model in other words --------------------------------------------------------------------


def in_another_order(case: Case) -> Case:
    """The rows in another order, each under its old label."""
    order = np.random.default_rng(7).permutation(len(case.data))
    return Case(case.formula, case.data.iloc[order], case.kwargs)


def relabelled(case: Case) -> Case:
    """Other labels of the groups, in the same order."""
    data = case.data.copy()
    for name in ("g", "h", "k"):
        levels = sorted(pd.unique(data[name].astype(object)))
        place = {level: f"level {i:03d}" for i, level in enumerate(levels)}
        data[name] = data[name].astype(object).map(place)
    return Case(case.formula, data, case.kwargs)


def shifted(case: Case) -> Case:
    """The covariate from another zero."""
    size = float(np.nanstd(case.data["x"])) or 1.0
    return Case(case.formula, case.data.assign(x=case.data["x"] + 100.0 * size), case.kwargs)


def scaled(case: Case) -> Case:
    """The covariate in another unit."""
    return Case(case.formula, case.data.assign(x=case.data["x"] * 1e4), case.kwargs)

"""Make ``merextras/datasets/students.csv``, or check the one that is there.

``students`` is a synthetic twin of the data of the tutorial the project started from: in each of
the 24 school x class cells its four scores have the sample means and covariances (divisor n - 1)
listed in ``lmm_cell_moments.csv``. In each cell standard normals are drawn, centred, whitened,
recoloured with the wanted covariance and shifted to the wanted means. The rows are then shuffled,
so that no code can come to rely on sorted groups.

Run ``python tools/make_students.py`` to write the file and ``python tools/make_students.py
--check`` to compare the moments of the existing file with the list. The same numpy gives the same
file byte for byte.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import combinations_with_replacement
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SCORES = ["extro", "open", "agree", "social"]
CELL = ["school", "class"]
PAIRS = list(combinations_with_replacement(range(len(SCORES)), 2))
SEED = 1

#: Largest difference of a moment, in units of the cell's standard deviations, that `--check`
#: accepts. Rounding alone gives about 1e-14, so this leaves room without hiding an edited value.
TOLERANCE = 1e-12

HERE = Path(__file__).resolve().parent
MOMENTS_CSV = HERE / "lmm_cell_moments.csv"
STUDENTS_CSV = HERE.parent / "merextras" / "datasets" / "students.csv"


def read_moments(path: Path) -> pd.DataFrame:
    """Read the moments file.

    The floats are converted by Python: pandas' parser has not always been exact in the last digit,
    and the bytes of the data set should not depend on its version.
    """
    names = [f"mean_{score}" for score in SCORES]
    names += [f"cov_{SCORES[i]}_{SCORES[j]}" for i, j in PAIRS]
    return pd.read_csv(path, converters=dict.fromkeys(names, float))


def mean_and_covariance(cell: pd.Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unpack one row of the moments file into a mean vector and a covariance matrix."""
    mean = np.array([cell[f"mean_{score}"] for score in SCORES], dtype=float)
    covariance = np.empty((len(SCORES), len(SCORES)))
    for i, j in PAIRS:
        covariance[i, j] = covariance[j, i] = cell[f"cov_{SCORES[i]}_{SCORES[j]}"]
    return mean, covariance


def draw_cell(rng: np.random.Generator, cell: pd.Series) -> NDArray[np.float64]:
    """Draw the scores of one cell, with exactly its means and covariances."""
    mean, covariance = mean_and_covariance(cell)
    z = rng.standard_normal((int(cell["n"]), len(SCORES)))
    z -= z.mean(axis=0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False)))
    return mean + z @ (np.linalg.cholesky(covariance) @ whiten).T


def make_students(moments: pd.DataFrame, seed: int = SEED) -> pd.DataFrame:
    """Return the students, shuffled, with ids 1, 2, ... in row order."""
    rng = np.random.default_rng(seed)
    scores = np.vstack([draw_cell(rng, cell) for _, cell in moments.iterrows()])
    students = pd.DataFrame(scores, columns=SCORES)
    for factor in ["class", "school"]:
        students[factor] = np.repeat(moments[factor].to_numpy(), moments["n"].to_numpy())
    students = students.iloc[rng.permutation(len(students))].reset_index(drop=True)
    students.insert(0, "id", np.arange(1, len(students) + 1))
    return students


def cell_moments(students: pd.DataFrame) -> pd.DataFrame:
    """Return the counts, means and covariances of each cell, laid out as the moments file."""
    rows = []
    for (school, class_), cell in students.groupby(CELL):
        values = cell[SCORES].to_numpy()
        covariance = np.cov(values, rowvar=False)
        row = {"school": school, "class": class_, "n": len(cell)}
        row |= {f"mean_{s}": m for s, m in zip(SCORES, values.mean(axis=0), strict=True)}
        row |= {f"cov_{SCORES[i]}_{SCORES[j]}": covariance[i, j] for i, j in PAIRS}
        rows.append(row)
    return pd.DataFrame(rows)


def largest_difference(students: pd.DataFrame, moments: pd.DataFrame) -> float:
    """Return the largest difference from the listed moments, in standard deviations.

    A mean's difference is divided by the cell's standard deviation of that score, a covariance's
    by those of its two scores: a covariance near zero has no useful relative error. It is
    infinite when the cells or their sizes differ, and NaN when a score is missing.
    """
    have = cell_moments(students).set_index(CELL)
    want = moments.set_index(CELL)
    if set(have.index) != set(want.index):
        return float("inf")
    have = have.loc[want.index]
    if not have["n"].equals(want["n"]):
        return float("inf")
    sd = {score: np.sqrt(want[f"cov_{score}_{score}"]) for score in SCORES}
    unit = {f"mean_{s}": sd[s] for s in SCORES}
    unit |= {f"cov_{SCORES[i]}_{SCORES[j]}": sd[SCORES[i]] * sd[SCORES[j]] for i, j in PAIRS}
    gaps = [(have[c] - want[c]).abs().to_numpy() / unit[c].to_numpy() for c in unit]
    return float(np.max(gaps))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file, or check it; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the students data set, or check it.")
    parser.add_argument("--check", action="store_true", help="compare, do not write")
    parser.add_argument("--csv", type=Path, default=STUDENTS_CSV, help="file to write or check")
    parser.add_argument("--moments", type=Path, default=MOMENTS_CSV, help="cell moments to meet")
    args = parser.parse_args(argv)

    moments = read_moments(args.moments)
    if not args.check:
        # A fixed line terminator: the file must not depend on the platform.
        make_students(moments).to_csv(args.csv, index=False, lineterminator="\n")
    gap = largest_difference(pd.read_csv(args.csv), moments)
    passed = gap <= TOLERANCE  # False for NaN too
    print(f"{args.csv}: largest difference {gap:.2g} sd, allowed {TOLERANCE:g}", end=": ")
    print("ok" if passed else "MISMATCH")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())

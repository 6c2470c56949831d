"""The arrays of a file, each against what the header says that it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from merextras.engine.covariance.structure import Structure as CovarianceStructure
from merextras.engine.products.basis import Basis
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.products.effects import EffectBasis
from merextras.engine.products.strata import Strata
from merextras.exceptions import TooLargeError
from merextras.foundation.aliases import Array, BoolArray, IntArray
from merextras.foundation.memory import available_memory
from merextras.model.columns.levels import LevelCoder, label_text
from merextras.model.products.container import Arrays
from merextras.model.products.fields import LARGEST, Field
from merextras.model.structure.column_summaries import ColumnSummaries
from merextras.model.structure.ranges import Numbers
from merextras.model.structure.structure import Structure

#: How far a product may be above what the products of its factors with themselves allow.
_SLACK = 1e-6
#: What rounding may leave of the square of a column that others explain: of X, where all others
#: are one, and of y as a share of y'Wy.
_IN_X, _IN_Y = 1e-8, 1e-13


class Blocks:
    """Arrays by name, each of which is taken once."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = dict(arrays)

    def check_all_taken(self) -> None:
        """Raise if there is an array that nothing in the header speaks of."""
        if self._arrays:
            raise ValueError(f"the header knows nothing of {', '.join(sorted(self._arrays))[:200]}")

    def _taken(self, name: str, kinds: str, ndim: int) -> np.ndarray[Any, Any]:
        if name not in self._arrays:
            raise ValueError(f"there is no {name}")
        array = self._arrays.pop(name)
        if array.dtype.kind not in kinds or array.ndim != ndim:
            raise ValueError(f"{name} is of type {array.dtype} and shape {array.shape}")
        return array

    def numbers(self, name: str, *shape: int | None) -> Array:
        """Numbers of a shape whose squares are finite; None for a length that is not known."""
        array = self._taken(name, "f", len(shape))
        wanted = tuple(n if m is None else m for n, m in zip(array.shape, shape, strict=True))
        if array.shape != wanted or array.dtype.itemsize != 8:
            raise ValueError(f"{name} has shape {array.shape}, not {wanted}, or no doubles")
        if not np.all(np.abs(array) <= LARGEST):
            raise ValueError(f"{name} has values that are not finite, or above {LARGEST:g}")
        return np.ascontiguousarray(array, dtype=float)

    def triangle(self, name: str, n_columns: int) -> Array:
        """Up to as many rows as columns."""
        array = self.numbers(name, None, n_columns)
        if len(array) > n_columns:
            raise ValueError(f"{name} has {len(array)} rows for {n_columns} columns")
        return array

    def gram(self, name: str, *shape: int, rounding: Array | None = None) -> Array:
        """Symmetric, with squares on the diagonal that bound what is beside it.

        `rounding` may be lost of the squares, or be left where they are zero.
        """
        array = self.numbers(name, *shape)
        squares = np.diagonal(array, axis1=-2, axis2=-1) + (0.0 if rounding is None else rounding)
        bound = np.sqrt(np.maximum(squares[..., :, None] * squares[..., None, :], 0.0))
        if np.any(squares < 0.0) or np.any(np.abs(array) > (1.0 + _SLACK) * bound):
            raise ValueError(f"{name} has products that no table has")
        if np.any(np.abs(array - np.swapaxes(array, -2, -1)) > _SLACK * bound):
            raise ValueError(f"{name} is not symmetric")
        return array

    def flags(self, name: str, n: int) -> BoolArray:
        """Truth values."""
        array = self._taken(name, "b", 1)
        if array.shape != (n,):
            raise ValueError(f"{name} has {len(array)} values, not {n}")
        return array

    def indices(self, name: str, high: int, n: int | None = None) -> IntArray:
        """Whole numbers from 0 to below `high`."""
        array = self._taken(name, "iu", 1)
        if n is not None and len(array) != n:
            raise ValueError(f"{name} has {len(array)} values, not {n}")
        if len(array) and (int(array.min()) < 0 or int(array.max()) >= high):
            raise ValueError(f"{name} has values outside 0 to {high - 1}")
        return array.astype(np.intp)

    def sparse(self, name: str, left: tuple[int, int], right: tuple[int, int]) -> sp.csc_array:
        """The block between two terms of some (levels, effects): whole for each pair of levels."""
        shape = left[0] * left[1], right[0] * right[1]
        starts = self.indices(f"{name}_indptr", 2**53, shape[1] + 1)
        places = self.indices(f"{name}_indices", shape[0])
        values = self.numbers(f"{name}_data", len(places))
        if starts[0] != 0 or starts[-1] != len(places) or np.any(np.diff(starts) < 0):
            raise ValueError(f"{name}_indptr does not count up to {len(places)}")
        made = sp.csc_array((values, places, starts), shape=shape)
        made.sum_duplicates()
        if made.nnz != len(places):
            raise ValueError(f"{name}_indices has a place twice")
        columns = np.repeat(np.arange(shape[1]), np.diff(made.indptr))
        pairs = made.indices // left[1] + (columns // right[1]) * left[0]
        counts = np.unique(pairs, return_counts=True)[1]
        if np.any(counts != left[1] * right[1]):
            raise ValueError(f"{name}_indices has a pair of levels without some of its effects")
        return made

    def coder(self, t: int, columns: Sequence[str], kinds: Sequence[str]) -> LevelCoder:
        """The levels of a term's grouping factor."""
        parts = [self._labels(f"labels{t}_{i}", kind) for i, kind in enumerate(kinds)]
        pairs: list[IntArray] = []
        n = len(parts[0])
        for i, part in enumerate(parts[1:]):
            found = self.indices(f"pairs{t}_{i}", n * len(part))
            if not len(found) or np.any(np.diff(found) <= 0):
                raise ValueError(f"pairs{t}_{i} must be there, sorted and each once")
            pairs.append(found)
            n = len(found)
        if pairs:
            _check_labels_fit(columns, parts, pairs)
        coder = LevelCoder.from_parts(columns, parts, pairs)
        if not coder.levels.is_unique:
            raise ValueError(f"two levels of {':'.join(columns)!r} have the same name")
        return coder

    def _labels(self, name: str, kind: str) -> pd.Index:
        if kind == "strings":
            text = self._taken(name, "u", 1).tobytes()
            found = list(Field(json.loads(text.decode()), name).texts())
            labels: pd.Index = pd.Index(found)
        else:
            array = self._taken(name, "biuf", 1)
            if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
                raise ValueError(f"{name} has values that are not finite")
            labels = pd.Index(array.astype(array.dtype.newbyteorder("=")))
        if len(labels) == 0 or not labels.is_unique:
            raise ValueError(f"{name} must have labels, each once")
        return labels

    def facts(
        self, structure: Structure, n: int, low: float, high: float, numbers: Mapping[str, Numbers]
    ) -> ColumnSummaries:
        """Facts with the arrays that they have."""
        p = len(structure.fixed.names)
        squares = self.numbers("squares", p)
        if np.any(squares < 0.0):
            raise ValueError("squares has negative values")
        return ColumnSummaries(
            n=n,
            low=low,
            high=high,
            x=self.triangle("x", p),
            mean=self.numbers("mean", p),
            squares=squares,
            ones=self.flags("ones", p),
            effects=tuple(
                self.triangle(f"effects{t}", k) for t, (_, k) in enumerate(structure.shapes)
            ),
            numbers=numbers,
        )

    def basis(self, p: int, effects: Sequence[EffectBasis]) -> Basis:
        """The basis of X and y, with the coordinates of the terms' effects."""
        return Basis(self._change("transform", p), self.numbers("b0", p), tuple(effects))

    def effects(self, structures: Sequence[CovarianceStructure], version: int) -> list[EffectBasis]:
        """The coordinates of the terms' effects; version 1 has the user's."""
        if version == 1:
            return [EffectBasis.identity(s.k, s.freedom) for s in structures]
        out = []
        for t, s in enumerate(structures):
            made = EffectBasis(self._change(f"effects_transform{t}", s.k), s.freedom)
            if not made.is_allowed:
                raise ValueError(f"effects_transform{t} is not one of {s.freedom.value}")
            out.append(made)
        return out

    def _change(self, name: str, k: int) -> Array:
        """A change of basis."""
        transform = self.numbers(name, k, k)
        if np.any(np.tril(transform, -1)) or np.any(np.diag(transform) <= 0.0):
            raise ValueError(f"{name} is not triangular with a positive diagonal")
        return transform


def _check_labels_fit(
    columns: Sequence[str], parts: Sequence[pd.Index], pairs: Sequence[IntArray]
) -> None:
    """A few long labels may make many: their size is found before they are made."""
    longest = sum(max(len(label_text(v)) for v in part) for part in parts)
    needed, available = 4.0 * longest * len(pairs[-1]), available_memory()
    if available is not None and needed > available:
        raise TooLargeError(
            f"path: the labels of {':'.join(columns)!r} may need {needed / 1e9:.3g} GB in memory, "
            f"of which {available / 1e9:.3g} GB are available"
        )


def products_of_arrays(
    header: dict[str, Any], structure: Structure, facts: ColumnSummaries, blocks: Blocks, kind: Any
) -> Any:
    """The object of `kind` that is described, from arrays that are what the structure says."""
    shapes, p = structure.shapes, len(structure.fixed.names)
    pairs = [(s, t) for t in range(len(shapes)) for s in range(t)]
    rows = blocks.triangle("rows", p + 1)
    rounding = np.append(np.full(p, _IN_X), _IN_Y * (rows[:, -1] @ rows[:, -1]))
    cp = CrossProducts(
        tuple(blocks.gram(f"own{t}", j, k, k) for t, (j, k) in enumerate(shapes)),
        {(s, t): blocks.sparse(f"cross{s}_{t}", shapes[s], shapes[t]) for s, t in pairs},
        tuple(blocks.numbers(f"to_xy{t}", j, k, p + 1) for t, (j, k) in enumerate(shapes)),
        blocks.gram("xy", p + 1, p + 1, rounding=rounding),
        Field(header["n"], "n").whole(1),
        Field(header["sum_log_w"], "sum_log_w").number(),
        blocks.basis(p, blocks.effects([t.structure for t in structure.terms], header["version"])),
    )
    _check_bessel(cp, np.diag(cp.xy) + rounding)
    if header["version"] == 1:
        cp = cp.in_basis(cp.basis.with_effects(cp.own_effects()))
    seen = tuple(blocks.flags(f"seen{t}", j) for t, (j, _) in enumerate(shapes))
    dropped = Field(header["n_dropped"], "n_dropped").whole()
    strata = None
    if structure.residual is not None:
        strata = strata_of_arrays(structure, cp, blocks)
    return kind(structure, cp, rows, facts, seen, dropped, strata)


def _check_bessel(cp: CrossProducts, squares: Array) -> None:
    """Raise where products are larger than what they are products of.

    The indicators of a factor's levels are orthogonal, so that a column's products with them are
    bounded by its square (Bessel's inequality); `squares` has those of X and y.
    """
    diagonals = [np.diagonal(own, axis1=1, axis2=2) for own in cp.own]
    for t, (to_xy, own) in enumerate(zip(cp.to_xy, diagonals, strict=True)):
        if np.any(to_xy[own == 0.0]) or np.any(
            _shares(to_xy, own[..., None]).sum(axis=0) > (1.0 + _SLACK) * squares
        ):
            raise ValueError(f"to_xy{t} has products that no table has")
    for (s, t), block in cp.cross.items():
        left = diagonals[s].reshape(-1)[block.indices]
        right = diagonals[t].reshape(-1)
        shares = sp.csc_array((_shares(block.data, left), block.indices, block.indptr), block.shape)
        sums = np.asarray(shares.sum(axis=0)).reshape(-1)
        allowed = (1.0 + _SLACK) * cp.shapes[s][1] * right
        if np.any(block.data[left == 0.0]) or np.any(sums > allowed):
            raise ValueError(f"cross{s}_{t} has products that no table has")


def _shares(products: Array, squares: Array) -> Array:
    return products**2 / np.where(squares == 0.0, 1.0, squares)


def strata_of_arrays(structure: Structure, cp: CrossProducts, blocks: Blocks) -> Strata:
    """The cross-products by groups of residual variances, which must sum to those of all rows."""
    assert structure.residual is not None
    shapes, p = structure.shapes, cp.p
    groups = len(structure.residual.levels)
    level, stratum, own, to_xy = [], [], [], []
    for t, (j, k) in enumerate(shapes):
        level.append(blocks.indices(f"strata_level{t}", j))
        count = len(level[t])
        stratum.append(blocks.indices(f"strata_group{t}", groups, count))
        own.append(blocks.gram(f"strata_own{t}", count, k, k))
        to_xy.append(blocks.numbers(f"strata_to_xy{t}", count, k, p + 1))
    sizes = [(len(at), k) for at, (_, k) in zip(level, shapes, strict=True)]
    pairs = [(s, t) for t in range(len(shapes)) for s in range(t)]
    cross = {(s, t): blocks.sparse(f"strata_cross{s}_{t}", sizes[s], sizes[t]) for s, t in pairs}
    for (s, t), block in cross.items():
        right = np.repeat(np.arange(block.shape[1]), np.diff(block.indptr)) // sizes[t][1]
        if np.any(stratum[s][block.indices // sizes[s][1]] != stratum[t][right]):
            raise ValueError(f"strata_cross{s}_{t} has products of rows of two groups")
    xy = blocks.numbers("strata_xy", groups, p + 1, p + 1)
    n, log_w = blocks.numbers("strata_n", groups), blocks.numbers("strata_log_w", groups)
    fine = replace(cp, own=tuple(own), cross=cross, to_xy=tuple(to_xy))
    made = Strata(fine, tuple(level), tuple(stratum), tuple(j for j, _ in shapes), xy, n, log_w)
    _check_sums(cp, made)
    return made


def _check_sums(cp: CrossProducts, strata: Strata) -> None:
    """Raise where the groups' products are not those of all rows, taken apart."""
    total = strata.at(np.zeros(len(strata)))
    pairs = [*zip(total.own, cp.own, strict=True), *zip(total.to_xy, cp.to_xy, strict=True)]
    pairs += [(total.xy, cp.xy)]
    for (s, t), block in cp.cross.items():
        largest = float(np.max(np.abs(block.data), initial=0.0))
        if np.any(abs(total.cross[s, t] - block).data > _SLACK * largest):
            raise ValueError(f"strata_cross{s}_{t} does not sum to what all rows have")
    off = any(np.max(np.abs(a - b), initial=0.0) > _SLACK * np.max(np.abs(b)) for a, b in pairs)
    counts = strata.n
    if off or np.any(counts < 0.0) or np.any(counts != np.round(counts)) or counts.sum() != cp.n:
        raise ValueError("the products of the strata do not sum to those of all rows")
    if abs(float(np.sum(strata.sum_log_w)) - cp.sum_log_w) > _SLACK * (1.0 + abs(cp.sum_log_w)):
        raise ValueError("the weights of the strata are not those of all rows")

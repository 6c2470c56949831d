"""The engine's block structure of a model, with the memory of each block."""

from __future__ import annotations

import pandas as pd

from merextras.engine.elimination.blocks_of_plan import describe
from merextras.model.state.fitted import FittedModel


def block_description(model: FittedModel) -> pd.DataFrame:
    """Blocks of the factor, in the order in which terms are eliminated.

    The largest term comes first and is (block-)diagonal; a term in which all before it are nested
    stays so. The others are eliminated together. Their Schur complement is dense where factors
    cross everywhere, and costs their number of random effects squared in memory, cubed in time;
    where a large one is sparse (factors that cross within regions, schools, years) it is factorised
    in a fill-reducing order, and its numbers are those of its Cholesky factor. Of a generalised
    model the blocks are those of the working model at the mode, which each step of a search fills
    again.

    Returns
    -------
    DataFrame
        ``row column kind shape numbers megabytes``; `kind` is ``diagonal``, ``block-diagonal``,
        ``nested`` (a block per level), ``sparse`` or ``dense``, and megabytes are of the numbers.

    Examples
    --------
    >>> import merextras as mx
    >>> m = mx.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mx.load_dataset("penicillin"))
    >>> m.block_description()[["row", "column", "kind", "shape"]]
          row  column      kind     shape
    0   plate   plate  diagonal  (24, 24)
    1  sample   plate    sparse   (6, 24)
    2    X, y   plate     dense   (2, 24)
    3  sample  sample     dense    (6, 6)
    4    X, y  sample     dense    (2, 6)
    5    X, y    X, y     dense    (2, 2)
    """
    terms = model.design.terms

    def name(numbers: tuple[int, ...]) -> str:
        return " + ".join(terms[t].factor for t in numbers) if numbers else "X, y"

    rows = [
        (name(b.row), name(b.column), b.kind, b.shape, b.numbers, b.numbers * 8e-6)
        for b in describe(model.working.factor.system)
    ]
    columns = ["row", "column", "kind", "shape", "numbers", "megabytes"]
    return pd.DataFrame(rows, columns=columns)

"""Working through replicates in blocks, in processes if wanted, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

from merextras._typing import Array
from merextras.engine.many import ManyFits, minimise_many
from merextras.engine.responses import Responses
from merextras.model.fitted import FittedModel, refit_start

R = TypeVar("R")

# Numbers drawn at a time (8 MB), and the most replicates.
_BLOCK, _MOST = 2**20, 1024
# Numbers drawn that take two or three seconds; less needs no progress bar.
_LONG = 10**8


def block_size(model: FittedModel) -> int:
    """Replicates drawn at a time: of the model alone, so that results do not depend on `n_jobs`."""
    return int(np.clip(_BLOCK // (model.design.n + model.design.q), 1, _MOST))


def is_long(model: FittedModel, n_sims: int) -> bool:
    """Whether joint refits take long enough for a progress bar."""
    return n_sims * (model.design.n + model.design.q) > _LONG


def in_blocks(
    function: Callable[..., R],
    arguments: tuple[Any, ...],
    generators: Sequence[np.random.Generator],
    *,
    size: int,
    n_jobs: int,
    long: bool,
) -> list[R]:
    """``function(*arguments, some generators)`` for all blocks of generators, in their order."""
    parts = [generators[at : at + size] for at in range(0, len(generators), size)]
    found: Iterable[R] = (function(*arguments, part) for part in parts)
    if n_jobs != 1:
        work = (delayed(function)(*arguments, part) for part in parts)
        found = Parallel(n_jobs=n_jobs, return_as="generator")(work)
    out, disable = [], None if long else True
    with tqdm(total=len(generators), desc="bootstrap", unit="refits", disable=disable) as bar:
        for part, result in zip(parts, found, strict=True):
            out.append(result)
            bar.update(len(part))
    return out


def refit_all(model: FittedModel, y: Array) -> ManyFits:
    """The model's refits to the columns of y, (n, m), all together."""
    design, system = model.design, model.solution.factor.system
    if design.offset is not None:
        y = y - design.offset[:, None]
    rows = [term.rows for term in design.terms]
    responses = Responses.from_rows(system.cp, design.x, y, rows, design.weights)
    return minimise_many(system, responses, refit_start(model), reml=model.solution.reml)

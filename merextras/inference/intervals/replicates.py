"""Working through replicates in blocks, in processes if wanted, with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from joblib import delayed
from tqdm import tqdm

from merextras.engine.replicates.fits import ManyFits
from merextras.engine.replicates.iterated import Common
from merextras.engine.replicates.responses import Responses
from merextras.engine.replicates.search import common_part, minimise_many
from merextras.foundation.aliases import Array
from merextras.foundation.jobs import in_order
from merextras.model.fit.response_draws import ResponseModel
from merextras.model.fit.response_draws_by_products import ResponseModelByProducts
from merextras.model.state.fitted import FittedModel
from merextras.model.state.fitting import refit_start
from merextras.model.state.one_sigma import require_one_sigma

R = TypeVar("R")

# Numbers drawn at a time (8 MB), and the most replicates.
_BLOCK, _MOST = 2**20, 1024
# Numbers drawn that take two or three seconds; less needs no progress bar.
_LONG = 10**8


def _numbers(model: FittedModel) -> int:
    """Numbers that one replicate draws."""
    return model.design.draw_size


def block_size(model: FittedModel) -> int:
    """Replicates drawn at a time: of the model alone, so that results do not depend on `n_jobs`."""
    return int(np.clip(_BLOCK // _numbers(model), 1, _MOST))


def is_long(model: FittedModel, n_sims: int) -> bool:
    """Whether joint refits take long enough for a progress bar."""
    return n_sims * _numbers(model) > _LONG


def in_blocks(
    function: Callable[..., R],
    arguments: tuple[Any, ...],
    generators: Sequence[np.random.Generator],
    *,
    size: int,
    n_jobs: int,
    long: bool,
    desc: str = "bootstrap",
) -> list[R]:
    """``function(*arguments, some generators)`` for all blocks of generators, in their order."""
    parts = [generators[at : at + size] for at in range(0, len(generators), size)]
    found: Iterable[R] = (function(*arguments, part) for part in parts)
    if n_jobs != 1:
        work = (delayed(function)(*arguments, part) for part in parts)
        found = in_order(work, n_jobs)
    out, disable = [], None if long else True
    with tqdm(total=len(generators), desc=desc, unit="refits", disable=disable) as bar:
        for part, result in zip(parts, found, strict=True):
            out.append(result)
            bar.update(len(part))
    return out


def reduced(model: FittedModel, y: Array) -> Responses:
    """The columns of y, (n, m), by their products with the model's design."""
    design, system = model.design, model.solution.factor.system
    if design.offset is not None:
        y = y - design.offset[:, None]
    rows = [term.rows for term in design.terms]
    return Responses.from_rows(system.cp, design.x, y, rows, design.precision)


def check_joint_refits(model: FittedModel, verb: str) -> None:
    """Refuse residual variances by group, whose ratios refits of many responses would hold."""
    require_one_sigma(
        model,
        verb,
        "its refits, all together in one design, would hold their ratios",
        "bootstrap(m, func) fits each replicate with all of its parameters",
    )


def common_of(model: FittedModel, n_sims: int) -> Common | None:
    """What the refits of `n_sims` replicates have in common, found before the first block."""
    check_joint_refits(model, "refits")
    return common_part(model.criterion, refit_start(model), n_sims)


def refit_reduced(
    model: FittedModel, responses: Responses, common: Common | None = None
) -> ManyFits:
    """The model's refits to responses, all together; `common` where these are some of many."""
    check_joint_refits(model, "refits")
    start, control = refit_start(model), model.control.engine
    return minimise_many(model.criterion, responses, start, control=control, common=common)


def refit_all(model: FittedModel, y: Array, common: Common | None = None) -> ManyFits:
    """The model's refits to the columns of y, (n, m), all together."""
    return refit_reduced(model, reduced(model, y), common)


def refit_drawn(
    model: FittedModel,
    response_model: ResponseModel | ResponseModelByProducts,
    generators: Sequence[np.random.Generator],
    common: Common | None = None,
) -> ManyFits:
    """The model's refits to a response from each generator, all together."""
    if isinstance(response_model, ResponseModel):
        return refit_all(model, response_model.draw(generators), common)
    return refit_reduced(model, response_model.responses(generators), common)

"""The exact interval of the intraclass correlation of a balanced one-way design."""

from __future__ import annotations

import numpy as np
from scipy import stats

from merextras.exceptions import UnsupportedModelError
from merextras.model.design.design import INTERCEPT
from merextras.model.state.fitted import FittedModel
from merextras.model.state.one_sigma import require_one_sigma
from merextras.model.state.penalised import is_penalised


def exact_interval(model: FittedModel, level: float) -> tuple[float, float]:
    """Its ends, 0 where they are below.

    With F the ratio of the mean squares between and within J groups of n rows,
    ``F / (1 + n tau**2 / sigma**2)`` has the F distribution with J - 1 and J (n - 1) degrees of
    freedom (Searle, S. R., Casella, G. and McCulloch, C. E. (1992). Variance Components. Wiley,
    section 3.6).

    Raises
    ------
    UnsupportedModelError
        Another design.
    """
    design = model.design.require_rows("icc", "ci='exact' is from the groups' rows")
    terms, plain = design.terms, design.constant is not None and design.x.shape[1] == 1
    single = len(terms) == 1 and terms[0].names == (INTERCEPT,)
    given = design.weights is not None or design.frequencies is not None
    require_one_sigma(model, "ci='exact'", "the F distribution is that of one", "leave it out")
    other = design.offset is not None or model.has_known_sigma or is_penalised(model)
    if not (plain and single) or given or other:
        raise UnsupportedModelError(
            "ci='exact': the model must be y ~ 1 + (1 | g), without weights, offset, a known sigma "
            "or a cov_prior; ci='bootstrap' is for any"
        )
    codes, y, levels = terms[0].rows.codes, design.y, terms[0].rows.n_levels
    counts = np.bincount(codes, minlength=levels)
    if np.ptp(counts) > 0:
        raise UnsupportedModelError(
            f"ci='exact': the groups have {counts.min()} to {counts.max()} rows; it is for groups "
            "of one size, ci='bootstrap' for any"
        )
    n, within = int(counts[0]), levels * (int(counts[0]) - 1)
    means = np.bincount(codes, y, minlength=levels) / n
    between_square = n * np.var(means, ddof=1)
    within_square = np.sum((y - means[codes]) ** 2) / within
    tail = (1.0 - level) / 2.0
    ratio = between_square / within_square
    cuts = ratio / stats.f.ppf([1.0 - tail, tail], levels - 1, within)
    low, high = np.maximum((cuts - 1.0) / (cuts - 1.0 + n), 0.0)
    return float(low), float(high)

"""Conditions of a fit: variation left to explain, and variances that can be told apart."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from merextras.engine.covariance.correlated import Correlated
from merextras.engine.covariance.covariances import Covariances
from merextras.engine.derivatives.identified import confounded
from merextras.engine.elimination.plan import prepare
from merextras.engine.kernels import dense
from merextras.engine.optimum.criterion import Criterion
from merextras.engine.optimum.summary import OptSummary
from merextras.engine.optimum.unbounded import FEW_DIGITS, relative_size
from merextras.engine.products.crossprod import CrossProducts
from merextras.engine.replicates.draws import gram_factor
from merextras.engine.solution.pls import Solution, solve
from merextras.exceptions import ConvergenceWarning, InvalidArgumentError
from merextras.foundation.aliases import Array
from merextras.model.design.design import Term
from merextras.model.design.sanity import bar_of

# A residual sum of squares that is rounding, over the response's own.
_NOTHING = 1e-25
# Random effects up to which the rank of [Z X] is looked up.
_MOST = 5000


def check_left_by_fixed(products: CrossProducts) -> None:
    """Refuse a response that the fixed effects explain without a rest.

    Raises
    ------
    InvalidArgumentError
    """
    p, basis = products.p, products.basis
    rest, fitted = float(products.xy[p, p]), 0.0
    if p:
        inside = dense.solve_triangle(basis.transform, basis.offset)
        fitted = float(inside @ products.xy[:p, :p] @ inside)
    if products.n > p and rest <= _NOTHING * (rest + fitted):
        raise InvalidArgumentError(
            "response: the fixed effects explain it exactly (a constant, or a combination of the "
            "predictors); there is nothing left to explain"
        )


def check_left_by_random(products: CrossProducts, opt: OptSummary) -> None:
    """Refuse a response that the random effects explain without a rest, where they need not.

    Cost: nothing for a fit whose criterion has a minimum.

    Raises
    ------
    InvalidArgumentError
    """
    if not opt.unbounded:
        return
    q = sum(levels * k for levels, k in products.shapes)
    rank = gram_factor(products).rank if q <= _MOST else q + products.p
    if rank < products.n and _explained(products):
        raise InvalidArgumentError(
            "response: there is nothing left to explain within groups (it is constant in each, or "
            "a combination of the random effects); the residual variance would be zero, and the "
            "likelihood has no maximum"
        )


def check_has_digits(criterion: Criterion, solution: Solution, opt: OptSummary) -> None:
    """Refuse random effects so much larger than a residual that is given that few digits are left.

    Raises
    ------
    InvalidArgumentError
    """
    given = solution.cp.scale.given
    # With a prior it may be the prior that has no maximum.
    if given is None or criterion.penalty is not None:
        return
    if opt.converged and np.isfinite(solution.deviance()):
        return
    times = relative_size(criterion, criterion.from_user(np.array(opt.theta)))
    if times > FEW_DIGITS:
        raise InvalidArgumentError(
            f"sigma={np.sqrt(given):g}: beside it the random effects are so large ({times:.0e} "
            "times) that doubles hold no digits of the likelihood; look for an outlier of the "
            "response, or for another unit of the response, of sigma or of the weights"
        )


def _explained(products: CrossProducts) -> bool:
    """Whether the residuals of the fixed effects are in the span of all random effects."""
    yy = products.xy[-1, -1]
    # What stays of y when every effect may be as large as it likes: 1 / ridge**2 of it or less.
    # Less large where the fixed effects are in the span too, and no digit of theirs would be left.
    for ridge in (1e6, 1e4):
        lams = [
            np.diag(ridge / np.sqrt(np.maximum(np.einsum("jkk->k", own) / products.n, 1e-300)))
            for own in products.own
        ]
        pwrss = solve(prepare(products), lams, reml=False).pwrss
        if np.isfinite(pwrss):
            return bool(pwrss <= 1e3 / ridge**2 * yy)
    return False  # that is not known


def check_told_apart(
    terms: Sequence[Term],
    cp: CrossProducts,
    lams: Sequence[Array],
    opt: OptSummary | None,
    *,
    refuse: bool,
    stacklevel: int,
) -> None:
    """Refuse, or warn of, variances that the data can't tell apart.

    Cost: nothing for a fit that ended inside at a minimum in all directions, which shows it of
    covariances that are linear in their elements.

    Raises
    ------
    InvalidArgumentError
    """
    # Along a correlation that no level shows there is a slope, and a curvature, of rounding alone.
    linear = not any(isinstance(term.structure, Correlated) for term in terms)
    known = opt is not None and opt.regular and linear
    found = [] if known else confounded_terms(terms, cp, lams)
    if not found:
        return
    if refuse:
        raise InvalidArgumentError(f"formula: {'; '.join(found)}")
    warnings.warn("; ".join(found), ConvergenceWarning, stacklevel=stacklevel + 1)


def confounded_terms(terms: Sequence[Term], cp: CrossProducts, lams: Sequence[Array]) -> list[str]:
    """A sentence for each combination of variances that nothing in the data shows.

    A covariance that is not linear in its parameters is looked at near that of these factors, in
    the coordinates of the cross-products.
    """
    found = []
    covariances = Covariances.of([term.structure for term in terms])
    changes = covariances.directions(covariances.parameters(lams))
    for numbers, residual in confounded(cp, changes):
        bars = list(dict.fromkeys(bar_of(terms[t]) for t in numbers))
        what = " and ".join([*bars, *(["the residuals"] if residual else [])])
        if len(bars) == 1 and not residual:
            text = (
                f"the variances of {what} can't be told from each other or from the fixed effects: "
                "leave it out, or one of its effects or their correlation ('||')"
            )
        else:
            text = (
                f"the variances of {what} can't be told apart, every split of them fits the data "
                "as well: leave one out, or a correlation ('||')"
            )
        found.append(text)
    return list(dict.fromkeys(found))

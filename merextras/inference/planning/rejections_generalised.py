"""The p-values of a planned test of a generalised model for simulated responses."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as la
from scipy import stats

from merextras.engine.generalised.searches.reoptimiser import ManyAgain
from merextras.exceptions import MerextrasWarning
from merextras.foundation.aliases import Array, IntArray
from merextras.inference.comparison.ranova_generalised import ratio
from merextras.inference.planning.rejections import NO_TEST, NOT_CONVERGED, PValues
from merextras.inference.planning.tested import FixedHypothesis, Hypothesis
from merextras.model.generalised.again import Refits, all_drawn
from merextras.model.generalised.fitted import FittedGlmm
from merextras.model.generalised.made import at_parameters
from merextras.model.generalised.other_rows import request_of


@dataclass(frozen=True, eq=False)
class Planned:
    """The refits of a model, and of the smaller one that a likelihood ratio compares it with.

    Attributes
    ----------
    large : Refits
    hypothesis : FixedHypothesis or TermHypothesis
    small : Refits or None
    df : int
        Of a likelihood ratio.
    """

    large: Refits
    hypothesis: Hypothesis
    small: Refits | None
    df: int

    @classmethod
    def of(cls, model: FittedGlmm, hypothesis: Hypothesis) -> Planned:
        """Prepare the test of a model."""
        large = Refits(model)
        if hypothesis.method != "lrt":
            return cls(large, hypothesis, None, 0)
        if isinstance(hypothesis, FixedHypothesis):
            df = int(np.linalg.matrix_rank(hypothesis.matrix))
            return cls(large, hypothesis, Refits(_without_fixed(model, hypothesis)), df)
        at = model.design.covariances.parts[hypothesis.at]
        small = _without_term(model, hypothesis.at)
        return cls(large, hypothesis, Refits(small), int(at.stop - at.start))

    @property
    def block(self) -> int:
        """Responses that are best refitted together."""
        return min(one.block for one in (self.large, self.small) if one is not None)

    def p_values(self, y: Array) -> PValues:
        """For responses, (n, R)."""
        again = self.large.fit(y)
        values, converged = np.full(y.shape[1], np.nan), again.converged
        if self.small is not None:
            other = self.small.fit(y)
            converged = converged & other.converged
            gain = ratio(-0.5 * other.deviance, -0.5 * again.deviance)
            values[converged] = stats.chi2.sf(gain[converged], self.df)
        else:
            assert isinstance(self.hypothesis, FixedHypothesis)
            there = np.flatnonzero(converged)
            for i, found in zip(there, self._fixed(y, again, there), strict=True):
                values[i] = np.nan if found is None else _wald(*found, self.hypothesis)
        failed, none = int(np.sum(~converged)), int(np.sum(converged & np.isnan(values)))
        return PValues(values, again.singular, +Counter({NOT_CONVERGED: failed, NO_TEST: none}))

    def _fixed(
        self, y: Array, again: ManyAgain, which: IntArray
    ) -> list[tuple[Array, Array] | None]:
        return self.large.fixed_of(y[:, which], again.taken(which))


def test_generalised(planned: Planned, generators: Sequence[np.random.Generator]) -> PValues:
    """Draw a response from each generator, refit the model and test the hypothesis."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MerextrasWarning)
        return planned.p_values(all_drawn(planned.large.model, set(), generators))


def _wald(beta: Array, covariance: Array, hypothesis: FixedHypothesis) -> float:
    """The p-value of Wald's test: normal of one contrast, chi-square of several."""
    matrix = hypothesis.matrix
    gap, inner = matrix @ beta - hypothesis.rhs, matrix @ covariance @ matrix.T
    if not np.all(np.linalg.eigvalsh(inner) > 0.0):
        return np.nan
    rank = int(np.linalg.matrix_rank(matrix))
    return float(stats.chi2.sf(gap @ la.solve(inner, gap, assume_a="sym"), rank))


def _without_fixed(model: FittedGlmm, hypothesis: FixedHypothesis) -> FittedGlmm:
    """The model under ``L beta = rhs``: fewer columns, and an offset for what is not zero."""
    free = la.null_space(hypothesis.matrix)
    given = np.linalg.pinv(hypothesis.matrix) @ hypothesis.rhs
    design, shift = model.design, model.design.x @ given
    offset = shift if design.offset is None else design.offset + shift
    design = replace(design, x=design.x @ free, offset=offset if np.any(offset) else None)
    beta = free.T @ (model.fixed_estimates - given)
    fit = at_parameters(design, model.response, request_of(model), model.theta, beta, model.phi)
    return FittedGlmm(fit)  # type: ignore[arg-type]


def _without_term(model: FittedGlmm, at: int) -> FittedGlmm:
    design = model.design
    kept = [t for t in range(len(design.terms)) if t != at]
    smaller = design.restricted_to(kept)
    theta = smaller.covariances.natural_of([model.covariances[t] for t in kept])
    request = request_of(model)
    if not kept:  # the likelihood is exact then
        request = replace(request, n_agq=1)
    beta = model.fixed_estimates
    fit = at_parameters(smaller, model.response, request, theta, beta, model.phi)
    return FittedGlmm(fit)  # type: ignore[arg-type]

"""Verbs of a generalised model whose rows are read again: as in memory, or an error that helps."""

from __future__ import annotations

import functools

import glmm_models as models
import numpy as np
import pytest

import merextras as mx
from merextras.exceptions import NoRowsError

FITS = {
    "yes": "yes ~ x + (1 + x | g)",
    "count": "count ~ x + offset(0.1 * x) + (1 | g) + (1 | h)",
    "size": "size ~ x + (1 | g)",
    "spread": "spread ~ x + (1 | g)",
}


@functools.cache
def fitted(response, streamed):
    family = models.FAMILIES[response]
    return mx.glmer(FITS[response], models.rows(), family, chunk_size=70 if streamed else None)


def _numbers(found):
    frame = found if hasattr(found, "select_dtypes") else found.to_frame()
    return frame.select_dtypes("number").to_numpy()


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
@pytest.mark.parametrize("response", FITS)
@pytest.mark.parametrize("verb", [mx.r2, mx.icc, mx.variance_decomposition])
def test_shares_of_variance_are_those_of_rows_in_memory(response, verb):
    again, whole = (_numbers(verb(fitted(response, streamed))) for streamed in (True, False))
    np.testing.assert_allclose(again, whole, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.SingularFitWarning")
def test_median_odds_ratios():
    for response in ("yes", "count"):
        again, whole = (mx.median_odds_ratio(fitted(response, s)) for s in (True, False))
        np.testing.assert_allclose(again, whole, rtol=1e-6)


@pytest.mark.parametrize(
    "verb",
    [
        mx.rmse,
        mx.all_fit,
        lambda m: mx.bootstrap(m, n_sims=2),
        lambda m: mx.bootstrap(m, kind="cases", n_sims=2),
        lambda m: mx.bootstrap(m, lambda f: f.fixef(), n_sims=2),
        lambda m: mx.icc(m, ci="bootstrap", n_sims=2),
        lambda m: m.confint(method="boot", n_sims=2),
        mx.shrinkage,
        lambda m: mx.power(m, "x", n_sims=2),
        lambda m: m.update("yes ~ 1 + (1 | g)"),
        lambda m: mx.cross_validate(m, by="g"),
        lambda m: m.simulate(),
    ],
)
def test_what_needs_rows_says_so(verb):
    with pytest.raises(NoRowsError, match=r"keeps no rows"):
        verb(fitted("yes", True))

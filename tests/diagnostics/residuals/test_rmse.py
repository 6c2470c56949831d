"""Root mean squared errors."""

from __future__ import annotations

import numpy as np
import pytest
from mertools_models import MODELS, NAMES, model
from tolerances import MERTOOLS, MERTOOLS_CRITERION

from merextras import lmer, rmse
from merextras.exceptions import InvalidArgumentError


@pytest.mark.parametrize("name", NAMES)
def test_merTools_errors(name):
    given = MODELS[name]
    np.testing.assert_allclose(rmse(model(name)), given["rmse"], rtol=MERTOOLS_CRITERION)
    scaled = rmse(model(name), scale=True)
    np.testing.assert_allclose(scaled, given["rmse_scaled"], rtol=MERTOOLS_CRITERION)


def test_rows_of_weight_zero_and_frequencies(sleep):
    formula = "Reaction ~ Days + (1 | Subject)"
    some = sleep["Days"] < 7
    zeros = lmer(formula, sleep, weights=np.where(some, 1.0, 0.0))
    np.testing.assert_allclose(rmse(zeros), rmse(lmer(formula, sleep[some])), rtol=MERTOOLS)
    counts = np.where(sleep["Days"] == 3, 2, 1)
    often = lmer(formula, sleep, freq_weights=counts)
    twice = lmer(formula, sleep.loc[sleep.index.repeat(counts)].reset_index(drop=True))
    for scale in (False, True):
        np.testing.assert_allclose(
            rmse(often, scale=scale), rmse(twice, scale=scale), rtol=MERTOOLS
        )


def test_precision_weights_are_not_used(sleep):
    m = lmer("Reaction ~ Days + (1 | Subject)", sleep, weights=sleep["Days"] + 1.0)
    np.testing.assert_allclose(rmse(m), np.sqrt(np.mean(m.residuals() ** 2)))


def test_bad_input():
    with pytest.raises(InvalidArgumentError, match="scale='sd': True or False"):
        rmse(model("students"), scale="sd")

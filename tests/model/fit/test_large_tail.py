"""What the user is told before a large Schur complement is made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import LargeModelWarning
from merextras.fit_lmer import lmer
from merextras.model.state import fitted

FORMULA = "y ~ 1 + (1 | pupil) + (1 | teacher)"


class MadeError(Exception):
    """Raised where the fit would lay out its matrices."""


@pytest.fixture
def stopped(monkeypatch):
    def refuse(*_):
        raise MadeError

    monkeypatch.setattr(fitted, "prepare", refuse)


def table(pupil, teacher):
    y = np.random.default_rng(1).normal(size=len(pupil))
    return pd.DataFrame({"y": y, "pupil": pupil, "teacher": teacher})


@pytest.mark.usefixtures("stopped")
def test_a_dense_schur_complement_is_warned_of_before_it_is_made():
    # One pupil has met all of 20 000 teachers.
    pupil = np.concatenate([np.zeros(20_000, dtype=int), np.arange(20_001)])
    teacher = np.concatenate([np.arange(20_000), np.arange(20_001) % 20_000])
    told = (
        "teacher cross the larger factors with 20000 random effects: their dense Schur .* 25.6 GB"
    )
    with pytest.warns(LargeModelWarning, match=told), pytest.raises(MadeError):
        lmer(FORMULA, table(pupil, teacher))


@pytest.mark.usefixtures("stopped")
def test_a_sparse_one_of_the_same_size_is_not():
    pupil = np.repeat(np.arange(20_500), 2)
    teacher = pupil // 41 * 40 + np.random.default_rng(2).integers(0, 40, len(pupil))
    data = table(pupil, np.concatenate([teacher[:-1], [19_999]]))
    with pytest.raises(MadeError):
        lmer(FORMULA, data)

"""What the user is told before a large Schur complement is made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.exceptions import LargeModelWarning
from merextras.fit_lmer import lmer
from merextras.model.design import build, room
from merextras.model.state import fitting, size

FORMULA = "y ~ 1 + (1 | pupil) + (1 | teacher)"


class MadeError(Exception):
    """Raised where the fit would lay out its matrices."""


@pytest.fixture
def stopped(monkeypatch):
    def refuse(*_):
        raise MadeError

    monkeypatch.setattr(fitting, "prepare", refuse)


def table(pupil, teacher):
    y = np.random.default_rng(1).normal(size=len(pupil))
    return pd.DataFrame({"y": y, "pupil": pupil, "teacher": teacher})


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(size, "available_memory", lambda: 5e9)


@pytest.mark.usefixtures("stopped", "little_memory")
def test_a_dense_schur_complement_is_warned_of_before_it_is_made():
    # One pupil has met all of 20 000 teachers.
    pupil = np.concatenate([np.zeros(20_000, dtype=int), np.arange(20_001)])
    teacher = np.concatenate([np.arange(20_000), np.arange(20_001) % 20_000])
    told = (
        "teacher cross the larger factors with 20000 random effects: their dense Schur .* 3.3 GB, "
        "of which 5 GB are free"
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


@pytest.mark.usefixtures("stopped")
def test_half_of_what_is_free_is_warned_of(monkeypatch):
    """Where the estimate, of the tail and what levels have, is more than that."""
    pupil, teacher = np.arange(6000) % 1500, np.random.default_rng(3).integers(0, 800, 6000)
    data = table(pupil, teacher)
    monkeypatch.setattr(size, "available_memory", lambda: 2e9)
    with pytest.raises(MadeError):
        lmer(FORMULA, data)
    monkeypatch.setattr(size, "available_memory", lambda: 2e7)
    told = r"the fit will take about 0.011 GB more memory, of which 0.02 GB are free"
    with pytest.warns(LargeModelWarning, match=told), pytest.raises(MadeError):
        lmer(FORMULA, data)


def wide(rows, columns):
    rng = np.random.default_rng(4)
    data = pd.DataFrame({f"x{i}": rng.normal(size=rows) for i in range(columns)})
    return data.assign(y=rng.normal(size=rows), g=np.arange(rows) % 50)


def test_a_wide_x_is_warned_of_before_it_is_made(monkeypatch):
    """Where the rows, and not what is made of them, fill the memory."""
    data = wide(40_000, 30)
    formula = f"y ~ {' + '.join(data.columns[:30])} + (1 | g)"

    def refuse(*_):
        raise MadeError

    monkeypatch.setattr(build._Rows, "matrix", refuse)
    monkeypatch.setattr(room, "available_memory", lambda: 2e9)
    with pytest.raises(MadeError):
        lmer(formula, data)
    monkeypatch.setattr(room, "available_memory", lambda: 2e7)
    told = (
        "40000 rows of 31 columns of the fixed part and 1 of random effects of 50 levels, .* "
        "0.026 GB more memory, of which 0.02 GB are free. With chunk_size"
    )
    with pytest.warns(LargeModelWarning, match=told), pytest.raises(MadeError):
        lmer(formula, data)

"""Searches along a line: the rules at which a length is taken."""

from __future__ import annotations

import numpy as np
import pytest

from merextras.engine.optimum import line


def _recorded(value):
    tried = []

    def trial(length):
        tried.append(length)
        return length, value(length)

    return trial, tried


def test_the_whole_step_is_taken_where_it_helps():
    trial, tried = _recorded(lambda length: -length)
    assert line.downhill(trial, 0.0, 1.0, 0.0) == (1.0, 1.0, -1.0)
    assert tried == [1.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1.0])
def test_a_step_too_far_is_shortened(bad):
    trial, tried = _recorded(lambda length: -length if length < 0.2 else bad)
    length, point, value = line.downhill(trial, 0.0, 1.0, 0.0)
    assert length == point == -value == 0.125
    assert tried == [1.0, 0.5, 0.25, 0.125]


def test_little_of_what_the_slope_promises_is_not_enough():
    trial, _ = _recorded(lambda length: -0.5 * line.SUFFICIENT * length)
    assert line.downhill(trial, 0.0, 1.0, 0.0) is None
    # Unless it is within rounding.
    assert line.downhill(trial, 0.0, 1.0, line.SUFFICIENT)[0] == 1.0


def test_lengths_end_where_they_are_told_to():
    trial, tried = _recorded(lambda length: 1.0)
    assert line.downhill(trial, 0.0, 1.0, 0.0, longest=0.25, shortest=1e-3) is None
    assert tried[0] == 0.25
    assert min(tried) > 1e-3
    assert len(tried) == len({*tried})


def test_growth_is_the_best_before_it_turns():
    trial, tried = _recorded(lambda size: (np.log10(size) + 3.0) ** 2)
    assert line.grown(trial, 2.0) == pytest.approx(1e-3)
    assert min(tried) == pytest.approx(1e-4)
    assert line.grown(trial, 0.0) is None
    assert line.grown(trial, 2.0, least=0.05) is None
    assert line.grown(trial, 20.0, least=0.05) == pytest.approx(0.1)

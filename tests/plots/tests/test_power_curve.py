"""The curve is drawn where its numbers are."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.results.replicates.power import Power, PowerCurve

pytestmark = pytest.mark.usefixtures("figures_closed")

mpl.use("Agg")


def curve():
    """Powers of 0.25 and 0.75 at 20 and 10 schools, given in that order."""
    values = {20: [0.2, 0.3, 0.01, 0.4], 10: [0.01, 0.02, 0.03, 0.5]}
    made = [Power("x", "lrt", np.array(p), 0.05, (), n, {"g": n}) for n, p in values.items()]
    return PowerCurve("g", tuple(values), tuple(made))


def test_points_and_intervals_are_the_result_s():
    ax = mx.plot_power_curve(curve(), title="power")
    target, line = ax.get_lines()
    assert line.get_xydata().tolist() == [[10.0, 0.75], [20.0, 0.25]]
    assert set(target.get_ydata()) == {0.8}
    ends = np.array([segment[:, 1] for segment in ax.collections[0].get_segments()])
    frame = curve().to_frame().sort_index()
    np.testing.assert_allclose(ends, frame[["conf_low", "conf_high"]], rtol=1e-12)
    assert ax.get_title() == "power"


def test_a_frame_an_axis_and_no_target():
    ax = plt.subplots()[1]
    assert mx.plot_power_curve(curve().to_frame(), ax=ax, target=None) is ax
    assert len(ax.get_lines()) == 1


def test_bad_arguments_say_what_is_allowed():
    with pytest.raises(InvalidArgumentError, match="target=80"):
        mx.plot_power_curve(curve(), target=80)
    with pytest.raises(InvalidArgumentError, match="conf_low"):
        mx.plot_power_curve(pd.DataFrame({"power": [0.5]}))
    with pytest.raises(InvalidArgumentError, match="width=0"):
        mx.plot_power_curve(curve(), width=0)

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.plots import plot_emmeans


def table(**factors):
    index = pd.MultiIndex.from_product(factors.values(), names=list(factors))
    frame = index.to_frame(index=False)
    frame["estimate"] = np.arange(len(frame), dtype=float)
    frame["std_error"], frame["df"] = 0.5, 10.0
    return frame.assign(conf_low=frame["estimate"] - 1, conf_high=frame["estimate"] + 2)


def segments(ax):
    found = [c for c in ax.collections if isinstance(c, LineCollection)]
    return [np.asarray(c.get_segments()) for c in found]


def test_one_factor_is_points_with_intervals():
    grid = plot_emmeans(table(dose=["low", "high", "mid"]))
    ax = grid.axes_dict[""]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["low", "high", "mid"]
    (drawn,) = segments(ax)
    np.testing.assert_allclose(drawn[:, :, 1], [[-1, 2], [0, 3], [1, 4]])
    (line,) = ax.lines
    assert line.get_linewidth() == 0.0
    np.testing.assert_allclose(line.get_ydata(), [0, 1, 2])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("dose", "estimate and its interval")


def test_two_factors_are_lines():
    grid = plot_emmeans(table(dose=["low", "high"], sex=["f", "m"]), title="Doses")
    ax = grid.axes_dict[""]
    assert [list(line.get_ydata()) for line in ax.lines] == [[0, 2], [1, 3]]
    assert ax.lines[0].get_xdata()[0] < 0 < ax.lines[1].get_xdata()[0]
    assert [t.get_text() for t in grid.legend.get_texts()] == ["f", "m"]
    assert grid.legend.get_title().get_text() == "sex"
    assert grid.figure._suptitle.get_text() == "Doses"


def test_roles_may_be_chosen():
    frame = table(dose=["low", "high"], sex=["f", "m"], site=["A", "B", "C"])
    grid = plot_emmeans(frame)
    assert list(grid.axes_dict) == ["A", "B", "C"]
    assert grid.axes_dict["A"].get_title() == "site = A"
    turned = plot_emmeans(frame, x="site", panel="dose")
    assert list(turned.axes_dict) == ["low", "high"]
    assert len(turned.axes_dict["low"].lines) == 2
    assert turned.axes.flat[0].get_xlabel() in {"site", ""}


def test_numbers_lie_on_a_numeric_axis():
    ax = plot_emmeans(table(age=[10.0, 40.0, 20.0])).axes_dict[""]
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xdata(), [10, 20, 40])
    assert line.get_linewidth() > 0
    assert [t.get_text() for t in ax.get_xticklabels()] == ["10", "20", "40"]


def test_missing_means_and_no_intervals():
    frame = table(dose=["a", "b", "c"])
    frame.loc[1, ["estimate", "conf_low", "conf_high"]] = np.nan
    ax = plot_emmeans(frame).axes_dict[""]
    assert len(segments(ax)[0]) == 2
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a", "b", "c"]
    ax = plot_emmeans(frame, intervals=False).axes_dict[""]
    assert not segments(ax)
    assert ax.get_ylabel() == "estimate"


def test_many_levels_are_counted_not_named():
    ax = plot_emmeans(table(kind=[f"level {i}" for i in range(600)])).axes_dict[""]
    assert list(ax.get_xticks()) == []
    assert ax.get_xlabel().replace("\N{NARROW NO-BREAK SPACE}", "") == "kind: 600 levels"
    assert ax.collections[0].get_rasterized()


def test_of_a_model():
    m = mx.lmer("extro ~ Q('class') + (1 | school)", mx.load_dataset("students"))
    grid = plot_emmeans(mx.emmeans(m, "class", level=0.9))
    assert grid.axes.flat[0].get_ylabel() == "marginal mean, 90% interval"
    m = mx.lmer("extro ~ open * Q('class') + (1 | school)", mx.load_dataset("students"))
    grid = plot_emmeans(mx.emtrends(m, "class", "open", ddf="asymptotic"))
    assert grid.axes.flat[0].get_ylabel() == "trend in open, 95% interval"


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (table(a=["x"]).drop(columns="conf_low"), {}, "conf_low"),
        (table(a=["x"]).drop(columns="a"), {}, "means has 0 factors"),
        (table(a=["x"], b=["x"], c=["x"], d=["x"]), {}, "means has 4 factors, 'a', 'b', 'c', 'd'"),
        (table(a=["x", "x"]), {}, r"more than one row for \(a\)"),
        (table(a=["x", "y"]), {"trace": "q"}, "trace='q': allowed: 'a'"),
        (table(a=["x"], b=["y"]), {"x": "a", "panel": "a"}, "are not different factors"),
        (table(a=["x"], b=range(11)), {}, "at most 10 lines can be told"),
        (table(a=["x"]).assign(estimate=np.nan), {}, "none is estimable"),
        (table(a=["x"]), {"height": 0}, "height=0 is not allowed"),
        (table(a=["x"], b=["x"], c=range(201)), {}, "201 panels"),
    ],
)
def test_refused(frame, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plot_emmeans(frame, **options)

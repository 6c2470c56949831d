"""The intraclass correlation of a column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mertools_models import EXPECTED
from tolerances import INVARIANCE

from merextras import icc_from_data, lmer
from merextras.datasets import load_dataset
from merextras.exceptions import InvalidArgumentError, SingularFitWarning


@pytest.mark.parametrize(
    ("name", "outcome", "group"),
    [
        ("sleepstudy", "Reaction", "Subject"),
        ("hsb", "mathach", "schid"),
        ("students", "extro", "school"),
    ],
)
def test_merTools_shares(name, outcome, group):
    found = icc_from_data(outcome, group, load_dataset(name))
    # merTools stops where lme4 does: 1e-3 of a standard error of theta.
    np.testing.assert_allclose(found, EXPECTED["icc"][name], rtol=1e-3)
    m = lmer(f"{outcome} ~ 1 + (1 | {group})", load_dataset(name))
    tau2 = m.var_corr()[group].iloc[0, 0]
    np.testing.assert_allclose(found, tau2 / (tau2 + m.sigma() ** 2), rtol=INVARIANCE)


def test_some_rows(sleep):
    rows = np.arange(180) < 60
    found = icc_from_data("Reaction", "Subject", sleep, rows)
    np.testing.assert_allclose(found, EXPECTED["icc"]["sleepstudy_60"], rtol=1e-3)
    mask = pd.Series(rows, index=sleep.index)
    assert icc_from_data("Reaction", "Subject", sleep, subset=mask) == found


def test_odd_names_and_missing_values(sleep):
    odd = sleep.rename(columns={"Reaction": "time (ms)", "Subject": "class"})
    plain = icc_from_data("Reaction", "Subject", sleep)
    assert icc_from_data("time (ms)", "class", odd) == pytest.approx(plain, rel=1e-12)
    holes = odd.assign(**{"time (ms)": odd["time (ms)"].where(np.arange(180) % 7 > 0)})
    some = icc_from_data("Reaction", "Subject", sleep[np.arange(180) % 7 > 0])
    assert icc_from_data("time (ms)", "class", holes) == pytest.approx(some, rel=1e-9)


def test_no_variance_between_groups():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 5), "y": np.tile(rng.normal(size=5), 8)})
    with pytest.warns(SingularFitWarning):
        assert icc_from_data("y", "g", data) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reaction", "Subject"), r"data: needs the column\(s\) \['reaction'\]"),
        (("Reaction", "subject"), r"data: needs the column\(s\) \['subject'\]"),
        (("Reaction", "Reaction"), "group='Reaction': is the outcome"),
        (("word", "Subject"), "outcome='word': must be numeric"),
        (("Reaction", "Subject", [0, 1]), "subset: expected 180 values True or False"),
        (("Reaction", "Subject", np.zeros(180, bool)), "subset: no row is True"),
        (("Reaction", "Subject", pd.Series(True, index=range(1, 181))), "subset: the Series has"),
        (("Reaction", "one"), "one"),
        (("Reaction", "each"), "each"),
    ],
)
def test_bad_input(arguments, message, sleep):
    data = sleep.assign(word="a", one=1, each=range(180))
    with pytest.raises(InvalidArgumentError, match=message):
        icc_from_data(*arguments[:2], data, *arguments[2:])


def test_bad_data(sleep):
    with pytest.raises(InvalidArgumentError, match="data: the frame has no rows"):
        icc_from_data("Reaction", "Subject", sleep.head(0))

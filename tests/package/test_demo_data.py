"""The demo on data of one's own: what can't be used is said in a sentence."""

from __future__ import annotations

import re

import numpy as np
import pytest

from merextras import cli
from merextras.datasets import load_dataset


def _hole(data, column):
    return data.assign(**{column: data[column].where(data.index % 9 > 0)})


#: By name: what is done to the data, and what is said.
WRONG = {
    "a hole in a predictor": (
        lambda d: _hole(d, "open"),
        "there are missing values, 134 of 'open'",
    ),
    "a hole in the response": (lambda d: _hole(d, "extro"), "missing values, 134 of 'extro'"),
    "a hole in the schools": (lambda d: _hole(d, "school"), "missing values, 134 of 'school'"),
    "a hole in the classes": (lambda d: _hole(d, "class"), "missing values, 134 of 'class'"),
    "a column without a value": (lambda d: d.assign(agree=np.nan), "values, 1200 of 'agree'"),
    "infinite": (lambda d: d.assign(social=np.inf), "column 'social' has infinite values"),
    "text": (lambda d: d.assign(open="a"), "column 'open' must be numeric"),
    "truth": (lambda d: d.assign(open=d["open"] > 40), "column 'open' must be numeric, not bool"),
    "no rows": (lambda d: d.iloc[:0], "the frame has no rows"),
    "one row": (lambda d: d.iloc[:1], "1 rows are too few"),
    "two rows": (lambda d: d.iloc[[0, 700]], "2 rows are too few"),
    "three rows": (lambda d: d.iloc[[0, 700, 900]], "3 rows are too few"),
    "a constant predictor": (
        lambda d: d.assign(open=1.0),
        r"dropped 1 column\(s\): open; it is constant",
    ),
    "two of the same": (lambda d: d.assign(open=2 * d["agree"]), r"dropped 1 column\(s\): agree"),
    "a constant response": (lambda d: d.assign(extro=2.0), "all values are 2"),
    "one school": (lambda d: d.assign(school="a"), "'school' of .* has one level"),
    "a school a row": (lambda d: d.assign(school=range(len(d))), "'school'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_data_that_can_have_no_model(tmp_path, capsys, name):
    change, message = WRONG[name]
    change(load_dataset("students")).to_csv(tmp_path / "own.csv", index=False)
    assert cli.main(["demo", "--data", str(tmp_path / "own.csv"), "--out", str(tmp_path)]) == 2
    _, err = capsys.readouterr()
    assert err.startswith("merextras demo: ")
    assert err.count("\n") == 1
    assert re.search(message, err), err
    assert not list(tmp_path.glob("*.png"))

"""What a column holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from merextras.model.frame.kinds import is_text


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, 1, b"b"])
def test_objects_are_text_if_all_of_them_are(missing):
    labels = ["a"] * 1000
    assert is_text(pd.Series(labels, dtype=object))
    for at in (0, 500, 999):
        assert not is_text(pd.Series([*labels[:at], missing, *labels[at + 1 :]], dtype=object))


@pytest.mark.parametrize("dtype", ["str", "string", "string[python]", "category", "object"])
def test_text_of_other_kinds(dtype):
    assert is_text(pd.Series(["a", "b"], dtype=dtype)) == (dtype != "category")
    assert not is_text(pd.Series([1.0, 2.0]))

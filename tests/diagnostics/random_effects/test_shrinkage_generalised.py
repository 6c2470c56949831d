"""Levels of generalised models alone, against generalised linear models of statsmodels."""

from __future__ import annotations

import glmm_models as models
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from tolerances import LEVEL_ALONE

import merextras as mx

FAMILIES = {"yes": sm.families.Binomial(), "count": sm.families.Poisson(),
            "size": sm.families.Gamma(sm.families.links.Log())}  # fmt: skip


def plenty():
    """Levels of many rows each, but for one of alike responses and one of two rows."""
    data = models.rows(900).assign(size=lambda d: d["size"] + 0.05)
    data.loc[data["g"] == 3, ["yes", "count"]] = 0
    few = data.index[data["g"] == 5][2:]
    return data.drop(index=few).reset_index(drop=True)


@pytest.mark.filterwarnings("ignore::merextras.exceptions.MerextrasWarning")
@pytest.mark.parametrize("response", FAMILIES)
def test_a_level_alone_is_a_glm(response):
    data = plenty()
    m = mx.glmer(f"{response} ~ x + (1 + x | g)", data, models.FAMILIES[response])
    found = mx.shrinkage(m, "g")
    x = sm.add_constant(data[["x"]])
    whole = sm.GLM(data[response], x, family=FAMILIES[response]).fit(tol=1e-14)
    wide = found.pivot_table(index="level", columns="term", values="no_pooling", dropna=False)
    for level, part in data.groupby("g"):
        if level == 5 or (level == 3 and response != "size"):
            continue
        own = sm.GLM(part[response], x.loc[part.index], family=FAMILIES[response])
        expected = own.fit(tol=1e-14).params
        if np.max(np.abs(expected)) > 12.0:  # separated
            continue
        np.testing.assert_allclose(
            wide.loc[level, ["Intercept", "x"]], expected, rtol=0, atol=LEVEL_ALONE
        )
    assert wide["Intercept"].notna().sum() >= 13
    by_term = found.groupby("term")["complete_pooling"].first()
    np.testing.assert_allclose(by_term[["Intercept", "x"]], whole.params, atol=LEVEL_ALONE)
    partial = found.pivot_table(index="level", columns="term", values="partial_pooling")
    np.testing.assert_allclose(partial, m.coef()["g"][list(partial.columns)], atol=1e-12)
    if response != "size":
        # The likelihood of zeros alone rises without end.
        assert wide.loc[3].isna().all()
    assert mx.plot_shrinkage(found) is not None


def test_other_effects_stay_where_they_are():
    m = models.generated("count")
    found = mx.shrinkage(m, "h").set_index("level")
    data = models.rows()
    rest = m.predict(type="link") - m.ranef()["h"]["Intercept"].loc[data["h"]].to_numpy()
    # A constant beside an offset has a closed form with counts.
    sums = pd.DataFrame({"y": data["count"], "mu": np.exp(rest)}).groupby(data["h"]).sum()
    expected = np.log(sums["y"] / sums["mu"]) + m.fixef()["Intercept"]
    np.testing.assert_allclose(found["no_pooling"], expected, rtol=1e-9)


def test_of_trials():
    m = models.cbpp()
    found = mx.shrinkage(m).set_index("level")
    data = mx.load_dataset("cbpp")
    none = data.groupby("herd")["incidence"].sum() == 0
    assert found["no_pooling"].isna().tolist() == none.tolist()
    moved = found["no_pooling"] - found["partial_pooling"]
    # Away from the mean: what pooling takes.
    away = found["partial_pooling"] - m.fixef()["Intercept"]
    assert (np.sign(moved) == np.sign(away))[~none.to_numpy()].mean() > 0.8

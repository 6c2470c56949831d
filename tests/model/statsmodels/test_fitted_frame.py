"""A statsmodels fit whose data frame was changed before it is read."""
# ruff: noqa: PD002 (that frames are changed in place is what is tested)

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MerextrasWarning, UnsupportedModelError


def quietly(call):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


@pytest.fixture(scope="module")
def sleep():
    data = mx.load_dataset("sleepstudy").astype({"Days": float})
    return data.assign(late=np.where(data["Days"] > 4, "yes", "no"), hours=data["Days"] * 24)


def fitted(data, formula="Reaction ~ Days + late", **kwargs):
    kwargs = {"groups": "Subject", "re_formula": "~Days", **kwargs}
    return quietly(lambda: smf.mixedlm(formula, data, **kwargs).fit())


def adapted(fit, **kwargs):
    return quietly(lambda: mx.MerMod(fit, **kwargs))


def assign(**columns):
    def change(data):
        for name, make in columns.items():
            data[name] = make(data)

    return change


RESTORED = {
    "centred": assign(Days=lambda d: d["Days"] - d["Days"].mean()),
    "overwritten": assign(Days=lambda d: 0),
    "as text": assign(Days=lambda d: d["Days"].astype(str)),
    "response": assign(Reaction=lambda d: d["Reaction"] * 2),
    "recoded groups": assign(Subject=lambda d: d["Subject"].astype("category").cat.codes),
    "sorted": lambda d: d.sort_values("Reaction", inplace=True),
    "more columns": assign(other=lambda d: 1),
    "categories": assign(late=lambda d: d["late"].astype("category")),
}
REFUSED = {
    "recoded": (assign(late=lambda d: d["late"].str.upper()), "late"),
    "swapped": (assign(late=lambda d: np.where(d["late"] == "yes", "no", "yes")), "late"),
    "sorted anew": (
        lambda d: (d.sort_values("Reaction", inplace=True), d.reset_index(drop=True, inplace=True)),
        "late",
    ),
    "column dropped": (lambda d: d.drop(columns="late", inplace=True), "late"),
    "rows dropped": (lambda d: d.drop(index=d.index[:9], inplace=True), "late"),
}


@pytest.mark.parametrize("change", RESTORED)
def test_the_fits_own_values(sleep, change):
    """What is computed from the frame afterwards is of the values that were fitted."""
    data = sleep.copy()
    fit = fitted(data)
    ref = adapted(fitted(sleep))
    quietly(lambda: RESTORED[change](data))
    m = adapted(fit)
    frame, same = m.model_frame(), ref.model_frame()
    for column in same:
        assert frame.loc[same.index, column].tolist() == same[column].tolist()
    smaller, ref_smaller = (quietly(lambda x=x: x.update(". ~ . - late")) for x in (m, ref))
    np.testing.assert_allclose(smaller.fixef(), ref_smaller.fixef(), rtol=1e-10)
    np.testing.assert_allclose(
        quietly(lambda: mx.emmeans(m, "late")).to_frame()["estimate"],
        quietly(lambda: mx.emmeans(ref, "late")).to_frame()["estimate"],
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        mx.average_obs(m)["Days"].astype(float), mx.average_obs(ref)["Days"].astype(float)
    )
    np.testing.assert_allclose(mx.standardize(m).fixef(), mx.standardize(ref).fixef(), rtol=1e-6)
    np.testing.assert_allclose(m.predict(sleep), ref.predict(sleep), rtol=1e-10)
    augmented = mx.augment(m)
    assert augmented.loc[sleep.index, "Days"].tolist() == sleep["Days"].tolist()


@pytest.mark.parametrize("change", REFUSED)
def test_refused_by_name(sleep, change):
    data = sleep.copy()
    fit = fitted(data)
    make, column = REFUSED[change]
    quietly(lambda: make(data))
    with pytest.raises(UnsupportedModelError, match=rf"changed since the fit: \['{column}'\]"):
        mx.MerMod(fit)


@pytest.mark.parametrize(
    ("formula", "column"),
    [("np.log(Reaction) ~ Days", "Reaction"), ("Reaction ~ np.log(hours + 1)", "hours")],
)
def test_code_on_a_changed_column(sleep, formula, column):
    data = sleep.copy()
    fit = fitted(data, formula)
    adapted(fit)
    data[column] *= 3.0
    with pytest.raises(UnsupportedModelError, match=rf"changed since the fit: \['{column}'\]"):
        mx.MerMod(fit)


def test_code_on_whole_columns_beside_missing_rows(sleep):
    """Not a change: the mean was taken of rows too that are not in the fit."""
    data = sleep.copy()
    data["noise"] = np.random.default_rng(0).normal(size=len(data))
    data.loc[3, "noise"] = np.nan
    fit = fitted(data, "Reaction ~ I(Days - Days.mean()) + noise", missing="drop", re_formula=None)
    assert adapted(fit).nobs() == 179


def test_small_integers_of_a_statsmodels_fit(sleep):
    """statsmodels has let them wrap: its model can't be made again from the numbers."""
    fit = fitted(sleep.assign(k=sleep["Days"].astype("uint8")), "Reaction ~ I(k - 5)")
    with pytest.raises(UnsupportedModelError, match=r"\['k'\] do not make .* small integers"):
        mx.MerMod(fit)


@pytest.mark.parametrize(
    "change",
    [
        assign(cls=lambda d: d["cls"].str.upper()),
        assign(cls=lambda d: "a"),
        assign(cls=lambda d: d["cls"].map({"a": "b", "b": "a"}).fillna(d["cls"])),
        lambda d: d.drop(columns="cls", inplace=True),
    ],
)
def test_levels_of_variance_components(change):
    """Named by what was fitted, not by what the frame has now."""
    students = mx.load_dataset("students").rename(columns={"class": "cls"})
    data = students.copy()
    kwargs = {"groups": "school", "vc_formula": {"c": "0 + C(cls)"}}
    fit = quietly(lambda: smf.mixedlm("extro ~ open", data, **kwargs).fit())
    ref = adapted(quietly(lambda: smf.mixedlm("extro ~ open", students, **kwargs).fit()))
    quietly(lambda: change(data))
    made, expected = adapted(fit).ranef()["cls:school"], ref.ranef()["cls:school"]
    pd.testing.assert_frame_equal(
        made.loc[expected.index], expected, rtol=1e-8, check_index_type=False
    )


def test_groups_by_name(sleep):
    """missing="drop" loses the name of groups given as a Series."""
    data = sleep.copy()
    data.loc[3, "Days"] = np.nan
    fit = quietly(
        lambda: smf.mixedlm("Reaction ~ Days", data, groups=data["Subject"], missing="drop").fit()
    )
    m = adapted(fit, groups="Subject")
    assert m.formula() == "Reaction ~ Days + (1 | Subject)"
    assert m.ngrps().index.tolist() == ["Subject"]
    np.testing.assert_allclose(m.predict(data.drop(3)), m.fitted(), rtol=1e-12)
    with pytest.raises(InvalidArgumentError, match="groups='Days': that column .* other values"):
        adapted(fit, groups="Days")
    with pytest.raises(InvalidArgumentError, match="groups: the name .* not a Series"):
        adapted(fit, groups=data["Subject"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", MerextrasWarning)
        assert adapted(fit).formula() == "Reaction ~ Days + (1 | Group)"

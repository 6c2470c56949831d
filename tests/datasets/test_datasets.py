"""The bundled data sets hold what their documentation says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from merextras.datasets import dataset_names, load_dataset
from merextras.exceptions import InvalidArgumentError

TOOLS = Path(__file__).resolve().parents[2] / "tools"

#: Rounding in the csv file and in the sums leaves about 1e-14 of the products of standard
#: deviations; the smallest covariance is a thousandth of that product.
MOMENTS_RTOL = 1e-10

COLUMNS = {
    "cbpp": {"herd": "int64", "incidence": "int64", "size": "int64", "period": "int64"},
    "contraception": {
        "woman": "int64",
        "district": "int64",
        "use": "text",
        "livch": "text",
        "age": "float64",
        "urban": "text",
    },
    "dyestuff": {"Batch": "text", "Yield": "float64"},
    "hsb": {
        "schid": "int64",
        "minority": "int64",
        "female": "int64",
        "ses": "float64",
        "mathach": "float64",
        "size": "int64",
        "schtype": "int64",
        "meanses": "float64",
    },
    "pastes": {"strength": "float64", "batch": "text", "cask": "text", "sample": "text"},
    "penicillin": {"diameter": "float64", "plate": "text", "sample": "text"},
    "sleepstudy": {"Reaction": "float64", "Days": "int64", "Subject": "int64"},
    "students": {
        "id": "int64",
        "extro": "float64",
        "open": "float64",
        "agree": "float64",
        "social": "float64",
        "class": "text",
        "school": "text",
    },
    "verb_agg": {
        "Anger": "int64",
        "Gender": "text",
        "item": "text",
        "resp": "text",
        "id": "int64",
        "btype": "text",
        "situ": "text",
        "mode": "text",
        "r2": "text",
    },
}
ROWS = {
    "cbpp": 56,
    "contraception": 1934,
    "dyestuff": 30,
    "hsb": 7185,
    "pastes": 60,
    "penicillin": 144,
    "sleepstudy": 180,
    "students": 1200,
    "verb_agg": 7584,
}


@pytest.fixture(scope="module")
def make_students() -> ModuleType:
    """Import the script that made `students`; tools/ is not a package."""
    spec = importlib.util.spec_from_file_location("make_students", TOOLS / "make_students.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_names_are_sorted_and_complete() -> None:
    assert dataset_names() == tuple(sorted(COLUMNS))


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_shape_and_dtypes(name: str) -> None:
    data = load_dataset(name)
    text = pd.Series(["a"]).dtype  # object in pandas 2, str in pandas 3
    assert data.shape == (ROWS[name], len(COLUMNS[name]))
    assert list(data.columns) == list(COLUMNS[name])
    for column, kind in COLUMNS[name].items():
        assert data[column].dtype == (text if kind == "text" else np.dtype(kind)), column
    assert not data.isna().any(axis=None)


@pytest.mark.parametrize(
    ("name", "cell", "n_cells", "size"),
    [
        ("dyestuff", ["Batch"], 6, 5),
        ("verb_agg", ["item"], 24, 316),
        ("verb_agg", ["id"], 316, 24),
        ("pastes", ["batch", "cask"], 30, 2),
        ("pastes", ["sample"], 30, 2),
        ("penicillin", ["plate", "sample"], 144, 1),
        ("penicillin", ["plate"], 24, 6),
        ("sleepstudy", ["Subject"], 18, 10),
        ("sleepstudy", ["Days"], 10, 18),
        ("students", ["school", "class"], 24, 50),
        ("students", ["school"], 6, 200),
    ],
)
def test_balance(name: str, cell: list[str], n_cells: int, size: int) -> None:
    sizes = load_dataset(name).groupby(cell).size()
    assert sizes.tolist() == [size] * n_cells


@pytest.mark.parametrize(
    ("name", "column", "total", "squares"),
    [  # sum(x) and sum(x^2) computed by R from lme4 1.1-31, merTools 0.5.2 and mlmRev
        ("cbpp", "incidence", 99.0, 553.0),
        ("cbpp", "size", 842.0, 15730.0),
        ("contraception", "age", 4.25070000000018, 157034.161443130),
        ("verb_agg", "Anger", 151704.0, 3212280.0),
        ("dyestuff", "Yield", 45825.0, 70112875.0),
        ("hsb", "mathach", 91593.321, 1507495.090811),
        ("hsb", "meanses", 44.105, 1228.927385),
        ("hsb", "size", 7593552.0, 10647670354.0),
        ("pastes", "strength", 3603.2, 217002.82),
        ("penicillin", "diameter", 3308.0, 76582.0),
        ("sleepstudy", "Reaction", 53731.4205, 16607207.3191001),
    ],
)
def test_sums_equal_those_in_r(name: str, column: str, total: float, squares: float) -> None:
    values = load_dataset(name)[column]
    np.testing.assert_allclose([values.sum(), (values**2).sum()], [total, squares], rtol=1e-13)


def test_group_means_equal_those_of_lme4() -> None:
    """A sum cannot see values moved between groups; these can."""
    sleep = load_dataset("sleepstudy")
    assert round(sleep["Reaction"].mean(), 4) == 298.5079
    slope = np.polyfit(sleep["Days"], sleep["Reaction"], 1)[0]
    np.testing.assert_allclose(slope, 10.467285959596, rtol=1e-12)
    yields = load_dataset("dyestuff").groupby("Batch")["Yield"].mean()
    assert yields.tolist() == [1505.0, 1528.0, 1564.0, 1498.0, 1600.0, 1470.0]
    diameters = load_dataset("penicillin").groupby("sample")["diameter"].sum()
    assert diameters.tolist() == [604.0, 527.0, 598.0, 549.0, 551.0, 479.0]
    pastes = load_dataset("pastes")
    assert (pastes["sample"] == pastes["batch"] + ":" + pastes["cask"]).all()


def test_hsb_schools() -> None:
    hsb = load_dataset("hsb")
    sizes = hsb.groupby("schid").size()
    assert (len(sizes), sizes.min(), sizes.max()) == (160, 14, 67)
    of_schools = hsb[["schid", "size", "schtype", "meanses"]].drop_duplicates()
    assert len(of_schools) == 160


def test_students_have_the_published_cell_moments(make_students: ModuleType) -> None:
    cell = ["school", "class"]
    want = pd.read_csv(TOOLS / "lmm_cell_moments.csv").set_index(cell)
    groups = load_dataset("students").groupby(cell)[make_students.SCORES]
    means = groups.mean().loc[want.index].add_prefix("mean_")
    covariances = groups.cov()  # a 4 x 4 block per cell, divisor n - 1
    for score in make_students.SCORES:
        expected = want[f"mean_{score}"].to_numpy()
        np.testing.assert_allclose(means[f"mean_{score}"], expected, rtol=MOMENTS_RTOL)
    for column in [c for c in want.columns if c.startswith("cov_")]:
        _, first, second = column.split("_")
        have = covariances.xs(first, level=2)[second].loc[want.index]
        np.testing.assert_allclose(have, want[column].to_numpy(), rtol=MOMENTS_RTOL)


def test_students_are_shuffled_and_numbered() -> None:
    students = load_dataset("students")
    assert students["id"].tolist() == list(range(1, 1201))
    assert not students["school"].is_monotonic_increasing
    assert (students["school"] != students["school"].shift()).mean() > 0.7


def test_check_passes_on_the_bundled_file(make_students: ModuleType) -> None:
    assert make_students.main(["--check"]) == 0


@pytest.mark.parametrize("defect", ["value", "missing", "cell", "row"])
def test_check_fails_on_a_changed_file(
    make_students: ModuleType, tmp_path: Path, defect: str
) -> None:
    students = load_dataset("students")
    if defect == "value":
        students["open"] = students["open"].where(students["id"] != 7, 40.0)
    elif defect == "missing":
        students["open"] = students["open"].where(students["id"] != 7)
    elif defect == "cell":
        students.loc[students["school"] == "I", "school"] = "VII"
    else:
        students = students.iloc[:-1]
    students.to_csv(tmp_path / "students.csv", index=False)
    assert make_students.main(["--check", "--csv", str(tmp_path / "students.csv")]) == 1


def test_making_them_twice_gives_the_same_bytes(make_students: ModuleType, tmp_path: Path) -> None:
    files = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for file in files:
        assert make_students.main(["--csv", str(file)]) == 0
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", sorted(COLUMNS))
def test_each_call_gives_a_fresh_frame(name: str) -> None:
    first = load_dataset(name)
    first.iloc[:, 0] = first.iloc[::-1, 0].to_numpy()
    first["added"] = 1
    second = load_dataset(name)
    assert list(second.columns) == list(COLUMNS[name])
    pd.testing.assert_frame_equal(second, load_dataset(name))


@pytest.mark.parametrize(
    ("given", "meant"),
    [("student", "students"), ("Dyestuff", "dyestuff"), ("sleep_study", "sleepstudy")],
)
def test_unknown_name_suggests_the_nearest(given: str, meant: str) -> None:
    message = (
        rf"^name='{given}' is not a bundled data set; the allowed names are "
        rf"'cbpp', 'contraception', 'dyestuff', .*'verb_agg'\. Did you mean '{meant}'\?$"
    )
    with pytest.raises(InvalidArgumentError, match=message):
        load_dataset(given)


@pytest.mark.parametrize("given", ["iris", "", "../students", None, 3, ["students"]])
def test_unknown_name_is_a_value_error(given: object) -> None:
    with pytest.raises(ValueError, match=r"^name=.* is not a bundled data set; the allowed names"):
        load_dataset(given)  # type: ignore[arg-type]

"""Cross-products saved, loaded and added up."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from chunk_models import MODELS, assert_same, table

import merextras as mx
from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.products import file

FORMULA = "y ~ x + c + (1 | g) + (1 | h/k)"
LEVELS = {"c": ["u", "v", "w"]}


@pytest.fixture(scope="module")
def data():
    return table()


@pytest.fixture(scope="module")
def saved(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("products") / "site.npz"
    mx.cross_products(FORMULA, data).save(path)
    return path


def test_two_sites_are_the_whole(data):
    expected = mx.lmer(FORMULA, data)
    sites = [data.iloc[:400], data.iloc[400:1200], data.iloc[1200:]]
    parts = [mx.cross_products(FORMULA, site, levels=LEVELS) for site in sites]
    for order in ([0, 1, 2], [2, 0, 1]):
        total = sum(parts[i] for i in order)
        assert_same(mx.MerMod.from_cross_products(total), expected)
    ml = mx.MerMod.from_cross_products(total, reml=False)
    assert_same(ml, mx.lmer(FORMULA, data, reml=False))


def test_sites_without_a_level_in_common(data):
    """The larger factor at one site is the smaller at the other, and labels interlock."""
    few = data[data["g"] < 30]
    many = data[data["g"] >= 30].assign(h=lambda d: d["h"] + "z")
    parts = [mx.cross_products("y ~ x + (1 | g) + (1 | h)", d) for d in (few, many)]
    expected = mx.lmer("y ~ x + (1 | g) + (1 | h)", pd.concat([few, many]))
    assert_same(mx.MerMod.from_cross_products(parts[0] + parts[1]), expected)
    assert_same(mx.MerMod.from_cross_products(parts[1] + parts[0]), expected)


@pytest.mark.parametrize("name", MODELS)
def test_loaded_is_what_was_saved(data, tmp_path, name):
    formula, kwargs = MODELS[name]
    reml = kwargs.get("reml", True)
    made = mx.cross_products(formula, data, **{k: v for k, v in kwargs.items() if k != "reml"})
    made.save(tmp_path / "a.npz")
    loaded = mx.load_cross_products(tmp_path / "a.npz", trust_formula=True)
    assert repr(loaded) == repr(made)
    found = mx.MerMod.from_cross_products(loaded, reml=reml)
    assert_same(found, mx.lmer(formula, data, **kwargs))
    rows = data.dropna()
    expected = mx.MerMod.from_cross_products(made, reml=reml).predict(rows)
    # patsy's transforms may remember in extended precision.
    np.testing.assert_allclose(found.predict(rows), expected, rtol=1e-14)
    assert_same(mx.MerMod.from_cross_products(sum([loaded]), reml=reml), found)


def test_nothing_in_a_file_is_run_unless_it_is_trusted(data, tmp_path):
    calls = []

    def spy(x):
        calls.append(1)
        return x

    mx.cross_products("y ~ spy(x) + c + (1 | g)", data).save(tmp_path / "a.npz")
    calls.clear()
    model = mx.MerMod.from_cross_products(mx.load_cross_products(tmp_path / "a.npz"))
    with pytest.raises(UnsupportedModelError, match=r"'spy\(x\)' is Python code from a file"):
        model.predict(data.dropna())
    assert not calls
    plain = mx.cross_products("y ~ x + C(c, Sum) + (1 | g)", data)
    plain.save(tmp_path / "b.npz")
    model = mx.MerMod.from_cross_products(mx.load_cross_products(tmp_path / "b.npz"))
    expected = mx.lmer("y ~ x + C(c, Sum) + (1 | g)", data).predict(data.dropna())
    np.testing.assert_allclose(model.predict(data.dropna()), expected, rtol=1e-10)


def test_truncated_files(saved, tmp_path):
    whole = saved.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "part.npz").write_bytes(whole[:length])
        with pytest.raises(InvalidArgumentError, match="not a whole file of cross-products"):
            mx.load_cross_products(tmp_path / "part.npz")


def _again(saved, path, change):
    """The file with other members, in order as far as zip goes."""
    with np.load(saved) as members:
        arrays = {name: members[name] for name in members.files}
    change(arrays)
    np.savez(path, **arrays)
    return path


def _with_header(**new):
    def change(arrays):
        header = {**json.loads(arrays["header"].tobytes()), **new}
        text = json.dumps(header).encode()
        arrays["header"] = np.frombuffer(text, dtype=np.uint8)
        arrays["header_checksum"] = np.frombuffer(hashlib.sha256(text).digest(), dtype=np.uint8)

    return change


def _formula_alone(arrays):
    text = arrays["header"].tobytes().replace(b"y ~ x", b"y ~ z")
    arrays["header"] = np.frombuffer(text, dtype=np.uint8)


TAMPERED = {
    "array": (lambda a: a["own0"].__iadd__(1.0), "does not hold what was written: own0"),
    "type": (lambda a: a.update(xy=a["xy"].astype(np.float32)), "was written: xy"),
    "member": (lambda a: a.pop("to_xy1"), "was written: to_xy1"),
    "another": (lambda a: a.update(more=np.ones(2)), "was written: more"),
    "header": (_formula_alone, "the header of .* is not what was written"),
    "format": (_with_header(format="other"), "has format 'other'"),
    "version": (_with_header(version=99), "version 99; this package reads"),
    "no header": (lambda a: a.pop("header"), "not a whole file of cross-products: KeyError"),
    "terms": (_with_header(terms=[]), "not a whole file of cross-products"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered_files(saved, tmp_path, name):
    change, message = TAMPERED[name]
    path = _again(saved, tmp_path / "other.npz", change)
    with pytest.raises(InvalidArgumentError, match=message):
        mx.load_cross_products(path)


def test_pickles_are_not_read(tmp_path):
    np.savez(tmp_path / "bad.npz", header=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InvalidArgumentError, match="not a whole file"):
        mx.load_cross_products(tmp_path / "bad.npz")


def test_paths(data, saved, tmp_path):
    with pytest.raises(InvalidArgumentError, match="there is no file"):
        mx.load_cross_products(tmp_path / "none.npz")
    with pytest.raises(InvalidArgumentError, match="there is no directory"):
        mx.load_cross_products(saved).save(tmp_path / "none" / "a.npz")
    with pytest.raises(InvalidArgumentError, match="trust_formula='yes'"):
        mx.load_cross_products(saved, trust_formula="yes")


def test_an_interrupted_save_leaves_what_was_there(saved, tmp_path, monkeypatch):
    made = mx.load_cross_products(saved)
    path = tmp_path / "a.npz"
    path.write_bytes(b"before")

    def interrupted(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(file.np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.save(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_labels_that_a_file_cannot_hold(data, tmp_path):
    dates = data.assign(g=pd.to_datetime(data["g"], unit="D"))
    made = mx.cross_products("y ~ x + (1 | g)", dates)
    with pytest.raises(UnsupportedModelError, match="labels of 'g' are of type Timestamp"):
        made.save(tmp_path / "a.npz")
    assert not list(tmp_path.iterdir())


DIFFERENT = {
    "formula": (("y ~ x + (1 | g)", {}), ("y ~ 1 + (1 | g)", {}), "the formulas are"),
    "weights": (
        ("y ~ x + (1 | g)", {"weights": "w"}),
        ("y ~ x + (1 | g)", {}),
        "weights and offsets are",
    ),
    "contrasts": (
        ("y ~ c + (1 | g)", {"contrasts": {"c": "Sum"}}),
        ("y ~ c + (1 | g)", {}),
        "the contrasts are",
    ),
    "levels": (
        ("y ~ c + (1 | g)", {}),
        ("y ~ c + (1 | g)", {"levels": {"c": ["w", "v", "u"]}}),
        "the categories of 'c' are .*fix the coding before",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_models_are_not_added(data, name):
    (one, first), (other, second), message = DIFFERENT[name]
    left, right = mx.cross_products(one, data, **first), mx.cross_products(other, data, **second)
    with pytest.raises(InvalidArgumentError, match=message):
        left + right


def test_what_differs_in_the_data(data):
    half = data.iloc[:700]
    left = mx.cross_products("y ~ c + (1 | g)", data)
    right = mx.cross_products("y ~ c + (1 | g)", half)
    with pytest.raises(InvalidArgumentError, match=r"categories of 'c'.*levels="):
        left + right
    left = mx.cross_products("y ~ center(x) + (1 | g)", data)
    right = mx.cross_products("y ~ center(x) + (1 | g)", half)
    with pytest.raises(InvalidArgumentError, match=r"'center\(x\)' has learnt.*I\(x - 50\)"):
        left + right
    left = mx.cross_products("y ~ x + (1 | g)", data)
    right = mx.cross_products("y ~ x + (1 | g)", data.assign(g=data["g"].astype(str)))
    with pytest.raises(InvalidArgumentError, match="the labels of 'g' are of types"):
        left + right
    with pytest.raises(TypeError):
        left + 3


def test_arguments(data):
    with pytest.raises(InvalidArgumentError, match="levels: 'cc' is not a column"):
        mx.cross_products(FORMULA, data, levels={"cc": ["a"]})
    with pytest.raises(InvalidArgumentError, match="levels=3"):
        mx.cross_products(FORMULA, data, levels=3)
    with pytest.raises(InvalidArgumentError, match="categories the model has not seen"):
        mx.cross_products(FORMULA, data, levels={"c": ["u"]})
    with pytest.raises(InvalidArgumentError, match="products: expected what cross_products"):
        mx.MerMod.from_cross_products(3)

"""Rows in files: which are found, and that what is wrong with one is said with its name."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from chunk_models import assert_same

import merextras as mx
from merextras.exceptions import InvalidArgumentError
from merextras.model.frame.read import from_arrow
from merextras.model.source.files import matches

FORMULA = "y ~ x + c + (1 | g)"


def rows(seed, n=60):
    rng = np.random.default_rng(seed)
    g = rng.integers(0, 8, n)
    x, c = rng.normal(size=n), rng.choice(["a", "b"], n)
    return pd.DataFrame({"y": rng.normal(size=n) + g, "x": x, "c": c, "g": g})


@pytest.fixture(scope="module")
def two():
    return rows(1), rows(2)


@pytest.fixture(scope="module")
def whole(two):
    return mx.lmer(FORMULA, pd.concat(two, ignore_index=True))


# Which files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a[1]", "[abc]", "x[", "plain", "[!a]/b[0-9]"])
def test_brackets_in_the_name_of_a_folder(two, whole, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir(parents=True)
    for i, part in enumerate(two):
        part.to_csv(folder / f"{i}.csv", index=False)
        part.to_parquet(folder / f"part[{i}].parquet")
    for source in ("*.csv", "[0-1].csv", "?.csv", "*.parquet", "../*/*.parquet"):
        assert_same(mx.lmer(FORMULA, str(folder / source)), whole)
    assert_same(mx.lmer(FORMULA, folder), whole)
    one = folder / "part[1].parquet"
    assert_same(mx.lmer(FORMULA, [folder / "part[0].parquet", one]), whole)


def test_folders_and_patterns(tmp_path, monkeypatch):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b.csv", "a.csv", ".hidden.csv", "deep/c.csv", "deep/er/d.csv"):
        (tmp_path / name).write_text("x\n")
    found = [str(tmp_path / name) for name in ("a.csv", "b.csv")]
    assert matches(str(tmp_path)) == matches(str(tmp_path / "*.csv")) == found
    deep = [str(tmp_path / "deep" / name) for name in ("c.csv", "er/d.csv")]
    assert matches(str(tmp_path / "**" / "*.csv")) == sorted([*found, *deep])
    monkeypatch.chdir(tmp_path)
    assert matches("*.csv") == ["a.csv", "b.csv"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidArgumentError, match=r"the folder .*empty' has no file of parquet"):
        matches(str(tmp_path / "empty"))
    for nothing in ("nowhere", "nowhere/*.csv", "*.pq", ""):
        with pytest.raises(InvalidArgumentError, match="there is no file|has no file"):
            matches(str(tmp_path / "empty" / nothing))


# What is wrong with one -------------------------------------------------------------------------


def _text(two, change):
    """The second file's lines after a change to them."""
    lines = two[1].to_csv(index=False).splitlines(keepends=True)
    change(lines)
    return "".join(lines)


def _set(at, text):
    return lambda lines: lines.__setitem__(at, text)


def _all_rows(lines):
    lines[1:] = [line.replace(".", ",", 1) for line in lines[1:]]


#: Contents of the second file by kind, and what is said.
WRONG_CSV = {
    "a field too many": (_set(17, "1,5,2,a,3\n"), "Expected 4 fields in line 18, saw 5"),
    "in the first row": (_set(1, "1,5,2,a,3\n"), "Expected 4 fields in line 2, saw 5"),
    "in the last row": (_set(60, "1,5,2,a,3"), "Expected 4 fields in line 61, saw 5"),
    "in all rows": (_all_rows, "Expected 4 fields in line 2, saw 5"),
    "a comma at the end of all rows": (
        lambda lines: lines.__setitem__(slice(1, None), [s[:-1] + ",\n" for s in lines[1:]]),
        "Expected 4 fields in line 2, saw 5",
    ),
    "cut off": (_set(60, "1.5,2"), r"is cut off: its last line has 2 field\(s\) of 4"),
    "an open quote": (_set(60, '1.5,2,"a'), "EOF inside string starting at row"),
    "a name twice": (_set(0, "y,x,x,g\n"), r"has names twice in its header: \['x'\]"),
    "another header": (_set(0, "y,z,c,g\n"), r"lacks the column\(s\) \['x'\]; it has \['y', 'z'"),
}


@pytest.mark.parametrize("size", [7, 1000])
@pytest.mark.parametrize("name", WRONG_CSV)
def test_csv_with_a_fault(two, tmp_path, name, size):
    change, message = WRONG_CSV[name]
    two[0].to_csv(tmp_path / "one.csv", index=False)
    (tmp_path / "two.csv").write_text(_text(two, change))
    with pytest.raises(InvalidArgumentError, match=rf"source: '.*two\.csv' .*{message}"):
        mx.lmer(FORMULA, str(tmp_path / "*.csv"), chunk_size=size)


#: Bytes of the second file, from those of a whole one.
WRONG_BYTES = {
    "empty.csv": (lambda b: b"", "is empty"),
    "utf16.csv": (lambda b: b.decode().encode("utf-16"), "is UTF-16 text"),
    "utf16be.csv": (lambda b: b"\xfe\xff" + b.decode().encode("utf-16-be"), "is UTF-16 text"),
    "utf16nobom.csv": (lambda b: b.decode().encode("utf-16-le"), "is not UTF-8 text"),
    "latin1.csv": (lambda b: b.replace(b"a", b"\xe9"), "can't be read: .*utf-8"),
    "cut.csv.gz": (lambda b: gzip.compress(b)[:-30], "can't be read: Compressed file ended"),
    "none.csv.gz": (lambda b: b, "can't be read: .*gzip"),
    "empty.parquet": (lambda b: b"", "can't be read: .*size is 0 bytes"),
    "cut.parquet": (lambda b: b[: len(b) // 2], "can't be read: .*Parquet"),
    "text.parquet": (lambda b: b"x,y\n" * 20, "can't be read: .*Parquet"),
    "hole.parquet": (lambda b: b[:40] + bytes(600) + b[640:], "can't be read"),
}


@pytest.mark.parametrize("name", WRONG_BYTES)
@pytest.mark.parametrize("first", [False, True])
def test_bytes_with_a_fault(two, tmp_path, name, first):
    change, message = WRONG_BYTES[name]
    kind = "".join(re.findall(r"\.\w+", name))
    good, bad = tmp_path / f"m{kind}", tmp_path / f"{'a' if first else 'z'}{name}"
    for path in (good, bad):
        (two[0].to_parquet if "parquet" in kind else two[0].to_csv)(path, index=False)
    raw = bad.read_bytes()
    if kind == ".csv.gz":
        raw = gzip.decompress(raw)
    bad.write_bytes(change(raw))
    with pytest.raises(InvalidArgumentError, match=rf"source: '.*{re.escape(name)}' .*{message}"):
        mx.lmer(FORMULA, str(tmp_path / f"*{kind}"))


def test_a_dataset_of_a_file_that_is_gone(two, tmp_path):
    two[0].to_parquet(tmp_path / "a.parquet")
    dataset = ds.dataset(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(InvalidArgumentError, match="source: a pyarrow Dataset can't be read"):
        mx.lmer(FORMULA, dataset)


def test_what_is_no_fault(two, whole, tmp_path):
    text = two[1].to_csv(index=False)
    two[0].to_csv(tmp_path / "a.csv", index=False, quoting=2, encoding="utf-8-sig")
    (tmp_path / "b.csv").write_text(text.rstrip("\n"))
    (tmp_path / "c.csv").write_text(text.split("\n", 1)[0] + "\n")
    (tmp_path / "d.csv").write_text(text.split("\n", 1)[0] + "\n\n")
    assert_same(mx.lmer(FORMULA, str(tmp_path / "*.csv"), chunk_size=13), whole)
    wide = two[1].assign(note='has "quotes",\n and lines', more=1)
    wide.to_csv(tmp_path / "b.csv", index=False)
    assert_same(mx.lmer(FORMULA, str(tmp_path / "*.csv"), chunk_size=13), whole)


# Columns without a value ------------------------------------------------------------------------


def _null_parquet(data, column, kind, path):
    table = pa.Table.from_pandas(data)
    at = table.schema.get_field_index(column)
    pq.write_table(table.set_column(at, column, pa.nulls(len(data), kind)), path)


@pytest.mark.parametrize("column", ["y", "x", "c", "g"])
@pytest.mark.parametrize("first", [False, True])
def test_a_file_without_a_value(two, tmp_path, column, first):
    full, empty = two
    expected = mx.lmer(FORMULA, full)
    names = ("b", "a") if first else ("a", "b")
    for kind in (pa.null(), pa.float64(), pa.string(), pa.int64()):
        full.to_parquet(tmp_path / f"{names[0]}.parquet")
        _null_parquet(empty, column, kind, tmp_path / f"{names[1]}.parquet")
        found = mx.lmer(FORMULA, str(tmp_path / "*.parquet"), chunk_size=17)
        assert found.n_dropped == 60
        assert_same(found, mx.lmer(FORMULA, pd.concat([full, empty.assign(**{column: np.nan})])))
    full.to_csv(tmp_path / f"{names[0]}.csv", index=False)
    empty.assign(**{column: None}).to_csv(tmp_path / f"{names[1]}.csv", index=False)
    found = mx.lmer(FORMULA, str(tmp_path / "*.csv"))
    assert found.solution.deviance() == pytest.approx(expected.solution.deviance(), rel=1e-12)
    assert list(mx.stream_rows(found, str(tmp_path / "*.csv")))[first - 1].shape == (0, 2) or first


def test_rows_without_a_value_have_none_when_they_are_streamed(two, tmp_path):
    m = mx.lmer(FORMULA, [two[0]])
    nothing = two[1].assign(x=pd.Series([None] * 60, dtype=object))
    what = ["fitted", "residuals", "fixed", "hatvalues"]
    (part,) = mx.stream_rows(m, [nothing], what)
    assert part.shape == (0, 4)
    mx.stream_rows(m, [nothing], what, to=tmp_path / "a.parquet")
    mx.stream_rows(m, [two[1].iloc[:0]], what, to=tmp_path / "b.parquet")
    for name in ("a", "b"):
        read = pd.read_parquet(tmp_path / f"{name}.parquet")
        assert (list(read.columns), len(read)) == (what, 0)
        assert set(read.dtypes) == {np.dtype(float)}
    mx.stream_rows(m, [two[0]], what, to=tmp_path / "c.parquet")
    expected = pd.concat(mx.stream_rows(m, [two[0]], what), ignore_index=True)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "c.parquet"), expected)


# Integers ---------------------------------------------------------------------------------------


_NULLABLE = {"int64": "Int64", "uint64": "UInt64"}


def _big(dtype="int64"):
    """24 groups whose ids floats can't tell apart, with a row without an id and without it."""
    low = 2**63 if dtype == "uint64" else 2**53
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(24), 6)
    x = rng.normal(size=144)
    y = x + rng.normal(size=24)[g] + 0.3 * rng.normal(size=144)
    ids = pd.array([*(low + g.astype(object)).tolist(), None], dtype=_NULLABLE[dtype])
    data = pd.DataFrame({"y": np.append(y, 0.0), "x": np.append(x, 0.0), "g": ids})
    plain = pd.DataFrame({"y": y, "x": x, "g": (low + g.astype(object)).astype(dtype)})
    return data, plain


@pytest.mark.parametrize("how", ["csv", "parquet", "table", "dataset", "dictionary", "batches"])
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_one_null_does_not_merge_ids(tmp_path, how, dtype):
    data, plain = _big(dtype)
    expected = mx.lmer("y ~ x + (1 | g)", plain)
    table = pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata(None)
    data.to_csv(tmp_path / "a.csv", index=False)
    pq.write_table(table, tmp_path / "a.parquet")
    source = {
        "csv": lambda: str(tmp_path / "a.csv"),
        "parquet": lambda: str(tmp_path / "a.parquet"),
        "table": lambda: table,
        "dataset": lambda: ds.dataset(tmp_path / "a.parquet"),
        "dictionary": lambda: table.set_column(2, "g", table["g"].dictionary_encode()),
        "batches": lambda: lambda: map(from_arrow, table.to_batches(max_chunksize=20)),
    }[how]()
    for size in (50, 1000):
        found = mx.lmer("y ~ x + (1 | g)", source, chunk_size=size)
        assert found.design.terms[0].levels.tolist() == plain["g"].unique().tolist()
        assert found.n_dropped == 1
        assert found.solution.deviance() == pytest.approx(expected.solution.deviance(), rel=1e-11)
        np.testing.assert_allclose(found.fixef(), expected.fixef(), rtol=1e-7)


def test_signed_beside_unsigned_and_floats_beside_integers(tmp_path):
    _, plain = _big()
    expected = mx.lmer("y ~ x + (1 | g)", plain)
    signed, unsigned = plain.iloc[:70], plain.iloc[70:].assign(g=lambda d: d["g"].astype("uint64"))
    for chunks in ([signed, unsigned], [unsigned, signed]):
        assert_same(mx.lmer("y ~ x + (1 | g)", chunks), expected)
    left, right = (mx.cross_products("y ~ x + (1 | g)", part) for part in (signed, unsigned))
    assert_same(mx.MerMod.from_cross_products(left + right), expected)
    assert_same(mx.MerMod.from_cross_products(right + left), expected)
    above = plain.assign(g=plain["g"].astype("uint64") + np.uint64(2**63))
    both = mx.lmer("y ~ x + (1 | g)", [plain, above])
    assert both.ngrps()["g"] == 48
    small = plain.assign(g=plain["g"] - 2**53)
    floats = small.iloc[:70].assign(g=lambda d: d["g"].astype(float))
    assert_same(
        mx.lmer("y ~ x + (1 | g)", [floats, small.iloc[70:]]), mx.lmer("y ~ x + (1 | g)", small)
    )
    with pytest.raises(
        InvalidArgumentError, match=r"'g' has whole numbers above 2\*\*53 in some chunks"
    ):
        mx.lmer("y ~ x + (1 | g)", [plain, floats.assign(g=floats["g"] + 0.5)])


@pytest.mark.parametrize("marker", ["", "NA", "null"])
@pytest.mark.parametrize("largest", [2**63 + 9, 2**70])
def test_no_level_of_what_is_missing(tmp_path, marker, largest):
    """pandas leaves a missing value as text in a column with an integer above 2**63."""
    _, plain = _big()
    ids = plain["g"].astype(str).replace(str(2**53), str(largest))
    more = pd.DataFrame({"y": [0.0], "x": [0.0], "g": [marker]})
    pd.concat([plain.assign(g=ids), more]).to_csv(tmp_path / "a.csv", index=False)
    found = mx.lmer("y ~ x + (1 | g)", str(tmp_path / "a.csv"))
    assert (found.ngrps()["g"], found.n_dropped) == (24, 1)
    assert str(largest) in set(map(str, found.design.terms[0].levels))

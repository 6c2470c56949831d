"""Files from elsewhere: whatever is in them, nothing is run and every error is ours.

Every place of the header gets odd values and code that would leave a file behind if it were
evaluated; every array gets other types, shapes and values. The checksums are made to fit, as anyone
can. What is still read must then fit, predict and print, or refuse in words.
"""

from __future__ import annotations

import collections
import itertools
import json
import tracemalloc
import warnings
import zipfile

import mutated_products as mutated
import numpy as np
import pytest
from chunk_models import table
from fuzz_share import SHARE, part

import merextras as mx
from merextras.exceptions import InvalidArgumentError, MerextrasError, UnsupportedModelError

MODELS = {
    "plain": ("y ~ x + (1 + x | g) + (1 | h)", {"weights": "w"}),
    "code": ("np.log(y) ~ bs(t, df=3) + C(c, Sum):x + offset(x / 1000) + (1 | h/k)", {}),
    "factors": ("y ~ c * b + offset(t) + (0 + b || h)", {"contrasts": {"c": "Sum"}}),
}


@pytest.fixture(scope="module")
def data():
    return table(300)


@pytest.fixture(scope="module")
def files(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("products")
    found = {}
    for name, (formula, kwargs) in MODELS.items():
        path = folder / f"{name}.npz"
        mx.cross_products(formula, data, levels={"c": ["u", "v", "w"]}, **kwargs).save(path)
        found[name] = path
    return found


def _verbs(data):
    rows = data.dropna().iloc[:6]
    return {
        "summary": lambda m: repr(m.summary()),
        "predict": lambda m: m.predict(rows),
        "predict fixed": lambda m: m.predict(rows, re_form="NA"),
        "re_form": lambda m: m.predict(rows, re_form="~ (1 | h)"),
        "predict_interval": lambda m: mx.predict_interval(m, rows, n_sims=5, rng=1),
        "what_if": lambda m: mx.what_if(m, rows, "h"),
        "re_margins": lambda m: mx.re_margins(m, rows, group="h"),
        "re_impact": lambda m: mx.re_impact(m, rows, group="h"),
        "joint_tests": mx.joint_tests,
        "emmeans": lambda m: mx.emmeans(m, "c"),
        "stream_rows": lambda m: list(mx.stream_rows(m, [data])),
        "update": lambda m: m.update(". ~ 1 + (1 | h)"),
        "ranef": lambda m: m.ranef().to_frame(),
        "simulate": lambda m: m.simulate(newdata=rows, rng=1),
    }


class Outcomes:
    """What became of the files that were tried."""

    def __init__(self, data, canary):
        self.data, self.canary = data, canary
        self.counts = collections.Counter()
        self.faults = []

    def attempt(self, path, what, verbs=None):
        self.counts["tried"] += 1
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                made = mx.load_cross_products(path)
                model = mx.MerMod.from_cross_products(made)
            except MerextrasError as err:
                self.counts["refused"] += 1
                if not str(err):
                    self.faults.append(f"{what}: an error without a word")
                return
            except Exception as err:
                self.faults.append(f"{what}: {type(err).__name__}: {err}"[:300])
                return
            self.counts["read"] += 1
            for name, verb in _verbs(self.data).items():
                if verbs is not None and name not in verbs:
                    continue
                try:
                    verb(model)
                except MerextrasError:
                    self.counts["verbs refused"] += 1
                except Exception as err:
                    self.faults.append(f"{what}: {name}: {type(err).__name__}: {err}"[:300])
                else:
                    self.counts["verbs done"] += 1
        if self.canary.exists():
            self.faults.append(f"{what}: code was run")
            self.canary.unlink()

    def check(self, *, at_least):
        print(dict(self.counts), f"{len(self.faults)} faults")
        assert not self.faults, f"{len(self.faults)} faults:\n" + "\n".join(self.faults[:40])
        assert self.counts["tried"] >= at_least


def _texts_with(code, text):
    """Ways to put code where a text is."""
    return [
        *(code, f"offset({code})", f"I({code})", f"{text} + {code}", f"{text} + offset({code})"),
        *(f"C(c, {code})", f"y ~ x + offset({code}) + (1 | h)", f"{text}[{code}]", f"Q({code})"),
        f"{text.replace('~', f'~ offset({code}) +')}",
    ]


def _headers(header, canary, rng, share):
    """(what, header): every place with odd values and with code, a share of them by chance."""
    code = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    for at in mutated.places(header):
        if at[:1] == ("checksums",):
            continue
        old = mutated.got(header, at)
        odd = list(mutated.ODD)
        codes = _texts_with(code, old) if isinstance(old, str) else []
        if isinstance(old, list):
            odd += [old[::-1], old + old[:1], old[1:]]
        if isinstance(old, dict):
            odd += [{**old, "more": 1}, {**old, code: 1}]
        name = ".".join(map(str, at))
        chosen = [value for value in odd if rng.random() < share]
        chosen += [codes[i] for i in rng.permutation(len(codes))[: max(2, round(10 * share))]]
        for value in chosen:
            yield f"{name} = {str(value)[:60]}", mutated.with_value(header, at, value)
        if at:
            yield f"without {name}", mutated.without(header, at)


#: The verbs that evaluate code of a formula, by different ways.
_FEW = {"summary", "predict", "re_impact", "what_if", "update"}


def _fuzz_headers(files, data, tmp_path, name, share, verbs=None):
    canary, path = tmp_path / "canary", tmp_path / "file.npz"
    header, arrays = mutated.opened(files[name])
    found = Outcomes(data, canary)
    rng = np.random.default_rng(1)
    for what, changed in _headers(header, canary, rng, share):
        mutated.closed(path, changed, arrays)
        found.attempt(path, what, verbs)
    return found


def _fuzz_arrays(files, data, tmp_path, name, seeds, share):
    path = tmp_path / "file.npz"
    header, arrays = mutated.opened(files[name])
    found = Outcomes(data, tmp_path / "canary")
    for seed, key in itertools.product(seeds, arrays):
        rng = np.random.default_rng(seed)
        for what, changed in mutated.other_arrays(key, arrays[key], rng):
            if rng.random() < share:
                mutated.closed(path, header, {**arrays, key: changed})
                found.attempt(path, f"{key} {what}", {"summary", "predict", "joint_tests"})
    return found


@pytest.mark.parametrize("name", MODELS)
def test_any_header(files, data, tmp_path, name):
    _fuzz_headers(files, data, tmp_path, name, 0.01, _FEW).check(at_least=100)


@pytest.mark.parametrize("name", MODELS)
def test_any_array(files, data, tmp_path, name):
    _fuzz_arrays(files, data, tmp_path, name, [1], 0.1).check(at_least=50)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_any_header_at_length(files, data, tmp_path, name):
    _fuzz_headers(files, data, tmp_path, name, SHARE).check(at_least=part(800))


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_any_array_at_length(files, data, tmp_path, name):
    _fuzz_arrays(files, data, tmp_path, name, [2], SHARE).check(at_least=part(250))


# One by one ---------------------------------------------------------------------------------------


def _refuses(path, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.load_cross_products(path)


@pytest.mark.parametrize(
    "verb", ["predict", "predict_interval", "what_if", "re_margins", "re_impact", "stream_rows"]
)
def test_code_of_an_offset_is_not_run_unless_it_is_trusted(data, tmp_path, verb):
    canary, path = tmp_path / "canary", tmp_path / "file.npz"
    touch = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    formula = f"y ~ x + offset(0 * x + ({touch} or 0)) + (1 | h)"
    mx.cross_products(formula, data).save(path)
    canary.unlink()  # what the caller writes is the caller's own
    model = mx.MerMod.from_cross_products(mx.load_cross_products(path))
    with pytest.raises(UnsupportedModelError, match="Python code from a file, which is not run"):
        _verbs(data)[verb](model)
    assert not canary.exists()
    trusted = mx.MerMod.from_cross_products(mx.load_cross_products(path, trust_formula=True))
    _verbs(data)[verb](trusted)
    assert canary.exists()


@pytest.mark.parametrize("again", [False, True])
def test_code_that_only_the_formula_has(files, data, tmp_path, again):
    """A header whose formula has an offset that its list of offsets has not."""
    canary, path = tmp_path / "canary", tmp_path / "file.npz"
    header, arrays = mutated.opened(files["plain"])
    touch = f"offset(x + (__import__('pathlib').Path({str(canary)!r}).touch() or 0))"
    header["formula"] = header["formula"].replace("~", f"~ {touch} +")
    if again:
        header["offsets"] = [{"code": touch[7:-1], "column": None, "learnt": None}]
    mutated.closed(path, header, arrays)
    _refuses(path, "offsets are not those of its formula|either a column or code")
    assert not canary.exists()


def test_what_is_shown_is_what_is_trusted(files, tmp_path):
    """Code of a part that the formula, which is what one reads, does not have."""
    header, arrays = mutated.opened(files["code"])
    changed = json.loads(json.dumps(header).replace("bs(t, df=3)", "bs(t, df=4)"))
    changed["formula"] = header["formula"]
    mutated.closed(tmp_path / "file.npz", changed, arrays)
    with pytest.raises(InvalidArgumentError, match="not those of its formula"):
        mx.load_cross_products(tmp_path / "file.npz", trust_formula=True)


def test_sums_of_trusted_and_untrusted(data, tmp_path):
    own = mx.cross_products("y ~ np.log(x) + (1 | h)", data)
    own.save(tmp_path / "a.npz")
    read = mx.load_cross_products(tmp_path / "a.npz")
    rows = data.dropna()
    for total in (own + read, read + own):
        assert np.all(np.isfinite(mx.MerMod.from_cross_products(total).predict(rows)))
    with pytest.raises(UnsupportedModelError, match="Python code from a file"):
        mx.MerMod.from_cross_products(read + read).predict(rows)


#: By array of the crossed model: a change, and what is said.
WRONG = {
    "outside": ("cross0_1_indices", lambda a: a + 10**6, "has values outside 0 to"),
    "negative": ("cross0_1_indices", lambda a: a - 5, "has values outside 0 to"),
    "ends": ("cross0_1_indptr", lambda a: a * 1000, "does not count up to"),
    "falling": ("cross0_1_indptr", lambda a: np.where(a == a[3], a[-1], a), "does not count up"),
    "nan": ("own0", lambda a: a * np.nan, "own0 has values that are not finite"),
    "infinite": ("to_xy1", lambda a: a + np.inf, "to_xy1 has values that are not finite"),
    "complex": ("xy", lambda a: a.astype(complex), "xy is not an array of numbers"),
    "text": ("b0", lambda a: a.astype(str), "b0 is not an array of numbers"),
    "objects": ("b0", lambda a: a.astype(object), "b0 is not an array of numbers"),
    "shape": ("own1", lambda a: a[:-1], r"own1 has shape \(7, 1, 1\), not \(8, 1, 1\)"),
    "axes": ("own1", lambda a: a[..., 0], "own1 is of type float64 and shape"),
    "skew": ("own0", np.triu, "own0 is not symmetric"),
    "below zero": ("own0", lambda a: -a, "own0 has products that no table has"),
    "beyond": ("to_xy0", lambda a: a * 1e3, "to_xy0 has products that no table has"),
    "crossed": ("cross0_1_data", lambda a: a * 1e3, "cross0_1 has products that no table has"),
    "basis": ("transform", lambda a: a.T + a, "transform is not triangular"),
    "flags": ("seen0", lambda a: a.astype(float), "seen0 is of type float64"),
    "labels": ("labels0_0", lambda a: a * 0, "labels0_0 must have labels, each once"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_array_that_is_not_what_the_header_says(files, tmp_path, name):
    key, change, message = WRONG[name]
    header, arrays = mutated.opened(files["plain"])
    mutated.closed(tmp_path / "file.npz", header, {**arrays, key: change(arrays[key])})
    _refuses(tmp_path / "file.npz", message)


def _with_member(path, source, name, content, how=zipfile.ZIP_STORED):
    """The file with one member's bytes replaced."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for each in old.namelist():
            raw = content if each == f"{name}.npy" else old.read(each)
            new.writestr(each, raw, how if each == f"{name}.npy" else zipfile.ZIP_STORED)


def _described(text, body=b""):
    head = text.encode().ljust(118)
    return b"\x93NUMPY\x01\x00" + (len(head) + 1).to_bytes(2, "little") + head + b"\n" + body


def test_sizes_are_compared_before_anything_is_read(files, tmp_path):
    """A small file that would be gigabytes, and a header that claims terabytes."""
    path = tmp_path / "file.npz"
    large = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"
    zeros = _described(large % "400000000,", bytes(10**7))
    cases = [
        (zeros, zipfile.ZIP_DEFLATED, "compressed or encrypted|larger than the file"),
        (_described(large % "1000000, 1000000,"), zipfile.ZIP_STORED, "another size than its sh"),
        (_described(large % ("9" * 17 + ", ") * 9), zipfile.ZIP_STORED, "not an array of numb"),
        (_described(large % ("9" * 17 + "," + "9" * 17)), zipfile.ZIP_STORED, "another size"),
        (_described("{" * 90), zipfile.ZIP_STORED, "not an array of numbers"),
        (b"", zipfile.ZIP_STORED, "not an array of numpy's format"),
    ]
    tracemalloc.start()
    for content, how, message in cases:
        _with_member(path, files["plain"], "own0", content, how)
        _refuses(path, message)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e7


def test_headers_that_are_no_headers(files, tmp_path):
    path = tmp_path / "file.npz"
    header, arrays = mutated.opened(files["plain"])
    for text in (
        *(b"[" * 100_000, b'{"a":' * 100_000, b"[]", b"3", b"null", b"", b"\xff", b"{}"),
        *(b'{"format": [[[[]]]]}', b"1" * 10_000, b'{"a": NaN}', json.dumps(header).encode()[:-1]),
    ):
        mutated.raw(path, text, arrays)
        _refuses(path, "is not a whole file of cross-products")
    for formula in ("y ~ " + "(" * 900 + "x" + ")" * 900 + " + (1 | g)", "y ~ (x", "~", "y ~ x"):
        mutated.closed(path, {**header, "formula": formula}, arrays)
        _refuses(path, "is not a whole file of cross-products")


def test_a_formula_that_would_be_of_a_million_terms(files, tmp_path):
    path = tmp_path / "file.npz"
    header, arrays = mutated.opened(files["factors"])
    many = f"({' + '.join(f'C(c{i})' for i in range(40))})**9"
    for formula in (many, f"{many} + c", many.replace("**9", "**99999999999999")):
        header["parts"][0]["formula"] = formula
        header["formula"] = f"y ~ {formula} + (0 + b || h)"
        header["offsets"] = []
        mutated.closed(path, header, arrays)
        _refuses(path, "not those of its formula")


def test_labels_that_would_be_large(data, tmp_path, monkeypatch):
    from merextras.exceptions import TooLargeError
    from merextras.model.products import blocks

    mx.cross_products("y ~ x + (1 | h/k)", data).save(tmp_path / "a.npz")
    monkeypatch.setattr(blocks, "available_memory", lambda: 100.0)
    with pytest.raises(TooLargeError, match="the labels of 'k:h' may need"):
        mx.load_cross_products(tmp_path / "a.npz")


def test_no_row_with_a_weight(data):
    for argument in ("weights", "freq_weights"):
        with pytest.raises(InvalidArgumentError, match=f"{argument}: no row has a positive weight"):
            mx.cross_products("y ~ x + (1 | g)", data.assign(w=0), **{argument: "w"})


def test_dependent_columns_are_read_again(data, tmp_path):
    """Columns of which nothing but rounding is left must not be taken for a fault."""
    dependent = data.assign(x2=lambda d: 2 * d["x"] + 1e6, one=1.0)
    formula = "y ~ x + x2 + one + c + (1 | g) + (1 | h)"
    for rows in (dependent, dependent.assign(y=lambda d: d["x"] * 1e6)):
        made = mx.cross_products(formula, rows, chunk_size=11)
        made.save(tmp_path / "a.npz")
        assert repr(mx.load_cross_products(tmp_path / "a.npz")) == repr(made)

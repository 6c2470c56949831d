"""Fits of tables as people bring them equal the fit of plain numbers and text, or are refused."""

import datetime
import pickle
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import patsy
import polars as pl
import pytest

import merextras as mx
from merextras.exceptions import DataWarning, InvalidArgumentError, UnsupportedModelError

LONG = 2**53


@pytest.fixture(scope="module")
def sleep():
    return mx.load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def long_ids():
    """24 groups with neighbouring ids above 2**53; the first row's is to be missing."""
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(24), 8)
    data = pd.DataFrame({"g": LONG + 1 + group, "x": rng.normal(size=192)})
    noise = rng.normal(size=24)[group] * 2 + rng.normal(size=192)
    return data.assign(y=data["x"] + noise)


def with_null(data):
    """As a polars frame with a null id in the first row."""
    ids = [None, *data["g"].tolist()[1:]]
    return pl.DataFrame({"g": ids, "x": data["x"].to_numpy(), "y": data["y"].to_numpy()})


@pytest.mark.parametrize("way", ["polars", "arrow", "mapping", "parquet", "csv", "Int64", "chunks"])
def test_a_null_among_long_ids(long_ids, tmp_path, way):
    """As floats, the 24 groups would be some 12."""
    table = with_null(long_ids)
    nullable = long_ids.astype({"g": "Int64"})
    nullable.loc[0, "g"] = pd.NA
    if way == "parquet":
        table.write_parquet(tmp_path / "rows.parquet")
    if way == "csv":
        table.write_csv(tmp_path / "rows.csv")
    data = {
        "polars": table,
        "arrow": table.to_arrow(),
        "mapping": table.to_dict(as_series=False),
        "parquet": tmp_path / "rows.parquet",
        "csv": tmp_path / "rows.csv",
        "Int64": nullable,
        "chunks": [nullable.iloc[:50], nullable.iloc[50:].astype({"g": "uint64"})],
    }[way]
    m = mx.lmer("y ~ x + (1 | g)", data)
    plain = mx.lmer("y ~ x + (1 | g)", long_ids.iloc[1:])
    assert m.ngrps()["g"] == 24
    assert m.log_lik() == pytest.approx(plain.log_lik(), rel=1e-10)
    assert m.predict(long_ids).to_numpy() == pytest.approx(plain.predict(long_ids).to_numpy())


def test_long_ids_of_dask(long_ids):
    dd = pytest.importorskip("dask.dataframe")
    nullable = long_ids.astype({"g": "Int64"})
    nullable.loc[0, "g"] = pd.NA
    m = mx.lmer("y ~ x + (1 | g)", dd.from_pandas(nullable, npartitions=3))
    assert m.ngrps()["g"] == 24


def test_long_ids_that_are_floats_already(long_ids):
    with pytest.warns(DataWarning, match=r"factor 'g' has numbers above 2\*\*53 as floats"):
        mx.lmer("y ~ x + (1 | g)", long_ids.astype({"g": float}))
    chunks = [long_ids.iloc[:96], long_ids.iloc[96:].astype({"g": float})]
    with pytest.raises(InvalidArgumentError, match=r"'g' has whole numbers above 2\*\*53 in some"):
        mx.lmer("y ~ x + (1 | g)", chunks)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "UInt8", "uint64", "uint8[pyarrow]"])
@pytest.mark.parametrize("chunks", [False, True])
def test_small_integers_do_not_wrap(dtype, chunks):
    """The slope was .119 with uint8; of floats it is -.797."""
    rng = np.random.default_rng(0)
    age, g = rng.integers(20, 90, 300), np.arange(300) % 15
    y = -0.8 * age + rng.normal(size=15)[g] + rng.normal(size=300)
    plain = pd.DataFrame({"age": age.astype(float), "g": g, "y": y})
    data = plain.astype({"age": dtype})
    formula = "y ~ I(age - 50) + I(age * age) + (1 | g)"
    m, ref = mx.lmer(formula, [data] if chunks else data), mx.lmer(formula, plain)
    np.testing.assert_allclose(m.fixef(), ref.fixef(), rtol=1e-9)
    np.testing.assert_allclose(ref.predict(data), ref.fitted(), rtol=1e-12)
    np.testing.assert_allclose(m.predict(data), ref.fitted(), rtol=1e-9)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
@pytest.mark.parametrize("dtype", ["bool", "boolean", object])
def test_truth_values_are_factors_alone_and_numbers_in_code(engine, dtype):
    rng = np.random.default_rng(8)
    a, b = rng.random(200) < 0.4, rng.random(200) < 0.6
    x, g = rng.normal(size=200), rng.integers(0, 9, 200)
    y = x * a + (a + 0.0) + b + rng.normal(size=9)[g] + rng.normal(size=200)
    data = pd.DataFrame({"y": y, "x": x, "g": g})
    data = data.assign(a=pd.Series(a).astype(dtype), b=pd.Series(b).astype(dtype))
    control = mx.LmerControl(formula_engine=engine)
    one = mx.lmer("y ~ x:a + (1 | g)", data, control=control)
    assert one.fixef().index.tolist() == ["Intercept", "x:a[False]", "x:a[True]"]
    two = mx.lmer("y ~ a + I(a + b) + (1 | g)", data, control=control)
    own = data.assign(n=a + 0 + b, a=np.where(a, "t", "f"))
    same = mx.lmer("y ~ a + n + (1 | g)", own)
    np.testing.assert_allclose(two.predict(data[:20]), same.predict(own[:20]), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "boolean", object])
@pytest.mark.parametrize("a", ["a", "`a b`"])
def test_truth_values_alone_and_in_code_of_one_formula(dtype, a):
    """Two slopes, one of each value, and numbers in code: as with patsy, and as R has it."""
    rng = np.random.default_rng(9)
    made = pd.DataFrame({"x": rng.normal(size=90), "g": rng.integers(0, 9, 90)})
    made = made.assign(b=rng.random(90) < 0.6, y=rng.normal(size=90) + made["x"])
    values = rng.random(90) < 0.4
    data = made.assign(**{a.strip("`"): pd.Series(values).astype(dtype)})
    data["b"] = data["b"].astype(dtype)
    formula = f"y ~ x:{a} + I({a} + b) + (1 | g)"
    control = mx.LmerControl(formula_engine="formulaic")
    m, ref = mx.lmer(formula, data, control=control), mx.lmer(formula, data)
    plain = made.assign(n=values + 0 + made["b"], off=made["x"] * ~values, on=made["x"] * values)
    own = mx.lmer("y ~ off + on + n + (1 | g)", plain).fixef().to_numpy()
    slopes = [f"x:{a.strip('`')}[{value}]" for value in (False, True)]
    np.testing.assert_allclose(m.fixef()[slopes], own[1:3], rtol=1e-8)
    np.testing.assert_allclose(m.fixef()[ref.fixef().index], ref.fixef(), rtol=1e-9)
    np.testing.assert_allclose(m.predict(data[:5]), ref.fitted()[:5], rtol=1e-9)
    table, expected = m.drop1(), ref.drop1()
    assert set(table.index) == set(expected.index)
    np.testing.assert_allclose(table.loc[expected.index, "aic"], expected["aic"], rtol=1e-9)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
@pytest.mark.parametrize("dtype", ["bool", "boolean", object])
def test_arithmetic_of_truth_values(sleep, engine, dtype):
    """TRUE + TRUE is 2 in R; numpy's is True."""
    control = mx.LmerControl(formula_engine=engine)
    late, later = sleep["Days"] > 3, sleep["Days"] > 6
    data = sleep.assign(a=late, b=later, n=late.astype(float) + later).astype(
        {"a": dtype, "b": dtype}
    )
    m = mx.lmer("Reaction ~ I(a + b) + (1 | Subject)", data, control=control)
    ref = mx.lmer("Reaction ~ n + (1 | Subject)", data)
    np.testing.assert_allclose(m.fixef(), ref.fixef(), rtol=1e-10)
    if engine == "patsy":
        chunks = mx.lmer("Reaction ~ I(a + b) + (1 | Subject)", [data])
        np.testing.assert_allclose(chunks.fixef(), ref.fixef(), rtol=1e-10)
    assert m.drop1().to_numpy() == pytest.approx(ref.drop1().to_numpy(), rel=1e-8, nan_ok=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: [Decimal(str(v)) for v in x],
        lambda x: pd.concat([pd.Series([1.0]), pd.Series(x, dtype=object)])[1:].to_numpy(),
        lambda x: np.array([int(v) if v == int(v) else v for v in x], dtype=object),
    ],
    ids=["decimal", "concat", "mixture"],
)
@pytest.mark.parametrize("chunks", [False, True])
def test_object_columns_of_numbers(sleep, make, chunks):
    """A number, not a factor with a level a value."""
    data = sleep.assign(Days=make(sleep["Days"] + 0.5), Reaction=make(sleep["Reaction"]))
    plain = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep.assign(Days=sleep["Days"] + 0.5))
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", [data] if chunks else data)
    np.testing.assert_allclose(m.fixef(), plain.fixef(), rtol=1e-8)
    np.testing.assert_allclose(plain.predict(data), plain.fitted(), rtol=1e-12)


def dates_of(sleep, kind):
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(int(d)) for d in sleep["Days"]]
    return sleep.assign(day=days if kind == "date" else pd.to_datetime(pd.Series(days)))


@pytest.mark.parametrize("kind", ["date", "datetime64"])
@pytest.mark.parametrize("way", ["memory", "chunks", "polars"])
def test_dates_are_days(sleep, kind, way):
    """R: lmer(Reaction ~ as.Date("2024-01-01") + Days + (1|Subject)); as.numeric of it is 19723."""
    data = dates_of(sleep, kind)
    given = {"memory": data, "chunks": [data], "polars": pl.from_pandas(data)}[way]
    with pytest.warns(DataWarning, match=r"dates in \['day'\] are predictors as numbers: days"):
        m = mx.lmer("Reaction ~ day + (1 | Subject)", given)
    ref = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    assert m.fixef()["day"] == pytest.approx(ref.fixef()["Days"], rel=1e-8)
    at_zero = ref.fixef()["Intercept"] - 19723 * ref.fixef()["Days"]
    assert m.fixef()["Intercept"] == pytest.approx(at_zero, rel=1e-8)
    np.testing.assert_allclose(m.predict(data), ref.fitted(), rtol=1e-9)
    with pytest.raises(InvalidArgumentError, match="column 'Days' must be numeric, not datetime64"):
        ref.predict(data.assign(Days=pd.Timestamp("2024-01-01")))


def test_dates_in_code(sleep):
    data = dates_of(sleep, "datetime64")
    with pytest.warns(DataWarning, match="days since 1970"):
        m = mx.lmer("Reaction ~ center(day) + (1 | Subject)", data)
    ref = mx.lmer("Reaction ~ center(Days) + (1 | Subject)", sleep)
    np.testing.assert_allclose(m.fixef(), ref.fixef(), rtol=1e-8)
    assert mx.lmer("Reaction ~ day.dt.day + (1 | Subject)", data).fixef()["day.dt.day"] > 10
    codes = mx.lmer("Reaction ~ C(day) + (1 | Subject)", data)
    assert len(codes.fixef()) == 10
    np.testing.assert_allclose(codes.predict(data), codes.fitted(), rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: pd.to_timedelta(d, unit="D"), "durations, .*total_seconds"),
        (lambda d: pd.Timestamp("2024", tz="UTC") + pd.to_timedelta(d, unit="D"), "time zone"),
        (lambda d: (pd.Timestamp("2024") + pd.to_timedelta(d, unit="D")).dt.to_period("D"), "per"),
        (lambda d: d.astype(complex), "complex numbers"),
        (lambda d: [[v] for v in d], "objects"),
        (lambda d: ["n/a", *d[1:]], "numbers and text"),
    ],
    ids=["durations", "zones", "periods", "complex", "lists", "mixture"],
)
@pytest.mark.parametrize("formula", ["Reaction ~ v", "Reaction ~ Days + np.exp(v)", "v ~ Days"])
@pytest.mark.parametrize("chunks", [False, True])
def test_what_no_formula_can_use(sleep, make, message, formula, chunks):
    data = sleep.assign(v=make(sleep["Days"]))
    match = "must be numeric" if formula.startswith("v") else message
    with pytest.raises(InvalidArgumentError, match=match):
        mx.lmer(f"{formula} + (1 | Subject)", [data] if chunks else data)


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
@pytest.mark.parametrize("dtype", ["string", "str", object, "string[pyarrow]", "category"])
def test_missing_text(sleep, engine, dtype):
    """Left out of the fit, NaN in predictions."""
    control = mx.LmerControl(formula_engine=engine)
    plain = sleep.assign(f=np.where(sleep["Subject"] % 2, "odd", "even"))
    m = mx.lmer("Reaction ~ Days + f + (1 | Subject)", plain, control=control)
    data = plain.astype({"f": dtype})
    data.loc[3, "f"] = pd.NA
    made = m.predict(data)
    assert made.isna().to_numpy().nonzero()[0].tolist() == [3]
    np.testing.assert_allclose(made.drop(3), m.fitted().drop(3), rtol=1e-12)
    again = mx.lmer("Reaction ~ Days + f + (1 | Subject)", data, control=control)
    fewer = mx.lmer("Reaction ~ Days + f + (1 | Subject)", plain.drop(3), control=control)
    assert again.n_dropped == 1
    np.testing.assert_allclose(again.fixef(), fewer.fixef(), rtol=1e-12)


@pytest.mark.parametrize("code", ["f", "C(f)", "C(f, Sum)", "C(k)", "f:x", "f*C(k)", "C(f):C(k)"])
@pytest.mark.parametrize("kind", ["text", "category"])
def test_no_loop_over_rows(monkeypatch, code, kind):
    """patsy asks of each row of text whether it is missing; categories have no such loop."""
    rng = np.random.default_rng(0)
    data = pd.DataFrame(
        {
            "f": rng.choice(list("cab"), 300),
            "k": rng.integers(0, 3, 300),
            "x": rng.normal(size=300),
            "g": np.arange(300) % 12,
        }
    )
    data["y"] = data["x"] + rng.normal(size=12)[data["g"]] + rng.normal(size=300)
    if kind == "category":
        data["f"] = pd.Categorical(data["f"], categories=list("zbca"))
    expected = np.asarray(
        patsy.dmatrix(
            code,
            data.assign(
                f=data["f"].cat.remove_unused_categories() if kind == "category" else data["f"]
            ),
        )
    )

    def refuse(self, value):
        raise AssertionError("a loop over rows")

    monkeypatch.setattr(patsy.NAAction, "is_categorical_NA", refuse)
    m = mx.lmer(f"y ~ {code} + (1 | g)", data)
    np.testing.assert_array_equal(m.model_matrix(), expected)
    np.testing.assert_allclose(m.predict(data), m.fitted(), rtol=1e-12)


def test_arguments_swapped(sleep):
    with pytest.raises(InvalidArgumentError, match=r"arguments are swapped: lmer\(formula, data\)"):
        mx.lmer(sleep, "Reaction ~ Days + (1 | Subject)")


@pytest.mark.parametrize("column", ["Subject", "Days"])
def test_a_column_in_the_index(sleep, column):
    data = sleep.set_index(column)
    with pytest.raises(InvalidArgumentError, match=r"it is in the index: data.reset_index\(\)"):
        mx.lmer("Reaction ~ Days + (1 | Subject)", data)
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", sleep)
    with pytest.raises(InvalidArgumentError, match=r"it is in the index: data.reset_index\(\)"):
        m.predict(data)


@pytest.mark.parametrize(
    "given",
    [
        lambda d: pd.to_datetime("2024-01-01") + pd.to_timedelta(d["Days"], unit="D"),
        lambda d: d["Days"].astype(str),
        lambda d: d["Days"].astype(str).to_numpy(dtype="U"),
        lambda d: d["Days"].astype("timedelta64[s]"),
    ],
)
@pytest.mark.parametrize("name", ["weights", "offset"])
def test_weights_and_offsets_that_are_no_numbers(sleep, given, name):
    with pytest.raises(InvalidArgumentError, match=f"{name}: the values must be numeric"):
        mx.lmer("Reaction ~ Days + (1 | Subject)", sleep, **{name: given(sleep)})


def test_labels_of_another_kind(sleep):
    m = mx.lmer("Reaction ~ Days + (Days | Subject)", sleep)
    text = sleep.head(3).assign(Subject=sleep["Subject"].astype(str))
    word = "of 'Subject' that the model has not seen would be its own as text: .* type int, not str"
    with pytest.warns(DataWarning, match=word):
        made = m.predict(text, allow_new_levels=True)
    np.testing.assert_allclose(made, m.predict(text, re_form="NA"), rtol=1e-12)
    with pytest.warns(DataWarning, match=word):
        mx.what_if(m, text.head(1), "Subject", [308], n_sims=None)
    with pytest.warns(DataWarning, match=word):
        m.simulate(newdata=text, allow_new_levels=True, rng=1)
    with pytest.warns(DataWarning, match=word), warnings.catch_warnings():
        warnings.simplefilter("ignore", mx.exceptions.ApproximationWarning)
        mx.predict_interval(m, text, n_sims=10, rng=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.predict(text.assign(Subject="x"), allow_new_levels=True)
        m.predict(sleep.head(2).astype({"Subject": float}))


@pytest.mark.filterwarnings("ignore::merextras.exceptions.DataWarning")
def test_verbs_of_a_model_with_dates(sleep, tmp_path):
    """All verbs see days; new values may be dates."""
    data = dates_of(sleep, "datetime64").assign(f=np.where(sleep["Subject"] % 2, "a", "b"))
    formula = "Reaction ~ {} * f + (1 | Subject)"
    m, ref = mx.lmer(formula.format("day"), data), mx.lmer(formula.format("Days"), data)
    streamed = mx.lmer(formula.format("day"), [data])
    means = mx.emmeans(ref, "f").to_frame()["estimate"]
    for made in (m, streamed):
        np.testing.assert_allclose(mx.emmeans(made, "f").to_frame()["estimate"], means, rtol=1e-9)
    moved = mx.what_if(m, data.head(1), changes={"day": [pd.Timestamp("2024-01-05")]}, n_sims=None)
    expected = mx.what_if(ref, data.head(1), changes={"Days": [4]}, n_sims=None)
    np.testing.assert_allclose(moved["fit"], expected["fit"], rtol=1e-9)
    again = pickle.loads(pickle.dumps(m))
    np.testing.assert_allclose(again.predict(data), ref.fitted(), rtol=1e-9)
    products = mx.cross_products(formula.format("day"), [data])
    with pytest.raises(UnsupportedModelError, match=r"predictors \['day'\] are dates; a file"):
        products.save(tmp_path / "sums.npz")

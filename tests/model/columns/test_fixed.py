"""The fixed part: columns from new data, by either engine, before and after pickling."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from lme4_fits import adapted, statsmodels_fit
from properties.compare import close

from merextras.exceptions import InvalidArgumentError, UnsupportedModelError
from merextras.model.columns.array_columns import ColumnsPart
from merextras.model.columns.fixed import FormulaPart, Scope
from merextras.model.formula.names import bare
from merextras.model.formula.translate import names_in, unquoted

FORMULAS = [
    "1",
    "x",
    "0 + x",
    "g",
    "C(g) * x",
    "g:x + h",
    "np.log(x) + I(x**2)",
    "center(x)",
    "Q('my z') + x",
    "C(i)",
]


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "x": rng.uniform(1, 2, 12),
            "g": np.tile(list("abc"), 4),
            "h": pd.Categorical(np.repeat(list("uv"), 6), ["v", "u"]),
            "my z": rng.normal(size=12),
            "i": np.tile([1, 2, 3, 4], 3),
            "unused": "text",
        },
        index=np.arange(12)[::-1],
    )


@pytest.fixture(params=["patsy", "formulaic"])
def engine(request):
    if request.param == "formulaic":
        pytest.importorskip("formulaic")
    return request.param


def part_of(formula, frame, engine, names=None):
    if engine == "formulaic":
        formula = formula.replace("Q('my z')", "`my z`")
    return FormulaPart.from_formula(formula, frame, scope=Scope(names, engine))


@pytest.mark.parametrize("formula", FORMULAS)
def test_rows_of_the_data_come_out_again(frame, engine, formula):
    part = part_of(formula, frame, engine)
    whole = part.matrix(frame)
    assert whole.shape == (12, len(part.names))
    close(part.matrix(frame.iloc[[3]]), whole[[3]], 1e-15)
    close(part.matrix(frame.iloc[::-1]), whole[::-1], 1e-15)
    again = pickle.loads(pickle.dumps(part))
    assert (again.names, again.variables) == (part.names, part.variables)
    close(again.matrix(frame.iloc[[3, 5]]), whole[[3, 5]], 1e-15)
    assert "unused" not in part.variables


@pytest.mark.parametrize("formula", ["C(g) * x", "g", "C(i) + x"])
def test_an_unseen_category(frame, engine, formula):
    part = part_of(formula, frame, engine)
    bad = frame.head(2).assign(g=["a", "z"], i=[1, 9])
    with pytest.raises(InvalidArgumentError, match=r"newdata: .*(z|9)"):
        part.matrix(bad)


def test_an_unseen_category_of_an_expression(frame, engine):
    """formulaic would code it as the reference, with a warning."""
    part = part_of("C(g.str.upper())", frame, engine)
    with pytest.raises(InvalidArgumentError, match="newdata: "):
        part.matrix(frame.head(2).assign(g="z"))


@pytest.mark.parametrize("formula", ["C(g) * x", "g + x", "x", "h + x"])
@pytest.mark.parametrize("missing", [None, np.nan])
def test_missing_values_give_rows_of_nan(frame, engine, formula, missing):
    part = part_of(formula, frame, engine)
    new = frame.head(4).copy()
    new["g"] = new["g"].astype(object)
    new.iloc[1, new.columns.get_loc("x")] = np.nan
    if "g" in formula:
        new.iloc[2, new.columns.get_loc("g")] = missing
    if "h" in formula:
        new["h"] = new["h"].where(np.arange(4) != 2, None)
    made = part.matrix(new)
    bad = [1, 2] if formula != "x" else [1]
    assert np.flatnonzero(np.isnan(made).any(axis=1)).tolist() == bad
    good = np.setdiff1d(range(4), bad)
    close(made[good], part.matrix(frame.head(4))[good], 1e-15)


def test_all_rows_missing(frame):
    part = part_of("C(g) * x", frame, "patsy")
    assert np.isnan(part.matrix(frame.head(2).assign(x=np.nan))).any(axis=1).all()


def test_a_missing_column(frame, engine):
    part = part_of("C(g) * x", frame, engine)
    with pytest.raises(InvalidArgumentError, match=r"newdata: needs the column\(s\) \['x'\]"):
        part.matrix(frame[["g"]])


@pytest.mark.parametrize("text", ["a", "1"])
def test_text_for_a_number(frame, engine, text):
    part = part_of("x + g", frame, engine)
    with pytest.raises(InvalidArgumentError, match=r"newdata: .*x"):
        part.matrix(frame.head(2).assign(x=text))


def test_nullable_numbers(frame):
    part = part_of("x + g", frame, "patsy")
    new = frame.head(2).assign(x=pd.array([1, None], dtype="Int64"))
    made = part.matrix(new)
    assert made[0, part.names.index("x")] == 1
    assert np.isnan(made[1]).all()


def double(x):
    return 2 * x


def test_names_of_the_caller(frame, engine):
    part = part_of("double(x)", frame, engine, {"double": double, "huge": np.zeros(10**6)})
    close(part.matrix(frame)[:, 1], 2 * frame["x"], 1e-15)
    assert len(pickle.dumps(part)) < 20_000
    again = pickle.loads(pickle.dumps(part))
    message = "double.*" if engine == "patsy" else "neither the data nor numpy"
    with pytest.raises(UnsupportedModelError, match=message):
        again.matrix(frame)


def test_columns_in_another_order_after_unpickling(frame):
    part = part_of("C(g) * x", frame, "patsy")
    part._columns = part._columns[::-1]
    again = pickle.loads(pickle.dumps(part))
    with pytest.raises(UnsupportedModelError, match="evaluated again after unpickling, makes colu"):
        again.matrix(frame)


def test_only_its_own_columns_are_kept(frame):
    part = part_of("x", frame, "patsy")
    assert list(part._frame) == ["x"]


@pytest.mark.parametrize("formula", ["x +", "nope", "x y", "f(", "log(x"])
def test_a_formula_that_cannot_be_read(frame, formula):
    with pytest.raises(InvalidArgumentError, match="formula "):
        part_of(formula, frame, "patsy")


# --- Arrays --------------------------------------------------------------------------------------


def test_columns_part():
    part = ColumnsPart(["const", "x"], "const")
    new = pd.DataFrame({"x": [1, 2]})
    np.testing.assert_array_equal(part.matrix(new), [[1, 1], [1, 2]])
    np.testing.assert_array_equal(part.matrix(new.assign(const=0)), [[0, 1], [0, 2]])
    with pytest.raises(InvalidArgumentError, match=r"needs the column\(s\) \['x'\]"):
        part.matrix(new[[]])
    with pytest.raises(InvalidArgumentError, match="column 'x' must be numeric"):
        part.matrix(new.assign(x="a"))


# --- Pieces of code ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("x", {"x"}),
        ("np.log(x + 1)", {"np", "x"}),
        ("Q('a b')", {"Q", "a b"}),
        ("`a b`", {"a b"}),
        ("C(`a b`, contr.sum)", {"C", "a b", "contr"}),
        ("I(x**2)", {"I", "x"}),
        ("class", {"class"}),
    ],
)
def test_names_in(code, names):
    assert names_in(code) == names


@pytest.mark.parametrize(
    ("code", "column"),
    [
        ("x", "x"),
        ("C(x)", "x"),
        ("C( x , Sum)", "x"),
        ("C(Q('a b'), Treatment('u'))", "a b"),
        ('Q("a")', "a"),
        ("C(`a b`)", "a b"),
    ],
)
def test_bare(code, column):
    assert bare(code) == column


def test_unquoted():
    assert unquoted("Q(\"class\")[T.b]:Q('a b')") == "class[T.b]:a b"


# --- Through the adapter -------------------------------------------------------------------------


def shifted(x):
    return x - 3


@pytest.mark.parametrize(
    "formula",
    ["bs(Days, df=4)", "center(Days)", "standardize(Days)", "np.log(Days + 1)", "C(Days % 2)"],
)
def test_transforms_with_a_memory_survive_pickling(sleep, formula):
    m = adapted(statsmodels_fit(f"Reaction ~ {formula}", sleep, groups="Subject"))
    again = pickle.loads(pickle.dumps(m))
    few = sleep.iloc[[4, 9, 17]]
    close(m.predict(few), m.fitted().iloc[[4, 9, 17]], 1e-12)
    close(again.predict(few), m.predict(few), 1e-14)


def test_a_memory_of_the_rows_that_were_kept(sleep):
    data = sleep.assign(Days=sleep["Days"] ** 2.0)
    data.loc[[3, 50, 51], "Reaction"] = np.nan
    results = statsmodels_fit("Reaction ~ center(Days)", data, groups="Subject", missing="drop")
    m = adapted(results)
    close(m.predict(data.dropna()), m.fitted(), 1e-13)
    close(pickle.loads(pickle.dumps(m)).predict(data.dropna()), m.fitted(), 1e-13)


def test_a_function_of_the_users(sleep):
    m = adapted(statsmodels_fit("Reaction ~ Days", sleep, groups="Subject"))
    close(m.predict(sleep), m.fitted(), 1e-14)
    assert shifted(4) == 1

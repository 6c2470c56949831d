"""Code whose value in a row depends on other rows: refused in parts, remembered for new data."""

from __future__ import annotations

import pickle
import warnings

import formula_models as fm
import numpy as np
import pandas as pd
import pytest
import statsmodels as sm
import statsmodels.formula.api as smf
import tolerances as tol
from formula_models import LIMIT, half, z_score

import merextras as mx
from merextras.exceptions import (
    ApproximationWarning,
    ConvergenceWarning,
    InvalidArgumentError,
    UnsupportedModelError,
)
from merextras.model.evaluation.whole_column import not_by_row

#: Code of one number a row that looks at others.
WHOLE = [
    "I(z - z.mean())",
    "I(z - np.mean(z))",
    "I(z / z.max())",
    "I(z / np.sum(np.abs(z)))",
    "I((z - z.min()) / (z.max() - z.min()))",
    "I(z - max(z))",
    "z.rank()",
    "z.cumsum()",
    "np.cumsum(z)",
    "I(z.clip(upper=z.quantile(0.95)))",
    "np.clip(z, None, np.quantile(z, 0.9))",
    "np.where(z > z.median(), 1.0, 0.0)",
    "I(z.diff().fillna(0))",
    "z_score(z)",
    "np.argsort(z)",
    "np.arange(len(z))",
    "I(0 * z + z.index)",
    "I(z - z.groupby(Subject).transform('mean'))",
    "Subject.map(Subject.value_counts())",
    "I(center(z) * z.std())",
]
#: Code of categories that looks at others.
WHOLE_CATEGORIES = ["C(pd.qcut(z, 3))", "C(pd.cut(z, 3))", "C(z > z.mean())", "pd.qcut(z, 3)"]
#: Code that looks at one row alone, or remembers the rows of the fit.
BY_ROW = [
    "z",
    "np.log1p(Days)",
    "I(Days**2)",
    "I(z * LIMIT)",
    "I(np.minimum(z, 4))",
    "np.where(z > 3, 1.0, 0.0)",
    "np.clip(z, -5, 5)",
    "I(z.astype(float))",
    "half(z)",
    "center(z)",
    "standardize(z)",
    "scale(z)",
    "center(z):Days",
    "bs(z, df=4)",
    "cr(z, df=4)",
    "poly(z, 3)",
    "C(pd.cut(z, [-20, -3, 3, 20]))",
    "C(z > 0)",
    "C(Days)",
]


@pytest.fixture(scope="module")
def data():
    return fm.sleep_data()


def fixed(code):
    return f"Reaction ~ {code} + (1 | Subject)"


def places(code):
    """The code left of the bars, in one, as offset and as response."""
    return [
        fixed(code),
        f"Reaction ~ Days + (0 + {code} | Subject)",
        f"Reaction ~ Days + offset({code}) + (1 | Subject)",
        f"{code} ~ Days + (1 | Subject)",
    ]


def quietly(way, formula, data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fm.fit(way, formula, data)


@pytest.mark.parametrize("code", WHOLE)
def test_chunks_and_sites_refuse(code, data):
    few = data.head(24)
    for formula in places(code):
        for size in (20, 7, 1):
            with pytest.raises(UnsupportedModelError, match=r"looks at the whole column, of which"):
                mx.lmer(formula, few, chunk_size=size)
        with pytest.raises(UnsupportedModelError, match=r"write center\(x\), standardize\(x\)"):
            mx.cross_products(formula, data[data["Subject"] < 340])


@pytest.mark.parametrize("code", WHOLE_CATEGORIES)
def test_chunks_refuse_categories(code, data):
    for formula in places(code)[:2]:
        with pytest.raises(UnsupportedModelError, match=r"looks at the whole column, of which"):
            mx.lmer(formula, data, chunk_size=120)


@pytest.mark.parametrize("way", ["patsy", "formulaic"])
@pytest.mark.parametrize("code", [*WHOLE, *WHOLE_CATEGORIES])
def test_new_data_are_refused_and_the_own_rows_are_not(way, code, data):
    for formula in places(code)[: 3 if code in WHOLE else 2]:
        m = quietly(way, formula, data)
        for rows in (data.head(3), data.tail(100)):
            with pytest.raises(
                UnsupportedModelError, match="so that it has no value in other rows"
            ):
                m.predict(rows)
    m = quietly(way, fixed(code), data)
    np.testing.assert_allclose(m.predict(data), m.fitted(), rtol=tol.INVARIANCE)


def test_it_is_fitted_in_memory_as_the_column_is(data):
    m = mx.lmer("Reaction ~ I(Days - Days.mean()) + (1 | Subject)", data)
    same = mx.lmer("Reaction ~ centred + (1 | Subject)", data.assign(centred=data.Days - 4.5))
    np.testing.assert_allclose(m.fixef(), same.fixef(), rtol=tol.INVARIANCE)


def test_marginal_slopes_are_refused(data):
    """They would be zero, with a standard error of zero."""
    m = mx.lmer("Reaction ~ I(z - z.mean()) + (1 | Subject)", data)
    with pytest.raises(UnsupportedModelError, match=r"'I\(z - z.mean\(\)\)' looks at the whole"):
        mx.emtrends(m, None, "z")
    right = mx.lmer("Reaction ~ center(z) + (1 | Subject)", data)
    trend = mx.emtrends(right, None, "z").to_frame()
    assert trend["estimate"].iloc[0] == pytest.approx(right.fixef()["center(z)"], rel=1e-6)


@pytest.mark.parametrize("way", fm.WAYS)
@pytest.mark.parametrize("code", BY_ROW)
def test_what_looks_at_one_row_is_taken_everywhere(way, code, data):
    m = quietly(way, fixed(code), data)
    whole = quietly("patsy", fixed(code), data)
    assert m.reml_crit() == pytest.approx(whole.reml_crit(), rel=1e-9)
    rows = data.iloc[[17, 3, 120]]
    np.testing.assert_allclose(m.predict(rows), whole.fitted()[[17, 3, 120]], rtol=1e-8)


@pytest.mark.parametrize("way", ["patsy", "chunks"])
def test_what_transforms_take_from_the_data_besides(way, data):
    """Knots from a quantile are remembered with all rows, and differ by chunk."""
    formula = "Reaction ~ bs(z, knots=[z.median()]) + (1 | Subject)"
    if way == "chunks":
        with pytest.raises(UnsupportedModelError, match="looks at the whole column"):
            fm.fit(way, formula, data)
    else:
        m = fm.fit(way, formula, data)
        np.testing.assert_allclose(m.predict(data.head(5)), m.fitted()[:5])


def test_code_of_the_callers_columns(data):
    """As many rows as the data, and so none for others."""
    other = np.linspace(0.0, 1.0, len(data))
    m = mx.lmer("Reaction ~ I(z * other) + (1 | Subject)", data)
    with pytest.raises(UnsupportedModelError, match=r"'I\(z \* other\)' looks at the whole column"):
        m.predict(data.head(3))
    with pytest.raises(UnsupportedModelError, match="looks at the whole column"):
        mx.lmer("Reaction ~ I(z * other) + (1 | Subject)", data, chunk_size=60)
    assert len(other) == len(data)


@pytest.mark.parametrize("size", [50, 180])
def test_an_unknown_name_is_no_such_code(size, data):
    with pytest.raises(InvalidArgumentError, match="'nothing' is not defined"):
        mx.lmer("Reaction ~ nothing(z) + (1 | Subject)", data, chunk_size=size)


def test_it_is_remembered_by_a_pickle(data):
    m = pickle.loads(pickle.dumps(mx.lmer("Reaction ~ I(z - z.mean()) + (1 | Subject)", data)))
    with pytest.raises(UnsupportedModelError, match="looks at the whole column"):
        m.predict(data.head(3))


def statsmodels_version() -> tuple[int, int]:
    major, minor = sm.__version__.split(".")[:2]
    return int(major), int(minor)


@pytest.mark.parametrize("code", ["I(z - z.mean())", "zscored(z)", "C(pd.qcut(z, 3))"])
def test_fits_of_statsmodels(code, data):
    zscored = z_score
    assert zscored is z_score
    if "zscored" in code and statsmodels_version() < (0, 15):
        pytest.skip("mixedlm of statsmodels before 0.15 does not see its caller's functions")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = smf.mixedlm(f"Reaction ~ {code}", data, groups="Subject").fit()
        m = mx.MerMod(fit)
    np.testing.assert_allclose(m.predict(data), m.fitted(), rtol=tol.INVARIANCE)
    with pytest.raises(UnsupportedModelError, match="looks at the whole column"):
        m.predict(data.head(3))


@pytest.mark.filterwarnings("ignore::statsmodels.tools.sm_exceptions.ConvergenceWarning")
def test_statsmodels_reads_a_power_as_bits(data):
    fit = smf.mixedlm("Reaction ~ Days + I(Days^2)", data, groups="Subject").fit()
    with pytest.warns(ApproximationWarning, match="exclusive or of bits"):
        mx.MerMod(fit)
    flags = data.assign(a=data["Days"] > 3, b=data["z"] > 0)
    fit = smf.mixedlm("Reaction ~ Days + I(a ^ b)", flags, groups="Subject").fit()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        mx.MerMod(fit)


def test_a_few_rows_are_looked_at_whatever_their_number():
    rows = []

    def counted(values):
        rows.append(len(values))
        return np.asarray(values) * 2.0

    rng = np.random.default_rng(0)
    n = 20_000
    data = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, 50, n)})
    data["y"] = data["x"] + rng.normal(size=50)[data["g"]] + rng.normal(size=n)
    m = mx.lmer("y ~ counted(x) + (1 | g)", data)
    rows.clear()
    m.predict(data.head(2))
    m.predict(data.head(2))
    assert max(rows) <= 500
    assert sum(rows) < 5_000


def test_what_is_known_by_reading():
    names = {"np": np, "pd": pd, "LIMIT": LIMIT, "half": half, "array": np.ones(3)}
    known = ["a", "a + b", "I(a ** LIMIT)", "np.log(a / b)", "C(a, Treatment('u'))", "-a > 3"]
    known += ["center(a) * b", "bs(a, df=4)", "log(a)", "np.where(a > 1, a, b)", 'Q("a  b")']
    assert not_by_row(known, ["a", "b", "a  b"], {**names, "log": mx_log()})
    assert not_by_row(known[:-3], ["a", "b", "a  b"], names) == []
    unknown = ["a.rank()", "half(a)", "I(a * array)", "np.mean(a)", "np.add.accumulate(a)", "a[0]"]
    assert not_by_row(unknown, ["a", "b"], names) == unknown


def mx_log():
    return np.cumsum


@pytest.mark.parametrize("partitions", [2, 60])
def test_dask_refuses_and_takes(partitions, data):
    dd = pytest.importorskip("dask.dataframe")
    import dask

    source = dd.from_pandas(data, npartitions=partitions)
    with dask.config.set(scheduler="synchronous"):
        for code in ("I(z - z.mean())", "z.rank()", "C(pd.qcut(z, 3))"):
            with pytest.raises(UnsupportedModelError, match="looks at the whole column"):
                fm.lmer(fixed(code), source)
        m = mx.lmer(fixed("I(z.astype(float))"), source)
    same = mx.lmer(fixed("z"), data)
    np.testing.assert_allclose(m.fixef(), same.fixef(), rtol=1e-8)


def test_code_that_chunks_can_not_read_is_said(data):
    control = mx.LmerControl(formula_engine="formulaic")
    formula = "Reaction ~ z.map(lambda v: 2 * v) + (1 | Subject)"
    with pytest.raises(InvalidArgumentError, match="Lambda, .* not currently supported"):
        mx.lmer(formula, data, chunk_size=50, control=control)

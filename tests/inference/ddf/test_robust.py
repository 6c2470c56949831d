"""Cluster-robust covariances: against a dense version, R's, and by hand."""

from __future__ import annotations

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from emmeans_models import data_of
from oracle.dense import dense_lambda, dense_z
from oracle.robust import dense_df, dense_robust, dense_test
from scipy import stats
from tolerances import ROBUST, ROBUST_DENSE

import merextras as mx
from merextras.exceptions import InvalidArgumentError, NoRowsError, SingularFitWarning

EXPECTED = json.loads(
    (Path(__file__).resolve().parents[2] / "reference" / "robust" / "expected.json").read_text()
)["models"]
KINDS = ("CR0", "CR1", "CR2")


def frame_of(seed, groups=9, classes=3, n=7):
    """Pupils in classes in schools, of different sizes, with weights and frequencies."""
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(groups), classes * n)
    room = np.repeat(np.arange(groups * classes), n)
    frame = pd.DataFrame({"school": school, "room": room})
    frame["x"] = rng.normal(size=len(frame)) + school / 4.0
    frame["arm"] = np.array(list("pqr"))[school % 3]
    frame["y"] = (
        rng.normal(size=groups)[school]
        + rng.normal(size=groups * classes)[room]
        + 0.5 * rng.normal(size=groups)[school] * frame["x"]
        + rng.normal(size=len(frame))
    )
    frame["w"] = rng.uniform(0.5, 2.0, len(frame))
    frame["w_school"] = rng.uniform(0.5, 2.0, groups)[school]
    frame["f"] = rng.integers(1, 4, len(frame))
    return frame[rng.uniform(size=len(frame)) < 0.8].reset_index(drop=True)


CASES = {
    "intercept": ("y ~ x + (1 | school)", {}, None),
    "slope": ("y ~ x * arm + (x | school)", {}, None),
    "nested": ("y ~ x + arm + (1 | school / room)", {}, None),
    "coarser": ("y ~ x + (1 | room)", {}, "school"),
    "weights": ("y ~ x * arm + (x | school)", {"weights": "w"}, None),
    "weights_by_cluster": ("y ~ x + (1 | school)", {"weights": "w_school"}, None),
    "frequencies": ("y ~ x + arm + (1 | school / room)", {"freq_weights": "f"}, None),
    "both": ("y ~ x + (1 | school)", {"weights": "w", "freq_weights": "f"}, None),
    "ml": ("y ~ x * arm + (x | school)", {"reml": False}, None),
}


def fitted(name, seed=1, **more):
    formula, options, cluster = CASES[name]
    frame = frame_of(seed, **more)
    options = {k: frame[v] if isinstance(v, str) else v for k, v in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SingularFitWarning)
        return (
            mx.lmer(formula, frame, **options),
            None if cluster is None else frame[cluster],
            frame,
        )


def dense_of(m, clusters):
    """X, y and the covariance of all rows, each as often as its frequency."""
    design = m.design
    repeat = np.arange(design.n)
    if design.frequencies is not None:
        repeat = np.repeat(repeat, design.frequencies.astype(int))
    terms = [t.rows for t in design.terms]
    z = dense_z(terms) @ dense_lambda(terms, m.solution.lams)
    weights = np.ones(design.n) if design.weights is None else design.weights
    phi = (z @ z.T)[np.ix_(repeat, repeat)] + np.diag(1.0 / weights[repeat])
    return design.x[repeat], design.y[repeat], m.sigma() ** 2 * phi, np.asarray(clusters)[repeat]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(CASES))
def test_against_the_dense_formulas(name, kind):
    m, cluster, frame = fitted(name)
    x, y, phi, clusters = dense_of(m, frame["school"])
    wanted, functions = dense_robust(x, y, phi, clusters, kind)
    found = m.vcov(kind=kind, cluster=cluster)
    size = np.sqrt(np.diag(wanted))
    assert np.max(np.abs(found - wanted) / np.outer(size, size)) < ROBUST_DENSE
    options = {"ddf": kind, "cluster": cluster}
    each = mx.contest(m, np.eye(len(size)), joint=False, **options)
    df = [dense_df(functions, phi, row) for row in np.eye(len(size))]
    np.testing.assert_allclose(each["df"], df, rtol=ROBUST_DENSE)
    np.testing.assert_allclose(each["std_error"], size, rtol=ROBUST_DENSE)
    rows = np.eye(len(size))[:2]
    f, q, den_df = dense_test(functions, phi, wanted, rows, m.fixef().to_numpy())
    joint = mx.contest(m, rows, **options).iloc[0]
    assert joint["statistic"] == pytest.approx(f, rel=ROBUST_DENSE)
    assert joint["num_df"] == q
    assert joint["den_df"] == pytest.approx(den_df, rel=ROBUST_DENSE)
    assert joint["p_value"] == pytest.approx(stats.f.sf(f, q, den_df), rel=1e-5)


MODELS = {
    "slopes": ("thinned", "Reaction ~ Days + (Days | Subject)"),
    "factors": ("thinned", "Reaction ~ phase * grp + (1 | Subject)"),
    "nested": ("pastes", "strength ~ cask + (1 | batch / cask)"),
    "schools": ("students", "extro ~ agree + open * Q('class') + (1 | school)"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", list(MODELS))
def test_as_r(name, kind):
    data, formula = MODELS[name]
    m, wanted = mx.lmer(formula, data_of(data)), EXPECTED[name]
    theirs = [c.replace("(Intercept)", "Intercept") for c in wanted["columns"]]
    ours = [plain(n) for n in m.fixef().index]
    turned = [n if n in ours else ":".join(n.split(":")[::-1]) for n in theirs]
    order = [ours.index(n) for n in turned]
    covariance = m.vcov(kind=kind).to_numpy()[np.ix_(order, order)]
    expected = np.array(wanted["types"][kind]["vcov"])
    size = np.sqrt(np.diag(expected))
    assert np.max(np.abs(covariance - expected) / np.outer(size, size)) < ROBUST
    found = m.summary(ddf=kind).coefficients.iloc[order]
    np.testing.assert_allclose(found["df"], wanted["types"][kind]["df"], rtol=ROBUST)
    rows = np.zeros((len(wanted["L"]), len(order)))
    rows[:, order] = wanted["L"]
    joint = mx.contest(m, rows, ddf=kind).iloc[0]
    assert joint["statistic"] == pytest.approx(wanted["types"][kind]["F"], rel=ROBUST)
    assert joint["den_df"] == pytest.approx(wanted["types"][kind]["den_df"], rel=ROBUST)


def plain(name):
    return name.replace("[T.", "").replace("]", "")


def test_unbiased_under_the_model():
    """CR2's expectation is the model's own covariance: what makes the weights what they are."""
    m, _, frame = fitted("slope")
    x, _, phi, clusters = dense_of(m, frame["school"])
    _, functions = dense_robust(x, m.design.y, phi, clusters, "CR2")
    mean = sum(f.T @ phi @ f for f in functions)
    np.testing.assert_allclose(mean, m.vcov(), rtol=1e-6, atol=1e-9)


def test_balanced_intercept_by_hand():
    """The mean of m equal groups: CR2 is the variance of their means over m, df m - 1."""
    frame = mx.load_dataset("dyestuff")
    m = mx.lmer("Yield ~ 1 + (1 | Batch)", frame)
    means = frame.groupby("Batch")["Yield"].mean()
    found = m.summary(ddf="CR2").coefficients.iloc[0]
    assert found["std_error"] == pytest.approx(means.std(ddof=1) / np.sqrt(6), rel=1e-9)
    assert found["df"] == pytest.approx(5.0, rel=1e-9)
    plain_one = m.vcov(kind="CR0").iloc[0, 0]
    assert plain_one == pytest.approx(means.var(ddof=0) / 6, rel=1e-9)
    assert m.vcov(kind="CR1").iloc[0, 0] == pytest.approx(means.var(ddof=1) / 6, rel=1e-9)


def test_an_effect_of_one_cluster_alone():
    """Its residuals are zero: the adjustment leaves that direction out."""
    frame = frame_of(3).assign(one=lambda d: (d["school"] == 2).astype(float))
    m = mx.lmer("y ~ x + one + (1 | school)", frame)
    x, y, phi, clusters = dense_of(m, frame["school"])
    wanted, _ = dense_robust(x, y, phi, clusters, "CR2")
    np.testing.assert_allclose(m.vcov(kind="CR2"), wanted, atol=1e-7 * np.max(wanted))


def test_through_means_and_tests():
    m, _, _ = fitted("slope")
    means = mx.emmeans(m, "arm", ddf="CR2")
    table = means.to_frame()
    weights = mx.contest(m, "arm[p] = arm[q]", ddf="cr2").iloc[0]
    pair = means.contrasts(adjust="none").to_frame().iloc[0]
    for column in ("estimate", "std_error", "df", "p_value"):
        assert weights[column] == pytest.approx(pair[column], rel=1e-7)
    assert np.all(table["df"] < 9)
    assert "CR2 standard errors, 9 clusters by school" in repr(means)
    joint = mx.joint_tests(m, ddf="CR2").set_index("term")
    wanted = mx.contest(m, "arm[p] = arm[q] = arm[r]", ddf="CR2").iloc[0]
    assert joint.loc["arm", "statistic"] == pytest.approx(wanted["statistic"], rel=1e-7)
    slopes = mx.emtrends(m, "arm", "x", ddf="CR2", cluster="school").to_frame()
    assert np.all(slopes["df"] < 9)
    ls = mx.ls_means(m, ddf="CR1").set_index("level")
    np.testing.assert_allclose(ls["estimate"], table["estimate"], rtol=1e-8)
    tested = m.anova(ddf="CR2", type="marginal", cluster="school")
    assert tested.loc["x", "den_df"] == pytest.approx(
        m.summary(ddf="CR2").coefficients.loc["x", "df"], rel=1e-9
    )
    dropped = m.drop1(ddf="CR2")
    assert dropped.index.tolist() == ["x:arm"]
    tidy = mx.tidy(m, ddf="CR2").set_index("term").loc["x"]
    assert tidy["std_error"] == pytest.approx(np.sqrt(m.vcov(kind="CR2").loc["x", "x"]))


@pytest.mark.usefixtures("figures_unseen")
def test_through_tables_and_intervals(tmp_path):
    m, _, _ = fitted("slope")
    own = m.summary(ddf="CR2", cluster="school").coefficients
    half = stats.t.isf(0.025, own["df"]) * own["std_error"]
    ends = np.column_stack([own["estimate"] - half, own["estimate"] + half])
    found = m.confint(method="wald", parm="beta_", ddf="CR2", cluster="school")
    np.testing.assert_allclose(found, ends, rtol=1e-10)
    tidy = mx.tidy(m, "fixed", ci="wald", ddf="CR2", cluster="school")
    np.testing.assert_allclose(tidy[["conf_low", "conf_high"]], ends, rtol=1e-10)
    # Without stars, too: standard errors are in the table all the same.
    table = mx.compare_table(m, ddf="CR2", digits=9)
    shown = [float(text.strip("()")) for text in table.to_frame().iloc[1 : 2 * len(own) : 2, 0]]
    np.testing.assert_allclose(shown, own["std_error"], atol=1e-9)
    assert "Standard errors in parentheses, CR2." in repr(table)
    other = mx.compare_table(m, stars=True, ddf="CR1", cluster="school")
    assert "Standard errors in parentheses, CR1 by school." in repr(other)
    columns = mx.for_summary_col(m, ddf="CR2", cluster="school")
    np.testing.assert_allclose(columns.bse, own["std_error"], rtol=1e-10)
    path = mx.report(m, tmp_path / "report.html", ddf="CR2", cluster="school")
    text = path.read_text("utf-8")
    assert f"{own['df'].iloc[0]:.4g}"[:4] in text
    assert "CR2" in text


def test_intervals_by_the_degrees_of_freedom():
    m, _, _ = fitted("slope")
    for ddf in ("satterthwaite", "kenward-roger"):
        own = m.summary(ddf=ddf).coefficients
        half = stats.t.isf(0.05, own["df"]) * own["std_error"]
        found = m.confint(method="wald", level=0.9, ddf=ddf).iloc[-len(own) :]
        np.testing.assert_allclose(found["conf_high"], own["estimate"] + half, rtol=1e-10)
    plain = m.confint(method="wald", parm="beta_")
    half = stats.norm.isf(0.025) * np.sqrt(np.diag(m.vcov()))
    np.testing.assert_allclose(plain["conf_high"] - m.fixef(), half, rtol=1e-10)


def test_a_cluster_without_a_robust_method_is_refused(tmp_path):
    m, _, frame = fitted("slope")
    for ask in (
        lambda: mx.tidy(m, cluster="school"),
        lambda: mx.compare_table(m, cluster="school"),
        lambda: mx.for_summary_col(m, cluster="school"),
        lambda: m.confint(method="wald", cluster="school"),
        lambda: mx.report(m, tmp_path / "report.html", cluster="school"),
    ):
        with pytest.raises(InvalidArgumentError, match="'CR0', 'CR1' or 'CR2'"):
            ask()
    with pytest.raises(InvalidArgumentError, match="are for method='wald'; method='profile'"):
        m.confint(ddf="CR2")
    with pytest.raises(InvalidArgumentError, match="the name of a factor or column"):
        mx.report(m, tmp_path / "r.html", ddf="CR2", cluster=frame["school"].to_numpy())
    with pytest.raises(InvalidArgumentError, match="'scool' is not a column"):
        mx.report(m, tmp_path / "r.html", ddf="CR2", cluster="scool")


def test_a_cluster_is_matched_by_its_index():
    m, _, frame = fitted("slope")
    shuffled = frame["school"].sample(frac=1.0, random_state=1)
    found = m.vcov(kind="CR2", cluster=shuffled)
    np.testing.assert_array_equal(found, m.vcov(kind="CR2", cluster="school"))
    with pytest.raises(InvalidArgumentError, match="cluster: the Series has another index"):
        m.vcov(kind="CR2", cluster=frame["school"].set_axis(frame.index + 10_000))


def test_the_summary():
    m, _, _ = fitted("slope")
    found = m.summary(ddf="CR2")
    covariance = m.vcov(kind="CR2").to_numpy()
    size = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(found.coefficients["std_error"], size, rtol=1e-10)
    np.testing.assert_allclose(found.correlation, covariance / np.outer(size, size), rtol=1e-8)
    assert "t-tests use CR2 standard errors, 9 clusters by school" in repr(found)


def test_clusters_by_name_column_and_values():
    m, _, frame = fitted("coarser")
    with_column = mx.lmer("y ~ x + school + (1 | room)", frame)
    assert with_column.vcov(kind="CR2", cluster="school").shape == (3, 3)
    found = m.vcov(kind="CR2", cluster=frame["school"])
    labels = np.array(list("abcdefghi"))[frame["school"]]
    np.testing.assert_allclose(m.vcov(kind="CR2", cluster=labels), found, rtol=1e-10)
    finer = m.vcov(kind="CR2")
    assert not np.allclose(finer, found, rtol=1e-3)
    assert mx.contest(m, {"x": 1}, ddf="CR2", cluster=labels)["df"].iloc[0] < 9


def test_rows_of_weight_zero_are_none():
    frame = frame_of(5)
    kept = frame.assign(w=np.where(np.arange(len(frame)) % 5 == 0, 0.0, 1.0))
    a = mx.lmer("y ~ x + (1 | school)", kept, weights="w")
    b = mx.lmer("y ~ x + (1 | school)", frame[kept["w"] > 0])
    np.testing.assert_allclose(a.vcov(kind="CR2"), b.vcov(kind="CR2"), rtol=1e-5)


def test_far_from_zero():
    frame = frame_of(2)
    near = mx.lmer("y ~ x + (x | school)", frame)
    far = mx.lmer("y ~ x + (x | school)", frame.assign(x=frame["x"] + 1e6))
    a, b = near.vcov(kind="CR2").loc["x", "x"], far.vcov(kind="CR2").loc["x", "x"]
    assert b == pytest.approx(a, rel=1e-5)
    dfs = [mx.contest(m, {"x": 1}, ddf="CR2")["df"].iloc[0] for m in (near, far)]
    assert dfs[1] == pytest.approx(dfs[0], rel=1e-5)


def test_means_are_kept_without_the_model():
    means = mx.emmeans(fitted("slope")[0], "arm", ddf="CR2")
    again = pickle.loads(pickle.dumps(means))
    pd.testing.assert_frame_equal(again.to_frame(), means.to_frame())
    with pytest.raises(ValueError, match="read-only"):
        means.uncertainty.degrees.own[0] = 0.0


def test_refused():
    m, _, frame = fitted("slope")
    crossed = mx.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", mx.load_dataset("penicillin"))
    with pytest.raises(InvalidArgumentError, match="plate and sample are crossed, none is nested"):
        crossed.vcov(kind="CR2")
    with pytest.raises(InvalidArgumentError, match="levels of the random effects of 'sample' are"):
        crossed.summary(ddf="CR2", cluster="plate")
    with pytest.raises(InvalidArgumentError, match="kind='CR9': allowed: 'model', 'CR0'"):
        m.vcov(kind="CR9")
    with pytest.raises(InvalidArgumentError, match="cluster: is for kind='CR0', 'CR1' or 'CR2'"):
        m.vcov(cluster="school")
    with pytest.raises(InvalidArgumentError, match="cluster: is for ddf='CR0', 'CR1' or 'CR2'"):
        m.summary(cluster="school")
    with pytest.raises(InvalidArgumentError, match="not for ddf='satterthwaite'"):
        mx.contest(m, {"x": 1}, cluster="school")
    with pytest.raises(InvalidArgumentError, match="'skool' is not a column of the data; did you"):
        m.vcov(kind="CR0", cluster="skool")
    with pytest.raises(InvalidArgumentError, match=r"expected a name or \d+ values"):
        m.vcov(kind="CR0", cluster=[1, 2, 3])
    missing = frame["school"].astype(float).where(np.arange(len(frame)) > 0)
    with pytest.raises(InvalidArgumentError, match="cluster='school': there are missing values"):
        m.vcov(kind="CR0", cluster=missing)
    with pytest.raises(InvalidArgumentError, match="a robust variance needs several clusters"):
        m.vcov(kind="CR0", cluster=np.zeros(len(frame)))
    with pytest.raises(InvalidArgumentError, match="9 clusters are too few for one test of 6"):
        mx.contest(m, np.eye(6), ddf="CR2")
    with pytest.raises(InvalidArgumentError, match="ddf='cr3': allowed: 'satterthwaite'"):
        mx.contest(m, {"x": 1}, ddf="CR3")


def test_without_rows():
    frame = frame_of(1)
    streamed = mx.lmer("y ~ x + (1 | school)", lambda: iter([frame.iloc[:80], frame.iloc[80:]]))
    with pytest.raises(NoRowsError, match="CR2"):
        streamed.vcov(kind="CR2")

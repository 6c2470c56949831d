"""Models side by side, ours and statsmodels' way."""

from __future__ import annotations

import pickle
import warnings

import pytest
import statsmodels.formula.api as smf
from statsmodels.iolib.summary2 import summary_col

import merextras as mx
from merextras.datasets import load_dataset
from merextras.exceptions import (
    InvalidArgumentError,
    RefitWarning,
    UnsupportedModelError,
)

SLEEP = load_dataset("sleepstudy")


@pytest.fixture(scope="module")
def models():
    a = mx.lmer("Reaction ~ Days + (1 | Subject)", SLEEP)
    b = mx.lmer("Reaction ~ Days + (Days | Subject)", SLEEP, reml=False)
    return smf.ols("Reaction ~ Days", SLEEP).fit(), a, b


def test_cells(models):
    ols, a, b = models
    table = mx.compare_table(ols, a, b, names=["ols", "a", "b"], digits=2)
    frame = table.to_frame()
    assert list(frame.columns) == ["ols", "a", "b"]
    assert frame.loc["Intercept"].tolist() == ["251.41", "251.41", "251.41"]
    assert frame.index[:4].tolist() == ["Intercept", "", "Days", ""]
    se = [ols.bse["Days"], *(m.vcov().loc["Days", "Days"] ** 0.5 for m in (a, b))]
    assert frame.iloc[3].tolist() == [f"({v:.2f})" for v in se]
    assert frame.index[4:8].tolist() == [
        "sd Intercept (Subject)", "cor Intercept.Days (Subject)", "sd Days (Subject)", "sigma",
    ]  # fmt: skip
    assert frame.loc["sd Days (Subject)"].tolist() == ["", "", f"{5.7168:.2f}"]
    assert frame.loc["sigma"].tolist()[0] == f"{ols.scale**0.5:.2f}"
    assert frame.loc["observations"].tolist() == ["180"] * 3
    assert frame.loc["levels: Subject"].tolist() == ["", "18", "18"]
    assert frame.loc["fit by"].tolist() == ["OLS", "REML", "ML"]
    assert frame.loc["AIC"].tolist() == [f"{v:.2f}" for v in (ols.aic, a.aic(), b.aic())]
    assert frame.loc["R²"].tolist() == [f"{ols.rsquared:.2f}", "", ""]
    assert frame.loc["R² marginal"].tolist()[1] == "0.28"
    without = mx.compare_table(a, r_squared=False)
    assert "R² marginal" not in without.frame.index
    assert list(without.frame.columns) == ["(1) Reaction"]


def test_a_model_without_rows():
    m = mx.lmer("Reaction ~ Days + (1 | Subject)", SLEEP.assign(w=1.0), weights="w", chunk_size=50)
    frame = mx.compare_table(m).to_frame()
    assert "R² marginal" not in frame.index
    whole = mx.compare_table(mx.lmer("Reaction ~ Days + (1 | Subject)", SLEEP), r_squared=False)
    assert frame.to_dict() == whole.to_frame().to_dict()


def test_stars(models):
    _, a, b = models
    table = mx.compare_table(a, b, stars=True, ddf="asymptotic")
    assert table.frame.loc["Days"].tolist() == ["10.467***", "10.467***"]
    assert table.notes[-1] == "* p < 0.05, ** p < 0.01, *** p < 0.001."
    own = mx.compare_table(a, stars={"+": 0.5})
    assert own.frame.loc["Days"].tolist() == ["10.467+"]
    assert own.notes[-1] == "+ p < 0.5."
    assert "p <" not in mx.compare_table(a).to_text()


def test_order_drop_and_labels(models):
    a = models[1]
    table = mx.compare_table(a, order=["Days"], drop=["Intercept"], labels={"Days": "days awake"})
    assert table.frame.index[:2].tolist() == ["days awake", ""]
    table = mx.compare_table(a, order=["Days"])
    assert table.frame.index[:3].tolist() == ["Days", "", "Intercept"]


def test_kenward_roger_of_ml_is_the_refit_throughout(models):
    b = models[2]
    with pytest.warns(RefitWarning):
        found = mx.compare_table(b, ddf="kenward-roger").to_frame()
    reml = mx.lmer("Reaction ~ Days + (Days | Subject)", SLEEP)
    wanted = mx.compare_table(reml, ddf="kenward-roger").to_frame()
    assert found.to_dict() == wanted.to_dict()


def test_formats(models):
    table = mx.compare_table(*models[1:], names=["a_1", "50 %"], stars=True)
    latex = table.to_latex(notes=False)
    assert latex.startswith("\\begin{tabular}{lrr}\n\\toprule\n & a\\_1 & 50 \\% \\\\")
    assert latex.count("\\midrule") == 3
    markdown = table.to_markdown().splitlines()
    assert markdown[0] == "| | a_1 | 50 % |"
    assert markdown[2] == "| Intercept | 251.405\\*\\*\\* | 251.405\\*\\*\\* |"
    assert {line.count("|") for line in markdown[:10]} == {4}
    html = table._repr_html_()
    assert html.startswith("<table")
    assert "Standard errors in parentheses." in html
    text = repr(table).splitlines()
    assert text[1] == "-" * len(text[1])
    assert repr(pickle.loads(pickle.dumps(table))) == repr(table)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": ["a", "b"]}, r"names=\['a', 'b'\]: expected 1 different names"),
        ({"drop": ["day"]}, "drop: 'day' is no fixed effect of these models; there are"),
        ({"order": ["day"]}, "order: 'day'"),
        ({"labels": {"day": "x"}}, "labels: 'day'"),
        ({"stars": {"*": 5}}, "stars=.*levels are numbers between 0 and 1"),
        ({"ddf": "kw"}, "ddf='kw'"),
    ],
)
def test_refused(models, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        mx.compare_table(models[1], **options)


def test_refused_models():
    with pytest.raises(InvalidArgumentError, match="give at least one model"):
        mx.compare_table()
    with pytest.raises(UnsupportedModelError, match="GLM"):
        mx.compare_table(smf.glm("Reaction ~ Days", SLEEP).fit())


def test_in_summary_col(models):
    ols, a, b = models
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of pandas, in statsmodels
        table = summary_col(
            [ols, mx.for_summary_col(a), mx.for_summary_col(b)],
            model_names=["ols", "a", "b"],
            stars=True,
        ).tables[0]
        own = summary_col([mx.for_summary_col(a)], info_dict={"AIC": lambda x: f"{x.aic:.1f}"})
    assert table.loc["Days"].tolist() == ["10.4673***"] * 3
    at = list(table.index).index("Days") + 1
    assert table.iloc[at].tolist() == ["(1.2382)", "(0.8042)", "(1.5022)"]
    assert own.tables[0].loc["AIC"].tolist() == [f"{a.aic():.1f}"]


def test_for_summary_col(models):
    a = models[1]
    found = mx.for_summary_col(a, ddf="kenward-roger")
    wanted = mx.contest(a, {"Days": 1}, ddf="kenward-roger").iloc[0]
    assert found.params["Days"] == pytest.approx(wanted["estimate"])
    assert found.pvalues["Days"] == pytest.approx(wanted["p_value"])
    assert found.conf_int(0.05)[1].tolist() == pytest.approx(
        [wanted["conf_low"], wanted["conf_high"]]
    )
    assert found.default_model_infos["Levels: Subject"](found) == "18"
    assert (found.nobs, found.model.endog_names) == (180, "Reaction")
    with pytest.raises(InvalidArgumentError, match="ddf='kw'"):
        mx.for_summary_col(a, ddf="kw")

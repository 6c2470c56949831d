"""Results in notebooks: real tables; and frames that print all of their columns."""

from __future__ import annotations

import pickle
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

import merextras as mx
from merextras.results.base import FrozenMapping, Table, TextResult, to_html


class Tables(HTMLParser):
    """The cells of all tables, and the text outside of them."""

    def __init__(self, html):
        super().__init__()
        self.tables, self.text, self.inside, self.open = [], "", False, []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        del attrs
        self.open.append(tag)
        if tag == "table":
            self.tables.append([])
            self.inside = True
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self.inside = self.inside and tag != "table"

    def handle_data(self, data):
        if not self.inside:
            self.text += f"{data} "
        elif self.open[-1] in {"td", "th"}:
            self.tables[-1][-1][-1] += data


@pytest.fixture(scope="module")
def m():
    students = mx.load_dataset("students")
    return mx.lmer("extro ~ open + Q('class') + (1 | school)", students)


def results(m):
    """What a notebook shows."""
    means = mx.emmeans(m, "class", ddf="asymptotic")
    return {
        "model": m,
        "summary": m.summary(ddf="satterthwaite"),
        "var_corr": m.var_corr(),
        "ranef": m.ranef(),
        "coef": m.coef(),
        "re_pca": m.re_pca(),
        "collinearity": mx.check_collinearity(m),
        "outliers": mx.check_outliers(m),
        "normality": mx.check_normality(m),
        "singularity": mx.check_singularity(m),
        "checks": mx.model_checks(m, rng=1),
        "emmeans": means,
        "contrasts": means.contrasts(),
        "r2": mx.r2(m),
        "icc": mx.icc(m),
        "bootstrap": mx.bootstrap(m, n_sims=9, rng=1),
        "sim": mx.sim(m, 9, rng=1),
        "influence": m.influence("school"),
        "profile": m.profile(which="sigma"),
        "residuals": mx.residual_table(m),
        "compare": mx.compare_table(m),
        "all_fit": mx.all_fit(m),
    }


@pytest.fixture(scope="module")
def shown(m):
    return results(m)


NAMES = [
    *("model", "summary", "var_corr", "ranef", "coef", "re_pca", "collinearity", "outliers"),
    *("normality", "singularity", "checks", "emmeans", "contrasts", "r2", "icc", "bootstrap"),
    *("sim", "influence", "profile", "residuals", "compare", "all_fit"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_table_and_no_text_block_of_one(shown, name):
    parsed = Tables(shown[name]._repr_html_())
    assert parsed.tables, name
    assert all(len({len(row) for row in rows}) == 1 for rows in parsed.tables)
    cells = {cell for rows in parsed.tables for row in rows for cell in row}
    words = {word for cell in cells for word in cell.split()} | set(parsed.text.split())
    numbers = [number[:4] for number in re.findall(r"\d+\.\d+", repr(shown[name]))]
    assert sum(number in " ".join(words) for number in numbers) >= 0.9 * len(numbers), name


def test_the_model(m):
    parsed = Tables(m._repr_html_())
    variances, fixed = parsed.tables
    assert variances[0] == ["", "Name", "Std.Dev."]
    assert [row[0] for row in variances[2:]] == ["school", "Residual"]
    assert [row[0] for row in fixed[1:]] == list(m.fixef().index)
    assert "Number of obs: 1200, groups: school, 6" in parsed.text
    assert "REML criterion" in parsed.text


def test_correlations_and_notes(slopes):
    table = slopes.var_corr().table(variances=True)
    assert table.columns.tolist() == ["Name", "Variance", "Std.Dev.", "Corr"]
    assert table["Corr"].tolist() == ["", " 0.07", ""]
    data = pd.DataFrame({"g": np.repeat(np.arange(9), 4), "y": np.tile([0.0, 1.0, 2.0, 4.0], 9)})
    with pytest.warns(mx.exceptions.SingularFitWarning):
        m = mx.lmer("y ~ 1 + (1 | g)", data)
    assert "Singular fit" in Tables(m._repr_html_()).text
    assert "Singular fit" in Tables(m.summary()._repr_html_()).text


def test_long_tables_are_cut_and_text_is_escaped():
    levels = pd.DataFrame({"x": np.arange(500.0)})
    rows = Tables(to_html(["a < b", levels, ""])).tables[0]
    assert len(rows) < 30
    assert to_html(["a < b", ""]) == "<pre>a &lt; b</pre>"
    assert "&lt;i&gt;" in to_html([pd.DataFrame({"x": ["<i>"]})])


def test_mappings_show_what_they_hold():
    class Inner(TextResult):
        def _parts(self):
            return ["inner", pd.DataFrame({"x": [1.5]})]

    assert repr(Inner()) == "inner\n       x\n0  1.500"
    held = FrozenMapping({"a": Inner(), "b": pd.DataFrame({"y": [2]}), "c": 3})
    parsed = Tables(held._repr_html_())
    assert len(parsed.tables) == 2
    assert parsed.text.split() == ["a:", "inner", "b:", "c:", "3"]


class TestTable:
    """In a terminal of 80 columns, with pandas' own defaults for one."""

    @pytest.fixture(autouse=True)
    def terminal(self, monkeypatch):
        monkeypatch.setenv("COLUMNS", "80")
        with pd.option_context("display.max_columns", 0, "display.width", 80):
            yield

    def test_the_statistic_and_p_are_there(self, m):
        small = mx.lmer("extro ~ open + (1 | school)", m.model_frame(), reml=False)
        large, students = m.refit_ml(), m.model_frame()
        means = mx.emmeans(m, "class", ddf="asymptotic")
        tables = {
            "anova": (small.anova(large), ["statistic", "df", "p_value"]),
            "by term": (m.anova(ddf="satterthwaite"), ["statistic", "p_value"]),
            "tidy": (mx.tidy(m, ddf="satterthwaite", ci="wald"), ["statistic", "p_value"]),
            "contrasts": (means.contrasts().to_frame(), ["statistic", "p_value"]),
            "means": (means.to_frame(), ["std_error", "conf_low"]),
            "ranova": (mx.ranova(mx.lmer("strength ~ 1 + (1 | batch / cask)",
                                         mx.load_dataset("pastes"))), ["statistic", "p_value"]),
            "compare": (mx.compare(small, large), ["aic_weight", "bic_weight", "icc"]),
            "performance": (mx.performance(m), ["r2_marginal", "icc"]),
            "glance": (mx.glance(m), ["aic", "bic"]),
            "drop1": (m.drop1(), ["statistic", "p_value"]),
            "contest": (mx.contest(m, {"open": 1}), ["statistic", "p_value"]),
            "joint": (mx.joint_tests(m), ["statistic", "p_value"]),
            "what_if": (mx.what_if(m, students.head(2), "school", n_sims=None),
                        ["shift", "p_better"]),
            "re_impact": (mx.re_impact(m, students.head(2)), ["lower", "upper"]),
            "re_margins": (mx.re_margins(m, students.head(1)), ["pct_er", "lower", "upper"]),
            "expected_rank": (mx.expected_rank(m), ["er", "pct_er"]),
        }  # fmt: skip
        for name, (table, needed) in tables.items():
            for made in (table, table.round(3), table.head(3)):
                text = repr(made)
                assert max(map(len, text.splitlines())) <= 80, name
                assert "..." not in text, name
                header = text.replace("\\", " ").split()
                assert set(needed) <= set(header), name
                assert set(map(str, made.columns)) <= set(header), name

    def test_is_a_frame(self, m):
        frame = pd.DataFrame({"x": [1.0, 2.0]})
        frame.attrs["note"] = "kept"
        table = Table.of(frame)
        assert isinstance(table, pd.DataFrame)
        assert table.attrs == {"note": "kept"}
        assert table.equals(frame)
        assert frame.equals(table)
        assert type(pickle.loads(pickle.dumps(table))) is Table
        assert type(table["x"]) is pd.Series
        assert type(pd.concat([table, frame])) is Table
        fit = smf.ols("fit ~ level", mx.what_if(m, m.model_frame().head(3), "school")).fit()
        assert fit.nobs == 18

    def test_the_users_own_option_is_obeyed(self, m):
        with pd.option_context("display.max_columns", 3):
            assert "..." in repr(mx.tidy(m, ddf="asymptotic"))
        wide = repr(mx.tidy(m))
        with pd.option_context("display.max_columns", None, "display.width", 500):
            assert max(map(len, repr(mx.compare(m, m)).splitlines())) > 80
        assert repr(mx.tidy(m)) == wide


def test_compare_table_in_latex(m):
    table = mx.compare_table(m, names=["a & b"], stars=True, labels={"open": "[open]"})
    latex = table.to_latex(caption=r"Models of \emph{extro}", label="tab:extro")
    lines = latex.splitlines()
    assert lines[:5] == [
        r"\begin{table}", r"\centering", r"\begin{threeparttable}",
        r"\caption{Models of \emph{extro}}", r"\label{tab:extro}",
    ]  # fmt: skip
    assert lines[-2:] == [r"\end{threeparttable}", r"\end{table}"]
    assert r"\item * p \textless{} 0.05, ** p \textless{} 0.01, *** p \textless{} 0.001." in lines
    assert [line for line in lines if line.startswith("{[}open] & ")]
    assert "R$^2$ marginal" in latex
    begun = re.findall(r"\\begin{(\w+)}", latex)
    ended = re.findall(r"\\end{(\w+)}", latex)
    assert sorted(begun) == sorted(ended)
    columns = {line.count("&") - line.count(r"\&") for line in lines if line.endswith(r"\\")}
    assert columns == {1}
    bare = table.to_latex(notes=False)
    assert bare.startswith(r"\begin{tabular}")
    assert "tablenotes" not in bare
    assert table.to_latex(caption="x", notes=False).count("threeparttable") == 0
    negative = mx.compare_table(mx.lmer("extro ~ I(-agree) + (1 | school)",
                                        mx.load_dataset("students")))  # fmt: skip
    assert "& $-$0.028 \\\\" in negative.to_latex()


def test_compare_table_of_a_list_and_a_mapping(m):
    one = mx.compare_table(m, m.refit_ml(), names=["reml", "ml"])
    for other in (
        mx.compare_table([m, m.refit_ml()], names=["reml", "ml"]),
        mx.compare_table({"reml": m, "ml": m.refit_ml()}),
    ):
        assert other.to_text() == one.to_text()
    with pytest.raises(mx.exceptions.InvalidArgumentError, match="the mapping of models has names"):
        mx.compare_table({"a": m}, names=["b"])


def test_compare_table_to_excel(m, monkeypatch, tmp_path):
    """What pandas is given: the writing of the file is its own and openpyxl's."""
    written = {}

    def write(self, path, **options):
        written.update(frame=self.copy(), path=path, **options)

    monkeypatch.setattr(pd.DataFrame, "to_excel", write)
    table = mx.compare_table(m, stars=True)
    table.to_excel(tmp_path / "models.xlsx")
    frame = written["frame"]
    assert frame.index.tolist() == [*table.frame.index, *table.notes]
    assert frame.iloc[: len(table.frame)].equals(table.frame)
    assert written["sheet_name"] == "models"

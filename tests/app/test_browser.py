"""The explorer in a real browser: what it shows is what the functions return."""

import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from explorer_page import Page

import merextras as mx
from merextras.reporting.tables import to_html


def cells(frame):
    """A frame's rows as the page writes them."""

    class Rows(HTMLParser):
        rows: list

        def handle_starttag(self, tag, attrs):  # noqa: ARG002
            if tag == "tr":
                self.rows.append([])
            elif tag == "td":
                self.rows[-1].append("")

        def handle_data(self, data):
            if self.rows and self.rows[-1]:
                self.rows[-1][-1] += data

    parser = Rows()
    parser.rows = []
    parser.feed(to_html(frame))
    return [row for row in parser.rows if row]


@pytest.fixture(scope="module")
def model():
    return mx.lmer("extro ~ open + agree + social + (1 | school)", mx.load_dataset("students"))


@pytest.fixture(scope="module")
def served(driver, model):
    with mx.explore(model, browser=False, wait=False) as explorer:
        yield explorer


@pytest.fixture
def page(driver, served):
    return Page(driver, served.url)


def test_the_estimates_are_those_of_tidy(page, model):
    fixed = mx.tidy(model, "fixed", ci="wald", ddf="satterthwaite")
    fixed = fixed.drop(columns=["effect", "group"])
    assert page.rows("#summary_table_0") == cells(fixed)
    page.choose("summary_ddf", "asymptotic")
    page.type("summary_level", "0.8")
    expected = mx.tidy(model, "fixed", ci="wald", level=0.8, ddf="asymptotic")
    expected = cells(expected.drop(columns=["effect", "group"]))
    page.until(lambda: page.rows("#summary_table_0") == expected)
    saved = pd.read_csv(io.StringIO(page.file("summary_table_0_csv")))
    expected = mx.tidy(model, "fixed", ci="wald", level=0.8, ddf="asymptotic")
    np.testing.assert_allclose(saved["conf_low"], expected["conf_low"], rtol=1e-12)
    assert "Intercept" in page.text("#summary_table_1")
    assert page.script("return document.querySelector('math').textContent").startswith("extro")


def test_a_student_goes_to_other_schools(page, model, students):
    page.open("swap")
    page.choose("cases_kind", "chosen")
    page.pick("cases_chosen", "700", "33")
    page.choose("swap_where", "chosen")
    page.pick("swap_chosen", "III", "VI")
    page.choose("swap_better", "lower")
    cases, levels = students.loc[[700, 33]], ["III", "VI"]
    moved = mx.what_if(model, cases, "school", levels, better="lower", n_sims=None)
    columns = [
        "case", "own_level", "level", "fit", "lower", "upper", "shift", "shift_std_error",
        "shift_lower", "shift_upper", "p_better",
    ]  # fmt: skip
    page.until(lambda: page.rows("#swap_table_0") == cells(moved[columns]))
    means = mx.what_if_average(model, cases, "school", levels, better="lower")
    assert page.rows("#swap_table_1") == cells(means)
    saved = pd.read_csv(io.StringIO(page.file("swap_table_0_csv")))
    np.testing.assert_allclose(saved["p_better"], moved["p_better"], rtol=1e-12)
    # The code on the page makes the same numbers.
    code = page.text("#swap_code code")
    names = {"data": students}
    exec(code, names)
    pd.testing.assert_frame_equal(names["moved"], moved)


def test_prediction_intervals_of_a_subset(page, model, students):
    page.open("intervals")
    page.type("cases_count", "3")
    page.choose("cases_column", "school")
    page.pick("cases_values", "II")
    page.type("intervals_seed", "8")
    page.type("intervals_n_sims", "200")
    rows = model.model_frame()
    cases = rows[rows["school"] == "II"].sample(3, random_state=1)
    expected = mx.predict_interval(model, cases, level=0.95, n_sims=200, rng=8)
    expected = expected.rename_axis("case").reset_index()
    page.until(lambda: [r[:4] for r in page.rows("#intervals_table_0")] == cells(expected))
    page.choose("intervals_method", "exact")
    exact = model.predict(cases, interval="prediction").rename_axis("case").reset_index()
    page.until(lambda: [r[:5] for r in page.rows("#intervals_table_0")] == cells(exact))
    before = page.text("#intervals_table_0")
    page.one("#draw_again").click()
    page.until(lambda: page.text("#intervals_table_0") != before)
    assert page.one("#cases_seed").get_attribute("value") == "2"
    page.choose("cases_kind", "average")
    average = mx.average_obs(model, {"school": "II"})
    exact = model.predict(average, interval="prediction").rename_axis("case").reset_index()
    page.until(lambda: [r[:5] for r in page.rows("#intervals_table_0")] == cells(exact))


def test_wiggle_impact_and_simulated_effects(page, model):
    cases = model.model_frame().sample(6, random_state=1)
    page.open("wiggle")
    page.choose("wiggle_predictor", "agree")
    page.until(lambda: page.one("#wiggle_min").get_attribute("value") != "")
    page.type("wiggle_min", "10")
    page.type("wiggle_max", "20")
    page.type("wiggle_count", "2")
    moved = mx.what_if(model, cases, changes={"agree": [10.0, 20.0]}, n_sims=None)
    columns = ["case", "new_agree", "fit", "lower", "upper"]
    page.until(lambda: [r[:5] for r in page.rows("#wiggle_table_0")] == cells(moved[columns]))
    page.open("impact")
    page.type("impact_breaks", "2")
    expected = cells(mx.re_impact(model, cases, "school", breaks=2))
    page.until(lambda: page.rows("#impact_table_0") == expected)
    page.open("simulated")
    page.type("simulated_n_sims", "50")
    page.type("simulated_seed", "4")
    expected = cells(mx.re_sim(model, n_sims=50, rng=4))
    page.until(lambda: page.rows("#simulated_table_0") == expected)
    assert page.rows("#simulated_table_1") == cells(mx.fe_sim(model, n_sims=50, rng=4))


def test_levels_are_searched_and_nothing_typed_is_evaluated(page, model):
    page.open("levels")
    page.until(lambda: len(page.rows("#levels_table_0")) == 6)
    page.type("levels_search", "vi")
    ranks = mx.expected_rank(model).set_index("level")
    page.until(lambda: len(page.rows("#levels_table_0")) == 1)
    row = page.rows("#levels_table_0")[0]
    assert row[1] == "VI"
    assert float(row[3]) == pytest.approx(ranks.loc["VI", "estimate"], abs=5e-3)
    page.until(lambda: page.image("#levels_figure_0"))
    page.pick("levels_chosen", "II")
    page.until(lambda: [r[1] for r in page.rows("#levels_table_0")] == ["VI", "II"])
    page.type("levels_search", "__import__('os').abort() or {m} <img src=x onerror=hit=1>")
    page.until(lambda: "1 of 6 levels" in page.text("#levels_notes"))
    assert page.script("return window.hit") is None
    page.type("levels_level", "")
    page.until(lambda: "give a number from 0.5 to 0.999" in page.text("#levels_notes"))
    page.type("levels_level", "0.5")
    page.until(lambda: "0.5" in page.text("#levels_code") and page.rows("#levels_table_0"))


def test_checks_and_their_verdicts(page, model):
    page.open("checks")
    expected = mx.model_checks(model, n_sims=50, rng=1).to_frame()
    shown = page.until(lambda: page.rows("#checks_table_0"))
    marks = ["ok" if ok is True else "not ok" for ok in expected["ok"]]
    assert [row[1] for row in shown] == marks
    assert [row[2] for row in shown] == expected["verdict"].tolist()


def test_figures_follow_the_theme_and_are_saved(page):
    page.open("summary")
    light = page.until(lambda: page.image("#summary_figure_0"))
    page.script("document.querySelector('#mode').shadowRoot.querySelector('button').click()")
    page.until(lambda: page.image("#summary_figure_0") not in {"", light})
    assert page.script("return document.documentElement.dataset.bsTheme") == "dark"
    assert page.file("summary_figure_0_svg").startswith("<?xml")
    assert "PNG" in page.file("summary_figure_0_png")[:8]


def test_the_code_is_copied(page):
    page.open("levels")
    page.one("#levels_code .mx-copy").click()
    page.until(lambda: page.text("#levels_code .mx-copy") == "Copied")
    page.until(lambda: page.text("#levels_code .mx-copy") == "Copy")


def test_the_report_is_saved(page):
    page.one('a[data-value="report"]').click()
    page.type("report_title", "Six schools")
    page.until(lambda: page.one("#report_title").get_attribute("value") == "Six schools")
    text = page.until(lambda: page.file("report_html"))
    assert text.startswith("<!doctype html>")
    assert "Levels of school" in text


def test_nothing_was_asked_of_another_machine(page):
    asked = page.script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert asked
    assert all(re.match(r"(http|ws)://127\.0\.0\.1:\d+/|data:", name) for name in asked)


def test_a_statsmodels_fit_with_names_that_are_no_markup(driver, students):
    data = students.replace({"school": {"II": "<img src=x onerror='hit=1'>"}})
    fit = smf.mixedlm("extro ~ open", data, groups="school").fit()
    m = mx.MerMod(fit)
    with mx.explore(fit, browser=False, wait=False) as explorer:
        page = Page(driver, explorer.url)
        page.open("levels")
        page.until(lambda: len(page.rows("#levels_table_0")) == 6)
        names = [row[1] for row in page.rows("#levels_table_0")]
        effects = m.ranef()["school"]["Intercept"].sort_values(ascending=False)
        assert names == effects.index.tolist()
        page.pick("levels_chosen", "<img src=x onerror='hit=1'>")
        page.until(lambda: len(page.rows("#levels_table_0")) == 1)
        assert page.script("return window.hit") is None
        assert "mx.MerMod(smf.mixedlm(" in page.text("#levels_code")

"""Every tab of several models, with what it shows at first and with what can be set."""

import matplotlib.pyplot as plt
import pytest
import statsmodels.formula.api as smf

import merextras as mx
from merextras.app.choices import case_controls, cases_of
from merextras.app.controls import Choice, Number, Pick, Switch, read_all
from merextras.app.page import page
from merextras.app.tabs import tabs_of
from merextras.reporting.cases import Cases
from merextras.reporting.view import answered

pytestmark = pytest.mark.usefixtures("figures_closed")

FORMULAS = {
    "students": ("extro ~ open + agree + social + (1 | school)", "students"),
    "hsb": ("mathach ~ ses + C(female) + (ses | schid)", "hsb"),
    "crossed": ("diameter ~ 1 + (1 | plate) + (1 | sample)", "penicillin"),
    "nested": ("extro ~ open + (1 | school / class)", "students"),
}


@pytest.fixture(scope="module", params=[*FORMULAS, "statsmodels"])
def m(request):
    if request.param == "statsmodels":
        data = mx.load_dataset("students")
        return mx.MerMod(smf.mixedlm("extro ~ open + agree", data, groups="school").fit())
    formula, name = FORMULAS[request.param]
    return mx.lmer(formula, mx.load_dataset(name))


def first(controls):
    """What the page has before anything is set, in the page's own terms."""
    given = {}
    for control in controls:
        if isinstance(control, Number):
            given[control.name] = control.start(given)
        elif isinstance(control, (Choice, Switch)):
            given[control.name] = control.default
        else:
            given[control.name] = [] if isinstance(control, Pick) else ""
    return given


def shown(tab, cases=(), **changed):
    given = {**first(tab.controls), **changed}
    values = read_all(tab.controls, given.get)
    chosen = cases_of(read_all(cases, first(cases).get)) if cases else Cases()
    return answered(lambda: tab.show(values, chosen))


def test_every_tab_shows_something_at_first(m):
    cases = case_controls(m, None)
    tabs = tabs_of(m, None)
    keys = [tab.key for tab in tabs]
    assert keys[:3] == ["summary", "swap", "intervals"]
    assert ("wiggle" in keys) == (m.formula() != FORMULAS["crossed"][0])
    for tab in tabs:
        view = shown(tab, cases)
        assert not view.problem, tab.key
        # All that a view has finds its place on the page.
        assert set(view.tables) <= set(tab.tables)
        assert set(view.figures) <= set(tab.figures)
        assert view.tables
        for draw in view.figures.values():
            draw()
        exec(view.code, {"mx": mx, "m": m, "data": None})
        plt.close("all")


def test_every_choice_shows_something(m):
    for tab in tabs_of(m, None):
        for control in tab.controls:
            if not isinstance(control, Choice):
                continue
            for word in control.options:
                changed = {control.name: word}
                picks = [c for c in tab.controls if isinstance(c, Pick)]
                values = {**first(tab.controls), **changed}
                for pick in picks:
                    changed[pick.name] = list(pick.options(values))[:2]
                view = shown(tab, **changed)
                # A factor without such an effect can't be ranked by it: that is said.
                known = control.name in {"term", "group"} and "term=" in view.problem
                assert known or not view.problem, (tab.key, control.name, word)


def test_cases_by_the_controls():
    m = mx.lmer(FORMULAS["students"][0], mx.load_dataset("students"))
    controls = {control.name: control for control in case_controls(m, None)}
    given = {**first(controls.values()), "column": "school"}
    values = controls["values"]
    options = values.options(given)
    picked = [option for option, label in options.items() if label in {"II", "V"}]
    found = cases_of(read_all(tuple(controls.values()), {**given, "values": picked}.get))
    assert found == Cases("random", 6, 1, (), {"school": ["II", "V"]})
    rows = [option for option, label in controls["chosen"].options(given).items() if label == "7"]
    given = {**given, "kind": "chosen", "chosen": rows}
    found = cases_of(read_all(tuple(controls.values()), given.get))
    assert (found.kind, list(found.chosen)) == ("chosen", [7])
    average = cases_of(read_all(tuple(controls.values()), {**given, "kind": "average"}.get))
    assert average.kind == "average"


def test_a_model_without_rows():
    students = mx.load_dataset("students")
    m = mx.lmer("extro ~ open + (1 | school)", students, chunk_size=500)
    assert case_controls(m, None) == ()
    assert case_controls(m, students) != ()
    tabs = {tab.key: tab for tab in tabs_of(m, students)}
    assert "wiggle" not in tabs
    assert not shown(tabs["summary"]).problem
    assert not shown(tabs["levels"]).problem
    assert not shown(tabs["swap"], case_controls(m, students)).problem
    assert "keeps no rows" in shown(tabs["checks"]).problem


def test_names_of_levels_are_text_in_the_page():
    pytest.importorskip("shiny")
    data = mx.load_dataset("students").rename(columns={"school": "</script><script>x"})
    m = mx.lmer("extro ~ open + (1 | `</script><script>x`)", data)
    text = str(page(tabs_of(m, None), case_controls(m, None), m.design.formula))
    assert "</script><script>x" not in text
    assert "&lt;/script&gt;&lt;script&gt;x" in text

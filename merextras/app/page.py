"""The page: its tabs, controls and cards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources

from htmltools import HTML, Tag, TagChild, tags
from shiny import ui

from merextras.app.choices import KEY
from merextras.app.controls import Choice, Control, Number, Pick, Switch, Text, Values
from merextras.app.tabs import Tab, reported
from merextras.reporting.document import asset

#: The last tab, which has nothing to set.
REPORT = "report"


def page(tabs: Sequence[Tab], cases: Sequence[Control], formula: str) -> Tag:
    """The whole page.

    Parameters
    ----------
    tabs : sequence of Tab
    cases : sequence of Control
        The controls of cases; empty if there are no rows to take cases from.
    formula : str
        Of the model.
    """
    return ui.page_navbar(
        *(ui.nav_panel(tab.title, _main(tab), value=tab.key) for tab in tabs),
        ui.nav_panel("Report", _report(), value=REPORT),
        ui.nav_spacer(),
        ui.nav_control(ui.input_dark_mode(id="mode")),
        id="tab",
        title=tags.span(tags.b("merextras"), " explorer", class_="mx-brand"),
        window_title=f"merextras: {formula}",
        sidebar=_sidebar(tabs, cases, formula),
        header=_head(),
        lang="en",
        navbar_options=ui.navbar_options(underline=True),
    )


def identifier(key: str, name: str) -> str:
    """What an input of a tab is called."""
    return f"{key}_{name}"


def _head() -> Tag:
    own = (resources.files("merextras.app") / "app.css").read_text(encoding="utf-8")
    return tags.head(
        tags.style(HTML(asset("parts.css") + own)),
        tags.script(HTML(asset("copy.js"))),
        tags.link(rel="icon", href="data:,"),
    )


def _sidebar(tabs: Sequence[Tab], cases: Sequence[Control], formula: str) -> ui.Sidebar:
    """The controls of the tab that is shown, below those of cases where it uses them."""
    using = [tab.key for tab in tabs if tab.uses_cases]
    parts: list[TagChild] = [tags.code(formula, class_="mx-formula")]
    if cases:
        again = ui.input_action_button(
            "draw_again", "Draw again", class_="btn-sm btn-outline-primary"
        )
        shown = ui.panel_conditional(_one_of(identifier(KEY, "kind"), ("random",)), again)
        controls = [_control(KEY, control) for control in cases]
        parts.append(_shown_in(using, tags.fieldset(*controls, shown, class_="mx-cases")))
    parts += [
        _shown_in([tab.key], tags.fieldset(*(_control(tab.key, c) for c in tab.controls)))
        for tab in tabs
    ]
    asked = tags.fieldset(*(_control(REPORT, control) for control in reported(tabs)))
    parts.append(_shown_in([REPORT], asked))
    return ui.sidebar(*parts, width=300, id="settings")


def _shown_in(keys: Sequence[str], part: Tag) -> Tag:
    return ui.panel_conditional(_one_of("tab", keys), part)


def _one_of(name: str, allowed: Sequence[str]) -> str:
    """A condition in the browser's language; the words are quoted, whatever is in them."""
    listed = json.dumps(list(allowed)).replace("<", "\\u003c")
    return f"{listed}.includes(input[{json.dumps(name)}])"


def _control(key: str, control: Control) -> Tag:
    """What sets a control, hidden where another says so."""
    made = _input(identifier(key, control.name), control)
    if control.when is None:
        return made
    name, allowed = control.when
    return ui.panel_conditional(_one_of(identifier(key, name), allowed), made)


def _input(at: str, control: Control) -> Tag:
    nothing: Values = {}
    if isinstance(control, Choice):
        options = dict(control.options or {})
        return ui.input_select(at, control.label, options, selected=control.default)
    if isinstance(control, Number):
        return ui.input_numeric(
            at, control.label, control.start(nothing), min=control.low, max=control.high,
            step=control.step,
        )  # fmt: skip
    if isinstance(control, Switch):
        return ui.input_switch(at, control.label, control.default)
    if isinstance(control, Text):
        return ui.input_text(at, control.label, placeholder=control.hint)
    assert isinstance(control, Pick)
    return ui.input_selectize(
        at, control.label, [], multiple=True, remove_button=True,
        options={"placeholder": control.hint},
    )  # fmt: skip


def _main(tab: Tab) -> Tag:
    """What a tab shows: notes, figures, tables, code."""
    head = [HTML(tab.head)] if tab.head else []
    return tags.div(
        tags.p(tab.lead, class_="mx-lead"),
        ui.output_ui(f"{tab.key}_notes"),
        *(tags.div(part, class_="mx-card mx-symbols") for part in head),
        *(_figure(tab, i, title) for i, title in enumerate(tab.figures)),
        *(_table(tab, i, title) for i, title in enumerate(tab.tables)),
        _card("Code that makes this again", ui.output_ui(f"{tab.key}_code")),
        class_="mx-main",
    )


def _figure(tab: Tab, i: int, title: str) -> Tag:
    at = f"{tab.key}_figure_{i}"
    links = [
        ui.download_link(f"{at}_{kind}", kind.upper(), class_="mx-download")
        for kind in ("svg", "png")
    ]
    return _card(title, ui.output_ui(at), links)


def _table(tab: Tab, i: int, title: str) -> Tag:
    at = f"{tab.key}_table_{i}"
    links = [ui.download_link(f"{at}_csv", "CSV", class_="mx-download")]
    return _card(title, ui.output_ui(at), links)


def _card(title: str, body: Tag, links: Sequence[Tag] = ()) -> Tag:
    head = tags.header(tags.h2(title), tags.span(*links, class_="mx-links"))
    return tags.section(head, body, class_="mx-card")


def _report() -> Tag:
    return tags.div(
        tags.p("All of it in one file, to keep or to send.", class_="mx-lead"),
        _card(
            "Report",
            tags.div(
                tags.p(
                    "One HTML file with the model in words and symbols, tables, figures, checks "
                    "with verdicts, what some cases would be elsewhere, the code and the versions. "
                    "It needs no network, prints, and is in light or dark as its reader's system."
                ),
                ui.download_button("report_html", "Download the report", class_="btn-primary"),
            ),
        ),
        class_="mx-main",
    )

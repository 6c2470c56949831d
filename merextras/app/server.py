"""The page's reactive outputs: tables, notes and figures after a change of a control."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from htmltools import HTML
from shiny import Inputs, Outputs, Session, reactive, render, ui

from merextras.app.choices import KEY, cases_of
from merextras.app.controls import Control, Number, Pick, needed_by, read_all
from merextras.app.page import REPORT, identifier
from merextras.app.tabs import Tab, reported
from merextras.exceptions import InvalidArgumentError, MerextrasError
from merextras.reporting.cases import Cases
from merextras.reporting.document import report
from merextras.reporting.figures import render as rendered
from merextras.reporting.tables import to_csv, to_html
from merextras.reporting.view import View, answered, preamble

#: Where a view lacks a table or figure; the card around it is not seen.
ABSENT = '<p class="mx-absent">Not here.</p>'

Show = Callable[[Inputs, Outputs, Session], None]


def server_of(m: Any, data: Any, tabs: Sequence[Tab], cases: Sequence[Control]) -> Show:
    """The function that Shiny calls for each visitor.

    Parameters
    ----------
    m : MerMod
    data : DataFrame or None
    tabs : sequence of Tab
    cases : sequence of Control
        The controls of cases.
    """

    def server(input: Inputs, output: Outputs, session: Session) -> None:  # noqa: A002, ARG001 (Shiny's)
        if cases:
            _follow(input, KEY, cases)
            _draw_again(input)
        for tab in tabs:
            _follow(input, tab.key, tab.controls)
            _show_tab(input, output, m, tab, cases)
        _offer_report(input, output, m, data, reported(tabs))

    return server


def _values(input: Inputs, key: str, controls: Sequence[Control]) -> dict[str, Any]:  # noqa: A002
    return read_all(controls, lambda name: input[identifier(key, name)]())


def _follow(input: Inputs, key: str, controls: Sequence[Control]) -> None:  # noqa: A002
    """Give the controls that follow another what they offer, at first and after a change."""
    for control in controls:
        if isinstance(control, Pick) or (isinstance(control, Number) and control.follows):
            _offer(input, key, controls, control)


def _offer(input: Inputs, key: str, controls: Sequence[Control], control: Any) -> None:  # noqa: A002
    before = needed_by(control, controls)
    at = identifier(key, control.name)

    @reactive.effect
    def _() -> None:
        values = _values(input, key, before)
        if isinstance(control, Pick):
            ui.update_selectize(at, choices=control.options(values), selected=[], server=True)
        else:
            ui.update_numeric(at, value=control.start(values))


def _draw_again(input: Inputs) -> None:  # noqa: A002
    @reactive.effect
    @reactive.event(input.draw_again)
    def _() -> None:
        seed = input[identifier(KEY, "seed")]()
        ui.update_numeric(identifier(KEY, "seed"), value=int(seed or 0) + 1)


def _show_tab(
    input: Inputs,  # noqa: A002
    output: Outputs,
    m: Any,
    tab: Tab,
    cases: Sequence[Control],
) -> None:
    """Make a tab's view when it is looked at, and what it consists of."""

    def ask() -> View:
        values = _values(input, tab.key, tab.controls)
        if not tab.uses_cases:
            return tab.show(values, Cases())
        if not cases:
            raise InvalidArgumentError("there are no rows to take cases from; give explore data=")
        return tab.show(values, cases_of(_values(input, KEY, cases)))

    @reactive.calc
    def view() -> View:
        return answered(ask)

    _show_text(output, m, tab, view)
    for i, title in enumerate(tab.figures):
        _show_figure(input, output, f"{tab.key}_figure_{i}", title, view)
    for i, title in enumerate(tab.tables):
        _show_table(output, f"{tab.key}_table_{i}", title, view)


def _show_text(output: Outputs, m: Any, tab: Tab, view: Callable[[], View]) -> None:
    @output(id=f"{tab.key}_notes")
    @render.ui
    def _() -> HTML:
        return HTML(notes(view()))

    @output(id=f"{tab.key}_code")
    @render.ui
    def _() -> HTML:
        text = escape(f"{preamble(m)}\n\n{view().code}")
        button = '<button type="button" class="mx-copy">Copy</button>'
        return HTML(f'<div class="mx-code">{button}<pre><code>{text}</code></pre></div>')


def notes(view: View) -> str:
    """A view's notes, or why there is none."""
    out = ""
    if view.problem:
        out += f'<div class="mx-notes mx-problem" role="alert"><p>{escape(view.problem)}</p></div>'
    if view.notes:
        lines = "".join(f"<p>{escape(note)}</p>" for note in view.notes)
        out += f'<div class="mx-notes">{lines}</div>'
    return out


def _show_figure(
    input: Inputs,  # noqa: A002
    output: Outputs,
    at: str,
    title: str,
    view: Callable[[], View],
) -> None:
    @output(id=at)
    @render.ui
    def _() -> HTML:
        theme = "dark" if input.mode() == "dark" else "light"
        return HTML(figure(view(), title, theme))

    for kind in ("svg", "png"):
        _offer_figure(output, f"{at}_{kind}", title, kind, view)


def figure(view: View, title: str, theme: str) -> str:
    """A figure of a view as an image in the page, or why there is none."""
    draw = view.figures.get(title)
    if draw is None:
        return ABSENT
    try:
        drawn = rendered(draw, theme=theme)
    except MerextrasError as err:
        return f'<p class="mx-empty">{escape(str(err))}</p>'
    image = f'<img src="{drawn.uri}" width="{drawn.width}" alt="{escape(title)}">'
    return f'<figure class="mx-figure">{image}</figure>'


def _offer_figure(
    output: Outputs, at: str, title: str, kind: str, view: Callable[[], View]
) -> None:
    @output(id=at)
    @render.download_link(filename=f"{_file_name(title)}.{kind}")
    def _() -> Iterator[bytes]:
        yield rendered(view().figures[title], kind=kind).data


def _show_table(output: Outputs, at: str, title: str, view: Callable[[], View]) -> None:
    @output(id=at)
    @render.ui
    def _() -> HTML:
        frame = view().tables.get(title)
        return HTML(ABSENT if frame is None else to_html(frame))

    @output(id=f"{at}_csv")
    @render.download_link(filename=f"{_file_name(title)}.csv")
    def _() -> Iterator[str]:
        frame = view().tables.get(title)
        yield "" if frame is None else to_csv(frame)


def _offer_report(
    input: Inputs,  # noqa: A002
    output: Outputs,
    m: Any,
    data: Any,
    controls: Sequence[Control],
) -> None:
    @output(id="report_html")
    @render.download_button(filename="report.html")
    def _() -> Iterator[bytes]:
        values = _values(input, REPORT, controls)
        with tempfile.TemporaryDirectory() as folder:
            made = report(
                m, Path(folder) / "report.html", data=data, title=values["title"].strip() or None,
                ddf=values["ddf"], level=values["level"],
            )  # fmt: skip
            yield made.read_bytes()


def _file_name(title: str) -> str:
    return title.lower().replace(" ", "_")

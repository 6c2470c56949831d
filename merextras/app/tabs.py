"""The tabs: for each its controls and the view that they make."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from merextras.app.controls import Choice, Control, Number, Pick, Switch, Text, Values
from merextras.exceptions import MerextrasError
from merextras.reporting.cases import Cases, numeric
from merextras.reporting.contents import (
    checked,
    impact,
    intervals,
    levels,
    simulated,
    summary,
    swap,
    wiggled,
)
from merextras.reporting.symbols import symbols
from merextras.reporting.view import View

#: A factor of more levels than this is shown by some of them at first.
_MANY = 20


@dataclass(frozen=True)
class Tab:
    """A page of the explorer.

    Attributes
    ----------
    key, title, lead : str
        Its name in identifiers, on the page, and what it answers.
    controls : tuple of Control
    show : function of the controls' values and the cases
        Makes the view.
    figures, tables : tuple of str
        Titles of what the view can have, in the order of the page.
    uses_cases : bool
    head : str
        HTML that does not change.
    """

    key: str
    title: str
    lead: str
    controls: tuple[Control, ...]
    show: Callable[[Values, Cases], View]
    figures: tuple[str, ...]
    tables: tuple[str, ...]
    uses_cases: bool = False
    head: str = ""


def _level() -> Number:
    return Number("level", "Level of intervals", default=0.95, low=0.5, high=0.999, step=0.01)


def _tests(m: Any) -> Choice:
    options = summary.tests_of(m)
    return Choice("ddf", "Tests of fixed effects", options=options, default=next(iter(options)))


def reported(tabs: Sequence[Tab]) -> tuple[Control, ...]:
    """What the report can be told: a title, and what the summary can."""
    return Text("title", "Title"), *tabs[0].controls


def tabs_of(m: Any, data: Any) -> list[Tab]:
    """The tabs of a model.

    Parameters
    ----------
    m : MerMod
    data : DataFrame or None
        What cases are taken from, by default the model's rows.
    """
    tabs: list[Tab | None] = [
        _summary(m), _swap(m, data), _intervals(m, data), _wiggle(m, data), _impact(m, data),
        _simulated(m), _levels(m), _checks(m),
    ]  # fmt: skip
    return [tab for tab in tabs if tab is not None]


def _seed(label: str = "Seed", when: tuple[str, tuple[str, ...]] | None = None) -> Number:
    return Number("seed", label, when, default=1, low=0, high=2**31, whole=True)


def _sims(default: int, label: str = "Draws", when: Any = None) -> Number:
    return Number("n_sims", label, when, default=default, low=10, high=20_000, step=100, whole=True)


def _named(names: Any) -> Mapping[str, str]:
    return {str(name): str(name) for name in names}


def _group(m: Any, names: list[str] | None = None) -> Choice:
    names = list(m.design.factors) if names is None else names
    return Choice("group", "Grouping factor", options=_named(names), default=names[0])


def _better() -> Choice:
    return Choice("better", "A move helps if", options=swap.BETTER, default="higher")


def _summary(m: Any) -> Tab:
    return Tab(
        "summary", "Model", "What was estimated.", (_tests(m), _level()),
        lambda values, _: summary.summary(m, **values),
        (summary.FIXED,),
        (summary.FIXED, summary.RANDOM, summary.FIT, summary.R_SQUARED, summary.ICC),
        head=symbols(m),
    )  # fmt: skip


def _swap(m: Any, data: Any) -> Tab:
    groups = swap.movable(m)
    many = any(len(swap.levels_of(m, group)) > _MANY for group in groups)
    controls = (
        _group(m, groups),
        Choice(
            "where", "Levels",
            options={"span": "from lowest to highest", "all": "all", "chosen": "chosen ones"},
            default="span" if many else "all",
        ),
        Number(
            "count", "How many", ("where", ("span",)), default=swap.SPANNING, low=2, high=60,
            whole=True,
        ),
        Pick(
            "chosen", "Levels to move to", ("where", ("chosen",)), follows="group",
            pool=lambda values: swap.levels_of(m, values["group"]), hint="search",
        ),
        Choice("panels", "A panel for each", options=swap.PANELS, default="case"),
        _better(),
        _level(),
    )  # fmt: skip

    def show(values: Values, cases: Cases) -> View:
        group, where = values["group"], values["where"]
        there = {"all": None, "span": values.get("count"), "chosen": values.get("chosen")}[where]
        return swap.swap(
            m, data, cases=cases, group=group, levels=there, better=values["better"],
            panels=values["panels"], level=values["level"],
        )  # fmt: skip

    return Tab(
        "swap", "What if", "What these cases would be in other levels of a factor.", controls,
        show, (swap.FIGURE,), (swap.CASES, swap.MEANS, swap.SPREAD),
        uses_cases=True,
    )  # fmt: skip


def _intervals(m: Any, data: Any) -> Tab:
    drawn = ("method", ("simulated",))
    controls = (
        Choice("method", "Intervals", options=intervals.METHODS, default="simulated"),
        Choice("which", "Of what", drawn, options=intervals.PARTS, default="full"),
        Switch("residual", "for a new observation, not its mean", default=True),
        _sims(1000, when=drawn),
        _seed("Seed of the draws", drawn),
        _level(),
    )
    return Tab(
        "intervals", "Predictions", "What these cases are expected to be, and how surely.",
        controls,
        lambda values, cases: intervals.intervals(m, data, cases=cases, **values),
        (intervals.FIGURE,), (intervals.TABLE,), uses_cases=True,
    )  # fmt: skip


def _wiggle(m: Any, data: Any) -> Tab | None:
    try:
        names, frame = wiggled.predictors(m), m.model_frame()
    except MerextrasError:  # no rows are kept
        return None
    if not names:
        return None
    numbers = tuple(name for name in names if numeric(frame[name]))
    others = tuple(name for name in names if name not in numbers)
    controls = (
        Choice("predictor", "Predictor", options=_named(names), default=names[0]),
        *(_end(frame, label, name, numbers) for label, name in (("From", "min"), ("To", "max"))),
        Number(
            "count", "Values", ("predictor", numbers), default=5, low=1, high=40, whole=True
        ),
        Pick(
            "values", "Values", ("predictor", others), follows="predictor", hint="all",
            pool=lambda values: wiggled.grid_of(m, values["predictor"]),
        ),
        _better(),
        _level(),
    )  # fmt: skip

    def show(values: Values, cases: Cases) -> View:
        chosen: list[Any] | None = values.get("values") or None
        if values["predictor"] in numbers:
            chosen = wiggled.grid(values["min"], values["max"], values["count"])
        return wiggled.wiggled(
            m, data, cases=cases, predictor=values["predictor"], values=chosen,
            better=values["better"], level=values["level"],
        )  # fmt: skip

    return Tab(
        "wiggle", "Wiggle", "What these cases would be with other values of a predictor.",
        controls, show, (wiggled.FIGURE,), (wiggled.CASES, wiggled.MEANS), uses_cases=True,
    )  # fmt: skip


def _end(frame: Any, label: str, name: str, numbers: tuple[str, ...]) -> Number:
    """One end of the values of a number, at first that of its range."""

    def end(values: Values) -> float:
        column = values.get("predictor")
        return float(f"{getattr(frame[column], name)():.4g}") if column in numbers else 0.0

    return Number(name, label, ("predictor", numbers), default=end, follows="predictor")


def _impact(m: Any, data: Any) -> Tab:
    terms = list(dict.fromkeys(name for term in m.design.terms for name in term.names))
    controls = (
        _group(m),
        Choice("term", "Levels ranked by", options=_named(terms), default=terms[0]),
        Number("breaks", "Bins of the ranks", default=3, low=2, high=20, whole=True),
        Choice("weights", "Levels of a bin count", options=impact.WEIGHTS, default="precision"),
        _level(),
    )
    return Tab(
        "impact", "RE impact", "What low, middling and high levels mean for these cases.",
        controls,
        lambda values, cases: impact.impact(m, data, cases=cases, **values),
        (impact.FIGURE,), (impact.TABLE,), uses_cases=True,
    )  # fmt: skip


def _simulated(m: Any) -> Tab:
    every = {"": "all", **_named(m.design.factors)}
    controls = (
        Choice("group", "Grouping factor", options=every, default=""),
        _sims(500),
        _seed(),
        Switch("labels", "names of levels in the figure", default=m.design.q <= _MANY),
        _level(),
    )

    def show(values: Values, _: Cases) -> View:
        return simulated.simulated(m, **{**values, "group": values["group"] or None})

    return Tab(
        "simulated", "Simulated effects", "The effects in draws from their joint distribution.",
        controls, show, (simulated.RANDOM, simulated.FIXED), (simulated.RANDOM, simulated.FIXED),
    )  # fmt: skip


def _levels(m: Any) -> Tab:
    def pool(values: Values) -> Any:
        return swap.levels_of(m, values["group"])

    controls = (
        _group(m),
        Text("search", "Search levels", hint="a part of the name"),
        Pick("chosen", "Or pick them", follows="group", pool=pool, hint="search"),
        _level(),
    )

    def show(values: Values, _: Cases) -> View:
        ranks = len(swap.levels_of(m, values["group"])) <= levels.RANKED
        return levels.levels(m, **values, ranks=ranks)

    return Tab(
        "levels", "Levels", "The effect of each level, and where it ranks.", controls, show,
        (levels.FOUND, levels.ALL), (levels.TABLE,),
    )  # fmt: skip


def _checks(m: Any) -> Tab:
    controls = (_sims(50, "Simulated responses"), _seed())
    return Tab(
        "checks", "Checks", "What the model takes for granted, looked at in the data.", controls,
        lambda values, _: checked.checked(m, **values),
        (checked.FIGURE,), (checked.VERDICTS, checked.OUTLIERS),
    )  # fmt: skip
